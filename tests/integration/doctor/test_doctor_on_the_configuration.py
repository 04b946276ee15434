"""`mlgate doctor` on mlgate.yaml and what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.doctor.diagnoses import examined, said, the_one
from support import MINIMAL_CONFIG, commit_files, make_repository

CONTRACT = "columns:\n  x: {dtype: int64, checks: {greater_than: 0}}\n"
RULES = "gate: {rules: [{metric: accuracy, margin: 0.01}]}\n"


def test_a_right_one_is_said(tmp_path: Path) -> None:
    root = make_repository(
        tmp_path / "r",
        {
            "mlgate.yaml": MINIMAL_CONFIG.replace("train.py}", "train.py, params: [params.yaml]}")
            + RULES
            + "data: {contracts: [{data: data.csv, schema: contract.yaml}, {data: data.csv, schema: 'schemas.py:Rows'}]}\n",
            "params.yaml": "rate: 1\n",
            "contract.yaml": CONTRACT,
            "schemas.py": "class Rows: ...\n",
            "data.csv": "x\n1\n",
        },
    )
    assert said(examined(root, "Configuration")) == [
        "✓ mlgate.yaml: model digits",
        "✓ params.yaml: 1 parameter",
        "✓ contract contract.yaml: 1 column",
        "✓ contract schemas.py:Rows: defined",
    ]


def test_none_at_all_is_no_problem_because_the_root_action_needs_none(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"train.py": ""})
    [finding] = examined(root, "Configuration")
    assert finding.status == "open"
    assert "the root action works without" in finding.text
    assert "mlgate init" in finding.advice


def test_every_mistake_is_a_line(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "gaet: {}\nmlflow: {uri: x}\n"})
    assert said(examined(root, "Configuration")) == [
        "✗ mlgate.yaml: mlflow.uri: unknown key; expected one of tracking_uri",
        "✗ mlgate.yaml: gaet: unknown key; did you mean 'gate'?",
    ]


@pytest.mark.parametrize(
    ("files", "text", "advice"),
    [
        ({"mlgate.yaml": MINIMAL_CONFIG}, "gate.rules: none, so the gate opens for every model", "add one"),
        (
            {"mlgate.yaml": MINIMAL_CONFIG.replace("train.py}", "train.py, params: [params.yaml]}")},
            "train.params: no file 'params.yaml'",
            "",
        ),
        ({"mlgate.yaml": MINIMAL_CONFIG + "data: {contracts: [{data: d.csv, schema: c.yaml}]}\n"}, "c.yaml: no such schema", "correct"),
        (
            {"mlgate.yaml": MINIMAL_CONFIG + "data: {contracts: [{data: d.csv, schema: c.yaml}]}\n", "c.yaml": CONTRACT},
            "d.csv: in data.contracts, and neither DVC nor Git tracks it",
            "run 'dvc add d.csv'",
        ),
        (
            {
                "mlgate.yaml": MINIMAL_CONFIG + "data: {contracts: [{data: d.csv, schema: c.yaml}]}\n",
                "c.yaml": "columns: {x: {dtpye: int}}\n",
            },
            "c.yaml: columns.x.dtpye: neither a key nor a check; did you mean 'dtype'?",
            "correct",
        ),
        (
            {"mlgate.yaml": MINIMAL_CONFIG + "data: {contracts: [{data: d.csv, schema: 's.py:Row'}]}\n", "s.py": "class Rows: ...\n"},
            "contract s.py:Row: s.py has no 'Row'; did you mean 'Rows'?",
            "correct",
        ),
        (
            {"mlgate.yaml": MINIMAL_CONFIG.replace("[accuracy]", "[accuracy, 'own.py:cost']"), "own.py": "def cost(:\n"},
            "metric own.py:cost: own.py cannot be read as Python",
            "correct",
        ),
        ({"mlgate.yaml": MINIMAL_CONFIG + "  predict: x\n  holdout: [gone.csv]\n"}, "evaluation.holdout: gone.csv", "path"),
    ],
    ids=["no rules", "parameters", "no contract", "data of nobody", "a key", "a class", "a metric", "holdout"],
)
def test_what_it_names_is_looked_for(tmp_path: Path, files: dict[str, str], text: str, advice: str) -> None:
    finding = the_one(examined(make_repository(tmp_path / "r", files), "Configuration"), text)
    assert finding.status == ("warning" if "gate.rules" in text else "problem")
    assert advice in finding.advice


def test_one_that_is_not_committed_is_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"a": ""})
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + RULES)
    assert said(examined(root, "Configuration")) == [
        "! mlgate.yaml: model digits; not in Git → commit it: a run has only what is committed"
    ]
    commit_files(root, {}, "it")
    assert said(examined(root, "Configuration")) == ["✓ mlgate.yaml: model digits"]
