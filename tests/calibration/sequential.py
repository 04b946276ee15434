"""Rollouts: bounds that are looked at after every batch, and a rollout that stops at the first bound that misses the truth.

Beside them what people do instead: the bound of a fixed sample, looked at as often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from calibration.scenario import ALPHA, CONFIDENCE, Promise
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.sequential import PairedMeans, PairedProportions, TwoMeans, TwoProportions

Floats = np.ndarray[Any, np.dtype[np.float64]]
Batch = tuple[Floats, Floats]
Side = Literal["lower", "upper"]
SIDES: tuple[Side, ...] = ("lower", "upper")
State = PairedMeans | PairedProportions | TwoMeans | TwoProportions


@dataclass(frozen=True)
class Rollout:
    """Batches of rows of two models whose difference, candidate minus baseline, is `truth` in every batch."""

    family: str
    population: str
    start: State
    truth: float
    batch: Callable[[int, float, np.random.Generator], Batch]
    """(rows, how much of the rollout is over, generator) -> the next rows of candidate and baseline."""
    size: int = 50
    looks: int = 100

    def batches(self, generator: np.random.Generator) -> Iterator[Batch]:
        for look in range(self.looks):
            yield self.batch(self.size, look / self.looks, generator)


def rollouts() -> list[Rollout]:
    shadow, canary = "paired rows", "two arms"
    pairs = [
        Rollout(f"sequential, 0/1, {shadow}", f"{name}, 1 pt worse", PairedProportions(target=2000), -0.01, partial(_disagreeing, psi))
        for name, psi in (("2 % disagree", 0.02), ("4 % disagree", 0.04), ("10 % disagree", 0.1), ("no gains", 0.01))
    ]
    arms = [
        Rollout(
            f"sequential, 0/1, {canary}", f"{share * 100:g} % right, 1 pt worse", TwoProportions(target=2000), -0.01, partial(_right, share)
        )
        for share in (0.5, 0.9, 0.99)
    ]
    means = [
        Rollout(f"sequential, means, {shadow}", name, PairedMeans(target=2000), truth, draw)
        for name, truth, draw in (
            ("normal", 0.1, _normal),
            ("log losses", LOG_LOSS, _log_losses),
            ("2 % lose a lot, beside small noise", 0.02, _rare),
            ("log-normal, sigma 1.5", math.exp(1.125), _log_normal),
            ("Pareto 2.5", 1 / 1.5, _pareto),
        )
    ]
    means_of_arms = [
        Rollout(f"sequential, means, {canary}", name, TwoMeans(target=2000), truth, draw)
        for name, truth, draw in (
            ("exponential latencies, 10 % slower", 0.1, _latencies),
            ("log-normal latencies, as fast", 0.0, _long_tailed_latencies),
            ("2 % errors, 1 pt more", 0.01, _errors),
        )
    ]
    grown = [
        Rollout(
            f"sequential, 0/1, {canary}",
            "99.5 % right, 0.5 pt worse, share grows from 2 % to 50 %, harder at night",
            TwoProportions(target=2000),
            -0.005,
            partial(_grown, _night_proportions),
        ),
        Rollout(
            f"sequential, means, {canary}",
            "latencies, 10 % slower, share grows from 2 % to 50 %, slower at night",
            TwoMeans(target=2000),
            0.1,
            partial(_grown, _night_latencies),
        ),
    ]
    fixed = [*pairs, *arms, *means, *means_of_arms]
    often = [
        replace(one, population=f"{one.population}, a look every 5 rows", size=5, looks=400)
        for one in (pairs[1], arms[1], means[1], means_of_arms[0])
    ]
    small = [
        replace(one, population=f"{one.population}, tuned to 300", start=type(one.start)(target=300), size=20, looks=50) for one in fixed
    ]
    return [*fixed, *grown, *often, *small]


def promises() -> list[Promise]:
    return [
        Promise(
            family=rollout.family,
            name=f"{rollout.population}: {side} bound, {rollout.looks} looks",
            bound=ALPHA,
            count=partial(_count, rollout, side),
            runs=1000,
        )
        for rollout in rollouts()
        for side in SIDES
    ]


def _count(rollout: Rollout, side: Side, runs: int, generator: np.random.Generator) -> int:
    return missed(rollout, runs, generator)[side]


def missed(rollout: Rollout, runs: int, generator: np.random.Generator) -> dict[Side, int]:
    """In how many rollouts either bound was beyond the truth at any look."""
    found = [_misses(rollout, generator) for _ in range(runs)]
    return {"lower": sum(lower for lower, _ in found), "upper": sum(upper for _, upper in found)}


def missed_naively(rollout: Rollout, runs: int, generator: np.random.Generator) -> dict[Side, int]:
    """The same with the bounds of a fixed sample, z standard errors, looked at from 200 rows of each on."""
    found = [_misses_naively(rollout, generator) for _ in range(runs)]
    return {"lower": sum(lower for lower, _ in found), "upper": sum(upper for _, upper in found)}


def _misses(rollout: Rollout, generator: np.random.Generator) -> tuple[bool, bool]:
    state = rollout.start
    is_low_missed = is_high_missed = False
    for candidate, baseline in rollout.batches(generator):
        state = state.with_batch(candidate, baseline)
        if isinstance(state, PairedMeans | TwoMeans):
            interval = state.interval(CONFIDENCE)
            is_low_missed |= interval.low > rollout.truth
            is_high_missed |= interval.high < rollout.truth
    if isinstance(state, PairedMeans | TwoMeans):
        return is_low_missed, is_high_missed
    # whether the truth was rejected at any look, which is what the bounds are found from
    threshold = -math.log(ALPHA)
    evidence = state.log_e_values(rollout.truth, CONFIDENCE), state.mirrored.log_e_values(-rollout.truth, CONFIDENCE)
    return bool((evidence[0] >= threshold).any()), bool((evidence[1] >= threshold).any())


def _misses_naively(rollout: Rollout, generator: np.random.Generator) -> tuple[bool, bool]:
    batches = list(rollout.batches(generator))
    is_paired = isinstance(rollout.start, PairedMeans | PairedProportions)
    arms = [np.concatenate([batch[arm] for batch in batches]) for arm in (0, 1)]
    ends = [np.cumsum([batch[arm].size for batch in batches]) for arm in (0, 1)]
    if is_paired:
        arms, ends = [arms[0] - arms[1]], ends[:1]
    means, variances = [], []
    for values, at in zip(arms, ends, strict=True):
        sums, squares = (np.append(0, np.cumsum(column))[at] for column in (values, values**2))
        rows = np.maximum(at, 1)
        means.append(sums / rows)
        variances.append((squares / rows - means[-1] ** 2) / rows)
    difference = means[0] - means[1] if len(means) > 1 else means[0]
    error = np.sqrt(np.maximum(sum(variances), 0))
    is_counted = (np.min(ends, axis=0) >= 200) & (error > 0)
    distances = ((difference - rollout.truth) / np.where(is_counted, error, np.inf)).tolist()
    z = normal_quantile(CONFIDENCE)
    return max(distances) > z, min(distances) < -z


def _disagreeing(disagreement: float, size: int, over: float, generator: np.random.Generator) -> Batch:
    """One point worse: the candidate loses (disagreement + 0.01) / 2 and gains the rest."""
    drawn = generator.random(size)
    lost, gained = drawn < (disagreement + 0.01) / 2, drawn > 1 - (disagreement - 0.01) / 2
    right = generator.random(size) < 0.9
    return np.where(lost, 0, np.where(gained, 1, right)).astype(float), np.where(lost, 1, np.where(gained, 0, right)).astype(float)


def _right(share: float, size: int, over: float, generator: np.random.Generator) -> Batch:
    return (generator.random(size) < share - 0.01).astype(float), (generator.random(size) < share).astype(float)


def _grown(draw: Callable[[int, int, bool, np.random.Generator], Batch], size: int, over: float, generator: np.random.Generator) -> Batch:
    """Batches of four times the size: one row in 50 goes to the candidate, then one in ten, a quarter, half. Each other tenth is night."""
    share = (0.02, 0.1, 0.25, 0.5)[int(over * 4)]
    candidates = int(generator.binomial(4 * size, share))
    return draw(candidates, 4 * size - candidates, int(over * 10) % 2 == 1, generator)


def _night_proportions(candidates: int, baselines: int, is_night: bool, generator: np.random.Generator) -> Batch:
    share = 0.98 if is_night else 0.995
    return (generator.random(candidates) < share - 0.005).astype(float), (generator.random(baselines) < share).astype(float)


def _night_latencies(candidates: int, baselines: int, is_night: bool, generator: np.random.Generator) -> Batch:
    slower = 2.0 if is_night else 0.0
    return slower + generator.exponential(1.1, candidates), slower + generator.exponential(1, baselines)


def _normal(size: int, over: float, generator: np.random.Generator) -> Batch:
    shared = generator.normal(0, 3, size)
    return shared + generator.normal(0.1, 1, size), shared + generator.normal(0, 1, size)


def _log_losses(size: int, over: float, generator: np.random.Generator) -> Batch:
    """Labels from true probabilities; two models that misjudge the logit, the candidate more."""
    logit = generator.normal(0, 2, size)
    sign = np.where(generator.random(size) < 1 / (1 + np.exp(-logit)), -1.0, 1.0)
    baseline = np.logaddexp(0, sign * (logit + generator.normal(0, 0.4, size)))
    return np.logaddexp(0, sign * (1.3 * logit + generator.normal(0, 0.4, size))), baseline


def _rare(size: int, over: float, generator: np.random.Generator) -> Batch:
    return np.where(generator.random(size) < 0.02, generator.exponential(1, size), 0), generator.normal(0, 0.05, size)


def _log_normal(size: int, over: float, generator: np.random.Generator) -> Batch:
    return generator.lognormal(0, 1.5, size), np.zeros(size)


def _pareto(size: int, over: float, generator: np.random.Generator) -> Batch:
    return generator.pareto(2.5, size), np.zeros(size)


def _latencies(size: int, over: float, generator: np.random.Generator) -> Batch:
    return generator.exponential(1.1, size), generator.exponential(1, size)


def _long_tailed_latencies(size: int, over: float, generator: np.random.Generator) -> Batch:
    return generator.lognormal(0, 1, size), generator.lognormal(0, 1, size)


def _errors(size: int, over: float, generator: np.random.Generator) -> Batch:
    return (generator.random(size) < 0.03).astype(float), (generator.random(size) < 0.02).astype(float)


def _expected_log_loss() -> float:
    """By quadrature over the logit and the noise, both normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    logit, noise = 2 * nodes[:, None], 0.4 * nodes[None, :]
    true = 1 / (1 + np.exp(-logit))

    def loss(slope: float) -> Floats:
        return true * np.logaddexp(0, -(slope * logit + noise)) + (1 - true) * np.logaddexp(0, slope * logit + noise)

    return float((weights[:, None] * weights * (loss(1.3) - loss(1.0))).sum())


LOG_LOSS = _expected_log_loss()
