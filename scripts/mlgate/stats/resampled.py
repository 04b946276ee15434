"""The interval of a metric of which nothing is known but its values on resamples of the holdout: a function of the user's that gives
one number for all examples. Whoever may run that function makes the values; here they are only compared.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.bootstrap import percentile_interval
from mlgate.stats.distributions import t_quantile
from mlgate.stats.intervals import Interval
from mlgate.stats.means import corrected_interval

Floats = NDArray[np.float64]

METHOD = "paired bootstrap and jackknife, the wider"


def resampled_interval(estimate: float, draws: Floats, left_out: Floats, confidence: float) -> Interval:
    """Interval from what the difference of two models is on resamples, and with each block of the examples left out.

    The wider, on each side, of the percentile bootstrap and of the jackknife over blocks, corrected for skewness as RMSE and R2 are.
    The bootstrap alone passes too often with heavy tails, which its draws do not show; the jackknife alone fails for functions that
    jump, such as a median. False passes where 5 % are promised, at n = 1,000: see docs/calibration.md.

    Args:
        estimate: the observed difference, candidate minus baseline.
        draws: on resamples that both models share, of shape (b,); NaN where it is not defined there.
        left_out: without each block, of shape (g,); blocks are of equal size up to one example.
        confidence: one-sided, in (0.5, 1).

    Returns:
        Infinite bounds for fewer than 1,000 blocks, and where more than one draw in a hundred is undefined.

    Source: Efron (1979), Annals of Statistics 7:1-26; Quenouille (1956), Biometrika 43:353-360, and Tukey (1958), Annals of
    Mathematical Statistics 29:614, for the jackknife of blocks.
    """
    drawn = percentile_interval(estimate, draws, confidence, METHOD)
    blocks = left_out.size
    if blocks < 2 or not np.isfinite(left_out).all() or not math.isfinite(drawn.low):
        return Interval(estimate, -math.inf, math.inf, METHOD)
    influence = (blocks - 1) * (left_out.mean() - left_out)
    distance = t_quantile(confidence, blocks - 1) * float(influence.std(ddof=1)) / math.sqrt(blocks)
    plain = Interval(estimate, estimate - distance, estimate + distance, METHOD)
    jackknife = corrected_interval(estimate, influence, confidence) or plain
    return Interval(estimate, min(drawn.low, jackknife.low), max(drawn.high, jackknife.high), METHOD, float(np.nanstd(draws)) or None)
