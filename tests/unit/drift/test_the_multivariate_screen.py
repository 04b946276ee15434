"""The classifier that is told to tell two tables apart."""

from __future__ import annotations

import numpy as np
import polars as pl

from mlgate.drift import multivariate, verdict
from mlgate.drift.verdict import Thresholds

LEVEL = 0.001


def table(seed: int, rows: int, correlation: float) -> pl.LazyFrame:
    generator = np.random.default_rng(seed)
    one, other = generator.normal(size=rows), generator.normal(size=rows)
    columns = {"a": one, "b": correlation * one + np.sqrt(1 - correlation**2) * other, "c": generator.normal(size=rows)}
    return pl.LazyFrame({**columns, "d": generator.choice(np.array(["x", "y", "z"]), rows)})


def test_a_correlation_that_turned_is_found_where_no_column_drifted() -> None:
    found = multivariate.screen(table(1, 3000, 0.8), table(2, 3000, -0.8), (3000, 3000), ["a", "b", "c", "d"], Thresholds(), LEVEL)
    assert found is not None
    assert found.verdict == "alert"
    assert set(found.columns) == {"a", "b"}
    assert found.low > 0.5


def test_two_samples_of_one_population_are_not_told_apart() -> None:
    found = multivariate.screen(table(3, 3000, 0.8), table(4, 3000, 0.8), (3000, 3000), ["a", "b", "c", "d"], Thresholds(), LEVEL)
    assert found is not None
    assert found.verdict == "stable"
    assert found.columns == ()


def test_only_a_spread_sample_of_many_rows_is_looked_at() -> None:
    rows = 3 * multivariate.MOST_ROWS
    frame = pl.LazyFrame({"a": np.arange(rows, dtype=np.float64)})
    sample = multivariate._sample(frame, rows, ["a"])["a"].to_numpy()
    assert abs(len(sample) - multivariate.MOST_ROWS) < 20
    assert abs(sample.mean() - rows / 2) < rows / 200


def test_missing_cells_infinities_and_constants_are_no_hindrance() -> None:
    numbers = {"a": np.array([np.nan] * 300 + [1.0] * 300), "b": np.array([np.nan] * 600), "c": np.ones(600)}
    numbers["a"][5] = np.finfo(np.float64).max
    found = multivariate.tell_apart(numbers, {}, (300, 300), Thresholds(), LEVEL)
    assert found.verdict == "alert"
    assert found.columns == ("a",)


def test_categories_alone_tell_tables_apart() -> None:
    before, now = (pl.LazyFrame({"d": values * 200, "e": [None] * 400}) for values in (["x", "y"], ["x", None]))
    found = multivariate.screen(before, now, (400, 400), ["d", "e"], Thresholds(), LEVEL)
    assert found is not None
    assert found.verdict == "alert"
    assert multivariate.screen(before.select("e"), now.select("e"), (400, 400), ["e"], Thresholds(), LEVEL) is None


def test_no_false_alarms_beyond_the_promise() -> None:
    generator, alarms = np.random.default_rng(5), 0
    for _ in range(60):
        numbers = {name: generator.normal(size=500) for name in "abcdef"}
        alarms += multivariate.tell_apart(numbers, {}, (200, 300), Thresholds(), verdict.FALSE_ALARM).low > 0.5
    assert alarms <= 3
