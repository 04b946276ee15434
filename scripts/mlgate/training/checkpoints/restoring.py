"""The newest whole checkpoint, brought to the folder that the training reads. Everything is checked aside, in a hidden folder,
before any of it gets the name that the training looks for."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field, ValidationError

from mlgate.console import plain
from mlgate.evidence import Record, RunRef, Sha256, Text
from mlgate.training.checkpoints.manifest import Manifest, SavedFile, is_left_out
from mlgate.training.checkpoints.places import PlaceError
from mlgate.training.checkpoints.series import Series, Survey

MARK = ".mlgate-checkpoints.json"
_ASIDE = ".mlgate-restoring-"
_CHUNK_BYTES = 1 << 20
_SPARE_BYTES = 64 * 2**20
_MAX_MARK_BYTES = 10_000
State = Literal["restoring", "training", "interrupted", "failed", "finished"]
"""Of the content of a folder of checkpoints."""


class Mark(Record):
    """What a run leaves in the folder of checkpoints: of which training its content is. Hidden, so never saved."""

    schema_version: Literal[1] = 1
    key: Sha256
    training: Text
    state: State
    trained_s: float = Field(ge=0)
    """In the state `training`: when it began or went on."""
    since: float
    """When that was, in seconds since 1970."""
    boot: Text
    """The machine's start: after a power cut nobody knows what of a file reached the disk."""
    begun_anew: RunRef | None = None
    """As in a manifest."""


@dataclass(frozen=True)
class Candidate:
    manifest: Manifest
    series: Series


class NotWholeError(Exception):
    """A checkpoint is not what its manifest says; the message says what is wrong."""


def candidates(surveys: Sequence[tuple[Series, Survey]], passed_over: list[str]) -> list[Candidate]:
    """Checkpoints to go on from, the best first; what is passed over at first sight for a fault, and why, is added to
    `passed_over`."""
    finished = set().union(*(survey.finished for _, survey in surveys))
    whole: dict[str, Candidate] = {}
    for series, survey in surveys:
        passed_over += [plain(f"{name}: {what}") for name, what in sorted(survey.broken.items())]
        for manifest in survey.manifests:
            there = set().union(*(one.contents.get(manifest.writer, set()) for _, one in surveys))
            missing = sum(file.sha256 not in there for file in manifest.files)
            if manifest.training in finished:
                continue  # as it should be: nobody goes on from what came to its end, and nobody has to read of it
            if manifest.ending == "failed":
                passed_over.append(f"{manifest.name}: saved after the training had failed")
            elif missing:
                passed_over.append(f"{manifest.name}: is not whole, {missing} of its {len(manifest.files)} files are missing")
            else:
                whole.setdefault(manifest.name, Candidate(manifest, series))
    passed_over[:] = list(dict.fromkeys(passed_over))
    return sorted(whole.values(), key=lambda candidate: candidate.manifest.order, reverse=True)


def bring(candidate: Candidate, others: Sequence[Series], folder: Path) -> Path:
    """Copy a checkpoint into a hidden folder in `folder`, and check every byte of it.

    Args:
        others: where its contents may lie, too.

    Raises:
        NotWholeError: a content is not what the manifest says, or the disk has no room for it.
        PlaceError: a content cannot be had.
        OSError: it cannot be written.
    """
    manifest = candidate.manifest
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if manifest.size_bytes + _SPARE_BYTES > free:
        raise NotWholeError(f"needs {manifest.size_bytes:,} bytes, and the disk has {free:,}")
    aside = folder / f"{_ASIDE}{secrets.token_hex(6)}"
    aside.mkdir()
    try:
        for file in manifest.files:
            target = aside / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetch(candidate, others, file.sha256, target, file.size_bytes)
            _check(target, file)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return aside


def _fetch(candidate: Candidate, others: Sequence[Series], sha256: str, target: Path, size_bytes: int) -> None:
    """Raises PlaceError, that of the candidate's own place where no other has it."""
    problem: PlaceError | None = None
    for series in (candidate.series, *(one for one in others if one is not candidate.series)):
        try:
            series.place.fetch(series.content(candidate.manifest.writer, sha256), target, size_bytes)
        except PlaceError as error:
            target.unlink(missing_ok=True)
            problem = problem if problem is not None and not problem.is_absent else error
        else:
            return
    raise problem or PlaceError("is in no place")


def _check(path: Path, file: SavedFile) -> None:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != file.sha256:
        raise NotWholeError(f"{plain(file.path)} was changed (SHA-256 differs)")


def put_in_place(aside: Path, folder: Path, tracked: Collection[str] = ()) -> None:
    """Give what was checked its names. Done anew by the next run where this one is killed: the mark says `restoring`. Raises OSError.

    What Git tracks there is the commit's, which a checkpoint cannot change. Nothing else but hidden things may lie there (`content`).
    """
    kept = {*tracked, *(str(parent) for path in tracked for parent in PurePosixPath(path).parents)}
    for entry in sorted(aside.rglob("*")):
        name = entry.relative_to(aside).as_posix()
        if (not entry.is_dir() and name in kept) or any(
            str(parent) in tracked for parent in (PurePosixPath(name), *PurePosixPath(name).parents)
        ):
            continue
        if entry.is_dir():
            (folder / name).mkdir(exist_ok=True)
        else:
            os.replace(entry, folder / name)
    shutil.rmtree(aside)


def clean(folder: Path) -> None:
    """Remove what a run that was killed had not put into place."""
    for entry in _entries(folder):
        if entry.name.startswith(_ASIDE):
            shutil.rmtree(entry, ignore_errors=True)


def content(folder: Path, tracked: Collection[str], *, with_unfinished: bool = False) -> list[Path]:
    """What lies in the folder beside hidden things and what Git tracks there; of a folder that has nothing of the latter, itself."""
    found: list[Path] = []
    for entry in _entries(folder):
        _collect(entry, entry.name, tracked, found, with_unfinished=with_unfinished)
    return found


def _collect(entry: Path, name: str, tracked: Collection[str], found: list[Path], *, with_unfinished: bool) -> None:
    is_hidden = entry.name.startswith(".") if with_unfinished else is_left_out(entry.name)
    if is_hidden or name in tracked:
        return
    if entry.is_dir() and not entry.is_symlink() and any(path.startswith(f"{name}/") for path in tracked):
        for inner in _entries(entry):
            _collect(inner, f"{name}/{inner.name}", tracked, found, with_unfinished=with_unfinished)
        return
    found.append(entry)


def put_aside(folder: Path, tracked: Collection[str]) -> Path:
    """Move what lies in the folder to a hidden one beside it, which Git does not see; what was put there before is gone then.

    Raises:
        OSError: it cannot be moved.
    """
    there = folder.parent / f".{folder.name}.before"
    if there.is_symlink() or there.is_file():
        there.unlink()
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir(parents=True)
    (there / ".gitignore").write_text("*\n")
    for entry in content(folder, tracked, with_unfinished=True):
        target = there / entry.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(entry, target)
    return there


def read_mark(folder: Path) -> Mark | None:
    """Whose the content of the folder is; None where nobody said so in a way that can be read."""
    with suppress(OSError, ValidationError):
        handle = os.open(folder / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe there must not hold us
        with os.fdopen(handle, "rb", buffering=0) as stream:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return Mark.model_validate_json(stream.read(_MAX_MARK_BYTES) or b"")
    return None


def write_mark(folder: Path, key: str, training: str, state: State, trained_s: float, begun_anew: RunRef | None = None) -> None:
    """Say in the folder whose its content is. Raises OSError."""
    mark = Mark(key=key, training=training, state=state, trained_s=trained_s, since=time.time(), boot=boot(), begun_anew=begun_anew)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{MARK}.{secrets.token_hex(4)}"
    aside.write_text(json.dumps(mark.model_dump(mode="json")))
    if (folder / MARK).is_dir() and not (folder / MARK).is_symlink():
        shutil.rmtree(folder / MARK)  # nobody but us has anything to put there
    os.replace(aside, folder / MARK)


def boot() -> str:
    """Which start of the machine this is; empty where it does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from list(folder.iterdir())
