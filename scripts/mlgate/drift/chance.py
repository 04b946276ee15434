"""What chance alone gives: the chi-squared distribution, and the chance that something seen on one side only is there by luck. Without
SciPy, which costs a third of a second to import; tests compare with it."""

from __future__ import annotations

import math
from functools import cache

_TINY = 1e-300


def psi_by_chance(n: int, m: int, bins: int, level: float) -> float:
    """What PSI exceeds with probability `level` where two samples of `n` and `m` rows come from one distribution.

    (1/n + 1/m) times the chi-squared quantile at `bins` - 1 degrees (Yurdakul and Naranjo 2020, Journal of Risk Model Validation 14(4),
    89-100), which follows from PSI being Jeffreys' divergence (Kullback 1959, Information Theory and Statistics, section 6.4).
    """
    return 0.0 if bins < 2 else (1 / n + 1 / m) * chi_squared_quantile(1 - level, bins - 1)


def only_there_by_chance(count: int, n: int, m: int) -> float:
    """Probability that `count` rows of equal kind all fall into the sample of `m` rows and none into that of `n`: (m / (n + m)) ** count,
    above the hypergeometric one."""
    return math.exp(count * math.log(m / (n + m)))


def same_share(count: int, n: int, other: int, m: int) -> float:
    """Probability that two shares of one true share differ by more: the chi-squared test of a table of four, two-sided."""
    total, rows = count + other, n + m
    if total in (0, rows):
        return 1.0
    expected = total / rows
    statistic = (other / m - count / n) ** 2 / (expected * (1 - expected) * (1 / n + 1 / m))
    return chi_squared_tail(statistic, 1)


@cache
def chi_squared_quantile(probability: float, degrees: int) -> float:
    """Quantile of the chi-squared distribution, `probability` in (0, 1), `degrees` at least 1; by bisection of the tail."""
    if not 0 < probability < 1 or degrees < 1:
        raise ValueError("expected a probability in (0, 1) and at least one degree of freedom")
    tail, high = 1 - probability, float(degrees)
    while chi_squared_tail(high, degrees) > tail:
        high *= 2
    low = 0.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if chi_squared_tail(middle, degrees) > tail else (low, middle)
    return high


def chi_squared_tail(value: float, degrees: int) -> float:
    """P(X > value) of the chi-squared distribution: the upper incomplete gamma function (Abramowitz and Stegun 1964, 6.5.29 and 6.5.31)."""
    if value <= 0:
        return 1.0
    a, x = degrees / 2, value / 2
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while abs(term) > total * 1e-16:
            step += 1
            term *= x / step
            total += term
        return max(0.0, 1 - front * total)
    # its continued fraction, evaluated after Lentz (1976)
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, 10_000):
        even = -i * (i - a)
        b += 2
        d = 1 / _away_from_zero(even * d + b)
        c = _away_from_zero(b + even / c)
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
