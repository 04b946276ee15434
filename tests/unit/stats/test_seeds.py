"""Training noise: intervals over several seeds, whether paired or not, beside what an artefact alone would promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from calibration import training_noise
from calibration.scenario import ALPHA, allowed, measure
from mlgate.stats import methods, seeds
from mlgate.stats.intervals import Interval
from mlgate.stats.seeds import Runs, interval_of_runs, with_training_noise

ONE, OTHER = np.array([0.91, 0.92, 0.90, 0.93]), np.array([0.90, 0.90, 0.91, 0.91])
QUICK = [one for one in training_noise.scenarios() if one.is_quick]
RIVALS = {one.population: one for one in training_noise.scenarios(False)}


@pytest.mark.parametrize("scenario", QUICK, ids=[one.name for one in QUICK])
def test_a_training_code_worse_by_the_margin_passes_no_more_often_than_promised(scenario) -> None:  # type: ignore[no-untyped-def]
    assert measure(scenario, 200).worst <= allowed(200)
    assert measure(RIVALS[scenario.population], 200).worst > 1.5 * ALPHA


def test_paired_seeds_give_scipys_paired_t() -> None:
    found = interval_of_runs(Runs(ONE, OTHER, is_paired=True), 0.95)
    known = stats.ttest_rel(ONE, OTHER).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-10)
    assert found.method == seeds.PAIRED


def test_other_seeds_give_welchs_t_with_degrees_rounded_down() -> None:
    noise = seeds.training_noise(Runs(ONE, OTHER[:3]))
    known = stats.ttest_ind(ONE, OTHER[:3], equal_var=False)
    assert noise.degrees == math.floor(known.df)
    assert noise.standard_error == pytest.approx((ONE.mean() - OTHER[:3].mean()) / known.statistic, rel=1e-10)


def test_one_run_beside_several_is_taken_to_stray_as_they_do() -> None:
    noise = seeds.training_noise(Runs(ONE, OTHER[:1]))
    assert noise.standard_error == pytest.approx(ONE.std(ddof=1) * math.sqrt(1 + 1 / 4))
    assert (noise.degrees, noise.method) == (3, seeds.POOLED)


def test_two_runs_of_a_number_without_predictions_say_nothing() -> None:
    found = interval_of_runs(Runs(ONE[:2], OTHER), 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_runs_that_do_not_stray_leave_the_interval_of_the_examples() -> None:
    of_examples = Interval(0.01, -0.02, 0.03, "x")
    runs = Runs(np.full(3, 0.92), np.full(3, 0.91))
    found = with_training_noise(of_examples, runs, 0.95)
    assert (found.low, found.high) == pytest.approx((0.01 - 0.03, 0.01 + 0.02))


def test_training_noise_only_ever_widens() -> None:
    of_examples = Interval(0.01, -0.02, 0.03, "x")
    found = with_training_noise(of_examples, Runs(ONE, OTHER), 0.95)
    assert found.estimate - found.low > 0.03
    assert found.high - found.estimate > 0.02


def test_an_example_part_that_says_nothing_stays_so() -> None:
    found = with_training_noise(Interval(0.01, -math.inf, math.inf, "x"), Runs(ONE, OTHER), 0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("runs", [Runs(ONE[:1], OTHER[:1]), Runs(ONE, OTHER[:3], is_paired=True), Runs(ONE[:0], OTHER)])
def test_runs_that_cannot_be_compared_are_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match=r"runs"):
        seeds.training_noise(runs)


def test_the_source_of_a_joined_method_names_both() -> None:
    source = methods.source_of(f"cluster bootstrap{seeds.JOINED}{seeds.PAIRED}")
    assert source is not None
    assert "Hesterberg" in source
    assert "Student" in source
    assert methods.source_of("no method") is None
