"""The data that `train` may use: what `validate-data` saw, fetched and made again where this is another machine, compared by hash."""

from __future__ import annotations

import os

from mlgate.config import is_remote
from mlgate.data import cache, checkout, pull
from mlgate.data.identity import differing
from mlgate.errors import InputError
from mlgate.evidence import DataRef, ValidationFindings
from mlgate.stages.job import commands
from mlgate.stages.pull_data import named_data, options
from mlgate.workspace import Workspace

_SHOWN = 3


def validated(workspace: Workspace) -> list[DataRef]:
    """Data as it was when its contracts held.

    Raises:
        InputError: there are contracts and no evidence that the data keeps them.
    """
    evidence = workspace.evidence("validate-data")
    if evidence is None:
        if workspace.config.data.contracts or workspace.config.data.screens:
            raise InputError("train: the data was not validated; run 'mlgate validate-data' first")
        return []
    if evidence.exit_code != 0:
        raise InputError(f"train: 'validate-data' did not pass ({evidence.status}), so nothing is trained: {evidence.summary}")
    return evidence.findings.validated if isinstance(evidence.findings, ValidationFindings) else []


def fetch(workspace: Workspace, references: list[DataRef]) -> None:
    """Pull what is missing here: training runs on another machine than validation, from a fresh checkout.

    Raises:
        InputError: no such data or remote.
        InfrastructureError: it cannot be pulled; the message names what is missing.
    """
    cache.share(os.environ)
    checkout.refuse_pointers(workspace.root, [reference.path for reference in references])
    pulled = workspace.evidence("pull-data")
    wanted = [*references, *(pulled.subject.data if pulled else [])]
    if pulled is not None and all(is_remote(reference.path) or (workspace.root / reference.path).exists() for reference in wanted):
        return
    config = workspace.config
    with workspace.console.progress("pulling the data that was validated") as progress:
        pull.fetch(workspace.root, named_data(config), options(config), progress.say)


def ensure(workspace: Workspace, references: list[DataRef]) -> None:
    """Make prepared data again where it is not here, and refuse any that is not the validated one.

    Raises:
        InputError: data is not what was validated; the file is named. Nothing is trained.
    """
    prepare = workspace.config.data.prepare
    if differing(workspace.root, references) and prepare is not None:
        made = commands.run(workspace, prepare, "train/prepare.log")
        if made.exit_code != 0:
            raise InputError(f"data.prepare: {commands.failure(made)}; nothing was trained")
    if found := changed(workspace, references):
        again = f"; '{commands.short(prepare)}' makes other data here than where it was validated" if prepare else ""
        raise InputError(f"data is not what was validated: {found}{again}; run 'mlgate validate-data' again. Nothing was trained.")


def changed(workspace: Workspace, references: list[DataRef]) -> str:
    """What is gone or has another content now, in words; empty when all is as it was."""
    found = [str(difference) for difference in differing(workspace.root, references)]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
