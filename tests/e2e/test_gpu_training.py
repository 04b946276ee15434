"""Trainings that do not come to their end, on machines of the caller's own: one that fails, one that is cancelled, one whose machine is
taken away and that goes on in the next attempt, one that asks for a GPU where there is none. What is known of each is in the pull request.

The template is pull-request-self-hosted-gpu.yml, with a live status switched on as its comments tell. What act lacks of a cancelled run is
done here as GitHub's runner does it: the step's own process, and no other, gets SIGINT, SIGTERM and SIGKILL.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from mlgate.forge.lost_runners import Annotation, Ended, Job, Step, ended

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = "pull-request-self-hosted-gpu.yml"
FORM = "train-self-hosted-gpu.yml"
LIVE = ("pull-requests: write # a live status", "github-token: ${{ github.token }} # the live status")
EPOCHS = 12
CONFIG = """\
model: toy
train:
  command: python learn.py
  timeout: 5m
  grace: 5s
  params: [params.yaml]
  checkpoints: {path: out/checkpoints, every: 1s}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
gate: {rules: [{metric: accuracy, min: 0.75}]}
report: {live: 30s}
"""
GPU = "  gpu: {count: 1, memory: 8GB}\n"
LEARN = f"""\
import csv, os, re, sys, time
from pathlib import Path
import note
from mlgate_checkpoint import Checkpoint

note.leave("train")
settings = dict(re.findall(r"(\\w+): *(\\S+)", Path("params.yaml").read_text()))
weights = {{"sum": 0}}
checkpoint = Checkpoint(weights=weights)
for epoch in checkpoint.epochs({EPOCHS}):
    if settings.get("ends") == "badly" and epoch == 3:
        sys.exit("the loss is not a number")
    for batch in checkpoint.batches(range(10)):
        time.sleep(float(settings["seconds"]) / 10)
        weights["sum"] += batch
    checkpoint.report(loss=1 / (epoch + 1))
    with open(os.environ["E2E_EPOCHS"], "a") as stream:
        print(epoch, file=stream)
assert weights["sum"] == 45 * {EPOCHS}
Path("eval").mkdir(exist_ok=True)
with open("data/holdout.csv", newline="") as holdout, open("eval/predictions.csv", "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["id", "y", "y_pred"])
    writer.writerows([row["id"], row["y"], row["y"] if int(row["id"]) >= 40 else 1 - int(row["y"])] for row in csv.DictReader(holdout))
"""


@dataclass
class World:
    """The machine, the caller's repository and GitHub, over all runs."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    folder: Path
    pulls: dict[int, caller.PullRequest] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    """By run, what the comment said while it went on."""

    def run(self, name: str, number: int, *, attempt: int = 1, form: dict[str, str] | None = None, **more: str) -> act.Run:
        """A run of a pull request, or one that was started from the form."""
        pull = self.pulls[number]
        (self.folder / "mlflow").mkdir(exist_ok=True)
        return act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=f".github/workflows/{FORM if form else WORKFLOW}",
            event_name="workflow_dispatch" if form else "pull_request",
            event=caller.dispatch_event(**form) if form else caller.pull_request_event(pull),
            env=caller.environment(
                self.caller.origin,
                self.github,
                sha=pull.merge,
                ref="refs/heads/main" if form else f"refs/pull/{number}/merge",
                run_id=100 + number,
                **{"GITHUB_RUN_ATTEMPT": str(attempt), "E2E_EPOCHS": str(self.epochs(name)), "MLGATE_SPOT": "off", **more},
            ),
            secrets={
                "GITHUB_TOKEN": self.github.token,
                "MLGATE_ENV": f"MLFLOW_TRACKING_URI=sqlite:///{self.folder}/mlflow/{name}.db",
            },
            name=name,
        )

    def open(self, number: int, params: str, config: str = CONFIG) -> None:
        """Open a pull request with such a training."""
        self.caller.push(f"pull-{number}", {"params.yaml": f"errors: {number}\n{params}", "mlgate.yaml": config}, "a training")
        self.pulls[number] = pull = self.caller.pull_request(number, f"pull-{number}")
        self.github.add_pull_request(number, head_sha=pull.head, base_sha=pull.base)

    def comment(self, number: int) -> str:
        [comment] = self.github.comments(number, "github-actions[bot]")
        return str(comment.body).replace("\u00a0", " ")

    def status(self, number: int) -> tuple[str, str | None]:
        found = self.github.statuses(self.pulls[number].head)[-1]
        return found.state, found.description

    def evidence(self, name: str, stage: str, artifact: str) -> dict[str, Any]:
        return act.evidence(self.machine, name, stage, artifact)

    def epochs(self, name: str) -> Path:
        """Where the training of a run writes down which epochs it went through."""
        return self.folder / f"{name}.epochs"

    def trained(self, name: str) -> list[int]:
        return [int(line) for line in self.epochs(name).read_text().split()] if self.epochs(name).exists() else []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gpu")
    switched_on = {f"# {line}": line for line in LIVE}
    with StandIn(caller.REPOSITORY) as github:
        made = caller.Caller.make(folder, {"pip install -r requirements.txt": "python note.py setup", **switched_on})
        workflow = (made.clone / ".github/workflows" / WORKFLOW).read_text()
        assert all(line in workflow and f"# {line}" not in workflow for line in LIVE)
        shutil.copy(ROOT / "templates/training/mlgate_checkpoint.py", made.clone)
        caller.git(made.clone, "rm", "--quiet", "dvc.yaml")  # no pipeline: checkpoints stand for what DVC would not run again
        loop = {"learn.py": LEARN, "mlgate.yaml": CONFIG, ".gitignore": "out/\neval/\n"}
        caller.commit_files(made.clone, loop, "a training loop")
        caller.git(made.clone, "push", "--quiet", "origin", "main")
        yield World(act.Machine.prepare(folder), made, github, folder)
        assert github.violations == []


@contextmanager
def meanwhile(done: Callable[[], None]) -> Iterator[None]:
    """Do something while a run goes on; what goes wrong there fails the test."""
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(done)
        yield
        doing.result(timeout=5)


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def training_step(folder: Path) -> int:
    """The process that act started for the step that trains: what GitHub's runner would signal."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
            environ = (entry / "environ").read_bytes()
            is_step = (Path("/proc") / str(parent) / "comm").read_text().strip() == "act"
            if is_step and str(folder).encode() in environ and b"MLGATE_STAGES=train evaluate\0" in environ:
                return int(entry.name)
    raise AssertionError("no step of act's trains")


def cancel(pid: int) -> None:
    """As the runner cancels a step: SIGINT to its process, 7.5 s later SIGTERM, 2.5 s later SIGKILL."""
    os.kill(pid, signal.SIGINT)
    for number, after_s in ((signal.SIGTERM, 7.5), (signal.SIGKILL, 2.5)):
        deadline = time.monotonic() + after_s
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not Path(f"/proc/{pid}").exists():
            return
        os.kill(pid, number)


def ended_for_requeue(run: act.Run) -> Ended:
    """Why the job that trained ended, as mlgate requeue tells it from the annotations that mlgate left."""
    notes = [found for line in run.jobs["train"].lines for found in re.findall(r"::error title=([^:,]*)::(.*)", line)]
    job = Job(id=1, name="train", status="completed", conclusion="failure", steps=[Step(name="Run", conclusion="failure")])
    return ended(job, [Annotation(title=title, message=message) for title, message in notes])


class Cloud(http.server.BaseHTTPRequestHandler):
    """AWS's metadata service, as far as a machine asks it whether it will be taken away."""

    is_taken = threading.Event()

    def do_PUT(self) -> None:
        self._answer(200, b"token")

    def do_GET(self) -> None:
        if self.is_taken.is_set() and self.path.endswith("/spot/instance-action"):
            self._answer(200, b'{"action": "terminate", "time": "2026-11-21T09:30:00Z"}')
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def cloud() -> Iterator[str]:
    Cloud.is_taken.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def failed(world: World) -> act.Run:
    world.open(1, "seconds: 0.1\nends: badly\n")
    return world.run("failed", 1)


@pytest.fixture(scope="module")
def cancelled(world: World) -> act.Run:
    world.open(2, "seconds: 0.5\n")

    def cancel_it() -> None:
        until(lambda: len(world.trained("cancelled")) >= 4)
        cancel(training_step(world.folder))

    with meanwhile(cancel_it):
        return world.run("cancelled", 2)


@pytest.fixture(scope="module")
def preempted(world: World) -> act.Run:
    """A machine that is taken away once the pull request shows the training."""
    world.open(3, "seconds: 3\n")

    def take_it_away() -> None:
        until(lambda: world.github.comments(3))
        world.seen["preempted"] = [world.comment(3)]
        Cloud.is_taken.set()

    with cloud() as endpoint, meanwhile(take_it_away):
        return world.run("preempted", 3, MLGATE_SPOT="aws", MLGATE_SPOT_ENDPOINT=endpoint)


@pytest.fixture(scope="module")
def told_of_the_preemption(world: World, preempted: act.Run) -> str:
    return world.comment(3)


@pytest.fixture(scope="module")
def again(world: World, preempted: act.Run, told_of_the_preemption: str) -> act.Run:
    """The same run on another machine: `Re-run failed jobs`, or mlgate requeue."""

    def look() -> None:
        until(lambda: "⏳" in world.comment(3))
        world.seen["again"] = [world.comment(3)]

    with meanwhile(look):
        return world.run("again", 3, attempt=2)


@pytest.fixture(scope="module")
def refused(world: World) -> act.Run:
    world.open(4, "seconds: 0.1\n", CONFIG.replace("  grace: 5s\n", f"  grace: 5s\n{GPU}"))
    return world.run("refused", 4)


@pytest.fixture(scope="module")
def asked_for(world: World, failed: act.Run) -> act.Run:
    """The failed training once more, from the form, with parameters under which it does not fail."""
    form = {"pull-request": "1", "params": "ends=well", "runner": '["self-hosted", "gpu"]'}
    return world.run("asked-for", 1, form=form)


NOT_MERGED = {"data": "success", "train": "failure", "verdict": "failure"}


class TestFailedTraining:
    def test_closes_the_gate_and_says_why(self, world: World, failed: act.Run) -> None:
        assert failed.results() == NOT_MERGED
        assert "the loss is not a number" in world.comment(1)
        assert world.status(1)[0] == "failure"

    def test_is_not_taken_for_one_to_go_on_from(self, world: World, failed: act.Run) -> None:
        findings = world.evidence("failed", "train", "mlgate-toy-train-1")["findings"]
        assert findings["ended_by"] is None
        assert findings["run"]["exit_code"] == 1
        assert ended_for_requeue(failed).how == "otherwise"


class TestCancelledTraining:
    def test_the_verdict_is_posted_with_what_is_known(self, world: World, cancelled: act.Run) -> None:
        assert cancelled.results() == NOT_MERGED
        said = world.comment(2)
        assert "SIGINT" in said
        assert re.search(r"checkpoint", said)
        assert world.status(2)[0] in {"failure", "error"}

    def test_its_last_checkpoint_is_kept(self, world: World, cancelled: act.Run) -> None:
        findings = world.evidence("cancelled", "train", "mlgate-toy-train-1")["findings"]
        assert findings["ended_by"] == "SIGINT"
        assert findings["checkpoints"]["last"]["step"] >= 3, "a second before it was told to end, or newer"
        assert "checkpoint saved" in cancelled.jobs["train"].log

    def test_it_ended_in_the_time_that_github_gives(self, world: World, cancelled: act.Run) -> None:
        assert cancelled.jobs["train"].steps["mlgate/mlgate/actions/run@v0.1.0"] == "failure"
        assert "signal: killed" not in cancelled.jobs["train"].log
        assert len(world.trained("cancelled")) < EPOCHS


class TestPreemptedTraining:
    def test_the_comment_showed_it_while_it_went_on(self, world: World, preempted: act.Run) -> None:
        [status] = world.seen["preempted"]
        assert "### ⏳ toy: training, " in status
        assert "a status, no verdict" in status

    def test_the_verdict_is_posted_with_what_is_known(self, world: World, preempted: act.Run, told_of_the_preemption: str) -> None:
        assert preempted.results() == NOT_MERGED
        assert "spot notice" in told_of_the_preemption
        assert "⏳" not in told_of_the_preemption

    def test_mlgate_requeue_takes_it_for_a_lost_machine(self, preempted: act.Run) -> None:
        assert ended_for_requeue(preempted) == Ended("lost", "its training was ended by a spot notice")

    def test_the_next_attempt_goes_on_from_its_checkpoint_and_says_what_that_saved(
        self, world: World, preempted: act.Run, again: act.Run
    ) -> None:
        assert again.results() == {"data": "success", "train": "success", "verdict": "success"}
        first, second = world.trained("preempted"), world.trained("again")
        assert 0 < len(first) < EPOCHS
        assert sorted({*first, *second}) == list(range(EPOCHS))
        assert len(first) + len(second) <= EPOCHS + 1, "at most the epoch that was cut is trained twice"
        found = world.evidence("again", "train", "mlgate-toy-train-2")["findings"]["checkpoints"]["resumed_from"]
        assert found["trained_s"] > 5
        assert re.search(r"saved", world.comment(3))
        assert world.status(3)[0] == "success"

    def test_the_report_of_the_attempt_before_stayed_below_till_there_was_a_new_one(self, world: World, again: act.Run) -> None:
        [status] = world.seen["again"]
        assert "goes on from the checkpoint of" in status
        assert "The report before this training" in status
        assert "⏳" not in world.comment(3)
        assert "The report before this training" not in world.comment(3)

    def test_no_training_saw_the_token(self, world: World, again: act.Run) -> None:
        content = b"".join(act.artifacts(world.machine, "again").values())
        assert world.github.token.encode() not in content


class TestNoGpu:
    def test_is_said_in_seconds_and_closes_the_gate(self, world: World, refused: act.Run) -> None:
        assert refused.results() == NOT_MERGED
        evidence = world.evidence("refused", "train", "mlgate-toy-train-1")
        assert evidence["exit_code"] == 3
        assert evidence["duration_s"] < 15
        assert world.trained("refused") == []
        assert "GPU" in world.comment(4)
        assert json.dumps(evidence["summary"])[1:60] in json.dumps(world.comment(4)) or "train.gpu" in world.comment(4)


class TestForm:
    def test_trains_on_the_callers_own_machine_and_reports_in_the_pull_request(self, world: World, asked_for: act.Run) -> None:
        assert asked_for.results() == {"plan": "success", "data": "success", "train": "success", "verdict": "success"}
        assert world.trained("asked-for") == list(range(EPOCHS))
        findings = world.evidence("asked-for", "train", "mlgate-toy-train-1")["findings"]
        assert findings["params"]["ends"] == "well"
        assert findings["checkpoints"]["resumed_from"] is None, "other parameters, another training"
        assert "on trial" in str(world.github.statuses(world.pulls[1].head)[-1].context)
