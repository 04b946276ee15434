"""The report as Markdown: the comment on the pull request, cut to GitHub's limit, and in full for `report.md` and the job summary."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tabulate import DataRow, TableFormat, tabulate

from mlgate.render import escape, figures, numbers
from mlgate.render.document import (
    Block,
    Code,
    Commands,
    Figure,
    IntervalBar,
    Items,
    Line,
    Link,
    Log,
    Paragraph,
    ReportView,
    Section,
    Strong,
    Table,
)
from mlgate.render.templates import Markdown, render_markdown

COMMENT_LIMIT = 65_000
"""GitHub refuses comments of more than 65,536 characters; the rest is room for the marker that finds the comment again."""
SUMMARY_LIMIT = 1_000_000
"""GitHub drops a job summary of more than 1 MiB whole."""

_FIGURES = "figures"
# What a reviewer misses least goes first. The tables that carry the answer are only cut when all of these are gone, and the notes last.
_DROP_ORDER = (
    _FIGURES,
    "plots",
    "lineage",
    "methods",
    "warnings",
    "bias",
    "reuse",
    "time",
    "changes",
    "training",
    "checks",
    "reproduce",
    "remarks",
    "screens",
    "drift",
    "contract",
    "also",
    "slices",
)
_FEW_ROWS = 20
_ALL_ROWS = 1 << 30


def comment(view: ReportView, limit: int = COMMENT_LIMIT) -> str:
    """The report in at most `limit` bytes: long tables shortened and whole sections left out, each said with a link to all of it.

    Raises:
        ValueError: the limit is too small for the verdict itself.
    """
    draft = _Draft(view)
    for count in range(len(_DROP_ORDER) + 1):
        dropped = frozenset(_DROP_ORDER[:count])
        fewest = _FEW_ROWS if count < len(_DROP_ORDER) else 0
        rows = draft.rows_that_fit(dropped, limit, fewest)
        if rows is not None:
            return draft.compose(dropped, rows)
    everything = frozenset(_DROP_ORDER)
    too_many = bisect_left(range(len(view.notes)), True, key=lambda notes: escape.size(draft.compose(everything, 0, notes)) > limit)
    if too_many == 0:
        raise ValueError(f"a report needs more than {limit} bytes")
    return draft.compose(everything, 0, too_many - 1)


def full(view: ReportView) -> str:
    """The report, uncut."""
    return _Draft(view).compose(frozenset(), _ALL_ROWS)


@dataclass
class _Draft:
    """One view being fitted; keeps what was rendered, as fitting asks for the same tables again and again."""

    view: ReportView
    _tables: dict[int, list[str]] = field(default_factory=dict)
    _others: dict[int, str] = field(default_factory=dict)

    def rows_that_fit(self, dropped: frozenset[str], limit: int, fewest: int) -> int | None:
        """How many rows of the long tables fit, all of them where possible; None where not even `fewest` do."""

        def fits(rows: int) -> bool:
            return escape.size(self.compose(dropped, rows)) <= limit

        if fits(_ALL_ROWS):
            return _ALL_ROWS
        if not fits(fewest):
            return None
        low, high = fewest, max((len(table.rows) for table in _tables_of(self.view) if table.is_cut_last), default=fewest) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def compose(self, dropped: frozenset[str], rows: int, notes: int | None = None) -> str:
        """The report without the dropped sections, with so many rows of the long tables and, where that is given, of the notes."""
        view = self.view
        kept = [section for section in view.sections if _kind(section) not in dropped]
        left_out = [section.title.split(":")[0].lower() for section in view.sections if _kind(section) in dropped]
        if notes is not None:
            left_out.append(numbers.count(len(view.notes) - notes, "note"))
        composed = render_markdown(
            "report.md.j2",
            view=view,
            because=Markdown(spans(view.answer.because)),
            notes=self._notes[:notes],
            comparison=Markdown(self._table(view.comparison, rows)) if view.comparison else None,
            caption=Markdown(spans(view.caption)) if view.caption else None,
            sections=self._sections(kept, dropped, rows),
            left_out=Markdown(escape.text(", ".join(left_out))) if left_out else None,
            whole=Markdown(self._whole()),
            footer=Markdown(spans(view.footer)),
        )
        return re.sub(r"\n{3,}", "\n\n", composed).strip() + "\n"

    @cached_property
    def _notes(self) -> list[Markdown]:
        return [Markdown(spans(note)) for note in self.view.notes]

    def _sections(self, kept: Sequence[Section], dropped: frozenset[str], rows: int) -> list[tuple[Markdown, bool, Markdown]]:
        """What is unfolded because it is why, then the rules, then the rest."""
        shown = [(self._title(section), section.is_open, Markdown(self._blocks(section, dropped, rows))) for section in kept]
        if self.view.rules:
            at = sum(section.is_open for section in kept)
            shown.insert(at, (Markdown(escape.summary(self.view.rules_title)), False, Markdown(self._table(self.view.rules, rows))))
        return shown

    def _title(self, section: Section) -> Markdown:
        return Markdown(escape.text(section.title) if section.is_open else escape.summary(section.title))

    def _blocks(self, section: Section, dropped: frozenset[str], rows: int) -> str:
        written = [self._block(block, dropped, rows) for block in section.blocks]
        return "\n\n".join(block for block in written if block)

    def _block(self, block: Block, dropped: frozenset[str], rows: int) -> str:
        if isinstance(block, Table):
            return self._table(block, rows)
        if isinstance(block, Figure) and _FIGURES in dropped:
            return ""
        if id(block) not in self._others:
            self._others[id(block)] = self._other(block)
        return self._others[id(block)]

    def _other(self, block: Paragraph | Items | Log | Commands | Figure) -> str:
        match block:
            case Paragraph(line):
                return spans(line)
            case Items(lines):
                return "\n".join(f"- {spans(line)}" for line in lines)
            case Log(text):
                return escape.block(text) if text.strip() else ""
            case Commands(lines):
                return escape.block("\n".join(lines), "sh")
            case Figure():
                return figures.figure(block, self.view.plots, self.view.picture_urls)

    def _table(self, table: Table, rows: int) -> str:
        if id(table) not in self._tables:
            self._tables[id(table)] = table_lines(table)
        lines = self._tables[id(table)]
        kept = len(table.rows)
        if table.is_cut_last and rows < kept:
            kept = rows - rows % table.rows_per_unit
        if kept == len(table.rows):
            return "\n".join(lines)
        more = numbers.count((len(table.rows) - kept) // table.rows_per_unit, f"more {table.unit}", f"more {table.unit}s")
        return "\n".join(lines[: 2 + kept]) + f"\n\n… {escape.text(more)} in {self._whole()}"

    def _whole(self) -> str:
        return escape.link("the full report", self.view.run_url) if self.view.run_url else "the full report"


def _kind(section: Section) -> str:
    """What `_DROP_ORDER` calls a section: there is one for each further baseline, `also-0`, `also-1`."""
    return "also" if section.key.startswith("also-") else section.key


def spans(line: Line) -> str:
    """Markdown of a line: every span escaped."""
    out: list[str] = []
    for index, span in enumerate(line):
        match span:
            case str():
                before, after = escape.spaces_around(span)
                out.append(before + escape.text(span, is_line_start=index == 0) + after)
            case Code(text, limit):
                out.append(escape.code(text, limit))
            case Strong(text):
                out.append(f"**{escape.text(text)}**{' ' if text.endswith(' ') else ''}")
            case Link(text, url):
                out.append(escape.link(text, url))
            case IntervalBar(text):
                out.append(f"<br>`{text}`")
    return "".join(out)


def table_lines(table: Table) -> list[str]:
    """Heading, rule and rows of a GitHub table; no cell is padded, as a comment has a limit."""
    cells = [[spans(cell) for cell in row] for row in table.rows]
    headings = [escape.text(heading) for heading in table.headings]
    return tabulate(cells, headings, tablefmt=_format(table.align), disable_numparse=True, stralign=None).split("\n")


def _format(align: str) -> TableFormat:
    def rule(_widths: Sequence[int], _aligns: Sequence[str]) -> str:
        return "|" + "|".join("--:" if side == "r" else ":--" for side in align) + "|"

    row = DataRow("|", "|", "|")
    return TableFormat(None, rule, None, None, row, row, 0, None)


def _tables_of(view: ReportView) -> list[Table]:
    of_sections = [block for section in view.sections for block in section.blocks if isinstance(block, Table)]
    return [table for table in (view.comparison, view.rules, *of_sections) if table is not None]
