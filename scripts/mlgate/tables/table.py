"""What a table is to those who check it, and what is none: one definition for all readers of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Table:
    """A table that is read when it is asked something."""

    name: str
    """As the configuration spells it."""
    frame: pl.LazyFrame
    """Missing cells are null, never NaN; rows in the order of the file."""
    format: Format
    mixed: frozenset[str] = frozenset()
    """Columns of JSON lines in which text stands beside numbers or other things; all of it is text here."""
    notes: tuple[str, ...] = ()
    """What reading may have cost, a sentence each: digits that no type holds."""


class UnreadableError(Exception):
    """It is no table; the message says why, without its name."""


def finished(name: str, frame: pl.LazyFrame, kind: Format, mixed: frozenset[str] = frozenset(), notes: tuple[str, ...] = ()) -> Table:
    """A frame as every reader of tables may expect it: no index of pandas', no NaN."""
    from polars import selectors

    refuse_patterns(frame.collect_schema())
    index = [column for column in frame.collect_schema() if _PANDAS_INDEX.fullmatch(column)]
    return Table(name, frame.drop(index).with_columns(selectors.float().fill_nan(None)), kind, mixed, notes)


def refuse_patterns(names: Iterable[str]) -> None:
    """Raises UnreadableError: a column's name is one by which Polars means several columns, wherever it stands in a query."""
    for name in names:
        if name == "*" or (name.startswith("^") and name.endswith("$")):
            raise UnreadableError(f"column '{name}' has a name that stands for several columns; give it another")
