"""Predictions on perturbed copies of the holdout: the same examples, their inputs with noise, gaps or typos, scored as the holdout is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlgate.config import EvaluationConfig, RuleConfig
from mlgate.errors import InputError
from mlgate.evaluation import loading, predictions, scoring
from mlgate.evaluation.predictions import Predictions
from mlgate.evaluation.scoring import ScoredSet


def score(
    path: Path,
    name: str,
    shown_as: str,
    evaluation: EvaluationConfig,
    rules: Sequence[RuleConfig],
    holdout: Predictions,
    *,
    root: Path,
    is_showing_values: bool = False,
    how: str = ", their inputs perturbed",
) -> ScoredSet:
    """Read and score one set; also one of another seed's predictions.

    Args:
        path: of the file.
        name: as the configuration calls the set.
        shown_as: what messages call the file.
        evaluation: its task is known.
        rules: of the gate.
        holdout: the same model's predictions on the holdout itself.
        root: the working directory, for the user's own metrics.
        is_showing_values: whether messages may hold values of the data.
        how: what messages add to the examples that are expected.

    Raises:
        InputError: the file is absent, says something wrong, or is about other examples.
    """
    asked = evaluation.model_copy(update={"slices": [], "group": None})
    found = loading.load(path, asked, shown_as)
    if reason := difference(found, holdout, evaluation):
        raise InputError(f"{shown_as}: {reason}; expected the examples of {evaluation.predictions}{how}")
    found = replace(found, groups=holdout.groups)  # the same examples, in the same order
    scored = scoring.score(found, asked, rules, {}, root=root, shown_as=shown_as, is_showing_values=is_showing_values, are_resampled=False)
    return ScoredSet(name, scored)


def difference(found: Predictions, holdout: Predictions, evaluation: EvaluationConfig) -> str:
    """In what the examples of a set are not those of the holdout; empty where they are."""
    if evaluation.columns.id is None:
        try:
            predictions.pair_by_row(found, holdout)
        except predictions.HoldoutChangedError as reason:
            return f"not row by row the holdout ({str(reason).replace(' then,', ' there,').replace(' now', ' here')})"
        return ""
    pairing = predictions.pair(found, holdout)
    missing, others = holdout.n - pairing.common_ids, found.n - pairing.common_ids
    if missing or others:
        counted = [f"{missing:,} of the holdout's {holdout.n:,} ids are missing"] if missing else []
        counted += [f"{others:,} {'id is' if others == 1 else 'ids are'} not the holdout's"] if others else []
        return " and ".join(counted)
    if other := found.n - pairing.shared_examples:
        return f"{other:,} of {found.n:,} ids have another '{evaluation.columns.target}' than on the holdout"
    return ""
