"""The result of an earlier run of the same code, data, parameters, command and environment: brought here instead of training again, so
that no GPU is touched; and kept for later runs after a training. Asked before anything is leased. Used by `stages.train`:

    sought = reuse.look(workspace, data, params, processes=2)
    if (reused := sought.earlier()) is not None: …          # its files lie in the working directory, reused.run is for the findings
    remark = sought.keep(ran)                                # after a training that succeeded

A DVC pipeline has DVC's run cache for it: `needs_no_gpu` says before a lease whether it will run anything. What DVC's memory does not
know is the environment: `pipeline_remark` says where it was another.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlgate import console
from mlgate.config import TrainConfig
from mlgate.data.remote_identity import UNPINNED
from mlgate.data.tracking import dvc_root, pipeline_outputs
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import CommandRun, DataRef, ReusedRun, TrainingCost
from mlgate.stages.job import leftovers, training_data
from mlgate.stages.training import checkpoint_places, same_training
from mlgate.training import environment, pipeline, results, run_cache
from mlgate.training.checkpoints.places import FolderPlace, Place, PlaceError
from mlgate.training.environment import Environment, UnknownEnvironmentError
from mlgate.training.results import Found, NotKeptError, NotWholeError, Products, Result, ResultFile
from mlgate.workspace import Workspace

FOLDER = "mlgate-results"
_DVC = re.compile(r"\bdvc\s+(?:repro|exp)\b")
_ASIDE = "reused"
_DATA_UNKNOWN = (
    "mlgate.yaml names no data, or data without a version, so nobody can tell whether it is the same; 'train.reuse: true' says that it is"
)
_MODEL_UNKNOWN = "a command of `evaluation` needs the model, and train.outputs does not name its files"


@dataclass(frozen=True)
class Reused:
    """An earlier result, whose files lie in the working directory now."""

    run: ReusedRun
    command: CommandRun
    """For the findings: what ran then; its duration is what bringing it took."""
    summary: str
    """For the stage's line."""


class Sought:
    """The result of one training: looked for, brought, kept. Without a key all of it does nothing."""

    def __init__(
        self,
        workspace: Workspace,
        data: Sequence[DataRef] = (),
        place: Place | None = None,
        training: str = "",
        here: Environment | None = None,
        why_not: str = "",
    ) -> None:
        self._workspace, self._data, self._place, self._training, self._here = workspace, list(data), place, training, here
        self._is_damaged = False
        self._began = time.time()
        self.why_not = why_not
        """Why no result is looked for, in words; empty where one is."""

    @property
    def key(self) -> str | None:
        """SHA-256 of all that another run must share with this one; None where no result is looked for."""
        return results.key(self._training, self._here) if self._here is not None else None

    def earlier(self) -> Reused | None:
        """Bring the files of an earlier run, all of them verified before any is put into place; None where there is no such run.

        What lies in the place cannot fail a training: where it is of no use, that is said in a line, and the training runs.

        Raises:
            InputError: data that the evaluation needs is not what was validated.
            InfrastructureError: the working directory cannot be written, or that data cannot be had.
        """
        workspace, place, began = self._workspace, self._place, time.monotonic()
        run, is_from_nothing = workspace.context.run, same_training.is_from_nothing(os.environ)
        if place is None or self._here is None or (is_from_nothing and (run is None or run.attempt == 1)):
            return None
        found = Found()
        try:
            with workspace.console.progress("looking for an earlier run of the same"):
                found = results.find(place, self._training, self._here, _products(workspace))
                if is_from_nothing and not (run and found.result and run.is_later_attempt_of(found.result.begun_anew)):
                    return None
                if found.result is not None:
                    results.bring(place, found.result, workspace.root, workspace.files / _ASIDE)
        except (NotWholeError, PlaceError) as error:
            self._is_damaged = isinstance(error, NotWholeError) or found.result is not None
            what = (
                "an earlier run of the same left a result that is of no use" if self._is_damaged else "no earlier run could be looked for"
            )
            workspace.console.line(f"  {what}: {place.description}: {error}")
            return None
        except OSError as error:
            raise InfrastructureError(
                f"{error.filename or workspace.root}: the result of an earlier run cannot be written: {error.strerror}"
            ) from None
        if found.result is None:
            if found.elsewhere is not None:
                differences = found.elsewhere.differences(self._here)
                workspace.console.line(f"  the same was trained in another environment, so it is trained again: {differences}")
            return None
        if self._workspace.config.evaluation.predict or self._workspace.config.evaluation.latency:
            training_data.fetch(workspace, self._data)  # no training needs it now, but what evaluates the model does
            training_data.ensure(workspace, self._data)
        return self._reused(found.result, time.monotonic() - began)

    def _reused(self, result: Result, seconds: float) -> Reused:
        workspace = self._workspace
        train = _settings(workspace)
        run_url = f"{workspace.context.server_url}/{result.run.repository}/actions/runs/{result.run.run_id}" if result.run else None
        run = ReusedRun(
            commit=result.commit,
            run_url=run_url if run_url and re.fullmatch(r"https?://[\w.:/-]+", run_url) else None,
            trained_at=result.trained_at.isoformat(timespec="seconds"),
            duration_s=result.duration_s,
            key=result.key,
            cost=result.cost,
        )
        files = f"{len(result.files)} file{'s' if len(result.files) != 1 else ''}, {console.size(result.size_bytes)}"
        of = f"commit {result.commit[:12]}" if result.commit else "an earlier run"
        summary = (
            f"nothing was trained and no GPU touched: the result of {of} of {_moment(result.trained_at)} is reused "
            f"({files}; it took {console.duration(result.duration_s)} then)"
        )
        command = CommandRun(command=train.command[:20_000], exit_code=0, duration_s=seconds)
        return Reused(run, command, summary)

    def keep(self, ran: CommandRun, trained_s: float | None = None, cost: TrainingCost | None = None) -> str | None:
        """Keep what a training that succeeded left, for later runs.

        Args:
            ran: the command.
            trained_s: seconds of training over all runs that led to it, where it went on from a checkpoint.
            cost: what these took.

        Returns:
            Why it could not be kept, for a remark.
        """
        workspace, place, here = self._workspace, self._place, self._here
        if place is None or here is None or ran.exit_code != 0 or workspace.context.is_fork:
            return None

        if left := leftovers.not_written_since(workspace.root, workspace.evaluation_files, self._began):
            return f"{left[0]} lay there before the training, which did not write it, so the result is not kept for other runs of the same"

        def described(files: list[ResultFile]) -> Result:
            return _result(workspace, self._training, here, ran.duration_s if trained_s is None else trained_s, files, cost)

        try:
            with workspace.console.progress("keeping the result for later runs"):
                sent = results.keep(
                    place,
                    workspace.root,
                    _products(workspace),
                    described,
                    is_replacing=self._is_damaged or same_training.is_from_nothing(os.environ),
                )
        except NotKeptError as error:
            return f"the result could not be kept ({place.description}), so another run of the same will train again: {error}"
        if sent:
            size = console.size(sent)
            workspace.console.line(f"  kept for later runs of the same: {size}, {place.description}")
        return None


def look(workspace: Workspace, data: Sequence[DataRef], params: Mapping[str, str], *, processes: int = 1) -> Sought:
    """Work out what is looked for, before anything runs.

    Args:
        workspace: the model's; what a form asked for is in its files.
        data: as it was validated.
        params: values of the parameter files.
        processes: how many `launcher: torchrun` starts on each node.

    Raises:
        InputError: this clone lacks the commit, or a pipeline file is broken.
    """
    if why := _why_not(workspace, data):
        if why in (_DATA_UNKNOWN, _MODEL_UNKNOWN):
            workspace.console.line(f"  no earlier run is looked for: {why}")
        return Sought(workspace, why_not=why)
    place = _place(workspace)
    if place is None or (workspace.context.is_fork and not isinstance(place, FolderPlace)):
        return Sought(workspace, why_not="there is no place that outlives this machine")
    if isinstance(place, FolderPlace) and place.path.is_relative_to(workspace.root):
        kept_inside = [place.path.relative_to(workspace.root).as_posix()]
    else:
        kept_inside = []
    try:
        here = environment.here(workspace.root)
    except UnknownEnvironmentError as error:
        workspace.console.line(f"  no earlier run is looked for: {error}")
        return Sought(workspace, why_not=str(error))
    training = same_training.identify(workspace, data, params, processes=processes, but_for=kept_inside).key
    return Sought(workspace, data, place, training, here)


def needs_no_gpu(workspace: Workspace, recalled: run_cache.Recalled) -> bool:
    """Whether the command is `dvc repro` of a pipeline of which DVC will run no stage, so that nothing has to be leased for it."""
    train = _settings(workspace)
    return train.launcher == "shell" and pipeline.is_whole_repro(train.command) and bool(recalled.stages) and not recalled.to_run


def pipeline_remark(workspace: Workspace, lock_sha256: str | None, *, is_reused: bool, duration_s: float) -> str | None:
    """Remember in which environment a DVC pipeline was run on GPUs; of one that was reused, say where that was another.

    DVC's key has no environment. Its users expect `dvc repro` to do what it does, so nothing is trained anew for it: who wants that makes
    the file that pins the environment a dependency of the stage.

    Args:
        workspace: the model's.
        lock_sha256: of dvc.lock afterwards.
        is_reused: whether DVC ran no stage.
        duration_s: of the command.
    """
    train = workspace.config.train
    if train is None or train.gpu is None or not train.reuse or lock_sha256 is None:
        return None
    place = _place(workspace)
    if place is None or (workspace.context.is_fork and not isinstance(place, FolderPlace)):
        return None
    try:
        here = environment.here(workspace.root)
        if is_reused:
            elsewhere = results.find(place, lock_sha256, here, Products(())).elsewhere
            if elsewhere is None:
                return None
            return (
                f"DVC reused what was trained in another environment ({elsewhere.differences(here)}); for it to train anew, name the file "
                "that pins your environment among the stage's deps"
            )
        if not workspace.context.is_fork:
            results.keep(place, workspace.root, Products(()), lambda files: _result(workspace, lock_sha256, here, duration_s, files))
    except (UnknownEnvironmentError, NotWholeError, NotKeptError, PlaceError) as error:
        workspace.console.line(f"  the environment of this run is not remembered: {error}")
    return None


def _result(
    workspace: Workspace, training: str, here: Environment, duration_s: float, files: list[ResultFile], cost: TrainingCost | None = None
) -> Result:
    return Result(
        training=training,
        environment=here,
        model=workspace.config.model,
        commit=workspace.commit,
        run=workspace.context.run,
        trained_at=datetime.now(UTC).replace(microsecond=0),
        duration_s=duration_s,
        cost=cost,
        begun_anew=workspace.context.run if same_training.is_from_nothing(os.environ) else None,
        files=files,
    )


def _settings(workspace: Workspace) -> TrainConfig:
    if workspace.config.train is None:
        raise InputError(f"{workspace.config_path}: there is no `train`")
    return workspace.config.train


def _why_not(workspace: Workspace, data: Sequence[DataRef]) -> str:
    train = _settings(workspace)
    evaluation = workspace.config.evaluation
    if not train.reuse:
        return "train.reuse is false"
    if workspace.commit is None:
        return "without a commit of Git nobody can tell whether another run trains the same"
    if train.launcher == "torchrun" and train.torchrun.nodes > 1:
        return "several machines train together, and each would have to know what the others found"
    repository = dvc_root(workspace.root)
    if _DVC.search(train.command) or (repository and _are_outputs_of_dvc(workspace, repository)):
        return "it is a DVC pipeline, which DVC's run cache remembers"
    if not _is_data_known(workspace, data) and "reuse" not in train.model_fields_set:
        return _DATA_UNKNOWN
    asks_model = evaluation.predict or (evaluation.latency and evaluation.latency.predict)
    return _MODEL_UNKNOWN if asks_model and not train.outputs and not evaluation.model_files else ""


def _is_data_known(workspace: Workspace, data: Sequence[DataRef]) -> bool:
    """Whether the data that is trained on can be told from other data. What Git or DVC tracks is in the commit; what the command fetches by
    itself, nobody knows: so something must be named to mlgate."""
    pulled = workspace.evidence("pull-data")
    named = [*data, *(pulled.subject.data if pulled else [])]
    return bool(named) and all(reference.hash != UNPINNED for reference in named)


def _are_outputs_of_dvc(workspace: Workspace, repository: Path) -> bool:
    made = pipeline_outputs(workspace.root, repository)
    named = _products(workspace)
    paths = [workspace.root / path for path in (*named.paths, *(str(Path(pattern).parent) for pattern in named.patterns))]
    return any(output == path or output in path.parents or path in output.parents for output in made for path in paths)


def _products(workspace: Workspace) -> Products:
    """What the training makes, of which a result consists."""
    train, evaluation = _settings(workspace), workspace.config.evaluation
    paths = [*evaluation.written_files, *train.outputs, *same_training.models(workspace.config)]
    return Products(list(dict.fromkeys(paths)), [*filter(None, [evaluation.seeds, evaluation.seed_metrics])])


def _place(workspace: Workspace) -> Place | None:
    """Where results are kept: as checkpoints are, but that a laptop's stay beside its code. None where it would be the disk of a machine
    that is thrown away after the job."""
    places = checkpoint_places.find(workspace)
    found: Place = places.store if places.store is not None else places.here
    if places.store is None and places.here.path == checkpoint_places.machine_folder(workspace, os.environ):
        if not workspace.context.is_github:
            found = FolderPlace(workspace.root / ".mlgate", ".mlgate", is_synced=False)
        elif os.environ.get("RUNNER_ENVIRONMENT") == "github-hosted":
            return None
    return found.below(FOLDER, workspace.config.model)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
