"""Quantiles and their intervals: against scipy and exact binomials, against simulation, and what holds whatever the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as oracle

from calibration import latencies
from calibration.scenario import measure
from mlgate.stats.quantiles import is_enough, quantile, quantile_interval, ratio_interval, rounds_interval


def p95(samples: np.ndarray) -> float:
    return quantile(samples, 0.95)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 10, 100, 298, 299, 1000, 20_000])
def test_bounds_are_the_nearest_order_statistics_of_that_level(n: int, level: float) -> None:
    found = quantile_interval(np.arange(1.0, n + 1), level, 0.95)
    binomial = oracle.binom(n, level)
    low = [rank for rank in range(1, n + 1) if binomial.sf(rank - 1) >= 0.95] if n <= 1000 else [int(binomial.ppf(0.05))]
    high = [rank for rank in range(1, n + 1) if binomial.cdf(rank - 1) >= 0.95] if n <= 1000 else [int(binomial.ppf(0.95)) + 1]
    assert found.low == max(low, default=-math.inf)
    assert found.high == min(high, default=math.inf)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_bounds_are_those_of_scipys_quantile_test(level: float) -> None:
    samples = np.random.default_rng(0).lognormal(0, 1, 500)
    found, theirs = quantile_interval(samples, level, 0.95), oracle.quantile_test(samples, q=0, p=level).confidence_interval(0.9)
    assert (found.low, found.high) == (theirs.low, theirs.high)


def test_a_99th_percentile_of_100_requests_has_no_upper_bound() -> None:
    found = quantile_interval(np.arange(100.0), 0.99, 0.95)
    assert found.high == math.inf
    assert math.isfinite(found.low)


def test_bounds_of_a_quantile_miss_no_more_often_than_promised() -> None:
    drawn = np.random.default_rng(1).exponential(1, (2000, 100))
    found = [quantile_interval(one, 0.9, 0.95) for one in drawn]
    own = -math.log(0.1)
    assert sum(one.low > own for one in found) <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)
    assert sum(one.high < own for one in found) <= 2000 * 0.05 + 3 * math.sqrt(2000 * 0.05 * 0.95)


ROUNDS = arrays(np.float64, (6, 12), elements=st.floats(0.01, 1000))


@given(ROUNDS, ROUNDS)
def test_exchanging_the_models_mirrors_the_interval(one: np.ndarray, other: np.ndarray) -> None:
    found, mirrored = rounds_interval(one, other, p95, 0.95), rounds_interval(other, one, p95, 0.95).mirrored
    assert [found.estimate, found.low, found.high] == pytest.approx([mirrored.estimate, mirrored.low, mirrored.high])
    assert found.low <= found.estimate <= found.high


@given(ROUNDS, ROUNDS)
def test_the_order_of_rounds_and_of_requests_in_a_round_does_not_matter(one: np.ndarray, other: np.ndarray) -> None:
    found = rounds_interval(one, other, p95, 0.95)
    again = rounds_interval(one[::-1, ::-1], other[::-1], p95, 0.95)
    assert [found.low, found.high] == pytest.approx([again.low, again.high])


def test_what_slows_both_models_in_a_round_cancels() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(10, 1, (20, 50)), random.normal(10, 1, (20, 50))
    machine = random.exponential(100, (20, 1))
    quiet, busy = (rounds_interval(one + noise, other + noise, np.mean, 0.95) for noise in (0, machine))
    assert busy.high - busy.low == pytest.approx(quiet.high - quiet.low)
    assert busy.high - busy.low < rounds_interval(one + machine, None, np.mean, 0.95).high / 20


def test_the_ratio_of_a_model_that_is_a_fifth_slower() -> None:
    random = np.random.default_rng(3)
    one, other = random.lognormal(2, 0.1, (20, 50)), random.lognormal(2, 0.1, (20, 50))
    found = ratio_interval(1.2 * one, other, p95, 0.95)
    assert found.low < 1.2 < found.high
    assert found.high - found.low < 0.1


def test_a_ratio_to_nothing_is_unknown() -> None:
    found = ratio_interval(np.ones((6, 3)), np.zeros((6, 3)), p95, 0.95)
    assert (found.low, found.high) == (0.0, math.inf)


def test_few_rounds_or_few_requests_beyond_the_quantile_say_nothing() -> None:
    found = rounds_interval(np.ones((4, 100)), np.ones((4, 100)), p95, 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert [is_enough(4, 1000, 0.5), is_enough(20, 999, 0.99), is_enough(20, 1000, 0.99), is_enough(5, 10, None)] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("scenario", [one for one in latencies.scenarios() if one.is_quick], ids=lambda one: one.name)
def test_a_model_slower_by_the_margin_passes_no_more_often_than_promised(scenario: object) -> None:
    assert measure(scenario, 100).holds  # type: ignore[arg-type]
