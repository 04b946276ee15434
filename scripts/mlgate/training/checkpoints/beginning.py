"""Where a training begins: with nothing, with what its folder holds, or with the newest whole checkpoint, which is put there first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from mlgate.console import plain
from mlgate.evidence import CheckpointRef, RunRef
from mlgate.training.checkpoints import patience, restoring, snapshot
from mlgate.training.checkpoints.manifest import Manifest
from mlgate.training.checkpoints.places import FolderPlace, Place, PlaceError
from mlgate.training.checkpoints.restoring import Candidate, Mark, NotWholeError
from mlgate.training.checkpoints.series import Series, Survey
from mlgate.training.checkpoints.snapshot import NotTakenError, Stamp


@dataclass(frozen=True)
class Plan:
    """What is saved where, of which training."""

    folder: Path
    """The training's own; absolute, no link."""
    key: str
    model: str
    commit: str | None
    run: RunRef | None
    here: FolderPlace
    """Of this machine, or where checkpoints are kept if that is a folder."""
    store: Place | None
    """Where they are sent on to."""
    every_s: float
    keep: int
    tracked: frozenset[str] = frozenset()
    """Files in the folder that Git tracks, relative to it: known, as they are part of the code."""
    is_saving: bool = True
    """False: another process of the same training saves, as rank 0 of several nodes."""
    is_alone: bool = True
    """False: machines train together, so all of them have to go on from the same, which only the common place has."""
    is_fresh: bool = False
    """Whether to begin from nothing, whatever there is. That is said of a run, not of each of its attempts: what an earlier attempt began
    that way is gone on with, or a training on machines that get lost would never come to its end."""

    @property
    def place(self) -> Place:
        """Where checkpoints outlive the machine, if it has such a place."""
        return self.store or self.here

    def may_go_on_with(self, begun_anew: RunRef | None) -> bool:
        """Whether this run may go on with a training. `begun_anew`: the run that began it because it was asked to begin from nothing."""
        return not self.is_fresh or (self.run is not None and self.run.is_later_attempt_of(begun_anew))


@dataclass
class Beginning:
    """What a run begins with."""

    training: str = field(default_factory=lambda: token_hex(16))
    """The training that it goes on with, else a new one: all that is saved bears this name."""
    begun_anew: RunRef | None = None
    """Of that training, as in a manifest."""
    trained_s: float = 0.0
    """Seconds of training that the folder holds."""
    resumed_from: CheckpointRef | None = None
    stamps: dict[str, Stamp] = field(default_factory=dict)
    """How the folder looks, where just that is saved already; else empty."""
    abandoned: set[str] = field(default_factory=set)
    """Trainings that this one, begun from nothing, takes the place of as soon as it has saved something."""
    distrusted: set[str] = field(default_factory=set)
    """Names of checkpoints that cannot be gone on from."""
    passed_over: list[str] = field(default_factory=list)
    """Those, and others that one would have expected to be used, and why they were not."""
    remarks: list[str] = field(default_factory=list)
    """What the report has to say besides."""
    is_off: bool = False
    """Whether nothing can be saved, as nobody knows what the folder holds."""


def begin(plan: Plan, series: Sequence[Series], say: Callable[[str], None]) -> Beginning:
    """Put the newest whole checkpoint of a training into its folder. Where there is none, or none can be had, it stays empty.

    Args:
        series: all that is kept of the training, on this machine and, last, where it outlives it.
        say: takes a line for the log.

    Raises:
        OSError: the folder cannot be read or written.
    """
    begun, folder = Beginning(), plan.folder
    restoring.clean(folder)
    mark = restoring.read_mark(folder)
    if mark is not None and mark.state == "restoring":
        for entry in restoring.content(folder, plan.tracked):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    body = restoring.content(folder, plan.tracked)
    if body and mark is None:
        begun.is_off = True
        stranger = plain(body[0].name)
        begun.remarks.append(
            f"{folder.name} holds files that mlgate knows nothing of ({stranger}…), so no checkpoint was put there and none is saved; "
            "empty the folder"
        )
        return begun
    surveys = _surveys(series if plan.is_alone else series[-1:], begun)
    if plan.is_fresh:
        begun.begun_anew = plan.run
        surveys = _without_others(plan, surveys, begun)
    found = restoring.candidates(surveys, begun.passed_over)
    chosen = next(iter(found), None)
    if not (body and mark is not None and _goes_on_here(plan, mark, found, surveys, begun)):
        if body:
            aside = restoring.put_aside(folder, plan.tracked)
            say(f"  {folder.name}/ held checkpoints that are not gone on from; they were moved to {aside.name}/")
        asked = [one for one, _ in surveys]
        chosen = next((one for one in found if _goes_on_from(plan, one, asked, begun)), None)
        if chosen is not None:
            begun.stamps = snapshot.listing(folder)
    if chosen is None or chosen.series is not series[-1]:
        begun.stamps = {}  # only this machine has it, so it is saved anew
    restoring.write_mark(folder, plan.key, begun.training, "training", begun.trained_s, begun.begun_anew)
    return begun


def reference(manifest: Manifest) -> CheckpointRef:
    """A checkpoint as evidence names it."""
    return CheckpointRef(
        name=manifest.name,
        saved_at=manifest.saved_at.isoformat(),
        trained_s=manifest.trained_s,
        step=manifest.step,
        unit=manifest.unit,
        size_bytes=manifest.size_bytes,
        spent=manifest.spent,
    )


def _surveys(series: Sequence[Series], begun: Beginning) -> list[tuple[Series, Survey]]:
    """What there is on this machine and in the store; without what cannot be asked."""
    found: list[tuple[Series, Survey]] = []
    for one in series:

        def ask(one: Series = one) -> None:
            found.append((one, patience.tried(one.survey)))

        if problem := patience.answered(ask):
            begun.remarks.append(f"{one.place.description} could not be asked for checkpoints: {problem}")
    return list(found)


def _without_others(plan: Plan, surveys: Sequence[tuple[Series, Survey]], begun: Beginning) -> list[tuple[Series, Survey]]:
    """What a run that was asked to begin from nothing may look at; the trainings that it takes the place of are noted."""
    if plan.is_saving:
        begun.abandoned = {one.training for _, survey in surveys for one in survey.manifests if not plan.may_go_on_with(one.begun_anew)}
    is_first = plan.run is None or plan.run.attempt == 1
    return [
        (
            series,
            replace(
                survey,
                manifests=[one for one in survey.manifests if plan.may_go_on_with(one.begun_anew)],
                broken={} if is_first else survey.broken,
            ),
        )
        for series, survey in surveys
    ]


def _goes_on_here(plan: Plan, mark: Mark, found: Sequence[Candidate], surveys: Sequence[tuple[Series, Survey]], begun: Beginning) -> bool:
    """Whether the folder itself has the newest: of this very training, left by a run that was killed or interrupted on this machine."""
    is_its = mark.key == plan.key and mark.state in ("training", "interrupted") and mark.boot and mark.boot == restoring.boot()
    if not is_its or not plan.is_alone or not plan.may_go_on_with(mark.begun_anew):
        return False
    if any(mark.training in survey.finished for _, survey in surveys):
        return False
    with suppress(NotTakenError):
        stamps = snapshot.listing(plan.folder)
        files = {path: stamp for path, stamp in stamps.items() if path not in plan.tracked}
        if not files:
            return False
        newest_s = max(stamp.modified_ns for stamp in files.values()) / 1e9
        trained_s = mark.trained_s if mark.state == "interrupted" else mark.trained_s + max(newest_s - mark.since, 0)
        best = found[0].manifest if found else None
        if best is not None and best.trained_s > trained_s:
            return False
        begun.training, begun.trained_s, begun.begun_anew = mark.training, trained_s, mark.begun_anew
        if best is not None and best.training == mark.training and best.trained_s == trained_s and mark.state == "interrupted":
            begun.stamps, begun.resumed_from = stamps, reference(best)
        else:
            begun.resumed_from = CheckpointRef(
                name=plan.folder.name,
                saved_at=datetime.fromtimestamp(newest_s, UTC).isoformat(),
                trained_s=trained_s,
                size_bytes=sum(stamp.size_bytes for stamp in stamps.values()),
            )
        return True
    return False


def _goes_on_from(plan: Plan, candidate: Candidate, series: Sequence[Series], begun: Beginning) -> bool:
    """Put a checkpoint into the folder, if it is whole and can be had."""
    manifest = candidate.manifest
    mark = None
    try:
        with suppress(PlaceError):  # one that may only be read
            mark = candidate.series.mark_reading(manifest)
        aside = patience.tried(lambda: restoring.bring(candidate, series, plan.folder))
    except (NotWholeError, PlaceError, OSError) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        begun.passed_over.append(f"{manifest.name}: {why}")
        begun.distrusted.add(manifest.name)
        return False
    finally:
        if mark is not None:
            with suppress(PlaceError):
                candidate.series.place.remove([mark])
    begun.training, begun.trained_s, begun.resumed_from = manifest.training, manifest.trained_s, reference(manifest)
    begun.begun_anew = manifest.begun_anew
    restoring.write_mark(plan.folder, plan.key, begun.training, "restoring", begun.trained_s, begun.begun_anew)
    restoring.put_in_place(aside, plan.folder, plan.tracked)
    return True
