"""evaluation.latency: both models' programs are asked in turns in one job, and the gate computes from every time that was taken."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate import evidence as records
from mlgate import stages
from mlgate.context import TriggeringRun
from mlgate.evidence import EvaluateFindings, Evidence, GateFindings, LatencySamples
from mlgate.stages.decision import latency
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

SERVE = f"{sys.executable} serve.py"
CONFIG = f"""\
model: digits
evaluation:
  predictions: p.csv
  metrics: [accuracy]
  latency: {{predict: {SERVE}, data: h.csv, rounds: 6, requests: 40, warm_up: 2, quantiles: [0.5, 0.95], timeout: 60}}
gate:
  rules:
    - {{metric: latency_p50, max: 500}}
    - {{metric: latency_p50, margin: 4}}
"""
LOOP = """\
import json, sys, time
for line in sys.stdin:
    rows = json.loads(line)
    assert all(row.keys() == {"a", "b"} for row in rows)
    %s
    print(json.dumps([0 for row in rows]), flush=True)
"""
QUICK = LOOP % "pass"
PREDICTIONS = "id,y,y_pred\n" + "".join(f"{row},{row % 2},{row % 2 if row % 10 else 1 - row % 2}\n" for row in range(100))
HOLDOUT = "id,y,a,b\n" + "".join(f"{row},{row % 2},{row / 7},x\n" for row in range(100))


def project(root: Path, serve: str = QUICK, config: str = CONFIG) -> Path:
    return make_repository(root, {"mlgate.yaml": config, "p.csv": PREDICTIONS, "h.csv": HOLDOUT, "serve.py": serve})


def change(root: Path, **files: str) -> None:
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {name.replace("_", "."): text for name, text in files.items()}, "a change")


def evaluate(root: Path) -> Evidence[Any]:
    return stages.run("evaluate", Workspace.open(root, "mlgate.yaml", {}))


def evaluated(root: Path) -> EvaluateFindings:
    found = evaluate(root)
    assert isinstance(found.findings, EvaluateFindings), found.summary
    return found.findings


def decide(root: Path) -> GateFindings:
    found = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert isinstance(found.findings, GateFindings), found.summary
    return found.findings


def on_record(root: Path) -> None:
    evaluated(root)
    decide(root)


def test_candidate_and_baseline_take_turns_and_an_equal_model_passes(tmp_path: Path) -> None:
    root = project(tmp_path)
    on_record(root)
    change(root, note_txt="nothing")
    taken = evaluated(root).latency
    assert taken is not None
    assert (taken.measured_by, taken.requests, taken.rounds) == ("mlgate", 240, 6)
    assert taken.baseline_commit == git(root, "rev-parse", "main")
    samples = LatencySamples.model_validate_json((root / ".mlgate/digits" / taken.samples.path).read_bytes())
    assert samples.baseline is not None
    assert [len(one) for one in (*samples.candidate, *samples.baseline)] == [40] * 12
    found = decide(root)
    rows = {row.metric: row for row in found.comparisons}
    assert list(rows) == ["accuracy", "latency_p50", "latency_p95", "throughput"]
    row = rows["latency_p50"]
    assert (row.better, row.margin, row.verdict in ("no worse", "better"), found.is_open) == ("lower", 4, True, True)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.high < 4
    assert rows["throughput"].better == "higher"
    assert any("taking turns in 6 rounds on one machine, measured by the candidate's own job" in remark for remark in found.remarks)


def test_a_slower_program_closes_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path, config=CONFIG.replace("requests: 40", "requests: 6"))
    on_record(root)
    change(root, serve_py=LOOP % "time.sleep(0.02)")
    evaluated(root)
    found = decide(root)
    row = next(row for row in found.comparisons if row.metric == "latency_p50")
    assert row.verdict == "worse"
    assert 15 < (row.difference or 0) < 60
    assert not found.is_open
    assert found.headline.startswith("latency_p50 is worse by ")


def test_a_threshold_counts_where_there_is_no_baseline(tmp_path: Path) -> None:
    root = project(tmp_path, LOOP % "time.sleep(0.02)", CONFIG.replace("max: 500", "max: 10").replace("requests: 40", "requests: 2"))
    evaluated(root)
    found = decide(root)
    assert (found.is_first_model, found.is_open) == (True, False)
    assert " is above 10" in found.headline


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        ("raise SystemExit('no model')", "ended (exit 1) while warming up: no model"),
        (LOOP % "raise KeyError('age')", "ended (exit 1) while warming up: KeyError: 'age'"),
        (LOOP % "print('hello')", "answered by "),
        (QUICK.replace("[0 for row in rows]", "[0, 0]"), "answered by a list of 2 (expected a JSON list of 1 prediction, one a row"),
        (QUICK.replace("[0 for row in rows]", "{}"), "answered by an object (expected a JSON list of 1 prediction"),
        ("print('ready', flush=True)\nimport time; time.sleep(60)", "a line that nobody asked for: ready"),
        ("import time; time.sleep(60)", "gave no answer in time while warming up; evaluation.latency.timeout is 1 s"),
        (LOOP % "import os; os.close(1); time.sleep(9)", "closed its standard output while warming up"),
    ],
)
def test_a_program_that_gives_no_right_answer_is_one_line(tmp_path: Path, serve: str, reason: str) -> None:
    found = evaluate(project(tmp_path, serve, CONFIG.replace("timeout: 60", "timeout: 1")))
    assert found.exit_code == 2
    assert reason in found.summary or (reason == "a line that nobody asked for: ready" and "answered by no JSON" in found.summary)
    assert found.summary.startswith(f"evaluation.latency: '{SERVE[:79]}")
    assert len(found.summary.splitlines()) == 1


def test_a_baseline_that_cannot_answer_leaves_the_candidate_measured_and_the_report_says_so(tmp_path: Path) -> None:
    root = project(tmp_path, "raise SystemExit('broken then')")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "no run")
    change(root, serve_py=QUICK)
    taken = evaluated(root).latency
    assert taken is not None
    assert (taken.baseline_commit, "broken then" in taken.baseline_note) == (None, True)
    found = decide(root)
    row = next(row for row in found.comparisons if row.metric == "latency_p50")
    assert (row.baseline, row.verdict) == (None, "cannot tell")
    assert any("on another machine perhaps: not compared (the baseline's " in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ms\n" + "".join(f"{n}\n" for n in range(1, 101)), (100, None, 50.5)),
        ("round,s\n" + "".join(f"{n % 5},{n / 1000}\n" for n in range(1, 101)), (100, 5, 50.5)),
    ],
)
def test_samples_of_ones_own_are_taken_and_named_as_such(tmp_path: Path, text: str, values: tuple[Any, ...]) -> None:
    config = CONFIG[: CONFIG.index("  latency")] + "  latency: {samples: l.csv}\ngate:\n  rules: [{metric: latency_p50, max: 60}]\n"
    root = project(tmp_path, config=config)
    commit_files(root, {"l.csv": text}, "samples")
    taken = evaluated(root).latency
    assert taken is not None
    assert (taken.measured_by, taken.requests, taken.rounds) == ("user", *values[:2])
    found = decide(root)
    row = next(row for row in found.comparisons if row.metric == "latency_p50")
    assert row.candidate == pytest.approx(values[2])
    assert found.is_open
    assert any("100 requests that the project measured itself (l.csv)" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\n1\n", "no column 'ms' (milliseconds) or 's' (seconds); expected one row a request"),
        ("ms\n1\n-2\n", "column 'ms': row 1 (from 0): expected a time of 0 or more, and no gap"),
        ("ms\n1\nnan\n", "column 'ms': row 1 (from 0): expected a time of 0 or more, and no gap"),
        ("ms\nfast\n", "column 'ms': expected numbers, got string"),
        ("ms\n", "0 requests; expected at least one"),
        ("ms,round\n1,1\n1,1\n1,2\n", "column 'round': from 1 to 2 requests a round; expected equally many"),
        (None, "no such file"),
    ],
)
def test_wrong_samples_are_one_line(tmp_path: Path, text: str | None, reason: str) -> None:
    config = CONFIG[: CONFIG.index("  latency")] + "  latency: {samples: l.csv}\n"
    root = project(tmp_path, config=config)
    if text is not None:
        commit_files(root, {"l.csv": text}, "samples")
    found = evaluate(root)
    assert found.exit_code == 2
    assert found.summary.startswith("l.csv (evaluation.latency.samples): ")
    assert reason in found.summary
    assert len(found.summary.splitlines()) == 1


def test_a_number_of_a_metric_file_must_not_have_the_same_name(tmp_path: Path) -> None:
    root = project(tmp_path, config=CONFIG.replace("  metrics:", "  metrics_files: [m.json]\n  metrics:"))
    commit_files(root, {"m.json": '{"latency_p50": 3}'}, "numbers")
    assert evaluate(root).summary == "m.json: 'latency_p50' is also a metric of evaluation.latency; rename one of them"


def test_a_change_that_stops_measuring_what_a_rule_is_about_closes_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path)
    on_record(root)
    start = CONFIG.index("  latency")
    change(root, mlgate_yaml=CONFIG[:start])
    assert evaluated(root).latency is None
    found = decide(root)
    assert not found.is_open
    assert "latency_p50 is not to be had: the candidate was not measured (evaluation.latency)" in found.headline
    assert {"evaluation.latency", "gate.rules latency_p50 max"} <= {one.name for one in found.changes if one.is_weakening}


@pytest.mark.parametrize(
    ("old", "new", "weakening"),
    [
        ("rounds: 6", "rounds: 5", "evaluation.latency.rounds"),
        ("requests: 40", "requests: 30, batch: 2", "evaluation.latency.batch"),
        ("rounds: 6", "rounds: 7", None),
    ],
)
def test_measuring_less_than_a_rule_was_made_for_is_a_weakening(tmp_path: Path, old: str, new: str, weakening: str | None) -> None:
    root = project(tmp_path)
    on_record(root)
    change(root, mlgate_yaml=CONFIG.replace(old, new))
    evaluated(root)
    found = decide(root)
    names = {one.name for one in found.changes if one.is_weakening}
    assert weakening in names if weakening else not names, names


def test_the_gate_reads_no_times_that_evidence_does_not_vouch_for(tmp_path: Path) -> None:
    root = project(tmp_path)
    taken = evaluated(root).latency
    assert taken is not None
    path = root / ".mlgate/digits" / taken.samples.path
    path.write_text('{"candidate": [[1.0]]}')
    found = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert (found.exit_code, "SHA-256 differs" in found.summary) == (2, True)


@pytest.mark.parametrize(
    "text", ['{"candidate": [[1, NaN]]}', '{"candidate": [[1], [1, 2]]}', '{"candidate": []}', '{"candidate": [[-1]]}']
)
def test_times_that_break_their_schema_are_refused(tmp_path: Path, text: str) -> None:
    root = project(tmp_path)
    evaluated(root)
    evidence_path = root / ".mlgate/digits/evidence/evaluate.json"
    evidence = json.loads(evidence_path.read_text())
    path = root / ".mlgate/digits" / evidence["findings"]["latency"]["samples"]["path"]
    path.write_text(text)
    evidence["findings"]["latency"]["samples"] = json.loads(records.file_ref(path, root / ".mlgate/digits").model_dump_json())
    evidence_path.write_text(json.dumps(evidence))
    found = stages.run("gate", Workspace.open(root, "mlgate.yaml", {}))
    assert (found.exit_code, found.summary.startswith("files/latency.json: not a record this version reads")) == (2, True)


def test_an_mlflow_model_is_asked_by_a_program_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that program reads standard input: the model itself prints, which must not be taken for an answer."""
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)
    pyfunc = pytest.importorskip("mlflow.pyfunc")
    root = project(tmp_path, config=CONFIG.replace(f"predict: {SERVE}", "model: model").replace("requests: 40", "requests: 3"))
    code = tmp_path.parent / f"{tmp_path.name}_model.py"
    code.write_text(
        "import mlflow, pandas\nfrom mlflow.models import set_model\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input: pandas.DataFrame, params=None):\n"
        "        print('predicting')\n        return model_input['a'] > 3\n"
        "set_model(Model())\n"
    )
    pyfunc.save_model(str(root / "model"), python_model=str(code), pip_requirements=[])
    commit_files(root, {}, "model")
    taken = evaluated(root).latency
    assert taken is not None
    assert (taken.program, taken.requests) == ("model", 18)
    (root / "model/MLmodel").unlink()
    assert evaluate(root).summary == ("model (evaluation.latency.model): no MLflow model there; expected a folder with a file MLmodel")


def test_a_forks_job_is_not_believed_about_the_baseline(tmp_path: Path) -> None:
    root = project(tmp_path)
    on_record(root)
    change(root, note_txt="nothing")
    found = evaluated(root)
    workspace = Workspace.open(root, "mlgate.yaml", {})
    ours = latency.read(workspace, found.latency)
    trigger = TriggeringRun(1, 1, "pull_request", "a" * 40, "b", "c/d", "eve", "success", "mlgate", ".github/workflows/mlgate.yml")
    theirs = latency.read(replace(workspace, context=replace(workspace.context, triggering=trigger)), found.latency)
    assert ours is not None
    assert theirs is not None
    assert ours.baseline is not None
    assert (theirs.baseline, theirs.how.baseline_note) == (None, "a fork's job measured it")
    assert theirs.candidate.shape == (6, 40)
