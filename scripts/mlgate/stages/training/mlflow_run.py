"""The MLflow run of a training: shown while it goes on, written when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgate.errors import InfrastructureError
from mlgate.evidence import MlflowRun
from mlgate.registry import runs, tracking
from mlgate.stages.training.trained import Inputs, Training
from mlgate.workspace import Workspace

_EARLIER = ("check", "pull-data", "validate-data")
_MAX_DATA_TAGS = 100
_RESERVE_S = 0.3
_HURRIED_S = 1.5
"""For MLflow to note that a run was ended, while whoever ended it waits for us."""


class Record:
    """The run of one training, where it is to have one: of several machines, that of rank 0 keeps it."""

    def __init__(self, workspace: Workspace, place: tracking.Tracking, inputs: Inputs, *, is_kept: bool) -> None:
        """Have MLflow ready when it is needed: it is imported while we do something else."""
        self._workspace, self._place, self._inputs = workspace, place, inputs
        self._recorder = runs.Recorder(workspace.root) if is_kept else None
        self._started: runs.StartedRun | None = None

    def start(self, command: str) -> None:
        """Have MLflow show it as running; nothing waits for that."""
        if self._recorder is None:
            return
        context, commit = self._workspace.context, self._workspace.commit
        tags = {
            "mlgate.model": self._workspace.config.model,
            "mlgate.config.sha256": self._workspace.config_sha256,
            "mlgate.event": context.event,
            "mlgate.run.url": context.run_url,
            "mlgate.pull_request": context.pull_request,
            "mlgate.overrides": ", ".join(override.key for override in self._inputs.overrides),
            "mlflow.source.git.commit": commit,
            "mlflow.source.name": command,
        }
        tags |= {f"data.{reference.path}": reference.hash for reference in self._inputs.data[:_MAX_DATA_TAGS]}
        self._started = runs.start(
            self._recorder,
            self._place,
            experiment=self._workspace.config.model,
            name=f"{(commit or 'no commit')[:12]}{f' #{context.pull_request}' if context.pull_request else ''}",
            params=self._inputs.params,
            tags={key: str(value) for key, value in tags.items() if value},
        )

    def finish(self, training: Training, log: str, left_s: float) -> tuple[MlflowRun | None, InfrastructureError | None]:
        """Write what came of it; a run that MLflow did not take is a problem, not a lost training.

        Args:
            training: what came of it.
            log: path of its output below `files/`.
            left_s: seconds until whoever ended the training ends us; infinite where nobody did.
        """
        if self._started is None:
            return None, None
        workspace, root = self._workspace, self._workspace.root
        files = [(workspace.evidence_path(stage), "evidence") for stage in _EARLIER]
        files += [(workspace.files / log, "train"), (root / "dvc.lock", "train"), (root / workspace.config_path, "train")]
        files += [(root / path, "params") for path in workspace.config.params]
        tags = {
            "dvc.lock.sha256": training.lock_sha256,
            "mlgate.is_reused": str(training.is_reused).lower(),
            "mlgate.problem": training.problem,
            "mlgate.ended_by": training.ended_by,
        }
        metrics = {"train.duration_s": training.run.duration_s, "train.exit_code": training.run.exit_code}
        said = {key: value for key, value in tags.items() if value}
        if training.is_preempted:
            return self._left(self._started, metrics, said, files, min(left_s + _RESERVE_S, _HURRIED_S)), None
        try:
            with workspace.console.progress("writing the run to MLflow"):
                return self._started.finish("FAILED" if training.problem else "FINISHED", metrics=metrics, tags=said, files=files), None
        except InfrastructureError as error:
            self.abandon()
            return None, error

    def _left(
        self,
        started: runs.StartedRun,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[tuple[Path, str]],
        within_s: float,
    ) -> MlflowRun | None:
        """Of a training that was ended: None where MLflow has not taken the run yet."""
        try:
            return started.leave(metrics=metrics, tags=tags, files=files, within_s=within_s)
        except InfrastructureError:
            return None
        finally:
            if self._workspace.context.is_github:  # which kills us 10 s after its first signal; elsewhere it is waited for at our end
                started.let_go()

    def abandon(self) -> None:
        """End it; a run that is open is marked as killed."""
        if self._recorder is not None:
            self._recorder.close()

    def leave(self) -> None:
        """As `abandon`, for whoever waits after Ctrl-C: what MLflow has not taken by then is left to the recorder alone."""
        if self._recorder is not None:
            self._recorder.let_go(_HURRIED_S)
