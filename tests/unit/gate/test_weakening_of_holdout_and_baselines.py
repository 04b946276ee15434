"""Fewer baselines, another pin, less care for a worn-out holdout, doubt that passes: each weakens the gate, and its opposite does not."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.stages.revisions import weakening

TEXT = """\
model: digits
evaluation: {{task: classification, predictions: p.csv, metrics: [accuracy]}}
gate: {{{gate}, rules: [{{margin: 0.01{rule}}}]}}
"""


def found(old: str, new: str) -> set[str]:
    """Weakenings between two gates; what follows `|` is the rule's own."""

    def parsed(text: str) -> config.Config:
        gate, _, rule = text.partition("|")
        return config.parse(TEXT.format(gate=gate or "confidence: 0.95", rule=f", {rule}" if rule else "").encode(), "mlgate.yaml")

    return set(weakening.weakened(parsed(old), parsed(new)))


WEAKER = {
    "the pinned release dropped": ("baseline: [base, v1]", "baseline: base", "gate.baseline"),
    "the pin moved": ("baseline: [base, v1]", "baseline: [base, v2]", "gate.baseline"),
    "a single pin moved": ("baseline: v1", "baseline: v2", "gate.baseline"),
    "the pin alone": ("baseline: [base, v1]", "baseline: v1", "gate.baseline"),
    "the base instead of the pin": ("baseline: v1", "baseline: [base, v1]", "gate.baseline"),
    "no bonferroni any more": ("holdout: {reuse: bonferroni}", "confidence: 0.95", "gate.holdout.reuse"),
    "no ladder any more": ("holdout: {reuse: ladder}", "confidence: 0.95", "gate.holdout.reuse"),
    "bonferroni instead of the ladder": ("holdout: {reuse: ladder}", "holdout: {reuse: bonferroni}", "gate.holdout.reuse"),
    "the ladder instead of bonferroni": ("holdout: {reuse: bonferroni}", "holdout: {reuse: ladder}", "gate.holdout.reuse"),
    "wider bounds where doubt passes": ("cannot_tell: warn", "holdout: {reuse: bonferroni}", "gate.holdout.reuse"),
    "a smaller budget of bonferroni": (
        "cannot_tell: block, holdout: {reuse: bonferroni}",
        "cannot_tell: block, holdout: {reuse: bonferroni, budget: 5}",
        "gate.holdout.budget",
    ),
    "a smaller budget of the ladder": ("holdout: {reuse: ladder}", "holdout: {reuse: ladder, budget: 5}", "gate.holdout.budget"),
    "a rule that blocked and warns": ("|cannot_tell: block", "|cannot_tell: warn", "gate.rules main cannot_tell"),
    "a rule that blocked by itself": ("|cannot_tell: block", "", "gate.rules main cannot_tell"),
    "a rule that lets doubt pass in a release": ("", "|cannot_tell: warn", "gate.rules main cannot_tell"),
    "doubt passes again": ("cannot_tell: block", "cannot_tell: warn", "gate.cannot_tell"),
}
NOT_WEAKER = {
    "a release pinned beside the base": ("baseline: base", "baseline: [base, v1]"),
    "a list of one": ("baseline: base", "baseline: [base]"),
    "the other order": ("baseline: [base, v1]", "baseline: [v1, base]"),
    "the ladder where nothing was": ("", "holdout: {reuse: ladder}"),
    "bonferroni where doubt blocks": ("cannot_tell: block", "cannot_tell: block, holdout: {reuse: bonferroni}"),
    "another budget that is only reported": ("holdout: {budget: 20}", "holdout: {budget: 500}"),
    "a larger budget of the ladder": ("holdout: {reuse: ladder}", "holdout: {reuse: ladder, budget: 500}"),
    "a rule that blocks": ("", "|cannot_tell: block"),
    "a rule that says what the gate says": ("cannot_tell: block", "cannot_tell: block|cannot_tell: block"),
    "the gate that says what a rule said": ("cannot_tell: block|cannot_tell: block", "cannot_tell: block"),
}


@pytest.mark.parametrize(("old", "new", "name"), WEAKER.values(), ids=WEAKER)
def test_what_lets_more_pass_is_a_weakening(old: str, new: str, name: str) -> None:
    assert found(old, new) == {name}


@pytest.mark.parametrize(("old", "new"), NOT_WEAKER.values(), ids=NOT_WEAKER)
def test_what_asks_more_is_none(old: str, new: str) -> None:
    assert found(old, new) == set()
