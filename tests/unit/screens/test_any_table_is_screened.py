"""Whatever a table holds, a screen says something sensible of it: never a traceback, at worst why it was not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.config import SCREENS
from mlgate.errors import InputError
from mlgate.evidence import ScreenFindings

from .screened import numbers, screened, told

N = 300


def odd_columns(n: int, seed: int = 0) -> pl.DataFrame:
    """A column of every kind that tables have."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "list": [[int(value)] * (value % 3) for value in random.integers(0, 9, n)],
            "record": [{"a": int(value), "b": None} for value in random.integers(0, 9, n)],
            "zoned": [start + timedelta(hours=int(value)) for value in random.integers(0, 900, n)],
            "naive": [datetime(2026, 1, 1) + timedelta(days=int(value)) for value in random.integers(0, 90, n)],  # noqa: DTZ001
            "day": [(start + timedelta(days=int(value))).date() for value in random.integers(0, 90, n)],
            "span": [timedelta(seconds=int(value)) for value in random.integers(0, 90, n)],
            "money": [Decimal(int(value)).scaleb(-2) for value in random.integers(0, 90_000, n)],
            "bytes": [bytes([int(value)]) for value in random.integers(0, 255, n)],
            "empty": pl.Series([None] * n, dtype=pl.Null),
            "missing": pl.Series([None] * n, dtype=pl.Float64),
            "kind": pl.Series(random.choice(["a", "b"], n)).cast(pl.Categorical),
            "wild": np.where(random.random(n) < 0.01, np.inf, random.normal(size=n)),
            "flag": random.random(n) < 0.5,
            "y": random.integers(0, 2, n),
        }
    )


def by_name(*tables: pl.DataFrame | None, **settings_of_entry: Any) -> dict[str, ScreenFindings]:
    return screened(*tables, **settings_of_entry)[0]


def test_columns_of_every_kind_are_screened_and_clean_ones_are_clean() -> None:
    found = by_name(odd_columns(N, 1), odd_columns(100, 2), label="y", protected=["kind", "zoned"], source="flag")
    assert set(found) == set(SCREENS)
    assert {name for name, one in found.items() if one.verdict == "failed"} == set()
    assert {name for name, one in found.items() if one.verdict == "warned"} <= {"redundant_columns"}


def test_rows_are_found_again_whatever_their_columns_hold() -> None:
    train, holdout = odd_columns(N, 1), odd_columns(100, 2)
    found = by_name(pl.concat([train, holdout.head(3)]), holdout, label="y")
    assert found["leakage"].verdict == "failed"
    assert found["leakage"].items[0].row_numbers == [300, 301, 302]


@pytest.mark.parametrize("label", ["list", "record", "zoned", "bytes", "empty", "missing", "span", "money", "kind", "flag", "wild"])
def test_a_label_of_any_type_is_a_label_or_is_said_to_be_none(label: str) -> None:
    found = by_name(odd_columns(N, 1), odd_columns(100, 2), label=label)
    assert all(one.sentence for one in found.values())
    if label in ("list", "record", "zoned", "bytes", "empty", "span"):
        assert found["labels"].verdict == "not run"
        assert "are neither classes nor numbers" in found["labels"].sentence


@pytest.mark.parametrize("rows", [0, 1, 2, 20])
def test_hardly_any_rows_are_too_little_data_and_nothing_else(rows: int) -> None:
    table = odd_columns(50, 1).head(rows)
    found = by_name(table, odd_columns(50, 2).head(rows), label="y", protected=["kind"], bias={"smallest": 0})
    assert {name for name, one in found.items() if one.verdict in ("warned", "failed")} == set()
    if rows == 0:
        assert found["labels"].sentence == "train.csv has no rows"


def test_an_empty_holdout_is_too_little_data() -> None:
    found = by_name(odd_columns(N, 1), odd_columns(10).clear(), label="y", protected=["kind"], source="flag")
    assert {name for name, one in found.items() if one.verdict == "failed"} == set()


def test_without_a_label_a_holdout_or_anything_else_the_rest_is_screened() -> None:
    found = by_name(numbers(N))
    assert {name for name, one in found.items() if one.verdict == "clean"} == {
        "duplicates", "redundant_columns", "hidden_unicode", "formulas", "personal_data",
    }  # fmt: skip
    assert found["labels"].sentence == found["classes"].sentence == "needs 'label'"
    assert found["bias"].sentence == "needs 'protected'"


def test_a_table_of_a_label_alone_has_no_features() -> None:
    found = by_name(numbers(N).select("y"), numbers(100).select("y"), label="y")
    assert found["leakage"].sentence == "train and holdout have no feature in common"
    assert {name for name, one in found.items() if one.verdict in ("warned", "failed")} == set()


def test_labels_of_different_types_in_the_two_are_compared_as_text() -> None:
    train = numbers(N, 1)
    holdout = numbers(100, 2).with_columns(pl.col("y").cast(pl.String))
    assert told(train, holdout, label="y") == {"columns"}


def test_missing_labels_are_no_class() -> None:
    train = numbers(N, 1).with_columns(y=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("y"))
    assert told(train, numbers(100, 2), label="y") <= {"shift"}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"label": "z"}, "mlgate.yaml: data.screens[0].label: no column 'z' in the data"),
        ({"id": "idd"}, "mlgate.yaml: data.screens[0].id: no column 'idd' in the data"),
        ({"source": "x"}, "mlgate.yaml: data.screens[0].source: no column 'x' in the data; did you mean 'x"),
        ({"protected": ["sex"]}, "mlgate.yaml: data.screens[0].protected[0]: no column 'sex' in the data"),
        ({"except": ["sex"]}, "mlgate.yaml: data.screens[0].except[0]: no column 'sex' in the data"),
    ],
)
def test_a_column_that_is_nowhere_is_refused_with_its_key(key: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        screened(numbers(60), numbers(60, 2), **key)
    assert str(refused.value).startswith(message)


def test_a_label_that_train_alone_lacks_is_named_as_a_missing_column() -> None:
    found = by_name(numbers(N).drop("y"), numbers(100, 2), label="y")
    assert "column 'y' is in the holdout, and not in train" in found["columns"].sentence


def test_columns_that_are_left_out_are_looked_at_by_no_screen() -> None:
    dirty = numbers(N).with_columns(mail=pl.lit("ada@example.org"), leak=pl.col("y"))
    assert told(dirty, None, label="y") == {"personal_data", "redundant_columns", "target_leakage"}
    assert told(dirty, None, label="y", **{"except": ["mail", "leak"]}) == set()


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two tables with columns of the same names, each of one kind, perhaps of another in the second."""
    rows = draw(st.integers(0, 70)), draw(st.integers(0, 70))
    found: list[dict[str, Any]] = [{}, {}]
    kinds = [
        st.none(),
        st.integers(-(2**62), 2**62),
        st.floats(),
        st.text(max_size=6),
        st.booleans(),
        st.lists(st.integers(0, 3), max_size=2),
    ]
    for at in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        for side, n in enumerate(rows):
            if draw(st.integers(0, 9)):
                values = draw(st.lists(draw(st.sampled_from([kind, kind, kind, *kinds])) | st.none(), min_size=1, max_size=5))
                found[side][f"c{at}"] = pl.Series([values[i % len(values)] for i in range(n)], strict=False)
    return pl.DataFrame(found[0]), pl.DataFrame(found[1])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), st.booleans(), st.booleans())
def test_no_table_makes_a_screen_fall(pair: tuple[pl.DataFrame, pl.DataFrame], has_holdout: bool, has_roles: bool) -> None:
    train, holdout = pair
    roles: dict[str, Any] = {"label": "c0", "source": "c1", "protected": ["c2"], "id": "c3"} if has_roles else {"label": "c0"}
    asked = {
        key: value for key, value in roles.items() if (value[0] if key == "protected" else value) in (*train.columns, *holdout.columns)
    }
    try:
        found = by_name(train, holdout if has_holdout else None, None, holdout, **asked)
    except InputError as error:
        told_of = str(error)
        assert ": no column 'c" in told_of  # that only the other table has, which is not asked
        return
    assert all(one.sentence and "\n" not in one.sentence for one in found.values())
