"""What the screens need of a table, read in one pass: a key of every row, counts by column, text patterns, and a sample of the rows.

All queries on a table are handed to Polars together, which reads it once and streams: of a table larger than memory two numbers a row are
kept, its label, its source and its protected columns, and a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean
from mlgate.screens import patterns

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "text", "time", "boolean", "nested", "nothing"]
_SAMPLE_ROWS = 20_000
_SAMPLE_CELLS = 20_000_000
_LEAST_SAMPLE = 1_000
_INDEX, _EXACT, _KEY = "__mlgate_row", "__mlgate_exact", "__mlgate_key"
_DIGITS, _DIGITS_OF_MANY, _MANY = 6, 5, 10
"""Digits by which numbers are the same. One number in a hundred lies so near to the next one of six digits that the seventh moves it there:
of many columns some would, in nearly every row."""
_GOLDEN = 2654435761  # Knuth's multiplier: its multiples modulo 2^32 are spread evenly, so the smallest are a sample of all rows


@dataclass(frozen=True)
class Columns:
    """Columns of train and what they are to the screens; of those the holdout has too, what kind both are."""

    kinds: Mapping[str, Kind]
    """Of every column of train that is looked at."""
    holdout_kinds: Mapping[str, Kind]
    """Of every column of the holdout that is looked at; empty where there is none."""
    label: str | None
    id: str | None
    source: str | None
    protected: tuple[str, ...]
    is_float: frozenset[str]
    """Columns of numbers that are not whole in one of the two."""
    is_plain: frozenset[str] = frozenset()
    """Columns of text without blanks to remove or signs beyond ASCII, which may be written in several ways."""
    times: Mapping[str, pl.DataType] = field(default_factory=dict)
    """Columns of moments or durations, and the one type by which those of both tables are the same: a file may count nanoseconds, days."""

    @property
    def features(self) -> list[str]:
        """Columns of train that a model learns from."""
        return [name for name in self.kinds if name not in (self.label, self.id, self.source)]

    @property
    def shared(self) -> list[str]:
        """Features that the holdout has, too."""
        return [name for name in self.features if name in self.holdout_kinds]

    def is_alike(self, name: str) -> bool:
        """Whether both tables have a column, and of one kind."""
        return self.holdout_kinds.get(name) == self.kinds.get(name)


@dataclass(frozen=True)
class ColumnCounts:
    nulls: int
    is_constant: bool
    """Whether every row holds the same, missing or not."""
    fingerprint: int
    """Equal for columns that are equal in every row."""
    matches: Mapping[str, patterns.Matches]
    """What text patterns found, by the pattern's name."""


@dataclass(frozen=True)
class Rows:
    """A table as the screens have it."""

    n: int
    keys: pl.DataFrame
    """A row for each row, in order: `exact` and `normalised` hashes of its features, and where there are such columns `label`, `source`,
    `id` and `protected_0`, ..."""
    sample: pl.DataFrame
    """Rows drawn evenly over the table."""
    counts: Mapping[str, ColumnCounts]
    """By column; empty for a holdout."""


def kind_of(dtype: pl.DataType) -> Kind:
    import polars as pl

    if dtype.is_numeric() or dtype.is_decimal():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_temporal():
        return "time"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    return "nothing" if dtype == pl.Null else "nested"


def columns(
    train: pl.LazyFrame,
    holdout: pl.LazyFrame | None,
    *,
    label: str | None,
    id: str | None,  # noqa: A002 -- as the configuration calls it
    source: str | None,
    protected: Sequence[str],
    ignored: Sequence[str],
    where: str,
) -> Columns:
    """What the columns are to the screens.

    Args:
        where: the entry, for messages: `mlgate.yaml: data.screens[0]`.

    Raises:
        InputError: a column is named that neither table has; one that only train lacks is for the screen of columns to tell.
    """
    schema = dict(train.collect_schema())
    other = dict(holdout.collect_schema()) if holdout is not None else {}
    for key, name in (("label", label), ("id", id), ("source", source), *((f"protected[{at}]", each) for at, each in enumerate(protected))):
        if name is not None and name not in schema and name not in other:
            raise InputError(f"{where}.{key}: no column '{name}' in the data{did_you_mean(name, [*schema])}")
    for at, name in enumerate(ignored):
        if name not in schema and name not in other:
            raise InputError(f"{where}.except[{at}]: no column '{name}' in the data{did_you_mean(name, [*schema])}")
    kinds: dict[str, Kind] = {name: kind_of(dtype) for name, dtype in schema.items() if name not in ignored}
    others: dict[str, Kind] = {name: kind_of(dtype) for name, dtype in other.items() if name not in ignored}
    fractional = {name for each in (schema, other) for name, dtype in each.items() if kind_of(dtype) == "number" and not dtype.is_integer()}
    return Columns(
        kinds=kinds,
        holdout_kinds=others,
        label=label if label in kinds else None,
        id=id if id in kinds else None,
        source=source if source in kinds else None,
        protected=tuple(name for name in protected if name in kinds),
        is_float=frozenset(fractional),
        times=_times([schema, other]),
    )


def _times(schemas: Sequence[Mapping[str, pl.DataType]]) -> dict[str, pl.DataType]:
    import polars as pl

    found: dict[str, pl.DataType] = {}
    for name in dict.fromkeys(name for schema in schemas for name in schema):
        dtypes = [schema[name] for schema in schemas if name in schema]
        if all(dtype == pl.Date or dtype == pl.Datetime for dtype in dtypes):  # whatever their units
            found[name] = pl.Datetime("us")
        elif all(dtype == pl.Duration for dtype in dtypes):
            found[name] = pl.Duration("us")
    return found


def with_plain(of: Columns, tables: Mapping[str, pl.LazyFrame]) -> Columns:
    """The same columns with those marked whose text is plain in all the tables: to normalise the others' takes most of the time.

    Raises:
        InputError: a table cannot be read to its end; tables are by their name for messages.
    """
    import polars as pl

    texts = [name for name, kind in of.kinds.items() if kind == "text"]
    wide: set[str] = set()
    for name, frame in tables.items():
        there = [column for column in texts if of.kinds[column] == kind_of(frame.collect_schema().get(column, pl.Null()))]
        asked = frame.select(
            pl.col(column).cast(pl.String).str.contains(r"[^\x00-\x7f]|\s\s|[\t\n\r]|^\s|\s$").any().alias(column) for column in there
        )
        if there:
            wide |= {column for column, is_wide in _collected([asked], name)[0].row(0, named=True).items() if is_wide}
    return replace(of, is_plain=frozenset(texts) - wide)


def read(frame: pl.LazyFrame, of: Columns, *, keyed: Sequence[str], is_counting: bool, name: str) -> Rows:
    """Everything the screens need of a table.

    Args:
        frame: train or the holdout.
        of: what its columns are.
        keyed: features that make the key of a row.
        is_counting: whether columns are counted and looked through for patterns, too.
        name: of the table, for messages.

    Raises:
        InputError: it cannot be read to its end.
    """

    schema = frame.collect_schema()
    names = schema.names()
    keyed = keyed if set(keyed) <= set(names) else []
    numbered = frame.with_row_index(_INDEX)
    looked_at = [name for name in names if name in of.kinds or name in of.holdout_kinds]
    queries = [numbered.select(_keys(names, of, keyed)), _sample(numbered, looked_at)]
    texts = [name for name in looked_at if of.kinds.get(name) == "text"] if is_counting else []
    integers = [name for name, dtype in schema.items() if name in looked_at and dtype.is_integer()] if is_counting else []
    cells = [name for name in looked_at if name != of.id] if is_counting else []
    if is_counting:
        queries += [_column_counts(numbered, cells), patterns.query(numbered, texts, integers, _INDEX)]
    collected = _collected(queries, name)
    keys, sample = collected[0], collected[1]
    counts = _counts(collected[2], collected[3], cells, texts, integers) if is_counting else {}
    return Rows(len(keys), keys, sample, counts)


def _collected(queries: list[pl.LazyFrame], name: str) -> list[pl.DataFrame]:
    """Answers to several questions about one table, which is read once."""
    import polars as pl

    try:
        return pl.collect_all(queries, engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{name}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def normalised(name: str, of: Columns) -> pl.Expr:
    """A column so that cells that mean the same are equal: whole numbers and others alike, text without regard to case, blanks and forms.

    Where train and holdout disagree on what kind a column is, both are compared as text.
    """
    import polars as pl

    column, kind = pl.col(name), of.kinds.get(name) or of.holdout_kinds.get(name)
    if of.holdout_kinds and not of.is_alike(name) and name in of.kinds and name in of.holdout_kinds:
        return column if "nested" in (kind, of.holdout_kinds[name]) else _plain_text(column.cast(pl.String, strict=False))
    match kind:
        case "number":
            number = column.cast(pl.Float64, strict=False) + 0.0  # and -0.0 is 0.0
            return number.round_sig_figs(_DIGITS if len(of.is_float) <= _MANY else _DIGITS_OF_MANY) if name in of.is_float else number
        case "text":
            return _plain_text(column.cast(pl.String), is_plain=name in of.is_plain)
        case "time" if name in of.times:
            return column.cast(of.times[name])
        case _:
            return column


def _plain_text(column: pl.Expr, *, is_plain: bool = False) -> pl.Expr:
    if is_plain:
        return column.str.to_lowercase()
    composed = column.str.normalize("NFKC")
    for blank in ("\t", "\n", "\r", "   ", "  ", "  "):  # literal ones: a regular expression would take as long as all the rest
        composed = composed.str.replace_all(blank, " ", literal=True)
    return composed.str.to_lowercase().str.strip_chars()


def _keys(names: list[str], of: Columns, keyed: Sequence[str]) -> list[pl.Expr]:
    import polars as pl

    def exact(name: str) -> pl.Expr:
        # 3 and 3.0 are the same in a file that was written twice.
        kinds = {of.kinds.get(name), of.holdout_kinds.get(name, of.kinds.get(name))}
        if kinds == {"number"}:
            return pl.col(name).cast(pl.Float64, strict=False) + 0.0
        if name in of.times:
            return pl.col(name).cast(of.times[name])
        return pl.col(name).cast(pl.String) if "text" in kinds and not kinds & {"nested"} else pl.col(name)

    if keyed:
        found = [
            pl.struct(exact(name).alias(str(at)) for at, name in enumerate(keyed)).hash().alias("exact"),
            pl.struct(normalised(name, of).alias(str(at)) for at, name in enumerate(keyed)).hash().alias("normalised"),
        ]
    else:
        nothing = pl.lit(0, dtype=pl.UInt64)
        found = [pl.col(_INDEX).cast(pl.UInt64).alias("exact"), (pl.col(_INDEX).cast(pl.UInt64) * 0 + nothing).alias("normalised")]
    roles = {"label": of.label, "source": of.source, "id": of.id, **{f"protected_{at}": name for at, name in enumerate(of.protected)}}
    return [*found, *(pl.col(name).alias(role) for role, name in roles.items() if name is not None and name in names)]


def _sample(numbered: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    import polars as pl

    rows = max(_LEAST_SAMPLE, min(_SAMPLE_ROWS, _SAMPLE_CELLS // max(1, len(names))))
    spread = (pl.col(_INDEX).cast(pl.UInt64) * _GOLDEN) % 2**32
    return numbered.select(_INDEX, *names).bottom_k(rows, by=spread).sort(_INDEX).drop(_INDEX)


def _column_counts(numbered: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """Missing cells of each column, whether all are equal, and what is the same for columns that are equal; one row."""
    import polars as pl

    hashed = numbered.select(
        _INDEX,
        *(pl.struct(pl.col(name).alias("0")).hash().alias(f"hash_{at}") for at, name in enumerate(names)),
        *(pl.col(name).is_null().alias(f"null_{at}") for at, name in enumerate(names)),
    )
    found = [pl.len().alias("n")]
    placed = 2 * pl.col(_INDEX).cast(pl.UInt64) + 1  # products of 64-bit numbers go round: equal columns have equal sums all the same
    for at in range(len(names)):
        cell = pl.col(f"hash_{at}")
        found += [
            pl.col(f"null_{at}").sum().alias(f"nulls_{at}"),
            cell.min().alias(f"low_{at}"),
            cell.max().alias(f"high_{at}"),
            ((cell * placed) // 2**24).sum().alias(f"print_{at}"),
        ]
    return hashed.select(found)


def _counts(row: pl.DataFrame, matched: pl.DataFrame, names: list[str], texts: list[str], integers: list[str]) -> dict[str, ColumnCounts]:
    found = {}
    values, looked_for = row.row(0, named=True), matched.row(0, named=True) if matched.width else {}
    rows = int(values["n"])
    matches = {name: patterns.in_text(looked_for, at) for at, name in enumerate(texts)}
    matches |= {name: patterns.in_integers(looked_for, at) for at, name in enumerate(integers)}
    for at, name in enumerate(names):
        found[name] = ColumnCounts(
            nulls=values[f"nulls_{at}"],
            is_constant=rows > 0 and values[f"low_{at}"] == values[f"high_{at}"],
            fingerprint=values[f"print_{at}"] or 0,
            matches=matches.get(name, {}),
        )
    return found
