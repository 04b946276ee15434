"""`mlgate requeue` against GitHub stood in for: runs that lost a runner run again, once, and no others do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from github_stand_in import StandIn
from github_stand_in.state import Run
from mlgate import cli
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.stages.job import requeue
from mlgate.stages.job.requeue import Limits, Requeued
from support import make_repository

HEAD, OLD = "a" * 40, "b" * 40
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SHUTDOWN = ("", "The runner has received a shutdown signal. This can happen when the runner service is stopped.")
LOST = ("", "The self-hosted runner: gpu-7 lost communication with the server. Verify the machine is running.")
WORKFLOW = """\
on: [push, pull_request]
jobs:
  data: {runs-on: ubuntu-latest, steps: [{uses: mlgate/mlgate/actions/run@v0.1.0, with: {stages: check}}]}
  train: {runs-on: gpu, steps: [{uses: mlgate/mlgate/actions/run@v0.1.0, with: {stages: train}}]}
  deploy: {runs-on: ubuntu-latest, steps: [{run: make deploy}]}
"""
SCHEDULER = "on: {schedule: [{cron: '7 * * * *'}]}\njobs: {requeue: {steps: [{uses: mlgate/mlgate/actions/requeue@v0.1.0}]}}\n"


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def lost_run(github: StandIn, *, job: str = "train", sha: str = HEAD, note: tuple[str, str] = LOST, **details: Any) -> Run:
    """A run of a pull request's head that lost its machine a while ago."""
    run = github.add_run(sha, event=details.pop("event", "pull_request"), attempt=details.pop("attempt", 1))
    run.conclusion, run.head_branch = "failure", "topic"
    run.created_at, run.updated_at = at(NOW - timedelta(hours=3)), at(NOW - timedelta(hours=1))
    for name, value in details.items():
        setattr(run, name, value)
    github.add_job(run, "data")
    github.add_job(run, job, "failure", annotations=[note])
    return run


def look(github: StandIn, folder: Path, *, token: str | None = None, limits: Limits | None = None, **more: Any) -> Requeued:
    context = RunContext(event="schedule", repository="octo/models", api_url=github.url, token=token or github.token, github_patience_s=0)
    return requeue.run(folder, context, {}, limits or Limits(), now=NOW, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {".github/workflows/mlgate.yml": WORKFLOW, ".github/workflows/mlgate-requeue.yml": SCHEDULER}
    return make_repository(tmp_path / "repository", files)


@pytest.fixture
def open_pull(github: StandIn) -> StandIn:
    github.add_pull_request(7, head_sha=HEAD)
    return github


class TestWhatRunsAgain:
    def test_a_run_that_lost_its_runner_has_its_failed_jobs_run_again(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull)
        done = look(open_pull, folder)
        assert run.reruns == ["failed"]
        first, last = done.lines
        assert first == (
            f"✓ run {run.id} (Build, {HEAD[:12]}, attempt 1): job 'train': its runner lost communication with the server; "
            "its failed jobs run again, as attempt 2"
        )
        assert last == "1 failed run of mlgate looked at: 1 had lost a runner, 1 started again"

    @pytest.mark.parametrize("event", ["workflow_dispatch", "schedule", "push"])
    def test_runs_without_a_pull_request_too(self, github: StandIn, folder: Path, event: str) -> None:
        run = lost_run(github, event=event, head_branch="main", note=SHUTDOWN)
        look(github, folder)
        assert run.reruns == ["failed"]

    def test_an_older_run_of_the_default_branch_too_since_each_records_a_baseline(self, github: StandIn, folder: Path) -> None:
        older = lost_run(github, event="push", head_branch="main")
        newer = lost_run(github, event="push", head_branch="main", sha=OLD, created_at=at(NOW - timedelta(hours=2)))
        look(github, folder)
        assert (older.reruns, newer.reruns) == (["failed"], ["failed"])

    @pytest.mark.parametrize("job", ["train (a)", "train / train"])
    def test_a_job_of_a_matrix_and_one_of_a_called_workflow(self, open_pull: StandIn, folder: Path, job: str) -> None:
        run = lost_run(open_pull, job=job)
        look(open_pull, folder)
        assert run.reruns == ["failed"]

    def test_a_fork_by_what_github_itself_recorded(self, github: StandIn, folder: Path) -> None:
        github.add_pull_request(7, head_sha=HEAD, head_repository="ada/models")
        forged = lost_run(github, head_repository="ada/models")
        assert look(github, folder).lost == []
        assert forged.reruns == []
        github.state.jobs[max(github.state.jobs)].steps = [("Set up job", "success"), ("Run train", None)]
        look(github, folder)
        assert forged.reruns == ["failed"]

    def test_what_is_named_counts_with_all_its_jobs(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull, job="anything", path=".github/workflows/other.yml")
        look(open_pull, folder)
        assert run.reruns == []
        look(open_pull, folder, workflows=["other.yml"])
        assert run.reruns == ["failed"]


class TestWhatIsLeft:
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"state": "closed"}, "its pull request is closed or merged"),
            ({"head_sha": OLD}, f"pull request #7 is at {OLD[:12]} now"),
            ({"head_ref": "another"}, "its pull request is closed or merged"),
        ],
    )
    def test_a_run_whose_pull_request_went_on(self, github: StandIn, folder: Path, change: dict[str, str], why: str) -> None:
        github.add_pull_request(7, **{"head_sha": HEAD, **change})
        run = lost_run(github)
        [lost] = look(github, folder).lost
        assert (lost.outcome, lost.reason, run.reruns) == ("left", why, [])

    @pytest.mark.parametrize("who", ["The run was canceled by @ada.", "Canceling since a higher priority waiting request for 'x' exists"])
    def test_a_run_that_somebody_cancelled_though_its_runner_went_then(self, open_pull: StandIn, folder: Path, who: str) -> None:
        run = lost_run(open_pull, note=SHUTDOWN, conclusion="cancelled")
        open_pull.add_job(run, "train (b)", "cancelled", annotations=[("", who)])
        assert look(open_pull, folder).lost == []
        assert run.reruns == []

    def test_a_run_that_failed_by_itself(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull, note=("", "Process completed with exit code 1."))
        done = look(open_pull, folder)
        assert (run.reruns, done.looked_at, done.lost) == ([], 1, [])

    def test_a_lost_job_that_is_none_of_mlgates(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull, job="deploy")
        look(open_pull, folder)
        assert run.reruns == []

    def test_a_run_that_had_its_attempts(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull, attempt=3)
        [lost] = look(open_pull, folder).lost
        assert run.reruns == []
        assert lost.reason.startswith("it had 3 attempts, of at most 3")
        look(open_pull, folder, limits=Limits(max_attempts=4))
        assert run.reruns == ["failed"]

    def test_more_than_a_day_may_start_the_one_that_waits_longest_first(self, github: StandIn, folder: Path) -> None:
        runs = [lost_run(github, event="workflow_dispatch", updated_at=at(NOW - timedelta(hours=hours))) for hours in (1, 5, 3)]
        earlier = lost_run(github, event="workflow_dispatch", attempt=2, triggering_actor="github-actions[bot]", conclusion="success")
        done = look(github, folder, limits=Limits(max_a_day=2))
        assert [run.reruns for run in runs] == [[], ["failed"], []]
        assert earlier.reruns == []
        assert [lost.outcome for lost in done.lost] == ["again", "left", "left"]
        assert "2 runs were started again within a day" in done.lost[1].reason

    def test_a_run_of_long_ago_and_one_that_goes_on(self, open_pull: StandIn, folder: Path) -> None:
        runs = [
            lost_run(open_pull, updated_at=at(NOW - timedelta(hours=7))),
            lost_run(open_pull, status="in_progress", conclusion=None),
        ]
        assert look(open_pull, folder).looked_at == 0
        assert [run.reruns for run in runs] == [[], []]

    def test_an_entry_of_a_merge_queue_and_a_push_that_a_newer_one_followed(self, github: StandIn, folder: Path) -> None:
        queued = lost_run(github, event="merge_group", head_branch="gh-readonly-queue/main/pr-7")
        pushed = lost_run(github, event="push")
        later = lost_run(github, event="push", sha=OLD, created_at=at(NOW - timedelta(hours=2)))
        look(github, folder)
        assert [run.reruns for run in (queued, pushed, later)] == [[], [], ["failed"]]

    def test_nothing_is_started_where_it_is_only_asked_what_would_be(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull)
        [lost] = look(open_pull, folder, limits=Limits(is_dry=True)).lost
        assert (lost.outcome, run.reruns) == ("would run again", [])
        assert look(open_pull, folder, limits=Limits(is_dry=True)).lines[-1].endswith("1 had lost a runner, 1 would run again")
        assert all(exchange.method == "GET" for exchange in open_pull.requests)


class TestTwoSchedulers:
    def test_start_a_run_once(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull)
        together, done = threading.Barrier(2), []

        def schedule() -> None:
            together.wait()
            done.append(look(open_pull, folder))

        threads = [threading.Thread(target=schedule) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.reruns == ["failed"]
        assert sum(len(one.started) for one in done) == 1

    def test_the_one_that_comes_between_is_seen(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull)
        answered = open_pull.answers.annotation

        def meanwhile(title: str, message: str) -> dict[str, Any]:
            run.attempt, run.status, run.conclusion = 2, "in_progress", None
            return answered(title, message)

        open_pull.answers.annotation = meanwhile  # type: ignore[method-assign]
        [lost] = look(open_pull, folder).lost
        assert (lost.outcome, lost.reason, run.reruns) == ("left", "attempt 2 was started meanwhile", [])

    def test_an_answer_that_got_lost_starts_nothing_twice(self, open_pull: StandIn, folder: Path) -> None:
        run = lost_run(open_pull)
        open_pull.fail("POST", r"rerun-failed-jobs$", status=502, is_late=True)
        context = RunContext(event="schedule", repository="octo/models", api_url=open_pull.url, token=open_pull.token)
        done = requeue.run(folder, context, {}, Limits(), now=NOW)
        assert run.reruns == ["failed"]
        assert len(done.started) == 1


class TestWhatIsSaid:
    @pytest.mark.parametrize(("permission", "level"), [("actions", "write"), ("checks", "read"), ("pull-requests", "read")])
    def test_a_token_that_may_not_is_told_the_permission_it_lacks(
        self, open_pull: StandIn, folder: Path, permission: str, level: str
    ) -> None:
        lost_run(open_pull)
        granted = {"actions": "write", "checks": "read", "pull-requests": "read", permission: "read" if level == "write" else "none"}
        token = open_pull.add_token("ghs_narrow", permissions=granted).value
        with pytest.raises(RefusedError, match=f"It needs '{permission}: {level}'"):
            look(open_pull, folder, token=token)

    def test_a_refusal_of_github_is_told_and_the_next_run_is_looked_at(self, github: StandIn, folder: Path) -> None:
        old = lost_run(
            github, event="workflow_dispatch", cannot_rerun="Unable to retry this workflow run because it was created over a month ago"
        )
        young = lost_run(github, event="workflow_dispatch")
        done = look(github, folder)
        assert {lost.outcome for lost in done.lost} == {"again", "not started"}
        assert (old.reruns, young.reruns) == ([], ["failed"])
        assert any("✗" in line and "over a month ago" in line for line in done.lines)

    def test_the_summary_of_the_job_lists_every_run_and_nothing_in_a_name_is_markup(
        self, open_pull: StandIn, folder: Path, tmp_path: Path
    ) -> None:
        run = lost_run(open_pull, job="train (<img src=x> @ada | `x`)")
        context = RunContext(event="schedule", repository="octo/models", api_url=open_pull.url, token=open_pull.token)
        requeue.run(folder, context, {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}, Limits(), now=NOW)
        text = (tmp_path / "summary").read_text()
        assert str(run.id) in text
        assert "its failed jobs run again, as attempt 2" in text
        row = next(line for line in text.splitlines() if str(run.id) in line)
        assert row.replace("&#124;", "").count("|") == 5

    def test_what_was_started_before_github_failed_is_in_the_summary(self, github: StandIn, folder: Path, tmp_path: Path) -> None:
        run, other = (lost_run(github, event="workflow_dispatch", updated_at=at(NOW - timedelta(hours=hours))) for hours in (2, 1))
        github.fail("GET", rf"/actions/runs/{other.id}/", status=503)
        context = RunContext(event="schedule", repository="octo/models", api_url=github.url, token=github.token, github_patience_s=0)
        with pytest.raises(InfrastructureError, match="503"):
            requeue.run(folder, context, {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}, Limits(), now=NOW)
        text = (tmp_path / "summary").read_text()
        assert "1 failed run of mlgate looked at: 1 had lost a runner, 1 started again" in text
        assert (str(run.id) in text, str(other.id) in text, other.reruns) == (True, False, [])

    def test_a_repository_that_does_not_use_mlgate_is_an_error_with_the_way_out(self, github: StandIn, tmp_path: Path) -> None:
        make_repository(tmp_path / "other", {".github/workflows/mlgate-requeue.yml": SCHEDULER})
        with pytest.raises(InputError, match="name the workflow by --workflow"):
            look(github, tmp_path / "other")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--since", "yesterday"], "--since: expected a duration"),
            (["--since", "30d"], "--since: expected a duration of at most a week"),
            (["--max-attempts", "1"], "--max-attempts: expected a whole number from 2 to 50"),
            (["--max-a-day", "many"], "--max-a-day: expected a whole number"),
            (["--workflow", "../../x"], "--workflow: expected the name of a workflow's file"),
        ],
    )
    def test_a_wrong_option_is_told(
        self, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        assert cli.main(["requeue", *options]) == 2
        assert said in capsys.readouterr().err

    def test_on_a_laptop_the_way_to_try_it_is_told(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        assert cli.main(["requeue", "--dry-run"]) == 2
        assert "no run on GitHub; start mlgate-requeue.yml from the Actions page" in capsys.readouterr().err

    def test_a_wish_not_to_start_anything_is_not_mistaken(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        monkeypatch.setenv("MLGATE_DRY_RUN", "yes")
        assert cli.main(["requeue"]) == 2
        assert "dry-run: expected true or false, got 'yes'" in capsys.readouterr().err


def test_the_command_prints_a_line_a_run_and_leaves_the_numbers_as_output(
    open_pull: StandIn, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    run = lost_run(open_pull, created_at=at(now - timedelta(hours=2)), updated_at=at(now - timedelta(minutes=5)))
    environment = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "octo/models",
        "GITHUB_EVENT_NAME": "schedule",
        "GITHUB_API_URL": open_pull.url,
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "MLGATE_GITHUB_TOKEN": open_pull.token,
        "MLGATE_SINCE": "90m",
        "GITHUB_WORKSPACE": str(folder),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(folder)
    assert cli.main(["requeue"]) == 0
    assert f"✓ run {run.id}" in capsys.readouterr().out
    assert (tmp_path / "output").read_text() == f"runs={run.id}\n"
    assert run.reruns == ["failed"]
