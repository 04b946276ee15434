"""A training's checkpoints while it runs: what is new in its folder is saved on a period and at the end.

Each save first copies what is whole to a folder of this machine, which takes no longer than the disk, and then sends it on to where it
outlives the machine. No place that fails ends a training: it is said, and tried again.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from mlgate import evidence
from mlgate.console import plain
from mlgate.evidence import CheckpointRef, TrainingCost
from mlgate.training.checkpoints import patience, restoring, snapshot
from mlgate.training.checkpoints.beginning import Beginning, Plan, begin, reference
from mlgate.training.checkpoints.manifest import MOST_TRAINED_S, UNIT, Ending, Manifest, new_writer
from mlgate.training.checkpoints.places import PlaceError
from mlgate.training.checkpoints.series import FOLDER, Series, Survey
from mlgate.training.checkpoints.snapshot import NotTakenError, Stamp
from mlgate.training.position import Position

_NICE = 10
_HEARD_WITHIN_S = 2.0
_NOTED_EVERY_S = 0.5
_MOST_NOTED = 5000
_TICK_S = 0.001
MOST_SENDING_S = 900.0
"""How long a training that has ended may wait for its last checkpoint to be sent on."""


class Saver:
    """`restore`, then `start`, then one of the endings: `finish`, or `keep_last`."""

    def __init__(
        self,
        plan: Plan,
        say: Callable[[str], None],
        position: Callable[[], Position | None] = lambda: None,
        spent: Callable[[], TrainingCost | None] = lambda: None,
    ) -> None:
        """
        Args:
            say: takes a line for the log, from any thread.
            position: how far the training is, as far as it says.
            spent: what it has taken, with all runs that it went on from.
        """
        self.plan = plan
        self.last: CheckpointRef | None = None
        self.saved = 0
        self.remarks: list[str] = []
        """What the report has to say besides."""
        self._say, self._position, self._spent = say, position, spent
        self._here = Series(plan.here, plan.model, plan.key)
        self._store = Series(plan.store, plan.model, plan.key) if plan.store is not None else None
        self._series = [self._here, *([self._store] if self._store else [])]
        self._begun = Beginning()
        self._writer = new_writer()
        self._sequence = 0
        self._holds_s = 0.0
        """Seconds of training that the folder held when it was last saved, or restored."""
        self._began = self._looked = time.monotonic()
        """When the training began, and when its folder was last saved: by a clock that nobody sets."""
        self._hashes: dict[str, tuple[Stamp, str]] = {}
        self._shelved: dict[str, Stamp] = {}
        """As the folder looked when it was last saved, or restored."""
        self._undelivered: Manifest | None = None
        self._brought: set[str] = set()
        """Contents of ours that the store has."""
        self._local = threading.RLock()
        self._pruning = threading.Lock()
        self._wake = threading.Event()
        self._is_ending = False
        self._thread: threading.Thread | None = None
        self._warned = ""
        self._positions: deque[tuple[float, Position | None]] = deque(maxlen=_MOST_NOTED)

    def restore(self) -> None:
        """Put the newest whole checkpoint of this training into its folder. Where there is none, or none can be had, it stays empty.

        Raises:
            OSError: the folder cannot be read or written.
        """
        self._begun = begun = begin(self.plan, self._series, self._say)
        self._holds_s, self._shelved = begun.trained_s, begun.stamps
        self.remarks += begun.remarks

    @property
    def resumed_from(self) -> CheckpointRef | None:
        return self._begun.resumed_from

    @property
    def passed_over(self) -> list[str]:
        """Checkpoints that were not gone on from, and why."""
        return self._begun.passed_over

    # While it runs ----------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The training begins: from now on what is new is saved on the period."""
        self._began = self._looked = time.monotonic()
        self._mark("training")
        if self.resumed_from is not None and not self._shelved:
            self.save_soon()  # only this machine has it yet
        if self.plan.is_saving and not self._begun.is_off:
            self._thread = threading.Thread(target=self._save_now_and_then, daemon=True, name="mlgate-checkpoints")
            self._thread.start()

    def save_soon(self) -> None:
        """Save what is new without waiting for the period. Returns at once."""
        self._wake.set()

    def _save_now_and_then(self) -> None:
        with suppress(OSError, AttributeError):  # on Linux of this thread alone: the training comes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        is_told = False
        while self._waited():
            try:
                manifest = self._shelve("running") or self._undelivered
                if manifest is not None:
                    self._deliver(manifest, is_last=False)
                    self._warned = ""
                elif self._has_nothing() and not is_told:
                    is_told = True
                    where = f"{self._shown}/ (MLGATE_CHECKPOINTS)"
                    self._say(f"  ! no checkpoint is in {where} yet: were the training ended now, all of it would be lost")
            except (PlaceError, NotTakenError) as error:
                if not self._is_ending:
                    self._warn(f"checkpoint not saved: {error}; tried again in {self.plan.every_s:,.0f} s")

    def _has_nothing(self) -> bool:
        """Whether there is no checkpoint of this training although it has run for longer than the period."""
        return self._sequence == 0 and self.resumed_from is None and time.monotonic() - self._began >= self.plan.every_s

    @property
    def _shown(self) -> str:
        return plain(self.plan.folder.name)

    def _waited(self) -> bool:
        """Wait for the period, or to be woken; whether the training still goes on then. Meanwhile it is noted how far that is."""
        deadline = time.monotonic() + self.plan.every_s
        while (rest := deadline - time.monotonic()) > 0 and not self._wake.wait(min(rest, _NOTED_EVERY_S)):
            self._positions.append((time.time(), self._position()))
        self._wake.clear()
        return not self._is_ending

    def _position_of(self, newest_s: float) -> Position | None:
        """How far the training was when the newest file was written: it says so at about that time, and is heard a little later."""
        self._positions.append((time.time(), self._position()))
        heard = [position for at, position in self._positions if at <= newest_s + _HEARD_WITHIN_S]
        return heard[-1] if heard else self._positions[0][1]

    def _shelve(self, ending: Ending, is_wanted: Callable[[], bool] = lambda: True) -> Manifest | None:
        """Copy what stands whole to this machine's folder, if it is new. Raises PlaceError, NotTakenError."""
        with self._local:
            looked = time.monotonic()
            if (stamps := snapshot.listing(self.plan.folder)) == self._shelved or not set(stamps) - self.plan.tracked:
                return None
            place = self.plan.here
            survey = self._here.survey()
            at_hand = survey.contents.get(self._writer, set()) | self._brought
            try:
                taken = snapshot.take(
                    self.plan.folder,
                    self._folder_here(),
                    self._hashes,
                    at_hand,
                    is_synced=place.is_synced,
                    is_wanted=lambda: is_wanted() if ending != "running" else not self._is_ending,
                )
            except OSError as error:
                raise PlaceError(f"{place.description}: {error.strerror or error}") from None
            self._sequence += 1
            position = self._position_of(taken.newest_s)
            manifest = Manifest(
                key=self.plan.key,
                training=self._begun.training,
                writer=self._writer,
                sequence=self._sequence,
                model=self.plan.model,
                commit=self.plan.commit,
                run=self.plan.run,
                saved_at=evidence.now(),
                trained_s=self._trained_s(taken.newest_s),
                step=position.step if position else None,
                unit=position.unit if position and re.search(UNIT, position.unit) else None,
                spent=self._spent(),
                ending=ending,
                begun_anew=self._begun.begun_anew,
                files=taken.files,
            )
            try:
                self._here.publish(manifest)
            except PlaceError as error:
                raise PlaceError(f"{place.description}: {error}", is_full=error.is_full, may_pass=error.may_pass) from None
            self._hashes = {file.path: (taken.stamps[file.path], file.sha256) for file in taken.files}
            self._shelved, self._holds_s, self._looked = dict(taken.stamps), manifest.trained_s, looked
            self._abandon(self._here, survey)
            survey.manifests.append(manifest)
            survey.contents.setdefault(self._writer, set()).update(file.sha256 for file in manifest.files)
            if self._store is None:
                self._count(manifest)
                self._here.prune(survey, self.plan.keep, self._writer, self._begun.distrusted)
            else:
                self._undelivered = manifest
                self._here.prune(survey, 1, self._writer, self._begun.distrusted)
            return manifest

    def _deliver(self, manifest: Manifest, *, is_last: bool) -> None:
        """Send a checkpoint on to where it outlives the machine. Raises PlaceError."""
        if self._store is None:
            return
        try:
            survey, there = self._sent(self._store, manifest, is_last=is_last)
        except PlaceError as error:
            raise PlaceError(f"{self._store.place.description}: {error}", is_full=error.is_full, may_pass=error.may_pass) from None
        self._count(manifest)
        with self._pruning:
            if self._is_ending and not is_last:
                return  # the last one may use contents that would go now
            try:
                self._store.prune(survey, self.plan.keep, self._writer, self._begun.distrusted)
            except PlaceError as error:
                self._warn(f"{self._store.place.description}: older checkpoints cannot be removed: {error}")
        self._forget_here(manifest, there)

    def _folder_here(self) -> Path:
        """Where this machine has the contents that this run brings."""
        return self.plan.here.below(FOLDER, self.plan.model, self.plan.key, "files", self._writer).path

    def _sent(self, store: Series, manifest: Manifest, *, is_last: bool) -> tuple[Survey, set[str]]:
        """Bring a checkpoint to the store; what is there, with it, and which contents of ours."""
        survey = store.survey()
        there = survey.contents.setdefault(self._writer, set())
        for file in manifest.files:
            if file.sha256 in there:
                continue
            if self._is_ending and not is_last:
                raise PlaceError("a newer one is about to be saved")
            name = store.content(self._writer, file.sha256)
            source = self._folder_here() / file.sha256
            if not source.is_file():  # the store had it, and somebody removed it: all is copied anew next time
                self._brought, self._shelved = set(), {}
                raise PlaceError("what was brought there before is gone")
            store.place.send(name, source)
            there.add(file.sha256)
        store.publish(manifest)
        if manifest.name not in {one.name for one in survey.manifests}:  # an earlier try may have brought it
            survey.manifests.append(manifest)
        self._abandon(store, survey)
        return survey, there

    def _abandon(self, series: Series, survey: Survey) -> None:
        """Have nobody go on from what this training, begun from nothing, takes the place of. Raises PlaceError."""
        for training in self._begun.abandoned - survey.finished:
            series.finish(training)
            survey.finished.add(training)

    def _forget_here(self, delivered: Manifest, there: set[str]) -> None:
        """Remove from this machine what the store has now."""
        with self._local, suppress(PlaceError):
            self._brought = set(there)
            survey = self._here.survey()
            gone = [one for one in survey.manifests if one.order <= delivered.order]
            survey.manifests = [one for one in survey.manifests if one.order > delivered.order]
            self._here.place.remove(f"saved/{one.name}" for one in gone)
            self._here.prune(survey, 1, self._writer)
            if self._undelivered is not None and self._undelivered.sequence <= delivered.sequence:
                self._undelivered = None

    # At its end -------------------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The training came to its end: nobody needs its checkpoints to go on from."""
        self._end_thread()
        self._mark("finished")
        if not self.plan.is_saving or self._begun.is_off:
            return
        if self._has_nothing():
            self.remarks.append(f"the training wrote no checkpoint to {self._shown}/: had it been ended, all of it would have been lost")
        if self.resumed_from is None and self._sequence == 0 and not self._begun.abandoned:
            return
        for series in self._series:

            def tell(series: Series = series) -> None:
                for training in (*self._begun.abandoned, self._begun.training):
                    series.finish(training)
                series.end(self._writer)

            if problem := patience.answered(tell):
                self._warn(f"{series.place.description}: cannot be told that the training was finished: {problem}")
        if self._store is not None:
            self._forget_all_here()

    def keep_last(self, ending: Literal["interrupted", "failed"], left_s: Callable[[], float] = lambda: math.inf) -> CheckpointRef | None:
        """The training was ended, or ended with an error: save what it left. Returns what was saved, None where nothing is new.

        What was copied on this machine is safe, whatever becomes of the sending: the next run here finds it.

        Args:
            left_s: how many seconds there are before this process has to do something else; asked again and again.
        """
        self._end_thread()
        before = self.last
        if not self.plan.is_saving or self._begun.is_off:
            return None
        problem = ""
        try:
            manifest = self._shelve(ending, lambda: left_s() > 0) or self._undelivered
            self._mark(ending)
        except (PlaceError, NotTakenError) as error:
            manifest, problem = self._undelivered, str(error)
            if ending == "failed":
                self._mark(ending)
        if manifest is not None and self._store is not None:
            last = manifest
            late = f"{self.plan.place.description}: not sent in the time that was left"
            if unsent := patience.within(MOST_SENDING_S, lambda: self._send_last(last), why=late, left_s=left_s):
                problem = f"{unsent}; it lies in {self._here.place.description}, and only a run there goes on from it"
        elif self._store is not None and self._sequence:  # all of it is there; unsaid, what nothing names would stay there for a day
            store = self._store
            patience.within(patience.MOST_ANSWERING_S, lambda: store.end(self._writer), why="", left_s=left_s)
        if problem:
            self._warn(f"checkpoint not saved: {problem}")
        if self._sequence:
            with suppress(PlaceError):
                self._here.end(self._writer)
        return self.last if self.last is not before else None

    def _send_last(self, manifest: Manifest) -> None:
        """Raises PlaceError."""
        assert self._store is not None  # noqa: S101 -- for the type checker
        with self._pruning:
            pass  # what the period's thread is just removing there is not counted on
        patience.tried(lambda: self._deliver(manifest, is_last=True))
        self._store.end(self._writer)

    def _forget_all_here(self) -> None:
        """Remove what this machine has of a training that nobody will go on with."""
        with suppress(PlaceError):
            survey = self._here.survey()
            gone = [one for one in survey.manifests if one.training == self._begun.training]
            self._here.place.remove(f"saved/{one.name}" for one in gone)
            survey.manifests = [one for one in survey.manifests if one.training != self._begun.training]
            self._here.prune(survey, 1, self._writer)

    def _end_thread(self) -> None:
        """Have the period's thread end; what it is just sending is not waited for."""
        self._is_ending = True
        self._wake.set()

    def _trained_s(self, newest_s: float) -> float:
        """Seconds of training that a checkpoint holds whose newest file is from then; more than the one before.

        What is new was written since the folder was last looked at, whatever the clocks of this machine and of the disk say of it.
        """
        now = time.monotonic()
        age_s = min(max(time.time() - newest_s, 0), now - self._looked)
        return min(max(self._begun.trained_s + now - self._began - age_s, self._holds_s + _TICK_S), MOST_TRAINED_S)

    def _count(self, manifest: Manifest) -> None:
        self.saved += 1
        self.last = reference(manifest)

    def _mark(self, state: restoring.State) -> None:
        """Say in the folder whose its content is. Raises OSError before the training."""
        if self._begun.is_off:
            return
        trained_s = self._begun.trained_s if state == "training" else self._holds_s
        try:
            restoring.write_mark(self.plan.folder, self.plan.key, self._begun.training, state, trained_s, self._begun.begun_anew)
        except OSError as error:
            if state == "training":
                raise
            self._warn(f"{self.plan.folder.name}: cannot be written: {error.strerror}")

    def _warn(self, text: str) -> None:
        """Say it once, and again when something else was said meanwhile."""
        if text != self._warned:
            self._say(f"  ! {plain(text)}")
            if text not in self.remarks:
                self.remarks.append(plain(text))
        self._warned = text
