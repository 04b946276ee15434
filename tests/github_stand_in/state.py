"""What the stand-in remembers, and GitHub's answers made from it: GitHub's own examples with the state's values put in."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from github_stand_in.description import HOST, document

BOT = "github-actions[bot]"
WORKFLOW_PERMISSIONS = {"contents": "write", "pull-requests": "write", "statuses": "write", "actions": "write", "checks": "read"}
LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True)
class Token:
    """A token and what it may do. Of a bot: an installation's, such as GITHUB_TOKEN; else somebody's personal one."""

    value: str
    login: str = BOT
    permissions: dict[str, str] = field(default_factory=lambda: dict(WORKFLOW_PERMISSIONS))

    @property
    def is_installation(self) -> bool:
        return self.login.endswith("[bot]")

    def allows(self, permission: str, level: str) -> bool:
        return permission == "metadata" or LEVELS[self.permissions.get(permission, "none")] >= LEVELS[level]


@dataclass
class Comment:
    id: int
    pull_request: int
    login: str
    body: str
    created_at: str
    updated_at: str
    reactions: list[str] = field(default_factory=list)
    is_edited: bool = False
    """By somebody in the browser; what the API edits is no matter here."""


@dataclass
class CommitComment:
    id: int
    sha: str
    login: str
    body: str
    created_at: str


@dataclass
class PullRequest:
    number: int
    head_sha: str
    base_sha: str
    head_ref: str = "topic"
    base_ref: str = "main"
    head_repository: str | None = None
    """`owner/name`; left out: the repository itself. Another one is a fork."""
    state: str = "open"
    is_locked: bool = False
    merge_commit_sha: str | None = None
    """What it became on the base branch."""


@dataclass
class Status:
    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    login: str
    created_at: str


@dataclass
class Artifact:
    id: int
    run_id: int
    name: str
    content: bytes
    created_at: str
    is_expired: bool = False


@dataclass
class Job:
    """A job of one attempt of a run; its check run has the same number."""

    id: int
    run_id: int
    attempt: int
    name: str
    conclusion: str | None = "success"
    """None while it runs."""
    steps: list[tuple[str, str | None]] = field(default_factory=lambda: [("Set up job", "success"), ("Complete job", "success")])
    """Name and conclusion; without one the step never ended."""
    annotations: list[tuple[str, str]] = field(default_factory=list)
    """Title and message."""


@dataclass
class Run:
    id: int
    head_sha: str
    event: str
    attempt: int
    head_branch: str
    head_repository: str
    created_at: str
    status: str = "completed"
    conclusion: str | None = "success"
    path: str = ".github/workflows/mlgate.yml"
    cannot_rerun: str = ""
    """Why GitHub refuses to run it again."""
    reruns: list[str] = field(default_factory=list)
    """`all` or `failed`, for each time it was asked to run again."""
    updated_at: str = ""
    """Left out: when it was created."""
    triggering_actor: str = "octocat"
    """Who started the newest attempt."""


@dataclass(frozen=True)
class Dispatch:
    """A `workflow_dispatch` that was asked for."""

    workflow: str
    ref: str
    inputs: dict[str, Any]


class State:
    """One repository on GitHub. Times run a second a step, so that the order of things can be read from them."""

    def __init__(self, repository: str, default_branch: str, is_private: bool) -> None:
        self.repository = repository
        self.default_branch = default_branch
        self.is_private = is_private
        self.pull_requests: dict[int, PullRequest] = {}
        self.comments: dict[int, Comment] = {}
        self.commit_comments: list[CommitComment] = []
        self.statuses: list[Status] = []
        self.runs: dict[int, Run] = {}
        self.artifacts: dict[int, Artifact] = {}
        self.jobs: dict[int, Job] = {}
        self.workflows: list[str] = ["mlgate.yml"]
        """Names of workflow files, also those that never ran."""
        self.dispatches: list[Dispatch] = []
        self.collaborators: dict[str, str] = {}
        """Role by login."""
        self.custom_roles: dict[str, str] = {}
        """Of an organisation's own roles, the permission each is built on."""
        self.default_branch_commits: list[str] = []
        """Of the default branch, oldest first; left empty, every commit is its tip."""
        self.rules: list[dict[str, Any]] = []
        """Of the default branch's rulesets: `type` and, where it has some, `parameters`."""
        self.protected_checks: list[str] | None = None
        """Checks that classic branch protection requires; None without one."""
        self.ids = count(1001)
        self._time = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    def add_comment(self, pull_request: int, login: str, body: str) -> Comment:
        now = self.now()
        comment = Comment(next(self.ids), pull_request, login, body, now, now)
        self.comments[comment.id] = comment
        return comment

    def now(self) -> str:
        self._time += timedelta(seconds=1)
        return self._time.strftime("%Y-%m-%dT%H:%M:%SZ")


class Answers:
    """JSON as GitHub writes it. Every URL begins with the stand-in's own address, as a client may insist."""

    def __init__(self, state: State, url: str) -> None:
        self._state = state
        self._url = url

    def _example(self, name: str, **replaced: str) -> Any:
        """GitHub's example of that name with this stand-in's address and repository, and what else is given, in all its texts."""
        replaced |= {HOST: self._url, "octocat/Hello-World": self._state.repository}

        def localised(node: Any) -> Any:
            if isinstance(node, dict):
                return {key: localised(value) for key, value in node.items()}
            if isinstance(node, list):
                return [localised(value) for value in node]
            if isinstance(node, str):
                for old, new in replaced.items():
                    node = node.replace(old, new)
            return node

        return localised(document()["components"]["examples"][name]["value"])

    def _link(self, path: str) -> str:
        return f"{self._url}/repos/{self._state.repository}{path}"

    def user(self, login: str) -> dict[str, Any]:
        return {
            **self._example("issue-comment")["user"],
            "login": login,
            "id": sum(login.encode()),
            "type": "Bot" if login.endswith("[bot]") else "User",
            "url": f"{self._url}/users/{login}",
        }

    def authenticated_user(self, login: str) -> dict[str, Any]:
        example = self._example("private-user-response-with-public-and-private-profile-information")
        return {**example, **self.user(login), "user_view_type": "private"}

    def repository(self) -> dict[str, Any]:
        owner, name = self._state.repository.split("/")
        example = self._example("full-repository-default-response")
        for absent in ("parent", "source", "template_repository"):  # it is no fork; and those of the example lack required keys
            example.pop(absent, None)
        named = {"full_name": self._state.repository, "name": name, "owner": {**example["owner"], "login": owner}}
        return {**example, **named, "language": "Python", "default_branch": self._state.default_branch, "private": self._state.is_private}

    def pull_request(self, pull: PullRequest, is_simple: bool = False) -> dict[str, Any]:
        answer = self._example("pull-request", **{"/1347": f"/{pull.number}"})
        answer["requested_teams"] = []  # the example's team lacks a required key
        answer.update(number=pull.number, state=pull.state, locked=pull.is_locked, url=self._link(f"/pulls/{pull.number}"))
        for side, sha, ref, repository in (
            ("head", pull.head_sha, pull.head_ref, pull.head_repository or self._state.repository),
            ("base", pull.base_sha, pull.base_ref, self._state.repository),
        ):
            owner, name = repository.split("/")
            answer[side].update(sha=sha, ref=ref, label=f"{owner}:{ref}")
            answer[side]["repo"].update(full_name=repository, name=name, fork=repository != self._state.repository)
        detail = ("merged", "mergeable", "comments", "commits", "additions", "deletions", "changed_files", "review_comments")
        return {key: value for key, value in answer.items() if not (is_simple and key in detail)}

    def comment(self, comment: Comment) -> dict[str, Any]:
        return {
            **self._example("issue-comment"),
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "body": comment.body,
            "user": self.user(comment.login),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "url": self._link(f"/issues/comments/{comment.id}"),
            "issue_url": self._link(f"/issues/{comment.pull_request}"),
            "html_url": f"https://github.com/{self._state.repository}/pull/{comment.pull_request}#issuecomment-{comment.id}",
        }

    def commit_comment(self, comment: CommitComment) -> dict[str, Any]:
        return {
            **self._example("commit-comment"),
            "id": comment.id,
            "commit_id": comment.sha,
            "body": comment.body,
            "user": self.user(comment.login),
            "created_at": comment.created_at,
            "updated_at": comment.created_at,
            "url": self._link(f"/comments/{comment.id}"),
            "html_url": f"https://github.com/{self._state.repository}/commit/{comment.sha}#commitcomment-{comment.id}",
        }

    def status(self, status: Status) -> dict[str, Any]:
        return {
            **self._example("status"),
            "id": status.id,
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "creator": self.user(status.login),
            "created_at": status.created_at,
            "updated_at": status.created_at,
            "url": self._link(f"/statuses/{status.sha}"),
        }

    def comparison(self, commit: str) -> dict[str, Any]:
        """The default branch as seen from a commit."""
        known = self._state.default_branch_commits or [commit]
        status = "diverged" if commit not in known else "identical" if known[-1] == commit else "ahead"
        return {**self._example("commit-comparison"), "status": status, "files": []}

    def run(self, run: Run) -> dict[str, Any]:
        answer = self._example("workflow-run")
        answer["head_repository"].update(full_name=run.head_repository, name=run.head_repository.split("/")[1])
        answer["repository"].update(full_name=self._state.repository, name=self._state.repository.split("/")[1])
        answer.update(id=run.id, head_sha=run.head_sha, head_branch=run.head_branch, event=run.event, run_attempt=run.attempt)
        answer.update(status=run.status, conclusion=run.conclusion, created_at=run.created_at, updated_at=run.updated_at or run.created_at)
        answer.update(run_started_at=run.updated_at or run.created_at, triggering_actor=self.user(run.triggering_actor))
        answer.update(path=f"{run.path}@{run.head_branch}", html_url=f"https://github.com/{self._state.repository}/actions/runs/{run.id}")
        answer.update(url=self._link(f"/actions/runs/{run.id}"), artifacts_url=self._link(f"/actions/runs/{run.id}/artifacts"))
        return answer  # type: ignore[no-any-return]

    def job(self, job: Job) -> dict[str, Any]:
        answer = self._example("job-paginated")["jobs"][0]
        run = self._state.runs[job.run_id]
        answer.update(id=job.id, run_id=run.id, run_attempt=job.attempt, head_sha=run.head_sha, head_branch=run.head_branch, name=job.name)
        answer.update(status="completed" if job.conclusion else "in_progress", conclusion=job.conclusion)
        answer.update(created_at=run.created_at, completed_at=answer["completed_at"] if job.conclusion else None)
        answer.update(url=self._link(f"/actions/jobs/{job.id}"), check_run_url=self._link(f"/check-runs/{job.id}"))
        step = answer["steps"][0]
        answer["steps"] = [
            {
                **step,
                "number": number,
                "name": name,
                "conclusion": conclusion,
                "status": "completed" if conclusion else "in_progress",
                "completed_at": step["completed_at"] if conclusion else None,
            }
            for number, (name, conclusion) in enumerate(job.steps, 1)
        ]
        return answer  # type: ignore[no-any-return]

    def annotation(self, title: str, message: str) -> dict[str, Any]:
        """As the runner's own are: at no file."""
        example = self._example("check-annotation-items")[0]
        return {**example, "path": ".github", "annotation_level": "failure", "title": title, "message": message}

    def artifact(self, artifact: Artifact) -> dict[str, Any]:
        run = self._state.runs[artifact.run_id]
        answer = self._example("artifact")
        answer.update(id=artifact.id, name=artifact.name, size_in_bytes=len(artifact.content), expired=artifact.is_expired)
        answer.update(created_at=artifact.created_at, updated_at=artifact.created_at, url=self._link(f"/actions/artifacts/{artifact.id}"))
        answer["archive_download_url"] = self._link(f"/actions/artifacts/{artifact.id}/zip")
        answer["workflow_run"].update(id=run.id, head_sha=run.head_sha, head_branch=run.head_branch)
        return answer  # type: ignore[no-any-return]

    def rule(self, rule: dict[str, Any]) -> dict[str, Any]:
        return {**rule, "ruleset_source_type": "Repository", "ruleset_source": self._state.repository, "ruleset_id": 42}

    def required_status_checks(self) -> dict[str, Any]:
        contexts = self._state.protected_checks or []
        checks = [{"context": context, "app_id": None} for context in contexts]
        return {**self._example("status-check-policy"), "contexts": contexts, "checks": checks}

    def reaction(self, login: str, content: str) -> dict[str, Any]:
        return {**self._example("reaction"), "content": content, "user": self.user(login)}

    def permission(self, login: str) -> dict[str, Any]:
        """Of the roles, `permission` knows the old three only."""
        answer = self._example("repository-collaborator-permission-response-if-user-has-admin-permissions")
        role = self._state.collaborators[login]
        level = {"maintain": "write", "triage": "read"}.get(role, role if role in LEVELS else self._state.custom_roles.get(role, "none"))
        answer.update(permission=level, role_name=role)
        answer["user"].update(self.user(login), role_name=role)
        return answer  # type: ignore[no-any-return]


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive as artifacts are handed out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
