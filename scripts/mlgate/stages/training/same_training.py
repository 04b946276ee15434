"""Which training a run is about to do, as checkpoints and results of earlier runs are found by. One definition for both."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlgate.config import Config
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evidence import DataRef
from mlgate.stages.job import secret_env
from mlgate.stages.revisions import lineage
from mlgate.stages.training import pipeline_inputs, working_tree
from mlgate.training.checkpoints.identity import Identity
from mlgate.workspace import Workspace

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_OF_THE_JOB = re.compile(
    r"(GITHUB|RUNNER|ACTIONS|INPUT|STATE|MLGATE)_.*|CI|PATH|HOME|PWD|OLDPWD|TMPDIR|USER|LOGNAME|SHELL|HOSTNAME|CUDA_VISIBLE_DEVICES"
)
"""Variables that are others on another machine, or in another run of the same."""


def is_from_nothing(environ: Mapping[str, str]) -> bool:
    """Whether this run is to train from nothing (MLGATE_RESUME): whatever there is, but for what its earlier attempts began that way.

    Raises:
        InputError: it says neither yes nor no.
    """
    said = environ.get("MLGATE_RESUME", "").strip().lower()
    if said in ("", "true", "1", "yes"):
        return False
    if said in ("false", "0", "no"):
        return True
    raise InputError(f"MLGATE_RESUME: expected true, or false to train from nothing, found '{plain(said)[:50]}'")


def identify(
    workspace: Workspace, data: Sequence[DataRef], params: Mapping[str, str], *, processes: int = 1, but_for: Iterable[str] = ()
) -> Identity:
    """What the training of a workspace is made of.

    Args:
        workspace: the model's, at a commit; what a form asked for is in its files.
        data: as it was validated.
        params: values of the parameter files.
        processes: how many `launcher: torchrun` starts on each node.
        but_for: more that a run writes, relative to the working directory, and that is no part of the code.

    Raises:
        InputError: there is no commit, or it is not in this clone.
    """
    train = workspace.config.train
    if train is None or workspace.commit is None:
        raise InputError("train: without a commit of Git nobody can tell whether another run trains the same")
    is_torchrun = train.launcher == "torchrun"
    written, pinned = [*but_for, *models(workspace.config)], [reference.path for reference in data]
    is_lock_written = pipeline_inputs.makes_what_it_reads(train.command)
    return Identity(
        model=workspace.config.model,
        code_sha256=lineage.inputs_sha256(workspace, workspace.commit),
        changed={
            **pipeline_inputs.read(workspace, [*pinned, *written, *working_tree.written(workspace)]),
            **working_tree.changed(workspace, written, pinned, is_lock_written=is_lock_written),
        },
        data=[(reference.path, reference.hash) for reference in data],
        params=params,
        command=train.command,
        launcher=train.launcher,
        nodes=train.torchrun.nodes if is_torchrun else 1,
        processes=processes if is_torchrun else 1,
        variables=_variables(train.command, os.environ),
    )


def _variables(command: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Of a command such as `python train.py --lr "$LR"`; what is not set is not there."""
    named = {name for name in _VARIABLE.findall(command) if name in environ and not _OF_THE_JOB.fullmatch(name)}
    return {name: environ[name] for name in named if not secret_env.is_secret(name, environ)}


def models(config: Config) -> Iterator[str]:
    """What the training writes as the model, as far as `evaluation` names it."""
    evaluation = config.evaluation
    yield from evaluation.model_files or ()
    if evaluation.latency is not None and evaluation.latency.model is not None:
        yield evaluation.latency.model
