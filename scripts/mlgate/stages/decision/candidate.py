"""The candidate as the gate sees it: what `evaluate` left, each file checked by its hash and read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate import evidence as records
from mlgate.errors import InputError
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import EvaluateFindings, ScoredModel
from mlgate.stages.baseline.run_artifacts import further_in
from mlgate.stages.decision import latency, training_noise
from mlgate.stages.decision.latency import Times
from mlgate.stages.decision.robustness import PerturbedModel
from mlgate.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """The candidate's evaluation, verified, with its predictions."""

    findings: EvaluateFindings
    predictions: Predictions | None
    """None where metric files are all there is."""
    path: Path | None
    """The file of `predictions`."""
    perturbed: dict[str, PerturbedModel] = field(default_factory=dict)
    """By the name of the set."""
    times: Times | None = None
    """How long its requests took, where that was measured."""
    seeds: dict[str, Predictions] = field(default_factory=dict)
    """Predictions of other runs of the same training code."""


def read(workspace: Workspace) -> Candidate:
    """Read what `evaluate` left. Of a run that another one triggered, only what it says of its own model counts.

    Raises:
        InputError: nothing was evaluated, or a file is absent, another than the evidence names, or of other examples than the holdout.
    """
    evidence = workspace.evidence("evaluate")
    findings = evidence.findings if evidence else None
    if not isinstance(findings, EvaluateFindings):
        raise InputError("evaluate.json: nothing was evaluated; run 'mlgate evaluate' before the gate")
    if workspace.context.triggering:  # the run was a stranger's, who would like to choose the opponent
        findings = findings.model_copy(update={"baseline": None, "pinned": None, "rescored": None})
    model = findings.candidate
    times = latency.read(workspace, findings.latency)
    if model.predictions is None or model.task is None:
        return Candidate(findings, None, None, times=times)
    path = records.checked_file(model.predictions, workspace.state)
    found = predictions.read(path, model.task, model.classes)
    further = further_in(model, workspace.state)
    if (seed := training_noise.refused(model.seeds, further.seeds, found)) is not None:
        raise InputError(f"evaluate.json: predictions of seed '{seed}' are not of the holdout's examples; run 'mlgate evaluate' again")
    seeds = {name: _grouped_alike(one, found) for name, one in further.seeds.items()}
    return Candidate(findings, found, path, _perturbed(model, further.perturbed, found), times, seeds)


def _grouped_alike(predicted: Predictions, holdout: Predictions) -> Predictions:
    """With the groups that the holdout has, which are held against the baseline's: a copy with others would set its own intervals."""
    return replace(predicted, groups=predictions.pair(predicted, holdout).baseline.groups)


def _perturbed(model: ScoredModel, sets: Mapping[str, Predictions], found: Predictions) -> dict[str, PerturbedModel]:
    """The candidate on perturbed copies of its holdout. Raises InputError where one is of other examples."""
    for name, predicted in sets.items():
        if predictions.pair(predicted, found).shared_share < 1:
            raise InputError(f"evaluate.json: predictions on '{name}' are not of the holdout's examples; run 'mlgate evaluate' again")
    metrics = {one.name: {metric.name: metric for metric in one.metrics} for one in model.perturbed}
    return {name: PerturbedModel(_grouped_alike(predicted, found), metrics[name]) for name, predicted in sets.items()}
