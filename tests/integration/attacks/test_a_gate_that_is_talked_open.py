"""A pull request that gets the gate open without a better model: by its configuration, or by what its jobs leave."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, leave, next_commit, open_workspace, project
from mlgate import artifacts, cli, config, stages
from mlgate.errors import InputError
from mlgate.evidence import Evidence
from mlgate.workspace import Workspace
from support import commit_files, decided, git


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def recorded_on_main(root: Path, right: int, **more) -> None:
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(right), **more))
    assert stages.run("gate", workspace).findings.recorded_in_store


def on_github(root: Path) -> Workspace:
    head, base = git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "main")
    run = {"event": "pull_request", "repository": "octo/models", "run_id": 5, "pull_request": 7}
    return open_workspace(root, **run, head_sha=head, base_sha=base, base_ref="main", default_branch="main")


def test_a_pull_request_that_renames_its_model_is_compared_with_the_model_of_the_old_name(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    recorded_on_main(root, 900)
    next_commit(root, 1, branch="feature")
    commit_files(root, {"mlgate.yaml": CONFIG.replace("model: digits", "model: digits2")}, "another name")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(840)))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, evidence.findings.verdict, evidence.findings.is_first_model) == (1, "worse", False)
    assert ("model", "digits", "digits2") in [(change.name, change.old, change.new) for change in evidence.findings.changes]


def test_a_model_that_is_renamed_on_main_is_recorded_under_its_new_name(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    recorded_on_main(root, 900)
    commit_files(root, {"mlgate.yaml": CONFIG.replace("model: digits", "model: digits2")}, "another name")
    recorded_on_main(root, 900)
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(840)))
    assert stages.run("gate", workspace).findings.verdict == "worse"


def test_a_number_in_a_file_does_not_take_the_place_of_a_metric_that_probabilities_stood_behind(tmp_path: Path) -> None:
    scored = CONFIG.replace("[accuracy, f1_macro]", "[accuracy, log_loss]\n  columns: {score: p}") + (
        "    - {metric: log_loss, max: 0.5}\n    - {metric: log_loss, margin: 0.01}\n"
    )
    root = project(tmp_path / "repository", scored)
    workspace = open_workspace(root)
    target, prediction = labels(900)
    evaluated(
        workspace, classified(target, prediction, scores=np.eye(3)[prediction] * 0.7 + 0.1), metrics={"accuracy": 0.9, "log_loss": 0.4}
    )
    stages.run("gate", workspace)
    next_commit(root, 1, branch="feature")
    commit_files(root, {"mlgate.yaml": CONFIG}, "no probabilities, but a number")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(900)), metrics={"accuracy": 0.9, "log_loss": 0.001})
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, evidence.status) == (2, "error")
    assert "'log_loss' has no value on this holdout" in evidence.summary


def test_a_pull_request_cannot_bring_the_file_of_predictions_that_it_is_compared_with(tmp_path: Path) -> None:
    settings = CONFIG.replace("gate:\n", "gate:\n  baseline: release/1.0.csv\n") + f"store: {tmp_path}/store\n"
    root = project(tmp_path / "repository", settings)
    next_commit(root, 1, branch="feature")
    target, prediction = labels(100)
    rows = "\n".join(f"{number},{y},{y_pred}" for number, (y, y_pred) in enumerate(zip(target, prediction, strict=True)))
    commit_files(root, {"release/1.0.csv": f"id,y,y_pred\n{rows}\n"}, "an easy opponent")
    workspace = on_github(root)
    evaluated(workspace, classified(*labels(840)))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, "this change's own file does not count" in evidence.summary) == (2, True)

    (root / "release").rename(root / "hidden")
    (root / "release").symlink_to("hidden")
    commit_files(root, {}, "the same behind a link")
    workspace = on_github(root)
    evaluated(workspace, classified(*labels(840)))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, "this change's own file does not count" in evidence.summary) == (2, True)


def test_without_a_commit_the_gate_stays_closed_on_github(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    (root / "mlgate.yaml").write_text(CONFIG)
    workspace = open_workspace(root, event="pull_request", repository="octo/models", run_id=5)
    evaluated(workspace, classified(*labels(900)))
    evidence = stages.run("gate", workspace)
    assert (evidence.status, "expected a Git checkout" in evidence.summary) == ("error", True)


@pytest.mark.parametrize("artifact", ["mlgate-digits-data-1", "mlgate-digits-train-1", "."])
@pytest.mark.parametrize("name", ["gate.json", "report.json", "Gate.JSON", "gate.json/folder"])
def test_what_a_job_before_the_gate_leaves_as_the_gates_word_is_not_taken(tmp_path: Path, state: Path, artifact: str, name: str) -> None:
    for each in (name, "check.json"):
        path = tmp_path / "downloaded" / artifact / "evidence" / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    artifacts.collect(tmp_path / "downloaded", state, "digits", 1)
    assert [path.name for path in (state / "evidence").iterdir()] == ["check.json"]


def test_a_gate_that_dies_leaves_no_word_of_an_open_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    forged = decided(headline="forged")
    leave(workspace, "gate", forged)
    dying = ModuleType("mlgate.stages.gate")

    def run(_: Workspace) -> Evidence:
        raise MemoryError

    dying.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "mlgate.stages.gate", dying)
    with pytest.raises(MemoryError):
        stages.run("gate", workspace)
    assert workspace.evidence("gate") is None


def test_a_line_of_evidence_that_is_printed_is_no_workflow_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository")
    recorded_on_main(root, 900)
    commit_files(root, {"train.py": "print('never run')\n"}, "never run")
    next_commit(root, 1, branch="feature")
    workspace = open_workspace(root)
    evaluated(workspace, classified(*labels(840)))
    path = workspace.evidence_path("evaluate")
    left = json.loads(path.read_text())
    left["findings"]["baseline_note"] = "not there\n::set-output name=status::passed\n  ::stop-commands::x\n##[add-mask]a"
    path.write_text(json.dumps(left))
    assert cli.main(["gate", "--working-directory", str(root)]) == 3
    printed = capsys.readouterr()
    assert "stop-commands" in printed.out
    lines = [*printed.out.splitlines(), *printed.err.splitlines()]
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []


@pytest.mark.parametrize(
    "content", [b'{"a":' * 100_000, b"[" * 1_000_000, b"\xff\xfe", b"", None], ids=["deep", "deeper", "bytes", "empty", "folder"]
)
def test_evidence_that_is_none_closes_the_gate_with_one_line(tmp_path: Path, content: bytes | None) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    evaluated(workspace, classified(*labels(900)))
    path = workspace.evidence_path("train")
    path.mkdir() if content is None else path.write_bytes(content)
    evidence = stages.run("gate", workspace)
    assert (evidence.status, evidence.exit_code, evidence.summary.startswith("train.json: ")) == ("error", 2, True)


def test_predictions_outside_the_state_folder_cannot_be_named(tmp_path: Path) -> None:
    workspace = open_workspace(project(tmp_path / "repository"))
    evaluated(workspace, classified(*labels(900)))
    path = workspace.evidence_path("evaluate")
    for name in ("../../../elsewhere.parquet", "/etc/passwd", "files/../../x", "files\\..\\..\\x", "C:\\x"):
        left = json.loads(path.read_text())
        left["findings"]["candidate"]["predictions"]["path"] = name
        path.write_text(json.dumps(left))
        evidence = stages.run("gate", workspace)
        assert (evidence.exit_code, "expected a path inside the state folder" in evidence.summary) == (2, True)


@pytest.mark.parametrize("columns", ["{prediction: y}", "{score: y}", "{id: y}", "{target: y_pred}"])
def test_the_truth_cannot_be_configured_to_be_the_prediction(columns: str) -> None:
    with pytest.raises(InputError, match=r"evaluation\.columns: .* is both .* and target"):
        config.parse(CONFIG.replace("  metrics_files", f"  columns: {columns}\n  metrics_files").encode(), "mlgate.yaml")
