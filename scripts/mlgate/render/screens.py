"""What the screens found in training data, as sections of a report: a line a clean entry, a table of findings, a table of groups."""

from __future__ import annotations

from mlgate.evidence import BiasFindings, BiasGroup, ScreenedData, ScreenFindings, ScreenItem, ValidationFindings
from mlgate.render import numbers
from mlgate.render.answer import Evidences, findings_of
from mlgate.render.document import Block, Code, Items, Line, Paragraph, Section, Table

_ITEMS_SHOWN = 50
_SENTENCE_SHOWN = 160
_MARKS = {"warned": "⚠️ ", "failed": "❌ "}
_WORDS = {"warned": " warns", "failed": " fails"}


def section(evidences: Evidences) -> Section | None:
    """Each entry in one line, then everything that was found, and what was not looked at."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    if found is None or not found.screened:
        return None
    told = [(one, screen) for one in found.screened for screen in (*one.failed, *one.warned)]
    failed = [screen for _, screen in told if screen.verdict == "failed"]
    blocks: list[Block] = [Items(tuple(_entry(one) for one in found.screened))]
    if told:
        blocks.append(_table(told, has_several=len(found.screened) > 1))
    left_out = tuple(line for one in found.screened for line in _left_out(one, has_several=len(found.screened) > 1))
    if left_out:
        blocks += [Paragraph(("Not looked for:",)), Items(left_out)]
    read = [one for one in found.screened if not one.why_not_read]
    title = (
        f"Screens: {len(failed):,} failed" + (f", {len(told) - len(failed)} to look at" if len(told) > len(failed) else "")
        if failed
        else f"Screens: {numbers.count(len(told), 'finding')} to look at"
        if told
        else f"Screens: {numbers.count(len(read), 'file')} clean"
        if read
        else "Screens: not run"
    )
    return Section("screens", title, tuple(blocks), is_open=bool(failed))


def bias(evidences: Evidences) -> Section | None:
    """Groups of the protected columns: rows and label rates, now and in what they are compared with."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    shown = [(one, groups) for one in (found.screened if found else []) for groups in one.bias]
    if not shown:
        return None
    blocks: list[Block] = []
    for one, groups in shown:
        where: Line = (Code(one.train), ", by ", *_columns(groups))
        rest = f"; {groups.groups_in_all:,} groups, the largest and the smallest shown" if groups.groups_in_all > len(groups.groups) else ""
        against = f"; in brackets: {groups.compared_with}" if groups.compared_with else ""
        blocks += [Paragraph((*where, f"{against}{rest}")), _groups(groups)]
    smallest = min((groups for _, groups in shown if groups.smallest is not None), key=lambda groups: groups.smallest_rows, default=None)
    title = "Groups in the data"
    if smallest is not None:
        title += f": the smallest, {smallest.smallest}, has {numbers.count(smallest.smallest_rows, 'row')}"
    return Section("bias", title, tuple(blocks))


def notes(evidences: Evidences) -> list[Line]:
    """What let the data pass and should be looked at."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    if found is None or found.has_failed_screen:
        return []
    lines: list[Line] = []
    for one in found.screened:
        if one.warned:
            told = [span for screen in one.warned for span in ("; ", Code(screen.name), f": {_shortened(screen.sentence)}")][1:]
            lines.append(("Found in ", Code(one.train), ", to look at: ", *told, "."))
        if one.why_not_read:
            lines.append((Code(one.train), f" was not screened: {one.why_not_read}."))
    return lines


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= _SENTENCE_SHOWN else sentence[: _SENTENCE_SHOWN - 1] + "…"


def _columns(groups: BiasFindings) -> Line:
    first, *others = groups.columns
    return (Code(first), *(span for other in others for span in (" and ", Code(other))))


def _entry(one: ScreenedData) -> Line:
    run = [screen for screen in one.screens if screen.verdict != "not run"]
    clean = sum(screen.verdict == "clean" for screen in run)
    mark = "❌ " if one.failed else "⚠️ " if one.warned else "✅ "
    beside: Line = (" beside ", Code(one.holdout)) if one.holdout else ()
    if one.why_not_read:
        return ("❌ " if one.failed else "⚠️ ", Code(one.train), *beside, f": not looked at: {one.why_not_read}")
    rows = f"{numbers.count(one.rows, 'row')}, {numbers.duration(one.duration_s)}"
    said = f"{numbers.count(clean, 'screen')} clean" if clean == len(run) else f"{clean:,} of {numbers.count(len(run), 'screen')} clean"
    return (mark, Code(one.train), *beside, f": {said}; {rows}")


def _table(told: list[tuple[ScreenedData, ScreenFindings]], *, has_several: bool) -> Table:
    rows: list[tuple[Line, ...]] = []
    for one, screen in told:
        for item in screen.items[:_ITEMS_SHOWN]:
            data: tuple[Line, ...] = ((Code(one.train),),) if has_several else ()
            rows.append((*data, (_MARKS[screen.verdict], Code(screen.name), _WORDS[screen.verdict]), *_cells(item)))
    headings = (*(("Data",) if has_several else ()), "Screen", "Where", "What", "Rows", "Row numbers")
    return Table(headings, "l" * (len(headings) - 2) + "rl", tuple(rows), unit="finding", is_cut_last=True)


def _cells(item: ScreenItem) -> tuple[Line, ...]:
    where: Line = (Code(item.where),) if item.where is not None else ("whole table",)
    samples: Line = (": ", Code(", ".join(item.samples), 120)) if item.samples else ()
    listed = ", ".join(map(str, item.row_numbers))
    more = ", …" if item.rows > len(item.row_numbers) and listed else ""
    return (where, (item.what, *samples), (f"{item.rows:,}" if item.rows else numbers.NONE,), (f"{listed}{more}",))


def _left_out(one: ScreenedData, *, has_several: bool) -> list[Line]:
    """Screens that were asked for and could not run, by their reason; those that are off."""
    reasons: dict[str, list[str]] = {}
    for screen in one.screens:
        if screen.verdict == "not run" and screen.sentence != one.why_not_read:
            reasons.setdefault(screen.sentence, []).append(screen.name)
    start: Line = (Code(one.train), ": ") if has_several else ()
    lines: list[Line] = []
    for reason, names in reasons.items():
        spans: list[str | Code] = []
        for name in names:
            spans += [", ", Code(name)] if spans else [Code(name)]
        lines.append((*start, *spans, f": {reason}"))
    return [*lines, *([(*start, one.note)] if one.note else [])]


def _groups(groups: BiasFindings) -> Table:
    is_mean = groups.labels == ["mean"]
    headings = ("Group", "Rows", "Share", *("Mean label" if is_mean else f"Label {label}" for label in groups.labels))
    rows = tuple(_group(one, is_mean=is_mean) for one in groups.groups)
    return Table(headings, "lrr" + "r" * len(groups.labels), rows, unit="group", is_cut_last=True)


def _group(one: BiasGroup, *, is_mean: bool) -> tuple[Line, ...]:
    def shown(value: float | None) -> str:
        return numbers.NONE if value is None else f"{value:.4g}" if is_mean else numbers.share(value)

    def both(now: float | None, was: float | None) -> Line:
        return (shown(now) if was is None else f"{shown(now)} ({shown(was)})",)

    earlier = [*one.earlier_rates, *[None] * len(one.rates)][: len(one.rates)]
    share = numbers.share(one.share) + (f" ({numbers.share(one.earlier_share)})" if one.earlier_share is not None else "")
    return ((Code(one.group),), (f"{one.rows:,}",), (share,), *(both(now, was) for now, was in zip(one.rates, earlier, strict=True)))
