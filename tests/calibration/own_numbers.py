"""A function of the user's that gives one number for all examples: its interval is made of nothing but its values on resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.means import REGRESSIONS, ROWS, Errors
from calibration.scenario import CONFIDENCE, Scenario
from mlgate.evaluation.user_metric import BLOCKS, DRAWS, drawn
from mlgate.stats.intervals import Interval
from mlgate.stats.resampled import resampled_interval

Floats = NDArray[np.float64]
Number = Callable[[Floats], Floats]
"""Absolute errors of shape (..., n) -> (...)."""

NUMBERS: dict[str, tuple[Number, float]] = {
    "root mean square": (lambda errors: np.sqrt(np.mean(errors**2, axis=-1)), 0.05),
    "median error": (lambda errors: np.median(errors, axis=-1), 0.05),
    "largest error but for 10 %": (lambda errors: np.quantile(errors, 0.9, axis=-1), 0.1),
}
"""By name, with a margin: a smooth one, and two that jump from one example to the next."""


def scenarios() -> list[Scenario]:
    return [
        Scenario(
            family="own, one number",
            metric=name,
            n=n,
            margin=margin,
            population=words,
            draw=lambda loss, runs, generator, n=n, number=number, errors=errors: _samples(number, errors, n, loss, runs, generator),
            interval=lambda sample, _, number=number: _interval(number, sample),
            runs=500,
        )
        for words, errors, _ in REGRESSIONS
        for name, (number, margin) in NUMBERS.items()
        if "rows" not in words or name == "root mean square"  # the others do not see a few rows
        for n in ((1000, 5000) if name == "root mean square" else (1000,))
    ]


def _samples(
    number: Number, errors: Errors, n: int, loss: float, runs: int, generator: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    candidate, baseline = _losing(number, errors, loss)
    for _ in range(runs):
        rows = generator.integers(0, ROWS, n)
        yield candidate[rows], baseline[rows]


@lru_cache(maxsize=4)
def _losing(number: Number, errors: Errors, loss: float) -> tuple[Floats, Floats]:
    """Absolute errors of a population where the candidate's number is larger by exactly this."""

    def at(harm: float) -> tuple[Floats, Floats]:
        one, other = errors(harm, np.random.default_rng(1))
        return np.abs(one), np.abs(other)

    low, high = 0.0, 1.0
    while loss and np.subtract(*map(number, at(high))) < loss:
        high *= 2
    for _ in range(15 if loss else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if np.subtract(*map(number, at(middle))) < loss else (low, middle)
    candidate, baseline = at(low)
    return candidate * ((number(baseline) + loss) / number(candidate)), baseline


@lru_cache(maxsize=1)
def _resamples(n: int) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Positions of the examples in each resample and beside each block, some at a time. Those of one holdout serve all runs."""
    place = np.arange(n)
    rows = [drawn(n, f"holdout:{draw}") for draw in range(DRAWS)]
    left = [np.flatnonzero(place % BLOCKS != block) for block in range(BLOCKS)]
    return [np.stack(rows[start : start + 100]) for start in range(0, DRAWS, 100)], [
        np.stack(left[start : start + 100]) for start in range(0, BLOCKS, 100)
    ]


def _interval(number: Number, sample: tuple[Floats, Floats]) -> Interval:
    draws, left_out = (
        np.concatenate([number(sample[0][index]) - number(sample[1][index]) for index in parts]) for parts in _resamples(sample[0].size)
    )
    return resampled_interval(float(number(sample[0]) - number(sample[1])), draws, left_out, CONFIDENCE).mirrored
