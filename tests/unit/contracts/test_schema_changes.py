"""Two versions of a contract: what differs, and which differences let more data through."""

from __future__ import annotations

import operator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.contracts.schema_changes import compare

COLUMN = {"dtype": "int64", "nullable": False, "checks": {"in_range": {"min_value": 0, "max_value": 10}, "isin": [1, 2, 3]}}


def schema(column: dict[str, Any] | None = None, **table: Any) -> bytes:
    return yaml.safe_dump({"columns": {"x": COLUMN if column is None else column, "y": {}}, **table}, sort_keys=False).encode()


def differences(old: bytes, new: bytes) -> list[tuple[str, str | None, str | None, bool]]:
    found = compare(old, new)
    assert found is not None
    return [(change.name, change.old, change.new, change.is_weakening) for change in found]


def with_checks(**checks: Any) -> bytes:
    return schema({"dtype": "int64", "checks": checks})


def column(**settings: Any) -> bytes:
    return schema({"dtype": "int64", **settings})


WEAKER = [
    ("a column that is asked for no more", schema(), yaml.safe_dump({"columns": {"x": COLUMN}}).encode()),
    ("missing values", column(), column(nullable=True)),
    ("twice the same", column(unique=True), column()),
    ("a column that may be absent", column(), column(required=False)),
    ("other types that are converted", column(), column(coerce=True)),
    ("another type", column(), column(dtype="float64")),
    ("no type", column(), schema({})),
    ("a default for what is missing", column(), column(default=0)),
    ("a pattern instead of a name", column(), column(regex=True)),
    ("a check that is gone", with_checks(str_matches="a"), with_checks()),
    ("a check with other words", with_checks(str_matches="a"), with_checks(str_matches="b")),
    ("a lower bound", with_checks(greater_than=1), with_checks(greater_than=0)),
    ("a higher bound", with_checks(less_than_or_equal_to=1), with_checks(less_than_or_equal_to=2)),
    ("a bound that is gone", with_checks(in_range={"min_value": 0, "max_value": 9}), with_checks(greater_than_or_equal_to=0)),
    ("a bound that is allowed itself", with_checks(greater_than=1), with_checks(greater_than_or_equal_to=1)),
    ("a bound of another kind", with_checks(greater_than=1), with_checks(greater_than="2020-01-01")),
    ("one more allowed value", with_checks(isin=[1, 2]), with_checks(isin=[1, 2, 3])),
    ("a text that is allowed beside a number", with_checks(isin=[1]), with_checks(isin=["1"])),
    ("a forbidden value that is allowed", with_checks(notin=[1, 2]), with_checks(notin=[1])),
    ("a list that is gone", with_checks(isin=[1]), with_checks()),
    ("a mere warning", with_checks(isin=[1]), with_checks(isin={"value": [1], "options": {"raise_warning": True}})),
    ("a mere warning of a bound", with_checks(less_than=1), with_checks(less_than={"max_value": 1, "raise_warning": True})),
    ("other columns", schema(strict=True), schema()),
    ("columns that are filtered away", schema(strict=True), schema(strict="filter")),
    ("any order", schema(ordered=True), schema()),
    ("one name for two columns", schema(unique_column_names=True), schema()),
    ("columns that are added", schema(), schema(add_missing_columns=True)),
    ("conversion of all", schema(), schema(coerce=True)),
    ("rows that are the same", schema(unique=["x", "y"]), schema()),
    ("rows that are the same but for a column", schema(unique=["x"]), schema(unique=["x", "y"])),
    ("another type for all", schema(dtype="int64"), schema(dtype="float64")),
    ("an index that is not asked for", schema(index=[{"dtype": "int64"}]), schema()),
    ("a check of the table that is gone", schema(checks={"is_sorted": {"by": "x"}}), schema()),
    ("a key that is not known here", schema(), schema(parsers=[1])),
    (
        "a column beside those of a strict contract",
        yaml.safe_dump({"columns": {"x": {}}, "strict": True}).encode(),
        schema({}, strict=True),
    ),
    (
        "columns in another order",
        yaml.safe_dump({"columns": {"x": {}, "y": {}}, "ordered": True}, sort_keys=False).encode(),
        yaml.safe_dump({"columns": {"y": {}, "x": {}}, "ordered": True}, sort_keys=False).encode(),
    ),
]
NOT_WEAKER = [
    ("a column that is new", yaml.safe_dump({"columns": {"x": COLUMN}}).encode(), schema()),
    ("no missing values", column(nullable=True), column()),
    ("nothing twice", column(), column(unique=True)),
    ("no conversion", column(coerce=True), column()),
    ("a type where there was none", schema({}), column()),
    ("one more check", with_checks(), with_checks(str_matches="a")),
    (
        "a higher lower bound",
        with_checks(in_range={"min_value": 0, "max_value": 9}),
        with_checks(in_range={"min_value": 1, "max_value": 9}),
    ),
    ("a bound that is not allowed itself", with_checks(less_than_or_equal_to=1), with_checks(less_than=1)),
    ("fewer allowed values", with_checks(isin=[1, 2, 3]), with_checks(isin=[3, 1])),
    ("more forbidden values", with_checks(notin=[1]), with_checks(notin=[1, 2])),
    ("no other columns", schema(), schema(strict=True)),
    ("no filter", schema(strict="filter"), schema(strict=True)),
    ("fewer columns that are unique together", schema(unique=["x", "y"]), schema(unique=["x"])),
]
SAME = [
    ("comments", b"columns: {x: {dtype: int64}}\n", b"# hello\ncolumns:\n  x:\n    dtype: int64\n"),
    ("line endings", b"columns:\n  x: {}\n", b"columns:\r\n  x: {}\r\n"),
    ("what stands there anyway", column(), column(nullable=False, unique=False, required=True, coerce=False)),
    ("words for people", column(), column(description="the age", title="Age")),
    (
        "a range in two checks",
        with_checks(in_range={"min_value": 0, "max_value": 9}),
        with_checks(greater_than_or_equal_to=0, less_than_or_equal_to=9),
    ),
    ("the order of allowed values", with_checks(isin=[1, 2]), with_checks(isin={"value": [2, 1]})),
    ("checks beside the keys", with_checks(isin=[1]), schema({"dtype": "int64", "isin": [1]})),
    ("checks as a list", with_checks(isin=[1]), schema({"dtype": "int64", "checks": [{"value": [1], "options": {"check_name": "isin"}}]})),
    ("how duplicates are reported", column(unique=True), column(unique=True, report_duplicates="exclude_first")),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in WEAKER], ids=[case[0] for case in WEAKER])
def test_what_lets_more_through_is_a_weakening(old: bytes, new: bytes) -> None:
    assert any(is_weakening for *_, is_weakening in differences(old, new))


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in NOT_WEAKER], ids=[case[0] for case in NOT_WEAKER])
def test_what_asks_more_is_told_and_is_none(old: bytes, new: bytes) -> None:
    found = differences(old, new)
    assert found
    assert not any(is_weakening for *_, is_weakening in found)


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_other_words_for_the_same_are_no_difference(old: bytes, new: bytes) -> None:
    assert differences(old, new) == []


def test_each_difference_is_told_with_its_old_and_new_rule() -> None:
    assert differences(schema(), schema({**COLUMN, "nullable": True, "checks": {"in_range": {"min_value": 1, "max_value": 20}}})) == [
        ("columns.x.nullable", "false", "true", True),
        ("columns.x.min_value", "0", "1", False),
        ("columns.x.max_value", "10", "20", True),
        ("columns.x.allowed_values", "1, 2, 3", None, True),
    ]


@pytest.mark.parametrize("broken", [b"", b"columns: 7", b"columns: {x: 7}", b"- 1", b"columns: [", b"\xff", b"columns: {x: {checks: [1]}}"])
def test_what_is_no_schema_cannot_be_compared(broken: bytes) -> None:
    assert compare(schema(), broken) is None
    assert compare(broken, schema()) is None


BOUNDS = st.fixed_dictionaries(
    {},
    optional={
        "greater_than": st.integers(-3, 3),
        "greater_than_or_equal_to": st.integers(-3, 3),
        "less_than": st.integers(-3, 3),
        "less_than_or_equal_to": st.integers(-3, 3),
        "isin": st.lists(st.integers(-3, 3), min_size=1, unique=True),
        "notin": st.lists(st.integers(-3, 3), min_size=1, unique=True),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BOUNDS, BOUNDS)
def test_a_value_that_passes_only_now_is_never_missed(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Held against the meaning of the checks, written down here once more."""

    meaning = {
        "greater_than": operator.gt,
        "greater_than_or_equal_to": operator.ge,
        "less_than": operator.lt,
        "less_than_or_equal_to": operator.le,
        "isin": lambda value, listed: value in listed,
        "notin": lambda value, listed: value not in listed,
    }

    def passes(checks: dict[str, Any], value: int) -> bool:
        return all(meaning[name](value, limit) for name, limit in checks.items())

    lets_more_through = any(passes(new, value) and not passes(old, value) for value in range(-5, 6))
    if lets_more_through:
        assert any(is_weakening for *_, is_weakening in differences(with_checks(**old), with_checks(**new)))
