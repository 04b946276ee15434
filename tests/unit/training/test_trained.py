"""What the stage `train` makes of a training: its status, its exit code and its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlgate.errors import InfrastructureError
from mlgate.evidence import CheckpointFindings, CheckpointRef, CommandRun, PipelineStage, PreflightFindings
from mlgate.stages.training import trained
from mlgate.stages.training.machine import UnfitMachineError
from mlgate.stages.training.trained import Inputs, Training
from mlgate.workspace import StageResult, Workspace
from support import make_repository

CHECKPOINT = CheckpointRef(name="c", saved_at="2026-11-21T09:00:00Z", trained_s=60, step=12, unit="epoch")
KEPT = CheckpointFindings(key="0" * 64, place="the place", resumed_from=None, last=CHECKPOINT, saved=1, passed_over=[])
STAGE = PipelineStage(name="train", is_reused=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(make_repository(tmp_path), "mlgate.yaml", {})


def made(workspace: Workspace, exit_code: int = 0, **more: Any) -> StageResult:
    run = CommandRun(command="python train.py", exit_code=exit_code, duration_s=9)
    return trained.result(workspace, Inputs([], {}, []), Training(run, **more), None)


def test_what_was_ended_from_outside_is_an_error_and_what_ended_itself_wrongly_has_failed(workspace: Workspace) -> None:
    assert (made(workspace).status, made(workspace).exit_code) == ("passed", None)
    failed = made(workspace, 1, problem="it failed")
    assert (failed.status, failed.exit_code, failed.summary) == ("failed", None, "it failed")
    ended = made(workspace, 143, problem="it was ended", ended_by="SIGTERM", is_preempted=True)
    assert (ended.status, ended.exit_code) == ("error", 3)


def test_a_checkpoint_is_named_where_the_next_run_goes_on_from_it(workspace: Workspace) -> None:
    ended = made(workspace, 143, problem="it was ended", ended_by="SIGTERM", is_preempted=True, checkpoints=KEPT)
    assert "epoch 12" in ended.summary
    assert "epoch 12" not in made(workspace, 1, problem="it failed", checkpoints=KEPT).summary


def test_nothing_was_reused_where_something_was_wrong_or_there_was_no_pipeline(workspace: Workspace) -> None:
    run = CommandRun(command="dvc repro", exit_code=0, duration_s=9)
    assert Training(run, pipeline=[STAGE]).is_reused
    assert not Training(run).is_reused
    assert not Training(run, pipeline=[STAGE, PipelineStage(name="score", is_reused=False)]).is_reused
    assert not Training(run, pipeline=[STAGE], problem="it failed").is_reused


def test_a_machine_that_lacks_what_is_asked_for_is_an_error_of_the_machine() -> None:
    found = PreflightFindings(driver=None, cuda=None, devices=[], problems=["no GPU"])
    refused = trained.refused(UnfitMachineError("train.gpu: no GPU", found))
    assert (refused.status, refused.exit_code, refused.summary) == ("error", 3, "train.gpu: no GPU")
    assert refused.findings is not None
    assert refused.findings.preflight == found  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "is_required", "expected"),
    [
        ({}, True, ("error", 3)),
        ({}, False, ("passed", None)),
        ({"exit_code": 1, "problem": "it failed"}, True, ("failed", None)),
    ],
)
def test_a_run_that_mlflow_did_not_take_is_an_error_only_where_its_place_was_named(
    workspace: Workspace, more: dict[str, Any], expected: tuple[str, int | None], *, is_required: bool
) -> None:
    found = trained.with_mlflow_problem(made(workspace, **more), InfrastructureError("no MLflow"), is_required=is_required)
    assert (found.status, found.exit_code) == expected
    assert found.summary.endswith(". no MLflow")
