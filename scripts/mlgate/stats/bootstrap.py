"""The paired bootstrap: percentile intervals of a difference, reproducible by a seed that is derived from the holdout.

Percentile rather than BCa: its bounds move with the draws alone, while BCa's two corrections are estimated from the same few
disagreements that make small holdouts hard (with most draws tied at the observed difference, its bias term jumps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]

OF_SUFFICIENT_STATISTICS = "paired bootstrap of sufficient statistics"
MAX_DRAWS = 4000
MIN_DRAWS = 400
MANY_ROWS = 10_000
"""From here on sums over resampled rows are drawn from their normal limit: the cost no longer depends on the number of rows."""

_CHUNK_ELEMENTS = 2_000_000


def seed_of(holdout_sha256: str, metric: str) -> int:
    """A seed that is the same whenever the same metric is compared on the same holdout."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{holdout_sha256}:{metric}".encode()).digest()[:8], "big")


def draws_for(elements: int, budget: int = 20_000_000) -> int:
    """How many draws to make where each touches `elements` numbers."""
    return max(MIN_DRAWS, min(MAX_DRAWS, budget // max(elements, 1)))


def percentile_interval(estimate: float, draws: Floats, confidence: float, method: str) -> Interval:
    """Interval from bootstrap draws of a difference.

    Args:
        estimate: the observed difference.
        draws: the difference on each resample, of shape (b,); NaN where it is not defined there.
        confidence: one-sided.

    Returns:
        Infinite bounds where more than one draw in a hundred is undefined: the sample is too small to say anything.

    Source: Efron (1979), Annals of Statistics 7:1-26.
    """
    defined = draws[np.isfinite(draws)]
    if defined.size < 0.99 * draws.size or not defined.size:
        return Interval(estimate, -math.inf, math.inf, method)
    low, high = np.quantile(defined, [1 - confidence, confidence])
    # the observed difference is always among what cannot be excluded
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), method)


def row_weights(n: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each of n rows is drawn in each resample, in chunks of shape (c, n)."""
    generator = np.random.default_rng(seed)
    chunk = max(1, min(draws, _CHUNK_ELEMENTS // n))
    for start in range(0, draws, chunk):
        rows = min(chunk, draws - start)
        drawn = generator.integers(0, n, size=(rows, n))
        drawn += (np.arange(rows) * n)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def interval_of_means(columns: Floats, statistic: Callable[[Floats], Floats], confidence: float, seed: int) -> Interval:
    """Bootstrap of a statistic that depends on the rows only through the means of some columns, such as RMSE and R2.

    The means are drawn from their normal limit, so that the cost does not depend on the number of rows. Where that limit is not
    reached, `means.corrected_interval` takes over.

    Args:
        columns: sufficient statistics of each row, of shape (n, k).
        statistic: the difference from means of shape (b, k); returns shape (b,).

    Source: Efron (1979), Annals of Statistics 7:1-26, with the normal limit of the resampled means.
    """
    n, k = columns.shape
    means = columns.mean(axis=0)
    estimate = float(statistic(means[None, :])[0])
    centred = columns - means
    covariance = centred.T @ centred / n / n
    # columns of very different size, and columns that repeat one another: scale first, clip what rounding made negative
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(values, 0))
    drawn = means + (np.random.default_rng(seed).standard_normal((MAX_DRAWS, k)) @ root.T) * scale
    return percentile_interval(estimate, statistic(drawn), confidence, OF_SUFFICIENT_STATISTICS)
