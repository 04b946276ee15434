"""Trainings that are ended at random moments, by every means there is, and started again until they are done. No test of ours pretends
a signal: real processes get real ones."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

GLUE = Path(__file__).parent.parent / "templates" / "training" / "mlgate_checkpoint.py"
_READY = "ready"
"""What a training of the tests prints where its loop begins."""


def seed() -> int:
    """Another one each time, unless MLGATE_TEST_SEED repeats one."""
    return int(os.environ.get("MLGATE_TEST_SEED") or secrets.randbelow(1 << 32))


@dataclass(frozen=True)
class Ended:
    """How one process of a training ended."""

    how: str
    exit_code: int
    output: str

    @property
    def is_resumed(self) -> bool:
        return "going on after" in self.output


@dataclass
class Training:
    """A command in a folder."""

    argv: Sequence[str]
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    ready: str = _READY
    limit_s: float = 60

    def start(self) -> Started:
        return Started(self)

    def whole(self) -> str:
        """Its result, uninterrupted."""
        started = self.start()
        ended = started.wait("nothing")
        assert ended.exit_code == 0, ended.output
        return result(ended)


class Started:
    """A training that runs, in a session of its own."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in `wait`
        self.process = subprocess.Popen(
            training.argv,
            cwd=training.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **training.environ},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_ready(self) -> bool:
        """Whether it came to its loop; False where it ended before."""
        deadline = time.monotonic() + self.training.limit_s
        while time.monotonic() < deadline:
            if re.search(rf"^{self.training.ready}", self._said(), re.MULTILINE):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        raise AssertionError(f"never ready: {self._said()}")

    def wait_until_saved(self) -> bool:
        """Whether it has a checkpoint, its own or an earlier one's; False where it ended before."""
        deadline = time.monotonic() + self.training.limit_s
        while not any(self.training.folder.rglob("checkpoint-*.zip")):
            assert time.monotonic() < deadline, f"never saved: {self._said()}"
            if not self.sleep(0.005):
                return False
        return True

    def sleep(self, seconds: float) -> bool:
        """Whether it still runs then."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is None

    def send(self, number: int, *, to_all: bool = False) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number) if to_all else self.process.send_signal(number)

    def wait(self, how: str) -> Ended:
        try:
            self.process.wait(self.training.limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"does not end after {how}: {self._said()}") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            said = self._said()
            self._output.close()
        return Ended(how, self.process.returncode, said)

    def _said(self) -> str:
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors="replace")


Way = Callable[[Started, Random], Ended]


def by_sigkill(started: Started, random: Random) -> Ended:
    """As the kernel does it when memory is short."""
    started.send(signal.SIGKILL, to_all=True)
    return started.wait("SIGKILL")


def by_sigterm(started: Started, random: Random) -> Ended:
    """To all of its processes, as mlgate does it."""
    started.send(signal.SIGTERM, to_all=True)
    return started.wait("SIGTERM")


def by_cancellation(started: Started, random: Random) -> Ended:
    """As GitHub does it, only faster (there 7.5 and 2.5 s lie between)."""
    started.send(signal.SIGINT)
    if started.sleep(random.uniform(0, 0.3)):
        started.send(signal.SIGTERM)
        if started.sleep(random.uniform(0, 0.1)):
            started.send(signal.SIGKILL, to_all=True)
    return started.wait("cancellation")


def interrupted(training: Training, ways: Sequence[Way], random: Random, within_s: float) -> list[Ended]:
    """Run a training, ending it by each of `ways` in turn up to `within_s` seconds from the beginning of its loop, then let it be.

    The last time no sooner than a checkpoint lies there, so that there is something to go on with.

    Returns:
        How each process ended; the last one by itself.
    """
    ends: list[Ended] = []
    for number, way in enumerate(ways, start=1):
        started = training.start()
        is_running = started.wait_until_ready() and (number < len(ways) or started.wait_until_saved())
        if is_running and started.sleep(random.uniform(0, within_s)):
            ends.append(way(started, random))
        else:
            ends.append(started.wait("nothing"))
            assert ends[-1].exit_code == 0, told(ends)
    ends.append(training.start().wait("nothing"))
    assert ends[-1].exit_code == 0, told(ends)
    return ends


def result(ended: Ended) -> str:
    """SHA-256 of the weights, as trainings of the tests print it."""
    found = re.findall(r"^weights ([0-9a-f]{64})$", ended.output, re.MULTILINE)
    assert found, ended.output
    return str(found[-1])


def told(ends: Sequence[Ended]) -> str:
    """For a failed test."""
    return "\n".join(f"--- ended by {ended.how}, exit {ended.exit_code}\n{ended.output}" for ended in ends)
