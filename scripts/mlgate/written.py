"""Which tracked files a training writes itself: dvc.lock, outputs, metric files. A change of these alone leaves a checkout clean."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mlgate import git


def is_all_that_changed(root: Path, names: Iterable[str]) -> bool:
    """Whether the working tree is the commit's, aside from what a training writes into it.

    Args:
        root: the working directory, inside a Git repository.
        names: files a training writes, relative to `root`; dvc.lock and the outputs it records are known.
    """
    top = git.require_repository(root)
    changed = git.try_text(top, "diff", "--name-only", "-z", "HEAD")
    if changed is None:
        return False
    folder = root.relative_to(top).as_posix()
    written = {posixpath.normpath(f"{folder}/{name}") for name in names}
    for name in (changed_names := [name for name in changed.split("\0") if name]):
        if posixpath.basename(name) == "dvc.lock" and (top / name).is_file():
            written |= {name, *_outputs((top / name).read_bytes(), posixpath.dirname(name))}
    return all(name in written or any(name.startswith(f"{path}/") for path in written) for name in changed_names)


def _outputs(lock: bytes, folder: str) -> set[str]:
    """Paths of the outputs a lock file records."""
    try:
        document: Any = yaml.load(lock, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- a safe loader
        stages = document["stages"].values()
        return {posixpath.normpath(posixpath.join(folder, str(out["path"]))) for stage in stages for out in stage.get("outs", [])}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return set()
