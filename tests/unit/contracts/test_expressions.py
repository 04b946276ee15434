"""The language of `expressions`: what it reads, what it refuses and where, and which types fit together."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config.expressions import (
    MAX_LENGTH,
    And,
    Comparison,
    Constant,
    ExpressionError,
    Kind,
    UnknownColumnError,
    columns,
    parse,
    resolve,
)

KINDS: Mapping[str, Kind | None] = {
    "a": "integer", "b": "number", "name": "string", "ok": "boolean", "day": "date", "at": "datetime", "empty": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "a <= b",
        "abs(a - b - 3) < 0.01",
        "0 <= a <= 120",
        "name in ['x', 'y'] or ok",
        "name not in ('x',)",
        "not (a == 3 and b != 2)",
        "is_missing(a) or a // 2 * 2 == a",
        "min(a, b) <= max(a, 3)",
        "length(name) > 2 and lower(name) == 'x'",
        "day <= at and day >= '2026-01-31' and at < '2026-01-31T08:30:00+02:00'",
        "year(day) == 2026 and month(at) in [1, 2] and day(day) < 31 and hour(at) < 12",
        "days_between(day, at) <= 30 and days_between('2026-01-01', day) > 0",
        "ok == true and ok != false",
        "-a < -3",
        "empty > 3 and length(empty) == 2 and year(empty) > 3",
    ],
)
def test_what_the_language_has_is_read_and_gives_yes_or_no(text: str) -> None:
    assert resolve(parse(text), KINDS).kind == "boolean"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an expression such as 'start <= end', got nothing"),
        ("a = b", "cannot be read at character 3; equal is '=='"),
        ("a > 1 && b > 2", "cannot be read at character 8; write 'and', 'or'"),
        ("a > 1 AND b > 2", "cannot be read at character 7; 'and', 'or', 'not' and 'in' are small letters"),
        ("total amount > 1", "cannot be read at character 7; a column whose name is more than letters, digits and '_' is column('…')"),
        ("lenght(name) > 3", "no function 'lenght', at character 1; did you mean 'length'?"),
        ("abs(a, b) > 3", "abs at character 1: expected abs(number)"),
        ("abs(*a) > 3", "abs at character 1: expected abs(number)"),
        ("column(a) > 3", "column at character 1: expected the name of a column in quotes, column('total amount')"),
        ("is_missing(a + 1)", "is_missing at character 1: expected a column"),
        ("a == None", "'None' at character 6: a missing cell is is_missing(column)"),
        ("a is b", "'is' after character 1: equal is '==', and a missing cell is is_missing(column)"),
        ("a in b", "after 'in' at character 6: expected a list of values such as ['a', 'b']"),
        ("a in [b]", "after 'in' at character 7: expected a value such as 'a' or 3"),
        ("a < 1e999", "the number at character 5 has more digits than data can have"),
        ("a > 1 # more", "'#' begins a comment of YAML's, not of an expression; leave it out"),
        ("1 < 2", "names no column; a text stands in quotes, a column does not"),
        ("a < \0", "cannot be read"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x') == 0",
        "a.real > 1",
        "(lambda: a)() > 1",
        "[x for x in a] == b",
        "a if b else 1",
        "a[0] > 1",
        "f'{a}' == 'x'",
        "(a := 3) > 1",
        "a ** 99999999 > 1",
        "a << 9999999999 > 1",
        "b'x' == a",
        "...  == a",
        "1j == a",
        "{'x': a} == 1",
        "open('x') == a",
        "print(a) == 1",
        "abs(x=a) > 1",
    ],
)
def test_nothing_of_python_runs_that_the_language_does_not_have(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_length_and_depth_have_limits() -> None:
    for text in ("a" * (MAX_LENGTH + 1), "-" * 300 + "a > 1", "(" * 240 + "a" + ")" * 240 + " > 1", " + ".join(["a"] * 120) + "> 1"):
        with pytest.raises(ExpressionError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a < name", "'<' at character 1 compares what cannot be compared: 'a' is a whole number, 'name' is text"),
        ("a == '3'", "'==' at character 1 compares what cannot be compared: 'a' is a whole number, '3' is text"),
        ("ok == 1", "'==' at character 1 compares what cannot be compared: 'ok' is a yes/no value, '1' is a whole number"),
        ("name in ['x', 3]", "'in' at character 1 compares what cannot be compared: 'name' is text, '3' is a whole number"),
        ("name + 1 > 2", "'+' is of numbers, and 'name' at character 1 is text"),
        ("at - day < 30", "'-' is of numbers, and 'at' at character 1 is a time; days between two dates are days_between(start, end)"),
        ("day < '31.1.2026'", "'31.1.2026' at character 7 is no date; expected one such as '2026-01-31'"),
        ("ok < ok", "'<' at character 1: yes/no values have no order; use == or !="),
        ("a and ok", "'and' is of comparisons, and 'a' at character 1 is a whole number"),
        ("not name", "'not' is of comparisons, and 'name' at character 5 is text"),
        ("length(a) > 1", "length is of text, and 'a' at character 8 is a whole number"),
        ("hour(day) > 1", "hour is of a time, and 'day' at character 6 is a date"),
        ("min(name, name) == 'x'", "min at character 1 is of numbers or dates"),
        ("a + 1", "gives a number; expected a comparison, which is true or false"),
        ("lst == 1", "column 'lst' is of a type that no expression can be about"),
        ("nane == 'x'", "no column 'nane'; did you mean 'name'?"),
    ],
)
def test_types_are_never_turned_into_one_another(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        resolve(parse(text), KINDS, unusable={"lst"})
    assert str(caught.value) == message


def test_before_the_data_is_seen_other_columns_fit_everywhere() -> None:
    assert resolve(parse("other > a and other == 'x'"), KINDS, is_closed=False).kind == "boolean"
    with pytest.raises(UnknownColumnError):
        resolve(parse("other > a"), KINDS)


def test_a_column_keeps_its_name_to_the_letter() -> None:
    # Python would compose these anew, and look for another column.
    assert columns(parse("ﬁeld == 1 and column(' total \"amount\"') > 2 and ﬁeld < 3")) == ["ﬁeld", ' total "amount"']


def test_several_comparisons_in_a_row_are_all_of_them() -> None:
    tree = parse("0 <= a < 9")
    assert isinstance(tree, And)
    assert [(part.sign, part.right) for part in tree.parts if isinstance(part, Comparison)][1] == ("<", Constant(9))


def test_blanks_do_not_make_another_expression() -> None:
    assert parse("a<=b") == parse("a  <=\n b")
    assert parse("a<=b") != parse("a<b")


@given(st.text(max_size=80) | st.text("ab01 ()[]<>=!+-*/%'\"._,:#\\", max_size=80))
def test_any_text_is_an_expression_or_refused_in_one_line(text: str) -> None:
    try:
        resolve(parse(text), KINDS)
    except ExpressionError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 -- either outcome is right
