"""Results of trainings, kept for later runs of the same: predictions, metric files, models. Contents by hash first, the manifest last, so
that what a manifest names is there; and all of it is verified before anything is put into the working directory.

In the place, a folder for each training (code, data, parameters, command) holds a manifest for each environment it was run in, so that a
result that does not count for want of the same environment can be told from none at all.

Whoever can write to the place can write a manifest, so it is untrusted until it was parsed: only files that mlgate.yaml names are taken
from it, and none is ever unpickled here.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from mlgate.evidence import Commit, InsidePath, Record, RunRef, Sha256, Text
from mlgate.training.checkpoints.manifest import Moment, Spent
from mlgate.training.checkpoints.places import Place, PlaceError
from mlgate.training.environment import Environment

MAX_MANIFEST_BYTES = 20_000_000
MAX_FILES = 10_000
KEPT = 50
"""Newest results of a model that are kept; a later training takes the place of the oldest."""
_MOST_TRIED = 3
_MOST_FORGOTTEN = 20
"""Trainings at once, where more than should be there are."""
_CHUNK_BYTES = 1 << 20
_SLACK_BYTES = 100_000_000
"""Left free on the disk."""
_MANIFEST = re.compile(r"(?P<training>[0-9a-f]{64})/(?P<at>[0-9a-f]{8})-(?P<environment>[0-9a-f]{64})-[0-9a-f]{8}\.json")


class NotKeptError(Exception):
    """A result cannot be kept; the message says why, in a line."""


class NotWholeError(Exception):
    """A result that was kept is of no use; the message says why, in a line."""


class ResultFile(Record):
    path: InsidePath
    """Relative to the working directory, with forward slashes."""
    size_bytes: Annotated[int, Field(ge=0, lt=2**53)]
    sha256: Sha256
    """Also the name that the content has in the place."""


class Result(Record):
    """The manifest."""

    schema_version: Literal[1] = 1
    training: Sha256
    """Of code, data, parameters and command."""
    environment: Environment
    model: Text
    commit: Commit | None
    run: RunRef | None
    trained_at: Moment
    duration_s: Annotated[float, Field(ge=0, le=1e10)]
    cost: Spent | None = None
    """What the training took, with all runs that led to it."""
    begun_anew: RunRef | None = None
    """The run that trained it because it was asked to begin from nothing."""
    files: Annotated[list[ResultFile], Field(max_length=MAX_FILES)]

    @model_validator(mode="after")
    def _has_each_file_once(self) -> Self:
        if len({file.path for file in self.files}) < len(self.files):
            raise ValueError("a file is listed twice")
        paths = {file.path for file in self.files}
        if any(str(parent) in paths for path in paths for parent in PurePosixPath(path).parents):
            raise ValueError("a file is listed as a folder, too")
        return self

    @property
    def key(self) -> str:
        """SHA-256 of all that a training must share with this one to take its result."""
        return key(self.training, self.environment)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class Found:
    """What there is of a training."""

    result: Result | None = None
    elsewhere: Environment | None = None
    """Where there is none of this environment: another that it was run in."""


def key(training: str, environment: Environment) -> str:
    """SHA-256 of a training (code, data, parameters, command: SHA-256) and where it runs."""
    return hashlib.sha256(f"mlgate result 1\0{training}\0{environment.sha256}".encode()).hexdigest()


@dataclass(frozen=True)
class Products:
    """What a training makes, as mlgate.yaml has it."""

    paths: Sequence[str]
    """Files and folders; each must be there."""
    patterns: Sequence[str] = ()
    """`eval/seeds/*.csv`: files of one folder; at least one must be there."""

    def includes(self, path: str) -> bool:
        """Whether a file is one of them."""
        parts = PurePosixPath(path).parts
        if not _is_ordinary(path, parts):
            return False
        if any(path == product or path.startswith(f"{product}/") for product in self.paths):
            return True
        at = PurePosixPath(path)
        return any(at.parent == PurePosixPath(one).parent and fnmatchcase(at.name, PurePosixPath(one).name) for one in self.patterns)

    def lacking(self, files: Iterable[str]) -> list[str]:
        """Those of which there is no file among some."""
        listed = list(files)
        alone = [path for path in self.paths if not any(file == path or file.startswith(f"{path}/") for file in listed)]
        return alone + [one for one in self.patterns if not any(Products((), (one,)).includes(file) for file in listed)]


def _is_ordinary(path: str, parts: tuple[str, ...]) -> bool:
    """Whether a path is what it seems, and leads to nothing that Git, DVC or GitHub obey."""
    if path != "/".join(parts) or ".." in parts or path.startswith("/") or "\\" in path or re.search(r"[\x00-\x1f\x7f]", path):
        return False
    return not any(part.lower() in (".git", ".dvc", ".github", ".mlgate") for part in parts)


def keep(
    place: Place, root: Path, products: Products, described: Callable[[list[ResultFile]], Result], *, is_replacing: bool = False
) -> int:
    """Keep what a training made; nothing where a result of it is there already. How many bytes were sent.

    Args:
        place: of the model's results.
        root: the working directory.
        products: what is kept of it.
        described: makes the manifest.
        is_replacing: whether the one that is there is of no use.

    Raises:
        NotKeptError: a product is not there, is no file, or changes; or the place does not take it.
    """
    files = list(_files(root, products))
    if lacking := products.lacking(files):
        raise NotKeptError(f"the command made no {lacking[0]}")
    if len(files) > MAX_FILES:
        raise NotKeptError(f"{len(files):,} files; at most {MAX_FILES:,} are kept")
    manifest = described([_hashed(root, path) for path in files])
    environment = manifest.environment.sha256
    try:
        there, sent = place.written(), 0
        earlier = _manifests(there, manifest.training, environment)
        if earlier and not is_replacing:
            return 0
        at = place.below(manifest.training)
        for file in {file.sha256: file for file in manifest.files}.values():
            if is_replacing or f"{manifest.training}/{file.sha256}" not in there:
                at.send(file.sha256, root / file.path)
                sent += file.size_bytes
        at.write(f"{int(time.time()):08x}-{environment}-{secrets.token_hex(4)}.json", manifest.model_dump_json().encode())
        place.remove(earlier)  # those that are of no use
        _forget_oldest(place, there, manifest.training)
    except (PlaceError, OSError) as error:
        raise NotKeptError(str(error)) from None
    return sent


def find(place: Place, training: str, environment: Environment, products: Products) -> Found:
    """The newest result of a training in an environment, as its manifest has it.

    Raises:
        NotWholeError: there is one, and it cannot be believed.
        PlaceError: the place cannot be asked.
    """
    there = {f"{training}/{name}": at for name, at in place.below(training).written().items()}
    problem: NotWholeError | None = None
    for name in _manifests(there, training, environment.sha256)[: -_MOST_TRIED - 1 : -1]:
        try:
            return Found(_believed(place, name, training, environment, products))
        except NotWholeError as error:  # one that nobody may remove, perhaps, and a good one beside it
            problem = problem or error
    if problem is not None:
        raise problem
    others = _manifests(there, training)
    return Found(elsewhere=_manifest(place, others[-1]).environment) if others else Found()


def _believed(place: Place, name: str, training: str, environment: Environment, products: Products) -> Result:
    """Raises NotWholeError, PlaceError."""
    result = _manifest(place, name)
    if (result.training, result.environment) != (training, environment):
        raise NotWholeError("its manifest is of another training")
    if strange := next((file.path for file in result.files if not products.includes(file.path)), None):
        raise NotWholeError(f"it holds {strange[:200]!r}, which mlgate.yaml does not name")
    if lacking := products.lacking(file.path for file in result.files):
        raise NotWholeError(f"it has no {lacking[0]}")
    return result


def _manifest(place: Place, name: str) -> Result:
    try:
        return Result.model_validate_json(place.read(name, MAX_MANIFEST_BYTES))
    except ValidationError:
        raise NotWholeError("its manifest is damaged, or of another version of mlgate") from None


def bring(place: Place, result: Result, root: Path, aside: Path) -> None:
    """Fetch, verify, then put the files of a result into the working directory.

    Args:
        place: of the model's results.
        result: as `find` has it.
        root: the working directory.
        aside: a folder that is ours, where they wait until all are verified; gone afterwards.

    Raises:
        NotWholeError: a file is not what the manifest says, or there is no room; nothing was put anywhere.
        PlaceError: the place cannot be asked.
        OSError: the working directory cannot be written.
    """
    at = place.below(result.training)
    wanted = {file.sha256: file.size_bytes for file in result.files}
    for path in (file.path for file in result.files):
        _refuse_links(root, path)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        free = shutil.disk_usage(aside).free
        if 2 * result.size_bytes + _SLACK_BYTES > free:
            raise NotWholeError(f"its {result.size_bytes:,} bytes have no room on the disk ({free:,} free)")
        for sha256, size in wanted.items():
            at.fetch(sha256, aside / sha256, size)
            if _sha256(aside / sha256) != (sha256, size):
                raise NotWholeError("a file of it was changed or cut")
        for file in result.files:
            _put(aside / file.sha256, root / file.path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(source: Path, target: Path) -> None:
    """A copy under its final name at once. DVC may have a link to its cache there, which stays as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        shutil.copyfile(source, waiting)
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)


def _refuse_links(root: Path, path: str) -> None:
    """A commit may have a link where a folder of results was: what is written there would land elsewhere."""
    at = root
    for part in PurePosixPath(path).parent.parts:
        at = at / part
        if at.is_symlink() or (at.exists() and not at.is_dir()):
            raise NotWholeError(f"{path}: {at.relative_to(root)} is no folder here")
    if (root / path).is_dir() and not (root / path).is_symlink():
        raise NotWholeError(f"{path}: is a folder here")


def _files(root: Path, products: Products) -> Iterator[str]:
    """Every file of the products, once, relative to the working directory. Raises NotKeptError."""
    found: dict[str, None] = {}
    for path in products.paths:
        for name in _below(root, path):
            found.setdefault(name)
    for pattern in products.patterns:
        folder = root / PurePosixPath(pattern).parent
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if fnmatchcase(entry.name, PurePosixPath(pattern).name) and entry.is_file():
                found.setdefault(entry.relative_to(root).as_posix())
    for path in found:
        if not products.includes(path):
            raise NotKeptError(f"{path[:200]!r} has a name that is not taken")
        yield path


def _below(root: Path, path: str) -> Iterator[str]:
    full = root / path
    try:
        full.resolve().relative_to(root.resolve())
    except (ValueError, OSError):
        raise NotKeptError(f"{path} leads out of the working directory") from None
    if full.is_file():
        yield path
        return
    for at, folders, names in os.walk(full):
        folders.sort()
        if link := next((name for name in folders if Path(at, name).is_symlink()), None):
            raise NotKeptError(f"{os.path.relpath(Path(at, link), root)} is a link to a folder")
        for name in sorted(names):
            inside = Path(at, name)
            if not inside.is_file():
                raise NotKeptError(f"{os.path.relpath(inside, root)} is no file")
            yield os.path.relpath(inside, root).replace(os.sep, "/")


def _hashed(root: Path, path: str) -> ResultFile:
    try:
        sha256, size = _sha256(root / path)
        return ResultFile(path=path, sha256=sha256, size_bytes=size)
    except OSError as error:
        raise NotKeptError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise NotKeptError(f"{path[:200]!r} has a name that is not taken") from None


def _sha256(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(22, "no regular file")
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _manifests(written: Mapping[str, float], training: str, environment: str | None = None) -> list[str]:
    """Names of manifests of a training, the newest last: by the place's own clock, as those of the machines may be hours or years off."""
    matches = (_MANIFEST.fullmatch(name) for name in written)
    found = [match[0] for match in matches if match and match["training"] == training and environment in (None, match["environment"])]
    return sorted(found, key=lambda name: (_time(written[name]), name))


def _time(at: float) -> float:
    return 0.0 if math.isnan(at) else at


def _forget_oldest(place: Place, written: Mapping[str, float], newest: str) -> None:
    """Make room: manifests first, so that no manifest names what is gone.

    Args:
        written: what was there before the newest came, and since when.
        newest: the training that has just been kept.
    """
    manifests = sorted(
        (_time(at), match["at"], match["training"], name) for name, at in written.items() if (match := _MANIFEST.fullmatch(name))
    )
    by_age = dict.fromkeys(training for _, _, training, _ in reversed(manifests) if training != newest)
    gone = set(list(by_age)[KEPT - 1 :][-_MOST_FORGOTTEN:])
    if gone:
        place.remove([name for _, _, training, name in manifests if training in gone])
        place.remove([name for name in written if name.partition("/")[0] in gone and not name.endswith(".json")])
