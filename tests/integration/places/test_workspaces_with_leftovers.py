"""A self-hosted runner's workspace keeps what earlier runs left; none of it passes for this run's."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from integration.gate.gate_runs import leave
from mlgate import stages
from mlgate.evidence import CommandRun, Evidence, PipelineStage, TrainFindings
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

PREDICTIONS = "id,y,y_pred\n1,0,0\n2,1,1\n"
NO_TRAINING = MINIMAL_CONFIG.replace("train: {command: python train.py}\n", "")
AN_HOUR_S = 3600
LEFT = "eval/predictions.csv: written before {}, so it is left over from an earlier run"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A commit, and untracked predictions of an hour ago."""
    repository = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG, ".gitignore": "eval/\n"})
    write(repository / "eval/predictions.csv")
    age(repository / "eval/predictions.csv")
    return repository


def write(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(PREDICTIONS)


def age(path: Path) -> None:
    os.utime(path, (time.time() - AN_HOUR_S,) * 2)


def trained(workspace: Workspace, *, pipeline: bool) -> None:
    run = CommandRun(command="x", exit_code=0, duration_s=1)
    ran = [PipelineStage(name="train", is_reused=True)] if pipeline else []
    findings = TrainFindings(run=run, params={}, lock_sha256=None, pipeline=ran, is_reused=pipeline, mlflow=None)
    leave(workspace, "train", findings)


def evaluated(root: Path, **environ: str) -> Evidence[object]:
    workspace = Workspace.open(root, "mlgate.yaml", environ)
    return stages.run("evaluate", workspace)


class TestAfterTraining:
    def test_predictions_of_an_earlier_commit_are_refused(self, root: Path) -> None:
        trained(Workspace.open(root, "mlgate.yaml", {}), pipeline=False)
        found = evaluated(root)
        assert found.exit_code == 2
        assert found.summary == f"{LEFT.format('training began')}; does the training command write it?"

    def test_so_are_those_that_a_pipeline_does_not_know_of(self, root: Path) -> None:
        """DVC trains nothing anew and writes nothing; what lies there is of whoever ran here before."""
        commit_files(root, {"dvc.yaml": "stages:\n  train:\n    cmd: x\n    outs: [model.pkl]\n"}, "pipeline")
        trained(Workspace.open(root, "mlgate.yaml", {}), pipeline=True)
        assert "name it among the outputs of the pipeline" in evaluated(root).summary

    @pytest.mark.parametrize("outs", ["outs: [eval/predictions.csv]", "outs: [eval]", "metrics: [eval/predictions.csv: {cache: false}]"])
    def test_what_the_pipeline_makes_may_be_old(self, root: Path, outs: str) -> None:
        commit_files(root, {"dvc.yaml": f"stages:\n  train:\n    cmd: x\n    {outs}\n"}, "pipeline")
        trained(Workspace.open(root, "mlgate.yaml", {}), pipeline=True)
        assert evaluated(root).status == "passed"

    def test_a_metric_file_is_no_better(self, root: Path) -> None:
        commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG + "  metrics_files: [eval/speed.json]\n"}, "speed")
        (root / "eval/speed.json").write_text('{"latency": 1}')
        age(root / "eval/speed.json")
        trained(Workspace.open(root, "mlgate.yaml", {}), pipeline=False)
        write(root / "eval/predictions.csv")
        assert evaluated(root).summary.startswith("eval/speed.json: written before training began")


class TestWithTheRootActionAlone:
    """There is no training of ours: what counts is when the runner took up the job."""

    def environ(self, root: Path, monkeypatch: pytest.MonkeyPatch, name: str = "push") -> dict[str, str]:
        event = root.parent / "event.json"
        event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_RUN_ID": "1",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_EVENT_PATH": str(event),
        }
        for key, value in given.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("MLGATE_STORE_URL", str(root.parent / "store.git"))
        git(root.parent, "init", "--quiet", "--bare", "store.git")
        return given

    def test_predictions_older_than_the_job_are_refused(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        commit_files(root, {"mlgate.yaml": NO_TRAINING}, "no training of ours")
        found = evaluated(root, **self.environ(root, monkeypatch))
        assert found.exit_code == 2
        assert found.summary == f"{LEFT.format('this job began')}; does a step of this job write it?"

    def test_so_are_they_where_the_configuration_names_a_training_that_this_job_did_not_run(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert evaluated(root, **self.environ(root, monkeypatch)).summary.endswith("does a step of this job write it?")

    def test_those_the_job_wrote_are_taken(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        commit_files(root, {"mlgate.yaml": NO_TRAINING}, "no training of ours")
        given = self.environ(root, monkeypatch)
        write(root / "eval/predictions.csv")
        assert evaluated(root, **given).status == "passed"

    def test_those_in_git_or_dvc_are_taken(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        commit_files(root, {"mlgate.yaml": NO_TRAINING, "eval.dvc": "outs: [{md5: a, path: eval}]"}, "no training of ours")
        assert evaluated(root, **self.environ(root, monkeypatch)).status == "passed"

    def test_on_a_laptop_they_are_ones_own(self, root: Path) -> None:
        commit_files(root, {"mlgate.yaml": NO_TRAINING}, "no training of ours")
        assert evaluated(root).status == "passed"
