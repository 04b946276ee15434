"""Predictions no metric can be computed from: exit 2, the file, the column and the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.mistakes.commands import evidence_of, refused

Make = Callable[..., Path]
HEAD = "id,y,y_pred\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "eval/predictions.csv: no such file; does the training command write it?"),
        ("", "eval/predictions.csv: the file is empty; expected one row an example"),
        (HEAD, "eval/predictions.csv: no predictions in it; expected one row an example"),
        (HEAD + "1,0,0\n1,1,1\n2,0,0\n", "eval/predictions.csv: column 'id'"),
        (HEAD + "1,0,0\n2,1,NaN\n", "eval/predictions.csv: column 'y_pred'"),
        ("id,y,predicted\n1,0,0\n", "eval/predictions.csv: no column 'y_pred'"),
        (HEAD + "1,0,0,9\n", "eval/predictions.csv: "),
    ],
    ids=["missing", "empty", "header only", "duplicate ids", "NaN", "other columns", "ragged"],
)
def test_predictions(repository: Make, text: str | None, line: str) -> None:
    root = repository()
    if text is not None:
        (root / "eval").mkdir()
        (root / "eval" / "predictions.csv").write_text(text)
    said = refused(root, "evaluate", code=2)
    assert said.startswith(line)
    assert evidence_of(root, "evaluate")["summary"] == said


def test_the_gate_stays_closed_on_them(repository: Make) -> None:
    root = repository()
    line = refused(root, "evaluate", code=2)
    assert refused(root, "gate", code=2) == f"gate closed: Nothing was compared: {line}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "eval/speed.json: no such file (evaluation.metrics_files); does the training command write it?"),
        ('{"latency_ms": ', "eval/speed.json: "),
        ("[1, 2]", "eval/speed.json: "),
    ],
)
def test_metric_files(repository: Make, text: str | None, line: str) -> None:
    root = repository()
    (root / "mlgate.yaml").write_text(
        (root / "mlgate.yaml").read_text().replace("evaluation:\n", "evaluation:\n  metrics_files: [eval/speed.json]\n")
    )
    (root / "eval").mkdir()
    (root / "eval" / "predictions.csv").write_text(HEAD + "1,0,0\n2,1,1\n")
    if text is not None:
        (root / "eval" / "speed.json").write_text(text)
    assert refused(root, "evaluate", code=2).startswith(line)


def test_a_metric_of_the_users_own_that_fails(repository: Make) -> None:
    root = repository(**{"own.py": "def cost(y_true, y_pred):\n    raise ValueError('no costs today')\n"})
    (root / "mlgate.yaml").write_text((root / "mlgate.yaml").read_text().replace("[accuracy]", "[accuracy, 'own.py:cost']"))
    (root / "eval").mkdir()
    (root / "eval" / "predictions.csv").write_text(HEAD + "1,0,0\n2,1,1\n")
    line = refused(root, "evaluate", code=2)
    assert "own.py" in line
    assert "line 2: ValueError" in line
    assert "no costs today" not in line  # it may quote the data
