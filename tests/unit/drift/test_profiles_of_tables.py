"""Profiles: what a table leaves of itself, and what its file accepts."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.drift import profile
from mlgate.drift.profile import Profile
from mlgate.errors import InputError
from mlgate.tables.scan import scan

CELLS = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32)),
    st.one_of(st.none(), st.integers(-1000, 1000)),
    st.one_of(st.none(), st.sampled_from(["red", "green", "blue", "ä", ""])),
    st.one_of(st.none(), st.booleans()),
)
SCHEMA = {"f": pl.Float64, "i": pl.Int64, "s": pl.String, "b": pl.Boolean}


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def exact(found: Profile) -> list[object]:
    """What is the same to the last digit, whoever made it; names are those of parts large enough to know them."""
    return [
        (
            one.name,
            one.kind,
            one.rows,
            one.nulls,
            one.cells.level,
            one.cells.keys.tolist(),
            one.cells.counts.tolist(),
            one.minimum,
            one.maximum,
        )
        for one in found.columns.values()
    ]


@given(st.lists(st.lists(CELLS, min_size=1, max_size=12), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_merging_is_associative_and_gives_the_profile_of_the_whole(parts: list[list[tuple[object, ...]]]) -> None:
    one, two, three = (profile.of_frame(frame(part)) for part in parts)
    left = profile.merge(profile.merge(one, two), three)
    right = profile.merge(one, profile.merge(two, three))
    whole = profile.of_frame(frame([row for part in parts for row in part]))
    assert exact(left) == exact(right) == exact(whole)
    for name in ("f", "i"):
        expected = whole.columns[name]
        for found in (left.columns[name], right.columns[name]):
            assert (found.mean is None) == (expected.mean is None)
            if expected.mean is not None and expected.squares is not None:
                assert found.mean == pytest.approx(expected.mean, rel=1e-9, abs=1e-9 * (1 + abs(expected.maximum or 0)))
                assert found.squares == pytest.approx(expected.squares, rel=1e-6, abs=1e-6 * (1 + expected.squares))


@given(st.lists(CELLS, min_size=1, max_size=20))
@settings(max_examples=15, deadline=None)
def test_a_file_is_read_back_as_it_was(rows: list[tuple[object, ...]]) -> None:
    found = profile.of_frame(frame(rows))
    content = profile.dump(found)
    again = profile.load(content, "x")
    assert profile.dump(again) == content
    assert exact(again) == exact(found)


def test_a_batch_is_no_different_from_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    rows = 60_000
    table = pl.DataFrame(
        {"x": generator.normal(size=rows), "c": generator.choice(np.array(["a", "b", "c"]), rows), "k": generator.integers(0, 9, rows)}
    )
    table.write_parquet(tmp_path / "t.parquet", row_group_size=7_000)
    whole = profile.of_table(scan(tmp_path, "t.parquet"))
    monkeypatch.setattr(profile, "_BATCH_CELLS", 30_000)
    parts = profile.of_table(scan(tmp_path, "t.parquet"))
    assert exact(parts) == exact(whole)
    assert parts.columns["c"].names == whole.columns["c"].names
    x = whole.columns["x"]
    assert x.mean == pytest.approx(table["x"].mean())
    assert x.sd == pytest.approx(table["x"].std())
    assert (x.minimum, x.maximum) == (table["x"].min(), table["x"].max())


def test_every_type_of_column_is_counted() -> None:
    table = pl.DataFrame(
        {
            "day": [date(2024, 1, 1), None, date(2024, 1, 3)],
            "zoned": pl.Series([datetime(2024, 1, 1, tzinfo=UTC)] * 3).dt.convert_time_zone("Europe/Berlin"),
            "price": [Decimal("1.25"), Decimal("2.50"), None],
            "nested": [[1], None, [2]],
            "nothing": [None, None, None],
            "nan": [math.nan, 1.0, math.inf],
            "kind": pl.Series(["a", "b", None], dtype=pl.Categorical),
        }
    )
    found = profile.of_frame(table).columns
    assert {name: (one.kind, one.nulls) for name, one in found.items()} == {
        "day": ("time", 1),
        "zoned": ("time", 0),
        "price": ("number", 1),
        "nested": ("other", 1),
        "nothing": ("empty", 3),
        "nan": ("number", 1),
        "kind": ("category", 1),
    }
    assert found["zoned"].mean == datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert found["nan"].mean is None
    assert found["nan"].maximum == 1.0


def test_rare_values_and_rows_are_not_in_the_file() -> None:
    names = ["frequent"] * 500 + [f"person{index}@example.org" for index in range(100)] + ["twice@example.org"] * 2
    content = profile.dump(profile.of_frame(pl.DataFrame({"mail": names}))).decode()
    assert "frequent" in content
    assert "example" not in content


def test_a_profile_takes_a_few_kilobytes_a_column() -> None:
    found = profile.of_frame(pl.DataFrame({"x": np.random.default_rng(1).normal(size=200_000)}))
    assert len(profile.dump(found)) < 6_000


def _valid() -> dict[str, object]:
    document: dict[str, object] = json.loads(profile.dump(profile.of_frame(pl.DataFrame({"x": [1.0, 2.0, None]}))))
    return document


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mlgate_profile": 2}, "mlgate_profile"),
        ({"rows": 5}, "do not add up"),
        ({"rows": -1}, "rows"),
        ({"pickle": "gASVAA=="}, "pickle"),
        ({"columns": [{"name": "x", "kind": "number", "nulls": 1, "level": 0, "first": 1, "steps": [0], "counts": [1, 1]}]}, "in order"),
        ({"columns": [{"name": "x", "kind": "number", "nulls": 1, "level": 99, "counts": []}]}, "level"),
        ({"columns": [{"name": "x", "kind": "number", "nulls": 2, "first": 1 << 80, "counts": [1]}]}, "beyond all numbers"),
        ({"columns": [{"name": "x", "kind": "number", "nulls": 2, "counts": [1 << 70]}]}, "above 0"),
        ({"columns": [{"name": "x", "kind": "number", "nulls": 3, "mean": "NaN"}]}, "mean"),
        ({"columns": [{"name": "x", "kind": "category", "nulls": 3, "names": {"../../x": "y"}}]}, "hexadecimal"),
        ({"columns": [{"name": "x", "kind": "other", "nulls": 0}, {"name": "x", "kind": "other", "nulls": 0}]}, "twice"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_in_one_line(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        profile.load(json.dumps({**_valid(), **change}).encode(), "reference.profile.json")
    assert str(refused.value).startswith("reference.profile.json: not a profile that this version reads")
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_no_bytes_end_in_a_traceback(content: bytes) -> None:
    with pytest.raises(InputError):
        profile.load(content, "x")


def test_text_and_numbers_do_not_merge() -> None:
    one, other = (profile.of_frame(pl.DataFrame({"x": values})) for values in ([1, 2], ["a", "b"]))
    with pytest.raises(InputError, match="column 'x': category in one part and number in another"):
        profile.merge(one, other)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    pl.DataFrame({"age": [1, 2]}).write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="no column 'aeg'; did you mean 'age'"):
        profile.of_table(scan(tmp_path, "t.csv"), ["aeg"])
