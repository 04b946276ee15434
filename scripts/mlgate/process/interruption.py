"""What ends a command before its time: a signal that we got, or somebody who asks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlgate.process.members import Processes

_PATIENCE = 2
"""So many signals are only noted; a further one ends us at once."""


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
