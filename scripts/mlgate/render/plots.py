"""Figures as SVG through matplotlib, for the HTML report. The same input gives the same bytes.

Two things matplotlib is kept from: text of the user (a label goes in as a token and is put into the finished SVG escaped, so that no
font has to know its letters and no `$` is read as a formula) and colours (sentinels become CSS variables, so that one picture
serves light and dark). Importing this module imports matplotlib, which takes half a second and reads a `matplotlibrc` of the working
directory: the report stage runs it as a process of its own, elsewhere, while the comment is on its way.
"""

from __future__ import annotations

import html
import io
import json
import math
import pickle
import re
import sys
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.path import Path as DrawnPath
from matplotlib.ticker import MaxNLocator

from mlgate.render import escape, numbers
from mlgate.render.document import Bars, Figure, Histogram, IntervalRow, Intervals, Matrices

WIDTH_IN = 7.2
_LEFT = 0.27
_LABEL_LIMIT = 22

# Sentinel colours and the CSS variables of `report.html.j2` that take their place.
_COLOURS = {
    "ink": "#010203",
    "muted": "#020304",
    "line": "#030405",
    "candidate": "#040506",
    "baseline": "#050607",
    "good": "#060708",
    "bad": "#070809",
    "surface": "#08090a",
}
# matplotlib types every key of its settings; ours is one mapping of a few of them.
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 10,
    "axes.edgecolor": _COLOURS["line"],
    "axes.labelcolor": _COLOURS["muted"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": _COLOURS["ink"],
    "xtick.color": _COLOURS["line"],
    "ytick.color": _COLOURS["line"],
    "xtick.labelcolor": _COLOURS["muted"],
    "ytick.labelcolor": _COLOURS["ink"],
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "path.simplify": False,
}


def draw(figures: Iterable[Figure]) -> dict[str, str]:
    """Inline SVG of figures, by their keys."""
    return {figure.key: svg(figure) for figure in figures}


def main() -> None:
    """A process of its own: figures pickled by the report stage on standard input, their SVG as JSON on standard output."""
    figures: list[Figure] = pickle.load(sys.stdin.buffer)  # noqa: S301 -- from our own parent process
    json.dump(draw(figures), sys.stdout)


def svg(figure: Figure) -> str:
    """One figure as an `<svg>` element with title and description, fit to stand in an HTML page with others."""
    labels = _Labels()
    with mpl.rc_context():
        mpl.rcdefaults()  # a `matplotlibrc` of the repository under test is none of ours
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": figure.key})
        match figure.data:
            case Intervals(rows):
                canvas = _intervals(rows, labels)
            case Bars():
                canvas = _bars(figure.data, labels)
            case Matrices():
                canvas = _matrices(figure.data, labels)
            case Histogram():
                canvas = _histogram(figure.data)
        stream = io.StringIO()
        canvas.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _embedded(stream.getvalue(), figure, labels)


class _Labels:
    """Text of unknown origin, as tokens while matplotlib draws."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def token(self, text: str, limit: int = _LABEL_LIMIT) -> str:
        self._texts.append(html.escape(escape.clean(text, limit)))
        return f"@{len(self._texts) - 1}@"

    def fill(self, drawn: str) -> str:
        return re.sub(r"@(\d+)@", lambda found: self._texts[int(found[1])], drawn)


# --- intervals -------------------------------------------------------------------------------------------------------


def _intervals(rows: tuple[IntervalRow, ...], labels: _Labels) -> Canvas:
    panels: dict[str, list[IntervalRow]] = {}
    for row in rows:
        panels.setdefault(row.metric, []).append(row)
    row_in, axis_in = 0.3, 0.42
    height = sum(row_in * len(of_panel) + axis_in for of_panel in panels.values()) + 0.15
    canvas = Canvas(figsize=(WIDTH_IN, height))
    top = height - 0.1
    for of_panel in panels.values():
        bottom = top - row_in * len(of_panel)
        axes = canvas.add_axes((_LEFT, bottom / height, 0.97 - _LEFT, row_in * len(of_panel) / height))
        _panel(axes, of_panel, labels)
        top = bottom - axis_in
    return canvas


def _panel(axes: Axes, rows: list[IntervalRow], labels: _Labels) -> None:
    mirror = rows[0].is_lower_better
    for index, row in enumerate(rows):
        border = None if row.margin is None else row.margin if row.is_lower_better else -row.margin
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [index, index], color=_COLOURS["candidate"], linewidth=3, solid_capstyle="round", alpha=0.45)
        axes.plot([row.difference], [index], marker="o", markersize=6.5, color=_COLOURS["candidate"])
        if border is not None:
            axes.plot([border, border], [index - 0.42, index + 0.42], color=_COLOURS["bad"], linewidth=1.6)
    axes.axvline(0, color=_COLOURS["muted"], linewidth=1, zorder=0)
    reach = max(abs(value) for row in rows for value in (row.low, row.high, row.difference, row.margin) if value is not None) or 1.0
    axes.set_xlim(*((1.12 * reach, -1.12 * reach) if mirror else (-1.12 * reach, 1.12 * reach)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [labels.token(row.label) for row in rows])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(_signed)
    _bare(axes)
    if unit := rows[0].unit:
        axes.annotate(
            labels.token(unit), (1, 0), (4, 0), "axes fraction", "offset points", va="center", color=_COLOURS["muted"], fontsize=9
        )


def _signed(value: float, _position: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+.4g}".replace("-", numbers.MINUS)


# --- bars, matrices, histograms --------------------------------------------------------------------------------------


def _bars(data: Bars, labels: _Labels) -> Canvas:
    height = 0.3 * len(data.values) + 0.2
    canvas = Canvas(figsize=(WIDTH_IN, height))
    axes = canvas.add_axes((_LEFT, 0.1 / height, 0.85 - _LEFT, (height - 0.2) / height))
    positions = range(len(data.values))
    axes.barh(positions, data.values, height=0.62, color=_COLOURS["candidate"], alpha=0.75)
    for position, value, text in zip(positions, data.values, data.texts, strict=True):
        axes.annotate(labels.token(text), (value, position), (5, 0), textcoords="offset points", va="center", color=_COLOURS["muted"])
    axes.set_yticks(positions, [labels.token(label) for label in data.labels])
    axes.set_ylim(len(data.values) - 0.5, -0.5)
    axes.set_xlim(0, max(data.values) or 1.0)
    axes.set_xticks([])
    _bare(axes)
    axes.spines["bottom"].set_visible(False)
    return canvas


def _matrices(data: Matrices, labels: _Labels) -> Canvas:
    shown = [("baseline", data.baseline), ("candidate", data.candidate)]
    drawn = [(name, counts) for name, counts in shown if counts is not None]
    side = 2.7
    left, gap = 0.75, 0.75
    width = WIDTH_IN
    height = side + 0.75
    canvas = Canvas(figsize=(width, height))
    for index, (name, counts) in enumerate(drawn):
        axes = canvas.add_axes(((left + index * (side + gap)) / width, 0.42 / height, side / width, side / height))
        _matrix(axes, name, counts, data.classes, labels)
    return canvas


def _matrix(axes: Axes, name: str, counts: tuple[tuple[int, ...], ...], classes: tuple[str, ...], labels: _Labels) -> None:
    n = len(classes)
    shades: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row, line in enumerate(counts):
        total = sum(line) or 1
        for column, count in enumerate(line):
            if count:
                # A square root, so that one error among hundreds is still seen.
                shade = math.ceil(10 * (count / total) ** 0.5)
                shades.setdefault(("candidate" if row == column else "bad", shade), []).append((row, column))
                if n <= 12:
                    axes.text(column, row, f"{count}", ha="center", va="center", fontsize=9 if n > 5 else 10)
    for (colour, shade), cells in shades.items():
        axes.add_patch(PathPatch(_squares(cells), facecolor=_COLOURS[colour], alpha=round(0.08 + 0.05 * shade, 2), linewidth=0))
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_title(name, loc="left", fontsize=10, color=_COLOURS["ink"], pad=6)
    if n <= 25:
        tokens = [labels.token(one, 6 if n > 5 else 10) for one in classes]
        axes.set_xticks(range(n), tokens, fontsize=8.5)
        axes.set_yticks(range(n), tokens, fontsize=8.5)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    axes.tick_params(length=0, pad=3)


def _squares(cells: list[tuple[int, int]]) -> DrawnPath:
    """One path for all cells of a shade: thousands of single ones take seconds."""
    corners = [
        (column + x, row + y) for row, column in cells for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5))
    ]
    codes = [DrawnPath.MOVETO, DrawnPath.LINETO, DrawnPath.LINETO, DrawnPath.LINETO, DrawnPath.CLOSEPOLY] * len(cells)
    return DrawnPath(corners, codes)


def _histogram(data: Histogram) -> Canvas:
    height = 2.7
    canvas = Canvas(figsize=(WIDTH_IN, height))
    axes = canvas.add_axes((0.09, 0.45 / height, 0.88, (height - 0.75) / height))
    axes.stairs(data.candidate, data.edges, fill=True, color=_COLOURS["candidate"], alpha=0.4)
    if data.baseline is not None:
        axes.stairs(data.baseline, data.edges, color=_COLOURS["baseline"], linewidth=1.8)
    axes.axvline(0, color=_COLOURS["muted"], linewidth=1)
    axes.xaxis.set_major_formatter(_signed)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(data.edges[0], data.edges[-1])
    axes.annotate("candidate, filled", (0, 1), (2, 6), "axes fraction", "offset points", color=_COLOURS["candidate"], fontsize=9)
    if data.baseline is not None:
        axes.annotate("baseline, outlined", (0, 1), (102, 6), "axes fraction", "offset points", color=_COLOURS["baseline"], fontsize=9)
    axes.annotate(
        "prediction minus target",
        (1, 0),
        (0, -20),
        "axes fraction",
        "offset points",
        ha="right",
        va="top",
        color=_COLOURS["muted"],
        fontsize=9,
    )
    _bare(axes)
    return canvas


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


# --- from matplotlib's file to an element of our page ----------------------------------------------------------------


def _embedded(drawn: str, figure: Figure, labels: _Labels) -> str:
    element = drawn[drawn.index("<svg") :]
    # Its style sheet would reach the whole page; the groups' ids say nothing to a reader.
    element = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    # The other ids are unique in a file of matplotlib's, not in a page with several.
    element = re.sub(r'\bid="', f'id="{figure.key}-', element)
    element = re.sub(r'(href="#|url\(#)', rf"\1{figure.key}-", element)
    for name, sentinel in _COLOURS.items():
        element = element.replace(sentinel, f"var(--{name})")
    element = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", element)
    element = re.sub(r'transform="rotate\(-0 [^"]*"', "", element)
    element = re.sub(r"\s*\n\s*", " ", element)
    element = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-labelledby="{figure.key}-title {figure.key}-desc">',
        element,
        count=1,
    )
    described = (
        f'<title id="{figure.key}-title">{html.escape(escape.clean(figure.title, 200))}</title>'
        f'<desc id="{figure.key}-desc">{html.escape(escape.clean(figure.description, 400))}</desc>'
    )
    head, rest = element.split(">", 1)
    return labels.fill(f"{head}>{described}{rest}").strip()


if __name__ == "__main__":
    main()
