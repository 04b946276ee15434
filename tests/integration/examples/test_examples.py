"""The examples do what their files say: `mlgate run` on each, in a repository of its own, with the users' environment."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import GIT_IDENTITY, commit_files, git, make_repository

ROOT = Path(__file__).resolve().parents[3]
USER = ROOT / ".build" / "user" / "bin"


@pytest.fixture
def diabetes(tmp_path: Path) -> Path:
    assert (USER / "python").exists(), "no environment for the examples: run make setup"
    root = make_repository(tmp_path / "diabetes", {"readme": ""})
    shutil.copytree(ROOT / "examples" / "diabetes", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("eval", ".mlgate"))
    commit_files(root, {}, "the example")
    return root


def run(root: Path) -> tuple[int, dict]:
    """`mlgate run`, and the gate's evidence."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "GITHUB_", "MLGATE_"))},
        **GIT_IDENTITY,
        "PATH": f"{USER}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("VIRTUAL_ENV", None)
    command = [Path(sys.executable).parent / "mlgate", "run"]
    finished = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    evidence = root / ".mlgate/diabetes/evidence/gate.json"
    assert evidence.exists(), finished.stdout + finished.stderr
    return finished.returncode, json.loads(evidence.read_text())


def test_a_regression_is_recorded_then_compared_and_a_worse_one_blocked(diabetes: Path) -> None:
    code, gate = run(diabetes)
    assert (code, gate["findings"]["is_first_model"], gate["findings"]["recorded_in_store"]) == (0, True, True)
    assert [(row["column"], row["value"], row["comparison"]["metric"]) for row in gate["findings"]["slices"]] == [
        ("sex", "1", "mae"),
        ("sex", "2", "mae"),
    ]
    assert "Slices" in (diabetes / ".mlgate/diabetes/report.md").read_text()

    git(diabetes, "checkout", "--quiet", "-b", "stiffer")
    commit_files(diabetes, {"params.yaml": "alpha: 2000.0\nseed: 7\n"}, "a stiffer model")
    code, gate = run(diabetes)
    rows = {row["metric"]: row for row in gate["findings"]["comparisons"]}
    assert (code, gate["findings"]["is_open"], rows["mae"]["verdict"]) == (1, False, "worse")
    assert rows["mae"]["low"] > 2
    assert [(change["name"], change["old"], change["new"]) for change in gate["findings"]["changes"] if change["kind"] == "parameter"] == [
        ("alpha", "1.0", "2000.0")
    ]
