"""What an engine says of a table and a contract; every engine gives the same, to the last digit."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlgate.evidence import BrokenRule

SHOWN_ROWS = 10
_MAX_RULE_LENGTH = 300
_MAX_VALUE_LENGTH = 100


@dataclass(frozen=True)
class Answer:
    """Every broken rule of a contract, in the contract's order."""

    rows: int
    columns: int
    broken: list[BrokenRule]
    """Of rules whose level is `fail`: one of these, and the contract is broken."""
    warned: list[BrokenRule] = field(default_factory=list)
    """Of rules whose level is `warn`."""
    notes: list[str] = field(default_factory=list)
    """For the report, a sentence each: what ran elsewhere, why, and what it cost."""


def by_rows(
    column: str | None, text: str, *, count: int, total: int, row_numbers: list[int], values: list[object] | None = None
) -> BrokenRule:
    """A rule that rows break.

    Args:
        column: None for a rule about whole rows.
        text: the rule in words, as `Rule.text`.
        count: how many rows break it, exactly.
        total: rows of the table.
        row_numbers: the first of them in the order of the file, counted from 0; at most `SHOWN_ROWS` are kept.
        values: what stands there, None where it may not be told.
    """
    return BrokenRule(
        column=column,
        rule=_shortened(text, _MAX_RULE_LENGTH),
        rows=count,
        share=count / total if total else 0.0,
        row_numbers=row_numbers[:SHOWN_ROWS],
        values=None if values is None else [_shortened(" ".join(str(value).split()), _MAX_VALUE_LENGTH) for value in values[:SHOWN_ROWS]],
    )


def by_schema(column: str | None, text: str) -> BrokenRule:
    """A rule that the table breaks as such: a column is missing, or of another type."""
    return BrokenRule(column=column, rule=_shortened(text, _MAX_RULE_LENGTH), rows=0, share=0.0, row_numbers=[])


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
