"""Losses of single examples, whose mean is the metric, and the sums that RMSE and R2 are made of. As scikit-learn defines them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_EPSILON = float(np.finfo(np.float64).eps)


def log_losses(target: Integers, scores: Floats) -> Floats:
    """Minus the log of the probability given to the true class, clipped away from 0 and 1.

    Args:
        target: codes, of shape (n,).
        scores: probabilities, of shape (n, k).
    """
    return np.asarray(-np.log(np.clip(scores[np.arange(target.size), target], _EPSILON, 1 - _EPSILON)))


def brier_losses(target: Integers, scores: Floats) -> Floats:
    """Squared distance of the probabilities from certainty in the true class; halved for two classes, as usual."""
    given = scores[np.arange(target.size), target]
    squared = (scores**2).sum(axis=1) - given**2 + (1 - given) ** 2
    return np.asarray(squared / 2 if scores.shape[1] < 3 else squared)


def absolute_losses(target: Floats, prediction: Floats) -> Floats:
    return np.asarray(np.abs(prediction - target))


def relative_losses(target: Floats, prediction: Floats) -> Floats:
    """Absolute error as a share of the target; a target of 0 counts as the smallest number that can be told from it."""
    return np.asarray(np.abs(prediction - target) / np.maximum(np.abs(target), _EPSILON))


def squared_columns(target: Floats, candidate: Floats, baseline: Floats) -> Floats:
    """Columns whose means give RMSE and R2 of both models: candidate's and baseline's squared error, target, its square.

    The target is centred first: its variance must not be the small difference of two large numbers.
    """
    centred = target - target.mean()
    return np.column_stack([(candidate - target) ** 2, (baseline - target) ** 2, centred, centred**2])


def rmse_difference(means: Floats) -> Floats:
    """Candidate minus baseline from means of `squared_columns`, of shape (b, 4)."""
    errors = np.sqrt(np.maximum(means[:, :2], 0))
    return np.asarray(errors[:, 0] - errors[:, 1])


def r2_difference(means: Floats) -> Floats:
    """Candidate minus baseline from means of `squared_columns`, of shape (b, 4); NaN where the targets are all equal."""
    variance = means[:, 3] - means[:, 2] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variance > 0, (means[:, 1] - means[:, 0]) / variance, np.nan))


def rmse_influence(columns: Floats) -> tuple[Floats, float]:
    """How much each example moves `rmse_difference`, of shape (n,), and how much one with the largest error seen could.

    Args:
        columns: of `squared_columns`.
    """
    means = columns[:, :2].mean(axis=0)
    slopes = np.divide(0.5, np.sqrt(means), out=np.zeros(2), where=means > 0)  # a model without errors has no slope, and adds nothing
    each = (columns[:, :2] - means) * slopes
    return np.asarray(each[:, 0] - each[:, 1]), float(columns[:, :2].max() * slopes.max())


def r2_influence(columns: Floats) -> tuple[Floats, float]:
    """As `rmse_influence`, of `r2_difference`. Infinite where the targets are all equal."""
    candidate, baseline, centre, square = columns.mean(axis=0)
    variance = square - centre**2
    if not variance > 0:
        return np.full(columns.shape[0], np.inf), np.inf
    each = (columns[:, 1] - columns[:, 0] - (baseline - candidate)) / variance
    each -= (baseline - candidate) / variance**2 * ((columns[:, 2] - centre) ** 2 - variance)
    return np.asarray(each), float(columns[:, :2].max() / variance)


OF_SQUARES = {"rmse": (rmse_difference, rmse_influence), "r2": (r2_difference, r2_influence)}
"""By metric: candidate minus baseline from means of `squared_columns`, and each example's influence on it."""


def rmse(target: Floats, prediction: Floats) -> float:
    return float(np.sqrt(np.mean((prediction - target) ** 2)))


def r2(target: Floats, prediction: Floats) -> float:
    """Share of the variance explained. Raises ValueError where the targets are all equal."""
    total = float(((target - target.mean()) ** 2).sum())
    if total == 0:
        raise ValueError("needs targets that differ")
    return 1 - float(((prediction - target) ** 2).sum()) / total
