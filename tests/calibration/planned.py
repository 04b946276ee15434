"""What `mlgate plan` says of each population before any rule decides: from single samples of it, as a user has one."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from calibration.scenario import CONFIDENCE, Scenario, seed_of
from mlgate.stats.planning import noise_of

SAMPLES = 25
NOT_PLANNED = ("latency",)
"""Families whose rules `plan` says nothing of: their interval is that of a ratio over rounds, not over examples."""


@dataclass(frozen=True)
class Predicted:
    """Shares of an unchanged model. Of several samples, each of which predicts something else, the one in the middle."""

    false_block: float
    """Called worse than the margin allows."""
    cannot_tell: float
    """Not shown to be no worse, nor called worse."""
    low: float
    """Of both together, what `cannot_tell: block` fails: one sample in ten predicts less."""
    high: float
    """One in ten predicts more."""
    mean: float
    """Over all samples."""


def predicted(scenario: Scenario, samples: int = SAMPLES) -> Predicted | None:
    """What each of some samples of the population says of the rule; None where `plan` says nothing of such rules.

    A sample without an interval has a gate that can never tell.
    """
    if scenario.family in NOT_PLANNED:
        return None
    generator = np.random.default_rng([seed_of(scenario.name), 2])
    found = []
    for run, sample in enumerate(scenario.draw(0.0, samples, generator)):
        noise = scenario.noise(sample) if scenario.noise else noise_of(scenario.interval(sample, run), scenario.n, CONFIDENCE)
        outcomes = noise.outcomes(scenario.margin, CONFIDENCE) if noise else None
        found.append((outcomes.worse, outcomes.cannot_tell) if outcomes else (0.0, 1.0))
    each = np.array(found)
    together = each.sum(axis=1)
    low, high = np.quantile(together, [0.1, 0.9])
    return Predicted(*(float(one) for one in (*np.median(each, axis=0), low, high, together.mean())))


def as_data(scenario: Scenario) -> dict[str, dict[str, float] | None]:
    """For JSON, beside what was measured."""
    found = predicted(scenario)
    return {"planned": {key: round(value, 5) for key, value in asdict(found).items()} if found else None}
