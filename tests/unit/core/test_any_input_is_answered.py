"""Whatever a configuration, an evidence file or a name holds: a value, or one plain error; never a traceback or broken Markdown."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlgate import config, evidence
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.render import escape
from support import MINIMAL_CONFIG

FULL = yaml.safe_load((Path(__file__).resolve().parents[3] / "examples/digits/mlgate.yaml").read_text())
MOVES_OR_HIDES_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3))
RENDERER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])


def answered(text: bytes) -> None:
    refused = ""
    try:
        assert isinstance(config.parse(text, "mlgate.yaml"), config.Config)
    except InputError as error:
        refused = str(error)
    for line in refused.splitlines():
        assert line.startswith("mlgate.yaml: ")
        assert len(line) < 600
        assert not MOVES_OR_HIDES_TEXT.search(plain(line))  # as it is shown


@given(st.binary(max_size=200))
def test_any_bytes_as_configuration(content: bytes) -> None:
    answered(content)


@given(VALUES)
@settings(deadline=None)
def test_any_document_as_configuration(document: Any) -> None:
    answered(yaml.safe_dump(document, allow_unicode=True).encode(errors="surrogatepass"))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@given(data=st.data())
@settings(deadline=None)
def test_a_good_configuration_with_anything_in_one_place(data: st.DataObject) -> None:
    document = copy.deepcopy(FULL)
    *way, last = data.draw(st.sampled_from(places(FULL)[1:]))
    target = document
    for key in way:
        target = target[key]
    target[last] = data.draw(VALUES)
    answered(yaml.safe_dump(document, allow_unicode=True).encode(errors="surrogatepass"))


def evidence_of_check() -> dict[str, Any]:
    parsed = config.parse(MINIMAL_CONFIG.encode(), "mlgate.yaml")
    return {
        "schema_version": 1,
        "mlgate_version": "0.1.0",
        "stage": "check",
        "model": parsed.model,
        "status": "passed",
        "summary": "1 test passed",
        "subject": {"commit": "a" * 40, "is_dirty": False, "config_sha256": "0" * 64, "run": None, "data": []},
        "started_at": "2026-11-21T12:00:00Z",
        "duration_s": 1.5,
        "findings": {"commands": [{"command": "pytest", "exit_code": 0, "duration_s": 1.0}]},
        "exit_code": 0,
        "files": [{"path": "files/check.log", "sha256": "1" * 64, "size_bytes": 3}],
    }


def test_the_evidence_that_is_varied_below_is_evidence() -> None:
    assert evidence.parse(json.dumps(evidence_of_check()).encode(), "check", "check.json").status == "passed"


def believed_or_refused(content: bytes, stage: str) -> None:
    refused = ""
    try:
        assert evidence.parse(content, stage, f"{stage}.json").stage == stage
    except InputError as error:
        refused = str(error)
    assert not refused or refused.startswith(f"{stage}.json: ")
    assert "\n" not in refused


@pytest.mark.parametrize("stage", evidence.STAGES)
@given(content=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None, max_examples=30)
def test_any_bytes_as_evidence(stage: str, content: bytes) -> None:
    believed_or_refused(content, stage)


@given(data=st.data())
@settings(deadline=None)
def test_good_evidence_with_anything_in_one_place(data: st.DataObject) -> None:
    document = evidence_of_check()
    *way, last = data.draw(st.sampled_from(places(evidence_of_check())[1:]))
    target: Any = document
    for key in way:
        target = target[key]
    target[last] = data.draw(VALUES)
    believed_or_refused(json.dumps(document).encode(), "check")


SIGNS = st.sampled_from("|`*_[]()<>!&@#:/\\~$\"'-+=.0123456789\r\n\t \u202e\u200b\x1b[aZgGhH"), max_size=60) | st.text(
    max_size=40
)


@given(HOSTILE)
@settings(deadline=None, max_examples=300)
def test_any_text_in_a_table_cell_stays_one_cell_and_shows_as_itself(value: str) -> None:
    tokens = RENDERER.parse(f"| a | b |\n|---|---|\n| {escape.text(value)} | end |\n")
    cells = [tokens[index + 1] for index, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert cells[1].content == "end"
    inline = cells[0].children or []
    assert {token.type for token in inline} <= {"text", "code_inline", "text_special"}
    shown = "".join(token.content for token in inline)
    assert shown.replace(" ", "") == escape.clean(value, escape.SENTENCE_LIMIT).replace(" ", "")


@given(HOSTILE)
@settings(deadline=None, max_examples=300)
def test_any_text_as_a_paragraph_stays_one_paragraph_of_text(value: str) -> None:
    tokens = RENDERER.parse(escape.text(value))
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    for token in tokens:
        assert {inner.type for inner in token.children or []} <= {"text", "code_inline", "text_special"}
