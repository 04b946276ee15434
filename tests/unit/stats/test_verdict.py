"""From intervals to verdicts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.verdict import WORST_FIRST, closing_in, decide, more_examples, tango_at, towards_better, worst

finite = st.floats(-1, 1, allow_nan=False)
intervals = st.tuples(finite, finite, finite).map(sorted).map(lambda v: Interval(v[1], v[0], v[2], "x"))


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.001, 0.02, 0.01, "better"),
        (-0.009, 0.02, 0.01, "no worse"),
        (-0.02, 0.02, 0.01, "cannot tell"),
        (-0.01, 0.02, 0.01, "cannot tell"),  # the bound lies on the margin: not strictly inside
        (-0.05, -0.02, 0.01, "worse"),
        (-0.05, -0.01, 0.01, "cannot tell"),
        (-0.05, -0.005, 0.01, "cannot tell"),
        (-0.05, -0.005, 0.0, "worse"),
        (-0.05, -0.005, None, "worse"),
        (-0.05, 0.005, None, "cannot tell"),
        (0.001, 0.005, None, "better"),
        (0.0, 0.0, 0.01, "no worse"),
        (0.0, 0.0, None, "cannot tell"),
        (-math.inf, math.inf, 0.5, "cannot tell"),
    ],
)
def test_verdicts(low: float, high: float, margin: float | None, expected: str) -> None:
    assert decide(Interval((low + high) / 2 if math.isfinite(low) else 0.0, low, high, "x"), margin) == expected


@given(intervals, st.floats(0, 1), st.floats(0, 1))
def test_a_wider_margin_never_makes_a_verdict_worse(interval: Interval, one: float, other: float) -> None:
    narrow, wide = sorted((one, other))
    before, after = decide(interval, narrow), decide(interval, wide)
    assert after == before or (before, after) in {("cannot tell", "no worse"), ("worse", "cannot tell"), ("worse", "no worse")}


@given(intervals)
def test_better_and_worse_mirror(interval: Interval) -> None:
    mirror = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
    assert decide(interval.mirrored, 0) == mirror[decide(interval, 0)]
    assert towards_better(interval, is_lower_better=True) == interval.mirrored


def test_the_worst_verdict_counts() -> None:
    assert worst(["better", "no worse"]) == "no worse"
    assert worst(["better", "cannot tell", "no worse"]) == "cannot tell"
    assert worst(list(WORST_FIRST)) == "worse"
    assert worst([]) is None


@pytest.mark.parametrize(
    ("gained", "lost", "n", "margin"), [(20, 24, 1000, 0.01), (0, 0, 200, 0.01), (10, 30, 1000, 0.015), (30, 20, 1000, None)]
)
def test_so_many_more_examples_settle_it_and_fewer_do_not(gained: int, lost: int, n: int, margin: float | None) -> None:
    assert decide(tango_interval(gained, lost, n, 0.95), margin) == "cannot tell"
    more = more_examples(tango_at(gained, lost, n, 0.95), n, margin)
    assert more is not None

    def at(size: int) -> str:
        return decide(tango_interval(gained * size / n, lost * size / n, size, 0.95), margin)

    assert at(n + more) != "cannot tell"
    assert at(n + more - 1) == "cannot tell"


def test_bounds_that_close_in_with_the_root_settle_at_the_square() -> None:
    assert more_examples(closing_in(Interval(0.0, -0.02, 0.02, "x"), 100), 100, 0.01) == pytest.approx(300, abs=1)


def test_no_number_of_examples_settles_what_lies_on_the_boundary() -> None:
    assert more_examples(closing_in(Interval(-0.01, -0.02, 0.0, "x"), 100), 100, 0.01) is None
    assert more_examples(closing_in(Interval(0.0, -math.inf, math.inf, "x"), 1), 1, 0.01) is None
    assert more_examples(closing_in(Interval(-0.009999999, -0.5, 0.5, "x"), 1000), 1000, 0.01) is None
