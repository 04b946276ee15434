"""Which edits of a contract's short form let pass what did not pass before."""

from __future__ import annotations

import pytest

from mlgate import config
from mlgate.config import ContractConfig
from mlgate.contracts.short_form_changes import compare
from support import MINIMAL_CONFIG


def entry(rules: str) -> ContractConfig:
    text = f"{MINIMAL_CONFIG}data: {{contracts: [{{data: d.csv, {rules}}}]}}\n"
    return config.parse(text.encode(), "mlgate.yaml").data.contracts[0]


@pytest.mark.parametrize(
    ("stricter", "laxer", "name", "before", "after"),
    [
        ("columns: {a: {}, b: {}}", "columns: {a: {}}", "columns.b", "asked for", None),
        ("columns: {a: {type: integer}}", "columns: {a: {}}", "columns.a.type", "integer", None),
        ("columns: {a: {type: integer}}", "columns: {a: {type: number}}", "columns.a.type", "integer", "number"),
        ("columns: {a: {}}", "columns: {a: {nullable: true}}", "columns.a.nullable", "false", "true"),
        ("columns: {a: {}}", "columns: {a: {required: false}}", "columns.a.required", "true", "false"),
        ("columns: {a: {unique: true}}", "columns: {a: {}}", "columns.a.unique", "true", "false"),
        ("columns: {a: {range: [0, 120]}}", "columns: {a: {range: [0, 200]}}", "columns.a.range", "0..120", "0..200"),
        ("columns: {a: {range: [0, 120]}}", "columns: {a: {range: [-1, 120]}}", "columns.a.range", "0..120", "-1..120"),
        ("columns: {a: {range: [0, 120]}}", "columns: {a: {range: [0, null]}}", "columns.a.range", "0..120", "from 0"),
        ("columns: {a: {range: [0, 120]}}", "columns: {a: {range: [null, 120]}}", "columns.a.range", "0..120", "up to 120"),
        ("columns: {a: {range: [0, 120]}}", "columns: {a: {}}", "columns.a.range", "0..120", None),
        (
            "columns: {a: {range: [2026-01-01, null]}}",
            "columns: {a: {range: [2025-12-31, null]}}",
            "columns.a.range",
            "from 2026-01-01",
            "from 2025-12-31",
        ),
        ("columns: {a: {in: [x, y]}}", "columns: {a: {in: [x, y, z]}}", "columns.a.in", "x, y", "x, y, z"),
        ("columns: {a: {in: [1]}}", "columns: {a: {in: [1, true]}}", "columns.a.in", "1", "1, true"),
        ("columns: {a: {in: [x]}}", "columns: {a: {}}", "columns.a.in", "x", None),
        ("columns: {a: {not_in: [x, y]}}", "columns: {a: {not_in: [x]}}", "columns.a.not_in", "x, y", "x"),
        ("columns: {a: {pattern: a}}", "columns: {a: {}}", "columns.a.pattern", "a", None),
        ("columns: {a: {length: [1, 3]}}", "columns: {a: {length: [1, 4]}}", "columns.a.length", "1..3", "1..4"),
        ("columns: {a: {references: 'o.csv:a'}}", "columns: {a: {}}", "columns.a.references", "o.csv:a", None),
        ("columns: {a: {fresh: 7d}}", "columns: {a: {fresh: 8d}}", "columns.a.fresh", "7d", "8d"),
        ("columns: {a: {fresh: 7d}}", "columns: {a: {}}", "columns.a.fresh", "7d", None),
        ("columns: {a: {}}", "columns: {a: {level: warn}}", "columns.a.level", "fail", "warn"),
        ("columns: {a: {}}", "columns: {a: {}}, level: warn", "level", "fail", "warn"),
        ("rows: [5, 9]", "rows: [4, 9]", "rows", "5..9", "4..9"),
        ("columns: {a: {}}, rows: [5, 9]", "columns: {a: {}}", "rows", "5..9", None),
        ("columns: {a: {}}, other_columns: refuse", "columns: {a: {}}", "other_columns", "refuse", "allow"),
        ("columns: {a: {}}, unique: [[a, b]]", "columns: {a: {}}", "unique (a, b)", "asked for", None),
        ("columns: {a: {}}, expressions: ['a < 1']", "columns: {a: {}}", "expressions 'a < 1'", "asked for", None),
    ],
)
def test_what_loosens_a_rule_is_a_weakening_and_its_reverse_is_none(
    stricter: str, laxer: str, name: str, before: str | None, after: str | None
) -> None:
    [change] = compare(entry(stricter), entry(laxer))
    assert (change.name, change.old, change.new, change.is_weakening) == (name, before, after, True)
    [change] = compare(entry(laxer), entry(stricter))
    assert (change.name, change.old, change.new, change.is_weakening) == (name, after, before, False)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("columns: {a: {range: [0, 9]}}", "columns: {a: {range: [1, 10]}}", "columns.a.range"),
        ("columns: {a: {range: [0, 9]}}", "columns: {a: {range: [a, b]}}", "columns.a.range"),
        ("columns: {a: {in: [x, y]}}", "columns: {a: {in: [x, z]}}", "columns.a.in"),
        ("columns: {a: {pattern: a}}", "columns: {a: {pattern: b}}", "columns.a.pattern"),
        ("columns: {a: {type: date}}", "columns: {a: {type: string}}", "columns.a.type"),
        ("columns: {a: {references: 'o.csv:a'}}", "columns: {a: {references: 'o.csv:b'}}", "columns.a.references"),
    ],
)
def test_what_can_be_compared_in_no_direction_weakens_in_both(one: str, other: str, name: str) -> None:
    for before, after in ((one, other), (other, one)):
        assert [(change.name, change.is_weakening) for change in compare(entry(before), entry(after))] == [(name, True)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("columns: {a: {in: [x, y]}}", "columns: {a: {in: [y, x]}}"),
        ("columns: {a: {range: [0, 1]}}", "columns: {a: {range: [0.0, 1.0]}}"),
        ("columns: {a: {}}, expressions: ['a<1 and b >2']", "columns: {a: {}}, expressions: ['a < 1  and b > 2']"),
        ("columns: {a: {}}, unique: [[a, b]]", "columns: {a: {}}, unique: [[b, a]]"),
        ("columns: {a: {}, b: {}}", "columns: {b: {}, a: {}}"),
        ("columns: {a: {fresh: 7d}}", "columns: {a: {fresh: 168h}}"),
    ],
)
def test_another_spelling_is_no_change(one: str, other: str) -> None:
    assert compare(entry(one), entry(other)) == []


def test_a_column_that_is_asked_for_now_lets_tables_in_that_were_refused_for_it() -> None:
    [change] = compare(entry("columns: {a: {}}, other_columns: refuse"), entry("columns: {a: {}, b: {}}, other_columns: refuse"))
    assert (change.name, change.is_weakening) == ("columns.b", True)
    [change] = compare(entry("columns: {a: {}}"), entry("columns: {a: {}, b: {}}"))
    assert (change.name, change.is_weakening) == ("columns.b", False)


def test_fewer_columns_that_must_differ_together_ask_more() -> None:
    for now in ("columns: {c: {}}, unique: [[a]]", "columns: {c: {}, a: {unique: true}}"):
        assert not any(change.is_weakening for change in compare(entry("columns: {c: {}}, unique: [[a, b]]"), entry(now)))
    assert any(change.is_weakening for change in compare(entry("unique: [[a, b]]"), entry("unique: [[a, c]]")))
