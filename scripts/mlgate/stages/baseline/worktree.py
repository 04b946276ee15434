"""The baseline's commit in a temporary worktree, where its code can be run: to train it again, or to score its model on another holdout."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlgate import git
from mlgate.console import plain
from mlgate.data.tracking import dvc_root
from mlgate.stages.job import commands
from mlgate.workspace import Workspace


class BaselineNotRunError(Exception):
    """Something of the baseline's could not be run; the message says why, in a line."""


@contextmanager
def at_commit(root: Path, commit: str) -> Iterator[Path]:
    """The working directory at a commit, in a worktree of its own, without the user's hooks and with DVC as in the user's clone.

    Args:
        root: the working directory; what lies in it stays as it is.
        commit: one this clone has.

    Yields:
        The working directory there; gone afterwards.

    Raises:
        BaselineNotRunError: Git or DVC cannot have it there, or the working directory is not part of that commit.
    """
    prefix = git.try_text(root, "rev-parse", "--show-prefix") or "."
    folder = Path(tempfile.mkdtemp(prefix="mlgate-baseline-")).resolve()
    tree = folder / "tree"
    try:
        _add(root, tree, commit)
        if not (tree / prefix).is_dir():
            raise BaselineNotRunError(f"the working directory is not there at {commit[:12]}")
        there = (tree / prefix).resolve()
        _share_dvc(root, there)
        yield there
    finally:
        _forget_in_dvc(tree / prefix)
        git.try_text(root, "worktree", "remove", "--force", str(tree))
        shutil.rmtree(folder, ignore_errors=True)


def run(workspace: Workspace, command: str, root: Path, log: str, timeout_s: float | None) -> None:
    """Run a command of the baseline's in its worktree, as a stage runs one of the candidate's.

    Args:
        workspace: the candidate's; its state folder takes the log.
        command: for the shell.
        root: the baseline's working directory.
        log: name of the file below `files/baseline`.
        timeout_s: how long it may take; None for as long as it likes.

    Raises:
        BaselineNotRunError: it failed or took too long.
        CommandInterruptedError: we were told to end meanwhile.
    """
    ran = commands.run(workspace, command, f"baseline/{log}", timeout_s, root=root)
    if ran.exit_code:
        raise BaselineNotRunError(commands.failure(ran, timeout_s))


def _add(root: Path, tree: Path, commit: str) -> None:
    try:
        git.run(root, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(tree), commit)
    except subprocess.CalledProcessError as error:
        said = plain(error.stderr.decode(errors="replace"))[:300]
        raise BaselineNotRunError(f"no worktree of {commit[:12]}: {said}") from None


def _share_dvc(root: Path, tree: Path) -> None:
    """Have DVC in the worktree use the cache and the remotes of the user's clone: relative paths would lead elsewhere, and what
    .dvc/config.local says is not in Git."""
    theirs = dvc_root(tree)
    if dvc_root(root) is None or theirs is None:
        return
    from dvc.config import Config as DvcConfig
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            cache, core = repo.cache.local_cache_dir, repo.config["core"]
            remotes = {name: _plain_values(settings) for name, settings in repo.config["remote"].items()}
        with DvcConfig(str(theirs / ".dvc"), validate=False).edit("local", validate=False) as local:
            local["cache"]["dir"] = str(cache)
            local["remote"].update(remotes)
            if core.get("remote"):
                local["core"]["remote"] = core["remote"]
    except DvcException as error:
        raise BaselineNotRunError(f"DVC: {plain(str(error))[:300]}") from None


def _forget_in_dvc(tree: Path) -> None:
    """Remove what DVC remembers of a worktree outside of it, in a folder of the machine by its path: no other will ever lie there."""
    theirs = dvc_root(tree) if tree.is_dir() else None
    if theirs is None:
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with suppress(DvcException, OSError):
        with Repo(str(theirs)) as repo:
            remembered = repo.site_cache_dir
        shutil.rmtree(remembered, ignore_errors=True)


def _plain_values(settings: Any) -> dict[str, Any]:
    # DVC marks paths by a type of text of its own, and would write those relative again
    return {key: str(value) if isinstance(value, str) else value for key, value in settings.items()}
