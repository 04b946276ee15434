"""The short form of a contract: every rule on data that breaks it and on data that almost does, and every mistake in one line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlgate import config
from mlgate.config import ColumnConfig, ContractConfig
from mlgate.config.values import duration_text
from mlgate.contracts import in_configuration, wording
from mlgate.contracts.short_form import contract_of
from mlgate.errors import InputError
from support import MINIMAL_CONFIG

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(rules: str, data: str = "d.csv") -> ContractConfig:
    """An entry of `data.contracts` from the inside of its braces."""
    text = f"{MINIMAL_CONFIG}data: {{contracts: [{{data: {data}, {rules}}}]}}\n"
    return config.parse(text.encode(), "mlgate.yaml").data.contracts[0]


def said(root: Path, rules: str, csv: str = "", data: str = "d.csv") -> list[str]:
    """What a contract says of a table, one sentence a broken rule."""
    if csv:
        (root / data).write_text(csv)
    checked = in_configuration.check(root, entry(rules, data), schema_path="mlgate.yaml", now=NOW)
    return [wording.sentence(rule, checked.findings.rows) for rule in checked.findings.broken]


def column(values: list[object]) -> str:
    return "\n".join(["x", *map(str, values)]) + "\n"


@pytest.mark.parametrize(
    ("rules", "almost", "broken", "sentence"),
    [
        ("type: integer", [1, 2], [1, 1.7], "x not of type integer in 1 of 2 rows (1)"),
        ("type: integer", [1, 2], [1, "n/a?"], "x not of type integer in 1 of 2 rows (1)"),
        ("type: integer", [1, 2], ["1.0", "2.0"], "x is number, not integer"),  # whole, and of another type all the same
        ("type: number", [1, 2.5], [1, "two"], "x not of type number in 1 of 2 rows (1)"),
        ("type: boolean", ["true", "false"], ["true", "maybe"], "x not of type boolean in 1 of 2 rows (1)"),
        ("type: date", ["2026-02-28", "2024-02-29"], ["2026-02-28", "2026-02-29"], "x not of type date in 1 of 2 rows (1)"),
        (
            "type: datetime",
            ["2026-01-01T10:00:00Z", "2026-01-01 10:00"],
            ["2026-01-01", "soon"],
            "x not of type datetime in 1 of 2 rows (1)",
        ),
        ("nullable: false", ["a", "b"], ["a", "n/a"], "x missing in 1 of 2 rows (1)"),
        ("unique: true, nullable: true", ["a", "", "b"], ["a", "b", "a"], "x not unique in 2 of 3 rows (0, 2)"),
        ("range: [0, 120]", [0, 120], [-1, 121], "x not in 0..120 in 2 of 2 rows (0, 1)"),
        ("range: [0, null]", [0, 1e300], [-0.001, 1], "x below 0 in 1 of 2 rows (0)"),
        ("range: [null, 1.5]", [-1e300, 1.5], [1, 1.5000001], "x above 1.5 in 1 of 2 rows (1)"),
        ("type: date, range: [2026-01-01, null]", ["2026-01-01"], ["2025-12-31"], "x below 2026-01-01 in 1 of 1 rows (0)"),
        ("in: [free, pro]", ["free", "pro"], ["free", "Pro"], "x not one of free, pro in 1 of 2 rows (1)"),
        ("in: [1, 2]", [1, 2], [1, 3], "x not one of 1, 2 in 1 of 2 rows (1)"),
        ("in: ['NO', 'SE']", ["NO", "SE"], ["NO", "XX"], "x not one of NO, SE in 1 of 2 rows (1)"),
        ("not_in: [-1]", [0, 1], [-1, 1], "x one of -1 in 1 of 2 rows (0)"),
        ("pattern: 'a+'", ["a", "aaa"], ["a", "aab"], "x not matching a+ in 1 of 2 rows (1)"),
        ("length: [2, 3]", ["ab", "äöü"], ["a", "abcd"], "x not 2 to 3 characters long in 2 of 2 rows (0, 1)"),
        ("length: [null, 3]", ["abc"], ["abcd"], "x longer than 3 in 1 of 1 rows (0)"),
        ("length: [2, null]", ["ab"], ["a"], "x shorter than 2 in 1 of 1 rows (0)"),
        ("fresh: 7d", ["2026-11-15T12:00:00Z"], ["2026-11-15T11:59:59Z"], "x is stale: the newest is 7d1s old, not at most 7d"),
        ("fresh: 36h", ["2026-11-21T01:00:00+01:00"], ["2026-11-20T23:00:00"], "x is stale: the newest is 1d13h old, not at most 1d12h"),
        ("type: date, fresh: 1d", ["2026-11-21", "2020-01-01"], ["2026-11-20"], "x is stale: the newest is 1d12h old, not at most 1d"),
        ("fresh: 7d", ["2026-11-23T11:00:00Z"], ["2027-11-22T12:00:00Z"], "x is of the future: the newest is 365d ahead"),
        ("fresh: 7d", ["2026-11-22 12:00"], ["long ago"], "x has no time that could be fresh"),
    ],
)
def test_a_rule_about_a_column(tmp_path: Path, rules: str, almost: list[object], broken: list[object], sentence: str) -> None:
    assert said(tmp_path, f"columns: {{x: {{{rules}}}}}", column(almost)) == []
    assert said(tmp_path, f"columns: {{x: {{{rules}}}}}", column(broken)) == [sentence]


@pytest.mark.parametrize(
    ("rules", "almost", "broken", "sentence"),
    [
        ("columns: {a: {}, b: {required: false}}", "a\n1\n", "b\n1\n", "a is not there"),
        ("columns: {a: {}}, other_columns: refuse", "a\n1\n", "a,b\n1,2\n", "b is not in the contract"),
        ("columns: {a: {}}", "a,b\n1,2\n", "b\n1\n", "a is not there"),
        ("rows: [2, 3]", "a\n1\n2\n", "a\n1\n", "1 rows, not 2 to 3"),
        ("rows: [2, null]", "a\n1\n2\n", "a\n1\n", "1 rows, fewer than 2"),
        ("rows: [null, 2]", "a\n1\n2\n", "a\n1\n2\n3\n", "3 rows, more than 2"),
        ("unique: [[a, b]]", "a,b\n1,1\n1,2\n2,1\n", "a,b\n1,1\n1,1\n2,1\n", "a, b not unique together in 2 of 3 rows (0, 1)"),
        ("expressions: ['a <= b']", "a,b\n1,1\n,2\n", "a,b\n1,1\n3,2\n", "fails a <= b in 1 of 2 rows (1)"),
        (
            "expressions: ['end >= start']",
            "start,end\n2026-01-01,2026-01-01\n",
            "start,end\n2026-01-02,2026-01-01\n",
            "fails end >= start in 1 of 1 rows (0)",
        ),
        (
            "expressions: ['price > 0']",
            "price\n1\n",
            "prices\n1\n",
            "price > 0 cannot be computed: no column 'price'; did you mean 'prices'?",
        ),
        (
            "expressions: ['a > 0']",
            "a\n1\n",
            "a\nx\n",
            "a > 0 cannot be computed: '>' at character 1 compares what cannot be compared: 'a' is text, '0' is a whole number",
        ),
    ],
)
def test_a_rule_about_the_table(tmp_path: Path, rules: str, almost: str, broken: str, sentence: str) -> None:
    assert said(tmp_path, rules, almost) == []
    assert said(tmp_path, rules, broken) == [sentence]


def test_what_is_missing_breaks_nothing_but_nullable(tmp_path: Path) -> None:
    rules = "range: [5, 6], in: [5], unique: true, references: 'o.csv:c', nullable: true"
    (tmp_path / "o.csv").write_text("c\n5\n")
    assert said(tmp_path, f"columns: {{x: {{{rules}}}}}, expressions: ['x > 4']", "x,y\n5,1\n,1\n,1\n") == []


@pytest.mark.parametrize("other", ["o.csv", "o.parquet", "o.jsonl", "o.arrow"])
def test_every_value_stands_in_the_other_table(tmp_path: Path, other: str) -> None:
    frame = pl.DataFrame({"the code": ["SE", "NO", None, "SE"], "y": [1, 2, 3, 4]})
    write = {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson, "arrow": frame.write_ipc}
    write[other.rpartition(".")[2]](tmp_path / other)
    rules = f"columns: {{c: {{references: '{other}:the code', nullable: true}}}}"
    assert said(tmp_path, rules, "c,d\nNO,1\nSE,1\n,1\n") == []
    assert said(tmp_path, rules, "c,d\nNO,1\nDE,1\nse,1\n") == [f"c not in {other}:the code in 2 of 3 rows (1, 2)"]


def test_numbers_and_text_are_not_the_same_in_another_table(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("c\nx1\n")
    assert said(tmp_path, "columns: {c: {references: 'o.csv:c'}}", "c\n1\n") == ["c not in o.csv:c: integer here, string there"]
    (tmp_path / "o.csv").write_text("c\n1.0\n2.5\n")
    assert said(tmp_path, "columns: {c: {references: 'o.csv:c'}}", "c\n1\n") == []


def test_another_table_that_is_not_there_or_has_no_such_column_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("c\n1\n")
    with pytest.raises(InputError, match=r"^o\.csv: no such file"):
        said(tmp_path, "columns: {c: {references: 'o.csv:c'}}")
    (tmp_path / "o.csv").write_text("d\n1\n")
    assert said(tmp_path, "columns: {c: {references: 'o.csv:c'}}") == ["c not in o.csv:c: there is no column c in o.csv"]


def test_what_only_warns_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n9,9\n")
    one = entry("columns: {a: {range: [0, 1], level: warn}, b: {range: [0, 1]}}")
    checked = in_configuration.check(tmp_path, one, schema_path="mlgate.yaml", now=NOW)
    assert [rule.column for rule in checked.findings.broken] == ["b"]
    assert checked.warnings == ["a not in 0..1 in 1 of 1 rows (0)"]
    every = entry("columns: {a: {range: [0, 1]}, b: {range: [0, 1], level: fail}}, level: warn, rows: [5, 9]")
    checked = in_configuration.check(tmp_path, every, schema_path="mlgate.yaml", now=NOW)
    assert [rule.column for rule in checked.findings.broken] == ["b"]
    assert len(checked.warnings) == 2


def test_in_files_that_have_types_text_is_no_date(tmp_path: Path) -> None:
    pl.DataFrame({"x": ["2026-01-01"]}).write_parquet(tmp_path / "d.parquet")
    assert said(tmp_path, "columns: {x: {type: date}}", data="d.parquet") == ["x is string, not date"]


def test_names_and_values_are_taken_to_the_letter(tmp_path: Path) -> None:
    rules = "columns: {' a ': {in: [' x']}, 'int': {type: integer}, 'a.b: c': {length: [1, 1]}}, other_columns: refuse"
    pl.DataFrame({" a ": [" x"], "int": [1], "a.b: c": ["x"]}).write_parquet(tmp_path / "d.parquet")
    assert said(tmp_path, rules, data="d.parquet") == []


def test_values_are_told_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a\n9\n")
    for is_allowed, values in ((True, ["9"]), (False, None)):
        one = entry("columns: {a: {range: [0, 1]}}")
        checked = in_configuration.check(tmp_path, one, schema_path="mlgate.yaml", is_showing_values=is_allowed, now=NOW)
        assert checked.findings.broken[0].values == values


def test_rules_come_in_the_order_they_are_written() -> None:
    written = "rows: [1, 2], unique: [[b]], expressions: ['a > 1'], columns: {b: {type: integer}, a: {}}, other_columns: refuse"
    rules = contract_of(entry(written))
    assert [type(rule).__name__ for rule in rules.rules] == [
        "RowCount", "ColumnsAre", "Present", "OfKind", "NotNull", "Present", "NotNull", "Unique", "Holds",
    ]  # fmt: skip


def test_a_duration_is_told_as_it_is_written() -> None:
    assert [duration_text(seconds) for seconds in (604800, 129600, 5400, 61)] == ["7d", "1d12h", "1h30m", "1m1s"]


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ("columns: {}", "schema: missing; name a pandera schema, or write rules here: columns, rows, unique, expressions; or files"),
        ("schema: a.yaml, rows: [1, 2]", "rows: the rules stand in 'schema' already; write them in one place"),
        ("schema: a.yaml, level: warn", "level: of a pandera schema, each check has its own: raise_warning"),
        ("colums: {a: {}}, rows: [1, 2]", "colums: unknown key; did you mean 'columns'?"),
        ("columns: {age: {rnge: [0, 1]}}", "columns.age.rnge: unknown key; did you mean 'range'?"),
        ("columns: {int: {rnge: [0, 1]}}", "columns.int.rnge: unknown key; did you mean 'range'?"),
        ("columns: {a: integer}", "columns.a: expected rules such as {type: integer}, or {}, got the text 'integer'"),
        ("columns: {a: }", "columns.a: expected rules such as {type: integer}, or {}, got nothing"),
        ("columns: {1: {}}", "columns: a column is named 1 (an integer); put the name in quotes"),
        ("columns: {yes: {}}", "columns: a column is named true (a yes/no value); put the name in quotes"),
        ("columns: {a: {type: int}}", "columns.a.type: 'int' is not possible; did you mean 'integer'?"),
        ("columns: {a: {range: 3}}", "columns.a.range: expected [least, greatest], null where there is no limit, got 3 (an integer)"),
        ("columns: {a: {range: [1]}}", "columns.a.range: expected [least, greatest], null where there is no limit, got a list"),
        ("columns: {a: {range: [9, 1]}}", "columns.a.range: 9 is above 1; the lower limit stands first"),
        ("columns: {a: {range: [1, x]}}", "columns.a.range: from 1 (an integer) to the text 'x'; expected two of a kind"),
        ("columns: {a: {range: [null, null]}}", "columns.a.range: both limits are null, so it asks nothing; leave it out"),
        ("columns: {a: {range: [false, 1]}}", "columns.a.range: yes/no values have no order; expected numbers, dates or texts"),
        ("columns: {a: {range: [.nan, 1]}}", "columns.a.range[0]: expected a value of the data, got nan (a number)"),
        ("columns: {a: {type: integer, range: [0, 1.5]}}", "columns.a.range[1]: 1.5 (a number) in a column of type integer"),
        ("columns: {a: {type: boolean, range: [0, 1]}}", "columns.a.range[0]: 0 (an integer) in a column of type boolean"),
        ("columns: {a: {type: date, range: [x, null]}}", "columns.a.range[0]: the text 'x' in a column of type date"),
        ("columns: {a: {in: x}}", "columns.a.in: expected a list, such as [x], got the text 'x'"),
        ("columns: {a: {in: []}}", "columns.a.in: expected at least 1 entry, got an empty list"),
        ("columns: {a: {in: [[1]]}}", "columns.a.in[0]: expected a number, a text or a yes/no value, got a list"),
        (
            "columns: {c: {type: string, in: [NO, SE]}}",
            "columns.c.in[0]: false (a yes/no value) in a column of type string; put it in quotes",
        ),
        (
            "columns: {a: {pattern: '(a'}}",
            "columns.a.pattern: '(a' is no regular expression: missing ), unterminated subpattern at position 0",
        ),
        ("columns: {a: {type: integer, pattern: a}}", "columns.a.pattern: is about text, and the column is of type integer"),
        ("columns: {a: {length: [1, x]}}", "columns.a.length[1]: expected a whole number, got the text 'x'"),
        ("columns: {a: {length: [-1, 3]}}", "columns.a.length[0]: expected at least 0, got -1 (an integer)"),
        (
            "columns: {a: {references: x.csv}}",
            "columns.a.references: expected a file and its column, such as 'data/countries.csv:code', got 'x.csv'",
        ),
        ("columns: {a: {references: '../x.csv:a'}}", "columns.a.references: expected a path inside the working directory, got '../x.csv'"),
        ("columns: {a: {fresh: soon}}", "columns.a.fresh: expected a duration such as 90s, 30m, 2h or 1h30m, got the text 'soon'"),
        ("columns: {a: {type: string, fresh: 7d}}", "columns.a.fresh: is about dates and times, and the column is of type string"),
        ("columns: {a: {level: wrn}}", "columns.a.level: 'wrn' is not possible; did you mean 'warn'?"),
        ("other_columns: refuse, rows: [1, 2]", "other_columns: 'refuse' needs the columns there may be, in 'columns'"),
        ("rows: [5, 1]", "rows: 5 is above 1; the lower limit stands first"),
        ("rows: [1.5, null]", "rows[0]: expected a whole number, got 1.5 (a number)"),
        ("unique: [a, b]", "unique: expected lists of columns, such as [[a, b]]; a single one has its own 'unique'"),
        ("unique: [[a, a]]", "unique[0]: names a column twice"),
        ("expressions: ['a = b']", "expressions[0]: 'a = b': cannot be read at character 3; equal is '=='"),
        (
            "columns: {a: {type: integer}}, expressions: ['a > 1', \"a == 'x'\"]",
            "expressions[1]: 'a == 'x'': '==' at character 1 compares what cannot be compared: 'a' is a whole number, 'x' is text",
        ),
        (
            "columns: {age: {}}, other_columns: refuse, expressions: ['aeg > 1']",
            "expressions[0]: 'aeg > 1': no column 'aeg'; did you mean 'age'?",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_key(rules: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        entry(rules)
    assert str(caught.value) == f"mlgate.yaml: data.contracts[0].{line}"


def test_the_other_tables_are_data_that_is_pulled_and_hashed() -> None:
    one = entry("columns: {a: {references: 'data/o.csv:c:d'}, b: {references: 'data/o.csv:e'}, c: {references: 'd.csv:a'}}")
    assert one.names == ["d.csv", "data/o.csv"]
    assert one.columns["a"].reference == ("data/o.csv", "c:d")


def test_text_stays_text_in_a_file_without_types(tmp_path: Path) -> None:
    (tmp_path / "zips.csv").write_text("code\n01067\n80331\n")
    rules = "columns: {zip: {type: string, pattern: '\\d{5}', references: 'zips.csv:code'}}"
    assert said(tmp_path, rules, "zip,x\n01067,1\n80331,2\n") == []
    assert said(tmp_path, rules, "zip,x\n1067,1\n80331,2\n") == [
        "zip not matching \\d{5} in 1 of 2 rows (0)",
        "zip not in zips.csv:code in 1 of 2 rows (0)",
    ]


def test_the_example_of_the_docs_is_a_contract() -> None:
    page = (Path(__file__).parents[3] / "docs/contracts.md").read_text()
    [example] = re.findall(r"```yaml\n(data:\n.*?)```", page, re.DOTALL)
    [one] = config.parse((MINIMAL_CONFIG + example).encode(), "mlgate.yaml").data.contracts
    assert len(contract_of(one).rules) > 25
    named = set(re.findall(r"`(\w+)\(", page)) - {"column"}
    assert named == {"abs", "min", "max", "length", "lower", "is_missing", "year", "month", "day", "hour", "days_between"}


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(["", "a", "7d", "fail", "warn", "integer", "date", "string", "x.csv:a", "2026-01-01", "a > 1", "[", "\0", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ColumnConfig.model_fields, "in", "a", 1, None]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*ContractConfig.model_fields, "schema"]), _VALUES, max_size=5))
def test_anything_else_is_refused_in_lines_that_name_the_key(rules: dict[str, object]) -> None:
    document = yaml.safe_load(MINIMAL_CONFIG) | {"data": {"contracts": [{"data": "d.csv", **rules}]}}
    try:
        found = config.parse(yaml.safe_dump(document, allow_unicode=True).encode(), "mlgate.yaml")
    except InputError as error:
        assert all(re.match(r"mlgate\.yaml: (data\.contracts\[0\]|.*valid YAML|and \d+ more)", line) for line in str(error).splitlines())  # noqa: PT017 -- either outcome is right
    else:
        [one] = found.data.contracts
        if one.form == "short":
            contract_of(one)
