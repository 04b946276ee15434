"""Metrics of ranked scores: area under the ROC curve and average precision, one class against the rest, averaged over classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.bootstrap import draws_for, percentile_interval, row_weights
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval
from mlgate.stats.means import CORRECTED_JACKKNIFE, Caution, corrected_interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DELONG = "DeLong's interval"
CORRECTED_DELONG = "DeLong's interval, corrected for few examples"
BOOTSTRAP = "paired bootstrap"
JACKKNIFE = "infinitesimal jackknife"
OF_AREAS = Caution(reach=1.5, enough=0, negligible=0.05)
FEWEST_MISPLACED = 20
"""Where fewer rows carry the errors of a ranking there is no interval: see `delong_interval`."""
MANY_ROWS = 10_000
"""From here on average precision takes the normal interval from its influence function instead of resampling rows."""


@dataclass(frozen=True)
class Area:
    """A metric and, by row, how much that row moves it: the terms of its influence function divided by n."""

    value: float
    influence: Floats


@dataclass(frozen=True)
class _Ranks:
    """Rows in descending order of score; rows with equal scores are one group."""

    order: NDArray[np.int64]
    group: NDArray[np.int64]
    last: NDArray[np.int64]
    """Position of each group's last row."""


def roc_auc(positive: Flags, score: Floats) -> Area:
    """Area under the ROC curve with its structural components.

    Args:
        positive: of shape (n,); at least one true and one false.
        score: of shape (n,), greater for the positive class.

    Raises:
        ValueError: all of one class.

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845; by sorting, as Sun and Xu (2014), IEEE Signal Processing
    Letters 21:1389-1393. The squares of the influence sum to DeLong's variance.
    """
    ranks, flags = _ranked(positive, score)
    above = np.cumsum(flags)[ranks.last]
    positives = np.diff(above, prepend=0)
    negatives = np.diff(ranks.last + 1 - above, prepend=0)
    m, n = float(above[-1]), float(flags.size - above[-1])
    of_positives = (n - np.cumsum(negatives) + negatives / 2) / n  # share of negatives ranked below, ties half
    of_negatives = (np.cumsum(positives) - positives / 2) / m  # share of positives ranked above, ties half
    value = float((of_positives * positives).sum() / m)
    terms = np.where(
        flags,
        (of_positives[ranks.group] - value) / math.sqrt(m * max(m - 1, 1)),
        (of_negatives[ranks.group] - value) / math.sqrt(n * max(n - 1, 1)),
    )
    influence = np.empty(flags.size)
    influence[ranks.order] = terms
    return Area(value, influence)


def average_precision(positive: Flags, score: Floats) -> Area:
    """Average precision, the step-wise area under the precision-recall curve, with its influence function.

    With P(t) the precision among scores >= t and N(t) their number, AP is the mean of P over the m positives; a row enters through
    its own P (if positive) and by moving P at every threshold at or below its score. The sum of squares of the influence is the
    variance of the infinitesimal jackknife (Jaeckel 1972; Efron and Tibshirani 1993, section 22.4).

    Raises:
        ValueError: all of one class.
    """
    ranks, flags = _ranked(positive, score)
    above = np.cumsum(flags)[ranks.last].astype(np.float64)
    total = (ranks.last + 1).astype(np.float64)
    positives = np.diff(above, prepend=0.0)
    m = above[-1]
    precision = above / total
    value = float((positives * precision).sum() / m)
    # sums over the thresholds at or below a group's score, that is over this and all later groups
    gain = np.cumsum((positives / total)[::-1])[::-1]
    cost = np.cumsum((positives * precision / total)[::-1])[::-1]
    terms = np.where(flags, precision[ranks.group] - value + gain[ranks.group], 0.0) - cost[ranks.group]
    influence = np.empty(flags.size)
    influence[ranks.order] = terms / m
    return Area(value, influence)


def over_classes(area: Callable[[Flags, Floats], Area], target: NDArray[np.int64], scores: Floats, codes: list[int]) -> Area:
    """Mean over classes, each against the rest; one class is the binary case.

    Args:
        area: `roc_auc` or `average_precision`.
        target: codes, of shape (n,).
        scores: of shape (n, k).
        codes: the classes to average.
    """
    found = [area(target == code, scores[:, code]) for code in codes]
    return Area(float(np.mean([one.value for one in found])), np.mean([one.influence for one in found], axis=0))


def delong_interval(candidate: Area, baseline: Area, target: NDArray[np.int64], confidence: float) -> Interval:
    """Interval for the difference of two areas under the ROC curve on the same rows: DeLong's, corrected where it breaks its promise.

    It does so where few rows carry the difference. Of 200 rows with 20 positives 19 % of the models that are worse by exactly the margin
    pass where 5 % are promised (areas of 0.98 and 0.97), and 74 % of those that score 2 % of the positives anew: most holdouts have none
    of these. So what each row contributes is treated as losses are
    (`means.corrected_interval`), and no bound is nearer than what rows that were not seen could do: of a class with m rows up to a share of
    1 - alpha^(1/m) (the rule of three), each as far from the others as any row of that class is from another by either model.

    Args:
        candidate, baseline: what `over_classes` found of `roc_auc`.
        target: codes of the same rows, of shape (n,).
        confidence: one-sided, in (0.5, 1).

    Returns:
        Infinite bounds for fewer than 50 rows, and where fewer than 20 carry the errors of the ranking.

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837-845; Hall (1992), Journal of the Royal Statistical Society B
    54:221-228; Clopper and Pearson (1934), Biometrika 26:404-413. The combination is ours.
    """
    corrected = _corrected(candidate, baseline, target, confidence, CORRECTED_DELONG)
    return corrected if corrected is not None else _normal_interval(candidate, baseline, confidence, DELONG)


def average_precision_interval(
    target: NDArray[np.int64], scores: Sequence[Floats], areas: tuple[Area, Area], codes: list[int], confidence: float, seed: int
) -> Interval:
    """Interval for the difference of two average precisions: paired bootstrap of rows, the infinitesimal jackknife for many rows.

    Where few rows carry the difference, both break their promise as `delong_interval` would, and are corrected in the same way.

    Args:
        target: codes, of shape (n,).
        scores: of the candidate and of the baseline, of shape (n, k) each.
        areas: what `over_classes` found for them.
        codes: the classes that were averaged.
    """
    corrected = _corrected(*areas, target, confidence, CORRECTED_JACKKNIFE)
    if corrected is not None:
        return corrected
    n = target.shape[0]
    if n * len(codes) > MANY_ROWS:
        return _normal_interval(*areas, confidence, JACKKNIFE)
    return _bootstrapped(target, scores, areas, codes, confidence, seed)


def _corrected(candidate: Area, baseline: Area, target: NDArray[np.int64], confidence: float, method: str) -> Interval | None:
    """The interval for rows of which few carry the difference; None where the plain one would be as wide."""
    estimate, influence = candidate.value - baseline.value, candidate.influence - baseline.influence
    carrying, unseen = _caution(candidate, baseline, target, confidence)
    if carrying < FEWEST_MISPLACED:
        return Interval(estimate, -math.inf, math.inf, method)
    found = corrected_interval(estimate, influence * target.size, confidence, caution=OF_AREAS)
    error = float(np.linalg.norm(influence))
    if found is None:
        if unseen <= normal_quantile(confidence) * error:
            return None
        half = normal_quantile(confidence) * error
        found = Interval(estimate, estimate - half, estimate + half, method)
    return Interval(estimate, min(found.low, estimate - unseen), max(found.high, estimate + unseen), method, error)


def _caution(candidate: Area, baseline: Area, target: NDArray[np.int64], confidence: float) -> tuple[float, float]:
    """How many rows carry the errors of the ranking (Kish's effective number), and what rows that were not seen could do to the metric."""
    order = np.argsort(target.astype(np.int16) if target.max() < np.iinfo(np.int16).max else target, kind="stable")
    starts = np.flatnonzero(np.diff(target[order], prepend=-1))
    sizes = np.diff(starts, append=target.size)
    highs, lows, carrying = [], [], []
    for area in (candidate, baseline):
        influence = area.influence[order]
        highs.append(np.maximum.reduceat(influence, starts))
        lows.append(np.minimum.reduceat(influence, starts))
        behind = np.repeat(highs[-1], sizes) - influence
        square = float(behind @ behind)
        carrying.append(float(behind.sum()) ** 2 / square if square > 0 else 0.0)
    widest = np.max(highs, axis=0) - np.min(lows, axis=0)
    shares = -np.expm1(math.log(1 - confidence) / sizes)
    return min(carrying), float((widest * sizes * shares).max())


def _bootstrapped(
    target: NDArray[np.int64], scores: Sequence[Floats], areas: tuple[Area, Area], codes: list[int], confidence: float, seed: int
) -> Interval:
    n = target.shape[0]
    # rows are drawn by number: neither their order nor which model comes first must matter
    (order, own), (_, mirror) = (_canonical(target, each) for each in (scores, scores[::-1]))
    if mirror < own:
        return _bootstrapped(target, scores[::-1], areas[::-1], codes, confidence, seed).mirrored
    target, scores = target[order], [score.take(order, axis=0) for score in scores]
    draws = draws_for(2 * n * len(codes), confidence)
    ranked = [[_ranked(target == code, score[:, code]) for code in codes] for score in scores]
    parts = []
    for weights in row_weights(n, draws, seed):
        one, other = (np.mean([_weighted_precision(*each, weights) for each in model], axis=0) for model in ranked)
        parts.append(one - other)
    drawn = np.concatenate(parts)
    if mirror == own:
        drawn = np.concatenate([drawn, -drawn])
    return percentile_interval(areas[0].value - areas[1].value, drawn, confidence, BOOTSTRAP)


def weighted_precision(target: NDArray[np.int64], scores: Floats, codes: list[int], weights: Floats) -> Floats:
    """Average precision, the mean over classes, of samples given by how often they hold each row: weights of shape (b, n)."""
    found = [_weighted_precision(*_ranked(target == code, scores[:, code]), weights) for code in codes]
    return np.asarray(np.mean(found, axis=0))


def _canonical(target: NDArray[np.int64], scores: Sequence[Floats]) -> tuple[NDArray[np.int64], bytes]:
    """An order of the rows by what they hold, and their scores in that order."""
    columns = np.column_stack(scores)
    order = np.lexsort((*columns.T[::-1], target))
    return order, columns[order].tobytes()


def _weighted_precision(ranks: _Ranks, flags: Flags, weights: Floats) -> Floats:
    """Average precision of each resample; NaN where it has no positive."""
    ordered = weights[:, ranks.order]
    total = np.cumsum(ordered, axis=1)[:, ranks.last]
    above = np.cumsum(ordered * flags, axis=1)[:, ranks.last]
    precision = np.divide(above, total, out=np.zeros_like(above), where=total > 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.diff(above, axis=1, prepend=0.0) * precision).sum(axis=1) / above[:, -1])


def _ranked(positive: Flags, score: Floats) -> tuple[_Ranks, Flags]:
    if positive.all() or not positive.any():
        raise ValueError("needs examples of both classes")
    order = np.argsort(-score)  # not stable, which is twice as fast: what follows depends on groups of equal scores only
    ordered = score[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    last = np.flatnonzero(is_last)
    group = np.zeros(order.size, dtype=np.int64)
    group[1:] = np.cumsum(is_last[:-1])
    return _Ranks(order, group, last), positive[order]


def _normal_interval(candidate: Area, baseline: Area, confidence: float, method: str) -> Interval:
    estimate = candidate.value - baseline.value
    error = float(np.linalg.norm(candidate.influence - baseline.influence))
    half = normal_quantile(confidence) * error
    return Interval(estimate, estimate - half, estimate + half, method)
