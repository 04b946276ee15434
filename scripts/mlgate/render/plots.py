"""Figures through matplotlib: SVG for the HTML report, PNG for comments with pictures. The same input gives the same bytes.

Two things matplotlib is kept from: text of the user (a label goes in as a token and is put into the finished SVG escaped, so that no
font has to know its letters and no `$` is read as a formula) and colours (sentinels become CSS variables, so that one picture
serves light and dark). Importing this module imports matplotlib, which takes half a second and reads a `matplotlibrc` of the working
directory: the report stage runs it as a process of its own, elsewhere, while the comment is on its way.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import pickle
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch
from matplotlib.path import Path as DrawnPath
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from mlgate.render import escape, numbers
from mlgate.render.document import Bars, Curves, Figure, Histogram, IntervalRow, Intervals, Matrices, Panel, Shift, Shifts

WIDTH_IN = 7.2
NARROW_IN = 4.6
"""Of pictures that a phone shows whole, without their letters becoming too small."""
_LEFT = 0.31
_LABEL_LIMIT = 20
_LOG_FROM = 200.0
"""How many times the least of a curve its greatest must be for a logarithmic axis to show more."""

# Sentinel colours and the CSS variables of `report.html.j2` that take their place.
_SENTINELS = {
    "ink": "#010203",
    "muted": "#020304",
    "line": "#030405",
    "candidate": "#040506",
    "baseline": "#050607",
    "good": "#060708",
    "bad": "#070809",
    "surface": "#08090a",
}
# Of the page's light scheme: a PNG stands on white, since a comment's reader may have a dark one.
_ON_WHITE = {
    "ink": "#1c2128",
    "muted": "#59636e",
    "line": "#c8d1da",
    "candidate": "#0b65d8",
    "baseline": "#b35900",
    "good": "#1a7f37",
    "bad": "#c0232c",
    "surface": "#ffffff",
}
_PNG_DPI = 144


def _style(colours: Mapping[str, str], *, is_svg: bool) -> Any:
    """matplotlib types every key of its settings; ours is one mapping of a few of them."""
    return {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "axes.unicode_minus": True,
        "font.size": 10,
        "axes.edgecolor": colours["line"],
        "axes.labelcolor": colours["muted"],
        "axes.facecolor": "none",
        "figure.facecolor": "none" if is_svg else colours["surface"],
        "text.color": colours["ink"],
        "xtick.color": colours["line"],
        "ytick.color": colours["line"],
        "xtick.labelcolor": colours["muted"],
        "ytick.labelcolor": colours["ink"],
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "path.simplify": False,
    }


def draw(figures: Iterable[Figure]) -> dict[str, str]:
    """Inline SVG of figures, by their keys."""
    return {figure.key: svg(figure) for figure in figures}


def main() -> None:
    """A process of its own: figures pickled by the report stage on standard input, their pictures as JSON on standard output."""
    figures, has_png = pickle.load(sys.stdin.buffer)  # noqa: S301 -- from our own parent process
    pngs = {figure.key: base64.b64encode(png(figure)).decode() for figure in figures} if has_png else {}
    json.dump({"svg": draw(figures), "png": pngs}, sys.stdout)


def svg(figure: Figure) -> str:
    """One figure as an `<svg>` element with title and description, fit to stand in an HTML page with others."""
    pen = _Pen(_SENTINELS)
    stream = io.StringIO()
    with _matplotlib_as_we_want_it(figure, pen, is_svg=True):
        _canvas(figure, pen).savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _embedded(stream.getvalue(), figure, pen)


def png(figure: Figure) -> bytes:
    """One figure as a PNG on white. A letter that no font of the machine has is drawn as a box; the table beside has it."""
    stream = io.BytesIO()
    pen = _PixelPen(_ON_WHITE)
    with _matplotlib_as_we_want_it(figure, pen, is_svg=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = _canvas(figure, pen)
        canvas.savefig(stream, format="png", dpi=_PNG_DPI, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.1)
    return stream.getvalue()


@contextmanager
def _matplotlib_as_we_want_it(figure: Figure, pen: _Pen, *, is_svg: bool) -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()  # a `matplotlibrc` of the repository under test is none of ours
        mpl.rcParams.update({**_style(pen.colours, is_svg=is_svg), "svg.hashsalt": figure.key})
        yield


def _canvas(figure: Figure, pen: _Pen) -> Canvas:
    match figure.data:
        case Intervals(rows):
            return _intervals(rows, pen)
        case Bars():
            return _bars(figure.data, pen)
        case Matrices():
            return _matrices(figure.data, pen)
        case Histogram():
            return _histogram(figure.data, pen)
        case Shifts(columns):
            return _shifts(columns, pen)
        case Curves():
            return _curves(figure.data, pen)


class _Pen:
    """What a picture is drawn with: its colours, and text of unknown origin as tokens while matplotlib draws."""

    def __init__(self, colours: Mapping[str, str]) -> None:
        self.colours = colours
        self._texts: list[str] = []

    def token(self, text: str, limit: int = _LABEL_LIMIT) -> str:
        self._texts.append(html.escape(escape.clean(text, limit)))
        return f"@{len(self._texts) - 1}@"

    def fill(self, drawn: str) -> str:
        return re.sub(r"@(\d+)@", lambda found: self._texts[int(found[1])], drawn)


class _PixelPen(_Pen):
    """For pixels, where a text is drawn as it is and can be nothing else."""

    def token(self, text: str, limit: int = _LABEL_LIMIT) -> str:
        return escape.clean(text, limit)


# --- intervals -------------------------------------------------------------------------------------------------------


def _intervals(rows: tuple[IntervalRow, ...], pen: _Pen) -> Canvas:
    panels: dict[str, list[IntervalRow]] = {}
    for row in rows:
        panels.setdefault(row.metric, []).append(row)
    row_in, axis_in = 0.3, 0.42
    height = sum(row_in * len(of_panel) + axis_in for of_panel in panels.values()) + 0.15
    canvas = Canvas(figsize=(NARROW_IN, height))
    top = height - 0.1
    for of_panel in panels.values():
        bottom = top - row_in * len(of_panel)
        axes = canvas.add_axes((_LEFT, bottom / height, 0.93 - _LEFT, row_in * len(of_panel) / height))
        _panel(axes, of_panel, pen)
        top = bottom - axis_in
    return canvas


def _panel(axes: Axes, rows: list[IntervalRow], pen: _Pen) -> None:
    mirror = rows[0].is_lower_better
    for index, row in enumerate(rows):
        border = None if row.margin is None else row.margin if row.is_lower_better else -row.margin
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [index, index], color=pen.colours["candidate"], linewidth=3, solid_capstyle="round", alpha=0.45)
        axes.plot([row.difference], [index], marker="o", markersize=6.5, color=pen.colours["candidate"])
        if border is not None:
            axes.plot([border, border], [index - 0.42, index + 0.42], color=pen.colours["bad"], linewidth=1.6)
    axes.axvline(0, color=pen.colours["muted"], linewidth=1, zorder=0)
    reach = max(abs(value) for row in rows for value in (row.low, row.high, row.difference, row.margin) if value is not None) or 1.0
    axes.set_xlim(*((1.12 * reach, -1.12 * reach) if mirror else (-1.12 * reach, 1.12 * reach)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [pen.token(row.label) for row in rows])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(_signed)
    _bare(axes)
    if unit := rows[0].unit:
        axes.annotate(
            pen.token(unit), (1, 0), (4, 0), "axes fraction", "offset points", va="center", color=pen.colours["muted"], fontsize=9
        )


def _signed(value: float, _position: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+.4g}".replace("-", numbers.MINUS)


# --- bars, matrices, histograms --------------------------------------------------------------------------------------


def _bars(data: Bars, pen: _Pen) -> Canvas:
    height = 0.3 * len(data.values) + 0.2
    canvas = Canvas(figsize=(NARROW_IN, height))
    axes = canvas.add_axes((_LEFT, 0.1 / height, 0.85 - _LEFT, (height - 0.2) / height))
    positions = range(len(data.values))
    axes.barh(positions, data.values, height=0.62, color=pen.colours["candidate"], alpha=0.75)
    for position, value, text in zip(positions, data.values, data.texts, strict=True):
        axes.annotate(pen.token(text), (value, position), (5, 0), textcoords="offset points", va="center", color=pen.colours["muted"])
    axes.set_yticks(positions, [pen.token(label) for label in data.labels])
    axes.set_ylim(len(data.values) - 0.5, -0.5)
    axes.set_xlim(0, max(data.values) or 1.0)
    axes.set_xticks([])
    _bare(axes)
    axes.spines["bottom"].set_visible(False)
    return canvas


def _matrices(data: Matrices, pen: _Pen) -> Canvas:
    shown = [("baseline", data.baseline), ("candidate", data.candidate)]
    drawn = [(name, counts) for name, counts in shown if counts is not None]
    side = 2.7
    left, gap = 0.75, 0.75
    width = WIDTH_IN
    height = side + 0.75
    canvas = Canvas(figsize=(width, height))
    for index, (name, counts) in enumerate(drawn):
        axes = canvas.add_axes(((left + index * (side + gap)) / width, 0.42 / height, side / width, side / height))
        _matrix(axes, name, counts, data.classes, pen)
    return canvas


def _matrix(axes: Axes, name: str, counts: tuple[tuple[int, ...], ...], classes: tuple[str, ...], pen: _Pen) -> None:
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
        axes.add_patch(PathPatch(_squares(cells), facecolor=pen.colours[colour], alpha=round(0.08 + 0.05 * shade, 2), linewidth=0))
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_title(name, loc="left", fontsize=10, color=pen.colours["ink"], pad=6)
    if n <= 25:
        tokens = [pen.token(one, 6 if n > 5 else 10) for one in classes]
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


def _histogram(data: Histogram, pen: _Pen) -> Canvas:
    height = 2.7
    canvas = Canvas(figsize=(WIDTH_IN, height))
    axes = canvas.add_axes((0.09, 0.45 / height, 0.88, (height - 0.75) / height))
    axes.stairs(data.candidate, data.edges, fill=True, color=pen.colours["candidate"], alpha=0.4)
    if data.baseline is not None:
        axes.stairs(data.baseline, data.edges, color=pen.colours["baseline"], linewidth=1.8)
    axes.axvline(0, color=pen.colours["muted"], linewidth=1)
    axes.xaxis.set_major_formatter(_signed)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(data.edges[0], data.edges[-1])
    axes.annotate("candidate, filled", (0, 1), (2, 6), "axes fraction", "offset points", color=pen.colours["candidate"], fontsize=9)
    if data.baseline is not None:
        axes.annotate("baseline, outlined", (0, 1), (102, 6), "axes fraction", "offset points", color=pen.colours["baseline"], fontsize=9)
    axes.annotate(
        "prediction minus target",
        (1, 0),
        (0, -20),
        "axes fraction",
        "offset points",
        ha="right",
        va="top",
        color=pen.colours["muted"],
        fontsize=9,
    )
    _bare(axes)
    return canvas


def _shifts(columns: tuple[Shift, ...], pen: _Pen) -> Canvas:
    """A small histogram for each column, three in a row."""
    side, gap, bars, title, foot, head = 2.12, 0.28, 0.85, 0.3, 0.3, 0.3
    lines = math.ceil(len(columns) / 3)
    height = head + lines * (title + bars + foot)
    canvas = Canvas(figsize=(WIDTH_IN, height))
    for index, column in enumerate(columns):
        line, place = divmod(index, 3)
        left, top = 0.1 + place * (side + gap), height - head - line * (title + bars + foot) - title
        axes = canvas.add_axes((left / WIDTH_IN, (top - bars) / height, side / WIDTH_IN, bars / height))
        _one_shift(axes, column, pen)
    for text, colour, left in (("before, outlined", "baseline", 0.1), ("now, filled", "candidate", 1.35)):
        canvas.text(left / WIDTH_IN, 1 - 0.12 / height, text, color=pen.colours[colour], fontsize=9, va="center")
    return canvas


def _one_shift(axes: Axes, column: Shift, pen: _Pen) -> None:
    edges = range(len(column.labels) + 1)
    axes.stairs(column.now, edges, fill=True, color=pen.colours["candidate"], alpha=0.4)
    axes.stairs(column.before, edges, color=pen.colours["baseline"], linewidth=1.6)
    axes.set_xlim(0, len(column.labels))
    axes.set_ylim(0, max((*column.before, *column.now)) * 1.05 or 1.0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(pen.token(column.title, 26), loc="left", fontsize=9.5, color=pen.colours["ink"], pad=4)
    ends = (column.labels[0], 0.0, "left"), (column.labels[-1] if len(column.labels) > 1 else "", 1.0, "right")
    for label, at, side in ends:
        axes.annotate(
            pen.token(label, 15),
            (at, 0),
            (0, -4),
            "axes fraction",
            "offset points",
            ha=side,
            va="top",
            color=pen.colours["muted"],
            fontsize=8.5,
        )
    _bare(axes)


def _curves(data: Curves, pen: _Pen) -> Canvas:
    """A panel for each quantity: a lone one over the whole width, two in a row otherwise."""
    columns = 1 if len(data.panels) == 1 else 2
    lines = math.ceil(len(data.panels) / columns)
    left, right, gap, inner, head, foot = 0.62, 0.28, 0.8, 1.5, 0.42, 0.42
    width = (WIDTH_IN - left - right - gap * (columns - 1)) / columns
    height = lines * (head + inner + foot)
    canvas = Canvas(figsize=(WIDTH_IN, height))
    for index, panel in enumerate(data.panels):
        line, place = divmod(index, columns)
        bottom = height - line * (head + inner + foot) - head - inner
        axes = canvas.add_axes(((left + place * (width + gap)) / WIDTH_IN, bottom / height, width / WIDTH_IN, inner / height))
        _one_quantity(axes, panel, data.axis, pen)
        axes.set_xlim(*_steps_of(data))
    return canvas


def _steps_of(data: Curves) -> tuple[float, float]:
    """The first and the last of all panels: they stand below one another."""
    steps = [step for panel in data.panels for curve in panel.curves for step, _ in curve.points]
    room = 0.02 * (max(steps) - min(steps))
    return min(steps) - room, max(steps) + room


def _one_quantity(axes: Axes, panel: Panel, axis: str, pen: _Pen) -> None:
    colours = ("candidate", "baseline", "good", "muted")
    for curve, colour in zip(panel.curves, colours, strict=False):
        steps, values = zip(*curve.points, strict=True)
        axes.plot(steps, values, color=pen.colours[colour], linewidth=1.7, solid_joinstyle="round")
        axes.plot(steps[-1:], values[-1:], marker="o", markersize=4, color=pen.colours[colour])
    seen = [value for curve in panel.curves for _, value in curve.points]
    if min(seen) > 0 and max(seen) / min(seen) > _LOG_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(_number_on_axis)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(_number_on_axis)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(_number_on_axis)
    axes.tick_params(axis="y", labelsize=9, labelcolor=pen.colours["muted"])
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="y", color=pen.colours["line"], linewidth=0.6, alpha=0.5)
    axes.annotate(
        pen.token(axis), (1, 0), (0, -18), "axes fraction", "offset points", ha="right", va="top", color=pen.colours["muted"], fontsize=9
    )
    # Names stand one after the other above the panel, each in the colour of its line: a letter is about so wide.
    at = 0.0
    for curve, colour in zip(panel.curves, colours, strict=False):
        axes.annotate(pen.token(curve.name), (0, 1), (at, 8), "axes fraction", "offset points", color=pen.colours[colour], fontsize=9)
        at += 5.6 * min(len(curve.name), _LABEL_LIMIT) + 12
    _bare(axes)


def _number_on_axis(value: float, _position: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}".replace("-", numbers.MINUS)


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


# --- from matplotlib's file to an element of our page ----------------------------------------------------------------


def _embedded(drawn: str, figure: Figure, pen: _Pen) -> str:
    element = drawn[drawn.index("<svg") :]
    # Its style sheet would reach the whole page; the groups' ids say nothing to a reader.
    element = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    # The other ids are unique in a file of matplotlib's, not in a page with several.
    element = re.sub(r'\bid="', f'id="{figure.key}-', element)
    element = re.sub(r'(href="#|url\(#)', rf"\1{figure.key}-", element)
    for name, sentinel in _SENTINELS.items():
        element = element.replace(sentinel, f"var(--{name})")
    element = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", element)
    element = re.sub(r'transform="rotate\(-0 [^"]*"', "", element)
    element = re.sub(r"\s*\n\s*", " ", element)
    wide = "" if isinstance(figure.data, Intervals | Bars) else ' class="wide"'
    element = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1"{wide} role="img" aria-labelledby="{figure.key}-title {figure.key}-desc">',
        element,
        count=1,
    )
    described = (
        f'<title id="{figure.key}-title">{html.escape(escape.clean(figure.title, 200))}</title>'
        f'<desc id="{figure.key}-desc">{html.escape(escape.clean(figure.description, 400))}</desc>'
    )
    # Before the description comes in: what looks like a token in that is text.
    head, rest = pen.fill(element).split(">", 1)
    return f"{head}>{described}{rest}".strip()


if __name__ == "__main__":
    main()
