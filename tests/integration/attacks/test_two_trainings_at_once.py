"""Two trainings on one machine at once: what one writes is never kept as the other's. Real processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgate.errors import InfrastructureError
from mlgate.evidence import CommandRun
from mlgate.stages import setup
from mlgate.stages.job import dispatch
from mlgate.stages.training import one_at_a_time, resume, trained
from mlgate.stages.training.trained import Inputs, Training
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = """\
model: %s
train: {command: %s, params: [params.yaml], checkpoints: {path: checkpoints, store: ../place}}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
"""
IGNORED = "/checkpoints\n/eval\n/.mlgate\n"


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "MLGATE_PARAMS", "MLGATE_RESUME", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


def repository(root: Path, command: str) -> Path:
    files = {"mlgate.yaml": CONFIG % ("digits", command), "params.yaml": "lr: 0.1\n", ".gitignore": IGNORED}
    return make_repository(root, files)


def opened(root: Path, config: str = "mlgate.yaml") -> Workspace:
    return Workspace.open(root, config, os.environ)


def mlgate(root: Path, command: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlgate.cli", command], cwd=root, env={**os.environ, **environ}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_a_second_training_in_a_working_directory_is_refused_before_it_changes_anything(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", "touch eval-began; sleep 60")
    first = mlgate(root, "train")
    try:
        deadline = time.monotonic() + 30
        while not (root / "eval-began").exists():
            assert time.monotonic() < deadline
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.02)
        second = mlgate(root, "train", MLGATE_PARAMS="lr=0.5")
        said, _ = second.communicate(timeout=30)
        assert second.returncode == 3
        assert f"another training of 'digits' runs in {root}; wait for its end, or train in a checkout of its own" in said
        assert (root / "params.yaml").read_text() == "lr: 0.1\n"
        (root / ".mlgate" / "digits" / "of the first").touch()
        for command in ("setup", "run"):
            refused = mlgate(root, command).communicate(timeout=30)[0]
            assert f"another training of 'digits' runs in {root}" in refused
        assert (root / ".mlgate" / "digits" / "of the first").exists()
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=30)
        with one_at_a_time.in_working_directory(opened(root)):
            pass  # whoever is killed holds nothing
    finally:
        first.kill()
        first.communicate()


def test_two_models_do_not_share_a_folder_of_checkpoints_while_both_train(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", "python train.py")
    commit_files(root, {"other.yaml": CONFIG % ("letters", "python train.py")}, "another model")
    with resume.checkpoints(opened(root), [], {}) as first:
        (root / "checkpoints" / "model").write_text("of digits")
        refused = pytest.raises(InfrastructureError, match="another training writes its checkpoints there; wait for its end")
        with refused, resume.checkpoints(opened(root, "other.yaml"), [], {}):
            pass
        assert (root / "checkpoints" / "model").read_text() == "of digits"
        first.ended(143, "SIGTERM")
    with resume.checkpoints(opened(root, "other.yaml"), [], {}) as second:
        assert not (root / "checkpoints" / "model").exists()
        second.ended(1)


def test_nodes_that_train_together_may_share_a_working_directory(tmp_path: Path) -> None:
    workspace = opened(repository(tmp_path / "r", "python train.py"))
    with one_at_a_time.in_working_directory(workspace, 0), one_at_a_time.in_working_directory(workspace, 1):
        pass


def test_a_report_names_the_revision_whose_data_it_was(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", "echo trained")
    commit_files(root, {"data.csv.dvc": "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: data.csv\n"}, "A")
    git(root, "tag", "A")
    workspace = opened(root)
    setup.run(workspace, {"MLGATE_DATA_REV": "A"})
    noted = dispatch.noted_data_revision(workspace)
    assert noted == f"A ({git(root, 'rev-parse', 'A')[:12]})"
    training = Training(run=CommandRun(command="true", exit_code=0, duration_s=1))
    assert trained.result(workspace, Inputs([], {}, [], noted), training, None).summary.endswith(f"; with the data of {noted}")
    setup.run(workspace, {})
    assert dispatch.noted_data_revision(workspace) is None
