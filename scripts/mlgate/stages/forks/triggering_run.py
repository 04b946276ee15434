"""The second workflow (`workflow_run`) of a pull request without secrets: say that a verdict will come, take what the first run left, and
see to it that the commit status never stays open.

It runs on the default branch's code with a write token. Of the first run everything is data: its pull request is asked of GitHub, its
artifacts are unpacked within limits, its commit is held against GitHub's refs. What does not hold closes the gate in one line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate import artifacts
from mlgate import evidence as records
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import parquet_limits
from mlgate.evidence import BEFORE_THE_GATE, FileRef
from mlgate.forge import commits
from mlgate.forge.run_artifact import RunArtifact
from mlgate.forge.triggering import PullRequest, TriggeringForge
from mlgate.stages.forks import judged_commit, without_secrets
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace

MAX_UNPACKED_BYTES = 500_000_000
MAX_FILES = 2_000


@dataclass(frozen=True)
class Taken:
    """What `take` found out."""

    lines: list[str]
    pull_request: int | None = None
    """None: there is nothing to judge."""
    variables: dict[str, str] = field(default_factory=dict)
    """For the stages that follow in this job."""


def announce(workspace: Workspace) -> list[str]:
    """Set the commit status to pending as soon as the first run is there."""
    forge = TriggeringForge(workspace.context)
    pulls, nothing = pull_requests(workspace.context, forge)
    if not pulls:
        return [nothing]
    return _pend(workspace, forge, pulls, "trained without secrets; the verdict follows")


def take(workspace: Workspace) -> Taken:
    """Find the pull request, and take the evidence of the first run into the state folder.

    Raises:
        InfrastructureError: GitHub or the repository cannot be asked.
        InputError: this job is set up wrongly; never for what the first run left.
    """
    forge = TriggeringForge(workspace.context)
    pulls, nothing = pull_requests(workspace.context, forge)
    if not pulls:
        return Taken([nothing])
    if forge.run.conclusion == "action_required":
        return Taken(_pend(workspace, forge, pulls, "a maintainer must approve the run of this pull request"))
    lines = _pend(workspace, forge, pulls, "checking what the run left")
    try:
        pull, commit = _take(workspace, forge, pulls)
    except InputError as error:
        reason = " ".join(str(error).split())
        return Taken([*lines, f"refused: {reason}"], pulls[0].number, {**about(pulls[0]), without_secrets.REFUSED: reason})
    lines.append(f"evidence of #{pull.number} at {commit[:12]}, run {forge.run.run_id}, attempt {forge.run.attempt}")
    return Taken(lines, pull.number, {**about(pull), "MLGATE_COMMIT": commit})


def close(workspace: Workspace) -> list[str]:
    """Where this job comes to no verdict, let the status say so.

    Raises:
        InfrastructureError: there is none.
    """
    if not workspace.config.report.status:
        return ["report.status is off: there is no status to close"]
    forge = TriggeringForge(workspace.context)
    states = {name: forge.status(name) for name in _status_names(workspace, pull_requests(workspace.context, forge)[0])}
    open_ones = [name for name, state in states.items() if state == "pending"]
    for name in open_ones:
        forge.set_status(name, "error", "no verdict: this run broke off, see its log, then run it again", workspace.context.run_url)
    if open_ones:
        raise InfrastructureError(f"status {open_ones[0]}: no verdict was reached; what went wrong stands above. Run the job again")
    return [f"status {name}: {state or 'none'}" for name, state in states.items()]


# --- which pull request ----------------------------------------------------------------------------------------------


def pull_requests(context: RunContext, forge: TriggeringForge) -> tuple[list[PullRequest], str]:
    """Open pull requests whose newest commit the run was of; where there are none, why this workflow has nothing to do."""
    run = forge.run
    if run.event != "pull_request":
        return [], f"nothing to do: run {run.run_id} was of '{run.event}', which has its verdict itself"
    if not context.is_without_secrets:
        return [], f"nothing to do: run {run.run_id} was of a branch of this repository, which has its verdict itself"
    where = f"{run.head_repository or 'a deleted fork'}:{run.head_branch or '?'}"
    pulls = forge.pull_requests()
    current = [pull for pull in pulls if pull.head_sha == run.head_sha]
    if pulls and not current:
        return [], f"nothing to do: #{pulls[0].number} is at {pulls[0].head_sha[:12]} now, and the run was of {run.head_sha[:12]}"
    return current, f"nothing to do: no open pull request from {where}"


def about(pull: PullRequest) -> dict[str, str]:
    return {"MLGATE_PULL_REQUEST": str(pull.number), "MLGATE_BASE_SHA": pull.base_sha, "MLGATE_BASE_REF": pull.base_ref}


# --- what its run left -----------------------------------------------------------------------------------------------


def _take(workspace: Workspace, forge: TriggeringForge, pulls: list[PullRequest]) -> tuple[PullRequest, str]:
    """Artifacts into the state folder, commits into the clone. Raises InputError for whatever does not hold."""
    root, context = workspace.root, workspace.context
    for pull in pulls:
        commits.fetch_pull_request(root, context, pull.number, pull.base_ref)
    _unpack(workspace, forge)
    pull, commit = judged_commit.find(root, context, pulls, claimed_commit(workspace.state / "evidence"), forge.run.created_at)
    candidate = workspace.judging(pull.number, commit, pull.base_ref, pull.base_sha)
    base = lineage.baseline_commit(candidate)
    if base.commit is None or lineage.rules_of(candidate, base.commit)[1] != "baseline":
        at = base.commit[:12] if base.commit else base.how
        raise InputError(
            f"{workspace.config_path}: not to be read at the base ({at}); a pull request without secrets is "
            "judged by the base's rules only: let a maintainer add them first"
        )
    path = forge.run.path
    # Dependabot may update the workflow: its branches are this repository's.
    if forge.run.head_repository != context.repository and judged_commit.is_changed(root, commit, path, base.commit):
        raise InputError(
            f"{path or 'the workflow'}: changed by this pull request, so its evidence does not come from this repository's own workflow; "
            "a maintainer must dispatch, or bring the change in separately"
        )
    _check_predictions(workspace)
    return pull, commit


def _unpack(workspace: Workspace, forge: TriggeringForge) -> None:
    with tempfile.TemporaryDirectory(prefix="mlgate-untrusted-") as folder:
        for artifact in forge.artifacts(workspace.config.model):
            unpack(artifact, Path(folder, artifact.name))
        artifacts.collect(Path(folder), workspace.state, workspace.config.model, workspace.context.attempt)


def unpack(artifact: RunArtifact, folder: Path) -> None:
    """A stranger's artifact, within limits. Raises InputError."""
    try:
        artifact.unpack(folder, MAX_UNPACKED_BYTES, MAX_FILES)
    except InfrastructureError as error:
        raise InputError(str(error)) from None  # made so, not damaged on the way: a download that breaks off is no zip at all


def claimed_commit(evidence: Path) -> str | None:
    """The commit that the evidence in a folder says it is of. Raises InputError where it is no evidence, or of several."""
    claimed: set[str] = set()
    for stage in BEFORE_THE_GATE:
        try:
            commit = records.load(evidence / f"{stage}.json", stage).subject.commit
        except FileNotFoundError:
            continue
        if commit is None:
            raise InputError(f"{stage}.json: evidence of no commit")
        claimed.add(commit)
    if len(claimed) > 1:
        raise InputError(f"evidence of several commits: {', '.join(sorted(commit[:12] for commit in claimed))}")
    return next(iter(claimed), None)


def _check_predictions(workspace: Workspace) -> None:
    """The files that the gate will read. That they are the ones the evidence names, it checks itself."""
    try:
        found = records.load(workspace.evidence_path("evaluate"), "evaluate").findings
    except FileNotFoundError:
        return
    for reference in _predictions_in(found) if found is not None else ():
        path = workspace.state / reference.path
        if path.is_file() and not path.is_symlink():
            parquet_limits.check(path)


def _predictions_in(record: records.Record) -> Iterator[FileRef]:
    """Of the candidate, of baselines, whatever else evidence has with a file of predictions."""
    for name, value in record:
        if name == "predictions" and isinstance(value, FileRef):
            yield value
        elif isinstance(value, records.Record):
            yield from _predictions_in(value)


# --- the status ------------------------------------------------------------------------------------------------------


def _pend(workspace: Workspace, forge: TriggeringForge, pulls: list[PullRequest], description: str) -> list[str]:
    if not workspace.config.report.status:
        return [description]
    names = _status_names(workspace, pulls)
    for name in names:
        forge.set_status(name, "pending", description, workspace.context.run_url)
    return [f"status {name}: pending, {description}" for name in names]


def _status_names(workspace: Workspace, pulls: list[PullRequest]) -> list[str]:
    """Of each base that a pull request is into. By the name that the default branch gives the model: the one that can be required."""
    return status_names(workspace.context, workspace.config.model, pulls)


def status_names(context: RunContext, model: str | None, pulls: list[PullRequest]) -> list[str]:
    """Names of the status of a model, or of all models together, one for each base that a pull request is into."""
    contexts = [replace(context, base_ref=pull.base_ref) for pull in pulls] or [context]
    return list(dict.fromkeys(context.status_name(model) for context in contexts))
