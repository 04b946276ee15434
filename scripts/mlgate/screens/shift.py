"""Train beside the holdout, column by column: one that is missing or of another type, and one whose values are distributed otherwise.

Both are drawn from one population as a rule; where they are not (a holdout of later days), `shift` can be told how much to tolerate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.subject import Answer, Subject, count, listed, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_LEAST_ROWS = 50
_NULLS_TOLERATED = 0.02
_MOST_LEVELS = 200
_WORDS = {
    "number": "numbers",
    "text": "text",
    "time": "times",
    "boolean": "truth values",
    "nested": "lists or records",
    "nothing": "nothing",
}


def schema(subject: Subject) -> Answer:
    """Columns of the holdout that train lacks, or has with another type."""
    if subject.holdout is None:
        return not_run("needs 'holdout'")
    mine, theirs = subject.columns.kinds, subject.columns.holdout_kinds
    items = [ScreenItem(where=name, what="is in the holdout, and not in train") for name in theirs if name not in mine]
    for name, kind in mine.items():
        other = theirs.get(name, kind)
        if other != kind and "nothing" not in (kind, other):
            items.append(ScreenItem(where=name, what=f"holds {_WORDS[kind]}, and {_WORDS[other]} in the holdout"))
    if not items:
        more = [name for name in mine if name not in theirs]
        beside = f"; {listed(more)} {'is' if len(more) == 1 else 'are'} only in train" if more else ""
        return Answer(f"train has the holdout's {count(len(theirs), 'column')}{beside}")
    return Answer("; ".join(f"column '{item.where}' {item.what}" for item in items[:3]), items)


@dataclass(frozen=True)
class _Difference:
    name: str
    size: float
    probability: float
    what: str


def distributions(subject: Subject) -> Answer:
    """Columns whose values are distributed otherwise in train than in the holdout."""
    holdout = subject.holdout
    if holdout is None:
        return not_run("needs 'holdout'")
    columns = subject.columns
    names = [
        name for name in columns.kinds if columns.is_alike(name) and name != columns.id and columns.kinds[name] not in ("nested", "nothing")
    ]
    if not names:
        return not_run("train and holdout have no column in common that can be compared")
    train, other = subject.train.sample, holdout.sample
    if min(len(train), len(other)) < _LEAST_ROWS:
        return not_run(f"too little data: {count(len(train), 'row')} of train and {len(other):,} of the holdout; needs {_LEAST_ROWS}")
    limit = chance.ALARM / (2 * len(names))
    tolerated = subject.settings.shift.at_most
    items = []
    for name in names:
        found = [*_nulls(train[name], other[name]), *_values(name, train[name], other[name], subject)]
        said = [one for one in found if one.probability <= limit and one.size > (_NULLS_TOLERATED if one.name == "nulls" else tolerated)]
        if said:
            items.append((max(one.size for one in said), ScreenItem(where=name, what=" and ".join(one.what for one in said))))
    items.sort(key=lambda pair: -pair[0])
    if not items:
        return Answer(f"{count(len(names), 'column')} distributed alike in train and holdout")
    found_in = [item for _, item in items]
    those = listed(item.where for item in found_in)
    return Answer(f"{len(items):,} of {count(len(names), 'column')} distributed otherwise than in the holdout: {those}", found_in)


def distance(name: str, mine: pl.Series, theirs: pl.Series, subject: Subject) -> float:
    """How far a column's values differ, in [0, 1]: Kolmogorov-Smirnov's D, or total variation; 0 where there are too few to tell."""
    if not subject.columns.is_alike(name) or subject.columns.kinds[name] in ("nested", "nothing"):
        return 0.0
    return max((one.size for one in _values(name, mine, theirs, subject)), default=0.0)


def _nulls(mine: pl.Series, theirs: pl.Series) -> list[_Difference]:
    a, b, n, m = mine.null_count(), theirs.null_count(), len(mine), len(theirs)
    if a == b == 0:
        return []
    words = f"is missing in {percent(a / n)} of the rows, and in {percent(b / m)} of the holdout's"
    return [_Difference("nulls", abs(a / n - b / m), chance.rates_differ(a, n, b, m), words)]


def _values(name: str, mine: pl.Series, theirs: pl.Series, subject: Subject) -> list[_Difference]:
    kind = subject.columns.kinds[name]
    if kind in ("text", "boolean"):
        return _levels(mine, theirs)
    first, second = (encoding.numbers(each.drop_nulls(), kind) for each in (mine, theirs))
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if min(len(first), len(second)) < _LEAST_ROWS:
        return []
    distance = chance.ks_statistic(first, second)
    what = f"differs by D = {distance:.2f}"
    if kind == "number":
        what += f" (median {np.median(first):.4g}, and {np.median(second):.4g} in the holdout)"
    return [_Difference("values", distance, chance.ks_tail(distance, len(first), len(second)), what)]


def _levels(mine: pl.Series, theirs: pl.Series) -> list[_Difference]:
    first, second = encoding.as_text(mine).drop_nulls(), encoding.as_text(theirs).drop_nulls()
    if min(len(first), len(second)) < _LEAST_ROWS:
        return []
    levels = sorted({*first.unique(), *second.unique()})
    if len(levels) > _MOST_LEVELS:  # free text, names: nothing to count
        return []
    place = {level: at for at, level in enumerate(levels)}
    counted = [np.bincount([place[value] for value in each], minlength=len(levels)) for each in (first, second)]
    variation, probability = chance.two_samples(counted[0], counted[1])
    what = f"differs by a total variation of {variation:.2f}"  # which level it is may be about a person
    return [_Difference("values", variation, probability, what)]
