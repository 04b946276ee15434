"""What reaches a terminal or a log: nothing that could move the cursor, turn text around or command the runner."""

from __future__ import annotations

import io
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate.console import Console, plain, workflow_command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\nc\td", "a b c d"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("a\u2028b\u2029c\x85d", "a b cd"),
        ("null\0byte\x08", "nullbyte"),
        ("naïve 数 ☃", "naïve 数 ☃"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("x ##[add-mask]y", "x # [add-mask]y"),
        ("####[error]", "# [error]"),
        ("issue #7 [done]", "issue #7 [done]"),
    ],
)
def test_text_of_unknown_origin_is_made_harmless(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
@example("##\x1b[0m[error]")
@example("#\x1b\x1b[0m#[error]")
def test_plain_text_is_one_printable_line_without_commands(text: str) -> None:
    shown = plain(text)

    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert "##[" not in shown
    shown.encode()
    assert plain(shown) == shown


def unescaped(value: str) -> str:
    """As the runner reads it back (actions/runner, ActionCommand)."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(code, character)
    return value


@given(st.text(), st.text(min_size=1))
@example("a%0Ab", "x")
@example("\n::set-output name=x::y", "::,file=/etc/passwd")
def test_a_workflow_command_carries_any_text_and_starts_no_other(message: str, file: str) -> None:
    command = workflow_command("error", message, file=file, line=3)

    assert "\n" not in command
    assert "\r" not in command
    parts = re.fullmatch(r"::error file=([^:,]*),line=3::(.*)", command, flags=re.DOTALL)
    assert parts is not None
    assert unescaped(parts[1]) == file
    assert unescaped(parts[2]) == message


def test_a_command_without_properties() -> None:
    assert workflow_command("notice", "hello: world, all") == "::notice::hello: world, all"


def test_what_is_over_at_once_is_not_reported_as_progress() -> None:
    stream = io.StringIO()
    with Console(stream).progress("pulling"):
        pass

    assert stream.getvalue() == ""


def test_what_takes_longer_says_so_and_what_it_is_at() -> None:
    stream = io.StringIO()
    with Console(stream, first_after_s=0.02, every_s=0.02).progress("pulling data") as progress:
        progress.say("3 of 7\x1b[2J files\n")
        time.sleep(0.1)

    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 6
    assert re.fullmatch(r"  … pulling data, \d s, 3 of 7 files", lines[0])


def test_progress_ends_with_its_step_also_when_that_fails() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="broken"), Console(stream, first_after_s=0.01, every_s=0.01).progress("x"):
        raise ValueError("broken")
    shown = stream.getvalue()
    time.sleep(0.05)

    assert stream.getvalue() == shown
