"""Checkpoints of a training: the newest whole one of this very training is put into place before the command runs, and what the command
leaves in its folder is saved on a period and at its end. Used by `stages.train`.

    with resume.checkpoints(workspace, data, params, processes=2, position=…) as saver:
        ran = running.run(…, environ=saver.environ)        # MLGATE_CHECKPOINTS
        saver.ended(exit_code, ended_by, since)            # where the block is left without it: as interrupted
    findings, remarks = saver.findings, saver.remarks
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgate import git
from mlgate.config import CheckpointsConfig, TrainConfig
from mlgate.console import Console, duration, plain, size
from mlgate.data import pull
from mlgate.data.tracking import dvc_root
from mlgate.errors import InfrastructureError, InputError, MlgateError
from mlgate.evidence import CheckpointFindings, CheckpointRef, DataRef, TrainingCost
from mlgate.stages.training import checkpoint_places, one_at_a_time, same_training
from mlgate.training.checkpoints.beginning import Plan
from mlgate.training.checkpoints.patience import probe
from mlgate.training.checkpoints.places import FolderPlace, PlaceError
from mlgate.training.checkpoints.saver import Saver
from mlgate.training.checkpoints.series import FOLDER
from mlgate.training.position import Position
from mlgate.workspace import Workspace

_SHOWN = 5


def _nothing() -> Position | None:
    return None


class Checkpoints:
    """What `stages.train` sees of it. Without `train.checkpoints`, or where nothing can be saved, all of it does nothing."""

    def __init__(
        self,
        console: Console,
        saver: Saver | None,
        folder: Path | None,
        remarks: Sequence[str] = (),
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._console = console
        self._left_s = left_s
        self._saver = saver
        self._remarks = list(remarks)
        self._has_ended = self._is_finished = False
        self.environ = {"MLGATE_CHECKPOINTS": str(folder)} if folder is not None else {}
        """For the command."""

    @property
    def remarks(self) -> list[str]:
        """What the report has to say: why a checkpoint was not saved, or could not be looked for."""
        return [*([] if self._is_finished else self._remarks), *(self._saver.remarks if self._saver else [])]

    @property
    def findings(self) -> CheckpointFindings | None:
        saver = self._saver
        if saver is None:
            return None
        return CheckpointFindings(
            key=saver.plan.key,
            place=saver.plan.place.description,
            resumed_from=saver.resumed_from,
            last=saver.last,
            saved=saver.saved,
            passed_over=saver.passed_over[:100],
        )

    def save_soon(self) -> None:
        """Save what is new at once, as before a machine goes: from any thread, returns immediately."""
        if self._saver is not None:
            self._saver.save_soon()

    def ended(self, exit_code: int, ended_by: str | None = None, since: float | None = None) -> None:
        """The command has ended: mark a training that came to its end, save what any other left.

        An error of its own (an exit code that is no signal's) may have its cause in the state that it saved: that is kept to be looked at,
        and not gone on from.

        Args:
            exit_code: as the shell has it, 128 + n for signal n.
            ended_by: what ended it from outside, if that was so, whatever its exit code is.
            since: when it was told to end, by `time.monotonic`.
        """
        if self._saver is None or self._has_ended:
            return
        self._has_ended = True
        if exit_code == 0 and ended_by is None:
            self._saver.finish()
            self._is_finished = True  # where checkpoints are kept is nobody's concern then
            return
        began = time.monotonic()
        with self._console.progress("saving the last checkpoint"):
            saved = self._saver.keep_last("interrupted" if ended_by or exit_code > 128 else "failed", self._left_s)
        if saved is not None:
            now = time.monotonic()
            after = f"{now - began:.1f} s after the training ended" + (
                f", {now - since:.1f} s after {ended_by}" if since and ended_by else ""
            )
            self._console.line(f"  checkpoint saved {after}: {_described(saved)}, {self._saver.plan.place.description}")


@contextmanager
def checkpoints(
    workspace: Workspace,
    data: Sequence[DataRef],
    params: Mapping[str, str],
    *,
    processes: int = 1,
    rank: int = 0,
    position: Callable[[], Position | None] = _nothing,
    spent: Callable[[], TrainingCost | None] = lambda: None,
    left_s: Callable[[], float] = lambda: math.inf,
) -> Iterator[Checkpoints]:
    """Have the newest checkpoint of this very training in its folder, and save new ones while the block runs.

    Args:
        workspace: the model's; what a form asked for is in its files.
        data: as it was validated.
        params: values of the parameter files.
        processes: how many `launcher: torchrun` starts on each node.
        rank: of several nodes; all go on from a checkpoint, that of rank 0 saves.
        position: how far the training is, if it says so.
        spent: what it has taken, with all runs that it went on from.
        left_s: once it was told to end, how many seconds there are for saving.

    Raises:
        InputError: `train.checkpoints.path` is no folder of its own.
        InfrastructureError: that folder cannot be written, or another training writes to it.
    """
    train = workspace.config.train
    if train is None or train.checkpoints is None:
        yield Checkpoints(workspace.console, None, None)
        return
    folder = _folder(workspace, train.checkpoints)
    if why := _why_not(workspace):
        yield Checkpoints(workspace.console, None, folder, [f"no checkpoints: {why}"])
        return
    with one_at_a_time.in_checkpoints(folder, train.checkpoints.path, rank):
        removed = _removed_by_dvc(workspace, train, folder)
        saver, remarks = _saver(
            workspace, train, train.checkpoints, folder, data, params, processes=processes, rank=rank, position=position, spent=spent
        )
        remarks = [*removed, *_tracked_remark(train.checkpoints.path, saver.plan.tracked), *remarks]
        found = Checkpoints(workspace.console, saver, folder, remarks, left_s)
        try:
            with workspace.console.progress("looking for a checkpoint to go on from"):
                saver.restore()
            _tell(workspace.console, saver, remarks)
            saver.start()
        except OSError as error:
            raise InfrastructureError(f"train.checkpoints.path: {train.checkpoints.path}: cannot be written: {error.strerror}") from None
        try:
            yield found
        finally:
            found.ended(-1, "interruption")


def ensure_store(workspace: Workspace, *, rank: int = 0) -> None:
    """Find out whether checkpoints can be written to what `train.checkpoints.store` names, before anything costly begins. Where it names
    nothing they go to the DVC remote, which a reader of the data may not be allowed to write: that is a remark, once it fails.

    Args:
        workspace: the model's.
        rank: of several nodes; that of rank 0 saves.

    Raises:
        InputError: it is no place for checkpoints.
        InfrastructureError: it cannot be reached, or does not let us write.
    """
    settings = workspace.config.train and workspace.config.train.checkpoints
    if not settings or settings.store is None or rank or _why_not(workspace):
        return
    places, instead = checkpoint_places.find(workspace), "name a place that can be written, or leave the key out"
    if places.refusal:
        raise InputError(f"train.checkpoints.store: {places.refusal}; {instead}")
    place = places.store or places.here
    try:
        with workspace.console.progress(f"asking {place.description} whether it takes checkpoints"):
            probe(place.below(FOLDER, workspace.config.model))
    except PlaceError as error:
        said = f"{place.description} takes no checkpoints: {error}; {instead}"
        if not error.may_pass and not error.is_full and (error.is_absent or isinstance(place, FolderPlace)):
            raise InputError(f"train.checkpoints.store: {said}") from None
        raise InfrastructureError(f"train.checkpoints.store: {said}") from None


def _saver(
    workspace: Workspace,
    train: TrainConfig,
    settings: CheckpointsConfig,
    folder: Path,
    data: Sequence[DataRef],
    params: Mapping[str, str],
    *,
    processes: int,
    rank: int,
    position: Callable[[], Position | None],
    spent: Callable[[], TrainingCost | None],
) -> tuple[Saver, list[str]]:
    places = checkpoint_places.find(workspace)
    nodes = train.torchrun.nodes if train.launcher == "torchrun" else 1
    kept_inside = [places.here.path.relative_to(workspace.root).as_posix()] if places.here.path.is_relative_to(workspace.root) else []
    identity = same_training.identify(workspace, data, params, processes=processes, but_for=kept_inside)
    if places.store is not None or not settings.store:
        checkpoint_places.forget_old(places.here, workspace.config.model, identity.key)
    plan = Plan(
        folder=folder,
        key=identity.key,
        model=workspace.config.model,
        commit=workspace.commit,
        run=workspace.context.run,
        here=places.here,
        store=places.store,
        every_s=settings.every,
        keep=settings.keep,
        tracked=_tracked(workspace.root, settings.path),
        is_saving=rank == 0,
        is_alone=nodes == 1,
        is_fresh=same_training.is_from_nothing(os.environ),
    )
    return Saver(plan, workspace.console.line, position, spent), places.remarks


def _why_not(workspace: Workspace) -> str:
    """Why this run neither saves checkpoints nor goes on from any; empty where it does."""
    if workspace.commit is None:
        return "without a commit of Git nobody can tell whether another run trains the same"
    if workspace.context.is_fork:
        return "this run is of a fork's or Dependabot's pull request, which has no credentials for the place that keeps them"
    return ""


def _folder(workspace: Workspace, settings: CheckpointsConfig) -> Path:
    """The folder itself, where the path may be a link. Raises InputError, InfrastructureError."""
    where = f"train.checkpoints.path: {settings.path}"
    path = (workspace.root / settings.path).resolve()
    checkout = (git.toplevel(workspace.root) or workspace.root).resolve()
    if workspace.root.is_relative_to(path) or {".git", ".dvc", ".mlgate"} & set(path.parts[len(checkout.parts) :]):
        raise InputError(f"{where}: expected a folder of its own, in which nothing but checkpoints lies")
    if workspace.context.is_github and not path.is_relative_to(checkout):
        raise InputError(f"{where}: expected a folder of the checkout, and it is a link that leads out of it")
    if path.exists() and not path.is_dir():
        raise InputError(f"{where}: expected a folder, found a file")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"{where}: cannot be made: {error.strerror}") from None
    return path


def _removed_by_dvc(workspace: Workspace, train: TrainConfig, folder: Path) -> list[str]:
    """Said where the folder is an output of a pipeline's stage: DVC removes those before it runs the stage, and the checkpoint with it."""
    repository = dvc_root(workspace.root)
    if repository is None or "dvc" not in train.command:
        return []
    with suppress(MlgateError), pull.opened(repository) as repo:  # what is wrong with the pipeline `dvc repro` says
        for out in repo.index.outs:
            if out.stage.cmd and not out.persist and folder.is_relative_to(Path(out.fs_path).resolve()):
                what = f"{out.def_path} is an output of DVC's stage '{out.stage.name}', which removes it and the checkpoint before it runs"
                return [f"{what}; take it out of `outs`, or give it `persist: true`"]
    return []


def _tracked(root: Path, path: str) -> frozenset[str]:
    """Files below a folder that Git has, relative to it."""
    listed = git.run(root, "ls-files", "-z", "--", f":(literal){path}")
    return frozenset(os.path.relpath(os.fsdecode(name), path) for name in listed.split(b"\0") if name)


def _tracked_remark(path: str, tracked: frozenset[str]) -> list[str]:
    """Said where checkpoints were committed by mistake: every training would begin from them, and have nothing left to do."""
    named = sorted(name for name in tracked if not Path(name).name.startswith("."))  # .gitkeep and its like are meant
    if not named:
        return []
    files = f"{len(named):,} files there are" if len(named) > 1 else "a file there is"
    what = f"train.checkpoints.path: {path}: {files} tracked by Git ({named[0]}), and every training begins with what Git has there"
    return [f"{what}; where that is not meant: git rm -r --cached {path}, and put {path}/ into .gitignore"]


def _tell(console: Console, saver: Saver, remarks: Sequence[str]) -> None:
    for line in (*remarks, *saver.remarks):
        console.line(f"  ! {plain(line)}")
    for line in saver.passed_over[:_SHOWN]:
        console.line(f"  checkpoint passed over: {plain(line)}")
    if len(saver.passed_over) > _SHOWN:
        console.line(f"  … and {len(saver.passed_over) - _SHOWN:,} more")
    if saver.resumed_from is not None:
        console.line(f"  goes on from a checkpoint: {_described(saver.resumed_from)}, {saver.plan.place.description}")


def place_in_training(reference: CheckpointRef) -> str:
    """How far a training was that a checkpoint holds, as its progress counted it: `epoch 12`; empty where it did not say."""
    return f"{plain(reference.unit or 'step')} {reference.step:,.6g}" if reference.step is not None else ""


def _described(reference: CheckpointRef) -> str:
    reached = f"{at}, " if (at := place_in_training(reference)) else ""
    return f"{reached}{duration(reference.trained_s)} of training, {size(reference.size_bytes)}"
