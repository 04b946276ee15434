"""The baseline's answers on a changed holdout: those on record where the example is on record, the model's new ones elsewhere.

The new ones come from a job that runs a pull request's code, so they are held against the record wherever both have an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlgate.evaluation.labels import sorted_classes
from mlgate.evaluation.predictions import Predictions, in_order, pair

SAME_ANSWER = 0.01
"""How far two runs of one model may lie apart and still agree: a probability by this much, a predicted number by this part of itself."""
TOLERATED_SHARE = 0.01
"""Of the answers on record, how many a model may miss, in [0, 1]: accelerators do not round twice alike."""


@dataclass(frozen=True, eq=False)
class Rescored:
    """One model's answers on a whole holdout."""

    predictions: Predictions
    recorded_examples: int
    """Those with the recorded answer."""
    disagreeing_examples: int
    """Those of them to which the model gave another answer now."""


def merged(recorded: Predictions, rescored: Predictions) -> Rescored:
    """The recorded answers to the examples that are on record with the same target, and new ones to all others.

    Args:
        recorded: the model's predictions on its own holdout.
        rescored: its predictions on the changed one.

    Returns:
        Predictions on the holdout of `rescored`, with its slices; scores and values of own metrics only where both have them.

    Raises:
        InputError: one is of a classifier, the other of a regression.
    """
    new, old = in_order(rescored), recorded
    if new.classes is not None and old.classes is not None:
        union = sorted_classes((*new.classes, *old.classes))
        new, old = new.over(union), old.over(union)
    pairing = pair(new, old)
    if pairing.shared_examples == 0:
        return Rescored(_common_columns(new, old), 0, 0)
    shared = pc.is_in(pa.array(new.ids), value_set=pa.array(pairing.candidate.ids)).to_numpy(zero_copy_only=False)
    known = pairing.baseline

    def put(mine: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        column = mine.copy()
        column[shared] = theirs
        return column

    kept = _common_columns(new, old)
    joined = replace(
        kept,
        prediction=put(new.prediction, known.prediction),
        scores=put(kept.scores, known.scores) if kept.scores is not None and known.scores is not None else None,
        values={name: put(column, known.values[name]) for name, column in kept.values.items()},
    )
    return Rescored(joined, pairing.shared_examples, int(np.count_nonzero(_disagreeing(pairing.candidate, known))))


def _common_columns(new: Predictions, old: Predictions) -> Predictions:
    """The new predictions without what the recorded ones lack: half a column of probabilities is none."""
    return replace(
        new,
        scores=new.scores if old.scores is not None else None,
        values={name: column for name, column in new.values.items() if name in old.values},
    )


def _disagreeing(new: Predictions, old: Predictions) -> npt.NDArray[np.bool_]:
    """Row by row, whether the same example got another answer."""
    if new.classes is None:
        apart: npt.NDArray[np.bool_] = ~np.isclose(new.prediction, old.prediction, rtol=SAME_ANSWER, atol=1e-9)
        return apart
    differs: npt.NDArray[np.bool_] = new.prediction != old.prediction
    if new.scores is not None and old.scores is not None:
        differs = differs | (np.abs(new.scores - old.scores) > SAME_ANSWER).any(axis=1)
    return differs
