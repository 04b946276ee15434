"""What the gate leaves in the store: the evaluation of a commit of the default branch, the baseline of later runs."""

from __future__ import annotations

from pathlib import Path

from mlgate import git
from mlgate.evidence import FileRef, ScoredModel
from mlgate.stages import lineage
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


def record(workspace: Workspace, model: ScoredModel, predictions: Path, store: Store) -> str | None:
    """Write the evaluation under its commit and under its inputs, with its predictions, in one step.

    Args:
        model: the candidate, as its evidence has it.
        predictions: its normalised file, already verified.

    Returns:
        Why it was not recorded, where that is no fault; None when it was.

    Raises:
        InfrastructureError: the store cannot be written.
    """
    if workspace.commit is None:
        return "there is no commit to record it under"
    reference = model.predictions
    if reference.size_bytes > MAX_PREDICTIONS_BYTES:
        return (
            f"its predictions are {reference.size_bytes / 1e6:,.0f} MB and the store takes {MAX_PREDICTIONS_BYTES / 1e6:,.0f} MB at most; "
            "later runs take them from DVC outputs or from this run's artifact"
        )
    inputs = lineage.inputs_sha256(workspace, workspace.commit)
    stored = FileRef(path=f"predictions/{reference.sha256}.parquet", sha256=reference.sha256, size_bytes=reference.size_bytes)
    record_ = model.model_copy(update={"commit": workspace.commit, "inputs_sha256": inputs, "predictions": stored})
    content = (record_.model_dump_json(indent=1) + "\n").encode()
    store.write(
        {f"evaluations/{workspace.commit}.json": content, f"inputs/{inputs}.json": content, stored.path: predictions.read_bytes()},
        f"evaluation of {workspace.commit[:12]}",
    )
    return None
