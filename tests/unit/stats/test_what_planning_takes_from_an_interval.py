"""An interval tells planning how far a difference strays and how far its bounds lie: not the same where a method allows for what it does
not see, leans to one side, or covers noise that examples do not lessen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlgate.stats import confusion, reuse
from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.fairness import compare_gaps
from mlgate.stats.intervals import Interval
from mlgate.stats.planning import NormalDifference, examples_for_margin, noise_of, visible_loss
from mlgate.stats.seeds import Runs, interval_of_runs, with_training_noise

Z = normal_quantile(0.95)


def test_the_lower_bound_says_what_passes_and_the_upper_one_what_is_called_worse() -> None:
    noise = noise_of(Interval(0.0, -0.04, 0.02, "any", 0.01), 1000, 0.95)
    assert noise is not None
    drawn = np.random.default_rng(1).normal(0, 0.01, 200_000)
    found = noise.outcomes(0.03, 0.95)
    assert found.passes == pytest.approx(float(np.mean(drawn - 0.04 > -0.03)), abs=0.003)
    assert found.better == pytest.approx(float(np.mean(drawn - 0.04 > 0)), abs=0.003)
    small = noise.outcomes(0.005, 0.95)
    assert small.worse == pytest.approx(float(np.mean(drawn + 0.02 < -0.005)), abs=0.003)
    assert noise.passes(0.03, 0.95) == found.passes


def test_imagined_examples_count_the_less_the_more_real_ones_there_are() -> None:
    noise = NormalDifference(200, 0.02, widening=1.5, above=1.4, is_imagined=True)
    many = noise.at(200_000)
    assert noise.at(200) == noise
    assert (many.widening, many.above) == (pytest.approx(1, abs=1e-3), pytest.approx(1, abs=1e-3))
    once, again = noise.at(800), noise.at(400).at(800)
    assert (once.widening, once.standard_error) == (pytest.approx(again.widening), pytest.approx(again.standard_error))


def test_no_number_of_examples_is_promised_where_training_strays() -> None:
    noise = NormalDifference(1000, 0.01, is_fixed=True)
    assert examples_for_margin(noise, 0.02, 0.95) is None
    assert visible_loss(noise, 0.95) is not None


@pytest.mark.parametrize("metric", ["f1_binary", "kappa", "balanced_accuracy"])
def test_the_standard_error_of_a_table_is_that_of_many_such_samples(metric: str) -> None:
    label, baseline, candidate = (
        np.array(column) for column in zip(*[(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)], strict=True)
    )
    shares = np.array([0.47, 0.01, 0.01, 0.02, 0.03, 0.02, 0.02, 0.42])
    drawn = np.random.default_rng(3).multinomial(2000, shares, size=1500).astype(np.float64)
    counts = confusion.JointCounts(label, baseline, candidate, drawn[0], 2)
    strays = np.std([confusion.difference(metric, confusion.JointCounts(label, baseline, candidate, one, 2), 1) for one in drawn])
    found = confusion.difference_interval(metric, counts, 0.95, 1, 1, 2000)
    assert found.standard_error == pytest.approx(float(strays), rel=0.15)
    assert (found.high - found.low) / 2 / Z > 0.95 * found.standard_error
    assert confusion.difference_interval(metric, counts.swapped, 0.95, 1, 1, 2000).standard_error == found.standard_error


def test_a_table_without_a_disagreement_is_no_proof_that_there_never_is_one() -> None:
    counts = confusion.JointCounts(np.array([0, 1]), np.array([0, 1]), np.array([0, 1]), np.array([500.0, 500.0]), 2)
    found = confusion.difference_interval("f1_binary", counts, 0.95, 1, 1)
    assert found.standard_error is not None
    assert 0 < found.standard_error < (found.high - found.low) / 2 / Z


def test_training_and_examples_stray_together_and_few_seeds_set_the_bounds_wider_than_that() -> None:
    runs = Runs(np.array([0.90, 0.91, 0.92]), np.array([0.905, 0.90, 0.91]), is_paired=True)
    of_seeds = float(np.std(runs.candidate - runs.baseline, ddof=1)) / math.sqrt(3)
    found = with_training_noise(Interval(0.0, -0.01, 0.01, "paired t interval", 0.006), runs, 0.95)
    assert found.standard_error == pytest.approx(math.hypot(0.006, of_seeds))
    alone = interval_of_runs(runs, 0.95)
    assert alone.standard_error == pytest.approx(of_seeds)
    noise = noise_of(alone, 3, 0.95, is_fixed=True)
    assert noise is not None
    assert noise.widening == pytest.approx(t_quantile(0.95, 2) / Z)


def test_the_gap_of_groups_strays_less_than_its_bounds_lie_apart_and_a_tiny_group_is_the_one_least_is_known_of() -> None:
    from mlgate.stats.comparison import Model, Pair

    random = np.random.default_rng(1)
    ends = np.cumsum([400, 300, 6])
    baseline = (random.random(706) < 0.9).astype(np.int64)
    candidate = np.where(random.random(706) < 0.04, 1 - baseline, baseline)
    ones = np.ones(706, dtype=np.int64)
    groups = [np.arange(end - size, end) for end, size in zip(ends, [400, 300, 6], strict=True)]
    gap = compare_gaps("recall", Pair(Model(ones, candidate, 2, 1), Model(ones, baseline, 2, 1)), groups, 0.95, 1)
    assert gap.change is not None
    assert gap.change.standard_error is not None
    assert 0 < gap.change.standard_error < (gap.change.high - gap.change.low) / 2
    assert gap.groups[int(gap.reach.argmax())].n == 6


@pytest.mark.parametrize("budget", [1, 20, 200])
@pytest.mark.parametrize("margin", [0.002, 0.01, 0.1])
def test_on_the_ladder_the_same_answers_pass_only_where_all_candidates_together_keep_the_promise(budget: int, margin: float) -> None:
    """A model worse by the margin agrees with the baseline on n examples with a chance of (1 - margin)^n at most."""
    for n in (20, 100, 300, 500, 691, 1000, 5000):
        if reuse.is_as_good_for_all(1 - 0.05 ** (1 / n), margin, 0.95, budget):
            assert budget * (1 - margin) ** n <= 0.05 * (1 + 1e-9)
    assert reuse.is_as_good_for_all(1 - 0.05 ** (1 / 20_000), margin, 0.95, budget)
    assert not reuse.is_as_good_for_all(math.inf, margin, 0.95, budget)
    assert not reuse.is_as_good_for_all(0.0, 0.0, 0.95, budget), "a margin of 0 asks for better"
