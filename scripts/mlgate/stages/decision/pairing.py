"""Candidate and baseline on the examples they share, and the words for which these are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlgate.config import Config
from mlgate.errors import InputError
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import BaselineRef, Rescoring
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision.candidate import Candidate
from mlgate.workspace import Workspace


def paired(workspace: Workspace, candidate: Predictions | None, baseline: Baseline | None) -> Pairing | None:
    """Both models on the examples they share; None where one of them has no predictions."""
    if candidate is None or baseline is None or baseline.predictions is None:
        return None
    is_numbered = workspace.config.evaluation.columns.id is None
    if is_numbered or baseline.ids == "row numbers":
        return _paired_by_row(candidate, baseline, baseline.predictions, is_numbered=is_numbered)
    pairing = predictions.pair(candidate, baseline.predictions)
    if pairing.shared_examples == 0:
        name = baseline.commit[:12] if baseline.commit else baseline.how
        reason = "with equal targets " if pairing.common_ids else ""
        raise InputError(
            f"baseline {name}: no example {reason}in common with the candidate's holdout of {candidate.n:,}; "
            "evaluate both on one holdout (evaluation.columns.id names the examples), or give evaluation.predict, by which the baseline's "
            "model is scored on the new one"
        )
    return pairing


def is_same(pairing: Pairing | None) -> bool:
    """Whether both models give the same answer to every example of either holdout, in all that metrics look at."""
    if pairing is None or pairing.shared_share < 1:
        return False
    one, other = pairing.candidate, pairing.baseline
    columns = [(one.prediction, other.prediction), (one.scores, other.scores)]
    columns += [(one.values.get(name), other.values.get(name)) for name in {*one.values, *other.values}]
    return all(mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs)) for mine, theirs in columns)


def _paired_by_row(candidate: Predictions, baseline: Baseline, theirs: Predictions, *, is_numbered: bool) -> Pairing:
    try:
        return predictions.pair_by_row(candidate, theirs)
    except predictions.HoldoutChangedError as reason:
        name = baseline.commit[:12] if baseline.commit else baseline.how
        what = f"baseline {name}: the holdout changed ({reason}), and row numbers cannot tell which examples are still the same"
        if is_numbered:
            advice = "name a column of ids (the action's input `id`, evaluation.columns.id), first with the old holdout, then change it"
        else:
            advice = "the baseline was evaluated without ids: merge the column of ids first, rows in its order and the holdout unchanged"
        raise InputError(f"{what}; {advice}") from None


def paired_sets(workspace: Workspace, candidate: Candidate, baseline: Baseline | None) -> dict[str, Pairing]:
    """Both models on the perturbed sets that both have. One without a common example is none: the holdout itself says so."""
    pairings = {}
    for name, model in candidate.perturbed.items():
        theirs = baseline.further.perturbed.get(name) if baseline is not None else None
        if baseline is None or theirs is None or theirs.task != model.predictions.task:
            continue
        try:
            both = paired(workspace, model.predictions, replace(baseline, predictions=theirs))
        except InputError:
            continue
        if both is not None:
            pairings[name] = both
    return pairings


def refuse_regrouped(workspace: Workspace, rules: Config, pairing: Pairing | None) -> None:
    """Raises InputError where the same examples belong together otherwise than in the baseline's predictions."""
    column = rules.evaluation.group
    if column is None or pairing is None or workspace.config.evaluation.group != column:  # another column is a weakening, told as such
        return
    mine, theirs = pairing.candidate.groups, pairing.baseline.groups
    if mine is None and theirs is not None:
        raise InputError(
            f"evaluation.group: the predictions have no groups by '{column}', and the baseline's have; run 'mlgate evaluate' again"
        )
    if mine is None or theirs is None:
        return
    if moved := predictions.regrouped(mine, theirs):
        raise InputError(
            f"evaluation.group: {moved:,} of {len(mine):,} examples belong to other groups by '{column}' than in the baseline's "
            "predictions; expected an example to stay in its group: correct the column, or name another one, which somebody has to override"
        )


def reference(baseline: Baseline, pairing: Pairing | None, rescored: Rescoring | None) -> BaselineRef:
    return BaselineRef(
        kind=baseline.kind,
        commit=baseline.commit,
        how=baseline.how,
        source=baseline.source,
        shared_examples=pairing.shared_examples if pairing else None,
        shared_share=pairing.shared_share if pairing else 1.0,
        rescoring=rescored,
        stands_in_for=baseline.stands_in_for,
        training=baseline.training,
    )


def holdout_words(pairing: Pairing | None, rescored: Rescoring | None) -> str:
    """Which examples the comparison is on, where the holdout is not the baseline's own."""
    if rescored is not None:
        return " (baseline re-scored on this holdout)"
    if pairing is None or pairing.shared_share == 1:
        return ""
    return (
        f" (on the {pairing.shared_examples:,} of {round(pairing.shared_examples / pairing.shared_share):,} examples both were scored on)"
    )
