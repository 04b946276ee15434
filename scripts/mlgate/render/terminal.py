"""The answer in a terminal: the same verdict line as everywhere, one aligned table, and where the whole report lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from tabulate import tabulate

from mlgate.render import escape
from mlgate.render.document import IntervalBar, Items, Line, Log, Paragraph, ReportView, Table

_COLOURS = {"good": "\x1b[32m", "bad": "\x1b[31m", "unsure": "\x1b[33m"}
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_MARKS = {"good": "✓", "bad": "✗", "unsure": "!"}
# An emoji is one column wide in one terminal and two in the next: nothing would stay aligned.
_PLAIN_MARKS = {"✅": "✓", "❌": "✗", "⚠️": "!"}


def summary(view: ReportView, html: str | None = None, *, is_coloured: bool | None = None) -> str:
    """What `mlgate run` prints at its end.

    Args:
        view: what the report shows.
        html: path of the HTML report.
        is_coloured: left out, what `wants_colour` says of standard output.
    """
    is_coloured = wants_colour() if is_coloured is None else is_coloured

    def styled(style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if is_coloured else text

    answer = view.answer
    verdict = f"{_MARKS[answer.tone]} {escape.log_line(view.title)}: {answer.statement}"
    parts = [f"{styled(_BOLD + _COLOURS[answer.tone], verdict)} — {spans(answer.because)}", f"  {escape.log_line(view.headline)}"]
    parts += [f"  Note: {spans(note)}" for note in view.notes]
    parts += [_table(table) for table in (view.comparison, view.rules) if table is not None]
    for section in view.sections:
        if section.is_open:
            parts += [_block(block) for block in section.blocks if isinstance(block, Items | Table | Log | Paragraph)]
    if html:
        parts.append(styled(_DIM, f"  Report: {escape.log_line(html)}"))
    return "\n".join(parts) + "\n"


def wants_colour(stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a stream is a terminal whose user has not asked for plain text (https://no-color.org)."""
    environ = os.environ if environ is None else environ
    return (stream or sys.stdout).isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def spans(line: Line) -> str:
    """A line as plain text that no runner takes for a command; without its bar, which has a column of its own."""
    text = escape.log_line("".join(span if isinstance(span, str) else span.text for span in line if not isinstance(span, IntervalBar)))
    for mark, plain in _PLAIN_MARKS.items():
        text = text.replace(mark, plain)
    return text


def _block(block: Items | Table | Log | Paragraph) -> str:
    match block:
        case Paragraph(line):
            return f"  {spans(line)}"
        case Items(lines):
            return "\n".join(f"  {spans(line)}" for line in lines)
        case Log(text):
            return "\n".join(f"    {escape.no_command(line)}" for line in escape.log_lines(text).split("\n"))
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    with_bars = [index for index in range(len(table.headings)) if any(_bar(row[index]) for row in table.rows)]
    headings: list[str] = []
    aligns: list[str] = []
    for index, heading in enumerate(table.headings):
        headings += [escape.log_line(heading), *([""] if index in with_bars else [])]
        aligns += ["right" if table.align[index] == "r" else "left", *(["left"] if index in with_bars else [])]
    cells = [
        [text for index, cell in enumerate(row) for text in (spans(cell), *((_bar(cell),) if index in with_bars else ()))]
        for row in table.rows
    ]
    written = tabulate(cells, headings, tablefmt="simple", disable_numparse=True, colalign=aligns)
    return "\n" + "\n".join(f"  {line}".rstrip() for line in written.split("\n")) + "\n"


def _bar(cell: Line) -> str:
    return next((span.text for span in cell if isinstance(span, IntervalBar)), "")
