"""Commands of the user, run in the user's environment: live output, time limit, signals, whole process group."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from mlgate.console import plain
from mlgate.environment import user_environment
from mlgate.errors import InfrastructureError, InputError
from mlgate.process.interruption import Interruption, Stop, signals_noted
from mlgate.process.members import Processes, marked, new_mark

MAX_LOG_BYTES = 64 * 1024 * 1024
TAIL_LINES = 40
TAIL_BYTES = 8_000

_POLL_S = 0.1
_GATHER_S, _FEW_BYTES = 0.1, 4096
"""How long the lines of a command that prints often are waited for, to be passed on together: each turn costs as much as a hundred lines.
Not where they are many, which would fill the pipe meanwhile."""
_LAST_WORDS_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a command of the user's ended."""

    exit_code: int
    """128 + n for signal n, as the shell has it; never 0 when it timed out."""
    is_timed_out: bool
    duration_s: float
    tail: str
    """The last 40 lines of output, at most 8 KB."""
    interrupted_by: str | None = None
    """Name of the signal that we got meanwhile and passed on: `SIGTERM`."""
    stopped_by: str | None = None
    """Why `Stop.ask` ended it; the exit code is not 0 then."""

    @property
    def last_line(self) -> str:
        return last_line(self.tail)


class Shown(Protocol):
    """What a command's output looks like where it is echoed."""

    def passed(self, chunk: bytes) -> bytes:
        """What to show of it now."""

    def rest(self) -> bytes:
        """What was held back, at the end."""


@dataclass(frozen=True)
class Attendance:
    """What goes along with a command that takes long: a training."""

    environ: Mapping[str, str] = field(default_factory=dict)
    """Set in the user's environment, over what is there."""
    pass_fds: tuple[int, ...] = ()
    """File descriptors that it inherits."""
    mark: str = field(default_factory=new_mark)
    """By which its processes are found, also by others: `Processes(None, mark)`."""
    on_output: Callable[[bytes], None] | None = None
    """Gets every chunk of output as it comes, in the thread that runs the command; must be quick and raise nothing."""
    shown: Shown | None = None
    stop: Stop = field(default_factory=Stop)
    cancel_grace_s: float | None = None
    """Between the first signal of ours and SIGKILL, where less time is left then than `grace_s`."""
    interruption: Interruption | None = None
    """Of a `signals_noted` that lasts longer than the command. Left out: signals are noted while it runs."""


def last_line(tail: str) -> str:
    """The last line of output that says something."""
    return next((line.strip() for line in reversed(tail.splitlines()) if re.search(r"\w", line)), "")


def run_command(
    command: str,
    *,
    root: Path,
    log: Path,
    timeout_s: float | None = None,
    is_echoed: bool = True,
    grace_s: float = 10,
    attendance: Attendance | None = None,
) -> Outcome:
    """Run a shell command of the user's in `root`, its output to `log` and, live, to our standard output.

    Bash runs it as GitHub's `shell: bash` does (`-e -o pipefail`: a failure in front of a pipe is a failure), else sh. It leads
    its own session. At the time limit, or when we get SIGTERM, SIGINT or SIGHUP, all its processes are asked to end, and killed
    `grace_s` seconds later. None of them outlives the call, however it ends. One that is attended gets every signal of ours as SIGTERM:
    a training has one signal to heed.

    Raises:
        InfrastructureError: the log cannot be written.
    """
    return run_program(
        shell_command(command),
        root=root,
        log=log,
        timeout_s=timeout_s,
        is_echoed=is_echoed,
        grace_s=grace_s,
        environ=user_environment(),
        attendance=attendance,
    )


def opened_log(log: Path) -> IO[bytes]:
    """A log to be written anew. Raises InfrastructureError."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("wb", buffering=0)
    except OSError as error:
        raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None


def shell_command(command: str) -> list[str]:
    """Arguments that have the shell run a command."""
    bash = shutil.which("bash")
    shell = [bash, "--noprofile", "--norc", "-eo", "pipefail", "-c"] if bash else ["/bin/sh", "-ec"]
    return [*shell, command]


def run_program(
    argv: list[str],
    *,
    root: Path,
    log: Path,
    timeout_s: float | None,
    is_echoed: bool,
    grace_s: float,
    environ: dict[str, str],
    attendance: Attendance | None = None,
) -> Outcome:
    """As `run_command`, but by arguments, and in an environment that is given."""
    mark = attendance.mark if attendance else new_mark()
    environ = marked(environ, mark)
    environ.update(attendance.environ if attendance else {})
    sys.stdout.flush()
    stream = opened_log(log)
    held = attendance.interruption if attendance else None
    with stream, nullcontext(held) if held else signals_noted() as interruption:
        started = time.monotonic()
        try:
            child = subprocess.Popen(
                argv,
                cwd=root,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
                pass_fds=attendance.pass_fds if attendance else (),
            )
        except OSError as error:
            raise InputError(f"{argv[0]}: cannot be run in {root}: {error.strerror}") from None
        processes = Processes(child.pid, mark)
        interruption.attach(processes, signal.SIGTERM if attendance else None)
        output = _Output(stream, is_echoed, attendance)
        try:
            deadline = None if timeout_s is None else started + timeout_s
            ending = _Ending(processes, interruption, attendance, deadline, grace_s)
            _watch(child, output, ending)
            processes.end(min(grace_s, 2))
            _drain(child, output)
            tail = output.close()
        except OSError as error:
            raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None
        finally:
            processes.kill()
            interruption.detach()
            code = child.wait()
            if child.stdout:
                child.stdout.close()
            output.end_line()
        duration_s = time.monotonic() - started
    exit_code = 128 - code if code < 0 else code
    return Outcome(
        exit_code=exit_code or (124 if ending.is_timed_out else 128 + signal.SIGTERM if ending.stopped_by else 0),
        is_timed_out=ending.is_timed_out,
        duration_s=duration_s,
        tail=tail,
        interrupted_by=interruption.first,
        stopped_by=ending.stopped_by,
    )


class _Ending:
    """When a command has to end: its time limit, somebody who asks, a signal of ours."""

    def __init__(
        self, processes: Processes, interruption: Interruption, attendance: Attendance | None, deadline: float | None, grace_s: float
    ) -> None:
        self._processes, self._interruption = processes, interruption
        self._stop = attendance.stop if attendance else Stop()
        self._is_patient = attendance is not None
        self._deadline, self._grace_s = deadline, grace_s
        shorter_s = attendance.cancel_grace_s if attendance else None
        self._cancel_grace_s = grace_s if shorter_s is None else min(grace_s, shorter_s)
        self._kill_at: float | None = None
        self._signals_seen = 0
        self.is_timed_out = False
        self.stopped_by: str | None = None

    def look(self, now: float, is_running: bool) -> None:
        """Ask it to end, or kill it, if it is time."""
        if is_running and self._kill_at is None and self._deadline is not None and now >= self._deadline:
            self.is_timed_out = True
            self._ask(now + self._grace_s)
        if is_running and self.stopped_by is None and self._stop.reason is not None:
            self.stopped_by = self._stop.reason
            self._ask(now + min(self._grace_s, self._grace_s if self._stop.grace_s is None else self._stop.grace_s))
        if self._interruption.count > self._signals_seen:
            # GitHub cancels with SIGINT, after 7.5 s SIGTERM, after 2.5 s SIGKILL: the second is the last call
            self._signals_seen = self._interruption.count
            self._kill_by(now + (self._cancel_grace_s if self._signals_seen == 1 else 1.5))
        if self._kill_at is not None and now >= self._kill_at:
            self._processes.kill()
            self._kill_at = now + 5

    def leaves_time(self, now: float) -> bool:
        """Whether what has been asked to end may still take its time: a shell in front of a training, or DVC, dies of the signal that has
        the training save a checkpoint."""
        return self._is_patient and self._kill_at is not None and now < self._kill_at and self._processes.are_there()

    def _ask(self, kill_at: float) -> None:
        if self._kill_at is None:
            self._processes.send(signal.SIGTERM)
        self._kill_by(kill_at)

    def _kill_by(self, kill_at: float) -> None:
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)


class _Output:
    """Where a command's output goes: the log at once, standard output at once, and the last of it to memory."""

    def __init__(self, log: IO[bytes], is_echoed: bool, attendance: Attendance | None) -> None:
        self._log = log
        self._shown = attendance.shown if attendance else None
        self._on_output = attendance.on_output if attendance else None
        self._echo = getattr(sys.stdout, "buffer", None) if is_echoed else None
        self._logged = 0
        self._tail = b""
        self._is_line_open = False

    def take(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-8 * TAIL_BYTES :]
        kept = chunk[: max(0, MAX_LOG_BYTES - self._logged)]
        self._log.write(kept)
        self._logged += len(chunk)
        self._show(self._shown.passed(chunk) if self._shown else chunk)
        if self._on_output:
            self._on_output(chunk)

    def _show(self, chunk: bytes) -> None:
        if self._echo is None or not chunk:  # an empty one is the end of the pipe, and no open line
            return
        try:
            self._echo.write(chunk)
            self._echo.flush()
            self._is_line_open = not chunk.endswith(b"\n")
        except (OSError, ValueError):
            self._echo = None  # nobody reads our output any more; the command goes on

    def end_line(self) -> None:
        """What we print next begins a line: GitHub takes commands only there."""
        if self._shown:
            self._show(self._shown.rest())
        if self._is_line_open:
            self._show(b"\n")

    def close(self) -> str:
        """Close a log that was cut, and return the tail."""
        if self._logged > MAX_LOG_BYTES:
            self._log.write(f"\n[mlgate: {self._logged - MAX_LOG_BYTES:,} bytes left out; the end follows]\n".encode())
            self._log.write(self._tail)
        # a progress bar rewrites its line: what stands after the last carriage return is what a terminal would show
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in self._tail.decode(errors="replace").rstrip("\r\n").split("\n")]
        shown = [line[: len(line) - len(line.lstrip())].replace("\t", "    ") + plain(line) for line in lines[-TAIL_LINES:]]
        return "\n".join(shown).encode()[-TAIL_BYTES:].decode(errors="ignore")


def _watch(child: subprocess.Popen[bytes], output: _Output, ending: _Ending) -> None:
    """Pass output on until the command has ended; end it when it is time."""
    assert child.stdout is not None  # noqa: S101 -- for the type checker: we asked for a pipe
    ended_at: float | None = None
    gathered_at, is_flooding = 0.0, False
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while ended_at is None or time.monotonic() < ended_at + _LAST_WORDS_S:
            if selector.select(_POLL_S):
                if ended_at is None and time.monotonic() < gathered_at + _POLL_S and not is_flooding:
                    time.sleep(_GATHER_S)
                chunk = child.stdout.read(1 << 16)
                gathered_at, is_flooding = time.monotonic(), len(chunk) > _FEW_BYTES
                if not chunk:
                    selector.unregister(child.stdout)  # select() goes on as a sleep
                    if ended_at is not None:
                        break
                output.take(chunk)
            elif ended_at is not None:
                break  # what it left in the background is silent
            now = time.monotonic()
            is_running = child.poll() is None
            ending.look(now, is_running)
            if not is_running and not ending.leaves_time(now):
                ended_at = ended_at or now
                if not selector.get_map():
                    break


def _drain(child: subprocess.Popen[bytes], output: _Output) -> None:
    """Take what still lies in the pipe once all who wrote to it are gone."""
    assert child.stdout is not None  # noqa: S101 -- for the type checker: we asked for a pipe
    os.set_blocking(child.stdout.fileno(), False)
    while chunk := child.stdout.read(1 << 16):
        output.take(chunk)
