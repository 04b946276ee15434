"""Samples of rows as arrays: labels as classes or numbers, features as points that lie near one another where rows are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mlgate.screens.reading import Columns, Kind

if TYPE_CHECKING:
    import polars as pl

_MAX_CLASSES = 1_000
_MAX_CLASSES_OF_NUMBERS = 50
_MAX_LEVELS = 30

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Labels of one or more tables in one coding."""

    kind: Literal["classes", "numbers"]
    names: tuple[str, ...]
    """Of the classes, in order; none for numbers."""
    values: tuple[npt.NDArray[Any], ...]
    """By table: for classes integers of shape (n,), -1 where missing; for numbers floats of shape (n,), NaN where missing."""


def labels(columns: Sequence[pl.Series], kind: Kind) -> Labels | str:
    """Labels of several tables in one coding, or why they are of no use to a screen.

    Args:
        columns: the label's column of each table.
        kind: what it is in the first of them.
    """
    import polars as pl

    if kind in ("nested", "time", "nothing"):
        return f"labels of type {columns[0].dtype} are neither classes nor numbers"
    if any(column.dtype.is_nested() for column in columns):
        return "labels are of different types in the two tables"
    if kind == "number" and all(column.dtype.is_numeric() or column.dtype.is_decimal() for column in columns):
        numbers = [column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64) for column in columns]
        present = np.unique(np.concatenate([each[~np.isnan(each)] for each in numbers]))
        if len(present) > _MAX_CLASSES_OF_NUMBERS or not (present == np.round(present)).all():
            return Labels("numbers", (), tuple(numbers))
        coded = [np.where(np.isnan(each), -1, np.searchsorted(present, np.nan_to_num(each))) for each in numbers]
        return Labels("classes", tuple(f"{value:.0f}" for value in present), tuple(each.astype(np.int64) for each in coded))
    texts = [as_text(column) for column in columns]
    names = sorted({str(value) for each in texts for value in each.drop_nulls().unique()})
    if len(names) > _MAX_CLASSES:
        return f"{len(names):,} different labels are no classes"
    place = {name: at for at, name in enumerate(names)}
    by_text = tuple(np.array([-1 if value is None else place[value] for value in each.to_list()], dtype=np.int64) for each in texts)
    return Labels("classes", tuple(names), by_text)


def as_text(column: pl.Series) -> pl.Series:
    """Cells as text, a whole number the same whether it was read as whole or not."""
    import polars as pl

    if column.dtype.is_nested():
        return pl.Series(column.name, [None if cell is None else str(cell) for cell in column.to_list()], dtype=pl.String)
    if column.dtype.is_float() and (column.drop_nulls() == column.drop_nulls().round()).all():
        column = column.cast(pl.Int64, strict=False)
    if column.dtype == pl.Duration:
        return column.dt.to_string("polars")
    return column.cast(pl.String, strict=False)


def ranks(values: Floats, reference: Floats) -> Floats:
    """Place of each value among the reference's, in [0, 1]; equal values share the middle of their places."""
    ordered = np.sort(reference)
    if not len(ordered):
        return np.full(len(values), 0.5)
    low, high = np.searchsorted(ordered, values, side="left"), np.searchsorted(ordered, values, side="right")
    placed: Floats = (low + high) / (2 * len(ordered))
    return placed


def numbers(column: pl.Series, kind: Kind) -> Floats:
    """A column of numbers, truth values or times (microseconds) as floats, NaN where missing."""
    import polars as pl

    if kind == "time":
        if column.dtype in (pl.Date, pl.Datetime):
            column = column.cast(pl.Datetime("us"))
        elif column.dtype == pl.Duration:
            column = column.cast(pl.Duration("us"))
        column = column.to_physical()
    converted: Floats = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    return converted


def points(tables: Sequence[pl.DataFrame], names: Sequence[str], of: Columns) -> list[Floats]:
    """Rows of several tables as points of one space: numbers by rank, so that units and outliers do not matter; few-valued text by level.

    Columns of other kinds are left out.
    """
    parts: list[list[Floats]] = [[] for _ in tables]
    for name in names:
        kind = of.kinds[name]
        if not of.is_alike(name) or kind in ("nested", "nothing"):
            continue
        columns = [table[name] for table in tables]
        encoded = _levels(columns) if kind == "text" else _ranked([numbers(column, kind) for column in columns])
        for part, each in zip(parts, encoded, strict=True):
            part.append(each)
    return [np.concatenate(part, axis=1) if part else np.zeros((len(table), 0)) for part, table in zip(parts, tables, strict=True)]


def _ranked(columns: list[Floats]) -> list[Floats]:
    everything = np.concatenate(columns)
    present = everything[~np.isnan(everything)]
    if len(present) == 0 or present.min() == present.max():
        return [np.zeros((len(column), 0)) for column in columns]
    ranked = [np.where(np.isnan(column), 0.5, ranks(np.nan_to_num(column), present))[:, None] for column in columns]
    if len(present) == len(everything):
        return ranked
    return [np.concatenate([each, np.isnan(column)[:, None]], axis=1) for each, column in zip(ranked, columns, strict=True)]


def _levels(columns: list[pl.Series]) -> list[Floats]:
    texts = [as_text(column) for column in columns]
    levels = sorted({str(value) for each in texts for value in each.drop_nulls().unique()})
    if not 1 < len(levels) <= _MAX_LEVELS:
        return [np.zeros((len(column), 0)) for column in columns]
    wide = [np.array([[value == level for level in levels] for value in each.to_list()], dtype=np.float64) for each in texts]
    return [each.reshape(-1, len(levels)) / np.sqrt(2) for each in wide]


def codes(table: pl.DataFrame, names: Sequence[str], of: Columns) -> Integers:
    """Columns as integers that are equal where cells are, shape (rows, columns)."""
    import polars as pl

    from mlgate.screens.reading import normalised

    if not names or not len(table):
        return np.zeros((len(table), len(names)), dtype=np.int64)
    hashed = table.select(
        pl.struct(normalised(name, of).alias("0")).hash().reinterpret(signed=True).alias(str(at)) for at, name in enumerate(names)
    )
    found: Integers = hashed.to_numpy()
    return found
