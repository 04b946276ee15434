"""Metric files: nested numbers by dotted names; what is no number is said, what is no finite number is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import InputError
from mlgate.evaluation.metric_files import parse

KEYS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
TREES = st.dictionaries(
    KEYS, st.recursive(st.floats(allow_nan=False, allow_infinity=False), lambda inner: st.dictionaries(KEYS, inner), max_leaves=8)
)


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, child in tree.items():
        found |= flat(child, f"{prefix}{key}.") if isinstance(child, dict) else {prefix + key: child}
    return found


@given(TREES)
def test_nested_numbers_are_joined_by_dots(tree: dict[str, object]) -> None:
    assert parse(json.dumps(tree).encode(), "metrics.json") == (flat(tree), [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.json", b'{"latency": {"p95_ms": 12.5, "unit": "ms"}, "rows": 3, "ok": true, "all": [1, 2]}'),
        ("m.yaml", b"latency: {p95_ms: 12.5, unit: ms}\nrows: 3\nok: true\nall: [1, 2]\n"),
    ],
)
def test_what_is_no_number_is_left_out_and_said(name: str, content: bytes) -> None:
    assert parse(content, name) == ({"latency.p95_ms": 12.5, "rows": 3.0}, ["latency.unit", "ok", "all"])


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("m.json", b'{"a": {"b": NaN}}', "'a.b' is not a finite number"),
        ("m.json", b'{"a": -Infinity}', "'a' is not a finite number"),
        ("m.json", b'{"a": 1' + b"0" * 400 + b"}", "'a' is not a finite number"),
        ("m.yaml", b"a: .nan", "'a' is not a finite number"),
        ("m.json", b'{"a": {"b": 1}, "a.b": 2}', "'a.b' is there twice"),
        ("m.json", b'{"a": 1, "a": 2}', "key 'a' is given twice"),
        ("m.yaml", b"a: 1\na: 2", "key 'a' is given twice"),
        ("m.json", b"[1]", "expected names and numbers"),
        ("m.json", b"", "line 1, column 1: not valid JSON"),
        ("m.json", b"{", "not valid JSON"),
        ("m.json", b'"\xff"', "not UTF-8"),
        ("m.json", b"[" * 200_000, "not valid JSON: nested too deeply"),
        ("m.yaml", b"a: [", "not valid YAML"),
        ("m.json", json.dumps({str(n): n for n in range(1001)}).encode(), "1,001 numbers; expected metrics, at most 1,000 a file"),
        ("m.json", json.dumps({"a" * 201: 1}).encode(), "a key of 201 characters"),
        ("m.json", b" " * 10_000_001, "at most 10,000,000"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(name: str, content: bytes, part: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(content, name)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)
