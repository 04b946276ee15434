"""What it does to a gate's promise that many candidates meet one holdout, two ways to keep it, and what these cost in power.

The promise of one test, a bad model passes with probability alpha at most, is spent anew by every candidate. `report` says how much is
spent; `bonferroni` makes every test stricter, so that a budget of them spends alpha together; the Ladder credits a candidate only where it
beats the best so far by more than a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]

POWER = 0.8
_NORMAL = NormalDist()


def chance_that_one_passes(candidates: int, each: float) -> float:
    """The chance that at least one of several bad models got through.

    Args:
        candidates: bad models, each worse than the baseline by exactly the margin; at least 0.
        each: the chance of one of them, in [0, 1].

    Returns:
        1 - (1 - each)^candidates, in [0, 1]: exact for tests that do not depend on one another. Tests on one holdout lean the same way, so
        that it is a little less (Sidak 1967, Journal of the American Statistical Association 62:626-633, for such bounds on either side);
        candidates that are made by looking at earlier answers can do worse, up to candidates * each and beyond.

    Raises:
        ValueError: a negative count, or no probability.
    """
    if candidates < 0 or not 0 <= each <= 1:
        raise ValueError("expected a count from 0 and a probability in [0, 1]")
    return 1.0 if each == 1 and candidates else -math.expm1(candidates * math.log1p(-each)) if each < 1 else 0.0


def bonferroni_confidence(confidence: float, budget: int) -> float:
    """The confidence of each of `budget` tests with which all of them together keep `confidence`.

    Args:
        confidence: one-sided, in (0.5, 1).
        budget: candidates, at least 1.

    Returns:
        1 - (1 - confidence) / budget. It holds however the tests depend on one another, and for candidates that are made after earlier ones
        failed, as long as nothing but their failing was used.

    Source: Bonferroni (1936); Dunn (1961), Journal of the American Statistical Association 56:52-64.

    Raises:
        ValueError: an argument out of range.
    """
    if not 0.5 < confidence < 1 or budget < 1:
        raise ValueError("expected a one-sided confidence in (0.5, 1) and a budget of at least 1")
    return 1 - (1 - confidence) / budget


def standard_error(improvement: Interval, confidence: float) -> float:
    """The standard error that an interval of an improvement stands on, from its lower bound, which is what passing depends on.

    Returns:
        0 where the bound is the estimate; infinity where there is no bound.
    """
    return (improvement.estimate - improvement.low) / normal_quantile(confidence)


def power_of_unchanged(margin: float, error: float, confidence: float) -> float:
    """The chance that a model as good as its baseline is shown to be no worse.

    Args:
        margin: at least 0.
        error: standard error of the difference, at least 0.
        confidence: one-sided.

    Source: the normal approximation, Phi(margin / error - z).
    """
    return 0.0 if math.isinf(error) else _phi(_ratio(margin, error) - normal_quantile(confidence))


def examples_factor(confidence: float, stricter: float, power: float = POWER) -> float:
    """How many times the examples the stricter confidence takes to show the same with the same power.

    Source: sample sizes go with (z_confidence + z_power)^2, see `planning`.
    """
    z = normal_quantile(power)
    return ((normal_quantile(stricter) + z) / (normal_quantile(confidence) + z)) ** 2


# --- the Ladder ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """What the Ladder says of one candidate."""

    is_new_best: bool
    best: float
    """Released after it: a new best, rounded, or the old one; greater is better."""


def climb(score: float, best: float, step: float, resolution: float = 0.0) -> Rung:
    """One candidate on the Ladder: a new best only where it beats the best so far by more than the step.

    Args:
        score: on the holdout, greater is better.
        best: released so far; minus infinity before the first.
        step: at least 0.
        resolution: what a released score is rounded to; 0 for not at all.

    Source: Blum and Hardt (2015), The Ladder: A Reliable Leaderboard for Machine Learning Competitions, ICML, PMLR 37:1006-1014, the
    Ladder mechanism (there of risks, with the step as resolution).
    """
    if not score > best + step:
        return Rung(is_new_best=False, best=best)
    return Rung(is_new_best=True, best=round(score / resolution) * resolution if resolution else score)


def ladder(scores: Sequence[float], step: float) -> list[float]:
    """Scores that the Ladder with a fixed step releases for candidates in the order they came.

    With k candidates, each made after looking at what was released, the released best is off the true one by the order of
    (log(k n) / n)^(1/3) at most, for a step of that size (Blum and Hardt 2015, the theorem on the Ladder).
    """
    best, released = -math.inf, []
    for score in scores:
        best = climb(score, best, step, step).best
        released.append(best)
    return released


def fixed_step(candidates: int, n: int) -> float:
    """The step of the paper's theorem for scores in [0, 1], without its constant: (log(candidates * n) / n)^(1/3)."""
    return float((math.log(candidates * n) / n) ** (1 / 3))


def ladder_without_parameters(correct: Sequence[Floats]) -> list[float]:
    """Scores that the Ladder without parameters releases: the step is the standard error of the difference from the best so far.

    Args:
        correct: for each candidate in the order they came, its score of each example, shape (n,), greater is better.

    Returns:
        Released scores, rounded to 1 / n.

    Source: Blum and Hardt (2015), the Ladder without parameters: the step is the sample standard deviation of the difference of the two
    vectors of losses over the square root of n.
    """
    best, released = -math.inf, []
    held: Floats | None = None
    for each in correct:
        n = each.shape[0]
        error = 0.0 if held is None else float(np.std(each - held, ddof=1)) / math.sqrt(n)
        rung = climb(float(each.mean()), best, error, 1 / n)
        best, held = rung.best, each if rung.is_new_best else held
        released.append(best)
    return released


def step_of(error: float, margin: float, confidence: float, budget: int) -> float:
    """The step of a gate's Ladder: the standard error, as in the paper, or what its promise takes where that is more.

    The paper bounds how far the released best is off the truth, not how often a bad model gets a release. On a holdout so small that the
    margin is less than two or three standard errors, one bad model in six would beat the baseline by a standard error. So the step is at
    least what keeps that chance, for a model worse by the margin, at (1 - confidence) / budget; the second term is ours.

    Args:
        error: standard error of the difference between candidate and baseline.
        margin: of the rule, at least 0.
        confidence: one-sided, that all `budget` candidates together are to keep.
        budget: at least 1.
    """
    return max(error, normal_quantile(bonferroni_confidence(confidence, budget)) * error - margin)


def is_as_good_for_all(reach: float, margin: float, confidence: float, budget: int) -> bool:
    """Whether a candidate whose every answer is the baseline's may be called no worse on the Ladder, though it is no new best.

    The Ladder's proof counts the sequences of answers that whoever sends candidates can see (Blum and Hardt 2015, the compression
    argument of the theorem on the Ladder). That two files of predictions are equal follows from the files, whatever the labels: the
    answer could have been given without the holdout, adds no sequence, and tells nothing of it; the best so far stays. What remains is that
    models which agree on n examples may differ on others, which budget candidates would use: none seen in n excludes shares above
    1 - delta^(1 / n), so that a bound with delta / budget is farther by log(delta / budget) / log(delta).

    Args:
        reach: from the difference, which is 0, to its lower bound at `confidence`; at least 0.
        margin: of the rule, at least 0.
        confidence: one-sided, that all `budget` candidates together are to keep.
        budget: at least 1.
    """
    alpha = 1 - confidence
    return reach * math.log(alpha / budget) / math.log(alpha) < margin


def chance_of_new_best(loss: float, step: float, error: float) -> float:
    """The chance that a model worse than the best so far by `loss` (negative: better) is released as a new best."""
    return _phi(-_ratio(loss + step, error))


def _ratio(value: float, error: float) -> float:
    if math.isinf(error):
        return math.inf  # no interval: nothing is claimed
    if error > 0:
        return value / error
    return math.inf if value > 0 else -math.inf if value < 0 else 0.0


def _phi(z: float) -> float:
    return _NORMAL.cdf(z) if math.isfinite(z) else float(z > 0)
