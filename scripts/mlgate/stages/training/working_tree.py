"""What the working tree has otherwise than the commit, of what reaches the model: on a laptop code is tried before it is committed, and a
form's parameters and data revision are written into files. Part of the key of checkpoints and results."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlgate import git
from mlgate.data.dvc_files import locked_outputs
from mlgate.evaluation import seeds
from mlgate.stages.revisions import inputs
from mlgate.workspace import Workspace

_CHUNK_BYTES = 1 << 20
_MOST_HASHED_BYTES = 256 * 2**20
"""Of a larger file that Git does not track its size and time tell that it changed."""
_OF_TOOLS = frozenset({"__pycache__", ".ipynb_checkpoints", ".mlgate", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


def changed(workspace: Workspace, but_for: Iterable[str] = ()) -> dict[str, str]:
    """Hash of what is in the files that differ from the commit, or are in none and not ignored; by path relative to the repository's top.

    Left out is what a training writes: dvc.lock and the outputs it records, predictions, metric files, `train.outputs`, the folder of
    checkpoints; and mlgate.yaml itself, whose settings count where they are used.

    Args:
        workspace: the model's, at a commit.
        but_for: more that is written, relative to the working directory.

    Raises:
        InputError: not in a Git repository.
    """
    top = git.require_repository(workspace.root)
    folder = workspace.root.relative_to(top.resolve()).as_posix()
    config_path = posixpath.normpath(f"{folder}/{workspace.config_path}")
    tree = inputs.Tree.at(top, workspace.commit)
    scope = inputs.scope(tree, config_path)
    named = list(_names(git.run(top, "diff", "--name-only", "-z", "--no-renames", "HEAD")))
    listed = [*named, *_names(git.run(top, "ls-files", "-z", "--others", "--exclude-standard"))]
    written = {posixpath.normpath(f"{folder}/{name}") for name in (*_written(workspace), *but_for)} | {config_path}
    for name in named:
        if posixpath.basename(name) == "dvc.lock":
            written |= {name, *(locked_outputs((top / name).read_bytes(), posixpath.dirname(name)) if (top / name).is_file() else ())}
    found = {}
    for name in sorted(set(listed)):
        path = name.rstrip("/")
        is_written = path in written or any(path.startswith(f"{one}/") for one in written)
        if not is_written and not _OF_TOOLS.intersection(path.split("/")) and scope.reason(path) is not None:
            found[path] = _content(top / path)
    return found


def _written(workspace: Workspace) -> Iterator[str]:
    """Paths that a training writes, relative to the working directory."""
    config = workspace.config
    evaluation, train = config.evaluation, config.train
    yield from filter(None, [evaluation.predictions, evaluation.latency.samples if evaluation.latency else None])
    yield from (*evaluation.perturbed.values(), *evaluation.metrics_files, *seeds.written(workspace.root, evaluation))
    if train is not None:
        yield from filter(None, [*train.outputs, train.progress, train.checkpoints.path if train.checkpoints else None])


def _content(path: Path) -> str:
    try:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        if path.is_dir():  # a repository of its own
            state = f"{git.try_text(path, 'rev-parse', 'HEAD')}\n{git.try_text(path, 'status', '--porcelain')}"
            return f"repository {hashlib.sha256(state.encode(errors='replace')).hexdigest()}"
        status = path.stat()
        if status.st_size > _MOST_HASHED_BYTES:
            return f"{status.st_size} bytes of {status.st_mtime_ns}"
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()
    except FileNotFoundError:
        return "gone"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _names(listed: bytes) -> Iterator[str]:
    return (os.fsdecode(name) for name in listed.split(b"\0") if name)
