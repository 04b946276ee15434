"""The usual intervals of a mean of paired differences, which `mlgate.stats.means` was weighed against and which it is better than.

They take many samples at once, of shape (runs, n), and share the resamples, which are a function of n alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
"""(weights of shape (b, n), sample of shape (n,)) -> (b,)."""

DRAWS = 2000


def student(samples: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Student's t: lower and upper bounds, of shape (runs,)."""
    n = samples.shape[1]
    mean, distance = samples.mean(axis=1), stats.t.ppf(confidence, n - 1) * samples.std(axis=1, ddof=1) / np.sqrt(n)
    return mean - distance, mean + distance


def accelerated(samples: Floats, confidence: float) -> tuple[Floats, Floats]:
    """BCa bootstrap of the mean (Efron 1987, JASA 82:171-185)."""
    mean = samples.mean(axis=1)
    centred = samples - mean[:, None]
    acceleration = (centred**3).sum(axis=1) / np.maximum(6 * (centred**2).sum(axis=1) ** 1.5, 1e-300)
    return _accelerated(_resamples(samples.shape[1]) @ samples.T, mean, acceleration, confidence)


def accelerated_of(statistic: Statistic, sample: Floats, confidence: float, weights: Floats) -> tuple[float, float]:
    """BCa bounds of any statistic of one sample, with the acceleration of the jackknife."""
    n = sample.size
    left_out = statistic((np.ones((n, n)) - np.eye(n)) / (n - 1), sample)
    apart = left_out.mean() - left_out
    acceleration = np.array([(apart**3).sum() / (6 * (apart**2).sum() ** 1.5)])
    whole = statistic(np.full((1, n), 1 / n), sample)
    low, high = _accelerated(statistic(weights, sample)[:, None], whole, acceleration, confidence)
    return float(low[0]), float(high[0])


def studentised(samples: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Studentised bootstrap, the bootstrap-t (Efron 1981, Canadian Journal of Statistics 9:139-172)."""
    n = samples.shape[1]
    weights = _resamples(n)
    mean = samples.mean(axis=1)
    centred = samples - mean[:, None]
    drawn = weights @ centred.T
    spread = np.sqrt(np.maximum(weights @ (centred**2).T - drawn**2, 0) * n / (n - 1))
    ratio = np.divide(drawn, spread, out=np.sign(drawn) * 1e9, where=spread > 0)
    low, high = np.quantile(ratio, [1 - confidence, confidence], axis=0)
    deviation = samples.std(axis=1, ddof=1)
    return mean - high * deviation, mean - low * deviation


def _accelerated(drawn: Floats, observed: Floats, acceleration: Floats, confidence: float) -> tuple[Floats, Floats]:
    """From draws of shape (b, runs)."""
    draws = drawn.shape[0]
    below = ((drawn < observed).sum(axis=0) + (drawn == observed).sum(axis=0) / 2) / draws
    bias = stats.norm.ppf(np.clip(below, 0.5 / draws, 1 - 0.5 / draws))
    ordered = np.sort(drawn, axis=0)
    bounds = []
    for probability in (1 - confidence, confidence):
        moved = bias + stats.norm.ppf(probability)
        place = stats.norm.cdf(bias + moved / (1 - acceleration * moved)) * (draws - 1)
        bounds.append(ordered[np.clip(np.round(place).astype(int), 0, draws - 1), np.arange(drawn.shape[1])])
    return bounds[0], bounds[1]


@lru_cache(maxsize=2)
def _resamples(n: int) -> Floats:
    """Shares of each of n rows in each resample."""
    random = np.random.default_rng(n)
    return np.stack([np.bincount(random.integers(0, n, n), minlength=n) for _ in range(DRAWS)]) / n
