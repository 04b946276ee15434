"""A pandera schema over a table: which rules are broken, counted exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from mlgate.contracts import pandera_run


def broken(frame: pd.DataFrame, schema: pa.DataFrameSchema, *, values: bool = False) -> list[tuple[Any, ...]]:
    """Column, rule, rows and row numbers of everything broken."""
    found = pandera_run.check(frame, schema, values)["broken"]
    return [(rule["column"], rule["rule"], rule["rows"], rule["row_numbers"]) for rule in found]


def one(column: pa.Column, values: list[Any], dtype: Any = None) -> list[tuple[Any, ...]]:
    return broken(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), pa.DataFrameSchema({"x": column}))


@pytest.mark.parametrize(
    ("check", "good", "bad", "rule"),
    [
        (pa.Check.in_range(0, 120), [0, 60, 120], [0, 121, -1], "in_range(0, 120)"),
        (pa.Check.gt(0), [1, 2, 3], [1, 0, -1], "greater_than(0)"),
        (pa.Check.ge(0), [0, 1, 2], [0, -1, -2], "greater_than_or_equal_to(0)"),
        (pa.Check.lt(3), [0, 1, 2], [0, 3, 4], "less_than(3)"),
        (pa.Check.le(3), [1, 2, 3], [1, 4, 5], "less_than_or_equal_to(3)"),
        (pa.Check.isin([1, 2]), [1, 2, 1], [1, 3, 0], "isin([1, 2])"),
        (pa.Check.notin([9]), [1, 2, 3], [1, 9, 9], "notin([9])"),
        (pa.Check.ne(9), [1, 2, 3], [1, 9, 9], "not_equal_to(9)"),
    ],
)
def test_a_check_names_the_rows_that_break_it_and_passes_those_that_almost_do(
    check: pa.Check, good: list[int], bad: list[int], rule: str
) -> None:
    assert one(pa.Column(int, check), good) == []
    assert one(pa.Column(int, check), bad) == [("x", rule, 2, [1, 2])]


@pytest.mark.parametrize(
    ("check", "bad", "rule"),
    [
        (pa.Check.str_matches(r"^\d+$"), "a1", r"str_matches('^\d+$')"),
        (pa.Check.str_length(1, 2), "123", "str_length(1, 2)"),
        (pa.Check.str_startswith("1"), "21", "str_startswith('1')"),
    ],
)
def test_a_check_of_text_names_the_row_that_breaks_it(check: pa.Check, bad: str, rule: str) -> None:
    assert one(pa.Column(str, check), ["12", "1"]) == []
    assert one(pa.Column(str, check), ["12", bad]) == [("x", rule, 1, [1])]


def test_a_null_breaks_not_nullable_and_no_other_rule() -> None:
    assert one(pa.Column(float, pa.Check.gt(0), nullable=True), [1.0, None]) == []
    assert one(pa.Column(float, pa.Check.gt(0)), [1.0, None]) == [("x", "not nullable", 1, [1])]


def test_every_row_of_a_duplicate_is_counted_unless_the_schema_excuses_the_first() -> None:
    assert one(pa.Column(int, unique=True), [1, 2, 3]) == []
    assert one(pa.Column(int, unique=True), [1, 2, 1, 1]) == [("x", "unique", 3, [0, 2, 3])]
    assert one(pa.Column(int, unique=True, report_duplicates="exclude_first"), [1, 2, 1, 1]) == [("x", "unique", 2, [2, 3])]


def test_columns_unique_together_may_repeat_alone() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int)}, unique=["a", "b"])
    assert broken(pd.DataFrame({"a": [1, 1], "b": [1, 2]}), schema) == []
    assert broken(pd.DataFrame({"a": [1, 1, 2], "b": [1, 1, 2]}), schema) == [(None, "unique (a, b)", 2, [0, 1])]


def test_another_type_is_named_with_the_type_that_was_found_and_its_checks_do_not_add_noise() -> None:
    assert one(pa.Column(int, pa.Check.gt(0)), ["1", "2"]) == [("x", "dtype int64, found str", 0, [])]


def test_a_schema_written_for_pandas_2_may_call_text_object() -> None:
    assert one(pa.Column(object), ["a", "b"]) == []


def test_missing_and_extra_columns_are_named_each() -> None:
    schema = pa.DataFrameSchema({"a": pa.Column(int), "b": pa.Column(int), "c": pa.Column(int, required=False)}, strict=True)
    assert broken(pd.DataFrame({"a": [1], "d": [1], "e": [1]}), schema) == [
        ("d", "column not in the contract", 0, []),
        ("e", "column not in the contract", 0, []),
        ("b", "column missing", 0, []),
    ]


def test_a_pattern_of_names_covers_every_column_it_matches() -> None:
    schema = pa.DataFrameSchema({"p_.*": pa.Column(float, pa.Check.in_range(0, 1), regex=True)})
    frame = pd.DataFrame({"p_1": [0.5, None], "p_2": [1.5, 0.5], "q": [7, 7]})
    assert sorted(broken(frame, schema)) == [("p_1", "not nullable", 1, [1]), ("p_2", "in_range(0, 1)", 1, [0])]


def test_an_authors_own_check_is_named_by_its_message() -> None:
    schema = pa.DataFrameSchema(
        {"low": pa.Column(int), "high": pa.Column(int)},
        checks=pa.Check(lambda frame: frame["low"] <= frame["high"], error="low above high"),
    )
    frame = pd.DataFrame({"low": [1, 5], "high": [2, 4]})
    assert broken(frame, schema) == [(None, "low above high", 1, [1])]


def test_a_check_that_answers_for_the_whole_column_is_broken_without_rows() -> None:
    assert one(pa.Column(float, pa.Check(lambda s: s.mean() < 1, error="mean below 1")), [5.0, 6.0]) == [("x", "mean below 1", 0, [])]


def test_a_check_that_raises_is_broken_with_its_reason() -> None:
    ((_, rule, rows, _),) = one(pa.Column(int, pa.Check(lambda s: s / {}, error="odd")), [1])
    assert rule == "odd cannot be computed: TypeError"
    assert rows == 0


def test_several_broken_rules_of_one_column_are_all_reported() -> None:
    column = pa.Column(float, [pa.Check.gt(0), pa.Check.lt(10)], unique=True)
    assert len(one(column, [-1.0, 11.0, None, None])) == 4


@pytest.mark.parametrize(
    ("column", "values", "rows"),
    [
        (pa.Column(int, coerce=True), [1.0, 2.0], []),
        (pa.Column(int, coerce=True), [1.0, 1.7], [1]),
        (pa.Column(int, coerce=True), ["1", "2"], []),
        (pa.Column(float, coerce=True), ["1.50", "2"], []),
        (pa.Column(bool, coerce=True), [0, 1, 2], [2]),
        (pa.Column(str, coerce=True), [1, 2], []),
        (pa.Column(pd.CategoricalDtype(["a"]), coerce=True, nullable=True), ["a", "b"], [1]),
        (pa.Column("int8", coerce=True), [1, 300], [1]),
    ],
)
def test_coerce_may_change_a_type_but_not_a_value(column: pa.Column, values: list[Any], rows: list[int]) -> None:
    found = one(column, values)
    assert [number for _, _, _, numbers in found for number in numbers] == rows


def test_what_cannot_be_coerced_is_named_by_row() -> None:
    assert one(pa.Column(int, coerce=True), ["1", "x", "2", "y"]) == [("x", "coerce to int64", 2, [1, 3])]


def test_coerce_of_the_whole_schema_is_watched_too() -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(int)}, coerce=True)
    ((column, _, count, numbers),) = broken(pd.DataFrame({"x": [1.0, 1.7]}), schema)
    assert (column, count, numbers) == ("x", 1, [1])


def test_rows_that_the_schema_would_drop_are_reported_instead() -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(0))}, drop_invalid_rows=True)
    assert broken(pd.DataFrame({"x": [1, -1]}), schema) == [("x", "greater_than(0)", 1, [1])]


def test_a_check_that_only_warns_does_not_break_the_contract() -> None:
    schema = pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(0, raise_warning=True))})
    found = pandera_run.check(pd.DataFrame({"x": [-1]}), schema, False)
    assert found["broken"] == []
    assert found["warnings"] == ["Column 'x' failed element-wise validator number 0: greater_than(0)"]


def test_rows_are_counted_from_the_top_whatever_the_index_says() -> None:
    frame = pd.DataFrame({"x": [1, -1, -2]}, index=[7, 7, 8])
    assert broken(frame, pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(0))})) == [("x", "greater_than(0)", 2, [1, 2])]


def test_values_are_told_only_when_asked_for() -> None:
    frame, schema = pd.DataFrame({"x": [1, -1]}), pa.DataFrameSchema({"x": pa.Column(int, pa.Check.gt(0))})
    assert pandera_run.check(frame, schema, False)["broken"][0]["values"] is None
    assert pandera_run.check(frame, schema, True)["broken"][0]["values"] == ["-1"]


def test_the_environment_cannot_switch_a_contract_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from pandera.config import CONFIG

    monkeypatch.setattr(CONFIG, "validation_enabled", False)
    assert one(pa.Column(int, pa.Check.gt(0)), [-1]) == [("x", "greater_than(0)", 1, [0])]


def test_counts_are_exact_and_quick_when_every_cell_is_broken() -> None:
    n = 200_000
    frame = pd.DataFrame({f"c{i}": np.where(np.arange(n) % 2, np.nan, -1.0) for i in range(5)})
    schema = pa.DataFrameSchema({name: pa.Column(float, pa.Check.gt(0), unique=True) for name in frame})
    found = pandera_run.check(frame, schema, True)["broken"]
    assert sorted({(rule["rule"], rule["rows"]) for rule in found}) == [
        ("greater_than(0)", n // 2),
        ("not nullable", n // 2),
        ("unique", n),
    ]
    assert all(len(rule["row_numbers"]) == 10 and rule["share"] == rule["rows"] / n for rule in found)


def test_each_column_that_a_pattern_matches_is_named_with_its_own_rows() -> None:
    schema = pa.DataFrameSchema(
        {"p_.*": pa.Column(int, pa.Check.in_range(0, 1), regex=True), "p_c": pa.Column(int, pa.Check.ge(5))}, strict=True
    )
    frame = pd.DataFrame({"p_a": [0, 2, 1], "p_b": [3, 1, 4], "p_c": [5, 6, 4]})
    assert sorted(broken(frame, schema)) == [
        ("p_a", "in_range(0, 1)", 1, [1]),
        ("p_b", "in_range(0, 1)", 2, [0, 2]),
        ("p_c", "greater_than_or_equal_to(5)", 1, [2]),
    ]


def test_a_pattern_that_matches_nothing_is_said() -> None:
    schema = pa.DataFrameSchema({"q_.*": pa.Column(int, regex=True)})
    assert [(column, rule) for column, rule, _, _ in broken(pd.DataFrame({"x": [1]}), schema)] == [("q_.*", "no column matches")]
