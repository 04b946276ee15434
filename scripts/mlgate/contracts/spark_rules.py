"""One rule of a contract in Spark's SQL. What its schema says, and what counts mean, is `polars_rules`' to tell; here is how to count."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mlgate.config import expressions
from mlgate.config.expressions import instant, moment_of
from mlgate.contracts import pandas_types, polars_rules
from mlgate.contracts.expressions_in_polars import kind_of
from mlgate.contracts.expressions_in_spark import broken_rows, moment_literal
from mlgate.contracts.model import (
    Contract,
    Fresh,
    Holds,
    InRange,
    Matches,
    NoneOf,
    NotNull,
    OfColumn,
    OfDtype,
    OfKind,
    OfLength,
    OneOf,
    Rule,
    Scalar,
)
from mlgate.contracts.patterns_in_java import java_pattern
from mlgate.contracts.polars_rules import as_float, whole_ends
from mlgate.tables.spark import literal

if TYPE_CHECKING:
    import polars as pl

_INFINITY = "CAST('Infinity' AS DOUBLE)"
_ALL_WHOLE = "4503599627370496D"
"""From here on a double has no digits behind its point."""
_BLANKS = " \\t\\r\\n"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_ENDLESS = r"^[+-]?(?i:inf|infinity)$"
_DATE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_NAIVE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?\z"
_ZONED = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})\z"


@dataclass(frozen=True)
class Compiled:
    """A rule, ready for the pass."""

    meaning: polars_rules.Compiled
    aggregates: tuple[str, ...]
    """One for each of `meaning.aggregates`."""
    mask: str | None
    """Rows that break the rule; never null."""


class Compiler:
    """Translates the rules of a contract over one table's columns.

    Args:
        schema: of the table, as Polars would read it.
        table_format: csv, parquet or jsonl.
        mixed: columns in which text stands beside other things, here all as text.
        contract: the rules.
        now: when the contract is run.
    """

    def __init__(
        self, schema: Mapping[str, pl.DataType], table_format: str, mixed: frozenset[str], contract: Contract, now: datetime
    ) -> None:
        self.schema = schema
        self.format = table_format
        self.polars = polars_rules.Compiler(schema, table_format, mixed, contract, now)
        self.places = {name: f"c{index}" for index, name in enumerate(schema)}

    def compile(self, rule: Rule) -> Compiled:
        """What to count for a rule; nothing where its column is absent."""
        meaning = self.polars.compile(rule)
        aggregates = self._aggregates(rule) if meaning.aggregates else ()
        if len(aggregates) < len(meaning.aggregates):
            raise TypeError(f"no translation of what {type(rule).__name__} counts")
        return Compiled(meaning, aggregates[: len(meaning.aggregates)], self._mask(rule) if meaning.mask is not None else None)

    def raw(self, column: str) -> str:
        return self.places[column]

    def cells(self, column: str) -> str:
        """A column as its rules see it, as `polars_rules.Compiler.cells`."""
        import polars as pl

        kind = self.polars.kinds.get(column)
        if kind is None or kind == "string" or self.schema[column] != pl.String:
            return self.raw(column)
        if kind in ("date", "datetime") and self.format not in ("csv", "jsonl"):
            return self.raw(column)
        return read_as(self.raw(column), kind)

    def _aggregates(self, rule: Rule) -> tuple[str, ...]:
        match rule:
            case OfKind():
                return f"count({self.raw(rule.column)})", f"count({self.cells(rule.column)})"
            case Fresh():
                return (f"max({self._moments(rule.column)})",)
            case OfColumn():
                return (f"count_if({self.raw(rule.column)} IS NULL)",)
        return ()

    def _moments(self, column: str) -> str:
        import polars as pl

        is_time = isinstance(self.polars.dtype(column), pl.Date | pl.Datetime)
        return f"CAST({self.cells(column)} AS TIMESTAMP_NTZ)" if is_time else read_as(self.raw(column), "datetime")

    def _mask(self, rule: Rule) -> str:
        match rule:
            case NotNull():
                return f"{self.raw(rule.column)} IS NULL"
            case OfDtype():
                outside = _outside(self.raw(rule.column), pandas_types.limits(rule.dtype) or (0, 0))
                is_missing = "" if pandas_types.is_extension(rule.dtype) else f"{self.raw(rule.column)} IS NULL OR "
                return f"({is_missing}coalesce({outside}, false))"
            case OfKind():
                return self._not_of_kind(rule)
            case Holds():
                node = expressions.parse(rule.expression)
                kinds = {name: kind_of(self.polars.dtype(name)) for name in expressions.columns(node)}
                return broken_rows(expressions.resolve(node, kinds), self.cells)
            case InRange() | OneOf() | NoneOf() | Matches() | OfLength():
                return f"({self.cells(rule.column)} IS NOT NULL AND NOT coalesce({self._kept(rule)}, true))"
        raise TypeError(f"no translation of {type(rule).__name__}")

    def _not_of_kind(self, rule: OfKind) -> str:
        import polars as pl

        raw = self.raw(rule.column)
        if self.schema[rule.column] == pl.String:
            return f"({raw} IS NOT NULL AND {self.cells(rule.column)} IS NULL)"
        number = f"CAST({raw} AS DOUBLE)"
        is_broken = f"abs({number}) < {_ALL_WHOLE} AND {number} != CAST(floor({number}) AS DOUBLE)"
        return f"coalesce(abs({number}) = {_INFINITY} OR ({is_broken}), false)"

    def _kept(self, rule: InRange | OneOf | NoneOf | Matches | OfLength) -> str:
        cells, dtype = self.cells(rule.column), self.polars.dtype(rule.column)
        match rule:
            case InRange():
                return _in_range(cells, dtype, rule)
            case OneOf():
                return _is_one_of(cells, dtype, rule.values)
            case NoneOf():
                return f"NOT ({_is_one_of(cells, dtype, rule.values)})"
            case Matches():
                pattern = java_pattern(rule.pattern, rule.where)
                if pattern is None:
                    raise TypeError("the engine refuses such patterns first")
                return f"{cells} RLIKE {literal(pattern)}"
        length = f"char_length({cells})"
        ends = [
            *([f"{length} >= {literal(rule.low)}"] if rule.low is not None else []),
            *([f"{length} <= {literal(rule.high)}"] if rule.high is not None else []),
        ]
        return " AND ".join(ends) or "true"


def read_as(text: str, kind: Literal["integer", "number", "string", "boolean", "date", "datetime"]) -> str:
    """Text as numbers, dates or yes and no; null where it is none. As `polars_rules.read_as`."""
    bare = f"trim(BOTH '{_BLANKS}' FROM {text})"
    match kind:
        case "integer":
            return f"(CASE WHEN {_is(bare, r'^[+-]?[0-9]+$')} THEN try_cast({bare} AS BIGINT) END)"
        case "number":
            signed = f"CASE WHEN {bare} LIKE '-%' THEN -{_INFINITY} ELSE {_INFINITY} END"
            return f"(CASE WHEN {_is(bare, _NUMBER)} THEN try_cast({bare} AS DOUBLE) WHEN {_is(bare, _ENDLESS)} THEN {signed} END)"
        case "boolean":
            return f"(CASE WHEN {bare} IN ('true', 'True', 'TRUE') THEN true WHEN {bare} IN ('false', 'False', 'FALSE') THEN false END)"
        case "date":
            return f"(CASE WHEN {_is(bare, _DATE)} THEN try_cast({bare} AS DATE) END)"
        case "datetime":
            zoned = f"regexp_replace({bare}, {literal('([+-][0-9]{2})([0-9]{2})$')}, {literal('$1:$2')})"
            return (
                f"(CASE WHEN {_is(bare, _NAIVE)} THEN try_cast({bare} AS TIMESTAMP_NTZ) "
                f"WHEN {_is(bare, _ZONED)} THEN CAST(try_cast({zoned} AS TIMESTAMP) AS TIMESTAMP_NTZ) END)"
            )
    return text


def _is(text: str, pattern: str) -> str:
    return f"{text} RLIKE {literal(pattern)}"


def _in_range(cells: str, dtype: pl.DataType, rule: InRange) -> str:
    import polars as pl

    if dtype == pl.Boolean or dtype.is_integer():
        number = f"CAST({cells} AS TINYINT)" if dtype == pl.Boolean else cells
        return f"NOT {_outside(number, whole_ends(rule))}"
    if dtype.is_numeric():
        low, high = (None if end is None else _number(end, dtype) for end in (rule.low, rule.high))
    elif dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        low, high = (None if end is None else literal(end) for end in (rule.low, rule.high))
    else:
        cells = f"CAST({cells} AS TIMESTAMP_NTZ)"
        low, high = (None if end is None else _moment(end) for end in (rule.low, rule.high))
    ends = [
        *([f"{cells} {'>=' if rule.is_low_included else '>'} {low}"] if low is not None else []),
        *([f"{cells} {'<=' if rule.is_high_included else '<'} {high}"] if high is not None else []),
    ]
    return f"({' AND '.join(ends) or 'true'})"


def _number(value: Any, dtype: pl.DataType) -> str:
    import polars as pl

    if dtype.is_decimal():
        return _decimal(value)
    number = literal(as_float(value))
    return f"CAST({number} AS FLOAT)" if dtype == pl.Float32 else number


def _decimal(value: Any) -> str:
    from decimal import Decimal

    return f"{Decimal(str(value)):f}BD"


def _moment(value: Any) -> str:
    moment = moment_of(str(value))
    if moment is None:
        raise TypeError("no moment")
    return moment_literal(instant(moment))


def _outside(cells: str, limits: tuple[float, float]) -> str:
    """Which whole numbers are below or above; null for missing ones."""
    low, high = limits
    if low == float("inf") or high == float("-inf"):
        return f"({cells} IS NOT NULL)"
    ends = [
        *([f"{cells} < {literal(int(low))}"] if low != float("-inf") else []),
        *([f"{cells} > {literal(int(high))}"] if high != float("inf") else []),
    ]
    return f"({' OR '.join(ends) or 'false'})"


def _is_one_of(cells: str, dtype: pl.DataType, values: tuple[Scalar, ...]) -> str:
    """As `polars_rules.is_one_of`: values of another kind are none of the column's."""
    import polars as pl

    numbers = [value for value in values if isinstance(value, int | float)]
    if dtype == pl.Boolean:
        wanted = [literal(bool(value)) for value in values if isinstance(value, bool) or value in (0, 1)]
    elif dtype.is_integer():
        wanted = [literal(int(value)) for value in numbers if value == value // 1]
    elif dtype.is_decimal():
        wanted = [_decimal(+value) for value in numbers if math.isfinite(value)]
    elif dtype.is_numeric():
        cells, wanted = f"CAST({cells} AS DOUBLE)", [literal(float(value)) for value in numbers if abs(value) <= sys.float_info.max]
    elif dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        wanted = [literal(value) for value in values if isinstance(value, str)]
    else:
        moments = (moment_of(value) for value in values if isinstance(value, str))
        cells, wanted = f"CAST({cells} AS TIMESTAMP_NTZ)", [moment_literal(instant(each)) for each in moments if each is not None]
    return f"{cells} IN ({', '.join(wanted)})" if wanted else "false"
