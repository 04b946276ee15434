"""What mlgate.yaml may leave out, and what stands in its place once the predictions are seen."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate import config
from mlgate.config import Config
from mlgate.errors import InputError


def parse(text: str) -> Config:
    return config.parse(text.encode(), "mlgate.yaml")


def resolved(
    rules: str, *, task: Any = "classification", evaluation: str = "predictions: p.csv", of_scores: tuple[str, ...] = ()
) -> Config:
    return parse(f"model: m\nevaluation: {{{evaluation}}}\ngate: {{rules: {rules}}}\n").resolved(task, of_scores)


def test_a_model_and_its_predictions_are_enough() -> None:
    found = parse("model: m\nevaluation: {predictions: p.csv}\n")
    assert (found.train, found.params, found.evaluation.task, found.evaluation.metric_names) == (None, [], None, [])


@pytest.mark.parametrize(("task", "metrics"), [("classification", ["accuracy", "f1_macro"]), ("regression", ["rmse", "mae", "r2"])])
def test_the_usual_metrics_follow_the_task(task: Any, metrics: list[str]) -> None:
    assert resolved("[]", task=task).evaluation.metrics == metrics


def test_metrics_of_scores_and_those_that_rules_name_come_after_them() -> None:
    found = resolved("[{metric: mcc, min: 0.5}, {metric: accuracy, min: 0.5}]", of_scores=("roc_auc",))
    assert found.evaluation.metrics == ["accuracy", "f1_macro", "roc_auc", "mcc"]


@pytest.mark.parametrize(
    ("task", "evaluation", "main"),
    [
        ("classification", "predictions: p.csv", "accuracy"),
        ("regression", "predictions: p.csv", "rmse"),
        ("classification", "predictions: p.csv, metrics: [mcc, accuracy]", "mcc"),
        ("classification", "predictions: p.csv, metrics: ['money.py:cost', accuracy]", "cost"),
    ],
)
def test_a_rule_without_a_metric_is_about_the_main_one(task: Any, evaluation: str, main: str) -> None:
    assert [rule.metric for rule in resolved("[{margin: 0.01}]", task=task, evaluation=evaluation).gate.rules] == [main]


def test_what_is_said_stays_as_it_is() -> None:
    text = "model: m\nevaluation: {task: regression, predictions: p.csv, metrics: [mae]}\ngate: {rules: [{metric: mae, margin: 1}]}\n"
    assert parse(text).resolved("regression") == parse(text)


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ("{}", "evaluation: expected `predictions`, or `metrics_files` where there are none"),
        ("{metrics_files: [m.json], metrics: [accuracy]}", "evaluation: metrics are computed from predictions: name their file in"),
        ("{metrics_files: [m.json], slices: [a]}", "evaluation: slices are computed from predictions: name their file in"),
        ("{predictions: p.csv, metrics: [accuracy, rmse]}", "evaluation.metrics: no metric 'rmse' for classification"),
        ("{predictions: p.csv, metrics: [acuracy]}", "evaluation.metrics: no metric 'acuracy'; did you mean 'accuracy'?"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(evaluation: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(f"model: m\nevaluation: {evaluation}\n")
    assert str(refused.value).startswith(f"mlgate.yaml: {said}")


def test_metric_files_alone_have_no_main_metric() -> None:
    with pytest.raises(InputError, match=r"gate.rules\[0\].metric: missing; only predictions have a main metric"):
        parse("model: m\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{margin: 0.01}]}\n")
    assert parse("model: m\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{metric: a.b, max: 1}]}\n").gate.rules[0].metric == "a.b"


def test_a_model_cannot_be_called_as_the_file_beside_its_folder() -> None:
    with pytest.raises(InputError, match=r"the name 'mlgate.yaml' is reserved"):
        parse("model: mlgate.yaml\nevaluation: {predictions: p.csv}\n")
