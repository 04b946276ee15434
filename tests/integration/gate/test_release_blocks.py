"""Who blocks on what the holdout cannot tell: a pull request warns, a release blocks, and each rule can say otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.gate.gate_runs import CONFIG, N, classified, evaluated, labels, next_commit, open_workspace, project
from mlgate import stages
from mlgate.config import ReportConfig
from mlgate.evidence import Evidence
from mlgate.render import markdown, view
from support import git

ACCURACY = CONFIG.replace("accuracy, f1_macro", "accuracy") + "store: .mlgate/store\nreport: {comment: false}\n"
GITHUB: dict[str, Any] = {"repository": "o/r", "run_id": 5, "default_branch": "main"}
TAG = {"event": "push", "ref": "refs/tags/v1"}
PULL_REQUEST = {"event": "pull_request", "base_ref": "main", "pull_request": 7}
DOUBTFUL = 890
"""Of 1,000 where 900 were right before, with a margin of 2 pt and many disagreements: cannot tell."""


def judged(root: Path, right: int = DOUBTFUL, **context: Any) -> Evidence:
    workspace = open_workspace(root, **{**GITHUB, "head_sha": git(root, "rev-parse", "HEAD"), **context})
    evaluated(workspace, classified(*labels(right, shuffled_by=50)), metrics={"accuracy": right / N})
    return stages.run("gate", workspace)


def repository(tmp_path: Path, rule: str = "") -> Path:
    """Two commits on main, the first with its evaluation on record."""
    root = project(tmp_path / "repository", ACCURACY.replace("margin: 0.02", f"margin: 0.02{rule}"))
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), metrics={"accuracy": 0.9})
    stages.run("gate", workspace)
    next_commit(root, 1)
    return root


@pytest.mark.parametrize(
    ("rule", "pull_request", "release"),
    [("", 0, 1), (", cannot_tell: warn", 0, 0), (", cannot_tell: block", 1, 1)],
    ids=["as it is", "the rule warns", "the rule blocks"],
)
def test_a_pull_request_warns_and_a_release_blocks_unless_the_rule_says_otherwise(
    tmp_path: Path, rule: str, pull_request: int, release: int
) -> None:
    root = repository(tmp_path, rule)
    base = git(root, "rev-parse", "HEAD^")
    git(root, "update-ref", "refs/remotes/origin/main", base)
    asked = judged(root, **PULL_REQUEST, base_sha=base)
    assert (asked.findings.verdict, asked.exit_code) == ("cannot tell", pull_request)
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    for context in (TAG, {"event": "release", "ref": "refs/tags/v1"}, {"event": "workflow_dispatch", "is_release_asked": True}):
        found = judged(root, **context)
        assert (found.findings.verdict, found.exit_code) == ("cannot tell", release), context
        assert found.findings.baseline.commit == base, "a release of main is compared with what main had before"


def test_a_release_says_that_it_has_to_know(tmp_path: Path) -> None:
    root = repository(tmp_path)
    evidence = judged(root, **TAG)
    context = open_workspace(root, **{**GITHUB, **TAG}).context
    comment = markdown.comment(view.build({"gate": evidence}, model="digits", report=ReportConfig(), context=context))
    assert "digits: must not be released — the holdout cannot tell it from the baseline, and a release has to know" in comment


def test_nothing_else_is_a_release(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD^")
    assert judged(root, event="push", ref="refs/heads/main").exit_code == 0
    git(root, "checkout", "--quiet", "-b", "feature")
    git(root, "branch", "--quiet", "--force", "main", "HEAD^")
    assert judged(root, event="workflow_dispatch", ref="refs/heads/feature").exit_code == 0


def test_a_pull_request_is_none_whatever_the_workflow_says(tmp_path: Path) -> None:
    root = repository(tmp_path)
    base = git(root, "rev-parse", "HEAD^")
    git(root, "update-ref", "refs/remotes/origin/main", base)
    assert judged(root, **PULL_REQUEST, base_sha=base, is_release_asked=True).exit_code == 0


def test_weakened_rules_that_are_on_main_do_not_close_its_release(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "mlgate.yaml").write_text((root / "mlgate.yaml").read_text().replace("min: 0.8", "min: 0.5"))
    git(root, "commit", "--quiet", "-am", "weaker")
    workspace = open_workspace(root)
    base = git(root, "rev-parse", "HEAD^")
    evaluated(workspace, classified(*labels(900)), classified(*labels(900)), baseline_commit=base, metrics={"accuracy": 0.9})
    workspace = open_workspace(root, **{**GITHUB, **TAG, "head_sha": git(root, "rev-parse", "HEAD")})
    evaluated(workspace, classified(*labels(930)), classified(*labels(900)), baseline_commit=base, metrics={"accuracy": 0.93})
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, [change.is_weakening for change in evidence.findings.changes]) == (0, [True])
    git(root, "update-ref", "refs/remotes/origin/main", base)  # a tag on a branch that nobody merged
    git(root, "checkout", "--quiet", "--detach")
    git(root, "branch", "--quiet", "--force", "main", base)
    assert stages.run("gate", workspace).exit_code == 1


def test_of_two_rules_on_one_metric_each_is_held_against_its_own_margin(tmp_path: Path) -> None:
    root = repository(tmp_path)
    text = (root / "mlgate.yaml").read_text()
    strict = text.replace("  rules:\n", "  rules:\n    - {metric: accuracy, margin: 0.08, cannot_tell: block}\n")
    (root / "mlgate.yaml").write_text(strict)
    git(root, "commit", "--quiet", "-am", "one more rule")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), classified(*labels(900)), baseline_commit=git(root, "rev-parse", "HEAD^"))
    stages.run("gate", workspace)
    next_commit(root, 2, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(DOUBTFUL, shuffled_by=50)), metrics={"accuracy": DOUBTFUL / N})
    evidence = stages.run("gate", workspace)
    margins = {rule.rule: (rule.is_passed, rule.is_warning) for rule in evidence.findings.rules if "by more than" in rule.rule}
    assert list(margins.values()) == [(True, False), (True, True)]
    assert evidence.exit_code == 0
