"""What `mlgate run` prints at its end: aligned, in colour only for a person, and never a command to a runner."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mlgate.config import ReportConfig
from mlgate.render import terminal, view
from mlgate.render.document import ReportView
from report_cases import CASES, HOSTILE, hostile


def built(case: str) -> ReportView:
    return view.build(CASES[case](), model="digits", report=ReportConfig())


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("better", "✓ digits: may be merged — better than the baseline"),
        ("worse", "✗ digits: must not be merged — worse than the baseline"),
        ("cannot_tell", "! digits: may be merged — the holdout cannot tell it from the baseline"),
        ("broken_contract", "✗ digits: must not be merged — the data breaks its contract; nothing was trained"),
    ],
)
def test_the_first_line_is_the_verdict(case: str, line: str) -> None:
    assert terminal.summary(built(case), is_coloured=False).split("\n")[0] == line


def test_the_table_is_aligned_and_the_page_is_named() -> None:
    lines = terminal.summary(built("worse"), "/tmp/x/report.html", is_coloured=False).split("\n")
    table = [line for line in lines if "●" in line]
    assert len(table) == 3
    assert len({line.index("─") for line in table}) == 1
    assert lines[-2] == "  Report: /tmp/x/report.html"


def test_a_failed_check_shows_the_end_of_its_output() -> None:
    text = terminal.summary(built("failed_check"), is_coloured=False)
    assert "  ✗ pytest -q failed with exit code 1 after 2.2 s\n    ____ test_scaling ____\n    E   AssertionError" in text


def test_no_line_of_a_hostile_repository_is_a_command_or_an_escape_sequence() -> None:
    shown = view.build(hostile(), model="digits", report=ReportConfig(title=HOSTILE, examples=True))
    for line in terminal.summary(shown, HOSTILE, is_coloured=False).split("\n"):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "\x1b" not in line
        assert "\u202e" not in line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "is_coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),  # https://no-color.org: only when not empty
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_a_person_who_has_not_declined_it(stream: Any, environ: dict[str, str], is_coloured: bool) -> None:
    assert terminal.wants_colour(stream, environ) == is_coloured
    text = terminal.summary(built("better"), is_coloured=is_coloured)
    assert ("\x1b[" in text) == is_coloured
