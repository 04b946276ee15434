"""All metrics of a model together: named ones and files, directions, names that collide, and rules that name nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgate.config import RuleConfig
from mlgate.errors import InputError
from mlgate.evaluation.predictions import Predictions
from mlgate.evaluation.scoring import Scored, check_rules, direction, score
from unit.evaluation.holdouts import classified, regressed, settings


def rules(*of: dict[str, Any]) -> list[RuleConfig]:
    return [RuleConfig.model_validate(rule) for rule in of]


def scored(
    found: Predictions, files: dict[str, dict[str, float]] | None = None, gate: list[RuleConfig] | None = None, **more: Any
) -> Scored:
    return score(found, settings(found.task, **more), gate or [], files or {}, root=Path(), shown_as="p.csv")


def test_metrics_come_in_the_order_of_the_configuration_then_the_files() -> None:
    found = scored(classified(50, 2), {"m.json": {"latency": 3.0}}, metrics=("f1_macro", "accuracy"))
    assert [(metric.name, metric.source) for metric in found.metrics] == [
        ("f1_macro", "predictions"),
        ("accuracy", "predictions"),
        ("latency", "file"),
    ]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ([{"metric": "x", "max": 200}], "lower"),
        ([{"metric": "x", "min": 2}], "higher"),
        ([{"metric": "x", "min": 2, "max": 5}], None),
        ([{"metric": "x", "min": 2}, {"metric": "x", "max": 5}], None),
        ([{"metric": "x", "margin": 2, "better": "lower"}, {"metric": "x", "min": 5}], "lower"),
        ([{"metric": "other", "max": 5}], None),
    ],
)
def test_the_direction_of_an_unknown_number_follows_from_the_rules(of: list[dict[str, Any]], expected: str | None) -> None:
    assert direction("x", rules(*of)) == expected
    assert scored(regressed(9), {"m.json": {"x": 1.0}}, rules(*of)).metrics[-1].better == expected


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"m.json": {"accuracy": 1.0}}, "m.json: 'accuracy' is also a metric of evaluation.metrics; rename one of them"),
        ({"m.json": {"x": 1.0}, "n.json": {"x": 1.0}}, "n.json: 'x' is also a metric of m.json"),
    ],
)
def test_one_name_is_one_metric(files: dict[str, dict[str, float]], part: str) -> None:
    with pytest.raises(InputError, match=part):
        scored(classified(9, 2), files)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (
            {"metric": "acuracy", "min": 0.5},
            "mlgate.yaml: gate.rules[1].metric: no metric 'acuracy' in evaluation; did you mean 'accuracy'?",
        ),
        (
            {"metric": "latency.p95", "max": 5},
            "mlgate.yaml: gate.rules[1].metric: no metric 'latency.p95' in evaluation; did you mean 'latency.p95_ms'?",
        ),
        (
            {"metric": "latency.p95_ms", "margin": 5},
            "mlgate.yaml: gate.rules[1].better: missing; a margin on 'latency.p95_ms' needs 'higher' or 'lower'",
        ),
        (
            {"metric": "accuracy", "margin": 0.1, "better": "lower"},
            "mlgate.yaml: gate.rules[1].better: 'accuracy' is better higher, not lower",
        ),
    ],
)
def test_a_rule_about_nothing_is_refused_with_its_key(of: dict[str, Any], said: str) -> None:
    gate = rules({"metric": "accuracy", "min": 0.1}, of)
    with pytest.raises(InputError) as caught:
        check_rules(gate, scored(classified(9, 2), {"m.json": {"latency.p95_ms": 1.0}}, gate), "mlgate.yaml")
    assert str(caught.value) == said


def test_a_rule_about_a_metric_without_a_value_says_why_it_has_none() -> None:
    found = scored(Predictions(np.arange(3), np.zeros(3), np.zeros(3)), metrics=("r2", "mae"))
    assert found.warnings == ["r2 is not defined on this holdout: all targets are the same"]
    assert [metric.name for metric in found.metrics] == ["mae"]
    with pytest.raises(InputError, match=r"gate.rules\[0\].metric: 'r2' is not defined on this holdout: all targets are the same"):
        check_rules(rules({"metric": "r2", "min": 0}), found, "mlgate.yaml")


def test_a_binary_metric_of_many_classes_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(InputError, match=r"'recall_binary' is for two classes, p.csv has 4; use 'recall_macro'"):
        scored(classified(30, 4), metrics=("recall_binary",))


def test_a_positive_class_that_never_occurs_is_refused() -> None:
    with pytest.raises(InputError, match=r"evaluation.positive: no class 'spam' in p.csv; expected one of a, b"):
        scored(classified(30, 2), positive="spam")
