"""Whether a working tree is its commit's, aside from what a training writes into it: dvc.lock, outputs, metric files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from mlgate import git
from mlgate.data.dvc_files import locked_outputs


def is_clean(root: Path, but_for: Iterable[str]) -> bool:
    """Whether nothing that Git tracks differs from the commit.

    Args:
        root: the working directory, inside a Git repository.
        but_for: files a training writes, relative to `root`; dvc.lock and the outputs it records are known.
    """
    top = git.require_repository(root)
    listed = git.try_text(top, "diff", "--name-only", "-z", "HEAD")
    if listed is None:
        return False
    changed = [name for name in listed.split("\0") if name]
    folder = root.relative_to(top).as_posix()
    written = {posixpath.normpath(f"{folder}/{name}") for name in but_for}
    for name in changed:
        if posixpath.basename(name) == "dvc.lock" and (top / name).is_file():
            written |= {name, *locked_outputs((top / name).read_bytes(), posixpath.dirname(name))}
    return all(name in written or any(name.startswith(f"{path}/") for path in written) for name in changed)
