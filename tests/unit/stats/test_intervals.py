"""Closed-form intervals against independent implementations: SciPy's optimiser and distributions, published formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.intervals import mean_interval, tango_interval

counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 500)).filter(lambda c: c[0] + c[1] <= c[2])
samples = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=50, max_size=90).map(np.array)


@pytest.mark.parametrize("probability", [0.05, 0.6, 0.9, 0.95, 0.99, 0.9995])
@pytest.mark.parametrize("degrees", [1, 2, 3, 5.5, 29, 199, 10_000, 1_000_000])
def test_quantiles_agree_with_scipy(probability: float, degrees: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-8)
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), rel=1e-12)


def test_quantiles_refuse_what_is_out_of_range() -> None:
    for probability, degrees in ((0, 3), (1, 3), (0.5, 0), (0.5, math.nan)):
        with pytest.raises(ValueError, match="expected a probability"):
            t_quantile(probability, degrees)


def score_statistic(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic with the nuisance parameter found by SciPy's optimiser over the multinomial likelihood."""

    def minus_log_likelihood(loss: float) -> float:
        cells = ((gained, loss + difference), (lost, loss), (n - gained - lost, 1 - 2 * loss - difference))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    loss = optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    return (gained - lost - n * difference) / math.sqrt(n * (2 * loss + difference * (1 - difference)))


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 3, 100), (1, 9, 50), (5, 5, 40), (20, 1, 30), (40, 35, 5000), (0, 4, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_tango_inverts_the_score_test(gained: int, lost: int, n: int, confidence: float) -> None:
    found = tango_interval(gained, lost, n, confidence)
    z, estimate = stats.norm.ppf(confidence), (gained - lost) / n
    low = optimize.brentq(lambda d: score_statistic(gained, lost, n, d) - z, -0.999, estimate - 1e-9)
    high = optimize.brentq(lambda d: score_statistic(gained, lost, n, d) + z, estimate + 1e-9, 0.999)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize("n", [1, 20, 200, 100_000])
def test_no_disagreement_at_all_still_leaves_room_for_one(n: int) -> None:
    z = stats.norm.ppf(0.95)
    found = tango_interval(0, 0, n, 0.95)
    assert found.high == -found.low == pytest.approx(z**2 / (n + z**2), rel=1e-9)


def test_tango_at_the_ends() -> None:
    z = stats.norm.ppf(0.95)
    found = tango_interval(5, 0, 5, 0.95)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(2 * 5 / (5 + z**2) - 1, rel=1e-9), (
        "all gained: Wilson's interval of one proportion, stretched to [-1, 1]"
    )


@pytest.mark.parametrize(
    ("gained", "lost", "n", "confidence"), [(-1, 0, 5, 0.95), (3, 3, 5, 0.95), (0, 0, 0, 0.95), (1, 1, 5, 0.5), (1, 1, 5, 1)]
)
def test_tango_refuses_what_cannot_be(gained: int, lost: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        tango_interval(gained, lost, n, confidence)


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_tango_mirrors_when_models_are_exchanged_and_widens_with_confidence(count: tuple[int, int, int], confidence: float) -> None:
    gained, lost, n = count
    found = tango_interval(gained, lost, n, confidence)
    assert found.mirrored == tango_interval(lost, gained, n, confidence)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    wider = tango_interval(gained, lost, n, 0.999)
    assert wider.low <= found.low
    assert found.high <= wider.high


def test_the_mean_of_a_large_sample_has_students_interval() -> None:
    sample = np.random.default_rng(0).normal(size=200_000) + 0.3
    expected = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    found = mean_interval(sample, 0.95)
    half = (expected.high - expected.low) / 2
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=2e-3 * half), pytest.approx(expected.high, abs=2e-3 * half))


def test_a_skewed_sample_is_widened_towards_its_tail_and_nowhere_narrowed() -> None:
    sample = np.random.default_rng(0).exponential(size=60)
    student = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    found = mean_interval(sample, 0.95)
    assert student.low * 0.99 < found.low <= student.low
    assert found.high > student.high + 0.1 * (student.high - student.low)


def test_halls_correction_inverts_his_transformation() -> None:
    sample = np.random.default_rng(1).exponential(size=60)
    n, mean, added = sample.size, sample.mean(), stats.norm.ppf(0.95) ** 2 / 2
    weights, values = np.append(np.ones(n), added), np.append(sample, sample.max())
    spread = math.sqrt((weights * (values - mean) ** 2).sum() / (n - 1))
    skewness = (weights * (values - mean) ** 3).sum() / n / spread**3
    studentised = math.sqrt(n) * (mean - mean_interval(sample, 0.95).high) / spread
    transformed = studentised + skewness / math.sqrt(n) * (studentised**2 / 3 + 1 / 6) + skewness**2 / n * studentised**3 / 27
    assert transformed == pytest.approx(-stats.t.ppf(0.95, n - 1), rel=1e-8)


@given(samples)
@settings(max_examples=80, deadline=None)
def test_a_mean_mirrors_and_contains_its_estimate(sample: np.ndarray) -> None:
    found = mean_interval(sample, 0.95)
    assert found.low <= found.estimate <= found.high
    other = mean_interval(-sample, 0.95)
    scale = max(1.0, float(np.abs(sample).max()))
    assert (other.low, other.high) == (pytest.approx(-found.high, abs=1e-7 * scale), pytest.approx(-found.low, abs=1e-7 * scale))


@given(samples, st.randoms())
@settings(max_examples=40, deadline=None)
def test_a_mean_does_not_depend_on_the_order_of_rows(sample: np.ndarray, random) -> None:
    assume(sample.size > 1 and np.ptp(sample) > 1e-3)
    order = list(range(sample.size))
    random.shuffle(order)
    one, other = mean_interval(sample, 0.95), mean_interval(sample[order], 0.95)
    assert (one.low, one.high) == (pytest.approx(other.low, rel=1e-6, abs=1e-6), pytest.approx(other.high, rel=1e-6, abs=1e-6))


def test_a_mean_of_few_examples_says_nothing_and_of_equal_ones_is_certain() -> None:
    for few in (np.array([0.4]), np.linspace(0, 1, 49)):
        found = mean_interval(few, 0.95)
        assert (found.low, found.high) == (-math.inf, math.inf)
    equal = mean_interval(np.zeros(50), 0.95)
    assert (equal.low, equal.high) == (0, 0)


def test_very_large_and_very_small_numbers_are_no_trouble() -> None:
    sample = np.random.default_rng(0).exponential(size=60)
    usual = mean_interval(sample, 0.95)
    for factor in (1e250, 1e-250):
        found = mean_interval(sample * factor, 0.95)
        assert (found.low / factor, found.high / factor) == (pytest.approx(usual.low), pytest.approx(usual.high))
    found = mean_interval(np.array([1e308] * 60 + [-1e308] * 2), 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 0.0]])
def test_a_mean_refuses_what_is_no_sample(values: list[float]) -> None:
    with pytest.raises(ValueError, match="needs at least one example"):
        mean_interval(np.array(values), 0.95)
