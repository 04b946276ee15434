"""evaluate: metrics of the predictions on the holdout, overall and by slice. After train; looks for the baseline's evaluation, too.

With the root action there is no `train` before: the predictions were made by the user's own steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from mlgate.config import kind_of_baseline
from mlgate.data import checkout
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import loading, metric_files, perturbed, recognition, scoring, seeds
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import (
    STAGES,
    CarriedBaseline,
    EvaluateFindings,
    FileRef,
    MetricValue,
    MlflowRun,
    ScoredModel,
    SeedNumbers,
    TrainFindings,
    file_ref,
)
from mlgate.mistakes import lookalike
from mlgate.stages.baseline import rescoring, search
from mlgate.stages.job import leftovers, timing
from mlgate.stages.revisions import lineage, release
from mlgate.stages.training import cost as training_cost
from mlgate.workspace import StageResult, Workspace

_SHOWN = 6


def run(workspace: Workspace) -> StageResult:
    """Compute every metric of the configuration.

    Raises:
        InputError: predictions, metric files, or a function of the user's are wrong, or a rule names a metric there is not (exit 2).
        InfrastructureError: MLflow cannot be reached (exit 3).
    """
    if halted := _halted(workspace):
        return StageResult(status="skipped", summary=f"not evaluated: {halted}")
    config = workspace.config
    if tracked := _tracked_run(workspace):
        from mlgate.registry import runs

        runs.expect(tracked.run_id)
    with workspace.console.progress("evaluate") as progress:
        warnings = leftovers.refuse(workspace, os.environ)
        numbers, remarks = _metric_files(workspace)
        if config.evaluation.predictions is None:
            found, seen, scored = None, None, scoring.of_files(config.gate.rules, numbers)
        else:
            shown_as = config.evaluation.predictions
            checkout.refuse_pointers(workspace.root, [shown_as])
            found, seen = loading.recognised(workspace.root / shown_as, config.evaluation, shown_as)
            config = config.resolved(found.task, recognition.usual_metrics_of_scores(found))
            if workspace.config.evaluation.metrics is None:
                numbers, double = _without(numbers, config.evaluation.metric_names)
                remarks += double
            workspace = replace(workspace, config=config)
            progress.say("metrics")
            scored = scoring.score(
                found,
                config.evaluation,
                config.gate.rules,
                numbers,
                root=workspace.root,
                shown_as=shown_as,
                is_showing_values=config.report.examples,
            )
            scored = replace(scored, perturbed=_perturbed(workspace, found, progress.say), seeds=_seeds(workspace, found, progress.say))
        scored = replace(scored, seed_metrics=_seed_metrics(workspace))
        timed = config.evaluation.latency.metric_names if config.evaluation.latency else []
        _refuse_double(numbers, timed)
        scoring.check_rules(config.gate.rules, scored, workspace.config_path, timed)
        candidate = _keep(workspace, scored)
    latency = timing.measure(workspace)
    logged = _log_to_mlflow(workspace, candidate)
    baseline, note, pinned = _baselines(workspace)
    rescored, not_rescored = None, ""
    if scored.predictions is not None:
        rescored, not_rescored = rescoring.rescore(workspace, scored.predictions, baseline)
    with workspace.console.progress("writing to MLflow"):
        warnings += logged()
    return StageResult(
        status="passed",
        summary=_summary(candidate),
        findings=EvaluateFindings(
            candidate=candidate,
            baseline=baseline,
            pinned=pinned,
            baseline_note="; ".join(filter(None, [note, not_rescored])),
            rescored=rescored,
            latency=latency,
            recognised=seen.remark if seen else "",
            warnings=[
                *warnings,
                *_unknown_labels(found),
                *remarks,
                *scored.warnings,
                *(f"on {one.name}: {line}" for one in scored.perturbed for line in one.scored.warnings),
            ],
        ),
        files=[
            *filter(None, [candidate.predictions]),
            *(one.predictions for one in (*candidate.perturbed, *candidate.seeds)),
            *([latency.samples] if latency else []),
            *_baseline_files(workspace.state),
        ],
    )


def _halted(workspace: Workspace) -> str | None:
    """Why there is nothing to evaluate, where an earlier stage of this run says so."""
    for stage in ("train", "validate-data") if workspace.config.train else ("validate-data",):
        evidence = workspace.evidence(stage)
        if evidence is not None:
            return None if evidence.status == "passed" else f"'{stage}' {'was skipped' if evidence.status == 'skipped' else 'did not pass'}"
    return None


def _metric_files(workspace: Workspace) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers by metric file, and what was left out of them."""
    numbers, remarks = {}, []
    for name in workspace.config.evaluation.metrics_files:
        try:
            content = (workspace.root / name).read_bytes()
        except FileNotFoundError:
            hint = lookalike(workspace.root / name) or "; does the training command write it?"
            raise InputError(f"{name}: no such file (evaluation.metrics_files){hint}") from None
        except OSError as error:
            raise InputError(f"{name}: cannot be read: {error.strerror}") from None
        numbers[name], skipped = metric_files.parse(content, name)
        if skipped:
            remarks.append(f"{name}: no numbers, left out: {', '.join(skipped[:5])}{', …' if len(skipped) > 5 else ''}")
    return numbers, remarks


def _without(numbers: dict[str, dict[str, float]], computed: list[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers of metric files without those that are computed from the predictions, and a line on them; nobody asked for either by name."""
    double = [f"'{name}' of {path}" for path, found in numbers.items() for name in found if name in computed]
    kept = {path: {name: number for name, number in found.items() if name not in computed} for path, found in numbers.items()}
    remark = f"{', '.join(double[:5])}{', …' if len(double) > 5 else ''}: left out, since it is computed from the predictions"
    return kept, [remark] if double else []


def _refuse_double(numbers: Mapping[str, Mapping[str, float]], timed: Sequence[str]) -> None:
    """Raises InputError where a metric file has a number that evaluation.latency measures."""
    for path, found in numbers.items():
        for name in timed:
            if name in found:
                raise InputError(f"{path}: '{name}' is also a metric of evaluation.latency; rename one of them")


def _keep(workspace: Workspace, scored: scoring.Scored) -> ScoredModel:
    commit = workspace.commit
    inputs = lineage.inputs_sha256(workspace, commit) if commit is not None and not workspace.is_dirty else None
    ids: Literal["column", "row numbers"] = "row numbers" if workspace.config.evaluation.columns.id is None else "column"
    kept = scored.keep(workspace.files / "predictions.parquet", workspace.state, commit=commit, inputs_sha256=inputs, ids=ids)
    train = workspace.evidence("train")
    if train is None or not isinstance(train.findings, TrainFindings):
        return kept
    return kept.model_copy(update={"training": training_cost.of(train.findings)})


def _perturbed(workspace: Workspace, found: Predictions, say: Callable[[str], None]) -> list[scoring.ScoredSet]:
    """The model on every set of evaluation.perturbed. Raises InputError."""
    config = workspace.config
    checkout.refuse_pointers(workspace.root, list(config.evaluation.perturbed.values()))
    sets = []
    for name, path in config.evaluation.perturbed.items():
        say(f"on {name}")
        shown_as = f"{path} (evaluation.perturbed.{name})"
        sets.append(
            perturbed.score(
                workspace.root / path,
                name,
                shown_as,
                config.evaluation,
                config.gate.rules,
                found,
                root=workspace.root,
                is_showing_values=config.report.examples,
            )
        )
    return sets


def _seeds(workspace: Workspace, found: Predictions, say: Callable[[str], None]) -> list[scoring.ScoredSet]:
    """Every other run of evaluation.seeds. Raises InputError."""
    config, pattern = workspace.config, workspace.config.evaluation.seeds
    if pattern is None:
        return []
    paths = seeds.by_seed(seeds.files(workspace.root, pattern), "evaluation.seeds", pattern, seeds.FEWEST)
    checkout.refuse_pointers(workspace.root, list(paths.values()))
    runs = []
    for name, path in sorted(paths.items()):
        say(f"seed {name}")
        runs.append(
            perturbed.score(
                workspace.root / path,
                name,
                f"{path} (evaluation.seeds)",
                config.evaluation,
                config.gate.rules,
                found,
                root=workspace.root,
                is_showing_values=config.report.examples,
                how=", by another seed",
            )
        )
    return runs


def _seed_metrics(workspace: Workspace) -> list[SeedNumbers]:
    """Every other run of evaluation.seed_metrics. Raises InputError."""
    pattern = workspace.config.evaluation.seed_metrics
    if pattern is None:
        return []
    key = "evaluation.seed_metrics"
    paths = seeds.by_seed(seeds.files(workspace.root, pattern), key, pattern, seeds.FEWEST_OF_METRICS)
    contents = {}
    for name, path in sorted(paths.items()):
        try:
            contents[name] = (path, (workspace.root / path).read_bytes())
        except OSError as error:
            raise InputError(f"{path} ({key}): cannot be read: {error.strerror}") from None
    return seeds.numbers(contents)


def _baselines(workspace: Workspace) -> tuple[CarriedBaseline | None, str, CarriedBaseline | None]:
    """Evaluations of what the deciding rules compare with, where these are commits (others the gate finds by itself): that of the baseline
    commit, a line on it, and that of a pinned release."""
    try:
        base = lineage.baseline_commit(workspace)
    except InputError as error:
        return None, str(error), None
    rules, _ = lineage.rules_of(workspace, base.commit)
    found, notes, pinned = None, [], None
    for name in rules.gate.baselines:
        match kind_of_baseline(name):
            case "base" if base.commit is None:
                notes.append(base.how)
            case "base" if base.commit is not None:
                found, note = search.carry(workspace, base.commit, workspace.state)
                notes.append(note)
            case "release":
                try:
                    commit = release.commit_of(workspace.root, workspace.context, name)
                except InputError as error:
                    notes.append(str(error))
                    continue
                pinned, note = search.carry(workspace, commit, workspace.state, "pinned")
                notes += [f"{name}: {note}"] if note and pinned is None else []
    return found, "; ".join(filter(None, notes)), pinned


def _tracked_run(workspace: Workspace) -> MlflowRun | None:
    """The training's run in MLflow."""
    train = workspace.evidence("train")
    return train.findings.mlflow if train is not None and isinstance(train.findings, TrainFindings) else None


def _log_to_mlflow(workspace: Workspace, candidate: ScoredModel) -> Callable[[], list[str]]:
    """Begin to log the metrics to the training's run; a process of its own does it while we go on.

    Returns:
        What waits for it. It returns a warning where nobody asked for MLflow and it failed; raises InfrastructureError where somebody did.
    """
    tracked = _tracked_run(workspace)
    if tracked is None:
        return list
    from mlgate.registry import runs, tracking

    place = tracking.resolve(workspace.config.mlflow.tracking_uri, os.environ, workspace.root)
    metrics = {metric.name: metric.value for metric in candidate.metrics}
    metrics |= {f"{metric.name} on {one.name}": metric.value for one in candidate.perturbed for metric in one.metrics}
    files = [path for stage in STAGES if (path := workspace.evidence_path(stage)).is_file()]
    predicted = [workspace.state / candidate.predictions.path] if candidate.predictions else []
    pending = runs.log_evaluation(place.uri, tracked.run_id, metrics, [*files, *predicted])

    def wait() -> list[str]:
        try:
            pending.wait()
        except InfrastructureError as error:
            if place.is_required:
                raise
            return [str(error)]
        return []

    return wait


def _baseline_files(state: Path) -> list[FileRef]:
    folders = (state / "files" / name for name in ("baseline", "pinned"))
    return [file_ref(path, state) for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if path.is_file()]


def _unknown_labels(found: Predictions | None) -> list[str]:
    """The usual sign of labels written in two ways, `3` and `three`."""
    if found is None or found.classes is None or len(found.classes) < 2 or set(found.target.tolist()) & set(found.prediction.tolist()):
        return []
    return ["no predicted class is among the true ones; are both columns labelled alike?"]


def _summary(model: ScoredModel) -> str:
    shown = ", ".join(f"{metric.name} {_number(metric)}" for metric in model.metrics[:_SHOWN])
    more = f" and {len(model.metrics) - _SHOWN} more" if len(model.metrics) > _SHOWN else ""
    if model.n is None and model.seed_metrics:
        return f"{shown or 'no number'}{more} from metric files, and {len(model.seed_metrics):,} further training runs of them"
    if model.n is None:
        return f"{shown or 'no number'}{more} from metric files alone: uncertified, no predictions stand behind them"
    return f"{shown or 'no metric is defined'}{more} on {model.n:,} {'example' if model.n == 1 else 'examples'}"


def _number(metric: MetricValue) -> str:
    size = abs(metric.value)
    if size >= 10_000:
        return f"{metric.value:,.0f}" if size < 1e15 else f"{metric.value:.3g}"
    return f"{metric.value:.3f}" if 0.001 <= size < 10 or size == 0 else f"{metric.value:.4g}"
