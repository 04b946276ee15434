"""Which columns drifted: PSI above a threshold, and above what chance gives for these many rows, bins and columns. Pure.

Everything that is asked of a comparison shares one chance of a false alarm, FALSE_ALARM: equally among the columns (Bonferroni), and of a
column among its QUESTIONS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mlgate.drift import bins as binning
from mlgate.drift import cells, chance, statistics
from mlgate.drift.bins import Bins
from mlgate.drift.profile import Column, Profile

Verdict = Literal["alert", "warn", "stable", "too little data"]
FALSE_ALARM = 0.01
QUESTIONS = 4
"""The distribution, the share of nulls, values that are new, values that are gone."""
WARN, ALERT, FEWEST_ROWS, MOST_ROWS_CHANGE = 0.1, 0.2, 200, 0.5
NULL_JUMP = 0.01
"""A change of the share of nulls that is told of."""
_MEAN_TOLD = 0.1
"""Standard deviations by which a mean has moved that is told beside what else there is to tell."""
_MOST_LISTED = 10


@dataclass(frozen=True)
class Thresholds:
    """From where on PSI is told of."""

    warn: float = WARN
    alert: float = ALERT


@dataclass(frozen=True)
class Settings:
    """How two tables are compared."""

    thresholds: Thresholds = Thresholds()
    of_column: Mapping[str, Thresholds] = field(default_factory=dict)
    """Of columns that have their own."""
    label: str | None = None
    fewest_rows: int = FEWEST_ROWS
    most_rows_change: float | None = MOST_ROWS_CHANGE
    """How many times more rows, or fewer, are told of: 0.5 for half as many more; None for any."""
    further_questions: int = 0
    """Questions asked of the tables elsewhere, as of one column each: the multivariate screen."""


@dataclass(frozen=True, eq=False)
class Drift:
    """One column of both tables."""

    name: str
    kind: str
    verdict: Verdict
    bins: Bins | None
    """None where nothing could be counted: the column is on one side only, or of another type."""
    is_label: bool = False
    psi: float | None = None
    by_chance: float | None = None
    """What PSI exceeds by chance, with the probability that this column has of the false alarms."""
    kl: float | None = None
    js: float | None = None
    chi_squared: float | None = None
    degrees: int | None = None
    total_variation: float | None = None
    ks: float | None = None
    wasserstein: float | None = None
    wasserstein_sd: float | None = None
    """In standard deviations of the reference."""
    means: tuple[float | None, float | None] = (None, None)
    sds: tuple[float | None, float | None] = (None, None)
    null_shares: tuple[float, float] = (0.0, 0.0)
    appeared: tuple[str, ...] = ()
    """Values of the current table, and not of the reference, in more rows than chance explains."""
    vanished: tuple[str, ...] = ()
    psi_words: str | None = None
    """Of a PSI that is told of: `PSI 0.31 (chance would give at most 0.02)`."""
    remarks: tuple[str, ...] = ()
    """What else is told of it: nulls, new values, the mean."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no stable one, in words."""
        return (*((self.psi_words,) if self.psi_words else ()), *self.remarks)


@dataclass(frozen=True, eq=False)
class Compared:
    """Two tables."""

    rows: tuple[int, int]
    columns: tuple[Drift, ...]
    """The label first, then in the order of the reference."""
    rows_reason: str | None = None
    """What is to be told of the number of rows."""
    is_too_little: bool = False

    def of(self, verdict: Verdict) -> list[Drift]:
        return [one for one in self.columns if one.verdict == verdict]


def compare(reference: Profile, current: Profile, settings: Settings = Settings()) -> Compared:
    """Hold every column of the reference against the current table's.

    Args:
        reference: what the data was.
        current: what it is.
        settings: thresholds, and which column is the label.
    """
    rows = reference.rows, current.rows
    is_too_little = min(rows) < settings.fewest_rows
    names = [*reference.columns, *(name for name in current.columns if name not in reference.columns)]
    if settings.label in names:
        names.sort(key=lambda name: name != settings.label)
    level = FALSE_ALARM / max(1, len(names) + settings.further_questions) / QUESTIONS
    columns = []
    for name in names:
        one, other = reference.columns.get(name), current.columns.get(name)
        thresholds = settings.of_column.get(name, settings.thresholds)
        if one is None or other is None:
            found = _on_one_side(name, one, other)
        elif not binning.are_comparable(one, other):
            reason = f"was of type {one.kind}, is of type {other.kind}"
            found = Drift(name, other.kind, "alert", None, remarks=(reason,), null_shares=_null_shares(one, other))
        elif min(rows) == 0 or is_too_little:
            found = Drift(name, other.kind, "too little data", None, null_shares=_null_shares(one, other))
        else:
            found = column(one, other, thresholds, level)
        columns.append(replace(found, is_label=True) if name == settings.label else found)
    about_rows = _about_rows(rows, settings.most_rows_change)
    if is_too_little and about_rows is not None:
        # Of what was small before nothing is known; what shrank below has lost what it was compared by.
        about_rows = f"{about_rows}, too few to compare columns" if rows[0] >= settings.fewest_rows else None
    return Compared(rows, tuple(columns), about_rows, is_too_little)


def column(reference: Column, current: Column, thresholds: Thresholds, level: float) -> Drift:
    """One column of two tables.

    Args:
        reference: of a table with rows.
        current: of a table with rows.
        thresholds: of PSI.
        level: probability of a false alarm that each question about this column may have.
    """
    found = binning.of(reference, current)
    n, m = reference.rows, current.rows
    occupied = int(np.count_nonzero(found.reference + found.current))
    psi = statistics.population_stability_index(found.reference, found.current)
    limit = chance.psi_by_chance(n, m, occupied, level)
    statistic, degrees = statistics.chi_squared(found.reference, found.current)
    verdict: Verdict = "stable"
    remarks: list[str] = []
    psi_words = None
    if psi > limit and psi > thresholds.warn:
        verdict = "alert" if psi > thresholds.alert else "warn"
        psi_words = f"PSI {_two_digits(psi)} (chance would give at most {_two_digits(limit)})"
    shares = _null_shares(reference, current)
    if abs(shares[1] - shares[0]) >= NULL_JUMP and chance.same_share(reference.nulls, n, current.nulls, m) < level:
        verdict = verdict if verdict == "alert" else "warn"
        remarks.append(f"nulls {_percent(shares[0])} -> {_percent(shares[1])}")
    appeared, vanished = _one_sided(reference, current, level)
    if appeared or vanished:
        verdict = verdict if verdict == "alert" else "warn"
        remarks += [f"{word}: {_listed(names)}" for word, names in (("new", appeared), ("gone", vanished)) if names]
    ks = distance = in_sds = None
    if reference.kind in ("number", "time") and reference.values and current.values:
        both = binning.align(reference, current)
        ks = statistics.kolmogorov_smirnov(both.reference, both.current)
        distance = _finite(statistics.wasserstein(*binning.ends(both), both.reference, both.current))
        in_sds = _finite(distance / reference.sd) if distance is not None and reference.sd else None
    if verdict != "stable" and reference.kind == "number":
        remarks += _mean_told(reference, current, is_alone=not remarks)
    return Drift(
        name=reference.name,
        kind=current.kind if reference.kind == "empty" else reference.kind,
        verdict=verdict,
        bins=found,
        psi=psi,
        by_chance=limit,
        kl=statistics.kullback_leibler(found.reference, found.current),
        js=statistics.jensen_shannon(found.reference, found.current),
        chi_squared=statistic,
        degrees=degrees,
        total_variation=statistics.total_variation(found.reference, found.current),
        ks=ks,
        wasserstein=distance,
        wasserstein_sd=in_sds,
        means=(reference.mean, current.mean),
        sds=(reference.sd, current.sd),
        null_shares=shares,
        appeared=appeared,
        vanished=vanished,
        psi_words=psi_words,
        remarks=tuple(remarks),
    )


def sentence(found: Drift) -> str:
    """One column in words: `age: PSI 0.31 (chance would give at most 0.02), mean 38.2 -> 44.7`."""
    what = "label " if found.is_label else ""
    return f"{what}{found.name}: {', '.join(found.reasons) or found.verdict}"


def _on_one_side(name: str, one: Column | None, other: Column | None) -> Drift:
    there = one or other
    if there is None:
        raise ValueError(f"column '{name}' is in neither table")
    gone = other is None
    return Drift(name, there.kind, "alert" if gone else "warn", None, remarks=("the column is gone" if gone else "a new column",))


def _one_sided(reference: Column, current: Column, level: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Values that one side has in more rows than chance gives to that side alone: (new ones, gone ones)."""
    if "category" not in (reference.kind, current.kind) or not (reference.values and current.values):
        return (), ()
    both = binning.align(reference, current)
    if both.level > cells.HASH_LEVEL:
        return (), ()  # several values share a cell
    names = binning.names_of(both, reference, current)
    n, m, asked = reference.rows, current.rows, len(both.keys)
    found: list[tuple[str, ...]] = []
    for here, there, rows_here, rows_there in ((both.current, both.reference, m, n), (both.reference, both.current, n, m)):
        only = np.flatnonzero((here > 0) & (there == 0))
        only = only[np.argsort(-here[only], kind="stable")]
        beyond = [index for index in only.tolist() if asked * chance.only_there_by_chance(int(here[index]), rows_there, rows_here) < level]
        found.append(tuple(f"{names[index] or 'a rare value'} ({int(here[index]):,} rows)" for index in beyond))
    return found[0], found[1]


def _about_rows(rows: tuple[int, int], most: float | None) -> str | None:
    n, m = rows
    if most is None or max(n, m) <= (1 + most) * min(n, m):
        return None
    # two counts of one rate differ by about the root of their sum
    is_beyond_chance = chance.chi_squared_tail((m - n) ** 2 / (n + m), 1) < FALSE_ALARM / QUESTIONS
    times = m / n if m > n else n / m
    how = f"{times:.3g} times as many" if m > n else f"{100 * m / n:.2g} % of before"
    return f"rows {n:,} -> {m:,} ({how})" if is_beyond_chance else None


def _null_shares(reference: Column, current: Column) -> tuple[float, float]:
    return reference.nulls / max(1, reference.rows), current.nulls / max(1, current.rows)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_LISTED])
    return f"{shown} and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else shown


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


def _two_digits(value: float) -> str:
    """Two digits after the point, and not 0 for what is more."""
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"


def _mean_told(reference: Column, current: Column, *, is_alone: bool) -> list[str]:
    """The means, where they moved or there is nothing else to tell."""
    if reference.mean is None or current.mean is None:
        return []
    has_moved = abs(current.mean - reference.mean) > _MEAN_TOLD * (reference.sd or 0)
    return [f"mean {_number(reference.mean)} -> {_number(current.mean)}"] if is_alone or has_moved else []


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3e}"
