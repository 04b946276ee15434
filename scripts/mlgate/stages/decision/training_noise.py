"""Seeds at the gate: rows whose interval covers training noise, too, because several runs of the training code stand behind them.

Without them a row certifies this artefact: one set of predictions. With them it certifies the training code, by the means over its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlgate.config import Config
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import SeedNumbers, SeedSet
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stats import comparison as statistics
from mlgate.stats.clusters import Groups
from mlgate.stats.comparison import Compared, Model, UndefinedMetricError
from mlgate.stats.seeds import FEWEST_ALONE, Runs


@dataclass(frozen=True, eq=False)
class Side:
    """One side's runs on the shared examples, row by row as the pairing has them."""

    names: tuple[str, ...]
    predictions: tuple[Predictions, ...]


@dataclass(frozen=True, eq=False)
class Training:
    """What other runs of both training codes left; empty where there are none."""

    candidate: Side | None = None
    baseline: Side | None = None
    candidate_numbers: Sequence[SeedNumbers] = ()
    baseline_numbers: Sequence[SeedNumbers] = ()
    remarks: list[str] = field(default_factory=list)

    @property
    def has_predictions(self) -> bool:
        """Whether either side has runs whose predictions are compared."""
        return self.candidate is not None or self.baseline is not None

    @property
    def is_paired(self) -> bool:
        """Whether both sides ran the same seeds."""
        return self.candidate is not None and self.baseline is not None and self.candidate.names == self.baseline.names


def of_both(
    rules: Config,
    candidate: Mapping[str, Predictions],
    candidate_numbers: Sequence[SeedNumbers],
    baseline: Baseline | None,
    pairing: Pairing | None,
) -> Training:
    """The runs there are on either side, as far as they are of the examples that are compared.

    Args:
        rules: the deciding configuration: without `evaluation.seeds` a row is about the artefacts.
        candidate: predictions by seed.
        candidate_numbers: metric files by seed.
        baseline: with its own.
        pairing: the artefacts on the examples they share.
    """
    remarks: list[str] = []
    sides: dict[str, Side | None] = {"candidate": None, "baseline": None}
    further = baseline.further.seeds if baseline is not None else {}
    if rules.evaluation.seeds is not None and pairing is not None:
        for which, found in (("candidate", candidate), ("baseline", further)):
            sides[which] = _side(found, pairing.candidate)
            if found and sides[which] is None:
                remarks.append(f"The seeds of the {which} do not have all the examples that are compared, and are left out")
        if sides["candidate"] is None and sides["baseline"] is None:
            remarks.append("No seeds on either side to compare: the verdicts are about this artefact, not about the training code")
    has_numbers = rules.evaluation.seed_metrics is not None and baseline is not None
    return Training(
        candidate=sides["candidate"],
        baseline=sides["baseline"],
        candidate_numbers=candidate_numbers if has_numbers else (),
        baseline_numbers=baseline.seed_metrics if baseline is not None and has_numbers else (),
        remarks=remarks,
    )


def refused(sets: Sequence[SeedSet], found: Mapping[str, Predictions], holdout: Predictions) -> str | None:
    """The name of a seed whose predictions are not of the holdout's examples, or that is there twice; None where all are well."""
    names = [one.name for one in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    return twice or next((name for name, one in found.items() if predictions.pair(one, holdout).shared_share < 1), None)


def covering(
    training: Training, pairing: Pairing, metric: str, artefacts: Compared, model_of: Callable[[Predictions], Model], confidence: float
) -> Compared | None:
    """A comparison of two artefacts made one of their training codes, by a metric the statistics know.

    Args:
        training: with runs on one side at least.
        pairing: the artefacts; one stands for its side where that has no seeds.
        metric: its name.
        artefacts: what was found of them.
        model_of: predictions as the statistics take them.
        confidence: one-sided.

    Returns:
        None where the metric has no value in some run.
    """
    one, other = ([model_of(run) for run in runs] for runs in _runs(training, pairing))
    try:
        return statistics.compare_trained(metric, artefacts, one, other, training.is_paired, confidence)
    except UndefinedMetricError:
        return None


def covering_values(
    training: Training, pairing: Pairing, metric: str, artefacts: Compared, groups: Groups | None, confidence: float
) -> Compared | None:
    """As `covering`, by a metric of the user's own that has a value for each example; None where some run lacks it."""
    one, other = _runs(training, pairing)
    if any(metric not in run.values for run in (*one, *other)):
        return None
    ones, others = ([run.values[metric] for run in runs] for runs in (one, other))
    return statistics.compare_trained_means(artefacts, ones, others, training.is_paired, confidence, groups)


def of_numbers(training: Training, metric: str) -> Runs | None:
    """A number of metric files over the seeds of both sides; None where one of them does not have it in enough runs, or too large."""
    found = [
        {run.name: run.numbers[metric] for run in runs if metric in run.numbers}
        for runs in (training.candidate_numbers, training.baseline_numbers)
    ]
    if min(map(len, found)) < FEWEST_ALONE:
        return None
    one, other = (np.array([values[name] for name in sorted(values)]) for values in found)
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite([one.sum(), other.sum(), one.mean() - other.mean()]).all():
            return None  # numbers too large to compute with
    return Runs(one, other, found[0].keys() == found[1].keys())


def _runs(training: Training, pairing: Pairing) -> tuple[Sequence[Predictions], Sequence[Predictions]]:
    one, other = training.candidate, training.baseline
    return (one.predictions if one else [pairing.candidate], other.predictions if other else [pairing.baseline])


def _side(found: Mapping[str, Predictions], holdout: Predictions) -> Side | None:
    paired = []
    for name in sorted(found):
        if found[name].task != holdout.task:
            return None
        pairing = predictions.pair(found[name], holdout)
        if pairing.shared_examples < holdout.n:
            return None
        paired.append((name, predictions.in_order(pairing.candidate)))
    return Side(tuple(name for name, _ in paired), tuple(one for _, one in paired)) if len(paired) > 1 else None
