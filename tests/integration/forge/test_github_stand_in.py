"""The stand-in itself: that it notices what is not as GitHub describes it, and answers PyGithub's own calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import github as pygithub
import pytest

from github_stand_in import StandIn, cut, description, operations

HEAD = "a" * 40


def send(url: str, method: str = "GET", body: Any = None, token: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} if token else {}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", f"/statuses/{HEAD}", {"state": "great"}, "'great' is not one of"),
        ("POST", f"/statuses/{HEAD}", {"state": "success", "descripton": "x"}, "unknown key 'descripton' in the body"),
        ("POST", "/issues/7/comments", {"text": "x"}, "'body' is a required property"),
        ("GET", "/issues/7/comments?perpage=100", None, "unknown query parameter 'perpage'"),
        ("GET", "/issues/seven/comments", None, "invalid literal for int"),
        ("GET", "/issues/7/reactions", None, "no operation the stand-in knows"),
        ("PUT", "/issues/7/comments", {"body": "x"}, "no operation the stand-in knows"),
    ],
)
def test_a_request_that_github_does_not_describe_is_a_violation(method: str, path: str, body: Any, said: str) -> None:
    with StandIn() as github:
        github.add_pull_request(7, head_sha=HEAD)
        status, answer = send(f"{github.url}/repos/octo/models{path}", method, body, github.token)
        assert status == 500
        assert answer["message"].startswith("Not as GitHub describes it")
        assert len(github.violations) == 1
        assert said in github.violations[0]
        assert github.comments(7) == github.statuses(HEAD) == []


def test_an_answer_that_github_would_not_give_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn() as github:
        github.add_pull_request(7, head_sha=HEAD)
        monkeypatch.setattr(github.answers, "pull_request", lambda pull: {"number": pull.number})
        assert send(f"{github.url}/repos/octo/models/pulls/7", token=github.token)[0] == 500
        assert "is a required property" in github.violations[0]


def test_pygithubs_own_calls_are_answered_as_described(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=HEAD, head_repository="fork/models")
    github.add_comments(7, 65)
    github.add_run_artifact(HEAD, "mlgate-digits-train-1", {"x": b""})
    github.state.collaborators["ada"] = "write"
    client = pygithub.Github(auth=pygithub.Auth.Token(github.token), base_url=github.url, retry=None, seconds_between_writes=0)
    repository = client.get_repo("octo/models")
    assert repository.default_branch == "main"
    pull = repository.get_pull(7)
    assert (pull.head.sha, pull.head.repo.full_name, pull.base.repo.full_name) == (HEAD, "fork/models", "octo/models")
    assert len(list(pull.get_issue_comments())) == 65
    comment = pull.create_issue_comment("hello")
    comment.edit("bye")
    assert github.comments(7)[-1].body == "bye"
    comment.delete()
    assert len(github.comments(7)) == 65
    [run] = repository.get_workflow_runs(head_sha=HEAD)
    assert [artifact.name for artifact in run.get_artifacts()] == ["mlgate-digits-train-1"]
    assert [artifact.name for artifact in repository.get_artifacts("mlgate-digits-train")] == []
    assert [found.number for found in repository.get_pulls()] == [7]
    assert repository.get_collaborator_permission("ada") == "write"
    assert client.requester.requestJson("GET", "/repos/octo/models/commits/heads%2Fx/statuses")[0] == 200
    personal = github.add_token("github_pat_ada", login="ada").value
    mine = pygithub.Github(auth=pygithub.Auth.Token(personal), base_url=github.url, retry=None)
    assert mine.get_user().login == "ada"
    assert send(f"{github.url}/user", token=github.token)[0] == 403
    assert send(f"{github.url}/user", token="unknown")[0] == 401
    dispatched = {"ref": "main", "inputs": {"pull-request": "7"}}
    assert send(f"{github.url}/repos/octo/models/actions/workflows/train.yml/dispatches", "POST", dispatched, github.token)[0] == 204
    assert github.state.dispatches[0].inputs == {"pull-request": "7"}


def test_every_operation_that_was_cut_out_is_served_and_no_other() -> None:
    cut_out = {(method.upper(), path) for path, methods in cut.OPERATIONS.items() for method in methods}
    described = {(method.upper(), path) for path, item in description.document()["paths"].items() for method in item}
    assert set(operations._OPERATIONS) == cut_out == described


def test_as_a_process_it_writes_what_happened_when_it_ends(tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "github_stand_in", "--pull-request", f"7:{HEAD}:{'b' * 40}", "--state-file", str(state_file)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        comments = f"{started['url']}/repos/octo/models/issues/7/comments"
        assert send(comments, "POST", {"body": "hello"}, started["token"])[0] == 201
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    happened = json.loads(state_file.read_text())
    assert [comment["body"] for comment in happened["comments"]] == ["hello"]
    assert happened["violations"] == []
    assert started["token"] not in state_file.read_text()
