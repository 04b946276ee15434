"""The ten lines of README in an empty repository: timed to the first verdict, then compared with what the default branch's run left.

The token may only what the ten lines grant: read, comment, read artifacts. The origin refuses our ref, as GitHub does to such a token.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from support import commit_files, git

PERMISSIONS = {"contents": "read", "pull-requests": "write", "actions": "read"}
TRAIN = """\
wrong = {wrong}
with open("predictions.csv", "w") as stream:
    stream.write("y,y_pred\\n")
    for n in range(600):
        stream.write(f"{{n % 3}},{{(n + 1) % 3 if n < wrong else n % 3}}\\n")
"""


@dataclass
class World:
    """A repository that holds a training script and the ten lines, and nothing else."""

    machine: act.Machine
    github: StandIn
    folder: Path
    token: str
    seconds: dict[str, float] = field(default_factory=dict)
    """By run."""

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    def begin(self) -> str:
        """What a newcomer does: two files, one commit, one push."""
        git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        git(self.origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        hook = self.origin / "hooks/update"
        refusal = "remote: Permission to octo/models.git denied to github-actions[bot]."
        hook.write_text(f'#!/bin/sh\ncase "$1" in refs/mlgate/*) echo "{refusal}" >&2; exit 1;; esac\n')
        hook.chmod(0o755)
        git(self.folder, "init", "--quiet", "--initial-branch=main", str(self.clone))
        git(self.clone, "remote", "add", "origin", str(self.origin))
        # What is installed is the caller's business, and PyPI is not here.
        workflow = (act.ROOT / "templates/ten-lines.yml").read_text().replace("pip install -r requirements.txt && ", "")
        commit = commit_files(self.clone, {"train.py": TRAIN.format(wrong=30), ".github/workflows/mlgate.yml": workflow}, "first")
        git(self.clone, "push", "--quiet", "origin", "main")
        return commit

    def run(self, name: str, event_name: str, event: dict[str, Any], sha: str, ref: str) -> act.Run:
        run_id = 1000 + len(self.seconds)
        began = time.perf_counter()
        finished = act.run(
            self.machine,
            workspace=self.clone,
            workflow=".github/workflows/mlgate.yml",
            event_name=event_name,
            event=event,
            env=caller.environment(self.origin, self.github, sha=sha, ref=ref, run_id=run_id),
            secrets={"GITHUB_TOKEN": self.token},
            name=name,
        )
        self.seconds[name] = time.perf_counter() - began
        if archive := self.artifact(name):  # act keeps it to itself; GitHub lists it
            self.github.add_run_artifact(sha, archive.stem, archive.read_bytes(), run=self.github.add_run(sha, event=event_name))
        return finished

    def pull_request(self, name: str, number: int, wrong: int) -> act.Run:
        git(self.clone, "checkout", "--quiet", "-B", name, "main")
        commit_files(self.clone, {"train.py": TRAIN.format(wrong=wrong)}, name)
        git(self.clone, "push", "--quiet", "origin", name)
        pull = caller.Caller(self.clone, self.origin).pull_request(number, name)
        self.github.add_pull_request(number, head_sha=pull.head, base_sha=pull.base)
        return self.run(name, "pull_request", caller.pull_request_event(pull), pull.merge, f"refs/pull/{number}/merge")

    def artifact(self, name: str) -> Path | None:
        return next((self.machine.folder / "runs" / name / "artifacts").rglob("mlgate-models-verdict-1.zip"), None)

    def evidence(self, name: str, stage: str) -> dict[str, Any]:
        return act.evidence(self.machine, name, stage, "mlgate-models-verdict-1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ten-lines")
    with StandIn(caller.REPOSITORY) as github:
        token = github.add_token("ghs_ten_lines_e2e", permissions=PERMISSIONS).value
        yield World(act.Machine.prepare(folder), github, folder, token)
        assert github.violations == []


@pytest.fixture(scope="module")
def first(world: World) -> act.Run:
    """From an empty folder to the first verdict: the push of the default branch."""
    began = time.perf_counter()
    commit = world.begin()
    run = world.run("first", "push", caller.push_event("0" * 40, commit), commit, "refs/heads/main")
    world.seconds["from an empty repository to the first verdict"] = time.perf_counter() - began
    return run


@pytest.fixture(scope="module")
def worse(world: World, first: act.Run) -> act.Run:
    return world.pull_request("worse", 1, wrong=120)


def test_the_first_verdict_comes_within_seconds(
    world: World, first: act.Run, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert first.results() == {"mlgate": "success"}
    assert world.evidence("first", "gate")["findings"]["is_first_model"]
    seconds = world.seconds["from an empty repository to the first verdict"]
    record_property("seconds_from_an_empty_repository_to_the_first_verdict", round(seconds, 1))
    with capsys.disabled():
        print(f"\nfrom an empty repository to the first verdict: {seconds:.1f} s", end=" ")


def test_what_the_token_may_not_do_fails_nothing(world: World, first: act.Run) -> None:
    assert "this run's artifact is the baseline of later ones" in world.evidence("first", "gate")["summary"]
    assert "status mlgate/models not set" in first.jobs["mlgate"].log
    assert subprocess.run(["git", "for-each-ref", "refs/mlgate"], cwd=world.origin, capture_output=True, check=True).stdout == b""


def test_a_worse_model_is_blocked_in_a_comment(world: World, worse: act.Run) -> None:
    assert worse.results() == {"mlgate": "failure"}
    gate = world.evidence("worse", "gate")["findings"]
    assert (gate["verdict"], gate["baseline"]["source"], gate["baseline"]["shared_examples"]) == ("worse", "run artifact", 600)
    assert gate["baseline"]["commit"] == git(world.clone, "rev-parse", "main")
    [comment] = world.github.comments(1, "github-actions[bot]")
    assert "must not be merged" in comment.body
    assert "worse than `main`" in comment.body


def test_the_ten_lines_need_nothing_but_what_they_name(world: World, worse: act.Run) -> None:
    """No configuration, no DVC, no MLflow: nothing was left in the repository, and nobody asked for more than was granted."""
    assert git(world.clone, "ls-tree", "-r", "--name-only", "worse").splitlines() == [".github/workflows/mlgate.yml", "train.py"]
    refused = {
        (exchange.method, exchange.path.rpartition("/")[0].rpartition("/")[2])
        for exchange in world.github.requests
        if exchange.status == 403
    }
    assert refused <= {("POST", "statuses"), ("GET", "")}
