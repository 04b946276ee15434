"""Metrics of a confusion table: kappa, and where a table is too small to say anything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from mlgate.stats import confusion
from mlgate.stats.comparison import Model, Pair, UndefinedMetricError, compare, point

OF_TABLES = ("f1_binary", "precision_binary", "recall_binary", "balanced_accuracy", "mcc", "kappa", "f1_macro", "precision_weighted")


def models(n: int, positives: int, seed: int = 1) -> Pair:
    random = np.random.default_rng(seed)
    target = np.zeros(n, dtype=np.int64)
    target[:positives] = 1
    baseline, candidate = (np.where(random.random(n) < 0.1, 1 - target, target) for _ in range(2))
    return Pair(Model(target, candidate, 2, 1), Model(target, baseline, 2, 1))


def test_kappa_of_a_worked_example() -> None:
    """Two raters of 50 proposals, 20 yes of both, 15 no of both, 5 and 10 apart: 0.7 agreed, 0.5 expected."""
    one = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    other = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert confusion.point("kappa", one, other, 2) == pytest.approx(0.4, abs=1e-12)
    assert sklearn.cohen_kappa_score(one, other) == pytest.approx(0.4, abs=1e-12)


def test_kappa_of_a_constant_answer_is_nought_and_of_a_constant_label_undefined() -> None:
    target = np.array([0, 1, 1, 0, 1])
    assert point("kappa", Model(target, np.ones(5, dtype=np.int64), 2, 1)) == 0
    with pytest.raises(UndefinedMetricError, match="only one class occurs"):
        point("kappa", Model(np.ones(5, dtype=np.int64), target, 2, 1))


@pytest.mark.parametrize("metric", OF_TABLES)
def test_with_nine_examples_outside_the_most_frequent_class_a_table_says_nothing_and_with_ten_it_does(metric: str) -> None:
    nine, ten = (compare(metric, models(300, positives), 0.95, 1).interval for positives in (9, 10))
    assert (nine.low, nine.high) == (-math.inf, math.inf)
    assert math.isfinite(ten.low)
    assert math.isfinite(ten.high)
    assert nine.method == ten.method == confusion.METHOD


@pytest.mark.parametrize("metric", ["accuracy", "recall_weighted", "f1_micro"])
def test_accuracy_by_any_name_has_tangos_interval_whatever_the_classes(metric: str) -> None:
    for positives in (2, 150):
        found, accuracy = (compare(name, models(300, positives), 0.95, 1).interval for name in (metric, "accuracy"))
        assert found == accuracy
        assert "Tango" in found.method


@pytest.mark.parametrize("metric", OF_TABLES)
def test_fewer_draws_give_the_same_interval_but_for_chance(metric: str) -> None:
    """The calibration suite makes 300 draws where the gate makes 4,000."""
    counts = models(1000, 300).counts
    few, many = (confusion.difference_interval(metric, counts, 0.95, 1, 1, draws) for draws in (300, None))
    width = many.high - many.low
    assert few.low == pytest.approx(many.low, abs=0.12 * width)
    assert few.high == pytest.approx(many.high, abs=0.12 * width)


def test_disagreements_that_were_not_seen_widen_kappa_by_rare_classes_as_by_frequent_ones() -> None:
    """As for balanced accuracy: on a table with 3 % positives a rare class moves kappa far more than its share of the rows."""
    target = np.zeros(1000, dtype=np.int64)
    target[:30] = 1
    same = Model(target, target, 2, 1)
    counts = Pair(same, same).counts
    imagined = confusion.with_imagined_disagreements("kappa", counts, 0.95, None)
    added = imagined.count[counts.count.size :]
    assert np.allclose(added, added[0])
    assert added.sum() == pytest.approx(1.6448536**2)
