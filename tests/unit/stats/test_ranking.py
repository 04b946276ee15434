"""Areas of two models: DeLong against its definition, and what happens where few rows carry the difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn

from mlgate.stats import ranking
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
Z = stats.norm.ppf(CONFIDENCE)


def scores(n: int, share: float, shift: float, noise: float, seed: int) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Labels, and the scores of two models that differ by a little noise."""
    random = np.random.default_rng(seed)
    positive = random.random(n) < share
    baseline = random.normal(size=n) + shift * positive
    return positive, baseline + noise * random.normal(size=n), baseline


def delong(positive: NDArray[np.bool_], one: Floats, other: Floats) -> tuple[float, float]:
    """Difference and its standard error by the definition: all pairs of a positive and a negative."""
    kernels = [np.sign(s[positive][:, None] - s[~positive]) / 2 + 0.5 for s in (one, other)]
    of_positives = np.cov([kernel.mean(axis=1) for kernel in kernels]) / positive.sum()
    of_negatives = np.cov([kernel.mean(axis=0) for kernel in kernels]) / (~positive).sum()
    contrast = np.array([1, -1])
    return float(kernels[0].mean() - kernels[1].mean()), math.sqrt(contrast @ (of_positives + of_negatives) @ contrast)


def interval(positive: NDArray[np.bool_], one: Floats, other: Floats) -> Interval:
    areas = [ranking.over_classes(ranking.roc_auc, positive.astype(np.int64), np.column_stack([-s, s]), [1]) for s in (one, other)]
    return ranking.delong_interval(*areas, positive.astype(np.int64), CONFIDENCE)


@given(st.integers(40, 120), st.floats(0.2, 0.8), st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_area_and_its_error_are_those_of_delongs_definition(n: int, share: float, seed: int, is_coarse: bool) -> None:
    positive, one, other = scores(n, share, 1.0, 0.5, seed)
    if is_coarse:  # ties
        one, other = np.round(one, 1), np.round(other, 1)
    difference, error = delong(positive, one, other)
    areas = [ranking.roc_auc(positive, s) for s in (one, other)]
    for area, s in zip(areas, (one, other), strict=True):
        assert area.value == pytest.approx(sklearn.roc_auc_score(positive, s), abs=1e-12)
    assert areas[0].value - areas[1].value == pytest.approx(difference, abs=1e-12)
    assert np.linalg.norm(areas[0].influence - areas[1].influence) == pytest.approx(error, rel=1e-8)


def test_of_many_rows_the_interval_is_delongs_own() -> None:
    positive, one, other = scores(4000, 0.5, 1.0, 0.5, 1)
    difference, error = delong(positive, one, other)
    found = interval(positive, one, other)
    assert found.method == ranking.DELONG
    assert (found.low, found.high) == (pytest.approx(difference - Z * error, abs=1e-8), pytest.approx(difference + Z * error, abs=1e-8))


@pytest.mark.parametrize(("share", "shift"), [(0.1, 2.0), (0.5, 2.5), (0.05, 1.0)])
def test_of_few_rows_it_is_wider_never_narrower(share: float, shift: float) -> None:
    positive, one, other = scores(400, share, shift, 0.2, 2)
    difference, error = delong(positive, one, other)
    found = interval(positive, one, other)
    assert found.method == ranking.CORRECTED_DELONG
    assert found.standard_error == pytest.approx(error, rel=1e-8)
    assert found.low < difference - Z * error
    assert found.high > difference + Z * error


def test_models_that_rank_alike_may_still_differ_on_rows_that_were_not_seen() -> None:
    """The rule of three: of 100 positives none was moved, of all positives three in a hundred may be."""
    positive, one, _ = scores(1000, 0.1, 1.0, 0.1, 3)
    found = interval(positive, one, one)
    unseen = 1 - 0.05 ** (1 / positive.sum())
    assert found.estimate == 0
    assert -unseen <= found.low == -found.high < -0.5 * unseen


@pytest.mark.parametrize(("share", "shift"), [(0.02, 1.0), (0.1, 8.0), (0.5, 30.0)])
def test_where_hardly_any_row_is_misplaced_the_holdout_says_nothing(share: float, shift: float) -> None:
    found = interval(*scores(400, share, shift, 0.1, 4))
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_average_precision_is_scikit_learns_and_its_interval_shares_the_caution() -> None:
    positive, one, other = scores(400, 0.1, 2.0, 0.2, 5)
    target, stacked = positive.astype(np.int64), [np.column_stack([-s, s]) for s in (one, other)]
    areas = tuple(ranking.over_classes(ranking.average_precision, target, s, [1]) for s in stacked)
    for area, s in zip(areas, (one, other), strict=True):
        assert area.value == pytest.approx(sklearn.average_precision_score(positive, s), abs=1e-12)
    found = ranking.average_precision_interval(target, stacked, areas, [1], CONFIDENCE, 1)
    error = float(np.linalg.norm(areas[0].influence - areas[1].influence))
    assert found.standard_error == pytest.approx(error)
    assert found.low < found.estimate - Z * error


def test_a_million_rows_take_less_than_a_second() -> None:
    import time

    positive, one, other = scores(1_000_000, 0.3, 1.0, 0.5, 6)
    started = time.process_time()
    interval(positive, one, other)
    assert time.process_time() - started < 1.5, "1 s on an idle core, with room for a busy machine"
