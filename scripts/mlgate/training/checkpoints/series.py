"""All that a place keeps of one training: manifests, their contents, marks. Several runs may write at once, none takes another's away.

saved/<run>.<number>.json     a manifest; with it a checkpoint is there
files/<run>/<sha256>          contents that the run has brought, before its manifests name them
finished/<training>           nobody goes on from this training's checkpoints: it came to its end
ended/<run>                   the run brings no more, so contents that no manifest names may be removed
reading/<time>.<random>.<manifest>   somebody brings this one to a machine: it is left alone for an hour
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from mlgate import evidence
from mlgate.errors import InputError
from mlgate.training.checkpoints.manifest import MAX_BYTES, Manifest, began_at, writer_of
from mlgate.training.checkpoints.places import Place, PlaceError

FOLDER = "mlgate-checkpoints"
_SAVED, _FILES, _FINISHED, _ENDED, _READING = "saved", "files", "finished", "ended", "reading"
_READING_S = 3600.0
_SILENT_S = 24 * 3600.0
"""After which a run that did not say that it ended is taken for dead."""
_MARK = b"{}\n"


@dataclass
class Survey:
    """What is there."""

    manifests: list[Manifest] = field(default_factory=list)
    """Those that can be read and are of this training; the one with the most work last."""
    broken: dict[str, str] = field(default_factory=dict)
    """The others by name, and what is wrong."""
    contents: dict[str, set[str]] = field(default_factory=dict)
    """SHA-256 by the run that brought them."""
    finished: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    reading: set[str] = field(default_factory=set)
    """Names below `reading/`."""

    def missing(self, manifest: Manifest) -> int:
        """How many files of a checkpoint are not there."""
        there = self.contents.get(manifest.writer, set())
        return sum(file.sha256 not in there for file in manifest.files)


class Series:
    """The checkpoints of one training in one place."""

    def __init__(self, place: Place, model: str, key: str) -> None:
        self.place = place.below(FOLDER, model, key)
        self._key = key
        self._parsed: dict[str, Manifest] = {}

    def content(self, writer: str, sha256: str) -> str:
        """The name of a content in the place."""
        return f"{_FILES}/{writer}/{sha256}"

    def survey(self) -> Survey:
        """Raises PlaceError."""
        found = Survey()
        for name in self.place.names():
            part, _, rest = name.partition("/")
            if part == _SAVED and writer_of(rest):
                self._read(rest, found)
            elif part == _FILES:
                writer, _, sha256 = rest.partition("/")
                found.contents.setdefault(writer, set()).add(sha256)
            elif part in (_FINISHED, _ENDED, _READING):
                getattr(found, part).add(rest)
        found.manifests.sort(key=lambda manifest: manifest.order)
        return found

    def _read(self, name: str, found: Survey) -> None:
        try:
            if name not in self._parsed:
                manifest = evidence.parse_record(Manifest, self.place.read(f"{_SAVED}/{name}", MAX_BYTES), name)
                if manifest.key != self._key:
                    found.broken[name] = "is of another training"
                    return
                if manifest.name != name:
                    found.broken[name] = f"says that it is {manifest.name}"
                    return
                self._parsed[name] = manifest
            found.manifests.append(self._parsed[name])
        except InputError:
            found.broken[name] = "has no manifest that this version reads: cut, changed, or of a newer version"
        except PlaceError as error:
            if not error.is_absent:  # removed meanwhile: there are newer ones
                found.broken[name] = f"cannot be read: {error}"

    def publish(self, manifest: Manifest) -> None:
        """Make a checkpoint of contents that are there. Raises PlaceError."""
        self.place.write(f"{_SAVED}/{manifest.name}", manifest.model_dump_json(indent=1).encode() + b"\n")
        self._parsed[manifest.name] = manifest

    def finish(self, training: str) -> None:
        """Have nobody go on from a training's checkpoints. Raises PlaceError."""
        self.place.write(f"{_FINISHED}/{training}", _MARK)

    def end(self, writer: str) -> None:
        """Say that a run brings no more. Raises PlaceError."""
        self.place.write(f"{_ENDED}/{writer}", _MARK)

    def mark_reading(self, manifest: Manifest) -> str:
        """Have a checkpoint left alone while it is brought here; what the mark is called. Raises PlaceError."""
        name = f"{_READING}/{int(time.time())}.{secrets.token_hex(4)}.{manifest.name}"
        self.place.write(name, _MARK)
        return name

    def prune(self, survey: Survey, keep: int, writer: str, distrusted: Collection[str] = ()) -> None:
        """Remove checkpoints but for the newest, and contents that none names any more.

        The one with the most work stays in any case, whenever it was saved: where a place could not be asked for a while, a run began from
        nothing, and what it saves is newer and holds less.

        Args:
            survey: what is there, with what was just published.
            keep: how many stay, at least 1.
            writer: this run, which alone may take away what it brought.
            distrusted: names of checkpoints that turned out to be broken.

        Raises:
            PlaceError: something cannot be removed.
        """
        now = time.time()
        recent = sorted(survey.manifests, key=lambda manifest: (manifest.saved_at, manifest.sequence), reverse=True)
        usable = [manifest for manifest in recent if manifest.ending != "failed" and manifest.name not in distrusted]
        kept = {manifest.name for manifest in usable[:keep]}
        kept |= {manifest.name for manifest in [one for one in recent if one.ending == "failed"][:1]}
        unfinished = [manifest for manifest in usable if manifest.training not in survey.finished]
        if unfinished:
            kept.add(max(unfinished, key=lambda manifest: manifest.order).name)
        stale = []
        for mark in survey.reading:
            began, _, name = mark.partition(".")
            if began.isdecimal() and now - int(began) < _READING_S:
                kept.add(name.partition(".")[2])
            else:
                stale.append(f"{_READING}/{mark}")
        gone = [manifest for manifest in survey.manifests if manifest.name not in kept]
        self.place.remove([*(f"{_SAVED}/{manifest.name}" for manifest in gone), *stale])
        remaining = [manifest for manifest in survey.manifests if manifest.name in kept]
        for owner, contents in survey.contents.items():
            if owner == writer or self._is_dead(owner, survey, now):
                named = {file.sha256 for manifest in remaining if manifest.writer == owner for file in manifest.files}
                self.place.remove(self.content(owner, sha256) for sha256 in contents - named)
        there = {*survey.contents, *(one.writer for one in remaining), writer}
        self.place.remove(f"{_ENDED}/{owner}" for owner in survey.ended - there)

    @staticmethod
    def _is_dead(writer: str, survey: Survey, now: float) -> bool:
        """Whether a run has ended; one of which a manifest cannot be read counts as alive."""
        if any(writer_of(name) == writer for name in survey.broken):
            return False
        if writer in survey.ended:
            return True
        try:
            last = max([began_at(writer), *(one.saved_at.timestamp() for one in survey.manifests if one.writer == writer)])
        except ValueError:
            return False  # somebody else's folder
        return now - last > _SILENT_S
