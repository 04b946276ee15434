"""The baseline trained again: its commit in a temporary worktree, its data pulled there, its own commands run. The last resort."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlgate import git, process
from mlgate.config import Config
from mlgate.console import plain
from mlgate.data import pull
from mlgate.data.tracking import dvc_root
from mlgate.errors import MlgateError
from mlgate.stages.pull_data import named_data
from mlgate.workspace import Workspace


class NotRebuiltError(Exception):
    """Training the baseline did not work; the message says why, in a line."""


@contextmanager
def rebuilt(workspace: Workspace, commit: str, config: Config, log_folder: Path) -> Iterator[Path]:
    """Train a commit.

    Args:
        workspace: the model's folder; what lies in it stays as it is.
        commit: what to train.
        config: that commit's configuration; its commands run.
        log_folder: where their output goes.

    Yields:
        The working directory of the trained commit; gone afterwards.

    Raises:
        NotRebuiltError: the worktree, the data or a command failed.
    """
    with _worktree(workspace.root, commit) as root:
        _share_dvc(workspace.root, root)
        options = pull.Options(
            remote=config.data.remote,
            with_sources=config.data.pull is None,
            is_made_later=True,
            may_be_absent=config.data.prepare is not None,
        )
        try:
            pull.fetch(root, named_data(config), options)
        except MlgateError as error:
            raise NotRebuiltError(f"its data: {error}") from None
        for name, command, timeout_s in (
            ("prepare", config.data.prepare, None),
            ("train", config.train.command, config.train.timeout),
        ):
            if command is not None:
                _run(command, root, log_folder / f"{name}.log", timeout_s)
        yield root


@contextmanager
def _worktree(root: Path, commit: str) -> Iterator[Path]:
    """The working directory at a commit, in a worktree of its own, without the user's hooks."""
    prefix = git.try_text(root, "rev-parse", "--show-prefix") or "."
    folder = Path(tempfile.mkdtemp(prefix="mlgate-baseline-")).resolve()
    tree = folder / "tree"
    try:
        git.run(root, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(tree), commit)
        if not (tree / prefix).is_dir():
            raise NotRebuiltError(f"the working directory is not there at {commit[:12]}")
        yield (tree / prefix).resolve()
    except subprocess.CalledProcessError as error:
        said = plain(error.stderr.decode(errors="replace"))[:300]
        raise NotRebuiltError(f"no worktree of {commit[:12]}: {said}") from None
    finally:
        git.try_text(root, "worktree", "remove", "--force", str(tree))
        shutil.rmtree(folder, ignore_errors=True)


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
        raise NotRebuiltError(f"DVC: {plain(str(error))[:300]}") from None


def _plain_values(settings: Any) -> dict[str, Any]:
    # DVC marks paths by a type of text of its own, and would write those relative again
    return {key: str(value) if isinstance(value, str) else value for key, value in settings.items()}


def _run(command: str, root: Path, log: Path, timeout_s: float | None) -> None:
    outcome = process.run_command(command, root=root, log=log, timeout_s=timeout_s)
    if outcome.interrupted_by:
        raise KeyboardInterrupt(outcome.interrupted_by)
    if outcome.is_timed_out:
        raise NotRebuiltError(f"'{plain(command)}' took longer than {timeout_s:g} s and was stopped")
    if outcome.exit_code:
        raise NotRebuiltError(f"'{plain(command)}' failed (exit {outcome.exit_code}): {plain(outcome.last_line)[:300]}")
