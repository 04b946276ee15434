"""What a piece of data is: the MD5 that DVC would give it, file or folder, and who tracks it. pull-data records it, train compares it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlgate.config import is_remote
from mlgate.data import remote_identity
from mlgate.data.tracking import dvc_root, tracked_by
from mlgate.errors import InputError
from mlgate.evidence import DataRef

_CHUNK_BYTES = 1 << 20
_TEXT_BLOCK_BYTES = 512
_TEXT_BYTES = bytes(range(32, 127)) + b"\n\r\t\f\b"
_NEVER_TRACKED = frozenset({".git", ".hg", ".dvc"})


@dataclass(frozen=True)
class Content:
    """What lies at a path."""

    md5: str
    """As in a `.dvc` file: `<hex>`, or `<hex>.dir` for a folder."""
    size_bytes: int
    files: dict[str, str]
    """MD5 of each file by its path relative to the folder, with forward slashes; of a single file, by an empty path."""


@dataclass(frozen=True)
class Difference:
    """Data that is not what it was."""

    validated: DataRef
    now: DataRef | None
    """None where it is gone."""

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.validated.path} is gone"
        return f"{self.validated.path} changed ({self.validated.hash} -> {self.now.hash})"


def identify(root: Path, path: str) -> DataRef:
    """The identity of a file or folder, `path` relative to `root`.

    Links are followed, except folders linked inside a folder: DVC leaves those out too.

    Of an address in an object store it is what `remote_identity` says.

    Raises:
        InputError: there is nothing at that path, or it cannot be read.
        InfrastructureError: an object store cannot be asked.
    """
    if is_remote(path):
        return remote_identity.identify(path)
    return data_ref(path, content(root, path), tracked_by(root, path))


def data_ref(path: str, found: Content, tracker: Literal["dvc", "git", "none"]) -> DataRef:
    """The reference to data of known content."""
    return DataRef(path=path, hash=f"md5:{found.md5}", size_bytes=found.size_bytes, files=len(found.files), tracked_by=tracker)


def differing(root: Path, validated: Iterable[DataRef]) -> list[Difference]:
    """Those of the validated data that are gone or have another content now, as far as it can be told.

    Raises:
        InputError: data cannot be read.
        InfrastructureError: an object store cannot be asked.
    """
    differences = []
    for reference in validated:
        if is_remote(reference.path):
            now = remote_identity.identify(reference.path)
            if remote_identity.UNPINNED not in (now.hash, reference.hash) and now.hash != reference.hash:
                differences.append(Difference(reference, now))
            continue
        if not (root / reference.path).exists():
            differences.append(Difference(reference, None))
            continue
        found = content(root, reference.path)
        if f"md5:{found.md5}" != reference.hash:
            differences.append(Difference(reference, data_ref(reference.path, found, reference.tracked_by)))
    return differences


def content(root: Path, path: str, hash_name: str = "md5") -> Content:
    """Hashes of a file or of everything in a folder.

    Args:
        root: the working directory.
        path: relative to it.
        hash_name: `md5`, or `md5-dos2unix` as DVC before 3.0 computed it for text files.

    Raises:
        InputError: there is nothing at that path, or it cannot be read.
    """
    full = root / path
    try:
        if not full.is_dir():
            md5, size = file_md5(full, hash_name)
            return Content(md5, size, {"": md5})
        names = sorted(_files_of(full, dvc_root(root)))
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            hashed = list(pool.map(lambda name: file_md5(full / name, hash_name), names))
    except FileNotFoundError as error:
        where = path if error.filename == str(full) else f"{path}: {os.path.relpath(error.filename, root)}"
        broken = " (a link to nothing)" if Path(error.filename).is_symlink() else ""
        raise InputError(f"{where}: no such file or folder{broken}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: {error.filename}") from None
    files = {name: md5 for name, (md5, _) in zip(names, hashed, strict=True)}
    return Content(tree_md5(files), sum(size for _, size in hashed), files)


def file_md5(path: Path, hash_name: str = "md5") -> tuple[str, int]:
    """MD5 and size of a file, read in chunks. Raises OSError."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            if hash_name == "md5-dos2unix" and _is_text(chunk):
                chunk = chunk.replace(b"\r\n", b"\n")  # DVC 2 hashed text as it is on Unix, chunk by chunk
            digest.update(chunk)
    return digest.hexdigest(), size


def tree_md5(files: dict[str, str]) -> str:
    """DVC's hash of a folder, `<hex>.dir`: of the JSON listing of its files, sorted by path."""
    listing = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _is_text(chunk: bytes) -> bool:
    block = chunk[:_TEXT_BLOCK_BYTES]
    return b"\0" not in block and len(block.translate(None, _TEXT_BYTES)) <= 0.30 * len(block)


def _files_of(folder: Path, repository: Path | None) -> Iterator[str]:
    """Paths of the files in a folder, relative to it, as DVC sees them."""
    for at, folders, names in _walk(folder, repository):
        folders[:] = [name for name in folders if name not in _NEVER_TRACKED]
        prefix = "" if at == str(folder) else os.path.relpath(at, folder).replace(os.sep, "/") + "/"
        yield from (prefix + name for name in names if name != ".git")


def _walk(folder: Path, repository: Path | None) -> Iterator[tuple[str, list[str], list[str]]]:
    if repository is not None and _has_ignore_patterns(folder, repository):
        from dvc.repo import Repo

        with Repo(str(repository)) as repo:
            yield from repo.dvcignore.walk(repo.fs, str(folder))
    else:
        yield from os.walk(folder)


def _has_ignore_patterns(folder: Path, repository: Path) -> bool:
    """Whether a .dvcignore above the folder asks for anything: only then is DVC itself needed to list files."""
    for parent in (folder, *folder.parents):
        try:
            lines = (parent / ".dvcignore").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        if any(line.strip() and not line.startswith("#") for line in lines):
            return True
        if parent == repository:
            break
    return False
