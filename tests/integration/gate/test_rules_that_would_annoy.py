"""A rule that fails a model exactly as good as the baseline more than one time in five is called out before it annoys anyone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integration.gate.gate_runs import classified, evaluated, labels, next_commit, open_workspace, project
from mlgate import stages
from mlgate.config import ReportConfig
from mlgate.evidence import Evidence
from mlgate.render import markdown, view
from mlgate.stats.planning import PairedProportions
from support import commit_files

CONFIG = """\
model: digits
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy, f1_macro]
gate:
  rules:
    - {metric: accuracy, margin: 0.03}
"""


def gated(root: Path, config: str = CONFIG, new_config: str | None = None) -> Evidence[Any]:
    """A branch whose model is as good as the baseline and disagrees on 60 of 1,000 examples."""
    project(root, config)
    next_commit(root, 1, branch="feature")
    if new_config is not None:
        commit_files(root, {"mlgate.yaml": new_config}, "other rules")
    target, old = labels(900)
    _, new = labels(900, shuffled_by=30)
    workspace = open_workspace(root)
    from mlgate import git

    base = git.commit(root, "main")
    evaluated(workspace, classified(target, new), classified(target, old), baseline_commit=base)
    return stages.run("gate", workspace)


def comment(evidence: Evidence[Any]) -> str:
    return markdown.comment(view.build({"gate": evidence}, model="digits", report=ReportConfig()))


def test_a_threshold_at_the_baselines_value_is_called_out_and_blocks_nothing_by_that(tmp_path: Path) -> None:
    evidence = gated(tmp_path / "repository", CONFIG + "    - {metric: accuracy, min: 0.9}\n")
    assert evidence.status == "passed"
    margin, threshold = evidence.findings.planning
    assert margin.warning == ""
    assert 0.4 < threshold.fails_unchanged < 0.5
    assert "**Note:** The rule “accuracy at least 0.9” would fail a model exactly as good as the baseline 47" in comment(evidence)


def test_what_the_gate_expects_is_the_pure_function_of_size_disagreement_and_margin(tmp_path: Path) -> None:
    [rule] = gated(tmp_path / "repository").findings.planning
    expected = PairedProportions(1000, 0.06).outcomes(0.03, 0.95)
    assert (rule.fails_unchanged, rule.cannot_tell_unchanged) == (expected.worse, expected.cannot_tell)
    assert rule.examples == 1000
    assert rule.visible_loss < 0.03
    assert rule.examples_needed < 1000


def test_it_is_the_rules_of_the_change_that_are_planned_for(tmp_path: Path) -> None:
    evidence = gated(tmp_path / "repository", new_config=CONFIG + "    - {metric: f1_macro, margin: 0.001, cannot_tell: block}\n")
    assert evidence.status == "passed"
    assert [rule.metric for rule in evidence.findings.planning] == ["accuracy", "f1_macro"]
    assert "since “cannot tell” blocks" in evidence.findings.planning[1].warning
    assert [rule.metric for rule in evidence.findings.rules] == ["accuracy"]


def test_rules_that_leave_room_are_not_talked_about(tmp_path: Path) -> None:
    evidence = gated(tmp_path / "repository", CONFIG + "    - {metric: accuracy, min: 0.8}\n")
    assert [rule.warning for rule in evidence.findings.planning] == ["", ""]
    assert "would fail" not in comment(evidence)


def test_a_row_says_what_it_could_have_seen_and_by_which_method(tmp_path: Path) -> None:
    evidence = gated(tmp_path / "repository")
    row = evidence.findings.comparisons[0]
    assert row.verdict == "no worse"
    assert 0.019 < row.visible_loss < 0.021
    [rule] = evidence.findings.rules
    assert rule.reason.endswith(": no worse than 3\u00a0pt. It could have seen a loss of 2\u00a0pt")
    text = comment(evidence)
    assert "could have seen a loss of 2\u00a0pt" in text
    assert "Statistics in Medicine 17:891-908" in text
    assert evidence.findings.methods[row.method].startswith("Tango (1998)")
