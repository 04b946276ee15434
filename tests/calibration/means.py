"""Mean losses, RMSE and R2: populations of pairs of losses whose difference is known exactly, since they are finite and drawn from with
replacement. Skewed, heavy-tailed, tied, and with the whole loss in a few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats.comparison import Model, Pair, compare, compare_means
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]

SIZES = (50, 200, 500, 1000, 5000)
ROWS = 100_000
"""Of a population."""
FEWEST_HOLDING = 5
"""Rows of a holdout that hold the loss, on average over holdouts: with fewer than these nothing is promised of its mean at 95 %."""
QUICK = {
    ("log_loss", "loss in 2 % of rows", 200),
    ("log_loss", "too sure of itself", 500),
    ("mae", "loss in 2 % of rows", 500),
    ("own, a value an example", "log-normal differences, sigma 1.5", 500),
    ("rmse", "loss in 2 % of rows", 1000),
    ("r2", "normal errors", 1000),
}
"""(metric, population, n)"""


@dataclass(frozen=True)
class Population:
    """Losses of both models on every row; the candidate's depend on how much harm is done to it."""

    metric: str
    words: str
    margin: float
    losses: Callable[[float, np.random.Generator], tuple[Floats, Floats]]
    """(harm >= 0, generator) -> the candidate's and the baseline's loss on each row; more harm, more loss; none, none on average."""
    share: float = 1.0
    """Of the rows that hold the loss."""

    def beyond(self, n: int) -> str:
        """Why nothing is promised of n rows; empty where it is."""
        if self.share * n >= FEWEST_HOLDING:
            return ""
        none = 100 * (1 - self.share) ** n
        return f"{self.share * n:g} of {n} rows hold the loss on average, and none in {none:.0f} % of the holdouts"


def scenarios() -> list[Scenario]:
    found = [of_population(population, n) for population in POPULATIONS for n in SIZES]
    return [*found, of_population(SEEN_BY_FEW, 200)] + [
        of_regression(words, errors, metric, margins[metric], n)
        for words, errors, margins in REGRESSIONS
        for metric in ("rmse", "r2")
        for n in SIZES
    ]


def of_population(population: Population, n: int) -> Scenario:
    return Scenario(
        family="mean losses",
        metric=population.metric,
        n=n,
        margin=population.margin,
        population=population.words,
        draw=lambda loss, runs, generator: samples(population, n, loss, runs, generator),
        interval=_of_means,
        is_quick=(population.metric, population.words, n) in QUICK,
        beyond=population.beyond(n),
    )


def of_regression(words: str, errors: Errors, metric: str, margin: float, n: int) -> Scenario:
    return Scenario(
        family="RMSE and R2",
        metric=metric,
        n=n,
        margin=margin,
        population=words,
        draw=lambda loss, runs, generator: _predictions(errors, metric, n, loss, runs, generator),
        interval=lambda sample, seed: _of_predictions(metric, sample, seed),
        runs=2000 if n < 5000 else 1000,
        is_quick=(metric, words, n) in QUICK,
    )


def _of_means(sample: tuple[Floats, Floats], _: int) -> Interval:
    return compare_means(*sample, CONFIDENCE).interval.mirrored


def samples(population: Population, n: int, loss: float, runs: int, generator: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
    candidate, baseline = losing(population, loss)
    for _ in range(runs):
        rows = generator.integers(0, ROWS, n)
        yield candidate[rows], baseline[rows]


@lru_cache(maxsize=4)
def losing(population: Population, loss: float) -> tuple[Floats, Floats]:
    """The population with as much harm as gives this loss on average, and what bisection leaves over spread over all rows."""

    def at(harm: float) -> tuple[Floats, Floats]:
        return population.losses(harm, np.random.default_rng(1))

    low, high = 0.0, 1.0
    while loss and float(np.subtract(*at(high)).mean()) < loss:
        high *= 2
    for _ in range(15 if loss else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if float(np.subtract(*at(middle)).mean()) < loss else (low, middle)
    candidate, baseline = at(low)
    return candidate - (float((candidate - baseline).mean()) - loss), baseline


def _logits(random: np.random.Generator) -> tuple[Floats, Floats]:
    """A calibrated model's logits turned towards the true label, and the noise that training anew adds."""
    logit = random.normal(0, 2, ROWS)
    sign = np.where(random.random(ROWS) < 1 / (1 + np.exp(-logit)), 1.0, -1.0)
    return sign * logit, random.normal(0, 0.1, ROWS)


def _log_losses(right: Floats) -> Floats:
    return np.asarray(np.logaddexp(0, -right))


def _brier(right: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(right)) ** 2)


def _noisier(of: Callable[[Floats], Floats]) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        right, noise = _logits(random)
        return of(right + noise + harm * random.normal(0, 1, ROWS)), of(right)

    return losses


def _surer(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    right, noise = _logits(random)
    return _log_losses((1 + harm) * right + noise), _log_losses(right)


def _broken(share: float, of: Callable[[Floats], Floats]) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    """On a share of the rows the candidate moves towards the wrong label."""

    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        right, noise = _logits(random)
        return of(right + noise - harm * (random.random(ROWS) < share)), of(right)

    return losses


def absolute(
    errors: Callable[[np.random.Generator], Floats], share: float = 1.0, digits: int | None = None
) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    """Absolute errors, perhaps rounded so that many are tied; on a share of the rows the candidate's grow by exponential steps."""

    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        baseline = np.abs(errors(random))
        candidate = np.abs(baseline + random.normal(0, 0.1, ROWS)) + harm * random.exponential(1, ROWS) * (random.random(ROWS) < share)
        return (candidate, baseline) if digits is None else (np.asarray(candidate.round(digits)), np.asarray(baseline.round(digits)))

    return losses


def differing_by(tail: Callable[[np.random.Generator], Floats]) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    """Differences of one shape, moved by the harm, beside losses that hardly differ."""

    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        baseline, differences = random.exponential(1, ROWS), tail(random)
        return baseline + differences - differences.mean() + harm, baseline

    return losses


def _heavy_in(share: float) -> Callable[[np.random.Generator], Floats]:
    def tail(random: np.random.Generator) -> Floats:
        return np.where(random.random(ROWS) < share, random.exponential(3, ROWS) ** 1.5, 0) + random.normal(0, 0.2, ROWS)

    return tail


def _right_or_wrong(disagreement: float) -> Callable[[float, np.random.Generator], tuple[Floats, Floats]]:
    """Values of 0 and 1, as a metric of the user's may give; harm, in hundredths, turns gains into losses."""

    def losses(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        baseline, u = (random.random(ROWS) < 0.1).astype(np.float64), random.random(ROWS)
        disagrees, turned = u < disagreement, random.random(ROWS) < (1 + min(harm, 1.0)) / 2
        return np.where(disagrees, turned, baseline), np.where(disagrees, ~turned, baseline).astype(np.float64)

    return losses


def normal(random: np.random.Generator) -> Floats:
    return random.normal(0, 1, ROWS)


def _t3(random: np.random.Generator) -> Floats:
    return random.standard_t(3, ROWS)


def _log_normal(random: np.random.Generator) -> Floats:
    return random.lognormal(0, 1, ROWS)


POPULATIONS = [
    Population("log_loss", "noisier everywhere", 0.02, _noisier(_log_losses)),
    Population("log_loss", "too sure of itself", 0.02, _surer),
    Population("log_loss", "loss in 4 % of rows", 0.02, _broken(0.04, _log_losses), 0.04),
    Population("log_loss", "loss in 2 % of rows", 0.02, _broken(0.02, _log_losses), 0.02),
    Population("brier", "noisier everywhere", 0.01, _noisier(_brier)),
    Population("brier", "loss in 2 % of rows", 0.008, _broken(0.02, _brier), 0.02),
    Population("mae", "normal errors", 0.05, absolute(normal)),
    Population("mae", "errors of t(3)", 0.05, absolute(_t3, 0.3)),
    Population("mae", "log-normal errors, loss in 4 % of rows", 0.05, absolute(_log_normal, 0.04), 0.04),
    Population("mae", "loss in 2 % of rows", 0.05, absolute(normal, 0.02), 0.02),
    Population("mae", "whole numbers", 0.05, absolute(_t3, 0.3, 0)),
    Population("own, a value an example", "log-normal differences, sigma 1.5", 0.3, differing_by(lambda r: r.lognormal(0, 1.5, ROWS) / 3)),
    Population("own, a value an example", "Pareto differences, 2.5", 0.1, differing_by(lambda r: r.pareto(2.5, ROWS) / 3)),
    Population("own, a value an example", "heavy-tailed loss in 2 % of rows", 0.1, differing_by(_heavy_in(0.02)), 0.02),
    Population("mae", "loss in 1 % of rows", 0.05, absolute(normal, 0.01), 0.01),
    # of 500 rows 2.5 hold the loss: beyond what is promised, shown with what it comes to
    Population("mae", "loss in 0.5 % of rows", 0.05, absolute(normal, 0.005), 0.005),
    Population("own, a value an example", "log-normal differences, sigma 2", 0.8, differing_by(lambda r: r.lognormal(0, 2, ROWS) / 3)),
    Population("own, a value an example", "right or wrong, 4 % disagree", 0.01, _right_or_wrong(0.04)),
    Population("own, a value an example", "right or wrong, 10 % disagree", 0.02, _right_or_wrong(0.1)),
]

SEEN_BY_FEW = Population("mae", "loss in 1 % of rows, a margin that 200 rows can see", 0.15, absolute(normal, 0.01), 0.01)

Errors = Callable[[float, np.random.Generator], tuple[Floats, Floats]]


def squared(errors: Callable[[np.random.Generator], Floats], share: float, noise: float) -> Errors:
    def of_both(harm: float, random: np.random.Generator) -> tuple[Floats, Floats]:
        baseline = errors(random)
        added = random.normal(0, noise, ROWS) + harm * random.normal(0, 1, ROWS) * (random.random(ROWS) < share)
        # shrunk so that without harm both errors are of one size
        return baseline / np.sqrt(1 + noise**2 / baseline.var()) + added, baseline

    return of_both


def _t5(random: np.random.Generator) -> Floats:
    return random.standard_t(5, ROWS)


REGRESSIONS: list[tuple[str, Errors, dict[str, float]]] = [
    ("normal errors", squared(normal, 1.0, 0.3), {"rmse": 0.05, "r2": 0.02}),
    ("errors of t(5)", squared(_t5, 1.0, 0.3), {"rmse": 0.05, "r2": 0.02}),
    ("loss in 4 % of rows", squared(normal, 0.04, 0.1), {"rmse": 0.05, "r2": 0.02}),
    ("loss in 2 % of rows", squared(normal, 0.02, 0.1), {"rmse": 0.05, "r2": 0.02}),
]


def _predictions(errors: Errors, metric: str, n: int, loss: float, runs: int, generator: np.random.Generator) -> Iterator[Pair]:
    target, candidate, baseline = regression(errors, metric, loss)
    for _ in range(runs):
        rows = generator.integers(0, ROWS, n)
        yield Pair(Model(target[rows], candidate[rows]), Model(target[rows], baseline[rows]))


@lru_cache(maxsize=4)
def regression(errors: Errors, metric: str, loss: float) -> tuple[Floats, Floats, Floats]:
    target = np.random.default_rng(2).normal(0, 2, ROWS)

    def lost(harm: float) -> float:
        one, other = (np.mean(found**2) for found in errors(harm, np.random.default_rng(1)))
        return float(np.sqrt(one) - np.sqrt(other) if metric == "rmse" else (one - other) / target.var())

    low, high = 0.0, 1.0
    while loss and lost(high) < loss:
        high *= 2
    for _ in range(15 if loss else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) < loss else (low, middle)
    candidate, baseline = errors(high if loss else 0.0, np.random.default_rng(1))
    # what is left over: the candidate's errors are scaled to the size that the loss asks for
    wanted = np.sqrt(np.mean(baseline**2)) + loss if metric == "rmse" else np.sqrt(np.mean(baseline**2) + loss * target.var())
    candidate *= wanted / np.sqrt(np.mean(candidate**2))
    return target, target + candidate, target + baseline


def _of_predictions(metric: str, sample: Pair, seed: int) -> Interval:
    found = compare(metric, sample, CONFIDENCE, seed).interval
    return found.mirrored if metric == "rmse" else found
