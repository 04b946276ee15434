"""Commands and Python code of the user, run in the user's environment: live output, time limit, signals, whole process group."""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from mlgate.console import plain
from mlgate.environment import user_environment, user_interpreter
from mlgate.errors import InfrastructureError, InputError

MAX_LOG_BYTES = 64 * 1024 * 1024
TAIL_LINES = 40
TAIL_BYTES = 8_000

# Every process of a command inherits it, also one that left the group and the session (torchrun's workers, daemons).
_MARK = "MLGATE_COMMAND_IDS"
_POLL_S = 0.1
_GATHER_S, _FEW_BYTES = 0.04, 4096
"""How long the lines of a command that prints often are waited for, to be passed on together: each turn costs as much as a hundred lines.
Not where they are many, which would fill the pipe meanwhile."""
_LAST_WORDS_S = 1.0
_PIPE_BYTES = 1 << 16
_MAX_ANSWER_BYTES = 16_000_000
_RUN_PROGRAM = (
    "import runpy, sys; root, *sys.argv = sys.argv[1:]; sys.path[:] = [root, *(p for p in sys.path if p not in ('', root))]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


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


class Stop:
    """Ends a command from another thread, as its time limit does: all its processes are asked to end, and killed after a grace time."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.grace_s: float | None = None

    def ask(self, reason: str, grace_s: float | None = None) -> None:
        """End it. Only the first call counts.

        Args:
            reason: in a word or two; `Outcome.stopped_by`.
            grace_s: where less time is left than the command would have.
        """
        if self.reason is None:
            self.grace_s, self.reason = grace_s, reason


class Interruption:
    """Signals that told us to end, passed on to the command that runs, if one does."""

    def __init__(self, *, is_awaited: bool = True) -> None:
        self.first: str | None = None
        """Name of the first one."""
        self.since: float | None = None
        """When it came, by `time.monotonic`."""
        self.last_call_at: float | None = None
        """When the second one came: who sends it kills next."""
        self.count = 0
        self.is_awaited = is_awaited
        """Whether a signal is only noted; else it ends us (KeyboardInterrupt) while no command runs, as a third one does always."""
        self._processes: Processes | None = None
        self._passed_on: int | None = None

    def attach(self, processes: Processes, passed_on: int | None = None) -> None:
        """Pass signals on from now, all as `passed_on` where that is given."""
        self._processes, self._passed_on = processes, passed_on
        if self.first:
            processes.send(signal.SIGTERM)

    def detach(self) -> None:
        self._processes = None

    def __call__(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first, self.since = signal.Signals(number).name, now
        elif self.last_call_at is None:
            self.last_call_at = now
        self.count += 1
        if self._processes:
            self._processes.send(self._passed_on or number)
        elif not self.is_awaited or self.count > _PATIENCE:
            self.is_awaited = True  # what ends now is not to be disturbed
            raise KeyboardInterrupt(self.first)


@contextmanager
def signals_noted(*, is_awaited: bool = True, is_final: bool = False) -> Iterator[Interruption]:
    """Have SIGTERM, SIGINT and SIGHUP noted instead of ending us; those that are ignored stay so.

    Args:
        is_awaited: as `Interruption.is_awaited` begins.
        is_final: once one came, this lasts beyond the block: what is known is still to be written when GitHub sends the next.
    """
    interruption = Interruption(is_awaited=is_awaited)
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread may set handlers; there, Python's own apply
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, interruption)
        yield interruption
    finally:
        if not (is_final and interruption.first):
            for number, handler in before.items():
                signal.signal(number, handler)


def new_mark() -> str:
    """What all processes of a command will carry in their environment, and none but them."""
    return secrets.token_hex(16)


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
    return _run(
        shell_command(command),
        root=root,
        log=log,
        timeout_s=timeout_s,
        is_echoed=is_echoed,
        grace_s=grace_s,
        environ=user_environment(),
        attendance=attendance,
    )


def shell_command(command: str) -> list[str]:
    """Arguments that have the shell run a command."""
    bash = shutil.which("bash")
    shell = [bash, "--noprofile", "--norc", "-eo", "pipefail", "-c"] if bash else ["/bin/sh", "-ec"]
    return [*shell, command]


def python_command(program: Path, arguments: Sequence[str], root: Path) -> list[str]:
    """Arguments that have the user's interpreter run a program of ours, as `call_user_python` does. Raises InputError without one."""
    return [str(user_interpreter()), "-c", _RUN_PROGRAM, str(root), str(program), *arguments]


class SilentError(Exception):
    """A program that we talk to gives no answer; the message says why, in a line."""


class Conversation:
    """A program of the user's that stays, and answers each line by a line."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 -- for the type checker: we asked for pipes
        self._child, self._log = child, log
        self._stdin, self._stdout = child.stdin.fileno(), child.stdout.fileno()
        self._pending = b""
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)

    def ask(self, line: bytes, deadline: float) -> tuple[bytes, float]:
        """One question, one answer.

        Args:
            line: ends with a line feed.
            deadline: by `time.monotonic`.

        Returns:
            The answer without its line feed, and the seconds from the first byte sent to the last one read.

        Raises:
            SilentError: it ended, said something unasked, or the deadline came.
        """
        self._take_in()
        if self._pending:
            raise SilentError(f"wrote a line that nobody asked for: {plain(self._pending[:100].decode(errors='replace'))}")
        started = time.perf_counter()
        rest, found = memoryview(line), b""
        while not found.endswith(b"\n"):
            readable, writable, _ = select.select([self._stdout], [self._stdin] if rest else [], [], max(deadline - time.monotonic(), 0))
            if not readable and not writable:
                raise SilentError("gave no answer in time")
            try:
                if writable:
                    rest = rest[os.write(self._stdin, rest[:_PIPE_BYTES]) :]
                if readable:
                    if not (chunk := os.read(self._stdout, _PIPE_BYTES)):
                        raise SilentError(self._how_it_ended())
                    found += chunk
            except BrokenPipeError:
                raise SilentError(self._how_it_ended()) from None
            if len(found) > _MAX_ANSWER_BYTES:
                raise SilentError(f"answered by more than {_MAX_ANSWER_BYTES:,} bytes")
        seconds = time.perf_counter() - started
        answer, _, more = found[:-1].partition(b"\n")
        if more or found.count(b"\n") > 1:
            raise SilentError(f"answered by more than one line: {plain(more[:100].decode(errors='replace'))}")
        return answer, seconds

    def _take_in(self) -> None:
        with suppress(BlockingIOError):
            self._pending += os.read(self._stdout, _PIPE_BYTES)

    def _how_it_ended(self) -> str:
        try:
            code = self._child.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return "closed its standard output"
        said = last_line(_tail_of(self._log))
        return f"ended (exit {128 - code if code < 0 else code})" + (f": {plain(said)[:300]}" if said else "")


@contextmanager
def converse(argv: list[str], *, root: Path, log: Path) -> Iterator[Conversation]:
    """Start a program of the user's that stays and answers lines, in the user's environment; what it says on standard error goes to `log`.

    It leads its own session. Afterwards its standard input ends, and what has not ended a moment later is killed.

    Raises:
        InputError: it cannot be started.
        InfrastructureError: the log cannot be written.
    """
    mark, environ = new_mark(), user_environment()
    environ[_MARK] = ":".join(filter(None, [environ.get(_MARK), mark]))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb", buffering=0)
    except OSError as error:
        raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None
    with stream:
        pipe = subprocess.PIPE
        try:
            child = subprocess.Popen(argv, cwd=root, env=environ, stdin=pipe, stdout=pipe, stderr=stream, bufsize=0, start_new_session=True)
        except OSError as error:
            raise InputError(f"{argv[0]}: cannot be run in {root}: {error.strerror}") from None
        processes = Processes(child.pid, mark)
        try:
            yield Conversation(child, log)
        finally:
            if child.stdin:
                with suppress(OSError):
                    child.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LAST_WORDS_S)
            processes.end(_LAST_WORDS_S)
            processes.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()


def _tail_of(log: Path) -> str:
    with suppress(OSError), log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - TAIL_BYTES, 0))
        return stream.read(TAIL_BYTES).decode(errors="replace")
    return ""


def call_user_python(program: Path, request: dict[str, Any], *, root: Path, timeout_s: float = 600) -> dict[str, Any]:
    """Run a program of ours (standard library only, plus what the user has) under the user's interpreter.

    Args:
        program: the script; it gets the path of a request file and of an answer file as arguments, both JSON. Its own folder is
            not on the import path: a module of ours must not hide one of the user's.
        request: what it is asked.
        root: its working directory, first on its import path.

    Returns:
        The answer.

    Raises:
        InputError: there is no interpreter, the program died, or its answer is no JSON object; the last line it said is named.
    """
    interpreter = user_interpreter()
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        question, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        question.write_text(json.dumps(request), encoding="utf-8")
        outcome = _run(
            python_command(program, [str(question), str(answer)], root),
            root=root,
            log=Path(folder, "log"),
            timeout_s=timeout_s,
            is_echoed=False,
            grace_s=2,
            environ=user_environment(),
        )
        if outcome.interrupted_by:
            raise KeyboardInterrupt(outcome.interrupted_by)
        if outcome.is_timed_out:
            raise InputError(f"your code, run by {interpreter}, did not end within {timeout_s:g} s and was stopped")
        if outcome.exit_code != 0:
            reason = plain(outcome.last_line) or "no output"
            raise InputError(f"your code, run by {interpreter}, failed (exit {outcome.exit_code}): {reason}")
        try:
            found = json.loads(answer.read_bytes())
        except FileNotFoundError:
            raise InputError(
                f"your code, run by {interpreter}, ended the process before it gave an answer: {plain(outcome.last_line)}"
            ) from None
        except (ValueError, OSError) as error:
            raise InputError(f"your code, run by {interpreter}, gave an answer that cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"your code, run by {interpreter}, gave {type(found).__name__} where an object was expected")
    return found


_PATIENCE = 2
"""Signals, while what they asked for is done."""
_LOOKS = 10
"""At the processes there are, where one shows no environment; some never do."""


class Processes:
    """All processes of one command."""

    def __init__(self, leader: int | None, mark: str) -> None:
        """Those of the leader's session and those with the mark; without a leader, which needs /proc, those with the mark."""
        self._leader = leader
        self._mark = mark.encode()

    def send(self, number: int) -> bool:
        """Signal all of them; whether there was any."""
        members = self._members()
        if members and self._leader is not None:  # the group in one step: it must not fork away between two signals
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self._leader:
                    os.kill(pid, number)
        return bool(members)

    def are_there(self) -> bool:
        """Whether any of them lives."""
        return bool(self._members())

    def end(self, grace_s: float) -> None:
        """Ask whatever is left to end, then kill it."""
        deadline = time.monotonic() + grace_s
        if not self.send(signal.SIGTERM):
            return
        while time.monotonic() < deadline and self._members():
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """Kill them and what they start meanwhile; gives up on what the kernel holds for 5 s."""
        deadline = time.monotonic() + 5
        while self.send(signal.SIGKILL) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _members(self) -> list[int]:
        """Living processes of the session or with the mark. Where there is no /proc, only the group can be asked for."""
        proc = Path("/proc")
        if not (proc / "self" / "stat").exists():
            if self._leader is None:
                return []
            try:
                os.killpg(self._leader, 0)
            except (ProcessLookupError, PermissionError):
                return []
            return [self._leader]
        for _ in range(_LOOKS):
            found = {int(entry.name): self._is_member(entry) for entry in proc.iterdir() if entry.name.isdecimal()}
            if None not in found.values():
                break
            time.sleep(0.005)
        return [pid for pid, is_member in found.items() if is_member]

    def _is_member(self, entry: Path) -> bool | None:
        """None: not to be told just now, it is between two programs (`exec`) and shows the environment of neither."""
        try:
            # after the name, which is in brackets and may hold anything: state, parent, group, session
            state, _, _, session, *_ = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            if state in (b"Z", b"X"):
                return False
            if int(session) == self._leader:
                return True
            environ = (entry / "environ").read_bytes()
        except (OSError, ValueError):
            return False  # it ended meanwhile, or is another user's
        if not environ and int(session) != 0:  # session 0: the kernel's own
            return None
        return self._mark in environ


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


def _run(
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
    mark = attendance.mark if attendance else new_mark()
    environ[_MARK] = ":".join(filter(None, [environ.get(_MARK), mark]))
    environ.update(attendance.environ if attendance else {})
    sys.stdout.flush()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb", buffering=0)
    except OSError as error:
        raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None
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
