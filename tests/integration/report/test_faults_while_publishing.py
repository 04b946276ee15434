"""Each call of the report, answered by each kind of fault: the right exit code, one line, nothing half-posted, and a rerun completes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.gate.gate_runs import leave, open_workspace
from mlgate import stages
from mlgate.context import RunContext
from mlgate.evidence import Evidence
from support import MINIMAL_CONFIG, decided, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

CONFIG = MINIMAL_CONFIG + "report: {status: true}\n"  # asked for by name: a refusal is no mere remark
BOT = "github-actions[bot]"
DECISION = decided()
# What is asked, which of such requests it is, and whether an earlier run's comment is there.
CALLS: dict[str, tuple[str, str, int, bool]] = {
    "read the pull request": ("GET", r"/pulls/7$", 0, True),
    "list comments": ("GET", r"/issues/7/comments$", 0, True),
    "create the comment": ("POST", r"/issues/7/comments$", 0, False),
    "look again": ("GET", r"/issues/7/comments$", 1, False),
    "edit the comment": ("PATCH", r"/issues/comments/", 0, True),
    "set the status": ("POST", r"/statuses/", 0, True),
}
FAULTS: dict[str, tuple[dict[str, Any], int]] = {
    "401": ({"status": 401, "message": "Bad credentials"}, 3),
    "403": ({"status": 403, "message": "Resource not accessible by integration"}, 3),
    "404": ({"status": 404, "message": "Not Found"}, 3),
    "409": ({"status": 409}, 3),
    "422": ({"status": 422, "message": "Validation Failed"}, 2),
    "429": ({"status": 429, "headers": {"Retry-After": "60"}}, 3),
    "secondary limit": ({"status": 403, "message": "You have exceeded a secondary rate limit."}, 3),
    "limit used up": ({"status": 403, "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}}, 3),
    "500": ({"status": 500}, 3),
    "502": ({"status": 502}, 3),
    "dropped": ({}, 3),
    "dropped after it took effect": ({"is_late": True}, 3),
    "a page for JSON": ({"status": 200, "is_html": True}, 3),
    "JSON that ends in its middle": ({"is_truncated": True}, 3),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("r") / "repository", {"mlgate.yaml": CONFIG})


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def report(root: Path, github: StandIn, attempt: int) -> Evidence[Any]:
    """The report of run 5 of a pull request whose gate is open, without patience."""
    workspace = open_workspace(root)
    context = RunContext(
        event="pull_request",
        repository="octo/models",
        run_id=5,
        attempt=attempt,
        pull_request=7,
        head_sha=git(root, "rev-parse", "HEAD"),
        api_url=github.url,
        token=github.token,
        github_patience_s=0.0,
    )
    workspace = replace(workspace, context=context)
    workspace.empty_state()
    leave(workspace, "gate", DECISION)
    return stages.run("report", workspace)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_is_one_line_and_the_next_attempt_completes(root: Path, github: StandIn, call: str, fault: str) -> None:
    head = git(root, "rev-parse", "HEAD")
    method, path, skip, has_comment = CALLS[call]
    given, exit_code = FAULTS[fault]
    github.add_pull_request(7, head_sha=head)
    github.add_comments(7)
    if has_comment:
        github.add_comments(7, 1, body=f"<!-- mlgate:digits run=4 attempt=1 commit={head} -->\nof run 4", login=BOT)
    github.fail(method, path, skip=skip, times=100, **given)

    evidence = report(root, github, attempt=1)

    if (call, fault) == ("edit the comment", "404"):  # somebody deleted it: made anew
        assert (evidence.exit_code, evidence.findings.comment_action) == (0, "created")
        return
    assert (evidence.status, evidence.exit_code) == ("error", exit_code), evidence.summary
    complaint, written, *others = evidence.summary.split("\n")
    assert complaint.startswith(f"GitHub: {method} /repos/octo/models/")
    assert written.startswith("report written to ")
    assert not [line for line in others if line.startswith("GitHub")], "one line, whatever else was done"
    assert github.token not in evidence.model_dump_json()
    assert (root / ".mlgate/digits/report.html").is_file()
    lasts = [comment.body.rstrip().split("\n")[-1] for comment in github.comments(7, BOT)]
    assert all(line == "of run 4" or line.startswith("<sub>mlgate ") for line in lasts), "a comment is there whole or not at all"
    assert len(lasts) <= 1
    assert (call == "set the status") == (github.statuses(head) == []) or given.get("is_late") or given.get("is_truncated")

    github._faults.clear()
    evidence = report(root, github, attempt=2)

    assert (evidence.status, evidence.exit_code) == ("passed", 0), evidence.summary
    [comment] = github.comments(7, BOT)
    assert comment.body.startswith(f"<!-- mlgate:digits run=5 attempt=2 commit={head} -->\n### ✅ digits: may be merged")
    assert github.statuses(head)[-1].state == "success"


def test_every_call_of_a_report_is_in_the_table(root: Path, github: StandIn) -> None:
    head = git(root, "rev-parse", "HEAD")
    github.add_pull_request(7, head_sha=head)
    for attempt in (1, 2):
        report(root, github, attempt)
    asked = {(exchange.method, exchange.path) for exchange in github.requests}
    assert len(asked) == 5
    assert {each for each in asked if any(method == each[0] and path[:6] in each[1] for method, path, *_ in CALLS.values())} == asked
    assert json.dumps(sorted(asked)).count("/repos/octo/models/") == 5
