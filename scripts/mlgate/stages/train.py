"""train: the user's command on validated data, recorded in MLflow, and nothing trained twice. After validate-data, before evaluate."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from mlgate.config import TrainConfig
from mlgate.console import plain
from mlgate.data import dvc_log
from mlgate.data.tracking import dvc_root
from mlgate.errors import InfrastructureError
from mlgate.evidence import Annotation, CommandRun, DataRef, MlflowRun, PipelineStage, TrainFindings
from mlgate.registry import runs, tracking
from mlgate.stages.job import commands, form_parameters, training_data
from mlgate.training import params, pipeline, run_cache
from mlgate.training.params import Override
from mlgate.workspace import StageResult, Workspace

_LOG = "train/train.log"
_EARLIER = ("check", "pull-data", "validate-data")
_MAX_DATA_TAGS = 100


def run(workspace: Workspace) -> StageResult:
    """Train on the data that was validated, and on no other.

    Raises:
        InputError: nothing was validated, the data is not what was, or a parameter or MLflow's place is wrong (exit 2).
        InfrastructureError: data or MLflow cannot be reached, or we were interrupted (exit 3).
    """
    if workspace.config.train is None:
        summary = f"nothing to train: {workspace.config_path} has no `train`, predictions are taken as they are"
        return StageResult(status="skipped", summary=summary)
    validated = training_data.validated(workspace)
    place = tracking.resolve(workspace.config.mlflow.tracking_uri, os.environ, workspace.root)
    tracking.check(place, os.environ)
    asked = form_parameters.apply(workspace)
    inputs = _Inputs(validated, params.read(workspace.root, workspace.config.params), asked)
    recorder = runs.Recorder(workspace.root)
    try:
        remarks = _make_ready(workspace, validated)
        started = _start(workspace, recorder, place, inputs, workspace.config.train.command)
        training = _train(workspace, workspace.config.train, validated)
        recorded, problem = _finish(workspace, started, training)
    except BaseException:
        recorder.close()  # marks an open run as killed
        raise
    if problem:
        recorder.close()
    training.remarks[:0] = remarks
    return _with_mlflow_problem(_result(workspace, inputs, training, recorded), problem, is_required=place.is_required)


@dataclass(frozen=True)
class _Inputs:
    """What is trained on."""

    data: list[DataRef]
    params: dict[str, str]
    overrides: list[Override]
    """Those of `params` that are not as the commit has them."""


@dataclass
class _Training:
    """What came of the training command."""

    run: CommandRun
    pipeline: list[PipelineStage]
    lock_sha256: str | None
    problem: str | None = None
    """Why it does not count."""
    remarks: list[str] = field(default_factory=list)

    @property
    def is_reused(self) -> bool:
        return self.problem is None and bool(self.pipeline) and all(stage.is_reused for stage in self.pipeline)


def _make_ready(workspace: Workspace, validated: list[DataRef]) -> list[str]:
    """Have the validated data here, and what was run on it before. Returns what there is to say of it."""
    training_data.fetch(workspace, validated)
    remarks = []
    if (repository := dvc_root(workspace.root)) and (problem := _recall(workspace, repository)):
        remarks.append(f"DVC's run cache could not be asked, so stages may run that another machine has run: {problem}")
    training_data.ensure(workspace, validated)
    return remarks


def _train(workspace: Workspace, settings: TrainConfig, validated: list[DataRef]) -> _Training:
    """Run the command, and keep what came of it."""
    timeout_s = settings.timeout
    command = commands.run(workspace, settings.command, _LOG, timeout_s)
    lock = workspace.root / "dvc.lock"
    training = _Training(
        run=command,
        pipeline=pipeline.stages_in(workspace.files / _LOG),
        lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    )
    if command.exit_code != 0:
        training.problem = commands.failure(command, timeout_s)
    elif changed := training_data.changed(workspace, validated):
        training.problem = f"the training command changed validated data: {changed}; what it trained on is not what the contracts saw"
    elif (repository := dvc_root(workspace.root)) and not workspace.context.is_fork and (problem := _keep(workspace, repository)):
        training.remarks.append(f"DVC's run cache could not be kept on the remote, so another machine will train this again: {problem}")
    return training


def _recall(workspace: Workspace, repository: Path) -> str | None:
    with workspace.console.progress("looking for earlier runs of the pipeline"), dvc_log.captured() as log:
        recalled = run_cache.recall(repository, workspace.root, workspace.config.data.remote)
    if recalled.stages:
        brought = f", {recalled.objects:,} file{'s' if recalled.objects != 1 else ''} brought from the remote" if recalled.objects else ""
        workspace.console.line(f"  run before on these inputs: {', '.join(recalled.stages[:10])}{brought}")
    return recalled.problem and _why(log, recalled.problem)


def _keep(workspace: Workspace, repository: Path) -> str | None:
    with workspace.console.progress("keeping the run for other machines"), dvc_log.captured() as log:
        kept = run_cache.keep(repository, workspace.root, workspace.config.data.remote)
    return kept.problem and _why(log, kept.problem)


def _why(log: dvc_log.Captured, problem: str) -> str:
    """What DVC only tells its log says more."""
    reason = dvc_log.reason(log.errors)
    return reason.text if reason else problem


def _start(workspace: Workspace, recorder: runs.Recorder, place: tracking.Tracking, inputs: _Inputs, command: str) -> runs.StartedRun:
    """Have MLflow show the run while it goes on; nothing waits for it."""
    context, commit = workspace.context, workspace.commit
    tags = {
        "mlgate.model": workspace.config.model,
        "mlgate.config.sha256": workspace.config_sha256,
        "mlgate.event": context.event,
        "mlgate.run.url": context.run_url,
        "mlgate.pull_request": context.pull_request,
        "mlgate.overrides": ", ".join(override.key for override in inputs.overrides),
        "mlflow.source.git.commit": commit,
        "mlflow.source.name": command,
    }
    tags |= {f"data.{reference.path}": reference.hash for reference in inputs.data[:_MAX_DATA_TAGS]}
    return runs.start(
        recorder,
        place,
        experiment=workspace.config.model,
        name=f"{(commit or 'no commit')[:12]}{f' #{context.pull_request}' if context.pull_request else ''}",
        params=inputs.params,
        tags={key: str(value) for key, value in tags.items() if value},
    )


def _finish(workspace: Workspace, started: runs.StartedRun, training: _Training) -> tuple[MlflowRun | None, InfrastructureError | None]:
    """Write what came of it; a run that MLflow did not take is a problem, not a lost training."""
    root = workspace.root
    files = [(workspace.evidence_path(stage), "evidence") for stage in _EARLIER]
    files += [(workspace.files / _LOG, "train"), (root / "dvc.lock", "train"), (root / workspace.config_path, "train")]
    files += [(root / path, "params") for path in workspace.config.params]
    tags = {
        "dvc.lock.sha256": training.lock_sha256,
        "mlgate.is_reused": str(training.is_reused).lower(),
        "mlgate.problem": training.problem,
    }
    try:
        with workspace.console.progress("writing the run to MLflow"):
            recorded = started.finish(
                "FAILED" if training.problem else "FINISHED",
                metrics={"train.duration_s": training.run.duration_s, "train.exit_code": training.run.exit_code},
                tags={key: value for key, value in tags.items() if value},
                files=files,
            )
    except InfrastructureError as error:
        return None, error
    return recorded, None


def _result(workspace: Workspace, inputs: _Inputs, training: _Training, recorded: MlflowRun | None) -> StageResult:
    said = [f"with {override.key} = {plain(str(override.value))[:200]} in {override.path} (MLGATE_PARAMS)" for override in inputs.overrides]
    return StageResult(
        status="failed" if training.problem else "passed",
        summary=training.problem or ". ".join([_summary(training), *said, *training.remarks]),
        findings=TrainFindings(
            run=training.run,
            params=inputs.params,
            lock_sha256=training.lock_sha256,
            pipeline=training.pipeline,
            is_reused=training.is_reused,
            mlflow=recorded,
        ),
        data=inputs.data,
        files=[training.run.log] if training.run.log else [],
        annotations=[Annotation(path=workspace.config_path, level="warning", message=remark) for remark in training.remarks],
    )


def _with_mlflow_problem(result: StageResult, problem: InfrastructureError | None, *, is_required: bool) -> StageResult:
    """The result where MLflow failed: an error where the user named a place for runs, else a remark. The training counts in both."""
    if problem is None:
        return result
    is_error = is_required and result.status == "passed"
    return dataclasses.replace(
        result,
        status="error" if is_error else result.status,
        summary=f"{result.summary}. {problem}",
        exit_code=problem.exit_code if is_error else None,
    )


def _summary(training: _Training) -> str:
    reused = sum(stage.is_reused for stage in training.pipeline)
    duration = f"{training.run.duration_s:,.1f} s"
    if training.is_reused:
        return f"nothing had to be trained: {_stages(reused)} reused from an earlier run ({duration})"
    return f"trained in {duration}" + (f"; {reused} of {_stages(len(training.pipeline))} reused from an earlier run" if reused else "")


def _stages(count: int) -> str:
    return f"{count} pipeline stage{'s' if count != 1 else ''}"
