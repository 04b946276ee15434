"""The gap between groups: its value and bounds by hand, what it is for every kind of metric, and the error rate it promises."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from calibration import gaps
from calibration.scenario import allowed
from mlgate.stats.comparison import Model, Pair, UndefinedMetricError
from mlgate.stats.fairness import compare_gaps, gap, of_rate
from mlgate.stats.intervals import tango_interval


def classified(n: int, seed: int, classes: int = 2, wrong: float = 0.2) -> tuple[Pair, list[np.ndarray]]:
    """Two models that are wrong here and there, with probabilities; three groups of different size."""
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, n)

    def model() -> Model:
        scores = random.dirichlet(np.ones(classes), n) * 0.6 + 0.4 * np.eye(classes)[target]
        answers = np.where(random.random(n) < wrong, random.integers(0, classes, n), target)
        return Model(target, answers, classes, 1 if classes == 2 else None, scores)

    sizes = np.split(random.permutation(n), [n // 2, n // 2 + n // 3])
    return Pair(model(), model()), sizes


def test_rates_are_what_their_names_say() -> None:
    target, answer = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    model = Model(target, answer, 2, 1)
    values = {}
    for name in ("recall", "tpr", "fpr", "selection_rate"):
        metric, reduced = of_rate(name, model)
        assert metric == "accuracy"
        values[name] = float(np.mean(reduced.target == reduced.prediction))
    assert values == {"recall": 0.75, "tpr": 0.75, "fpr": pytest.approx(1 / 6), "selection_rate": 0.4}
    assert of_rate("f1_macro", model) == ("f1_macro", model)


@pytest.mark.parametrize("classes", [None, 3])
def test_a_rate_without_two_classes_is_refused(classes: int | None) -> None:
    model = Model(np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64), classes)
    with pytest.raises(ValueError, match="'fpr' is a rate of the positive class of two"):
        of_rate("fpr", model)


def test_the_gap_and_its_change_by_hand() -> None:
    """Two groups of 2,000 and 1,000 positives. The baseline has 0.9 and 0.8, the candidate 0.9 and 0.7: it loses 100, nothing is gained."""
    kinds = np.array([[1800, 0, 0, 200], [700, 100, 0, 200]])
    pair, groups = gaps.pair_of(kinds)
    found = compare_gaps("recall", pair, groups, 0.95, 0)
    assert [(group.n, group.candidate, group.baseline) for group in found.groups] == [(2000, 0.9, 0.9), (1000, 0.7, 0.8)]
    assert (found.candidate.estimate, found.baseline) == (pytest.approx(0.2), pytest.approx(0.1))
    change = found.change
    assert change is not None
    assert change.estimate == pytest.approx(0.1)
    # the same two groups in both models, each side at nine tenths of the error: distances as the sides of a right angle
    first, second = tango_interval(0, 0, 2000, 1 - 0.045), tango_interval(0, 100, 1000, 1 - 0.045)
    assert change.high == pytest.approx(0.1 + math.hypot(first.high, second.estimate - second.low))
    assert change.low == pytest.approx(0.1 - math.hypot(-first.low, second.high - second.estimate))


def test_exchanging_the_models_mirrors_the_change() -> None:
    pair, groups = classified(600, 3)
    forth = compare_gaps("recall", pair, groups, 0.95, 7)
    back = compare_gaps("recall", Pair(pair.baseline, pair.candidate), groups, 0.95, 7)
    assert forth.change is not None
    assert back.change is not None
    assert (back.change.low, back.change.high) == (pytest.approx(-forth.change.high), pytest.approx(-forth.change.low))


def test_neither_the_order_of_groups_nor_that_of_rows_matters() -> None:
    pair, groups = classified(600, 4)
    shuffled = [np.random.default_rng(place).permutation(groups[place]) for place in (2, 0, 1)]
    one, other = (compare_gaps("recall", pair, which, 0.95, 7) for which in (groups, shuffled))
    assert one.change is not None
    assert other.change is not None
    assert (other.change.low, other.change.high) == (pytest.approx(one.change.low), pytest.approx(one.change.high))
    assert other.candidate.high == pytest.approx(one.candidate.high)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "precision_binary", "recall_macro", "mcc", "roc_auc", "log_loss", "brier"])
def test_every_metric_of_classes_has_a_gap(metric: str) -> None:
    pair, groups = classified(900, 5)
    found = compare_gaps(metric, pair, groups, 0.95, 1)
    values = [group.candidate for group in found.groups]
    assert found.change is not None
    assert found.candidate.estimate == pytest.approx(max(values) - min(values))
    assert found.change.low < found.change.estimate < found.change.high
    assert 0 <= found.candidate.low <= found.candidate.estimate <= found.candidate.high


@pytest.mark.parametrize("metric", ["mae", "rmse", "r2"])
def test_every_metric_of_numbers_has_a_gap(metric: str) -> None:
    random = np.random.default_rng(6)
    target = random.normal(size=600)
    pair = Pair(*(Model(target, target + random.normal(0, 0.3, 600)) for _ in range(2)))
    found = compare_gaps(metric, pair, np.split(np.arange(600), 3), 0.95, 1)
    assert found.change is not None
    assert math.isfinite(found.change.low)
    assert math.isfinite(found.change.high)


def test_one_models_gap_is_the_same_with_and_without_another_beside_it() -> None:
    pair, groups = classified(600, 8)
    assert gap("recall", pair.candidate, groups, 0.95, 1).candidate == compare_gaps("recall", pair, groups, 0.95, 1).candidate
    assert gap("recall", pair.candidate, groups, 0.95, 1).change is None


def test_a_group_without_a_positive_example_is_named_and_one_of_few_settles_nothing() -> None:
    pair, groups = classified(600, 9)
    target = pair.candidate.target.copy()
    target[groups[2]] = 0
    pair = Pair(replace(pair.candidate, target=target), replace(pair.baseline, target=target))
    found = compare_gaps("recall", pair, groups, 0.95, 1)
    assert found.undefined == [2]
    assert [group.place for group in found.groups] == [0, 1]
    few = compare_gaps("recall", pair, [groups[0], groups[1][:6]], 0.95, 1)
    assert few.change is not None
    assert few.change.high > 0.3, "six examples protect from nothing"


def test_fewer_than_two_groups_have_no_gap() -> None:
    pair, groups = classified(100, 10)
    with pytest.raises(UndefinedMetricError, match="fewer than two groups"):
        compare_gaps("recall", pair, groups[:1], 0.95, 1)


def test_a_model_that_closes_the_gap_is_found_better() -> None:
    """Though its largest gain is between two groups the wrong way round: bounds of that pair alone would call it doubtful."""
    pair, groups = gaps.pair_of(np.array([[1800, 0, 0, 200], [1400, 0, 300, 300]]))
    change = compare_gaps("recall", pair, groups, 0.95, 1).change
    assert change is not None
    assert change.estimate == pytest.approx(-0.15)
    assert change.high < -0.1


def test_a_wider_gap_passes_no_more_often_than_promised_where_a_bootstrap_breaks_it() -> None:
    """Five groups of 200 positives, alike in the baseline: the true change is the margin, exactly."""
    population, runs = gaps.POPULATIONS[2], 100
    samples = list(gaps.draw(population, 200, gaps.MARGIN, runs, np.random.default_rng(11)))
    passed = naive = 0
    for run, kinds in enumerate(samples):
        pair, groups = gaps.pair_of(kinds)
        change = compare_gaps("recall", pair, groups, 0.95, run).change
        assert change is not None
        passed += change.high < gaps.MARGIN
        naive += gaps.naive_low(kinds, run) > -gaps.MARGIN
    assert passed / runs <= allowed(runs)
    assert naive / runs > allowed(runs), naive
