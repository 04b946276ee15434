"""Commands in comments: which text is one, and who ranks above whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.forge import slash_commands
from mlgate.forge.slash_commands import Misunderstood, Override


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/mlgate override agreed", Override("agreed", None)),
        ("/mlgate  override\tagreed with Bo ", Override("agreed with Bo", None)),
        ("\n/mlgate override agreed\r\nin person\r\n", Override("agreed\nin person", None)),
        ("/mlgate override --model digits agreed", Override("agreed", "digits")),
        ("/mlgate override --model=digits agreed", Override("agreed", "digits")),
        ("/mlgate override the --model is fine", Override("the --model is fine", None)),
        ("/mlgate", "help"),
        ("/mlgate help me", "help"),
        ("/MLGATE override x", None),
        ("/mlgate-override x", None),
        ("thanks! /mlgate override x", None),
        ("", None),
    ],
)
def test_a_command_begins_the_comment(body: str, command: object) -> None:
    assert slash_commands.parse(body) == command


@given(st.text(max_size=300))
def test_any_text_at_all_is_a_command_or_none(text: str) -> None:
    assert not isinstance(slash_commands.parse(text), Override) or text.strip().startswith("/mlgate")
    found = slash_commands.parse(f"/mlgate override {text}")
    assert isinstance(found, Override | Misunderstood)
    if isinstance(found, Override):
        assert 0 < len(found.reason) <= slash_commands.MAX_REASON


def test_each_role_may_what_the_ones_below_may() -> None:
    assert [role for role in slash_commands.ROLES if slash_commands.is_at_least(role, "maintain")] == ["maintain", "admin"]
    assert not slash_commands.is_at_least("owner of everything", "write")
