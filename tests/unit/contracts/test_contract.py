"""One contract: YAML or Python schema over a file, and what a user reads when either is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from mlgate.contracts.contract import check
from mlgate.errors import InputError

MODEL = """\
import pandera.pandas as pa
from limits import OLDEST

class Train(pa.DataFrameModel):
    age: int = pa.Field(ge=0, le=OLDEST)
    name: str = pa.Field(unique=True)

    @pa.check("name")
    def short(cls, names):
        return names.str.len() < 3

schema = pa.DataFrameSchema({"age": pa.Column(int)})
number = 3
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a table, a YAML schema and a Python one; tests run user code with the interpreter at hand."""
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)
    pd.DataFrame({"age": [1, 200, 50], "name": ["a", "b", "long"]}).to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "s.yaml").write_text("columns: {age: {dtype: int64, in_range: {min_value: 0, max_value: 120}}}\n")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "model.py").write_text(MODEL)
    (tmp_path / "limits.py").write_text("OLDEST = 120\n")
    return tmp_path


def test_a_yaml_schema_is_applied(root: Path) -> None:
    findings = check(root, "d.csv", "s.yaml").findings
    assert (findings.is_passed, findings.rows, findings.columns) == (False, 3, 2)
    (broken,) = findings.broken
    assert (broken.column, broken.rule, broken.rows, broken.row_numbers, broken.values) == ("age", "in_range(0, 120)", 1, [1], None)
    assert broken.share == pytest.approx(1 / 3)


def test_a_python_model_is_applied_by_the_users_interpreter_with_the_users_modules(root: Path) -> None:
    findings = check(root, "d.csv", "contracts/model.py:Train", is_showing_values=True).findings
    assert [(rule.column, rule.rule, rule.row_numbers, rule.values) for rule in findings.broken] == [
        ("age", "less_than_or_equal_to(120)", [1], ["200"]),
        ("name", "short", [2], ["long"]),
    ]


def test_a_python_schema_object_is_applied(root: Path) -> None:
    assert check(root, "d.csv", "contracts/model.py:schema").findings.is_passed


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("absent.yaml", "absent.yaml: no such schema"),
        ("absent.py:Train", "absent.py: no such schema"),
        ("schema.json", "schema.json: expected a pandera schema: a .yaml file, or path/to/module.py:Model"),
        ("contracts/model.py:Trian", "contracts/model.py: has no 'Trian'; did you mean 'Train'?"),
        ("contracts/model.py:number", "contracts/model.py: number is no pandera model"),
        ("contracts/syntax.py:X", "contracts/syntax.py: cannot be imported, line 1: SyntaxError"),
        ("contracts/needs.py:X", "contracts/needs.py: cannot be imported, line 2: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("contracts/odd.py:Odd", "contracts/odd.py: "),
    ],
)
def test_a_wrong_schema_is_one_line_that_names_it(root: Path, schema: str, said: str) -> None:
    (root / "contracts" / "syntax.py").write_text("class X(:\n")
    (root / "contracts" / "needs.py").write_text("x = 1\nimport no_such_thing\n")
    (root / "contracts" / "odd.py").write_text(
        "import pandera.pandas as pa\nclass Odd(pa.DataFrameModel):\n    x: 'nothing' = pa.Field()\n"
    )
    with pytest.raises(InputError) as error:
        check(root, "d.csv", schema)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("schema", "data", "said"),
    [
        ("s.yaml", "absent.csv", "no such file"),
        ("s.yaml", "empty.csv", "the file is empty"),
        ("s.yaml", "ragged.csv", "row 2 has 1 fields"),
        ("contracts/model.py:Train", "absent.csv", "no such file"),
        ("contracts/model.py:Train", "ragged.csv", "row 2 has 1 fields"),
    ],
)
def test_wrong_data_is_one_line_that_names_it(root: Path, schema: str, data: str, said: str) -> None:
    (root / "empty.csv").touch()
    (root / "ragged.csv").write_text("age,name\n1\n")
    with pytest.raises(InputError) as error:
        check(root, data, schema)
    assert str(error.value).startswith(f"{data}: ")
    assert said in str(error.value)


def test_an_interpreter_without_pandera_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("MLGATE_USER_PYTHON", str(bare))
    with pytest.raises(InputError, match=r"contracts/model.py: pandera is not installed for .*; install pandera\[pandas\] there"):
        check(root, "d.csv", "contracts/model.py:Train")
