"""A model's evaluation as the stages before the gate leave it, for tests of the gate: real Git, real store, real files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mlgate import evidence as records
from mlgate.console import Console
from mlgate.context import RunContext
from mlgate.evaluation import predictions as normalised
from mlgate.evaluation.labels import sorted_classes
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import CarriedBaseline, EvaluateFindings, Evidence, MetricValue, Record, ScoredModel
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = """\
model: digits
train: {command: python train.py}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy, f1_macro]
  metrics_files: [eval/speed.json]
gate:
  rules:
    - {metric: accuracy, margin: 0.02}
    - {metric: accuracy, min: 0.8}
"""
N = 1000


def project(root: Path, config: str = CONFIG) -> Path:
    """A repository with one commit on main."""
    return make_repository(root, {"mlgate.yaml": config, "train.py": "print('model 0')\n"})


def next_commit(root: Path, number: int, branch: str | None = None) -> str:
    """A commit with other code, on a new branch where one is named."""
    if branch:
        git(root, "checkout", "--quiet", "-b", branch)
    return commit_files(root, {"train.py": f"print('model {number}')\n"}, f"model {number}")


def open_workspace(root: Path, **context: Any) -> Workspace:
    workspace = Workspace.open(root, "mlgate.yaml", {}, Console())
    return replace(workspace, context=RunContext(**context)) if context else workspace


def labels(right: int, n: int = N, seed: int = 0, classes: int = 3, shuffled_by: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and predictions of which the first `right` are right (after `shuffled_by` places)."""
    target = np.random.default_rng(seed).integers(0, classes, n)
    wrong = np.roll(np.arange(n) >= right, shuffled_by)
    return target, np.where(wrong, (target + 1) % classes, target)


def classified(target: np.ndarray, prediction: np.ndarray, first_id: int = 0, **more: Any) -> Predictions:
    names = sorted_classes({str(code) for code in [*target.tolist(), *prediction.tolist()]})
    place = {name: code for code, name in enumerate(names)}
    coded = [np.array([place[str(label)] for label in column.tolist()], dtype=np.int64) for column in (target, prediction)]
    return Predictions(np.arange(first_id, first_id + target.size), *coded, names, **more)


def scored(predicted: Predictions, path: Path, state: Path, metrics: Mapping[str, float], commit: str | None) -> ScoredModel:
    normalised.write(predicted, path)
    return ScoredModel(
        commit=commit,
        inputs_sha256=None,
        task=predicted.task,
        n=predicted.n,
        holdout_sha256=normalised.holdout_sha256(predicted),
        classes=None if predicted.classes is None else list(predicted.classes),
        metrics=[
            MetricValue(name=name, value=value, better=None, source="file" if "latency" in name else "predictions")
            for name, value in metrics.items()
        ],
        slices=[],
        predictions=records.file_ref(path, state),
    )


def leave(
    workspace: Workspace, stage: str, findings: Record | None, status: Any = "passed", summary: str = "", exit_code: Any = None
) -> None:
    """Evidence of a stage of this run."""
    workspace.prepare_state()
    evidence = Evidence[Any](
        mlgate_version="0",
        stage=stage,
        model=workspace.config.model,
        status=status,
        summary=summary or f"{stage} {status}",
        subject=workspace.subject([]),
        started_at=records.now(),
        duration_s=0.1,
        findings=findings,
        exit_code=exit_code if exit_code is not None else (0 if status == "passed" else 1),
    )
    records.write(evidence, workspace.evidence_path(stage))


def evaluated(
    workspace: Workspace,
    candidate: Predictions,
    baseline: Predictions | None = None,
    *,
    baseline_commit: str | None = None,
    baseline_source: Any = "dvc outputs",
    metrics: Mapping[str, float] | None = None,
    baseline_metrics: Mapping[str, float] | None = None,
) -> None:
    """What `evaluate` leaves: the candidate, and perhaps the baseline it found."""
    metrics = {"accuracy": 0.5, "f1_macro": 0.5} if metrics is None else metrics
    carried = None
    if baseline is not None:
        path = workspace.files / "baseline" / "predictions.parquet"
        model = scored(baseline, path, workspace.state, baseline_metrics or metrics, baseline_commit)
        carried = CarriedBaseline(model=model, source=baseline_source)
    model = scored(candidate, workspace.files / "predictions.parquet", workspace.state, metrics, workspace.commit)
    leave(workspace, "evaluate", EvaluateFindings(candidate=model, baseline=carried))
