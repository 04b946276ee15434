"""Grouped rows: the promise kept where rows of a group are alike, which intervals of independent rows break by far."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration import clusters as scenarios
from calibration.scenario import ALPHA, allowed, measure
from mlgate.stats import clusters
from mlgate.stats.clusters import Groups
from mlgate.stats.comparison import Compared, Model, Pair, compare, compare_means

QUICK = [(one, rival) for one, rival in zip(scenarios.scenarios(), scenarios.scenarios(False), strict=True) if one.is_quick]
METRICS = ("accuracy", "f1_macro", "mcc", "balanced_accuracy", "recall_binary", "roc_auc", "pr_auc", "log_loss", "brier")


def classifiers(n: int, count: int, seed: int = 0) -> Pair:
    random = np.random.default_rng(seed)
    target, groups = random.integers(0, 2, n), Groups.of(random.permutation(np.arange(n) % count))
    old = np.clip(0.35 + 0.3 * target + random.normal(0, 0.25, n), 0.01, 0.99)
    new = np.clip(old + random.normal(0, 0.06, n), 0.01, 0.99)
    return Pair(*(Model(target, (one > 0.5).astype(int), 2, 1, np.column_stack([1 - one, one]), groups) for one in (new, old)))


def regressions(n: int, count: int) -> Pair:
    random = np.random.default_rng(1)
    target, groups = random.normal(0, 2, n), Groups.of(np.arange(n) % count)
    old = target + random.normal(0, 1, n)
    return Pair(*(Model(target, one, groups=groups) for one in (old + random.normal(0, 0.2, n), old)))


@pytest.mark.parametrize(("scenario", "naive"), QUICK, ids=[one.name for one, _ in QUICK])
def test_a_model_worse_by_the_margin_passes_no_more_often_than_promised_where_rows_are_grouped(scenario, naive) -> None:  # type: ignore[no-untyped-def]
    runs = 60 if scenario.metric == "f1_macro" else 300
    assert measure(scenario, runs).worst <= allowed(runs)
    if runs == 300 and scenario.metric != "roc_auc":
        assert measure(naive, runs).worst > 2 * ALPHA


@pytest.mark.parametrize("metric", [*METRICS, "rmse", "r2", "mae"])
def test_below_fifty_groups_every_metric_cannot_tell(metric: str) -> None:
    pair = classifiers(2000, 49) if metric in METRICS else regressions(2000, 49)
    found = compare(metric, pair, 0.95, 1)
    assert (found.interval.low, found.interval.high, found.groups) == (-math.inf, math.inf, 49)


@pytest.mark.parametrize("metric", [*METRICS, "rmse", "r2", "mae"])
def test_exchanging_the_models_mirrors_the_interval(metric: str) -> None:
    pair = classifiers(1500, 300) if metric in METRICS else regressions(1500, 300)
    one, other = compare(metric, pair, 0.95, 1), compare(metric, Pair(pair.baseline, pair.candidate), 0.95, 1)
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-12)
    assert one.interval.high == pytest.approx(-other.interval.low, abs=1e-12)
    assert one.interval.low < one.interval.estimate < one.interval.high


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss", "roc_auc", "mae", "rmse"])
def test_groups_of_one_row_give_about_the_interval_of_independent_rows(metric: str) -> None:
    pair = classifiers(3000, 3000) if metric in METRICS else regressions(3000, 3000)
    alone = Pair(*(Model(m.target, m.prediction, m.classes, m.positive, m.scores) for m in (pair.candidate, pair.baseline)))
    grouped, single = compare(metric, pair, 0.95, 1).interval, compare(metric, alone, 0.95, 1).interval
    width = single.high - single.low
    assert grouped.high - grouped.low == pytest.approx(width, rel=0.12)
    assert grouped.low == pytest.approx(single.low, abs=0.12 * width)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss", "roc_auc"])
def test_rows_written_ten_times_say_nothing_new(metric: str) -> None:
    """Ten copies of each row as groups of ten are worth the rows themselves; taken for independent they would vouch for far more."""
    once = classifiers(500, 500, seed=3)
    rows = np.repeat(np.arange(500), 10)
    copied = once.take(rows)
    of_rows = Pair(*(Model(m.target, m.prediction, 2, 1, m.scores) for m in (copied.candidate, copied.baseline)))
    widths = [found.interval.high - found.interval.low for found in (compare(metric, pair, 0.95, 1) for pair in (once, copied, of_rows))]
    # of areas, the caution for rows that were not seen counts rows
    assert widths[1] >= (0.65 if metric == "roc_auc" else 0.85) * widths[0]
    assert widths[1] > 2 * widths[2]


def test_the_standard_error_is_that_of_statsmodels_cluster_robust_covariance() -> None:
    api = pytest.importorskip("statsmodels.api")
    random = np.random.default_rng(5)
    codes = np.repeat(np.arange(400), 5)
    differences = random.normal(0.1, 1, 2000) + np.repeat(random.normal(0, 0.5, 400), 5)
    robust = api.OLS(differences, np.ones(2000)).fit(cov_type="cluster", cov_kwds={"groups": codes})
    found = clusters.mean_interval(differences, Groups.of(codes), 0.95)
    # statsmodels corrects by (n - 1) / (n - k) too, which is 1 here
    assert found.standard_error == pytest.approx(float(robust.bse[0]), rel=1e-8)


def test_a_table_too_large_for_sums_by_group_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = classifiers(1500, 300)
    dense = compare("f1_macro", pair, 0.95, 1).interval
    monkeypatch.setattr(clusters, "_LARGEST_TABLE", 0)
    by_row = compare("f1_macro", pair, 0.95, 1).interval
    assert by_row.low == pytest.approx(dense.low, abs=0.15 * (dense.high - dense.low))


def test_many_groups_take_the_normal_limit_of_their_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = classifiers(4000, 2000)
    drawn = compare("f1_macro", pair, 0.95, 1).interval
    monkeypatch.setattr(clusters, "MANY_GROUPS", 100)
    limit = compare("f1_macro", pair, 0.95, 1).interval
    assert (limit.low, limit.high) == pytest.approx((drawn.low, drawn.high), abs=0.1 * (drawn.high - drawn.low))


def test_no_p_value_is_shown_where_rows_are_grouped() -> None:
    found: Compared = compare("accuracy", classifiers(1000, 200), 0.95, 1)
    assert found.p_value is None
    assert found.paired is None


def test_a_users_own_values_are_grouped_too() -> None:
    values = np.random.default_rng(2).normal(0, 1, 1000)
    groups = Groups.of(np.arange(1000) // 5)
    assert compare_means(values + 0.1, values, 0.95, groups).groups == 200


def test_a_part_of_the_rows_has_the_groups_that_occur_in_it() -> None:
    assert classifiers(1000, 200).take(np.arange(3)).candidate.groups.count <= 3  # type: ignore[union-attr]
