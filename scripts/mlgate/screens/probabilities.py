"""Wrong labels by the out-of-sample probabilities that a pipeline leaves: read, matched with the rows of train, and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlgate.errors import InputError
from mlgate.evidence import ScreenItem
from mlgate.screens import encoding, label_errors
from mlgate.screens.subject import Answer, Subject, count, not_run, percent

if TYPE_CHECKING:
    import polars as pl

_ROW_NUMBERS = 10
_LEAST_ROWS = 50
_LEAST_SHARE = 0.5
"""Of train's rows that must be among those with probabilities."""


def suspicious(subject: Subject, table: pl.DataFrame | None, name: str) -> Answer:
    """Labels of train that confident learning finds wrong.

    Args:
        table: the probabilities; None where there are none.
        name: of the file, for messages.

    Raises:
        InputError: the file does not fit train.
    """
    if subject.columns.label is None:
        return not_run("needs 'label'")
    if table is None:
        return not_run("needs 'probabilities' of a model that did not learn from them")
    coded = encoding.labels([subject.train.keys["label"]], subject.columns.kinds[subject.columns.label])
    if isinstance(coded, str):
        return not_run(coded)
    if coded.kind == "numbers":
        return not_run("labels are measured numbers")
    matched = _rows_of(subject, table, name)
    if isinstance(matched, str):
        return not_run(matched)
    asked, rows = matched
    missing = [each for each in coded.names if _column(table, each) is None]
    if missing:
        raise InputError(f"{name}: no column for the class '{missing[0]}'; expected one named like each class")
    scores = np.column_stack([encoding.numbers(table[str(_column(table, each))], "number") for each in coded.names])
    scores = scores[asked]
    if not np.isfinite(scores).all() or scores.min(initial=0) < 0 or scores.max(initial=0) > 1 + 1e-6:
        raise InputError(f"{name}: expected probabilities between 0 and 1 in every cell")
    given = coded.values[0][rows]
    has_label = given >= 0
    if int(has_label.sum()) < _LEAST_ROWS:
        return not_run(f"too little data: {count(int(has_label.sum()), 'labelled row')} with probabilities; needs {_LEAST_ROWS}")
    found = label_errors.confident_joint(given[has_label], scores[has_label])
    tolerated = subject.settings.label_errors.at_most
    of = f"about {percent(found.estimate)} of {count(int(has_label.sum()), 'label')}"
    if found.estimate <= tolerated or not len(found.suspicious):
        return Answer(f"{of} look wrong to the model; up to {percent(tolerated)} are tolerated")
    at = rows[has_label][found.suspicious[:_ROW_NUMBERS]]
    what = f"{of} are wrong by confident learning, these among them"
    return Answer(
        what.removesuffix(", these among them"),
        [ScreenItem(where=subject.columns.label, what=what, rows=len(found.suspicious), row_numbers=at.tolist()), *_swaps(found, coded)],
    )


def _swaps(found: label_errors.LabelErrors, coded: encoding.Labels) -> list[ScreenItem]:
    """The class that most wrong labels stand for, where it is most of them."""
    off = found.joint.copy()
    np.fill_diagonal(off, 0)
    given, real = np.unravel_index(int(off.argmax()), off.shape)
    rows = int(off[given, real])
    if rows < 0.5 * off.sum() or rows < 5:
        return []
    return [
        ScreenItem(where=coded.names[given], what=f"is the label of {count(rows, 'row')} that look like '{coded.names[real]}'", rows=rows)
    ]


def _rows_of(subject: Subject, table: pl.DataFrame, name: str) -> tuple[encoding.Integers, encoding.Integers] | str:
    """Rows of probabilities and the rows of train that they are about; or why they are about none."""
    column = subject.columns.id
    if column is not None and column in table.columns:
        ids = encoding.as_text(subject.train.keys["id"]).to_list()
        if len(set(ids)) < len(ids):
            raise InputError(f"{name}: '{column}' does not tell the rows of train apart; leave it out, and rows are taken in their order")
        place = {each: at for at, each in enumerate(ids)}
        asked = [(at, place[each]) for at, each in enumerate(encoding.as_text(table[column]).to_list()) if each in place]
        if len(asked) < _LEAST_SHARE * subject.train.n:
            return f"{name} has {len(asked):,} of train's {count(subject.train.n, 'row')}: it is of other data"
        return np.array([row for row, _ in asked], dtype=np.int64), np.array([row for _, row in asked], dtype=np.int64)
    if len(table) != subject.train.n:
        return f"{name} has {count(len(table), 'row')} and train {subject.train.n:,}: it is of other data, or needs a column of ids"
    return np.arange(subject.train.n), np.arange(subject.train.n)


def _column(table: pl.DataFrame, of_class: str) -> str | None:
    """The column of a class: named like it, as a number or with a dot and a nought behind it, too."""
    return next((name for name in (of_class, f"{of_class}.0") if name in table.columns), None)
