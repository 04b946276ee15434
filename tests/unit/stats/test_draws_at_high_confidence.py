"""A bootstrap makes as many draws as its confidence asks for: a bound with no draws beyond it is a matter of luck."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from mlgate.stats import clusters, confusion
from mlgate.stats.bootstrap import BEYOND, MAX_DRAWS, draws_for, interval_of_means, percentile_interval
from mlgate.stats.distributions import normal_quantile


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.999])
def test_twenty_draws_lie_beyond_a_bound_where_draws_are_cheap(confidence: float) -> None:
    assert draws_for(20, confidence) * (1 - confidence) >= BEYOND * 0.999


def test_what_a_confidence_of_95_percent_costs_is_as_it_was() -> None:
    assert draws_for(10, 0.95) == MAX_DRAWS
    assert draws_for(20_000_000, 0.95) == draws_for(20_000_000, 0.999) == 400


@pytest.mark.parametrize("confidence", [0.99, 0.999, 0.9999])
def test_dear_draws_of_which_hardly_any_lie_beyond_are_no_nearer_than_the_normal_interval(confidence: float) -> None:
    drawn = np.random.default_rng(6).normal(1, 2, 400)
    found = percentile_interval(1.0, drawn, confidence, "draws")
    assert found.high >= 1 + normal_quantile(confidence) * drawn.std()
    assert found.low <= 1 - normal_quantile(confidence) * drawn.std()


def test_sufficient_statistics_are_drawn_often_enough_for_99_9_percent() -> None:
    random = np.random.default_rng(1)
    columns = random.normal(size=(5000, 1))
    widths = [interval_of_means(columns, lambda means: means[:, 0], 0.999, seed).high for seed in range(8)]
    expected = float(columns.mean()) + normal_quantile(0.999) * float(columns.std()) / np.sqrt(5000)
    assert widths == pytest.approx([expected] * 8, abs=0.1 * expected)


def test_a_cluster_bootstrap_without_time_for_so_many_draws_is_at_least_as_wide_as_the_normal_interval() -> None:
    drawn = np.random.default_rng(2).normal(size=400)
    found = clusters._expanded(0.0, drawn, 1000, 0.9999)
    assert found.high >= normal_quantile(0.9999) * float(drawn.std())
    usual = clusters._expanded(0.0, drawn, 1000, 0.95)
    assert usual.high == pytest.approx(float(np.quantile(drawn, 0.95)), rel=0.01)


def test_the_bound_on_the_side_of_a_longer_tail_moves_outwards_and_the_other_stays() -> None:
    drawn = np.random.default_rng(3).gamma(30, 1, 50_000) - 30
    plain, moved = (percentile_interval(0.0, drawn, 0.95, "draws", is_skewed=skewed) for skewed in (False, True))
    assert moved.low == plain.low
    assert moved.high > plain.high
    # Efron's (1987) BCa with a and z0 both a sixth of the skewness 2 / sqrt(30)
    sixth = 2 / np.sqrt(30) / 6
    quantile = sixth + (sixth + 1.6448536) / (1 - sixth * (sixth + 1.6448536))
    assert moved.high == pytest.approx(float(np.quantile(drawn, NormalDist().cdf(quantile))), rel=0.02)
    symmetric = np.concatenate([drawn, -drawn])
    both = [percentile_interval(0.0, symmetric, 0.95, "draws", is_skewed=skewed) for skewed in (False, True)]
    assert both[0].high == pytest.approx(both[1].high, rel=1e-6)


def test_exchanged_models_mirror_the_interval_of_a_weighted_metric() -> None:
    random = np.random.default_rng(5)
    label = random.integers(0, 3, 600)
    old = np.where(random.random(600) < 0.1, (label + 1) % 3, label)
    new = np.where(random.random(600) < 0.05, (old + 1) % 3, old)
    one, other = (confusion.joint_counts(label, *pair, 3) for pair in ((old, new), (new, old)))
    found = confusion.difference_interval("precision_weighted", one, 0.95, 7)
    mirrored = confusion.difference_interval("precision_weighted", other, 0.95, 7)
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)
