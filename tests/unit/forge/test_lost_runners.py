"""A lost runner is told from a failure, a cancelled run and a time limit by what GitHub records; the texts are GitHub's own."""

from __future__ import annotations

import pytest

from mlgate.config import TrainConfig
from mlgate.evidence import CheckpointFindings, CheckpointRef, CommandRun
from mlgate.forge.lost_runners import Annotation, Job, Step, ended
from mlgate.stages.job.commands import Ended
from mlgate.stages.training import running, trained
from mlgate.stages.training.trained import Training

LOST = (
    "The self-hosted runner: gpu-7 lost communication with the server. Verify the machine is running and has a healthy network connection. "
    "Anything in your workflow that terminates the runner process, starves it for CPU/Memory, or blocks its network access can cause this "
    "error."
)
SHUTDOWN = (
    "The runner has received a shutdown signal. This can happen when the runner service is stopped, "
    "or a manually started runner is canceled."
)
CANCELED = "The operation was canceled."


def job(conclusion: str = "failure", **steps: str | None) -> Job:
    listed = steps or {"Set up job": "success", "Run train": "failure", "Complete job": "success"}
    return Job(id=1, name="train", status="completed", conclusion=conclusion, steps=[Step(name=n, conclusion=c) for n, c in listed.items()])


VANISHED = {"Set up job": "success", "Run train": None, "Complete job": None}


def said(*messages: str, title: str | None = None) -> list[Annotation]:
    return [Annotation(title=title, message=message) for message in messages]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (LOST, "lost communication"),
        ("The self-hosted runner lost communication with the server. Verify the machine is running.", "lost communication"),
        ("The hosted runner: GitHub Actions 339 lost communication with the server. Anything in your workflow", "lost communication"),
        (SHUTDOWN, "shut down"),
        ("Received request to deprovision: The request was cancelled by the remote provider.", "taken away"),
        ("The hosted runner encountered an error while running your job. (Error Type: Disconnect).", "broke"),
        ("GitHub Actions has encountered an internal error when running your job.", "internal error"),
        ("The job was not acquired by Runner of type self-hosted even after multiple attempts", "no runner took it"),
    ],
)
@pytest.mark.parametrize("conclusion", ["failure", "cancelled"])
def test_what_github_says_of_a_lost_runner_is_understood(message: str, words: str, conclusion: str) -> None:
    found = ended(job(conclusion), said(CANCELED, message))
    assert found.how == "lost"
    assert words in found.reason


def test_a_job_whose_step_never_ended_lost_its_runner_even_where_nothing_is_said() -> None:
    assert ended(job(**VANISHED), []).how == "lost"


def test_a_training_that_a_spot_notice_ended_counts_as_lost_where_mlgate_says_so_itself() -> None:
    run = CommandRun(command="python train.py", exit_code=143, duration_s=1204)
    ran = running._ran(TrainConfig(command="python train.py"), Ended(run, None, running.SPOT_NOTICE), None)
    last = CheckpointRef(name="7", saved_at="2026-11-22T03:10:00+00:00", trained_s=1200, step=7, size_bytes=1)
    kept = CheckpointFindings(key="0" * 64, place="a bucket", last=last)
    for checkpoints, words in (
        (None, "this machine is taken away (spot notice); run the job again"),
        (kept, "(spot notice); the checkpoint of step 7 is kept; run the job again, it goes on from there"),
    ):
        training = Training(run, problem=ran.problem, ended_by=ran.ended_by, is_preempted=True, checkpoints=checkpoints)
        notice = trained._problem(training)
        assert notice.endswith(words)
        assert ended(job(), said(notice, title="mlgate train")).how == "lost"
        assert ended(job(), said(notice)).how == "otherwise"


@pytest.mark.parametrize(
    ("messages", "conclusion"),
    [
        (["Process completed with exit code 1."], "failure"),
        ([CANCELED], "cancelled"),
        ([], "cancelled"),
        (["The job running on runner gpu-7 has exceeded the maximum execution time of 60 minutes.", CANCELED], "cancelled"),
        (["The job has exceeded the maximum execution time of 1h0m0s", SHUTDOWN], "cancelled"),
        (["AssertionError: the test lost communication with the server"], "failure"),
    ],
)
def test_a_failure_a_time_limit_and_a_cancelled_job_are_no_lost_runner(messages: list[str], conclusion: str) -> None:
    assert ended(job(conclusion), said(*messages)).how == "otherwise"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("The run was canceled by @ada.", "cancelled by ada"),
        ("The run was canceled by @github-merge-queue[bot].", "cancelled by github-merge-queue[bot]"),
        ("Canceling since a higher priority waiting request for 'mlgate-7' exists", "newer run"),
    ],
)
def test_a_run_that_somebody_ended_is_known_as_such_even_while_its_runner_shuts_down(message: str, words: str) -> None:
    found = ended(job("cancelled", **VANISHED), said(message, SHUTDOWN, CANCELED))
    assert found.how == "on purpose"
    assert words in found.reason


def test_a_job_cancelled_by_force_has_steps_that_never_ended_and_is_left_alone() -> None:
    assert ended(job("cancelled", **VANISHED), said(CANCELED)).how == "otherwise"


def test_a_stranger_cannot_write_an_annotation_that_has_his_job_run_again() -> None:
    assert ended(job(), said(LOST), is_fork=True).how == "otherwise"
    notice = "'python train.py' was ended: this machine is taken away (spot notice); run the job again"
    assert ended(job(), said(notice, title="mlgate train"), is_fork=True).how == "otherwise"
    assert ended(job(**VANISHED), said(LOST), is_fork=True).how == "lost"  # steps are GitHub's own


def test_a_job_that_failed_while_its_last_steps_are_not_yet_listed_failed() -> None:
    assert ended(job(**{"Run train": "failure", "Post checkout": None}), []).how == "otherwise"
