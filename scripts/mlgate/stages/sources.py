"""Whether what was trained is what the commit says: the tracked files that training reads, not those that it writes."""

from __future__ import annotations

import posixpath
from typing import Any

import yaml

from mlgate import git
from mlgate.workspace import Workspace


def are_committed(workspace: Workspace) -> bool:
    """Whether the working tree is the commit's, aside from what a training writes into it: dvc.lock, outputs and metric files."""
    root = workspace.root
    top = git.require_repository(root)
    changed = git.try_text(top, "diff", "--name-only", "-z", "HEAD")
    if changed is None:
        return False
    folder = root.relative_to(top).as_posix()
    evaluation = workspace.config.evaluation
    written = {posixpath.normpath(f"{folder}/{name}") for name in (evaluation.predictions, *evaluation.metrics_files)}
    for name in (names := [name for name in changed.split("\0") if name]):
        if posixpath.basename(name) == "dvc.lock" and (top / name).is_file():
            written |= {name, *_outputs((top / name).read_bytes(), posixpath.dirname(name))}
    return all(name in written or any(name.startswith(f"{path}/") for path in written) for name in names)


def _outputs(lock: bytes, folder: str) -> set[str]:
    """Paths of the outputs a lock file records."""
    try:
        document: Any = yaml.load(lock, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- a safe loader
        stages = document["stages"].values()
        return {posixpath.normpath(posixpath.join(folder, str(out["path"]))) for stage in stages for out in stage.get("outs", [])}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return set()
