"""The keeper of a lease: a process that holds a training's GPUs together with mlgate, and when mlgate dies ends the training before it lets
go of them; of a training without GPUs it only does the second. Started by `lease` as a program: `python -I -S keeper.py <mark> <pid of
mlgate>`, and where there are GPUs `<descriptors of the locks, by commas> <descriptor of the file that who waits watches>`.

It sleeps in one system call while mlgate lives. Standard library and `mlgate.process` only: a waiting training must not cost memory.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgate.process import Processes

READY = b"k"
"""What it writes to its standard output once it holds the locks."""
DISMISS = b"q"
"""What ends it: the training is over, and mlgate lets go itself."""

GRACE_S = 3.0
"""For a training to end by itself after SIGTERM."""
_TOUCH_S = 1800.0
"""Between two signs of life on the lock files, which a clean-up of /tmp would take for forgotten."""
_ASK_S = 2.0
"""Between two looks at whether mlgate lives, where the kernel does not tell."""
_SETTLED_S = 1.0
_AGAIN_S = 0.1


def main(mark: str, owner: int, locks: Sequence[int] = (), watched: int | None = None) -> None:
    """Wait for mlgate; if it was not the one to end this, end the training."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when mlgate does
    _say_ready()
    watch = _Watch(owner, locks)
    is_over = watch.wait(_SETTLED_S)
    if is_over:
        return
    # not before: mlgate waits for READY. Not when it is needed: mlgate's environment may be gone by then
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from mlgate.process import Processes

    if is_over is None and watch.wait(None):
        return
    _end(_Training(Processes(None, mark), locks, watch.session))
    if watched is not None:
        with suppress(OSError):
            os.utime(watched)
    os._exit(0)  # the locks are free when this process is no more, so without taking Python apart


def _say_ready() -> None:
    """The only thing that is ever said here."""
    ear, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    os.write(ear, READY)
    os.close(ear)


class _Watch:
    """mlgate, as this process sees it."""

    def __init__(self, owner: int, locks: Sequence[int]) -> None:
        self._owner, self._locks = owner, locks
        self.session = _session(_PROC / str(owner))
        """Of mlgate, and of the runner that started it."""
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._process = _opened(owner)
        if self._process is not None:
            self._poll.register(self._process, select.POLLIN)
        self._touch_at = time.monotonic() + _TOUCH_S

    def wait(self, at_most_s: float | None) -> bool | None:
        """Until mlgate says that the training is over (true), or is no more (false). None: neither, in that time."""
        until = None if at_most_s is None else time.monotonic() + at_most_s
        while True:
            pause = _TOUCH_S if self._process is not None else _ASK_S
            events = dict(self._poll.poll(1000 * (pause if at_most_s is None else min(at_most_s, pause))))
            if 0 in events:
                return os.read(0, 1) == DISMISS
            if events or os.getppid() != self._owner:
                return self._last_word()
            if until is not None and time.monotonic() >= until:
                return None
            self._touch()

    def _last_word(self) -> bool:
        """mlgate is no more. What it was about to start shows the mark only when it has become the program, which also ends the pipe."""
        if self._process is not None:
            self._poll.unregister(self._process)
        return bool(self._poll.poll(1000 * _ASK_S)) and os.read(0, 1) == DISMISS

    def _touch(self) -> None:
        if time.monotonic() >= self._touch_at:
            self._touch_at = time.monotonic() + _TOUCH_S
            for lock in self._locks:
                with suppress(OSError):
                    os.utime(lock)


def _opened(owner: int) -> int | None:
    """A descriptor that becomes readable when mlgate ends; the pipe may be held longer, by a process that mlgate was about to start."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        descriptor = os.pidfd_open(owner)
    except OSError:
        return None
    return descriptor if os.getppid() == owner else None


class _Training:
    """All processes of the training: those with its mark, and those that hide their environment (programs that write their title over it)
    and have the locks open, with all of their session."""

    def __init__(self, processes: Processes, locks: Sequence[int], not_theirs: int | None) -> None:
        self._processes = processes
        self._not_theirs = not_theirs
        self._locks = {str(Path(f"/proc/self/fd/{lock}").readlink()) for lock in locks} if _PROC.exists() else set()

    def send(self, number: int) -> bool:
        """Signal all of them; whether there was any."""
        hidden = self._hidden()
        for pid in hidden:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return self._processes.send(number) or bool(hidden)

    def _hidden(self) -> set[int]:
        living = {int(entry.name): session for entry in _PROC.glob("[0-9]*") if (session := _session(entry))} if self._locks else {}
        others = living.keys() - {os.getpid()}
        holders = {pid for pid in others if self._has_a_lock(_PROC / str(pid))}
        sessions = {living[pid] for pid in holders} - {self._not_theirs}
        return holders | {pid for pid in others if living[pid] in sessions}

    def _has_a_lock(self, process: Path) -> bool:
        """Whether it has one of our open locks, and not only a file of that name, as everybody who looks at what is free."""
        with suppress(OSError):
            for link in (process / "fd").iterdir():
                with suppress(OSError):  # it was closed meanwhile
                    # a lock for reading is on the file of a GPU that is divided, and there other jobs have theirs
                    if str(link.readlink()) in self._locks and b" WRITE " in (process / "fdinfo" / link.name).read_bytes():
                        return True
        return False


_PROC = Path("/proc")


def _session(process: Path) -> int | None:
    """None: it has ended."""
    try:
        # after the name, which is in brackets and may hold anything: state, parent, group, session
        state, _, _, session, *_ = (process / "stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else int(session)


def _end(training: _Training) -> None:
    """End the training, however long the kernel takes to let its processes go."""
    deadline = time.monotonic() + GRACE_S
    is_there = training.send(signal.SIGTERM)
    while is_there and time.monotonic() < deadline:
        time.sleep(_AGAIN_S)
        is_there = training.send(0)
    while is_there:
        is_there = training.send(signal.SIGKILL)
        time.sleep(_AGAIN_S if is_there else 0)


if __name__ == "__main__":
    held = ([int(lock) for lock in sys.argv[3].split(",")], int(sys.argv[4])) if len(sys.argv) > 3 else ()
    main(sys.argv[1], int(sys.argv[2]), *held)
