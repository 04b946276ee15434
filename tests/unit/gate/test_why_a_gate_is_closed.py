"""The sentence of a closed gate: what is known to be broken comes before what could not be told."""

from __future__ import annotations

from typing import Any

from mlgate.config import Config
from mlgate.evidence import Comparison
from mlgate.stages.decision.ruling import decide


def row(metric: str, verdict: Any, low: float, high: float) -> Comparison:
    return Comparison(
        metric=metric,
        better="higher",
        baseline=0.9,
        candidate=0.9 + (low + high) / 2,
        difference=(low + high) / 2,
        low=low,
        high=high,
        method="Tango's score interval",
        verdict=verdict,
        margin=0.01,
    )


def test_what_is_worse_is_not_hidden_behind_doubts() -> None:
    doubtful, worse = ["accuracy", "f1_macro", "mcc"], "kappa"
    rules = Config.model_validate(
        {
            "model": "digits",
            "train": {"command": "x"},
            "evaluation": {"task": "classification", "predictions": "p.csv", "metrics": [*doubtful, worse]},
            "gate": {
                "cannot_tell": "block",
                "rules": [*({"metric": name, "margin": 0.01} for name in [*doubtful, worse]), {"metric": "accuracy", "min": 0.95}],
            },
        }
    )
    rows = [*(row(name, "cannot tell", -0.1, 0.1) for name in doubtful), row(worse, "worse", -0.08, -0.04)]
    values: dict[str, float | None] = {one.metric: one.candidate for one in rows}
    reasons = decide(rules, rows, values, has_baseline=True).headline.split("; ")
    assert (reasons[0].startswith("kappa is worse by"), reasons[1]) == (True, "accuracy 0.9 is below 0.95")
    assert reasons[2].startswith("cannot tell whether accuracy")
    assert reasons[3] == "and 2 more"
