"""Contracts run by Polars: counts, first rows and values of what is broken; what runs elsewhere is said."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from mlgate.contracts import contract, pandera_yaml, polars_engine
from mlgate.contracts.contract import Checked
from mlgate.contracts.model import (
    Contract,
    Fresh,
    Holds,
    InRange,
    Matches,
    NotNull,
    OfKind,
    OneOf,
    References,
    RowCount,
    Rule,
    Unique,
)
from mlgate.tables.table import Table

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def checked(root: Path, frame: pl.DataFrame, column: dict[str, Any], *, values: bool = False, **table: Any) -> Checked:
    """What a schema of one column, `x`, says of a Parquet file."""
    frame.write_parquet(root / "t.parquet")
    (root / "s.yaml").write_text(yaml.safe_dump({"columns": {"x": column}, **table}))
    return contract.check(root, "t.parquet", "s.yaml", is_showing_values=values)


def broken(root: Path, values: list[Any], column: dict[str, Any], dtype: Any = None) -> list[tuple[str | None, str, int, list[int]]]:
    found = checked(root, pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)}), column).findings
    assert found.engine == "polars"
    return [(rule.column, rule.rule, rule.rows, rule.row_numbers) for rule in found.broken]


def told(frame: pl.DataFrame, *rules: Rule, others: dict[str, pl.DataFrame] | None = None, form: Any = "parquet") -> list[tuple[Any, ...]]:
    tables = {name: Table(name, each.lazy(), "csv") for name, each in (others or {}).items()}
    answer = polars_engine.run(Table("t", frame.lazy(), form), Contract(rules), others=tables, is_showing_values=False, now=NOW)
    return [(rule.column, rule.rule, rule.rows, rule.row_numbers) for rule in answer.broken]


@pytest.mark.parametrize(
    ("check", "good", "bad", "rule"),
    [
        ({"in_range": {"min_value": 0, "max_value": 120}}, [0, 60, 120], [0, 121, -1], "in_range(0, 120)"),
        ({"in_range": {"min_value": 0.5, "max_value": 2.5}}, [1, 2, 2], [1, 0, 3], "in_range(0.5, 2.5)"),
        ({"greater_than": 0}, [1, 2, 3], [1, 0, -1], "greater_than(0)"),
        ({"greater_than": 0.5}, [1, 2, 3], [1, 0, -1], "greater_than(0.5)"),
        ({"greater_than_or_equal_to": 0}, [0, 1, 2], [0, -1, -2], "greater_than_or_equal_to(0)"),
        ({"less_than": 3}, [0, 1, 2], [0, 3, 4], "less_than(3)"),
        ({"less_than_or_equal_to": 3}, [1, 2, 3], [1, 4, 5], "less_than_or_equal_to(3)"),
        ({"isin": [1, 2]}, [1, 2, 1], [1, 3, 0], "isin([1, 2])"),
        ({"notin": [9]}, [1, 2, 3], [1, 9, 9], "notin([9])"),
        ({"equal_to": 1}, [1, 1, 1], [1, 9, 9], "equal_to(1)"),
        ({"not_equal_to": 9}, [1, 2, 3], [1, 9, 9], "not_equal_to(9)"),
        ({"str_matches": r"^\d+$"}, ["1", "12", "3"], ["1", "a1", "1a"], r"str_matches('^\d+$')"),
        ({"str_matches": r"(?=.*\d)\w+"}, ["a1", "1", "é1"], ["1", "a", "é"], r"str_matches('(?=.*\d)\w+')"),
        ({"str_contains": "@"}, ["a@b", "@", "@@"], ["@", "a", "b"], "str_contains('@')"),
        ({"str_startswith": "a."}, ["a.", "a.b", "a.."], ["a.", "ab", "ba."], "str_startswith('a.')"),
        ({"str_endswith": "."}, [".", "a.", ".."], [".", ".a", ".\n"], "str_endswith('.')"),
        ({"str_length": {"min_value": 1, "max_value": 2}}, ["é", "12", "x"], ["x", "", "123"], "str_length(1, 2)"),
        ({"str_length": {"exact_value": 2}}, ["éé", "12", "xx"], ["xx", "", "123"], "str_length(2)"),
    ],
)
def test_a_check_names_the_rows_that_break_it_and_passes_those_that_almost_do(
    tmp_path: Path, check: dict[str, Any], good: list[Any], bad: list[Any], rule: str
) -> None:
    assert broken(tmp_path, [*good, None], {**check, "nullable": True}) == []
    assert broken(tmp_path, bad, check) == [("x", rule, 2, [1, 2])]


def test_whole_numbers_are_compared_as_such_however_large(tmp_path: Path) -> None:
    at = 2**53
    assert broken(tmp_path, [at, at + 1], {"less_than_or_equal_to": at}) == [("x", f"less_than_or_equal_to({at})", 1, [1])]
    assert broken(tmp_path, [1, -1], {"in_range": {"min_value": -(10**30), "max_value": 10**30}}, pl.Int8) == []
    assert broken(tmp_path, [1, 2], {"isin": [1, 300]}, pl.Int8) == [("x", "isin([1, 300])", 1, [1])]


def test_missing_cells_and_nan_are_the_same_and_break_no_rule_but_their_own(tmp_path: Path) -> None:
    cells = [1.0, None, float("nan")]
    assert broken(tmp_path, cells, {"dtype": "float64", "greater_than": 0}) == [("x", "not nullable", 2, [1, 2])]
    assert broken(tmp_path, cells, {"dtype": "float64", "greater_than": 0, "nullable": True}) == []


@pytest.mark.parametrize(
    ("values", "dtype", "expected", "found"),
    [
        ([1, 2], pl.Int64, "int64", None),
        ([1, None], pl.Int64, "int64", "float64"),
        ([1, None], pl.Int64, "float64", None),
        ([1, 2], pl.Int32, "int64", "int32"),
        (["1"], pl.String, "int64", "str"),
        (["1"], pl.String, "object", None),
        ([True, None], pl.Boolean, "bool", "object"),
        ([0], pl.Datetime("us"), "datetime64[ns]", None),
        (["a"], pl.Categorical, "category", None),
        ([1.5], pl.Float32, "float64", "float32"),
    ],
)
def test_types_are_those_that_pandas_would_find(tmp_path: Path, values: list[Any], dtype: Any, expected: str, found: str | None) -> None:
    said = broken(tmp_path, values, {"dtype": expected, "nullable": True}, dtype)
    assert said == ([] if found is None else [("x", f"dtype {expected}, found {found}", 0, [])])


def test_coercing_what_must_change_runs_in_pandera_and_the_note_says_so(tmp_path: Path) -> None:
    found = checked(tmp_path, pl.DataFrame({"x": [1.0, 1.7], "y": [1, 2]}), {"dtype": "int64", "coerce": True}, strict=True).findings
    assert [(rule.column, rule.rule, rule.row_numbers) for rule in found.broken] == [
        ("y", "column not in the contract", []),
        ("x", "coerce to int64 would change values", [1]),
    ]
    assert found.engine == "polars and pandera"
    assert found.notes[0].startswith("pandera ran x: coerce from number to int64, in ")


def test_coercing_whole_numbers_needs_no_pandera(tmp_path: Path) -> None:
    for dtype in ("float64", "Int64"):
        assert broken(tmp_path, [1, None], {"dtype": dtype, "coerce": True, "nullable": True}) == []
    assert broken(tmp_path, [1, 300], {"dtype": "int8", "coerce": True}) == [("x", "coerce to int8", 1, [1])]


def test_what_only_pandera_runs_is_run_by_it(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": ["a", "b", "c"], "y": [1, 1, 2]})
    found = checked(tmp_path, frame, {"unique_values_eq": ["a", "b"]}, unique=["y"]).findings
    assert [(rule.column, rule.rule.split("(")[0], rule.rows) for rule in found.broken] == [
        ("y", "unique", 2),
        ("x", "unique_values_eq", 0),
    ]
    assert "pandera ran x: the check unique_values_eq, in " in found.notes[0]
    found = checked(tmp_path, frame, {"dtype": "str"}, index=[{"dtype": "int64", "unique": True}]).findings
    assert (found.is_passed, found.engine) == (True, "pandera")
    assert found.notes[0].startswith("pandera ran rules of the index, in ")


def test_columns_unique_together_with_a_coerced_one_are_compared_as_coerced(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": ["1", "01", "2"], "y": [1, 1, 1]})
    found = checked(tmp_path, frame, {"dtype": "int64", "coerce": True}, unique=["x", "y"]).findings
    assert [(rule.rule, rule.row_numbers) for rule in found.broken] == [("unique (x, y)", [0, 1])]


def test_a_check_that_only_warns_does_not_break_the_contract(tmp_path: Path) -> None:
    check = {"greater_than": {"value": 0, "options": {"raise_warning": True}}}
    said = checked(tmp_path, pl.DataFrame({"x": [1, -1]}), {"checks": check})
    assert said.findings.is_passed
    assert said.warnings == ["x not above 0 in 1 of 2 rows (1)"]


def test_values_are_told_only_when_asked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1, -1]})
    assert checked(tmp_path, frame, {"greater_than": 0}).findings.broken[0].values is None
    assert checked(tmp_path, frame, {"greater_than": 0}, values=True).findings.broken[0].values == ["-1"]


def test_counts_are_exact_and_ten_rows_are_shown_when_every_cell_is_broken() -> None:
    n = 200_000
    frame = pl.DataFrame({"x": pl.repeat(-1.0, n, eager=True)})
    rules = (InRange("x", 0, text="low"), Unique(("x",), text="unique"), OneOf("x", (1,), text="isin"), NotNull("x", text="not nullable"))
    assert told(frame, *rules) == [("x", each, n, list(range(10))) for each in ("low", "unique", "isin")]


@pytest.mark.parametrize("rows_a_partition", [3, 1_000])
def test_duplicates_are_found_in_one_part_or_many(rows_a_partition: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polars_engine, "_ROWS_A_PARTITION", rows_a_partition)
    frame = pl.DataFrame({"x": [5, None, 7, 5, None, 5, 1], "y": [1, 1, 2, 1, 3, 1, 1], "row": list("abcdefg")})
    assert told(frame, Unique(("x",), text="unique")) == [("x", "unique", 5, [0, 1, 3, 4, 5])]
    assert told(frame, Unique(("x",), "first", text="unique")) == [("x", "unique", 3, [3, 4, 5])]
    assert told(frame, Unique(("x",), "last", text="unique")) == [("x", "unique", 3, [0, 1, 3])]
    assert told(frame, Unique(("x", "y"), text="unique")) == [(None, "unique", 3, [0, 3, 5])]
    assert told(frame, Unique(("row",), text="unique")) == []


def test_other_rules_are_broken_by_data_and_kept_by_data_that_almost_breaks_them() -> None:
    frame = pl.DataFrame({"n": [1, 2, 3], "s": ["a", "b", None], "t": ["2026-01-20", "2026-01-31", "2026-01-01"]})
    codes = {"codes.csv": pl.DataFrame({"code": ["a", "b"]})}
    kept = (
        RowCount(3, 3, text="rows"),
        References("s", "codes.csv", "code", text="references"),
        Fresh("t", timedelta(days=1), text="fresh"),
        OfKind("t", "date", text="type date"),
        OfKind("n", "number", text="type number"),
        Holds("n < 4", text="n < 4"),
        Matches("s", "[ab]", "whole", text="pattern"),
    )
    assert told(frame, *kept, others=codes, form="csv") == []
    lost = (
        RowCount(4, None, text="rows"),
        References("t", "codes.csv", "code", text="references"),
        OfKind("s", "number", text="type number"),
        Holds("n < 3", text="n < 3"),
        Matches("t", ".*-20|.*31", "whole", text="pattern"),
    )
    assert told(frame, *lost, others=codes, form="csv") == [
        (None, "rows, found 3", 0, []),
        ("t", "references", 3, [0, 1, 2]),
        ("s", "type number, found string", 0, []),
        (None, "n < 3", 1, [2]),
        ("t", "pattern", 1, [2]),
    ]


def test_single_cells_of_another_type_are_counted_and_the_others_still_judged() -> None:
    frame = pl.DataFrame({"x": ["1", "n/a", "300", None, "1.7"], "f": [1.0, 1.7, None, 2.0, 3.0]})
    rules = (
        OfKind("x", "integer", text="type integer"),
        InRange("x", 0, 120, text="in_range(0, 120)"),
        OfKind("f", "integer", text="type integer"),
    )
    assert told(frame, *rules, form="csv") == [
        ("x", "type integer", 2, [1, 4]),
        ("x", "in_range(0, 120)", 1, [2]),
        ("f", "type integer", 1, [1]),
    ]


def test_the_checks_that_are_known_are_those_that_pandera_registers() -> None:
    from pandera.pandas import Check

    assert frozenset(Check.CHECK_FUNCTION_REGISTRY) == pandera_yaml.CHECKS


def test_a_plain_contract_needs_neither_pandas_nor_pandera(tmp_path: Path) -> None:
    pl.DataFrame({"x": [1, 2], "s": ["a", "b"]}).write_csv(tmp_path / "t.csv")
    (tmp_path / "s.yaml").write_text("columns: {x: {dtype: int64, unique: true}, s: {dtype: str, str_matches: '^[ab]$'}}\nstrict: true\n")
    program = (
        "import sys, pathlib\nimport mlgate.stages.validate_data\nfrom mlgate.contracts import contract\n"
        "assert contract.check(pathlib.Path(sys.argv[1]), 't.csv', 's.yaml').findings.is_passed\n"
        "print([name for name in ('pandas', 'pandera', 'pyarrow', 'pyspark') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
