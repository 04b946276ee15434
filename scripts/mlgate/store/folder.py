"""A store in a folder, for a laptop or a lone server. Contents lie in `objects/` by their SHA-256, one index names them.

A write brings its contents first and the index last, by a rename: whoever dies on the way leaves the old state. Writers take turns
by a lock file, which the system frees when its holder dies; readers need none, since they see one index or the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from mlgate import evidence
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import Record, Sha256, Text
from mlgate.store.names import checked, is_record_name

LOCK_PATIENCE_S = 60.0
_KEEP_UNNAMED_S = 24 * 3600


class Index(Record):
    """`index.json`: which content each record has."""

    schema_version: Literal[1] = 1
    written_at: datetime
    message: Text
    """What the last write was for."""
    records: dict[str, Sha256]


class FolderStore:
    """Records below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def description(self) -> str:
        return f"folder {self._folder}"

    def read(self, name: str) -> bytes | None:
        """One record; None where there is none. Raises InfrastructureError: it cannot be read, or was damaged."""
        checked(name)
        for _ in range(3):  # a record that is replaced while we look: the next index has its new content
            digest = self._records().get(name)
            if digest is None:
                return None
            try:
                content = self._object(digest).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._unreadable(error) from None
            if hashlib.sha256(content).hexdigest() != digest:
                raise InfrastructureError(
                    f"store: {self.description}: record '{name}' was damaged (SHA-256 differs); restore it from a backup"
                )
            return content
        raise InfrastructureError(f"store: {self.description}: the content of record '{name}' is gone; restore it from a backup")

    def names(self, prefix: str = "") -> list[str]:
        """Names of all records that begin with `prefix`, sorted. Raises InfrastructureError."""
        return sorted(name for name in self._records() if name.startswith(prefix) and is_record_name(name))

    def write(self, records: Mapping[str, bytes], message: str) -> None:
        """Add or replace records, all of them in one step.

        Raises:
            InputError: a name no record can have.
            InfrastructureError: the folder cannot be written, or another process keeps it locked.
        """
        digests = {checked(name): hashlib.sha256(content).hexdigest() for name, content in records.items()}
        try:
            (self._folder / "objects").mkdir(parents=True, exist_ok=True)
            with self._locked():
                current = self._records()
                for name, digest in digests.items():
                    self._replace(self._object(digest), records[name])
                index = Index(written_at=evidence.now(), message=" ".join(message.split())[:2000], records={**current, **digests})
                self._replace(self._folder / "index.json", index.model_dump_json(indent=1).encode())
                self._sweep(index)
        except OSError as error:
            raise InfrastructureError(f"store: {self.description}: cannot be written: {error.strerror}") from None

    def _object(self, digest: str) -> Path:
        return self._folder / "objects" / digest

    def _records(self) -> dict[str, str]:
        try:
            content = (self._folder / "index.json").read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(error) from None
        try:
            return evidence.parse_record(Index, content, "index.json").records
        except InputError as error:
            raise InfrastructureError(f"store: {self.description}: {error}; restore it from a backup") from None

    def _unreadable(self, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"store: {self.description}: cannot be read: {error.strerror}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("ab") as stream:
            deadline = time.monotonic() + LOCK_PATIENCE_S
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise InfrastructureError(
                            f"store: {self.description}: another process holds its .lock for {LOCK_PATIENCE_S:.0f} s already; end it"
                        ) from None
                    time.sleep(0.01)
            yield

    def _replace(self, path: Path, content: bytes) -> None:
        """Replace a file by a rename, after its content has reached the disk: a power cut must not leave an index of empty objects."""
        temporary = self._folder / "objects" / ".incoming"  # one name will do: whoever is here holds the lock
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _sweep(self, index: Index) -> None:
        """Remove contents that no record has any more, and what writers that died left; a day after they came."""
        named = set(index.records.values())
        oldest = time.time() - _KEEP_UNNAMED_S
        for path in (self._folder / "objects").iterdir():
            if path.name not in named and path.lstat().st_mtime < oldest:
                path.unlink()
