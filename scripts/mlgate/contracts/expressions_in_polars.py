"""Expressions of a contract for Polars: which rows break one. What they mean stands in `config/expressions.py`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from mlgate.config import expressions
from mlgate.config.expressions import And, Arithmetic, Call, Column, Comparison, Constant, In, Kind, Node, Not, Or, instant

if TYPE_CHECKING:
    import polars as pl

_COMPARED: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def broken_rows(node: Node, cells: Callable[[str], pl.Expr]) -> pl.Expr:
    """A mask of the rows in which an expression does not hold; never null.

    Args:
        node: as `expressions.resolve` gives it.
        cells: a column's cells, of the kind that `resolve` was told.
    """
    import polars as pl

    compiler = _Compiler(cells)
    is_without_answer = functools.reduce(operator.or_, (compiler.number(each) == 0 for each in expressions.divisors(node)), pl.lit(False))
    return (~compiler.answer(node)).fill_null(is_without_answer.fill_null(False))


def cells(name: str) -> pl.Expr:
    """A column by its name to the letter: `pl.col` alone takes `*` and `^…$` for patterns."""
    from polars import selectors

    return selectors.by_name(name).as_expr()


def kind_of(dtype: pl.DataType) -> Kind | None:
    """The kind of a column that an expression can be about; None for a column of missing cells alone.

    Raises:
        TypeError: a type that no expression can be about.
    """
    import polars as pl

    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    match dtype:
        case pl.String() | pl.Categorical() | pl.Enum():
            return "string"
        case pl.Boolean():
            return "boolean"
        case pl.Date():
            return "date"
        case pl.Datetime():
            return "datetime"
        case pl.Null():
            return None
    raise TypeError(f"{dtype}")


class _Compiler:
    def __init__(self, cells: Callable[[str], pl.Expr]) -> None:
        self.cells = cells

    def answer(self, node: Node) -> pl.Expr:
        """A part that is true, false or missing."""
        import polars as pl

        match node:
            case Comparison():
                left, right = self._side_by_side(node.left, node.right)
                return _COMPARED[node.sign](left, right)
            case In():
                options = (self._side_by_side(node.value, option) for option in node.options)
                return functools.reduce(operator.or_, (left == right for left, right in options))
            case And():
                return functools.reduce(operator.and_, map(self.answer, node.parts))
            case Or():
                return functools.reduce(operator.or_, map(self.answer, node.parts))
            case Not():
                return ~self.answer(node.part)
            case Call(function="is_missing", arguments=(Column() as column,)):
                return self.cells(column.name).is_null()
            case Column():
                return self.cells(node.name).cast(pl.Boolean)
            case Constant():
                return pl.lit(node.value, dtype=pl.Boolean)
            case _:
                raise TypeError(f"{type(node).__name__} gives no yes or no")

    def number(self, node: Node) -> pl.Expr:
        """A part as 64-bit floating point."""
        import polars as pl

        return self._value(node).cast(pl.Float64)

    def _side_by_side(self, *nodes: Node) -> list[pl.Expr]:
        if any(node.kind in ("date", "datetime") for node in nodes):
            return [self._moment(node) for node in nodes]
        if any(node.kind == "boolean" for node in nodes):
            return [self.answer(node) for node in nodes]
        return [self._value(node) for node in nodes]

    def _moment(self, node: Node) -> pl.Expr:
        """A part as a time of UTC; a date is its midnight."""
        import polars as pl

        expression = self._value(node)
        return expression.cast(pl.Datetime("us")) if node.kind in ("date", None) else expression

    def _text(self, node: Node) -> pl.Expr:
        import polars as pl

        return self._value(node).cast(pl.String)

    def _value(self, node: Node) -> pl.Expr:
        import polars as pl

        match node:
            case Column():
                return self._cells(node)
            case Constant(value=bool() | int() | float() | str()):
                return pl.lit(node.value)
            case Constant():
                moment = instant(node.value)  # type: ignore[arg-type]  # a date or a time: the only others
                return pl.lit(moment.astimezone(UTC).replace(tzinfo=None), dtype=pl.Datetime("us"))
            case Arithmetic():
                return _calculated(node.sign, self.number(node.left), self.number(node.right))
            case Call():
                return self._called(node)
            case _:
                return self.answer(node)

    def _cells(self, node: Column) -> pl.Expr:
        import polars as pl

        cells = self.cells(node.name)
        match node.kind:
            case "string":
                return cells.cast(pl.String)
            case "number":
                return cells.cast(pl.Float64)
            case "datetime":
                return cells.cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
            case _:
                return cells

    def _called(self, node: Call) -> pl.Expr:
        import polars as pl

        first = node.arguments[0]
        match node.function:
            case "abs":
                return self.number(first).abs()
            case "min" | "max":
                values = self._side_by_side(*node.arguments)
                is_missing = functools.reduce(operator.or_, (value.is_null() for value in values))
                extreme = pl.min_horizontal(values) if node.function == "min" else pl.max_horizontal(values)
                return pl.when(~is_missing).then(extreme)
            case "length":
                return self._text(first).str.len_chars().cast(pl.Int64)
            case "lower":
                return self._text(first).str.to_lowercase()
            case "year" | "month" | "day" | "hour" as part:
                return getattr(self._moment(first).dt, part)().cast(pl.Int64)  # type: ignore[no-any-return]
            case "days_between":
                start, end = (self._moment(each) for each in node.arguments)
                return (end - start).dt.total_microseconds() / 86_400_000_000
            case _:
                return self.answer(node)


def _calculated(sign: str, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Arithmetic of 64-bit floating point; missing where the divisor is 0."""
    import polars as pl

    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    quotient = pl.when(right != 0).then(left / right)
    match sign:
        case "/":
            return quotient
        case "//":
            return quotient.floor()
        case _:
            return left - right * quotient.floor()
