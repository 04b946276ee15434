"""Numbers without predictions: thresholds decide, changes are shown, and nothing is certified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.ten_lines.runs import TEN_LINES, Repository, comment_of, exit_codes, gate_of, predictions
from mlgate import cli
from mlgate.evidence import EvaluateFindings
from support import commit_files, git, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

INPUTS = {"metrics": "metrics.json", "rules": "accuracy >= 0.9, latency_ms <= 50"}


@pytest.fixture
def repository(tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path, github)
    monkeypatch.setenv("MLGATE_STORE_URL", str(made.origin))
    return made


def numbers(accuracy: float, latency: float) -> str:
    return json.dumps({"accuracy": accuracy, "latency_ms": latency, "note": "text"})


def test_thresholds_decide_and_every_row_says_that_it_is_uncertified(repository: Repository) -> None:
    repository.write(metrics=numbers(0.95, 40))
    assert exit_codes(repository.push(INPUTS)) == [0, 0]
    repository.commit("slower", branch="feature")
    repository.write(metrics=numbers(0.96, 60))
    found = repository.pull_request(INPUTS, is_reported=True)
    assert exit_codes(found) == [0, 1, 0]
    evaluated = found["evaluate"].findings
    assert isinstance(evaluated, EvaluateFindings)
    assert (evaluated.candidate.n, evaluated.candidate.predictions, evaluated.candidate.task) == (None, None, None)
    gate = gate_of(found)
    assert (gate.headline, gate.is_certified, gate.verdict) == ("latency_ms 60 is above 50", False, None)
    assert [(row.metric, row.baseline, row.candidate, row.method, row.better) for row in gate.comparisons] == [
        ("accuracy", 0.95, 0.96, None, "higher"),
        ("latency_ms", 40.0, 60.0, None, "lower"),
    ]
    body = comment_of(repository)
    table = [line for line in body.splitlines() if line.startswith("|`")]
    assert table[0] == "|`accuracy`|95.0 %|96.0 %|+1.0 pt|uncertified, no interval|"
    assert "no predictions stand behind them" in body


def test_a_first_one_says_so_in_every_row_too(repository: Repository) -> None:
    repository.write(metrics=numbers(0.95, 40))
    repository.commit("first", branch="feature")
    found = repository.pull_request(INPUTS, is_reported=True)
    assert exit_codes(found) == [0, 0, 0]
    body = comment_of(repository)
    assert "|`accuracy`|95.0 %|uncertified|" in body
    assert "|`latency_ms`|40|uncertified|" in body
    for name in ("report.html", "report.json", "report.md"):
        assert (repository.root / ".mlgate/models" / name).stat().st_size > 500


def test_a_metric_file_beside_predictions_gives_way_to_what_is_computed(repository: Repository) -> None:
    repository.write(predictions=predictions(30), metrics=numbers(0.99, 40))
    found = repository.pull_request({**TEN_LINES, "metrics": "metrics.json"})
    assert exit_codes(found) == [0, 0]
    evaluated = found["evaluate"].findings
    assert isinstance(evaluated, EvaluateFindings)
    assert {metric.name: metric.value for metric in evaluated.candidate.metrics} == {
        "accuracy": 0.95,
        "f1_macro": pytest.approx(0.95, abs=0.001),
        "latency_ms": 40,
    }
    assert "'accuracy' of metrics.json: left out, since it is computed from the predictions" in evaluated.warnings


def test_a_model_that_drops_its_predictions_shows_changes_and_no_verdict(repository: Repository) -> None:
    repository.write(predictions=predictions(30), metrics=numbers(0.5, 40))
    repository.push({**TEN_LINES, "metrics": "metrics.json"})
    repository.commit("numbers only", branch="feature")
    gate = gate_of(repository.pull_request({"metrics": "metrics.json"}))
    assert [(row.metric, row.baseline, row.verdict) for row in gate.comparisons] == [
        ("accuracy", 0.95, None),
        ("latency_ms", 40.0, None),
    ]
    assert gate.baseline is not None
    assert gate.baseline.shared_examples is None


def test_a_configuration_cannot_drop_the_predictions_its_baseline_is_judged_by(tmp_path: Path) -> None:
    first = "model: m\nevaluation: {predictions: p.csv, columns: {id: null}}\ngate: {rules: [{margin: 0.01}]}\n"
    root = make_repository(tmp_path / "r", {"mlgate.yaml": first, "p.csv": predictions(30, n=60), "m.json": '{"accuracy": 1.0}'})
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"mlgate.yaml": "model: m\nevaluation: {metrics_files: [m.json]}\n"}, "numbers only")
    assert cli.main(["run", "-C", str(root)]) == 2
    summary = json.loads((root / ".mlgate/m/evidence/gate.json").read_text())["summary"]
    assert "the baseline's rules are about predictions, and this change gives numbers of metric files alone" in summary


def test_metric_files_in_git_are_a_baseline_on_a_laptop(tmp_path: Path) -> None:
    text = "model: m\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{metric: accuracy, margin: 0.01}]}\n"
    root = make_repository(tmp_path / "r", {"mlgate.yaml": text, "m.json": '{"accuracy": 0.9}'})
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"m.json": '{"accuracy": 0.8}'}, "worse?")
    assert cli.main(["run", "-C", str(root)]) == 0
    gate = json.loads((root / ".mlgate/m/evidence/gate.json").read_text())["findings"]
    assert (gate["verdict"], gate["baseline"]["source"]) == ("cannot tell", "git")
    assert gate["comparisons"][0]["difference"] == pytest.approx(-0.1)
    assert gate["rules"][0]["reason"].endswith("cannot tell, one number on each side certifies nothing")
