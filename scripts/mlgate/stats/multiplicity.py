"""Many questions at once: which of a family of claims still hold when the chance that any of them is false is to stay small.

For claims (this slice got better, that one worse). Guards that must all hold need nothing of the kind: a model passes only if each of
them passes it, so a bad one passes no more often than the guard it breaks allows (intersection-union, Berger 1982, Technometrics
24:295-300).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]

RESOLVED = 0.995
"""One-sided confidence that a few thousand draws of a bootstrap resolve; farther out, its bounds are continued by the normal's tail."""


def holm_adjusted(p_values: Floats) -> Floats:
    """Adjusted p-values: rejecting those that are at most alpha keeps the chance of any false rejection at most alpha.

    Args:
        p_values: of shape (k,), in [0, 1].

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65-70, whatever the dependence of the claims.
    """
    count = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def step_down(holds_at: Callable[[int, float], bool], promising: Collection[int], family: int, alpha: float) -> frozenset[int]:
    """The claims that Holm's procedure lets stand, for claims that are tested by an interval and have no p-value at hand.

    A step admits all claims that hold at alpha over the number of those not admitted yet; it ends when a step admits none. That is
    Holm's procedure: a claim holds at a level exactly if its p-value is at most that.

    Args:
        holds_at: (claim, level) -> whether the claim's one-sided test at that level rejects its opposite; one that does at a level does
            at every higher one.
        promising: claims that hold at `alpha` by themselves; no other one can stand.
        family: how many claims there are, promising or not.
        alpha: the chance of any false claim, in (0, 1).

    Raises:
        ValueError: more promising claims than there are.

    Source: Holm (1979), Scandinavian Journal of Statistics 6:65-70.
    """
    if len(promising) > family:
        raise ValueError(f"{len(promising)} claims in a family of {family}")
    standing: set[int] = set()
    while waiting := [claim for claim in promising if claim not in standing]:
        level = alpha / (family - len(standing))
        admitted = [claim for claim in waiting if holds_at(claim, level)]
        if not admitted:
            break
        standing.update(admitted)
    return frozenset(standing)


def is_drawn(method: str) -> bool:
    """Whether an interval of this method is made of random draws."""
    return "bootstrap" in method


def interval_at(at: Callable[[float], Interval], confidence: float, *, drawn: bool | None = None) -> Interval:
    """An interval at a confidence that may be higher than draws of a bootstrap resolve.

    Args:
        at: confidence -> interval.
        confidence: one-sided, in (0.5, 1).
        drawn: whether it is made of draws, where that is known before.
    """
    if confidence <= RESOLVED or drawn is False:
        return at(confidence)
    near = at(RESOLVED)
    if not is_drawn(near.method):
        return at(confidence)
    stretch = normal_quantile(confidence) / normal_quantile(RESOLVED)
    low, high = near.estimate - (near.estimate - near.low) * stretch, near.estimate + (near.high - near.estimate) * stretch
    return Interval(near.estimate, low, high, near.method)
