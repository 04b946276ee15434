"""What chance alone brings about, so that a screen tells of nothing else. Pure: numbers in, probabilities out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

ALARM = 0.001
"""Probability of an alarm of a screen as a whole on clean data; screens of many columns or classes divide it among them."""
_AGREEMENTS = 2_000_000
_MOST_PAIRS = 100_000
_MAX_TREE_COLUMNS = 300
_SEEN_TOGETHER = 5
_NEARLY_UNIQUE = 0.9
_LEAST_ROWS = 100
_MIN_OF_STATISTIC = 1e-300

Floats = npt.NDArray[np.float64]


def is_below(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """P(at most `hits` of `n`) where both groups have the same rate: Fisher's exact test, one-sided.

    Args:
        hits: successes of the first group.
        n: its size.
        other_hits: successes of the second group.
        other_n: its size.

    Source: R. A. Fisher (1935), The logic of inductive inference, Journal of the Royal Statistical Society 98, 39-82.
    """
    successes, both = hits + other_hits, n + other_n
    low = max(0, successes - other_n)
    if hits >= min(n, successes) or n == 0 or other_n == 0:
        return 1.0
    whole = _log_choose(both, successes)
    # From the likeliest downwards the terms fall ever faster: a few thousand of them are all that counts.
    first = max(low, hits - 5_000)
    return min(1.0, sum(math.exp(_log_choose(n, k) + _log_choose(other_n, successes - k) - whole) for k in range(first, hits + 1)))


def differ(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """P of two rates as different as these or more where they are one: Fisher's exact test, two-sided by doubling."""
    misses = (n - hits, other_n - other_hits)
    return min(1.0, 2 * min(is_below(hits, n, other_hits, other_n), is_below(misses[0], n, misses[1], other_n)))


def rates_differ(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """P of such a difference of two rates by chance: Fisher's, and the normal distribution's where its sums would be long."""
    if max(n, other_n) <= 20_000:
        return differ(hits, n, other_hits, other_n)
    rate = (hits + other_hits) / (n + other_n)
    spread = math.sqrt(rate * (1 - rate) * (1 / n + 1 / other_n))
    return 1.0 if spread == 0 else 2 * normal_tail(abs(hits / n - other_hits / other_n) / spread)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def ks_statistic(first: Floats, second: Floats) -> float:
    """Kolmogorov-Smirnov's D of two samples: the largest distance of their distribution functions."""
    first, second = np.sort(first), np.sort(second)
    points = np.concatenate([first, second])
    below = np.searchsorted(first, points, side="right") / len(first)
    other = np.searchsorted(second, points, side="right") / len(second)
    return float(np.abs(below - other).max())


def ks_tail(distance: float, n: int, m: int) -> float:
    """P(D > distance) of two samples of one distribution, for large n and m; too large where values repeat, so never a false alarm.

    Source: Smirnov's limit with the correction for small samples of M. A. Stephens (1970), Journal of the Royal Statistical Society B 32,
    115-122.
    """
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    terms = ((2 if k % 2 else -2) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, math.fsum(terms)))


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """P(X > statistic) of the chi-squared distribution.

    Source: the cube root is nearly normal, E. B. Wilson and M. M. Hilferty (1931), Proceedings of the National Academy of
    Sciences 17, 684-688.
    """
    if degrees <= 0 or statistic <= 0:
        return 1.0
    spread = 2 / (9 * degrees)
    return normal_tail(((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def normal_tail(z: float) -> float:
    """P(Z > z) of the standard normal distribution."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def two_samples(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Total variation of two counted samples over the same categories, and P of so large a chi-squared where both are of one population.

    Rare categories (fewer than five expected) are taken together, as the chi-squared distribution needs it.
    """
    n, m = int(first.sum()), int(second.sum())
    if n == 0 or m == 0:
        return 0.0, 1.0
    variation = float(np.abs(first / n - second / m).sum() / 2)
    pooled = first + second
    is_common = pooled * min(n, m) / (n + m) >= 5
    kept = [(int(a), int(b)) for a, b in zip(first[is_common], second[is_common], strict=True)]
    rest = int(first[~is_common].sum()), int(second[~is_common].sum())
    groups = np.array([*kept, *([rest] if sum(rest) else [])], dtype=float)
    if len(groups) < 2:
        return variation, 1.0
    expected = groups.sum(axis=1, keepdims=True) * np.array([[n, m]]) / (n + m)
    statistic = float(((groups - expected) ** 2 / np.maximum(expected, _MIN_OF_STATISTIC)).sum())
    return variation, chi_squared_tail(statistic, len(groups) - 1)


def collision_rate(codes: npt.NDArray[Any], seed: int = 0) -> float:
    """How likely two rows drawn at random agree in all columns, had the columns no more to do with one another than in pairs.

    Estimated from random pairs of rows: agreement in each column and in each two columns, put together along the tree of the strongest
    dependencies. It says how many equal rows to expect of chance where columns have few values, and next to nothing where they have many.

    Args:
        codes: of shape (rows, columns); equal codes are equal values.

    Source: C. K. Chow and C. N. Liu (1968), IEEE Transactions on Information Theory 14, 462-467; applied here to agreement of pairs.
    """
    n, columns = codes.shape
    if n < 2 or columns == 0:
        return 0.0 if columns else 1.0
    random = np.random.default_rng(seed)
    pairs = min(_MOST_PAIRS, _AGREEMENTS // columns + 1_000)
    one = random.integers(0, n, pairs)
    other = (one + random.integers(1, n, pairs)) % n
    agree = (codes[one] == codes[other])[:, :_MAX_TREE_COLUMNS].astype(np.float32)
    together = agree.T @ agree
    both = (together + 0.5) / (pairs + 1)
    single = np.diagonal(both).astype(np.float64)
    gain = np.log(both) - np.log(single)[:, None] - np.log(single)[None, :]
    gain = np.where(together >= _SEEN_TOGETHER, gain, 0.0)  # a handful of pairs shows no dependency
    logarithm = float(np.log(single).sum()) + _spanning_gain(gain)
    return math.exp(min(0.0, logarithm))


def has_nearly_unique_column(codes: npt.NDArray[Any]) -> bool:
    """Whether a column tells nearly all rows apart, as measurements and times do: then no two rows agree by chance.

    Args:
        codes: of distinct rows, shape (rows, columns).
    """
    n = len(codes)
    return n >= _LEAST_ROWS and any(len(np.unique(column)) > _NEARLY_UNIQUE * n for column in codes.T)


def _spanning_gain(gain: npt.NDArray[Any]) -> float:
    """The weight of the heaviest spanning tree (Prim); what makes agreement less likely counts for nothing."""
    best = gain[0].astype(np.float64).copy()
    is_in = np.zeros(len(gain), dtype=bool)
    is_in[0] = True
    total = 0.0
    for _ in range(len(gain) - 1):
        at = int(np.argmax(np.where(is_in, -np.inf, best)))
        total += max(0.0, float(best[at]))
        is_in[at] = True
        best = np.maximum(best, gain[at])
    return total


def expected_twins(rows: int, others: int, rate: float) -> float:
    """How many of `rows` find an equal one among `others` by chance, two rows agreeing with probability `rate`."""
    return rows * -math.expm1(others * math.log1p(-min(rate, 1 - 1e-12)))


def is_beyond(count: int, expected: float, tolerated: float) -> bool:
    """Whether so many equal rows are no chance: well above what is expected, whose estimate is rough, and above what is tolerated."""
    return count > tolerated and count > 3 * expected + 3 * math.sqrt(expected)
