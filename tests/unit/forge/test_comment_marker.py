"""The hidden line by which a comment is known again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.forge.comments import Marker

COMMIT = "4f1c" * 10


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True),
    run_id=st.integers(0, 10**15),
    attempt=st.integers(1, 1000),
    rest=st.text(),
)
def test_what_was_written_is_read_again_whatever_follows(name: str, run_id: int, attempt: int, rest: str) -> None:
    marker = Marker(name, run_id, attempt, COMMIT)
    assert Marker.of(f"{marker.line}\n{rest}") == marker
    assert Marker.of(f"{marker.line}\r\n{rest}") == marker


@given(body=st.text())
def test_any_other_text_is_no_marker(body: str) -> None:
    assert Marker.of(body) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "> <!-- mlgate:digits run=1 attempt=1 commit= -->\nquoted",
        "\n<!-- mlgate:digits run=1 attempt=1 commit= -->",
        "<!-- mlgate:digits run=1 attempt=1 commit= --> and more",
        "<!-- mlgate:digits run=-1 attempt=1 commit= -->",
        "<!-- mlgate:digits run=99999999999999999999999 attempt=1 commit= -->",
        "<!-- mlgate:digits -->",
    ],
)
def test_a_quoted_altered_or_incomplete_marker_is_none(body: str) -> None:
    assert Marker.of(body) is None


@pytest.mark.parametrize(("name", "commit"), [("a --> b", COMMIT), ("digits\n", COMMIT), ("", COMMIT), ("digits", "HEAD")])
def test_a_marker_cannot_be_made_to_end_early(name: str, commit: str) -> None:
    with pytest.raises(ValueError, match="fit for a marker"):
        Marker(name, 1, 1, commit)


def test_runs_are_ordered_by_id_then_attempt() -> None:
    orders = [Marker("digits", run, attempt, "").order for run, attempt in [(9, 1), (9, 2), (10, 1)]]
    assert orders == sorted(orders)
