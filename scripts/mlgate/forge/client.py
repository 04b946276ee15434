"""What `report` and `gate` want of GitHub, in their words: publish a comment, set a status, fetch what the baseline's run left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.forge.api import Api, Need
from mlgate.forge.comments import Marker
from mlgate.forge.run_artifact import MAX_ARCHIVE_BYTES, RunArtifact

WORKFLOW_BOT = "github-actions[bot]"
"""Who GITHUB_TOKEN is."""
MAX_COMMENT = 65_536 - 256
"""Longest body for `publish_comment`, in characters: GitHub's limit less room for the marker."""
MAX_STATUS_DESCRIPTION = 140
MAX_RUNS = 50
"""Newest runs of a commit whose artifacts are looked through."""

READ_COMMENTS = Need("pull-requests: write", "read comments of the pull request")
WRITE_COMMENTS = Need("pull-requests: write", "comment on the pull request")
READ_PULL_REQUESTS = Need("pull-requests: read", "read the pull request")
WRITE_STATUSES = Need("statuses: write", "set a commit status")
READ_ACTIONS = Need("actions: read", "read the artifacts of another run")
READ_USER = Need("metadata: read", "ask whose it is")

T = TypeVar("T", bound=BaseModel)


class _User(BaseModel):
    login: str = ""


class _Comment(BaseModel):
    id: int
    html_url: str
    body: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    user: _User | None = None

    @property
    def marker(self) -> Marker | None:
        return Marker.of(self.body)


class _Head(BaseModel):
    sha: str


class _PullRequest(BaseModel):
    head: _Head
    state: str


class _Repository(BaseModel):
    full_name: str


class _Run(BaseModel):
    id: int
    head_sha: str
    event: str
    head_repository: _Repository | None = None


class _Artifact(BaseModel):
    id: int
    name: str
    size_in_bytes: int
    expired: bool


@dataclass(frozen=True)
class PublishedComment:
    """Where the comment of a model is, and what was done to it. `kept`: a newer run had written it, nothing was changed."""

    url: str
    action: Literal["created", "updated", "kept"]


class Forge:
    """GitHub for one run. Each method says in one line what went wrong: exit 3, and 2 where the user has to change something.

    Args:
        context: the run; its token is used.
        author: login that the token comments as, where it is a GitHub App's own (`my-app[bot]`); that of GITHUB_TOKEN and of a personal
            token is found out.
        patience_s: how long all waiting for GitHub together may take; left out, as the context has it.
        timeout_s: how long one answer may take.
        sleep: how to wait.

    Raises:
        InputError: this run has no GitHub repository or no token.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        author: str | None = None,
        patience_s: float | None = None,
        timeout_s: int = 15,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if context.repository is None:
            raise InputError("GitHub: this run has no repository on GitHub; outside a workflow nothing can be published there")
        if context.token is None:
            raise InputError("MLGATE_GITHUB_TOKEN: not set; give the action 'github-token: ${{ github.token }}'")
        self._context = context
        self._repository = f"/repos/{context.repository}"
        self._author = author
        patience_s = context.github_patience_s if patience_s is None else patience_s
        self._api = Api(context.api_url, context.token, patience_s, timeout_s, context.is_fork, sleep)

    # ---- the comment

    def publish_comment(self, pull_request: int, model: str, body: str) -> PublishedComment:
        """Create the one comment of a model, or edit it in place; never one that somebody else wrote, never over that of a newer run.

        Two runs that write at the very same moment both do it; which of them is newer shows in the marker, and the next run repairs it.

        Args:
            pull_request: its number.
            model: name of the model, which the comment is found by.
            body: Markdown of at most MAX_COMMENT characters.
        """
        if len(body) > MAX_COMMENT:
            raise ValueError(f"a comment of {len(body):,} characters; at most {MAX_COMMENT:,} fit")
        context = self._context
        marker = Marker(model, context.run_id or 0, context.attempt, context.head_sha or "")
        text = f"{marker.line}\n{body}"
        own = self._own_comments(pull_request, model)
        if own and own[-1][0].order > marker.order:
            return PublishedComment(own[-1][1].html_url, "kept")
        if own and (edited := self._edit(own[-1][1], text)) is not None:
            self._delete(comment for _, comment in own[:-1])
            return PublishedComment(edited.html_url, "updated")
        return self._create(pull_request, marker, text)

    def _own_comments(self, pull_request: int, model: str) -> list[tuple[Marker, _Comment]]:
        """Comments of this model that the token's owner wrote, that of the newest run last. Anybody can paste a marker."""
        path = f"{self._repository}/issues/{pull_request}/comments"
        comments = [self._parse(_Comment, item, "GET", path) for item in self._api.pages(path, READ_COMMENTS)]
        marked = [(marker, comment) for comment in comments if (marker := comment.marker) is not None and marker.name == model]
        own = [(marker, comment) for marker, comment in marked if comment.user is not None and comment.user.login == self._login]
        return sorted(own, key=lambda pair: (pair[0].order, -pair[1].id))

    @property
    def _login(self) -> str:
        """Who comments with this token. Asked for only where a comment bears our marker: most first runs never need to know."""
        if self._author is None:
            answer = self._api.request("GET", "/user", READ_USER, handled=(403, 404))
            # An installation's token, such as GITHUB_TOKEN, may not ask.
            self._author = self._parse(_User, answer.data, "GET", "/user").login if answer.status == 200 else WORKFLOW_BOT
        return self._author

    def _create(self, pull_request: int, marker: Marker, text: str) -> PublishedComment:
        """Post the comment once, even if the answer is lost; then see whether another run did the same at that moment."""
        path = f"{self._repository}/issues/{pull_request}/comments"

        def already_there() -> Any:
            own = self._own_comments(pull_request, marker.name)
            return own[-1][1].model_dump() if own and own[-1][0] == marker else None

        answer = self._api.request("POST", path, WRITE_COMMENTS, body={"body": text}, already_done=already_there)
        created = self._parse(_Comment, answer.data, "POST", path)
        if created.user is not None and created.user.login:
            self._author = created.user.login
        own = self._own_comments(pull_request, marker.name)
        if own and own[-1][0].order > marker.order:
            self._delete([created])
            return PublishedComment(own[-1][1].html_url, "kept")
        self._delete(comment for _, comment in own if comment.id != created.id)
        return PublishedComment(created.html_url, "created")

    def _edit(self, comment: _Comment, text: str) -> _Comment | None:
        """The edited comment; None where somebody deleted it meanwhile."""
        path = f"{self._repository}/issues/comments/{comment.id}"
        answer = self._api.request("PATCH", path, WRITE_COMMENTS, body={"body": text}, handled=(404,))
        return self._parse(_Comment, answer.data, "PATCH", path) if answer.status != 404 else None

    def _delete(self, comments: Iterable[_Comment]) -> None:
        for comment in comments:
            self._api.request("DELETE", f"{self._repository}/issues/comments/{comment.id}", WRITE_COMMENTS, handled=(404,))

    # ---- the status and the pull request

    def set_status(
        self,
        sha: str,
        state: Literal["success", "failure", "error", "pending"],
        context_name: str,
        description: str,
        target_url: str | None = None,
    ) -> None:
        """Set the commit status `context_name`. A longer description than GitHub takes is cut."""
        if len(description) > MAX_STATUS_DESCRIPTION:
            description = description[: MAX_STATUS_DESCRIPTION - 1] + "…"
        body = {"state": state, "context": context_name, "description": description}
        if target_url is not None:
            body["target_url"] = target_url
        self._api.request("POST", f"{self._repository}/statuses/{sha}", WRITE_STATUSES, body=body)

    def pull_request_head(self, number: int) -> str:
        """SHA of the newest commit of a pull request: a run of an older one is outdated."""
        path = f"{self._repository}/pulls/{number}"
        answer = self._api.request("GET", path, READ_PULL_REQUESTS)
        return self._parse(_PullRequest, answer.data, "GET", path).head.sha

    # ---- artifacts of other runs

    def find_run_artifact(self, commit: str, name_prefix: str, max_bytes: int = MAX_ARCHIVE_BYTES) -> RunArtifact | None:
        """The newest artifact of a run of that commit whose name begins with the prefix; None where there is none any more.

        Only runs of a push or a merge queue count: whoever opens a pull request decides what its runs leave, and a dispatched run of
        the same commit may have trained with other parameters.

        Raises:
            InputError: the artifact is larger than `max_bytes`.
        """
        path = f"{self._repository}/actions/runs"
        query = {"head_sha": commit, "exclude_pull_requests": "true"}
        for looked_at, item in enumerate(self._api.pages(path, READ_ACTIONS, query=query, key="workflow_runs")):
            run = self._parse(_Run, item, "GET", path)
            if looked_at == MAX_RUNS:
                return None
            is_ours = run.head_repository is not None and run.head_repository.full_name.lower() == str(self._context.repository).lower()
            is_plain = run.event in ("push", "merge_group")
            if run.head_sha == commit and is_ours and is_plain and (found := self._artifact_of(run, name_prefix, max_bytes)) is not None:
                return found
        return None

    def _artifact_of(self, run: _Run, name_prefix: str, max_bytes: int) -> RunArtifact | None:
        path = f"{self._repository}/actions/runs/{run.id}/artifacts"
        listed = [self._parse(_Artifact, item, "GET", path) for item in self._api.pages(path, READ_ACTIONS, key="artifacts")]
        found = [artifact for artifact in listed if artifact.name.startswith(name_prefix) and not artifact.expired]
        for artifact in sorted(found, key=lambda artifact: artifact.id, reverse=True):
            if artifact.size_in_bytes > max_bytes:
                raise InputError(
                    f"artifact '{artifact.name}' of run {run.id}: larger than {max_bytes:,} bytes; such an artifact is refused"
                )
            content = self._api.download(f"{self._repository}/actions/artifacts/{artifact.id}/zip", READ_ACTIONS, max_bytes)
            if content is not None:
                return RunArtifact(artifact.name, run.id, run.head_sha, content)
        return None

    def _parse(self, model: type[T], data: Any, method: str, path: str) -> T:
        try:
            return model.model_validate(data)
        except ValidationError:
            raise self._api.unexpected(method, path) from None
