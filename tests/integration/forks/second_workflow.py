"""A stranger's pull request as the second workflow meets it: refs on origin, what the first run left on GitHub, the base checked out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from github_stand_in import StandIn
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, leave, open_workspace
from mlgate import stages
from mlgate.console import Console
from mlgate.context import RunContext
from mlgate.evidence import Evidence
from mlgate.stages.forks import triggering_run
from mlgate.stages.forks.triggering_run import Taken
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

REPOSITORY, FORK = "octo/models", "stranger/models"
RUN_ID, NUMBER = 500, 7
STATUS = "mlgate/digits"
WORKFLOW = ".github/workflows/mlgate.yml"
TRAIN = "jobs:\n  train:\n    uses: mlgate/mlgate/.github/workflows/reusable-train.yml@v0.1.0\n"
Files = dict[str, bytes]


@dataclass
class World:
    """Origin, the base's checkout of the second workflow, the stranger's clone, and GitHub."""

    folder: Path
    github: StandIn
    monkeypatch: pytest.MonkeyPatch
    head: str = ""
    merge: str = ""
    token: str = ""
    """Of the second workflow's job; left out, one that may do everything."""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def fork(self) -> Path:
        return self.folder / "fork"

    @classmethod
    def make(cls, folder: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> World:
        """A default branch whose evaluation is in the store, and a fork whose model is as good, though of other code."""
        world = cls(folder, github, monkeypatch)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(world.origin))
        git(world.origin, "config", "uploadpack.allowAnySHA1InWant", "true")  # as GitHub does
        files = {
            "mlgate.yaml": CONFIG,
            "train.py": "print('model 0')\n",
            WORKFLOW: "name: mlgate\n",
            ".github/workflows/retrain.yml": TRAIN,
        }
        make_repository(world.base, files)
        git(world.base, "remote", "add", "origin", str(world.origin))
        git(world.base, "push", "--quiet", "origin", "main")
        git(folder, "clone", "--quiet", str(world.origin), str(world.fork))
        monkeypatch.setenv("MLGATE_STORE_URL", str(world.origin))
        pushed = open_workspace(world.base, event="push", repository=REPOSITORY, run_id=1, ref="refs/heads/main", default_branch="main")
        evaluated(pushed, classified(*labels(900)))
        recorded = stages.run("gate", pushed)
        assert recorded.findings.recorded_in_store, recorded.summary
        world.push({"train.py": "print('model 1')\n"})
        world.leave_evidence(900)
        return world

    def copied(self, folder: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch, right: int) -> World:
        """The same elsewhere, with a fork's model that is right on `right` of 1,000 examples."""
        for name in ("origin.git", "base", "fork"):
            shutil.copytree(self.folder / name, folder / name)
        world = World(folder, github, monkeypatch, self.head, self.merge)
        for clone in (world.base, world.fork):
            git(clone, "remote", "set-url", "origin", str(world.origin))
        monkeypatch.setenv("MLGATE_STORE_URL", str(world.origin))
        base = self.github.state.pull_requests[NUMBER].base_sha
        github.add_pull_request(NUMBER, head_sha=self.head, base_sha=base, head_repository=FORK)
        if right != 900:
            world.leave_evidence(right)
        else:
            [artifact] = self.github.state.artifacts.values()
            world.upload(artifact.content)
        return world

    def push(self, files: Mapping[str, str], branch: str = "topic") -> None:
        """A commit of the stranger's, and the refs that GitHub makes of it."""
        known = git(self.fork, "branch", "--list", branch)
        git(self.fork, "checkout", "--quiet", *([branch] if known else ["-b", branch, "origin/main"]))
        self.head = commit_files(self.fork, dict(files), "by a stranger")
        self.merge = self.merged("origin/main")
        self.publish(NUMBER)

    def merged(self, base: str) -> str:
        tree = git(self.fork, "merge-tree", "--write-tree", base, self.head)
        return git(self.fork, "commit-tree", tree, "-p", base, "-p", self.head, "-m", "Merge")

    def publish(self, number: int, **details: Any) -> None:
        for ref, commit in (("head", self.head), ("merge", self.merge)):
            git(self.fork, "push", "--quiet", "--force", "origin", f"{commit}:refs/pull/{number}/{ref}")
        base = git(self.base, "rev-parse", "main")
        self.github.add_pull_request(number, head_sha=self.head, base_sha=base, head_repository=FORK, **details)

    def move_base(self) -> None:
        """A push to the default branch after the run; GitHub makes the merge anew."""
        commit_files(self.base, {"README.md": "news\n"}, "news")
        git(self.base, "push", "--quiet", "origin", "main")
        git(self.fork, "fetch", "--quiet", "origin")
        self.merge = self.merged("origin/main")
        self.publish(NUMBER)

    # ---- what the first run leaves

    def first_run(self, commit: str | None = None, **context: Any) -> Workspace:
        """The workspace of the job `train`, at the merge."""
        git(self.fork, "checkout", "--quiet", "--force", "--detach", commit or self.merge)
        known = {"repository": REPOSITORY, "run_id": RUN_ID, "event": "pull_request", "pull_request": NUMBER, "is_fork": True}
        workspace = Workspace.open(self.fork, "mlgate.yaml", {}, Console())
        return replace(workspace, context=RunContext(**{**known, "head_sha": self.head, **context}))

    def leave_evidence(self, right: int = 900, **context: Any) -> Files:
        workspace = self.first_run(**context)
        workspace.empty_state()
        evaluated(workspace, classified(*labels(right)))
        files = self.files_of(workspace)
        self.upload(files)
        return files

    def leave_failure(self, stage: str, summary: str, exit_code: int) -> None:
        workspace = self.first_run()
        workspace.empty_state()
        leave(workspace, stage, None, "error", summary, exit_code)
        self.upload(self.files_of(workspace), job="data")

    @staticmethod
    def files_of(workspace: Workspace) -> Files:
        found = [path for path in workspace.state.rglob("*") if path.is_file()]
        return {path.relative_to(workspace.state).as_posix(): path.read_bytes() for path in found}

    def upload(self, content: Files | bytes, job: str = "train", attempt: int = 1) -> None:
        """What the run has for an artifact, in place of what it had."""
        state = self.github.state
        run = state.runs.get(RUN_ID) or self.github.add_run(self.head, run_id=RUN_ID, event="pull_request", head_repository=FORK)
        for artifact in [one for one in state.artifacts.values() if one.run_id == RUN_ID]:
            del state.artifacts[artifact.id]
        self.github.add_run_artifact(self.head, f"mlgate-digits-{job}-{attempt}", content, run=run)

    # ---- the second workflow

    def event(self, **run: Any) -> dict[str, Any]:
        described = {
            "id": RUN_ID,
            "run_attempt": 1,
            "name": "mlgate",
            "path": f"{WORKFLOW}@refs/heads/main",
            "event": "pull_request",
            "head_sha": self.head,
            "head_branch": "topic",
            "head_repository": {"full_name": FORK},
            "actor": {"login": "stranger"},
            "conclusion": "success",
            "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "pull_requests": [],
        }
        return {
            "action": "completed",
            "workflow_run": {**described, **run},
            "repository": {"default_branch": "main", "full_name": REPOSITORY},
        }

    def second_run(self, **run: Any) -> Workspace:
        """The workspace of the job `verdict` before it knows anything."""
        self.second_run_begins(**run)
        return Workspace.open(self.base, "mlgate.yaml", self.environ, Console())

    def second_run_begins(self, **run: Any) -> None:
        """GitHub starts the second workflow: its event and environment, and what a checkout of the base fetches."""
        path = self.folder / "event.json"
        path.write_text(json.dumps(self.event(**run)))
        self.environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "900",
            "GITHUB_EVENT_NAME": "workflow_run",
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_API_URL": self.github.url,
            "MLGATE_GITHUB_TOKEN": self.token or self.github.token,
        }
        git(self.base, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")

    def take(self, **run: Any) -> Taken:
        """The step `take`; what it exports is in this process's environment after it."""
        workspace = self.second_run(**run)
        workspace.empty_state()
        taken = triggering_run.take(workspace)
        for name, value in taken.variables.items():
            self.monkeypatch.setenv(name, value)
        self.environ |= taken.variables
        return taken

    def judge(self, *stage_names: str) -> list[Evidence[Any]]:
        """The stages after it, in the same job."""
        workspace = Workspace.open(self.base, "mlgate.yaml", self.environ, Console())
        return [stages.run(stage, workspace) for stage in stage_names or ("gate",)]

    def states(self) -> list[str]:
        return [status.state for status in self.github.statuses(self.head) if status.context == STATUS]

    def trace(self) -> Path:
        return self.folder / "executed"


@pytest.fixture(scope="session")
def _first_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with StandIn(REPOSITORY) as github:
        with pytest.MonkeyPatch.context() as monkeypatch:  # over before the tests: others of this session have stores of their own
            world = World.make(tmp_path_factory.mktemp("forks"), github, monkeypatch)
        yield world


@pytest.fixture
def make_world(_first_world: World, tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLGATE_"))]:
        monkeypatch.delenv(name)
    return lambda right=900: _first_world.copied(tmp_path, github, monkeypatch, right)
