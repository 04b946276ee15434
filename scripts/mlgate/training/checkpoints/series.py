"""All that a place keeps of one training: manifests, their contents, marks. Several runs may write at once, none takes another's away.

saved/<run>.<number>.json     a manifest; with it a checkpoint is there
files/<run>/<sha256>          contents that the run has brought, before its manifests name them
finished/<training>           nobody goes on from this training's checkpoints: it came to its end
ended/<run>                   the run brings no more, so contents that no manifest names may be removed
reading/<time>.<random>.<manifest>   somebody brings this one to a machine: it is left alone for an hour
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Collection, Sequence
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
_MOST_READ = 100
"""Manifests that are looked into, the newest. There are more only where nobody may remove any, or somebody fills the place."""
_OF_A_RUN = 2
"""How many of a run's then: what it saved later holds more."""
_MOST_REMOVED = 500
"""Of those that were not looked into, at once."""
_MARK = b"{}\n"


@dataclass
class Survey:
    """What is there."""

    manifests: list[Manifest] = field(default_factory=list)
    """Those that can be read and are of this training, in no order."""
    broken: dict[str, str] = field(default_factory=dict)
    """The others by name, and what is wrong."""
    contents: dict[str, set[str]] = field(default_factory=dict)
    """SHA-256 by the run that brought them."""
    finished: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    reading: set[str] = field(default_factory=set)
    """Names below `reading/`."""
    written: dict[str, float] = field(default_factory=dict)
    """When each thing was written, in seconds since 1970 by the place's clock; NaN where it does not say."""
    unread: set[str] = field(default_factory=set)
    """Names of manifests that were not looked into."""

    latest: float = -math.inf
    """The newest of these times."""
    heard: dict[str, float] = field(default_factory=dict)
    """When a run last brought something, by the same clock."""

    def silence_s(self, at: float) -> float:
        """Seconds since a time of the place's clock, which says at least when the newest was written; infinite where it does not say.
        Of the clocks of machines nobody knows what they show."""
        return math.inf if math.isnan(at) else self.latest - at

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
        found = Survey(written=self.place.written())
        manifests = []
        for name, at in found.written.items():
            part, _, rest = name.partition("/")
            if part == _SAVED and (of := writer_of(rest)):
                manifests.append(rest)
                found.heard[of] = max(found.heard.get(of, -math.inf), at)
            elif part == _FILES:
                writer, _, sha256 = rest.partition("/")
                found.contents.setdefault(writer, set()).add(sha256)
                found.heard[writer] = max(found.heard.get(writer, -math.inf), at)
            elif part in (_FINISHED, _ENDED, _READING) and not rest.startswith("."):  # else it is being written
                getattr(found, part).add(rest)
        found.latest = max((at for at in found.written.values() if not math.isnan(at)), default=-math.inf)
        chosen = _newest(manifests, found)
        found.unread = set(manifests) - set(chosen)
        for name in chosen:
            self._read(name, found)
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
        # some places tell times in whole seconds
        recent = sorted(survey.manifests, key=lambda one: (_recency(one.name, survey)[0], one.saved_at, one.sequence), reverse=True)
        usable = [manifest for manifest in recent if manifest.ending != "failed" and manifest.name not in distrusted]
        kept = {manifest.name for manifest in usable[:keep]}
        kept |= {manifest.name for manifest in [one for one in recent if one.ending == "failed"][:1]}
        unfinished = [manifest for manifest in usable if manifest.training not in survey.finished]
        if unfinished:
            kept.add(max(unfinished, key=lambda manifest: manifest.order).name)
        own = max((one for one in usable if one.writer == writer), key=lambda one: one.sequence, default=None)
        if own is not None:  # a clock that was set back makes what is newest look old
            of_training = sorted((one for one in usable if one.training == own.training), key=lambda one: one.order, reverse=True)
            kept |= {one.name for one in of_training[:keep]}
        stale = []
        for mark in survey.reading:
            began, _, name = mark.partition(".")
            is_now = began.isdecimal() and abs(time.time() - int(began)) < _READING_S
            if is_now or survey.silence_s(survey.written[f"{_READING}/{mark}"]) < _READING_S:
                kept.add(name.partition(".")[2])
            else:
                stale.append(f"{_READING}/{mark}")
        gone = [manifest.name for manifest in survey.manifests if manifest.name not in kept]
        outdone = _outdone(survey, {one.name for one in usable} & kept)[:_MOST_REMOVED]
        self.place.remove([*(f"{_SAVED}/{name}" for name in (*gone, *outdone)), *stale])
        remaining = [manifest for manifest in survey.manifests if manifest.name in kept]
        unread = {writer_of(name) for name in survey.unread - set(outdone)}
        for owner, contents in survey.contents.items():
            if owner not in unread and (owner == writer or self._is_dead(owner, survey)):
                named = {file.sha256 for manifest in remaining if manifest.writer == owner for file in manifest.files}
                self.place.remove(self.content(owner, sha256) for sha256 in contents - named)
        there = {*survey.contents, *(one.writer for one in remaining), *unread, writer}
        self.place.remove(f"{_ENDED}/{owner}" for owner in survey.ended - there)

    @staticmethod
    def _is_dead(writer: str, survey: Survey) -> bool:
        """Whether a run has ended; one of which a manifest cannot be read counts as alive. Its clock may be days off, or ours: it is silent
        where by its own and by the place's clock nothing came."""
        if any(writer_of(name) == writer for name in survey.broken):
            return False
        if writer in survey.ended:
            return True
        try:
            last = max([began_at(writer), *(one.saved_at.timestamp() for one in survey.manifests if one.writer == writer)])
        except ValueError:
            return False  # somebody else's folder
        return abs(time.time() - last) > _SILENT_S and survey.silence_s(survey.heard[writer]) > _SILENT_S


def _recency(name: str, survey: Survey) -> tuple[float, str]:
    """Sorts manifests by when they came to the place. What it does not know of yet has just come; the name begins with a time, too."""
    at = survey.written.get(f"{_SAVED}/{name}", math.inf)
    return (0.0 if math.isnan(at) else at), name


def _newest(names: Sequence[str], survey: Survey) -> list[str]:
    """Manifests that are worth looking into: all of them, or of many the last ones of the newest runs."""
    if len(names) <= _MOST_READ:
        return list(names)
    of_run: dict[str | None, int] = {}
    chosen = []
    for name in sorted(names, key=lambda name: _recency(name, survey), reverse=True):
        of_run[writer_of(name)] = of_run.get(writer_of(name), 0) + 1
        if of_run[writer_of(name)] <= _OF_A_RUN:
            chosen.append(name)
            if len(chosen) == _MOST_READ:
                break
    return chosen


def _outdone(survey: Survey, kept: Collection[str]) -> list[str]:
    """Of what was not looked into the oldest first, where the same run saved something later that stays."""
    last = {writer_of(name): name for name in sorted(kept)}
    return sorted(name for name in survey.unread if name < last.get(writer_of(name), ""))
