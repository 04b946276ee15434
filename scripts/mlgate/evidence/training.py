"""What train finds."""

from __future__ import annotations

from mlgate.evidence.data import CommandRun
from mlgate.evidence.gpu import AccountFindings, LeaseFindings, PreflightFindings, TrainingCost
from mlgate.evidence.record import Commit, Record, Sha256, Text


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


class CurvePoint(Record):
    step: float
    value: float


class ProgressFindings(Record):
    """How far the training came, as its progress bars or its progress file said."""

    step: float | None = None
    total: float | None = None
    unit: Text | None = None
    """What is counted: `epoch`, `it`."""
    metrics: dict[Text, float] = {}
    """The last value of each."""
    curves: dict[Text, list[CurvePoint]] = {}
    """At most 200 points each, in order of steps."""


class CheckpointRef(Record):
    """A checkpoint that was saved, or gone on from."""

    name: Text
    """Of its manifest in the place where checkpoints are kept."""
    saved_at: Text
    """UTC, ISO 8601."""
    trained_s: float
    """Seconds of training that it holds, over all runs that led to it."""
    step: float | None = None
    unit: Text | None = None
    """What `step` counts: `epoch`, `it`. None where the training did not say how far it was, or an earlier mlgate saved it."""
    size_bytes: int = 0
    spent: TrainingCost | None = None
    """What all runs that led to it had taken when it was saved."""


class CheckpointFindings(Record):
    """Where the training began, and what it left to go on from."""

    key: Sha256
    """Of code, data, parameters and command: only a training of the same goes on from these."""
    place: Text
    """Where they are kept, without credentials."""
    resumed_from: CheckpointRef | None = None
    last: CheckpointRef | None = None
    """The newest that was saved."""
    saved: int = 0
    passed_over: list[Text] = []
    """Checkpoints that were not gone on from, and why: cut, changed, of another training."""


class ReusedRun(Record):
    """An earlier run of the same code, data, parameters and environment, whose result was taken."""

    commit: Commit | None
    run_url: Text | None
    trained_at: Text
    duration_s: float
    key: Sha256
    cost: TrainingCost | None = None
    """What it took then."""


class TrainFindings(Record):
    run: CommandRun | None
    """None: nothing was run, since the machine has not what the training asks for."""
    params: dict[str, Text]
    """Values of the parameter files, nested keys joined by dots."""
    lock_sha256: Sha256 | None
    """Of dvc.lock after training."""
    pipeline: list[PipelineStage]
    is_reused: bool
    """Whether nothing at all was trained because an earlier run had done it."""
    mlflow: MlflowRun | None
    preflight: PreflightFindings | None = None
    lease: LeaseFindings | None = None
    account: AccountFindings | None = None
    progress: ProgressFindings | None = None
    checkpoints: CheckpointFindings | None = None
    reused_run: ReusedRun | None = None
    ended_by: Text | None = None
    """What ended it from outside: `SIGTERM`, `spot notice`, `time limit`."""
    node_rank: int | None = None
    """Of a training on several machines, the number of this one; that of rank 0 leaves the evidence that counts."""
