"""train: only validated data, nothing twice, everything recorded. Real Git, DVC and MLflow on SQLite."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgate import evidence as records
from mlgate import stages
from mlgate.data.identity import identify
from mlgate.evidence import Evidence, TrainFindings, ValidationFindings
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC

CONFIG = """\
model: digits
data:
  contracts: [{data: train.csv, schema: contract.yaml}]
train:
  command: %s
  timeout: %s
  params: [params.yaml]
evaluation: {task: classification, predictions: predictions.csv, metrics: [accuracy]}
"""
PIPELINE = """\
stages:
  train:
    cmd: cat params.yaml train.csv > predictions.csv
    deps: [train.csv]
    params: [lr]
    outs: [predictions.csv]
"""
DVC = str(Path(sys.executable).parent / "dvc")


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "MLGATE_PARAMS", "MLFLOW_TRACKING_URI", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


def project(root: Path, command: str, timeout: str = "1m", **files: str) -> Path:
    """A repository whose data Git tracks."""
    config = CONFIG % (command, timeout)
    return make_repository(root, {"mlgate.yaml": config, "params.yaml": "lr: 0.1\nname: base\n", "train.csv": "a\n1\n", **files})


def opened(root: Path) -> Workspace:
    return Workspace.open(root, "mlgate.yaml", os.environ)


def validate(root: Path, status: records.Status = "passed", exit_code: int = 0) -> None:
    """Leave the evidence that `validate-data` leaves."""
    workspace = opened(root)
    reference = identify(root, "train.csv")
    evidence = Evidence[ValidationFindings](
        mlgate_version="0",
        stage="validate-data",
        model="digits",
        status=status,
        summary="train.csv breaks its contract" if exit_code else "fine",
        subject=workspace.subject([reference]),
        started_at=records.now(),
        duration_s=0.1,
        findings=ValidationFindings(contracts=[], validated=[reference]),
        exit_code=exit_code,  # type: ignore[arg-type]
    )
    workspace.prepare_state()
    records.write(evidence, workspace.evidence_path("validate-data"))


def train(root: Path) -> Evidence[TrainFindings]:
    return stages.run("train", opened(root))


def found(evidence: Evidence[TrainFindings]) -> TrainFindings:
    assert evidence.findings is not None, evidence.summary
    return evidence.findings


def run_row(root: Path, run_id: str) -> dict[str, str]:
    """Status, parameters, metrics and tags of a run, as MLflow's database has them."""
    with sqlite3.connect(root / ".mlgate" / "mlflow" / "mlflow.db") as database:
        row = dict(database.execute("select key, value from params where run_uuid = ?", [run_id]))
        row |= {key: str(value) for key, value in database.execute("select key, value from metrics where run_uuid = ?", [run_id])}
        row |= dict(database.execute("select key, value from tags where run_uuid = ?", [run_id]))
        ((row["status"],),) = database.execute("select status from runs where run_uuid = ?", [run_id])
    database.close()
    return row


class TestTraining:
    def test_a_run_is_recorded_with_all_that_identifies_it(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        root = project(tmp_path, "echo epoch 1; cp train.csv predictions.csv")
        validate(root)
        evidence = train(root)
        findings = found(evidence)
        assert (evidence.status, evidence.exit_code) == ("passed", 0), evidence.summary
        assert evidence.summary.startswith("trained in ")
        assert "epoch 1\n" in capfd.readouterr().out
        assert (root / ".mlgate" / "digits" / "files" / "train" / "train.log").read_text() == "epoch 1\n"
        assert findings.params == {"lr": "0.1", "name": "base"}
        assert (findings.run.exit_code, findings.pipeline, findings.is_reused) == (0, [], False)
        assert findings.mlflow is not None
        row = run_row(root, findings.mlflow.run_id)
        assert (row["status"], row["lr"], row["train.exit_code"]) == ("FINISHED", "0.1", "0.0")
        assert row["mlflow.source.git.commit"] == git(root, "rev-parse", "HEAD")
        assert row["data.train.csv"] == identify(root, "train.csv").hash
        kept = {path.name for path in (root / ".mlgate" / "mlflow" / "artifacts").rglob("*") if path.is_file()}
        assert kept == {"validate-data.json", "train.log", "params.yaml", "mlgate.yaml"}
        assert git(root, "status", "--porcelain") == "?? predictions.csv"

    def test_a_failing_command_fails_the_stage_and_its_run(self, tmp_path: Path) -> None:
        root = project(tmp_path, "\"echo 'ValueError: no such column'; exit 3\"")
        validate(root)
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("failed", 1)
        assert evidence.summary.endswith("failed (exit 3): ValueError: no such column")
        findings = found(evidence)
        assert findings.mlflow is not None
        row = run_row(root, findings.mlflow.run_id)
        assert (row["status"], row["train.exit_code"]) == ("FAILED", "3.0")

    def test_a_command_that_takes_too_long_fails_the_stage(self, tmp_path: Path) -> None:
        root = project(tmp_path, "\"echo 'epoch 1'; sleep 600\"", timeout="1s")
        validate(root)
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("failed", 1)
        assert evidence.summary.endswith("took longer than 1 s and was ended: epoch 1")
        assert found(evidence).run.is_timed_out

    def test_an_interrupted_training_ends_with_its_processes_and_its_run(self, tmp_path: Path) -> None:
        root = project(tmp_path, "echo $$ > pid; sleep 600")
        validate(root)
        program = (
            "from pathlib import Path; from mlgate import stages; from mlgate.workspace import Workspace; import os; "
            "print(stages.run('train', Workspace.open(Path('.'), 'mlgate.yaml', os.environ)).summary)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as ours:
            deadline = time.monotonic() + 30
            while not (root / "pid").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            ours.send_signal(signal.SIGTERM)
            said, _ = ours.communicate(timeout=60)
        assert "interrupted by SIGTERM: 'echo $$ > pid; sleep 600' was ended" in said
        evidence = records.load(root / ".mlgate" / "digits" / "evidence" / "train.json", "train")
        assert (evidence.status, evidence.exit_code) == ("error", 3)
        assert not Path(f"/proc/{(root / 'pid').read_text().strip()}").exists()
        with sqlite3.connect(root / ".mlgate" / "mlflow" / "mlflow.db") as database:
            assert list(database.execute("select status from runs")) == [("KILLED",)]
        database.close()


class TestValidatedData:
    def refused(self, root: Path) -> str:
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("error", 2)
        assert not (root / "trained").exists()
        assert not (root / ".mlgate" / "mlflow").exists()
        return evidence.summary

    def test_without_validation_nothing_is_trained(self, tmp_path: Path) -> None:
        assert "run 'mlgate validate-data' first" in self.refused(project(tmp_path, "touch trained"))

    def test_after_a_broken_contract_nothing_is_trained(self, tmp_path: Path) -> None:
        root = project(tmp_path, "touch trained")
        validate(root, "failed", 1)
        assert "'validate-data' did not pass (failed), so nothing is trained: train.csv breaks" in self.refused(root)

    def test_data_that_changed_since_is_refused_by_name(self, tmp_path: Path) -> None:
        root = project(tmp_path, "touch trained")
        validate(root)
        (root / "train.csv").write_text("a\n2\n")
        assert "data is not what was validated: train.csv changed (md5:" in self.refused(root)

    def test_data_that_is_gone_is_refused_by_name(self, tmp_path: Path) -> None:
        root = project(tmp_path, "touch trained")
        validate(root)
        (root / "train.csv").unlink()
        assert "train.csv" in self.refused(root)

    def test_a_command_that_changes_validated_data_fails(self, tmp_path: Path) -> None:
        root = project(tmp_path, "echo 3 >> train.csv")
        validate(root)
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("failed", 1)
        assert "the training command changed validated data: train.csv changed" in evidence.summary

    def test_prepared_data_is_made_again_on_another_machine(self, tmp_path: Path) -> None:
        root = project(tmp_path, "cp train.csv predictions.csv")
        git(root, "rm", "-q", "train.csv")
        config = (CONFIG % ("cp train.csv predictions.csv", "1m")).replace("data:\n", "data:\n  prepare: cp raw.csv train.csv\n")
        commit_files(root, {"mlgate.yaml": config, "raw.csv": "a\n1\n", ".gitignore": "train.csv\npredictions.csv\n"}, "prepare")
        shutil.copy(root / "raw.csv", root / "train.csv")
        validate(root)
        (root / "train.csv").unlink()
        assert train(root).status == "passed"
        (root / "train.csv").unlink()
        (root / "raw.csv").write_text("a\n2\n")
        assert "makes other data here than where it was validated" in train(root).summary


class TestNothingTwice:
    @pytest.fixture
    def first(self, tmp_path: Path) -> Path:
        root = make_repository(
            tmp_path / "first", {"mlgate.yaml": CONFIG % ("dvc repro", "1m"), "params.yaml": "lr: 0.1\nname: base\n", "dvc.yaml": PIPELINE}
        )
        subprocess.run([DVC, "init", "-q"], cwd=root, check=True)
        (root / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = ../../remote\n")
        (root / "train.csv").write_text("a\n1\n")
        subprocess.run([DVC, "add", "-q", "train.csv"], cwd=root, check=True)
        subprocess.run([DVC, "push", "-q"], cwd=root, check=True)
        commit_files(root, {}, "data")
        validate(root)
        return root

    def test_a_second_machine_with_the_same_inputs_trains_nothing_and_says_so(self, first: Path, tmp_path: Path) -> None:
        evidence = train(first)
        assert evidence.summary.startswith("trained in "), evidence.summary
        assert [(stage.name, stage.is_reused) for stage in found(evidence).pipeline] == [("train", False)]
        git(tmp_path, "clone", "-q", "first", "second")
        second = tmp_path / "second"
        shutil.copytree(first / ".mlgate" / "digits" / "evidence", second / ".mlgate" / "digits" / "evidence")  # as an artifact brings it
        again = train(second)  # the data is not here: it is pulled and compared with what was validated
        assert again.summary.startswith("nothing had to be trained: 1 pipeline stage reused from an earlier run"), again.summary
        findings = found(again)
        assert (findings.is_reused, findings.lock_sha256) == (True, found(evidence).lock_sha256)
        assert (second / "predictions.csv").read_bytes() == (first / "predictions.csv").read_bytes()
        assert findings.mlflow is not None
        assert run_row(second, findings.mlflow.run_id)["mlgate.is_reused"] == "true"

    def test_a_form_changes_parameters_and_nothing_else(self, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLGATE_PARAMS", "lr=0.5\nname=other")
        evidence = train(first)
        assert evidence.status == "passed", evidence.summary
        assert "with lr = 0.5 in params.yaml (MLGATE_PARAMS)" in evidence.summary
        assert found(evidence).params == {"lr": "0.5", "name": "other"}
        assert (first / "predictions.csv").read_text() == "lr: 0.5\nname: other\na\n1\n"

    @pytest.mark.parametrize("value", ["$(touch trained)", "`touch trained`", "x; touch trained", "'; touch trained; '", '"a\\nb"'])
    def test_a_form_cannot_reach_a_shell(self, value: str, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLGATE_PARAMS", f"name={value}")
        evidence = train(first)
        assert (evidence.status, evidence.exit_code) == ("error", 2)
        assert (first / "params.yaml").read_text() == "lr: 0.1\nname: base\n"
        assert not (first / "trained").exists()

    def test_a_remote_that_may_only_be_read_is_a_remark(self, first: Path, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "remote")
        (tmp_path / "remote").write_text("")  # nothing can be written below a file
        evidence = train(first)
        assert (evidence.status, evidence.exit_code) == ("passed", 0), evidence.summary
        assert "DVC's run cache could not be kept on the remote" in evidence.summary
        assert [remark.level for remark in evidence.annotations if "could not be kept" in remark.message] == ["warning"]


class TestMlflow:
    def test_a_server_that_cannot_be_reached_ends_the_stage_before_training(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = project(tmp_path, "touch trained")
        validate(root)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:s3cr3t@127.0.0.1:{free.getsockname()[1]}")
        began = time.monotonic()
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("error", 3)
        assert time.monotonic() - began < 10
        assert "MLFLOW_TRACKING_URI: the MLflow server http://127.0.0.1:" in evidence.summary
        assert "s3cr3t" not in evidence.model_dump_json()
        assert not (root / "trained").exists()

    def test_a_place_for_runs_that_fails_does_not_lose_the_training(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        root = project(tmp_path, "touch trained")
        validate(root)
        (root / "file").write_text("")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///file/below/mlflow.db")
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("error", 3)
        assert evidence.summary.startswith("trained in ")
        assert "MLflow did not take the run" in evidence.summary
        assert found(evidence).run.exit_code == 0
        assert (root / "trained").exists()

    def test_our_own_place_for_runs_that_fails_is_only_a_remark(self, tmp_path: Path) -> None:
        root = project(tmp_path, "touch trained")
        validate(root)
        (root / ".mlgate" / "mlflow").write_text("")
        evidence = train(root)
        assert (evidence.status, evidence.exit_code) == ("passed", 0)
        assert "MLflow did not take the run" in evidence.summary
        assert found(evidence).mlflow is None
