"""A difference and its bounds as one line of characters, so that a reader sees at once where 0 and the margin lie."""

from __future__ import annotations

from mlgate.evidence import Comparison

WIDTH = 21
# All of WGL4, the characters that every monospaced font of a common system has in one width: a bar from two fonts would not line up.
AXIS, ZERO, MARGIN, RANGE, POINT = "─", "┼", "╫", "▬", "●"
LEGEND = f"{POINT} difference, {RANGE} its interval, {ZERO} no difference, {MARGIN} the margin; right is better"


def bar(comparison: Comparison) -> str:
    """The bar of a comparison; empty where there is no interval, or nobody knows which side is better."""
    row = comparison
    if row.better is None or row.difference is None or row.low is None or row.high is None:
        return ""
    return draw(row.difference, row.low, row.high, row.margin, is_lower_better=row.better == "lower")


def draw(difference: float, low: float, high: float, margin: float | None, *, is_lower_better: bool, reach: float | None = None) -> str:
    """`───────╫──┼▬▬▬●▬▬▬───`: no difference in the middle, better to the right whatever the metric's direction.

    Args:
        difference, low, high, margin: in one unit.
        is_lower_better: mirrors the bar.
        reach: the value at its ends, so that several bars share a scale; left out, the largest of the values.

    Returns:
        `WIDTH` characters.
    """
    sign = -1.0 if is_lower_better else 1.0
    point, ends = sign * difference, sorted((sign * low, sign * high))
    reach = reach or reach_of(difference, low, high, margin)
    middle = WIDTH // 2

    def at(value: float) -> int:
        # The outermost characters stay axis: a bar that touches the edge would look cut off.
        return middle + (round(value / reach * (middle - 1)) if reach else 0)

    cells = [AXIS] * WIDTH
    for position in range(at(ends[0]), at(ends[1]) + 1):
        cells[position] = RANGE
    marks = [(middle, ZERO)] + ([(at(-margin), MARGIN)] if margin else [])
    for position, mark in marks:
        cells[position] = mark
    cells[at(point)] = POINT
    return "".join(cells)


def reach_of(difference: float, low: float | None, high: float | None, margin: float | None) -> float:
    """The largest distance from 0 a bar has to show."""
    return max(abs(value) for value in (difference, low, high, margin) if value is not None)
