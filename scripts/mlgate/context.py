"""Where this process runs: which event of which repository, at which commit. From environment and event file, no network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evidence import RunRef

_MAX_BRANCH = 150
DEPENDABOT = "dependabot[bot]"
"""Its runs get a read-only token and none of the repository's secrets, though its branches are the repository's own."""


@dataclass(frozen=True)
class TriggeringRun:
    """The finished (or just requested) run that a `workflow_run` event is about. GitHub's own words, none of an artifact's."""

    run_id: int
    attempt: int
    event: str
    head_sha: str
    head_branch: str | None
    head_repository: str | None
    """`owner/name`; None where the fork was deleted."""
    actor: str
    """Who started it first: a re-run has the rights of that one."""
    conclusion: str | None
    """None while it runs."""
    workflow: str
    """Name of the workflow."""
    path: str
    """Of its file: `.github/workflows/mlgate.yml`."""
    created_at: datetime | None = None
    """When it was started first; a re-run does not change it."""


@dataclass(frozen=True)
class RunContext:
    """One run of mlgate. On a laptop `event` is `local` and everything of GitHub is None."""

    event: str = "local"
    repository: str | None = None
    """`owner/name`."""
    run_id: int | None = None
    attempt: int = 1
    pull_request: int | None = None
    head_sha: str | None = None
    """The commit statuses and comments are about: the head of the pull request, not its synthetic merge."""
    base_sha: str | None = None
    """As the event gives it; the baseline commit is worked out from Git."""
    base_ref: str | None = None
    before: str | None = None
    """For a push: where the branch was before. None where it was nowhere."""
    ref: str | None = None
    """`refs/heads/main`, `refs/pull/7/merge`."""
    default_branch: str | None = None
    is_fork: bool = False
    """Whether this very run has a read-only token and no secrets: it is of a fork's pull request, or of Dependabot's."""
    triggering: TriggeringRun | None = None
    """For `workflow_run`: the run whose evidence is judged. `run_id`, `attempt` and `head_sha` are its."""
    own_run_id: int | None = None
    """For `workflow_run`: of this very run, which has the report and its log."""
    commit: str | None = None
    """For `workflow_run`: the commit that evidence is of. It is read as data; what is checked out is the default branch."""
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
    is_trial: bool = False
    """Whether other parameters or data were asked for than the commit has: no verdict on the commit."""
    is_release_asked: bool = False
    """Whether the workflow was told that this run is of a release (the input `release`)."""
    token: str | None = field(default=None, repr=False)
    github_patience_s: float = 90.0
    """How long all waiting for GitHub of one stage together may take."""

    @property
    def is_github(self) -> bool:
        return self.repository is not None

    @property
    def run(self) -> RunRef | None:
        if self.repository is None or self.run_id is None:
            return None
        event = self.triggering.event if self.triggering else self.event
        return RunRef(repository=self.repository, run_id=self.run_id, attempt=self.attempt, event=event)

    @property
    def run_url(self) -> str | None:
        """Page of the run that has the report."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.own_run_id or self.run_id}" if self.run else None

    @property
    def judged_run_url(self) -> str | None:
        """Page of the run that the evidence is of: the same, but after `workflow_run`."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}" if self.run else None

    @property
    def is_without_secrets(self) -> bool:
        """Whether the run that made the evidence had no secrets: this one, or the one that triggered it."""
        trigger = self.triggering
        return self.is_fork or (trigger is not None and (trigger.head_repository != self.repository or trigger.actor == DEPENDABOT))

    def status_name(self, model: str | None) -> str:
        """What the commit status with the verdict on a model is called; without one, that with the answer for all of a repository's models.

        A status belongs to a commit, and a verdict is on merging it into one branch: those on other branches than the default one have
        names of their own, or a pull request into an old branch would answer for one of the same commit into the default branch.
        """
        base = plain((self.base_ref or "").removeprefix("refs/heads/"))  # a branch may be named with what turns text around
        into = f" into {base[:_MAX_BRANCH]}" if base and self.default_branch and base != self.default_branch else ""
        return f"{f'mlgate/{model}' if model else 'mlgate'}{into}{' on trial' if self.is_trial else ''}"

    @property
    def is_release(self) -> bool:
        """Whether this run is of a release, which blocks on what a holdout cannot tell: a tag that was pushed, GitHub's `release` event, or
        a run that was told so (`workflow_dispatch` with the input `release`). Never a pull request."""
        if self.pull_request is not None or self.event in ("merge_group", "workflow_run"):
            return False
        is_tag = self.event == "push" and (self.ref or "").startswith("refs/tags/")
        return self.event == "release" or is_tag or self.is_release_asked

    @property
    def is_default_branch(self) -> bool:
        """Whether this run is of the default branch itself: its evaluation becomes a baseline of later runs."""
        return self.event == "push" and self.default_branch is not None and self.ref == f"refs/heads/{self.default_branch}"


def from_environment(environ: Mapping[str, str]) -> RunContext:
    """The context of this process; `local` where GITHUB_ACTIONS is not set.

    Raises:
        InputError: the event file is absent or no JSON object, or a number is none.
    """
    if environ.get("GITHUB_ACTIONS") != "true" or not environ.get("GITHUB_REPOSITORY"):
        return RunContext()
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    pull_request = _mapping(event.get("pull_request"))
    head, base = _mapping(pull_request.get("head")), _mapping(pull_request.get("base"))
    merge_group = _mapping(event.get("merge_group"))
    repository = environ["GITHUB_REPOSITORY"]
    name = environ.get("GITHUB_EVENT_NAME", "")
    triggering = _triggering(event) if name == "workflow_run" else None
    run_id = triggering.run_id if triggering else _integer(environ.get("GITHUB_RUN_ID"), "GITHUB_RUN_ID")
    attempt = triggering.attempt if triggering else _integer(environ.get("GITHUB_RUN_ATTEMPT") or "1", "GITHUB_RUN_ATTEMPT")
    # What `mlgate triggering-run` found out, of GitHub and Git, about the pull request of the run that triggered this one.
    found = environ if triggering else {}
    number = pull_request.get("number") or environ.get("MLGATE_PULL_REQUEST") or None
    return RunContext(
        event=name,
        repository=repository,
        run_id=run_id,
        attempt=attempt or 1,
        pull_request=_integer(number, "pull request number"),
        head_sha=triggering.head_sha
        if triggering
        else _text(head.get("sha") or merge_group.get("head_sha") or environ.get("MLGATE_HEAD_SHA") or environ.get("GITHUB_SHA")),
        base_sha=_text(base.get("sha") or merge_group.get("base_sha") or found.get("MLGATE_BASE_SHA")),
        base_ref=_text(base.get("ref") or merge_group.get("base_ref") or found.get("MLGATE_BASE_REF")),
        before=_text(event.get("before")) if name == "push" and str(event.get("before")).strip("0") else None,
        ref=environ.get("GITHUB_REF"),
        default_branch=_text(_mapping(event.get("repository")).get("default_branch")),
        is_trial=environ.get("MLGATE_TRIAL") == "true",
        is_release_asked=environ.get("MLGATE_RELEASE") == "true",
        is_fork=bool(pull_request)
        and (
            _mapping(head.get("repo")).get("full_name") != repository
            or (name == "pull_request" and environ.get("GITHUB_ACTOR") == DEPENDABOT)
        ),
        triggering=triggering,
        own_run_id=_integer(environ.get("GITHUB_RUN_ID"), "GITHUB_RUN_ID") if triggering else None,
        commit=_commit(found.get("MLGATE_COMMIT"), "MLGATE_COMMIT"),
        api_url=environ.get("GITHUB_API_URL", RunContext.api_url),
        server_url=environ.get("GITHUB_SERVER_URL", RunContext.server_url),
        token=environ.get("MLGATE_GITHUB_TOKEN") or None,
        github_patience_s=_seconds(environ.get("MLGATE_GITHUB_PATIENCE_S"), "MLGATE_GITHUB_PATIENCE_S", RunContext.github_patience_s),
    )


def _triggering(event: Mapping[str, Any]) -> TriggeringRun:
    """Raises InputError where the event file lacks what every such event has."""
    run = _mapping(event.get("workflow_run"))
    run_id, head_sha = _integer(run.get("id"), "workflow_run.id"), _commit(_text(run.get("head_sha")), "workflow_run.head_sha")
    if run_id is None or head_sha is None:
        raise InputError(
            "GITHUB_EVENT_PATH: expected the run that triggered this one (workflow_run with id and head_sha) in the event file"
        )
    return TriggeringRun(
        run_id=run_id,
        attempt=_integer(run.get("run_attempt"), "workflow_run.run_attempt") or 1,
        event=str(run.get("event") or ""),
        head_sha=head_sha,
        head_branch=_text(run.get("head_branch")),
        head_repository=_text(_mapping(run.get("head_repository")).get("full_name")),
        actor=str(_mapping(run.get("actor")).get("login") or ""),
        conclusion=_text(run.get("conclusion")),
        workflow=str(run.get("name") or ""),
        path=str(run.get("path") or "").partition("@")[0],
        created_at=_moment(run.get("created_at"), "workflow_run.created_at"),
    )


def _event(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"GITHUB_EVENT_PATH: the event file cannot be read: {error}") from None
    if not isinstance(event, dict):
        raise InputError("GITHUB_EVENT_PATH: expected a JSON object in the event file")
    return event


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return str(value) if value else None


def _commit(value: str | None, name: str) -> str | None:
    if value and not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", value):
        raise InputError(f"{name}: expected the full SHA of a commit, got '{value[:80]}'")
    return value or None


def _moment(value: object, name: str) -> datetime | None:
    if not value:
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"{name}: expected a time such as 2026-11-21T09:30:00Z, got '{str(value)[:40]}'") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _integer(value: object, name: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        return int(str(value))
    except ValueError:
        raise InputError(f"{name}: expected a whole number, got '{str(value)[:40]}'") from None


def _seconds(text: str | None, name: str, default: float) -> float:
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{name}: expected seconds as a number from 0, got '{text[:40]}'")
    return seconds
