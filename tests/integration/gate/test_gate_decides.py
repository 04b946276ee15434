"""What the gate lets through, what it stops, and what it says of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from integration.gate import gate_runs
from integration.gate.gate_runs import CONFIG, N, classified, evaluated, labels, leave, next_commit, open_workspace, project
from mlgate import stages
from mlgate.evidence import Evidence, GateFindings
from mlgate.render import numbers
from mlgate.workspace import Workspace


def decide(workspace: Workspace) -> tuple[Evidence, GateFindings]:
    evidence = stages.run("gate", workspace)
    assert isinstance(evidence.findings, GateFindings), evidence.summary
    return evidence, evidence.findings


def compared(tmp_path: Path, new_right: int, old_right: int, config: str = CONFIG, **more) -> tuple[Evidence, GateFindings]:
    """The gate on a pull request whose baseline the training job found."""
    root = project(tmp_path / "repository", config)
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    base = gate_runs.git(root, "rev-parse", "main")
    evaluated(workspace, classified(*labels(new_right)), classified(*labels(old_right)), baseline_commit=base, **more)
    return decide(workspace)


def test_a_better_model_opens_the_gate(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=950, old_right=900)
    assert (evidence.status, evidence.exit_code, found.is_open, found.verdict) == ("passed", 0, True, "better")
    row = found.comparisons[0]
    assert (row.metric, row.candidate, row.baseline, row.difference) == ("accuracy", 0.95, 0.90, pytest.approx(0.05))
    assert 0.03 < row.low < 0.05 < row.high < 0.07
    assert "better by 5.0 pt" in evidence.summary.replace("\xa0", " ")
    assert found.baseline.source == "dvc outputs"
    assert found.baseline.shared_share == 1


def test_an_equal_model_is_no_worse_and_opens_the_gate(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=900, old_right=900)
    assert (evidence.exit_code, found.verdict) == (0, "no worse")
    assert "accuracy is no worse (by " in evidence.summary.replace("\xa0", " ")


def test_a_worse_model_closes_the_gate(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=840, old_right=900)
    assert (evidence.status, evidence.exit_code, found.is_open, found.verdict) == ("failed", 1, False, "worse")
    assert [rule.is_passed for rule in found.rules] == [False, True]
    assert "worse by 6.0 pt (at least 4.8 pt, the margin is 2 pt)" in evidence.summary.replace("\xa0", " ")


def test_cannot_tell_warns_and_says_how_many_more_examples_would_settle_it(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=885, old_right=900)
    assert (evidence.exit_code, found.is_open, found.verdict) == (0, True, "cannot tell")
    assert found.rules[0].is_warning
    assert found.comparisons[0].more_examples > 0
    more = numbers.about(found.comparisons[0].more_examples, "more example")
    assert f"about {more} would settle it, if the difference stays as measured" in found.headline


def test_cannot_tell_closes_the_gate_where_the_rules_say_so(tmp_path: Path) -> None:
    config = CONFIG.replace("gate:\n", "gate:\n  cannot_tell: block\n")
    evidence, found = compared(tmp_path, new_right=885, old_right=900, config=config)
    assert (evidence.exit_code, found.is_open, found.verdict) == (1, False, "cannot tell")


def test_a_threshold_closes_the_gate_for_a_better_model(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=790, old_right=700)
    assert (evidence.exit_code, found.verdict) == (1, "better")
    assert found.headline == "accuracy 0.79 is below 0.8"


def test_the_gate_believes_predictions_and_not_the_numbers_beside_them(tmp_path: Path) -> None:
    _, found = compared(tmp_path, new_right=840, old_right=900, metrics={"accuracy": 0.99, "f1_macro": 0.99})
    assert found.comparisons[0].candidate == 0.84
    assert not found.is_open


def test_a_number_without_predictions_is_never_certified(tmp_path: Path) -> None:
    config = CONFIG + "    - {metric: latency_ms, margin: 5, better: lower}\n    - {metric: latency_ms, max: 100}\n"
    evidence, found = compared(
        tmp_path, 950, 900, config, metrics={"accuracy": 0.95, "latency_ms": 30.0}, baseline_metrics={"accuracy": 0.9, "latency_ms": 50.0}
    )
    row = next(row for row in found.comparisons if row.metric == "latency_ms")
    assert (row.difference, row.low, row.method, row.verdict) == (-20, None, None, "cannot tell")
    assert [(rule.is_passed, rule.is_warning) for rule in found.rules] == [(True, False), (True, False), (True, True), (True, False)]
    assert "one number on each side certifies nothing" in evidence.summary


def test_a_rule_about_an_unknown_metric_is_a_mistake_with_the_nearest_name(tmp_path: Path) -> None:
    root = project(tmp_path / "repository", CONFIG + "    - {metric: latency_p95, max: 100}\n")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), metrics={"accuracy": 0.9, "latency_p95_ms": 3.0})
    evidence = stages.run("gate", workspace)
    assert evidence.exit_code == 2
    assert "gate.rules[2].metric: no metric 'latency_p95' in the evaluation; did you mean 'latency_p95_ms'?" in evidence.summary


def test_a_metric_the_candidate_stopped_reporting_is_guarded_all_the_same(tmp_path: Path) -> None:
    _, found = compared(tmp_path, new_right=840, old_right=900, metrics={"f1_macro": 0.99})
    assert (found.comparisons[0].metric, found.verdict, found.is_open) == ("accuracy", "worse", False)


def test_a_pull_request_is_judged_by_the_rules_of_its_baseline(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    base = gate_runs.git(root, "rev-parse", "HEAD")
    gate_runs.git(root, "checkout", "--quiet", "-b", "feature")
    gate_runs.commit_files(root, {"mlgate.yaml": CONFIG.replace("margin: 0.02", "margin: 0.5").replace("min: 0.8", "min: 0.1")}, "weaken")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(700)), classified(*labels(900)), baseline_commit=base)
    evidence, found = decide(workspace)
    assert (evidence.exit_code, found.rules_from) == (1, "baseline")
    assert any(change.kind == "rule" for change in found.changes)


def test_without_rules_the_gate_is_open_and_says_that_nothing_is_guarded(tmp_path: Path) -> None:
    evidence, found = compared(tmp_path, new_right=700, old_right=900, config=CONFIG.partition("gate:")[0])
    assert (evidence.exit_code, found.is_open, found.verdict) == (0, True, None)
    assert found.headline.startswith("no rules: nothing is guarded")
    assert found.comparisons[0].verdict == "worse"


def test_models_are_compared_on_the_examples_they_share_and_the_share_is_said(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    target, new = labels(900)
    _, old = labels(900)
    evaluated(workspace, classified(target, new), classified(target[200:], old[200:], first_id=200), baseline_commit=base)
    _, found = decide(workspace)
    assert (found.baseline.shared_examples, found.baseline.shared_share) == (800, 0.8)
    assert found.comparisons[0].candidate == 700 / 800, "the row is about the shared examples"
    assert found.rules[1].reason == "0.9 is at least 0.8", "the threshold is about the whole holdout"
    assert "800 of 1,000" in found.headline


def test_a_pull_request_that_drops_examples_from_the_holdout_does_not_do_so_unnoticed(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    target, new = labels(900)
    evaluated(workspace, classified(target[:500], new[:500]), classified(target, new), baseline_commit=base)
    _, found = decide(workspace)
    assert (found.baseline.shared_examples, found.baseline.shared_share) == (500, 0.5)
    assert not found.is_open
    assert "holdout 1,000 examples → 500 examples: 500 removed" in found.headline


def test_holdouts_with_nothing_in_common_are_a_mistake(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), classified(*labels(900), first_id=5000), baseline_commit=base)
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, "no example in common" in evidence.summary) == (2, True)


def test_predictions_that_are_not_those_of_the_evidence_are_refused(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)))
    path = workspace.files / "predictions.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, "SHA-256 differs" in evidence.summary) == (2, True)


def test_slices_and_confusion_are_shown_for_information(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    writers = np.array(["ada", "bob"])[np.arange(N) % 2]
    evaluated(workspace, classified(*labels(950), slices={"writer": writers}), classified(*labels(900)), baseline_commit=base)
    _, found = decide(workspace)
    assert [(row.column, row.value, row.n, row.comparison.metric) for row in found.slices] == [
        ("writer", "ada", 500, "accuracy"),
        ("writer", "bob", 500, "accuracy"),
    ]
    assert sum(map(sum, found.confusion.candidate)) == N
    assert sum(found.confusion.candidate[code][code] for code in range(3)) == 950


def test_a_regression_is_compared_and_its_residuals_shown(tmp_path: Path) -> None:
    config = """\
model: price
train: {command: python train.py}
evaluation: {task: regression, predictions: eval/p.csv, metrics: [rmse, mae, r2]}
gate: {rules: [{metric: rmse, margin: 0.1}, {metric: mae, margin: 0.1}]}
"""
    root = project(tmp_path / "repository", config)
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    random = np.random.default_rng(1)
    target = random.normal(size=N)
    ids = np.arange(N)
    old = gate_runs.Predictions(ids, target, target + random.normal(size=N))
    new = gate_runs.Predictions(ids, target, target + 0.5 * random.normal(size=N))
    evaluated(workspace, new, old, baseline_commit=base, metrics={"rmse": 0.5, "mae": 0.4, "r2": 0.7})
    _, found = decide(workspace)
    assert found.verdict == "better"
    assert [row.metric for row in found.comparisons] == ["rmse", "mae", "r2"]
    assert all(row.verdict == "better" for row in found.comparisons)
    assert sum(found.residuals.candidate) == sum(found.residuals.baseline) == N


def test_the_same_evidence_gives_the_same_numbers_whatever_the_order_of_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    target, new = labels(930, shuffled_by=40)
    _, old = labels(900)
    rows = []
    for number, order in enumerate((np.arange(N), random.permutation(N))):
        root = project(tmp_path / f"repository{number}")
        base = gate_runs.git(root, "rev-parse", "HEAD")
        next_commit(root, 1, branch="feature")
        workspace = open_workspace(root)
        evaluated(workspace, classified(target, new).take(order), classified(target, old).take(order), baseline_commit=base)
        rows.append(decide(workspace)[1].comparisons)
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("stage", "status", "exit_code", "begins"),
    [
        ("check", "failed", 1, "Nothing was trained: a test failed"),
        ("pull-data", "error", 3, "Nothing was trained: a test failed"),
        ("validate-data", "failed", 1, "Nothing was trained: a test failed"),
        ("train", "failed", 1, "Nothing was compared: a test failed"),
        ("evaluate", "error", 2, "Nothing was compared: a test failed"),
    ],
)
def test_an_earlier_stage_that_did_not_pass_closes_the_gate(tmp_path: Path, stage, status, exit_code, begins) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    leave(workspace, stage, None, status=status, summary="a test failed", exit_code=exit_code)
    evidence, found = decide(workspace)
    assert (evidence.status, evidence.exit_code, found.is_open) == ("failed", exit_code, False)
    assert found.headline.startswith(begins)


def test_a_job_that_failed_without_evidence_closes_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    monkeypatch.setenv("MLGATE_NEEDS", json.dumps({"data": {"result": "cancelled"}, "train": {"result": "skipped"}}))
    evidence, found = decide(workspace)
    assert (evidence.exit_code, found.is_open) == (3, False)
    assert "job 'data' was cancelled and left no evidence" in evidence.summary


def test_a_job_that_failed_after_its_stages_passed_closes_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    evaluated(workspace, classified(*labels(900)))
    monkeypatch.setenv("MLGATE_NEEDS", json.dumps({"data": {"result": "success"}, "train": {"result": "failure"}}))
    assert decide(workspace)[0].exit_code == 3


@pytest.mark.parametrize("needs", ["[]", "{", '{"data": "success"}'])
def test_needs_that_are_no_needs_are_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needs: str) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    monkeypatch.setenv("MLGATE_NEEDS", needs)
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, "toJSON(needs)" in evidence.summary) == (2, True)


def test_without_any_evaluation_there_is_nothing_to_decide(tmp_path: Path) -> None:
    evidence = stages.run("gate", open_workspace(project(tmp_path / "repository")))
    assert (evidence.exit_code, "run 'mlgate evaluate'" in evidence.summary) == (2, True)


def test_evidence_of_another_commit_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    evaluated(open_workspace(root), classified(*labels(900)))
    next_commit(root, 1)
    evidence = stages.run("gate", open_workspace(root))
    assert (evidence.exit_code, "another commit" in evidence.summary) == (2, True)


def test_the_users_own_metric_is_compared_by_its_values_and_never_taken_for_one_of_ours(tmp_path: Path) -> None:
    config = CONFIG.replace("metrics: [accuracy, f1_macro]", "metrics: [f1_macro, metrics/own.py:accuracy]").replace(
        "{metric: accuracy, margin: 0.02}", "{metric: accuracy, margin: 0.02, better: higher}"
    )
    root = project(tmp_path / "repository", config)
    base = gate_runs.git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    old = np.random.default_rng(0).normal(5, 1, N)
    new = old - 1 + np.random.default_rng(1).normal(0, 0.1, N)
    candidate, baseline = (classified(*labels(900), values={"accuracy": values}) for values in (new, old))
    evaluated(workspace, candidate, baseline, baseline_commit=base)
    _, found = decide(workspace)
    row = found.comparisons[0]
    assert (row.metric, row.verdict, row.candidate) == ("accuracy", "worse", pytest.approx(new.mean()))
    assert row.method.startswith("paired t interval")
