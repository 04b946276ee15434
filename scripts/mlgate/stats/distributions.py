"""Quantiles the intervals need, written out so that the gate starts without SciPy (0.35 s of import); tests compare with SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution, `probability` in (0, 1)."""
    return _NORMAL.inv_cdf(probability)


def t_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t distribution.

    Args:
        probability: in (0, 1).
        degrees: degrees of freedom, above 0.

    Raises:
        ValueError: an argument out of range.

    Source: the tail is half the regularised incomplete beta function (Abramowitz and Stegun 1964, 26.7.1), inverted by bisection.
    """
    if not 0 < probability < 1 or not degrees > 0:
        raise ValueError("expected a probability in (0, 1) and degrees of freedom above 0")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    if probability == 0.5:
        return 0.0
    low, high = 0.0, 1.0
    while t_tail(high, degrees) > 1 - probability:
        low, high = high, high * 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_tail(middle, degrees) > 1 - probability else (low, middle)
    return high


def t_tail(value: float, degrees: float) -> float:
    """P(T > value) of Student's t distribution for value >= 0."""
    return _incomplete_beta(degrees / (degrees + value * value), degrees / 2, 0.5) / 2


def binomial_tail(count: float, n: float, probability: float) -> float:
    """P(X <= count) of the binomial distribution; counts between whole numbers are interpolated by its beta function.

    Args:
        count: in [0, n].
        n: trials.
        probability: of each, in [0, 1].
    """
    return 1.0 if count >= n else 1 - _incomplete_beta(probability, count + 1, n - count)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 1964, 26.5.8), evaluated after Lentz (1976)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only below this
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    numerator, denominator, fraction = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1)), 0.0
    fraction = denominator
    for m in range(1, 2000):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            denominator = 1 / _away_from_zero(1 + term * denominator)
            numerator = _away_from_zero(1 + term / numerator)
            step = numerator * denominator
            fraction *= step
        if abs(step - 1) < 1e-15:
            break
    return front * fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
