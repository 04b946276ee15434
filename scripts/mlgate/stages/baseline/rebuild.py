"""The baseline trained again: its commit in a temporary worktree, its data pulled there, its own commands run. The last resort."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlgate.config import Config, TrainConfig
from mlgate.data import pull
from mlgate.errors import MlgateError
from mlgate.stages.baseline import worktree
from mlgate.stages.baseline.worktree import BaselineNotRunError
from mlgate.stages.job import commands
from mlgate.stages.job.commands import CommandInterruptedError
from mlgate.stages.pull_data import named_data
from mlgate.stages.training import running
from mlgate.workspace import Workspace


@contextmanager
def rebuilt(workspace: Workspace, commit: str, config: Config) -> Iterator[Path]:
    """Train a commit; the output of its commands goes to `files/baseline`.

    Args:
        workspace: the model's folder; what lies in it stays as it is.
        commit: what to train.
        config: that commit's configuration; its commands run.

    Yields:
        The working directory of the trained commit; gone afterwards.

    Raises:
        BaselineNotRunError: the worktree, the data or a command failed.
        CommandInterruptedError: we were told to end meanwhile.
    """
    with worktree.at_commit(workspace.root, commit) as root:
        options = pull.Options(
            remote=config.data.remote,
            with_sources=config.data.pull is None,
            is_made_later=True,
            may_be_absent=config.data.prepare is not None,
        )
        try:
            pull.fetch(root, named_data(config), options)
        except MlgateError as error:
            raise BaselineNotRunError(f"its data: {error}") from None
        if config.data.prepare is not None:
            worktree.run(workspace, config.data.prepare, root, "prepare.log", None)
        if config.train is None:
            raise BaselineNotRunError("its mlgate.yaml has no `train`")
        _train(workspace, config.train, root)
        yield root


def _train(workspace: Workspace, settings: TrainConfig, root: Path) -> None:
    """Its training, which gets GPUs of its own as the candidate's does."""
    try:
        ran = running.alone(workspace, settings, "baseline/train.log", root)
    except CommandInterruptedError:
        raise
    except MlgateError as error:
        raise BaselineNotRunError(str(error)) from None
    if ran.exit_code:
        raise BaselineNotRunError(commands.failure(ran, settings.timeout))
