"""The gate's promises, measured: a quick part of what `make calibrate` runs in full. Seeds are fixed."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from calibration import confusion_tables, exact, naive_rules, paired_proportions, rankings
from calibration.__main__ import RESULTS
from calibration.scenario import Promise, Scenario, allowed, measure, measure_promise
from mlgate.stats import confusion, ranking
from mlgate.stats.intervals import tango_interval, tango_score_interval

RUNS = 300
OWN = (confusion_tables, paired_proportions, rankings)
"""The other modules of the suite have tests of their own in tests/unit/stats."""
QUICK = [scenario for module in OWN for scenario in module.scenarios() if scenario.is_quick]
RULES = [promise for promise in naive_rules.promises() if promise.is_quick]


@pytest.mark.parametrize("scenario", QUICK, ids=lambda scenario: scenario.name)
def test_no_bound_misses_more_often_than_promised(scenario: Scenario) -> None:
    found = measure(scenario, RUNS)
    assert found.worst <= allowed(RUNS), found


@pytest.mark.parametrize("promise", RULES, ids=lambda promise: promise.name)
def test_mlgate_keeps_what_rules_of_thumb_do_not_even_promise(promise: Promise) -> None:
    found = measure_promise(promise, 4000)
    assert found.holds
    if promise.bound == naive_rules.NOTHING:
        assert found.rate > 0.4


@pytest.mark.parametrize(
    ("scores", "metric", "runs", "at_least"),
    [
        (rankings.Scores(rankings.RARE, 0.98, 0.02), "roc_auc", 1000, 0.15),
        (rankings.Scores(rankings.RARE, 0.9, 0.02, is_moved=True), "roc_auc", 1000, 0.6),
        (rankings.Scores(rankings.RARE, 0.9, 0.02, is_moved=True), "pr_auc", 20, 0.5),
    ],
)
def test_delong_and_the_bootstrap_by_themselves_break_the_promise_with_twenty_positives(
    scores: rankings.Scores, metric: str, runs: int, at_least: float
) -> None:
    """The figures of docs/calibration.md for what the gate does not use there: 200 rows, 10 % positive."""
    loss = 0.005 if scores.is_moved else 0.01
    area = ranking.roc_auc if metric == "roc_auc" else ranking.average_precision
    generator, passed = np.random.default_rng(5), 0
    for run in range(runs):
        label, new, old = scores.draw(metric, 200, loss, generator)
        areas = ranking.over_classes(area, label, new, [1]), ranking.over_classes(area, label, old, [1])
        if metric == "roc_auc":
            found = ranking._normal_interval(*areas, 0.95, ranking.DELONG)
        else:
            found = ranking._bootstrapped(label, (new, old), areas, [1], 0.95, run)
        passed += found.low > -loss
    assert passed / runs > at_least


def test_tangos_interval_as_published_misses_with_few_gains_or_losses_and_the_gates_does_not() -> None:
    """Summed over all outcomes: 3.75 gains and 0.65 losses expected of 200 examples."""
    n, gain, loss = 200, 3.75 / 200, 0.65 / 200
    published, ours = (low_bounds(function, n, 25) for function in (tango_score_interval, tango_interval))
    assert exact.misses(published, n, gain, loss) > 0.09
    for gains in (0.3, 1, 3.75, 6, 9):
        for losses in (0.02, 0.65, 2.75, 4.5, 8):
            assert exact.misses(ours, n, gains / n, losses / n) < 0.055


def low_bounds(function: Callable[..., object], n: int, size: int) -> np.ndarray:
    return np.array([[function(gained, lost, n, 0.95).low for lost in range(size)] for gained in range(size)])


@pytest.mark.parametrize("metric", ["f1_binary", "precision_binary", "recall_binary", "balanced_accuracy", "mcc", "kappa"])
@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_a_population_loses_exactly_what_it_says(metric: str, loss: float) -> None:
    population = confusion_tables.Population(confusion_tables.RARE, 0.04)
    shares = population.at_loss(metric, loss)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() >= 0
    assert population.difference(metric, shares) == pytest.approx(-loss, abs=1e-12)
    label, old, new = population.kinds()
    assert shares[old != new].sum() == pytest.approx(0.04)
    whole = confusion.JointCounts(label, old, new, shares * 1e9, 2)
    assert confusion.difference(metric, whole, 1) == pytest.approx(-loss, abs=1e-9)


@pytest.mark.parametrize("is_moved", [True, False])
@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
def test_areas_of_a_large_sample_are_those_of_the_population(metric: str, is_moved: bool) -> None:
    scores = rankings.Scores(rankings.RARE, 0.9, 0.1, is_moved)
    sample = scores.draw(metric, 400_000, 0.02, np.random.default_rng(1))
    found = rankings.interval(metric, sample, 1)
    assert found.estimate == pytest.approx(-0.02, abs=3.5 * (found.high - found.low) / 3.29)
    assert found.high - found.low < 0.01


def test_what_the_docs_show_was_measured_with_every_scenario_there_is() -> None:
    recorded = json.loads(RESULTS.read_text())
    names = {(row["family"], row["metric"], row["n"], row["margin"], row["population"]) for row in recorded["intervals"]}
    for module in OWN:
        assert {(one.family, one.metric, one.n, one.margin, one.population) for one in module.scenarios()} <= names
