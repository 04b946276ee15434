"""Reading a table for a contract, strictly where pandas is lenient.

Standard library, pandas and pyarrow only, and Python 3.9: it also runs under the user's interpreter.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

CSV = frozenset({".csv"})
PARQUET = frozenset({".parquet", ".pq"})
JSON_LINES = frozenset({".jsonl", ".ndjson"})


class UnreadableTableError(Exception):
    """The file is no table; the message says why, without its name."""


def read(path: Path, columns: list[str] | None = None) -> Any:
    """A CSV, Parquet or JSON lines file as a pandas DataFrame.

    Args:
        path: of the file, or of a folder of Parquet files.
        columns: which of its columns; all by default.

    Raises:
        UnreadableTableError: it is absent, empty, truncated, ragged, of another encoding or format.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        if not any(path.glob("**/*.parquet")):
            raise UnreadableTableError("a folder without Parquet files; expected a CSV, Parquet or JSON lines file")
        suffix = ".parquet"
    elif not path.exists():
        raise UnreadableTableError("no such file")
    elif path.stat().st_size == 0:
        raise UnreadableTableError("the file is empty")
    try:
        if suffix in CSV:
            frame = _read_csv(path, columns)
        elif suffix in PARQUET:
            frame = _read_parquet(path, columns)
        elif suffix in JSON_LINES:
            frame = _read_json_lines(path)
            frame = frame if columns is None else frame[columns]
        else:
            raise UnreadableTableError(f"'{path.suffix}' is no format of a table here; expected .csv, .parquet or .jsonl")
    except OSError as error:
        raise UnreadableTableError(f"cannot be read: {error.strerror or error}") from None
    if not len(frame.index):
        raise UnreadableTableError("the table has no rows; expected at least one")
    return frame


def _read_csv(path: Path, columns: list[str] | None) -> Any:
    import pandas as pd

    _check_lines(path)
    try:
        return pd.read_csv(path, encoding="utf-8-sig", index_col=False, usecols=columns)
    except UnicodeDecodeError as error:
        raise UnreadableTableError(f"not UTF-8 text ({error.reason}); save the file as UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UnreadableTableError(f"no CSV: {' '.join(str(error).split())}") from None


def _check_lines(path: Path) -> None:
    """Refuse what pandas reads in silence: lines with too few or too many fields, and a column that is named twice."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:4] == b"PAR1" or start[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b"):
        raise UnreadableTableError("not UTF-8 text; save the file as UTF-8 CSV")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTableError(f"no UTF-8 CSV: {error}") from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UnreadableTableError(f"column '{twice[0]}' is named twice in the header")
    try:
        _check_with_pyarrow(path, header)
    except ImportError:
        _check_with_csv(path, len(header))


def _check_with_pyarrow(path: Path, header: list[str]) -> None:
    """Fast: a parser that insists on as many fields as the header has, here asked for one column only."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    parse = pa_csv.ParseOptions(newlines_in_values=True)
    convert = pa_csv.ConvertOptions(include_columns=header[:1], column_types={header[0]: pa.binary()} if header else {}, check_utf8=False)
    try:
        with pa_csv.open_csv(path, parse_options=parse, convert_options=convert) as reader:
            for _ in reader:
                pass
    except pa.ArrowInvalid:
        _check_with_csv(path, len(header))  # says which row
        raise UnreadableTableError("no CSV: quotes or lines do not end where they should") from None


def _check_with_csv(path: Path, width: int) -> None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, fields in enumerate(csv.reader(stream), start=1):
                if fields and len(fields) != width:
                    raise UnreadableTableError(f"no CSV: row {number} has {len(fields)} fields, the header, row 1, has {width}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTableError(f"no UTF-8 CSV: {error}") from None


def _read_parquet(path: Path, columns: list[str] | None) -> Any:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path, columns=columns)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise UnreadableTableError(f"truncated or no Parquet file: {' '.join(str(error).split())[:200]}") from None


def _read_json_lines(path: Path) -> Any:
    import pandas as pd

    rows = []
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UnreadableTableError(f"line {number} is no JSON object")
                rows.append(row)
    except UnicodeDecodeError as error:
        raise UnreadableTableError(f"not UTF-8 text ({error.reason}); save the file as UTF-8") from None
    except ValueError as error:
        raise UnreadableTableError(f"line {number} is no JSON: {error}") from None
    return pd.DataFrame.from_records(rows)
