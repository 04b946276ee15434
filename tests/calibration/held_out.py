"""Populations that no method was tuned on: other shapes, other shares of rows, other sizes, margins that small holdouts can see.

The constants of the methods (how far unseen examples lie, how many are enough, how few carry a difference) were chosen with a look at the
populations of the other modules, so that holding there proves less than it seems. Whoever changes a constant because of one of these takes
it out of here into the module of its kind, says so in docs/calibration.md, and adds a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from calibration import confusion_tables, means, rankings
from calibration.confusion_tables import Task
from calibration.means import ROWS, Floats, Population
from calibration.scenario import Scenario

SIZES = (120, 300, 700, 2500)


def scenarios() -> list[Scenario]:
    return [replace(one, is_held_out=True, is_quick=False) for one in (*_of_losses(), *_of_squares(), *_of_tables(), *_of_areas())]


def _of_losses() -> Iterator[Scenario]:
    for population, sizes in LOSSES:
        for n in sizes:
            yield replace(means.of_population(population, n), runs=1000)


def _of_squares() -> Iterator[Scenario]:
    for words, errors, margins in REGRESSIONS:
        for metric, margin in margins.items():
            for n in (700, 2500):
                yield replace(means.of_regression(words, errors, metric, margin, n), runs=600)


def _of_tables() -> Iterator[Scenario]:
    five = Task("5 classes of 5 to 40 %", (0.4, 0.25, 0.2, 0.1, 0.05), (0.95, 0.9, 0.85, 0.8, 0.7))
    rare = Task("4 % positive", (0.96, 0.04), (0.97, 0.6))
    for task, disagreement, metric, n, margin in (
        (five, 0.07, "f1_macro", 700, 0.02),
        (five, 0.07, "precision_weighted", 700, 0.02),
        (five, 0.03, "kappa", 2500, 0.01),
        (rare, 0.03, "f1_binary", 2500, 0.05),
        (rare, 0.03, "mcc", 2500, 0.05),
        (rare, 0.03, "recall_binary", 2500, 0.01),
    ):
        yield replace(confusion_tables.of_population(confusion_tables.Population(task, disagreement), metric, n, margin), runs=600)


def _of_areas() -> Iterator[Scenario]:
    for metric, n in (("roc_auc", 700), ("roc_auc", 2500), ("pr_auc", 2500)):
        yield replace(rankings.of_scores(rankings.Scores((0.8, 0.2), 0.82, 0.06), metric, n, "20 % positive", 0.015), runs=500)


def _laplace(random: np.random.Generator) -> Floats:
    return random.laplace(0, 1, ROWS)


def _uniform(random: np.random.Generator) -> Floats:
    return random.uniform(-1.7, 1.7, ROWS)


def _mixture(random: np.random.Generator) -> Floats:
    return random.normal(0, 1, ROWS) * np.where(random.random(ROWS) < 0.1, 4, 1)


def _sure(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Log losses of a model that is sure of nearly everything, harmed where it was wrong."""
    right = random.normal(3, 1.5, ROWS)
    one = right + random.normal(0, 0.3, ROWS) - harm * (right < 0)
    return np.logaddexp(0, -one), np.logaddexp(0, -right)


def _bounded_in(share: float) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    """A loss of even size in a share of the rows, beside errors that are Laplace."""

    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        baseline = np.abs(_laplace(random))
        struck = random.random(ROWS) < share
        return np.abs(baseline + random.normal(0, 0.15, ROWS)) + harm * random.uniform(0.5, 1.5, ROWS) * struck, baseline

    return losses


LOSSES: list[tuple[Population, tuple[int, ...]]] = [
    (Population("mae", "Laplace errors", 0.15, means.absolute(_laplace)), SIZES),
    (Population("mae", "one error in ten four times as large", 0.2, means.absolute(_mixture, 0.5)), SIZES),
    (
        Population(
            "mae", "normal errors, loss in 3 % of rows, a margin that 200 rows can see", 0.15, means.absolute(means.normal, 0.03), 0.03
        ),
        (200,),
    ),
    (Population("mae", "Laplace errors, even loss in 1.5 % of rows", 0.1, _bounded_in(0.015), 0.015), (350, 700, 2500)),
    (Population("log_loss", "sure of nearly everything, surer where wrong", 0.03, _sure), SIZES),
    (
        Population("own, a value an example", "gamma differences, shape 0.2", 0.1, means.differing_by(lambda r: r.gamma(0.2, 1, ROWS))),
        SIZES,
    ),
    (
        Population("own, a value an example", "Weibull differences, shape 0.5", 0.5, means.differing_by(lambda r: r.weibull(0.5, ROWS))),
        SIZES,
    ),
    (Population("own, a value an example", "t(2.5) differences", 0.2, means.differing_by(lambda r: r.standard_t(2.5, ROWS))), SIZES),
    (
        Population(
            "own, a value an example", "log-normal gains, sigma 1.3", 0.3, means.differing_by(lambda r: -r.lognormal(0, 1.3, ROWS) / 2)
        ),
        SIZES,
    ),
    (
        Population(
            "own, a value an example", "log-normal differences, sigma 1.8", 0.6, means.differing_by(lambda r: r.lognormal(0, 1.8, ROWS) / 3)
        ),
        SIZES,
    ),
]

REGRESSIONS = [
    ("even errors", means.squared(_uniform, 1.0, 0.25), {"rmse": 0.04}),
    ("one error in ten four times as large", means.squared(_mixture, 1.0, 0.4), {"rmse": 0.08, "r2": 0.05}),
    ("Laplace errors, loss in 3 % of rows", means.squared(_laplace, 0.03, 0.15), {"r2": 0.03}),
]
