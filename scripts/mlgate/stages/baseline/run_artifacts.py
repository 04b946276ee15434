"""Evaluations that runs of the default branch left as artifacts: the baseline where nothing may be written to a store.

Their content is untrusted until it is checked; which runs count is the forge's to say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlgate import evidence as records
from mlgate import git
from mlgate.errors import InputError
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import EvaluateFindings, FurtherSet, ScoredModel
from mlgate.forge.run_artifact import ExpiredArtifact, RunArtifact
from mlgate.workspace import Workspace

MAX_ANCESTORS = 500
"""First parents of the baseline commit that are looked through for one whose run left an evaluation."""
_MAX_TRIED = 10
MAX_SETS = 100
"""Perturbed sets, and seeds, of one model; evidence that names more would have the same file read without end."""


@dataclass(frozen=True)
class Further:
    """A model's other predictions: on perturbed copies of the holdout, and those of further training runs on the holdout itself."""

    perturbed: dict[str, Predictions] = field(default_factory=dict)
    """Those on perturbed copies of the holdout, by name."""
    seeds: dict[str, Predictions] = field(default_factory=dict)
    """Those of other runs of the same training code, by seed."""


@dataclass(frozen=True)
class Evaluation:
    """What a run found of its commit's model."""

    commit: str
    model: ScoredModel
    predictions: Predictions | None
    further: Further


def of_commit(workspace: Workspace, commit: str, name: str) -> Evaluation | None:
    """The evaluation of that very commit; None where no run left one, or where there is no token to ask with.

    Raises:
        InputError: the artifact is damaged, or of another version.
        InfrastructureError: GitHub refuses or cannot be reached.
    """
    if not workspace.context.is_github or workspace.context.token is None:
        return None
    from mlgate.forge.client import Forge

    artifact = Forge(workspace.context).find_run_artifact(commit, name)
    return _evaluation(artifact, name) if artifact is not None else None


def of_ancestor(workspace: Workspace, commit: str, name: str) -> tuple[Evaluation | None, str | None]:
    """The evaluation of the nearest first parent before a commit that has one: a commit that no workflow ran on (path filters,
    `[skip ci]`) changes no model.

    Returns:
        The evaluation; or None and, where there were some and GitHub has deleted them, a line that says so. Raises as `of_commit` does.
    """
    if not workspace.context.is_github or workspace.context.token is None:
        return None, None
    from mlgate.forge.client import Forge

    listed = git.try_text(workspace.root, "rev-list", "--first-parent", f"--max-count={MAX_ANCESTORS}", commit) or ""
    expired = None
    for tried, artifact in enumerate(Forge(workspace.context).run_artifacts(listed.split(), name)):
        if tried == _MAX_TRIED:
            break
        if isinstance(artifact, ExpiredArtifact):
            expired = expired or (
                f"run {artifact.run_id} of {artifact.commit[:12]} left it as an artifact, which has expired; "
                "a `schedule:` in the workflow keeps it fresh, `contents: write` keeps it for good"
            )
        elif (found := _evaluation(artifact, name)) is not None:
            return found, None
    return None, expired


def predictions_of(model: ScoredModel, state: Path) -> Predictions | None:
    """The predictions a record names, read from below a state folder; None where metric files are all there is. Raises InputError."""
    if model.predictions is None or model.task is None:
        return None
    return predictions.read(records.checked_file(model.predictions, state), model.task, model.classes)


def further_of(model: ScoredModel, read: Callable[[FurtherSet], Predictions | None]) -> Further:
    """The predictions on perturbed sets and of seeds that a record names, however they are read."""

    def all_of(sets: Sequence[FurtherSet]) -> dict[str, Predictions]:
        return {one.name: found for one in sets if (found := read(one)) is not None}

    return Further(all_of(model.perturbed), all_of(model.seeds))


def further_in(model: ScoredModel, state: Path) -> Further:
    """As `further_of`, from below a state folder. Raises InputError."""
    task = model.task
    if task is None:
        return Further()
    for what, count in (("perturbed sets", len(model.perturbed)), ("seeds", len(model.seeds))):
        if count > MAX_SETS:
            raise InputError(f"evaluate.json: {count:,} {what}; expected at most {MAX_SETS} for one model")
    return further_of(model, lambda one: predictions.read(records.checked_file(one.predictions, state), task, one.classes))


def _evaluation(artifact: RunArtifact, name: str) -> Evaluation | None:
    with tempfile.TemporaryDirectory(prefix="mlgate-artifact-") as folder:
        unpacked = Path(folder)
        artifact.unpack(unpacked)
        path = unpacked / "evidence" / "evaluate.json"
        if not path.is_file():
            return None
        evidence = records.load(path, "evaluate")
        findings = evidence.findings
        if evidence.model != name or evidence.subject.commit != artifact.commit or not isinstance(findings, EvaluateFindings):
            return None  # it ended in an error, or is of a merge commit that only bore this head
        model = findings.candidate
        return Evaluation(artifact.commit, model, predictions_of(model, unpacked), further_in(model, unpacked))
