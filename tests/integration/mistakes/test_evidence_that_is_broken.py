"""Evidence the gate cannot believe: it is named, and the gate stays closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, open_workspace
from integration.mistakes.commands import refused
from support import commit_files

Make = Callable[..., Path]


@pytest.fixture
def root(repository: Make) -> Path:
    root = repository()
    evaluated(open_workspace(root), classified(*labels(900)))
    return root


def evaluation(root: Path) -> Path:
    return root / ".mlgate" / "digits" / "evidence" / "evaluate.json"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "evaluate.json: not evidence of 'evaluate' this version reads: "),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), "evaluate.json: not evidence of 'evaluate' this version"),
        (lambda text: text.replace('"stage": "evaluate"', '"stage": "train"'), "evaluate.json: evidence of 'train', expected 'evaluate'"),
        (lambda text: text.replace('"model": "digits"', '"model": "letters"'), "evaluate.json: evidence of another model (letters, "),
    ],
    ids=["truncated", "other version", "other stage", "other model"],
)
def test_evidence(root: Path, damage: Callable[[str], str], said: str) -> None:
    path = evaluation(root)
    path.write_text(damage(path.read_text()))
    assert refused(root, "gate", code=2).startswith(said)


def test_the_report_is_written_all_the_same_and_names_it(root: Path) -> None:
    path = evaluation(root)
    path.write_text(path.read_text()[:100])
    assert refused(root, "report", code=2).startswith("evaluate.json: not evidence of 'evaluate' this version reads: ")
    assert (root / ".mlgate" / "digits" / "report.html").stat().st_size > 1000


def test_evidence_of_another_commit(root: Path) -> None:
    commit_files(root, {"train.py": "print(2)\n"}, "second")
    line = refused(root, "gate", code=2)
    assert line.startswith("evaluate.json: evidence of another commit (")
    assert line.endswith("run 'evaluate' again")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "files/predictions.parquet: named by evidence but not there"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            "files/predictions.parquet: not the file the evidence describes",
        ),
    ],
    ids=["gone", "truncated"],
)
def test_predictions_behind_evidence(root: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(root / ".mlgate" / "digits" / "files" / "predictions.parquet")
    assert refused(root, "gate", code=2).startswith(said)


def test_no_evidence_at_all(repository: Make) -> None:
    line = "evaluate.json: no evidence of an evaluation; run 'mlgate evaluate' before the gate"
    assert refused(repository(), "gate", code=2) == line
