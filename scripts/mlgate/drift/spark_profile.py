"""A table's profile, made by Spark: the same cells and counts as `profile.of_table` gives, to the last digit; mean and spread to rounding.

Three passes over the table, whatever it has of columns: the extremes, which say how wide cells are; the cells; the frequent categories.
What leaves the cluster is what a profile keeps, and at most MAX_SPAN cells a column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.drift import cells, profile
from mlgate.drift.cells import Cells
from mlgate.drift.profile import NAMED_ROWS, NAMED_SHARE, Column, Kind, Profile
from mlgate.errors import InputError
from mlgate.tables.spark import SparkTable, identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_INFINITY = "CAST('Infinity' AS DOUBLE)"
_SMALLEST_NORMAL = "2.2250738585072014E-308D"
_MOST_SQUARED = 1e150
"""As `profile.of_numbers`: the squares of larger numbers are no float."""


@dataclass(frozen=True)
class _Asked:
    """A column and its place: names of a user's are nothing to build queries of."""

    index: int
    name: str
    kind: Kind

    @property
    def cell(self) -> str:
        return f"c{self.index}"

    @property
    def is_counted(self) -> bool:
        return self.kind in ("number", "time", "category")


def of_table(table: SparkTable, columns: Sequence[str] | None = None, leave_out: Iterable[str] = ()) -> Profile:
    """The profile of a table.

    Args:
        table: as `tables.spark.scan` opens it. Times are told apart to the microsecond, where Polars knows nanoseconds.
        columns: those to look at; all, where left out.
        leave_out: none of these.

    Raises:
        InputError: it has no such column, or what lies behind it cannot be read.
        InfrastructureError: the cluster went away.
    """
    dtypes = dict(table.frame.dtypes)
    if unknown := [name for name in columns or () if name not in dtypes]:
        from mlgate.mistakes import did_you_mean

        raise InputError(f"{table.name}: no column '{unknown[0]}'{did_you_mean(unknown[0], list(dtypes))}")
    omitted = set(leave_out)
    chosen = [name for name in (columns if columns is not None else dtypes) if name not in omitted]
    asked = [_Asked(index, name, _kind(dtypes[name])) for index, name in enumerate(dict.fromkeys(chosen))]
    base = table.frame.selectExpr(*(f"{_value(each, dtypes[each.name])} AS {each.cell}" for each in asked))
    return table.spark.ask(lambda: _profile(base if asked else table.frame, asked), table.name)


def _profile(base: DataFrame, asked: list[_Asked]) -> Profile:
    found = base.selectExpr("count(*) AS total", *(text for each in asked for text in _summaries(each))).first()
    summary: dict[str, Any] = found.asDict() if found is not None else {}
    rows = int(summary["total"])
    counted = [each for each in asked if each.is_counted and summary[f"n{each.index}"]]
    levels = {each.index: _level(each, summary) for each in counted}
    filled = _filled(base, counted, levels)
    often = _often(base, [each for each in counted if each.kind == "category"], rows)
    return Profile(
        rows, {each.name: _column(each, rows, summary, filled.get(each.index, cells.EMPTY), often.get(each.index, {})) for each in asked}
    )


def _kind(dtype: str) -> Kind:
    match dtype.split("(")[0]:
        case "tinyint" | "smallint" | "int" | "bigint" | "float" | "double" | "decimal":
            return "number"
        case "date" | "timestamp" | "timestamp_ntz" | "time":
            return "time"
        case "string" | "boolean" | "varchar" | "char":
            return "category"
        case "void":
            return "empty"
    return "other"


def _value(asked: _Asked, dtype: str) -> str:
    """A column as a profile counts it: numbers as they are, times in seconds, categories as text, of others whether there is something."""
    cell = identifier(asked.name)
    match asked.kind:
        case "number":
            return f"nullif(CAST({cell} AS DOUBLE), CAST('NaN' AS DOUBLE))"
        case "time" if dtype == "date":
            return f"CAST(unix_date({cell}) AS DOUBLE) * 86400D"
        case "time" if dtype.startswith("timestamp"):
            return f"CAST(unix_micros(CAST({cell} AS TIMESTAMP)) AS DOUBLE) / 1000000D"
        case "time":
            return f"hour({cell}) * 3600D + minute({cell}) * 60D + CAST(extract(SECOND FROM {cell}) AS DOUBLE)"
        case "category":
            return f"CAST({cell} AS STRING)"
    return f"CASE WHEN {cell} IS NOT NULL THEN true END"


def _summaries(asked: _Asked) -> list[str]:
    cell, index = asked.cell, asked.index
    there = [f"count({cell}) AS n{index}"]
    match asked.kind:
        case "number" | "time":
            finite = f"CASE WHEN abs({cell}) < {_INFINITY} THEN {cell} END"
            return [
                *there,
                f"min({cell}) AS low{index}",
                f"max({cell}) AS high{index}",
                f"count({finite}) AS f{index}",
                f"min({finite}) AS least{index}",
                f"max({finite}) AS most{index}",
                f"avg({cell}) AS mean{index}",
                f"var_pop({cell}) AS spread{index}",
            ]
        case "category":
            return [*there, f"min(crc32({cell})) AS low{index}", f"max(crc32({cell})) AS high{index}"]
    return there


def _level(asked: _Asked, summary: dict[str, Any]) -> int:
    """The finest level that the extremes allow; how many cells are filled decides on a coarser one, here."""
    ends = [summary[f"low{asked.index}"], summary[f"high{asked.index}"]]
    if asked.kind == "category":
        keys = np.unique(np.array(ends, dtype=np.int64))
        return cells.merge([Cells(0, keys, np.ones(len(keys), dtype=np.int64))]).level
    return cells.of_numbers(np.array(ends, dtype=np.float64)).level


def _filled(base: DataFrame, asked: list[_Asked], levels: dict[int, int]) -> dict[int, Cells]:
    if not asked:
        return {}
    addressed = _addressed(base, asked)
    keys = ", ".join(f"struct({each.index} AS place, shiftright(a{each.index}, {levels[each.index]}) AS cell)" for each in asked)
    counts = addressed.selectExpr(f"inline(array({keys}))").where("cell IS NOT NULL").groupBy("place", "cell").count().collect()
    gathered: dict[int, list[tuple[int, int]]] = {}
    for place, cell, count in counts:
        gathered.setdefault(place, []).append((cell, count))
    return {place: _cells(levels[place], sorted(pairs)) for place, pairs in gathered.items()}


def _cells(level: int, pairs: list[tuple[int, int]]) -> Cells:
    both = np.array(pairs, dtype=np.int64)
    return Cells(level, both[:, 0], both[:, 1])


def _addressed(base: DataFrame, asked: list[_Asked]) -> DataFrame:
    """Each value's address as `cells.addresses_of` and `cells.category_hash` have it.

    SQL has no way to a number's bits, but to what they say: the power of two below it and what it has above that, both exact (of whole
    arguments, Java's `pow` is, where the result is a double). The logarithm only guesses the power, one too many or too few at its ends.
    """
    numbers = [each for each in asked if each.kind != "category"]
    categories = [f"crc32({each.cell}) AS a{each.index}" for each in asked if each.kind == "category"]
    guessed = base.selectExpr(
        *categories,
        *(each.cell for each in numbers),
        *(f"abs({each.cell}) AS x{each.index}" for each in numbers),
        *(f"least(greatest(floor(log2(abs({each.cell}))), -1022L), 1023L) AS g{each.index}" for each in numbers),
    )
    kept = [f"a{each.index}" for each in asked if each.kind == "category"]
    powers = guessed.selectExpr(
        *kept,
        *(each.cell for each in numbers),
        *(f"x{each.index}" for each in numbers),
        *(_power(f"x{each.index}", f"g{each.index}", f"e{each.index}") for each in numbers),
    )
    return powers.selectExpr(*kept, *(_address(each.cell, f"x{each.index}", f"e{each.index}", f"a{each.index}") for each in numbers))


def _power(size: str, guess: str, name: str) -> str:
    is_above = f"pow(2D, {guess}) > {size}"
    is_below = f"pow(2D, {guess} + 1L) <= {size}"
    return f"CASE WHEN {is_above} THEN {guess} - 1L WHEN {is_below} THEN {guess} + 1L ELSE {guess} END AS {name}"


def _address(cell: str, size: str, power: str, name: str) -> str:
    bits = (
        f"CASE WHEN {size} = {_INFINITY} THEN 2047L * 4503599627370496L "
        f"WHEN {size} < {_SMALLEST_NORMAL} THEN CAST({size} / 4.9E-324D AS BIGINT) "
        f"ELSE ({power} + 1023L) * 4503599627370496L + CAST(({size} / pow(2D, {power}) - 1D) * 4503599627370496D AS BIGINT) END"
    )
    return f"CASE WHEN {cell} IS NULL THEN NULL WHEN {cell} < 0D THEN -1L - ({bits}) ELSE {bits} END AS {name}"


def _often(base: DataFrame, asked: list[_Asked], rows: int) -> dict[int, dict[str, int]]:
    """The categories that may be named: at most 1,000 of a column are frequent enough."""
    if not asked:
        return {}
    enough = math.ceil(max(NAMED_ROWS, NAMED_SHARE * rows))
    values = ", ".join(f"struct({each.index} AS place, {each.cell} AS value)" for each in asked)
    counts = base.selectExpr(f"inline(array({values}))").where("value IS NOT NULL").groupBy("place", "value").count()
    found: dict[int, dict[str, int]] = {}
    for place, value, count in counts.where(f"count >= {enough}").collect():
        found.setdefault(place, {})[value] = count
    return found


def _column(asked: _Asked, rows: int, summary: dict[str, Any], counted: Cells, often: dict[str, int]) -> Column:
    index = asked.index
    nulls = rows - int(summary[f"n{index}"])
    column = Column(asked.name, asked.kind, rows, nulls, counted)
    if asked.kind in ("number", "time") and summary[f"f{index}"]:
        low, high = float(summary[f"least{index}"]), float(summary[f"most{index}"])
        column = replace(column, minimum=low, maximum=high)
        if summary[f"f{index}"] == summary[f"n{index}"] and max(-low, high) < _MOST_SQUARED:
            column = replace(column, mean=float(summary[f"mean{index}"]), squares=float(summary[f"spread{index}"]) * (rows - nulls))
    whole = profile.merge_columns([column])
    return replace(whole, names=profile.named(often, rows)) if often else whole
