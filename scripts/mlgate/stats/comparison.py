"""Compare two models on the same examples, metric by metric: the method is chosen by the kind of metric and named in the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.stats import confusion, losses, ranking
from mlgate.stats.bootstrap import interval_of_means
from mlgate.stats.intervals import Interval, mean_interval, tango_interval
from mlgate.stats.ranking import Area

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ACCURACY_LIKE = frozenset({"accuracy", "precision_micro", "recall_micro", "f1_micro"})
"""With one label an example the micro averages are accuracy itself."""

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

    def take(self, index: Integers) -> Model:
        scores = None if self.scores is None else self.scores[index]
        return replace(self, target=self.target[index], prediction=self.prediction[index], scores=scores)

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
    """(gained, lost) where the metric is a share of examples that are right."""


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
    if metric == "mcc" and np.ptp(target) == 0:
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
    paired = None
    if metric in _LOSSES_OF_NUMBERS or metric in _LOSSES_OF_SCORES:
        interval = mean_interval(_losses(metric, one) - _losses(metric, other), confidence)
    elif metric in METRICS_OF_NUMBERS:
        difference = losses.rmse_difference if metric == "rmse" else losses.r2_difference
        columns = losses.squared_columns(one.target, one.prediction, other.prediction)
        interval = interval_of_means(columns, difference, confidence, seed)
    elif metric in ACCURACY_LIKE:
        paired = (pair.counts.gained, pair.counts.lost)
        interval = tango_interval(*paired, pair.n, confidence)
    else:
        interval = confusion.difference_interval(metric, pair.counts, confidence, seed, one.positive)
    return Compared(candidate, baseline, interval, pair.n, paired)


def compare_means(candidate: Floats, baseline: Floats, confidence: float) -> Compared:
    """Compare two models by a metric that is the mean of one value an example, given those values. Raises UndefinedMetricError."""
    means = _finite(float(candidate.mean())), _finite(float(baseline.mean()))
    return Compared(*means, mean_interval(candidate - baseline, confidence), int(candidate.size))


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise UndefinedMetricError("numbers too large to compute with")
    return value


def _losses(metric: str, model: Model) -> Floats:
    if model.scores is not None and metric in _LOSSES_OF_SCORES:
        return _LOSSES_OF_SCORES[metric](model.target, model.scores)
    if metric == "mape" and (zeros := int(np.count_nonzero(model.target == 0))):
        raise UndefinedMetricError(f"{zeros:,} {'target is' if zeros == 1 else 'targets are'} 0")
    return _LOSSES_OF_NUMBERS[metric](model.target, model.prediction)


def _compare_areas(metric: str, pair: Pair, confidence: float, seed: int) -> Compared:
    candidate, baseline = _area(metric, pair.candidate), _area(metric, pair.baseline)
    if metric == "roc_auc":
        interval = ranking.delong_interval(candidate, baseline, confidence)
    else:
        scores = tuple(model.scores for model in (pair.candidate, pair.baseline) if model.scores is not None)
        target, codes = pair.candidate.target, _ranked_classes(pair.candidate)
        interval = ranking.average_precision_interval(target, scores, (candidate, baseline), codes, confidence, seed)
    return Compared(candidate.value, baseline.value, interval, pair.n)


def _area(metric: str, model: Model) -> Area:
    """The positive class of two; of more the mean of each class that occurs against the rest."""
    occurring = np.unique(model.target)
    if occurring.size < 2 or model.scores is None:
        raise UndefinedMetricError("only one class occurs")
    return ranking.over_classes(_AREAS[metric], model.target, model.scores, _ranked_classes(model))


def _ranked_classes(model: Model) -> list[int]:
    if model.classes == 2:
        return [1 if model.positive is None else model.positive]
    return [int(code) for code in np.unique(model.target)]


def _check_binary(metric: str, model: Model) -> None:
    is_positive, is_predicted = model.target == model.positive, model.prediction == model.positive
    if metric.startswith("precision") and not is_predicted.any():
        raise UndefinedMetricError("no positive was predicted")
    if metric.startswith("recall") and not is_positive.any():
        raise UndefinedMetricError("no positive occurs")
    if not is_positive.any() and not is_predicted.any():
        raise UndefinedMetricError("no positive at all")
