"""How far two distributions lie apart, from how often each bin, or each value, occurs. Pure; NumPy only.

`reference` and `current` are counts of the same bins in the same order, of any sums above 0. Divergences are in nats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlgate.drift.cells import Floats

Counts = np.ndarray[Any, np.dtype[Any]]
HALF = 0.5
"""Added to every bin before a logarithm is taken (Jeffreys 1946): an empty bin would make a divergence infinite."""


def shares(counts: Counts, added: float = HALF) -> Floats:
    """Share of each bin, `added` counted into each; those empty on neither side alike, so that equal counts have equal shares."""
    smoothed: Floats = np.asarray(counts, dtype=np.float64) + added
    smoothed /= smoothed.sum()
    return smoothed


def population_stability_index(reference: Counts, current: Counts) -> float:
    """PSI: the sum of (q - p) ln(q / p).

    Source: Lewis 1994, An Introduction to Credit Scoring; it is the symmetric divergence J of Jeffreys 1946 (Proc. R. Soc. A 186, 453-461)
    and of Kullback and Leibler 1951 (Ann. Math. Statist. 22, 79-86, eq. 2.6). Bins without any count on either side are left out.
    """
    p, q = _both(reference, current)
    return float(np.sum((q - p) * np.log(q / p)))


def kullback_leibler(reference: Counts, current: Counts) -> float:
    """Divergence of the current distribution from the reference, the sum of q ln(q / p): Kullback and Leibler 1951, eq. 2.4."""
    p, q = _both(reference, current)
    return float(np.sum(q * np.log(q / p)))


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """Mean divergence of both from their mean, 0 to ln 2: Lin 1991, IEEE Trans. Inf. Theory 37(1), 145-151, eq. 4.1. Nothing is added."""
    p, q = _both(reference, current, added=0.0)
    middle = (p + q) / 2
    return float(max(0.0, (_entropy_to(p, middle) + _entropy_to(q, middle)) / 2))


def chi_squared(reference: Counts, current: Counts) -> tuple[float, int]:
    """Pearson's statistic of homogeneity and its degrees of freedom, of bins that have any count: Pearson 1911, Biometrika 8, 250-254."""
    table = np.stack([np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)])
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return float(np.sum((table - expected) ** 2 / expected)), max(0, table.shape[1] - 1)


def total_variation(reference: Counts, current: Counts) -> float:
    """The largest difference in probability of any set of values: half the sum of |q - p|, 0 to 1."""
    p, q = _both(reference, current, added=0.0)
    return float(np.abs(q - p).sum() / 2)


def kolmogorov_smirnov(reference: Counts, current: Counts) -> float:
    """D, the largest distance of the distribution functions, at the ends of ordered cells: Smirnov 1939. Within a cell they may lie
    further apart, by at most the share that the cell has of either side."""
    p, q = _shares_as_they_are(reference), _shares_as_they_are(current)
    return float(min(1.0, np.max(np.abs(np.cumsum(q) - np.cumsum(p)), initial=0.0)))


def wasserstein(lows: Floats, highs: Floats, reference: Counts, current: Counts) -> float:
    """Wasserstein's distance of order 1, in the unit of the numbers: the area between the distribution functions (Vallender 1974, Theory of
    Probability and Its Applications 18(4), 784-786), which rise evenly within a cell.

    Args:
        lows: where each of the ordered cells begins, shape (cells,).
        highs: where it ends, shape (cells,).
        reference: counts, shape (cells,).
        current: counts, shape (cells,).
    """
    apart = np.cumsum(_shares_as_they_are(current)) - np.cumsum(_shares_as_they_are(reference))
    before = np.concatenate([[0.0], apart[:-1]])
    within = (highs - lows) * _mean_distance(before, apart)
    between = (lows[1:] - highs[:-1]) * np.abs(apart[:-1])
    return float(within.sum() + between.sum())


def _mean_distance(before: Floats, after: Floats) -> Floats:
    """Mean of |x| where x goes evenly from one number to another."""
    is_crossing = before * after < 0
    total = np.abs(before) + np.abs(after)
    crossing = (before**2 + after**2) / np.where(total > 0, 2 * total, 1.0)
    return np.where(is_crossing, crossing, total / 2)


def _both(reference: Counts, current: Counts, added: float = HALF) -> tuple[Floats, Floats]:
    there = (np.asarray(reference) > 0) | (np.asarray(current) > 0)
    return shares(np.asarray(reference)[there], added), shares(np.asarray(current)[there], added)


def _shares_as_they_are(counts: Counts) -> Floats:
    return shares(counts, 0.0)


def _entropy_to(p: Floats, q: Floats) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / q[there])))
