"""GitHub that says no, is busy or is broken while the report is published."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.gate.gate_runs import leave, open_workspace
from integration.mistakes.commands import PLANTED, Ended, evidence_of, mlgate
from mlgate.context import from_environment
from support import decided, git

if TYPE_CHECKING:
    from github_stand_in import StandIn

Make = Callable[..., Path]
COMMENTS = "/repos/octo/models/issues/7/comments"
DECISION = decided()


@pytest.fixture
def root(repository: Make) -> Path:
    return repository()


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def report(root: Path, github: StandIn, **environ: str) -> Ended:
    """The report of a pull request whose gate has decided, as the workflow's last job runs it."""
    if PLANTED not in github._tokens:
        github.add_token(PLANTED)
    github.add_pull_request(7, head_sha=head(root))
    event = root.parent / "event.json"
    pull_request = {
        "number": 7,
        "head": {"sha": head(root), "repo": {"full_name": "octo/models"}},
        "base": {"sha": head(root), "ref": "main"},
    }
    event.write_text(json.dumps({"pull_request": pull_request, "repository": {"default_branch": "main"}}))
    on_github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "octo/models",
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_API_URL": github.url,
        "MLGATE_GITHUB_PATIENCE_S": "2",
        **environ,
    }
    workspace = replace(open_workspace(root), context=from_environment(on_github))
    leave(workspace, "gate", DECISION)
    return mlgate(root, "report", **on_github)


def answers(github: StandIn, method: str, path: str) -> list[Any]:
    return [each.status for each in github.requests if each.method == method and each.path.endswith(path)]


def test_a_token_that_may_not_comment_is_told_the_permission_it_needs(root: Path, github: StandIn) -> None:
    github.add_token(PLANTED, permissions={"contents": "read", "pull-requests": "read", "statuses": "write"})
    ended = report(root, github)
    (line,) = ended.complaints
    assert ended.code == 3
    assert line.startswith(f"GitHub: POST {COMMENTS} answered 403 (Resource not accessible by integration): the token may not comment")
    assert "It needs 'pull-requests: write': add it to 'permissions:' of the job" in line
    assert answers(github, "POST", COMMENTS) == [403]
    assert [status.state for status in github.statuses(head(root))] == ["success"], "what it may do is done"
    assert evidence_of(root, "report")["exit_code"] == 3
    assert (root / ".mlgate" / "digits" / "report.html").is_file()


def test_a_token_that_may_not_set_a_status_is_told_the_permission_it_needs(repository: Make, github: StandIn) -> None:
    root = repository("report: {status: true}\n")  # left out, it is a remark
    github.add_token(PLANTED, permissions={"contents": "read", "pull-requests": "write"})
    ended = report(root, github)
    (line,) = ended.complaints
    assert ended.code == 3
    assert "the token may not set a commit status. It needs 'statuses: write'" in line
    assert len(github.comments(7)) == 1


def test_no_token_at_all(root: Path, github: StandIn) -> None:
    ended = report(root, github, MLGATE_GITHUB_TOKEN="")
    assert ended.code == 2
    assert ended.complaints == ["MLGATE_GITHUB_TOKEN: not set; give the action 'github-token: ${{ github.token }}'"]


@pytest.mark.parametrize(
    "fault",
    [{"status": 502}, {"status": 429, "headers": {"Retry-After": "1"}}, {"status": 403, "headers": {"Retry-After": "1"}}],
    ids=["502", "429", "403 with Retry-After"],
)
def test_trouble_that_passes_is_waited_out(root: Path, github: StandIn, fault: dict[str, Any]) -> None:
    github.fail("GET", "/comments$", **fault)
    ended = report(root, github)
    assert (ended.code, ended.complaints) == (0, [])
    assert len(answers(github, "GET", COMMENTS)) >= 2
    assert len(github.comments(7)) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 502}, "answered 502 (Injected), 2 tries. Run the job again later"),
        (
            {"status": 429, "headers": {"Retry-After": "60"}},
            "answered 429: rate limit (Injected), 1 try; GitHub asks to wait 60 s. Run the",
        ),
        (
            {"status": 403, "headers": {"Retry-After": "60"}},
            "answered 403: rate limit (Injected), 1 try; GitHub asks to wait 60 s. Run the",
        ),
    ],
    ids=["502", "429", "403 with Retry-After"],
)
def test_trouble_that_stays_is_exit_3_within_the_patience_it_was_given(
    root: Path, github: StandIn, fault: dict[str, Any], said: str
) -> None:
    github.fail("GET", "/comments$", times=100, **fault)
    began = time.monotonic()
    ended = report(root, github)
    assert ended.code == 3
    (line,) = ended.complaints
    assert line.startswith(f"GitHub: GET {COMMENTS} {said}")
    assert github.comments(7) == []
    assert time.monotonic() - began < 30
    assert evidence_of(root, "report")["findings"]["comment_url"] is None


def test_a_server_that_is_not_there(root: Path, github: StandIn) -> None:
    ended = report(root, github, GITHUB_API_URL="http://127.0.0.1:9", MLGATE_GITHUB_PATIENCE_S="0")
    assert ended.code == 3
    (line,) = ended.complaints
    assert line.startswith("GitHub: GET /repos/octo/models/pulls/7 got no answer: no connection, or it was dropped, 1 try. ")


def test_a_commit_that_github_does_not_know_is_no_traceback(root: Path, github: StandIn) -> None:
    github.fail("POST", "/statuses/", status=422, message="No commit found for SHA")
    ended = report(root, github)
    (line,) = ended.complaints
    assert ended.code == 2
    assert "answered 422 (No commit found for SHA)" in line
