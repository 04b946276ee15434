"""A program of the user's that stays, and answers each line by a line."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgate.console import plain
from mlgate.environment import user_environment
from mlgate.errors import InputError
from mlgate.process.command import TAIL_BYTES, last_line, opened_log
from mlgate.process.members import Processes, marked, new_mark

_LAST_WORDS_S = 1.0
_PIPE_BYTES = 1 << 16
_MAX_ANSWER_BYTES = 16_000_000


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
    mark = new_mark()
    environ = marked(user_environment(), mark)
    with opened_log(log) as stream:
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
