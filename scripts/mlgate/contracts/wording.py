"""Broken rules as sentences a person reads: `age not in 0..120 in 3 of 14,998 rows (17, 904, 11350)`."""

from __future__ import annotations

import re

from mlgate.evidence import BrokenRule, ContractFindings

_SHOWN_ROWS = 3
_MAX_LIST_LENGTH = 80
_NUMBER = r"(-?[\w.:+-]+)"
_SENTENCES = (
    (rf"in_range\({_NUMBER}, {_NUMBER}\)", "not in {0}..{1}"),
    (rf"(?:greater_than|gt)\({_NUMBER}\)", "not above {0}"),
    (rf"(?:greater_than_or_equal_to|ge)\({_NUMBER}\)", "below {0}"),
    (rf"(?:less_than|lt)\({_NUMBER}\)", "not below {0}"),
    (rf"(?:less_than_or_equal_to|le)\({_NUMBER}\)", "above {0}"),
    (r"isin\((.*)\)", "not one of {0}"),
    (r"notin\((.*)\)", "one of {0}"),
    (r"str_matches\((.*)\)", "not matching {0}"),
    (r"not nullable", "missing"),
    (r"unique", "not unique"),
    (r"unique \((.*)\)", "{0} not unique together"),
    (r"dtype (.*), found (.*)", "is {1}, not {0}"),
    (r"column missing", "is not there"),
    (r"column not in the contract", "is not in the contract"),
    (r"no column matches", "matches no column"),
    (r"column out of order", "is not in its place"),
    (r"column names unique", "two columns have one name"),
)


def sentence(rule: BrokenRule, total: int) -> str:
    """What is wrong, where, and how often.

    Args:
        rule: the broken rule.
        total: rows of the table.
    """
    said = _said(rule.rule)
    about = f"{rule.column} {said}" if rule.column is not None else said
    if not rule.rows:
        return about
    shown = ", ".join(str(row) for row in rule.row_numbers[:_SHOWN_ROWS])
    more = ", …" if rule.rows > _SHOWN_ROWS else ""
    return f"{about} in {rule.rows:,} of {total:,} rows ({shown}{more})"


def summary(findings: ContractFindings) -> str:
    """A contract's result in one line."""
    if findings.is_passed:
        return f"{findings.data} keeps its contract: {findings.rows:,} rows, {findings.columns} columns"
    more = len(findings.broken) - 1
    others = f", and {more} more broken {'rule' if more == 1 else 'rules'}" if more else ""
    return f"{findings.data} breaks its contract: {sentence(findings.broken[0], findings.rows)}{others}"


def _said(rule: str) -> str:
    for pattern, words in _SENTENCES:
        if match := re.fullmatch(pattern, rule):
            return words.format(*(_shortened(group) for group in match.groups()))
    return f"fails {rule}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LIST_LENGTH else text[: _MAX_LIST_LENGTH - 1] + "…"
