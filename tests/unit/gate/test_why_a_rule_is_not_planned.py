"""Where nothing can be expected of a rule the reason is its own, short, and stands once."""

from __future__ import annotations

from typing import Any

import pytest

from mlgate.config import Config
from mlgate.evidence import Comparison
from mlgate.render import comparison as rendered
from mlgate.render import numbers
from mlgate.stages.decision import planned

DOCUMENT = {
    "model": "m",
    "evaluation": {"task": "classification", "predictions": "p.csv", "metrics": ["f1_macro"]},
    "gate": {"rules": [{"metric": "f1_macro", "margin": 0.02, "min": 0.5}]},
}
ROW = {
    "metric": "f1_macro",
    "better": "higher",
    "candidate": 0.9,
    "baseline": 0.9,
    "difference": 0.0,
    "low": -0.01,
    "high": 0.01,
    "method": "multinomial bootstrap of the joint counts",
    "verdict": "no worse",
    "margin": 0.02,
}


def found(**changed: Any) -> list[Any]:
    row = Comparison.model_validate({**ROW, **changed})
    return planned.planned(Config.model_validate(DOCUMENT), [planned.known(row, 400, 0.95, 0.04)])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"baseline": None, "difference": None, "low": None, "high": None, "method": None}, "the baseline has no value of it"),
        ({"low": None, "high": None, "method": None}, "it is one number of each model, and nothing says how far chance moves it"),
        ({"low": None, "high": None}, "the holdout is too small for an interval of it (400 examples)"),
        ({"low": None, "high": None, "groups": 12}, "the holdout is too small for an interval of it (12 groups)"),
    ],
)
def test_each_case_has_words_of_its_own(changed: dict[str, Any], reason: str) -> None:
    rules = found(**changed)
    assert [rule.unplanned for rule in rules] == [reason, reason]
    assert [rule.fails_unchanged for rule in rules] == [None, None]
    [said] = rendered._unplanned(rules)
    assert said == (
        "Nothing can be expected of “f1_macro at least 0.5”, “f1_macro not worse than the baseline by more than 0.02”: " + reason + "."
    )


def test_what_is_known_is_planned_and_nothing_is_added() -> None:
    rules = found()
    assert [rule.unplanned for rule in rules] == ["", ""]
    assert all(rule.fails_unchanged is not None for rule in rules)
    assert rendered._unplanned(rules) == []


def test_over_seeds_a_margin_is_planned_without_a_number_of_examples_and_a_threshold_is_not() -> None:
    threshold, margin = found(seeds=(3, 3), standard_error=0.005)
    assert threshold.unplanned == "it is about this artefact, and the interval about the training code"
    assert margin.fails_unchanged is not None
    assert margin.visible_loss is not None
    assert margin.examples_needed is None
    assert rendered._unplanned([margin]) == [
        "Over several seeds no number of examples is given: more of them leave the noise of training as it is."
    ]


def test_a_row_that_is_better_when_lower_is_planned_with_the_bound_that_its_passing_depends_on() -> None:
    leaning = {"low": -0.01, "high": 0.03, "standard_error": 0.005}
    higher, lower = (found(**leaning, better=better)[1] for better in ("higher", "lower"))
    assert higher.cannot_tell_unchanged < 0.05 < 0.9 < lower.cannot_tell_unchanged


def test_a_number_that_would_only_look_exact_is_rounded_up() -> None:
    assert [numbers.about(number, "more example") for number in (1, 97, 410, 1234)] == [
        "1 more example",
        "97 more examples",
        "410 more examples",
        "1,300 more examples",
    ]
    assert [numbers.needed(number) for number in (None, 2535, 10**6, 39_788_017)] == ["–", "2,535", "1,000,000", "over 1\xa0million"]
