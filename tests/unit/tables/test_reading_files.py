"""Reading tables: what is no table is told in one line, and what is one keeps every value."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.errors import InputError
from mlgate.tables.scan import collected, scan
from mlgate.tables.table import Table


def read(root: Path, name: str, content: bytes) -> Table:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
    return scan(root, name)


def columns(table: Table) -> dict[str, list[Any]]:
    return table.frame.collect().to_dict(as_series=False)


def types(table: Table) -> dict[str, pl.DataType]:
    return dict(table.frame.collect_schema())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "the file is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b\n1,2\n3\n", "row 3 has 1 fields, the header, row 1, has 2"),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", "row 3 has 3 fields"),
        ("t.csv", b"a,b\n1,2,3\n4\n", "row 2 has 3 fields"),
        ("t.csv", b'a,b\n1,"2\n3,4\n', "no CSV"),
        ("t.csv", b'a,b\n"1,2\n3",4\n5\n', "row 3 has 1 fields"),
        ("t.csv", b"a,a\n1,2\n", "'a' is named twice"),
        ("t.csv", "a,b\n1,Köln\n".encode("latin-1"), "UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-8"),
        ("t.csv", b"\xf6,b\n1,2\n", "UTF-8"),
        ("t.csv", gzip.compress(b"a,b\n1,2\n", mtime=0), "UTF-8"),
        ("t.csv", b"PAR1....", "UTF-8"),
        ("t.csv", b"a,b\r1,2\r", "carriage returns alone"),
        ("t.parquet", b"PAR1 truncated", "truncated or no Parquet file"),
        ("t.parquet", b"a,b\n1,2\n", "truncated or no Parquet file"),
        ("t.arrow", b"ARROW1 truncated", "truncated or no Arrow file"),
        ("t.feather", b"FEA1....", "version 1"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        ("t.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}\n', "line 2 is no JSON: a key is given twice"),
        ("t.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("t.jsonl", b"\n\n", "no rows"),
        ("t.jsonl", b"{}\n", "expected columns"),
        ("t.jsonl", b'{"a": "\xf6"}\n', "UTF-8"),
        ("t.jsonl", b'{"a": "\\ud800"}\n', "half a character"),
        ("t.jsonl", b'{"a": ' + b"[" * 100_000 + b"\n", "line 1 is n"),
        ("t.xlsx", b"x", "expected .csv, .parquet, .jsonl or .arrow"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, name, content)
    assert str(error.value).startswith(f"{name}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(1000)})
    for name, write in (("t.parquet", frame.write_parquet), ("t.arrow", frame.write_ipc)):
        write(tmp_path / "whole")
        with pytest.raises(InputError, match=f"{name}: truncated or no"):
            read(tmp_path, name, (tmp_path / "whole").read_bytes()[:-20])


def test_damage_within_a_parquet_file_is_a_line_too(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(50_000)}).write_parquet(tmp_path / "whole", compression="zstd")
    content = bytearray((tmp_path / "whole").read_bytes())
    content[200 : len(content) - 2000] = bytes(len(content) - 2200)
    with pytest.raises(InputError, match=r"t.parquet: cannot be read: "):
        _read_to_its_end(tmp_path, "t.parquet", bytes(content))


def test_csv_is_typed_as_pandas_types_it(tmp_path: Path) -> None:
    table = read(tmp_path, "t.csv", b"i,f,b,s,nothing,spaced\n1,1.5,True,x,,\t1\nNA,inf,FALSE,null,NaN, 2\n3,-1e5,true,NA,,3\n")
    assert columns(table) == {
        "i": [1, None, 3],
        "f": [1.5, float("inf"), -1e5],
        "b": [True, False, True],
        "s": ["x", None, None],
        "nothing": [None, None, None],
        "spaced": [1, 2, 3],
    }


def test_a_type_that_only_later_rows_betray_is_found(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},,{'true'}\n" for i in range(3000))
    table = read(tmp_path, "t.csv", f"a,b,c,d\n{rows}1.5,x,7,no\n".encode())
    assert types(table) == {"a": pl.Float64, "b": pl.String, "c": pl.Int64, "d": pl.String}
    assert table.frame.select("b").collect().to_series()[17] == "17"


def test_whole_numbers_keep_their_digits_or_the_loss_is_told(tmp_path: Path) -> None:
    large, huge = 2**64 - 1, 10**30 + 7
    for name, content in (
        ("t.csv", f"a,b,c\n{large},{huge},{2**60 + 1}\n1,-1,0.5\n"),
        ("t.jsonl", f'{{"a": {large}, "b": {huge}, "c": {2**60 + 1}}}\n{{"a": 1, "b": -1, "c": 0.5}}\n'),
    ):
        table = read(tmp_path, name, content.encode())
        assert columns(table)["a"] == [large, 1]
        assert columns(table)["b"] == [huge, -1]
        assert [note.split(" holds")[0] for note in table.notes] == ["column c"]


def test_a_quotation_mark_in_a_column_s_name_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"a ""b""\nc",d\n1,2\n')
    assert scan(tmp_path, "t.csv").frame.collect().rows(named=True) == [{'a "b"\nc': 1, "d": 2}]


def test_csv_with_a_byte_order_mark_quotes_line_breaks_and_blank_lines_is_read(tmp_path: Path) -> None:
    table = read(tmp_path, "t.csv", '\ufeffa,b\r\n1,"x, y"\r\n\r\n2,"two\r\nlines"\r\n\r\n'.encode())
    assert columns(table) == {"a": [1, 2], "b": ["x, y", "two\r\nlines"]}


def test_an_index_that_was_written_too_is_called_as_pandas_calls_it(tmp_path: Path) -> None:
    assert list(columns(read(tmp_path, "t.csv", b",a\n0,1\n"))) == ["Unnamed: 0", "a"]


def test_large_csv_is_read_anew_by_each_query_and_typed_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlgate.tables import csv_files

    monkeypatch.setattr(csv_files, "_IN_MEMORY_BYTES", 10)
    content = b"a,b,c,d\n1,NA,true,2.5\n\n2,3,False,x\n"
    table = read(tmp_path, "t.csv", content)
    assert columns(table) == {"a": [1, 2], "b": [None, 3], "c": [True, False], "d": ["2.5", "x"]}


def test_json_lines_keep_each_value_as_what_it_is(tmp_path: Path) -> None:
    rows = [
        {"s": "007", "m": 1, "n": {"x": 1}, "l": [1], "f": 1, "z": None},
        {"s": "2026-01-01", "m": "1", "n": None, "f": 0.5, "late": True},
    ]
    table = read(tmp_path, "t.jsonl", "\n\n".join(map(json.dumps, rows)).encode())
    assert columns(table) == {
        "s": ["007", "2026-01-01"], "m": ["1", "1"], "n": [{"x": 1}, None], "l": [[1], None], "f": [1.0, 0.5], "z": [None, None],
        "late": [None, True],
    }  # fmt: skip
    assert table.mixed == {"m"}


def test_json_lines_with_nan_or_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    assert columns(read(tmp_path, "t.jsonl", b'{"a": NaN, "b": "x"}\n{"a": 1.5, "b": 3}\n')) == {"a": [None, 1.5], "b": ["x", "3"]}
    assert columns(read(tmp_path, "t.jsonl", b'\xef\xbb\xbf{"a": 1}\n')) == {"a": [1]}


def test_types_of_parquet_and_arrow_are_kept(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "d": [date(2026, 1, 1)],
        "t": pl.Series([datetime(2026, 1, 1, tzinfo=UTC)]),
        "m": [Decimal("12345678901234567890.12")],
        "n": [{"x": [1]}],
        "o": pl.Series([None], dtype=pl.Int64),
        "nan": [float("nan")],
    })  # fmt: skip
    for name, write in (("t.parquet", frame.write_parquet), ("t.arrow", frame.write_ipc), ("s.arrow", frame.write_ipc_stream)):
        write(tmp_path / name)
        assert columns(scan(tmp_path, name)) == columns(Table("", frame.lazy().with_columns(nan=None), "parquet"))


def test_pandas_index_is_no_column(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"a": [1, 2]}, index=[5, 6]).to_parquet(tmp_path / "t.parquet")
    assert list(columns(scan(tmp_path, "t.parquet"))) == ["a"]


def test_thousands_of_columns_are_a_table(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(3_000))
    table = read(tmp_path, "t.csv", f"{header}\n{','.join('1' * 3_000)}\n".encode())
    assert len(types(table)) == 3_000


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_a_folder_of_files_is_one_table_in_the_order_of_names(tmp_path: Path, suffix: str) -> None:
    writers: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
        "csv": pl.DataFrame.write_csv,
        "jsonl": pl.DataFrame.write_ndjson,
        "parquet": pl.DataFrame.write_parquet,
        "arrow": pl.DataFrame.write_ipc,
    }
    (tmp_path / "d" / "more").mkdir(parents=True)
    for name, values in ((f"1.{suffix}", [1]), (f"2.{suffix}", [2, 3]), (f"more/1.{suffix}", [4])):
        writers[suffix](pl.DataFrame({"a": values}), tmp_path / "d" / name)
    (tmp_path / "d" / ".hidden.csv").write_text("x")
    (tmp_path / "d" / "_SUCCESS").touch()
    assert columns(scan(tmp_path, "d")) == {"a": [1, 2, 3, 4]}
    if suffix != "jsonl":
        writers[suffix](pl.DataFrame({"b": ["x"]}), tmp_path / "d" / f"3.{suffix}")
        with pytest.raises(InputError, match=rf"d: 3.{suffix}: .*; expected one schema|d: 3.{suffix}: .* unlike 1.{suffix}"):
            scan(tmp_path, "d")


def test_a_partitioned_folder_has_its_partitions_as_columns(tmp_path: Path) -> None:
    for year in (2025, 2026):
        (tmp_path / "d" / f"year={year}").mkdir(parents=True)
        pl.DataFrame({"a": [year % 10]}).write_parquet(tmp_path / "d" / f"year={year}" / "part.parquet")
    assert columns(scan(tmp_path, "d")) == {"a": [5, 6], "year": [2025, 2026]}


def test_a_folder_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match=r"d: a folder without tables"):
        scan(tmp_path, "d")
    (tmp_path / "d" / "1.csv").write_text("a\n1\n")
    (tmp_path / "d" / "2.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match=r"d: a folder of several formats: 1.csv, 2.jsonl"):
        scan(tmp_path, "d")


_PIECES = st.sampled_from(
    [b"a", b",", b'"', b"\n", b"\r\n", b"\r", b"1", b"1.5", b"NA", b"\xff", b"\x00", b"true", b" ", b"{", b"}", b":", b"[", "é".encode()]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
)


@settings(max_examples=120, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.tuples(st.just("t.csv"), st.lists(_PIECES, max_size=30).map(b"".join))
    | st.tuples(st.just("t.jsonl"), st.lists(_PIECES, max_size=20).map(b"".join))
    | st.tuples(
        st.just("t.jsonl"),
        st.lists(st.dictionaries(st.sampled_from(["a", "b", ""]), _JSON, max_size=3), max_size=4).map(
            lambda rows: "\n".join(map(json.dumps, rows)).encode()
        ),
    )
)
def test_no_text_ends_in_a_traceback(tmp_path: Path, case: tuple[str, bytes]) -> None:
    _try(tmp_path, *case)


@settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["t.parquet", "t.arrow"]), st.integers(0, 10_000), st.binary(min_size=1, max_size=4), st.integers(0, 3))
def test_no_damaged_file_ends_in_a_traceback(tmp_path: Path, name: str, at: int, damage: bytes, cut: int) -> None:
    frame = pl.DataFrame({"a": [1, None, 3], "s": ["x", "yy", None], "n": [[1], [], None]})
    (frame.write_parquet if name == "t.parquet" else frame.write_ipc)(tmp_path / "whole")
    content = bytearray((tmp_path / "whole").read_bytes())
    at %= len(content)
    content[at : at + len(damage)] = damage
    _try(tmp_path, name, bytes(content[: len(content) - cut]))


def _try(root: Path, name: str, content: bytes) -> None:
    """A table that can be read to its end, or one line."""
    said = ""
    try:
        _read_to_its_end(root, name, content)
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def _read_to_its_end(root: Path, name: str, content: bytes) -> None:
    table = read(root, name, content)
    collected(table.name, [table.frame])
