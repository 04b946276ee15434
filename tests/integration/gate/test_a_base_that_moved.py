"""A verdict is against the commit that was merged with, or branched off from; where the base branch has left that behind, it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from github_stand_in import StandIn
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, open_workspace, project
from mlgate import stages
from support import commit_files, git

NUMBER = 7


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn("o/r") as stand_in:
        yield stand_in
        assert stand_in.violations == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A commit on main, which is origin's too, and one on the branch of a pull request."""
    root = project(tmp_path / "r", CONFIG + "store: .mlgate/store\nreport: {comment: false, status: false}\n")
    git(root, "branch", "feature")
    commit_files(root, {"train.py": "print('base')\n"}, "base")
    git(root, "checkout", "--quiet", "feature")
    commit_files(root, {"new.py": "1"}, "feature")
    origin_moves_to(root, "main")
    return root


def origin_moves_to(root: Path, revision: str, branch: str = "main") -> None:
    git(root, "update-ref", f"refs/remotes/origin/{branch}", revision)


def commits_on_main(root: Path, *files: dict[str, str]) -> None:
    """Others' commits, as the checkout of the next job brings them."""
    here = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "--quiet", "-B", "others", "refs/remotes/origin/main")
    for number, content in enumerate(files):
        commit_files(root, content, f"other {number}")
    origin_moves_to(root, "others")
    git(root, "checkout", "--quiet", "--detach", here)


def checked_out(root: Path, *, merged: bool) -> str:
    """The pull request as GitHub merges it, or its head; the head's SHA."""
    head = git(root, "rev-parse", "feature")
    git(root, "checkout", "--quiet", "--detach", "main" if merged else head)
    if merged:
        git(root, "merge", "--quiet", "--no-ff", "-m", "merge", head)
    return head


def judged(root: Path, head: str, right: int = 950, **more: Any) -> Any:
    """Evidence of the gate, in a run of the pull request."""
    context = {"pull_request": NUMBER, "head_sha": head, "base_sha": git(root, "rev-parse", "main"), "base_ref": "main", **more}
    workspace = open_workspace(root, event="pull_request", repository="o/r", run_id=5, default_branch="main", **context)
    base = git(root, "rev-parse", "HEAD^1") if git(root, "rev-parse", "HEAD") != head else git(root, "merge-base", head, "main")
    evaluated(workspace, classified(*labels(right)), classified(*labels(900)), baseline_commit=base)
    return stages.run("gate", workspace)


@pytest.mark.parametrize("merged", [True, False], ids=["synthetic merge", "head"])
def test_it_says_by_how_much_and_what_it_is_against_and_decides_as_before(root: Path, merged: bool) -> None:
    commits_on_main(root, {"train.py": "print('other')\n"}, {"README.md": "words"}, {"model.py": "1"})
    head = checked_out(root, merged=merged)
    base = git(root, "rev-parse", "HEAD^1") if merged else git(root, "merge-base", "feature", "main")
    count = 3 if merged else 4  # from the head, the commit on main that it does not have counts too
    evidence = judged(root, head)

    assert (evidence.status, evidence.findings.baseline.commit) == ("passed", base)
    [remark] = evidence.summary.splitlines()[1:]
    assert remark == (
        f"main has moved by {count} commits since {base[:7]}, which this verdict is against, and what came in reaches this model: "
        "update the branch to be compared with it"
    )


def test_the_reader_of_the_report_sees_it_and_github_is_not_asked(root: Path, github: StandIn) -> None:
    commits_on_main(root, {"train.py": "print('other')\n"})
    head = checked_out(root, merged=True)
    evidence = judged(root, head, right=800, api_url=github.url, token=github.token)
    workspace = open_workspace(
        root, event="pull_request", repository="o/r", run_id=5, default_branch="main", pull_request=NUMBER, head_sha=head, base_ref="main"
    )
    stages.run("report", workspace)

    assert (evidence.status, evidence.findings.verdict) == ("failed", "worse")
    assert "main has moved by 1 commit since" in (workspace.state / "report.md").read_text()
    asked = [exchange.path for exchange in github.requests]
    assert [path for path in asked if "compare" in path or "branches" in path or "commits" in path] == []


def test_rules_that_changed_there_count_too(root: Path) -> None:
    config = (root / "mlgate.yaml").read_text()
    commits_on_main(root, {"mlgate.yaml": config.replace("min: 0.8", "min: 0.85")})
    assert "main has moved by 1 commit since" in judged(root, checked_out(root, merged=True)).summary


class TestNothingIsSaid:
    def said(self, root: Path, head: str, **more: Any) -> list[str]:
        evidence = judged(root, head, **more)
        assert (evidence.status, evidence.findings.verdict) == ("passed", "better")
        return list(evidence.summary.splitlines()[1:])

    def test_where_the_base_is_where_it_was(self, root: Path) -> None:
        assert self.said(root, checked_out(root, merged=True)) == []

    def test_where_nothing_that_came_in_reaches_this_model(self, root: Path) -> None:
        other = CONFIG.replace("digits", "other")
        commits_on_main(root, {"README.md": "words"}, {"other/mlgate.yaml": other, "other/train.py": "1"})
        assert self.said(root, checked_out(root, merged=True)) == []

    def test_where_the_checkout_has_not_brought_the_base(self, root: Path) -> None:
        head = checked_out(root, merged=True)
        git(root, "update-ref", "-d", "refs/remotes/origin/main")
        assert self.said(root, head) == []

    def test_where_the_checkout_is_older_than_the_merge(self, root: Path) -> None:
        head = checked_out(root, merged=True)
        origin_moves_to(root, "main~1")
        assert self.said(root, head) == []

    def test_where_the_base_was_rewritten(self, root: Path) -> None:
        head = checked_out(root, merged=True)
        git(root, "branch", "--force", "rewritten", "main~1")
        origin_moves_to(root, "rewritten")
        commits_on_main(root, {"train.py": "print('rewritten')\n"})
        assert self.said(root, head) == []

    def test_where_history_is_cut_off(self, root: Path, tmp_path: Path) -> None:
        """How many commits came in cannot be counted in a part of the history."""
        git(root, "checkout", "--quiet", "-b", "long", "main~1")
        for number in range(3):
            commit_files(root, {"train.py": f"print('long {number}')\n"}, "long")
        git(root, "checkout", "--quiet", "-b", "main-now", "main")
        git(root, "merge", "--quiet", "--no-ff", "-Xtheirs", "-m", "three commits", "long")
        head = checked_out(root, merged=True)
        git(root, "branch", "merge")
        git(tmp_path, "clone", "--quiet", "--depth=2", "--no-single-branch", "--branch=merge", f"file://{root}", "shallow")
        shallow = tmp_path / "shallow"
        git(shallow, "update-ref", "refs/remotes/origin/main", "refs/remotes/origin/main-now")
        git(shallow, "branch", "main", "HEAD^1")
        assert self.said(shallow, head) == []

    def test_where_it_is_merged_already(self, root: Path) -> None:
        """A job that is run again after the merge: nobody can update that branch."""
        head = checked_out(root, merged=True)
        origin_moves_to(root, "HEAD")
        commits_on_main(root, {"train.py": "print('other')\n"})
        assert self.said(root, head) == []

    def test_of_a_branch_this_pull_request_does_not_go_into(self, root: Path) -> None:
        head = checked_out(root, merged=True)
        origin_moves_to(root, "main", "release")
        commits_on_main(root, {"train.py": "print('other')\n"})
        assert self.said(root, head, base_ref="release") == []

    @pytest.mark.parametrize(
        "context",
        [{}, {"event": "push", "repository": "o/r", "run_id": 5, "default_branch": "main", "ref": "refs/heads/feature"}],
        ids=["laptop", "branch"],
    )
    def test_where_there_is_no_pull_request_to_update(self, root: Path, context: dict[str, Any]) -> None:
        commits_on_main(root, {"train.py": "print('other')\n"})
        git(root, "checkout", "--quiet", "feature")
        workspace = open_workspace(root, **context)
        base = git(root, "merge-base", "feature", "main")
        evaluated(workspace, classified(*labels(950)), classified(*labels(900)), baseline_commit=base)
        evidence = stages.run("gate", workspace)
        assert (evidence.status, evidence.summary.count("\n")) == ("passed", 0)

    def test_where_the_opponent_is_a_file(self, root: Path) -> None:
        target, prediction = labels(900)
        rows = "".join(f"{n},{y},{y_pred}\n" for n, (y, y_pred) in enumerate(zip(target, prediction, strict=True)))
        git(root, "checkout", "--quiet", "main")
        with_file = {
            "mlgate.yaml": (root / "mlgate.yaml").read_text().replace("gate:\n", "gate:\n  baseline: best.csv\n"),
            "best.csv": f"id,y,y_pred\n{rows}",
        }
        commit_files(root, with_file, "the best so far")
        origin_moves_to(root, "main")
        commits_on_main(root, {"train.py": "print('other')\n"})
        assert self.said(root, checked_out(root, merged=True)) == []
