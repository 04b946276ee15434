"""Many candidates on one holdout, and many small losses in a row: what gets through by each mode of `gate.holdout.reuse`, and by each form
of `gate.baseline`.

A campaign is 50 candidates, each worse than one baseline by exactly the margin, on one holdout: which examples the baseline gets right
is drawn once, and the candidates agree and disagree with it independently. The Ladder is the gate's, with its bests so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.scenario import ALPHA, CONFIDENCE, Promise
from mlgate.stats import reuse
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import tango_interval, tango_lies_above

FAMILY = "holdout used again"
CANDIDATES = 50
BASELINE = 0.9
DISAGREEMENT = 0.04
MARGIN = 0.01
SMALL_LOSSES = 20
SMALL_LOSS = 0.00245
"""Of each of twenty models in a row: together 4.9 points."""

Bools = NDArray[np.bool_]
Passes = Callable[[int, int, int], bool]
"""(gained, lost, n) -> whether the gate lets it through."""


def promises() -> list[Promise]:
    once = reuse.chance_that_one_passes(CANDIDATES, ALPHA)
    found = []
    for n, margin in ((500, 0.01), (1000, 0.01), (1000, 0.02), (5000, 0.01)):
        where = f"n={n}, margin {margin:g}, {DISAGREEMENT:.0%} disagree"
        is_quick = n in (500, 5000)

        def campaigns(passes: Callable[[float], Passes], n: int = n, margin: float = margin) -> Callable[[int, np.random.Generator], int]:
            return lambda runs, generator: sum(_gets_through(n, margin, passes(margin), generator) for _ in range(runs))

        found += [
            # No promise that is kept: what the report warns of, with the chance that it names as the bound.
            Promise(FAMILY, f"one of {CANDIDATES} gets through, report | {where}", once, campaigns(_certified), 2000, is_quick),
            Promise(FAMILY, f"one of {CANDIDATES} gets through, bonferroni | {where}", ALPHA, campaigns(_bonferroni), 2000, is_quick),
            Promise(FAMILY, f"one of {CANDIDATES} gets through, ladder | {where}", ALPHA, campaigns(_ladder), 2000, is_quick),
            # The usual test of two shares, for comparison; nobody promises it.
            Promise(FAMILY, f"one of {CANDIDATES} gets through, naive | {where}", 1.0, campaigns(_naive), 2000),
        ]
    naive = (
        f"one of {CANDIDATES} gets through, naive, each on a holdout of its own | n=5000, margin {MARGIN:g}, {DISAGREEMENT:.0%} disagree"
    )
    found.append(Promise(FAMILY, naive, 1.0, lambda runs, generator: sum(_gets_through_apart(5000, generator) for _ in range(runs))))
    where = f"{SMALL_LOSSES} losses of {SMALL_LOSS:.3%} in a row | n=5000, margin {MARGIN:g}, {DISAGREEMENT:.0%} disagree"
    for baseline, bound in (("base", 1.0), ("[base, v1]", ALPHA)):

        def chains(is_pinned: bool = baseline != "base") -> Callable[[int, np.random.Generator], int]:
            return lambda runs, generator: sum(_first_beyond_passes(generator, is_pinned=is_pinned) for _ in range(runs))

        # Of the predecessor alone nothing is promised about the release: that is the ratchet.
        name = f"over the margin against the release without a stop, baseline: {baseline} | {where}"
        found.append(Promise("no ratchet", name, bound, chains(), 1000, True))
    return found


def mean_loss(runs: int, seed: int, *, is_pinned: bool, is_doubt_blocked: bool) -> float:
    """What twenty small losses leave, on average, where one that is blocked is not merged and the next is made from what was."""
    generator = np.random.default_rng(seed)
    total = 0.0
    for _ in range(runs):
        total += sum(SMALL_LOSS for merged in _chain(generator, is_pinned=is_pinned, is_doubt_blocked=is_doubt_blocked) if merged)
    return total / runs


# --- one holdout, many candidates ------------------------------------------------------------------------------------


def _gets_through(n: int, margin: float, passes: Passes, generator: np.random.Generator) -> bool:
    """Whether one of a campaign does."""
    right = int(generator.binomial(n, BASELINE))
    gain = (DISAGREEMENT - margin) / 2
    gained = generator.binomial(n - right, gain / (1 - BASELINE), CANDIDATES)
    lost = generator.binomial(right, (gain + margin) / BASELINE, CANDIDATES)
    return any(passes(int(up), int(down), n) for up, down in zip(gained, lost, strict=True))


def _gets_through_apart(n: int, generator: np.random.Generator) -> bool:
    """As `_gets_through`, but with nothing in common between the candidates: the figure that is usually told."""
    gain, passes = (DISAGREEMENT - MARGIN) / 2, _naive(MARGIN)
    drawn = generator.multinomial(n, [gain, gain + MARGIN, 1 - DISAGREEMENT], CANDIDATES)
    return any(passes(int(up), int(down), n) for up, down, _ in drawn)


def _certified(margin: float) -> Passes:
    return lambda gained, lost, n: tango_lies_above(-margin, gained, lost, n, CONFIDENCE)


def _bonferroni(margin: float) -> Passes:
    each = reuse.bonferroni_confidence(CONFIDENCE, CANDIDATES)
    return lambda gained, lost, n: tango_lies_above(-margin, gained, lost, n, each)


def _ladder(margin: float) -> Passes:
    """The first that gets through is a new best beside the baseline alone: bests before it would have got through themselves."""

    def passes(gained: int, lost: int, n: int) -> bool:
        if gained <= lost or not tango_lies_above(-margin, gained, lost, n, CONFIDENCE):
            return False
        step = reuse.step_of(_error(gained, lost, n), margin, CONFIDENCE, CANDIDATES)
        return reuse.climb((gained - lost) / n, 0.0, step).is_new_best

    return passes


@lru_cache(maxsize=10_000)
def _error(gained: int, lost: int, n: int) -> float:
    return reuse.standard_error(tango_interval(gained, lost, n, CONFIDENCE), CONFIDENCE)


def _naive(margin: float) -> Passes:
    """The difference of two paired shares over its estimated standard error (Wald)."""

    def passes(gained: int, lost: int, n: int) -> bool:
        difference = (gained - lost) / n
        error = float(np.sqrt(max((gained + lost) / n - difference**2, 0.0) / n))
        return difference + margin > normal_quantile(CONFIDENCE) * error

    return passes


# --- many small losses in a row ----------------------------------------------------------------------------------------


def _first_beyond_passes(generator: np.random.Generator, *, is_pinned: bool) -> bool:
    """Whether every model passes up to the first whose true loss against the release is more than the margin, and that one, too."""
    needed = math.floor(MARGIN / SMALL_LOSS) + 1
    for step, merged in enumerate(_chain(generator, is_pinned=is_pinned, is_doubt_blocked=True), 1):
        if not merged or step == needed:
            return merged
    raise AssertionError


def _chain(generator: np.random.Generator, *, is_pinned: bool, is_doubt_blocked: bool, n: int = 5000) -> Iterator[bool]:
    """Whether each of twenty models gets through, which in truth each lose a little of what the one merged before it has."""
    is_right = generator.random(n) < BASELINE
    release, truth = is_right.copy(), BASELINE
    for _ in range(SMALL_LOSSES):
        gain = (DISAGREEMENT - SMALL_LOSS) / 2
        drawn = generator.random(n)
        candidate = np.where(is_right, drawn >= (gain + SMALL_LOSS) / truth, drawn < gain / (1 - truth))
        opponents = [is_right, release] if is_pinned else [is_right]
        merged = all(_gets_past(candidate, one, is_doubt_blocked=is_doubt_blocked) for one in opponents)
        yield merged
        if merged:
            is_right, truth = candidate, truth - SMALL_LOSS


def _gets_past(candidate: Bools, baseline: Bools, *, is_doubt_blocked: bool) -> bool:
    gained, lost = int(np.sum(candidate & ~baseline)), int(np.sum(~candidate & baseline))
    if is_doubt_blocked:
        return tango_lies_above(-MARGIN, gained, lost, candidate.size, CONFIDENCE)
    return not tango_lies_above(MARGIN, lost, gained, candidate.size, CONFIDENCE)
