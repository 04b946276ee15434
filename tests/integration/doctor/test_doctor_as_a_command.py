"""`mlgate doctor` as a user runs it: lines, JSON, exit code, and never longer than it may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlgate
from integration.doctor.diagnoses import OURS
from mlgate.errors import InfrastructureError
from mlgate.stages import doctor
from mlgate.stages.doctor.findings import Diagnosis, Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject
from support import MINIMAL_CONFIG, make_repository

PACKAGE = str(Path(mlgate.__file__).parent.parent)


def doctor_command(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "mlgate.cli", "doctor", *arguments]
    return subprocess.run(command, cwd=root, env={**environ, "PYTHONPATH": PACKAGE}, capture_output=True, text=True, check=False)


def test_a_line_a_finding_grouped_by_area(tmp_path: Path) -> None:
    ended = doctor_command(make_repository(tmp_path / "r"))
    areas = [line for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert areas[:-1] == ["Configuration", "Git", "Data", "Your code", "Runs", "Workflow", "GitHub", "This machine"]
    assert areas[-1].endswith(": mend what is marked ✗.")
    assert "  ✗ no workflow uses mlgate → let 'mlgate init' write .github/workflows/mlgate.yml, and commit it" in ended.stdout
    assert ended.returncode == 2
    assert ended.stderr == ""


def test_json_for_programs(tmp_path: Path) -> None:
    ended = doctor_command(make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "gaet: {}\n"}), "--json")
    document = json.loads(ended.stdout)
    assert document["exit_code"] == ended.returncode == 2
    first = document["findings"][0]
    assert first == {
        "status": "problem",
        "text": "mlgate.yaml: gaet: unknown key; did you mean 'gate'?",
        "advice": "",
        "exit_code": 2,
        "area": "Configuration",
    }


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    ended = doctor_command(tmp_path, "-C", "nowhere")
    assert (ended.returncode, ended.stderr) == (2, "✗ working-directory: no folder 'nowhere'\n")


@pytest.mark.parametrize(
    ("findings", "exit_code"),
    [
        ([ok("a"), warning("b"), unneeded("c")], 0),
        ([problem("a", exit_code=3)], 3),
        ([problem("a", exit_code=3), problem("b")], 2),
    ],
)
def test_the_exit_code_says_what_is_the_matter(findings: list[Finding], exit_code: int) -> None:
    assert Diagnosis(findings).exit_code == exit_code


def test_what_does_not_answer_in_time_keeps_nobody_waiting(tmp_path: Path) -> None:
    def slow(_: Subject) -> Iterator[Finding]:
        yield ok("begun")
        time.sleep(30)

    def broken(_: Subject) -> Iterator[Finding]:
        yield ok("begun, too")
        raise InfrastructureError("no such luck")

    questions = [doctor.Question("A", "the slow one", slow), doctor.Question("B", "the broken one", broken)]
    started = time.monotonic()
    found = doctor.run(tmp_path, "mlgate.yaml", {}, timeout_s=0.5, questions=questions)
    assert time.monotonic() - started < 5
    assert [(one.area, one.text, one.exit_code) for one in found.findings] == [
        ("A", "begun", 0),
        ("A", "no answer about the slow one within 0.5 s", 3),
        ("B", "begun, too", 0),
        ("B", "no such luck", 3),
    ]
    assert found.exit_code == 3
