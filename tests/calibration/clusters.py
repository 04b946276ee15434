"""Grouped rows: ten rows a group with a correlation of 0.3 within groups, whatever the metric; beside it what ignoring groups would do.

A row is with probability sqrt(0.3) the one that its group shares, otherwise one of its own: each row is of the population, whose
difference is known exactly, and whatever is computed of two rows of a group has a correlation of 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from calibration import confusion_tables, means, rankings
from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.clusters import Groups
from mlgate.stats.comparison import Model, Pair, compare, compare_means
from mlgate.stats.intervals import Interval

Integers = NDArray[np.int64]
ROWS = 10
CORRELATION = 0.3
COUNTS = (50, 100, 200, 500)
"""Of groups."""
FAMILY = "grouped rows"
TABLE_METRICS = ("accuracy", "f1_macro", "mcc", "recall_binary")
QUICK = {("accuracy", 50), ("accuracy", 200), ("f1_macro", 100), ("log_loss", 200), ("roc_auc", 200)}
"""(metric, groups), of the first population each."""

Draw = Callable[[float, int, np.random.Generator], Iterator[object]]


@dataclass(frozen=True)
class Losses:
    """A metric of the user's own: a value for each example."""

    candidate: means.Floats
    baseline: means.Floats
    groups: Groups


def scenarios(groups_matter: bool = True) -> list[Scenario]:
    """Args: groups_matter: false for the rivals that take every row for an independent example."""
    found = [*_of_tables(), *_of_losses(), *_of_squares(), *_of_areas()]
    return [replace(one, interval=lambda sample, seed, one=one: one.interval((sample, groups_matter), seed)) for one in found]


def _of_tables() -> list[Scenario]:
    return [
        _scenario(
            metric, count, 0.01, f"{disagreement:.0%} disagree", is_first=disagreement == 0.04, draw=_tables(metric, disagreement, count)
        )
        for metric, disagreement, count in product(TABLE_METRICS, (0.02, 0.04, 0.1), COUNTS)
        if metric == "accuracy" or disagreement == 0.04
    ]


def _of_losses() -> list[Scenario]:
    chosen = {("log_loss", "too sure of itself"), ("log_loss", "loss in 4 % of rows"), ("mae", "errors of t(3)")}
    chosen.add(("own, a value an example", "log-normal differences, sigma 1.5"))
    return [
        _scenario(one.metric, count, one.margin, one.words, is_first=one.words == "too sure of itself", draw=_losses(one, count))
        for one, count in product(means.POPULATIONS, COUNTS)
        if (one.metric, one.words) in chosen
    ]


def _of_squares() -> list[Scenario]:
    return [
        _scenario(metric, count, margins[metric], words, is_first=False, draw=_squares(errors, metric, count))
        for (words, errors, margins), metric, count in product(means.REGRESSIONS[:2], ("rmse", "r2"), COUNTS)
    ]


def _of_areas() -> list[Scenario]:
    scores = rankings.Scores((0.7, 0.3), 0.9, 0.04)
    return [
        _scenario(metric, count, 0.01, "30 % positive", is_first=True, draw=_areas(scores, metric, count))
        for metric, count in product(("roc_auc", "pr_auc"), COUNTS)
    ]


def _scenario(metric: str, count: int, margin: float, words: str, *, is_first: bool, draw: Draw) -> Scenario:
    return Scenario(
        family=FAMILY,
        metric=metric,
        n=count * ROWS,
        margin=margin,
        population=f"{count} groups of {ROWS}, {words}",
        draw=draw,
        interval=lambda sample, seed: _interval(metric, *sample, seed),
        runs=1000,
        is_quick=is_first and (metric, count) in QUICK,
    )


def _interval(metric: str, sample: Losses | Pair, groups_matter: bool, seed: int) -> Interval:
    if isinstance(sample, Losses):
        groups = sample.groups if groups_matter else None
        return compare_means(sample.candidate, sample.baseline, CONFIDENCE, groups).interval.mirrored
    if not groups_matter:
        sample = Pair(*(replace(model, groups=None) for model in (sample.candidate, sample.baseline)))
    found = compare(metric, sample, CONFIDENCE, seed).interval
    return found.mirrored if metric == "rmse" else found


def _shared(count: int, size: int, generator: np.random.Generator) -> tuple[Integers, Groups]:
    """For each row which of `size` independent ones it is a copy of; the first `count` are those that groups share."""
    codes = np.repeat(np.arange(count), ROWS)
    is_shared = generator.random(size) < math.sqrt(CORRELATION)
    return np.where(is_shared, codes, np.arange(count, count + size)), Groups(codes, count)


def _tables(metric: str, disagreement: float, count: int) -> Draw:
    population = confusion_tables.Population(confusion_tables.BALANCED, disagreement)

    def draw(loss: float, runs: int, generator: np.random.Generator) -> Iterator[Pair]:
        shares = population.at_loss(metric, loss)
        if shares is None:
            raise ValueError(f"no population loses {loss} of {metric}")
        kinds = population.kinds()
        for _ in range(runs):
            rows, groups = _shared(count, count * ROWS, generator)
            drawn = generator.choice(shares.size, size=count + count * ROWS, p=shares / shares.sum())[rows]
            label, old, new = (kind[drawn] for kind in kinds)
            yield Pair(*(Model(label, one, 2, 1, groups=groups) for one in (new, old)))

    return draw


def _losses(population: means.Population, count: int) -> Draw:
    def draw(loss: float, runs: int, generator: np.random.Generator) -> Iterator[Losses]:
        candidate, baseline = means.losing(population, loss)
        for _ in range(runs):
            rows, groups = _rows_of(candidate.size, count, generator)
            yield Losses(candidate[rows], baseline[rows], groups)

    return draw


def _squares(errors: means.Errors, metric: str, count: int) -> Draw:
    def draw(loss: float, runs: int, generator: np.random.Generator) -> Iterator[Pair]:
        target, candidate, baseline = means.regression(errors, metric, loss)
        for _ in range(runs):
            rows, groups = _rows_of(target.size, count, generator)
            yield Pair(*(Model(target[rows], one[rows], groups=groups) for one in (candidate, baseline)))

    return draw


def _areas(scores: rankings.Scores, metric: str, count: int) -> Draw:
    def draw(loss: float, runs: int, generator: np.random.Generator) -> Iterator[Pair]:
        for _ in range(runs):
            label, new, old = scores.draw(metric, count + count * ROWS, loss, generator)
            rows, groups = _shared(count, count * ROWS, generator)
            yield Pair(*(Model(label[rows], label[rows], 2, 1, one[rows], groups) for one in (new, old)))

    return draw


def _rows_of(size: int, count: int, generator: np.random.Generator) -> tuple[Integers, Groups]:
    """Rows of a finite population."""
    rows, groups = _shared(count, count * ROWS, generator)
    return generator.integers(0, size, count + count * ROWS)[rows], groups
