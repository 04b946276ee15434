"""setup: a job's start. Forgets earlier runs, and puts in place what the job was given: other data, other parameters, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgate.console import plain
from mlgate.stages.job import checkout, dispatch, form_parameters, secret_env
from mlgate.stages.training import one_at_a_time
from mlgate.workspace import Workspace


def run(workspace: Workspace, environ: Mapping[str, str]) -> list[str]:
    """Empty the state folder, then do what MLGATE_DATA_REV, MLGATE_PARAMS and MLGATE_SECRET_ENV ask for.

    Returns:
        Lines to print, in this order: workflow commands that mask secrets, and what was done.

    Raises:
        InputError: what is asked for is not to be had; the message says which part.
        InfrastructureError: the disk refuses, or the model trains there already.
    """
    lines = []
    with one_at_a_time.in_working_directory(workspace):
        workspace.empty_state()
    lines += [f"! {plain(remark)}" for remark in checkout.remarks(workspace)]
    if (text := environ.get("MLGATE_SECRET_ENV")) and (github_env := environ.get("GITHUB_ENV")):
        variables = secret_env.parse(text)
        lines += secret_env.masks(variables)
        secret_env.export(variables, Path(github_env))
    if revision := environ.get("MLGATE_DATA_REV"):
        lines.append(f"✓ data of {plain(revision)}: {', '.join(dispatch.use_data_of(workspace.root, revision))}")
        dispatch.note_data_revision(workspace, revision)
    if environ.get("MLGATE_PARAMS"):
        lines += [f"✓ {asked.path}: {asked.key} = {plain(str(asked.value))}" for asked in form_parameters.apply(workspace)]
    return [*lines, f"✓ {plain(workspace.config_path)}: model {workspace.config.model}"]
