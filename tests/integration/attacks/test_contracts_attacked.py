"""Data and pull requests that try to pass a contract they break, and data at which reading a contract could stumble."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from mlgate import stages
from mlgate.config import ContractConfig
from mlgate.contracts import contract, file_changes, in_configuration, inference, schema_changes, short_form_changes
from mlgate.errors import InputError
from mlgate.stages.adoption import first_contract
from mlgate.tables.scan import scan
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, make_repository

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HUGE = 10**400


def entry(data: str = "d.csv", **rules: Any) -> ContractConfig:
    return ContractConfig.model_validate({"data": data, **rules})


def broken(root: Path, data: str, *, is_showing_values: bool = False, **rules: Any) -> list[tuple[str | None, str, int]]:
    """What a contract in short form says: column, rule, rows."""
    checked = in_configuration.check(root, entry(data, **rules), schema_path="mlgate.yaml", is_showing_values=is_showing_values, now=NOW)
    return [(one.column, one.rule, one.rows) for one in checked.findings.broken]


def broken_by_schema(root: Path, data: str, **columns: Any) -> list[tuple[str | None, str, int]]:
    """What a pandera schema says."""
    (root / "schema.yaml").write_text(yaml.safe_dump({"columns": columns}))
    return [(one.column, one.rule, one.rows) for one in contract.check(root, data, "schema.yaml").findings.broken]


# --- contracts that must not pass -------------------------------------------------------------------------------------


def test_columns_that_must_be_unique_together_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id\n1\n1\n")
    assert broken(tmp_path, "d.csv", unique=[["id", "plan"]]) == [("plan", "column missing", 0)]
    optional = {"id": {}, "plan": {"required": False}}
    assert broken(tmp_path, "d.csv", unique=[["id", "plan"]], columns=optional) == []


@pytest.mark.parametrize("cell", ["NAN", " NaN", "nAn"])
def test_nan_that_pandas_takes_for_text_is_text(tmp_path: Path, cell: str) -> None:
    (tmp_path / "d.csv").write_text(f"x,y\n1.5,1\n{cell},2\n")
    assert broken_by_schema(tmp_path, "d.csv", x={"dtype": "float64", "nullable": True}) == [("x", "dtype float64, found str", 0)]
    assert broken(tmp_path, "d.csv", columns={"x": {"type": "number", "nullable": True}}) == [("x", "type number", 1)]


@pytest.mark.parametrize("cell", ["NaN", "nan", "-nan", "NA", ""])
def test_nan_that_pandas_takes_for_a_missing_cell_is_one(tmp_path: Path, cell: str) -> None:
    (tmp_path / "d.csv").write_text(f"x,y\n1.5,1\n{cell},2\n")
    assert broken_by_schema(tmp_path, "d.csv", x={"dtype": "float64"}) == [("x", "not nullable", 1)]


def test_true_beside_a_blank_is_text_as_it_is_to_pandas(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y\n True,1\n False,2\n")
    assert broken_by_schema(tmp_path, "d.csv", x={"dtype": "bool"}) == [("x", "dtype bool, found str", 0)]


def test_text_that_coerce_would_call_true_breaks_the_contract(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x\nno\nFalse?\nTrue\n")
    assert broken_by_schema(tmp_path, "d.csv", x={"dtype": "bool", "coerce": True}) == [("x", "coerce to bool would change values", 2)]


@pytest.mark.parametrize(("kind", "cells"), [("integer", ["1", "2"]), ("number", ["1.5", "2"]), ("boolean", ["true", "false"])])
def test_the_text_of_a_number_is_no_number_where_a_format_has_both(tmp_path: Path, kind: str, cells: list[str]) -> None:
    pl.DataFrame({"x": cells}).write_parquet(tmp_path / "d.parquet")
    pl.DataFrame({"x": cells}).write_ndjson(tmp_path / "d.jsonl")
    pl.DataFrame({"x": cells}).write_csv(tmp_path / "d.csv")
    (tmp_path / "mixed.jsonl").write_text(f'{{"x": "{cells[0]}"}}\n{{"x": {cells[1]}}}\n')
    for data in ("d.parquet", "d.jsonl"):
        assert broken(tmp_path, data, columns={"x": {"type": kind}}) == [("x", f"type {kind}, found string", 0)]
    assert broken(tmp_path, "mixed.jsonl", columns={"x": {"type": kind}}) == [("x", f"type {kind}, found mixed values", 0)]
    assert broken(tmp_path, "d.csv", columns={"x": {"type": kind}}) == []


def test_a_column_in_the_file_and_in_its_folders_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/year=1").mkdir(parents=True)
    pl.DataFrame({"year": [9], "x": [1]}).write_parquet(tmp_path / "data/year=1/part.parquet")
    with pytest.raises(InputError, match="column 'year' stands in the file and in the folder's name"):
        scan(tmp_path, "data")


def test_a_linked_folder_among_tables_is_not_passed_over(tmp_path: Path) -> None:
    for folder in ("data", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.csv").write_text("x\n1\n")
    (tmp_path / "data/more").symlink_to("../elsewhere")
    with pytest.raises(InputError, match=r"^data: more is a link to a folder, which mlgate does not follow"):
        scan(tmp_path, "data")


# --- contracts that hold ----------------------------------------------------------------------------------------------


def test_forbidden_values_of_another_kind_do_not_blame_missing_cells(tmp_path: Path) -> None:
    decimals = pl.Series([Decimal("1.5"), None], dtype=pl.Decimal(10, 2))
    pl.DataFrame({"x": decimals, "day": [date(2026, 1, 1), None]}).write_parquet(tmp_path / "d.parquet")
    both = {name: {"nullable": True, "checks": {"notin": ["a"]}} for name in ("x", "day")}
    assert broken_by_schema(tmp_path, "d.parquet", **both) == []
    allowed = {name: {"nullable": True, "checks": {"isin": ["a"]}} for name in ("x", "day")}
    assert [rows for _, _, rows in broken_by_schema(tmp_path, "d.parquet", **allowed)] == [1, 1]


# --- numbers and times beyond every type --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [(pl.Float64(), [1.5, 2.5, None]), (pl.Int64(), [1, 2, None]), (pl.Decimal(38, 30), [Decimal("1.5"), Decimal("2.5"), None])],
)
def test_limits_that_no_type_holds_are_limits_all_the_same(tmp_path: Path, dtype: pl.DataType, cells: list[Any]) -> None:
    pl.DataFrame({"x": pl.Series(cells, dtype=dtype)}).write_parquet(tmp_path / "d.parquet")

    def rows(**rule: Any) -> list[int]:
        return [count for _, _, count in broken(tmp_path, "d.parquet", columns={"x": {"nullable": True, **rule}})]

    assert rows(range=[-HUGE, HUGE]) == rows(not_in=[HUGE]) == rows(range=[1e-40, None]) == []
    assert rows(range=[HUGE, None]) == rows(range=[None, -HUGE]) == rows(**{"in": [HUGE]}) == [2]


def test_true_beside_decimals_is_one_as_it_is_beside_whole_numbers(tmp_path: Path) -> None:
    pl.DataFrame({"x": pl.Series([Decimal(1), Decimal(2)], dtype=pl.Decimal(3, 2)), "n": [1, 2]}).write_parquet(tmp_path / "d.parquet")
    both: dict[str, Any] = {name: {"checks": {"isin": [True]}} for name in ("x", "n")}
    assert [rows for _, _, rows in broken_by_schema(tmp_path, "d.parquet", **both)] == [1, 1]


def test_limits_of_decimals_are_exact(tmp_path: Path) -> None:
    pl.DataFrame({"x": pl.Series([Decimal("1.50")], dtype=pl.Decimal(3, 2))}).write_parquet(tmp_path / "d.parquet")
    assert broken(tmp_path, "d.parquet", columns={"x": {"range": [1.4999, 1.5001]}}) == []
    assert len(broken(tmp_path, "d.parquet", columns={"x": {"range": [1.5001, 9]}})) == 1
    strict = {"nullable": True, "checks": {"in_range": {"min_value": 1.499, "max_value": 1.5, "include_min": False, "include_max": False}}}
    assert [rows for _, _, rows in broken_by_schema(tmp_path, "d.parquet", x=strict)] == [1]


def test_a_time_that_no_calendar_has_is_told_in_a_line(tmp_path: Path) -> None:
    pl.DataFrame({"t": pl.Series([2**62, 5]).cast(pl.Datetime("us"))}).write_parquet(tmp_path / "d.parquet")
    rules = {"t": {"type": "datetime", "range": [None, "9999-12-31"], "fresh": "7d"}}
    said = broken(tmp_path, "d.parquet", columns=rules, is_showing_values=True)
    assert [rule.partition(",")[0] for _, rule, _ in said] == ["less_than_or_equal_to(9999-12-31)", "fresh(7d)"]
    with pytest.raises(InputError, match=r"^d.parquet: holds times before the year 1 or after 9999"):
        inference.infer(scan(tmp_path, "d.parquet"))


@pytest.mark.parametrize("cell", ["ä!", "!"])
def test_repeats_in_repeats_do_not_keep_a_contract_busy(tmp_path: Path, cell: str) -> None:
    (tmp_path / "d.csv").write_text(f"x\n{'a' * 60}{cell}\n{'a' * 60}\n")
    assert broken(tmp_path, "d.csv", columns={"x": {"pattern": "(a+)+"}}) == [("x", "str_matches((a+)+)", 1)]


# --- rules that lose their force ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("laxer", [{"level": "warn"}, {"required": False}])
def test_uniqueness_that_moves_to_a_column_that_asks_less_is_a_weakening(laxer: dict[str, Any]) -> None:
    old = entry(unique=[["id"]])
    changes = short_form_changes.compare(old, entry(columns={"id": {"unique": True, **laxer}}))
    assert [change.name for change in changes if change.is_weakening] == ["unique (id)"]
    assert not any(change.is_weakening for change in short_form_changes.compare(old, entry(columns={"id": {"unique": True}})))


def test_classes_that_no_longer_come_from_the_manifest_are_a_weakening() -> None:
    listed = {"types": ["png"], "manifest": "labels.csv"}
    before, after = (entry("data", files={**listed, **more}).files for more in ({}, {"classes": "folder"}))
    assert before is not None
    assert after is not None
    assert [change.is_weakening for change in file_changes.compare(before, after)] == [True]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unique: [a, b]\ncolumns: {a: {}, b: {}}", "unique: []\ncolumns: {a: {}, b: {}}"),
        ("columns: {'x.*': {regex: true}}", "columns: {'x.*': {regex: true}, x1: {nullable: true}}"),
    ],
)
def test_a_schema_that_asks_nothing_of_what_it_asked_before_is_weaker(old: str, new: str) -> None:
    assert any(change.is_weakening for change in schema_changes.compare(old.encode(), new.encode()) or [])


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        first_contract.run(tmp_path, "s3://user:hunter2@bucket/d.csv")
    assert "without credentials" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_command_that_makes_data_cannot_make_its_rules_fit(tmp_path: Path) -> None:
    settings = MINIMAL_CONFIG + "data: {prepare: cp wide.yaml contract.yaml, contracts: [{data: d.csv, schema: contract.yaml}]}\n"
    narrow = "columns: {x: {checks: {in_range: {min_value: 0, max_value: 3}}}}\n"
    files = {"mlgate.yaml": settings, "contract.yaml": narrow, "wide.yaml": narrow.replace("3", "99"), "d.csv": "x\n9\n"}
    root = make_repository(tmp_path / "r", files)
    evidence = stages.run("validate-data", Workspace.open(root, "mlgate.yaml", {}))
    assert (evidence.exit_code, evidence.summary.partition(";")[0]) == (
        2,
        "contract.yaml: data.prepare changed the rules that its data must keep",
    )
