"""A copy of what stands whole in the folder of checkpoints, hashed while it is copied. Never a mixture of before and after: what changes
meanwhile is taken again."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mlgate.console import plain
from mlgate.training.checkpoints.manifest import MAX_FILES, SavedFile, is_left_out, is_ordinary

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 6
_PAUSE_S = 0.05
_MOST_OPEN = 200
_MOST_SHOWN = 300
_CLOCK_S = 0.02
"""How exactly file systems tell the time."""


class NotTakenError(Exception):
    """The folder holds what is no checkpoint, or does not stand still; the message says what to do, in a line."""


class _ChangedError(Exception):
    """A file is not what it was a moment ago."""


@dataclass(frozen=True)
class Stamp:
    """By which a file is known not to have changed."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class Snapshot:
    """What stood in the folder at one moment."""

    files: list[SavedFile]
    stamps: Mapping[str, Stamp] = field(repr=False)

    @property
    def newest_s(self) -> float:
        """When the newest of its files was written, in seconds since 1970."""
        return max(stamp.modified_ns for stamp in self.stamps.values()) / 1e9


def listing(folder: Path) -> dict[str, Stamp]:
    """All whole files in a folder, by path relative to it with forward slashes; none where there is no folder.

    Raises:
        NotTakenError: something is no regular file, cannot be read, or has a name that is no text, or is none on every machine; or there
            are too many.
    """
    found: dict[str, Stamp] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(folder / prefix))
        except FileNotFoundError:
            continue  # gone meanwhile, or not there yet
        except OSError as error:
            raise NotTakenError(f"{_shown(folder, prefix)}: cannot be read: {error.strerror}") from None
        for entry in entries:
            if is_left_out(entry.name):
                continue
            path = f"{prefix}{entry.name}"
            if (status := _status(folder, path, entry)) is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                pending.append(f"{path}/")
            elif not is_ordinary(path):
                raise NotTakenError(
                    f"{_shown(folder, path)}: expected a name without a backslash, and without a colon among its first two characters"
                )
            elif stat.S_ISREG(status.st_mode):
                found[path] = Stamp.of(status)
            else:
                kind = "a link" if stat.S_ISLNK(status.st_mode) else "no regular file"
                raise NotTakenError(
                    f"{_shown(folder, path)}: is {kind}; only files are saved: put a file there, with the name of the other in it"
                )
        if len(found) > MAX_FILES:
            raise NotTakenError(f"{folder.name}: more than {MAX_FILES:,} files; expected fewer, larger ones")
    return dict(sorted(found.items()))


def _status(folder: Path, path: str, entry: os.DirEntry[str]) -> os.stat_result | None:
    """None where it is gone meanwhile. Raises NotTakenError."""
    try:
        path.encode()
        return entry.stat(follow_symlinks=False)
    except UnicodeEncodeError:
        raise NotTakenError(f"{_shown(folder, path)}: expected a name in UTF-8") from None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotTakenError(f"{_shown(folder, path)}: cannot be read: {error.strerror}") from None


def take(
    folder: Path,
    into: Path,
    known: Mapping[str, tuple[Stamp, str]],
    at_hand: Collection[str],
    *,
    is_synced: bool = True,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Snapshot:
    """Copy what stands whole in `folder`, each content to a file named by its SHA-256 in `into`.

    What is new is opened first, all of it, and the folder looked at again: what is opened then stood there at one moment, and stays what it
    is while it is copied, though the training replaces or removes it. A file that is written in place meanwhile is taken again.

    Args:
        known: stamp and SHA-256 of files as they were last time.
        at_hand: contents that need not be copied again, by SHA-256.
        is_synced: whether the copies are to have reached the disk.
        is_wanted: asked now and then; False ends it.

    Raises:
        NotTakenError: as `listing`, or there is no file any more, or one never stands still.
        OSError: the copy cannot be written.
    """
    known = dict(known)
    restless = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S * 2**attempt)
        if not (before := listing(folder)):
            raise NotTakenError("its files were removed just now")
        new = [path for path, stamp in before.items() if not _is_known(known.get(path), stamp, at_hand, into)]
        try:
            with ExitStack() as stack:
                opened = [stack.enter_context(_opened(folder / path)) for path in new[:_MOST_OPEN]]
                _check_same(before, listing(folder))
                for path, reading in zip(new, opened, strict=False):
                    known[path] = before[path], _copy(reading, path, before[path], into, is_synced=is_synced, is_wanted=is_wanted)
                _check_unwritten(zip(new, opened, strict=False), before)
            for path in new[_MOST_OPEN:]:
                with _opened(folder / path) as reading:
                    known[path] = before[path], _copy(reading, path, before[path], into, is_synced=is_synced, is_wanted=is_wanted)
            if len(new) > _MOST_OPEN:
                _check_same(before, listing(folder))
        except _ChangedError as error:
            restless = str(error)
            for path in new:
                known.pop(path, None)
            continue
        files = [SavedFile(path=path, size_bytes=stamp.size_bytes, sha256=known[path][1]) for path, stamp in before.items()]
        return Snapshot(files, before)
    raise NotTakenError(
        f"{_shown(folder, restless)}: changes all the time; write a checkpoint under a name that ends in .tmp, then rename it, and write "
        "logs elsewhere"
    )


def _is_known(earlier: tuple[Stamp, str] | None, stamp: Stamp, at_hand: Collection[str], into: Path) -> bool:
    return earlier is not None and earlier[0] == stamp and (earlier[1] in at_hand or (into / earlier[1]).is_file())


def _copy(reading: IO[bytes], path: str, stamp: Stamp, into: Path, *, is_synced: bool, is_wanted: Callable[[], bool]) -> str:
    """Copy a file that is as its stamp says; its SHA-256. Raises _ChangedError where it does not stay so."""
    into.mkdir(parents=True, exist_ok=True)
    aside = into / f".incoming-{secrets.token_hex(6)}"
    try:
        with aside.open("wb", buffering=0) as writing:
            digest, rest = hashlib.sha256(), stamp.size_bytes
            while rest >= 0 and (chunk := reading.read(_CHUNK_BYTES)):
                digest.update(chunk)
                rest -= len(chunk)
                if not is_wanted():
                    raise NotTakenError("there was no time to copy it")  # noqa: TRY301 -- what was copied so far is removed below
                write_all(writing.fileno(), chunk)
            if is_synced:
                os.fsync(writing.fileno())
            if rest:
                raise _ChangedError(path)  # noqa: TRY301 -- as above
        os.replace(aside, into / digest.hexdigest())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def _check_same(before: Mapping[str, Stamp], now: Mapping[str, Stamp]) -> None:
    """Raises _ChangedError where a folder looks otherwise than before."""
    if now != before:
        raise _ChangedError(next(path for path in (*now, *before) if now.get(path) != before.get(path)))


def _check_unwritten(opened: Iterable[tuple[str, IO[bytes]]], stamps: Mapping[str, Stamp]) -> None:
    """Raises _ChangedError where a file was written to since its stamp. That its name may be another's by now is no matter."""
    is_paused = False
    for path, reading in opened:
        stamp = stamps[path]
        if not is_paused and 0 <= time.time() - stamp.modified_ns / 1e9 < _CLOCK_S:
            time.sleep(_CLOCK_S)  # the next write might have the same time
            is_paused = True
        status = os.fstat(reading.fileno())
        if (status.st_size, status.st_mtime_ns, status.st_ino) != (stamp.size_bytes, stamp.modified_ns, stamp.inode):
            raise _ChangedError(path)


def _opened(path: Path) -> IO[bytes]:
    """A file to read, and nothing else that took its place meanwhile. Raises _ChangedError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            raise _ChangedError(path.name) from None
        raise NotTakenError(f"{path.name}: cannot be read: {error.strerror}") from None
    return os.fdopen(handle, "rb", buffering=0)


def write_all(handle: int, chunk: bytes) -> None:
    """All of it: a nearly full disk takes a part first."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _shown(folder: Path, path: str) -> str:
    return plain(f"{folder.name}/{path}".rstrip("/").encode(errors="replace").decode(errors="replace"))[:_MOST_SHOWN]
