"""Single columns: one that gives the label away, one that says nothing, one that says what another says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.encoding import Floats, Integers, Labels
from mlgate.screens.subject import Answer, Subject, count, listed, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_BINS = 20
_LEAST_ROWS = 100
_MOST_LEVELS = 1_000
_LEAST_OF_A_CLASS = 10
_LEAST_DIFFERENT = 10


def target_leakage(subject: Subject) -> Answer:
    """Columns that predict the label alone: learned on every other row, asked on the rest."""
    label = subject.columns.label
    if label is None:
        return not_run("needs 'label'")
    exempt = set(subject.settings.target_leakage.columns)
    names = [name for name in subject.columns.features if name not in exempt and subject.columns.kinds[name] not in ("nested", "nothing")]
    sample = subject.train.sample.drop_nulls(label)
    coded = encoding.labels([sample[label]], subject.columns.kinds[label])
    if isinstance(coded, str):
        return not_run(coded)
    if len(sample) < _LEAST_ROWS:
        return not_run(f"too little data: {count(len(sample), 'labelled row')}; needs {_LEAST_ROWS}")
    classes = _classes_that_count(coded)
    if coded.kind == "classes" and len(classes) < 2:
        return not_run("there is one class only")
    least = subject.settings.target_leakage.at_least
    explained = {name: _explained(_bins(sample[name], subject.columns.kinds[name]), coded, classes) for name in names}
    told = sorted((name for name in names if explained[name] >= least), key=lambda name: -explained[name])
    if not told:
        strongest = max(explained, key=lambda name: explained[name], default=None)
        most = f"; most does '{strongest}', {percent(explained[strongest])}" if strongest is not None and explained[strongest] > 0 else ""
        return Answer(f"no column of {len(names):,} tells the label alone{most}")
    items = [ScreenItem(where=name, what=f"tells {percent(explained[name])} of the label alone") for name in told]
    return Answer("; ".join(f"column '{item.where}' {item.what}" for item in items[:3]), items)


def _classes_that_count(coded: Labels) -> list[int]:
    if coded.kind == "numbers":
        return []
    sizes = np.bincount(coded.values[0][coded.values[0] >= 0], minlength=len(coded.names))
    return [int(at) for at in np.flatnonzero(sizes >= _LEAST_OF_A_CLASS)]


def _bins(column: pl.Series, kind: str) -> Integers:
    """Cells in at most 20 bins of equal counts, or by level; the missing have one of their own."""
    if kind in ("text", "boolean"):
        texts = encoding.as_text(column)
        levels = {value: at + 1 for at, value in enumerate(sorted(texts.drop_nulls().unique()))}
        if len(levels) > _MOST_LEVELS:
            return np.zeros(len(column), dtype=np.int64)
        return np.array([levels.get(value, 0) for value in texts.to_list()], dtype=np.int64)
    values = encoding.numbers(column, "time" if kind == "time" else "number")
    present = values[~np.isnan(values)]
    if not len(present):
        return np.zeros(len(column), dtype=np.int64)
    distinct = np.unique(present)
    edges = distinct if len(distinct) <= 2 * _BINS else np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1]))
    placed: Integers = np.where(np.isnan(values), 0, np.searchsorted(edges, np.nan_to_num(values), side="right") + 1).astype(np.int64)
    return placed


def _explained(bins: Integers, coded: Labels, classes: list[int]) -> float:
    """Of classes: the mean recall over classes beyond guessing; of numbers: the share of the ranks' variance. In [0, 1]."""
    labels = coded.values[0]
    learned, asked = slice(0, None, 2), slice(1, None, 2)
    width = int(bins.max(initial=0)) + 1
    if coded.kind == "numbers":
        ranks = encoding.ranks(labels, labels)
        return _share_of_variance(bins[learned], ranks[learned], bins[asked], ranks[asked], width)
    table = np.zeros((width, len(coded.names)))
    np.add.at(table, (bins[learned], labels[learned]), 1)
    table /= np.maximum(table.sum(axis=0), 1)  # by class, so that a rare one counts as much as a frequent one
    predicted = table.argmax(axis=1)[bins[asked]]
    recalls = [float((predicted[labels[asked] == at] == at).mean()) for at in classes if (labels[asked] == at).any()]
    by_luck = 1 / len(classes)
    return max(0.0, (float(np.mean(recalls)) - by_luck) / (1 - by_luck)) if recalls else 0.0


def _share_of_variance(bins: Integers, ranks: Floats, other_bins: Integers, others: Floats, width: int) -> float:
    sizes = np.bincount(bins, minlength=width)
    means = np.where(sizes > 0, np.bincount(bins, weights=ranks, minlength=width) / np.maximum(sizes, 1), ranks.mean())
    whole = float(((others - others.mean()) ** 2).sum())
    return max(0.0, 1 - float(((others - means[other_bins]) ** 2).sum()) / whole) if whole > 0 else 0.0


def redundant(subject: Subject) -> Answer:
    """Columns with one value only, where the holdout's have more, and columns equal to another."""
    counts = subject.train.counts
    names = [name for name in counts if name != subject.columns.label]
    if subject.train.n < _LEAST_ROWS:
        return not_run(f"too little data: {count(subject.train.n, 'row')}; needs {_LEAST_ROWS}")
    constant = [name for name in names if counts[name].is_constant]
    told = [name for name in constant if _is_new(name, subject)]
    items = [
        ScreenItem(
            where=name, what="is missing in every row" if counts[name].nulls == subject.train.n else "has the same value in every row"
        )
        for name in told
    ]
    twins: dict[int, list[str]] = {}
    for name in names:
        if name not in constant:
            twins.setdefault(counts[name].fingerprint, []).append(name)
    for first, *others in (group for group in twins.values() if len(group) > 1):
        items += [ScreenItem(where=name, what=f"equals '{first}' in every row") for name in others if _says_something(name, subject)]
    if not items:
        rest = f"; {listed(constant)} {'has' if len(constant) == 1 else 'have'} one value in the holdout, too" if constant else ""
        return Answer(f"no column of {len(names):,} is constant or equal to another{rest}")
    return Answer("; ".join(f"column '{item.where}' {item.what}" for item in items[:3]), items)


def _is_new(name: str, subject: Subject) -> bool:
    """Whether the holdout has other values in a column that is constant in train, and more often than chance explains."""
    holdout = subject.holdout
    if holdout is None:
        return True
    if name not in holdout.sample.columns or name not in subject.train.sample.columns:
        return True
    value, others = encoding.as_text(subject.train.sample[name])[0], encoding.as_text(holdout.sample[name])
    same = int((others == value).sum()) if value is not None else others.null_count()
    different = len(others) - same
    return different > 0 and chance.rates_differ(0, subject.train.n, different, len(others)) <= chance.ALARM / max(
        1, len(subject.train.counts)
    )


def _says_something(name: str, subject: Subject) -> bool:
    """Whether a column has so many cells apart from its most frequent value that being equal to another is no chance."""
    counted = encoding.as_text(subject.train.sample[name]).value_counts()["count"]
    return int(counted.sum()) - int(counted.max() or 0) >= _LEAST_DIFFERENT  # type: ignore[arg-type]
