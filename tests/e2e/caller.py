"""The caller: a repository that is not this one, with its origin, its DVC remote and the events GitHub would send for it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github_stand_in import StandIn
from support import commit_files, git

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPOSITORY = "octo/models"
EXAMPLES = 400


# The ten-line way in: predictions in, verdict out.
_SIMPLE = """\
on: pull_request
jobs:
  simple:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {fetch-depth: 0, persist-credentials: false}
      - run: python predict.py 40
        working-directory: simple
      - uses: mlgate/mlgate@v0.1.0
        with: {working-directory: simple}
"""


@dataclass(frozen=True)
class PullRequest:
    number: int
    head: str
    base: str
    merge: str
    """GitHub's synthetic merge commit: what `pull_request` workflows check out."""


@dataclass(frozen=True)
class Caller:
    """A clone, its bare origin beside it, and a DVC remote in a folder."""

    clone: Path
    origin: Path

    @classmethod
    def make(cls, folder: Path, workflow_changes: dict[str, str]) -> Caller:
        """The fixture in tests/e2e/caller as a Git and DVC repository with our templates for workflows; data is on the DVC remote only.

        Args:
            folder: where it goes.
            workflow_changes: what a user would change in the templates: text by text.
        """
        clone, origin = empty_repository(folder)
        shutil.copytree(HERE / "caller", clone, dirs_exist_ok=True)
        workflows = clone / ".github/workflows"
        workflows.mkdir(parents=True)
        for template in sorted((ROOT / "templates/workflows").glob("*.yml")):
            text = template.read_text()
            for old, new in workflow_changes.items():
                text = text.replace(old, new)
            (workflows / template.name).write_text(text)
        shutil.copytree(ROOT / "tests/selftest", clone / "simple")
        (workflows / "simple.yml").write_text(_SIMPLE)
        dvc(clone, "init", "--quiet")
        (folder / "dvc-remote").mkdir()
        dvc(clone, "remote", "add", "--default", "storage", str(folder / "dvc-remote"))
        caller = cls(clone, origin)
        caller.write_data()
        commit_files(clone, {}, "first")
        git(clone, "push", "--quiet", "origin", "main")
        return caller

    def write_data(self, x: float = 0.5) -> None:
        """Make the data, have DVC track it, push it to the remote, and take it away here."""
        source = random.Random(7)
        rows = [(n, source.random(), n % 2, "north" if n % 4 < 2 else "south") for n in range(EXAMPLES)]
        data = self.clone / "data"
        data.mkdir(exist_ok=True)
        (data / "train.csv").write_text("x,y\n" + "".join(f"{x if n == 3 else value},{y}\n" for n, value, y, _ in rows))
        (data / "holdout.csv").write_text("id,y,site\n" + "".join(f"{n},{y},{site}\n" for n, _, y, site in rows))
        dvc(self.clone, "add", "--quiet", "data/train.csv", "data/holdout.csv")
        dvc(self.clone, "push", "--quiet")

    def push(self, branch: str, files: dict[str, str], message: str, *, start: str = "main", x: float | None = None) -> str:
        """One more commit on a branch, pushed; a new branch begins at `start`."""
        known = git(self.clone, "branch", "--list", branch)
        git(self.clone, "checkout", "--quiet", *([branch] if known else ["-b", branch, start]))
        if x is not None:
            self.write_data(x)
        commit = commit_files(self.clone, files, message)
        git(self.clone, "push", "--quiet", "origin", branch)
        return commit

    def pull_request(self, number: int, branch: str) -> PullRequest:
        """Open a pull request, or push to it: the refs that GitHub makes, the synthetic merge among them."""
        head, base = (git(self.clone, "rev-parse", name) for name in (branch, "main"))
        tree = git(self.clone, "merge-tree", "--write-tree", base, head)
        merge = git(self.clone, "commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge {head} into {base}")
        for ref, commit in (("head", head), ("merge", merge)):
            git(self.clone, "push", "--quiet", "--force", "origin", f"{commit}:refs/pull/{number}/{ref}")
        return PullRequest(number, head, base, merge)

    def merge(self, branch: str) -> tuple[str, str]:
        """Merge a branch into main and push it; the commits before and after."""
        before = git(self.clone, "rev-parse", "main")
        git(self.clone, "checkout", "--quiet", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", branch)
        git(self.clone, "push", "--quiet", "origin", "main")
        return before, git(self.clone, "rev-parse", "main")

    def queue(self, branch: str) -> str:
        """The commit that a merge queue makes of main and a branch, under the ref GitHub gives it."""
        tree = git(self.clone, "merge-tree", "--write-tree", "main", branch)
        commit = git(self.clone, "commit-tree", tree, "-p", "main", "-p", branch, "-m", f"Queue {branch}")
        git(self.clone, "push", "--quiet", "origin", f"{commit}:refs/heads/gh-readonly-queue/main/pr-2")
        return commit

    def store_names(self, model: str = "toy") -> list[str]:
        """Records of the store, as they are in the origin's ref."""
        if not git(self.origin, "for-each-ref", f"refs/mlgate/{model}"):
            return []
        return git(self.origin, "ls-tree", "-r", "--name-only", f"refs/mlgate/{model}").splitlines()


def empty_repository(folder: Path) -> tuple[Path, Path]:
    """A clone without a commit and its bare origin, which gives away any commit, as GitHub does."""
    clone, origin = folder / "clone", folder / "origin.git"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", str(origin))
    return clone, origin


def environment(origin: Path | str, github: StandIn, *, sha: str, ref: str, run_id: int, **more: str) -> dict[str, str]:
    """What GitHub tells the jobs of a run on a commit, and where checkout and store are here.

    Args:
        origin: where the repository is cloned from, and its store.
        github: the stand-in.
        sha: the commit the run is on.
        ref: `refs/heads/main`, `refs/pull/7/merge`.
        run_id: number of the run.
        more: other variables, and other values.
    """
    return {
        "E2E_ORIGIN": str(origin),
        "E2E_SHA": sha,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": str(run_id),
        "GITHUB_REF": ref,
        "GITHUB_SHA": sha,
        "GITHUB_API_URL": github.url,
        "MLGATE_STORE_URL": str(origin),
        **more,
    }


def dvc(root: Path, *arguments: str) -> None:
    finished = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"dvc {' '.join(arguments)}: {finished.stderr}"


def errors(count: int) -> dict[str, str]:
    """The caller's model, wrong on so many of the 400 examples."""
    return {"params.yaml": f"model:\n  errors: {count} # of {EXAMPLES} examples\n"}


def repository() -> dict[str, Any]:
    owner, name = REPOSITORY.split("/")
    return {"full_name": REPOSITORY, "name": name, "default_branch": "main", "owner": {"login": owner}}


def pull_request_event(pull: PullRequest) -> dict[str, Any]:
    side = {"repo": {"full_name": REPOSITORY}}
    return {
        "action": "synchronize",
        "number": pull.number,
        "repository": repository(),
        "pull_request": {
            "number": pull.number,
            "head": {**side, "sha": pull.head, "ref": "feature"},
            "base": {**side, "sha": pull.base, "ref": "main"},
        },
    }


def push_event(before: str, after: str) -> dict[str, Any]:
    return {"ref": "refs/heads/main", "before": before, "after": after, "repository": repository()}


def merge_group_event(base: str, head: str) -> dict[str, Any]:
    group = {"base_sha": base, "head_sha": head, "base_ref": "refs/heads/main", "head_ref": "refs/heads/gh-readonly-queue/main/pr-2"}
    return {"action": "checks_requested", "merge_group": group, "repository": repository()}


def dispatch_event(**inputs: str | bool) -> dict[str, Any]:
    return {"ref": "refs/heads/main", "inputs": inputs, "repository": repository()}
