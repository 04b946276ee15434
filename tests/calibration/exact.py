"""How often Tango's bound misses, without simulation: summed over all outcomes, at the worst of a grid of gains and losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from calibration.scenario import CONFIDENCE
from mlgate.stats.intervals import TANGO, Interval, tango_interval, tango_score_interval

SIZES = (100, 200, 500, 1000)
MOST = 110
"""Gains or losses that are summed over; beyond lies less than 1e-6 of all outcomes."""
EXPECTED = (*np.arange(0.02, 1, 0.14), *np.arange(1, 8, 0.5), *np.arange(8, 30, 2), *np.arange(30, 66, 6))
"""Gains and losses a holdout holds on average."""


def worst_cases() -> list[dict[str, Any]]:
    """The largest share of misses of the lower bound, of all differences and of losses alone, as published and as the gate has it."""
    found = []
    for n in SIZES:
        published, ours = (_table(function, n) for function in (tango_score_interval, tango_interval))
        row: dict[str, Any] = {"n": n, "method": TANGO}
        for key, table in (("published", published), ("corrected", ours)):
            missed = [
                (misses(table, n, gain / n, loss / n), gain <= loss) for gain in EXPECTED for loss in EXPECTED if gain + loss <= n / 2
            ]
            row[key] = round(max(share for share, _ in missed), 5)
            row[f"{key}_of_losses"] = round(max(share for share, is_loss in missed if is_loss), 5)
        found.append(row)
    return found


def misses(low: np.ndarray, n: int, gain: float, loss: float) -> float:
    """Share of the outcomes whose lower bound lies above the truth.

    Args:
        low: bound by [gained][lost].
        gain, loss: probabilities of one example.
    """
    gained, lost = np.meshgrid(np.arange(low.shape[0]), np.arange(low.shape[1]), indexing="ij")
    share = stats.binom.pmf(gained, n, gain) * stats.binom.pmf(lost, np.maximum(n - gained, 0), loss / (1 - gain))
    return float(share[low > gain - loss + 1e-12].sum())


def _table(function: Any, n: int) -> np.ndarray:
    size = min(MOST, n + 1)
    low = np.full((size, size), -1.0)
    for gained in range(size):
        for lost in range(min(size, n - gained + 1)):
            found: Interval = function(gained, lost, n, CONFIDENCE)
            low[gained, lost] = found.low
    return low
