"""How long there is to save what a training left, once something told it to end."""

from __future__ import annotations

import math
import signal

import pytest

from mlgate.process import Interruption
from mlgate.stages.training.haste import Haste


def told(times: int) -> Interruption:
    interruption = Interruption()
    for _ in range(times):
        interruption(signal.SIGINT, None)
    return interruption


@pytest.mark.parametrize(
    ("signals", "is_github", "expected_s"),
    [
        (0, True, math.inf),
        (1, False, math.inf),  # whoever pressed Ctrl-C waits
        (1, True, 8.5),  # GitHub kills after 10 s
        (2, True, 1.7),
        (2, False, 1.7),  # and does not after the second one
    ],
)
def test_a_signal_leaves_as_long_as_whoever_sent_it_waits(signals: int, expected_s: float, *, is_github: bool) -> None:
    assert Haste(told(signals), is_github=is_github).left_s() == pytest.approx(expected_s, abs=0.5)


def test_a_machine_that_goes_leaves_some_seconds_for_the_evidence() -> None:
    haste = Haste(told(0), is_github=True)
    haste.machine_goes(30)
    assert haste.left_s() == pytest.approx(25, abs=0.5)
    haste.machine_goes(2)
    assert haste.left_s() == 0


def test_what_ends_first_counts() -> None:
    haste = Haste(told(1), is_github=True)
    haste.machine_goes(120)
    assert haste.left_s() == pytest.approx(8.5, abs=0.5)
