"""Whatever expression is written over whatever cells: Polars finds the rows that a plain reading of the language finds, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.config.expressions import (
    And,
    Arithmetic,
    Call,
    Column,
    Comparison,
    Constant,
    In,
    Kind,
    Node,
    Not,
    Or,
    divisors,
    parse,
    resolve,
)
from mlgate.contracts.expressions_in_polars import broken_rows, cells

KINDS: Mapping[str, Kind | None] = {"a": "integer", "b": "number", "s": "string", "d": "date", "ok": "boolean"}
_DTYPES = {"a": pl.Int8(), "b": pl.Float64(), "s": pl.String(), "d": pl.Date(), "ok": pl.Boolean()}
_ROW = st.fixed_dictionaries(
    {
        "a": st.none() | st.integers(-3, 3),
        "b": st.none() | st.sampled_from([-2.5, -1.0, 0.0, 0.5, 3.0]),
        "s": st.none() | st.sampled_from(["", "x", "Xy", "ß"]),
        "d": st.none() | st.sampled_from([date(2024, 2, 29), date(2025, 1, 1), date(2026, 12, 31)]),
        "ok": st.none() | st.booleans(),
    }
)


def _joined(*parts: Any) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


_order = st.sampled_from([" < ", " <= ", " > ", " >= ", " == ", " != "])
_number = st.recursive(
    st.sampled_from(["a", "b", "0", "1", "2.5", "length(s)", "year(d)", "days_between(d, '2025-06-01')"]),
    lambda inner: (
        _joined("(", inner, st.sampled_from([" + ", " - ", " * ", " / ", " // ", " % "]), inner, ")")
        | _joined(st.sampled_from(["abs(", "-("]), inner, ")")
        | _joined(st.sampled_from(["min(", "max("]), inner, ", ", inner, ")")
    ),
    max_leaves=4,
)
_text = st.sampled_from(["s", "lower(s)", "'x'", "''"])
_date = st.sampled_from(["d", "'2025-01-01'", "max(d, '2025-01-01')"])
_answer = st.recursive(
    _joined(_number, _order, _number)
    | _joined("s", _order, _text)
    | _joined("d", _order, _date)
    | _joined("a", st.sampled_from([" in ", " not in "]), "[0, 1.0, -2]")
    | st.sampled_from(["ok", "ok == false", "is_missing(a)", "is_missing(s)", "s in ['x', '']"]),
    lambda inner: _joined("(", inner, st.sampled_from([" and ", " or "]), inner, ")") | _joined("not (", inner, ")"),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(_answer, st.lists(_ROW, min_size=1, max_size=12))
def test_the_rows_that_break_an_expression_are_those_of_a_plain_reading(text: str, rows: list[dict[str, Any]]) -> None:
    tree = parse(f"{text} or a < -100")  # so that there is a column in it
    resolved = resolve(tree, KINDS)
    frame = pl.DataFrame(rows, schema=_DTYPES)
    found = frame.lazy().select(broken_rows(resolved, cells)).collect().to_series().to_list()
    assert found == [_breaks(resolved, row) for row in rows]


def _breaks(node: Node, row: dict[str, Any]) -> bool:
    answer = _value(node, row)
    if answer is None:
        return any(_value(each, row) == 0 for each in divisors(node))
    return not answer


def _value(node: Node, row: dict[str, Any]) -> Any:
    match node:
        case Column():
            return row[node.name]
        case Constant():
            return node.value
        case Arithmetic():
            left, right = _value(node.left, row), _value(node.right, row)
            return None if left is None or right is None else _calculated(node.sign, float(left), float(right))
        case Comparison():
            left, right = _value(node.left, row), _value(node.right, row)
            return None if left is None or right is None else _compared(node.sign, left, right)
        case In():
            value = _value(node.value, row)
            return None if value is None else any(value == option.value for option in node.options)
        case And() | Or():
            decisive = isinstance(node, Or)
            answers = [_value(part, row) for part in node.parts]
            return decisive if decisive in answers else None if None in answers else not decisive
        case Not():
            answer = _value(node.part, row)
            return None if answer is None else not answer
        case Call():
            return _called(node.function, [_value(argument, row) for argument in node.arguments])
    raise TypeError(node)


def _calculated(sign: str, left: float, right: float) -> float | None:
    if sign in ("/", "//", "%") and right == 0:
        return None
    floor = math.floor(left / right) if sign in ("//", "%") else 0
    return {"+": left + right, "-": left - right, "*": left * right}.get(
        sign, {"//": float(floor), "%": left - right * floor}.get(sign, left / right if right else 0.0)
    )


def _compared(sign: str, left: Any, right: Any) -> bool:
    if sign in ("==", "!="):
        return bool((left == right) is (sign == "=="))
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign])


def _called(function: str, values: list[Any]) -> Any:
    if function == "is_missing":
        return values[0] is None
    if None in values:
        return None
    first = values[0]
    match function:
        case "abs":
            return abs(float(first))
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "length":
            return len(first)
        case "lower":
            return first.lower()
        case "year":
            return first.year
        case "days_between":
            return float((values[1] - first).days)
    raise TypeError(function)
