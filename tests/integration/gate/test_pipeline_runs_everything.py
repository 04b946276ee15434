"""`mlgate run`: every stage in order on a laptop, on a project small enough to train in a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlgate
from mlgate.console import Console
from mlgate.evidence import BEFORE_THE_GATE, STAGES, Evidence
from mlgate.stages import pipeline
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = f"""\
model: digits
checks: ["{sys.executable} -c 'open(\\"checked\\", \\"w\\")'"]
train: {{command: {sys.executable} train.py}}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
gate:
  rules: [{{metric: accuracy, margin: 0.02}}, {{metric: accuracy, min: 0.5}}]
"""
TRAIN = """\
import pathlib
wrong = {wrong}
rows = [f"{{i}},{{i % 3}},{{(i + 1) % 3 if i < wrong else i % 3}}" for i in range(1000)]
pathlib.Path("eval").mkdir(exist_ok=True)
pathlib.Path("eval/predictions.csv").write_text("id,y,y_pred\\\\n" + "\\\\n".join(rows) + "\\\\n")
"""


def project(root: Path, **files: str) -> Path:
    return make_repository(root, {"mlgate.yaml": CONFIG, ".gitignore": "eval/\nchecked\nmlruns/\n", "train.py": train(100), **files})


def train(wrong: int) -> str:
    return TRAIN.format(wrong=wrong).replace("\\\\n", "\\n")


def run(root: Path) -> tuple[int, dict[str, Evidence]]:
    found: dict[str, Evidence] = {}
    workspace = Workspace.open(root, "mlgate.yaml", {}, Console())
    workspace.empty_state()
    finished = pipeline.run(workspace, STAGES, shown=lambda evidence: found.update({evidence.stage: evidence}))
    return finished.exit_code, found


def test_a_laptop_gets_the_same_answer_as_a_pull_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path / "repository")
    code, found = run(root)
    assert code == 0, [evidence.summary for evidence in found.values()]
    assert list(found) == [*BEFORE_THE_GATE, "gate", "report"]
    assert found["gate"].findings.is_first_model
    assert found["gate"].findings.recorded_in_store
    stale = root / ".mlgate" / "digits" / "files" / "stale.txt"
    stale.write_text("of an earlier run")
    git(root, "checkout", "--quiet", "-b", "worse")
    commit_files(root, {"train.py": train(200)}, "worse")
    code, found = run(root)
    assert (code, found["gate"].findings.verdict, found["report"].status) == (1, "worse", "passed")
    assert not stale.exists()
    git(root, "checkout", "--quiet", "main")
    git(root, "checkout", "--quiet", "-b", "better")
    commit_files(root, {"train.py": train(20)}, "better")
    code, found = run(root)
    assert (code, found["gate"].findings.verdict) == (0, "better")
    assert "accuracy" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["{ %s 2>&1; echo $? > code; } | head -n 1", "%s >&- 2>&-; echo $? > code"])
def test_nobody_has_to_read_on_for_the_gate_to_decide(tmp_path: Path, command: str) -> None:
    root = project(tmp_path / "repository")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
    environ["PYTHONPATH"] = str(Path(mlgate.__file__).parent.parent)
    argv = ["bash", "-c", command % f"{sys.executable} -m mlgate.cli run"]
    ended = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=True)
    assert (root / "code").read_text() == "0\n"
    assert "Traceback" not in ended.stderr
    kept = root / ".mlgate" / "digits"
    assert {path.stem for path in (kept / "evidence").iterdir()} == {*BEFORE_THE_GATE, "gate", "report"}
    assert (kept / "report.md").is_file()
    assert (kept / "report.html").is_file()


def test_a_failed_test_ends_the_run_before_training_and_is_still_reported(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    commit_files(root, {"mlgate.yaml": CONFIG.replace('checks: ["', 'checks: ["false && ')}, "broken")
    code, found = run(root)
    assert code == 1
    assert list(found) == ["check", "gate", "report"]
    assert found["gate"].findings.headline.startswith("Nothing was trained: ")
    assert not (root / "eval").exists()
    assert (root / ".mlgate" / "digits" / "report.html").is_file()


def test_training_that_fails_closes_the_gate(tmp_path: Path) -> None:
    root = project(tmp_path / "repository")
    commit_files(root, {"train.py": "raise SystemExit(7)\n"}, "broken")
    code, found = run(root)
    assert (code, found["train"].status, found["gate"].findings.is_open) == (1, "failed", False)
    assert "evaluate" not in found
