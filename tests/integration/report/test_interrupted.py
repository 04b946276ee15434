"""A run that is cancelled in the middle of the gate or of the report: one line, nothing half-written, and the next attempt completes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, leave, open_workspace
from integration.mistakes.commands import MLGATE, assert_nothing_is_half_written, evidence_in
from mlgate import evidence as records
from mlgate.context import from_environment
from support import MINIMAL_CONFIG, decided, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

PLACES = [
    (signal.SIGINT, "GET", "/pulls/7"),
    (signal.SIGHUP, "GET", "/pulls/7"),
    (signal.SIGTERM, "GET", "/issues/7/comments"),
    (signal.SIGTERM, "POST", "/issues/7/comments"),
    (signal.SIGTERM, "POST", "/statuses/"),
]
DECISION = decided()


class Job:
    """The job `verdict` on a checkout of its own, with the evidence that the jobs before it left."""

    def __init__(self, folder: Path, github: StandIn, event_name: str) -> None:
        self.root = make_repository(folder / "repository", {"mlgate.yaml": MINIMAL_CONFIG})
        git(folder, "init", "--quiet", "--bare", "origin.git")
        self.origin, self.temporary = folder / "origin.git", folder / "tmp"
        self.temporary.mkdir()
        self.head = git(self.root, "rev-parse", "HEAD")
        side = {"sha": self.head, "ref": "main", "repo": {"full_name": "octo/models"}}
        event = {"pull_request": {"number": 7, "head": side, "base": side}} if event_name == "pull_request" else {}
        (folder / "event.json").write_text(json.dumps({**event, "repository": {"default_branch": "main"}}))
        github.add_pull_request(7, head_sha=self.head)
        self.environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_RUN_ID": "5",
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": self.head,
            "GITHUB_API_URL": github.url,
            "MLGATE_GITHUB_TOKEN": github.token,
            "MLGATE_STORE_URL": str(self.origin),
        }
        self.workspace = replace(open_workspace(self.root), context=from_environment(self.environ))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_", "RUNNER_"))}
        return subprocess.Popen(
            [MLGATE, *arguments],
            cwd=self.root,
            env={**inherited, **self.environ, "TMPDIR": str(self.temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell in the background has Ctrl-C ignored, `nohup` hanging up, and what they start inherits that.
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)],
        )

    def interrupted(self, number: signal.Signals, when: Callable[[], bool], *arguments: str) -> None:
        """Run a command, interrupt it as soon as that is so, and check what holds of every such end."""
        before = evidence_in(self.root)
        process = self.start(*arguments)
        deadline = time.monotonic() + 60
        while not when():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 128 + number, said
        assert f"✗ interrupted by {number.name}; nothing is left half-written, run it again\n" in said
        assert "Traceback" not in said
        assert list(self.temporary.iterdir()) == []
        assert_nothing_is_half_written(self.root, before)

    def completes(self, *arguments: str) -> None:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said

    def recorded(self) -> list[str]:
        if not git(self.origin, "for-each-ref", "refs/mlgate/digits"):
            return []
        return git(self.origin, "ls-tree", "-r", "--name-only", "refs/mlgate/digits").splitlines()


def asked(github: StandIn, method: str, part: str) -> Callable[[], bool]:
    """Whether such a request has come (and, as it is slow, has not been answered yet)."""
    return lambda: any(exchange.method == method and part in exchange.path for exchange in github.requests)


@pytest.mark.parametrize(("number", "method", "part"), PLACES)
def test_a_report_that_is_cancelled_is_completed_by_the_next_attempt(
    tmp_path: Path, github: StandIn, number: signal.Signals, method: str, part: str
) -> None:
    job = Job(tmp_path, github, "pull_request")
    leave(job.workspace, "gate", DECISION)
    github.fail(method, part, delay_s=5)

    job.interrupted(number, asked(github, method, part), "report")

    assert not job.workspace.evidence_path("report").exists()
    assert len(github.comments(7)) <= 1

    job.environ["GITHUB_RUN_ATTEMPT"] = "2"
    job.completes("report")
    [comment] = github.comments(7)
    assert comment.body.startswith(f"<!-- mlgate:digits run=5 attempt=2 commit={job.head} -->")
    assert github.statuses(job.head)[-1].state == "success"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gate_that_is_cancelled_records_all_or_nothing_and_the_next_attempt_completes(
    tmp_path: Path, github: StandIn, number: signal.Signals
) -> None:
    job = Job(tmp_path, github, "push")
    evaluated(job.workspace, classified(*labels(900)))
    hook = job.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/pushing\nsleep 1\n")
    hook.chmod(0o755)

    job.interrupted(number, (tmp_path / "pushing").exists, "gate")

    time.sleep(1.2)  # the remote may go on with what it got
    assert len(job.recorded()) in (0, 4)  # by commit, by inputs, predictions, the use of the holdout
    assert not job.workspace.evidence_path("gate").exists()

    hook.unlink()
    job.completes("gate")
    assert f"evaluations/{job.head}.json" in job.recorded()
    assert records.load(job.workspace.evidence_path("gate"), "gate").findings.recorded_in_store


def test_a_cancelled_gate_is_still_reported_and_its_next_attempt_replaces_that(tmp_path: Path, github: StandIn) -> None:
    """As GitHub cancels a job: Ctrl-C first, and some seconds to end in."""
    job = Job(tmp_path, github, "pull_request")
    evaluated(job.workspace, classified(*labels(900)))
    github.fail("GET", "/actions/runs", delay_s=5)

    job.interrupted(signal.SIGINT, asked(github, "GET", "/actions/runs"), "run", "gate", "report")

    [comment] = github.comments(7)
    assert "cannot be merged yet" in comment.body
    job.environ["GITHUB_RUN_ATTEMPT"] = "2"
    job.completes("run", "gate", "report")
    assert [each.id for each in github.comments(7)] == [comment.id]
    assert "may be merged" in github.comments(7)[0].body
