"""How long there is to save what a training left, once something told it to end: GitHub cancels with SIGINT, sends SIGTERM after 7.5 s and
SIGKILL after 10 s; a spot machine goes when its cloud says."""

from __future__ import annotations

import math
import time

from mlgate.process import Interruption

CANCEL_GRACE_S = 6.5
"""Of GitHub's 10 s, for the training to save and to end."""
_CANCELLED_S = 8.5
"""By then its last checkpoint has to be saved; the rest is for the evidence."""
_LAST_CALL_S = 1.7
"""Of the 2.5 s after the second signal."""
_RESERVE_S = 5.0
"""Of what a cloud leaves."""


class Haste:
    """Of one training."""

    def __init__(self, interruption: Interruption, *, is_github: bool) -> None:
        self._interruption, self._is_github = interruption, is_github
        self._gone_at = math.inf

    def machine_goes(self, left_s: float) -> None:
        """The machine will be taken away; from any thread."""
        self._gone_at = time.monotonic() + left_s

    def left_s(self) -> float:
        """Seconds that are left for saving, never below 0; infinite where nothing hurries. From any thread, and to be asked again: a
        second signal shortens it."""
        ends = [self._gone_at - _RESERVE_S]
        if self._is_github and self._interruption.since is not None:
            ends.append(self._interruption.since + _CANCELLED_S)
        if self._interruption.last_call_at is not None:
            ends.append(self._interruption.last_call_at + _LAST_CALL_S)
        return max(min(ends) - time.monotonic(), 0.0)
