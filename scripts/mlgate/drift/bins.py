"""The bins in which two columns are compared: cut on the reference, so that what is new cannot move them.

Numbers are cut at the deciles of the reference, at ends of cells, so that the counts of both sides are exact; what lies beyond its range
counts into the end bins. Numbers of few values, and categories, have a bin for each that occurs often, and "other" for the rest. Missing
cells have a bin of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import numpy as np

from mlgate.drift import cells
from mlgate.drift.cells import Floats, Integers
from mlgate.drift.profile import Column

DECILES = 10
FEW_VALUES = 20
HEAVY = 0.15
"""Share of the rows from which on one value of a number, or cell, is a bin of its own."""
MOST_CATEGORIES = 100
EXPECTED = 5
"""Rows that a bin of a category must be expected to have in the smaller table (Cochran 1954); rarer ones share the bin "other"."""
_YEAR_9999 = 253_402_300_799


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two columns' cells on one grid."""

    level: int
    keys: Integers
    reference: Integers
    current: Integers


@dataclass(frozen=True, eq=False)
class Bins:
    """Two columns, counted into the same bins."""

    by: Literal["deciles", "values", "categories", "presence"]
    labels: tuple[str | None, ...]
    """What a bin holds; None for a category that is not named."""
    reference: Integers
    current: Integers
    has_other: bool = False
    """Whether there is a bin for all other values; it comes after the named ones."""
    has_nulls: bool = False
    """Whether there is a bin for missing cells; the last one."""


def of(reference: Column, current: Column) -> Bins:
    """The bins of two columns, kinds of which go together (`are_comparable`)."""
    kind = reference.kind if reference.kind != "empty" else current.kind
    if kind in ("other", "empty") or not reference.values:
        sides = [np.array([column.values, column.nulls], dtype=np.int64) for column in (reference, current)]
        return Bins("presence", ("there", "null"), sides[0], sides[1], has_nulls=True)
    both = align(reference, current)
    if kind == "category":
        found = _categories(both, reference, current)
    elif np.count_nonzero(both.reference) <= FEW_VALUES:
        found = _by_value(both, _few_values(both, kind), "values", reference.rows, current.rows)
    else:
        found = _deciles(both, kind)
    if not reference.nulls and not current.nulls:
        return found
    return Bins(
        found.by,
        (*found.labels, "null"),
        np.append(found.reference, reference.nulls),
        np.append(found.current, current.nulls),
        found.has_other,
        has_nulls=True,
    )


def are_comparable(reference: Column, current: Column) -> bool:
    """Whether both hold the same kind of values, or one of them none."""
    return reference.kind == current.kind or "empty" in (reference.kind, current.kind) or not (reference.values and current.values)


def align(reference: Column, current: Column) -> Aligned:
    """Both columns' cells at the coarser of their levels."""
    level = max((one.cells.level for one in (reference, current) if len(one.cells.keys)), default=0)
    one, other = reference.cells.at(level), current.cells.at(level)
    keys = np.union1d(one.keys, other.keys)
    counts = []
    for side in (one, other):
        row = np.zeros(len(keys), dtype=np.int64)
        row[np.searchsorted(keys, side.keys)] = side.counts
        counts.append(row)
    return Aligned(level, keys, counts[0], counts[1])


def ends(both: Aligned) -> tuple[Floats, Floats]:
    """The smallest and the largest number of each cell."""
    return cells.bounds(cells.Cells(both.level, both.keys, both.reference))


def _deciles(both: Aligned, kind: str) -> Bins:
    seen = np.flatnonzero(both.reference)
    cumulative = np.cumsum(both.reference[seen])
    wanted = np.arange(1, DECILES) / DECILES * cumulative[-1]
    after = np.minimum(np.searchsorted(cumulative, wanted), len(seen) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(cumulative[before] - wanted) <= np.abs(cumulative[after] - wanted), before, after)
    # a value that many rows have is a bin of its own: among others its change would be hidden, at the top there would be no cut at all
    heavy = np.flatnonzero(both.reference[seen] > HEAVY * cumulative[-1])
    last = np.unique(seen[np.concatenate([nearest, heavy, heavy[heavy > 0] - 1])])  # of each bin but the last one, its last cell
    last = last[last < seen[-1]]
    place = np.searchsorted(last, np.arange(len(both.keys)))
    counts = [np.bincount(place, weights=side, minlength=len(last) + 1).astype(np.int64) for side in (both.reference, both.current)]
    _, highs = ends(both)
    borders = [_written(value, kind) for value in highs[last]]
    labels = [f"up to {borders[0]}", *(f"{low} to {high}" for low, high in pairwise(borders)), f"above {borders[-1]}"]
    return Bins("deciles", tuple(labels), counts[0], counts[1])


def _few_values(both: Aligned, kind: str) -> list[str | None]:
    lows, highs = ends(both)
    # a number with few digits is the end of its cell that is nearer to 0
    return [_written(low if low >= 0 else high, kind) for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]


def _categories(both: Aligned, reference: Column, current: Column) -> Bins:
    return _by_value(both, names_of(both, reference, current), "categories", reference.rows, current.rows)


def names_of(both: Aligned, reference: Column, current: Column) -> list[str | None]:
    """Of each cell of categories, the name of one in it; None where it has none that may be named."""
    by_cell: dict[int, str] = {}
    for key, name in (*reference.names.items(), *current.names.items()):
        by_cell.setdefault(key >> both.level, name)
    return [by_cell.get(key) for key in both.keys.tolist()]


def _by_value(both: Aligned, labels: Sequence[str | None], by: Literal["values", "categories"], n: int, m: int) -> Bins:
    """A bin for each frequent value, in the order of the numbers, or the most frequent first; and one for the rest.

    Frequent in both tables together: given that sum, how it falls on the two is chance alone. Those frequent in the reference would be
    those that happen to be frequent there, and PSI would ring on the difference.
    """
    pooled = both.reference + both.current
    often = np.flatnonzero(pooled * min(n, m) >= EXPECTED * (n + m))
    often = often[np.argsort(-pooled[often], kind="stable")][:MOST_CATEGORIES]
    if by == "values":
        often = np.sort(often)
    rest = np.setdiff1d(np.arange(len(both.keys)), often)
    sides = [np.append(side[often], side[rest].sum()) for side in (both.reference, both.current)]
    has_other = bool(sides[0][-1] or sides[1][-1])
    if not has_other:
        sides = [side[:-1] for side in sides]
    named = tuple(labels[index] for index in often.tolist())
    return Bins(by, (*named, "other") if has_other else named, sides[0], sides[1], has_other)


def _written(value: float, kind: str) -> str:
    if kind == "time" and abs(value) <= _YEAR_9999:
        if abs(value) < 2 * 86400:  # of a day, or a duration
            return f"{value:.4g} s"
        moment = datetime.fromtimestamp(round(value), UTC)
        return f"{moment:%Y-%m-%d}" if moment.hour == moment.minute == 0 else f"{moment:%Y-%m-%d %H:%M}"
    return f"{value:.4g}"
