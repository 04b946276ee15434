"""What each operation does to the state, and which permission it needs. Errors are worded as GitHub words them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from github_stand_in.description import Operation
from github_stand_in.state import Answers, CommitComment, Dispatch, Run, State, Status, Token

MAX_BODY = 65_536
MAX_DESCRIPTION = 140


@dataclass(frozen=True)
class Page:
    """A list that is handed out in pages; under `key` beside its total count, or bare."""

    items: list[Any]
    key: str | None = None

    def cut(self, query: dict[str, str]) -> tuple[list[Any], dict[str, int]]:
        """The page that was asked for, and the numbers of its neighbours."""
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        last = max(1, -(-len(self.items) // size))
        neighbours = {"prev": page - 1, "first": 1} if page > 1 else {}
        neighbours |= {"next": page + 1, "last": last} if page < last else {}
        return self.items[(page - 1) * size : page * size], neighbours


@dataclass(frozen=True)
class Result:
    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request as an operation sees it."""

    state: State
    answers: Answers
    values: dict[str, str]
    query: dict[str, str]
    body: Any
    token: Token
    storage_url: str


Operate = Callable[[Call], Result]
_OPERATIONS: dict[tuple[str, str], tuple[str, str, Operate]] = {}


def error(message: str, status: int, **details: Any) -> dict[str, Any]:
    return {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status), **details}


def call(state: State, answers: Answers, operation: Operation, query: dict[str, str], body: Any, token: Token, storage_url: str) -> Result:
    """The result of an operation, after its permission was checked."""
    permission, level, operate = _OPERATIONS[operation.method, operation.pattern]
    is_public = not state.is_private and level == "read" and permission != "user"
    if permission == "comments":
        is_allowed = token.allows("pull-requests", level) or token.allows("issues", level)
    else:
        is_allowed = permission == "user" or token.allows(permission, level)
    if not (is_allowed or is_public):
        kind = "integration" if token.is_installation else "personal access token"
        return Result(403, error(f"Resource not accessible by {kind}", 403))
    return operate(Call(state, answers, operation.values, query, body, token, storage_url))


def _operation(method: str, pattern: str, permission: str, level: str = "read") -> Callable[[Operate], Operate]:
    def register(operate: Operate) -> Operate:
        full = pattern if pattern == "/user" else f"/repos/{{owner}}/{{repo}}{pattern}"
        _OPERATIONS[method, full] = (permission, level, operate)
        return operate

    return register


def _missing() -> Result:
    return Result(404, error("Not Found", 404))


def _invalid(resource: str, field_name: str, message: str) -> Result:
    errors = [{"resource": resource, "code": "custom", "field": field_name, "message": message}]
    return Result(422, error("Validation Failed", 422, errors=errors))


@_operation("GET", "/user", "user")
def _user(call: Call) -> Result:
    if call.token.is_installation:
        return Result(403, error("Resource not accessible by integration", 403))
    return Result(200, call.answers.authenticated_user(call.token.login))


@_operation("GET", "", "metadata")
def _repository(call: Call) -> Result:
    return Result(200, call.answers.repository())


@_operation("GET", "/rules/branches/{branch}", "metadata")
def _rules(call: Call) -> Result:
    of_default = call.values["branch"] == call.state.default_branch
    return Result(200, Page([call.answers.rule(rule) for rule in call.state.rules] if of_default else []))


@_operation("GET", "/branches/{branch}/protection/required_status_checks", "administration")
def _required_status_checks(call: Call) -> Result:
    if call.values["branch"] != call.state.default_branch or call.state.protected_checks is None:
        return Result(404, error("Branch not protected", 404))
    return Result(200, call.answers.required_status_checks())


@_operation("GET", "/pulls", "pull-requests")
def _pull_requests(call: Call) -> Result:
    state, base, head = call.query.get("state", "open"), call.query.get("base"), call.query.get("head")
    owner = call.state.repository.split("/")[0]
    found = [
        pull
        for pull in call.state.pull_requests.values()
        if state in ("all", pull.state)
        and base in (None, pull.base_ref)
        and head in (None, f"{(pull.head_repository or owner).split('/')[0]}:{pull.head_ref}")
    ]
    return Result(200, Page([call.answers.pull_request(pull, is_simple=True) for pull in reversed(found)]))


@_operation("GET", "/pulls/{pull_number}", "pull-requests")
def _pull_request(call: Call) -> Result:
    pull = call.state.pull_requests.get(int(call.values["pull_number"]))
    return Result(200, call.answers.pull_request(pull)) if pull else _missing()


@_operation("GET", "/commits/{commit_sha}/pulls", "pull-requests")
def _pull_requests_of_commit(call: Call) -> Result:
    found = [pull for pull in call.state.pull_requests.values() if call.values["commit_sha"] in (pull.head_sha, pull.merge_commit_sha)]
    return Result(200, Page([call.answers.pull_request(pull, is_simple=True) for pull in found]))


@_operation("GET", "/commits/{commit_sha}/comments", "contents")
def _commit_comments(call: Call) -> Result:
    return Result(200, Page([call.answers.commit_comment(c) for c in call.state.commit_comments if c.sha == call.values["commit_sha"]]))


@_operation("POST", "/commits/{commit_sha}/comments", "contents", "write")
def _create_commit_comment(call: Call) -> Result:
    comment = CommitComment(next(call.state.ids), call.values["commit_sha"], call.token.login, call.body["body"], call.state.now())
    call.state.commit_comments.append(comment)
    return Result(201, call.answers.commit_comment(comment))


@_operation("PATCH", "/comments/{comment_id}", "contents", "write")
def _update_commit_comment(call: Call) -> Result:
    comment = next((c for c in call.state.commit_comments if c.id == int(call.values["comment_id"])), None)
    if comment is None:
        return _missing()
    comment.body = call.body["body"]
    return Result(200, call.answers.commit_comment(comment))


@_operation("GET", "/issues/{issue_number}/comments", "comments")
def _comments(call: Call) -> Result:
    number = int(call.values["issue_number"])
    if number not in call.state.pull_requests:
        return _missing()
    return Result(200, Page([call.answers.comment(c) for c in call.state.comments.values() if c.pull_request == number]))


@_operation("POST", "/issues/{issue_number}/comments", "comments", "write")
def _create_comment(call: Call) -> Result:
    pull = call.state.pull_requests.get(int(call.values["issue_number"]))
    if pull is None:
        return _missing()
    if pull.is_locked:
        return Result(403, error("Unable to create comment because issue is locked.", 403))
    if refused := _refused_body(call.body["body"]):
        return refused
    return Result(201, call.answers.comment(call.state.add_comment(pull.number, call.token.login, call.body["body"])))


def _refused_body(body: str) -> Result | None:
    if not body.strip():
        return _invalid("IssueComment", "body", "Body can't be blank")
    if len(body) > MAX_BODY:
        return _invalid("IssueComment", "body", f"Body is too long (maximum is {MAX_BODY} characters)")
    return None


@_operation("GET", "/issues/comments/{comment_id}", "comments")
def _comment(call: Call) -> Result:
    comment = call.state.comments.get(int(call.values["comment_id"]))
    return Result(200, call.answers.comment(comment)) if comment else _missing()


@_operation("PATCH", "/issues/comments/{comment_id}", "comments", "write")
def _update_comment(call: Call) -> Result:
    comment = call.state.comments.get(int(call.values["comment_id"]))
    if comment is None:
        return _missing()
    if refused := _refused_body(call.body["body"]):
        return refused
    comment.body, comment.updated_at = call.body["body"], call.state.now()
    return Result(200, call.answers.comment(comment))


@_operation("DELETE", "/issues/comments/{comment_id}", "comments", "write")
def _delete_comment(call: Call) -> Result:
    return Result(204) if call.state.comments.pop(int(call.values["comment_id"]), None) else _missing()


@_operation("POST", "/issues/comments/{comment_id}/reactions", "comments", "write")
def _react(call: Call) -> Result:
    comment = call.state.comments.get(int(call.values["comment_id"]))
    if comment is None:
        return _missing()
    is_new = call.body["content"] not in comment.reactions
    comment.reactions += [call.body["content"]] if is_new else []
    return Result(201 if is_new else 200, call.answers.reaction(call.token.login, call.body["content"]))


@_operation("POST", "/statuses/{sha}", "statuses", "write")
def _create_status(call: Call) -> Result:
    sha, body = call.values["sha"], call.body
    if len(sha) != 40:
        return Result(422, error(f"No commit found for SHA: {sha}", 422))
    if len(body.get("description") or "") > MAX_DESCRIPTION:
        return _invalid("Status", "description", f"description is too long (maximum is {MAX_DESCRIPTION} characters)")
    status = Status(
        id=next(call.state.ids),
        sha=sha,
        state=body["state"],
        context=body.get("context", "default"),
        description=body.get("description"),
        target_url=body.get("target_url"),
        login=call.token.login,
        created_at=call.state.now(),
    )
    call.state.statuses.append(status)
    return Result(201, call.answers.status(status))


@_operation("GET", "/commits/{ref}/statuses", "statuses")
def _statuses(call: Call) -> Result:
    return Result(200, Page([call.answers.status(s) for s in reversed(call.state.statuses) if s.sha == call.values["ref"]]))


@_operation("GET", "/compare/{basehead}", "contents")
def _compare(call: Call) -> Result:
    base, _, head = call.values["basehead"].partition("...")
    return Result(200, call.answers.comparison(base)) if head == "HEAD" else _missing()


@_operation("GET", "/actions/runs", "actions")
def _runs(call: Call) -> Result:
    wanted = {name: call.query[name] for name in ("head_sha", "event") if name in call.query}
    found = [run for run in call.state.runs.values() if all(getattr(run, name) == value for name, value in wanted.items())]
    return _run_page(call, found)


@_operation("GET", "/actions/workflows/{workflow_id}/runs", "actions")
def _runs_of_workflow(call: Call) -> Result:
    name = call.values["workflow_id"]
    found = [run for run in call.state.runs.values() if run.path.rpartition("/")[2] == name]
    return _run_page(call, found) if found or name in call.state.workflows else _missing()


def _run_page(call: Call, found: list[Run]) -> Result:
    newest_first = sorted(found, key=lambda run: run.created_at, reverse=True)
    return Result(200, Page([call.answers.run(run) for run in newest_first], "workflow_runs"))


@_operation("GET", "/actions/runs/{run_id}/attempts/{attempt_number}/jobs", "actions")
def _jobs_of_attempt(call: Call) -> Result:
    run_id, attempt = int(call.values["run_id"]), int(call.values["attempt_number"])
    if run_id not in call.state.runs:
        return _missing()
    found = [job for job in call.state.jobs.values() if (job.run_id, job.attempt) == (run_id, attempt)]
    return Result(200, Page([call.answers.job(job) for job in found], "jobs"))


@_operation("GET", "/check-runs/{check_run_id}/annotations", "checks")
def _annotations(call: Call) -> Result:
    job = call.state.jobs.get(int(call.values["check_run_id"]))
    return Result(200, Page([call.answers.annotation(*one) for one in job.annotations])) if job else _missing()


@_operation("GET", "/actions/runs/{run_id}", "actions")
def _run(call: Call) -> Result:
    run = call.state.runs.get(int(call.values["run_id"]))
    return Result(200, call.answers.run(run)) if run else _missing()


@_operation("POST", "/actions/runs/{run_id}/rerun", "actions", "write")
def _rerun(call: Call) -> Result:
    return _run_again(call, "all")


@_operation("POST", "/actions/runs/{run_id}/rerun-failed-jobs", "actions", "write")
def _rerun_failed(call: Call) -> Result:
    return _run_again(call, "failed")


def _run_again(call: Call, what: str) -> Result:
    run = call.state.runs.get(int(call.values["run_id"]))
    if run is None:
        return _missing()
    refused = run.cannot_rerun or ("This workflow is already running" if run.status != "completed" else "")
    if not refused and what == "failed" and run.conclusion == "success":
        refused = "This workflow run has no failed jobs"
    if refused:
        return Result(403, error(refused, 403))
    run.reruns.append(what)
    run.attempt += 1
    run.status, run.conclusion, run.triggering_actor = "queued", None, call.token.login
    return Result(201, {})


@_operation("GET", "/actions/runs/{run_id}/artifacts", "actions")
def _run_artifacts(call: Call) -> Result:
    run_id = int(call.values["run_id"])
    return _artifact_page(call, run_id) if run_id in call.state.runs else _missing()


@_operation("GET", "/actions/artifacts", "actions")
def _artifacts(call: Call) -> Result:
    return _artifact_page(call, None)


def _artifact_page(call: Call, run_id: int | None) -> Result:
    """Newest first; `name` is the whole name, never a part of it."""
    name = call.query.get("name")
    found = [a for a in call.state.artifacts.values() if run_id in (None, a.run_id) and name in (None, a.name)]
    return Result(200, Page([call.answers.artifact(artifact) for artifact in reversed(found)], "artifacts"))


@_operation("GET", "/actions/artifacts/{artifact_id}", "actions")
def _artifact(call: Call) -> Result:
    artifact = call.state.artifacts.get(int(call.values["artifact_id"]))
    return Result(200, call.answers.artifact(artifact)) if artifact else _missing()


@_operation("GET", "/actions/artifacts/{artifact_id}/{archive_format}", "actions")
def _download(call: Call) -> Result:
    artifact = call.state.artifacts.get(int(call.values["artifact_id"]))
    if artifact is None:
        return _missing()
    if artifact.is_expired:
        return Result(410, error("Artifact has expired", 410))
    return Result(302, headers={"Location": f"{call.storage_url}/{artifact.id}?sig=signed", "Content-Type": "text/html; charset=utf-8"})


@_operation("POST", "/actions/workflows/{workflow_id}/dispatches", "actions", "write")
def _dispatch(call: Call) -> Result:
    call.state.dispatches.append(Dispatch(call.values["workflow_id"], call.body["ref"], call.body.get("inputs") or {}))
    return Result(204)


@_operation("GET", "/collaborators/{username}/permission", "metadata")
def _permission(call: Call) -> Result:
    return (
        Result(200, call.answers.permission(call.values["username"])) if call.values["username"] in call.state.collaborators else _missing()
    )
