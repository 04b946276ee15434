"""What `report` and `gate` want of GitHub, in their words: publish a comment, set a status, fetch what the baseline's run left, ask
whether this run is still the newest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from mlgate.artifacts import artifact_name, job_of
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.forge.api import Api, Need
from mlgate.forge.comments import Marker
from mlgate.forge.run_artifact import MAX_ARCHIVE_BYTES, ExpiredArtifact, RunArtifact

WORKFLOW_BOT = "github-actions[bot]"
"""Who GITHUB_TOKEN is."""
MAX_COMMENT = 65_536 - 256
"""Longest body for `publish_comment`, in characters: GitHub's limit less room for the marker."""
MAX_STATUS_DESCRIPTION = 140
MAX_LOOKS = 5
"""How often a run that created a comment looks whether others did too."""
MAX_RUNS = 50
"""Newest runs of a commit whose artifacts are looked through."""
MAX_ARTIFACTS = 100
"""Newest artifacts of one name that are looked through for those of a commit."""
JOBS_THAT_EVALUATE = ("verdict", "train")

READ_COMMENTS = Need("pull-requests: write", "read comments of the pull request")
WRITE_COMMENTS = Need("pull-requests: write", "comment on the pull request")
READ_PULL_REQUESTS = Need("pull-requests: read", "read the pull request")
COMMENT_ON_COMMITS = Need("contents: write", "comment on a commit")
WRITE_STATUSES = Need("statuses: write", "set a commit status")
READ_ACTIONS = Need("actions: read", "read the artifacts of another run")
READ_USER = Need("metadata: read", "ask whose it is")
READ_CONTENTS = Need("contents: read", "compare commits")

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

    @property
    def login(self) -> str:
        """Of its author; empty for one whose account is gone."""
        return self.user.login if self.user else ""


class _Viewer(BaseModel):
    viewer: _User


class _Comparison(BaseModel):
    status: Literal["ahead", "behind", "diverged", "identical"]


class _Repository(BaseModel):
    full_name: str


class _Head(BaseModel):
    sha: str
    repo: _Repository | None = None
    """None where the fork was deleted."""


class _PullRequest(BaseModel):
    head: _Head
    state: str


class _NumberedPullRequest(_PullRequest):
    number: int


class _Run(BaseModel):
    id: int
    head_sha: str
    event: str
    head_repository: _Repository | None = None


class _MadeBy(BaseModel):
    id: int
    head_sha: str


class _Artifact(BaseModel):
    id: int
    name: str
    size_in_bytes: int
    expired: bool
    workflow_run: _MadeBy | None = None


@dataclass(frozen=True)
class PublishedComment:
    """Where the comment of a model is, and what was done to it. `kept`: this run is outdated, nothing was changed."""

    url: str | None
    """None where an outdated run found none."""
    action: Literal["created", "updated", "kept"]
    outdated: str | None = None
    """For `kept`, why this run's verdict does not stand: `the pull request is at 4f1c2d3e4a5b now`."""
    is_commit_outdated: bool = False
    """Whether it is the commit that is outdated; else a newer run of the same commit has spoken."""
    comment_id: int | None = None
    """For `rewrite_comment`; None where nothing was written."""


@dataclass(frozen=True)
class StandingComment:
    """The one comment of a model as it stands."""

    marker: Marker
    """Whose it is."""
    body: str
    """Without the marker."""


class Forge:
    """GitHub for one run. Each method says in one line what went wrong: exit 3, and 2 where the user has to change something.

    Args:
        context: the run; its token is used.
        author: login that the token comments as (`my-app[bot]`); found out where it is left out.
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
        """Create the one comment of a model, or edit it in place; never one that somebody else wrote.

        The newest commit's verdict stands: a run of another commit than the pull request's head changes nothing, and of the runs of the
        head an older one changes nothing that a newer one wrote. Runs that create at the same moment look again and leave one comment.
        Two runs of one commit that edit within the same tenth of a second are not told apart (GitHub has no compare-and-set for comments):
        the later writer wins, and the marker says which run it was.

        Args:
            pull_request: its number.
            model: name of the model, which the comment is found by.
            body: Markdown of at most MAX_COMMENT characters.
        """
        if len(body) > MAX_COMMENT:
            raise ValueError(f"a comment of {len(body):,} characters; at most {MAX_COMMENT:,} fit")
        context, marker = self._context, self._marker(model)
        text = f"{marker.line}\n{body}"
        head = self.pull_request_head(pull_request) if context.head_sha else None
        own = self._own_comments(pull_request, marker)
        if own and marker.commit not in ("", own[-1][0].commit) and own[-1][0].order > marker.order:
            # Of a newer run and another commit: pushed after we asked, or before a force push back to ours?
            head = self.pull_request_head(pull_request)
        if head != context.head_sha:
            reason = f"the pull request is at {str(head)[:12]} now"
            return PublishedComment(own[-1][1].html_url if own else None, "kept", reason, is_commit_outdated=True)
        if own and _is_newer(own[-1][0], marker):
            return _kept(own[-1], marker)
        if own and (edited := self._edit(own[-1][1], text)) is not None:
            self._delete(own[:-1])
            return PublishedComment(edited.html_url, "updated", comment_id=edited.id)
        return self._create(pull_request, marker, text)

    def standing_comment(self, pull_request: int, model: str) -> StandingComment | None:
        """The comment of a model that `publish_comment` would edit; None where there is none."""
        own = self._own_comments(pull_request, self._marker(model))
        return StandingComment(own[-1][0], own[-1][1].body.partition("\n")[2]) if own else None

    def rewrite_comment(self, comment_id: int, model: str, body: str, is_wanted: Callable[[], bool] = lambda: True) -> bool:
        """Edit what this very run has published, by two requests; whether that was still there, and this run's.

        What another run writes between the two is lost, as in `publish_comment`: GitHub has no compare-and-set for comments.

        Args:
            comment_id: of `PublishedComment`.
            model: name of the model.
            body: Markdown of at most MAX_COMMENT characters.
            is_wanted: asked once more right before the comment is edited.
        """
        path = f"{self._repository}/issues/comments/{comment_id}"
        marker = self._marker(model)
        answer = self._api.request("GET", path, READ_COMMENTS, handled=(404,))
        if answer.status == 404 or self._parse(_Comment, answer.data, "GET", path).marker != marker:
            return False
        if not is_wanted():
            return True
        return self._api.request("PATCH", path, WRITE_COMMENTS, body={"body": f"{marker.line}\n{body}"}, handled=(404,)).status != 404

    def _marker(self, model: str) -> Marker:
        return Marker(model, self._context.run_id or 0, self._context.attempt, self._context.head_sha or "")

    def _own_comments(self, pull_request: int, marker: Marker) -> list[tuple[Marker, _Comment]]:
        """Comments of this model that mlgate wrote here, the one that stands last: of the marker's commit before others, of a newer run
        before an older. Anybody can paste a marker, so the author counts: the token's owner, or GITHUB_TOKEN's, whose comments an earlier
        set-up may have left."""
        path = f"{self._repository}/issues/{pull_request}/comments"
        comments = [self._parse(_Comment, item, "GET", path) for item in self._api.pages(path, READ_COMMENTS)]
        marked = [(found, comment) for comment in comments if (found := comment.marker) is not None and found.name == marker.name]
        own = [(found, comment) for found, comment in marked if comment.login == WORKFLOW_BOT or comment.login == self._login]
        return sorted(own, key=lambda pair: (pair[0].commit == marker.commit, pair[0].order, -pair[1].id))

    @property
    def _login(self) -> str:
        """Who comments with this token. Asked for only where somebody else's comment bears our marker: most runs never need to know."""
        if self._author is None:
            answer = self._api.request("GET", "/user", READ_USER, handled=(403, 404))
            if answer.status == 200:
                self._author = self._parse(_User, answer.data, "GET", "/user").login
            else:  # an installation's token, such as GITHUB_TOKEN or a GitHub App's, may not ask there
                viewer = self._api.graphql("query { viewer { login } }", READ_USER)
                self._author = self._parse(_Viewer, viewer, "POST", "/graphql").viewer.login if viewer else WORKFLOW_BOT
        return self._author

    def _create(self, pull_request: int, marker: Marker, text: str) -> PublishedComment:
        """Post the comment once, even if the answer is lost; then see whether another run did the same at that moment."""
        path = f"{self._repository}/issues/{pull_request}/comments"

        def already_there() -> Any:
            own = self._own_comments(pull_request, marker)
            return own[-1][1].model_dump() if own and own[-1][0] == marker else None

        answer = self._api.request("POST", path, WRITE_COMMENTS, body={"body": text}, already_done=already_there)
        created = self._parse(_Comment, answer.data, "POST", path)
        self._author = created.login or self._author
        for _ in range(MAX_LOOKS):
            own = self._own_comments(pull_request, marker)
            if not any(comment.id == created.id for _, comment in own):
                # Another run took ours for the older one and wrote into its own; or GitHub's list is not yet that far.
                return _kept(own[-1], marker) if own and _is_newer(own[-1][0], marker) else _created(created)
            if own[-1][1].id != created.id:
                self._delete([(marker, created)])
                return _kept(own[-1], marker)
            if len(own) == 1:
                break
            self._delete(own[:-1])
        return _created(created)

    def _edit(self, comment: _Comment, text: str) -> _Comment | None:
        """The edited comment; None where somebody deleted it meanwhile."""
        path = f"{self._repository}/issues/comments/{comment.id}"
        answer = self._api.request("PATCH", path, WRITE_COMMENTS, body={"body": text}, handled=(404,))
        return self._parse(_Comment, answer.data, "PATCH", path) if answer.status != 404 else None

    def _delete(self, comments: Iterable[tuple[Marker, _Comment]]) -> None:
        """Delete comments, but for those that another run has written into since they were listed."""
        for marker, comment in comments:
            path = f"{self._repository}/issues/comments/{comment.id}"
            answer = self._api.request("GET", path, READ_COMMENTS, handled=(404,))
            if answer.status != 404 and self._parse(_Comment, answer.data, "GET", path).marker == marker:
                self._api.request("DELETE", path, WRITE_COMMENTS, handled=(404,))

    def comment_on_commit(self, sha: str, model: str, body: str) -> str:
        """Comment on a commit, once a model: a second run of the same commit edits what the first one wrote, and calls nobody again.

        Args:
            sha: the commit.
            model: name of the model, which the comment is found by.
            body: Markdown of at most MAX_COMMENT characters.

        Returns:
            Address of the comment.
        """
        path = f"{self._repository}/commits/{sha}/comments"
        marker = Marker(model, self._context.run_id or 0, self._context.attempt, sha)
        text = f"{marker.line}\n{body}"

        def own() -> _Comment | None:
            listed = [self._parse(_Comment, item, "GET", path) for item in self._api.pages(path, COMMENT_ON_COMMITS)]
            marked = [comment for comment in listed if comment.marker is not None and comment.marker.name == model]
            return next((comment for comment in marked if comment.user is not None and comment.user.login == self._login), None)

        def already_there() -> Any:
            found = own()
            return found.model_dump() if found is not None and found.marker == marker else None

        if (earlier := own()) is not None:
            edited = f"{self._repository}/comments/{earlier.id}"
            answer = self._api.request("PATCH", edited, COMMENT_ON_COMMITS, body={"body": text}, handled=(404,))
            if answer.status != 404:
                return self._parse(_Comment, answer.data, "PATCH", edited).html_url
        answer = self._api.request("POST", path, COMMENT_ON_COMMITS, body={"body": text}, already_done=already_there)
        return self._parse(_Comment, answer.data, "POST", path).html_url

    def open_pull_request_of(self, sha: str) -> int | None:
        """Number of the open pull request whose head a commit is; None where there is none."""
        path = f"{self._repository}/commits/{sha}/pulls"
        found = [self._parse(_NumberedPullRequest, item, "GET", path) for item in self._api.pages(path, READ_PULL_REQUESTS)]
        return next((pull.number for pull in found if pull.state == "open" and pull.head.sha == sha), None)

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

    def is_of_fork(self, number: int) -> bool:
        """Whether a pull request's commits lie in another repository, or in one that is gone."""
        path = f"{self._repository}/pulls/{number}"
        repo = self._parse(_PullRequest, self._api.request("GET", path, READ_PULL_REQUESTS).data, "GET", path).head.repo
        return repo is None or repo.full_name.lower() != str(self._context.repository).lower()

    def is_on_default_branch(self, commit: str) -> bool:
        """Whether the default branch, whatever it is called by now, contains a commit: after a force push it may not."""
        path = f"{self._repository}/compare/{commit}...HEAD"
        # The second page of one commit a page: the first brings the changes of up to 300 files.
        answer = self._api.request("GET", path, READ_CONTENTS, query={"per_page": "1", "page": "2"}, handled=(404,))
        if answer.status == 404:
            if "common ancestor" in str(answer.data):
                return False
            raise self._api.refused("GET", path, READ_CONTENTS, answer)
        return self._parse(_Comparison, answer.data, "GET", path).status in ("ahead", "identical")

    # ---- artifacts of other runs

    def find_run_artifact(self, commit: str, model: str, max_bytes: int = MAX_ARCHIVE_BYTES) -> RunArtifact | None:
        """The newest artifact with an evaluation of the model that a run of that commit left; None where there is none any more.

        Only runs of a push, a schedule or a merge queue count: whoever opens a pull request decides what its runs leave, and a dispatched
        run of the same commit may have trained with other parameters.

        Raises:
            InputError: the artifact is larger than `max_bytes`.
        """
        path = f"{self._repository}/actions/runs"
        query = {"head_sha": commit, "exclude_pull_requests": "true"}
        for looked_at, item in enumerate(self._api.pages(path, READ_ACTIONS, query=query, key="workflow_runs")):
            run = self._parse(_Run, item, "GET", path)
            if looked_at == MAX_RUNS:
                return None
            if run.head_sha == commit and self._is_trusted(run) and (found := self._artifact_of(run, model, max_bytes)) is not None:
                return found
        return None

    def run_artifacts(
        self, commits: Sequence[str], model: str, max_bytes: int = MAX_ARCHIVE_BYTES
    ) -> Iterator[RunArtifact | ExpiredArtifact]:
        """What the runs of these commits left of the model's evaluation, in the order of the commits, one at a time.

        Asked by the artifacts' names, of which GitHub lists the newest first: runs of other workflows cost nothing.
        """
        path = f"{self._repository}/actions/artifacts"
        place = {commit: number for number, commit in enumerate(commits)}
        known: dict[int, str] = {}
        for job in JOBS_THAT_EVALUATE:
            query = {"name": artifact_name(model, job, 1)}
            for item in islice(self._api.pages(path, READ_ACTIONS, query=query, key="artifacts"), MAX_ARTIFACTS):
                made_by = self._parse(_Artifact, item, "GET", path).workflow_run
                if made_by is not None and made_by.head_sha in place:
                    known.setdefault(made_by.id, made_by.head_sha)
        for run_id in sorted(known, key=lambda run_id: (place[known[run_id]], -run_id)):
            of_run = f"{self._repository}/actions/runs/{run_id}"
            run = self._parse(_Run, self._api.request("GET", of_run, READ_ACTIONS).data, "GET", of_run)
            if run.head_sha in place and self._is_trusted(run):
                yield self._artifact_of(run, model, max_bytes) or ExpiredArtifact(run.id, run.head_sha)

    def _is_trusted(self, run: _Run) -> bool:
        is_ours = run.head_repository is not None and run.head_repository.full_name.lower() == str(self._context.repository).lower()
        return is_ours and run.event in ("push", "schedule", "merge_group")

    def _artifact_of(self, run: _Run, model: str, max_bytes: int) -> RunArtifact | None:
        path = f"{self._repository}/actions/runs/{run.id}/artifacts"
        listed = [self._parse(_Artifact, item, "GET", path) for item in self._api.pages(path, READ_ACTIONS, key="artifacts")]
        found = [artifact for artifact in listed if job_of(artifact.name, model) in JOBS_THAT_EVALUATE and not artifact.expired]
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


def _is_newer(one: Marker, other: Marker) -> bool:
    """Whether a comment of the same commit is of a newer run, or of a newer attempt."""
    return one.commit == other.commit and one.order > other.order


def _created(comment: _Comment) -> PublishedComment:
    return PublishedComment(comment.html_url, "created", comment_id=comment.id)


def _kept(standing: tuple[Marker, _Comment], marker: Marker) -> PublishedComment:
    found, comment = standing
    newer = f"run {found.run_id}, attempt {found.attempt}, of the same commit is newer"
    return PublishedComment(comment.html_url, "kept", newer if found.order > marker.order else "another job of this run wrote it first")
