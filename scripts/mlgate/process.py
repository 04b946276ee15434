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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlgate.console import plain
from mlgate.environment import user_environment, user_interpreter
from mlgate.errors import InfrastructureError, InputError

MAX_LOG_BYTES = 64 * 1024 * 1024
TAIL_LINES = 40
TAIL_BYTES = 8_000

# Every process of a command inherits it, also one that left the group and the session (torchrun's workers, daemons).
_MARK = "MLGATE_COMMAND_IDS"
_POLL_S = 0.1
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

    @property
    def last_line(self) -> str:
        return last_line(self.tail)


def last_line(tail: str) -> str:
    """The last line of output that says something."""
    return next((line.strip() for line in reversed(tail.splitlines()) if re.search(r"\w", line)), "")


def run_command(
    command: str, *, root: Path, log: Path, timeout_s: float | None = None, is_echoed: bool = True, grace_s: float = 10
) -> Outcome:
    """Run a shell command of the user's in `root`, its output to `log` and, live, to our standard output.

    Bash runs it as GitHub's `shell: bash` does (`-e -o pipefail`: a failure in front of a pipe is a failure), else sh. It leads
    its own session. At the time limit, or when we get SIGTERM, SIGINT or SIGHUP, all its processes are asked to end, and killed
    `grace_s` seconds later. None of them outlives the call, however it ends.

    Raises:
        InfrastructureError: the log cannot be written.
    """
    return _run(
        shell_command(command), root=root, log=log, timeout_s=timeout_s, is_echoed=is_echoed, grace_s=grace_s, environ=user_environment()
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
    mark, environ = secrets.token_hex(16), user_environment()
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
        processes = _Processes(child.pid, mark)
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


_LOOKS = 10
"""At the processes there are, where one shows no environment; some never do."""


class _Processes:
    """All processes of one command."""

    def __init__(self, leader: int, mark: str) -> None:
        self._leader = leader
        self._mark = mark.encode()

    def send(self, number: int) -> bool:
        """Signal all of them; whether there was any."""
        members = self._members()
        if members:  # the group in one step: it must not fork away between two signals
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self._leader:
                    os.kill(pid, number)
        return bool(members)

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

    def __init__(self, log: IO[bytes], is_echoed: bool) -> None:
        self._log = log
        self._echo = getattr(sys.stdout, "buffer", None) if is_echoed else None
        self._logged = 0
        self._tail = b""
        self._is_line_open = False

    def take(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-8 * TAIL_BYTES :]
        kept = chunk[: max(0, MAX_LOG_BYTES - self._logged)]
        self._log.write(kept)
        self._logged += len(chunk)
        self._show(chunk)

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


class _Interruption:
    """Signals we get while a command runs, passed on to it at once."""

    def __init__(self) -> None:
        self.first: str | None = None
        self.count = 0
        self._processes: _Processes | None = None

    def attach(self, processes: _Processes) -> None:
        self._processes = processes
        if self.first:
            processes.send(signal.SIGTERM)

    def __call__(self, number: int, _frame: object) -> None:
        self.first = self.first or signal.Signals(number).name
        self.count += 1
        if self._processes:
            self._processes.send(number)


@contextmanager
def _signals_passed_on() -> Iterator[_Interruption]:
    interruption = _Interruption()
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
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(
    argv: list[str], *, root: Path, log: Path, timeout_s: float | None, is_echoed: bool, grace_s: float, environ: dict[str, str]
) -> Outcome:
    mark = secrets.token_hex(16)
    environ[_MARK] = ":".join(filter(None, [environ.get(_MARK), mark]))
    sys.stdout.flush()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stream = log.open("wb", buffering=0)
    except OSError as error:
        raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None
    with stream, _signals_passed_on() as interruption:
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
            )
        except OSError as error:
            raise InputError(f"{argv[0]}: cannot be run in {root}: {error.strerror}") from None
        processes = _Processes(child.pid, mark)
        interruption.attach(processes)
        output = _Output(stream, is_echoed)
        try:
            is_timed_out = _watch(child, processes, output, interruption, None if timeout_s is None else started + timeout_s, grace_s)
            processes.end(min(grace_s, 2))
            _drain(child, output)
            tail = output.close()
        except OSError as error:
            raise InfrastructureError(f"{log}: cannot be written: {error.strerror}") from None
        finally:
            processes.kill()
            code = child.wait()
            if child.stdout:
                child.stdout.close()
            output.end_line()
        duration_s = time.monotonic() - started
    exit_code = 128 - code if code < 0 else code
    return Outcome(
        exit_code=exit_code or (124 if is_timed_out else 0),
        is_timed_out=is_timed_out,
        duration_s=duration_s,
        tail=tail,
        interrupted_by=interruption.first,
    )


def _watch(
    child: subprocess.Popen[bytes],
    processes: _Processes,
    output: _Output,
    interruption: _Interruption,
    deadline: float | None,
    grace_s: float,
) -> bool:
    """Pass output on until the command has ended; end it when it is time. Returns whether it timed out."""
    assert child.stdout is not None  # noqa: S101 -- for the type checker: we asked for a pipe
    is_timed_out = False
    kill_at: float | None = None
    ended_at: float | None = None
    signals_seen = 0
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while ended_at is None or time.monotonic() < ended_at + _LAST_WORDS_S:
            if selector.select(_POLL_S):
                chunk = child.stdout.read(1 << 16)
                if not chunk:
                    selector.unregister(child.stdout)  # select() goes on as a sleep
                    if ended_at is not None:
                        break
                output.take(chunk)
            elif ended_at is not None:
                break  # what it left in the background is silent
            now = time.monotonic()
            if child.poll() is not None:
                ended_at = ended_at or now
                if not selector.get_map():
                    break
            elif deadline is not None and now >= deadline and kill_at is None:
                is_timed_out, kill_at = True, now + grace_s
                processes.send(signal.SIGTERM)
            if interruption.count > signals_seen:
                # GitHub cancels with SIGINT, after 7.5 s SIGTERM, after 2.5 s SIGKILL: the second is the last call
                signals_seen = interruption.count
                kill_at = min(kill_at or now + grace_s, now + (grace_s if signals_seen == 1 else 1.5))
            if kill_at is not None and now >= kill_at:
                processes.kill()
                kill_at = now + 5
    return is_timed_out


def _drain(child: subprocess.Popen[bytes], output: _Output) -> None:
    """Take what still lies in the pipe once all who wrote to it are gone."""
    assert child.stdout is not None  # noqa: S101 -- for the type checker: we asked for a pipe
    os.set_blocking(child.stdout.fileno(), False)
    while chunk := child.stdout.read(1 << 16):
        output.take(chunk)
