"""The comment while a model is trained: who may have one, what becomes of it, and that no trouble with it harms the training."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.gate.gate_runs import open_workspace
from mlgate.config.reporting import ReportConfig
from mlgate.console import Console
from mlgate.context import RunContext, TriggeringRun
from mlgate.evidence import CheckpointRef, ProgressFindings
from mlgate.forge.client import Forge
from mlgate.stages.training import live
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

HEAD = "a" * 40
OTHER = "b" * 40
TRAINED = CheckpointRef(name="c", saved_at="2026-11-21T09:30:00Z", trained_s=3600)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return open_workspace(make_repository(tmp_path_factory.mktemp("live") / "repository", {"mlgate.yaml": MINIMAL_CONFIG}))


@pytest.fixture
def workspace(opened: Workspace, github: StandIn) -> Workspace:
    """A run of pull request 7, in a job whose token may comment; shown as often as a test wants."""
    github.add_pull_request(7, head_sha=HEAD)
    context = RunContext(
        event="pull_request",
        repository="octo/models",
        run_id=100,
        pull_request=7,
        head_sha=HEAD,
        api_url=github.url,
        token=github.add_token("ghs_live", permissions={"contents": "read", "pull-requests": "write"}).value,
        server_url="https://github.com",
    )
    return every(replace(opened, context=context, console=Console(io.StringIO())), 0.05)


def every(workspace: Workspace, seconds: float) -> Workspace:
    report = ReportConfig().model_copy(update={"live": seconds})
    return replace(workspace, config=workspace.config.model_copy(update={"report": report}))


def within(workspace: Workspace, **context: Any) -> Workspace:
    return replace(workspace, context=replace(workspace.context, **context))


def said(workspace: Workspace) -> str:
    stream = workspace.console._stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def wait(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def bodies(github: StandIn) -> list[str]:
    return [comment.body for comment in github.comments(7)]


def progress(step: float, **given: Any) -> ProgressFindings:
    return ProgressFindings(step=step, total=30, unit="epoch", **given)


def writes(github: StandIn) -> list[str]:
    return [f"{sent.method} {sent.status}" for sent in github.requests if sent.method in {"POST", "PATCH", "DELETE"}]


def test_the_comment_follows_the_training_and_is_the_one_that_the_report_takes_over(workspace: Workspace, github: StandIn) -> None:
    with live.shown(workspace, gpus=["H100"], waited_s=65, resumed_from=TRAINED, first_after_s=0) as told:
        told.update(progress(3, metrics={"loss": 0.5}))
        wait(lambda: "epoch 3 of 30" in "".join(bodies(github)))
        told.update(progress(13))
        wait(lambda: "epoch 13 of 30" in bodies(github)[0])
        told.ended()
    [status] = bodies(github)
    assert status.splitlines()[:2] == [
        f"<!-- mlgate:digits run=100 attempt=1 commit={HEAD} -->",
        "### ⏳ digits: trained, the report follows",
    ]
    assert "on H100, after 1\u00a0min 5\u00a0s in the queue" in status
    Forge(workspace.context).publish_comment(7, "digits", "### the report")
    assert [body.splitlines()[1] for body in bodies(github)] == ["### the report"]
    assert sum(line.startswith("POST") for line in writes(github)) == 1


def test_a_status_costs_two_requests_once_its_comment_is_known(workspace: Workspace, github: StandIn) -> None:
    with live.shown(workspace, first_after_s=0) as told:
        wait(lambda: "PATCH 200" in writes(github))
        github.requests.clear()
        wait(lambda: writes(github).count("PATCH 200") >= 3)
        told.ended()
    [comment] = github.comments(7)
    assert {sent.path for sent in github.requests} == {f"/repos/octo/models/issues/comments/{comment.id}"}
    asked = [sent.method for sent in github.requests]
    assert abs(asked.count("GET") - asked.count("PATCH")) <= 1


def test_a_short_training_is_not_shown(workspace: Workspace, github: StandIn) -> None:
    with live.shown(workspace) as told:
        told.update(progress(30))
        told.ended()
    assert github.requests == []


def test_the_report_of_an_earlier_run_stays_below_while_the_model_is_trained_anew(workspace: Workspace, github: StandIn) -> None:
    github.add_pull_request(7, head_sha=OTHER)
    earlier = within(workspace, run_id=90, head_sha=OTHER).context
    Forge(earlier).publish_comment(7, "digits", "### ❌ digits: must not be merged\n\nall of it")
    github.add_pull_request(7, head_sha=HEAD)
    for run_id in (100, 101):  # the machine of the first is lost; the next one goes on
        with live.shown(within(workspace, run_id=run_id), first_after_s=0):
            wait(lambda run_id=run_id: f"run={run_id} " in bodies(github)[0])
    [body] = bodies(github)
    assert body.index("### ⏳ digits: training") < body.index("### ❌ digits: must not be merged\n\nall of it")
    assert body.count("<details>") == 1
    assert f"The report before this training of commit <code>{OTHER[:12]}</code>" in body
    assert "https://github.com/octo/models/actions/runs/90" in body


@pytest.mark.parametrize(
    "of",
    [
        {"is_fork": True},
        {"pull_request": None},
        {"token": None},
        {"repository": None},
        {"triggering": TriggeringRun(1, 1, "pull_request", HEAD, None, "octo/models", "dependabot[bot]", None, "", "")},
    ],
    ids=lambda of: next(iter(of)),
)
def test_a_fork_dependabot_and_a_run_without_token_or_pull_request_have_none(
    workspace: Workspace, github: StandIn, of: dict[str, Any]
) -> None:
    with live.shown(within(workspace, **of), first_after_s=0) as told:
        told.update(progress(1))
        time.sleep(0.2)
    assert github.requests == []
    assert said(workspace) == ""


def test_a_form_that_trains_a_forks_pull_request_has_none(workspace: Workspace, github: StandIn) -> None:
    """Its event does not say whose the commit is; GitHub does."""
    github.add_pull_request(7, head_sha=HEAD, head_repository="mallory/models")
    with live.shown(within(workspace, event="workflow_dispatch"), first_after_s=0):
        wait(lambda: github.requests)
        time.sleep(0.2)
    assert [sent.method for sent in github.requests] == ["GET"]
    github.add_pull_request(7, head_sha=HEAD)
    with live.shown(within(workspace, event="workflow_dispatch"), first_after_s=0):
        wait(lambda: bodies(github))


def test_off_is_off(workspace: Workspace, github: StandIn) -> None:
    for report in (ReportConfig(live=0), ReportConfig(comment=False)):
        quiet = replace(workspace, config=workspace.config.model_copy(update={"report": report}))
        with live.shown(quiet, first_after_s=0):
            time.sleep(0.1)
    assert github.requests == []


def test_a_newer_runs_comment_is_left_alone(workspace: Workspace, github: StandIn) -> None:
    with live.shown(every(workspace, 0.5), first_after_s=0) as told:
        wait(lambda: "PATCH 200" in writes(github))
        github.add_pull_request(7, head_sha=OTHER)
        Forge(within(workspace, run_id=101, head_sha=OTHER).context).publish_comment(7, "digits", "the newer report")
        wait(lambda: "belongs to a newer run" in said(workspace))
        told.ended()
    assert [body.splitlines()[1] for body in bodies(github)] == ["the newer report"]
    with live.shown(workspace, first_after_s=0):
        wait(lambda: f"the pull request is at {OTHER[:12]} now" in said(workspace))
    assert [body.splitlines()[1] for body in bodies(github)] == ["the newer report"]


def test_a_status_that_somebody_deletes_does_not_come_back(workspace: Workspace, github: StandIn) -> None:
    with live.shown(workspace, first_after_s=0) as told:
        wait(lambda: bodies(github))
        github.state.comments.clear()
        count = len(github.requests)
        wait(lambda: len(github.requests) > count)
        time.sleep(0.3)
        told.ended()
    assert bodies(github) == []


def test_a_token_that_may_not_comment_costs_one_line_and_one_try(workspace: Workspace, github: StandIn) -> None:
    token = github.add_token("ghs_reads", permissions={"contents": "read", "pull-requests": "read"}).value
    with live.shown(within(workspace, token=token), first_after_s=0):
        wait(lambda: "POST 403" in writes(github))
        time.sleep(0.3)
    log = said(workspace)
    assert log.count("live status: GitHub: POST") == 1
    assert "It needs 'pull-requests: write'" in log
    assert "ghs_reads" not in log
    assert writes(github) == ["POST 403"]


def test_a_github_that_fails_costs_one_line_and_is_asked_ever_less(
    workspace: Workspace, github: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlgate.forge.api.TRIES", 1)
    github.fail("GET", r"/comments", status=502, times=4)
    begun = time.monotonic()
    with live.shown(workspace, first_after_s=0):
        wait(lambda: bodies(github))
    assert time.monotonic() - begun > 0.05 * (2 + 4 + 8 + 16)
    assert said(workspace).count("live status") == 1


def test_a_rate_limit_is_waited_for_and_the_training_does_not_wait_with_it(workspace: Workspace, github: StandIn) -> None:
    github.fail("GET", r"/comments", status=429, headers={"retry-after": "600"})
    begun = time.monotonic()
    with live.shown(workspace, first_after_s=0):
        wait(lambda: len(github.requests) >= 1)
        time.sleep(0.3)
        asked = len(github.requests)
    assert time.monotonic() - begun < 3
    assert asked == 1, "GitHub said when to come again"


def test_an_update_takes_no_time_whatever_github_does(workspace: Workspace, github: StandIn) -> None:
    github.fail("GET", r"/", status=200, delay_s=1.5, times=1)
    with live.shown(workspace, first_after_s=0) as told:
        wait(lambda: told is not None)
        begun = time.perf_counter()
        for step in range(10_000):
            told.update(progress(step))
        assert time.perf_counter() - begun < 1.0


def test_a_training_finds_the_token_neither_in_its_environment_nor_in_that_of_the_process_above_it(tmp_path: Path) -> None:
    """The system shows a process's environment as it was at its start, to every process of the same user."""
    program = (
        "import os, pathlib; from mlgate import process; "
        "process.run_command('env; cat /proc/$PPID/environ', root=pathlib.Path('.'), log=pathlib.Path('log')); "
        "assert os.environ['MLGATE_GITHUB_TOKEN'] == 'ghs_of_the_job'"
    )
    environ = {**os.environ, "MLGATE_GITHUB_TOKEN": "ghs_of_the_job"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, check=True, stdout=subprocess.DEVNULL)
    seen = (tmp_path / "log").read_bytes()
    assert b"MLGATE_GITHUB_TOKEN=**************" in seen.split(b"\0")
    assert b"ghs_of_the_job" not in seen
