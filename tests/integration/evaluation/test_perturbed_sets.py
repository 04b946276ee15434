"""evaluation.perturbed: read, scored, recorded with the evaluation and found again; each wrong file is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlgate import stages
from mlgate.evidence import EvaluateFindings, Evidence, GateFindings
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = """\
model: digits
evaluation:
  predictions: p.csv
  metrics: [accuracy]
  slices: [site]
  perturbed: {noise: noise.csv}
gate:
  rules: [{metric: accuracy, on: noise, margin: 0.05}]
"""
N = 200


def table(wrong: int, first: int = 0, n: int = N, target: int = 0) -> str:
    rows = (f"{first + row},{(row + target) % 2},{(row + target + (row < wrong)) % 2},{'ab'[row % 3 == 0]}" for row in range(n))
    return "\n".join(["id,y,y_pred,site", *rows]) + "\n"


def repository(root: Path, noise: str | None, config: str = CONFIG) -> Path:
    files = {"mlgate.yaml": config, "p.csv": table(20)}
    return make_repository(root, files if noise is None else {**files, "noise.csv": noise})


def evaluate(root: Path) -> Evidence[Any]:
    return stages.run("evaluate", Workspace.open(root, "mlgate.yaml", {}))


def decide(root: Path) -> GateFindings:
    evidence = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert isinstance(evidence.findings, GateFindings), evidence.summary
    return evidence.findings


def test_a_set_is_scored_as_the_holdout_is(tmp_path: Path) -> None:
    found = evaluate(repository(tmp_path, table(40)))
    assert isinstance(found.findings, EvaluateFindings), found.summary
    (part,) = found.findings.candidate.perturbed
    assert (part.name, part.n, [(metric.name, metric.value) for metric in part.metrics]) == ("noise", N, [("accuracy", 0.8)])
    assert part.predictions.path in {file.path for file in found.files}


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (None, "noise.csv (evaluation.perturbed.noise): no such file; does the training command write it?"),
        (table(40, first=50), "50 of the holdout's 200 ids are missing and 50 ids are not the holdout's"),
        (table(40, n=190), "10 of the holdout's 200 ids are missing; expected the examples of p.csv, their inputs perturbed"),
        (table(40, target=1), "200 of 200 ids have another 'y' than on the holdout"),
        ("id,y,site\n1,0,a\n", "no column 'y_pred'"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, noise: str | None, message: str) -> None:
    found = evaluate(repository(tmp_path, noise))
    assert found.exit_code == 2
    assert message in found.summary
    assert found.summary.startswith("noise.csv (evaluation.perturbed.noise): ")
    assert len(found.summary.splitlines()) == 1


def test_without_ids_the_rows_have_to_be_the_holdouts(tmp_path: Path) -> None:
    config = CONFIG.replace("  metrics", "  columns: {id: null}\n  metrics")
    found = evaluate(repository(tmp_path, table(40, n=190), config))
    assert "noise.csv (evaluation.perturbed.noise): not row by row the holdout (200 examples there, 190 here)" in found.summary


def test_a_rule_on_a_metric_file_or_slices_of_one_is_refused(tmp_path: Path) -> None:
    config = CONFIG.replace("  slices", "  metrics_files: [m.json]\n  slices").replace("metric: accuracy", "metric: latency, better: lower")
    root = repository(tmp_path, table(40), config)
    commit_files(root, {"m.json": '{"latency": 3}'}, "numbers")
    found = evaluate(root)
    assert found.summary == (
        "mlgate.yaml: gate.rules[0].on: 'latency' is a number of a metric file; only metrics of predictions can be asked there"
    )


def test_the_store_keeps_sets_and_the_next_change_is_compared_with_them(tmp_path: Path) -> None:
    root = repository(tmp_path, table(20))
    assert evaluate(root).exit_code == 0
    assert decide(root).recorded_in_store
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"noise.csv": table(80)}, "worse under noise")
    assert evaluate(root).exit_code == 0
    found = decide(root)
    assert found.baseline is not None
    assert (found.baseline.source, found.is_open) == ("store", False)
    row = next(row for row in found.comparisons if row.aspect == "on noise")
    assert (row.candidate, row.baseline, row.verdict) == (0.6, 0.9, "worse")


def test_files_of_an_earlier_commit_are_found_where_nothing_was_recorded(tmp_path: Path) -> None:
    root = repository(tmp_path, table(20))
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"noise.csv": table(20), "p.csv": table(21)}, "a little worse")
    assert evaluate(root).exit_code == 0
    found = decide(root)
    assert found.baseline is not None
    assert found.baseline.source == "git"
    assert next(row for row in found.comparisons if row.aspect == "on noise").baseline == 0.9


def test_a_baseline_older_than_the_set_is_no_mistake(tmp_path: Path) -> None:
    old = CONFIG.replace("  perturbed: {noise: noise.csv}\n", "").replace(", on: noise", "")
    root = repository(tmp_path, None, old)
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"mlgate.yaml": CONFIG, "noise.csv": table(30)}, "a set")
    assert evaluate(root).exit_code == 0
    found = decide(root)
    assert found.rules_from == "baseline"
    row = next(row for row in found.comparisons if row.aspect == "on noise")
    assert (row.baseline, row.verdict, row.candidate) == (None, None, 0.85)
