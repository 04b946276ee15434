"""What train finds."""

from __future__ import annotations

from mlgate.evidence.data import CommandRun
from mlgate.evidence.record import Record, Sha256, Text


class MlflowRun(Record):
    tracking_uri: Text
    """Without credentials."""
    experiment: Text
    run_id: Text
    url: Text | None
    """Page of the run, where the server has pages."""


class PipelineStage(Record):
    """One DVC stage the training command went through."""

    name: Text
    is_reused: bool
    """Whether its outputs came from the run cache or were up to date already."""


class TrainFindings(Record):
    run: CommandRun
    params: dict[str, Text]
    """Values of the parameter files, nested keys joined by dots."""
    lock_sha256: Sha256 | None
    """Of dvc.lock after training."""
    pipeline: list[PipelineStage]
    is_reused: bool
    """Whether nothing at all was trained because an earlier run had done it."""
    mlflow: MlflowRun | None
