"""What lies in a folder: its files in the order of their names, and what is there that is no file of it. Nothing is opened."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import InputError
from mlgate.mistakes import lookalike

_NEVER_DATA = frozenset({".git", ".hg", ".dvc", ".gitignore", ".gitattributes", ".gitkeep", ".dvcignore"})
# Where DVC keeps what `cache.type = symlink` links to.
_DVC_CACHE = re.compile(r".*/files/md5/[0-9a-f]{2}/[0-9a-f]{30}")


@dataclass(frozen=True)
class Listing:
    """Files of a folder by their paths relative to it, with forward slashes."""

    files: list[str]
    leaving: list[str]
    """Links to somewhere outside the folder, DVC's cache apart: what is there can be another thing on every machine."""
    not_files: list[str]
    """Links to folders and to nothing, pipes, devices, folders that cannot be listed; each with what it is in brackets."""


def listing(root: Path, name: str, ignored: Sequence[str]) -> Listing:
    """Everything in a folder.

    Args:
        root: the working directory.
        name: the folder, relative to it.
        ignored: patterns of paths that are none of the data.

    Raises:
        InputError: it is absent, no folder, or cannot be listed.
    """
    folder = root / name
    if not folder.exists():
        raise InputError(f"{name}: no such folder{lookalike(folder) or '; does data.pull name it, or does data.prepare make it?'}")
    if not folder.is_dir():
        raise InputError(f"{name}: a file; `files` is for a folder of files, a table has `schema` or `columns`")
    is_data = data_matcher(ignored)
    inside = os.path.realpath(folder) + os.sep
    found = Listing([], [], [])
    open_folders = [""]
    while open_folders:
        prefix = open_folders.pop()
        try:
            entries = sorted(os.scandir(folder / prefix), key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise InputError(f"{name}: cannot be listed: {error.strerror}") from None
            found.not_files.append(f"{prefix.rstrip('/')} (a folder that cannot be listed: {error.strerror})")
            continue
        for entry in entries:
            path = prefix + entry.name
            if not is_data(path):
                continue
            if entry.is_dir(follow_symlinks=False):
                open_folders.append(f"{path}/")
            else:
                _sort_in(found, entry, path, inside)
    found.files.sort()
    return found


def _sort_in(found: Listing, entry: os.DirEntry[str], path: str, inside: str) -> None:
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if not os.path.exists(target):  # noqa: PTH110 -- called for every link
            found.not_files.append(f"{path} (a link to nothing)")
        elif os.path.isdir(target):  # noqa: PTH112
            found.not_files.append(f"{path} (a link to a folder, which DVC and mlgate do not follow)")
        elif target.startswith(inside) or _DVC_CACHE.fullmatch(target):
            found.files.append(path)
        else:
            found.leaving.append(path)
    elif entry.is_file(follow_symlinks=False):
        found.files.append(path)
    else:
        found.not_files.append(f"{path} (no ordinary file)")


def data_matcher(ignored: Sequence[str]) -> Callable[[str], bool]:
    """A test of whether a path is data: no file of the system's, and none to be ignored. A pattern without a slash is about a file's name,
    in any folder."""
    meant = (rf"(?s:{'' if '/' in one else '(?:.*/)?'}{fnmatch.translate(one)})" for one in ignored)
    left_out = re.compile("|".join(meant) or r"(?!)")
    return lambda path: path.rpartition("/")[2] not in _NEVER_DATA and left_out.match(path) is None
