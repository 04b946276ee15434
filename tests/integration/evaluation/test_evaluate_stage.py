"""evaluate as a stage: what it writes, what it carries along, when it stands back, and how it ends for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from integration.evaluation.dvc_projects import copy_project, dvc, make_project
from mlgate import evidence as records
from mlgate import stages
from mlgate.evaluation import predictions
from mlgate.evidence import CommandRun, EvaluateFindings, Evidence, MlflowRun, TrainFindings
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC

CONFIG = """\
model: digits
train: {command: "true"}
evaluation:
  task: classification
  predictions: p.csv
  metrics: [accuracy, f1_macro]
"""
GOOD = "id,y,y_pred,writer\n1,a,a,x\n2,b,b,x\n3,a,b,y\n4,b,b,y\n"


def evaluate(root: Path, environ: dict[str, str] | None = None) -> Evidence[Any]:
    workspace = Workspace.open(root, "mlgate.yaml", environ or {})
    found = stages.run("evaluate", workspace)
    assert records.load(workspace.evidence_path("evaluate"), "evaluate") == found
    assert "\n" not in found.summary
    return found


def findings_of(found: Evidence[Any]) -> EvaluateFindings:
    assert isinstance(found.findings, EvaluateFindings), found.summary
    return found.findings


def trained(root: Path, status: str = "passed", mlflow: MlflowRun | None = None, ago_s: float = 0) -> None:
    """Evidence of a training that has just been."""
    workspace = Workspace.open(root, "mlgate.yaml", {})
    workspace.prepare_state()
    run = CommandRun(command="true", exit_code=0, duration_s=1)
    found = TrainFindings(run=run, params={}, lock_sha256=None, pipeline=[], is_reused=False, mlflow=mlflow)
    records.write(
        Evidence[Any](
            mlgate_version="0",
            stage="train",
            model=workspace.config.model,
            status=status,  # type: ignore[arg-type]
            summary="trained",
            subject=workspace.subject([]),
            started_at=records.now() - timedelta(seconds=ago_s),
            duration_s=1,
            findings=found,
            exit_code=0,
        ),
        workspace.evidence_path("train"),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "r", {"mlgate.yaml": CONFIG, "p.csv": GOOD})


def test_without_training_evidence_it_evaluates_what_the_users_own_steps_made(project: Path) -> None:
    found = evaluate(project)
    assert (found.status, found.exit_code) == ("passed", 0)
    assert found.summary == "accuracy 0.750, f1_macro 0.733 on 4 examples"
    model = findings_of(found).candidate
    assert (model.n, model.classes, model.commit) == (4, ["a", "b"], git(project, "rev-parse", "HEAD"))
    assert model.inputs_sha256 is not None
    path = records.checked_file(model.predictions, project / ".mlgate" / "digits")
    assert predictions.read(path, model.task, model.classes).prediction_labels.tolist() == ["a", "b", "b", "b"]
    assert found.files == [model.predictions]


def test_outside_git_it_evaluates_too(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(CONFIG)
    (tmp_path / "p.csv").write_text(GOOD)
    found = evaluate(tmp_path)
    model = findings_of(found).candidate
    assert (found.status, model.commit, model.inputs_sha256) == ("passed", None, None)


def test_the_fingerprint_is_left_out_where_the_sources_are_not_the_commit_s(project: Path) -> None:
    (project / "p.csv").write_text(GOOD.replace("3,a,b", "3,a,a"))
    assert findings_of(evaluate(project)).candidate.inputs_sha256 is not None
    commit_files(project, {"train.py": "a"}, "code")
    (project / "train.py").write_text("b")
    assert findings_of(evaluate(project)).candidate.inputs_sha256 is None


@pytest.mark.parametrize(("status", "said"), [("failed", "did not pass"), ("error", "did not pass"), ("skipped", "was skipped")])
def test_nothing_is_evaluated_after_a_training_that_failed(project: Path, status: str, said: str) -> None:
    trained(project, status)
    found = evaluate(project)
    assert (found.status, found.exit_code, found.findings) == ("skipped", 0, None)
    assert found.summary == f"not evaluated: 'train' {said}"


def test_predictions_from_before_the_training_are_another_model_s(project: Path) -> None:
    git(project, "rm", "--quiet", "--cached", "p.csv")
    git(project, "commit", "--quiet", "-m", "untracked")
    os.utime(project / "p.csv", (1_000_000_000, 1_000_000_000))
    trained(project)
    found = evaluate(project)
    assert (found.status, found.exit_code) == ("error", 2)
    assert found.summary == (
        "p.csv: written before training began, so it is left over from an earlier run; does the training command write it?"
    )
    (project / "p.csv").touch()
    assert evaluate(project).status == "passed"


def test_predictions_in_git_that_training_did_not_write_are_said(project: Path) -> None:
    os.utime(project / "p.csv", (1_000_000_000, 1_000_000_000))
    trained(project)
    assert findings_of(evaluate(project)).warnings == ["p.csv is in Git and was not written by the training command"]


@pytest.mark.parametrize(
    ("config", "files", "said"),
    [
        (CONFIG, {"p.csv": None}, "p.csv: no such file; does the training command write it?"),
        (CONFIG, {"p.csv": "id,y,y_pred\n"}, "p.csv: no predictions in it; expected one row an example"),
        (
            CONFIG,
            {"p.csv": "id,y,y_pred\n1,a,a\n1,a,a\n"},
            "p.csv: column 'id': rows 0, 1 (from 0): 1 id occurs more than once; expected one row an example",
        ),
        (CONFIG, {"p.csv": "id,y,y_pred\n1,a,\n"}, "p.csv: column 'y_pred': row 0 (from 0): 1 missing; expected a value in every row"),
        (
            CONFIG + "  metrics_files: [m.json]\n",
            {},
            "m.json: no such file (evaluation.metrics_files); does the training command write it?",
        ),
        (CONFIG + "  metrics_files: [m.json]\n", {"m.json": '{"a": NaN}'}, "m.json: 'a' is not a finite number; expected one"),
        (
            CONFIG + "  metrics_files: [m.json]\ngate: {rules: [{metric: latncy, max: 3}]}\n",
            {"m.json": '{"latency": 3}'},
            "mlgate.yaml: gate.rules[0].metric: no metric 'latncy' in evaluation; did you mean 'latency'?",
        ),
        (CONFIG.replace("f1_macro", "own.py:cost"), {}, "evaluation.metrics: own.py:cost: no such file"),
    ],
)
def test_a_mistake_ends_it_with_exit_2_and_one_line(project: Path, config: str, files: dict[str, str | None], said: str) -> None:
    (project / "mlgate.yaml").write_text(config)
    for name, text in files.items():
        (project / name).unlink(missing_ok=True)
        if text is not None:
            (project / name).write_text(text)
    found = evaluate(project)
    assert (found.status, found.exit_code, found.summary) == ("error", 2, said)


def test_slices_and_own_metrics_and_files_come_together(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)
    (project / "own.py").write_text("def hits(t, p): return [float(a == b) for a, b in zip(t, p)]\n")
    (project / "m.yaml").write_text("latency: {p95: 12}\nnote: fast\n")
    (project / "mlgate.yaml").write_text(CONFIG.replace("f1_macro", "own.py:hits") + "  slices: [writer]\n  metrics_files: [m.yaml]\n")
    found = findings_of(evaluate(project))
    assert [(metric.name, metric.value, metric.source) for metric in found.candidate.metrics] == [
        ("accuracy", 0.75, "predictions"),
        ("hits", 0.75, "user"),
        ("latency.p95", 12, "file"),
    ]
    assert [part.metrics for part in found.candidate.slices] == [{"accuracy": 1.0, "hits": 1.0}, {"accuracy": 0.5, "hits": 0.5}]
    assert found.warnings == ["m.yaml: no numbers, left out: note"]
    kept = predictions.read(project / ".mlgate" / "digits" / found.candidate.predictions.path, "classification")
    assert kept.values["hits"].tolist() == [1, 1, 0, 1]


def test_labels_written_in_two_ways_are_said(project: Path) -> None:
    (project / "p.csv").write_text("id,y,y_pred\n1,three,3\n2,four,4\n")
    assert findings_of(evaluate(project)).warnings == ["no predicted class is among the true ones; are both columns labelled alike?"]


def test_the_baseline_of_a_branch_is_carried_along(tmp_path: Path) -> None:
    root = copy_project(make_project(tmp_path / "made"), tmp_path / "copy")
    base = git(root, "rev-parse", "HEAD")
    git(root, "switch", "--quiet", "--create", "better")
    (root / "params.yaml").write_text('{"wrong": 0}')
    dvc(root, "repro", "--quiet")
    git(root, "commit", "--quiet", "--all", "-m", "better")
    found = evaluate(root)
    carried = findings_of(found).baseline
    assert carried is not None, findings_of(found).baseline_note
    assert (carried.source, carried.model.commit) == ("dvc outputs", base)
    assert carried.model.holdout_sha256 == findings_of(found).candidate.holdout_sha256
    state = root / ".mlgate" / "digits"
    assert carried.model.predictions in found.files
    candidate, baseline = (
        predictions.read(records.checked_file(model.predictions, state), "classification", model.classes)
        for model in (findings_of(found).candidate, carried.model)
    )
    pairing = predictions.pair(candidate, baseline)
    assert (pairing.shared_examples, pairing.shared_share) == (60, 1)
    assert int((pairing.candidate.prediction != pairing.baseline.prediction).sum()) == 1


def test_after_training_on_a_runner_the_pipeline_s_own_outputs_do_not_count_as_changes(tmp_path: Path) -> None:
    root = copy_project(make_project(tmp_path / "made"), tmp_path / "copy")
    commit_files(root, {"params.yaml": '{"wrong": 3}'}, "the lock comes later")
    dvc(root, "repro", "--quiet")
    assert git(root, "status", "--porcelain", "--untracked-files=no")
    assert findings_of(evaluate(root)).candidate.inputs_sha256 is not None


# --- MLflow ----------------------------------------------------------------------------------------------------------


def mlflow(program: str, uri: str) -> str:
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_TRACKING_URI": uri}
    program = f"from mlflow import MlflowClient\nclient = MlflowClient()\n{program}"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_training_s_run_gets_the_metrics_and_the_evidence(project: Path) -> None:
    uri = f"sqlite:///{project}/runs.db"
    config = f"{CONFIG}mlflow: {{tracking_uri: '{uri}'}}\n"
    commit_files(project, {"mlgate.yaml": config, ".gitignore": "runs.db\nartifacts\n"}, "mlflow")
    artifacts = (project / "artifacts").as_uri()
    run_id = mlflow(f"print(client.create_run(client.create_experiment('e', artifact_location='{artifacts}')).info.run_id)", uri)
    trained(project, mlflow=MlflowRun(tracking_uri=uri, experiment="e", run_id=run_id, url=None), ago_s=5)
    (project / "p.csv").touch()
    found = evaluate(project)
    assert (found.status, findings_of(found).warnings) == ("passed", [])
    said = json.loads(
        mlflow(
            "import json\n"
            f"run = client.get_run('{run_id}')\n"
            f"files = [f.path for f in client.list_artifacts('{run_id}', 'evaluation')]\n"
            "print(json.dumps([run.data.metrics, files]))",
            uri,
        )
    )
    assert said[0] == pytest.approx({"accuracy": 0.75, "f1_macro": 0.7333333})
    assert sorted(said[1]) == ["evaluation/predictions.parquet", "evaluation/train.json"]


def test_a_tracking_server_the_user_asked_for_and_that_is_gone_is_exit_3(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://127.0.0.1:9"
    commit_files(project, {"mlgate.yaml": f"{CONFIG}mlflow: {{tracking_uri: '{uri}'}}\n"}, "mlflow")
    trained(project, mlflow=MlflowRun(tracking_uri=uri, experiment="e", run_id="0" * 32, url=None), ago_s=5)
    (project / "p.csv").touch()
    found = evaluate(project)
    assert (found.status, found.exit_code) == ("error", 3)
    assert "MLflow" in found.summary
