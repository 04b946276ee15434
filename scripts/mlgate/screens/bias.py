"""Bias in the data: how many rows each protected group has, how often it has each label, and how both changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlgate.evidence import BiasFindings, BiasGroup, ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.encoding import Floats, Integers, Labels
from mlgate.screens.subject import Answer, Reference, Subject, count, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_MOST_LEVELS = 20
_LISTED = 40
_LABELS_SHOWN = 3
_LEAST_ROWS = 30
_ROW_NUMBERS = 10
_MISSING = " missing"


def groups(subject: Subject) -> tuple[Answer, list[BiasFindings]]:
    """Groups of each protected column and of each two of them; what is small, and what changed."""
    if not subject.columns.protected:
        return not_run("needs 'protected'"), []
    names = subject.columns.protected
    asked = [(name,) for name in names] + list(combinations(names, 2))
    reference = next(
        (one for one in subject.references if all(f"protected_{at}" in one.rows.keys.columns for at in range(len(names)))), None
    )
    coded = _labels(subject, reference)
    found: list[BiasFindings] = []
    items: list[ScreenItem] = []
    tables = [_table(subject, reference, columns) for columns in asked]
    tests = max(1, 2 * sum(len(table.names) for table in tables))
    for table in tables:
        findings, told = _findings(table, subject, reference, coded, chance.ALARM / tests)
        found.append(findings)
        items += told
    if items:
        return Answer("; ".join(f"group '{item.where}' {item.what}" for item in items[:3]), items), found
    smallest = min((each for each in found if each.smallest is not None), key=lambda each: each.smallest_rows, default=None)
    least = f"; the smallest, '{smallest.smallest}', has {count(smallest.smallest_rows, 'row')}" if smallest else ""
    return Answer(f"{count(sum(each.groups_in_all for each in found), 'group')}{least}"), found


@dataclass(frozen=True)
class _Table:
    columns: tuple[str, ...]
    names: tuple[str, ...]
    """Of the groups."""
    mine: Integers
    """Group of each row of train; -1 for none."""
    theirs: Integers | None


def _table(subject: Subject, reference: Reference | None, columns: tuple[str, ...]) -> _Table:
    frames = [subject.train.keys, *([reference.rows.keys] if reference is not None else [])]
    names: list[str] = [""]
    placed = [np.zeros(len(frame), dtype=np.int64) for frame in frames]
    for column in columns:
        at = f"protected_{subject.columns.protected.index(column)}"
        levels, coded_levels = _levels([frame[at] for frame in frames], column, subject.columns.kinds[column])
        names = [f"{name}, {level}" if name else level for name in names for level in levels]
        placed = [group * len(levels) + level for group, level in zip(placed, coded_levels, strict=True)]
    sizes = sum(np.bincount(each, minlength=len(names)) for each in placed)
    # Of single columns every group counts, of two together those that there are.
    kept = np.flatnonzero(sizes)
    renumbered = np.full(len(names), -1)
    renumbered[kept] = np.arange(len(kept))
    groups_of = [renumbered[each] for each in placed]
    return _Table(columns, tuple(names[at] for at in kept), groups_of[0], groups_of[1] if len(groups_of) > 1 else None)


def _levels(columns: list[pl.Series], name: str, kind: str) -> tuple[list[str], list[Integers]]:
    """Names of a column's groups, and the group of each row; numbers of many values by quarters of train, the missing by themselves."""
    texts = [encoding.as_text(column) for column in columns]
    distinct = sorted({str(value) for each in texts for value in each.drop_nulls().unique()})
    if kind in ("number", "time") and len(distinct) > _MOST_LEVELS:
        return _quarters([encoding.numbers(column, "time" if kind == "time" else "number") for column in columns], name)
    if len(distinct) > _MOST_LEVELS:  # the frequent ones by name
        frequent = texts[0].drop_nulls().value_counts(sort=True).head(_MOST_LEVELS - 1).to_series(0).to_list()
        distinct = sorted(str(each) for each in frequent)
        place = {value: at for at, value in enumerate(distinct)}
        coded = [[len(distinct) + 1 if value is None else place.get(value, len(distinct)) for value in each.to_list()] for each in texts]
        return [*(f"{name} = {value}" for value in distinct), f"{name} = any other", f"{name}{_MISSING}"], [
            np.array(each) for each in coded
        ]
    place = {value: at for at, value in enumerate(distinct)}
    coded = [[len(distinct) if value is None else place[value] for value in each.to_list()] for each in texts]
    return [*(f"{name} = {value}" for value in distinct), f"{name}{_MISSING}"], [np.array(each, dtype=np.int64) for each in coded]


def _quarters(columns: list[Floats], name: str) -> tuple[list[str], list[Integers]]:
    present = columns[0][~np.isnan(columns[0])]
    edges = np.unique(np.quantile(present, [0.25, 0.5, 0.75])) if len(present) else np.array([])
    words = [f"{name} < {edges[0]:.4g}"] if len(edges) else [name]
    words += [f"{name} {low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    words += [f"{name} ≥ {edges[-1]:.4g}"] if len(edges) else []
    coded = [
        np.where(np.isnan(each), len(words), np.searchsorted(edges, np.nan_to_num(each), side="right")).astype(np.int64) for each in columns
    ]
    return [*words, f"{name}{_MISSING}"], coded


def _labels(subject: Subject, reference: Reference | None) -> Labels | None:
    if subject.columns.label is None:
        return None
    columns = [subject.train.keys["label"]]
    if reference is not None:
        if "label" not in reference.rows.keys.columns:
            return None
        columns.append(reference.rows.keys["label"])
    coded = encoding.labels(columns, subject.columns.kinds[subject.columns.label])
    return None if isinstance(coded, str) else coded


def _findings(
    table: _Table, subject: Subject, reference: Reference | None, coded: Labels | None, limit: float
) -> tuple[BiasFindings, list[ScreenItem]]:
    settings = subject.settings.bias
    width = len(table.names)
    n = max(1, subject.train.n)
    sizes = np.bincount(table.mine, minlength=width)
    earlier = np.bincount(table.theirs, minlength=width) if table.theirs is not None else None
    m = max(1, int(earlier.sum())) if earlier is not None else 1
    shown, rates = _rates(table.mine, coded, 0, width)
    _, before = _rates(table.theirs, coded, 1, width) if table.theirs is not None else ([], None)
    kept = _most_different(rates, coded)
    items: list[ScreenItem] = []
    for at, name in enumerate(table.names):
        said = []
        # Of two columns together many are small by nature, and quarters are where the table is: they are listed. A group that vanished
        # has no rows.
        if sizes[at] < settings.smallest and len(table.columns) == 1 and name.startswith(f"{table.columns[0]} = "):
            said.append(f"has {count(int(sizes[at]), 'row')}")
        if earlier is not None and reference is not None and len(table.columns) == 1:
            share, was = sizes[at] / n, earlier[at] / m
            if abs(share - was) > settings.at_most and chance.rates_differ(int(sizes[at]), n, int(earlier[at]), m) <= limit:
                said.append(f"has {percent(share)} of the rows, and {percent(was)} in {reference.name}")
            if before is not None and coded is not None and min(sizes[at], earlier[at]) >= _LEAST_ROWS:
                said += _changed_rates(
                    at, rates, before, (int(sizes[at]), int(earlier[at])), shown, settings.at_most, limit, reference.name
                )
        if said:
            rows = np.flatnonzero(table.mine == at)[:_ROW_NUMBERS].tolist()
            items.append(ScreenItem(where=name, what=" and ".join(said), rows=int(sizes[at]), row_numbers=rows))
    order = np.argsort(-sizes, kind="stable")
    listed = order if len(order) <= _LISTED else np.concatenate([order[: _LISTED // 2], order[-_LISTED // 2 :]])
    present = [at for at in range(width) if sizes[at] > 0 and not table.names[at].endswith(_MISSING)]
    least = min(present, key=lambda at: int(sizes[at]), default=None)
    return BiasFindings(
        columns=list(table.columns),
        labels=[shown[at] for at in kept],
        groups=[
            BiasGroup(
                group=table.names[at],
                rows=int(sizes[at]),
                share=float(sizes[at] / n),
                rates=[_finite(rates[at, label]) for label in kept],
                earlier_share=float(earlier[at] / m) if earlier is not None else None,
                earlier_rates=[_finite(before[at, label]) for label in kept] if before is not None else [],
            )
            for at in listed
        ],
        groups_in_all=width,
        smallest=table.names[least] if least is not None else None,
        smallest_rows=int(sizes[least]) if least is not None else 0,
        compared_with=reference.name if reference is not None else None,
    ), items


def _rates(group: Integers | None, coded: Labels | None, which: int, width: int) -> tuple[list[str], Floats]:
    """Share of each class in each group, shape (groups, classes); the mean where labels are numbers, shape (groups, 1)."""
    if group is None or coded is None:
        return [], np.zeros((width, 0))
    values = coded.values[which]
    if coded.kind == "numbers":
        has = ~np.isnan(values)
        counted = np.bincount(group[has], minlength=width)
        total = np.bincount(group[has], weights=values[has], minlength=width)
        return ["mean"], np.where(counted > 0, total / np.maximum(counted, 1), np.nan)[:, None]
    has = values >= 0
    table = np.zeros((width, len(coded.names)))
    np.add.at(table, (group[has], values[has]), 1)
    whole = table.sum(axis=1, keepdims=True)
    return list(coded.names), np.where(whole > 0, table / np.maximum(whole, 1), np.nan)


def _most_different(rates: Floats, coded: Labels | None) -> list[int]:
    """Labels to show: of two the second, of more those whose rates differ most between groups."""
    if coded is None or rates.shape[1] == 0:
        return []
    if rates.shape[1] <= 2:
        return [rates.shape[1] - 1]
    filled = np.where(np.isnan(rates), np.nanmean(rates) if not np.isnan(rates).all() else 0.0, rates)
    spread = filled.max(axis=0) - filled.min(axis=0)
    return sorted(int(at) for at in np.argsort(-spread, kind="stable")[:_LABELS_SHOWN])


def _changed_rates(
    at: int, rates: Floats, before: Floats, sizes: tuple[int, int], shown: list[str], tolerated: float, limit: float, name: str
) -> list[str]:
    if shown == ["mean"]:
        return []  # the mean of numbers has no tolerance that suits every unit; it is shown
    for label in [1] if len(shown) == 2 else range(len(shown)):  # of two, the one that the table of groups shows
        words = shown[label]
        now, was = float(rates[at, label]), float(before[at, label])
        if np.isnan(now) or np.isnan(was) or abs(now - was) <= tolerated:
            continue
        if chance.rates_differ(round(now * sizes[0]), sizes[0], round(was * sizes[1]), sizes[1]) <= limit / len(shown):
            return [f"has the label '{words}' in {percent(now)} of its rows, and {percent(was)} in {name}"]
    return []


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
