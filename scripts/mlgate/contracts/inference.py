"""A first contract from data, for a person to edit: what each column holds now, with some room, in the short form and with its reasons.

Two passes over the data: of all columns what is cheap, then of a few columns what takes a closer look.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import yaml

from mlgate.config.expressions import Kind
from mlgate.contracts import expressions_in_polars, patterns
from mlgate.contracts.polars_rules import read_as
from mlgate.errors import InputError
from mlgate.tables.scan import collected
from mlgate.tables.table import Table

if TYPE_CHECKING:
    import polars as pl

MOST_VALUES = 20
"""How many distinct values are a list of categories."""
_ROWS_A_VALUE = 10
"""How often a category occurs on average, so that the next data brings no new one by chance."""
_ROOM = 0.1
"""Of the span of what was seen, added at either end."""
_PATTERNS = {
    "an e-mail address": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "a UUID": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "a web address": r"https?://\S+",
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class _Seen:
    """What one pass says of a column."""

    name: str
    kind: Kind | None
    missing: int
    low: Any = None
    high: Any = None
    distinct: int = 0
    """About."""
    pattern: str | None = None
    """Which of `_PATTERNS` every cell matches."""
    is_dated: bool = False
    """Whether every cell is text that begins with a date, in a file that has no dates."""


@dataclass(frozen=True)
class Proposal:
    """Rules of one column as mlgate.yaml has them, and what they rest on."""

    name: str
    settings: dict[str, Any]
    reason: str


def infer(table: Table) -> str:
    """A contract that the data keeps, as YAML to paste under `data.contracts`.

    Args:
        table: the data.

    Raises:
        InputError: it cannot be read, or has no rows.
    """
    rows, seen = _look(table)
    seen, values, unique = _look_closer(table, rows, seen)
    proposals = [_proposed(each, rows, values.get(each.name), is_unique=each.name in unique) for each in seen]
    return _written(table.name, rows, proposals)


# --- looking ---------------------------------------------------------------------------------------------------------


def _look(table: Table) -> tuple[int, list[_Seen]]:
    """Every column in one pass: missing cells, least and greatest, about how many values, known patterns."""
    import polars as pl

    schema = table.frame.collect_schema()
    kinds = {name: _kind(dtype) for name, dtype in schema.items()}
    asked = [pl.len().alias("rows")]
    for index, (name, dtype) in enumerate(schema.items()):
        cells = expressions_in_polars.cells(name)
        asked.append(cells.null_count().alias(f"missing {index}"))
        if kinds[name] is None:
            continue
        asked.append(cells.approx_n_unique().alias(f"distinct {index}"))
        if kinds[name] == "string":
            text = cells.cast(pl.String)
            length = text.str.len_chars()
            asked += [length.min().alias(f"low {index}"), length.max().alias(f"high {index}")]
            asked += [
                patterns.matching(text, pattern, "whole").all().alias(f"pattern {index} {what}") for what, pattern in _PATTERNS.items()
            ]
            if dtype == pl.String and table.format in ("csv", "jsonl"):
                asked.append(cells.str.contains(r"^\s*\d{4}-\d{2}-\d{2}").all().alias(f"dated {index}"))
        elif kinds[name] != "boolean":
            asked += [cells.min().alias(f"low {index}"), cells.max().alias(f"high {index}")]
    (answered,) = collected(table.name, [table.frame.select(asked)])
    answers = _only_row(table, answered)
    rows = int(answers["rows"])
    if not rows:
        raise InputError(f"{table.name}: the table has no rows; expected at least one")
    return rows, [_seen(name, kinds[name], index, rows, answers) for index, name in enumerate(schema)]


def _only_row(table: Table, answered: pl.DataFrame) -> dict[str, Any]:
    try:
        return answered.row(0, named=True)
    except (OverflowError, ValueError):  # of datetime's
        raise InputError(f"{table.name}: holds times before the year 1 or after 9999; are they meant?") from None


def _kind(dtype: pl.DataType) -> Kind | None:
    try:
        return expressions_in_polars.kind_of(dtype)
    except TypeError:
        return None


def _seen(name: str, kind: Kind | None, index: int, rows: int, answers: dict[str, Any]) -> _Seen:
    missing = int(answers[f"missing {index}"])
    if kind is None or missing == rows:
        return _Seen(name, kind, missing)
    low, high = answers.get(f"low {index}"), answers.get(f"high {index}")
    pattern = next((what for what in _PATTERNS if answers.get(f"pattern {index} {what}")), None)
    is_dated = bool(answers.get(f"dated {index}"))
    return _Seen(name, kind, missing, low, high, int(answers[f"distinct {index}"]), pattern, is_dated)


def _look_closer(table: Table, rows: int, seen: list[_Seen]) -> tuple[list[_Seen], dict[str, list[Any]], set[str]]:
    """The columns once more, text that is dates as such; values of those that have few; names of those whose values are all different."""
    asked = []
    for each in seen:
        cells = expressions_in_polars.cells(each.name)
        if each.is_dated:
            moments = read_as(cells, "datetime")
            asked += [read_as(cells, "date").count().alias(f"date {each.name}"), moments.count().alias(f"datetime {each.name}")]
            asked += [moments.min().alias(f"first {each.name}"), moments.max().alias(f"last {each.name}")]
        if each.kind in ("string", "integer") and 0 < each.distinct <= 2 * MOST_VALUES and rows >= _ROWS_A_VALUE:
            # A few more than may be listed, so that too many of them show.
            asked.append(cells.drop_nulls().unique().sort().head(MOST_VALUES + 1).implode().alias(f"values {each.name}"))
        if each.kind in ("string", "integer") and not each.missing and each.distinct >= 0.9 * rows and rows > 1:
            asked.append(cells.n_unique().alias(f"unique {each.name}"))
    if not asked:
        return seen, {}, set()
    (answered,) = collected(table.name, [table.frame.select(asked)])
    answers = _only_row(table, answered)
    values = {name.removeprefix("values "): list(found) for name, found in answers.items() if name.startswith("values ")}
    few = {name: found for name, found in values.items() if len(found) <= min(MOST_VALUES, rows // _ROWS_A_VALUE)}
    unique = {name.removeprefix("unique ") for name, count in answers.items() if name.startswith("unique ") and count == rows}
    return [_as_dates(each, rows, answers) if each.is_dated else each for each in seen], few, unique


def _as_dates(seen: _Seen, rows: int, answers: dict[str, Any]) -> _Seen:
    """A column of text as dates or times, where every cell is one."""
    kinds: tuple[Kind, ...] = ("date", "datetime")
    for kind in kinds:
        if answers[f"{kind} {seen.name}"] == rows - seen.missing:
            return replace(seen, kind=kind, low=answers[f"first {seen.name}"], high=answers[f"last {seen.name}"])
    return seen


# --- proposing -------------------------------------------------------------------------------------------------------


def _proposed(seen: _Seen, rows: int, values: list[Any] | None, *, is_unique: bool) -> Proposal:
    settings: dict[str, Any] = {}
    reasons = []
    if seen.missing == rows:
        return Proposal(seen.name, {"nullable": True}, "every cell is missing: is it needed?")
    if seen.kind is None:
        reasons.append("of a type that the short form has no rules for")
    else:
        settings["type"] = seen.kind
    if is_unique:
        settings["unique"] = True
        reasons.append("no value twice: an id?")
    if values is not None and not is_unique and seen.kind in ("string", "integer"):
        settings["in"] = values
        reasons.append("the values seen" if len(values) > 1 else "one value only: is it needed?")
    elif seen.pattern is not None and seen.kind == "string":
        settings["pattern"] = _PATTERNS[seen.pattern]
        reasons.append(f"each looks like {seen.pattern}")
    elif seen.kind == "string":
        settings["length"] = [seen.low and 1, _round_up(1.5 * seen.high) if seen.high else 0]
        span = f"{seen.low:,}" if seen.low == seen.high else f"{seen.low:,} to {seen.high:,}"
        reasons.append(f"{span} characters seen")
    elif not is_unique:
        _propose_range(seen, settings, reasons)
    if seen.missing:
        settings["nullable"] = True
        reasons.append(f"{100 * seen.missing / rows:.2g} % missing")
    return Proposal(seen.name, settings, "; ".join(reasons))


def _propose_range(seen: _Seen, settings: dict[str, Any], reasons: list[str]) -> None:
    match seen.low, seen.high:
        case (int() | float() as low, int() | float() as high) if seen.kind == "integer" and not isinstance(low, bool):
            settings["range"] = list(_widened_whole(int(low), int(high)))
            reasons.append(f"{low} to {high} seen, and a tenth more")
        case (date() as low, date() as high) if seen.kind in ("date", "datetime"):
            settings["range"] = [_day(low), None]
            reasons.append(f"{_day(low)} to {_day(high)} seen; is the newest to be `fresh`?")
        case _ if seen.kind == "number":
            low, high = float(seen.low), float(seen.high)
            if math.isfinite(low) and math.isfinite(high):
                settings["range"] = list(_widened(low, high))
                reasons.append(f"{low:.6g} to {high:.6g} seen, and a tenth more")
            else:
                reasons.append("infinite values seen: are they meant?")


def _day(moment: date | datetime) -> str:
    return moment.date().isoformat() if isinstance(moment, datetime) else moment.isoformat()


def _widened(low: float, high: float) -> tuple[float, float]:
    """Both ends with some room, outwards to two digits of the span; what was never negative stays so."""
    span = high - low or abs(high) or 1
    if not math.isfinite(span):
        return low, high
    unit = 10.0 ** (math.floor(math.log10(span)) - 1)
    if not 1e-300 < unit < 1e300:
        return low, high
    least, most = (_multiple(low - _ROOM * span, unit, math.floor), _multiple(high + _ROOM * span, unit, math.ceil))
    least = max(least, 0) if low >= 0 else least
    most = min(most, 0) if high <= 0 and low < 0 else most
    return min(low, least), max(high, most)  # rounding must not cut off what was seen


def with_room(low: float, high: float) -> tuple[str, str]:
    """Both ends of what was seen, a tenth of the span outwards, as YAML has them: whole numbers stay whole."""
    least, most = _widened_whole(low, high) if isinstance(low, int) and isinstance(high, int) else _widened(low, high)
    return _value(least), _value(most)


def _widened_whole(low: int, high: int) -> tuple[int, int]:
    """The same of whole numbers, however large."""
    span = high - low or abs(high) or 1
    room, unit = math.ceil(_ROOM * span), 10 ** max(len(str(span)) - 2, 0)
    least, most = (low - room) // unit * unit, -(-(high + room) // unit) * unit
    return max(least, 0) if low >= 0 else least, min(most, 0) if high <= 0 and low < 0 else most


def _multiple(value: float, unit: float, rounding: Any) -> float:
    """The multiple of a power of ten, without the digits of floating point behind it."""
    digits = -round(math.log10(unit))
    return float(round(rounding(round(value / unit, 6)) * unit, digits))


def _round_up(value: float) -> int:
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0) if value >= 1 else 1
    return math.ceil(value / unit) * unit


# --- writing ---------------------------------------------------------------------------------------------------------


def _written(name: str, rows: int, proposals: list[Proposal]) -> str:
    low, high = max(rows // 2, 1), 2 * rows
    lines = [
        "# Paste it under data.contracts of mlgate.yaml, then read it line by line: it says what the data is, not what it should be.",
        "# What no data says by itself: references, fresh, expressions, other_columns: refuse.",
        f"- data: {scalar(name)}",
        "  columns:",
    ]
    for each in proposals:
        rules = ", ".join(f"{key}: {_value(value)}" for key, value in each.settings.items())
        lines.append(f"    {scalar(each.name)}: {{{rules}}}" + (f" # {each.reason}" if each.reason else ""))
    lines.append(f"  rows: [{low}, {high}] # {rows:,} seen; half to twice as many")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case int():
            return str(value)
        case float():
            return _yaml_number(value)
        case _:
            return scalar(str(value))


def _yaml_number(value: float) -> str:
    """YAML 1.1 takes `1e-05` for text: a number has a point and a sign."""
    text = repr(value)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    return f"{digits if '.' in digits else f'{digits}.0'}e{exponent if exponent[0] in '+-' else f'+{exponent}'}"


def scalar(text: str) -> str:
    """A text as YAML takes it for one: in quotes, unless it can be nothing else."""
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text and text.lower() not in ("y", "n"):
        return text
    # What is not printable, a line's direction among it, is escaped: the text goes to a terminal.
    return yaml.dump(text, default_style='"', width=math.inf, allow_unicode=text.isprintable()).rstrip("\n")
