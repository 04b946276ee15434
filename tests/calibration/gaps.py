"""The largest gap between groups: populations given by each group's recall by both models, the change of the gap known exactly.

The hard ones are those whose groups are alike in the baseline: there the estimate of its gap is too large, and the change seems smaller
than it is. `naive_pass` is what a percentile bootstrap of the change lets pass on the same samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.comparison import Model, Pair
from mlgate.stats.fairness import compare_gaps
from mlgate.stats.intervals import Interval

Floats = np.ndarray[Any, np.dtype[np.float64]]
Kinds = np.ndarray[Any, np.dtype[np.int64]]
DISAGREEMENT = 0.06
MARGIN = 0.05
SIZES = (200, 1000)
DRAWS = 400


@dataclass(frozen=True)
class Population:
    """Recall of the baseline by group; a candidate with a wider gap is worse in the last one, an unchanged one the same in all."""

    name: str
    baseline: tuple[float, ...]


POPULATIONS = (
    Population("2 groups alike", (0.85, 0.85)),
    Population("2 groups, gap 0.1", (0.9, 0.8)),
    Population("5 groups alike", (0.85,) * 5),
    Population("5 groups, gap 0.1", (0.9, 0.88, 0.85, 0.82, 0.8)),
)


def scenarios() -> list[Scenario]:
    return [
        Scenario(
            family="fairness",
            metric="recall gap",
            n=size * len(population.baseline),
            margin=MARGIN,
            population=f"{population.name}, {DISAGREEMENT:.0%} disagree",
            draw=lambda loss, runs, generator, size=size, population=population: draw(population, size, loss, runs, generator),
            interval=_interval,
            runs=600,
            is_quick=size == 200 and population is POPULATIONS[0],
        )
        for population, size in product(POPULATIONS, SIZES)
    ]


def draw(population: Population, size: int, loss: float, runs: int, generator: np.random.Generator) -> Iterator[Kinds]:
    """Of each group, how many positive examples both models get right, only the baseline, only the candidate, neither: (groups, 4)."""
    recalls = population.baseline
    shares = []
    for place, recall in enumerate(recalls):
        worse = loss if place == len(recalls) - 1 else 0.0
        lost, gained = (DISAGREEMENT + worse) / 2, (DISAGREEMENT - worse) / 2
        shares.append((recall - lost, lost, gained, 1 - recall - gained))
    for _ in range(runs):
        yield np.array([generator.multinomial(size, share) for share in shares])


def pair_of(kinds: Kinds) -> tuple[Pair, list[Kinds]]:
    """The models' answers, and the positions of each group."""
    answers = [np.repeat([0, 1, 2, 3], counts) for counts in kinds]
    kind = np.concatenate(answers)
    ones = np.ones_like(kind)
    ends = np.cumsum([len(answer) for answer in answers])
    groups = [np.arange(end - len(answer), end) for end, answer in zip(ends, answers, strict=True)]
    baseline, candidate = (kind < 2).astype(np.int64), np.isin(kind, (0, 2)).astype(np.int64)
    return Pair(Model(ones, candidate, 2, 1), Model(ones, baseline, 2, 1)), groups


def naive_low(kinds: Kinds, seed: int) -> float:
    """The lower bound of the improvement by an ordinary percentile bootstrap within the groups."""
    generator = np.random.default_rng(seed)
    sizes = kinds.sum(axis=1)
    drawn = np.stack([generator.multinomial(n, row / n, size=DRAWS) for n, row in zip(sizes, kinds, strict=True)], axis=1)
    baseline, candidate = drawn[..., 0] + drawn[..., 1], drawn[..., 0] + drawn[..., 2]
    change = np.ptp(candidate / sizes, axis=1) - np.ptp(baseline / sizes, axis=1)
    return float(np.quantile(-change, 1 - CONFIDENCE))


def _interval(kinds: Kinds, seed: int) -> Interval:
    pair, groups = pair_of(kinds)
    change = compare_gaps("recall", pair, groups, CONFIDENCE, seed).change
    assert change is not None
    return change.mirrored
