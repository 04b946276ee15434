"""Which rows break an expression, as Polars finds them."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from mlgate.config.expressions import parse, resolve
from mlgate.contracts.expressions_in_polars import broken_rows, cells, kind_of


def _times(*texts: str | None) -> pl.Series:
    return pl.Series(texts).str.to_datetime("%Y-%m-%d %H:%M")


FRAME = pl.DataFrame(
    {
        "a": [1, 2, None, 4],
        "b": [1.5, 0.0, 2.0, -4.0],
        "small": pl.Series([0, 200, 3, 255], dtype=pl.UInt8),
        "name": ["x", "yy", None, "Zß"],
        "day": [date(2020, 1, 1), date(2021, 1, 2), None, date(2022, 1, 1)],
        "at": _times("2020-01-01 12:00", "2021-01-01 00:00", "2022-01-01 00:00", None).dt.replace_time_zone("Europe/Berlin"),
        "seen": _times("2020-01-01 11:00", "2021-01-01 00:00", None, None),  # without a zone: UTC
        "ok": [True, False, None, True],
        "empty": [None] * 4,
        "*": [1, 1, 1, 2],
        "^a$": [5, 5, 5, 6],
    }
)


def broken(text: str) -> list[int]:
    kinds = {name: kind_of(dtype) for name, dtype in FRAME.schema.items()}
    mask = FRAME.lazy().select(broken_rows(resolve(parse(text), kinds), cells)).collect().to_series()
    assert mask.dtype == pl.Boolean
    assert not mask.null_count()
    return mask.arg_true().to_list()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a < b", [1, 3]),  # where a is missing, nothing is said
        ("a == 1 or b > 1", [1, 3]),
        ("a == 7 or b > 1", [1, 3]),  # row 2: missing or true is true
        ("a > 0 and b > 5", [0, 1, 2, 3]),  # row 2: missing and false is false
        ("not (a > 0 and b > 5)", []),
        ("a / b < 1", [1]),  # a division by zero has no answer, which breaks the rule
        ("b == 0 or a / b < 1", []),  # unless it does not matter
        ("a // 2 * 2 == a", [0]),
        ("a / 2 == 0.5", [1, 3]),  # never cut off
        ("a * -1 // 2 == -1", [3]),  # rounded down: -1 // 2 is -1, -2 // 2 is -1, -4 // 2 is -2
        ("(0 - a) % 3 >= 0", []),  # the sign of the right side
        ("small - 1 >= 0", [0]),  # does not wrap around
        ("small + small <= 510", []),
        ("a in [1, 2.0]", [3]),
        ("a not in [1]", [0]),
        ("name in ['x', 'yy']", [3]),
        ("length(name) == 2", [0]),
        ("lower(name) != 'zß'", [3]),
        ("day < at", [1]),  # 2021-01-02 is after midnight in Berlin
        ("day >= '2021-01-01'", [0]),
        ("at == seen", [1]),  # 12:00 in Berlin is 11:00 UTC
        ("hour(at) == 11", [1, 2]),
        ("year(day) > 2020 and month(day) == 1 and day(day) <= 2", [0]),
        ("days_between(day, at) < 0.4", [0]),
        ("not ok", [0, 3]),
        ("ok == true", [1]),
        ("ok", [1]),
        ("is_missing(a) or a > 1", [0]),
        ("is_missing(a) == is_missing(name)", []),
        ("not is_missing(a)", [2]),
        ("min(a, b) < 1", [0]),  # row 2: missing, though b is not
        ("max(day, at) > '2021-01-01T00:00:00+01:00'", [0]),
        ("abs(b) >= 1.5", [1]),
        ("empty > 3 and year(empty) == 1 and length(empty) < 2 and empty", []),
        ("column('*') == 1 and column('^a$') == 5", [3]),
    ],
)
def test_the_rows_that_break_an_expression(text: str, rows: list[int]) -> None:
    assert broken(text) == rows


def test_types_that_no_expression_can_be_about_are_told_apart() -> None:
    for dtype in (pl.List(pl.Int64), pl.Struct({"x": pl.Int64}), pl.Binary(), pl.Duration(), pl.Time()):
        with pytest.raises(TypeError):
            kind_of(dtype)
    assert kind_of(pl.Decimal(10, 2)) == "number"
    assert kind_of(pl.Enum(["x"])) == kind_of(pl.Categorical()) == "string"
