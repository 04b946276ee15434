"""Who tracks a piece of data: DVC by a `.dvc` file or a pipeline, Git, or nobody. Read from the files themselves, without importing DVC."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml

from mlgate import git
from mlgate.data.dvc_files import LOADER
from mlgate.errors import InputError


def dvc_root(root: Path) -> Path | None:
    """The folder that holds `.dvc`, at or above `root`; None outside a DVC repository."""
    for folder in (root, *root.parents):
        if (folder / ".dvc").is_dir():
            return folder
        if (folder / ".git").exists():
            return None
    return None


def tracked_by(root: Path, path: str) -> Literal["dvc", "git", "none"]:
    """Who tracks the file or folder, or the folder it lies in. Raises InputError when a pipeline file is broken."""
    repository = dvc_root(root)
    parts = posixpath.normpath(path).split("/")
    ancestors = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    if repository is not None and any((root / f"{ancestor}.dvc").is_file() for ancestor in ancestors):
        return "dvc"
    if git.try_text(root, "ls-files", "--", f":(literal){path}"):
        return "git"
    if repository is not None and not {root / ancestor for ancestor in ancestors}.isdisjoint(pipeline_outputs(root, repository)):
        return "dvc"
    return "none"


def pipeline_outputs(root: Path, repository: Path) -> set[Path]:
    """Absolute paths of what the repository's pipelines write into DVC's cache. Raises InputError."""
    listed = git.try_text(root, "ls-files", "-z", "--full-name", "--", ":(top,glob)**/dvc.yaml") or ""
    top = git.toplevel(root) or repository
    pipelines = {top / name for name in listed.split("\0") if name}
    for folder in (root, *root.parents):
        pipelines.add(folder / "dvc.yaml")
        if folder == repository:
            break
    return {output for pipeline in sorted(pipelines) if pipeline.is_file() for output in _outputs(pipeline, repository)}


def _outputs(pipeline: Path, repository: Path) -> Iterator[Path]:
    """Outputs as the lock file has them (names resolved), else as the pipeline file spells them."""
    stages = _mapping(_read(pipeline, repository).get("stages"))
    lock = pipeline.with_suffix(".lock")
    locked = _mapping(_read(lock, repository).get("stages")) if lock.is_file() else {}
    for name, stage in {**stages, **locked}.items():
        written = _mapping(stages.get(name) or stages.get(str(name).split("@")[0]))
        written = _mapping(written.get("do")) or written
        folder = pipeline.parent / str(written.get("wdir") or ".")
        uncached = {path for path, is_cached in _entries(written) if not is_cached}
        for path, _ in _entries(_mapping(stage)):
            if path not in uncached:
                yield Path(posixpath.normpath((folder / path).as_posix()))


def _entries(stage: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Path of each output of a stage, and whether it goes into the cache."""
    for section in ("outs", "metrics", "plots"):
        for entry in stage.get(section) or []:
            if isinstance(entry, str):
                yield entry, True
            elif isinstance(entry, dict) and "path" in entry:  # dvc.lock
                yield str(entry["path"]), True
            elif isinstance(entry, dict):  # dvc.yaml: {path: {cache: false}}
                for path, options in entry.items():
                    yield str(path), _mapping(options).get("cache", True) is not False


def _read(path: Path, repository: Path) -> dict[str, Any]:
    name = path.relative_to(repository) if path.is_relative_to(repository) else path
    try:
        return _mapping(yaml.load(path.read_bytes(), Loader=LOADER))  # noqa: S506 -- a SafeLoader
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
