"""McNemar's mid-p: how surprising the disagreements of two equally accurate models would be. Shown, decides nothing."""

from __future__ import annotations

import math

import numpy as np

NAME = "McNemar's mid-p"
_SMALLEST_TERM = 1e-18


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """Two-sided mid-p value of the hypothesis that gains and losses are equally likely.

    Args:
        gained: examples the candidate gets right and the baseline wrong.
        lost: examples the baseline gets right and the candidate wrong.

    Returns:
        In (0, 1]; 1 where nothing disagrees. 0 only where it is below what a float can hold.

    Raises:
        ValueError: negative counts.

    Source: Fagerland, Lydersen and Laake (2013), BMC Medical Research Methodology 13:91: twice the binomial tail less the probability
    of what was observed, and 1 less half of that where both counts are equal.
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"expected counts of at least 0, got gained={gained}, lost={lost}")
    n, fewer = gained + lost, min(gained, lost)
    if n == 0:
        return 1.0
    observed = math.exp(math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1) - n * math.log(2))
    if gained == lost:
        return 1 - observed / 2
    # the further terms by their quotients, which fall from below 1: for many disagreements only the first few count
    tail = term = 1.0
    for start in range(fewer, 0, -1024):
        counts = np.arange(start, max(start - 1024, 0), -1, dtype=np.float64)
        terms = term * np.cumprod(counts / (n - counts + 1))
        tail += float(terms.sum())
        term = float(terms[-1])
        if term < _SMALLEST_TERM:
            break
    return min(observed * (2 * tail - 1), 1.0)
