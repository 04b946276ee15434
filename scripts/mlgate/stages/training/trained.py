"""What a training is given and what comes of it, and the result that the stage `train` makes of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from mlgate.console import duration, plain
from mlgate.errors import InfrastructureError
from mlgate.evidence import (
    AccountFindings,
    Annotation,
    CheckpointFindings,
    CommandRun,
    DataRef,
    LeaseFindings,
    MlflowRun,
    PipelineStage,
    PreflightFindings,
    ProgressFindings,
    Status,
    TrainFindings,
)
from mlgate.stages.training.machine import UnfitMachineError
from mlgate.stages.training.resume import place_in_training
from mlgate.stages.training.reuse import Reused
from mlgate.stages.training.running import RUN_AGAIN
from mlgate.training.params import Override
from mlgate.workspace import StageResult, Workspace


@dataclass(frozen=True)
class Inputs:
    """What is trained on."""

    data: list[DataRef]
    params: dict[str, str]
    overrides: list[Override]
    """Those of `params` that are not as the commit has them."""
    data_revision: str | None = None
    """Whose data it is, where it is not the commit's own."""


@dataclass
class Training:
    """What came of the training command."""

    run: CommandRun
    pipeline: list[PipelineStage] = field(default_factory=list)
    lock_sha256: str | None = None
    problem: str | None = None
    """Why it does not count."""
    remarks: list[str] = field(default_factory=list)
    ended_by: str | None = None
    is_preempted: bool = False
    """Whether it was ended from outside, and nothing is wrong with it."""
    node_rank: int | None = None
    preflight: PreflightFindings | None = None
    lease: LeaseFindings | None = None
    account: AccountFindings | None = None
    progress: ProgressFindings | None = None
    checkpoints: CheckpointFindings | None = None
    reused: Reused | None = None
    """The earlier run whose result it is."""

    @property
    def is_reused(self) -> bool:
        is_pipeline_reused = bool(self.pipeline) and all(stage.is_reused for stage in self.pipeline)
        return self.problem is None and (self.reused is not None or is_pipeline_reused)


def result(workspace: Workspace, inputs: Inputs, training: Training, recorded: MlflowRun | None) -> StageResult:
    """The stage's result."""
    said = [f"with {override.key} = {plain(str(override.value))[:200]} in {override.path} (MLGATE_PARAMS)" for override in inputs.overrides]
    if inputs.data_revision:
        said.append(f"with the data of {inputs.data_revision}")
    status: Status = "error" if training.is_preempted else "failed" if training.problem else "passed"
    heading = [_problem(training)] if training.problem else [_summary(training), *said]
    return StageResult(
        status=status,
        summary="; ".join(filter(None, [*heading, *([] if status == "failed" else training.remarks)])),
        findings=TrainFindings(
            run=training.run,
            params=inputs.params,
            lock_sha256=training.lock_sha256,
            pipeline=training.pipeline,
            is_reused=training.is_reused,
            mlflow=recorded,
            preflight=training.preflight,
            lease=training.lease,
            account=training.account,
            progress=training.progress,
            checkpoints=training.checkpoints,
            reused_run=training.reused.run if training.reused else None,
            ended_by=training.ended_by,
            node_rank=training.node_rank,
        ),
        data=inputs.data,
        files=[training.run.log] if training.run.log else [],
        annotations=[Annotation(path=workspace.config_path, level="warning", message=remark) for remark in training.remarks],
        exit_code=InfrastructureError.exit_code if status == "error" else None,
    )


def refused(why: UnfitMachineError) -> StageResult:
    """The result where the machine has not what the training asks for: nothing was begun."""
    findings = TrainFindings(run=None, params={}, lock_sha256=None, pipeline=[], is_reused=False, mlflow=None, preflight=why.findings)
    return StageResult(status="error", summary=str(why), findings=findings, exit_code=why.exit_code)


def with_mlflow_problem(found: StageResult, problem: InfrastructureError | None, *, is_required: bool) -> StageResult:
    """The result where MLflow failed: an error where the user named a place for runs, else a remark. The training counts in both."""
    if problem is None:
        return found
    is_error = is_required and found.status == "passed"
    return dataclasses.replace(
        found,
        status="error" if is_error else found.status,
        summary=f"{found.summary}. {problem}",
        exit_code=problem.exit_code if is_error else found.exit_code,
    )


def _problem(training: Training) -> str:
    """With what a training that was ended from outside left to go on from."""
    problem = training.problem or ""
    last = training.checkpoints.last if training.checkpoints else None
    if last is None or training.ended_by is None:
        return problem
    where = f" of {at}" if (at := place_in_training(last)) else ""
    return f"{problem.removesuffix(RUN_AGAIN)}; the checkpoint{where} is kept{RUN_AGAIN}, it goes on from there"


def _summary(training: Training) -> str:
    if training.reused:
        return training.reused.summary
    reused = sum(stage.is_reused for stage in training.pipeline)
    took = duration(training.run.duration_s)
    if training.is_reused:
        return f"nothing had to be trained: {_stages(reused)} reused from an earlier run ({took})"
    return f"trained in {took}" + (f"; {reused} of {_stages(len(training.pipeline))} reused from an earlier run" if reused else "")


def _stages(count: int) -> str:
    return f"{count} pipeline stage{'s' if count != 1 else ''}"
