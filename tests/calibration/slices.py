"""Many slices at once: what is claimed of any of them, by Holm's step-down, and by each interval for itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from calibration.scenario import ALPHA, Promise
from mlgate.stats.intervals import tango_interval
from mlgate.stats.multiplicity import step_down

Counts = np.ndarray[Any, np.dtype[np.int64]]
SLICES = 20
SIZE = 1000
DISAGREEMENT = 0.04
FAMILY = "slices"


def promises() -> list[Promise]:
    unchanged = f"{SLICES} slices of {SIZE:,} of an unchanged model"
    margin = 0.01
    return [
        Promise(FAMILY, f"{unchanged}: any called worse", ALPHA, lambda runs, rng: count(runs, rng, worse), runs=4000, is_quick=True),
        Promise(FAMILY, f"{unchanged}: any called better", ALPHA, lambda runs, rng: count(runs, rng, better), runs=4000),
        Promise(
            FAMILY,
            f"{SLICES} slices of {SIZE:,}, each worse by exactly the margin: any called worse than that",
            ALPHA,
            lambda runs, rng: count(runs, rng, lambda gained, lost: worse(gained, lost, margin), loss=margin),
            runs=4000,
        ),
    ]


def count(runs: int, generator: np.random.Generator, is_claimed: Callable[[Counts, Counts], bool], loss: float = 0.0) -> int:
    """In how many of the runs a false claim is made of some slice."""
    shares = [(DISAGREEMENT - loss) / 2, (DISAGREEMENT + loss) / 2, 1 - DISAGREEMENT]
    drawn = generator.multinomial(SIZE, shares, size=(runs, SLICES))
    return sum(is_claimed(counts[:, 0], counts[:, 1]) for counts in drawn)


def worse(gained: Counts, lost: Counts, margin: float = 0.0) -> bool:
    """Whether some slice is called worse by more than the margin, in company."""
    return bool(_standing(lost, gained, margin))


def better(gained: Counts, lost: Counts) -> bool:
    """Whether some slice is called better, in company."""
    return bool(_standing(gained, lost, 0.0))


def worse_alone(gained: Counts, lost: Counts) -> bool:
    """Whether some slice is called worse where each is looked at for itself."""
    return any(_low(int(one), int(other), ALPHA) > 0 for one, other in zip(lost, gained, strict=True))


def dropped(gained: Counts, lost: Counts) -> bool:
    """Whether some slice has lost a point or more: the tolerance that somebody guessed."""
    return bool((lost - gained >= SIZE // 100).any())


def _standing(more: Counts, fewer: Counts, limit: float) -> frozenset[int]:
    def holds(place: int, level: float) -> bool:
        return _low(int(more[place]), int(fewer[place]), level) > limit

    promising = [place for place in range(len(more)) if holds(place, ALPHA)]
    return step_down(holds, promising, len(more), ALPHA)


@cache
def _low(gained: int, lost: int, level: float) -> float:
    return tango_interval(gained, lost, SIZE, 1 - level).low
