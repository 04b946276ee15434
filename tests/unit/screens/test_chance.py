"""What chance brings about: tail probabilities are SciPy's, expected numbers of equal rows those of tables made at random."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlgate.screens import chance


@pytest.mark.parametrize("table", [(90, 100, 99, 100), (0, 30, 9, 60), (5, 5, 5, 9), (1_300, 2_500, 400, 700)])
def test_rates_are_compared_by_fishers_exact_test(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table
    expected = stats.fisher_exact([[a, n - a], [b, m - b]], alternative="less")[1]
    assert chance.is_below(a, n, b, m) == pytest.approx(expected, rel=1e-6)
    assert chance.differ(a, n, b, m) == pytest.approx(chance.differ(b, m, a, n))


def test_large_tables_are_compared_by_the_normal_distribution() -> None:
    exact = stats.fisher_exact([[5_200, 24_800], [4_900, 25_100]])[1]
    assert chance.rates_differ(5_200, 30_000, 4_900, 30_000) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5])
def test_distributions_are_compared_by_kolmogorov_and_smirnov(shift: float) -> None:
    random = np.random.default_rng(1)
    first, second = random.normal(size=400), random.normal(shift, size=300)
    theirs = stats.ks_2samp(first, second)
    distance = chance.ks_statistic(first, second)
    assert distance == pytest.approx(theirs.statistic)
    assert chance.ks_tail(distance, 400, 300) == pytest.approx(theirs.pvalue, rel=0.25, abs=1e-12)


@pytest.mark.parametrize(("statistic", "degrees"), [(3.0, 1), (20.0, 3), (30.0, 9), (150.0, 100)])
def test_the_chi_squared_tail_is_close_and_errs_on_the_quiet_side(statistic: float, degrees: int) -> None:
    exact = stats.chi2.sf(statistic, degrees)
    assert 0.9 * exact <= chance.chi_squared_tail(statistic, degrees) <= 1.4 * exact


def test_counts_of_one_population_are_no_difference() -> None:
    random = np.random.default_rng(2)
    told = [chance.two_samples(*(random.multinomial(n, [0.6, 0.3, 0.08, 0.02]) for n in (900, 300)))[1] for _ in range(400)]
    assert np.mean(np.array(told) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("kind", ["independent", "all the same", "in two pairs"])
def test_rows_agree_as_often_as_is_expected(kind: str) -> None:
    random = np.random.default_rng(3)
    columns = random.integers(0, 6, (4_000, 4))
    if kind != "independent":
        columns = np.repeat(columns[:, : 1 if kind == "all the same" else 2], 4 if kind == "all the same" else 2, axis=1)
    true = {"independent": 6**-4, "all the same": 1 / 6, "in two pairs": 6**-2}[kind]
    assert chance.collision_rate(columns) == pytest.approx(true, rel=0.3)


def test_expected_twins_are_those_of_random_tables() -> None:
    random = np.random.default_rng(4)
    found = np.mean([np.isin(random.integers(0, 500, 100), random.integers(0, 500, 400)).sum() for _ in range(200)])
    assert chance.expected_twins(100, 400, 1 / 500) == pytest.approx(found, rel=0.03)
