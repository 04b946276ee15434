"""What Polars says of a pandera schema is what pandera says: the same rules broken, by as many rows, the same ones first."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.contracts import contract, pandera_run, schema_file, tables

Case = tuple[str, pd.DataFrame, dict[str, Any]]

_WORDS = st.sampled_from(["a", "b", "ab", "abc", "é", "x1", "12", "zz top", "A", "-"])
_CELLS: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-5, 12),
    "float64": st.sampled_from([-1.5, 0.0, 0.5, 1.0, 3.25, 10.0, 11.5, -0.0]),
    "str": _WORDS,
    "bool": st.booleans(),
    "datetime64[ns]": st.datetimes(pd.Timestamp("2020-01-01"), pd.Timestamp("2020-03-01")).map(lambda at: at.replace(microsecond=0)),
}
_FORMATS = ("csv", "parquet", "jsonl")


def _checks(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Checks that make sense of a kind of column, and now and then of another."""
    number = st.integers(-4, 11) | st.sampled_from([0.5, 2.5, 1e9, -1e30])
    numbers = {
        "greater_than": number,
        "greater_than_or_equal_to": number,
        "less_than": number,
        "less_than_or_equal_to": number,
        "in_range": st.tuples(st.integers(-4, 3), st.integers(4, 11), st.booleans(), st.booleans()).map(
            lambda ends: {"min_value": ends[0], "max_value": ends[1], "include_min": ends[2], "include_max": ends[3]}
        ),
        "isin": st.lists(st.integers(-4, 11), min_size=1, max_size=5) | st.lists(st.sampled_from([0.5, 1.0, 2.5]), min_size=1),
        "notin": st.lists(st.integers(-4, 11), min_size=1, max_size=3),
        "equal_to": number,
        "not_equal_to": number,
    }
    pattern = st.sampled_from(["a", "^[a-z]+$", r"\w+", r"^\d*$", "(?=a).", "a|b", ".{2}", r"[^\s]+", "b$"])
    text = {
        "str_matches": pattern,
        "str_contains": pattern,
        "str_startswith": _WORDS,
        "str_endswith": _WORDS,
        "str_length": st.sampled_from([{"min_value": 1, "max_value": 2}, {"min_value": 2}, {"max_value": 1}, {"exact_value": 2}]),
        "isin": st.lists(_WORDS, min_size=1, max_size=6),
        "notin": st.lists(_WORDS, min_size=1, max_size=2),
        "greater_than": _WORDS,
        "equal_to": _WORDS,
        "unique_values_eq": st.lists(_WORDS, min_size=1, max_size=3),
    }
    moments = {
        "greater_than": st.sampled_from(["2020-01-15 00:00:00", "2020-02-20 12:00:00"]),
        "in_range": st.just({"min_value": "2020-01-05 00:00:00", "max_value": "2020-02-20 00:00:00"}),
    }
    fitting = {"str": text, "datetime64[ns]": moments, "bool": {"isin": st.just([True])}}.get(kind, numbers)
    return st.dictionaries(st.sampled_from(sorted(fitting)), st.none(), max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: fitting[name] for name in names})
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A format, a table, and a schema for pandas that more or less fits it."""
    table_format = draw(st.sampled_from(_FORMATS))
    rows = draw(st.integers(1, 25))
    kinds = draw(st.lists(st.sampled_from(sorted(_CELLS)), min_size=1, max_size=4))
    names = [f"c{number}" for number in range(len(kinds))]
    if table_format != "parquet":
        kinds = ["str" if kind == "datetime64[ns]" else kind for kind in kinds]
    data = {name: draw(_column(kind, rows)) for name, kind in zip(names, kinds, strict=True)}
    columns = {name: draw(_rules(kind)) for name, kind in zip(names, kinds, strict=True) if draw(st.integers(0, 9))}
    if draw(st.integers(0, 4)) == 0:
        columns["missing"] = {"dtype": "int64", "required": draw(st.booleans())}
    if draw(st.integers(0, 5)) == 0:
        columns[draw(st.sampled_from(["c[12]", "c.*", "q.*"]))] = {"regex": True, "nullable": draw(st.booleans())}
    document: dict[str, Any] = {"columns": dict(draw(st.permutations(list(columns.items()))) or {"c0": {}})}
    for key, values in (("strict", [True, False, "filter"]), ("ordered", [True, False]), ("unique_column_names", [True])):
        if draw(st.integers(0, 3)) == 0:
            document[key] = draw(st.sampled_from(values))
    if draw(st.integers(0, 3)) == 0:
        document["unique"] = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return table_format, pd.DataFrame(data), document


@st.composite
def _column(draw: st.DrawFn, kind: str, rows: int) -> list[Any]:
    missing = draw(st.sampled_from([0, 0, 1, 3]))
    cells = draw(st.lists(_CELLS[kind], min_size=rows, max_size=rows))
    return [None if missing and draw(st.integers(0, 9)) < missing else cell for cell in cells]


@st.composite
def _rules(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    said = kind if draw(st.integers(0, 7)) else draw(st.sampled_from(["int64", "str", "float64", "object", "bool"]))
    column: dict[str, Any] = draw(_checks(kind if draw(st.integers(0, 9)) else said))
    if draw(st.integers(0, 5)):
        column["dtype"] = said
    for key in ("nullable", "unique"):
        if draw(st.booleans()):
            column[key] = draw(st.booleans())
    if column.get("unique") and draw(st.booleans()):
        column["report_duplicates"] = draw(st.sampled_from(["all", "exclude_first", "exclude_last"]))
    if draw(st.integers(0, 5)) == 0 and said == kind and kind != "bool":
        column["coerce"] = True
    return column


def _written(folder: Path, table_format: str, frame: pd.DataFrame) -> str:
    name = f"t.{table_format}"
    match table_format:
        case "csv":
            frame.to_csv(folder / name, index=False)
        case "jsonl":
            rows = ({key: _plain(value) for key, value in row.items()} for row in frame.to_dict("records"))
            (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        case _:
            frame.to_parquet(folder / name)
    return name


def _plain(value: Any) -> Any:
    return None if value is None or value != value else value


def _told(rule: str) -> str:
    """What differs in words alone."""
    return rule.split(" cannot be computed")[0].replace("string[pyarrow]", "str")


def difference(case: Case) -> str | None:
    """How the two engines differ over a case."""
    table_format, frame, document = case
    with tempfile.TemporaryDirectory() as at:
        folder = Path(at)
        name = _written(folder, table_format, frame)
        (folder / "s.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        found = contract.check(folder, name, "s.yaml").findings
        ours = {(rule.column, _told(rule.rule), rule.rows, tuple(rule.row_numbers)) for rule in found.broken}
        said = pandera_run.check(tables.read(folder / name), schema_file.load(folder / "s.yaml", "s.yaml"), False)
        theirs = {
            (rule["column"], _told(rule["rule"]), rule["rows"], tuple(rule["row_numbers"]))
            for rule in said["broken"]
            # Of missing cells alone, pandera says that they cannot be compared with what is no number; nothing is broken there.
            if not ("cannot be computed" in rule["rule"] and frame[rule["column"]].isna().all())
        }
    if ours == theirs and (found.rows, found.columns) == (said["rows"], said["columns"]):
        return None
    return f"only Polars: {sorted(ours - theirs, key=str)}; only pandera: {sorted(theirs - ours, key=str)}; {found.engine}, {found.notes}"


@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_the_same_rules_are_broken_by_the_same_rows(case: Case) -> None:
    assert difference(case) is None
