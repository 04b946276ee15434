"""What the gate leaves in the store: the evaluation of a commit of the default branch, the baseline of later runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgate import git
from mlgate.errors import InputError
from mlgate.evidence import FileRef, ScoredModel, TrainingCost, checked_file, parse_record
from mlgate.stages.revisions import lineage
from mlgate.store import Store
from mlgate.workspace import Workspace

MAX_PREDICTIONS_BYTES = 50_000_000
"""A store is no data lake: Git hosts refuse files of 100 MB, and every clone of the store carries them all."""


def is_due(workspace: Workspace) -> bool:
    """Whether this run's evaluation becomes a baseline: a push to the default branch, or its clean checkout on a laptop.

    A commit that is on the default branch is what the next pull request is compared with, whatever its verdict was.
    """
    if workspace.commit is None:
        return False
    if workspace.context.is_github:
        return workspace.context.is_default_branch
    branch = git.current_branch(workspace.root)
    return branch is not None and branch == git.default_branch(workspace.root) and not workspace.is_dirty


def outdated(workspace: Workspace) -> str | None:
    """Why this run's commit is no baseline any more, where GitHub says that a force push took it off the default branch; else None.

    Raises:
        InfrastructureError: GitHub refuses to say, or cannot be asked.
    """
    context = workspace.context
    if not context.is_github or context.token is None or workspace.commit is None:
        return None
    from mlgate.forge.client import Forge

    if Forge(context).is_on_default_branch(workspace.commit):
        return None
    return f"{context.default_branch} does not contain {workspace.commit[:12]} any more"


def record(
    workspace: Workspace, model: ScoredModel, predictions: Path | None, store: Store, beside: Mapping[str, bytes] | None = None
) -> str | None:
    """Write the evaluation under its commit and under its inputs, with its predictions, in one step.

    Args:
        model: the candidate, as its evidence has it.
        predictions: its normalised file, already verified; None where it has none.
        beside: further records of the same step.

    Returns:
        Why it was not recorded, where that is no fault; None when it was.

    Raises:
        InfrastructureError: the store cannot be written.
    """
    if workspace.commit is None:
        return "there is no commit to record it under"
    reference = model.predictions
    inputs = lineage.inputs_sha256(workspace, workspace.commit)
    model = model if model.training else model.model_copy(update={"training": _cost_before(store, inputs)})
    if reference is None or predictions is None:
        store.write({**_records(workspace.commit, inputs, model), **(beside or {})}, f"evaluation of {workspace.commit[:12]}")
        return None
    size = reference.size_bytes + sum(one.predictions.size_bytes for one in (*model.perturbed, *model.seeds))
    if size > MAX_PREDICTIONS_BYTES:
        if beside:
            store.write(beside, f"use of a holdout by {workspace.commit[:12]}")
        return (
            f"its predictions are {size / 1e6:,.0f} MB and the store takes {MAX_PREDICTIONS_BYTES / 1e6:,.0f} MB at most; "
            "later runs take them from DVC outputs or from this run's artifact"
        )
    stored = _stored(reference)
    content = {stored.path: predictions.read_bytes()}
    for one in (*model.perturbed, *model.seeds):
        content[_stored(one.predictions).path] = checked_file(one.predictions, workspace.state).read_bytes()
    further = {
        key: [one.model_copy(update={"predictions": _stored(one.predictions)}) for one in sets]
        for key, sets in (("perturbed", model.perturbed), ("seeds", model.seeds))
    }
    records = _records(workspace.commit, inputs, model.model_copy(update={"predictions": stored, **further}))
    store.write({**records, **(beside or {}), **content}, f"evaluation of {workspace.commit[:12]}")
    return None


def _cost_before(store: Store, inputs: str) -> TrainingCost | None:
    """What the training of the same inputs took, whose result this run had from DVC."""
    name = f"inputs/{inputs}.json"
    content = store.read(name)
    try:
        return parse_record(ScoredModel, content, name).training if content is not None else None
    except InputError:  # of another version; what looks for a baseline there says so
        return None


def _stored(reference: FileRef) -> FileRef:
    """A file of the state folder as the store keeps it."""
    return FileRef(path=f"predictions/{reference.sha256}.parquet", sha256=reference.sha256, size_bytes=reference.size_bytes)


def _records(commit: str, inputs: str, model: ScoredModel) -> dict[str, bytes]:
    kept = model.model_copy(update={"commit": commit, "inputs_sha256": inputs})
    content = (kept.model_dump_json(indent=1) + "\n").encode()
    return {f"evaluations/{commit}.json": content, f"inputs/{inputs}.json": content}
