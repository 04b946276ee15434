"""A disk that takes no more: exit 3, the file, and nothing half-written beside it. Stood in for by the system's limit on a file's size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, open_workspace
from integration.mistakes.commands import refused

Make = Callable[..., Path]


def test_evidence(repository: Make) -> None:
    root = repository()
    line = refused(root, "check", code=3, largest_file=100)
    assert line.startswith(f"{root}/.mlgate/digits/evidence/check.json: cannot be written: ")
    assert list((root / ".mlgate" / "digits" / "evidence").iterdir()) == []


def test_the_output_of_a_command(repository: Make) -> None:
    root = repository("checks: ['seq 20000']\n")
    line = refused(root, "check", code=3, largest_file=50_000)
    assert "check/1.log" in line


@pytest.mark.parametrize("stage", ["evaluate", "gate", "report"])
def test_what_a_stage_leaves(repository: Make, stage: str) -> None:
    root = repository()
    (root / "eval").mkdir()
    (root / "eval" / "predictions.csv").write_text("id,y,y_pred\n" + "".join(f"{i},{i % 3},0\n" for i in range(3000)))
    if stage != "evaluate":
        evaluated(open_workspace(root), classified(*labels(900)))
    line = refused(root, stage, code=3, largest_file=1000)
    assert "cannot be written: " in line


def test_a_file_where_the_state_folder_should_be(repository: Make) -> None:
    root = repository()
    (root / ".mlgate").write_text("")
    assert refused(root, "check", code=3).startswith(f"{root}/.mlgate: cannot be written: ")
