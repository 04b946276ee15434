"""Values of the data are in nothing that mlgate writes or prints unless `report.examples` allows it, whatever goes wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate import cli
from support import make_repository

PLANTED = "john@planted.example"

CONTRACT = """\
columns:
  id: {dtype: str, unique: true}
  age: {dtype: int64, coerce: true, checks: {in_range: {min_value: 0, max_value: 120}}}
  mail: {dtype: str, checks: {isin: [a]}}
strict: true
"""
GOOD = "id,y,y_pred\n" + "".join(f"{index},{index % 2},{index % 2}\n" for index in range(60))


def configuration(*, examples: bool, metrics: str = "accuracy", task: str = "classification") -> str:
    return (
        "model: digits\n"
        "data: {contracts: [{data: data.csv, schema: contract.yaml}]}\n"
        "train: {command: 'true'}\n"
        f"evaluation: {{task: {task}, predictions: p.csv, metrics: [{metrics}]}}\n"
        f"report: {{examples: {str(examples).lower()}}}\n"
    )


def everything_written(root: Path) -> str:
    """All that a run leaves but the normalised predictions, which are data."""
    paths = [path for path in (root / ".mlgate").rglob("*") if path.is_file() and path.suffix != ".parquet"]
    assert [path for path in paths if path.name == "report.html"]
    return "".join(path.read_text(errors="replace") for path in paths)


def run(root: Path, monkeypatch: pytest.MonkeyPatch, *stages: str) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(root / ".mlgate-summary"))
    for stage in (*stages, "report"):
        cli.main([stage, "-C", str(root)])


@pytest.mark.parametrize(
    "data",
    [
        f"id,age,mail\n1,3,{PLANTED}\n2,3,a\n",  # isin
        f"id,age,mail\n{PLANTED},3,a\n{PLANTED},4,a\n",  # unique
        f"id,age,mail\n1,{PLANTED},a\n",  # a text where numbers are expected
        f"id,age,mail,more\n1,3,a,{PLANTED}\n",  # a column too many
        f"id,age,mail\n1,3,a,{PLANTED}\n",  # a field too many
        f'id,age,mail\n1,3,"{PLANTED}\n',  # a quote that never ends
    ],
    ids=["isin", "unique", "type", "column", "field", "quote"],
)
def test_a_broken_contract_quotes_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], data: str
) -> None:
    files = {"mlgate.yaml": configuration(examples=False), "contract.yaml": CONTRACT, "data.csv": data, "p.csv": GOOD}
    root = make_repository(tmp_path / "r", files)
    run(root, monkeypatch, "validate-data")
    written = everything_written(root) + "".join(capfd.readouterr()) + (root / ".mlgate-summary").read_text()
    assert "must not be merged" in written or "cannot be merged yet" in written
    assert PLANTED not in written


def test_where_it_is_allowed_a_broken_contract_quotes_what_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"mlgate.yaml": configuration(examples=True), "contract.yaml": CONTRACT, "data.csv": f"id,age,mail\n1,3,{PLANTED}\n"}
    root = make_repository(tmp_path / "r", {**files, "p.csv": GOOD})
    run(root, monkeypatch, "validate-data")
    assert PLANTED in (root / ".mlgate/digits/report.md").read_text()


@pytest.mark.parametrize(
    ("predictions", "task"),
    [
        (f"id,y,y_pred\n{PLANTED},0,1\n{PLANTED},0,1\n", "classification"),  # an id twice
        (f"id,y,y_pred\n1,0.5,{PLANTED}\n2,0.5,1\n", "regression"),  # a text among numbers
        (f"id,y,y_pred\n1,0.5,0.5,{PLANTED}\n", "regression"),  # a field too many
        (f'id,y,y_pred\n1,0.5,"{PLANTED}\n', "regression"),
        (f"id,y,y_pred\n{PLANTED},,0.5\n", "regression"),  # a value missing beside it
    ],
    ids=["id", "text", "field", "quote", "missing"],
)
def test_predictions_that_are_wrong_are_named_by_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], predictions: str, task: str
) -> None:
    metric = "accuracy" if task == "classification" else "rmse"
    files = {"mlgate.yaml": configuration(examples=False, metrics=metric, task=task), "p.csv": predictions}
    root = make_repository(tmp_path / "r", files)
    run(root, monkeypatch, "evaluate")
    written = everything_written(root) + "".join(capfd.readouterr())
    assert "p.csv: " in written
    assert PLANTED not in written


@pytest.mark.parametrize("examples", [False, True])
@pytest.mark.parametrize("where", ["all", "slice"])
def test_a_metric_function_that_quotes_data_in_its_exception_is_told_by_its_kind_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], examples: bool, where: str
) -> None:
    guard = "" if where == "all" else "    if len(y_true) > 31:\n        return 1.0\n"
    code = f"def own(y_true, y_pred):\n{guard}    raise ValueError(f'no cost for {{y_true[0]}}')\n"
    label = PLANTED.replace("@", "_at_")
    rows = "".join(f"{index},{label if index % 2 else 'b'},b,{index % 2}\n" for index in range(60))
    config = configuration(examples=examples, metrics="'own.py:own'").replace("metrics: [", "slices: [half], metrics: [")
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config, "own.py": code, "p.csv": f"id,y,y_pred,half\n{rows}"})
    run(root, monkeypatch, "evaluate")
    written = everything_written(root) + "".join(capfd.readouterr())
    assert ("no cost for" in written) == examples
    assert "ValueError" in written
