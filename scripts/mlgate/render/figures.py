"""Figures for Markdown: mermaid diagrams, or characters in a fenced block. A table with the same numbers always stands beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from mlgate.render import escape, intervals
from mlgate.render.document import Bars, Curve, Curves, Figure, Histogram, Intervals, Panel, Shift, Shifts

_BLOCKS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 24
_LABEL_WIDTH = 24
_POINTS = 32
"""Of a curve in a chart or in characters."""
_WHOLE = 0.9


def figure(shown: Figure, how: Literal["mermaid", "text", "branch", "none"], urls: Mapping[str, str] | None = None) -> str:
    """Markdown of a figure; empty where this way of showing it would say nothing beyond the table.

    Args:
        shown: the figure.
        how: `report.plots`; a picture of `branch` that is nowhere to be had is shown as text.
        urls: where pictures are, by key.
    """
    if how == "none":
        return ""
    if how == "branch" and (picture := escape.picture(f"{shown.title}. {shown.description}", (urls or {}).get(shown.key, ""))):
        return picture
    return _mermaid(shown) if how == "mermaid" else _text(shown)


def _mermaid(shown: Figure) -> str:
    match shown.data:
        case Shifts():
            return _text(shown)
        case Curves(panels, axis):
            return _curves_chart(panels[0], axis)
        case Intervals():
            return _text(shown)  # mermaid draws no intervals, and a lone bar looks surer than it is
        case Bars(labels, values, _, unit):
            return _chart(shown.title, list(labels), unit, 0.0, max(values), [f"bar {_list(list(values))}"], orientation=" horizontal")
        case Histogram(edges, candidate, baseline):
            centres = [f"{(low + high) / 2:.3g}" for low, high in pairwise(edges)]
            top = max([*candidate, *(baseline or ())])
            lines = [f"bar {_list([float(count) for count in candidate])}"]
            lines += [f"line {_list([float(count) for count in baseline])}"] if baseline else []
            title = f"{shown.title}: candidate as bars, baseline as a line" if baseline else shown.title
            return _chart(title, centres, "examples", 0.0, float(top), lines)
        case _:
            return ""


def _chart(title: str, labels: list[str], axis: str, low: float, high: float, lines: list[str], orientation: str = "") -> str:
    room = (high - low) * 0.1 or 1.0
    shown = ", ".join(f'"{escape.mermaid_label(label, 18)}"' for label in labels)
    return "\n".join(
        [
            "```mermaid",
            f"xychart-beta{orientation}",
            f'    title "{escape.mermaid_label(title, 90)}"',
            f"    x-axis [{shown}]",
            f'    y-axis "{escape.mermaid_label(axis, 40)}" {_plain(low - room if low < 0 else 0.0)} --> {_plain(high + room)}',
            *(f"    {line}" for line in lines),
            "```",
        ]
    )


def _text(shown: Figure) -> str:
    match shown.data:
        case Intervals(rows) if len({row.metric for row in rows}) == 1:
            reach = max(intervals.reach_of(row.difference, row.low, row.high, row.margin) for row in rows)
            drawn = [
                intervals.draw(
                    row.difference,
                    row.difference if row.low is None else row.low,
                    row.difference if row.high is None else row.high,
                    row.margin,
                    is_lower_better=row.is_lower_better,
                    reach=reach,
                )
                for row in rows
            ]
            return _fenced([(row.label, bar) for row, bar in zip(rows, drawn, strict=True)])
        case Bars(labels, values, texts, _):
            top = max(values)
            return _fenced([(label, f"{_bar(value, top)} {text}") for label, value, text in zip(labels, values, texts, strict=True)])
        case Histogram(edges, candidate, _):
            top = float(max(candidate))
            return _fenced(
                [
                    (f"{low:.3g} to {high:.3g}", _bar(float(count), top))
                    for low, high, count in zip(edges, edges[1:], candidate, strict=False)
                ]
            )
        case Shifts(columns):
            return _fenced([row for one in columns for row in _before_and_now(one)])
        case Curves(panels):
            return _fenced([(curve.name, _sparkline(curve)) for panel in panels for curve in panel.curves])
        case _:
            return ""


def _before_and_now(one: Shift) -> list[tuple[str, str]]:
    top = max(*one.before, *one.now)
    return [(one.title, f"before {_profile(one.before, top)}"), ("", f"now    {_profile(one.now, top)}")]


def _curves_chart(panel: Panel, axis: str) -> str:
    """The curves of the first quantity, which is the loss where there is one. Mermaid has no legend: their order at the end is one."""
    begin = min(curve.points[0][0] for curve in panel.curves)
    end = max(curve.points[-1][0] for curve in panel.curves)
    # What began much later, or ended earlier, would be drawn with values it never had.
    whole = [curve for curve in panel.curves if curve.points[-1][0] - curve.points[0][0] >= _WHOLE * (end - begin)]
    ordered = sorted(whole, key=lambda curve: -curve.points[-1][1])
    lines = [_evenly(curve, begin, end) for curve in ordered]
    named = " above ".join(curve.name for curve in ordered) + (" at the end" if len(ordered) > 1 else "")
    low, high = min(map(min, lines)), max(map(max, lines))
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "{escape.mermaid_label(named, 90)}"',
            f'    x-axis "{escape.mermaid_label(axis, 18)}" {_plain(begin)} --> {_plain(end)}',
            f"    y-axis {_plain(low - (high - low) * 0.1 if low < 0 else 0.0)} --> {_plain(high + ((high - low) * 0.1 or 1.0))}",
            *(f"    line {_list(line)}" for line in lines),
            "```",
        ]
    )


def _evenly(curve: Curve, begin: float, end: float) -> list[float]:
    """Values at equal distances, between two points on the line through both."""
    values, at = [], 0
    for index in range(_POINTS):
        step = begin + (end - begin) * index / (_POINTS - 1)
        while at < len(curve.points) - 2 and curve.points[at + 1][0] < step:
            at += 1
        (left, before), (right, after) = curve.points[at], curve.points[at + 1]
        share = min(1.0, max(0.0, (step - left) / (right - left))) if right > left else 1.0
        values.append(float(f"{before + (after - before) * share:.4g}"))
    return values


def _sparkline(curve: Curve) -> str:
    """`█▆▄▃▂▁  2.31 → 0.12`: lowest and highest of the curve are the lowest and highest character."""
    first, last = curve.points[0][1], curve.points[-1][1]
    values = _evenly(curve, curve.points[0][0], curve.points[-1][0])
    low, high = min(values), max(values)
    steps = len(_HEIGHTS) - 1
    drawn = "".join(_HEIGHTS[round((value - low) / (high - low) * steps) if high > low else 0] for value in values)
    return f"{drawn}  {first:.4g} → {last:.4g}"


def _profile(shares: tuple[float, ...], top: float) -> str:
    """A column of characters for each bin."""
    highest = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[min(highest, math.ceil(share / top * highest)) if top else 0] for share in shares)


def _fenced(rows: list[tuple[str, str]]) -> str:
    labels = [escape.clean(label, _LABEL_WIDTH) for label, _ in rows]
    width = max(len(label) for label in labels)
    # Every label is one line here, so no line of theirs can close the fence or be cut off.
    lines = [f"{label:<{width}}  {bar}" for label, (_, bar) in zip(labels, rows, strict=True)]
    return escape.block("\n".join(lines))


def _bar(value: float, top: float) -> str:
    eighths = round(value / top * _BAR_WIDTH * 8) if top else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (_BLOCKS[rest] if rest else "") or "▏"


def _list(values: list[float]) -> str:
    return f"[{', '.join(_plain(value) for value in values)}]"


def _plain(value: float) -> str:
    """A number without exponent: mermaid reads no other."""
    written = f"{value:.6f}" if value == 0 or abs(value) >= 0.001 else f"{Decimal(f'{value:.4g}'):f}"
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written in ("-0", "") else written
