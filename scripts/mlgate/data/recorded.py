"""Whether a file is what DVC recorded of it, in its `.dvc` file or as the output of a pipeline. Read without importing DVC."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlgate.data.dvc_files import LOADER
from mlgate.data.identity import content
from mlgate.data.tracking import dvc_root


@dataclass(frozen=True)
class Recorded:
    """A hash that DVC wrote down."""

    md5: str
    where: str
    """The file that says so, relative to the working directory."""
    hash_name: str
    """`md5`, or `md5-dos2unix` of a DVC before 3.0."""


@dataclass(frozen=True)
class Mismatch:
    path: str
    recorded: Recorded
    md5: str
    """What lies there."""

    def __str__(self) -> str:
        return f"{self.path} has the hash {self.md5[:12]}, and {self.recorded.where} says {self.recorded.md5[:12]}"


def mismatch(root: Path, path: str, known_md5: str | None = None) -> Mismatch | bool:
    """Data that is not what DVC recorded; True where it is, False where DVC recorded nothing of it.

    Args:
        root: the working directory.
        path: file or folder relative to it.
        known_md5: its hash, where it is known already.

    Raises:
        InputError: there is nothing at that path, or it cannot be read.
    """
    found = recorded(root, path)
    if found is None:
        return False
    md5 = known_md5 if known_md5 is not None and found.hash_name == "md5" else content(root, path, found.hash_name).md5
    return True if md5 == found.md5 else Mismatch(path, found, md5)


def recorded(root: Path, path: str) -> Recorded | None:
    """The hash DVC has of exactly that file or folder; None where it has none, or the files that say so cannot be read."""
    repository = dvc_root(root)
    if repository is None:
        return None
    beside = root / f"{path}.dvc"
    if beside.is_file():
        return _of(_outputs(beside, None), posixpath.basename(path), f"{path}.dvc")
    for folder in (root, *root.parents):
        lock = folder / "dvc.lock"
        if lock.is_file():
            relative = (root / path).relative_to(folder).as_posix()
            shown = posixpath.join(*([".."] * len(root.relative_to(folder).parts)), "dvc.lock")
            found = _of(_outputs(lock, "stages"), relative, shown)
            if found is not None:
                return found
        if folder == repository:
            break
    return None


def _of(entries: list[Any], path: str, where: str) -> Recorded | None:
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("md5"), str) and posixpath.normpath(str(entry.get("path"))) == path:
            return Recorded(entry["md5"], where, "md5" if entry.get("hash") == "md5" else "md5-dos2unix")
    return None


def _outputs(file: Path, stages: str | None) -> list[Any]:
    """Entries of what a `.dvc` file tracks, or of what the stages of a dvc.lock write."""
    try:
        document = yaml.load(file.read_bytes(), Loader=LOADER)  # noqa: S506 -- a SafeLoader
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    places = [document] if stages is None else [*(document.get(stages) or {}).values()]
    return [entry for place in places if isinstance(place, dict) for entry in place.get("outs") or []]
