"""Folders with blanks and letters of any alphabet, and checkouts as Windows makes them: the same verdict, the same fingerprints."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from mlgate.context import RunContext
from mlgate.evidence import Evidence, load
from mlgate.stages.monorepo import changed
from mlgate.stages.revisions import changes, lineage
from mlgate.training import params
from mlgate.workspace import Workspace
from support import git, make_repository

TRAIN = """\
import pathlib
errors = int(pathlib.Path("params.yaml").read_text().split(":")[1])
rows = [f"{n},{n % 2},{n % 2 if n >= errors else 1 - n % 2},{'Süd Ost' if n % 4 < 2 else 'нет'}" for n in range(400)]
pathlib.Path("vorher sagen").mkdir(exist_ok=True)
pathlib.Path("vorher sagen/Prüfung 1.csv").write_text("id,y,y_pred,Ort\\n" + "\\n".join(rows) + "\\n")
"""
FILES = {
    "mlgate.yaml": """\
model: odd
data: {contracts: [{data: Daten/тест 1.csv, schema: Verträge/eins.yaml}]}
train: {command: python train.py, params: [params.yaml]}
evaluation:
  task: classification
  predictions: vorher sagen/Prüfung 1.csv
  metrics: [accuracy]
  slices: [Ort]
gate: {rules: [{metric: accuracy, min: 0.5}, {metric: accuracy, margin: 0.02}]}
""",
    "train.py": TRAIN,
    "params.yaml": "errors: 20\n",
    "Daten/тест 1.csv": "größe\n1\n2\n",
    "Verträge/eins.yaml": "columns:\n  größe: {dtype: int64, checks: {greater_than: 0}}\n",
    ".gitignore": "vorher sagen/\n",
}


ODD = ("a  b/größe/модель 1", unicodedata.normalize("NFD", "é è"), " lead and trail ", 'quo\'te "and" $(x) & ;', "new\nline\ttab")


def place(tmp_path: Path, name: str) -> Path:
    """A model's folder in a repository, once committed; the way to it is as odd as its name."""
    repository = tmp_path / "über all"
    make_repository(repository, {f"{name}/{file}": text for file, text in FILES.items()})
    return repository / name


def test_the_whole_way_works_in_an_odd_folder(tmp_path: Path) -> None:
    root = place(tmp_path, "/".join(ODD[:4]))
    git(root, "branch", "feature")
    mlgate(root, "run")
    git(root, "checkout", "--quiet", "feature")
    (root / "params.yaml").write_text("errors: 10\n")
    git(root, "commit", "--quiet", "-am", "better")
    mlgate(root, "run", "check", "pull-data", "validate-data", "train", "evaluate", "gate")

    gate = evidence(root, "gate")
    assert gate.findings.baseline.source == "store"
    assert {row.value for row in gate.findings.slices} == {"Süd Ost", "нет"}
    assert [change.name for change in gate.findings.changes] == ["errors"]
    assert evidence(root, "validate-data").status == "passed"


@pytest.mark.parametrize("name", ODD)
def test_a_model_is_found_and_told_apart_in_any_folder(tmp_path: Path, name: str) -> None:
    root = place(tmp_path, name)
    top = root.parents[len(Path(name).parts) - 1]
    make_repository(top, {"other/mlgate.yaml": FILES["mlgate.yaml"].replace("odd", "other")})
    git(top, "checkout", "--quiet", "-b", "feature")
    (root / "train.py").write_text("1")
    git(top, "commit", "--quiet", "-am", "change")

    [model] = changed.run(top, "mlgate.yaml", RunContext()).changed
    assert (model.name, model.working_directory) == ("odd", name)
    workspace = Workspace.open(root, "mlgate.yaml", {})
    assert workspace.commit is not None
    assert lineage.inputs_sha256(workspace, "HEAD~1") != lineage.inputs_sha256(workspace, workspace.commit)
    assert [change.name for change in changes.changes(workspace, git(top, "rev-parse", "HEAD~1"))] == ["train.py"]
    assert not workspace.is_dirty


def test_a_file_whose_name_is_composed_otherwise_is_said_to_be(tmp_path: Path) -> None:
    """As macOS writes names, and as editors do: alike to the eye, and not to the system."""
    name = "Prüfung.csv"
    config = FILES["mlgate.yaml"].replace("vorher sagen/Prüfung 1.csv", name).replace("python train.py", "exit 0")
    root = make_repository(tmp_path / "r", {**FILES, "mlgate.yaml": config})
    (root / unicodedata.normalize("NFD", name)).write_text("id,y,y_pred,Ort\n1,1,1,x\n")
    finished = run(root, "evaluate")

    assert finished.returncode == 2
    assert "composed otherwise" in finished.stdout + finished.stderr


@pytest.fixture
def windows(tmp_path: Path) -> tuple[Path, Path]:
    """One repository, checked out as on Linux and as on Windows with core.autocrlf."""
    root = make_repository(tmp_path / "linux", FILES)
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", str(root), "windows")
    other = tmp_path / "windows"
    assert b"\r\n" in (other / "mlgate.yaml").read_bytes()
    return root, other


class TestWindowsLineEndings:
    def test_configuration_and_inputs_are_the_same(self, windows: tuple[Path, Path]) -> None:
        one, other = (Workspace.open(root, "mlgate.yaml", {}) for root in windows)
        assert one.config == other.config
        assert one.config_sha256 == other.config_sha256
        assert one.commit is not None
        assert lineage.inputs_sha256(one, one.commit) == lineage.inputs_sha256(other, one.commit)

    def test_contract_parameters_and_evaluation_are_the_same(self, windows: tuple[Path, Path]) -> None:
        for root in windows:
            subprocess.run([sys.executable, "train.py"], cwd=root, check=True)
            mlgate(root, "run", "validate-data", "evaluate")
        one, other = (evidence(root, "evaluate").findings.candidate for root in windows)
        assert one.holdout_sha256 == other.holdout_sha256
        assert one.metrics == other.metrics
        one, other = (params.read(root, ["params.yaml"]) for root in windows)
        assert one == other
        one, other = (evidence(root, "validate-data").findings.contracts[0] for root in windows)
        assert (one.is_passed, one.rows, one.columns) == (other.is_passed, other.rows, other.columns)

    def test_the_checkout_is_not_taken_for_changed(self, windows: tuple[Path, Path]) -> None:
        assert not Workspace.open(windows[1], "mlgate.yaml", {}).is_dirty

    def test_files_of_dvc_committed_with_them_are_read(self, tmp_path: Path) -> None:
        content = "x\n1\n"
        md5 = hashlib.md5(content.encode()).hexdigest()
        files = {
            "mlgate.yaml": re.sub(r"data: .*", "data: {pull: [data.csv]}", FILES["mlgate.yaml"], count=1),
            "data.csv.dvc": f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: data.csv\n",
            ".dvc/config": f"[core]\n    remote = away\n['remote \"away\"']\n    url = {tmp_path}/away\n",
        }
        root = make_repository(tmp_path / "r", {"x": ""})
        for name, text in files.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(text.replace("\n", "\r\n").encode())
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "-m", "from Windows")
        (tmp_path / "away/files/md5" / md5[:2]).mkdir(parents=True)
        (tmp_path / "away/files/md5" / md5[:2] / md5[2:]).write_text(content)
        mlgate(root, "pull-data")

        assert (root / "data.csv").read_text() == content


def evidence(root: Path, stage: str) -> Evidence[object]:
    return load(root / ".mlgate/odd/evidence" / f"{stage}.json", stage)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_", "MLFLOW_"))}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    command = [sys.executable, "-m", "mlgate.cli", *arguments]
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)


def mlgate(root: Path, *arguments: str) -> str:
    finished = run(root, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
