"""The loss a holdout can see: held against the gate's own intervals, and against an independent sample-size formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import normal_sample_size_one_tail

from mlgate.stats import sample_size
from mlgate.stats.intervals import tango_interval
from mlgate.stats.losses import rmse_difference, squared_columns
from mlgate.stats.verdict import decide

RUNS = 2000
PASSES = ("better", "no worse")


@pytest.mark.parametrize(("n", "disagreement"), [(200, 0.1), (1000, 0.1), (1000, 0.02), (5000, 0.3)])
def test_an_equally_good_model_passes_at_that_margin_four_times_out_of_five(n: int, disagreement: float) -> None:
    margin = sample_size.visible_loss_of_accuracy(n, disagreement, 0.95)
    drawn = np.random.default_rng(n).multinomial(n, [disagreement / 2, disagreement / 2, 1 - disagreement], size=RUNS)
    passed = sum(decide(tango_interval(int(gained), int(lost), n, 0.95), margin) in PASSES for gained, lost, _ in drawn)
    assert passed / RUNS == pytest.approx(sample_size.POWER, abs=0.05)


def test_it_is_the_sample_size_of_a_paired_difference_turned_around() -> None:
    visible = sample_size.visible_loss_of_accuracy(800, 0.08, 0.95, 0.9)
    assert normal_sample_size_one_tail(visible, 0.9, 0.05, std_null=math.sqrt(0.08)) == pytest.approx(800)


def test_models_that_never_disagreed_may_still_do_so() -> None:
    assert sample_size.visible_loss_of_accuracy(100, 0.0, 0.95) == sample_size.visible_loss_of_accuracy(100, 0.01, 0.95) > 0
    assert sample_size.visible_loss_of_accuracy(2, 1.0, 0.95) == 1.0


def errors(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shared = random.normal(0, 3, n)
    return shared + random.normal(0, 1, n), shared + random.normal(0, 1, n)


def test_an_equally_good_regression_passes_at_that_margin_four_times_out_of_five() -> None:
    random, n = np.random.default_rng(5), 400
    margin = float(np.mean([sample_size.visible_loss_of_rmse_between(*errors(n, random), 0.95) for _ in range(50)]))
    means = np.array([squared_columns(np.zeros(n), *errors(n, random)).mean(axis=0) for _ in range(RUNS)])
    spread = rmse_difference(means)
    # The bound of an interval of known spread, as the gate's bootstrap estimates it.
    passed = np.mean(spread + 1.6449 * spread.std() < margin)
    assert passed == pytest.approx(sample_size.POWER, abs=0.05)


def test_one_models_errors_do_under_the_stated_correlation() -> None:
    random = np.random.default_rng(6)
    one = random.normal(0, 2, 100_000)
    alone = sample_size.visible_loss_of_rmse(one, 0.95)
    squares = np.square(one)
    spread = squares.std(ddof=1) * math.sqrt(2 * (1 - sample_size.ASSUMED_CORRELATION))
    expected = normal_sample_size_one_tail(alone * 2 * math.sqrt(squares.mean()), 0.8, 0.05, std_null=spread)
    assert expected == pytest.approx(100_000)
    assert sample_size.visible_loss_of_rmse(np.zeros(5), 0.95) == 0.0


def test_half_the_margin_needs_four_times_the_examples() -> None:
    assert sample_size.examples_for(0.01, 0.02, 500) == 2000
