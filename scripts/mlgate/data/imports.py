"""Data that `dvc import` or `dvc import-url` brought in: DVC takes it from its source again, not from the repository's own remote.

So it is with data of another repository, and with addresses whose store keeps versions. Other imported data is pushed like one's own.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mlgate.data import objects
from mlgate.data.advice import Place
from mlgate.data.targets import Target
from mlgate.git import without_credentials

_ASKED_FILES = 1000


def is_taken_from_source(target: Target) -> bool:
    """Whether DVC takes the target from where it was imported."""
    if target.output is None or not target.dvc.stage.is_import:
        return False
    return _is_of_repository(target) or _is_versioned(target)


def is_without_data(target: Target) -> bool:
    """Whether it was imported with `--no-download`: the `.dvc` file has no hash of it."""
    return target.output is not None and target.dvc.stage.is_partial_import


def source(target: Target) -> Place:
    """Where it comes from, in words."""
    dependency = target.dvc.stage.deps[0]
    if _is_of_repository(target):
        wanted = dependency.def_repo
        revision = str(wanted.get("rev_lock") or wanted.get("rev") or "HEAD")[:12]
        return Place(f"{dependency.def_path} of {without_credentials(str(wanted['url']))} at {revision}", "")
    url = without_credentials(str(dependency.fs.unstrip_protocol(dependency.fs_path)))
    return Place(url, str(dependency.fs.protocol))


def is_cached(target: Target, root: Path) -> bool:
    """Whether DVC's cache has it."""
    if _is_of_repository(target):
        return not objects.missing(target, root)
    return Path(_cached_at(target)).exists()


def discard(target: Target) -> None:
    """Remove it from workspace and cache, which holds something else than it should."""
    if not _is_of_repository(target):
        _remove(Path(_cached_at(target)))
    _remove(Path(target.dvc.fs_path))


def probe(target: Target) -> None:
    """Read a byte of every file of it, at its source. Raises whatever keeps them from being read."""
    dependency = target.dvc.stage.deps[0]
    fs, path = dependency.fs, dependency.fs_path
    files = fs.find(path) if fs.isdir(path) else [path]
    for name in list(files)[:_ASKED_FILES]:
        with fs.open(name, "rb") as stream:
            stream.read(1)


def _is_of_repository(target: Target) -> bool:
    return bool(target.dvc.stage.is_repo_import)


def _is_versioned(target: Target) -> bool:
    return bool(target.dvc.stage.is_versioned_import)


def _cached_at(target: Target) -> str:
    """DVC keeps what it can fetch by version as files, not as objects."""
    workspace, key = target.dvc.index_key
    index: Any = target.dvc.repo.index.data[workspace]
    return str(index.storage_map[key].cache.path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
