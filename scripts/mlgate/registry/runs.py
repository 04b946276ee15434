"""Runs in MLflow, started and written without waiting: requests go to a recorder process, answers are taken when they are needed."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgate import own_secrets
from mlgate.console import plain
from mlgate.errors import InfrastructureError
from mlgate.evidence import MlflowRun
from mlgate.git import without_credentials
from mlgate.registry.tracking import Tracking

WAIT_S = 300
CLOSE_S = 30


class Pending:
    """Something asked of the recorder that may still be going on."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._turn = recorder.asked

    def wait(self, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """Wait until it is written. Raises InfrastructureError when it could not be."""
        return self._recorder.answer(self._turn, timeout_s)

    def wait_briefly(self, timeout_s: float) -> dict[str, Any]:
        """As `wait`, but what is not written by then still will be. Raises InfrastructureError then, too."""
        return self._recorder.answer_within(self._turn, timeout_s)


@dataclass(frozen=True)
class StartedRun:
    """A run that MLflow shows, or soon will, as running."""

    tracking: Tracking
    experiment: str
    _recorder: Recorder
    _started: Pending

    def describe(self, timeout_s: float = WAIT_S) -> MlflowRun:
        """What evidence says of it. Raises InfrastructureError when MLflow did not take it."""
        return self._described(self._started.wait(timeout_s))

    def _described(self, answer: Mapping[str, Any]) -> MlflowRun:
        run_id, experiment_id = str(answer["run_id"]), str(answer["experiment_id"])
        return MlflowRun(
            tracking_uri=self.tracking.shown, experiment=self.experiment, run_id=run_id, url=self.tracking.run_url(experiment_id, run_id)
        )

    def finish(
        self,
        status: Literal["FINISHED", "FAILED", "KILLED"],
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[tuple[Path, str]] = (),
        timeout_s: float = WAIT_S,
    ) -> MlflowRun:
        """Write what came of it and end the run.

        Args:
            status: as MLflow calls it.
            metrics: numbers by name.
            tags: texts by name.
            files: each with the folder of the run it goes to.

        Raises:
            InfrastructureError: MLflow did not take it.
        """
        run = self.describe(timeout_s)
        self._recorder.ask(
            do="finish",
            run_id=run.run_id,
            tracking_uri=self.tracking.uri,
            status=status,
            metrics=dict(metrics),
            tags=dict(tags),
            files=_paths(files),
        ).wait(timeout_s)
        _idle[run.run_id] = self._recorder
        return run

    def leave(
        self, *, metrics: Mapping[str, float], tags: Mapping[str, str], files: Sequence[tuple[Path, str]], within_s: float
    ) -> MlflowRun:
        """End the run as killed while whoever ended the training waits: what takes longer than `within_s` the recorder does after us.

        Raises:
            InfrastructureError: MLflow did not take the run, or has not answered yet.
        """
        deadline = time.monotonic() + within_s
        run = self._described(self._started.wait_briefly(within_s))
        ended = self._recorder.ask(
            do="finish",
            run_id=run.run_id,
            tracking_uri=self.tracking.uri,
            status="KILLED",
            metrics=dict(metrics),
            tags=dict(tags),
            files=_paths(files),
        )
        with suppress(InfrastructureError):
            ended.wait_briefly(deadline - time.monotonic())
        return run

    def let_go(self) -> None:
        """Have the recorder finish by itself: nobody waits for it, also not when this process ends."""
        self._recorder.let_go()


_idle: dict[str, Recorder] = {}
"""Recorders by the run they wrote last or will write to: the evaluation that follows need not wait for MLflow's import."""


def start(
    recorder: Recorder, tracking: Tracking, *, experiment: str, name: str, params: Mapping[str, str], tags: Mapping[str, str]
) -> StartedRun:
    """Start a run; returns at once, long before MLflow has it."""
    started = recorder.ask(
        do="start",
        tracking_uri=tracking.uri,
        artifacts=str(tracking.artifacts) if tracking.artifacts else None,
        experiment=experiment,
        name=name,
        params=dict(params),
        tags=dict(tags),
    )
    return StartedRun(tracking, experiment, recorder, started)


def expect(run_id: str) -> None:
    """Have a recorder ready for a run that is about to be written to: it imports MLflow meanwhile."""
    if run_id not in _idle:
        _idle[run_id] = Recorder(Path.cwd())


def log_evaluation(
    tracking_uri: str, run_id: str, metrics: Mapping[str, float], files: Sequence[Path], folder: str = "evaluation"
) -> Pending:
    """Add metrics and files to a run that training has left; returns at once.

    Args:
        tracking_uri: `tracking.resolve(…).uri`, not the one evidence shows: that has no password and a shortened path.
        run_id: of the training's evidence.
        metrics: numbers by name; what is not finite is left out.
        files: to keep with the run.
        folder: of the run that they go to.
    """
    recorder = _idle.pop(run_id, None) or Recorder(Path.cwd())
    pending = recorder.ask(
        do="log", run_id=run_id, tracking_uri=tracking_uri, metrics=dict(metrics), tags={}, files=_paths([(path, folder) for path in files])
    )
    recorder.end_input()
    return pending


class Recorder:
    """The process that writes to MLflow. It imports MLflow while we do something else."""

    def __init__(self, root: Path) -> None:
        """Start it; `root` is its working directory."""
        self.asked = 0
        self._answers: list[dict[str, Any]] = []
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlgate.registry.recorder"],
            cwd=root,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C is ours to handle; the run still has to be ended in MLflow
        )
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **request: Any) -> Pending:
        """Send a request. That the process is gone is found out when its answer is waited for."""
        self.asked += 1
        stdin = self._process.stdin
        if stdin and not stdin.closed:
            with suppress(BrokenPipeError):
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()
        return Pending(self)

    def answer(self, turn: int, timeout_s: float) -> dict[str, Any]:
        """The answer to a request, counted from 1. Raises InfrastructureError."""
        deadline = time.monotonic() + timeout_s
        while len(self._answers) < turn:
            line = self._line(deadline)
            if line is None:
                reason = self._last_words() or "it did not answer"
                self.close(is_forced=True)
                self._answers += [{"error": reason}] * (turn - len(self._answers))
            else:
                self._answers.append(json.loads(line))
        return _taken(self._answers[turn - 1])

    def answer_within(self, turn: int, timeout_s: float) -> dict[str, Any]:
        """As `answer`, but the process goes on where it has none yet. Raises InfrastructureError then, too."""
        deadline = time.monotonic() + timeout_s
        while len(self._answers) < turn:
            line = self._line(deadline)
            if line is None:
                raise InfrastructureError(f"MLflow has not taken the run within {timeout_s:.0f} s")
            self._answers.append(json.loads(line))
        return _taken(self._answers[turn - 1])

    def end_input(self) -> None:
        """Say that nothing more will be asked; what was asked is still done."""
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def let_go(self, within_s: float = 0) -> None:
        """Say that nothing more will be asked, and wait no longer than that for the rest. A run it left open is marked as killed."""
        atexit.unregister(self.close)
        self.end_input()
        if self.asked == 0:
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)

    def close(self, is_forced: bool = False) -> None:
        """End the process, after it has done what it was asked unless it is forced. A run it left open is marked as killed."""
        atexit.unregister(self.close)
        self.end_input()
        if is_forced or self.asked == 0:
            self._process.kill()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._stderr.close()

    def _line(self, deadline: float) -> bytes | None:
        """The next line it says; None when it ends or the time is over."""
        stdout = self._process.stdout
        if stdout is None or stdout.closed:
            return None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk:
                    return None
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _last_words(self) -> str:
        if self._stderr.closed:
            return ""
        self._stderr.seek(0)
        lines = [plain(line) for line in self._stderr.read().decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")


def _taken(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        said = without_credentials(plain(str(answer["error"])))[:400]  # MLflow quotes the whole URI
        raise InfrastructureError(f"MLflow did not take the run: {said}")
    return answer


def _paths(files: Sequence[tuple[Path, str]]) -> list[tuple[str, str]]:
    return [(str(path.absolute()), folder) for path, folder in files if path.is_file()]


def _environment() -> dict[str, str]:
    """For the recorder: quiet, giving up soon on a server that is gone, without the user's import path and without our secrets."""
    environ = {name: value for name, value in own_secrets.without(os.environ).items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "TMPDIR": tempfile.gettempdir(),
        **environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
