"""Labels: classes that came or went, and labels that the rows of train no longer predict as those of the holdout do.

A nearest-neighbour vote needs no model and no training: the label of each row is held against those of its neighbours. Of train and of the
holdout the vote is right equally often where both are drawn alike, whatever the data; where it is less often right in train, labels of
train are wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding, shift
from mlgate.screens.encoding import Floats, Integers, Labels
from mlgate.screens.subject import Answer, Reference, Subject, count, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_NEIGHBOURS = 5
_MOST_ROWS = 2_500
_LEAST_ROWS = 50
_BLOCK = 500
_ROW_NUMBERS = 10
_ALARM = chance.ALARM / 10
"""Less often than others: it ends the run."""
_APART = 0.5
"""A column that differs by more (another unit, renamed categories) makes wrong neighbours across tables; `shift` tells of it."""
_ALARM_OF_NUMBERS = 1e-6
"""Distances to shared neighbours depend on one another, so they scatter more than the normal distribution of their means allows for."""


def classes(subject: Subject) -> Answer:
    """Classes that train lacks though the holdout or the baseline has them, and the other way round."""
    if subject.columns.label is None:
        return not_run("needs 'label'")
    if not subject.references:
        return not_run("needs 'holdout', or a baseline")
    items: list[ScreenItem] = []
    compared = []
    for reference in subject.references:
        if "label" not in reference.rows.keys.columns:
            continue
        coded = encoding.labels([subject.train.keys["label"], reference.rows.keys["label"]], subject.columns.kinds[subject.columns.label])
        if isinstance(coded, str):
            return not_run(coded)
        if coded.kind == "numbers":
            return not_run("labels are measured numbers")
        compared.append(reference.name)
        items += [item for item in _came_or_went(coded, reference) if item.where not in {one.where for one in items}]
    if not compared:
        return not_run("there are no labels to compare with")
    if not items:
        return Answer(f"train has the classes of {' and of '.join(compared)}")
    return Answer("; ".join(f"class '{item.where}' {item.what}" for item in items[:5]), items)


def _came_or_went(coded: Labels, reference: Reference) -> list[ScreenItem]:
    width = len(coded.names)
    mine, theirs = (np.bincount(each[each >= 0], minlength=width) for each in coded.values)
    limit = chance.ALARM / max(1, width)
    found = []
    for at, name in enumerate(coded.names):
        here, there = int(mine[at]), int(theirs[at])
        if min(here, there) or chance.rates_differ(here, int(mine.sum()), there, int(theirs.sum())) > limit:
            continue
        rows = np.flatnonzero(coded.values[0] == at)[:_ROW_NUMBERS].tolist()
        what = (
            f"stands in {here:,} rows, and in none of {reference.name}" if here else f"is gone; {reference.name} has {count(there, 'row')}"
        )
        found.append(ScreenItem(where=name, what=what, rows=here, row_numbers=rows))
    return found


def agreement(subject: Subject) -> Answer:
    """Whether labels of train agree with their neighbours as often as those of the holdout do."""
    sampled = _samples(subject)
    if isinstance(sampled, Answer):
        return sampled
    (train, holdout), coded = sampled
    mine, theirs = coded.values
    limit = _ALARM / 2
    if coded.kind == "numbers":
        return _of_numbers(train, mine, holdout, theirs, subject)
    # Held against the holdout, whose labels are not in question, and against train, which has more of them.
    right = [
        (_hits(train, mine, holdout, theirs), _hits(holdout, theirs, holdout, theirs, is_same=True)),
        (_hits(train, mine, train, mine, is_same=True), _hits(holdout, theirs, train, mine)),
    ]
    majority = np.bincount(theirs).max() / len(theirs)
    by_holdout = sum(right[0][1]) / len(theirs)
    for ours, others in right:
        if chance.is_below(sum(ours), len(ours), sum(others), len(others)) <= limit:
            agree, expected = sum(ours) / len(ours), sum(others) / len(others)
            what = (
                f"{percent(agree)} of train's labels are what the nearest rows say, and {percent(expected)} of the holdout's: "
                f"{_how_many(agree, expected, coded)}"
            )
            return Answer(what, [ScreenItem(where=subject.columns.label, what=what, rows=0)])
    if by_holdout <= majority + 2 * math.sqrt(majority * (1 - majority) / len(theirs)):
        return not_run(f"nearest rows say no more of the label than its most frequent class ({percent(float(majority))}) does")
    agree, expected = (sum(each) / len(each) for each in right[1])
    return Answer(f"nearest rows agree with {percent(agree)} of train's labels and {percent(expected)} of the holdout's")


def _how_many(agree: float, expected: float, coded: Labels) -> str:
    """The share of labels drawn at random that would make the difference."""
    by_luck = 1 / max(2, len(coded.names))
    share = (expected - agree) / max(expected - by_luck, 1e-9)
    if share > 0.9:
        return "as if they had been shuffled"
    return f"as if about {percent(share)} of them were random"


def _samples(subject: Subject) -> tuple[tuple[Floats, Floats], Labels] | Answer:
    """Rows that have a label, of both tables, as points and labels; or why there are none."""
    label, holdout = subject.columns.label, subject.holdout
    if label is None:
        return not_run("needs 'label'")
    if holdout is None:
        return not_run("needs 'holdout'")
    if label not in holdout.sample.columns:
        return not_run("the holdout has no labels")
    tables = [_thinned(subject.train.sample), _thinned(holdout.sample)]
    coded = encoding.labels([table[label] for table in tables], subject.columns.kinds[label])
    if isinstance(coded, str):
        return not_run(coded)
    has_label = [(~np.isnan(each) if coded.kind == "numbers" else each >= 0) for each in coded.values]
    names = [name for name in subject.columns.shared if name not in subject.columns.protected]
    names = names or subject.columns.shared
    comparable = [name for name in names if shift.distance(name, tables[0][name], tables[1][name], subject) <= _APART]
    if names and not comparable:
        return not_run("every column is distributed otherwise in train than in the holdout")
    points = encoding.points(tables, comparable, subject.columns)
    train, other = (each[is_there] for each, is_there in zip(points, has_label, strict=True))
    if train.shape[1] == 0:
        return not_run("there are no features that both tables have as numbers, times, truth values or few-valued text")
    if min(len(train), len(other)) < _LEAST_ROWS:
        return not_run(f"too little data: {count(len(train), 'label')} in train and {len(other):,} in the holdout; needs {_LEAST_ROWS}")
    values = tuple(each[is_there] for each, is_there in zip(coded.values, has_label, strict=True))
    return (train, other), Labels(coded.kind, coded.names, values)


def _thinned(sample: pl.DataFrame) -> pl.DataFrame:
    step = -(-len(sample) // _MOST_ROWS)
    return sample.gather_every(step) if step > 1 else sample


def _neighbours(points: Floats, among: Floats, *, is_same: bool) -> Integers:
    """Indices of the nearest rows of `among`, shape (rows, k); a row is no neighbour of its own."""
    wanted = min(_NEIGHBOURS, len(among) - 1)
    first, other = points.astype(np.float32), among.astype(np.float32)
    length = (other**2).sum(axis=1)
    found = []
    for start in range(0, len(first), _BLOCK):
        block = first[start : start + _BLOCK]
        distance = length - 2 * (block @ other.T)
        if is_same:
            at = np.arange(len(block))
            distance[at, start + at] = np.inf
        found.append(np.argpartition(distance, wanted - 1, axis=1)[:, :wanted])
    return np.concatenate(found).astype(np.int64)


def _hits(points: Floats, labels: Integers, among: Floats, theirs: Integers, *, is_same: bool = False) -> npt.NDArray[np.bool_]:
    votes = theirs[_neighbours(points, among, is_same=is_same)]
    width = int(max(labels.max(), theirs.max())) + 1
    counted = np.zeros((len(points), width), dtype=np.int32)
    np.add.at(counted, (np.arange(len(points))[:, None], votes), 1)
    right: npt.NDArray[np.bool_] = counted.argmax(axis=1) == labels
    return right


def _of_numbers(train: Floats, mine: Floats, holdout: Floats, theirs: Floats, subject: Subject) -> Answer:
    """The same where labels are numbers: how far, in ranks, a label lies from the mean of its neighbours'."""
    mine, theirs = encoding.ranks(mine, theirs), encoding.ranks(theirs, theirs)
    pairs = [
        (_distances(train, mine, holdout, theirs), _distances(holdout, theirs, holdout, theirs, is_same=True)),
        (_distances(train, mine, train, mine, is_same=True), _distances(holdout, theirs, train, mine)),
    ]
    for ours, others in pairs:
        spread = math.sqrt(float(ours.var()) / len(ours) + float(others.var()) / len(others))
        further = float(ours.mean() - others.mean())
        if spread > 0 and further > 0.01 and chance.normal_tail(further / spread) <= _ALARM_OF_NUMBERS:
            what = (
                f"train's labels lie {percent(float(ours.mean()))} of all ranks away from those of the nearest rows, "
                f"the holdout's {percent(float(others.mean()))}: some of them are wrong"
            )
            return Answer(what, [ScreenItem(where=subject.columns.label, what=what)])
    blind = float(np.abs(theirs - theirs.mean()).mean())
    if float(pairs[0][1].mean()) >= 0.95 * blind:
        return not_run("nearest rows say nothing of the label")
    ours, others = pairs[1]
    return Answer(f"labels lie as near to those of the nearest rows in train ({percent(float(ours.mean()))}) as in the holdout")


def _distances(points: Floats, labels: Floats, among: Floats, theirs: Floats, *, is_same: bool = False) -> Floats:
    near: Floats = np.abs(labels - theirs[_neighbours(points, among, is_same=is_same)].mean(axis=1))
    return near
