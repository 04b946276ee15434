"""Types as pandas names them, of tables that Polars reads: schemas written for pandas speak of those. Pure, without pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

# Names as people write them in pandera schemas, and what pandas calls the type. Others are left to pandera.
NAMES: Final[Mapping[str, str]] = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")},
    **{name: name for name in ("bool", "object", "category", "datetime64[ns]", "timedelta64[ns]")},
    "int": "int64", "float": "float64", "double": "float64", "O": "object", "str": "str", "string": "str",
    "datetime": "datetime64[ns]", "datetime64": "datetime64[ns]", "datetime64[us]": "datetime64[ns]", "datetime64[ms]": "datetime64[ns]",
    "datetime64[s]": "datetime64[ns]", "timedelta": "timedelta64[ns]", "timedelta64": "timedelta64[ns]",
}  # fmt: skip
EXTENSIONS: Final = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"})
"""Whole numbers beside missing cells; pandas makes them of a file's only when it is told to."""
_WHOLE = re.compile(r"(u?)int(8|16|32|64)", re.IGNORECASE)


def limits(name: str) -> tuple[int, int] | None:
    """Least and greatest number of a type of whole numbers; None of another type."""
    found = _WHOLE.fullmatch(name)
    if found is None:
        return None
    bits = int(found[2])
    return (0, 2**bits - 1) if found[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def is_extension(name: str) -> bool:
    """Whether it is one of pandas' types for whole numbers beside missing cells."""
    return name in EXTENSIONS


def limits_of(dtype: pl.DataType) -> tuple[int, int]:
    """Least and greatest number of a Polars type of whole numbers."""
    bits = int(re.sub(r"\D", "", str(dtype)))
    return (0, 2**bits - 1) if str(dtype).startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def name(dtype: pl.DataType, nulls: int, rows: int, table_format: str, *, is_mixed: bool = False) -> str:
    """What pandas calls a column: missing cells make another type of whole numbers, and of yes and no.

    Args:
        dtype: as Polars read it.
        nulls: how many of its cells are missing.
        rows: of the table.
        table_format: csv, parquet, jsonl or arrow.
        is_mixed: whether text stands beside other things in it.
    """
    import polars as pl

    if is_mixed:
        return "object"
    if nulls == rows and table_format == "csv":
        return "float64"  # nothing there says otherwise
    if nulls == rows and (dtype == pl.Null or table_format == "jsonl"):
        return "object"
    match dtype:
        case pl.Int8() | pl.Int16() | pl.Int32() | pl.Int64() | pl.UInt8() | pl.UInt16() | pl.UInt32() | pl.UInt64():
            return "float64" if nulls else str(dtype).lower()
        case pl.Float32() | pl.Float64():
            return str(dtype).lower()
        case pl.Boolean():
            return "object" if nulls else "bool"
        case pl.String():
            return "str"
        case pl.Categorical() | pl.Enum():
            return "category"
        case pl.Datetime(time_zone=None):
            return f"datetime64[{dtype.time_unit}]"
        case pl.Datetime():
            return f"datetime64[{dtype.time_unit}, {dtype.time_zone}]"
        case pl.Duration():
            return f"timedelta64[{dtype.time_unit}]"
        case _:
            return "object"


def is_same(expected: str, found: str) -> bool:
    """Whether a column is of the type that a schema asks for. Units of time are no matter to pandera."""
    if expected == "object":
        return found in ("object", "str")  # pandas 3 has a type of its own for what was `object` before
    if expected == "datetime64[ns]":
        return found.startswith("datetime64[") and "," not in found
    if expected == "timedelta64[ns]":
        return found.startswith("timedelta64[")
    return expected == found


def is_coercible(dtype: pl.DataType, expected: str) -> bool:
    """Whether a column is of that type, or of one whose values it takes as they are; whether whole numbers fit, Polars still asks."""
    import polars as pl

    if limits(expected) is not None:
        return dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128)
    match expected:
        case "float64":
            return (dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128)) or dtype in (pl.Float32, pl.Float64)
        case "float32":
            return dtype == pl.Float32
        case "str":
            return dtype == pl.String
        case "category":
            return isinstance(dtype, pl.Categorical)
        case "datetime64[ns]":
            return isinstance(dtype, pl.Datetime) and dtype.time_zone is None
        case "timedelta64[ns]":
            return isinstance(dtype, pl.Duration)
        case "object":
            return True
        case _:
            return False
