"""Quantiles of a sample, such as latencies: their intervals, and the difference and the ratio of two models' measured in rounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import binomial_tail, t_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], float]
"""Of all samples of a model, of shape (n,)."""

ORDER_STATISTICS = "order statistics"
ROUNDS = "paired rounds, batch means and jackknife, the wider"
MIN_ROUNDS = 5
"""Fewer say nothing of how much a round strays."""
MOST_BATCHES = 20
"""Of more rounds some that follow one another count as one: the jackknife of an extreme quantile has to leave out many requests at once
(the 99th percentile of 50 rounds of 20 lets pass 9 % where 5 % are promised, of 20 batches of 50 it keeps the promise)."""
MIN_BEYOND = 10
"""Samples there must be on either side of a quantile before two models' are compared: of the 99th percentile, 1,000 in all."""


def quantile(samples: Floats, level: float) -> float:
    """The quantile of a sample, between two order statistics interpolated linearly (Hyndman and Fan 1996, American Statistician
    50:361-365, definition 7).

    Args:
        samples: of shape (n,), finite, n above 0.
        level: in (0, 1).
    """
    return float(np.quantile(samples, level))


def quantile_interval(samples: Floats, level: float, confidence: float) -> Interval:
    """Distribution-free interval of a quantile from independent samples.

    Each bound is the order statistic nearest to the quantile whose one-sided level, an exact binomial probability, is at least
    `confidence`; ties only raise it.

    Args:
        samples: of shape (n,), finite, n above 0.
        level: which quantile, in (0, 1).
        confidence: one-sided, in (0.5, 1).

    Returns:
        An infinite bound where no order statistic has that level: the 99th percentile has no upper 95 % bound below 299 samples.

    Raises:
        ValueError: an argument out of range.

    Source: David and Nagaraja (2003), Order Statistics, 3rd edition, section 7.1.
    """
    if not 0 < level < 1 or not 0.5 < confidence < 1 or not samples.size:
        raise ValueError("expected samples, a level in (0, 1) and a confidence in (0.5, 1)")
    ordered, n = np.sort(samples), samples.size
    # X(r) <= quantile surely where at least r samples lie below it: P(B >= r), B binomial(n, level)
    below = _last(n, lambda r: 1 - binomial_tail(r - 1, n, level) >= confidence)
    above = _last(n, lambda s: 1 - binomial_tail(s - 1, n, 1 - level) >= confidence)
    low = float(ordered[below - 1]) if below else -math.inf
    high = float(ordered[n - above]) if above else math.inf
    return Interval(quantile(ordered, level), low, high, ORDER_STATISTICS)


def _last(n: int, holds: Callable[[int], bool]) -> int:
    """The greatest rank in 1..n at which a condition that holds up to some rank still does; 0 where it never does."""
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def is_enough(rounds: int, samples: int, level: float | None) -> bool:
    """Whether so many samples in so many rounds bear an interval of a difference.

    Args:
        rounds: how many.
        samples: of one model, in all.
        level: of the quantile; None for another statistic, such as a mean.
    """
    beyond = samples if level is None else samples * min(level, 1 - level)
    return rounds >= MIN_ROUNDS and beyond > MIN_BEYOND - 1e-6


def rounds_interval(one: Floats, other: Floats | None, statistic: Statistic, confidence: float) -> Interval:
    """Interval of a statistic, or of its difference between two models whose samples were taken in turns, round by round.

    What slows the machine for a while slows both models in the same rounds, and cancels. The wider, on each side, of two intervals over
    rounds: batch means (Student's t of the difference within each round) and the jackknife that leaves out one round at a time. The first
    alone lets pass a candidate with a longer tail, which the few samples of a round do not show; the second alone is a little too sure
    of extreme quantiles. False passes, also with noise that lasts and with bursts: docs/calibration.md.

    Args:
        one: samples of shape (rounds, requests), finite.
        other: the other model's, as many rounds; None for the interval of one model's own statistic.
        statistic: of flat samples.
        confidence: one-sided, in (0.5, 1).

    Returns:
        The difference of the statistic on all samples, `one` minus `other`; infinite bounds below five rounds.

    Raises:
        ValueError: both have not the same number of rounds.

    Source: Student (1908), Biometrika 6:1-25; Schmeiser (1982), Operations Research 30:556-568, for batch means; Shao and Wu (1989),
    Annals of Statistics 17:1176-1197, for the jackknife of quantiles, which has to leave out many samples at once.
    """
    if other is not None and len(one) != len(other):
        raise ValueError("expected as many rounds of both models")
    batch = _batches(one)
    rounds = int(batch[-1]) + 1

    def difference(rows: NDArray[np.bool_]) -> float:
        return statistic(one[rows].ravel()) - (statistic(other[rows].ravel()) if other is not None else 0.0)

    estimate = difference(batch >= 0)
    if rounds < MIN_ROUNDS:
        return Interval(estimate, -math.inf, math.inf, ROUNDS)
    within = np.array([difference(batch == place) for place in range(rounds)])
    left_out = np.array([difference(batch != place) for place in range(rounds)])
    factor = t_quantile(confidence, rounds - 1) / math.sqrt(rounds)
    lows, highs = [estimate], [estimate]
    for centre, strays in ((float(within.mean()), within), (estimate, (rounds - 1) * (left_out.mean() - left_out))):
        distance = factor * float(strays.std(ddof=1))
        lows.append(centre - distance)
        highs.append(centre + distance)
    return Interval(estimate, min(lows), max(highs), ROUNDS)


def ratio_interval(one: Floats, other: Floats, statistic: Statistic, confidence: float) -> Interval:
    """Interval of the ratio of a positive statistic, `one` over `other`, from samples taken in turns: that of the difference of logarithms,
    exponentiated. Arguments and source as of `rounds_interval`; nought or infinity where a statistic is not positive."""
    if not _are_positive(one, other, statistic):
        return Interval(math.nan, 0.0, math.inf, ROUNDS)
    found = rounds_interval(one, other, lambda samples: math.log(statistic(samples)), confidence)
    return Interval(math.exp(found.estimate), math.exp(found.low), math.exp(found.high), ROUNDS)


def _batches(samples: Floats) -> NDArray[np.int64]:
    """Which batch each round belongs to: of shape (rounds,), in [0, MOST_BATCHES)."""
    return np.arange(len(samples)) * min(len(samples), MOST_BATCHES) // len(samples)


def _are_positive(one: Floats, other: Floats, statistic: Statistic) -> bool:
    """In every batch, which is all that is looked at: of a hundred thousand rounds each by itself takes minutes."""
    return all(
        statistic(samples[batch == place].ravel()) > 0 for samples in (one, other) for batch in [_batches(samples)] for place in set(batch)
    )
