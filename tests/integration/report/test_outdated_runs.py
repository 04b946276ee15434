"""Runs of a pull request that overtake one another, as the report stage publishes them: one comment, of the newest commit's newest run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.gate.gate_runs import leave, open_workspace
from mlgate import stages
from mlgate.context import RunContext
from mlgate.evidence import Evidence
from mlgate.stages import report
from support import MINIMAL_CONFIG, commit_files, decided, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

BOT = "github-actions[bot]"


class Reported:
    """A report and what it said."""

    def __init__(self, root: Path, github: StandIn, *, run_id: int, attempt: int = 1, is_open: bool = True) -> None:
        context = RunContext(
            event="pull_request",
            repository="octo/models",
            run_id=run_id,
            attempt=attempt,
            pull_request=7,
            head_sha=git(root, "rev-parse", "HEAD"),
            api_url=github.url,
            token=github.token,
        )
        self.workspace = replace(open_workspace(root), context=context)
        self.workspace.empty_state()
        leave(self.workspace, "gate", decided(is_open=is_open), "passed" if is_open else "failed")
        self.evidence: Evidence[Any] = stages.run("report", self.workspace)

    @property
    def markdown(self) -> str:
        return (self.workspace.state / "report.md").read_text()


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", {"mlgate.yaml": MINIMAL_CONFIG})


def at(root: Path, commit: str) -> Path:
    git(root, "checkout", "--quiet", commit)
    return root


def test_of_two_pushes_the_newer_stands_also_when_the_older_ends_later(root: Path, github: StandIn, summary: Path) -> None:
    one, two = git(root, "rev-parse", "HEAD"), commit_files(root, {"x": "2"}, "two")
    github.add_pull_request(7, head_sha=two)
    Reported(at(root, two), github, run_id=9, is_open=False)
    [stands] = [comment.body for comment in github.comments(7)]

    older = Reported(at(root, one), github, run_id=5, is_open=True)

    assert [comment.body for comment in github.comments(7)] == [stands]
    assert (older.evidence.status, older.evidence.exit_code) == ("passed", 0)
    assert older.evidence.findings.outdated == f"the pull request is at {two[:12]} now"
    assert older.evidence.findings.comment_action == "kept"
    remark = f"Outdated: the pull request is at {two[:12]} now. The comment in the pull request was left as it is."
    for shown in (older.markdown, summary.read_text(), report.terminal_answer(older.workspace)):
        assert "Outdated: the pull request is at " in shown
        assert "The comment in the pull request was left as it is." in shown
    assert remark in (older.workspace.state / "report.html").read_text()
    assert f"outdated: the pull request is at {two[:12]} now; comment left as it is: https" in older.evidence.summary
    states = [(status.sha, status.state) for status in github.state.statuses]
    assert states == [(two, "failure"), (one, "success")], "a status is its own commit's"


def test_an_older_run_of_the_same_commit_replaces_neither_comment_nor_status(root: Path, github: StandIn, summary: Path) -> None:
    """Run 5 is run again after run 9, which a reopened pull request or a moved base began for the same commit."""
    head = git(root, "rev-parse", "HEAD")
    github.add_pull_request(7, head_sha=head)
    Reported(root, github, run_id=5)
    Reported(root, github, run_id=9, is_open=False)
    again = Reported(root, github, run_id=5, attempt=2)
    assert again.evidence.findings.outdated == "run 9, attempt 1, of the same commit is newer"
    assert not again.evidence.findings.status_set
    [comment] = github.comments(7, BOT)
    assert "must not be merged" in comment.body
    assert github.statuses(head)[-1].state == "failure"
    assert "Outdated: run 9, attempt 1, of the same commit is newer." in summary.read_text()


def test_failed_jobs_that_are_run_again_replace_what_the_first_attempt_said(root: Path, github: StandIn, summary: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    github.add_pull_request(7, head_sha=head)
    Reported(root, github, run_id=5, is_open=False)
    again = Reported(root, github, run_id=5, attempt=2)
    assert again.evidence.findings.outdated is None
    [comment] = github.comments(7, BOT)
    assert comment.body.startswith(f"<!-- mlgate:digits run=5 attempt=2 commit={head} -->")
    assert "may be merged" in comment.body.split("\n")[1]
    assert [status.state for status in github.statuses(head)] == ["failure", "success"]
    assert "Outdated" not in summary.read_text()


def test_a_cancelled_run_of_an_overtaken_commit_does_not_touch_the_comment(root: Path, github: StandIn, summary: Path) -> None:
    """`verdict` always runs, also when a newer push cancelled the run: it says what was cancelled, on its own commit only."""
    one, two = git(root, "rev-parse", "HEAD"), commit_files(root, {"x": "2"}, "two")
    github.add_pull_request(7, head_sha=two)
    cancelled = Reported(at(root, one), github, run_id=5, is_open=False)
    assert github.comments(7) == []
    assert "no comment made" in cancelled.evidence.summary
    assert github.statuses(two) == []


def test_where_nobody_may_say_which_commit_is_the_newest_nothing_is_posted(root: Path, github: StandIn, summary: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    github.add_pull_request(7, head_sha=head)
    github.fail("GET", "/pulls/7$", times=9, status=403, message="Resource not accessible by integration")
    refused = Reported(root, github, run_id=5)
    assert (refused.evidence.status, refused.evidence.exit_code) == ("error", 3)
    assert "It needs 'pull-requests: read'" in refused.evidence.summary.split("\n")[0]
    assert github.comments(7) == []
