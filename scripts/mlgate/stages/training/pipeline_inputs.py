"""What a training reads that DVC knows of and neither Git nor mlgate.yaml does: files that Git ignores and a pipeline names among its deps,
outputs that the command takes as they lie there, data that is not as its `.dvc` file has it. Part of the key of checkpoints and results."""

from __future__ import annotations

import os
import posixpath
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgate import git
from mlgate.data import dvc_log, pull
from mlgate.data.tracking import dvc_root
from mlgate.errors import MlgateError
from mlgate.stages.training import working_tree
from mlgate.training import run_cache
from mlgate.workspace import Workspace

_REPRO = re.compile(r"\bdvc\s+(?:repro|exp\s+run)\b(?P<options>[^|;&\n]*)")
_OF_ONE_STAGE = re.compile(r"(?:^|\s)(?:--single-item|--downstream|-[a-zA-Z]*s[a-zA-Z]*)(?=\s|$)")


def makes_what_it_reads(command: str) -> bool:
    """Whether a command has DVC make whatever its stages need, so that dvc.lock is what it writes and no input."""
    found = _REPRO.search(command)
    return found is not None and not _OF_ONE_STAGE.search(found["options"])


def read(workspace: Workspace, but_for: Collection[str] = ()) -> dict[str, str]:
    """Hashes of such inputs as they are now, by path relative to the repository's top; an absolute path of what lies elsewhere.

    An output that is not here has the hash by which it will be brought. A broken pipeline has none: the command will say what is wrong.

    Args:
        workspace: the model's.
        but_for: paths relative to the working directory that have hashes of their own, or are written by the training.

    Raises:
        InputError: not in a Git repository.
    """
    repository = dvc_root(workspace.root)
    if repository is None or workspace.config.train is None:
        return {}
    top = git.require_repository(workspace.root).resolve()
    left_out = {os.path.normpath(workspace.root / path) for path in but_for}
    found: dict[str, str] = {}
    with suppress(MlgateError), dvc_log.captured(), pull.opened(repository) as repo:
        for path, value in _inputs(repo, workspace.root, top, workspace.config.train.command):
            if not working_tree.lies_in(path, left_out):
                found[os.path.relpath(path, top) if Path(path).is_relative_to(top) else path] = value
    return found


def _inputs(repo: Any, root: Path, top: Path, command: str) -> Iterator[tuple[str, str]]:
    """Absolute path, or an address, and hash."""
    stages = run_cache.in_order(repo, root)
    made = {str(out.fs_path) for stage in repo.index.stages for out in stage.outs}
    is_repro, makes_all = _REPRO.search(command) is not None, makes_what_it_reads(command)
    unmade: list[str] = []
    for stage in stages:
        is_run = is_repro and bool(stage.cmd) and not stage.frozen
        for out in stage.outs:
            if not (is_run and makes_all) and out.protocol == "local" and out.hash_info:
                yield str(out.fs_path), _of_output(out)
        for dependency in stage.deps if is_run else ():
            path = str(dependency.fs_path) if dependency.protocol == "local" else str(dependency)
            if dependency.protocol != "local":
                yield path, _of_address(dependency)
            elif not working_tree.lies_in(path, made):
                unmade.append(path)
    yield from _ignored(top, list(dict.fromkeys(unmade)), made)


def _of_output(out: Any) -> str:
    return str(out.get_hash().value if out.exists and out.changed_checksum() else out.hash_info.value)


def _of_address(dependency: Any) -> str:
    try:
        return str(dependency.get_hash().value)
    except Exception:  # noqa: BLE001 -- clients of stores raise what they like; what cannot be compared is another each time
        return secrets.token_hex(16)


def _ignored(top: Path, paths: list[str], made: set[str]) -> Iterator[tuple[str, str]]:
    """Of dependencies that no stage makes: what Git does not have, file by file, and what lies outside of the repository."""
    inside = [os.path.relpath(path, top) for path in paths if Path(path).is_relative_to(top)]
    if inside:
        listed = git.run(
            top, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *(f":(literal){path}" for path in inside)
        )
        for name in filter(None, listed.split(b"\0")):
            path = posixpath.normpath(f"{top}/{os.fsdecode(name)}")
            if not working_tree.is_of_tools(os.fsdecode(name)) and not working_tree.lies_in(path, made):
                yield path, working_tree.content(Path(path), top)
    for path in paths:
        if not Path(path).is_relative_to(top):
            yield path, working_tree.content_beyond(Path(path))
