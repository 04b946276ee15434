"""False alarms of drift on clean re-samplings, and its power on shifts of known size.

A false alarm is a table with any column that is told of, of 1 to 50 columns, of 200 to 100,000 rows a side: FALSE_ALARM is promised of the
whole table. Power is measured as its miss: a shift whose PSI is well above the threshold for an alert and above chance must be one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.scenario import Promise
from mlgate.drift import cells, multivariate, profile, verdict
from mlgate.drift.profile import Column, Profile
from mlgate.drift.verdict import Settings, Thresholds

Generator = np.random.Generator
Draw = Callable[[int, Generator], Column]
SMALLEST = 1e-9
"""Thresholds at which chance alone decides: what is promised holds without the help of PSI > 0.1, which no clean large table reaches."""


def number(values: np.ndarray[Any, Any]) -> Column:
    return profile.of_numbers("x", "number", len(values), np.asarray(values, dtype=np.float64))


def category(codes: np.ndarray[Any, Any]) -> Column:
    counts = np.bincount(codes)
    there = np.flatnonzero(counts)
    hashes = np.array([cells.category_hash(f"value {code}") for code in there])
    return Column("x", "category", len(codes), 0, cells.of_hashes(hashes, counts[there]))


def _zipf(levels: int) -> Draw:
    shares = 1 / np.arange(1, levels + 1)
    shares /= shares.sum()
    return lambda rows, generator: category(generator.choice(levels, rows, p=shares))


KINDS: dict[str, Draw] = {
    "normal": lambda rows, generator: number(generator.normal(size=rows)),
    "heavy-tailed": lambda rows, generator: number(np.exp(2 * generator.normal(size=rows))),
    "pixels": lambda rows, generator: number(np.where(generator.random(rows) < 0.8, 0, generator.integers(1, 17, rows))),
    "counts": lambda rows, generator: number(generator.poisson(40, rows)),
    "3 categories": _zipf(3),
    "20 categories": _zipf(20),
    "200 categories": _zipf(200),
}


@dataclass(frozen=True)
class Clean:
    """Tables of columns of one kind, both sides of one population."""

    kind: str
    rows: tuple[int, int]
    columns: int
    runs: int
    is_quick: bool = False

    def alarms(self, runs: int, generator: Generator) -> int:
        settings = Settings(thresholds=Thresholds(SMALLEST, SMALLEST), most_rows_change=None)
        return sum(any(one.verdict != "stable" for one in self._compared(settings, generator)) for _ in range(runs))

    def _compared(self, settings: Settings, generator: Generator) -> tuple[verdict.Drift, ...]:
        sides = [Profile(rows, {f"c{at}": KINDS[self.kind](rows, generator) for at in range(self.columns)}) for rows in self.rows]
        return verdict.compare(sides[0], sides[1], settings).columns


@dataclass(frozen=True)
class Shifted:
    """A column whose mean moved by so many standard deviations, among clean ones."""

    sds: float
    rows: int
    columns: int
    runs: int
    is_quick: bool = False

    def missed(self, runs: int, generator: Generator) -> int:
        draw, missed = KINDS["normal"], 0
        for _ in range(runs):
            before = {f"c{at}": draw(self.rows, generator) for at in range(self.columns)}
            now = {"c0": number(self.sds + generator.normal(size=self.rows))}
            now |= {name: draw(self.rows, generator) for name in before if name != "c0"}
            found = verdict.compare(Profile(self.rows, before), Profile(self.rows, now))
            missed += found.columns[0].verdict != "alert"
        return missed


CLEAN = [
    *(
        Clean(kind, (rows, rows), columns, runs, is_quick=rows == 200 and columns == 1 and kind in ("normal", "20 categories"))
        for kind in KINDS
        for rows, columns, runs in ((200, 1, 4000), (200, 50, 150), (1000, 1, 3000), (1000, 19, 150), (100_000, 1, 120))
    ),
    *(Clean(kind, rows, 1, 1500) for kind in KINDS for rows in ((200, 5000), (5000, 300))),
]
SHIFTED = [
    Shifted(0.6, 200, 1, 1000),
    Shifted(1.0, 200, 1, 1000, is_quick=True),
    Shifted(1.0, 200, 19, 150),
    Shifted(0.55, 1000, 1, 500),
    Shifted(0.55, 1000, 19, 100),
    Shifted(0.5, 10_000, 1, 200),
    Shifted(0.5, 100_000, 1, 60),
]
MISSED_AT_MOST = {(0.6, 200, 1): 0.12, (1.0, 200, 1): 0.01, (1.0, 200, 19): 0.02, (0.55, 1000, 1): 0.04, (0.55, 1000, 19): 0.08}


def promises() -> list[Promise]:
    clean = [
        Promise(
            family="drift, clean data",
            name=f"drift | {one.columns} x {one.kind} | {one.rows[0]:,} and {one.rows[1]:,} rows | any column told of by chance",
            bound=verdict.FALSE_ALARM,
            count=one.alarms,
            runs=one.runs,
            is_quick=one.is_quick,
        )
        for one in CLEAN
    ]
    shifted = [
        Promise(
            family="drift, shifted data",
            name=f"drift | {one.columns} x normal | {one.rows:,} rows | one shifted by {one.sds:g} sd and no alert",
            bound=MISSED_AT_MOST.get((one.sds, one.rows, one.columns), 0.01),
            count=one.missed,
            runs=one.runs,
            is_quick=one.is_quick,
        )
        for one in SHIFTED
    ]
    return [*clean, *shifted, *(_together(rows) for rows in ((200, 200), (1000, 1000), (300, 3000)))]


def _together(rows: tuple[int, int]) -> Promise:
    """The classifier on clean tables of eight columns."""

    def alarms(runs: int, generator: Generator) -> int:
        count = 0
        for _ in range(runs):
            numbers = {f"c{at}": generator.normal(size=sum(rows)) for at in range(8)}
            count += multivariate.tell_apart(numbers, {}, rows, Thresholds(SMALLEST, SMALLEST), verdict.FALSE_ALARM).verdict != "stable"
        return count

    name = f"drift | classifier on 8 columns | {rows[0]:,} and {rows[1]:,} rows | tells clean data apart"
    return Promise(family="drift, clean data", name=name, bound=verdict.FALSE_ALARM, count=alarms, runs=400)
