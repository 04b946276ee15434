"""The second workflow (`workflow_run`) of a pull request without secrets, in a repository with several models: which of them it has to
judge. Before the matrix of reusable-monorepo-verdict.yml; each model is then judged as the only one of a repository is (`triggering_run`),
and `monorepo.aggregate` gives the one answer.

What the first workflow found changed is not asked: the commits say it, read as data. Configurations are the default branch's, since that is
what its jobs check out; one that the pull request adds, moves or takes away has no run that could judge it, so it closes the gate.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate import git
from mlgate.console import plain
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.forge import commits
from mlgate.forge.triggering import PullRequest, TriggeringForge
from mlgate.stages.forks import judged_commit, triggering_run
from mlgate.stages.monorepo import changed
from mlgate.stages.monorepo.changed import Model
from mlgate.stages.revisions import lineage
from mlgate.stages.revisions.inputs import Tree

MAX_REFUSALS = 20
"""That are named; one is enough to close the gate, and an output of a job has an end."""
_MAX_PATH = 160


@dataclass(frozen=True)
class Refusal:
    """A configuration that this pull request touches, and that cannot be judged without secrets."""

    path: str
    """Fit to be shown."""
    reason: str


@dataclass(frozen=True)
class Found:
    """What `find` found out."""

    lines: list[str]
    pull: PullRequest | None = None
    """None: there is nothing to judge."""
    commit: str | None = None
    models: list[Model] = field(default_factory=list)
    """Of the default branch, in the order of their paths."""
    refusals: list[Refusal] = field(default_factory=list)
    refused: str | None = None
    """Why the models cannot be told."""

    @property
    def outputs(self) -> dict[str, str]:
        """Of the job, for the matrix and for `aggregate`."""
        to_run = [model for model in self.models if model.why is not None]
        listed = [{**model.row, "changed": model.why is not None} for model in self.models]
        listed += [{"model": refusal.path, "changed": True, "refused": refusal.reason} for refusal in self.refusals[:MAX_REFUSALS]]
        return {
            "pull-request": str(self.pull.number) if self.pull else "",
            "base-ref": self.pull.base_ref if self.pull else "",
            "commit": self.commit or "",
            "matrix": changed.as_output({"include": [model.row for model in to_run]}),
            "models": changed.as_output(listed),
            "any": "true" if to_run else "false",
            "refused": self.refused or "",
        }


def announce(context: RunContext) -> list[str]:
    """Set the commit status of all models together to pending as soon as the first run is there."""
    forge = TriggeringForge(context)
    pulls, nothing = triggering_run.pull_requests(context, forge)
    return _pend(context, forge, pulls, "trained without secrets; the verdict follows") if pulls else [nothing]


def find(folder: Path, name: str, context: RunContext) -> Found:
    """Find the pull request, and the models that it changes.

    Args:
        folder: where to look for models, in a checkout of the default branch.
        name: what their configurations are called; may be a pattern (`mlgate*.yaml`).
        context: the run.

    Raises:
        InfrastructureError: GitHub or the repository cannot be asked.
        InputError: this job is set up wrongly; never for what the pull request holds.
    """
    top = changed.require_place(folder, name)
    forge = TriggeringForge(context)
    pulls, nothing = triggering_run.pull_requests(context, forge)
    if not pulls:
        return Found([nothing])
    if forge.run.conclusion == "action_required":
        return Found(_pend(context, forge, pulls, "a maintainer must approve the run of this pull request"))
    said = _pend(context, forge, pulls, "checking what the run left")
    try:
        pull, commit = _judged(top, context, forge, pulls)
        models, refusals = _models(top, folder.resolve(), name, _judging(context, pull, commit), commit)
    except InputError as error:
        reason = " ".join(str(error).split())
        return Found([*said, f"refused: {reason}"], pull=pulls[0], refused=reason)
    said.append(f"#{pull.number} at {commit[:12]}, run {forge.run.run_id}, attempt {forge.run.attempt}")
    said += [f"{model.name} ({model.path}): {model.why or 'untouched'}" for model in models]
    said += [f"{refusal.path}: refused, {refusal.reason}" for refusal in refusals]
    return Found(said, pull, commit, models, refusals)


def _judged(top: Path, context: RunContext, forge: TriggeringForge, pulls: list[PullRequest]) -> tuple[PullRequest, str]:
    """Pull request and commit that the run was of. Evidence that names none, or one that does not hold, is refused model by model, with a
    comment each: here it only leaves the present merge."""
    for pull in pulls:
        commits.fetch_pull_request(top, context, pull.number, pull.base_ref)
    created_at = forge.run.created_at
    try:
        return judged_commit.find(top, context, pulls, _claimed(forge), created_at)
    except InputError:
        return judged_commit.find(top, context, pulls, None, created_at)


def _claimed(forge: TriggeringForge) -> str | None:
    artifact = forge.smallest_artifact()
    if artifact is None:
        return None
    with tempfile.TemporaryDirectory(prefix="mlgate-untrusted-") as folder:
        triggering_run.unpack(artifact, Path(folder, "artifact"))
        return triggering_run.claimed_commit(Path(folder, "artifact", "evidence"))


def _judging(context: RunContext, pull: PullRequest, commit: str) -> RunContext:
    return replace(context, pull_request=pull.number, commit=commit, base_ref=pull.base_ref, base_sha=pull.base_sha)


def _models(top: Path, folder: Path, name: str, context: RunContext, commit: str) -> tuple[list[Model], list[Refusal]]:
    """The default branch's models, each with why it has to run, and what has no run that could judge it."""
    base = lineage.baseline_of(top, context, commit, lambda: False)
    if base.commit is None:
        raise InputError(f"no commit to compare {commit[:12]} with: {base.how}")
    ours, before, now = (Tree.at(top, at) for at in (git.commit(top), base.commit, commit))
    different = changed.differences(top, base.commit, commit)
    own, old, new = (changed.configurations(tree, folder, name) for tree in (ours, before, now))
    if not own:
        raise InputError(f"no file '{name}' in {folder.relative_to(top.resolve())} of the default branch")
    models: list[Model] = []
    refusals: list[Refusal] = []
    for path in sorted({*own, *old, *new}):
        if path in own:
            if path in new:
                models.append(changed.model_at(ours, path, changed.why_it_runs(before, now, path, different)))
            elif path in old:
                refusals.append(_refused(path, "taken away by a pull request without secrets; let a maintainer do that"))
        elif path in new and (path not in old or changed.why_it_runs(before, now, path, different) is not None):
            refusals.append(_refused(path, "not on the default branch, whose rules count; let a maintainer add it first"))
    changed.check_names(models)
    changed.check_size([model for model in models if model.why is not None])
    return models, refusals


def _refused(path: str, reason: str) -> Refusal:
    shown = plain(path)
    return Refusal(shown if len(shown) <= _MAX_PATH else f"…{shown[-_MAX_PATH:]}", reason)


def _pend(context: RunContext, forge: TriggeringForge, pulls: list[PullRequest], description: str) -> list[str]:
    names = triggering_run.status_names(context, None, pulls)
    for name in names:
        forge.set_status(name, "pending", description, context.run_url)
    return [f"status {name}: pending, {description}" for name in names]
