"""The training command as it runs: what starts it, its environment, its progress, the live status, and what ends it from outside. Between
the lease and the bill in `stages.train`."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mlgate import log_group
from mlgate.config import TrainConfig
from mlgate.console import plain
from mlgate.environment import user_environment
from mlgate.errors import InfrastructureError
from mlgate.evidence import CheckpointRef, CommandRun, ProgressFindings
from mlgate.process import Attendance, Interruption, Stop, new_mark
from mlgate.stages.job import commands
from mlgate.stages.training import live, machine
from mlgate.stages.training.haste import CANCEL_GRACE_S, Haste
from mlgate.stages.training.machine import Leased, Machine
from mlgate.training import launcher, spot
from mlgate.training.launcher import Launch
from mlgate.training.progress import Progress, ProgressFile
from mlgate.workspace import Workspace

SPOT_NOTICE, TIME_LIMIT = "spot notice", "time limit"
RUN_AGAIN = "; run the job again"
_ASK_STAND_IN_EVERY_S = 0.5
_FOLLOW_EVERY_S = 1.0
_TELL_EVERY_S = 5.0
_FIRST_LINE_AFTER_S = 60.0
_MOST_BETWEEN_LINES_S = 600.0


@dataclass(frozen=True)
class Ran:
    """How a training ended."""

    run: CommandRun
    progress: ProgressFindings | None
    """None where it said nothing of it."""
    ended_by: str | None
    """What ended it from outside: the name of a signal, `spot notice`, `time limit`."""
    problem: str | None
    """Why it does not count, in a line."""

    @property
    def is_preempted(self) -> bool:
        """Whether it is worth a re-run as it is: nothing is wrong with it."""
        return self.ended_by is not None and self.ended_by != TIME_LIMIT


def planned(workspace: Workspace, settings: TrainConfig, devices: int) -> Launch:
    """What will start the training. Raises InputError: no torchrun, or this machine does not know its place among several."""
    torchrun = shutil.which("torchrun", path=user_environment()["PATH"])
    run = workspace.context.run
    return launcher.plan(
        settings, devices, torchrun, os.environ, run=f"{workspace.config.model}-{run.run_id}-{run.attempt}" if run else None
    )


@contextmanager
def told(workspace: Workspace, found: Machine, lease: Leased, launch: Launch, resumed_from: CheckpointRef | None) -> Iterator[live.Shown]:
    """Show the training in the pull request meanwhile; of several machines, that of rank 0 does."""
    if not launch.is_leader:
        yield live.Shown()
        return
    names = [device.name for device in found.devices if device.uuid in lease.devices]
    waited_s = lease.findings.waited_s if lease.findings else 0.0
    with live.shown(workspace, gpus=names, waited_s=waited_s, resumed_from=resumed_from) as shown:
        yield shown


def run(
    workspace: Workspace,
    settings: TrainConfig,
    launch: Launch,
    log: str,
    *,
    mark: str,
    lease: Leased,
    environ: Mapping[str, str],
    interruption: Interruption,
    haste: Haste,
    progress: Progress,
    told: live.Shown,
) -> Ran:
    """Run the training until it ends, or is ended.

    Args:
        workspace: the model's folder.
        settings: `train` of mlgate.yaml.
        launch: of `planned`.
        log: path below `files/` for its output.
        mark: of its processes.
        lease: what it has for itself.
        environ: set for it besides.
        interruption: signals that we get.
        haste: told when the machine goes.
        progress: takes what the training says.
        told: the live status.

    Raises:
        InputError: it cannot be started; MLGATE_SPOT is wrong.
        InfrastructureError: the log cannot be written.
    """
    stop, path = Stop(), _progress_path(workspace, settings)
    follower = _Follower(workspace, progress, ProgressFile(path), told)
    with (
        log_group.opened("training", is_github=workspace.context.is_github) as group,
        _spot_notices(workspace, settings, stop, haste),
        follower,
    ):
        attendance = Attendance(
            environ={**lease.environ, **environ, "MLGATE_PROGRESS": str(path)},
            pass_fds=lease.fds,
            mark=mark,
            on_output=progress.take,
            shown=group,
            stop=stop,
            interruption=interruption,
            cancel_grace_s=CANCEL_GRACE_S if workspace.context.is_github else None,
        )
        ended = commands.carry_out(
            workspace, launch.command, log, settings.timeout, grace_s=settings.grace, attendance=attendance, shown_as=launch.shown
        )
    said = follower.end(is_complete=ended.run.exit_code == 0)
    if settings.progress and ended.run.exit_code == 0:
        follower.tell_trouble(f"train.progress: {settings.progress}", is_expected="dvc" not in settings.command)  # which may run nothing
    return _ran(settings, ended, said)


def alone(workspace: Workspace, settings: TrainConfig, log: str, root: Path) -> CommandRun:
    """The training of another commit, in `root`: on GPUs of its own, from nothing, and with nothing of it shown or saved.

    Raises:
        CommandInterruptedError: we were told to end meanwhile.
        InputError: the launcher is absent, or several machines are to train together.
        InfrastructureError: the machine has not what the training asks for, or no GPU came free.
    """
    found = machine.examine(root, settings.gpu, os.environ) if settings.gpu else Machine(None, (), None)
    if found.refusal is not None and found.findings is not None:
        raise machine.UnfitMachineError(found.refusal, found.findings)
    launch, mark = planned(workspace, settings, found.count), new_mark()
    folder = Path(tempfile.mkdtemp(prefix="mlgate-checkpoints-"))
    checkpoints = root / settings.checkpoints.path if settings.checkpoints else folder
    environ = {"MLGATE_CHECKPOINTS": str(checkpoints), "MLGATE_PROGRESS": str(folder / "progress.json")}
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        with found.leased(mark, workspace) as lease:
            attendance = Attendance(environ={**lease.environ, **environ}, pass_fds=lease.fds, mark=mark)
            ended = commands.carry_out(
                workspace, launch.command, log, settings.timeout, root, grace_s=settings.grace, attendance=attendance, shown_as=launch.shown
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if ended.interrupted_by:
        raise commands.CommandInterruptedError(commands.interruption(ended))
    return ended.run


def _ran(settings: TrainConfig, ended: commands.Ended, progress: ProgressFindings | None) -> Ran:
    command, problem = ended.run, None
    ended_by = ended.interrupted_by or ended.stopped_by or (TIME_LIMIT if command.is_timed_out else None)
    if ended.interrupted_by:
        problem = commands.interruption(ended)
    elif ended.stopped_by:
        problem = f"'{commands.short(command.command)}' was ended: this machine is taken away ({ended.stopped_by}){RUN_AGAIN}"
    elif command.exit_code != 0:
        problem = commands.failure(command, settings.timeout)
    return Ran(command, progress, ended_by, problem)


def _progress_path(workspace: Workspace, settings: TrainConfig) -> Path:
    if settings.progress:
        return workspace.root / settings.progress
    path = workspace.files / "train" / "progress.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be made: {error.strerror}; remove what lies there") from None
    return path


@contextmanager
def _spot_notices(workspace: Workspace, settings: TrainConfig, stop: Stop, haste: Haste) -> Iterator[None]:
    """End the training when the cloud says that the machine goes."""
    of = spot.cloud(os.environ)
    if of is None:
        yield
        return

    def noticed(notice: spot.Notice) -> None:
        if notice.left_s is None:
            workspace.console.line(f"  ! {plain(notice.said)}; the training goes on")
            return
        workspace.console.line(f"  ! {plain(notice.said)}; the training is asked to save and to end")
        haste.machine_goes(notice.left_s)
        stop.ask(SPOT_NOTICE, grace_s=min(settings.grace, notice.left_s / 2))

    endpoint = os.environ.get("MLGATE_SPOT_ENDPOINT")
    watch = spot.Watch(spot.Metadata(of, endpoint), noticed, every_s=_ASK_STAND_IN_EVERY_S if endpoint else spot.POLL_S)
    try:
        yield
    finally:
        watch.end()


class _Follower:
    """A thread that reads the progress file, and tells the live status and the log how far the training is."""

    def __init__(self, workspace: Workspace, progress: Progress, file: ProgressFile, told: live.Shown) -> None:
        self._workspace, self._progress, self._file, self._told = workspace, progress, file, told
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def end(self, *, is_complete: bool) -> ProgressFindings | None:
        """The last word."""
        self._read()
        self._progress.end(is_complete=is_complete)
        found = self._progress.standing().findings
        if is_complete:
            self._told.update(found)
            self._told.ended()
        return found if found.step is not None or found.metrics else None

    def tell_trouble(self, where: str, *, is_expected: bool) -> None:
        """Say why the progress file was of no use, if it was of none."""
        if trouble := self._file.trouble(is_expected=is_expected):
            self._workspace.console.line(f"  ! {plain(where)}: {trouble} (the training is told its path in MLGATE_PROGRESS)")

    def _read(self) -> None:
        if (declared := self._file.changed()) is not None:
            self._progress.declare(declared)

    def _work(self) -> None:
        tell, say = _Every(_TELL_EVERY_S, _TELL_EVERY_S), _Every(_FIRST_LINE_AFTER_S, _MOST_BETWEEN_LINES_S)
        while not self._over.wait(_FOLLOW_EVERY_S):
            self._read()
            if tell.is_due():
                standing = self._progress.standing()
                self._told.update(standing.findings, standing.left_s)
                if say.is_due() and (line := standing.line()):
                    self._workspace.console.line(f"  … {plain(line)}")


class _Every:
    """Turns that come at first often, then seldom."""

    def __init__(self, first_s: float, most_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_s, self._most_s, self._clock = first_s, most_s, clock
        self._next = clock() + first_s

    def is_due(self) -> bool:
        if self._clock() < self._next:
            return False
        self._wait_s = min(self._wait_s * 2, self._most_s)
        self._next = self._clock() + self._wait_s
        return True
