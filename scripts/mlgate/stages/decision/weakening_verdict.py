"""What of a change weakens the gate beyond mlgate.yaml and the contracts' files, and the sentence that says why it closes. Pure.

The holdout is a rule, too: which examples a model is judged on, and what is right for each.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.config import user_code
from mlgate.contracts import wording
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import Change, ContractFindings, ValidationFindings
from mlgate.render import numbers

HOLDOUT = "holdout"
_MOST_NAMED = 3
_MAX_NAMED_LENGTH = 160


def of_holdout(candidate: Predictions, recorded: Predictions) -> Change | None:
    """How the holdout differs from the one the baseline was evaluated on; None where it does not.

    Examples that are gone, or have another target, weaken it; more examples do not.

    Args:
        candidate: its predictions.
        recorded: the baseline's, as they were recorded, not as they were scored again.
    """
    if candidate.task != recorded.task:
        return None  # they cannot be compared at all, which is said elsewhere
    if predictions.holdout_sha256(candidate) == predictions.holdout_sha256(recorded):
        return None
    pairing = predictions.pair(candidate, recorded)
    removed, relabelled = recorded.n - pairing.common_ids, pairing.common_ids - pairing.shared_examples
    counted = ((removed, "removed"), (relabelled, "relabelled"), (candidate.n - pairing.common_ids, "added"))
    words = ", ".join(f"{count:,} {what}" for count, what in counted if count)
    return Change(
        kind="rule",
        name=HOLDOUT,
        old=numbers.count(recorded.n, "example"),
        new=f"{numbers.count(candidate.n, 'example')}: {words}" if words else "equal within rounding",
        is_weakening=bool(removed or relabelled),
    )


def of_numbered_holdout(candidate: Predictions, recorded: Predictions) -> Change | None:
    """`of_holdout` where nothing but row numbers names the examples: what is gone cannot be told, so any other holdout weakens it."""
    if candidate.task != recorded.task:
        return None
    try:
        predictions.pair_by_row(candidate, recorded)
    except predictions.HoldoutChangedError as reason:
        old, new = (numbers.count(one.n, "example") for one in (recorded, candidate))
        words = f"{new}: {reason}, and without ids it cannot be told which are the same"
        return Change(kind="rule", name=HOLDOUT, old=old, new=words, is_weakening=True)
    return None


def of_data(validated: ValidationFindings | None, told: Sequence[Change]) -> list[Change]:
    """Contracts of the baseline that data breaks now, where this change has others in their place.

    Args:
        validated: what `validate-data` found.
        told: what is known of the change; a contract that asks less by these is not told of twice.
    """
    weakened = {change.name for change in told if change.is_weakening}
    return [
        Change(
            kind="rule",
            name=f"{one.schema_path} of the baseline",
            old=f"kept by {one.data}",
            new=wording.summary(one),
            is_weakening=True,
        )
        for one in (validated.baseline_contracts if validated else [])
        if not one.is_passed and not any(_is_about(name, one) for name in weakened)
    ]


def _is_about(name: str, one: ContractFindings) -> bool:
    path = (user_code(one.schema_path) or (one.schema_path, ""))[0]
    entry = f"data.contracts {one.data}"
    return name in (path, entry) or name.startswith((f"{path} ", f"{entry} "))


def sentence(weakenings: Sequence[Change]) -> str:
    """`this change weakens 2 rules: gate.rules accuracy min 0.9 → 0.8; holdout 400 examples → 380 examples: 20 removed`."""
    named = "; ".join(_words(change) for change in weakenings[:_MOST_NAMED])
    more = f"; and {len(weakenings) - _MOST_NAMED} more" if len(weakenings) > _MOST_NAMED else ""
    return f"this change weakens {numbers.count(len(weakenings), 'rule')}: {named}{more}"


def _words(change: Change) -> str:
    said = f"({change.new})" if change.old is None else f"{change.old} → {change.new if change.new is not None else 'none'}"
    line = " ".join(f"{change.name} {said}".split())
    return line if len(line) <= _MAX_NAMED_LENGTH else f"{line[: _MAX_NAMED_LENGTH - 1]}…"
