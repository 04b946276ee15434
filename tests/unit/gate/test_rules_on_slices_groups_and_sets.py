"""Rules on slices, between groups and on perturbed sets: what may be written, what each mistake is answered with, what weakens them."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.config import Config
from mlgate.errors import InputError
from mlgate.stages.revisions import changes, weakening

EVALUATION = "predictions: p.csv, metrics: [accuracy, f1_macro], slices: [sex, country], perturbed: {noise: eval/noise.csv, gaps: g.csv}"


def parse(rules: str, evaluation: str = EVALUATION, gate: str = "") -> Config:
    text = f"model: m\nevaluation: {{{evaluation}}}\ngate:\n  rules: [{rules}]\n{gate}"
    return config.parse(text.encode(), "mlgate.yaml")


def test_each_kind_of_rule_names_its_row() -> None:
    found = parse(
        "{metric: accuracy, on: noise, margin: 0.03, min: 0.7}, {fairness: recall, group: sex, max_gap: 0.05, margin: 0.01},"
        "{metric: accuracy, slices: [country], margin: 0.03}, {slices: all, margin: 0.1}, {metric: accuracy, margin: 0.01}"
    ).resolved("classification")
    assert [rule.title for rule in found.gate.rules] == [
        "accuracy on noise",
        "recall gap by sex",
        "accuracy by country",
        "accuracy by slice",
        "accuracy",
    ]


def test_on_is_a_key_and_no_yes() -> None:
    """YAML 1.1, which PyYAML reads, takes a bare `on` for true; so does nobody who writes it."""
    assert parse("{on: noise, min: 0.5}").gate.rules[0].on == "noise"
    with pytest.raises(InputError, match=r"gate.rules\[0\]: expected text as a key, got true"):
        parse("{yes: noise, min: 0.5}")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{on: nois, min: 1}", "gate.rules[0].on: no set 'nois' in evaluation.perturbed; did you mean 'noise'?"),
        ("{slices: [contry], margin: 1}", "gate.rules[0].slices: no column 'contry' in evaluation.slices; did you mean 'country'?"),
        (
            "{slices: country, margin: 1}",
            "gate.rules[0].slices: expected a list of columns such as [country], or `all`, got the text 'country'",
        ),
        ("{slices: [], margin: 1}", "gate.rules[0].slices: expected a list of columns such as [country], or `all`, got an empty list"),
        ("{slices: all}", "gate.rules[0]: slices: expected `margin`, what a slice may lose at most"),
        ("{slices: all, margin: 1, min: 0}", "gate.rules[0]: 'min' beside 'slices'; a rule on slices has a margin"),
        ("{fairness: recal, group: sex, margin: 0}", "gate.rules[0].fairness: no metric 'recal' that mlgate knows; did you mean 'recall'?"),
        ("{fairness: recall, group: se, margin: 0}", "gate.rules[0].group: no column 'se' in evaluation.slices; did you mean 'sex'?"),
        (
            "{fairness: recall, margin: 0}",
            "gate.rules[0]: fairness: expected `group`, the column of evaluation.slices that names the groups",
        ),
        ("{fairness: recall, group: sex}", "gate.rules[0]: fairness: expected at least one of max_gap, margin"),
        (
            "{fairness: recall, metric: accuracy, group: sex, margin: 0}",
            "gate.rules[0]: 'metric' beside 'fairness'; expected fairness, group, max_gap and margin",
        ),
        (
            "{fairness: roc_auc, group: sex, margin: 0}",
            "gate.rules[0].fairness: metric 'roc_auc' needs probabilities: name their column in evaluation.columns.score",
        ),
        ("{group: sex, margin: 0}", "gate.rules[0]: 'group' belongs to 'fairness', which names the metric whose gap is guarded"),
        ("{on: noise, slices: all, margin: 0}", "gate.rules[0]: 'on' and 'slices' in one rule; write a rule for each"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(rule: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(rule)
    assert str(refused.value) == f"mlgate.yaml: {message}"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{on: noise, min: 0}", "gate.rules[0].on: is about predictions: name their file in evaluation.predictions"),
        ("{metric: latency, on: noise, min: 0}", "gate.rules[0].on: no set 'noise' in evaluation.perturbed"),
        ("{metric: latency, slices: all, margin: 1}", "gate.rules[0].slices: there are none; name their columns in evaluation.slices"),
    ],
)
def test_numbers_of_metric_files_have_no_slices_and_no_sets(rule: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(rule, "metrics_files: [m.json]")
    assert str(refused.value) == f"mlgate.yaml: {message}"


OLD = (
    "{metric: accuracy, margin: 0.01}, {metric: accuracy, on: noise, margin: 0.03, min: 0.7}, "
    "{metric: accuracy, slices: all, margin: 0.03},{fairness: recall, group: sex, max_gap: 0.05, margin: 0.01}"
)
WEAKER = {
    "a set's rule gone": ("{metric: accuracy, on: noise, margin: 0.03, min: 0.7}, ", "", "on noise margin", "on noise min"),
    "a set's lower minimum": ("min: 0.7", "min: 0.6", "on noise min"),
    "a set's wider margin": ("on: noise, margin: 0.03", "on: noise, margin: 0.04", "on noise margin"),
    "another set": ("on: noise", "on: gaps", "on noise margin", "on noise min"),
    "fewer slices": ("slices: all", "slices: [sex]", "by country margin"),
    "slices' wider margin": ("slices: all, margin: 0.03", "slices: all, margin: 0.05", "by sex margin", "by country margin"),
    "slices' rule gone": ("{metric: accuracy, slices: all, margin: 0.03},", "", "by sex margin", "by country margin"),
}
WEAKER_GAPS = {
    "a wider gap": ("max_gap: 0.05", "max_gap: 0.06", "max_gap"),
    "no limit of the gap": ("max_gap: 0.05, ", "", "max_gap"),
    "a wider change": ("max_gap: 0.05, margin: 0.01", "max_gap: 0.05, margin: 0.02", "margin"),
    "other groups": ("group: sex", "group: country", "max_gap", "margin"),
    "another metric": ("fairness: recall", "fairness: fpr", "max_gap", "margin"),
}


@pytest.mark.parametrize("case", WEAKER)
def test_what_weakens_a_rule_on_slices_or_sets_is_named(case: str) -> None:
    old, new, *names = WEAKER[case]
    assert old in OLD
    found = weakening.weakened(parse(OLD), parse(OLD.replace(old, new)))
    assert found == {f"gate.rules accuracy {name}" for name in names}


@pytest.mark.parametrize("case", WEAKER_GAPS)
def test_what_weakens_a_fairness_rule_is_named(case: str) -> None:
    old, new, *names = WEAKER_GAPS[case]
    assert old in OLD
    found = weakening.weakened(parse(OLD), parse(OLD.replace(old, new)))
    assert found == {f"gate.rules recall gap by sex {name}" for name in names}


def test_a_set_less_weakens_and_its_rules_with_it() -> None:
    fewer = EVALUATION.replace("noise: eval/noise.csv, ", "")
    rules = OLD.replace("{metric: accuracy, on: noise, margin: 0.03, min: 0.7}, ", "")
    assert "evaluation.perturbed.noise" in weakening.weakened(parse(OLD), parse(rules, fewer))
    assert weakening.weakened(parse(rules, fewer), parse(OLD)) == frozenset(), "a set and a rule more ask more"


@pytest.mark.parametrize(
    ("old", "new"),
    [("slices: all", "slices: [country, sex]"), ("max_gap: 0.05", "max_gap: 0.04"), ("min: 0.7", "min: 0.8")],
)
def test_the_same_in_other_words_or_more_is_no_weakening(old: str, new: str) -> None:
    assert weakening.weakened(parse(OLD), parse(OLD.replace(old, new))) == frozenset()


def test_the_report_of_changes_calls_the_settings_by_the_same_names() -> None:
    settings = changes._settings(parse(OLD))
    assert {name: settings[name] for name in settings if name.startswith("gate.rules")} == {
        "gate.rules accuracy margin": "0.01",
        "gate.rules accuracy on noise margin": "0.03",
        "gate.rules accuracy on noise min": "0.7",
        "gate.rules accuracy by sex margin": "0.03",
        "gate.rules accuracy by country margin": "0.03",
        "gate.rules recall gap by sex margin": "0.01",
        "gate.rules recall gap by sex max_gap": "0.05",
    }
    assert settings["evaluation.perturbed.noise"] == "eval/noise.csv"
