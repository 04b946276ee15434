"""The paired bootstrap: percentile intervals of a difference, reproducible by a seed that is derived from the holdout.

Percentile rather than BCa: its bounds move with the draws alone, while BCa's two corrections are estimated from the same few
disagreements that make small holdouts hard (with most draws tied at the observed difference, its bias term jumps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]

OF_SUFFICIENT_STATISTICS = "paired bootstrap of sufficient statistics"
MAX_DRAWS = 4000
MIN_DRAWS = 400
BEYOND = 20
"""Draws beyond a bound; with fewer than half of them it is a matter of luck where it lies."""
MANY_ROWS = 10_000
"""From here on sums over resampled rows are drawn from their normal limit: the cost no longer depends on the number of rows."""

_CHUNK_ELEMENTS = 2_000_000


def seed_of(holdout_sha256: str, metric: str) -> int:
    """A seed that is the same whenever the same metric is compared on the same holdout."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{holdout_sha256}:{metric}".encode()).digest()[:8], "big")


def draws_for(elements: int, confidence: float, budget: int = 20_000_000) -> int:
    """How many draws to make where each touches `elements` numbers: as many as put twenty beyond either bound, unless they are dear."""
    return max(MIN_DRAWS, min(most_draws(confidence), budget // max(elements, 1)))


def most_draws(confidence: float) -> int:
    """Where draws cost nothing: 4,000, or as many as put twenty beyond a bound; 20,000 at the 99.9 % of fifty uses of a holdout."""
    return max(MAX_DRAWS, round(BEYOND / (1 - confidence)))


def percentile_interval(estimate: float, draws: Floats, confidence: float, method: str, *, is_skewed: bool = False) -> Interval:
    """Interval from bootstrap draws of a difference.

    Args:
        estimate: the observed difference.
        draws: the difference on each resample, of shape (b,); NaN where it is not defined there.
        confidence: one-sided.
        is_skewed: whether the bound on the side of the longer tail is moved outwards by BCa's acceleration.

    Returns:
        Infinite bounds where more than one draw in a hundred is undefined: the sample is too small to say anything. No nearer than
        the normal interval where hardly any draws lie beyond a bound, since each is dear or the confidence high.

    Source: Efron (1979), Annals of Statistics 7:1-26; Efron (1987), JASA 82:171-185, equation 2.3, for a statistic whose acceleration
    and bias are both a sixth of its skewness, as a mean's are.
    """
    defined = draws[np.isfinite(draws)]
    if defined.size < 0.99 * draws.size or not defined.size:
        return Interval(estimate, -math.inf, math.inf, method)
    below, above = _accelerated(defined, confidence) if is_skewed else (confidence, confidence)
    low, high = np.quantile(defined, [1 - below, above])
    if defined.size * (1 - confidence) < BEYOND / 2:
        normal = normal_quantile(confidence) * float(defined.std())
        low, high = min(low, estimate - normal), max(high, estimate + normal)
    # the observed difference is always among what cannot be excluded
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), method)


def _accelerated(draws: Floats, confidence: float) -> tuple[float, float]:
    """At which confidence to read the lower and the upper bound off skewed draws; neither below the one asked for."""
    centred = draws - draws.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    if spread == 0:
        return confidence, confidence
    found = []
    for skewness in (-float(np.mean((centred / spread) ** 3)), float(np.mean((centred / spread) ** 3))):
        acceleration = max(skewness, 0.0) / 6
        moved = normal_quantile(confidence) + acceleration
        found.append(0.5 * math.erfc(-(acceleration + moved / max(1 - acceleration * moved, 0.1)) / math.sqrt(2)))
    return found[0], found[1]


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
    draws = most_draws(confidence)
    drawn = means + (np.random.default_rng(seed).standard_normal((draws, k)) @ root.T) * scale
    return percentile_interval(estimate, statistic(drawn), confidence, OF_SUFFICIENT_STATISTICS)
