"""A user's own Markdown stays as it was written, but for its local pictures and what does not fit."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.render import own_markdown
from mlgate.render.own_markdown import Picture


def shown(text: str) -> str:
    return own_markdown.with_pictures(text, lambda picture: f"https://x/{picture.path}", lambda picture: f"[{picture.alt}]")


@pytest.mark.parametrize(
    ("text", "path", "alt"),
    [
        ("![loss](plots/loss.png)", "plots/loss.png", "loss"),
        ("![](./loss.png 'a title')", "./loss.png", ""),
        ("![a [b] c](<my plot.png>)", "my plot.png", "a [b] c"),
        ("![x](my%20plot.png)", "my plot.png", "x"),
        ("![x](loss(1).png)", "loss(1).png", "x"),
        ("|a|![x](loss.png)|", "loss.png", "x"),
        ('<img width=400 src="loss.png" alt="curve">', "loss.png", "curve"),
        ("[plot]: loss.png", "loss.png", ""),
    ],
)
def test_a_local_picture_is_found_however_it_is_written(text: str, path: str, alt: str) -> None:
    assert own_markdown.pictures(text) == [Picture(path, alt)]
    assert f"https://x/{path}" in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://example.org/x.png)",
        "![x](//example.org/x.png)",
        "![x](data:text/html;base64,AAAA)",
        "![x]()",
        "[no picture](loss.png)",
        "`![x](loss.png)`",
        "``a ` ![x](loss.png)``",
        "```\n![x](loss.png)\n```",
        "~~~ md\n![x](loss.png)\n```\n![x](loss.png)\n~~~",
        '<img src="https://example.org/x.png">',
        "[plot]: https://example.org/x.png",
        "[page]: report.html",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert own_markdown.pictures(text) == []
    assert shown(text) == text


def test_a_picture_without_an_address_is_named_in_its_place() -> None:
    changed = own_markdown.with_pictures("a ![loss](l.png) b", lambda _: None, lambda picture: f"({picture.alt} left out)")
    assert changed == "a (loss left out) b"


def test_a_picture_after_a_code_block_is_found() -> None:
    assert own_markdown.pictures("```python\nx = 1\n```\n\n![x](loss.png)") == [Picture("loss.png", "x")]


@given(st.text(alphabet="ab!()[]<>`~ \n\"'\\.:/png", max_size=200))
def test_a_text_without_local_pictures_comes_back_as_it_was(text: str) -> None:
    if not own_markdown.pictures(text):
        assert shown(text) == text


@given(st.text(alphabet="a`~ \n<>/details", min_size=0, max_size=3000), st.integers(600, 1200))
def test_a_cut_never_is_too_long_nor_leaves_a_code_block_open(text: str, limit: int) -> None:
    cut = own_markdown.cut(text, limit, "cut here")
    assert len(cut) <= max(limit, 0)
    assert cut == text or cut.endswith("\ncut here\n")


def test_a_cut_in_a_code_block_in_a_fold_closes_both() -> None:
    text = "# t\n<details>\n<summary>s</summary>\n\n````text\n" + "line\n" * 1000 + "````\n</details>\n"
    cut = own_markdown.cut(text, 1000, "cut here")
    assert re.search(r"line\n````\n\n</details>\n\ncut here\n$", cut)


@pytest.mark.parametrize(
    "text",
    [
        "![" * 100_000,
        "x" + "`" * 100_001,
        " ".join("`" * length for length in range(1, 1000)),
        "<img " * 100_000,
        "![a](" * 50_000,
        '<img src="' * 50_000,
        "![x](a" + "(" * 50_000,
        "![" + "[a]" * 50_000,
        "[" + "]: " * 100_000,
    ],
    ids=["openings", "backticks", "runs of backticks", "elements", "addresses", "attributes", "brackets", "nested", "definitions"],
)
def test_a_text_made_to_be_slow_is_not_and_comes_back_as_it_was(text: str) -> None:
    started = time.monotonic()
    assert own_markdown.pictures(f"{text}\n![loss](l.png)") == [Picture("l.png", "loss")]
    assert shown(text) == text
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`![a](a.png)` ![b](b.png)", ["b.png"]),
        ("``![a](a.png)` `` ![b](b.png)", ["b.png"]),
        ("`` ` ``![b](b.png)`", ["b.png"]),
        ("x ``` ![b](b.png)", ["b.png"]),
        ("![the `loss`](b.png) `![a](a.png)`", ["b.png"]),
    ],
)
def test_only_what_stands_in_code_is_passed_over(text: str, expected: list[str]) -> None:
    assert [picture.path for picture in own_markdown.pictures(text)] == expected
