"""A holdout that is used again: how much of the promise is left, what keeps it, and what that costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mlgate.stats import reuse
from mlgate.stats.intervals import Interval, tango_interval


def test_the_chance_that_one_of_many_bad_models_passes_is_the_binomials() -> None:
    for candidates, each in ((1, 0.05), (12, 0.05), (50, 0.05), (50, 0.001), (1_000_000, 1e-9), (0, 0.05), (3, 0.0), (3, 1.0)):
        expected = scipy_stats.binom.sf(0, candidates, each)
        assert reuse.chance_that_one_passes(candidates, each) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@given(st.integers(1, 10_000), st.floats(0.51, 0.9999))
def test_all_tests_of_a_budget_together_keep_the_confidence(budget: int, confidence: float) -> None:
    each = 1 - reuse.bonferroni_confidence(confidence, budget)
    assert each * budget == pytest.approx(1 - confidence, rel=1e-6)
    assert reuse.chance_that_one_passes(budget, each) <= (1 - confidence) * (1 + 1e-6)


def test_arguments_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="a budget of at least 1"):
        reuse.bonferroni_confidence(0.95, 0)
    with pytest.raises(ValueError, match="one-sided confidence"):
        reuse.bonferroni_confidence(0.4, 5)
    with pytest.raises(ValueError, match="a count from 0"):
        reuse.chance_that_one_passes(-1, 0.5)


def test_the_price_in_power_is_the_power_of_the_one_sided_test() -> None:
    error = 0.004
    for confidence in (0.95, 0.999):
        expected = scipy_stats.norm.sf(scipy_stats.norm.ppf(confidence) - 0.01 / error)
        assert reuse.power_of_unchanged(0.01, error, confidence) == pytest.approx(expected, abs=1e-12)
    factor = reuse.examples_factor(0.95, 0.999)
    assert factor == pytest.approx(((scipy_stats.norm.ppf(0.999) + scipy_stats.norm.ppf(0.8)) / 2.486475) ** 2, rel=1e-5)
    # so many times the examples shrink the error by its root, and give back the power of 80 %
    at_80 = 0.01 / (scipy_stats.norm.ppf(0.95) + scipy_stats.norm.ppf(0.8))
    assert reuse.power_of_unchanged(0.01, at_80 / math.sqrt(factor), 0.999) == pytest.approx(0.8, abs=1e-9)


def test_nothing_is_claimed_without_an_interval_and_all_of_a_certain_one() -> None:
    unbounded, certain = Interval(0.0, -math.inf, math.inf, ""), Interval(0.0, 0.0, 0.0, "")
    assert reuse.standard_error(unbounded, 0.95) == math.inf
    assert reuse.standard_error(certain, 0.95) == 0
    assert reuse.power_of_unchanged(0.01, math.inf, 0.95) == 0
    assert reuse.power_of_unchanged(0.01, 0.0, 0.95) == 1
    assert reuse.chance_of_new_best(0.01, math.inf, math.inf) == 0
    assert reuse.chance_of_new_best(0.01, 0.0, 0.0) == 0
    assert reuse.chance_of_new_best(-0.01, 0.0, 0.0) == 1


def test_the_standard_error_of_an_interval_is_that_of_the_difference() -> None:
    found = reuse.standard_error(tango_interval(2000, 2000, 100_000, 0.95), 0.95)
    assert found == pytest.approx(math.sqrt(0.04 / 100_000), rel=0.01)


# --- the Ladder ------------------------------------------------------------------------------------------------------


def test_the_ladder_releases_a_new_best_only_beyond_its_step() -> None:
    assert reuse.ladder([0.80, 0.804, 0.811, 0.79, 0.9], 0.01) == pytest.approx([0.80, 0.80, 0.81, 0.81, 0.9])
    assert reuse.climb(0.81, 0.8, 0.01) == reuse.Rung(is_new_best=False, best=0.8), "more than the step, not as much"


def test_the_ladder_without_parameters_takes_a_standard_error_as_its_step() -> None:
    n, generator = 1000, np.random.default_rng(0)
    first = (generator.random(n) < 0.8).astype(float)
    twin, better = first.copy(), first.copy()
    twin[:2] = 1 - twin[:2]
    worse_ones = np.flatnonzero(first == 0)[:20]
    better[worse_ones] = 1.0
    released = reuse.ladder_without_parameters([first, twin, better])
    assert released[0] == released[1] == pytest.approx(first.mean())
    assert released[2] == pytest.approx(better.mean())


def test_the_ladder_withstands_the_attack_that_takes_in_a_naive_leaderboard() -> None:
    """Blum and Hardt (2015), section 4: submit random answers, keep those that did better than a coin, let them vote. Labels are coin
    flips, so that nothing is better than 50 % in truth."""
    n, candidates = 2000, 400
    naive, kept = [], []
    for seed in range(5):
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, 2, n)
        guesses = generator.integers(0, 2, (candidates, n))
        scores = (guesses == labels).mean(axis=1)

        def voted(chosen: np.ndarray, guesses: np.ndarray = guesses, labels: np.ndarray = labels) -> np.ndarray:
            return (np.where(guesses[chosen].mean(axis=0) > 0.5, 1, 0) == labels).astype(float)

        naive.append(voted(scores > 0.5).mean())
        correct = [(guess == labels).astype(float) for guess in guesses]
        released = reuse.ladder_without_parameters(correct)
        # all that the Ladder tells of a submission is whether it was a new best
        told = np.diff([0.0, *released]) > 0
        kept.append(reuse.ladder_without_parameters([*correct, voted(told)])[-1])
    assert min(naive) > 0.58, "the attack works where every score is told"
    assert max(kept) < 0.545, "and gains next to nothing on the Ladder"


def test_the_fixed_step_is_the_papers_order() -> None:
    assert reuse.fixed_step(50, 5000) == pytest.approx((math.log(250_000) / 5000) ** (1 / 3))


@given(st.floats(1e-6, 1), st.floats(0, 1), st.floats(0.6, 0.999), st.integers(1, 1000))
def test_a_bad_model_gets_a_new_best_as_seldom_as_the_budget_asks(error: float, margin: float, confidence: float, budget: int) -> None:
    step = reuse.step_of(error, margin, confidence, budget)
    assert step >= error
    assert reuse.chance_of_new_best(margin, step, error) <= (1 - confidence) / budget * (1 + 1e-6)
