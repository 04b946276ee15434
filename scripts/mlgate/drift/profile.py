"""A profile: the summary of a table that drift compares, a few kilobytes a column, made in one pass and merged without loss.

What it keeps of a column is the same whoever made it, in one piece or in many, so that a profile of ten partitions equals that of the whole
(the mean and the spread to rounding). It holds no row of the table. Of the values of a column of text it names only those that occur often;
of all others it keeps how often something with the first 18 bits of their CRC-32 occurs.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from mlgate.drift import cells
from mlgate.drift.cells import Cells, Floats, Integers
from mlgate.errors import InputError
from mlgate.evidence import Record, Text
from mlgate.tables.scan import readable
from mlgate.tables.table import Table

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "time", "category", "other", "empty"]
"""`time` is a number of seconds; of `other` (lists, bytes, objects) only the missing cells are counted; `empty` has no type."""
MAX_PROFILE_BYTES = 200_000_000
NAMED_ROWS, NAMED_SHARE = 10, 0.001
"""A category is named where so many rows of the table have it, and such a share of them: what few rows have can be about a person."""
MAX_NAMES, MAX_NAME = 100, 100
_PERSONAL = re.compile(
    r"[A-Za-z0-9._%+-]@[A-Za-z0-9]|(?<![\w.])(?:\+|00)[1-9][\d ./()-]{6,}|\(\d{3}\) ?\d{3}[ -]\d{4}|\d(?:[ -]?\d){12}"
    r"|\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11}"
)
"""What looks like an e-mail address, a telephone, card or account number is not named, however often it occurs."""
_BATCH_CELLS = 20_000_000
_REMEMBERED = 20_000
"""Categories of a column that are counted one by one while a table is read."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    rows: int
    nulls: int
    cells: Cells = cells.EMPTY
    """Of all values that are no null."""
    mean: float | None = None
    """Of a number; None where there is none, or an infinite one."""
    squares: float | None = None
    """Sum of the squared distances from the mean."""
    minimum: float | None = None
    maximum: float | None = None
    """The extremes that are finite."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Of categories that occur often, by `category_hash`."""

    @property
    def values(self) -> int:
        return self.rows - self.nulls

    @property
    def sd(self) -> float | None:
        """Standard deviation of a sample; None of fewer than two values."""
        return None if self.squares is None or self.values < 2 else math.sqrt(self.squares / (self.values - 1))


@dataclass(frozen=True, eq=False)
class Profile:
    """One table."""

    rows: int
    columns: Mapping[str, Column]
    """By name, in the order of the table."""

    def of(self, name: str) -> Column | None:
        return self.columns.get(name)


# --- from a table ----------------------------------------------------------------------------------------------------


def of_table(table: Table, columns: Sequence[str] | None = None, leave_out: Iterable[str] = ()) -> Profile:
    """The profile of a table, read once, in batches.

    Args:
        table: as `tables.scan` opens it.
        columns: those to look at; all, where left out.
        leave_out: none of these.

    Raises:
        InputError: it has no such column, or what lies behind it cannot be read.
    """
    import polars as pl

    schema = table.frame.collect_schema()
    if unknown := [name for name in columns or () if name not in schema]:
        from mlgate.mistakes import did_you_mean

        raise InputError(f"{table.name}: no column '{unknown[0]}'{did_you_mean(unknown[0], list(schema))}")
    omitted = set(leave_out)
    kinds = {name: _kind(schema[name]) for name in (columns if columns is not None else schema) if name not in omitted}
    readers = {name: _Reader(name, kind) for name, kind in kinds.items()}
    rows = 0
    with readable(table.name):
        if not kinds:
            rows = int(table.frame.select(pl.len()).collect(engine="streaming").item())
        else:
            asked = table.frame.select(_expression(name, kinds[name], schema[name]) for name in kinds)
            at_once = max(10_000, _BATCH_CELLS // len(kinds))
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
                for batch in asked.collect_batches(chunk_size=at_once, maintain_order=False, engine="streaming"):
                    rows += batch.height
                    list(pool.map(lambda name, batch=batch: readers[name].read(batch[name]), kinds))
    return Profile(rows, {name: readers[name].column() for name in kinds})


def of_frame(frame: pl.DataFrame) -> Profile:
    """The profile of a table in memory."""
    from polars import selectors

    # NaN is what other tools write for nothing; `tables.scan` makes the same of it
    return of_table(Table("the table", frame.lazy().with_columns(selectors.float().fill_nan(None)), "arrow"))


def _kind(dtype: pl.DataType) -> Kind:
    import polars as pl

    if dtype == pl.Null:
        return "empty"
    if dtype.is_numeric():
        return "number"
    if dtype.is_temporal():
        return "time"
    return "category" if dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) else "other"


def _expression(name: str, kind: Kind, dtype: pl.DataType) -> pl.Expr:
    """A column as its reader takes it: numbers as they are, times in seconds, categories as text, of the rest whether it is null."""
    import polars as pl

    column = pl.col(name)
    match kind:
        case "number":
            return column.cast(pl.Float64, strict=False)
        case "time" if dtype == pl.Date:
            return column.cast(pl.Int64).cast(pl.Float64) * 86400
        case "time" if dtype == pl.Time:
            return column.cast(pl.Int64).cast(pl.Float64) / 1e9
        case "time":
            per_second = {"ms": 1e3, "us": 1e6, "ns": 1e9}[getattr(dtype, "time_unit", None) or "us"]
            return column.cast(pl.Int64).cast(pl.Float64) / per_second
        case "category":
            return column if dtype == pl.Boolean else column.cast(pl.String)
        case _:
            return column.is_null().alias(name)


class _Reader:
    """Gathers one column, batch by batch."""

    def __init__(self, name: str, kind: Kind) -> None:
        self._name, self._kind = name, kind
        self._parts: list[Column] = []
        self._often: dict[str, int] = {}

    def read(self, values: pl.Series) -> None:
        rows = len(values)
        match self._kind:
            case "number" | "time":
                there = (values.drop_nulls() if values.null_count() else values).to_numpy()
                part = of_numbers(self._name, self._kind, rows, there)
            case "category":
                part = self._categories(values)
            case _:
                part = Column(self._name, self._kind, rows, int(values.sum()))
        self._parts.append(part)

    def _categories(self, values: pl.Series) -> Column:
        names, counts = _counted(values)
        hashes = np.fromiter(map(cells.category_hash, names), dtype=np.int64, count=len(names))
        for name, count in zip(names, counts.tolist(), strict=True):
            if len(names) <= _REMEMBERED or count > 1:
                self._often[name] = self._often.get(name, 0) + count
        if len(self._often) > _REMEMBERED:
            ordered = sorted(self._often.items(), key=lambda one: -one[1])
            self._often = dict(ordered[: _REMEMBERED // 2])
        return Column(self._name, "category", len(values), len(values) - int(counts.sum()), cells.of_hashes(hashes, counts))

    def column(self) -> Column:
        if not self._parts:
            return Column(self._name, self._kind, 0, 0)
        whole = merge_columns(self._parts)
        return replace(whole, names=named(self._often, whole.rows)) if self._often else whole


def _counted(values: pl.Series) -> tuple[list[str], Integers]:
    """Categories and how often each occurs."""
    import polars as pl

    if values.dtype == pl.Boolean:
        yes = int(values.sum())
        both = {"true": yes, "false": len(values) - values.null_count() - yes}
        return [name for name, count in both.items() if count], np.array([count for count in both.values() if count], dtype=np.int64)
    counted = values.drop_nulls().value_counts(name="n")
    return counted.to_series(0).to_list(), counted.to_series(1).to_numpy().astype(np.int64)


def of_numbers(name: str, kind: Kind, rows: int, there: Floats) -> Column:
    """A column of numbers.

    Args:
        name: of the column.
        kind: `number` or `time`.
        rows: of the table.
        there: all of its values, as float64; the nulls are what `rows` has more.
    """
    counted = cells.of_numbers(there)
    finite = there
    if len(there) and not (math.isfinite(there.min()) and math.isfinite(there.max())):
        finite = there[np.isfinite(there)]
    if not len(finite):
        return Column(name, kind, rows, rows - len(there), counted)
    low, high = float(finite.min()), float(finite.max())
    mean = squares = None
    # an infinite value has no mean, and the squares of the largest numbers no float
    if len(finite) == len(there) and max(-low, high) < 1e150:
        mean = float(finite.mean())
        apart = finite - mean
        squares = float(np.dot(apart, apart))
    return Column(name, kind, rows, rows - len(there), counted, mean, squares, low, high)


def named(often: Mapping[str, int], rows: int) -> dict[int, str]:
    """The categories that may be named, by their hashes: the most frequent first."""
    enough = max(NAMED_ROWS, NAMED_SHARE * rows)
    chosen = sorted((one for one in often.items() if one[1] >= enough), key=lambda one: (-one[1], one[0]))[:MAX_NAMES]
    chosen = [one for one in chosen if not _PERSONAL.search(one[0])]
    return {cells.category_hash(name): name[:MAX_NAME] for name, _ in reversed(chosen)}


# --- merging ---------------------------------------------------------------------------------------------------------


def merge(one: Profile, other: Profile) -> Profile:
    """The profile of both tables' rows together; a column that one of them lacks is null in all its rows.

    Raises:
        InputError: a column is of text in one and of numbers in the other.
    """
    names = list(dict.fromkeys([*one.columns, *other.columns]))
    return Profile(
        one.rows + other.rows,
        {
            name: merge_columns(
                [part.columns.get(name) or Column(name, "empty", part.rows, part.rows) for part in (one, other)],
            )
            for name in names
        },
    )


def merge_columns(parts: Sequence[Column]) -> Column:
    """One column of several tables. Raises InputError: its type differs."""
    kinds = {part.kind for part in parts} - {"empty"}
    if len(kinds) > 1:
        raise InputError(f"column '{parts[0].name}': {' in one part and '.join(sorted(kinds))} in another; no profile holds both")
    names: dict[int, str] = {}
    for part in parts:
        for key, name in part.names.items():
            names[key] = min(names.get(key, name), name)
    nothing: _Moments = (0, 0.0, 0.0)
    count, mean, squares = reduce(_pooled, (_moments(part) for part in parts), nothing)
    lows = [part.minimum for part in parts if part.minimum is not None]
    highs = [part.maximum for part in parts if part.maximum is not None]
    has_mean = count > 0 and mean is not None
    return Column(
        name=parts[0].name,
        kind=next(iter(kinds), "empty"),
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        cells=cells.merge(part.cells for part in parts),
        mean=mean if has_mean else None,
        squares=squares if has_mean else None,
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        names=names,
    )


_Moments = tuple[int, float | None, float | None]


def _moments(part: Column) -> _Moments:
    if part.kind not in ("number", "time") or not part.values:
        return 0, 0.0, 0.0
    return part.values, part.mean, part.squares


def _pooled(one: _Moments, other: _Moments) -> _Moments:
    """Chan, Golub and LeVeque 1983, The American Statistician 37(3), 242-247, eq. 2.1; None where one of both has no mean."""
    (n, mean, squares), (m, their_mean, their_squares) = one, other
    if mean is None or squares is None or their_mean is None or their_squares is None:
        return n + m, None, None
    if not n or not m:
        return (m, their_mean, their_squares) if not n else (n, mean, squares)
    apart = their_mean - mean
    return n + m, mean + apart * (m / (n + m)), squares + their_squares + apart * apart * (n * (m / (n + m)))


# --- as a file -------------------------------------------------------------------------------------------------------


class ColumnDocument(Record):
    """A column in a profile's file."""

    name: Text
    kind: Kind
    nulls: int = Field(ge=0)
    mean: float | None = None
    squares: float | None = Field(default=None, ge=0)
    minimum: float | None = None
    maximum: float | None = None
    level: int = Field(default=0, ge=0, le=cells.MAX_LEVEL)
    first: int = 0
    """Key of the first cell."""
    steps: list[int] = Field(default=[], max_length=cells.MAX_CELLS)
    """From each cell's key to the next one's."""
    counts: list[int] = Field(default=[], max_length=cells.MAX_CELLS)
    names: dict[str, Text] = Field(default={})
    """Of frequent categories, by hash in hexadecimal digits."""

    @model_validator(mode="after")
    def _is_one_grid(self) -> Self:
        if len(self.counts) != (len(self.steps) + 1 if self.counts else 0):
            raise ValueError("as many steps as cells, less one, are expected")
        # Python's whole numbers have no limit, those of the cells do
        if any(not 0 < count < 1 << 62 for count in self.counts) or any(step <= 0 for step in self.steps):
            raise ValueError("cells are expected in order, with counts above 0")
        limit = 1 << (cells.MAX_LEVEL - self.level)
        if not (-limit <= self.first < limit and self.first + sum(self.steps) < limit) or sum(self.counts) >= 1 << 62:
            raise ValueError("a cell lies beyond all numbers")
        if self.kind in ("other", "empty") and self.counts:
            raise ValueError(f"a column of kind {self.kind} has no cells")
        if self.kind == "category" and not (self.first >= 0 and self.first + sum(self.steps) < 1 << (32 - min(self.level, 32))):
            raise ValueError("a cell lies beyond all hashes")
        if any(not _is_hash(key) for key in self.names):
            raise ValueError("names are expected by their hash, eight hexadecimal digits")
        return self


def _is_hash(text: str) -> bool:
    return len(text) == 8 and set(text) <= set("0123456789abcdef")


class ProfileDocument(Record):
    """A profile's file."""

    mlgate_profile: Literal[1]
    """Version of the format."""
    rows: int = Field(ge=0, lt=1 << 53)
    columns: list[ColumnDocument]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len({column.name for column in self.columns}) != len(self.columns):
            raise ValueError("a column stands there twice")
        for column in self.columns:
            values = self.rows - column.nulls
            if values < 0 or (column.kind != "other" and sum(column.counts) != values):
                raise ValueError(f"column '{column.name[:100]}': its counts and nulls do not add up to {self.rows:,} rows")
        return self


def dump(profile: Profile) -> bytes:
    """A profile's file: JSON, one column a line. The same profile gives the same bytes."""
    lines = ",\n".join(_document(column).model_dump_json(exclude_defaults=True) for column in profile.columns.values())
    return f'{{"mlgate_profile":1,"rows":{profile.rows},"columns":[\n{lines}\n]}}\n'.encode()


def load(content: bytes, name: str) -> Profile:
    """A profile from its file, whoever wrote it; `name` is what messages call it. Raises InputError: it is none, or of another version."""
    if len(content) > MAX_PROFILE_BYTES:
        raise InputError(f"{name}: a profile of more than {MAX_PROFILE_BYTES:,} bytes is refused")
    try:
        document = ProfileDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = " ".join(f"{where}: {first['msg']}".removeprefix(": ").split())[:200]
        raise InputError(f"{name}: not a profile that this version reads: {what}") from None
    return Profile(document.rows, {column.name: _column(column, document.rows) for column in document.columns})


def _document(column: Column) -> ColumnDocument:
    keys = column.cells.keys
    return ColumnDocument(
        name=column.name,
        kind=column.kind,
        nulls=column.nulls,
        mean=column.mean,
        squares=column.squares,
        minimum=column.minimum,
        maximum=column.maximum,
        level=column.cells.level,
        first=int(keys[0]) if len(keys) else 0,
        steps=np.diff(keys).tolist(),
        counts=column.cells.counts.tolist(),
        names={f"{key:08x}": name for key, name in sorted(column.names.items())},
    )


def _column(document: ColumnDocument, rows: int) -> Column:
    keys = np.cumsum([document.first, *document.steps], dtype=np.int64) if document.counts else np.empty(0, dtype=np.int64)
    return Column(
        name=document.name,
        kind=document.kind,
        rows=rows,
        nulls=document.nulls,
        cells=Cells(document.level, keys, np.array(document.counts, dtype=np.int64)),
        mean=document.mean,
        squares=document.squares,
        minimum=document.minimum,
        maximum=document.maximum,
        names={int(key, 16): name[:MAX_NAME] for key, name in document.names.items() if not _PERSONAL.search(name)},
    )
