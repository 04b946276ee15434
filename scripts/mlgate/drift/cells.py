"""Counts of values on a grid that two sketches always share: what a profile keeps of a column, and what merging it costs nothing.

A number's 64 bits, read as a whole number in the order of the numbers, are its address; a cell is all addresses that agree but for the
last `level` bits. So a cell is a stretch of numbers of one relative width, within an octave of one absolute width, and two neighbours of
a level are one cell of the next. A sketch keeps the lowest level at which its values span at most MAX_SPAN cells and fill at most MAX_CELLS
of them. That level follows from the values alone, so sketches of parts merge to the sketch of the whole, to the last count, in any order
(a histogram after Masson, Rim and Lee 2019, DDSketch, PVLDB 12(12), 2195-2205, whose width follows the data). An outlier fills one cell
more, and widens the others only where it lies octaves away.

Categories have an address too, the CRC-32 of their UTF-8 bytes, so that Python, Polars and Spark agree. Its first 18 bits make the cell
(MAX_SPAN): few enough that nobody can tell from a cell which rare value it holds, and enough that of 200 categories two share one in 7 of
100 tables, which hides nothing but a shift between the two. Up to MAX_CELLS categories are told apart like this, more share cells.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_CELLS = 1024
MAX_SPAN = 1 << 18
MAX_LEVEL = 63
HASH_LEVEL = 14
"""The level at which a CRC-32 spans MAX_SPAN cells; a higher one means that many categories share cells."""
_AT_ONCE = 1 << 16
"""Values that the processor's cache holds."""
_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, eq=False)
class Cells:
    """How many values each cell has; those without any are left out."""

    level: int
    """How many bits of an address a cell leaves open, 0 to 63."""
    keys: Integers
    """Address without those bits, ascending."""
    counts: Integers
    """Above 0."""

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def at(self, level: int) -> Cells:
        """The same at a coarser level (or its own)."""
        if level == self.level:
            return self
        return _gathered(level, self.keys >> (level - self.level), self.counts)


EMPTY = Cells(0, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def of_numbers(values: Floats) -> Cells:
    """Cells of numbers, infinities among them, in any order; none of them NaN."""
    if not len(values):
        return EMPTY
    low, high = (int(one) for one in addresses_of(np.array([values.min(), values.max()], dtype=np.float64)))
    level = _level_of_span(low, high)
    first = low >> level
    addresses = np.empty(len(values), dtype=np.int64)
    for start in range(0, len(values), _AT_ONCE):
        part = addresses_of(values[start : start + _AT_ONCE], is_mixed=low < 0)
        part >>= level
        np.subtract(part, first, out=addresses[start : start + _AT_ONCE])
    counts = np.bincount(addresses)
    filled = np.flatnonzero(counts)
    return _settled(Cells(level, filled + first, counts[filled]))


def of_hashes(hashes: Integers, counts: Integers) -> Cells:
    """Cells of categories, by `category_hash` and how often each occurs."""
    return merge([_gathered(0, hashes, counts)])


def merge(parts: Iterable[Cells]) -> Cells:
    """Cells of all values of the parts."""
    filled = [part for part in parts if len(part.keys)]
    if not filled:
        return EMPTY
    level = max(part.level for part in filled)
    level = max(level, _level_of_span(_bound(filled, 0), _bound(filled, -1)))
    coarse = [part.at(level) for part in filled]
    return _settled(_gathered(level, np.concatenate([one.keys for one in coarse]), np.concatenate([one.counts for one in coarse])))


def addresses_of(values: Floats, *, is_mixed: bool = True) -> Integers:
    """Whole numbers in the order of the numbers, 0 for 0 of either sign; `is_mixed` False where none is below 0."""
    bits: Integers = (values + 0.0).view(np.int64)  # of the two zeros, one
    if is_mixed:
        signs = bits >> 63
        signs &= _SIGN
        bits ^= signs
    return bits


def numbers_at(addresses: Integers) -> Floats:
    """The numbers at addresses; NaN beyond the infinities."""
    return np.where(addresses < 0, addresses ^ _SIGN, addresses).view(np.float64)


def bounds(cells: Cells) -> tuple[Floats, Floats]:
    """The smallest and the largest number of each cell, both finite where a cell has such."""
    first = cells.keys << cells.level
    last = first + ((1 << cells.level) - 1)
    largest = np.finfo(np.float64).max
    low, high = numbers_at(first), numbers_at(last)
    return np.nan_to_num(low, nan=-largest), np.nan_to_num(high, nan=largest)


def category_hash(value: str) -> int:
    """Address of a category: CRC-32 of its UTF-8 bytes."""
    return zlib.crc32(value.encode("utf-8", "surrogatepass"))


def _level_of_span(low: int, high: int) -> int:
    level = max(0, (high - low).bit_length() - MAX_SPAN.bit_length())
    while (high >> level) - (low >> level) >= MAX_SPAN:
        level += 1
    return level


def _bound(parts: list[Cells], end: int) -> int:
    """The first or the last address that the parts may have, as if each value lay at the start of its cell: at the level of the merged
    cells, and any coarser one, that is the true one."""
    found = [int(part.keys[end]) << part.level for part in parts]
    return min(found) if end == 0 else max(found)


def _settled(cells: Cells) -> Cells:
    """At the lowest level at which they are few enough."""
    while len(cells.keys) > MAX_CELLS:
        cells = cells.at(cells.level + 1)
    return cells


def _gathered(level: int, keys: Integers, counts: Integers) -> Cells:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if not len(ordered):
        return Cells(level, ordered, counts)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return Cells(level, ordered[starts], np.add.reduceat(counts[order], starts))
