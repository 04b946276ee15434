"""The section on drift: what data was held against, and how the columns that drifted look before and now."""

from __future__ import annotations

from mlgate.evidence import ColumnDrift, DriftFindings, ValidationFindings
from mlgate.render import numbers
from mlgate.render.answer import Evidences, findings_of
from mlgate.render.document import Block, Code, Figure, Items, Line, Section, Shift, Shifts, Span, Table

_DRAWN, _NAMED = 12, 5
_WORDS_IN_NOTE = 60


def section(evidences: Evidences) -> Section | None:
    """One line an entry, then the drifted columns, with a picture of each."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    if found is None or not found.drift:
        return None
    blocks: list[Block] = [Items(tuple(line for one in found.drift for line in _entry(one)))]
    told = [one for one in found.drift if one.drifted]
    for one in told:
        at = found.drift.index(one)
        blocks.append(_table(one, with_data=len(told) > 1))
        shifts = tuple(_shift(column) for column in one.drifted[:_DRAWN] if column.bins)
        if shifts:
            blocks.append(
                Figure(
                    f"drift-{at}",
                    f"Before and now: {one.data}",
                    "Share of the rows in each bin, before and now. Numbers are cut at the deciles they had before.",
                    Shifts(shifts),
                )
            )
    is_failed = any(_is_failed(one) for one in found.drift)
    return Section("drift", _title(found.drift), tuple(blocks), is_open=is_failed)


def notes(evidences: Evidences) -> list[Line]:
    """What a reviewer must not miss: data with an alert, the columns it is about, and what became of them."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    lines: list[Line] = []
    for one in found.drift if found else []:
        if one.verdict != "alert":
            continue
        alerts = [column for column in one.drifted if column.verdict == "alert"]
        names: list[Span] = []
        for column in alerts[:_NAMED]:
            what = _what(column)
            names += [*([", "] if names else []), Code(column.name), f" ({what})" if 0 < len(what) <= _WORDS_IN_NOTE else ""]
        more = f" and {len(alerts) - _NAMED:,} more" if len(alerts) > _NAMED else ""
        where: Line = (*names, more) if alerts else ("its columns together",)
        lines.append(("The data drifted: ", Code(one.data), " in ", *where, ". Before and now stand under “Drift”."))
    return lines


def _title(findings: list[DriftFindings]) -> str:
    many = sum(len(one.drifted) for one in findings)
    alerts = sum(column.verdict == "alert" for one in findings for column in one.columns)
    if many:
        return f"Drift: {numbers.count(many, 'column')}" + (f", {numbers.count(alerts, 'alert')}" if alerts else "")
    if any(one.verdict in ("alert", "warn") for one in findings):
        return "Drift"
    compared = sum(one.verdict in ("stable", "unchanged") for one in findings)
    return "Drift: none" if compared == len(findings) else f"Drift: {len(findings) - compared:,} of {len(findings):,} not compared"


def _is_failed(one: DriftFindings) -> bool:
    return one.verdict == "alert" and one.level == "fail"


def _entry(one: DriftFindings) -> list[Line]:
    about: Line = (Code(one.data), " against ", *_against(one))
    note: Line = (f"; {one.note}",) if one.note else ()
    match one.verdict:
        case "unchanged":
            return [("✅ ", *about, ": unchanged, the very same data")]
        case "not compared":
            return [("⚠️ ", *about, f": not compared: {one.note}")]
        case "too little data":
            return [("⚠️ ", *about, f": too little data, {_rows(one)}", *note)]
        case "stable":
            return [("✅ ", *about, f": no drift in {numbers.count(len(one.columns), 'column')}, {_rows(one)}", *note)]
    mark = "❌ " if _is_failed(one) else "⚠️ "
    drifted = numbers.count(len(one.drifted), "column")
    lines: list[Line] = [(mark, *about, f": drift in {drifted} of {len(one.columns):,}, {_rows(one)}", *note)]
    if one.rows_words:
        lines.append((mark, Code(one.data), f": {one.rows_words}"))
    together = one.multivariate
    if together is not None and together.verdict != "stable":
        names: list[Span] = []
        for name in together.columns:
            names += [", ", Code(name)] if names else [", by ", Code(name)]
        how = f"AUC {together.auc:.3f}, at least {together.low:.3f}, of {numbers.count(together.rows, 'row')} a side"
        lines.append((mark, Code(one.data), ": a classifier tells new rows from old ones", *names, f" ({how})"))
    return lines


def _against(one: DriftFindings) -> Line:
    words, _, last = one.against.rpartition(" ")
    # a path, or a commit; of `the champion` both are words
    name: Span = last if last in ("champion", "base") else Code(last)
    from_where = f" ({one.source})" if one.source and one.source != "file" else ""
    return (f"{words} " if words else "", name, from_where)


def _rows(one: DriftFindings) -> str:
    if one.rows is None or one.reference_rows is None:
        return ""
    return f"{one.reference_rows:,} → {numbers.count(one.rows, 'row')}"


def _table(one: DriftFindings, *, with_data: bool) -> Table:
    rows: list[tuple[Line, ...]] = []
    for column in one.drifted:
        data: tuple[Line, ...] = ((Code(one.data),),) if with_data else ()
        mark = "" if column.verdict == "warn" else "❌ alert: " if one.level == "fail" else "⚠️ alert: "
        name: Line = (mark, "label " if column.is_label else "", Code(column.name))
        rows.append((*data, name, (_index(column.psi),), (_index(column.by_chance),), (_what(column),)))
    headings = (*(("Data",) if with_data else ()), "Column", "PSI", "By chance at most", "What changed")
    return Table(headings, "l" * (len(headings) - 3) + "rrl", tuple(rows), unit="drifted column", is_cut_last=True)


def _what(column: ColumnDrift) -> str:
    """What is told of it beside the index, which stands in columns of its own."""
    told = list(column.remarks)
    if not told and column.bins:
        told = [_largest_move(column)]
    return ", ".join(told).replace(" -> ", " → ")


def _largest_move(column: ColumnDrift) -> str:
    before, now = (max(1, sum(one.reference for one in column.bins)), max(1, sum(one.current for one in column.bins)))
    moved = max(column.bins, key=lambda one: abs(one.current / now - one.reference / before))
    label = moved.label if moved.label is not None else "a rare value"
    return f"{label}: {numbers.share(moved.reference / before)} -> {numbers.share(moved.current / now)}"


def _index(value: float | None) -> str:
    return numbers.NONE if value is None else f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"


def _shift(column: ColumnDrift) -> Shift:
    before, now = (max(1, sum(one.reference for one in column.bins)), max(1, sum(one.current for one in column.bins)))
    return Shift(
        column.name,
        tuple(one.label if one.label is not None else "a rare value" for one in column.bins),
        tuple(one.reference / before for one in column.bins),
        tuple(one.current / now for one in column.bins),
    )
