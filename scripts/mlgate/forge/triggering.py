"""The pull request of a run that triggered this one (`workflow_run`), and what that run left. For runs of forks and of Dependabot.

GitHub is asked; nothing the run itself says is believed. `workflow_run.pull_requests` is empty for forks, so the pull request is found by
the branch it comes from and the commit that the run was of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from mlgate.context import RunContext, TriggeringRun
from mlgate.errors import InputError
from mlgate.forge.api import Api, Need
from mlgate.forge.client import MAX_STATUS_DESCRIPTION, READ_ACTIONS, READ_PULL_REQUESTS, WRITE_STATUSES
from mlgate.forge.run_artifact import RunArtifact

READ_STATUSES = Need("statuses: write", "read commit statuses")
MAX_ARCHIVE_BYTES = 200_000_000
"""Of one artifact, packed; it is held in memory."""

State = Literal["success", "failure", "error", "pending"]
T = TypeVar("T", bound=BaseModel)


class _Repository(BaseModel):
    full_name: str


class _Side(BaseModel):
    sha: str
    ref: str
    repo: _Repository | None = None


class _PullRequest(BaseModel):
    number: int
    head: _Side
    base: _Side


class _Artifact(BaseModel):
    id: int
    name: str
    size_in_bytes: int
    expired: bool


class _Status(BaseModel):
    context: str
    state: State


@dataclass(frozen=True)
class PullRequest:
    """An open pull request, as GitHub has it now."""

    number: int
    head_sha: str
    base_ref: str
    base_sha: str


class TriggeringForge:
    """GitHub about the run that triggered this one.

    Raises:
        InputError: this run was triggered by none, or has no token.
    """

    def __init__(self, context: RunContext) -> None:
        if context.repository is None or context.triggering is None:
            raise InputError(
                f"triggering-run: expected the event 'workflow_run', got '{context.event}'; see mlgate's docs/forks-and-security.md"
            )
        if context.token is None:
            raise InputError("MLGATE_GITHUB_TOKEN: not set; give the action 'github-token: ${{ github.token }}'")
        self.run: TriggeringRun = context.triggering
        self._name = context.repository
        self._repository = f"/repos/{context.repository}"
        self._api = Api(context.api_url, context.token, context.github_patience_s)

    def pull_requests(self) -> list[PullRequest]:
        """Open pull requests from the branch that the run was of, whatever their newest commit is by now; oldest first."""
        run = self.run
        query = {"state": "open"}
        if run.head_repository and run.head_branch:
            query["head"] = f"{run.head_repository.split('/')[0]}:{run.head_branch}"
        found = [self._parse(_PullRequest, item) for item in self._api.pages(f"{self._repository}/pulls", READ_PULL_REQUESTS, query=query)]
        ours = [pull for pull in found if _is(pull.base, self._name) and _is_of_branch(pull.head, run)]
        return sorted(
            (PullRequest(pull.number, pull.head.sha, pull.base.ref, pull.base.sha) for pull in ours), key=lambda pull: pull.number
        )

    def artifacts(self, model: str) -> Iterator[RunArtifact]:
        """What the jobs `data` and `train` of the run left, of each job the newest attempt up to the run's.

        Raises:
            InputError: one is larger than MAX_ARCHIVE_BYTES.
        """
        pattern = re.compile(rf"mlgate-{re.escape(model)}-(?P<job>data|train)-(?P<attempt>[1-9][0-9]{{0,5}})")
        newest: dict[str, tuple[int, _Artifact]] = {}
        for job, attempt, artifact in self._listed(pattern):
            older = newest.get(job)
            if older is None or older[0] < attempt:
                newest[job] = (attempt, artifact)
        for _, artifact in newest.values():
            if (downloaded := self._downloaded(artifact)) is not None:
                yield downloaded

    def smallest_artifact(self) -> RunArtifact | None:
        """The smallest that a job `data` or `train` of the run left, of whichever model: enough to ask of which commit the run was.

        Raises:
            InputError: it is larger than MAX_ARCHIVE_BYTES.
        """
        pattern = re.compile(r"mlgate-[^/]+-(?P<job>data|train)-(?P<attempt>[1-9][0-9]{0,5})")
        found = sorted((artifact for _, _, artifact in self._listed(pattern)), key=lambda artifact: (artifact.size_in_bytes, artifact.id))
        return self._downloaded(found[0]) if found else None

    def _listed(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, int, _Artifact]]:
        """Job, attempt and artifact of those of such a name, up to the run's attempt."""
        path = f"{self._repository}/actions/runs/{self.run.run_id}/artifacts"
        for item in self._api.pages(path, READ_ACTIONS, key="artifacts"):
            artifact = self._parse(_Artifact, item)
            match = pattern.fullmatch(artifact.name)
            if match and not artifact.expired and int(match["attempt"]) <= self.run.attempt:
                yield match["job"], int(match["attempt"]), artifact

    def _downloaded(self, artifact: _Artifact) -> RunArtifact | None:
        if artifact.size_in_bytes > MAX_ARCHIVE_BYTES:
            raise InputError(f"artifact '{artifact.name}': larger than {MAX_ARCHIVE_BYTES:,} bytes; such an artifact is refused")
        content = self._api.download(f"{self._repository}/actions/artifacts/{artifact.id}/zip", READ_ACTIONS, MAX_ARCHIVE_BYTES)
        return None if content is None else RunArtifact(artifact.name, self.run.run_id, self.run.head_sha, content)

    def status(self, context_name: str) -> State | None:
        """The newest state of that status at the run's head; None where it was never set."""
        path = f"{self._repository}/commits/{self.run.head_sha}/statuses"
        for item in self._api.pages(path, READ_STATUSES):  # newest first
            status = self._parse(_Status, item)
            if status.context == context_name:
                return status.state
        return None

    def set_status(self, context_name: str, state: State, description: str, target_url: str | None) -> None:
        """Set that status at the run's head. A longer description than GitHub takes is cut."""
        if len(description) > MAX_STATUS_DESCRIPTION:
            description = description[: MAX_STATUS_DESCRIPTION - 1] + "…"
        body = {"state": state, "context": context_name, "description": description, "target_url": target_url}
        self._api.request("POST", f"{self._repository}/statuses/{self.run.head_sha}", WRITE_STATUSES, body=body)

    def _parse(self, model: type[T], item: object) -> T:
        try:
            return model.model_validate(item)
        except ValidationError:
            raise self._api.unexpected("GET", self._repository) from None


def _is(side: _Side, repository: str) -> bool:
    return side.repo is not None and side.repo.full_name.lower() == repository.lower()


def _is_of_branch(head: _Side, run: TriggeringRun) -> bool:
    """A fork that was deleted has neither name nor branches: then the commit must do."""
    if run.head_repository is None or run.head_branch is None:
        return head.sha == run.head_sha
    return head.ref == run.head_branch and _is(head, run.head_repository)
