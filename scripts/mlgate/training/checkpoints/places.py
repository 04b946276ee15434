"""Where checkpoints are kept: a folder, or whatever DVC's file systems reach. What has its name there is whole: it was written aside, and
renamed, or is one object of a store."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from mlgate.training.checkpoints.snapshot import write_all

_CHUNK_BYTES = 1 << 20
T = TypeVar("T")
_ASIDE = ".incoming-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PlaceError(Exception):
    """A place did not do what it was asked; the message says why, in a line and without credentials."""

    def __init__(self, reason: str, *, is_absent: bool = False, is_full: bool = False, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.is_absent = is_absent
        """Whether there is no such thing, which another may have removed."""
        self.is_full = is_full
        self.may_pass = may_pass
        """Whether it is worth asking again in a moment."""


class Place(Protocol):
    """Files by name, `/` between folders. Every method raises PlaceError, and may be called from any thread."""

    @property
    def description(self) -> str:
        """For messages, without credentials."""

    def below(self, *names: str) -> Place:
        """A folder of it as a place."""

    def written(self) -> dict[str, float]:
        """Everything in it by name, what is being written with it: when it was written, in seconds since 1970 by the place's own clock; NaN
        where it does not say."""

    def read(self, name: str, most_bytes: int) -> bytes:
        """One that is small."""

    def write(self, name: str, content: bytes) -> None:
        """One that is small."""

    def send(self, name: str, source: Path) -> None:
        """Copy a file there."""

    def fetch(self, name: str, target: Path, size_bytes: int) -> None:
        """Copy a file here, to where none is yet. Never more than `size_bytes`."""

    def remove(self, names: Iterable[str]) -> None:
        """Those that are there."""


@dataclass(frozen=True)
class FolderPlace:
    """A folder of this machine, or one that several mount."""

    path: Path
    shown: str
    is_synced: bool = True
    """Whether what was written has to outlive a power cut."""

    @property
    def description(self) -> str:
        return self.shown

    def below(self, *names: str) -> FolderPlace:
        return replace(self, path=self.path.joinpath(*names))

    def written(self) -> dict[str, float]:
        found: dict[str, float] = {}

        def refused(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        try:
            for at, _, names in os.walk(self.path, onerror=refused):
                prefix = "" if at == str(self.path) else f"{os.path.relpath(at, self.path)}/"
                for name in names:
                    with suppress(FileNotFoundError):  # removed meanwhile
                        found[prefix + name] = os.lstat(f"{at}/{name}").st_mtime
        except OSError as error:
            raise _explained(error) from None
        return found

    def read(self, name: str, most_bytes: int) -> bytes:
        try:
            with _opened(self.path / name) as stream:
                content = bytes(stream.read(most_bytes + 1))
        except OSError as error:
            raise _explained(error) from None
        if len(content) > most_bytes:
            raise PlaceError(f"larger than {most_bytes:,} bytes")
        return content

    def write(self, name: str, content: bytes) -> None:
        self._put(name, lambda writing: write_all(writing, content))

    def send(self, name: str, source: Path) -> None:
        def copy(writing: int) -> None:
            with source.open("rb", buffering=0) as reading:
                while chunk := reading.read(_CHUNK_BYTES):
                    write_all(writing, chunk)

        self._put(name, copy)

    def fetch(self, name: str, target: Path, size_bytes: int) -> None:
        try:
            with _opened(self.path / name) as reading, target.open("xb", buffering=0) as writing:
                rest = size_bytes
                while rest and (chunk := reading.read(min(_CHUNK_BYTES, rest))):
                    write_all(writing.fileno(), chunk)
                    rest -= len(chunk)
                is_longer = bool(reading.read(1))
        except OSError as error:
            raise _explained(error) from None
        if rest or is_longer:
            raise PlaceError(f"{'more' if is_longer else 'fewer'} than {size_bytes:,} bytes")

    def remove(self, names: Iterable[str]) -> None:
        try:
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _explained(error) from None

    def clear(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _put(self, name: str, fill: Callable[[int], None]) -> None:
        target = self.path / name
        aside = target.parent / f"{_ASIDE}{secrets.token_hex(6)}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("xb", buffering=0) as stream:
                    fill(stream.fileno())
                    if self.is_synced:
                        os.fsync(stream.fileno())
                os.replace(aside, target)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
            if self.is_synced:
                _sync_folder(target.parent)
        except OSError as error:
            raise _explained(error) from None


@dataclass(frozen=True)
class RemotePlace:
    """A folder of a store that DVC reaches: S3, Google, Azure, SSH."""

    fs: Any
    """DVC's file system, which has the credentials."""
    path: str
    """As the file system has it: `bucket/checkpoints`."""
    shown: str
    explain: Callable[[Exception], str]
    """An error of the store's client in a line, without credentials."""

    @property
    def description(self) -> str:
        return self.shown

    def below(self, *names: str) -> RemotePlace:
        return replace(self, path=str(PurePosixPath(self.path, *names)))

    def written(self) -> dict[str, float]:
        top = f"{self.path.rstrip('/')}/"

        def ask() -> dict[str, float]:
            self.fs.fs.invalidate_cache()
            found = self.fs.fs.find(self.path, detail=True)
            listed = found if isinstance(found, Mapping) else {path: {} for path in found}  # DVC's own tell names alone
            return {str(path).removeprefix(top): _written(about) for path, about in listed.items() if str(path).startswith(top)}

        try:
            return self._asked(ask)
        except PlaceError as error:
            if error.is_absent:  # nothing was ever kept
                return {}
            raise

    def read(self, name: str, most_bytes: int) -> bytes:
        def ask() -> bytes:
            with self.fs.open(self._at(name), "rb") as stream:
                return bytes(stream.read(most_bytes + 1))

        content = self._asked(ask)
        if len(content) > most_bytes:
            raise PlaceError(f"larger than {most_bytes:,} bytes")
        return content

    def write(self, name: str, content: bytes) -> None:
        def ask(path: str) -> None:
            with self.fs.open(path, "wb") as stream:
                stream.write(content)

        self._put(name, ask)

    def send(self, name: str, source: Path) -> None:
        self._put(name, lambda path: self.fs.put_file(str(source), path))

    def fetch(self, name: str, target: Path, size_bytes: int) -> None:
        def ask() -> None:
            size = self.fs.info(self._at(name))["size"]
            if size != size_bytes:
                raise PlaceError(f"{size:,} bytes instead of {size_bytes:,}")
            if target.exists():
                raise PlaceError(f"{target.name} is there already")
            self.fs.get_file(self._at(name), str(target))

        self._asked(ask)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self._asked(partial(self.fs.rm_file, self._at(name)))
            except PlaceError as error:
                if not error.is_absent:
                    raise

    def _put(self, name: str, put: Callable[[str], None]) -> None:
        path = self._at(name)

        def ask() -> None:
            if self._is_store:
                put(path)  # an object is there when all of it is
                return
            self.fs.makedirs(self.fs.parent(path), exist_ok=True)
            aside = f"{self.fs.parent(path)}/{_ASIDE}{secrets.token_hex(6)}"
            put(aside)
            if self.fs.exists(path):
                self.fs.rm_file(path)
            self.fs.mv(aside, path)

        self._asked(ask)

    @property
    def _is_store(self) -> bool:
        from dvc_objects.fs.base import ObjectFileSystem

        return isinstance(self.fs, ObjectFileSystem)

    def _at(self, name: str) -> str:
        return str(PurePosixPath(self.path, name))

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except PlaceError:
            raise
        except Exception as error:  # noqa: BLE001 -- four clients, each with a family of errors of its own; all become one of ours
            is_absent, is_full = isinstance(error, FileNotFoundError), isinstance(error, OSError) and error.errno in _FULL
            may_pass = not (is_absent or is_full or isinstance(error, PermissionError))
            raise PlaceError(self.explain(error), is_absent=is_absent, is_full=is_full, may_pass=may_pass) from None


def _written(about: Mapping[str, Any]) -> float:
    """When something was written, as the file systems call it: S3 and its like, Azure, and all others."""
    at = next((about[name] for name in ("LastModified", "last_modified", "mtime") if about.get(name)), None)
    return at.timestamp() if isinstance(at, datetime) else float(at) if isinstance(at, (int, float)) else math.nan


def _opened(path: Path) -> Any:
    """A regular file to read. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "no regular file")
    return os.fdopen(handle, "rb", buffering=0)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError) -> PlaceError:
    may_pass = error.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN)
    return PlaceError(
        error.strerror or type(error).__name__,
        is_absent=isinstance(error, FileNotFoundError),
        is_full=error.errno in _FULL,
        may_pass=may_pass,
    )
