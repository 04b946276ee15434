"""A first contract from data: the data keeps it, whatever its columns are called and hold, and its ranges have room."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate import config
from mlgate.config import ContractConfig
from mlgate.contracts import in_configuration, inference
from mlgate.tables.scan import scan
from support import MINIMAL_CONFIG


def inferred(root: Path, name: str) -> tuple[str, ContractConfig]:
    """The proposal as text, and as mlgate.yaml takes it."""
    text = inference.infer(scan(root, name))
    pasted = "".join(f"    {line}\n" for line in text.splitlines())
    return text, config.parse(f"{MINIMAL_CONFIG}data:\n  contracts:\n{pasted}".encode(), "mlgate.yaml").data.contracts[0]


def holds(root: Path, entry: ContractConfig) -> bool:
    checked = in_configuration.check(root, entry, schema_path="mlgate.yaml", is_showing_values=True, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert checked.findings.broken == []
    return checked.findings.is_passed


def rules(entry: ContractConfig, column: str) -> dict[str, object]:
    return entry.columns[column].model_dump(exclude_defaults=True, by_alias=True)


ROWS = 400


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    of = random.Random(1)
    rows = range(ROWS)
    return pl.DataFrame(
        {
            "id": [n + 1 for n in rows],
            "age": [of.randint(17, 94) if n % 50 else None for n in rows],
            "plan of customer": [of.choice(["free", "pro", "team"]) for _ in rows],
            "no": [of.choice(["NO", "no", "1", "true", "SE"]) for _ in rows],
            "e-mail": [f"u{n}@x.org" for n in rows],
            "price: €": [of.random() * 1e-7 for _ in rows],
            "large": [of.gauss(0, 1) * 1e9 for _ in rows],
            " blank ": ["ä" * of.randint(0, 30) + str(n) for n in rows],
            "day": [date(2024, 1, 1) + timedelta(days=of.randint(0, 400)) for _ in rows],
            "at": [datetime(2024, 1, 1, 3, tzinfo=UTC) + timedelta(minutes=7 * n) for n in rows],
            "empty": pl.Series([None] * ROWS, dtype=pl.Int64),
            "ok": [of.random() < 0.5 for _ in rows],
            "123": [1.5] * ROWS,
            "yes": ["a \"b'#:  \U0001f600\x07", "tab\t\u202e"] * (ROWS // 2),
            "big": [2**62 + n for n in rows],
            "null": [None, "x"] * (ROWS // 2),
            "- x": [-5, 0] * (ROWS // 2),
            "int": [of.randint(-5, 5) / 1 + 0.5 for _ in rows],
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "arrow"])
def test_the_data_keeps_the_contract_inferred_from_it(tmp_path: Path, frame: pl.DataFrame, suffix: str) -> None:
    name = f"my data.{suffix}"
    write = {"csv": frame.write_csv, "parquet": frame.write_parquet, "jsonl": frame.write_ndjson, "arrow": frame.write_ipc}
    write[suffix](tmp_path / name)
    _, entry = inferred(tmp_path, name)
    assert list(entry.columns) == frame.columns
    assert holds(tmp_path, entry)
    assert rules(entry, "id") == {"type": "integer", "unique": True}
    assert rules(entry, "age") == {"type": "integer", "range": (9, 102), "nullable": True}
    assert rules(entry, "plan of customer") == {"type": "string", "in": ["free", "pro", "team"]}
    assert rules(entry, "no") == {"type": "string", "in": ["1", "NO", "SE", "no", "true"]}
    assert rules(entry, "e-mail")["pattern"] == r"[^@\s]+@[^@\s]+\.[^@\s]+"
    assert rules(entry, "day") == {"type": "date", "range": (str(frame["day"].min()), None)}
    assert entry.columns["at"].type == "datetime"
    assert rules(entry, "empty") == {"nullable": True}
    assert rules(entry, "ok") == {"type": "boolean"}
    assert entry.rows == (ROWS // 2, 2 * ROWS)


def test_it_says_what_it_rests_on(tmp_path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(tmp_path / "d.parquet")
    text, _ = inferred(tmp_path, "d.parquet")
    assert "    age: {type: integer, range: [9, 102], nullable: true} # 17 to 94 seen, and a tenth more; 2 % missing\n" in text
    assert "    empty: {nullable: true} # every cell is missing: is it needed?\n" in text
    assert "\u202e" not in text, "it goes to a terminal"


@pytest.mark.parametrize(
    ("values", "range_"),
    [
        ([0, 100], (0, 110)),  # what was never negative stays so
        ([-100, -10], (-109, -1)),
        ([3, 3], None),
        ([0.001, 0.0012], (0.00098, 0.00122)),
        ([1e-320, 2e-320], (1e-320, 2e-320)),
        ([-1.7e308, 1.7e308], (-1.7e308, 1.7e308)),
        ([2**53, 2**53 + 2], (2**53 - 1, 2**53 + 3)),
        ([-(2**63), 2**63 - 1], (-12 * 10**18, 12 * 10**18)),
    ],
)
def test_a_range_has_a_tenth_of_room_in_round_numbers(tmp_path: Path, values: list[float], range_: tuple[float, float] | None) -> None:
    pl.DataFrame({"x": values * 3, "k": range(3 * len(values))}).write_parquet(tmp_path / "d.parquet")
    _, entry = inferred(tmp_path, "d.parquet")
    assert holds(tmp_path, entry)
    assert range_ is None or entry.columns["x"].range == pytest.approx(range_, abs=0)


def test_few_values_are_a_list_only_where_each_is_frequent(tmp_path: Path) -> None:
    pl.DataFrame({"few": ["a", "b"] * 10, "rare": [f"v{n % 10}" for n in range(20)], "many": list(range(20))}).write_parquet(
        tmp_path / "d.parquet"
    )
    _, entry = inferred(tmp_path, "d.parquet")
    assert [name for name, column in entry.columns.items() if column.in_ is not None] == ["few"]


def test_columns_that_no_rule_is_about_are_only_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"list": [[1], [2]], "struct": [{"a": 1}, {"a": 2}], "bytes": [b"x", b"y"], "gap": [timedelta(1), timedelta(2)]})
    frame.write_parquet(tmp_path / "d.parquet")
    _, entry = inferred(tmp_path, "d.parquet")
    assert holds(tmp_path, entry)
    assert all(column.type is None for column in entry.columns.values())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12).filter(lambda name: name != "*" and not (name.startswith("^") and name.endswith("$"))),
        st.sampled_from(["text", "numbers", "whole", "yes"]),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_any_table_keeps_the_contract_inferred_from_it(tmp_path: Path, columns: dict[str, str], data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 30))
    values = {
        "text": st.text(max_size=6),
        "numbers": st.floats(allow_nan=False),
        "whole": st.integers(-(2**63), 2**63 - 1),
        "yes": st.booleans(),
    }
    drawn = {
        name: data.draw(st.lists(st.none() | values[kind], min_size=rows, max_size=rows), label=name) for name, kind in columns.items()
    }
    pl.DataFrame(drawn).write_parquet(tmp_path / "d.parquet")
    _, entry = inferred(tmp_path, "d.parquet")
    assert list(entry.columns) == list(columns)
    assert holds(tmp_path, entry)
