"""Intervals of means of paired differences, and of what is nearly such a mean: log loss, Brier, MAE, MAPE, users' values, RMSE, R2.

Losses are skewed, and what breaks a promise is the rare bad example that a holdout happens not to hold. Which method keeps it was
found by simulation (tests/calibration/means.py; its table is in docs/calibration.md), and it is chosen by what the sample looks like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.intervals import Interval, check_confidence

Floats = NDArray[np.float64]

PAIRED_T = "paired t interval"
CORRECTED_T = "paired t interval with Hall's correction"
FAR_T = "paired t interval with Hall's correction, few examples carry the difference"
WIDEST_T = "paired t interval with Hall's correction, allowing for unseen losses"
CORRECTED_JACKKNIFE = "infinitesimal jackknife with Hall's correction"
WIDEST_JACKKNIFE = "infinitesimal jackknife with Hall's correction, allowing for unseen losses"

FEWEST = 50
"""Below this many examples there is no interval of a mean."""


@dataclass(frozen=True)
class Caution:
    """What is assumed of examples that a sample does not hold."""

    reach: float
    """How far they lie, in distances of the farthest example seen."""
    enough: int
    """Examples from which on what was seen says how far they lie; with fewer it is the whole range of the losses."""
    negligible: float
    """Corrections that move neither bound by more than this share are left out."""
    farther: float = 0.0
    """Added to `reach` where few examples carry the difference, and twice that with fewer than are enough."""


OF_MEANS = Caution(reach=1.5, enough=500, negligible=0.02, farther=0.5)
OF_SQUARES = Caution(reach=1.75, enough=1000, negligible=0.15)
"""Squares are more skewed than what is squared."""
FEW_CARRYING = 8
"""Where fewer examples than these carry the difference, a sample shows its tail too seldom to say how far it goes."""


ALLOWING = {WIDEST_T: OF_MEANS.enough, WIDEST_JACKKNIFE: OF_SQUARES.enough}
"""Methods that allow for what a small sample does not hold, and how many examples end that."""
USUAL_WIDENING = 1.25
"""How many times as far as z standard errors the bounds usually lie from there on; 1.02 to 1.5 in the calibration suite."""


def at_other_sizes(interval: Interval, n: int, confidence: float) -> Callable[[float], Interval] | None:
    """The interval that a method which allows for unseen losses would give on more examples; None of other methods.

    Its allowance shrinks with the number of examples itself, and ends with as many as are enough; what is left shrinks with the root.
    """
    enough, error = ALLOWING.get(interval.method), interval.standard_error
    if enough is None or error is None:
        return None

    def at(size: float) -> Interval:
        plain = normal_quantile(confidence) * error * math.sqrt(n / size)
        if size >= enough:
            low = high = USUAL_WIDENING * plain
        else:
            low, high = (
                plain + max(distance - normal_quantile(confidence) * error, 0.0) * n / size
                for distance in (interval.estimate - interval.low, interval.high - interval.estimate)
            )
        return Interval(interval.estimate, interval.estimate - low, interval.estimate + high, interval.method, error)

    return at


def mean_interval(differences: Floats, confidence: float, widest: float | None = None, caution: Caution = OF_MEANS) -> Interval:
    """Interval for the mean of paired differences, such as those of two models' losses on each example.

    Student's t, named so where nothing need be corrected. Otherwise each bound is computed with z^2 / 2 further examples half as far
    again from the mean as the farthest one on its side, and moved outwards, never inwards, by Hall's correction for skewness; both fade
    as n grows. With fewer than 500 examples a loss that sits in 2 % of the rows shows itself too seldom: the further examples are then
    as far as losses differ at all (`widest`), and without knowing that, the sample says nothing. No method that sees the differences
    alone holds there. Where fewer than eight examples carry the difference (Kish's effective number of their squared distances), the
    farthest one says little of the tail, and the further ones lie twice as far, with fewer than 500 examples two and a half times.

    No interval of a mean can be valid for all distributions (Bahadur and Savage 1956, Annals of Mathematical Statistics 27:1115-1122): a
    loss in a share p of the rows is in none of n with probability (1 - p)^n. At 95 % this one is for losses that sit in at least
    five rows of the holdout, on average over holdouts.

    The usual advice for small and heavy-tailed samples, the BCa bootstrap (Efron 1987, JASA 82:171-185), does not keep the promise.
    Passes of a model worse by exactly the margin where 5 % are promised, n = 500, of log losses, of log-normal (sigma 1.5) and Pareto
    (2.5) differences, and of a heavy-tailed loss in 2 % of the rows beside small noise: plain t 6.2, 13.6, 11.6 and 21.4 %; BCa 5.6,
    9.7, 8.0 and 13.4 %; studentised bootstrap 5.4, 9.0, 7.7 and 10.5 %; this one 3.3, 4.5, 3.9 and 5.5 %. Its price is an interval
    wider by 4 % for normal differences and by 21 % for log losses at n = 500, 14 % at n = 1,000.

    Args:
        differences: candidate minus baseline, of shape (n,), finite, n at least 1.
        confidence: one-sided, in (0.5, 1).
        widest: how far two losses can lie apart, as far as is known: the range of both models' losses. Used below 500 examples.
        caution: what is assumed of examples that were not seen; another for sums over groups of rows.

    Returns:
        Infinite bounds below 50 examples, and below 500 without `widest`. Both bounds the mean itself where at least 500 differences
        are all equal.

    Raises:
        ValueError: no or non-finite differences, or confidence out of range.

    Source: Student (1908), Biometrika 6:1-25; Hall (1992), Journal of the Royal Statistical Society B 54:221-228, the cubic
    transformation; Kish (1965), Survey Sampling, for the effective number; the added examples are ours, after Agresti and Min (2005) for
    proportions.
    """
    check_confidence(confidence)
    if differences.shape[0] == 0 or not np.isfinite(differences).all():
        raise ValueError("needs at least one example, and finite values")
    with np.errstate(over="ignore"):
        mean = float(differences.mean())
    found = _distances(differences, confidence, widest, caution)
    if found is not None and found.is_plain:
        return _around(mean, found, PAIRED_T)
    if differences.shape[0] < caution.enough:
        return _around(mean, found, WIDEST_T)
    return _around(mean, found, FAR_T if found is not None and found.is_of_few else CORRECTED_T)


def corrected_interval(
    estimate: float, influence: Floats, confidence: float, widest: float | None = None, caution: Caution | None = None
) -> Interval | None:
    """Interval for a smooth function of means, such as RMSE and R2, where their bootstrap cannot be trusted.

    The percentile bootstrap of few or heavy-tailed squares breaks its promise (15 to 20 % false passes where 5 % are promised, at
    n = 1,000 with an error in 2 or 4 % of the rows; BCa 10 to 15 %). What each example contributes to the difference is treated as
    `mean_interval` treats differences, more cautiously, since squares are more skewed: examples 1.75 times as far as the farthest, and
    the range of the losses below 1,000 examples.

    Args:
        estimate: the observed difference.
        influence: derivative of the difference by the weight of each example, of shape (n,); their mean is 0.
        confidence: one-sided, in (0.5, 1).
        widest: the influence of an example with the largest error seen of either model.
        caution: what is assumed of examples that were not seen; left out, that of squared losses.

    Returns:
        None where the corrections move no bound by more than 15 %: there the bootstrap keeps its promise. Infinite
        bounds below 50 examples, below 1,000 without `widest`, and where the influence is not finite.

    Source: Jaeckel (1972), Bell Laboratories memorandum MM 72-1215-11; Efron and Tibshirani (1993), An Introduction to the Bootstrap,
    section 22.4; Hall (1992) as for `mean_interval`.
    """
    check_confidence(confidence)
    caution = caution or OF_SQUARES
    found = _distances(influence, confidence, widest, caution)
    if found is not None and found.is_plain:
        return None
    return _around(estimate, found, CORRECTED_JACKKNIFE if influence.shape[0] >= caution.enough else WIDEST_JACKKNIFE)


@dataclass(frozen=True)
class _Distances:
    low: float
    high: float
    is_plain: bool
    """No correction is worth making: these are Student's t."""
    standard_error: float
    is_of_few: bool = False
    """Few examples carry the difference, and others are taken to lie farther."""


def carrying(centred: Floats) -> float:
    """How many examples carry a difference: the effective number of their squared distances from the mean, 1 to n.

    Args:
        centred: the distances, of shape (n,).

    Source: Kish (1965), Survey Sampling, for weights: the square of their sum over the sum of their squares.
    """
    farthest = float(np.abs(centred).max())
    if farthest == 0:
        return float(centred.shape[0])
    squares = (centred / farthest) ** 2  # which neither overflow nor vanish
    return float(squares.sum()) ** 2 / float(squares @ squares)


def _distances(values: Floats, confidence: float, widest: float | None, caution: Caution) -> _Distances | None:
    """From the mean to its bounds; None where the sample says nothing."""
    n = values.shape[0]
    is_enough = n >= caution.enough
    least = 0.0 if is_enough or widest is None else widest
    with np.errstate(over="ignore", invalid="ignore"):
        centred = values - values.mean()
        scale = max(float(np.abs(centred).max()), least)
    if n < FEWEST or not math.isfinite(scale) or not (is_enough or widest is not None):
        return None
    if (values == values[0]).all():
        # none of n examples differed: how many may, by Clopper and Pearson's bound, and as much as losses differ at all
        unseen = least * -math.expm1(math.log(1 - confidence) / n)
        return _Distances(unseen, unseen, is_plain=False, standard_error=0.0)
    centred /= scale  # no square overflows or vanishes
    quantile, added = t_quantile(confidence, n - 1), normal_quantile(confidence) ** 2 / 2
    error = math.sqrt(float(centred @ centred) / (n - 1) / n)
    plain = quantile * error
    is_of_few = caution.farther > 0 and carrying(centred) < FEW_CARRYING
    reach = caution.reach + (caution.farther if is_enough else 2 * caution.farther) * is_of_few
    low, high = (_distance(side, quantile, added, reach, least / scale) for side in (-centred, centred))
    if max(low, high) <= (1 + caution.negligible) * plain:
        return _Distances(plain * scale, plain * scale, is_plain=True, standard_error=error * scale)
    return _Distances(low * scale, high * scale, is_plain=False, standard_error=error * scale, is_of_few=is_of_few)


def _around(estimate: float, found: _Distances | None, method: str) -> Interval:
    if found is None:
        return Interval(estimate, -math.inf, math.inf, method)
    return Interval(estimate, estimate - found.low, estimate + found.high, method, found.standard_error)


def _distance(centred: Floats, quantile: float, added: float, reach: float, least: float) -> float:
    """From the mean to its upper bound, with `added` examples `reach` times as far as the farthest one, at least `least` away."""
    n = centred.shape[0]
    farthest = max(reach * float(centred.max()), least)
    spread = math.sqrt((float(centred @ centred) + added * farthest * farthest) / (n - 1))
    scaled = centred / spread
    skewness = float(np.sum(scaled * scaled * scaled) + added * (farthest / spread) ** 3) / n
    return max(quantile, _hall_quantile(quantile, -skewness / math.sqrt(n))) * spread / math.sqrt(n)


def _hall_quantile(quantile: float, skew: float) -> float:
    """Where Hall's transformation of the studentised mean reaches `quantile`; `skew` is skewness over the root of n."""
    if abs(skew) < 1e-8:
        return quantile  # the limit; the quotient below would be rounding alone
    return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)
