"""What people have instead of a gate, in the situations of the other promises: rules that promise nothing, and mlgate's beside them.

Accuracy of 0.90, predictions that disagree on 4 % of the examples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import holdout_reuse, slices
from calibration.scenario import ALPHA, CONFIDENCE, Promise
from mlgate.evidence import Verdict
from mlgate.stats.intervals import tango_interval
from mlgate.stats.verdict import decide

FAMILY = "rules of thumb"
DISAGREEMENT = 0.04
MARGIN = 0.01
SIZES = (200, 1000, 5000, 100_000)
NOTHING = 1.0
"""Promised of a rule of thumb."""

Counts = NDArray[np.int64]
Hit = Callable[[Counts, Counts, int], int]
"""(gained, lost, n) of many runs -> in how many it happened."""


def promises() -> list[Promise]:
    found = []
    for n in SIZES:
        found += [
            _promise("new >= old", "blocks a model that is exactly as good", n, 0.0, NOTHING, lambda up, down, _: int((up < down).sum())),
            _promise("mlgate, margin 0.01", "blocks a model that is exactly as good", n, 0.0, ALPHA, _blocked),
            _promise("new >= old - 0.01", "passes a model that is one point worse", n, MARGIN, NOTHING, _not_dropped),
            _promise("mlgate, margin 0.01", "passes a model that is one point worse as no worse", n, MARGIN, ALPHA, _passed),
        ]
    words = f"on {slices.SLICES} slices of {slices.SIZE:,}: blocks a model that is exactly as good"
    found.append(
        Promise(FAMILY, f"new >= old - 0.01 | {words}", NOTHING, lambda runs, rng: slices.count(runs, rng, _some_slice_dropped), 20_000)
    )
    return found


def in_a_row(runs: int = 500) -> list[dict[str, Any]]:
    """What twenty small losses leave of an accuracy, in points, by what each model is compared with."""
    found = []
    for rule, is_pinned, is_blocked in (
        ("mlgate, baseline: base", False, False),
        ("mlgate, baseline: [base, v1]", True, False),
        ("the same with cannot_tell: block", True, True),
    ):
        lost = holdout_reuse.mean_loss(runs, 1, is_pinned=is_pinned, is_doubt_blocked=is_blocked)
        what = f"of {holdout_reuse.SMALL_LOSSES} models in a row, each {holdout_reuse.SMALL_LOSS * 100:g} points worse than the one before"
        found.append({"rule": rule, "what": f"{what}: accuracy lost, n = 5,000", "points": round(100 * lost, 2), "runs": runs})
    return found


def _promise(rule: str, what: str, n: int, loss: float, bound: float, hit: Hit) -> Promise:
    def count(runs: int, generator: np.random.Generator) -> int:
        shares = [(DISAGREEMENT - loss) / 2, (DISAGREEMENT + loss) / 2, 1 - DISAGREEMENT]
        drawn = generator.multinomial(n, shares, size=runs)
        return hit(drawn[:, 0], drawn[:, 1], n)

    return Promise(FAMILY, f"{rule} | {what}, n = {n:,}", bound, count, runs=20_000, is_quick=n == 1000)


def _not_dropped(gained: Counts, lost: Counts, n: int) -> int:
    return int((gained - lost >= -MARGIN * n - 1e-9).sum())  # 0.89 is not below 0.90 - 0.01, whatever binary fractions say


def _some_slice_dropped(gained: Counts, lost: Counts) -> bool:
    """By more than a point; a point itself is allowed."""
    return bool((lost - gained > MARGIN * slices.SIZE + 1e-9).any())


def _blocked(gained: Counts, lost: Counts, n: int) -> int:
    return sum(_verdict(int(up), int(down), n) == "worse" for up, down in zip(gained, lost, strict=True))


def _passed(gained: Counts, lost: Counts, n: int) -> int:
    return sum(_verdict(int(up), int(down), n) in ("better", "no worse") for up, down in zip(gained, lost, strict=True))


@cache
def _verdict(gained: int, lost: int, n: int) -> Verdict:
    return decide(tango_interval(gained, lost, n, CONFIDENCE), MARGIN)
