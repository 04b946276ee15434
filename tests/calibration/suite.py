"""All scenarios and promises there are. A new kind of metric is a module with `scenarios()`, added here.

All of them together should take two cores a quarter of an hour: the dear ones get fewer runs, and with them a wider allowance for chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from calibration import (
    clusters,
    confusion_tables,
    drift,
    gaps,
    held_out,
    high_confidence,
    holdout_reuse,
    latencies,
    means,
    naive_rules,
    own_numbers,
    paired_proportions,
    rankings,
    sequential,
    slices,
    training_noise,
)
from calibration.scenario import Promise, Scenario


def scenarios() -> list[Scenario]:
    return [
        *rankings.scenarios(),
        *confusion_tables.scenarios(),
        *_at_most(200, clusters.scenarios(), pr_auc=40),
        *_at_most(250, gaps.scenarios()),
        *_at_most(400, latencies.scenarios()),
        *_at_most(1000, means.scenarios()),
        *held_out.scenarios(),
        *_at_most(150, own_numbers.scenarios()),
        *paired_proportions.scenarios(),
        *training_noise.scenarios(),
    ]


def promises() -> list[Promise]:
    return [
        *naive_rules.promises(),
        *slices.promises(),
        *high_confidence.promises(),
        *holdout_reuse.promises(),
        *_promises_at_most(600, sequential.promises()),
        *drift.promises(),
    ]


def _at_most(runs: int, scenarios: Iterable[Scenario], **of_metric: int) -> list[Scenario]:
    return [replace(one, runs=min(one.runs, of_metric.get(one.metric, runs))) for one in scenarios]


def _promises_at_most(runs: int, promises: Iterable[Promise]) -> list[Promise]:
    return [replace(one, runs=min(one.runs, runs)) for one in promises]
