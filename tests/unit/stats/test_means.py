"""Intervals of mean losses, RMSE and R2: against scipy, statsmodels and published examples, and against what they promise."""

from __future__ import annotations

import math
import random as randomness

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from calibration import means as scenarios
from calibration import rivals
from calibration.scenario import CONFIDENCE, allowed, measure
from mlgate.stats import losses
from mlgate.stats.bootstrap import OF_SUFFICIENT_STATISTICS
from mlgate.stats.comparison import Model, Pair, compare, compare_means
from mlgate.stats.means import (
    CORRECTED_JACKKNIFE,
    CORRECTED_T,
    PAIRED_T,
    WIDEST_JACKKNIFE,
    WIDEST_T,
    at_other_sizes,
    corrected_interval,
    mean_interval,
)
from mlgate.stats.planning import noise_of
from mlgate.stats.verdict import more_examples

samples = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=50, max_size=90).map(lambda found: np.array(found * 6))


def test_a_large_sample_without_tails_has_students_interval_as_scipy_and_statsmodels_compute_it() -> None:
    random = np.random.default_rng(0)
    baseline = random.normal(1, 1, 5000)
    candidate = baseline + random.normal(0.01, 0.2, 5000)
    found = compare_means(candidate, baseline, 0.95).interval
    assert found.method == PAIRED_T
    of_scipy = stats.ttest_rel(candidate, baseline).confidence_interval(0.9)
    assert (found.low, found.high) == (pytest.approx(of_scipy.low, rel=1e-8), pytest.approx(of_scipy.high, rel=1e-8))
    of_statsmodels = DescrStatsW(candidate - baseline).tconfint_mean(0.1)
    assert (found.low, found.high) == pytest.approx(of_statsmodels, rel=1e-8)


def test_the_method_is_chosen_by_the_sample_and_named() -> None:
    random = np.random.default_rng(0)
    assert mean_interval(random.normal(size=5000), 0.95).method == PAIRED_T
    assert mean_interval(random.lognormal(0, 1, 5000), 0.95).method == CORRECTED_T
    assert mean_interval(random.normal(size=499), 0.95, widest=5).method == WIDEST_T


def test_a_skewed_sample_is_widened_towards_its_tail_and_nowhere_narrowed() -> None:
    sample = np.random.default_rng(0).exponential(size=600)
    student = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    found = mean_interval(sample, 0.95)
    assert student.low * 0.99 < found.low <= student.low
    assert found.high > student.high + 0.05 * (student.high - student.low)


def test_halls_correction_inverts_his_transformation() -> None:
    sample = np.random.default_rng(1).exponential(size=600)
    n, mean, added = sample.size, sample.mean(), stats.norm.ppf(0.95) ** 2 / 2
    farther = mean + 1.5 * (sample.max() - mean)
    weights, values = np.append(np.ones(n), added), np.append(sample, farther)
    spread = math.sqrt((weights * (values - mean) ** 2).sum() / (n - 1))
    skewness = (weights * (values - mean) ** 3).sum() / n / spread**3
    studentised = math.sqrt(n) * (mean - mean_interval(sample, 0.95).high) / spread
    transformed = studentised + skewness / math.sqrt(n) * (studentised**2 / 3 + 1 / 6) + skewness**2 / n * studentised**3 / 27
    assert transformed == pytest.approx(-stats.t.ppf(0.95, n - 1), rel=1e-8)


@given(samples)
@settings(max_examples=60, deadline=None)
def test_a_mean_mirrors_and_contains_its_estimate(sample: np.ndarray) -> None:
    found = mean_interval(sample, 0.95, 1e6)
    assert found.low <= found.estimate <= found.high
    other = mean_interval(-sample, 0.95, 1e6)
    scale = max(1.0, float(np.abs(sample).max()))
    assert (other.low, other.high) == (pytest.approx(-found.high, abs=1e-7 * scale), pytest.approx(-found.low, abs=1e-7 * scale))


@given(samples, st.randoms())
@settings(max_examples=40, deadline=None)
def test_a_mean_does_not_depend_on_the_order_of_rows(sample: np.ndarray, random: randomness.Random) -> None:
    assume(np.ptp(sample) > 1e-3)
    order = list(range(sample.size))
    random.shuffle(order)
    one, other = mean_interval(sample, 0.95, 10), mean_interval(sample[order], 0.95, 10)
    assert (one.low, one.high) == (pytest.approx(other.low, rel=1e-6, abs=1e-6), pytest.approx(other.high, rel=1e-6, abs=1e-6))


def test_a_mean_of_few_examples_says_nothing_and_of_many_equal_ones_is_certain() -> None:
    for few in (np.array([0.4]), np.linspace(0, 1, 49)):
        found = mean_interval(few, 0.95, widest=1)
        assert (found.low, found.high) == (-math.inf, math.inf)
    unknown = mean_interval(np.linspace(0, 1, 499), 0.95)
    assert (unknown.low, unknown.high) == (-math.inf, math.inf), "how far losses can lie apart is not known"
    equal = mean_interval(np.zeros(500), 0.95)
    assert (equal.low, equal.high) == (0, 0)


def test_the_same_losses_on_few_examples_leave_room_for_what_was_not_seen() -> None:
    """As Clopper and Pearson bound a share of which nothing was seen, times how far losses lie apart."""
    loss = np.linspace(0, 2, 100)
    found = compare_means(loss, loss, 0.95).interval
    unseen = 2 * stats.beta.ppf(0.95, 1, 100)
    assert (found.low, found.high) == (pytest.approx(-unseen), pytest.approx(unseen))


def test_very_large_and_very_small_numbers_are_no_trouble() -> None:
    sample = np.random.default_rng(0).exponential(size=600)
    usual = mean_interval(sample, 0.95)
    for factor in (1e250, 1e-250):
        found = mean_interval(sample * factor, 0.95)
        assert (found.low / factor, found.high / factor) == (pytest.approx(usual.low), pytest.approx(usual.high))
    found = mean_interval(np.array([1e308] * 600 + [-1e308] * 2), 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 0.0]])
def test_a_mean_refuses_what_is_no_sample(values: list[float]) -> None:
    with pytest.raises(ValueError, match="needs at least one example"):
        mean_interval(np.array(values), 0.95)


def test_how_many_examples_would_settle_it_knows_that_the_allowance_for_unseen_losses_ends() -> None:
    random = np.random.default_rng(3)
    baseline = random.exponential(1, 2000)
    candidate = baseline + random.normal(0, 0.05, 2000)
    small = compare_means(candidate[:120], baseline[:120], 0.95).interval
    at = at_other_sizes(small, 120, 0.95)
    assert at is not None
    assert at(120).high == pytest.approx(small.high)
    large = compare_means(candidate, baseline, 0.95).interval
    assert at(2000).high - at(2000).low == pytest.approx(large.high - large.low, rel=0.3)
    needed = more_examples(at, 120, 0.05)
    assert needed is not None
    assert needed <= 380
    assert at_other_sizes(large, 2000, 0.95) is None
    noise = noise_of(small, 120, 0.95)
    assert noise is not None
    assert noise.at(2000).standard_error * noise.at(2000).widening == pytest.approx(
        (large.high - large.low) / 2 / stats.norm.ppf(0.95), rel=0.3
    )


# --- RMSE and R2 -----------------------------------------------------------------------------------------------------


def regressions(n: int, noise: float = 0.3, spread: str = "normal") -> Pair:
    random = np.random.default_rng(n)
    target = random.normal(5, 2, n)
    error = random.normal(0, 1, n) if spread == "normal" else random.standard_t(2.5, n)
    return Pair(Model(target, target + error + random.normal(0, noise, n)), Model(target, target + error))


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_the_influence_of_an_example_is_what_weighing_it_more_changes(metric: str) -> None:
    pair = regressions(60)
    columns = losses.squared_columns(pair.candidate.target, pair.candidate.prediction, pair.baseline.prediction)
    difference, influence = losses.OF_SQUARES[metric]
    found, _ = influence(columns)
    step = 1e-6
    for row in (0, 7, 59):
        weights = np.full(60, (1 - step) / 60)
        weights[row] += step
        slope = (difference((weights @ columns)[None])[0] - difference(columns.mean(axis=0)[None])[0]) / step
        assert found[row] == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_the_bootstrap_of_sufficient_statistics_agrees_with_scipys_of_rows(metric: str) -> None:
    pair = regressions(2000)
    found = compare(metric, pair, 0.95, 1).interval
    assert found.method == OF_SUFFICIENT_STATISTICS
    target, one, other = pair.candidate.target, pair.candidate.prediction, pair.baseline.prediction
    columns = losses.squared_columns(target, one, other)
    difference = losses.OF_SQUARES[metric][0]

    def statistic(*drawn: np.ndarray, axis: int) -> np.ndarray:
        means = np.stack([column.mean(axis=axis) for column in drawn], axis=-1)
        return difference(means.reshape(-1, 4)).reshape(means.shape[:-1])

    of_scipy = stats.bootstrap(
        columns.T, statistic, paired=True, method="percentile", confidence_level=0.9, n_resamples=4000, batch=400, rng=1
    ).confidence_interval
    width = of_scipy.high - of_scipy.low
    assert (found.low, found.high) == (pytest.approx(of_scipy.low, abs=0.06 * width), pytest.approx(of_scipy.high, abs=0.06 * width))


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_heavy_tails_and_few_rows_switch_the_method(metric: str) -> None:
    assert compare(metric, regressions(2000, spread="t(2.5)"), 0.95, 1).interval.method == CORRECTED_JACKKNIFE
    assert compare(metric, regressions(400), 0.95, 1).interval.method == WIDEST_JACKKNIFE
    nothing = compare(metric, regressions(40), 0.95, 1).interval
    assert (nothing.low, nothing.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("metric", ["rmse", "r2"])
@pytest.mark.parametrize("n", [100, 2000])
def test_exchanged_models_mirror_the_interval_of_squares_exactly(metric: str, n: int) -> None:
    pair = regressions(n)
    one, other = (compare(metric, each, 0.95, 1).interval for each in (pair, Pair(pair.baseline, pair.candidate)))
    assert (other.low, other.high) == (pytest.approx(-one.high, rel=1e-9), pytest.approx(-one.low, rel=1e-9))


def test_models_without_errors_and_models_that_are_the_same_are_no_trouble() -> None:
    target = np.random.default_rng(0).normal(size=1500)
    right = Model(target, target)
    wrong = Model(target, target + 1)
    for metric in ("rmse", "r2"):
        same = compare(metric, Pair(right, right), 0.95, 1).interval
        assert (same.low, same.estimate, same.high) == (0, 0, 0)
        found = compare(metric, Pair(wrong, right), 0.95, 1).interval
        assert found.low <= found.estimate <= found.high
    assert corrected_interval(0.0, np.full(1500, np.inf), 0.95, np.inf).high == math.inf


# --- the promise, and those who break it -----------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", [one for one in scenarios.scenarios() if one.is_quick], ids=lambda one: one.name)
def test_losses_keep_the_promised_error_rates(scenario: scenarios.Scenario) -> None:
    found = measure(scenario, 400)
    assert found.holds, found


def test_the_accelerated_bootstrap_is_efrons() -> None:
    """Efron and Tibshirani (1993), An Introduction to the Bootstrap, table 14.2: variance of 26 children's spatial test A.

    They print a = 0.061, z0 = 0.146 and the central 90 % interval (115.8, 259.6) from 2,000 draws.
    """
    spatial = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
    sample = np.array(spatial, dtype=float)

    def variance(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.asarray(weights @ values**2 - (weights @ values) ** 2)

    assert variance(np.full((1, 26), 1 / 26), sample)[0] == pytest.approx(171.5, abs=0.05)
    weights = np.random.default_rng(1).multinomial(26, np.full(26, 1 / 26), 20_000) / 26
    assert rivals.accelerated_of(variance, sample, 0.95, weights) == (pytest.approx(115.8, abs=4), pytest.approx(259.6, abs=8))
    of_scipy = stats.bootstrap((sample,), np.var, confidence_level=0.9, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    assert rivals.accelerated_of(variance, sample, 0.95, weights) == pytest.approx((of_scipy.low, of_scipy.high), rel=0.02)


def test_the_accelerated_bootstrap_of_a_mean_is_scipys() -> None:
    sample = np.random.default_rng(2).lognormal(0, 1, 200)
    of_scipy = stats.bootstrap((sample,), np.mean, confidence_level=0.9, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    low, high = rivals.accelerated(sample[None], 0.95)
    width = of_scipy.high - of_scipy.low
    assert (low[0], high[0]) == (pytest.approx(of_scipy.low, abs=0.04 * width), pytest.approx(of_scipy.high, abs=0.06 * width))


@pytest.mark.parametrize("rival", [rivals.student, rivals.accelerated, rivals.studentised])
def test_others_pass_too_often_where_the_interval_used_here_does_not(rival) -> None:
    """Log-normal differences, sigma 1.5, n = 500: a model worse by exactly the margin."""
    runs, true = 1000, math.exp(1.5**2 / 2)
    drawn = np.random.default_rng(5).lognormal(0, 1.5, (runs, 500))
    ours = np.array([mean_interval(sample, CONFIDENCE).high for sample in drawn])
    assert float((ours < true).mean()) <= allowed(runs) < float((rival(drawn, CONFIDENCE)[1] < true).mean())
