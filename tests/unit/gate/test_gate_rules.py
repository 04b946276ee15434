"""Rules held against rows, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate.config import Config
from mlgate.errors import InputError
from mlgate.evidence import Comparison
from mlgate.stages.decision.ruling import check_metrics, decide, sentence


def config(*rules: dict[str, Any], **gate: Any) -> Config:
    return Config.model_validate(
        {
            "model": "digits",
            "train": {"command": "x"},
            "evaluation": {
                "task": "classification",
                "predictions": "p.csv",
                "metrics": ["accuracy", "f1_macro"],
                "metrics_files": ["m.json"],
            },
            "gate": {"rules": list(rules), **gate},
        }
    )


def row(**changed: Any) -> Comparison:
    fields: dict[str, Any] = {
        "metric": "accuracy",
        "better": "higher",
        "candidate": 0.972,
        "baseline": 0.964,
        "difference": 0.008,
        "low": -0.004,
        "high": 0.020,
        "method": "Tango's score interval",
        "verdict": "no worse",
        "margin": 0.01,
    }
    return Comparison(**{**fields, **changed})


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("−", "-")


def test_a_row_reads_as_a_sentence() -> None:
    assert plain(sentence(row(), 0.95)) == "accuracy 96.4 % → 97.2 %, +0.8 pt (95 %: -0.4 to +2.0): no worse than 1 pt"
    assert plain(sentence(row(verdict="better", low=0.001, high=0.03), 0.95)).endswith("(95 %: +0.1 to +3.0): better")
    assert plain(sentence(row(verdict="worse"), 0.95)).endswith("worse by more than 1 pt")
    assert plain(sentence(row(verdict="worse", margin=0.0), 0.95)).endswith(": worse")
    assert plain(sentence(row(verdict="cannot tell", more_examples=1200), 0.95)).endswith(
        "cannot tell whether it is worse by more than 1 pt; about 1,200 more examples would settle it, if the difference stays as measured"
    )
    assert plain(sentence(row(verdict="cannot tell", low=None, high=None), 0.95)).endswith("too few examples for an interval")
    assert plain(sentence(row(verdict="cannot tell", low=None, high=None, method=None), 0.95)).endswith("certifies nothing")
    assert plain(sentence(row(verdict=None, margin=None), 0.9)).endswith("(90 %: -0.4 to +2.0)")
    assert "no value of the baseline" in sentence(
        row(baseline=None, difference=None, low=None, high=None, method=None, verdict="cannot tell"), 0.95
    )


@pytest.mark.parametrize(
    ("limit", "value", "is_open", "reason"),
    [
        ({"min": 0.9}, 0.9, True, "0.9 is at least 0.9"),
        ({"min": 0.9}, 0.899999, False, "0.899999 is below 0.9"),
        ({"max": 0.9}, 0.9, True, "0.9 is at most 0.9"),
        ({"max": 0.9}, 0.91, False, "0.91 is above 0.9"),
    ],
)
def test_thresholds(limit: dict[str, float], value: float, is_open: bool, reason: str) -> None:
    decision = decide(config({"metric": "accuracy", **limit}), [row(margin=None)], {"accuracy": value}, has_baseline=True)
    assert (decision.is_open, decision.rules[0].reason, decision.headline) == (is_open, reason, f"accuracy {reason}")


def test_one_rule_may_ask_several_things() -> None:
    rules = config({"metric": "accuracy", "min": 0.9, "max": 0.99, "margin": 0.01})
    decision = decide(rules, [row()], {"accuracy": 0.972}, has_baseline=True)
    assert [rule.rule for rule in decision.rules] == [
        "accuracy at least 0.9",
        "accuracy at most 0.99",
        "accuracy not worse than the baseline by more than 0.01",
    ]


def test_the_verdict_is_the_worst_of_the_guarded_metrics_and_the_headline_speaks_of_it() -> None:
    rules = config({"metric": "accuracy", "margin": 0.01}, {"metric": "f1_macro", "margin": 0.01})
    rows = [row(verdict="better"), row(metric="f1_macro", verdict="no worse"), row(metric="mcc", verdict="worse", margin=None)]
    decision = decide(rules, rows, {"accuracy": 0.9, "f1_macro": 0.9}, has_baseline=True)
    assert (decision.is_open, decision.verdict, decision.headline.split()[0]) == (True, "no worse", "f1_macro")


def test_every_failed_rule_is_named_up_to_three() -> None:
    names = ["a", "b", "c", "d"]
    rules = config(*({"metric": name, "min": 1} for name in names))
    rows = [row(metric=name, margin=None) for name in names]
    decision = decide(rules, rows, dict.fromkeys(names, 0.5), has_baseline=True)
    assert decision.headline == "a 0.5 is below 1; b 0.5 is below 1; c 0.5 is below 1; and 1 more"


def test_rules_about_metrics_there_are_not_are_all_named_at_once() -> None:
    rules = config({"metric": "latency", "max": 1}, {"metric": "accuracy", "min": 0}, {"metric": "f1_macro", "min": 0})
    with pytest.raises(InputError) as refused:
        check_metrics(rules, ["accuracy", "latency_ms"], ["f1_macro"], "mlgate.yaml")
    lines = str(refused.value).splitlines()
    assert lines[0] == "mlgate.yaml: gate.rules[0].metric: no metric 'latency' in the evaluation; did you mean 'latency_ms'?"
    assert lines[1].startswith("mlgate.yaml: gate.rules[2].metric: 'f1_macro' has no value on this holdout")
    assert len(lines) == 2
