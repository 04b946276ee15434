"""Latencies measured in turns, round by round: quantiles of two models whose difference is known exactly, on machines that are quiet, slow
for a while, or held up now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval
from mlgate.stats.quantiles import is_enough, quantile, rounds_interval

Floats = NDArray[np.float64]
Sample = tuple[Floats, Floats]
Draw = Callable[[float, float, tuple[int, int], np.random.Generator], Sample]
"""(level, loss, (rounds, requests), generator) -> both models' milliseconds."""

LEVELS = {0.5: 0.5, 0.95: 1.5, 0.99: 4.0}
"""With a margin, in milliseconds."""
SHAPES = ((10, 20), (20, 50), (50, 20))
CENTRE, SPREAD = 10.0, 0.25
"""A quiet request: log-normal around so many milliseconds."""
QUICK = {("quiet, all requests slower", 0.95), ("slow for a while, all requests slower", 0.95), ("quiet, a longer tail", 0.99)}


def scenarios() -> list[Scenario]:
    return [
        Scenario(
            family="latency",
            metric=f"p{level * 100:g}",
            n=shape[0] * shape[1],
            margin=margin,
            population=f"{words}; {shape[0]} rounds of {shape[1]}",
            draw=partial(_samples, drawn, level, shape),
            interval=partial(_interval, level),
            runs=1000,
            is_quick=shape == (20, 50) and (words, level) in QUICK,
        )
        for words, drawn in POPULATIONS.items()
        for level, margin in LEVELS.items()
        for shape in SHAPES
        if is_enough(shape[0], shape[0] * shape[1], level)
    ]


def _samples(drawn: Draw, level: float, shape: tuple[int, int], loss: float, runs: int, generator: np.random.Generator) -> Iterator[Sample]:
    for _ in range(runs):
        yield drawn(level, loss, shape, generator)


def _interval(level: float, sample: Sample, _: int) -> Interval:
    return rounds_interval(*sample, lambda samples: quantile(samples, level), CONFIDENCE).mirrored


def _body(random: np.random.Generator, size: int) -> Floats:
    return CENTRE * np.exp(random.normal(0, SPREAD, size))


def _in_turns(taken: Floats, shape: tuple[int, int], random: np.random.Generator) -> Sample:
    """Requests in the order of time, handed to the models by turns: who is first is drawn anew each round."""
    rounds, requests = shape
    halves, first = taken.reshape(rounds, 2, requests), random.integers(0, 2, rounds)
    return halves[np.arange(rounds), first], halves[np.arange(rounds), 1 - first]


def _slower(level: float, loss: float, shape: tuple[int, int], random: np.random.Generator) -> Sample:
    own = CENTRE * np.exp(SPREAD * normal_quantile(level))
    one, other = _in_turns(_body(random, 2 * shape[0] * shape[1]), shape, random)
    return one * (1 + loss / own), other


def _longer_tail(level: float, loss: float, shape: tuple[int, int], random: np.random.Generator) -> Sample:
    candidate, baseline = _tailed(level, loss)
    return random.choice(candidate, shape), random.choice(baseline, shape)


@lru_cache(maxsize=6)
def _tailed(level: float, loss: float) -> Sample:
    """Some requests of the candidate take a slow path, so many and so slow that its quantile is greater by exactly the loss."""
    random = np.random.default_rng(1)
    baseline = _body(random, 200_000)
    slow = random.exponential(1, baseline.size) * (random.random(baseline.size) < 1.5 * (1 - level))
    low, high = 0.0, 1.0
    while loss and quantile(baseline + high * slow, level) - quantile(baseline, level) < loss:
        high *= 2
    for _ in range(20 if loss else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if quantile(baseline + middle * slow, level) - quantile(baseline, level) < loss else (low, middle)
    candidate = baseline + low * slow
    return candidate + loss - (quantile(candidate, level) - quantile(baseline, level)), baseline


def _slow_for_a_while(memory: float, _: float, loss: float, shape: tuple[int, int], random: np.random.Generator) -> Sample:
    """The machine is slower and faster by a fifth, for about 1 / (1 - memory) requests at a time, for both models alike."""
    size = 2 * shape[0] * shape[1]
    noise = random.normal(0, 0.2 * np.sqrt(1 - memory**2), size)
    noise[0] = random.normal(0, 0.2)
    weights = memory ** np.arange(size)
    kept = np.convolve(noise, weights[weights > 1e-9])[:size]
    one, other = _in_turns(_body(random, size) * np.exp(kept), shape, random)
    return one + loss, other


def _held_up(_: float, loss: float, shape: tuple[int, int], random: np.random.Generator) -> Sample:
    """Bursts: every 500 requests or so, five in a row wait for tens of milliseconds, of whichever model's turn it is."""
    taken = _body(random, 2 * shape[0] * shape[1])
    for start in np.flatnonzero(random.random(taken.size) < 0.002).tolist():
        taken[start : start + 5] += random.exponential(50)
    one, other = _in_turns(taken, shape, random)
    return one + loss, other


POPULATIONS: dict[str, Draw] = {
    "quiet, all requests slower": _slower,
    "quiet, a longer tail": _longer_tail,
    "slow for a while, all requests slower": partial(_slow_for_a_while, 0.99),
    "slow for long, all requests slower": partial(_slow_for_a_while, 0.999),
    "held up now and then, all requests slower": _held_up,
}
