"""Several seeds on either side: the loss is the training code's, over all seeds it could have had, and every run strays from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.comparison import Model, Pair, compare, compare_trained
from mlgate.stats.intervals import Interval
from mlgate.stats.seeds import Runs, interval_of_runs

FAMILY = "training noise"
EXAMPLES = 1000
SEEDS = ((3, 3, True), (3, 3, False), (5, 5, True), (5, 5, False), (5, 1, False), (10, 3, False))
"""Of the candidate, of the baseline, and whether they are the same ones."""
SPREADS = (0.0, 0.005, 0.02)
"""Standard deviation of the accuracy from run to run."""
QUICK = {((3, 3, True), 0.005), ((5, 5, False), 0.02)}


@dataclass(frozen=True)
class Trained:
    """The runs of both training codes on the same examples."""

    candidate: list[Model]
    baseline: list[Model]
    is_paired: bool


def scenarios(seeds_matter: bool = True) -> list[Scenario]:
    """Args: seeds_matter: false for the rival that compares one artefact of each and takes it for the training code."""
    return [
        Scenario(
            family=FAMILY,
            metric="accuracy",
            n=EXAMPLES,
            margin=0.02,
            population=f"{sizes[0]} and {sizes[1]} {'paired ' if sizes[2] else ''}seeds, accuracy strays by {100 * spread:g} pt",
            draw=lambda loss, runs, generator, sizes=sizes, spread=spread: _draw(sizes, spread, loss, runs, generator),
            interval=_interval if seeds_matter else _interval_of_first,
            runs=1000,
            is_quick=(sizes, spread) in QUICK,
        )
        for sizes, spread in product(SEEDS, SPREADS)
    ] + [_alone(sizes) for sizes in SEEDS if min(sizes[:2]) > 1 and seeds_matter]


def _alone(sizes: tuple[int, int, bool]) -> Scenario:
    return Scenario(
        family=FAMILY,
        metric="a number without predictions",
        n=min(sizes[:2]),
        margin=0.02,
        population=f"{sizes[0]} and {sizes[1]} {'paired ' if sizes[2] else ''}seeds, normal",
        draw=lambda loss, runs, generator: (
            Runs(generator.normal(-loss, 0.02, sizes[0]), generator.normal(0, 0.01, sizes[1]), sizes[2]) for _ in range(runs)
        ),
        interval=lambda sample, _: interval_of_runs(sample, CONFIDENCE),
    )


def _interval(sample: Trained, seed: int) -> Interval:
    artefacts = compare("accuracy", Pair(sample.candidate[0], sample.baseline[0]), CONFIDENCE, seed)
    return compare_trained("accuracy", artefacts, sample.candidate, sample.baseline, sample.is_paired, CONFIDENCE).interval


def _interval_of_first(sample: Trained, seed: int) -> Interval:
    return compare("accuracy", Pair(sample.candidate[0], sample.baseline[0]), CONFIDENCE, seed).interval


def _draw(sizes: tuple[int, int, bool], spread: float, loss: float, runs: int, generator: np.random.Generator) -> Iterator[Trained]:
    target = np.ones(EXAMPLES, dtype=np.int64)
    for _ in range(runs):
        hard = generator.random(EXAMPLES)
        sides = zip(sizes[:2], (0.85 - loss, 0.85), strict=True)
        one, other = ([_run(hard, level, spread, generator) for _ in range(size)] for size, level in sides)
        yield Trained([Model(target, run, 2, 1) for run in one], [Model(target, run, 2, 1) for run in other], sizes[2])


def _run(hard: NDArray[np.float64], level: float, spread: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Right on what is easy enough for this run; one example in ten is a matter of luck. Right on `level` of all, on average over runs."""
    own = np.where(generator.random(hard.size) < 0.1, generator.random(hard.size), hard)
    return (own < level + generator.uniform(-1, 1) * spread * math.sqrt(3)).astype(np.int64)
