"""Expressions of a contract for Spark, as SQL: which rows break one. What they mean stands in `config/expressions.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from mlgate.config import expressions
from mlgate.config.expressions import And, Arithmetic, Call, Column, Comparison, Constant, In, Kind, Node, Not, Or, instant
from mlgate.tables.spark import literal

# From here on a double has no digits behind its point, and SQL's floor, which gives a whole number of 64 bits, is not needed.
_ALL_WHOLE = "4503599627370496D"


def broken_rows(node: Node, cells: Callable[[str], str]) -> str:
    """A condition that is true of the rows in which an expression does not hold; never null.

    Args:
        node: as `expressions.resolve` gives it.
        cells: a column's cells as SQL, of the kind that `resolve` was told.
    """
    compiler = _Compiler(cells)
    is_without_answer = " OR ".join(f"{compiler.number(each)} = 0D" for each in expressions.divisors(node)) or "false"
    return f"coalesce(NOT {compiler.answer(node)}, coalesce({is_without_answer}, false))"


def kind_of(dtype: str) -> Kind | None:
    """The kind of a column that an expression can be about; None for a column of missing cells alone.

    Args:
        dtype: as `DataFrame.dtypes` spells it.

    Raises:
        TypeError: a type that no expression can be about.
    """
    match dtype.split("(")[0]:
        case "tinyint" | "smallint" | "int" | "bigint":
            return "integer"
        case "decimal":
            return "integer" if dtype == "decimal(20,0)" else "number"  # what Spark makes of unsigned 64 bits
        case "float" | "double":
            return "number"
        case "string" | "varchar" | "char":
            return "string"
        case "boolean":
            return "boolean"
        case "date":
            return "date"
        case "timestamp" | "timestamp_ntz":
            return "datetime"
        case "void":
            return None
    raise TypeError(dtype)


class _Compiler:
    """Every part stands in brackets of its own."""

    def __init__(self, cells: Callable[[str], str]) -> None:
        self.cells = cells

    def answer(self, node: Node) -> str:
        """A part that is true, false or missing."""
        match node:
            case Comparison():
                left, right = self._side_by_side(node.left, node.right)
                return f"({left} {'=' if node.sign == '==' else node.sign} {right})"
            case In():
                options = (self._side_by_side(node.value, option) for option in node.options)
                return "(" + " OR ".join(f"{left} = {right}" for left, right in options) + ")"
            case And():
                return "(" + " AND ".join(map(self.answer, node.parts)) + ")"
            case Or():
                return "(" + " OR ".join(map(self.answer, node.parts)) + ")"
            case Not():
                return f"(NOT {self.answer(node.part)})"
            case Call(function="is_missing", arguments=(Column() as column,)):
                return f"({self.cells(column.name)} IS NULL)"
            case Column():
                return f"CAST({self.cells(node.name)} AS BOOLEAN)"
            case Constant(value=bool() as value):
                return literal(value)
            case _:
                raise TypeError(f"{type(node).__name__} gives no yes or no")

    def number(self, node: Node) -> str:
        """A part as 64-bit floating point."""
        return f"CAST({self._value(node)} AS DOUBLE)"

    def _side_by_side(self, *nodes: Node) -> list[str]:
        if any(node.kind in ("date", "datetime") for node in nodes):
            return [self._moment(node) for node in nodes]
        if any(node.kind == "boolean" for node in nodes):
            return [self.answer(node) for node in nodes]
        return [self._value(node) for node in nodes]

    def _moment(self, node: Node) -> str:
        """A part as a time of UTC; a date is its midnight."""
        return f"CAST({self._value(node)} AS TIMESTAMP_NTZ)"

    def _value(self, node: Node) -> str:
        match node:
            case Column():
                cells = self.cells(node.name)
                return f"CAST({cells} AS DOUBLE)" if node.kind == "number" else cells
            case Constant(value=bool() | int() | float() | str() as value):
                return literal(value)
            case Constant(value=date() as moment):
                return moment_literal(moment)
            case Arithmetic():
                return _calculated(node.sign, self.number(node.left), self.number(node.right))
            case Call():
                return self._called(node)
            case _:
                return self.answer(node)

    def _called(self, node: Call) -> str:
        first = node.arguments[0]
        match node.function:
            case "abs":
                return f"abs({self.number(first)})"
            case "min" | "max":
                values = self._side_by_side(*node.arguments)
                is_there = " AND ".join(f"{value} IS NOT NULL" for value in values)
                return f"(CASE WHEN {is_there} THEN {'least' if node.function == 'min' else 'greatest'}({', '.join(values)}) END)"
            case "length":
                return f"CAST(char_length({self._value(first)}) AS BIGINT)"
            case "lower":
                return f"lower({self._value(first)})"
            case "year" | "month" | "day" | "hour" as part:
                return f"CAST({part}({self._moment(first)}) AS BIGINT)"
            case "days_between":
                start, end = (self._moment(each) for each in node.arguments)
                return f"(CAST(timestampdiff(MICROSECOND, {start}, {end}) AS DOUBLE) / 86400000000D)"
            case _:
                return self.answer(node)


def moment_literal(moment: date) -> str:
    """A date's midnight, or a time, as SQL has a time without a zone: that of UTC."""
    at: datetime = instant(moment).astimezone(UTC).replace(tzinfo=None)
    return f"TIMESTAMP_NTZ '{at.isoformat(sep=' ', timespec='microseconds')}'"


def _calculated(sign: str, left: str, right: str) -> str:
    """Arithmetic of 64-bit floating point; missing where the divisor is 0."""
    if sign in ("+", "-", "*"):
        return f"({left} {sign} {right})"
    quotient = f"(CASE WHEN {right} != 0D THEN {left} / {right} END)"
    if sign == "/":
        return quotient
    floor = f"(CASE WHEN abs({quotient}) < {_ALL_WHOLE} THEN CAST(floor({quotient}) AS DOUBLE) ELSE {quotient} END)"
    return floor if sign == "//" else f"({left} - {right} * {floor})"
