"""Metrics of a confusion table, and their paired bootstrap on the joint (label, baseline, candidate) counts.

Resampling n examples with replacement and counting is one multinomial draw of the joint table, so that the cost depends on how
many kinds of example there are and not on how many examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.bootstrap import draws_for, percentile_interval
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AVERAGED = tuple(f"{score}_{average}" for score in ("precision", "recall", "f1") for average in ("macro", "micro", "weighted", "binary"))
METRICS = (*AVERAGED, "accuracy", "balanced_accuracy", "mcc", "kappa")

METHOD = "multinomial bootstrap of the joint counts"
FEWEST_OUTSIDE = 10
"""With fewer examples outside the most frequent class there is no interval: see `difference_interval`."""
_CHUNK_ELEMENTS = 4_000_000
_LARGEST_DENSE_TABLE = 10_000_000


@dataclass(frozen=True)
class JointCounts:
    """How many examples there are of each kind: label, the baseline's prediction, the candidate's. Kinds without examples are left out."""

    label: Integers
    baseline: Integers
    candidate: Integers
    count: Floats
    classes: int

    @property
    def n(self) -> float:
        return float(self.count.sum())

    @property
    def gained(self) -> int:
        """Examples the candidate gets right and the baseline wrong."""
        return int(self.count[(self.candidate == self.label) & (self.baseline != self.label)].sum())

    @property
    def lost(self) -> int:
        """Examples the baseline gets right and the candidate wrong."""
        return int(self.count[(self.baseline == self.label) & (self.candidate != self.label)].sum())

    @property
    def swapped(self) -> JointCounts:
        """The same with the models exchanged, kinds in the order that `joint_counts` gives them."""
        order = np.lexsort((self.baseline, self.candidate, self.label))
        return JointCounts(self.label[order], self.candidate[order], self.baseline[order], self.count[order], self.classes)


@dataclass(frozen=True)
class Margins:
    """What every metric here is made of, by class along the last axis; tables along the first."""

    support: Floats
    predicted: Floats
    correct: Floats


def joint_counts(label: Integers, baseline: Integers, candidate: Integers, classes: int) -> JointCounts:
    """Count the kinds of example.

    Args:
        label, baseline, candidate: codes in [0, classes), of shape (n,).
    """
    if classes**3 <= _LARGEST_DENSE_TABLE:
        dense = np.bincount((label * classes + baseline) * classes + candidate, minlength=classes**3)
        kinds = np.flatnonzero(dense)
        count = dense[kinds]
    else:
        kinds, count = np.unique((label * classes + baseline) * classes + candidate, return_counts=True)
    return JointCounts(kinds // classes**2, kinds // classes % classes, kinds % classes, count.astype(np.float64), classes)


def table(label: Integers, prediction: Integers, classes: int) -> Integers:
    """Confusion table by [true class][predicted class]."""
    return np.bincount(label * classes + prediction, minlength=classes**2).reshape(classes, classes)


def point(metric: str, label: Integers, prediction: Integers, classes: int, positive: int | None = None) -> float:
    """One model's value of a metric, as scikit-learn defines it with `zero_division=0`."""
    support = np.bincount(label, minlength=classes).astype(np.float64)
    predicted = np.bincount(prediction, minlength=classes).astype(np.float64)
    correct = np.bincount(label[label == prediction], minlength=classes).astype(np.float64)
    return float(value(metric, Margins(support[None], predicted[None], correct[None]), positive)[0])


def value(metric: str, margins: Margins, positive: int | None) -> Floats:
    """A metric of each of a stack of confusion tables, given by their margins of shape (b, classes).

    Precision and recall of a class without predictions or examples are 0; classes with neither are left out of a macro mean, and
    classes without examples of balanced accuracy, as in scikit-learn. MCC for many classes: Gorodkin (2004), Computational
    Biology and Chemistry 28:367-374. Kappa: Cohen (1960), Educational and Psychological Measurement 20:37-46, unweighted.

    Raises:
        ValueError: no such metric, or `positive` missing for a binary one.
    """
    support, predicted, correct = margins.support, margins.predicted, margins.correct
    n = support.sum(axis=-1)
    if metric == "mcc":
        covariance = correct.sum(axis=-1) * n - (support * predicted).sum(axis=-1)
        spread = (n**2 - (predicted**2).sum(axis=-1)) * (n**2 - (support**2).sum(axis=-1))
        return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))
    if metric == "kappa":
        by_chance = (support * predicted).sum(axis=-1)
        return _ratio(correct.sum(axis=-1) * n - by_chance, n**2 - by_chance)
    if metric == "accuracy" or metric.endswith("_micro"):
        return _ratio(correct.sum(axis=-1), n)
    if metric == "balanced_accuracy":
        return _ratio(_ratio(correct, support).sum(axis=-1), (support > 0).sum(axis=-1))
    score, _, average = metric.rpartition("_")
    if metric not in AVERAGED:
        raise ValueError(f"no metric '{metric}' of a confusion table")
    match score:
        case "precision":
            by_class = _ratio(correct, predicted)
        case "recall":
            by_class = _ratio(correct, support)
        case _:
            by_class = _ratio(2 * correct, predicted + support)
    if average == "binary":
        if positive is None:
            raise ValueError(f"'{metric}' needs the positive class")
        return by_class[..., positive]
    if average == "weighted":
        return _ratio((by_class * support).sum(axis=-1), n)
    return _ratio(by_class.sum(axis=-1), ((support > 0) | (predicted > 0)).sum(axis=-1))


def difference(metric: str, counts: JointCounts, positive: int | None = None) -> float:
    """Candidate minus baseline of a table; counts may be the probabilities of a population."""
    return float(_difference(metric, counts, counts.count[None], positive)[0])


def difference_interval(
    metric: str, counts: JointCounts, confidence: float, seed: int, positive: int | None = None, draws: int | None = None
) -> Interval:
    """Interval of candidate minus baseline; as many draws as are worth their time, unless told otherwise.

    Draws come from the observed table with a few imagined disagreements added in both directions (z^2 / 2 each, as Agresti and Min
    add two for paired proportions): a table with no or hardly any disagreement would otherwise vouch for any margin. The draws are
    then moved back, so that the imagined ones widen the interval without shifting it.

    With fewer than ten examples outside the most frequent class the bounds are infinite: what a handful of positives says of F1, MCC or
    kappa, and above all none at all, breaks the promise by far (kappa of 30 examples, 3 % positive: half of the bad models pass).

    Source: Efron (1979), Annals of Statistics 7:1-26; the added disagreements after Agresti and Min (2005), Statistics in Medicine
    24:729-740.
    """
    if counts.n - np.bincount(counts.label, weights=counts.count, minlength=1).max() < FEWEST_OUTSIDE:
        return Interval(difference(metric, counts, positive), -math.inf, math.inf, METHOD)
    swapped = counts.swapped
    # one of the two orders is the rule, so that exchanging the models mirrors the interval exactly and not only up to chance
    mirror, own = (tuple(column.tobytes() for column in (one.candidate, one.baseline, one.count)) for one in (swapped, counts))
    if mirror < own:
        return difference_interval(metric, swapped, confidence, seed, positive, draws).mirrored
    estimate = difference(metric, counts, positive)
    imagined = with_imagined_disagreements(metric, counts, confidence, positive)
    expected = imagined.count[None]
    centre = float(_difference(metric, imagined, expected, positive)[0])
    elements = imagined.count.size + 6 * imagined.classes
    draws = draws or draws_for(elements, confidence)
    generator = np.random.default_rng(seed)
    probabilities = imagined.count / imagined.n
    chunk = max(1, _CHUNK_ELEMENTS // elements)
    parts = []
    for start in range(0, draws, chunk):
        drawn = generator.multinomial(int(counts.n), probabilities, size=min(chunk, draws - start)).astype(np.float64)
        parts.append(_difference(metric, imagined, drawn, positive))
    drawn = np.concatenate(parts) - centre
    if mirror == own:  # such as of a model beside itself: its interval is its own mirror, too
        drawn = np.concatenate([drawn, -drawn])
    # of these few disagreements are imagined, and what losses outnumber gains by is not made up for
    found = percentile_interval(estimate, drawn + estimate, confidence, METHOD, is_skewed=metric.endswith("_weighted"))
    widened = float(np.std(drawn))
    observed = np.random.default_rng([seed, 1]).multinomial(int(counts.n), counts.count / counts.n, size=max(draws // 10, 100))
    alone = float(np.std(_difference(metric, counts, observed.astype(np.float64), positive)))
    # The imagined ones are z^2 together: a table with less than one disagreement of its own is taken to have one.
    error = min(max(alone, widened / normal_quantile(confidence)), widened)
    return replace(found, standard_error=error) if error > 0 and math.isfinite(error) else found


def _difference(metric: str, kinds: JointCounts, counts: Floats, positive: int | None) -> Floats:
    """Candidate minus baseline for each row of `counts`, of shape (b, kinds)."""
    support = _sums(counts, kinds.label, kinds.classes)
    values = []
    for prediction in (kinds.candidate, kinds.baseline):
        right = prediction == kinds.label
        margins = Margins(support, _sums(counts, prediction, kinds.classes), _sums(counts[:, right], prediction[right], kinds.classes))
        values.append(value(metric, margins, positive))
    return np.asarray(values[0] - values[1])


def with_imagined_disagreements(metric: str, counts: JointCounts, confidence: float, positive: int | None) -> JointCounts:
    """The counts, and after them those of a few imagined disagreements in both directions, z^2 / 2 each."""
    classes = counts.classes
    each = normal_quantile(confidence) ** 2 / 2
    support = np.bincount(counts.label, weights=counts.count, minlength=classes)
    order = np.argsort(-support, kind="stable")
    order = order[support[order] > 0] if (support > 0).sum() > 1 else order[: max(2, classes)]
    if order.size < 2:
        return counts
    wrong = np.empty(classes, dtype=np.int64)
    wrong[order] = np.roll(order, -1)
    if metric.endswith("_binary") and positive is not None:
        other = next(int(code) for code in order if code != positive)
        labels, wrongs, weights = np.array([positive, other]), np.array([other, positive]), np.array([each, each])
    elif metric.endswith("_macro") or metric in ("balanced_accuracy", "mcc", "kappa"):  # which rest on rare classes as on frequent ones
        labels, wrongs, weights = order, wrong[order], np.full(order.size, each / order.size)
    else:
        labels, wrongs, weights = order, wrong[order], each * support[order] / max(counts.n, 1)
    return JointCounts(
        np.concatenate([counts.label, labels, labels]),
        np.concatenate([counts.baseline, labels, wrongs]),
        np.concatenate([counts.candidate, wrongs, labels]),
        np.concatenate([counts.count, weights, weights]),
        classes,
    )


def _sums(counts: Floats, codes: Integers, classes: int) -> Floats:
    """Sums of the columns of `counts` by class: shape (b, kinds) -> (b, classes)."""
    sums = np.zeros((counts.shape[0], classes))
    if codes.size:
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        sums[:, present] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(np.broadcast(numerator, denominator).shape), where=denominator != 0)
