"""A rule on slices counts on recorded examples and beside a pinned release as it does beside the baseline."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.evidence import AgainstBaseline, BaselineRef, Verdict
from mlgate.stages.decision import also
from mlgate.stages.decision.ruling import decide, unless_worse
from mlgate.stages.decision.slices import SliceTable
from support import decided, guarded_slice

RULES = config.parse(
    b"model: m\nevaluation: {predictions: p.csv, metrics: [accuracy], slices: [country]}\n"
    b"gate: {rules: [{metric: accuracy, slices: [country], margin: 0.03}]}\n",
    "mlgate.yaml",
)


def sliced(verdict: Verdict, low: float, high: float) -> SliceTable:
    return SliceTable([guarded_slice("FR", verdict, low, high, n=300)])


FINE, HARMED = sliced("no worse", -0.01, 0.01), sliced("worse", -0.12, -0.05)


def test_harm_on_the_recorded_examples_of_a_slice_closes_the_gate_whatever_the_new_answers_say() -> None:
    decision = decide(RULES, [], {}, has_baseline=True, sliced=FINE)
    assert (decision.is_open, decision.verdict) == (True, "no worse")
    assert unless_worse(decision, RULES, [], 300, FINE) == decision
    closed = unless_worse(decision, RULES, [], 300, HARMED)
    assert (closed.is_open, closed.verdict) == (False, "worse")
    assert closed.headline.startswith("on the 300 examples that are on record, accuracy by country is worse by more than 3")
    assert closed.rules[-1].rule.endswith("by more than 0.03, on the 300 examples that are on record")


@pytest.mark.parametrize(("found", "is_open"), [(FINE, True), (HARMED, False)])
def test_a_slice_worse_than_a_pinned_release_closes_the_gate(found: SliceTable, is_open: bool) -> None:
    release = BaselineRef(kind="base", commit="a" * 40, how="release v1", source="store", shared_examples=300, shared_share=1.0)
    against = AgainstBaseline(name="v1", baseline=release, verdict=None, comparisons=[])
    joined = also.must_hold(decided(), RULES, against, found)
    assert joined.is_open is is_open
    (rule,) = joined.rules
    assert (rule.rule, rule.against) == ("accuracy on no slice of 'country' worse than v1 by more than 0.03", "v1")
    assert ("against v1, accuracy by country is worse" in joined.headline) is not is_open
