"""Where a handful of examples carry the difference, the interval of a mean reaches farther and says so; elsewhere nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import means as populations
from calibration.scenario import measure
from mlgate.stats.means import CORRECTED_T, FAR_T, FEW_CARRYING, PAIRED_T, carrying, mean_interval
from mlgate.stats.methods import source_of


def test_how_many_examples_carry_a_difference() -> None:
    one, ten = np.zeros(500), np.zeros(500)
    one[3], ten[:5], ten[5:10] = 4.0, 2.0, -2.0
    assert carrying(one) == pytest.approx(1)
    assert carrying(ten) == pytest.approx(10)
    normal = np.random.default_rng(1).normal(size=3000)
    assert carrying(normal) == pytest.approx(1000, rel=0.15)  # n over the kurtosis
    assert carrying(normal * 1e-200) == pytest.approx(carrying(normal))
    assert carrying(normal * 1e200) == pytest.approx(carrying(normal))
    assert carrying(np.zeros(7)) == 7


def test_few_examples_that_carry_it_are_named_and_widen_the_interval() -> None:
    sample = np.random.default_rng(2).normal(0, 0.01, 800)
    many, few = sample.copy(), sample.copy()
    many[:40] += 1.0
    few[:4] += 1.0
    assert mean_interval(many, 0.95).method == CORRECTED_T
    found = mean_interval(few, 0.95)
    assert found.method == FAR_T
    assert source_of(FAR_T)
    # eight such examples are no longer few; with them the bound comes closer to the estimate, in units of the standard error
    enough = sample.copy()
    enough[:FEW_CARRYING] += 1.0
    other = mean_interval(enough, 0.95)
    assert found.standard_error is not None
    assert other.standard_error is not None
    assert (found.high - found.estimate) / found.standard_error > 1.2 * (other.high - other.estimate) / other.standard_error


@pytest.mark.parametrize("n", [200, 500, 1000, 5000])
def test_ordinary_losses_are_carried_by_many_examples(n: int) -> None:
    random = np.random.default_rng(n)
    baseline = np.abs(random.normal(size=n))
    difference = np.abs(baseline + random.normal(0, 0.1, n)) - baseline
    assert carrying(difference - difference.mean()) > 3 * FEW_CARRYING
    assert mean_interval(difference, 0.95, widest=4.0).method not in {FAR_T} | ({PAIRED_T} if n < 500 else set())


@pytest.mark.parametrize("n", [50, 200])
def test_users_values_whose_tail_few_examples_show_keep_the_promise(n: int) -> None:
    """Log-normal differences, sigma 2: a model worse by the margin passed in 10.8 and 7.5 % of the holdouts before."""
    [scenario] = [one for one in populations.scenarios() if one.n == n and one.population == "log-normal differences, sigma 2"]
    found = measure(scenario, 1500)
    assert found.false_pass <= 0.05 + 0.01
    assert not scenario.beyond


def test_nothing_is_promised_of_a_loss_that_most_holdouts_hardly_hold() -> None:
    beyond = {(one.population, one.n) for one in populations.scenarios() if one.beyond}
    assert ("loss in 0.5 % of rows", 500) in beyond
    assert ("loss in 0.5 % of rows", 1000) not in beyond
    assert ("loss in 2 % of rows", 500) not in beyond
