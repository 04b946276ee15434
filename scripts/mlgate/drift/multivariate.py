"""The multivariate screen: a classifier told to tell the rows of two tables apart, which finds what no column shows alone.

Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests, ICLR. The classifier is linear discriminant analysis (Fisher 1936) with a
ridge, on ranks of the numbers, their squares and products of two, and on frequent categories: so it sees shifts, spreads and correlations
that turned, needs no import of seconds, and gives the same answer every time. It is trained on one half of the rows and judged on the
other, then the other way round. Given its half, each judgement is of rows it never saw, so its AUC is within chance as often as promised;
the two are not independent, so each has half of the false alarms (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.drift.cells import Floats
from mlgate.drift.verdict import Thresholds, Verdict

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 10_000
"""Of each side, spread over the whole table."""
MOST_COLUMNS = 200
PAIRED_COLUMNS = 24
"""Numbers whose products of two are looked at: the first so many of the table."""
FREQUENT_CATEGORIES = 10
_RIDGE = 1e-3
_NAMED_COLUMNS = 5
_WORTH_NAMING = 0.01
_SPREAD = 2_654_435_761  # Knuth 1973, The Art of Computer Programming 3, 6.4: multiples of it spread evenly over 32 bits
_SEED = 20_260_101


@dataclass(frozen=True)
class Apart:
    """How well two tables' rows can be told apart."""

    verdict: Verdict
    auc: float
    """Mean of both halves."""
    low: float
    """A lower confidence bound of the better half's."""
    rows: tuple[int, int]
    """That were looked at, of the reference and of the current table."""
    columns: tuple[str, ...]
    """Whose values give it away: the AUC falls where they are shuffled; the most telling first."""


def screen(
    reference: pl.LazyFrame, current: pl.LazyFrame, rows: tuple[int, int], columns: Sequence[str], thresholds: Thresholds, level: float
) -> Apart | None:
    """Tell the rows of two tables apart.

    Args:
        reference: what the data was.
        current: what it is.
        rows: how many rows both have.
        columns: names that both have; those that are neither numbers nor categories of text are not looked at.
        thresholds: of PSI; those of the AUC are what two normal distributions of that PSI have.
        level: probability of a false alarm.

    Returns:
        None where there are no columns to tell them apart by.
    """
    samples = [_sample(frame, count, list(columns)[:MOST_COLUMNS]) for frame, count in ((reference, rows[0]), (current, rows[1]))]
    numbers, categories = _numbers(samples), _categories(samples)
    if not numbers and not categories:
        return None
    sizes = samples[0].height, samples[1].height
    return tell_apart(numbers, categories, sizes, thresholds, level)


def tell_apart(
    numbers: Mapping[str, Floats], categories: Mapping[str, Floats], sizes: tuple[int, int], thresholds: Thresholds, level: float
) -> Apart:
    """The same of rows in memory.

    Args:
        numbers: columns of numbers, NaN for nothing, the reference's rows first, by name, each of shape (rows,).
        categories: columns of whole numbers that stand for categories, likewise.
        sizes: rows of the reference and of the current table, which add up to the length of each column.
        thresholds: of PSI.
        level: probability of a false alarm.
    """
    generator = np.random.default_rng(_SEED)
    table = _Table(numbers, categories)
    is_current = np.repeat([False, True], sizes)
    is_first = np.zeros(sum(sizes), dtype=bool)
    for start, size in ((0, sizes[0]), (sizes[0], sizes[1])):
        is_first[start + generator.permutation(size)[: size // 2]] = True
    judged = []
    for trained, tested in ((is_first, ~is_first), (~is_first, is_first)):
        weights = _discriminant(table.features(trained), is_current[trained])
        judged.append((auc(table.features(tested) @ weights, is_current[tested]), weights, tested))
    found = float(np.mean([one[0] for one in judged]))
    quantile = NormalDist().inv_cdf(1 - level / 2)
    low = max(_lower_bound(one[0], is_current[one[2]], quantile) for one in judged)
    verdict: Verdict = "stable"
    if low > 0.5 and found > auc_of(thresholds.warn):
        verdict = "alert" if found > auc_of(thresholds.alert) else "warn"
    named = _telling(table, judged[0], is_current, generator) if verdict != "stable" else ()
    return Apart(verdict, found, max(0.0, low), sizes, named)


def auc_of(psi: float) -> float:
    """The AUC of two normal distributions of equal spread whose PSI is that: with means d apart, PSI is d² and the AUC Phi(d / sqrt 2)."""
    return NormalDist().cdf(math.sqrt(psi / 2))


def auc(scores: Floats, is_current: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Probability that a current row scores above one of the reference, ties by half: Mann and Whitney 1947."""
    ranks = _ranks(scores)
    m = int(is_current.sum())
    n = len(scores) - m
    return float((ranks[is_current].sum() - m * (m + 1) / 2) / (n * m))


def _lower_bound(found: float, is_current: np.ndarray[Any, np.dtype[np.bool_]], quantile: float) -> float:
    """By the largest variance that an AUC can have, AUC (1 - AUC) / min(n, m) (Birnbaum and Klose 1957, Ann. Math. Statist. 28, 933-945),
    at its chance value, where it is largest."""
    m = int(is_current.sum())
    return found - quantile * 0.5 / math.sqrt(min(m, len(is_current) - m))


class _Table:
    """Rows as a classifier takes them."""

    def __init__(self, numbers: Mapping[str, Floats], categories: Mapping[str, Floats]) -> None:
        self.names = [*numbers, *categories]
        self._count = len(numbers)
        self._ranked, self._missing = [], []
        for column in numbers.values():
            there = ~np.isnan(column)
            spread = np.zeros(len(column))
            if there.any():
                spread[there] = 2 * (_ranks(column[there]) - 0.5) / there.sum() - 1
            self._ranked.append(spread * math.sqrt(3))
            self._missing.append(None if there.all() else (~there).astype(np.float64))
        self._codes = list(categories.values())
        self._frequent = [_most_frequent(codes) for codes in self._codes]

    def features(self, rows: np.ndarray[Any, np.dtype[Any]], shuffled: int | None = None, order: Any = None) -> Floats:
        """One row of features for each of the chosen rows; `shuffled`: the column whose values are put into another order."""

        def of(index: int, column: Floats) -> Floats:
            chosen: Floats = column[rows]
            if index == shuffled:
                chosen = chosen[order]
            return chosen

        ranked = [of(index, column) for index, column in enumerate(self._ranked)]
        found = [*ranked, *(column * column - 1 for column in ranked)]
        paired = ranked[:PAIRED_COLUMNS]
        found += [one * other for at, one in enumerate(paired) for other in paired[at + 1 :]]
        found += [of(index, column) for index, column in enumerate(self._missing) if column is not None]
        for index, (codes, frequent) in enumerate(zip(self._codes, self._frequent, strict=True), start=self._count):
            chosen = of(index, codes)
            found += [(chosen == code).astype(np.float64) for code in frequent]
        stacked: Floats = np.stack(found, axis=1)
        return stacked


def _discriminant(features: Floats, is_current: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    one, other = features[~is_current], features[is_current]
    apart = other.mean(axis=0) - one.mean(axis=0)
    within = np.cov(one, rowvar=False, ddof=0) * len(one) + np.cov(other, rowvar=False, ddof=0) * len(other)
    within = np.atleast_2d(within) / len(features)
    # the fewer rows for a feature, the less its covariances are believed
    ridge = _RIDGE + within.shape[0] / len(features)
    within[np.diag_indices_from(within)] += ridge * max(float(np.trace(within)) / within.shape[0], 1e-12)
    weights: Floats = np.linalg.solve(within, apart)
    return weights


def _telling(table: _Table, judged: tuple[float, Floats, Any], is_current: Any, generator: np.random.Generator) -> tuple[str, ...]:
    """Columns by how much the AUC falls where their values are shuffled (Breiman 2001, Machine Learning 45, 5-32)."""
    _, weights, tested = judged
    rows = np.flatnonzero(tested)
    rows = rows[np.sort(generator.permutation(len(rows))[:4000])]
    there = is_current[rows]
    if there.all() or not there.any():
        return ()
    whole = auc(table.features(rows) @ weights, there)
    order = generator.permutation(len(rows))
    falls = [
        (whole - auc(table.features(rows, index, order) @ weights, there), name) for index, name in enumerate(table.names[:MOST_COLUMNS])
    ]
    falls.sort(key=lambda one: -one[0])
    return tuple(name for fall, name in falls[:_NAMED_COLUMNS] if fall > _WORTH_NAMING)


def _sample(frame: pl.LazyFrame, rows: int, columns: list[str]) -> pl.DataFrame:
    import polars as pl

    if rows > MOST_ROWS:
        place = (pl.int_range(pl.len(), dtype=pl.UInt64) * _SPREAD) % (1 << 32)
        frame = frame.select(columns).filter(place < round(MOST_ROWS / rows * (1 << 32)))
    return frame.select(columns).collect(engine="streaming")


def _numbers(samples: Sequence[pl.DataFrame]) -> dict[str, Floats]:
    import polars as pl

    found = {}
    for name in samples[0].columns:
        if all(sample[name].dtype.is_numeric() or sample[name].dtype == pl.Boolean for sample in samples):
            sides = [sample[name].cast(pl.Float64, strict=False).to_numpy() for sample in samples]
            column = np.concatenate(sides).astype(np.float64)
            column[np.isinf(column)] = np.sign(column[np.isinf(column)]) * np.finfo(np.float64).max
            found[name] = column
    return found


def _categories(samples: Sequence[pl.DataFrame]) -> dict[str, Floats]:
    import polars as pl

    found = {}
    text = (pl.String, pl.Categorical, pl.Enum)
    for name in samples[0].columns:
        if all(sample[name].dtype in text for sample in samples):
            both = pl.concat([sample[name].cast(pl.String) for sample in samples])
            found[name] = both.rank("dense").fill_null(0).to_numpy().astype(np.float64)
    return found


def _most_frequent(codes: Floats) -> list[float]:
    values, counts = np.unique(codes, return_counts=True)
    return [float(value) for value in values[np.argsort(-counts, kind="stable")][:FREQUENT_CATEGORIES]]


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values at the middle of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    ranks: Floats = (upto - (counts - 1) / 2)[inverse]
    return ranks
