"""A file or folder as a lazy table: CSV, Parquet, JSON lines, Arrow, and folders of such files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlgate.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet", "jsonl", "arrow"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


@dataclass(frozen=True)
class Table:
    """A table that is read when it is asked something."""

    name: str
    """As the configuration spells it."""
    frame: pl.LazyFrame
    """Missing cells are null, never NaN; rows in the order of the file."""
    format: Format


def scan(root: Path, name: str) -> Table:
    """The table of that name; nothing but its schema is read yet.

    Args:
        root: the working directory.
        name: file or folder relative to `root`.

    Raises:
        InputError: it is absent, empty, or no table.
    """
    import polars as pl
    from polars import selectors

    path = root / name
    if not path.exists():
        raise InputError(f"{name}: no such file")
    kind = SUFFIXES.get(path.suffix.lower()) if path.is_file() else "parquet"
    try:
        match kind:
            case "csv":
                frame = pl.scan_csv(path, infer_schema_length=None)
            case "parquet":
                frame = pl.scan_parquet(path)
            case "jsonl":
                frame = pl.scan_ndjson(path, infer_schema_length=None)
            case "arrow":
                frame = pl.scan_ipc(path)
            case _:
                raise InputError(f"{name}: '{path.suffix}' is no format of a table here; expected .csv, .parquet, .jsonl or .arrow")
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{name}: cannot be read as {kind}: {' '.join(str(error).split())[:200]}") from None
    return Table(name, frame.with_columns(selectors.float().fill_nan(None)), kind)
