"""How small a loss a holdout can see: the margin at which two equally good models are told apart from a worse one, most of the time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile

POWER = 0.8
ASSUMED_DISAGREEMENT = 0.1
"""Share of examples that one of two models gets right and the other wrong, where no pair of them is at hand."""
ASSUMED_CORRELATION = 0.9
"""Of the squared errors of two regressions of the same data, where no pair of them is at hand."""


def visible_loss_of_accuracy(n: int, disagreement: float, confidence: float, power: float = POWER) -> float:
    """The smallest margin at which a candidate as accurate as its baseline is found no worse with this power.

    Args:
        n: examples, at least 1.
        disagreement: share of them that one model gets right and the other wrong, in [0, 1].
        confidence: one-sided, in (0.5, 1).
        power: in (0, 1).

    Returns:
        A loss of accuracy, in [0, 1].

    Source: (z_confidence + z_power) sqrt(psi / n), the sample size of McNemar's test solved for the difference under equality, as for
    non-inferiority of paired proportions (Connor 1987, Biometrics 43:207-211; Nam 1997, Biometrics 53:1422-1430). No pair that
    disagreed is no proof that none would: at least the share that n examples could have missed counts, 1 / n.
    """
    psi = min(max(disagreement, 1 / n), 1.0)
    return min(_z(confidence, power) * math.sqrt(psi / n), 1.0)


def visible_loss_of_rmse(errors: NDArray[np.float64], confidence: float, power: float = POWER) -> float:
    """The same for the root of the mean squared error, from one model's errors and the assumed correlation of two models' squares.

    Args:
        errors: prediction minus target, shape (n,), n at least 2.
        confidence: one-sided, in (0.5, 1).
        power: in (0, 1).

    Returns:
        A rise of rmse, in its own unit.

    Source: the delta method, rmse' = 1 / (2 rmse), on the mean difference of two samples of correlated squares.
    """
    squares = np.square(errors)
    spread = float(np.std(squares, ddof=1)) * math.sqrt(2 * (1 - ASSUMED_CORRELATION))
    return _rise_of_root(float(np.mean(squares)), spread, len(errors), confidence, power)


def visible_loss_of_rmse_between(one: NDArray[np.float64], other: NDArray[np.float64], confidence: float, power: float = POWER) -> float:
    """As `visible_loss_of_rmse`, from the errors of two models on the same examples, shape (n,) each."""
    squares, others = np.square(one), np.square(other)
    return _rise_of_root(float(np.mean(others)), float(np.std(squares - others, ddof=1)), len(one), confidence, power)


def examples_for(margin: float, visible: float, n: int) -> int:
    """How many examples a margin needs, where n of them see `visible`: losses close in with the square root."""
    return math.ceil(n * (visible / margin) ** 2)


def _rise_of_root(mean_square: float, spread: float, n: int, confidence: float, power: float) -> float:
    root = math.sqrt(mean_square)
    return _z(confidence, power) * spread / math.sqrt(n) / (2 * root) if root > 0 else 0.0


def _z(confidence: float, power: float) -> float:
    return normal_quantile(confidence) + normal_quantile(power)
