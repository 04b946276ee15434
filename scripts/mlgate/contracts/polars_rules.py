"""One rule of a contract in Polars: what to count in the pass over the table, and what the counts say."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlgate.config import expressions
from mlgate.config.expressions import instant, moment_of
from mlgate.contracts import pandas_types, patterns
from mlgate.contracts.answer import by_schema
from mlgate.contracts.expressions_in_polars import broken_rows, kind_of
from mlgate.contracts.freshness import staleness
from mlgate.contracts.model import (
    ColumnsAre,
    Contract,
    Fresh,
    Holds,
    InRange,
    Kind,
    Matches,
    NoneOf,
    NotNull,
    OfColumn,
    OfDtype,
    OfKind,
    OfLength,
    OneOf,
    Present,
    RowCount,
    Rule,
    Scalar,
)
from mlgate.evidence import BrokenRule

if TYPE_CHECKING:
    from decimal import Decimal

    import polars as pl

_TEXT_FORMATS = ("csv", "jsonl")
"""Formats that have no dates: text there may be read as dates."""
_BLANKS = " \t\r\n"
_YES, _NO = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_MOMENTS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
_FEW = 12
"""Texts that are looked for one by one."""
_DAY = r"^\d{4}-\d{2}-\d{2}$"


@dataclass(frozen=True)
class Facts:
    """What the pass over the table counted for one rule."""

    rows: int
    values: tuple[Any, ...]
    """One for each of `Compiled.aggregates`."""


@dataclass(frozen=True)
class Compiled:
    """A rule, ready for the pass."""

    rule: Rule
    at_once: tuple[BrokenRule, ...] = ()
    """What the table's schema alone says."""
    aggregates: tuple[pl.Expr, ...] = ()
    judge: Callable[[Facts], BrokenRule | None] | None = None
    """What the aggregates say of the table as such."""
    is_whole_first: bool = False
    """Which is told where both the table as such and single rows break the rule: the table, else the rows."""
    mask: pl.Expr | None = None
    """Rows that break the rule; never null."""
    mask_text: str | None = None
    """The rule in words where it is not the rule's own text."""
    shown: str | None = None
    """Column whose cells are shown for broken rows."""


class Compiler:
    """Translates the rules of a contract over one table's columns.

    Args:
        schema: of the table.
        table_format: csv, parquet, jsonl or arrow.
        mixed: columns in which text stands beside other things, here all as text.
        contract: the rules.
        now: when the contract is run.
    """

    def __init__(
        self, schema: Mapping[str, pl.DataType], table_format: str, mixed: frozenset[str], contract: Contract, now: datetime
    ) -> None:
        self.schema = schema
        self.format = table_format
        self.mixed = mixed
        self.now = now
        self.kinds = {rule.column: rule.kind for rule in contract.rules if isinstance(rule, OfKind) and rule.column in schema}
        self.dtypes = {rule.column: rule for rule in contract.rules if isinstance(rule, OfDtype)}

    def compile(self, rule: Rule) -> Compiled:
        """What to count for a rule; nothing where its column is absent."""
        if isinstance(rule, OfColumn) and rule.column not in self.schema and not isinstance(rule, Present):
            return Compiled(rule)
        match rule:
            case Present():
                return Compiled(rule, () if rule.column in self.schema else (by_schema(rule.column, rule.text),))
            case ColumnsAre():
                return Compiled(rule, tuple(self._strangers(rule)))
            case RowCount():
                return Compiled(rule, judge=lambda facts: _row_count(rule, facts.rows))
            case OfDtype():
                return self._dtype(rule)
            case OfKind():
                return self._kind(rule)
            case NotNull():
                return self._masked(rule, self._raw(rule.column).is_null(), rule.column)
            case Fresh():
                return self._fresh(rule)
            case Holds():
                return self._holds(rule)
            case InRange() | OneOf() | NoneOf() | Matches() | OfLength():
                return self._values(rule)
        raise TypeError(f"no translation of {type(rule).__name__}")

    # --- cells -------------------------------------------------------------------------------------------------------

    def _raw(self, column: str) -> pl.Expr:
        import polars as pl

        return pl.col(column)

    def cells(self, column: str) -> pl.Expr:
        """A column as its rules see it: text that the short form calls numbers or dates is read as such; what cannot be is null."""
        import polars as pl

        kind = self.kinds.get(column)
        expr = self._raw(column)
        if kind is None or self.schema[column] != pl.String or kind == "string":
            return expr
        return read_as(expr, kind) if self._may_be(column, kind) else expr

    def _may_be(self, column: str, kind: Kind) -> bool:
        """Whether text may be values of another kind: dates where a format has none; in CSV anything, and in JSON what is mixed with it."""
        if kind in ("date", "datetime"):
            return self.format in _TEXT_FORMATS
        return self.format == "csv" or column in self.mixed

    def dtype(self, column: str) -> pl.DataType:
        """The type of `cells`."""
        import polars as pl

        return pl.LazyFrame(schema={column: self.schema[column]}).select(self.cells(column)).collect_schema().dtypes()[0]

    def _masked(self, rule: Rule, mask: pl.Expr, shown: str | None) -> Compiled:
        return Compiled(rule, mask=mask, shown=shown)

    # --- the table as such -------------------------------------------------------------------------------------------

    def _strangers(self, rule: ColumnsAre) -> list[BrokenRule]:
        import re

        matching = [re.compile(pattern) for pattern in rule.patterns]
        is_known = {name: name in rule.names or any(pattern.match(name) for pattern in matching) for name in self.schema}
        found = (
            [by_schema(name, "column not in the contract") for name, known in is_known.items() if not known] if rule.is_exclusive else []
        )
        if rule.is_ordered:
            named = [name for name in self.schema if name in rule.names]
            wanted = [name for name in rule.names if name in self.schema]
            found += [by_schema(name, "column out of order") for name, place in zip(named, wanted, strict=False) if name != place]
        return found

    def _dtype(self, rule: OfDtype) -> Compiled:
        import polars as pl

        dtype, column = self.schema[rule.column], self._raw(rule.column)
        if rule.is_coercible:
            limits = pandas_types.limits(rule.dtype)
            if limits is None or not dtype.is_integer():
                return Compiled(rule)  # coerced to what it is, or to a type that holds every value of it
            if pandas_types.is_extension(rule.dtype):
                outside = _outside(column, dtype, limits)
                return Compiled(rule, mask=outside, mask_text=f"coerce to {rule.dtype} would change values", shown=rule.column)
            outside = column.is_null() | _outside(column, dtype, limits)
            return Compiled(rule, mask=outside, mask_text=f"coerce to {rule.dtype}", shown=rule.column)

        def judge(facts: Facts) -> BrokenRule | None:
            nulls = int(facts.values[0])
            found = pandas_types.name(dtype, nulls, facts.rows, self.format, is_mixed=rule.column in self.mixed)
            if nulls == facts.rows and (rule.dtype, found) == ("str", "object"):
                return None  # nothing there is no text
            return None if pandas_types.is_same(rule.dtype, found) else by_schema(rule.column, f"dtype {rule.dtype}, found {found}")

        return Compiled(rule, aggregates=(column.null_count() if dtype != pl.Null else pl.len(),), judge=judge)

    def _kind(self, rule: OfKind) -> Compiled:
        import polars as pl

        dtype, raw = self.schema[rule.column], self._raw(rule.column)
        found = kind_or_name(dtype)
        if dtype == pl.Null or found == rule.kind or (rule.kind == "number" and found == "integer"):
            return Compiled(rule)
        other = by_schema(rule.column, f"{rule.text}, found {found}")
        if rule.kind == "integer" and found == "number":
            cells = raw.cast(pl.Float64)
            return Compiled(
                rule,
                aggregates=(raw.count(),),
                # Whole numbers alone, and the type is another: that is no cell's fault.
                judge=lambda facts: other if facts.values[0] else None,
                mask=(cells.is_nan() | cells.is_infinite() | (cells != cells.floor())).fill_null(False),
                shown=rule.column,
            )
        if dtype != pl.String or not self._may_be(rule.column, rule.kind):
            all_null = self.format in _TEXT_FORMATS
            return Compiled(rule, aggregates=(raw.count(),), judge=lambda facts: other if facts.values[0] or not all_null else None)
        mask = raw.is_not_null() & self.cells(rule.column).is_null()

        def judge(facts: Facts) -> BrokenRule | None:
            there, readable = facts.values
            if rule.column in self.mixed:  # the text of a number is none, and which of them are text is not known here
                return by_schema(rule.column, f"{rule.text}, found mixed values")
            return other if there and not readable else None

        asked = (raw.count(), self.cells(rule.column).count())
        is_whole_first = rule.column not in self.mixed
        return Compiled(rule, aggregates=asked, judge=judge, is_whole_first=is_whole_first, mask=mask, shown=rule.column)

    def _fresh(self, rule: Fresh) -> Compiled:
        import polars as pl

        cells = _as_instant(self.cells(rule.column), self.dtype(rule.column))
        if cells is None and self.schema[rule.column] == pl.String and self.format in _TEXT_FORMATS:
            cells = read_as(self._raw(rule.column), "datetime")
        if cells is None:
            return Compiled(rule, (by_schema(rule.column, f"{rule.text} cannot be computed: {kind_or_name(self.schema[rule.column])}"),))

        def judge(facts: Facts) -> BrokenRule | None:
            said = staleness(rule, _moment(facts.values[0]), self.now, is_date=self.dtype(rule.column) == pl.Date)
            return None if said is None else by_schema(rule.column, said)

        return Compiled(rule, aggregates=(cells.dt.timestamp("us").max(),), judge=judge)

    def _holds(self, rule: Holds) -> Compiled:
        node = expressions.parse(rule.expression)
        kinds: dict[str, expressions.Kind | None] = dict.fromkeys(self.schema)  # the others are only names for a suggestion
        unusable = set()
        for name in self.schema.keys() & set(expressions.columns(node)):
            try:
                kinds[name] = kind_of(self.dtype(name))
            except TypeError:
                unusable.add(name)
        try:
            resolved = expressions.resolve(node, kinds, unusable=unusable)
        except expressions.ExpressionError as error:
            return Compiled(rule, (by_schema(None, f"{rule.text} cannot be computed: {error}"),))
        mask = broken_rows(resolved, self.cells)
        return self._masked(rule, mask, None)

    # --- values ------------------------------------------------------------------------------------------------------

    def _values(self, rule: InRange | OneOf | NoneOf | Matches | OfLength) -> Compiled:
        import polars as pl

        dtype, cells = self.dtype(rule.column), self.cells(rule.column)
        if dtype == pl.Null:
            return Compiled(rule)
        if rule.column in self.mixed:
            kept = None
        else:
            match rule:
                case InRange():
                    kept = in_range(cells, dtype, rule)
                case OneOf():
                    kept = is_one_of(cells, dtype, rule.values)
                case NoneOf():
                    one_of = is_one_of(cells, dtype, rule.values)
                    kept = None if one_of is None else ~one_of
                case Matches():
                    kept = patterns.matching(_text(cells, dtype), rule.pattern, rule.where) if _is_text(dtype) else None
                case OfLength():
                    kept = _of_length(_text(cells, dtype), rule) if _is_text(dtype) else None
        if kept is None:
            return self._not_computable(rule)
        mask = ~kept  # null where the cell is missing, which neither a sum nor a filter counts
        return self._masked(rule, mask, rule.column)

    def _not_computable(self, rule: OfColumn) -> Compiled:
        """A rule that makes no sense for a column's type: it says that it cannot be computed. Where the contract asks for another type, the
        rule about the type has said enough."""
        import polars as pl

        dtype = self.schema[rule.column]
        found = "mixed values" if rule.column in self.mixed else kind_or_name(dtype)
        said = by_schema(rule.column, f"{rule.text} cannot be computed: {found}")
        expected, kind = self.dtypes.get(rule.column), self.kinds.get(rule.column)
        if kind is not None and kind != found and not (kind == "number" and found == "integer"):
            return Compiled(rule)
        if expected is None:
            return Compiled(rule, (said,))

        def judge(facts: Facts) -> BrokenRule | None:
            name = pandas_types.name(dtype, int(facts.values[0]), facts.rows, self.format, is_mixed=rule.column in self.mixed)
            if int(facts.values[0]) == facts.rows or not pandas_types.is_same(expected.dtype, name):
                return None
            return said

        return Compiled(rule, aggregates=(pl.col(rule.column).null_count(),), judge=judge)


# --- types -----------------------------------------------------------------------------------------------------------


def kind_or_name(dtype: pl.DataType) -> str:
    """`integer`, `string`, or the type's own name where it is none of the short form's."""
    try:
        return kind_of(dtype) or "nothing but missing cells"
    except TypeError:
        return str(dtype)


def read_as(text: pl.Expr, kind: Kind) -> pl.Expr:
    """Text as numbers, dates or yes and no; null where it is none."""
    import polars as pl

    bare = text.str.strip_chars(_BLANKS)
    match kind:
        case "integer":
            return bare.cast(pl.Int64, strict=False)
        case "number":
            number = bare.cast(pl.Float64, strict=False)
            return pl.when(number.is_nan()).then(None).otherwise(number)
        case "boolean":
            return pl.when(bare.is_in(_YES)).then(True).when(bare.is_in(_NO)).then(False)
        case "date":
            return pl.when(bare.str.contains(_DAY)).then(bare).str.to_date("%Y-%m-%d", strict=False)
        case "datetime":
            zoned = bare.str.to_datetime("%+", strict=False, time_unit="us").dt.convert_time_zone("UTC")
            naive = (bare.str.to_datetime(form, strict=False, time_unit="us").dt.replace_time_zone("UTC") for form in _MOMENTS)
            day = pl.when(bare.str.contains(_DAY)).then(bare).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us", "UTC"))
            return pl.coalesce(zoned, *naive, day)
        case _:
            return text


def _is_text(dtype: pl.DataType) -> bool:
    import polars as pl

    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _text(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    return cells if dtype == pl.String else cells.cast(pl.String)


def _as_instant(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    import polars as pl

    if isinstance(dtype, pl.Date):
        return cells.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime):
        return cells.dt.replace_time_zone("UTC") if dtype.time_zone is None else cells.dt.convert_time_zone("UTC")
    return None


def _moment(microseconds: int | datetime | None) -> datetime | None:
    """Microseconds since 1970 as a time; one that no calendar has as the last or the first one there is. Spark gives times."""
    if microseconds is None or isinstance(microseconds, datetime):
        return microseconds
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if microseconds > 0 else datetime.min.replace(tzinfo=UTC)


def _is_number(value: Scalar | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- masks -----------------------------------------------------------------------------------------------------------


def in_range(cells: pl.Expr, dtype: pl.DataType, rule: InRange) -> pl.Expr | None:
    """Whether each value lies in the range; None where such values cannot be compared with its ends."""
    import polars as pl

    ends = [end for end in (rule.low, rule.high) if end is not None]
    if dtype == pl.Boolean and all(map(_is_number, ends)):
        cells, dtype = cells.cast(pl.Int8), pl.Int8()
    if dtype.is_integer():
        if not all(map(_is_number, ends)):
            return None
        return ~_outside(cells, dtype, whole_ends(rule))
    make: Callable[[Any], Any]
    if dtype.is_numeric():
        if not all(map(_is_number, ends)):
            return None
        if dtype.is_decimal():
            return _decimal_in_range(cells, dtype, rule)
        make = as_float
    elif _is_text(dtype):
        if not all(isinstance(end, str) for end in ends):
            return None
        cells, make = _text(cells, dtype), str
    else:
        instants = _as_instant(cells, dtype)
        if instants is None or not all(isinstance(end, str) and moment_of(end) is not None for end in ends):
            return None
        cells, make = instants, lambda end: instant(moment_of(end))  # type: ignore[arg-type]  # just seen to be one
    kept = pl.lit(True)
    if rule.low is not None:
        low = pl.lit(make(rule.low))
        kept = kept & (cells >= low if rule.is_low_included else cells > low)
    if rule.high is not None:
        high = pl.lit(make(rule.high))
        kept = kept & (cells <= high if rule.is_high_included else cells < high)
    return kept


def whole_ends(rule: InRange) -> tuple[float, float]:
    """The least and greatest whole number in a range; infinite where there is no end."""

    def whole(end: Scalar | None, none: float, is_included: bool, toward: Callable[[float], int], step: int) -> float:
        if end is None or not isinstance(end, int | float) or (isinstance(end, float) and math.isinf(end)):
            return none if end is None else float(end)
        inner = toward(end)
        return inner if inner != end or is_included else inner + step

    return whole(rule.low, -math.inf, rule.is_low_included, math.ceil, 1), whole(rule.high, math.inf, rule.is_high_included, math.floor, -1)


def _outside(cells: pl.Expr, dtype: pl.DataType, limits: tuple[float, float]) -> pl.Expr:
    """Which whole numbers are below or above; false for missing ones. Limits that the type does not reach are not asked."""
    import polars as pl

    least, greatest = pandas_types.limits_of(dtype)
    low, high = limits
    if low > greatest or high < least:
        return cells.is_not_null()
    outside = pl.lit(False)
    if low > least:
        outside = outside | (cells < pl.lit(int(low), dtype=dtype))
    if high < greatest:
        outside = outside | (cells > pl.lit(int(high), dtype=dtype))
    return outside if low > least or high < greatest else cells.is_null() & False


def is_one_of(cells: pl.Expr, dtype: pl.DataType, values: tuple[Scalar, ...]) -> pl.Expr | None:
    """Whether each value is one of these; values of another kind are none of the column's. None where the column has no such values."""
    import polars as pl

    if dtype == pl.Boolean:
        wanted: list[Any] = [bool(value) for value in values if isinstance(value, bool) or value in (0, 1)]
    elif dtype.is_integer():
        least, greatest = pandas_types.limits_of(dtype)
        wanted = [int(value) for value in values if isinstance(value, int | float) and value == value // 1 and least <= value <= greatest]
    elif dtype.is_decimal():
        exact = (_exact(value, dtype) for value in values if isinstance(value, int | float))
        return _is_any(cells, [cells == pl.lit(value) for value in exact if value is not None])
    elif dtype.is_numeric():
        cells, dtype = cells.cast(pl.Float64), pl.Float64()
        wanted = [float(value) for value in values if isinstance(value, int | float) and abs(value) <= sys.float_info.max]
    elif _is_text(dtype):
        cells, dtype = _text(cells, dtype), pl.String()
        wanted = [value for value in values if isinstance(value, str)]
        if len(wanted) <= _FEW:  # comparing with each takes half as long as hashing every cell
            return _is_any(cells, [cells == pl.lit(value) for value in wanted])
    else:
        instants = _as_instant(cells, dtype)
        if instants is None:
            return None
        moments = [moment_of(value) for value in values if isinstance(value, str)]
        return _is_any(cells, [instants == pl.lit(instant(moment)) for moment in moments if moment is not None])
    return cells.is_in(pl.Series(wanted, dtype=dtype).implode())


def _is_any(cells: pl.Expr, tests: list[pl.Expr]) -> pl.Expr:
    """Whether one of these is true; null for a missing cell, also where there is no test at all."""
    import polars as pl

    return pl.any_horizontal(tests) if tests else pl.when(cells.is_not_null()).then(False)


def as_float(value: Scalar) -> float:
    """A number of a contract as 64-bit floating point; one that is too large for it as the last number there is."""
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if int(value) > 0 else -sys.float_info.max


# --- decimals --------------------------------------------------------------------------------------------------------


def _exact(value: Scalar, dtype: pl.DataType) -> Decimal | None:
    """A number of a contract as one that a column of decimals may hold; None where it can hold none such."""
    from decimal import Decimal

    number = Decimal(str(int(value) if isinstance(value, bool) else value))  # true is 1, as beside whole numbers
    least, greatest, unit = _span_of(dtype)
    return number if number.is_finite() and least <= number <= greatest and _toward(number, unit, "ROUND_FLOOR") == number else None


def _decimal_in_range(cells: pl.Expr, dtype: pl.DataType, rule: InRange) -> pl.Expr:
    """The same of decimals, which are exact: ends are moved to the next number that such a column may hold."""
    from decimal import Decimal

    import polars as pl

    least, greatest, unit = _span_of(dtype)
    kept: pl.Expr = pl.when(cells.is_not_null()).then(True)
    for end, is_low, is_included in ((rule.low, True, rule.is_low_included), (rule.high, False, rule.is_high_included)):
        if end is None:
            continue
        number = Decimal(str(end))
        if number < least or number > greatest:
            is_beyond = (number > greatest) is is_low
            kept = kept & pl.when(cells.is_not_null()).then(not is_beyond)
            continue
        inner = _toward(number, unit, "ROUND_CEILING" if is_low else "ROUND_FLOOR")
        is_strict = inner == number and not is_included
        limit = pl.lit(inner)
        if is_low:
            kept = kept & (cells > limit if is_strict else cells >= limit)
        else:
            kept = kept & (cells < limit if is_strict else cells <= limit)
    return kept


def _span_of(dtype: pl.DataType) -> tuple[Decimal, Decimal, Decimal]:
    """Least and greatest number of a Polars type of decimals, and the step between two."""
    from decimal import Context, Decimal

    precision, scale = getattr(dtype, "precision", None) or 38, getattr(dtype, "scale", 0)
    unit = Decimal(1).scaleb(-scale)
    greatest = Context(prec=80).multiply(Decimal(10**precision - 1), unit)
    return greatest.copy_negate(), greatest, unit


def _toward(number: Decimal, unit: Decimal, rounding: str) -> Decimal:
    from decimal import Context

    return number.quantize(unit, rounding=rounding, context=Context(prec=80))


def _of_length(text: pl.Expr, rule: OfLength) -> pl.Expr:
    import polars as pl

    length, kept = text.str.len_chars(), pl.lit(True)
    if rule.low is not None:
        kept = kept & (length >= rule.low)
    return kept & (length <= rule.high) if rule.high is not None else kept


def _row_count(rule: RowCount, rows: int) -> BrokenRule | None:
    is_kept = (rule.low is None or rows >= rule.low) and (rule.high is None or rows <= rule.high)
    return None if is_kept else by_schema(None, f"{rule.text}, found {rows}")
