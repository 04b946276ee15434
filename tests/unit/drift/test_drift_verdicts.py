"""Which columns are said to drift, and which are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlgate.drift import profile, verdict
from mlgate.drift.verdict import Compared, Drift, Settings, Thresholds

RNG = np.random.default_rng


def compare(before: Mapping[str, Any], now: Mapping[str, Any], settings: Settings = Settings()) -> Compared:  # noqa: B008 -- frozen
    return verdict.compare(
        profile.of_frame(pl.DataFrame(before, strict=False)), profile.of_frame(pl.DataFrame(now, strict=False)), settings
    )


def only(before: Any, now: Any, settings: Settings = Settings()) -> Drift:  # noqa: B008 -- frozen
    return compare({"x": before}, {"x": now}, settings).columns[0]


def test_an_outlier_does_not_hide_a_shift() -> None:
    generator = RNG(1)
    before, now = generator.normal(size=100_000), np.append(1 + generator.normal(size=100_000), 10_000)
    found = only(before, now)
    assert found.verdict == "alert"
    assert found.psi is not None
    assert found.psi > 0.85
    assert only(np.append(before, 10_000), now).verdict == "alert"


def test_a_shift_of_a_hundredth_at_a_million_rows_is_beyond_chance_and_no_alert() -> None:
    generator = RNG(2)
    found = only(generator.normal(size=1_000_000), 0.01 + generator.normal(size=1_000_000))
    assert found.psi is not None
    assert found.by_chance is not None
    assert found.by_chance < found.psi < 0.1
    assert found.verdict == "stable"


def test_an_index_that_chance_explains_is_no_alert() -> None:
    generator = RNG(33)
    large = [only(generator.normal(size=200), generator.normal(size=200)) for _ in range(60)]
    assert max(one.psi or 0 for one in large) > 0.1
    assert {one.verdict for one in large} == {"stable"}


def test_just_over_and_just_under_the_threshold() -> None:
    now = RNG(4).normal(size=20_000)
    quarter = only(now, RNG(5).normal(size=20_000) + 0.5)
    assert quarter.verdict == "alert"
    assert only(now, RNG(5).normal(size=20_000) + 0.35).verdict == "warn"
    assert only(now, RNG(5).normal(size=20_000) + 0.25).verdict == "stable"
    assert quarter.psi is not None
    own = Settings(of_column={"x": Thresholds(0.1, quarter.psi + 0.001)})
    assert only(now, RNG(5).normal(size=20_000) + 0.5, own).verdict == "warn"


def test_with_few_rows_there_is_too_little_data() -> None:
    found = compare({"x": [1.0] * 199}, {"x": [2.0] * 5000})
    assert found.is_too_little
    assert found.columns[0].verdict == "too little data"
    assert compare({"x": [1.0] * 200}, {"x": [2.0] * 200}).columns[0].verdict == "alert"


def test_nulls_have_a_bin_of_their_own() -> None:
    values = RNG(6).normal(size=1437)
    found = only(values, [None if index % 20 == 0 else value for index, value in enumerate(values)])
    assert found.verdict == "alert"
    assert found.remarks == ("nulls 0 % -> 5 %",), "the mean has not moved, and is not told"
    slightly = only(values, [None if index % 300 == 0 else value for index, value in enumerate(values)])
    assert slightly.verdict == "stable"


def test_new_and_vanished_categories_are_named() -> None:
    found = only(["a"] * 900 + ["b"] * 500 + ["old"] * 40, ["a"] * 900 + ["b"] * 500 + ["new"] * 40)
    assert found.verdict in ("warn", "alert")
    assert found.appeared == ("new (40 rows)",)
    assert found.vanished == ("old (40 rows)",)
    assert only(["a"] * 900 + ["b"] * 500, ["a"] * 900 + ["b"] * 500 + ["new"] * 3).verdict == "stable"


def test_a_rare_new_value_is_told_without_its_name() -> None:
    found = only(["a"] * 50_000, ["a"] * 50_000 + ["ada@example.org"] * 40)
    assert found.appeared == ("a rare value (40 rows)",)


def test_few_values_are_compared_one_by_one() -> None:
    digits = RNG(7).integers(0, 10, 3000)
    found = only(digits, np.where(digits == 9, 12, digits))
    assert found.bins is not None
    assert found.bins.labels[:10] == tuple(map(str, range(10)))
    assert found.verdict == "alert"


def test_a_heavy_value_at_the_top_hides_nothing_below_it() -> None:
    generator = RNG(8)
    before = np.where(generator.random(5000) < 0.95, 100.0, generator.uniform(0, 100, 5000))
    now = np.where(generator.random(5000) < 0.6, 100.0, generator.uniform(0, 100, 5000))
    assert only(before, now).verdict == "alert"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([5.0] * 300, [5.0] * 300, "stable"),
        ([5.0] * 300, [6.0] * 300, "alert"),
        ([None] * 300, [None] * 300, "stable"),
        ([None] * 300, [1.0] * 300, "alert"),
        ([1.0] * 300, [None] * 300, "alert"),
        (["a"] * 300, ["a"] * 300, "stable"),
        ([[1]] * 300, [[2]] * 300, "stable"),
        ([[1]] * 300, [None] * 300, "alert"),
    ],
)
def test_columns_without_a_distribution(before: list[Any], now: list[Any], expected: str) -> None:
    assert only(before, now).verdict == expected


def test_another_type_and_a_missing_column_are_alerts() -> None:
    found = {one.name: one for one in compare({"x": [1.5] * 300, "y": [1] * 300}, {"x": ["1.5"] * 300, "z": [1] * 300}).columns}
    assert found["x"].reasons == ("was of type number, is of type category",)
    assert (found["x"].verdict, found["y"].verdict, found["z"].verdict) == ("alert", "alert", "warn")
    assert found["y"].reasons == ("the column is gone",)


def test_the_label_stands_first() -> None:
    found = compare({"x": [0, 1] * 300, "y": [0, 1] * 300}, {"x": [0, 1] * 300, "y": [1] * 600}, Settings(label="y"))
    assert [one.name for one in found.columns] == ["y", "x"]
    assert found.columns[0].is_label
    assert verdict.sentence(found.columns[0]).startswith("label y: PSI")


def test_a_jump_of_the_number_of_rows_is_told_and_a_small_one_not() -> None:
    assert compare({"x": [1] * 1000}, {"x": [1] * 2000}).rows_reason == "rows 1,000 -> 2,000 (2 times as many)"
    assert compare({"x": [1] * 1000}, {"x": [1] * 300}).rows_reason == "rows 1,000 -> 300 (30 % of before)"
    assert compare({"x": [1] * 1000}, {"x": [1] * 1400}).rows_reason is None
    assert compare({"x": [1] * 1000}, {"x": [1] * 9000}, Settings(most_rows_change=None)).rows_reason is None


def test_units_shuffled_or_mirrored_columns_are_alerts() -> None:
    generator = RNG(9)
    pixels = np.minimum(16, generator.poisson(4, 1437)).astype(float)
    assert only(pixels, pixels / 16).verdict == "alert"
    assert only(pixels, 16 - pixels).verdict == "alert"


def test_more_columns_need_more_evidence() -> None:
    generator = RNG(10)
    before = {f"c{index}": generator.normal(size=400) for index in range(50)}
    alone, among = (
        compare(dict(list(before.items())[:count]), {name: values + 0.001 for name, values in list(before.items())[:count]}).columns[0]
        for count in (1, 50)
    )
    assert alone.by_chance is not None
    assert among.by_chance is not None
    assert alone.by_chance < among.by_chance
