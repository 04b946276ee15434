"""From an interval to a verdict, and from `cannot tell` to how many more examples would settle it."""

from __future__ import annotations

import math
from collections.abc import Callable

from mlgate.evidence import Verdict
from mlgate.stats.intervals import Interval, tango_interval

WORST_FIRST: tuple[Verdict, ...] = ("worse", "cannot tell", "no worse", "better")
MOST_TIMES = 100
"""Beyond this many times the examples there are nobody would collect them: no number is given."""


def towards_better(interval: Interval, *, is_lower_better: bool) -> Interval:
    """The interval of the improvement: the difference, or its mirror where lower is better."""
    return interval.mirrored if is_lower_better else interval


def decide(improvement: Interval, margin: float | None) -> Verdict:
    """The verdict on an improvement with one-sided bounds L and U.

    Better: L > 0. No worse: L > -margin. Worse: U < -margin. Cannot tell: otherwise. Without a margin nothing is claimed but a
    difference: better, worse (U < 0) or cannot tell, which is the rule for a margin of 0.
    """
    limit = -(margin or 0.0)
    if improvement.low > 0:
        return "better"
    if improvement.low > limit:
        return "no worse"
    if improvement.high < limit:
        return "worse"
    return "cannot tell"


def worst(verdicts: list[Verdict]) -> Verdict | None:
    """The worst of several; None of none."""
    return min(verdicts, key=WORST_FIRST.index, default=None)


def more_examples(improvement_at: Callable[[float], Interval], n: int, margin: float | None) -> int | None:
    """How many more examples would settle a `cannot tell`, if shares and spread stay as they are.

    Args:
        improvement_at: the interval that so many examples would give: `closing_in`, or an exact formula.
        n: how many examples there are.
        margin: as in `decide`.

    Returns:
        None where the estimate lies on the boundary itself, or where a hundred times as many would not do.
    """
    limit = -(margin or 0.0)
    now = improvement_at(n)
    if not math.isfinite(now.low) or not math.isfinite(now.high) or math.isclose(now.estimate, limit, abs_tol=1e-12):
        return None
    low, high = n, n
    while decide(improvement_at(high), margin) == "cannot tell":
        low, high = high, high * 2
        if high > MOST_TIMES * n:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if decide(improvement_at(middle), margin) == "cannot tell" else (low, middle)
    return max(high - n, 1)


def closing_in(improvement: Interval, n: int) -> Callable[[float], Interval]:
    """The interval at other sizes, where its bounds close in with the square root of the number of examples."""

    def at(size: float) -> Interval:
        shrink = math.sqrt(n / size)
        estimate = improvement.estimate
        return Interval(
            estimate,
            estimate - (estimate - improvement.low) * shrink,
            estimate + (improvement.high - estimate) * shrink,
            improvement.method,
        )

    return at


def tango_at(gained: int, lost: int, n: int, confidence: float) -> Callable[[float], Interval]:
    """Tango's interval at other sizes, with the shares of gained and lost examples held."""
    return lambda size: tango_interval(gained * size / n, lost * size / n, size, confidence)
