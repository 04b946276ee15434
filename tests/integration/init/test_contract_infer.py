"""`mlgate contract infer` as a user runs it: in a folder with data, before there is anything else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from mlgate import cli, config
from support import MINIMAL_CONFIG

CSV = "id,age,plan\n1,17,free\n2,94,pro\n3,,free\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_it_prints_is_ready_to_paste(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["contract", "infer", "data/train.csv"]) == 0
    pasted = "".join(f"    {line}\n" for line in capsys.readouterr().out.splitlines())
    [entry] = config.parse(f"{MINIMAL_CONFIG}data:\n  contracts:\n{pasted}".encode(), "mlgate.yaml").data.contracts
    assert (entry.data, list(entry.columns)) == ("data/train.csv", ["id", "age", "plan"])
    assert [path.name for path in folder.iterdir()] == ["data"], "nothing is written"


def test_a_path_may_be_absolute_or_relative_to_the_models_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["-C", "data", "train.csv"], ["-C", "data", str(folder / "data/train.csv")]):
        assert cli.main(["contract", "infer", *arguments]) == 0
        assert "- data: train.csv\n" in capsys.readouterr().out


def test_a_schema_is_written_to_a_file_and_replaced_only_by_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["contract", "infer", "data/train.csv", "--output", "contracts/train.yaml"]
    assert cli.main(arguments) == 0
    assert "- data: data/train.csv\n  schema: contracts/train.yaml\n" in capsys.readouterr().out
    schema = folder / "contracts/train.yaml"
    assert "  age:\n    dtype: float64\n    nullable: true\n" in schema.read_text()
    seen = pd.read_csv(folder / "data/train.csv")["age"]
    bounds = yaml.safe_load(schema.read_text())["columns"]["age"]["checks"]["in_range"]
    assert bounds["min_value"] < seen.min() < seen.max() < bounds["max_value"], "the next data may go a little beyond"
    schema.write_text("# mine\n")
    assert cli.main(arguments) == 2
    assert "contracts/train.yaml: exists already; remove it, or give --force to replace it. Nothing was written." in capsys.readouterr().err
    assert schema.read_text() == "# mine\n"
    assert cli.main([*arguments, "--force"]) == 0
    assert schema.read_text() != "# mine\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data/trian.csv"], "data/trian.csv: no such file; pull it first, or correct the path"),
        (["../x.csv"], "'../x.csv': expected a path inside the working directory"),
        (["data/train.csv", "--output", "../x.yaml"], "'../x.yaml': expected a path inside the working directory"),
        (["data/train.csv", "--output", "x.txt"], "--output: 'x.txt': expected a .yaml file for the schema"),
        (["data/empty.csv"], "data/empty.csv: the file is empty"),
        (["data/header.csv"], "data/header.csv: the table has no rows; expected at least one"),
        (["data/notes.txt"], "data/notes.txt: '.txt' is no format of a table here"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    (folder / "data/empty.csv").touch()
    (folder / "data/header.csv").write_text("a,b\n")
    (folder / "data/notes.txt").write_text("x")
    assert cli.main(["contract", "infer", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
