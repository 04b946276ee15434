"""Statistics of drift against SciPy, and against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlgate.drift import bins, chance, multivariate, profile, statistics, verdict
from mlgate.drift.profile import Column

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=15).filter(
    lambda rows: sum(one for one, _ in rows) > 0 and sum(other for _, other in rows) > 0
)


def column(values: list[float] | np.ndarray) -> Column:
    there = np.asarray(values, dtype=np.float64)
    return profile.of_numbers("x", "number", len(there), there)


def both_of(one: list[int], other: list[int]) -> np.ndarray:
    return np.array(sorted({*one, *other}), dtype=np.float64)


def test_the_index_of_a_hand_worked_example() -> None:
    """Siddiqi 2006, Credit Risk Scorecards, style: 50/30/20 % become 40/30/30 %."""
    by_hand = (0.4 - 0.5) * math.log(0.4 / 0.5) + (0.3 - 0.2) * math.log(0.3 / 0.2)
    big = 10**9
    found = statistics.population_stability_index(np.array([5 * big, 3 * big, 2 * big]), np.array([4 * big, 3 * big, 3 * big]))
    assert found == pytest.approx(by_hand, rel=1e-6)
    assert by_hand == pytest.approx(0.0628609, abs=1e-6)


def test_an_empty_bin_counts_as_half_a_row() -> None:
    p, q = np.array([100.5, 0.5]) / 101, np.array([50.5, 50.5]) / 101
    assert statistics.population_stability_index(np.array([100, 0]), np.array([50, 50])) == pytest.approx(
        float(((q - p) * np.log(q / p)).sum())
    )


@given(COUNTS)
@settings(max_examples=30, deadline=None)
def test_divergences_are_scipys(rows: list[tuple[int, int]]) -> None:
    reference, current = (np.array(side) for side in zip(*rows, strict=True))
    there = (reference + current) > 0
    p, q = reference[there] + 0.5, current[there] + 0.5
    p, q = p / p.sum(), q / q.sum()
    assert statistics.kullback_leibler(reference, current) == pytest.approx(stats.entropy(q, p), abs=1e-12)
    assert statistics.population_stability_index(reference, current) == pytest.approx(stats.entropy(q, p) + stats.entropy(p, q), abs=1e-12)
    shares = reference / reference.sum(), current / current.sum()
    middle = (shares[0] + shares[1]) / 2
    assert statistics.jensen_shannon(reference, current) == pytest.approx(
        (stats.entropy(shares[0], middle) + stats.entropy(shares[1], middle)) / 2, abs=1e-12
    )
    assert statistics.total_variation(reference, current) == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2)
    if there.sum() > 1:
        expected = stats.chi2_contingency(np.stack([reference[there], current[there]]), correction=False)
        assert statistics.chi_squared(reference, current) == (pytest.approx(expected.statistic, abs=1e-9), expected.dof)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.lists(st.integers(-50, 50), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_distances_of_whole_numbers_are_scipys(one: list[int], other: list[int]) -> None:
    both = bins.align(column(one), column(other))
    functions = [stats.ecdf(values).cdf.evaluate(both_of(one, other)) for values in (one, other)]
    distance = float(np.abs(functions[0] - functions[1]).max())
    assert statistics.kolmogorov_smirnov(both.reference, both.current) == pytest.approx(distance)
    # where each number has a cell of its own, with no width, the distance is exact
    at = both_of(one, other)
    counts = [np.array([values.count(int(number)) for number in at]) for values in (one, other)]
    assert statistics.wasserstein(at, at, *counts) == pytest.approx(stats.wasserstein_distance(one, other), abs=1e-9)


@pytest.mark.parametrize("shift", [0.05, 0.3, 1.0, 5.0])
def test_distances_from_profiles_are_scipys_within_the_width_of_a_cell(shift: float) -> None:
    generator = np.random.default_rng(int(100 * shift))
    one, other = generator.normal(size=20_000), shift + 1.2 * generator.normal(size=15_000)
    both = bins.align(column(one), column(other))
    largest = max((both.reference / 20_000).max(), (both.current / 15_000).max())
    exact = float(stats.ks_2samp(one, other, method="asymp").statistic)
    assert exact - largest <= statistics.kolmogorov_smirnov(both.reference, both.current) <= exact + 1e-12
    found = statistics.wasserstein(*bins.ends(both), both.reference, both.current)
    assert found == pytest.approx(float(stats.wasserstein_distance(one, other)), rel=0.02, abs=0.002)


@pytest.mark.parametrize("degrees", [1, 2, 9, 10, 101, 1000])
def test_the_chi_squared_distribution_is_scipys(degrees: int) -> None:
    for probability in (0.01, 0.5, 0.95, 0.99, 1 - 1e-5, 1 - 1e-8):
        assert chance.chi_squared_quantile(probability, degrees) == pytest.approx(stats.chi2.ppf(probability, degrees), rel=1e-6)
    for value in (0.0, 0.3, degrees * 0.7, degrees + 1.0, degrees * 2.5):
        assert chance.chi_squared_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-9, abs=1e-300)


def test_what_psi_gives_by_chance_worked_out_by_hand() -> None:
    """chi-squared at 9 degrees: 21.666 at 99 %."""
    assert chance.psi_by_chance(200, 200, 10, 0.01) == pytest.approx(0.21666, abs=1e-5)
    assert chance.psi_by_chance(100_000, 100_000, 10, 0.01) == pytest.approx(0.00043332, abs=1e-8)
    assert chance.psi_by_chance(200, 200, 1, 0.01) == 0


def test_a_value_on_one_side_only_is_held_against_the_hypergeometric_distribution() -> None:
    for count, n, m in ((3, 200, 200), (10, 1000, 300), (20, 500, 2000)):
        exact = float(stats.hypergeom.pmf(count, n + m, count, m))
        found = chance.only_there_by_chance(count, n, m)
        assert exact <= found <= exact * 2


def test_two_shares_are_held_against_pearsons_test() -> None:
    expected = stats.chi2_contingency([[30, 970], [55, 945]], correction=False).pvalue
    assert chance.same_share(30, 1000, 55, 1000) == pytest.approx(float(expected))
    assert chance.same_share(0, 100, 0, 50) == 1


def test_the_area_under_the_curve_is_mann_and_whitneys() -> None:
    generator = np.random.default_rng(1)
    scores, is_current = generator.integers(0, 20, 300).astype(np.float64), generator.random(300) < 0.4
    expected = stats.mannwhitneyu(scores[is_current], scores[~is_current]).statistic / (is_current.sum() * (~is_current).sum())
    assert multivariate.auc(scores, is_current) == pytest.approx(float(expected))


def test_thresholds_of_the_area_are_those_of_two_normal_distributions() -> None:
    """PSI of normal distributions half a standard deviation apart is a quarter."""
    assert multivariate.auc_of(0.25) == pytest.approx(float(stats.norm.cdf(0.5 / math.sqrt(2))))
    generator = np.random.default_rng(2)
    fine = verdict.column(column(generator.normal(size=200_000)), column(0.5 + generator.normal(size=200_000)), verdict.Thresholds(), 0.01)
    assert fine.psi is not None
    assert 0.2 < fine.psi < 0.25  # ten bins lose a little of it
