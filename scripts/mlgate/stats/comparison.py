"""Compare two models on the same examples, metric by metric: the method is chosen by the kind of metric and named in the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.stats import clusters, confusion, losses, ranking
from mlgate.stats.bootstrap import interval_of_means
from mlgate.stats.clusters import Groups
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.mcnemar import mcnemar_mid_p
from mlgate.stats.means import corrected_interval, mean_interval
from mlgate.stats.ranking import Area
from mlgate.stats.resampled import resampled_interval
from mlgate.stats.seeds import Runs, with_training_noise

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ACCURACY_LIKE = frozenset({"accuracy", "precision_micro", "recall_micro", "f1_micro", "recall_weighted"})
"""With one label an example the micro averages are accuracy itself, and so is the mean of recalls weighted by how frequent classes are."""

_LOSSES_OF_SCORES: dict[str, Callable[[Integers, Floats], Floats]] = {"log_loss": losses.log_losses, "brier": losses.brier_losses}
_LOSSES_OF_NUMBERS: dict[str, Callable[[Floats, Floats], Floats]] = {"mae": losses.absolute_losses, "mape": losses.relative_losses}
_AREAS: dict[str, Callable[[NDArray[np.bool_], Floats], Area]] = {"roc_auc": ranking.roc_auc, "pr_auc": ranking.average_precision}

METRICS_OF_CLASSES = frozenset({*confusion.METRICS, *_LOSSES_OF_SCORES, *_AREAS})
METRICS_OF_NUMBERS = frozenset({*_LOSSES_OF_NUMBERS, "rmse", "r2"})


class UndefinedMetricError(ValueError):
    """A metric has no value on these examples; the message says why."""


@dataclass(frozen=True, eq=False)
class Model:
    """What one model says of n examples: classes with, perhaps, probabilities, or numbers."""

    target: NDArray[Any]
    """(n,): codes in [0, classes), or numbers."""
    prediction: NDArray[Any]
    """(n,): as `target`."""
    classes: int | None = None
    """None: a regression."""
    positive: int | None = None
    """Code of the positive class of a binary task."""
    scores: Floats | None = None
    """(n, classes): probabilities."""
    groups: Groups | None = None
    """Which rows belong together, and are no independent examples; None where each stands for itself."""

    def take(self, index: Integers) -> Model:
        scores = None if self.scores is None else self.scores.take(index, axis=0)  # many times as fast as [index]
        groups = None if self.groups is None else self.groups.take(index)
        return replace(self, target=self.target[index], prediction=self.prediction[index], scores=scores, groups=groups)

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics there are for such a model."""
        if self.classes is None:
            return METRICS_OF_NUMBERS
        return METRICS_OF_CLASSES if self.scores is not None else frozenset(confusion.METRICS)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models on the same examples, row by row, over the same classes."""

    candidate: Model
    baseline: Model

    def take(self, index: Integers) -> Pair:
        return Pair(self.candidate.take(index), self.baseline.take(index))

    @property
    def n(self) -> int:
        return int(self.candidate.target.size)

    @property
    def groups(self) -> Groups | None:
        return self.candidate.groups

    @cached_property
    def counts(self) -> confusion.JointCounts:
        one = self.candidate
        return confusion.joint_counts(one.target, self.baseline.prediction, one.prediction, one.classes or 0)


@dataclass(frozen=True)
class Compared:
    """One metric of both models on the same examples."""

    candidate: float
    baseline: float
    interval: Interval
    n: int
    paired: tuple[int, int] | None = None
    """(gained, lost) where the metric is a share of examples that are right, and these are independent."""
    groups: int | None = None
    """How many groups the rows are in; None where each stands for itself."""
    seeds: tuple[int, int] | None = None
    """How many training runs of each side the interval covers, the values being means over them; None of two artefacts."""

    @property
    def p_value(self) -> float | None:
        """McNemar's mid-p where the metric is a share of examples that are right: shown, decides nothing."""
        return mcnemar_mid_p(*self.paired) if self.paired else None


def point(metric: str, model: Model) -> float:
    """One model's value of a metric; to rounding what scikit-learn computes.

    Raises:
        UndefinedMetricError: it has no value on these examples.
        ValueError: the metric is not for this kind of model.
    """
    if metric not in model.metrics:
        raise ValueError(f"no metric '{metric}' for such a model")
    if model.target.size == 0:
        raise UndefinedMetricError("no examples")
    target, prediction, scores = model.target, model.prediction, model.scores
    if metric in _LOSSES_OF_NUMBERS or metric in _LOSSES_OF_SCORES:
        return float(_losses(metric, model).mean())
    if metric in _AREAS and scores is not None:
        return _area(metric, model).value
    if metric == "rmse":
        return losses.rmse(target, prediction)
    if metric == "r2":
        if np.ptp(target) == 0:
            raise UndefinedMetricError("all targets are the same")
        return losses.r2(target, prediction)
    if metric in ("mcc", "kappa") and np.ptp(target) == 0:
        raise UndefinedMetricError("only one class occurs")
    if metric.endswith("_binary"):
        _check_binary(metric, model)
    return confusion.point(metric, target, prediction, model.classes or 0, model.positive)


def compare(metric: str, pair: Pair, confidence: float, seed: int) -> Compared:
    """Compare two models by a metric mlgate knows.

    Args:
        metric: its name in mlgate.yaml.
        pair: the two models' predictions.
        confidence: one-sided.
        seed: of the bootstrap, where there is one.

    Raises:
        UndefinedMetricError: the metric has no value on these examples for one of the models.
        ValueError: the metric is not for this kind of model, or needs probabilities that are not there.
    """
    one, other = pair.candidate, pair.baseline
    if metric in _AREAS and metric in one.metrics & other.metrics and pair.n:
        return _compare_areas(metric, pair, confidence, seed)
    candidate, baseline = _finite(point(metric, one)), _finite(point(metric, other))
    if pair.groups is not None:
        by_groups = _interval_by_groups(metric, pair, pair.groups, confidence, seed)
        return Compared(candidate, baseline, by_groups, pair.n, None, pair.groups.count)
    paired = None
    if metric in _LOSSES_OF_NUMBERS or metric in _LOSSES_OF_SCORES:
        interval = _interval_of_losses(_losses(metric, one), _losses(metric, other), confidence)
    elif metric in METRICS_OF_NUMBERS:
        interval = _interval_of_squares(metric, losses.squared_columns(one.target, one.prediction, other.prediction), confidence, seed)
    elif metric in ACCURACY_LIKE:
        paired = (pair.counts.gained, pair.counts.lost)
        interval = tango_interval(*paired, pair.n, confidence)
    else:
        interval = confusion.difference_interval(metric, pair.counts, confidence, seed, one.positive)
    return Compared(candidate, baseline, interval, pair.n, paired)


def compare_means(candidate: Floats, baseline: Floats, confidence: float, groups: Groups | None = None) -> Compared:
    """Compare two models by a metric that is the mean of one value an example, given those values. Raises UndefinedMetricError."""
    if candidate.size == 0:
        raise UndefinedMetricError("no examples")
    means = _finite(float(candidate.mean())), _finite(float(baseline.mean()))
    interval = _interval_of_losses(candidate, baseline, confidence, groups)
    return Compared(*means, interval, int(candidate.size), None, groups.count if groups else None)


def compare_resampled(
    candidate: tuple[float, Floats, Floats], baseline: tuple[float, Floats, Floats], n: int, confidence: float
) -> Compared:
    """Compare two models by a number of which only values are known: on all examples, on resamples (b,), without each block (g,)."""
    (one, *ones), (other, *others) = candidate, baseline
    draws, left_out = (mine - theirs for mine, theirs in zip(ones, others, strict=True))
    return Compared(one, other, resampled_interval(one - other, draws, left_out, confidence), n)


def compare_trained(
    metric: str, artefacts: Compared, candidate: Sequence[Model], baseline: Sequence[Model], is_paired: bool, confidence: float
) -> Compared:
    """Compare two training codes by runs of each, all on the same examples.

    Of metrics that are means over examples the means over runs are compared, example by example. Of others the interval of the two
    artefacts stands for the noise of the examples, which is no less than that of means over runs.

    Args:
        metric: its name.
        artefacts: what `compare` found of the artefacts.
        candidate, baseline: the runs of either side; one where there are no seeds.
        is_paired: whether both are of the same seeds, in the same order.
        confidence: one-sided.

    Raises:
        UndefinedMetricError: the metric has no value in some run.
    """
    if metric in _LOSSES_OF_NUMBERS or metric in _LOSSES_OF_SCORES:
        one, other = ([_losses(metric, model) for model in side] for side in (candidate, baseline))
        return compare_trained_means(artefacts, one, other, is_paired, confidence, candidate[0].groups)
    if metric in ACCURACY_LIKE:
        one, other = ([(model.prediction == model.target).astype(np.float64) for model in side] for side in (candidate, baseline))
        return compare_trained_means(artefacts, one, other, is_paired, confidence, candidate[0].groups)
    values, others = (np.array([_finite(point(metric, model)) for model in side]) for side in (candidate, baseline))
    return _trained(artefacts, Runs(values, others, is_paired), confidence)


@np.errstate(over="ignore", invalid="ignore")
def compare_trained_means(
    artefacts: Compared,
    candidate: Sequence[Floats],
    baseline: Sequence[Floats],
    is_paired: bool,
    confidence: float,
    groups: Groups | None = None,
) -> Compared:
    """As `compare_trained`, by the values that every run has for each example. Raises UndefinedMetricError."""
    of_examples = compare_means(np.mean(candidate, axis=0), np.mean(baseline, axis=0), confidence, groups)
    values, others = (np.array([float(run.mean()) for run in side]) for side in (candidate, baseline))
    runs = Runs(values, others, is_paired)
    return _trained(replace(artefacts, interval=of_examples.interval, groups=of_examples.groups), runs, confidence)


@np.errstate(over="ignore", invalid="ignore")
def _trained(of_examples: Compared, runs: Runs, confidence: float) -> Compared:
    return Compared(
        candidate=_finite(float(runs.candidate.mean())),
        baseline=_finite(float(runs.baseline.mean())),
        interval=with_training_noise(of_examples.interval, runs, confidence),
        n=of_examples.n,
        groups=of_examples.groups,
        seeds=(runs.candidate.size, runs.baseline.size),
    )


def _interval_by_groups(metric: str, pair: Pair, groups: Groups, confidence: float, seed: int) -> Interval:
    """Of any metric but areas."""
    one, other = pair.candidate, pair.baseline
    if metric in _LOSSES_OF_NUMBERS or metric in _LOSSES_OF_SCORES:
        return _interval_of_losses(_losses(metric, one), _losses(metric, other), confidence, groups)
    if metric in METRICS_OF_NUMBERS:
        columns = losses.squared_columns(one.target, one.prediction, other.prediction)
        return clusters.squares_interval(metric, columns, groups, confidence, seed)
    if metric in ACCURACY_LIKE:
        is_right, was_right = one.prediction == one.target, other.prediction == one.target
        return clusters.proportions_interval(is_right & ~was_right, was_right & ~is_right, groups, confidence)
    codes = (one.target, one.prediction, other.prediction)
    return clusters.table_interval(metric, codes, one.classes or 0, groups, confidence, seed, one.positive)


def _interval_of_losses(candidate: Floats, baseline: Floats, confidence: float, groups: Groups | None = None) -> Interval:
    widest = max(float(candidate.max()), float(baseline.max())) - min(float(candidate.min()), float(baseline.min()))
    if groups is not None:
        return clusters.mean_interval(candidate - baseline, groups, confidence, widest)
    return mean_interval(candidate - baseline, confidence, widest)


def _interval_of_squares(metric: str, columns: Floats, confidence: float, seed: int) -> Interval:
    """Of RMSE or R2, from `losses.squared_columns`: the bootstrap where it keeps its promise."""
    means = columns.mean(axis=0)
    if means[0] < means[1]:
        # one of the two orders is the rule, so that exchanging the models mirrors the interval exactly and not only up to chance
        return _interval_of_squares(metric, columns[:, [1, 0, 2, 3]], confidence, seed).mirrored
    difference, influence = losses.OF_SQUARES[metric]
    estimate = float(difference(means[None, :])[0])
    each, widest = influence(columns)
    corrected = corrected_interval(estimate, each, confidence, widest)
    return corrected if corrected is not None else interval_of_means(columns, difference, confidence, seed)


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise UndefinedMetricError("numbers too large to compute with")
    return value


def _losses(metric: str, model: Model) -> Floats:
    if model.scores is not None and metric in _LOSSES_OF_SCORES:
        _check_scores(model.scores)
        return _LOSSES_OF_SCORES[metric](model.target, model.scores)
    if metric == "mape" and (zeros := int(np.count_nonzero(model.target == 0))):
        raise UndefinedMetricError(f"{zeros:,} {'target is' if zeros == 1 else 'targets are'} 0")
    return _LOSSES_OF_NUMBERS[metric](model.target, model.prediction)


def _compare_areas(metric: str, pair: Pair, confidence: float, seed: int) -> Compared:
    candidate, baseline = _area(metric, pair.candidate), _area(metric, pair.baseline)
    if metric == "roc_auc":
        interval = ranking.delong_interval(candidate, baseline, pair.candidate.target, confidence)
    else:
        scores = tuple(model.scores for model in (pair.candidate, pair.baseline) if model.scores is not None)
        target, codes = pair.candidate.target, _ranked_classes(pair.candidate)
        interval = ranking.average_precision_interval(target, scores, (candidate, baseline), codes, confidence, seed)
    if pair.groups is not None:
        both = (pair.candidate.scores, pair.baseline.scores) if metric == "pr_auc" else None
        ranked = _ranked_classes(pair.candidate)
        interval = clusters.areas_interval(
            (candidate, baseline), pair.candidate.target, ranked, pair.groups, interval, confidence, seed, both
        )
        return Compared(candidate.value, baseline.value, interval, pair.n, None, pair.groups.count)
    return Compared(candidate.value, baseline.value, interval, pair.n)


def _area(metric: str, model: Model) -> Area:
    """The positive class of two; of more the mean of each class that occurs against the rest."""
    if np.ptp(model.target) == 0 or model.scores is None:
        raise UndefinedMetricError("only one class occurs")
    _check_scores(model.scores)
    return ranking.over_classes(_AREAS[metric], model.target, model.scores, _ranked_classes(model))


def _check_scores(scores: Floats) -> None:
    """They are read without; what sorts and clips would make a number of NaN."""
    if not np.isfinite(scores).all():
        raise UndefinedMetricError("probabilities that are not finite numbers")


def _ranked_classes(model: Model) -> list[int]:
    if model.classes == 2:
        return [1 if model.positive is None else model.positive]
    return [int(code) for code in np.flatnonzero(np.bincount(model.target))]


def _check_binary(metric: str, model: Model) -> None:
    is_positive, is_predicted = model.target == model.positive, model.prediction == model.positive
    if metric.startswith("precision") and not is_predicted.any():
        raise UndefinedMetricError("no positive was predicted")
    if metric.startswith("recall") and not is_positive.any():
        raise UndefinedMetricError("no positive occurs")
    if not is_positive.any() and not is_predicted.any():
        raise UndefinedMetricError("no positive at all")
