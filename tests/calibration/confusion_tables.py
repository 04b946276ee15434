"""Metrics of a confusion table: populations are joint distributions of (label, old answer, new answer) with an exactly known difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats import confusion
from mlgate.stats.confusion import JointCounts

SIZES = (200, 500, 1000, 5000)
DISAGREEMENTS = (0.02, 0.04, 0.1)
OF_TWO = ("f1_binary", "precision_binary", "recall_binary", "balanced_accuracy", "mcc", "kappa")
OF_MANY = ("f1_macro", "precision_macro", "recall_macro", "f1_weighted", "precision_weighted", "kappa")
OF_TEN = ("f1_macro", "recall_macro", "kappa")
USUAL_MARGIN = 0.01
WIDE_MARGIN = {0.02: 0.015, 0.04: 0.03, 0.1: 0.05}
"""By disagreement, for holdouts that can hardly see a hundredth; less than what so few disagreements can lose."""
DRAWS = 300
"""Of a bootstrap here, where the gate makes 4,000: what that adds to an error rate is less than a tenth of a point."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Labels, and how well the old model does on each of them. Wrong answers are the neighbouring classes."""

    words: str
    shares: tuple[float, ...]
    right: tuple[float, ...]

    @property
    def classes(self) -> int:
        return len(self.shares)


BALANCED = Task("2 balanced classes", (0.5, 0.5), (0.9, 0.9))
RARE = Task("10 % positive", (0.9, 0.1), (0.93, 0.7))
THREE = Task("3 classes, one of 10 %", (0.45, 0.45, 0.1), (0.9, 0.9, 0.8))
TEN = Task("10 classes of 3 to 22 %", tuple(0.8**k / sum(0.8**i for i in range(10)) for k in range(10)), (0.9,) * 10)


@dataclass(frozen=True)
class Population:
    """Models that disagree on one share of the examples of every label; of these the new model loses one share and gains the rest."""

    task: Task
    disagreement: float
    is_trade: bool = False
    """Losses fall on the last class, which is the positive one of two, gains on the others: a threshold that was moved."""

    def kinds(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Label, old and new answer of every kind of example there can be."""
        table = np.array(list(product(range(self.task.classes), repeat=3)))
        return table[:, 0], table[:, 1], table[:, 2]

    def shares(self, lost: float) -> Floats:
        """Probability of each kind, where of the disagreements `lost` are losses; in [0, 1]."""
        k = self.task.classes
        joint = np.zeros((k, k, k))
        for label, (share, right) in enumerate(zip(self.task.shares, self.task.right, strict=True)):
            wrong = sorted({(label + 1) % k, (label - 1) % k})
            losing = lost if not self.is_trade else (lost if label == k - 1 else (1 - lost))
            losses, gains = self.disagreement * losing, self.disagreement * (1 - losing)
            joint[label, label, label] = share * (right - losses)
            for other in wrong:
                joint[label, label, other] = share * losses / len(wrong)
                joint[label, other, label] = share * gains / len(wrong)
                joint[label, other, other] = share * (1 - right - gains) / len(wrong)
        return joint.ravel()

    def difference(self, metric: str, shares: Floats) -> float:
        """Of the population: the new model's value less the old one's."""
        label, old, new = self.kinds()
        return confusion.difference(metric, JointCounts(label, old, new, shares, self.task.classes), 1)

    def at_loss(self, metric: str, loss: float) -> Floats | None:
        """Probability of each kind where the new model is worse by exactly `loss`; None where no population of these is."""
        return _at_loss(self, metric, loss)


@cache
def _at_loss(population: Population, metric: str, loss: float) -> Floats | None:
    # no more gains on a label than there were mistakes
    possible = [share for share in np.linspace(0, 1, 201) if population.shares(share).min() >= 0]
    low, high = possible[0], possible[-1]
    if not population.difference(metric, population.shares(high)) < -loss < population.difference(metric, population.shares(low)):
        return None
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if population.difference(metric, population.shares(middle)) > -loss else (low, middle)
    return np.maximum(population.shares(low), 0)


def scenarios() -> list[Scenario]:
    found = []
    for task, metrics in ((BALANCED, OF_TWO), (RARE, OF_TWO), (THREE, OF_MANY), (TEN, OF_TEN)):
        for n, disagreement, metric in product(SIZES, DISAGREEMENTS, metrics):
            margin = USUAL_MARGIN if n >= 1000 else WIDE_MARGIN[disagreement]
            found.append(of_population(Population(task, disagreement), metric, n, margin))
    for n, disagreement, metric in product((200, 1000), DISAGREEMENTS, ("f1_binary", "balanced_accuracy", "kappa")):
        for task in (BALANCED, RARE):
            population = Population(task, disagreement, is_trade=True)
            if population.at_loss(metric, USUAL_MARGIN) is not None and population.at_loss(metric, 0.0) is not None:
                found.append(of_population(population, metric, n, USUAL_MARGIN))
    return found


def of_population(population: Population, metric: str, n: int, margin: float) -> Scenario:
    task = population.task
    return Scenario(
        family="confusion table",
        metric=metric,
        n=n,
        margin=margin,
        population=f"{population.disagreement * 100:g} % disagree, {task.words}{', threshold moved' if population.is_trade else ''}",
        draw=lambda loss, runs, generator: draw(population, metric, n, loss, runs, generator),
        interval=lambda counts, seed: confusion.difference_interval(
            metric, counts, CONFIDENCE, seed, 1 if task.classes == 2 else None, DRAWS
        ),
        runs=1000 if task.classes == 2 else 600 if task.classes == 3 else 400,
        is_quick=n == 200
        and population.disagreement == 0.04
        and not population.is_trade
        and metric in ("f1_binary", "kappa", "recall_macro"),
    )


def draw(population: Population, metric: str, n: int, loss: float, runs: int, generator: np.random.Generator) -> Iterator[JointCounts]:
    shares = population.at_loss(metric, loss)
    if shares is None:
        raise ValueError(f"no population loses {loss} of {metric}")
    label, old, new = population.kinds()
    for counts in generator.multinomial(n, shares / shares.sum(), size=runs):
        seen = counts > 0
        yield JointCounts(label[seen], old[seen], new[seen], counts[seen].astype(np.float64), population.task.classes)
