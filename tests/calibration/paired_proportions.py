"""Accuracy and what equals it: Tango's interval on populations given by the probabilities of a gain and of a loss."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.planning import PairedProportions

SIZES = (200, 500, 1000, 5000)
DISAGREEMENTS = (0.02, 0.04, 0.1)
MARGINS = {0.02: (0.01, 0.02), 0.04: (0.01, 0.03), 0.1: (0.01, 0.05)}
"""By disagreement, of which a loss is a part: the usual margin, and a large one."""

Sample = tuple[int, int, int]


def scenarios() -> list[Scenario]:
    return [
        Scenario(
            family="0/1 correctness",
            metric="accuracy",
            n=n,
            margin=margin,
            population=f"{disagreement * 100:g} % disagree",
            draw=lambda loss, runs, generator, n=n, psi=disagreement: _draw(n, psi, loss, runs, generator),
            interval=_interval,
            runs=20_000,
            is_quick=n == 200,
            noise=lambda sample: PairedProportions(sample[2], (sample[0] + sample[1]) / sample[2]),
        )
        for n, disagreement in product(SIZES, DISAGREEMENTS)
        for margin in MARGINS[disagreement]
    ]


def _draw(n: int, disagreement: float, loss: float, runs: int, generator: np.random.Generator) -> Iterator[Sample]:
    gain = (disagreement - loss) / 2
    for gained, lost, _ in generator.multinomial(n, [gain, gain + loss, 1 - disagreement], size=runs):
        yield int(gained), int(lost), n


def _interval(sample: Sample, seed: int) -> Interval:
    return _cached(sample)


@cache
def _cached(sample: Sample) -> Interval:
    return tango_interval(*sample, CONFIDENCE)
