"""Which changes of mlgate.yaml let pass what did not pass before: each key for itself, both ways."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.config import Config
from mlgate.stages.revisions import weakening

BASE = """\
model: digits
checks: [pytest, ruff check]
train: {command: python train.py}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  columns: {score: p}
  metrics: [accuracy, log_loss, "metrics/money.py:cost", "metrics/other.py:gain"]
  metrics_files: [eval/speed.json]
  slices: [site, age]
gate:
  baseline: base
  confidence: 0.95
  cannot_tell: block
  rebuild_baseline: true
  override: {permission: maintain}
  rules:
    - {metric: accuracy, min: 0.8, margin: 0.01}
    - {metric: log_loss, max: 0.5}
    - {metric: cost, max: 5}
    - {metric: latency_ms, margin: 2, better: lower}
"""


def parsed(text: str) -> Config:
    return config.parse(text.encode(), "mlgate.yaml")


def changed(*changes: tuple[str, str]) -> set[str]:
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return set(weakening.weakened(parsed(BASE), parsed(text)))


WEAKER = {
    "a lower minimum": ("min: 0.8", "min: 0.7", "gate.rules accuracy min"),
    "no minimum": ("min: 0.8, ", "", "gate.rules accuracy min"),
    "a higher maximum": ("max: 0.5", "max: 0.6", "gate.rules log_loss max"),
    "a wider margin": ("margin: 0.01", "margin: 0.02", "gate.rules accuracy margin"),
    "no margin": (", margin: 0.01", "", "gate.rules accuracy margin"),
    "another direction": ("better: lower", "better: higher", "gate.rules latency_ms better"),
    "a rule that is gone": ("    - {metric: log_loss, max: 0.5}\n", "", "gate.rules log_loss max"),
    "less confidence": ("confidence: 0.95", "confidence: 0.9", "gate.confidence"),
    "a warning instead": ("cannot_tell: block", "cannot_tell: warn", "gate.cannot_tell"),
    "a rule that lets doubt pass": ("margin: 0.01", "margin: 0.01, cannot_tell: warn", "gate.rules accuracy cannot_tell"),
    "no rebuilding": ("rebuild_baseline: true", "rebuild_baseline: false", "gate.rebuild_baseline"),
    "another baseline": ("baseline: base", "baseline: champion", "gate.baseline"),
    "more who may override": ("permission: maintain", "permission: write", "gate.override.permission"),
    "a slice less": ("[site, age]", "[age]", "evaluation.slices"),
    "a check less": ("[pytest, ruff check]", "[ruff check]", "checks"),
    "a check in other words": ("[pytest, ruff check]", "[pytest -k nothing, ruff check]", "checks"),
    "another name": ("model: digits", "model: digits2", "model"),
    "another target": ("{score: p}", "{score: p, target: y2}", "evaluation.columns.target"),
    "other ids": ("{score: p}", "{score: p, id: other}", "evaluation.columns.id"),
    "row numbers": ("{score: p}", "{score: p, id: null}", "evaluation.columns.id"),
    "another positive class": ("  metrics_files", "  positive: 1\n  metrics_files", "evaluation.positive"),
    "other code under the name of a metric with a rule": ("metrics/money.py:cost", "metrics/cheap.py:cost", "evaluation.metrics"),
    "another store": ("train: {", "store: elsewhere\ntrain: {", "store"),
    "fewer inputs": ("train: {", "inputs: [src]\ntrain: {", "inputs"),
}
NOT_WEAKER = {
    "a higher minimum": ("min: 0.8", "min: 0.9"),
    "a maximum beside a minimum": ("min: 0.8", "min: 0.8, max: 0.99"),
    "a lower maximum": ("max: 0.5", "max: 0.4"),
    "a narrower margin": ("margin: 0.01", "margin: 0.005"),
    "one more rule": ("  rules:", "  rules:\n    - {metric: gain, min: 1}"),
    "a second, laxer rule beside the strict one": ("  rules:", "  rules:\n    - {metric: accuracy, min: 0.1}"),
    "a direction for a metric that mlgate knows": ("margin: 0.01", "margin: 0.01, better: lower"),
    "rules in another order": (
        "    - {metric: log_loss, max: 0.5}\n    - {metric: cost, max: 5}",
        "    - {metric: cost, max: 5}\n    - {metric: log_loss, max: 0.5}",
    ),
    "more confidence where doubt blocks": ("confidence: 0.95", "confidence: 0.99"),
    "fewer who may override": ("permission: maintain", "permission: admin"),
    "one more slice": ("[site, age]", "[site, age, sex]"),
    "one more check": ("[pytest, ruff check]", "[pytest, mypy, ruff check]"),
    "another column of predictions": ("{score: p}", "{score: p, prediction: y2}"),
    "other code under the name of a metric without a rule": ("metrics/other.py:gain", "metrics/new.py:gain"),
    "another training": ("python train.py", "python train.py --fast"),
    "a comment less": ("train: {", "report: {comment: false}\ntrain: {"),
}


@pytest.mark.parametrize(("old", "new", "name"), WEAKER.values(), ids=WEAKER)
def test_what_lets_more_pass_is_a_weakening(old: str, new: str, name: str) -> None:
    assert changed((old, new)) == {name}


@pytest.mark.parametrize(("old", "new"), NOT_WEAKER.values(), ids=NOT_WEAKER)
def test_what_asks_more_or_something_else_is_none(old: str, new: str) -> None:
    assert changed((old, new)) == set()


def test_nothing_changed_weakens_nothing() -> None:
    assert changed() == set()


def test_more_confidence_is_a_weakening_where_doubt_passes() -> None:
    """Wider bounds make 'cannot tell' of 'worse'."""
    before = parsed(BASE.replace("block", "warn"))
    assert weakening.weakened(before, parsed(BASE.replace("block", "warn").replace("0.95", "0.999"))) == {"gate.confidence"}


def test_of_two_rules_the_stricter_one_counts() -> None:
    both = parsed(BASE.replace("  rules:", "  rules:\n    - {metric: accuracy, min: 0.9}"))
    assert weakening.weakened(both, parsed(BASE)) == {"gate.rules accuracy min"}
    assert weakening.weakened(parsed(BASE), both) == set()


MAIN = """\
model: digits
evaluation: {predictions: p.csv, metrics: [accuracy, f1_macro]}
gate: {rules: [{margin: 0.01}]}
"""


def test_the_main_metric_may_be_called_by_its_name() -> None:
    named = parsed(MAIN.replace("{margin", "{metric: accuracy, margin"))
    assert weakening.weakened(parsed(MAIN), named) == set()
    assert weakening.weakened(named, parsed(MAIN)) == set()


def test_another_main_metric_is_a_weakening() -> None:
    assert weakening.weakened(parsed(MAIN), parsed(MAIN.replace("accuracy, f1_macro", "f1_macro, accuracy"))) == {
        "evaluation.metrics",
        "gate.rules main margin",
    }


def test_numbers_of_a_file_instead_of_predictions_are_a_weakening() -> None:
    files = "model: digits\nevaluation: {metrics_files: [m.json]}\ngate: {rules: [{metric: accuracy, margin: 0.01}]}\n"
    assert "evaluation.predictions" in weakening.weakened(parsed(MAIN), parsed(files))


def test_a_column_of_ids_where_row_numbers_were_is_none() -> None:
    numbered = parsed(MAIN.replace("p.csv,", "p.csv, columns: {id: null},"))
    assert weakening.weakened(numbered, parsed(MAIN)) == set()


def test_code_of_a_metric_counts_where_a_rule_rests_on_it() -> None:
    assert weakening.guarded_code(parsed(BASE)) == {"metrics/money.py"}
