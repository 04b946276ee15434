"""A metric of the user's that gives one number for all examples: an interval where both models' own runs made one, and no other."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from integration.gate.gate_runs import leave, open_workspace
from mlgate import stages
from mlgate.evidence import CarriedBaseline, Comparison, EvaluateFindings, GateFindings, ScoredModel
from mlgate.stats.resampled import METHOD
from support import commit_files, git, make_repository

CONFIG = """\
model: heat
train: {command: python train.py}
evaluation: {task: regression, predictions: p.csv, metrics: [mae, "own.py:median_error"]}
gate: {rules: [{metric: median_error, margin: 0.1}]}
"""
OWN = """\
import numpy as np


def median_error(y_true, y_pred):
    return float(np.median(np.abs(y_true - y_pred)))


median_error.better = "lower"
"""
N = 1200


def predictions(spread: float, n: int = N) -> str:
    """Of the first examples, with errors that are those of every model and some more."""
    random = np.random.default_rng(0)
    target, error = random.normal(20, 5, N), random.normal(0, 1, N)
    own = error + spread * np.random.default_rng(int(spread * 100)).normal(0, 1, N)
    rows = list(zip(target.tolist(), own.tolist(), strict=True))[:n]
    return "id,y,y_pred\n" + "".join(f"{row},{t!r},{t + e!r}\n" for row, (t, e) in enumerate(rows))


@pytest.fixture(autouse=True)
def user_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)


def evaluated(root: Path, files: dict[str, str]) -> tuple[EvaluateFindings, GateFindings]:
    """Both stages, on the files committed."""
    commit_files(root, files, "a model")
    workspace = open_workspace(root)
    leave(workspace, "train", None)
    found = stages.run("evaluate", workspace)
    assert isinstance(found.findings, EvaluateFindings), found.summary
    decided = stages.run("gate", workspace)
    assert isinstance(decided.findings, GateFindings), decided.summary
    return found.findings, decided.findings


def row_of(found: GateFindings) -> Comparison:
    return next(row for row in found.comparisons if row.metric == "median_error")


def project(root: Path) -> Path:
    """A repository whose main has evaluated and recorded a model."""
    make_repository(root, {"mlgate.yaml": CONFIG, "own.py": OWN, "train.py": "", ".gitignore": ".mlgate\n"})
    evaluated(root, {"p.csv": predictions(0.2), "train.py": "print(1)\n"})
    git(root, "checkout", "--quiet", "-b", "feature")
    return root


def test_it_is_compared_on_resamples_that_both_runs_drew(tmp_path: Path) -> None:
    found, decided = evaluated(project(tmp_path / "r"), {"p.csv": predictions(0.21), "train.py": "print(2)\n"})
    row = row_of(decided)
    assert (row.method, row.verdict) == (METHOD, "no worse")
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.difference < row.high < 0.1
    assert found.candidate.metrics[1].resampled is not None
    _, worse = evaluated(tmp_path / "r", {"p.csv": predictions(2.0), "train.py": "print(3)\n"})
    assert row_of(worse).verdict == "worse"


def test_another_function_another_holdout_and_too_few_examples_are_not_compared(tmp_path: Path) -> None:
    root = project(tmp_path / "r")
    other = OWN.replace("np.median(", "0.9 * np.median(")
    _, decided = evaluated(root, {"own.py": other, "p.csv": predictions(0.21), "train.py": "print(2)\n"})
    assert (row_of(decided).method, row_of(decided).verdict) == (None, "cannot tell")
    found, decided = evaluated(root, {"own.py": OWN, "p.csv": predictions(0.21, 900), "train.py": "print(3)\n"})
    assert (row_of(decided).method, row_of(decided).verdict) == (None, "cannot tell")
    assert "median_error: no interval, so its margin is `cannot tell`: 900 examples, it takes 1,000" in found.warnings


def test_what_the_candidates_job_says_of_the_baseline_is_not_believed(tmp_path: Path) -> None:
    """The baseline's evaluation carried along by the job that ran the pull request's code."""
    root = make_repository(tmp_path / "r", {"mlgate.yaml": CONFIG, "own.py": OWN, "train.py": "", ".gitignore": ".mlgate\n"})
    found, _ = evaluated(root, {"p.csv": predictions(0.2)})
    base = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"train.py": "print(2)\n"}, "another")
    (root / ".mlgate" / "store").rename(tmp_path / "elsewhere")
    workspace = open_workspace(root)
    leave(workspace, "train", None)
    mine = stages.run("evaluate", workspace).findings
    assert isinstance(mine, EvaluateFindings)
    carried = CarriedBaseline(model=ScoredModel.model_validate({**found.candidate.model_dump(), "commit": base}), source="git")
    leave(workspace, "evaluate", mine.model_copy(update={"baseline": carried}))
    decided = stages.run("gate", workspace).findings
    assert isinstance(decided, GateFindings)
    assert (row_of(decided).method, row_of(decided).verdict) == (None, "cannot tell")
    assert decided.baseline is not None
    assert decided.baseline.source == "git"
