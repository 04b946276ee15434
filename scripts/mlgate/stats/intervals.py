"""What an interval of a difference is, and Tango's for paired proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlgate.stats.distributions import binomial_tail, normal_quantile

TANGO = "Tango's score interval"
TANGO_OF_FEW = "Tango's score interval, corrected for few disagreements"
SCARCE = 6
"""Fewer gains, or fewer losses, and the interval of paired proportions is corrected."""


@dataclass(frozen=True)
class Interval:
    """A difference, candidate minus baseline, with one-sided bounds that each hold at the confidence asked for."""

    estimate: float
    low: float
    """Minus infinity where the sample says nothing."""
    high: float
    method: str
    standard_error: float | None = None
    """Of the difference, where the bounds are set wider than it alone asks for."""

    @property
    def mirrored(self) -> Interval:
        """The same with candidate and baseline exchanged."""
        return Interval(-self.estimate, -self.high, -self.low, self.method, self.standard_error)


def tango_interval(gained: float, lost: float, n: float, confidence: float) -> Interval:
    """Score interval for the difference of two paired proportions, made to keep its promise also with hardly any gains or losses.

    Tango's interval where there are at least six of either. With fewer, its bound on the side of the scarce ones misses in up to 10 %
    where 5 % are promised (four gains expected and half a loss); there the distance is corrected for continuity by up to one example,
    and where there are none at all, the exact binomial bound of the others counts too. Summed exactly over all outcomes, no bound then
    misses in more than 5.5 %; see docs/calibration.md.

    Args:
        gained: examples the candidate gets right and the baseline wrong.
        lost: examples the baseline gets right and the candidate wrong.
        n: examples in all, above 0. Counts need not be whole numbers: planning asks for expected ones.
        confidence: one-sided, in (0.5, 1).

    Returns:
        Bounds of p(candidate) - p(baseline), in [-1, 1].

    Raises:
        ValueError: negative counts, gained + lost > n, or confidence out of range.

    Source: Tango (1998), Statistics in Medicine 17:891-908: score statistic with the constrained maximum-likelihood estimate of
    the probability of a loss, inverted by bisection (the statistic falls strictly from one end of [-1, 1] to the other). Clopper and
    Pearson (1934), Biometrika 26:404-413, for the exact bound. That and when to correct is ours.
    """
    _check_counts(gained, lost, n, confidence)
    # the upper bound is the lower one with the models exchanged: exact antisymmetry, not only in theory
    low, high = _bisected(gained, lost, n, confidence), -_bisected(lost, gained, n, confidence)
    return Interval((gained - lost) / n, low, high, TANGO if min(gained, lost) >= SCARCE else TANGO_OF_FEW)


def tango_score_interval(gained: float, lost: float, n: float, confidence: float) -> Interval:
    """Tango's interval as published, without the correction of `tango_interval`; with no disagreement its bounds are -+ z^2 / (n + z^2)."""
    _check_counts(gained, lost, n, confidence)
    z = normal_quantile(confidence)
    return Interval((gained - lost) / n, _tango_low(gained, lost, n, z), -_tango_low(lost, gained, n, z), TANGO)


def tango_lies_above(limit: float, gained: float, lost: float, n: float, confidence: float) -> bool:
    """Whether the lower bound of `tango_interval` lies above `limit`, a difference in (-1, 1): the test that the bound inverts.

    Planning asks this of every pair of counts there can be, where a bisection each would take minutes.
    """
    if _tango_statistic(gained, lost, n, limit, _continuity(gained, lost)) <= normal_quantile(confidence):
        return False
    # no gain was seen: the losses alone, of which there are at most so many, decide exactly
    return gained >= 1 or (limit < 0 and binomial_tail(lost, n, -limit) < 1 - confidence)


def _continuity(gained: float, lost: float) -> float:
    """By how many examples a gain of `gained - lost` is taken to be smaller, against the skewness of few losses; at most one."""
    return max(0.0, 1 - lost / SCARCE) * min(gained / 3, 1.0)


def _bisected(gained: float, lost: float, n: float, confidence: float) -> float:
    """The lower bound that `tango_lies_above` inverts."""
    low, high = -1.0, (gained - lost) / n
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if tango_lies_above(middle, gained, lost, n, confidence) else (low, middle)
    return high


def _tango_low(gained: float, lost: float, n: float, z: float) -> float:
    """The difference at which the score statistic is z."""
    low, high = -1.0, (gained - lost) / n
    while (middle := (low + high) / 2) not in (low, high):
        if _tango_statistic(gained, lost, n, middle) > z:
            low = middle
        else:
            high = middle
    return high


def _tango_statistic(gained: float, lost: float, n: float, difference: float, continuity: float = 0.0) -> float:
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * difference
    c = -lost * difference * (1 - difference)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # the other form of the quadratic's root where this one would cancel
    loss_probability = (root - b) / (2 * a) if b <= 0 else (-2 * c / (b + root) if b + root else 0.0)
    variance = n * (2 * loss_probability + difference * (1 - difference))
    distance = gained - lost - n * difference - continuity
    if variance <= 0:
        return math.inf if distance > 0 else 0.0
    return distance / math.sqrt(variance)


def _check_counts(gained: float, lost: float, n: float, confidence: float) -> None:
    check_confidence(confidence)
    if not (n > 0 and gained >= 0 and lost >= 0 and gained + lost <= n):
        raise ValueError(f"expected 0 <= gained + lost <= n and n > 0, got gained={gained}, lost={lost}, n={n}")


def check_confidence(confidence: float) -> None:
    """Raises ValueError unless it is a one-sided confidence."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"expected a one-sided confidence in (0.5, 1), got {confidence}")
