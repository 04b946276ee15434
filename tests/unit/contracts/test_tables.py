"""Reading tables: strict where pandas is lenient."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mlgate.contracts.tables import UnreadableTableError, read


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "the file is empty"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b\n1,2\n3\n", "row 3 has 1 fields, the header, row 1, has 2"),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", "row 3 has 3 fields"),
        ("t.csv", b"a,b\n1,2,3\n4,5,6\n", "row 2 has 3 fields"),
        ("t.csv", b'a,b\n1,"2\n3,4\n', "no CSV"),
        ("t.csv", b"a,a\n1,2\n", "'a' is named twice"),
        ("t.csv", "a,b\n1,Köln\n".encode("latin-1"), "UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-8"),
        ("t.csv", b"\xf6,b\n1,2\n", "UTF-8"),
        ("t.csv", b"PAR1....", "UTF-8"),
        ("t.parquet", b"PAR1 truncated", "truncated or no Parquet file"),
        ("t.parquet", b"a,b\n1,2\n", "truncated or no Parquet file"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        ("t.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("t.jsonl", b"\n\n", "no rows"),
        ("t.jsonl", b'{"a": "\xf6"}\n', "UTF-8"),
        ("t.xlsx", b"x", "expected .csv, .parquet or .jsonl"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableTableError) as error:
        read(tmp_path / name)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTableError, match="no such file"):
        read(tmp_path / "t.csv")


def test_a_folder_without_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTableError, match="without Parquet"):
        read(tmp_path)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"a": range(1000)}).to_parquet(whole)
    (tmp_path / "t.parquet").write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(UnreadableTableError, match="truncated or no Parquet"):
        read(tmp_path / "t.parquet")


def test_csv_with_a_byte_order_mark_quotes_and_line_breaks_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes('\ufeffa,b\r\n1,"x, y"\r\n2,"two\r\nlines"\r\n'.encode())
    frame = read(tmp_path / "t.csv")
    assert list(frame.columns) == ["a", "b"]
    assert list(frame["b"]) == ["x, y", "two\r\nlines"]


def test_the_three_formats_give_the_same_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [1, 2], "x": [0.5, None], "name": ["a", "b"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for suffix in (".csv", ".parquet", ".jsonl"):
        pd.testing.assert_frame_equal(read(tmp_path / f"t{suffix}"), frame)


def test_json_text_that_looks_like_a_number_or_a_date_stays_text(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"date": "2026-01-01", "zip": "01234"}\n')
    frame = read(tmp_path / "t.jsonl")
    assert list(frame.iloc[0]) == ["2026-01-01", "01234"]


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"a": [2]}).to_parquet(tmp_path / "2.parquet")
    assert sorted(read(tmp_path)["a"]) == [1, 2]
