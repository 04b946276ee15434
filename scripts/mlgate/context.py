"""Where this process runs: which event of which repository, at which commit. From environment and event file, no network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.errors import InputError
from mlgate.evidence import RunRef


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
    ref: str | None = None
    """`refs/heads/main`, `refs/pull/7/merge`."""
    default_branch: str | None = None
    is_fork: bool = False
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
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
        return RunRef(repository=self.repository, run_id=self.run_id, attempt=self.attempt, event=self.event)

    @property
    def run_url(self) -> str | None:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}" if self.run else None

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
    number = pull_request.get("number") or environ.get("MLGATE_PULL_REQUEST") or None
    return RunContext(
        event=environ.get("GITHUB_EVENT_NAME", ""),
        repository=repository,
        run_id=_integer(environ.get("GITHUB_RUN_ID"), "GITHUB_RUN_ID"),
        attempt=_integer(environ.get("GITHUB_RUN_ATTEMPT") or "1", "GITHUB_RUN_ATTEMPT") or 1,
        pull_request=_integer(number, "pull request number"),
        head_sha=_text(head.get("sha") or merge_group.get("head_sha") or environ.get("MLGATE_HEAD_SHA") or environ.get("GITHUB_SHA")),
        base_sha=_text(base.get("sha") or merge_group.get("base_sha")),
        base_ref=_text(base.get("ref") or merge_group.get("base_ref")),
        ref=environ.get("GITHUB_REF"),
        default_branch=_text(_mapping(event.get("repository")).get("default_branch")),
        is_fork=bool(pull_request) and _mapping(head.get("repo")).get("full_name") != repository,
        api_url=environ.get("GITHUB_API_URL", RunContext.api_url),
        server_url=environ.get("GITHUB_SERVER_URL", RunContext.server_url),
        token=environ.get("MLGATE_GITHUB_TOKEN") or None,
        github_patience_s=_seconds(environ.get("MLGATE_GITHUB_PATIENCE_S"), "MLGATE_GITHUB_PATIENCE_S", RunContext.github_patience_s),
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
