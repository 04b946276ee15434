"""GitHub as commands in comments need it: who wrote one and what they may, which run judged the commit, run it again, answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator

from mlgate.forge.api import Need
from mlgate.forge.client import READ_COMMENTS, READ_PULL_REQUESTS, READ_USER, WORKFLOW_BOT, WRITE_COMMENTS, Forge
from mlgate.forge.comments import Marker
from mlgate.forge.slash_commands import ROLES

READ_STATUSES = Need("statuses: read", "read the commit statuses")
READ_RUNS = Need("actions: read", "read workflow runs")
RERUN = Need("actions: write", "run the verdict again")

MAX_RUNS_OF_A_COMMIT = 1000
_REPLY = "<!-- mlgate-reply:{} -->"


class _User(BaseModel):
    login: str = ""
    type: str = "User"


class SeenComment(BaseModel):
    """A comment on an issue or a pull request, as GitHub has it."""

    id: int
    node_id: str = ""
    html_url: str
    issue_url: str
    body: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    user: _User | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def author(self) -> str:
        return self.user.login if self.user else ""

    @property
    def number(self) -> int:
        """Of the issue or pull request it stands under."""
        found = re.search(r"/(\d+)$", self.issue_url)
        return int(found[1]) if found else 0


class _Head(BaseModel):
    sha: str


class _Base(BaseModel):
    ref: str


class SeenPullRequest(BaseModel):
    head: _Head
    state: str
    base: _Base | None = None


class SeenRun(BaseModel):
    """A workflow run."""

    id: int
    html_url: str
    created_at: datetime
    """When it was started first; a re-run does not change it."""
    run_attempt: int = 1
    status: str | None = None
    conclusion: str | None = None
    path: str = ""

    @property
    def is_finished(self) -> bool:
        return self.status == "completed"


class _Status(BaseModel):
    context: str
    state: str


class _Role(BaseModel):
    permission: str
    role_name: str = ""


class _Edit(BaseModel):
    lastEditedAt: datetime | None = None  # noqa: N815 -- GraphQL's name


class _Node(BaseModel):
    node: _Edit | None = None


@dataclass(frozen=True)
class Rerun:
    """What became of the wish to run a run's failed jobs again."""

    is_started: bool
    reason: str = ""
    """Why it was not."""
    is_overtaken: bool = False
    """Whether that is because somebody started or deleted it since it was looked at."""


class Conversation(Forge):
    """`Forge`, for whoever answers comments."""

    def comment(self, comment_id: int) -> SeenComment | None:
        """A comment; None where it is gone."""
        path = f"{self._repository}/issues/comments/{comment_id}"
        answer = self._api.request("GET", path, READ_COMMENTS, handled=(404,))
        return None if answer.status == 404 else self._parse(SeenComment, answer.data, "GET", path)

    def is_edited(self, comment: SeenComment) -> bool:
        """Whether a comment was edited since its author wrote it. Whoever may write to a repository may edit others' comments."""
        if re.fullmatch(r"[A-Za-z0-9_=-]+", comment.node_id):
            query = f'query {{ node(id: "{comment.node_id}") {{ ... on IssueComment {{ lastEditedAt }} }} }}'
            answer = self._api.graphql(query, READ_COMMENTS)
            if answer is not None and (found := self._parse(_Node, answer, "POST", "/graphql").node) is not None:
                return found.lastEditedAt is not None
        return comment.updated_at != comment.created_at

    def role(self, login: str) -> str:
        """Somebody's role on the repository, one of `ROLES`; a role of the organisation's own counts as the one it is built on."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", login):
            return "none"
        path = f"{self._repository}/collaborators/{login}/permission"
        answer = self._api.request("GET", path, READ_USER, handled=(404,))
        if answer.status == 404:
            return "none"
        found = self._parse(_Role, answer.data, "GET", path)
        return next((name for name in (found.role_name, found.permission) if name in ROLES), "none")

    def pull_request(self, number: int) -> SeenPullRequest:
        path = f"{self._repository}/pulls/{number}"
        return self._parse(SeenPullRequest, self._api.request("GET", path, READ_PULL_REQUESTS).data, "GET", path)

    def merged_heads(self, commit: str) -> list[str]:
        """Heads of the pull requests that brought a commit."""
        path = f"{self._repository}/commits/{commit}/pulls"
        pulls = [self._parse(SeenPullRequest, item, "GET", path) for item in self._api.pages(path, READ_PULL_REQUESTS)]
        return [pull.head.sha for pull in pulls]

    def reports(self, pull_request: int) -> list[Marker]:
        """Which runs mlgate's own comments on a pull request are of. Anybody can paste a marker; only ours count."""
        path = f"{self._repository}/issues/{pull_request}/comments"
        comments = [self._parse(SeenComment, item, "GET", path) for item in self._api.pages(path, READ_COMMENTS)]
        marked = [(marker, comment.author) for comment in comments if (marker := Marker.of(comment.body)) is not None]
        return [marker for marker, author in marked if author in (WORKFLOW_BOT, self._login)]

    def statuses(self, sha: str) -> dict[str, str]:
        """Newest state of each status of a commit, by name."""
        path = f"{self._repository}/commits/{sha}/statuses"
        found: dict[str, str] = {}
        for item in self._api.pages(path, READ_STATUSES):  # newest first
            status = self._parse(_Status, item, "GET", path)
            found.setdefault(status.context, status.state)
        return found

    def run(self, run_id: int) -> SeenRun | None:
        """A workflow run; None where it was deleted."""
        path = f"{self._repository}/actions/runs/{run_id}"
        answer = self._api.request("GET", path, READ_RUNS, handled=(404,))
        return None if answer.status == 404 else self._parse(SeenRun, answer.data, "GET", path)

    def first_run_at(self, sha: str) -> datetime | None:
        """When GitHub first ran something for a commit: not before it was pushed. None where no run is left."""
        path = f"{self._repository}/actions/runs"
        listed = islice(self._api.pages(path, READ_RUNS, query={"head_sha": sha}, key="workflow_runs"), MAX_RUNS_OF_A_COMMIT)
        return min((self._parse(SeenRun, item, "GET", path).created_at for item in listed), default=None)

    def newest_run(self, sha: str, workflow: str) -> SeenRun | None:
        """The newest run of a commit by one workflow.

        Args:
            sha: the head commit.
            workflow: name of the workflow's file.
        """
        path = f"{self._repository}/actions/runs"
        for item in self._api.pages(path, READ_RUNS, query={"head_sha": sha}, key="workflow_runs"):  # newest first
            run = self._parse(SeenRun, item, "GET", path)
            if run.path.partition("@")[0].rpartition("/")[2] == workflow:
                return run
        return None

    def rerun(self, run: SeenRun) -> Rerun:
        """Run the failed jobs of a run again; all of them where none failed: then another workflow judges what this one leaves."""
        what = "rerun" if run.conclusion == "success" else "rerun-failed-jobs"
        path = f"{self._repository}/actions/runs/{run.id}/{what}"

        def already_started() -> Any:
            now = self.run(run.id)
            return {} if now is not None and now.run_attempt > run.run_attempt else None

        answer = self._api.request("POST", path, RERUN, handled=(403, 404, 422), already_done=already_started)
        if answer.status < 400:
            return Rerun(is_started=True)
        said = answer.data.get("message") if isinstance(answer.data, dict) else None
        return Rerun(is_started=False, reason=str(said or answer.status)[:200])

    def reply(self, pull_request: int, comment_id: int, body: str) -> str:
        """Answer a comment, once however often this is tried; the answer's address.

        Args:
            pull_request: its number.
            comment_id: of the comment that is answered.
            body: Markdown.
        """
        path = f"{self._repository}/issues/{pull_request}/comments"
        marker = _REPLY.format(comment_id)

        def earlier() -> SeenComment | None:
            listed = [self._parse(SeenComment, item, "GET", path) for item in self._api.pages(path, READ_COMMENTS)]
            marked = [comment for comment in listed if comment.body.partition("\n")[0].rstrip("\r") == marker]
            return next((comment for comment in marked if comment.author in (WORKFLOW_BOT, self._login)), None)

        def already_there() -> Any:
            found = earlier()
            return None if found is None else found.model_dump(mode="json")

        text = f"{marker}\n{body}"
        if (found := earlier()) is not None:
            edited = f"{self._repository}/issues/comments/{found.id}"
            return self._parse(
                SeenComment, self._api.request("PATCH", edited, WRITE_COMMENTS, body={"body": text}).data, "PATCH", edited
            ).html_url
        answer = self._api.request("POST", path, WRITE_COMMENTS, body={"body": text}, already_done=already_there)
        return self._parse(SeenComment, answer.data, "POST", path).html_url

    def react(self, comment_id: int, content: Literal["+1", "-1", "confused"]) -> None:
        """Put a reaction on a comment; GitHub keeps one of a kind. The reply says all: a token that may not react is no trouble."""
        path = f"{self._repository}/issues/comments/{comment_id}/reactions"
        self._api.request("POST", path, WRITE_COMMENTS, body={"content": content}, handled=(403, 404, 422))
