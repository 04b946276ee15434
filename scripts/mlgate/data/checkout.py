"""What a checkout may lack although Git tracks it: the content of files in Git LFS, and submodules. Neither is ever taken for data."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlgate import git
from mlgate.errors import InputError

# github.com/git-lfs/git-lfs/blob/main/docs/spec.md: shorter than 1024 bytes, the version first, then keys in alphabetical order
_LARGEST_POINTER_BYTES = 1024
_START = b"version https://git-lfs.github.com/spec/"
_OID = re.compile(rb"^oid (sha256:[0-9a-f]{64})$", re.MULTILINE)


def is_lfs_pointer(content: bytes) -> bool:
    """Whether a file's content is what Git LFS leaves in Git in place of the data."""
    return content.startswith(_START)


def lfs_oid(content: bytes | None) -> str | None:
    """`sha256:<hex>` of the data that a Git LFS pointer stands for; None where the content is no pointer."""
    if content is None or len(content) >= _LARGEST_POINTER_BYTES or not is_lfs_pointer(content):
        return None
    found = _OID.search(content)
    return found[1].decode() if found else None


def refuse_pointers(root: Path, paths: Iterable[str]) -> None:
    """Refuse data of which only Git LFS pointers are here.

    Args:
        root: the working directory.
        paths: files and folders, relative to it; those that are absent are passed over.

    Raises:
        InputError: a file is such a pointer; the message says how to get the data.
    """
    for path in paths:
        for file in _files(root / path):
            if (oid := _pointer_at(file)) is not None:
                shown = Path(os.path.relpath(file, root)).as_posix()
                raise InputError(
                    f"{shown}: a Git LFS pointer, not the data ({oid[:19]}…): actions/checkout with `lfs: true`, or 'git lfs pull'"
                )


def refuse_absent_submodules(root: Path, names: Iterable[str]) -> None:
    """Refuse data that lies in submodules which were not checked out: their folders are there, and empty.

    Raises:
        InputError: the message names the submodule and says how to get it.
    """
    wanted = [os.path.normpath(name) for name in names]
    top = git.toplevel(root) if wanted else None
    if top is None or not (top / ".gitmodules").is_file():
        return
    for submodule in _submodules(top):
        at = Path(os.path.relpath(top / submodule, root)).as_posix()
        if (top / submodule / ".git").exists():
            continue
        for name in wanted:
            if name == at or name.startswith(f"{at}/") or at.startswith(f"{name}/"):
                raise InputError(
                    f"{name}: in the submodule '{submodule}', which is not checked out: actions/checkout with `submodules: true`, "
                    "or 'git submodule update --init'"
                )


def _files(path: Path) -> Iterator[Path | os.DirEntry[str]]:
    """Files small enough for a pointer."""
    if path.is_file():
        yield path
        return
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file():
            yield entry


def _pointer_at(file: Path | os.DirEntry[str]) -> str | None:
    try:
        if not len(_START) < file.stat().st_size < _LARGEST_POINTER_BYTES:
            return None
        with open(file, "rb") as stream:
            return lfs_oid(stream.read(_LARGEST_POINTER_BYTES))
    except OSError:
        return None  # whoever reads it next says what is wrong


def _submodules(top: Path) -> list[str]:
    """Paths of the commit's submodules, relative to the top folder."""
    listed = git.try_text(top, "ls-files", "-s", "-z") or ""
    return [entry.partition("\t")[2] for entry in listed.split("\0") if entry.startswith("160000 ")]
