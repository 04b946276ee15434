"""Every metric of both models, and its interval: point values against scikit-learn, bootstraps against plain resampling."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics as sklearn

from mlgate.evaluation import metrics as by_evaluate
from mlgate.evaluation.predictions import Predictions
from mlgate.stats import confusion, ranking
from mlgate.stats.bootstrap import interval_of_means, percentile_interval, seed_of
from mlgate.stats.comparison import METRICS_OF_CLASSES, METRICS_OF_NUMBERS, Model, Pair, UndefinedMetricError, compare, compare_means, point


def classifier(n: int, classes: int, seed: int, skill: float = 1.5, is_coarse: bool = False) -> Model:
    random = np.random.default_rng(seed)
    target = np.random.default_rng(99).integers(0, classes, n)
    logits = random.normal(size=(n, classes))
    logits[np.arange(n), target] += skill
    scores = np.exp(logits)
    scores /= scores.sum(axis=1, keepdims=True)
    if is_coarse:  # ties
        scores = np.round(scores, 1)
        scores[:, 0] = 1 - scores[:, 1:].sum(axis=1)
        scores = np.clip(scores, 0, 1)
        scores /= scores.sum(axis=1, keepdims=True)
    return Model(target, scores.argmax(axis=1), classes, 1 if classes == 2 else None, scores)


def pair(n: int = 600, classes: int = 3, is_coarse: bool = False) -> Pair:
    return Pair(classifier(n, classes, 1, 1.6, is_coarse), classifier(n, classes, 2, 1.5, is_coarse))


def regressions(n: int = 500, seed: int = 5) -> Pair:
    random = np.random.default_rng(seed)
    target = random.normal(50, 10, n)
    return Pair(Model(target, target + random.normal(0, 2, n)), Model(target, target + random.normal(0, 2.1, n)))


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("is_coarse", [False, True])
def test_point_values_are_those_evaluate_computes_with_scikit_learn(classes: int, is_coarse: bool) -> None:
    model = classifier(400, classes, 1, is_coarse=is_coarse)
    labels = tuple(str(code) for code in range(classes))
    predictions = Predictions(np.arange(400), model.target, model.prediction, labels, model.scores)
    for name in sorted(METRICS_OF_CLASSES):
        if name.endswith("_binary") and classes > 2:
            continue
        assert point(name, model) == pytest.approx(by_evaluate.value(name, predictions), abs=1e-12), name


def test_point_values_of_regressions_are_those_evaluate_computes_with_scikit_learn() -> None:
    model = regressions().candidate
    predictions = Predictions(np.arange(500), model.target, model.prediction)
    for name in sorted(METRICS_OF_NUMBERS):
        assert point(name, model) == pytest.approx(by_evaluate.value(name, predictions), rel=1e-12), name


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_confusion_metrics_agree_with_scikit_learn_on_rare_and_missing_classes(classes: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    target, prediction = (random.choice(random.integers(0, classes, 3), n) for _ in range(2))
    for average in ("macro", "micro", "weighted"):
        for name, function in (("precision", sklearn.precision_score), ("recall", sklearn.recall_score), ("f1", sklearn.f1_score)):
            expected = function(target, prediction, average=average, zero_division=0)
            assert confusion.point(f"{name}_{average}", target, prediction, classes) == pytest.approx(expected, abs=1e-12)
    if np.ptp(target):
        assert confusion.point("kappa", target, prediction, classes) == pytest.approx(
            sklearn.cohen_kappa_score(target, prediction), abs=1e-12
        )
        assert confusion.point("mcc", target, prediction, classes) == pytest.approx(
            sklearn.matthews_corrcoef(target, prediction), abs=1e-12
        )


@pytest.mark.parametrize("metric", ["f1_macro", "precision_weighted", "recall_macro", "balanced_accuracy", "mcc"])
def test_the_multinomial_bootstrap_is_the_bootstrap_of_rows(metric: str) -> None:
    models = pair(n=800)
    found = compare(metric, models, 0.95, seed=1).interval
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(1500):
        part = models.take(random.integers(0, models.n, models.n))
        drawn.append(point(metric, part.candidate) - point(metric, part.baseline))
    low, high = np.quantile(drawn, [0.05, 0.95])
    half = (high - low) / 2
    assert found.estimate == pytest.approx(point(metric, models.candidate) - point(metric, models.baseline), abs=1e-12)
    # 1,500 and 4,000 draws, and the imagined disagreements widen a little
    assert found.low == pytest.approx(low, abs=0.12 * half)
    assert found.high == pytest.approx(high, abs=0.12 * half)


@pytest.mark.parametrize("classes", [2, 3])
def test_delong_agrees_with_the_jackknife(classes: int) -> None:
    models = pair(n=250, classes=classes, is_coarse=True)
    found = compare("roc_auc", models, 0.95, seed=1).interval
    left_out = []
    for row in range(models.n):
        part = models.take(np.delete(np.arange(models.n), row))
        left_out.append(point("roc_auc", part.candidate) - point("roc_auc", part.baseline))
    error = np.sqrt((models.n - 1) ** 2 / models.n * np.var(left_out, ddof=1))
    assert found.standard_error == pytest.approx(error, rel=0.02)


def test_delongs_variance_of_a_worked_example() -> None:
    """Structural components by their definition: the Mann-Whitney kernel averaged over the other class."""
    random = np.random.default_rng(3)
    positive = random.random(60) < 0.4
    scores = np.round(random.normal(size=(2, 60)) + positive, 1)
    kernels = [(s[positive][:, None] > s[~positive]) + 0.5 * (s[positive][:, None] == s[~positive]) for s in scores]
    of_positives = np.cov([kernel.mean(axis=1) for kernel in kernels])
    of_negatives = np.cov([kernel.mean(axis=0) for kernel in kernels])
    covariance = of_positives / positive.sum() + of_negatives / (~positive).sum()
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    one, other = (ranking.roc_auc(positive, s) for s in scores)
    assert one.value == pytest.approx(kernels[0].mean(), abs=1e-12)
    assert float(((one.influence - other.influence) ** 2).sum()) == pytest.approx(expected, rel=1e-10)


def test_average_precision_of_many_rows_and_of_few_agree() -> None:
    models = pair(n=9000, classes=2)
    scores = [model.scores[:, 1] for model in (models.candidate, models.baseline)]
    areas = [ranking.average_precision(models.candidate.target == 1, score) for score in scores]
    assert abs(areas[0].influence.sum()) < 1e-10
    error = np.linalg.norm(areas[0].influence - areas[1].influence)
    bootstrapped = compare("pr_auc", models, 0.95, seed=1).interval
    assert bootstrapped.method == "paired bootstrap"
    assert (bootstrapped.high - bootstrapped.low) / 2 == pytest.approx(scipy_stats.norm.ppf(0.95) * error, rel=0.05)
    assert compare("pr_auc", pair(n=20_000, classes=2), 0.95, seed=1).interval.method == "infinitesimal jackknife"


@pytest.mark.parametrize("metric", ["mae", "mape", "log_loss", "brier"])
def test_mean_losses_take_students_interval(metric: str) -> None:
    models = regressions() if metric in METRICS_OF_NUMBERS else pair()
    found = compare(metric, models, 0.95, seed=1)
    assert found.interval.method.startswith("paired t interval")
    assert found.interval.estimate == pytest.approx(point(metric, models.candidate) - point(metric, models.baseline), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_exchanging_the_models_mirrors_every_interval(classes: int) -> None:
    for models, names in ((pair(classes=classes), METRICS_OF_CLASSES), (regressions(), METRICS_OF_NUMBERS)):
        for name in sorted(names):
            if name.endswith("_binary") and classes > 2:
                continue
            one = compare(name, models, 0.95, seed=7)
            other = compare(name, Pair(models.baseline, models.candidate), 0.95, seed=7)
            assert other.interval.low == pytest.approx(-one.interval.high, abs=1e-12), name
            assert other.interval.high == pytest.approx(-one.interval.low, abs=1e-12), name


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_rows_does_not_matter_where_counts_decide(random) -> None:
    models = pair(n=200)
    order = list(range(200))
    random.shuffle(order)
    shuffled = models.take(np.array(order))
    for name in ("accuracy", "f1_macro", "mcc", "roc_auc"):
        one, other = compare(name, models, 0.95, seed=1).interval, compare(name, shuffled, 0.95, seed=1).interval
        assert (one.low, one.high) == (pytest.approx(other.low, abs=1e-12), pytest.approx(other.high, abs=1e-12))


def test_permuted_classes_change_nothing_but_the_draws() -> None:
    models = pair(n=600, classes=4)
    permutation = np.array([2, 0, 3, 1])

    def permuted(model: Model) -> Model:
        return Model(permutation[model.target], permutation[model.prediction], 4, None, model.scores[:, np.argsort(permutation)])

    other_models = Pair(permuted(models.candidate), permuted(models.baseline))
    for name in ("accuracy", "f1_macro", "mcc", "roc_auc", "log_loss"):
        one, other = compare(name, models, 0.95, seed=1), compare(name, other_models, 0.95, seed=1)
        assert one.candidate == pytest.approx(other.candidate, abs=1e-12)
        width = one.interval.high - one.interval.low
        assert one.interval.low == pytest.approx(other.interval.low, abs=0.05 * width)


def test_identical_models_differ_by_nothing_and_counts_still_allow_for_chance() -> None:
    model = classifier(300, 3, 1)
    for name in sorted(name for name in METRICS_OF_CLASSES if not name.endswith("_binary")):
        found = compare(name, Pair(model, model), 0.95, seed=1).interval
        assert found.estimate == 0
        assert found.low <= 0 <= found.high
    for name in ("accuracy", "f1_macro", "balanced_accuracy", "mcc", "precision_weighted"):
        found = compare(name, Pair(model, model), 0.95, seed=1).interval
        assert found.low < -0.003, "no disagreement in 300 examples does not show that there never is one"


def test_one_example_and_one_class_are_answered_or_refused_in_words() -> None:
    one = Pair(*(Model(np.array([0]), np.array([label]), 2, 1, np.array([[0.6, 0.4]])) for label in (0, 1)))
    assert compare("accuracy", one, 0.95, 1).interval.estimate == 1
    assert compare("f1_macro", one, 0.95, 1).interval.low <= 1
    for name, reason in (
        ("roc_auc", "only one class"),
        ("pr_auc", "only one class"),
        ("mcc", "only one class"),
        ("recall_binary", "no positive"),
    ):
        with pytest.raises(UndefinedMetricError, match=reason):
            compare(name, one, 0.95, 1)
    constant = Pair(*(Model(np.ones(5), np.arange(5.0)) for _ in range(2)))
    with pytest.raises(UndefinedMetricError, match="all targets are the same"):
        compare("r2", constant, 0.95, 1)
    zero = Pair(*(Model(np.array([0.0, 1.0]), np.ones(2)) for _ in range(2)))
    with pytest.raises(UndefinedMetricError, match="1 target is 0"):
        compare("mape", zero, 0.95, 1)
    with pytest.raises(UndefinedMetricError, match="no examples"):
        compare("accuracy", pair().take(np.array([], dtype=np.int64)), 0.95, 1)
    with pytest.raises(ValueError, match="no metric 'rmse'"):
        compare("rmse", pair(), 0.95, 1)
    with pytest.raises(UndefinedMetricError, match="too large"), np.errstate(over="ignore"):
        compare_means(np.array([1e308, 1e308]), np.zeros(2), 0.95)


def test_draws_that_are_undefined_say_that_the_sample_is_too_small() -> None:
    found = percentile_interval(0.1, np.array([0.1] * 97 + [np.nan] * 3), 0.95, "x")
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_a_seed_is_the_holdouts_and_the_metrics_own() -> None:
    assert seed_of("a" * 64, "f1") == seed_of("a" * 64, "f1") != seed_of("b" * 64, "f1")
    assert seed_of("a" * 64, "f1") != seed_of("a" * 64, "mcc")


def test_columns_that_repeat_one_another_have_a_normal_limit_too() -> None:
    column = np.random.default_rng(0).normal(size=20_000)
    found = interval_of_means(np.column_stack([column, column * 1e6]), lambda means: means[:, 0] - means[:, 1] / 1e6, 0.95, 1)
    assert found.low == pytest.approx(0, abs=1e-9)
    assert found.high == pytest.approx(0, abs=1e-9)


def test_a_million_examples_take_a_few_seconds() -> None:
    models = pair(n=1_000_000, classes=2)
    started = time.perf_counter()
    for name in ("accuracy", "f1_macro", "log_loss", "roc_auc"):
        compare(name, models, 0.95, seed=1)
    assert time.perf_counter() - started < 8
