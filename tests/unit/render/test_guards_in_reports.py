"""Slices under a rule, unprotected ones and remarks, as a reader of the comment meets them."""

from __future__ import annotations

from typing import Any

from mlgate.evidence import BaselineRef, GateFindings, RuleResult, SliceComparison
from mlgate.render import comparison
from mlgate.render.document import Code, Table
from support import decided, guarded_slice


def gate(*slices: SliceComparison, **more: Any) -> GateFindings:
    baseline = BaselineRef(kind="base", commit="a" * 40, how="first parent", source="store", shared_examples=300, shared_share=1.0)
    return decided().model_copy(update={"baseline": baseline, "slices": list(slices), **more})


def text(line: Any) -> str:
    return "".join(span.text if isinstance(span, Code) else str(span) for span in line).replace("\xa0", " ").replace("−", "-")


def cells(found: GateFindings) -> dict[str, str]:
    section = comparison.slices_section(found)
    assert section is not None
    table = next(block for block in section.blocks if isinstance(block, Table))
    return {text(row[0]): text(row[-1]) for row in table.rows}


def test_an_unprotected_slice_is_said_in_its_row_in_the_heading_and_below_the_table() -> None:
    found = gate(guarded_slice("DE", "no worse", -0.01, 0.01), guarded_slice("MT", "cannot tell", -0.2, 0.2, is_unprotected=True))
    assert cells(found) == {"country = DE": "✅ no worse", "country = MT": "⚠️ cannot tell; unprotected"}
    section = comparison.slices_section(found)
    assert section is not None
    assert section.title == "Slices: 2, 1 unprotected"
    assert "1 of 2 guarded slices is unprotected: too few examples to show a loss of the margin." in text(comparison.caption(found))


def test_the_heading_counts_as_unprotected_what_the_line_below_the_table_counts() -> None:
    """A metric that no rule guards on slices cannot leave one of them unprotected."""
    other = guarded_slice("FR", "cannot tell", -0.2, 0.2, is_unprotected=True).model_copy(update={"is_guarded": False})
    found = gate(guarded_slice("DE", "no worse", -0.01, 0.01), guarded_slice("MT", "cannot tell", -0.2, 0.2, is_unprotected=True), other)
    section = comparison.slices_section(found)
    assert section is not None
    assert section.title == "Slices: 3, 1 unprotected"
    assert cells(found)["country = FR"] == "⚠️ cannot tell"
    alone = comparison.slices_section(gate(other))
    assert alone is not None
    assert alone.title == "Slices: 1, 1 unprotected", "without a rule on slices it is told of every metric"


def test_a_slice_that_is_worse_only_by_itself_says_why_it_is_not_called_so() -> None:
    found = gate(guarded_slice("DE", "cannot tell", -0.12, -0.04), guarded_slice("FR", "no worse", -0.01, 0.01))
    assert cells(found)["country = DE"] == "⚠️ cannot tell; worse by itself, which among so many slices is no proof"


def test_remarks_have_a_section_of_their_own_and_none_without() -> None:
    section = comparison.remarks_section(gate(remarks=["The baseline has no predictions on 'noise' to compare with"]))
    assert section is not None
    assert section.title == "Remarks on the comparison: 1"
    assert comparison.remarks_section(gate()) is None


def test_a_limit_on_the_gap_of_a_first_model_was_asked() -> None:
    rule = RuleResult(
        rule="recall gap by sex at most 0.05", metric="recall gap by sex", is_passed=True, is_warning=True, reason="cannot tell"
    )
    asked = comparison.rules_table(decided().model_copy(update={"is_first_model": True, "rules": [rule]}))
    assert asked is not None
    assert "holds, with a warning" in text(asked.rows[0][1])
