"""Whatever a repository calls its columns, files and branches: on GitHub it is text, exactly that text, and nothing else."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgate.render import escape
from report_cases import HOSTILE

PARSER = MarkdownIt("gfm-like", {"html": True})
# What GitHub makes links, mentions, emoji and formulas of, in text that stands outside of code.
GITHUB_TRIGGERS = re.compile(
    r"@[a-z\d]|#\d|\bGH-\d|\bGHSA-|\bCVE-|(?<![\da-z])[\da-f]{7,40}(?![\da-z])|:[\w+-]+:|://|\bwww\.|mailto:|xmpp:|\$", re.IGNORECASE
)

marks = st.sampled_from(
    [*"|`*_~<>[]()!@#$&\\:;-+=.'\"/{}^%0aA \n\t\r", "@octocat", "#1", "GH-12", "https://e.example", "www.e.example", ":tada:"]
)
attacks = st.sampled_from(
    ["<b>", "</details>", "<!--", "-->", "&lt;", "&#64;", "```", "\x1b[31m", "\u202e", "\u200b", "\ufe0f", "\u0301" * 9, "1. ", "deadbeef1"]
)
texts = st.lists(st.one_of(marks, attacks, st.text(max_size=4)), max_size=30).map("".join)


def rendered(markdown: str) -> tuple[str, str, list[str]]:
    """Text, text outside of code, and everything that is neither, of Markdown as GitHub would read it."""
    text, outside, other = [], [], []
    for block in PARSER.parse(markdown):
        if block.type == "html_block":
            other.append(block.content)
        for token in block.children or []:
            if token.type == "text":
                text.append(token.content)
                outside.append(token.content)
            elif token.type == "code_inline":
                text.append(token.content)
                outside.append("\x00")
            else:
                other.append(f"{token.type}: {token.content}")
    return "".join(text), "".join(outside), other


@settings(max_examples=400)
@given(texts)
@example(HOSTILE)
@example("a|b\\")
@example("- x")
@example("1. x")
@example("====")
@example("`")
@example("\\`a\\`")
@pytest.mark.parametrize("escaped", [escape.text, escape.code])
def test_text_stays_the_same_text_and_becomes_nothing_else(escaped: object, value: str) -> None:
    assert callable(escaped)
    markdown = escaped(value, 10_000)
    text, outside, other = rendered(markdown)
    assert text == escape.clean(value, 10_000)
    assert other == []
    assert not GITHUB_TRIGGERS.search(outside), outside
    assert [token.type for token in PARSER.parse(markdown)] == (["paragraph_open", "inline", "paragraph_close"] if text else [])


@settings(max_examples=300)
@given(texts, texts)
@example(HOSTILE, HOSTILE)
@example("\\", "|")
def test_a_table_keeps_its_cells(one: str, other: str) -> None:
    markdown = f"|a|b|c|\n|--|--|--|\n|{escape.text(one)}|{escape.code(other)}|end|\n"
    tokens = PARSER.parse(markdown)
    assert sum(token.type == "td_open" for token in tokens) == 3
    assert sum(token.type == "tr_open" for token in tokens) == 2
    cells = [rendered_cell(token.content) for token in tokens if token.type == "inline"][3:]
    assert cells == [escape.clean(one, escape.SENTENCE_LIMIT), escape.clean(other, escape.CELL_LIMIT), "end"]


def rendered_cell(markdown: str) -> str:
    return rendered(markdown)[0] if markdown else ""


@settings(max_examples=300)
@given(texts)
@example(HOSTILE)
def test_a_summary_line_shows_the_text_as_html(value: str) -> None:
    written = escape.summary(value)
    shown = re.sub(r"</?code>", "", written)
    assert not set(shown) & set("<>\"'")
    assert html.unescape(shown) == escape.clean(value, escape.SENTENCE_LIMIT)
    assert not GITHUB_TRIGGERS.search(html.unescape(re.sub(r"<code>.*?</code>", "\x00", written)))


@settings(max_examples=300)
@given(st.text(max_size=200), st.integers(0, 12))
def test_a_log_cannot_close_its_fence(value: str, ticks: int) -> None:
    markdown = f"{escape.block(value + chr(10) + '`' * ticks + chr(10) + '~' * ticks + chr(10) + HOSTILE)}\n\nafter"
    tokens = PARSER.parse(markdown)
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


@settings(max_examples=300)
@given(texts)
@example(HOSTILE)
@example("::error::x")
@example("  ##[error]x")
@example("\u200b::error::x")
def test_a_line_on_standard_output_is_no_workflow_command(value: str) -> None:
    line = escape.log_line(value)
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert "\n" not in line
    assert "\x1b" not in line


@given(texts)
@example('"]\n  bar [1]')
def test_a_mermaid_label_stays_within_its_quotes(value: str) -> None:
    label = escape.mermaid_label(value)
    assert not set(label) & set("\"'`[]{}<>\n#;&|\\%") - {"%"}
    assert len(label) <= 24


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://mlflow.example/#/experiments/3", True),
        ("http://127.0.0.1:5000/x?y=1&z=%20", True),
        ("javascript:alert(1)", False),
        ("https://e.example/)[x](y", False),
        ("https://e.example/ x", False),
        ('https://e.example/"onclick="x', False),
        ("https://e.example/<b>", False),
        ("//e.example", False),
    ],
)
def test_only_plain_web_addresses_become_links(url: str, is_safe: bool) -> None:
    assert (escape.safe_url(url) is not None) == is_safe
    assert ("](<" in escape.link("run 1", url)) == is_safe


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;https://e.example\x07click\x1b]8;;\x07", "click"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "abcde"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("  trimmed  ", "trimmed"),
        ("e\u0301" + "\u0301" * 20, "e" + "\u0301" * 3),
        ("97.2\u00a0%", "97.2\u00a0%"),
        ("⚠️ x", "⚠️ x"),
        ("日本語 Ωμέγα", "日本語 Ωμέγα"),
    ],
)
def test_what_cannot_be_seen_is_gone(value: str, shown: str) -> None:
    assert escape.clean(value, 100) == shown


def test_long_text_is_cut_and_says_so() -> None:
    assert escape.clean("a" * 100, 10) == "a" * 9 + "…"
    assert len(escape.code("b" * 500)) <= escape.CELL_LIMIT + 2


def test_ordinary_names_stay_readable_in_the_raw_comment() -> None:
    assert escape.code("data/train.parquet") == "`data/train.parquet`"
    assert escape.text("accuracy at least 0.9") == "accuracy at least 0.9"
    assert escape.text("f1_macro 95.0 % → 97.2 %, +2.2 (at least 0.9)") == "f1_macro 95.0 % → 97.2 %, +2.2 (at least 0.9)"
    assert escape.text("by @ada in #12") == "by `@ada` in `#12`"
