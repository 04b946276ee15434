"""Broken rules as sentences."""

from __future__ import annotations

import pytest

from mlgate.contracts import wording
from mlgate.evidence import BrokenRule, ContractFindings


def rule(text: str, *, column: str | None = "age", rows: int = 3) -> BrokenRule:
    return BrokenRule(column=column, rule=text, rows=rows, share=rows / 14998, row_numbers=[17, 904, 11350, 12000][:rows])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("in_range(0, 120)", "age not in 0..120"),
        ("in_range(-1.5, 1e3)", "age not in -1.5..1e3"),
        ("greater_than(0)", "age not above 0"),
        ("greater_than_or_equal_to(0)", "age below 0"),
        ("less_than(3)", "age not below 3"),
        ("less_than_or_equal_to(3)", "age above 3"),
        ("isin(['a', 'b'])", "age not one of ['a', 'b']"),
        ("not nullable", "age missing"),
        ("unique", "age not unique"),
        ("is {0} odd", "age fails is {0} odd"),
    ],
)
def test_a_rule_reads_as_what_is_wrong(text: str, said: str) -> None:
    assert wording.sentence(rule(text), 14998) == f"{said} in 3 of 14,998 rows (17, 904, 11350)"


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("dtype int64, found str", "age", "age is str, not int64"),
        ("column missing", "age", "age is not there"),
        ("column not in the contract", "age", "age is not in the contract"),
        ("low above high", None, "fails low above high"),
    ],
)
def test_a_rule_about_the_schema_counts_no_rows(text: str, column: str | None, said: str) -> None:
    assert wording.sentence(rule(text, column=column, rows=0), 14998) == said


def test_more_rows_and_more_rules_are_said_to_be_there() -> None:
    findings = ContractFindings(
        data="d.csv", schema_path="s.yaml", is_passed=False, rows=14998, columns=2, broken=[rule("unique", rows=4), rule("x")], duration_s=0
    )
    assert (
        wording.summary(findings)
        == "d.csv breaks its contract: age not unique in 4 of 14,998 rows (17, 904, 11350, …), and 1 more broken rule"
    )


def test_a_long_list_of_allowed_values_is_cut() -> None:
    assert len(wording.sentence(rule(f"isin({list(range(100))})"), 14998)) < 200
