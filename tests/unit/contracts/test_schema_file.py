"""YAML schemas: a mistake is named, never passed over."""

from __future__ import annotations

from pathlib import Path

import pandera.io.pandas_io as pandas_io
import pandera.pandas as pa
import pytest

from mlgate.contracts import schema_file
from mlgate.errors import InputError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a pandera schema with 'columns'"),
        ("- a\n", "expected a pandera schema with 'columns'"),
        ("columns: {a: {dtype: int64}\n", "not valid YAML"),
        ("colums: {a: {dtype: int64}}\n", "colums: unknown key; did you mean 'columns'?"),
        ("columns: {}\n", "columns: expected at least one column"),
        ("columns: [a]\n", "columns: expected at least one column"),
        ("columns: {a: int64}\n", "columns.a: expected keys such as dtype"),
        ("columns: {a: {dtype: int46}}\n", "columns.a: data type 'int46' not understood"),
        ("columns: {a: {dtype: int64, nulable: true}}\n", "columns.a.nulable: neither a key nor a check; did you mean 'nullable'?"),
        ("columns: {a: {dtype: int64, in_rang: {min_value: 0}}}\n", "did you mean 'in_range'?"),
        ("columns: {a: {checks: {in_rang: {min_value: 0}}}}\n", "columns.a.checks.in_rang: no such check; did you mean 'in_range'?"),
        ("columns: {a: {checks: {in_range: {min_value: 5, max_value: 2}}}}\n", "columns.a: The combination"),
        ("columns: {a: {checks: {in_range: {min_value: 5}}}}\n", "columns.a: "),
        ("columns: {a: {checks: {gt: 1}}}\n", "columns.a.checks.gt: no such check"),
        ("columns: {a: {checks: {isin: abc}}}\n", "columns.a.checks.isin: expected a list"),
        ("columns: {a: {checks: 3}}\n", "columns.a.checks: expected a mapping"),
        ("columns: {a: {checks: {greater_than: 1}, less_than: 3}}\n", "columns.a.less_than: pandera ignores it beside 'checks'"),
        ("columns: {a: {dtype: str, str_matches: '['}}\n", "columns.a: unterminated character set"),
        ("columns: {a: {dtype: int64}, a: {dtype: str}}\n", "'a' is given twice"),
        ("schema_type: model\ncolumns: {a: {dtype: int64}}\n", "schema_type: expected 'dataframe'"),
    ],
)
def test_a_mistake_in_a_schema_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        schema_file.load(tmp_path / "s.yaml", "contracts/s.yaml")
    assert str(error.value).startswith("contracts/s.yaml: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such schema"):
        schema_file.load(tmp_path / "s.yaml", "s.yaml")


@pytest.mark.parametrize("is_minimal", [True, False])
def test_what_pandera_writes_is_read_back(tmp_path: Path, is_minimal: bool) -> None:
    schema = pa.DataFrameSchema(
        {
            "age": pa.Column("int64", [pa.Check.in_range(0, 120), pa.Check.ne(7)]),
            "name": pa.Column(str, pa.Check.isin(["a", "b"]), nullable=True, unique=True),
            "w": pa.Column(float, pa.Check.gt(0, raise_warning=True), required=False),
        },
        strict=True,
        unique=["age", "name"],
    )
    pandas_io.to_yaml(schema, tmp_path / "s.yaml", minimal=is_minimal)
    assert schema_file.load(tmp_path / "s.yaml", "s.yaml") == schema


def test_checks_may_stand_in_a_mapping_or_beside_the_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("columns: {a: {dtype: int64, checks: {in_range: {min_value: 0, max_value: 120}}}}\n")
    (tmp_path / "b.yaml").write_text("columns: {a: {dtype: int64, in_range: {min_value: 0, max_value: 120}}}\n")
    one, other = schema_file.load(tmp_path / "a.yaml", "a"), schema_file.load(tmp_path / "b.yaml", "b")
    assert [str(check) for check in one.columns["a"].checks] == [str(check) for check in other.columns["a"].checks] != []
