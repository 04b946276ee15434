"""The baseline on a holdout that changed: what is on record for the examples both holdouts have, what its model says now for the others.

The job that scored it again also ran the candidate's code. So where the holdout is the recorded one nothing of that is looked at, and
elsewhere it adds only what no record can have; how well it agrees with the record is counted and said.
"""

from __future__ import annotations

from dataclasses import replace

from mlgate.evaluation import predictions, rescoring
from mlgate.evaluation.predictions import Predictions
from mlgate.evaluation.rescoring import Rescored
from mlgate.evidence import EvaluateFindings, MetricValue, Rescoring
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.baseline.run_artifacts import predictions_of
from mlgate.workspace import Workspace


def on_this_holdout(
    workspace: Workspace, baseline: Baseline, candidate: Predictions, evaluated: EvaluateFindings
) -> tuple[Baseline, Rescoring | None]:
    """The baseline on the candidate's whole holdout, where its model was scored on it.

    Args:
        workspace: whose state folder holds the answers.
        baseline: as it is on record.
        candidate: its predictions.
        evaluated: what `evaluate` left.

    Returns:
        The baseline to compare with, and how it came about; the baseline as it was and None where it needs, or has, no other answers.

    Raises:
        InputError: the file of answers is not the one that evidence describes.
    """
    rescored = evaluated.rescored
    if rescored is None or baseline.kind != "base" or rescored.commit != baseline.commit:
        return baseline, None
    if baseline.predictions is None or rescored.predictions is None or rescored.task is None:
        return baseline, None
    recorded, ours = baseline.predictions, predictions.holdout_sha256(candidate)
    if baseline.source == "re-scored":  # nothing else was to be had
        return baseline, Rescoring(recorded_in=None, rescored_examples=recorded.n, recorded_examples=0, disagreeing_examples=0)
    if predictions.holdout_sha256(recorded) == ours:
        return baseline, None
    answers = predictions_of(rescored, workspace.state)
    if answers is None or answers.task != recorded.task or predictions.holdout_sha256(answers) != ours:
        return baseline, None
    is_numbered = "row numbers" in (baseline.ids, rescored.ids)  # those of another holdout are of other examples
    merged = Rescored(answers, 0, 0) if is_numbered else rescoring.merged(recorded, answers)
    on_all = replace(
        baseline,
        source="re-scored",
        predictions=merged.predictions,
        metrics=_metrics(baseline, rescored.metrics),
        ids=rescored.ids,
    )
    return on_all, Rescoring(
        recorded_in=baseline.source,
        rescored_examples=answers.n - merged.recorded_examples,
        recorded_examples=merged.recorded_examples,
        disagreeing_examples=merged.disagreeing_examples,
        is_doubtful=merged.disagreeing_examples > rescoring.TOLERATED_SHARE * merged.recorded_examples,
    )


def _metrics(baseline: Baseline, rescored: list[MetricValue]) -> dict[str, MetricValue]:
    """Numbers without predictions behind them: of a metric file as recorded; of the user's own metrics, which are of a holdout, the new."""
    recorded = {name: metric for name, metric in baseline.metrics.items() if metric.source == "file"}
    return {**recorded, **{metric.name: metric for metric in rescored if metric.source != "file"}}
