"""Runs that lost their runner, as the scheduled template mlgate-requeue.yml of a caller's repository finds them on GitHub: which it starts
again, which it leaves, what it says; and a training whose machine went dark, which goes on where it was once the template has started it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from e2e import act, caller
from github_stand_in import StandIn
from github_stand_in.state import Run
from support import git

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ".github/workflows/mlgate-requeue.yml"
JUDGED = ".github/workflows/pull-request-self-hosted-gpu.yml"
STEP = "Run mlgate/mlgate/actions/run@v0.1.0"
CONFIG = """\
model: toy
train:
  command: python learn.py
  timeout: 5m
  params: [params.yaml]
  checkpoints: {path: out/checkpoints, every: 1s}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
gate: {rules: [{metric: accuracy, min: 0.75}]}
"""
EPOCHS = 12
LEARN = f"""\
import csv, os, time
from pathlib import Path
from mlgate_checkpoint import Checkpoint

checkpoint = Checkpoint(weights={{}})
for epoch in checkpoint.epochs({EPOCHS}):
    time.sleep(0.5)
    with open(os.environ["E2E_EPOCHS"], "a") as stream:
        print(epoch, file=stream)
Path("eval").mkdir(exist_ok=True)
with open("data/holdout.csv", newline="") as holdout, open("eval/predictions.csv", "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["id", "y", "y_pred"])
    writer.writerows([row["id"], row["y"], row["y"] if int(row["id"]) >= 40 else 1 - int(row["y"])] for row in csv.DictReader(holdout))
"""
GONE = ("", "The self-hosted runner: spot-7 lost communication with the server. Verify the machine is running and has a healthy network.")
ENDED = [("Set up job", "success"), (STEP, "failure"), ("Complete job", "success")]
CUT = [("Set up job", "success"), (STEP, None)]
BY_ITSELF = ("", "Process completed with exit code 1.")
CANCELLED = [("", "The run was canceled by @ada."), ("", "The operation was canceled.")]


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class World:
    """The machine, the caller's repository and GitHub, over all runs."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    folder: Path
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """GITHUB_TOKEN of the template's job: it may what the template asks for, and no more."""
        return self.github.add_token("ghs_template", permissions=permissions()).value

    def schedule(self, name: str, *, event: str = "schedule", token: str | None = None, **inputs: str | bool) -> act.Run:
        """What the template does when its time has come, or when somebody starts it from its form."""
        sha = git(self.caller.clone, "rev-parse", "main")
        # GitHub's event of a schedule holds no repository.
        content = {"schedule": "7/15 * * * *"} if event == "schedule" else caller.dispatch_event(**inputs)
        return act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=WORKFLOW,
            event_name=event,
            event=content,
            env=caller.environment(self.caller.origin, self.github, sha=sha, ref="refs/heads/main", run_id=900),
            secrets={"GITHUB_TOKEN": token or self.token},
            name=name,
        )

    def train(self, name: str, pull: caller.PullRequest, attempt: int) -> act.Run:
        """An attempt of the run that judges a pull request."""
        more = {"GITHUB_RUN_ATTEMPT": str(attempt), "E2E_EPOCHS": str(self.epochs(name)), "MLGATE_SPOT": "off"}
        return act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=JUDGED,
            event_name="pull_request",
            event=caller.pull_request_event(pull),
            env=caller.environment(
                self.caller.origin, self.github, sha=pull.merge, ref=f"refs/pull/{pull.number}/merge", run_id=800, **more
            ),
            secrets={
                "GITHUB_TOKEN": self.github.token,
                # A file for each attempt: MLflow does not go on making a database that it was killed over.
                "MLGATE_ENV": f"MLFLOW_TRACKING_URI=sqlite:///{self.folder}/mlflow-{name}.db",
            },
            name=name,
        )

    def epochs(self, name: str) -> Path:
        """Where a training writes down which epochs it went through."""
        return self.folder / f"{name}.epochs"

    def trained(self, name: str) -> list[int]:
        return [int(line) for line in self.epochs(name).read_text().split()] if self.epochs(name).exists() else []

    def run_of_pull_request(self, name: str, number: int, *, head_repository: str | None = None, cancelled: bool = False) -> Run:
        """A run of the newest commit of an open pull request, which ended a quarter of an hour ago."""
        sha, branch = f"{number:040x}", f"topic-{number}"
        self.github.add_pull_request(number, head_sha=sha, head_ref=branch, head_repository=head_repository)
        run = self.github.add_run(sha, event="pull_request", head_repository=head_repository)
        run.path, run.head_branch, run.conclusion = JUDGED, branch, "cancelled" if cancelled else "failure"
        run.created_at, run.updated_at = (at(datetime.now(UTC) - timedelta(minutes=minutes)) for minutes in (120, 15))
        self.github.add_job(run, "data")
        self.runs[name] = run
        return run

    def lose(self, run: Run) -> None:
        """As GitHub records an attempt whose machine went dark: the step that ran never ended."""
        run.status, run.conclusion, run.updated_at = "completed", "failure", at(datetime.now(UTC))
        self.github.add_job(run, "train", "failure", steps=CUT, annotations=[GONE])
        self.github.add_job(run, "verdict", "failure", steps=ENDED, annotations=[BY_ITSELF])


def permissions() -> dict[str, str]:
    """What the template gives its job."""
    template = yaml.safe_load((ROOT / "templates/workflows/mlgate-requeue.yml").read_text())
    return dict(template["jobs"]["requeue"]["permissions"])


def summary(run: act.Run) -> str:
    """What a run wrote into its job summary."""
    entries = [json.loads(line) for line in run.output.splitlines() if line.startswith("{")]
    return next((entry["content"] for entry in reversed(entries) if entry.get("command") == "summary"), "")


def pull_the_plug(folder: Path) -> None:
    """Nothing of the machine that had a run in this folder goes on: act, its steps, mlgate, the training."""
    while found := list(processes_of(folder)):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> Iterator[int]:
    """Those whose environment names the folder; one that has ended has none."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int(entry.name) != os.getpid() and os.fsencode(folder) in (entry / "environ").read_bytes():
                yield int(entry.name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("requeue")
    with StandIn(caller.REPOSITORY) as github:
        made = caller.Caller.make(folder, {"pip install -r requirements.txt": "python note.py setup"})
        git(made.clone, "rm", "--quiet", "dvc.yaml")  # no pipeline: checkpoints stand for what DVC would not run again
        glue = (ROOT / "templates/training/mlgate_checkpoint.py").read_text()
        files = {"learn.py": LEARN, "mlgate.yaml": CONFIG, "mlgate_checkpoint.py": glue, ".gitignore": "out/\neval/\n"}
        made.push("main", files, "a training loop")
        github.state.workflows = [path.name for path in (made.clone / ".github/workflows").iterdir()]
        world = World(act.Machine.prepare(folder), made, github, folder)
        world.lose(world.run_of_pull_request("lost", 1))
        failed = world.run_of_pull_request("failed", 2)
        github.add_job(failed, "train", "failure", steps=ENDED, annotations=[BY_ITSELF])
        cancelled = world.run_of_pull_request("cancelled", 3, cancelled=True)
        github.add_job(cancelled, "train", "cancelled", steps=[(STEP, "cancelled")], annotations=CANCELLED)
        # Whoever may write into the log can have such an annotation; that a step ended is GitHub's own word.
        forked = world.run_of_pull_request("forked", 4, head_repository="mallory/models")
        github.add_job(forked, "train", "failure", steps=ENDED, annotations=[GONE])
        yield world
        assert github.violations == []


@pytest.fixture(scope="module")
def asked(world: World) -> act.Run:
    """Started from its form, as the template's comment advises."""
    return world.schedule("asked", event="workflow_dispatch", **{"dry-run": "true"})


@pytest.fixture(scope="module")
def refused(world: World, asked: act.Run) -> act.Run:
    """Of a caller who left out the permission."""
    narrow = world.github.add_token("ghs_narrow", permissions={**permissions(), "actions": "read"})
    return world.schedule("refused", token=narrow.value)


@pytest.fixture(scope="module")
def first(world: World, refused: act.Run) -> act.Run:
    return world.schedule("first")


@pytest.fixture(scope="module")
def meanwhile(world: World, first: act.Run) -> act.Run:
    """A quarter of an hour later the second attempt still waits for a machine."""
    assert world.runs["lost"].status == "queued"
    return world.schedule("meanwhile")


@pytest.fixture(scope="module")
def limited(world: World, meanwhile: act.Run) -> act.Run:
    """The second attempt loses its machine too, and the caller took the sign away from the template's settings."""
    world.lose(world.runs["lost"])
    template = world.caller.clone / WORKFLOW
    settings = {"# since: 6h": "since: 6h", '# max-attempts: "3"': 'max-attempts: "2"', '# max-a-day: "20"': 'max-a-day: "20"'}
    text = template.read_text()
    for old, new in settings.items():
        assert old in text
        text = text.replace(old, new)
    world.caller.push("main", {WORKFLOW: text}, "fewer attempts")
    return world.schedule("limited")


@pytest.fixture(scope="module")
def pull(world: World, limited: act.Run) -> caller.PullRequest:
    """A pull request with a training that saves checkpoints."""
    world.caller.push("topic-5", {"params.yaml": "rate: 0.1\n"}, "another rate")
    pull = world.caller.pull_request(5, "topic-5")
    world.github.add_pull_request(5, head_sha=pull.head, base_sha=pull.base, head_ref="topic-5")
    return pull


@pytest.fixture(scope="module")
def went_dark(world: World, pull: caller.PullRequest) -> Run:
    """The first attempt, whose machine is no more once some epochs are through."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.train, "dark", pull, 1)
        deadline = time.monotonic() + 60
        while len(world.trained("dark")) < 6:
            assert time.monotonic() < deadline
            assert not running.done(), running.result().output
            time.sleep(0.05)
        pull_the_plug(world.machine.folder / "runs/dark")
        assert running.result(timeout=10).jobs["train"].result == "not started", "act was asked nothing any more"
    run = world.github.add_run(pull.head, run_id=800, event="pull_request")
    run.path, run.head_branch, run.created_at = JUDGED, "topic-5", at(datetime.now(UTC) - timedelta(minutes=5))
    world.github.add_job(run, "data")
    world.lose(run)
    return run


@pytest.fixture(scope="module")
def found(world: World, went_dark: Run) -> act.Run:
    return world.schedule("found")


@pytest.fixture(scope="module")
def again(world: World, pull: caller.PullRequest, went_dark: Run, found: act.Run) -> act.Run:
    """What GitHub does once it was asked to."""
    assert went_dark.attempt == 2
    return world.train("again", pull, 2)


class TestForm:
    def test_says_what_would_run_again_and_leaves_it(self, asked: act.Run) -> None:
        assert asked.results() == {"requeue": "success"}
        said = "its runner lost communication with the server; its failed jobs would run again"
        assert said in asked.jobs["requeue"].log
        assert "4 failed runs of mlgate looked at: 1 had lost a runner, 1 would run again" in asked.jobs["requeue"].log
        assert "would run again" in summary(asked)

    def test_started_nothing(self, world: World, refused: act.Run) -> None:
        assert [run.reruns for run in world.runs.values()] == [[], [], [], []]


class TestTokenWithoutThePermission:
    def test_is_told_in_one_line_which_it_is(self, refused: act.Run) -> None:
        job = refused.jobs["requeue"]
        assert job.result == "failure"
        [line] = [line for line in job.lines if line.startswith("✗ ")]
        assert "the token may not run failed jobs again. It needs 'actions: write': add it to 'permissions:' of the job" in line
        assert "exit status 3" in job.log or "exitcode '3'" in job.log
        assert "Traceback" not in refused.output
        assert "ghs_narrow" not in job.log


class TestScheduledLook:
    def test_starts_the_failed_jobs_of_a_run_that_lost_its_runner_once(self, world: World, first: act.Run) -> None:
        assert first.results() == {"requeue": "success"}
        assert (world.runs["lost"].reruns, world.runs["lost"].attempt) == (["failed"], 2)

    @pytest.mark.parametrize("which", ["failed", "cancelled", "forked"])
    def test_leaves_what_failed_by_itself_what_somebody_cancelled_and_what_a_fork_says_of_itself(
        self, world: World, limited: act.Run, which: str
    ) -> None:
        assert (world.runs[which].reruns, world.runs[which].attempt) == ([], 1)

    def test_says_so_in_the_log_and_in_the_summary(self, world: World, first: act.Run) -> None:
        lost, job = world.runs["lost"], first.jobs["requeue"]
        [line] = [line for line in job.lines if line.startswith("✓ ")]
        assert line.startswith(f"✓ run {lost.id} (")
        assert line.endswith("job 'train': its runner lost communication with the server; its failed jobs run again, as attempt 2")
        assert "4 failed runs of mlgate looked at: 1 had lost a runner, 1 started again" in job.lines
        assert f"runs={lost.id}" in job.log
        [row] = [row for row in summary(first).splitlines() if f"/actions/runs/{lost.id}>" in row]
        assert "its failed jobs run again, as attempt 2" in row

    def test_the_next_look_does_not_start_it_again_while_it_waits(self, world: World, meanwhile: act.Run) -> None:
        assert meanwhile.results() == {"requeue": "success"}
        assert "3 failed runs of mlgate looked at: 0 had lost a runner, 0 started again" in meanwhile.jobs["requeue"].lines

    def test_nor_does_a_later_one_beyond_the_attempts_that_the_template_sets(self, world: World, limited: act.Run) -> None:
        assert limited.results() == {"requeue": "success"}
        assert (world.runs["lost"].reruns, world.runs["lost"].attempt) == (["failed"], 2)
        said = "left as it is: it had 2 attempts, of at most 2; run it by hand when its machines stay"
        assert said in limited.jobs["requeue"].log
        assert said in summary(limited)


class TestTrainingWhoseMachineWentDark:
    def test_is_started_again_by_the_template(self, went_dark: Run, found: act.Run) -> None:
        assert found.results() == {"requeue": "success"}
        assert went_dark.reruns == ["failed"]
        assert f"✓ run {went_dark.id}" in found.jobs["requeue"].log

    def test_goes_on_from_its_newest_checkpoint(self, world: World, again: act.Run) -> None:
        assert again.results() == {"data": "success", "train": "success", "verdict": "success"}
        first, second = world.trained("dark"), world.trained("again")
        assert 0 < len(first) < EPOCHS
        assert 0 < second[0] <= len(first), "a checkpoint a second: at most a few epochs are trained twice"
        assert second == list(range(second[0], EPOCHS))

    def test_and_the_report_says_what_work_that_saved(self, world: World, again: act.Run) -> None:
        findings = act.evidence(world.machine, "again", "train", "mlgate-toy-train-2")["findings"]
        assert findings["checkpoints"]["resumed_from"]["trained_s"] > 0.5
        [comment] = world.github.comments(5, "github-actions[bot]")
        said = str(comment.body).replace("\u00a0", " ")
        assert re.search(r"Went on from epoch \d+ \([^)]+\): [\d.]+ s of training saved", said)
        assert world.github.statuses(world.github.state.pull_requests[5].head_sha)[-1].state == "success"
