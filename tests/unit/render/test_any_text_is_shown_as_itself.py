"""Whatever a name or a message holds: in Markdown and in CI logs it is text, all of it and nothing else."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgate.console import plain, workflow_command
from mlgate.render import escape

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SIGNS = st.sampled_from("|`*_[]()<>!&@#:;/\\~$\"'-+=.0123456789\r\n\t \u202e\u200b\x1b[aZgGhHmw")
ANY_TEXT = st.text(SIGNS, max_size=60) | st.text(max_size=40)
ONLY_TEXT = {"text", "code_inline", "text_special"}
MOVES_OR_HIDES_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@given(ANY_TEXT, st.sampled_from([escape.text, escape.code]))
@settings(deadline=None, max_examples=400)
def test_in_a_table_cell(value: str, shown_by) -> None:
    tokens = RENDERER.parse(f"| a | b |\n|---|---|\n| {shown_by(value)} | end |\n")
    cells = [tokens[index + 1] for index, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert cells[1].content == "end"
    inline = cells[0].children or []
    assert {token.type for token in inline} <= ONLY_TEXT
    shown = "".join(token.content for token in inline)
    limit = escape.SENTENCE_LIMIT if shown_by is escape.text else escape.CELL_LIMIT
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", escape.clean(value, limit))


@given(ANY_TEXT)
@settings(deadline=None, max_examples=400)
def test_in_a_paragraph(value: str) -> None:
    tokens = RENDERER.parse(escape.text(value))
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    assert {inner.type for token in tokens for inner in token.children or []} <= ONLY_TEXT


@given(ANY_TEXT)
def test_what_github_links_or_notifies_by_is_only_in_code(value: str) -> None:
    [inline] = [token for token in RENDERER.parse(f"x {escape.text(value, is_line_start=False)}") if token.type == "inline"]
    outside = "".join(token.content for token in inline.children or [] if token.type != "code_inline")
    assert not re.search(r"@\w|#\d|://|www\.", outside)


@given(ANY_TEXT)
def test_on_a_line_of_a_log(value: str) -> None:
    line = plain(value)
    assert not MOVES_OR_HIDES_TEXT.search(line)
    assert not line.lstrip().startswith("::")
    assert "##[" not in line


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_in_an_annotation(message: str, path: str, title: str) -> None:
    command = workflow_command("error", plain(message), file=path, title=title)
    assert "\n" not in command
    assert "\r" not in command
    properties = re.fullmatch(r"::error ((?:\w+=[^,:]*,?)*)::.*", command)
    assert properties
    assert [pair.partition("=")[0] for pair in properties[1].split(",")] == ["file", "title"]
