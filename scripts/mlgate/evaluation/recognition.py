"""What a predictions file is of, where nobody said it: classes or numbers, from the values of its target and prediction.

`evaluate` asks it of the user's columns, the gate again of the normalised predictions: the same values give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlgate.config import Task
from mlgate.evaluation.labels import canonical_label
from mlgate.evaluation.predictions import Predictions

FEW = 10
"""Whole numbers of at most so many distinct values are classes."""
MANY = 50
"""More are numbers; in between it depends on how often each occurs."""
OFTEN = 5
"""Examples a class, at least, where there are more than FEW classes."""
SUM_TOLERANCE = 0.02
"""Probabilities written with two or three decimals still add up to 1 this closely; what is scored is divided by the sum."""


@dataclass(frozen=True)
class Values:
    """One column, as far as the recognition looks at it."""

    name: str
    are_numbers: bool
    """Texts and truth values are none."""
    have_fractions: bool = False
    distinct: int = 0
    is_share: bool = False
    """All in [0, 1]."""

    @classmethod
    def of_numbers(cls, name: str, numbers: npt.NDArray[Any]) -> Values:
        """Of a column of numbers; NaN and infinite ones count as fractions: whoever reads them as numbers refuses them."""
        with np.errstate(invalid="ignore"):
            fractions = bool((~np.isfinite(numbers) | (numbers != np.trunc(numbers))).any())
            is_share = bool(((numbers >= 0) & (numbers <= 1)).all())
        return cls(name, are_numbers=True, have_fractions=fractions, distinct=len(np.unique(numbers)), is_share=is_share)


@dataclass(frozen=True)
class Recognised:
    """The task, and what it was seen by."""

    task: Task
    because: str

    @property
    def remark(self) -> str:
        """The line a report shows."""
        return f"taken as a {self.task}, since {self.because}; where that is wrong, set evaluation.task (or the action's input 'task')"


def recognise(target: Values, prediction: Values, examples: int) -> Recognised:
    """Classes or numbers.

    Args:
        target: the true values.
        prediction: the predicted ones.
        examples: how many rows there are.
    """
    for column in (target, prediction):
        if not column.are_numbers:
            return Recognised("classification", f"'{column.name}' holds labels, not numbers")
    if target.have_fractions:
        return Recognised("regression", f"'{target.name}' has fractions")
    if prediction.have_fractions and not (target.distinct <= 2 and prediction.is_share):
        return Recognised("regression", f"'{prediction.name}' has fractions")
    distinct = target.distinct
    if distinct <= FEW or (distinct <= MANY and examples >= OFTEN * distinct):
        return Recognised("classification", f"'{target.name}' holds {distinct:,} distinct whole {'number' if distinct == 1 else 'numbers'}")
    return Recognised("regression", f"'{target.name}' holds {distinct:,} distinct whole numbers among {examples:,} examples")


def of_predictions(predictions: Predictions) -> Recognised:
    """The same question asked of normalised predictions, which say what they were read as; for whoever does not believe that."""
    columns = [
        _values(name, codes, predictions.classes)
        for name, codes in (("target", predictions.target), ("prediction", predictions.prediction))
    ]
    return recognise(columns[0], columns[1], predictions.n)


def _values(name: str, column: npt.NDArray[Any], classes: Sequence[str] | None) -> Values:
    if classes is None:
        return Values.of_numbers(name, column)
    occurring = [classes[code] for code in np.unique(column).tolist()]
    try:
        numbers = [float(label) for label in occurring]
    except ValueError:
        return Values(name, are_numbers=False)
    if [canonical_label(number) for number in numbers] != occurring:
        return Values(name, are_numbers=False)  # `01` is a text
    return Values.of_numbers(name, np.array(numbers))


def usual_metrics_of_scores(predictions: Predictions) -> tuple[str, ...]:
    """Metrics of probabilities that are usual and that these predictions have the numbers for."""
    scores = predictions.scores
    if scores is None or scores.shape[1] < 2:
        return ()
    if are_probabilities(scores):
        return ("roc_auc", "log_loss")
    return ("roc_auc",) if scores.shape[1] == 2 else ()


def are_probabilities(scores: npt.NDArray[Any]) -> bool:
    """Whether scores of shape (n, k) are in [0, 1] and add up to 1, as far as a few decimals can."""
    return bool(((scores >= 0) & (scores <= 1)).all() and (np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE).all())
