"""Cells: counts of numbers on a grid that parts share, so that merging loses nothing."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.drift import cells
from mlgate.drift.cells import Cells

NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    st.floats(-100, 100, allow_nan=False),
    st.integers(-(10**6), 10**6).map(float),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 5e-324, -5e-324, 1.7e308]),
)
LISTS = st.lists(NUMBERS, max_size=60)


def of(values: list[float]) -> Cells:
    return cells.of_numbers(np.array(values, dtype=np.float64))


def same(one: Cells, other: Cells) -> bool:
    return one.level == other.level and one.keys.tolist() == other.keys.tolist() and one.counts.tolist() == other.counts.tolist()


@given(st.lists(LISTS, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_parts_in_any_order_merge_to_the_sketch_of_the_whole(parts: list[list[float]], order: object) -> None:
    whole = of([value for part in parts for value in part])
    shuffled = list(parts)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert same(cells.merge(map(of, shuffled)), whole)
    step = cells.EMPTY
    for part in shuffled:
        step = cells.merge([step, of(part)])
    assert same(step, whole)


@given(LISTS)
@settings(max_examples=50, deadline=None)
def test_every_number_lies_within_the_bounds_of_its_cell(values: list[float]) -> None:
    found = of(values)
    low, high = cells.bounds(found)
    assert all(before < after for before, after in pairwise(found.keys.tolist()))
    addresses = cells.addresses_of(np.array(values, dtype=np.float64)) >> found.level if values else []
    for value, key in zip(values, addresses, strict=True):
        place = found.keys.tolist().index(int(key))
        if math.isfinite(value):
            assert low[place] <= value <= high[place]
    assert found.total == len(values)


def test_thousands_of_numbers_merge_to_the_sketch_of_the_whole() -> None:
    generator = np.random.default_rng(1)
    for values in (
        generator.normal(size=30_000),
        np.exp(5 * generator.normal(size=30_000)),
        1e9 + generator.normal(size=30_000),
        np.append(generator.normal(size=30_000), [1e300, -np.inf]),
    ):
        whole = cells.of_numbers(values)
        assert same(cells.merge(cells.of_numbers(part) for part in np.array_split(values, 7)), whole)
        assert len(whole.keys) <= cells.MAX_CELLS


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9, 1.7e9])
def test_a_cell_holds_a_small_share_of_continuous_numbers_wherever_they_lie(offset: float) -> None:
    found = cells.of_numbers(offset + np.random.default_rng(2).normal(size=50_000))
    assert found.counts.max() / found.total < 0.016


def test_few_values_have_a_cell_each() -> None:
    found = of([float(value) for value in range(200)])
    assert len(found.keys) == 200
    assert cells.bounds(found)[0].tolist() == list(range(200))


def test_one_outlier_fills_one_cell_more_and_widens_none() -> None:
    values = np.random.default_rng(3).normal(size=50_000)
    plain, spoilt = cells.of_numbers(values), cells.of_numbers(np.append(values, 1e4))
    assert spoilt.level == plain.level
    assert len(spoilt.keys) == len(plain.keys) + 1


def test_more_categories_than_cells_share_them() -> None:
    hashes = np.array(sorted({cells.category_hash(f"user {index}") for index in range(5000)}))
    found = cells.of_hashes(hashes, np.ones(len(hashes), dtype=np.int64))
    assert found.total == len(hashes)
    assert len(found.keys) <= cells.MAX_CELLS


def test_a_category_has_the_hash_that_spark_gives_it() -> None:
    assert cells.category_hash("Spark") == 1557323817  # crc32 in Spark SQL's documentation
