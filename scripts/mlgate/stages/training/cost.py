"""What a model's training took, as it is kept with the model's evaluation for later ones to be compared with."""

from __future__ import annotations

from mlgate.evidence import TrainFindings, TrainingCost
from mlgate.gpu import account


def of(found: TrainFindings) -> TrainingCost | None:
    """Of all runs that led to the model, or of the earlier one whose result was taken: that one cost something, this one nothing.

    None where nobody knows, as of a DVC pipeline whose outputs another machine made.
    """
    if found.reused_run is not None:
        return found.reused_run.cost or TrainingCost(duration_s=found.reused_run.duration_s)
    if found.is_reused or found.account is None:
        return None
    reused = [stage.name for stage in found.pipeline if stage.is_reused]
    return account.cost_of(found.account).model_copy(update={"without": reused})
