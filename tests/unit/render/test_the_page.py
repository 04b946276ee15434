"""report.html: one file that asks nothing of anybody, in which a stranger's text stays text; its pictures are the same every time."""

from __future__ import annotations

import html.parser
import re
from typing import Any

import pytest

from mlgate.config import ReportConfig
from mlgate.render import html as page_html
from mlgate.render import plots, view
from mlgate.render.document import Bars, Figure, Histogram, IntervalRow, Intervals, Matrices
from report_cases import CASES, HOSTILE, PULL_REQUEST

VOID = {"meta", "br"}


class Page(html.parser.HTMLParser):
    """Elements, ids, text; every element must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def page(case: str, **report: Any) -> str:
    built = view.build(CASES[case](), model="digits", report=ReportConfig(**report), context=PULL_REQUEST)
    return page_html.page(built, plots.draw(built.figures))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {case: page(case, examples=True, title=HOSTILE if case == "hostile" else None) for case in CASES if case != "thousand_slices"}


def test_every_page_is_well_formed_with_unique_ids(pages: dict[str, str]) -> None:
    for text in pages.values():
        parsed = Page(text)
        assert parsed.open == []
        ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
        assert references <= set(ids)


def test_no_page_asks_for_anything_from_anywhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        parsed = Page(text)
        assert not {tag for tag, _ in parsed.elements} & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image"}
        for tag, attributes in parsed.elements:
            assert not [name for name in attributes if name.startswith("on")]
            assert not attributes.get("src")
            assert tag == "a" or all(value is None or value.startswith("#") for name, value in attributes.items() if name.endswith("href"))
        policy = next(
            attributes["content"] for tag, attributes in parsed.elements if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def test_a_hostile_repository_gets_no_elements_and_no_links(pages: dict[str, str]) -> None:
    ordinary = {tag for tag, _ in Page(pages["worse"]).elements}
    hostile = Page(pages["hostile"])
    assert {tag for tag, _ in hostile.elements} <= ordinary | {"pre"}
    assert {attributes["href"] for tag, attributes in hostile.elements if tag == "a"} == {PULL_REQUEST.run_url, "#report"}
    text = "".join(hostile.shown)
    assert "<img src=x onerror=alert(1)>" in text
    assert not set(text) & set("\x1b\u202e\u2066\u200b")


def test_the_page_says_in_words_what_its_colours_say(pages: dict[str, str]) -> None:
    assert '<header class="bad">' in pages["worse"]
    assert "<strong>must not be merged</strong>" in pages["worse"]
    assert "<strong>cannot be merged yet</strong>" in pages["infrastructure"]
    assert "prefers-color-scheme: dark" in pages["worse"]


def test_each_picture_has_a_title_a_description_and_a_table_beside(pages: dict[str, str]) -> None:
    text = pages["worse"]
    assert len(re.findall(r"<figure>", text)) == len(re.findall(r'<svg [^>]*role="img" aria-labelledby="[\w-]+ [\w-]+">', text)) == 4
    for key in ("differences", "slices", "confusion", "time"):
        assert re.search(rf'<title id="{key}-title">[^<]+</title><desc id="{key}-desc">[^<]+</desc>', text)
    assert text.count("<table") > text.count("<figure>")


def test_a_page_without_pictures_still_has_every_number() -> None:
    built = view.build(CASES["regression"](), model="digits", report=ReportConfig(), context=PULL_REQUEST)
    text = page_html.page(built)
    assert "<figure>" not in text
    assert "−3.1" in text


FIGURES = {
    "intervals": Intervals(
        (
            IntervalRow("$x^2$ 日本 @0@", "m", "pt", 1.0, -0.5, 2.0, 1.0, False),
            IntervalRow(HOSTILE, "m", "pt", 0.0, None, None, None, False),
        )
    ),
    "nothing differs": Intervals((IntervalRow("a", "m", "", 0.0, 0.0, 0.0, None, True),)),
    "bars": Bars(("a", HOSTILE), (0.0, 12.5), ("0 s", "12 s"), "s"),
    "no time": Bars(("a",), (0.0,), ("0 s",), "s"),
    "matrices": Matrices((HOSTILE, "b"), ((1, 0), (0, 0)), ((0, 0), (0, 0))),
    "many classes": Matrices(tuple(str(index) for index in range(40)), tuple((1,) * 40 for _ in range(40)), None),
    "histogram": Histogram((-1.0, 0.0, 1.0), (3, 0), (1, 2)),
    "empty histogram": Histogram((0.0, 1e-9), (0,), None),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_is_drawn_the_same_every_time_whatever_its_labels(name: str) -> None:
    figure = Figure("key", HOSTILE, HOSTILE, FIGURES[name])
    drawn = plots.svg(figure)
    assert drawn == plots.svg(figure)
    parsed = Page(drawn)
    assert parsed.open == []
    assert "<img" not in drawn
    assert not re.search(r"#0[0-9]0[0-9]0[0-9a]\b", drawn)  # no sentinel colour is left
    assert "DejaVu" not in drawn
    assert "20" + "26-" not in drawn


def test_labels_of_any_script_are_drawn_as_text() -> None:
    drawn = plots.svg(Figure("key", "t", "d", FIGURES["intervals"]))
    assert "$x^2$ 日本 @0@" in drawn
