"""report.html for everybody: contrast computed from its own colours, headings, tables, pictures, keyboard. What axe-core would ask."""

from __future__ import annotations

import html.parser
import itertools
import re
from dataclasses import dataclass, field

import pytest

from mlgate.config import ReportConfig
from mlgate.render import html as page_html
from mlgate.render import plots, view
from report_cases import CASES, PULL_REQUEST

SHOWN = ("better", "worse", "first_model", "regression", "broken_contract", "failed_training", "infrastructure")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> list[Element]:
        found = [self] if self.tag in tags else []
        return found + [element for child in self.children for element in child.all(*tags)]

    @property
    def words(self) -> str:
        return self.text + "".join(child.words for child in self.children)


class Tree(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("#", {})
        self._open = [self.root]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in ("meta", "br"):
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    built = {case: view.build(CASES[case](), model="digits", report=ReportConfig(), context=PULL_REQUEST) for case in SHOWN}
    return {case: page_html.page(shown, plots.draw(shown.figures)) for case, shown in built.items()}


@pytest.fixture(scope="module")
def trees(pages: dict[str, str]) -> dict[str, Element]:
    return {case: Tree(text).root for case, text in pages.items()}


# --- contrast: WCAG 2.2, success criteria 1.4.3 and 1.4.11 ---------------------------------------------------------


def schemes(page: str) -> dict[str, dict[str, str]]:
    """The page's colours by scheme; the dark one replaces those of the light one that it names."""
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks[:2])
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, definition of relative luminance)."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_guideline_has_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the guideline's own near miss


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, "surface") for text in ("ink", "muted", "candidate", "baseline", "good", "bad", "unsure")),
        ("ink", "page"),
        ("muted", "page"),  # the footer
        ("ink", "wash"),
        ("muted", "wash"),
    ],
)
def test_every_text_can_be_read(pages: dict[str, str], scheme: str, text: str, ground: str) -> None:
    colours = schemes(pages["worse"])[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_the_keyboard_is_can_be_seen(pages: dict[str, str], scheme: str) -> None:
    colours = schemes(pages["worse"])[scheme]
    assert ":focus-visible { outline: 3px solid var(--candidate);" in pages["worse"]
    assert all(contrast(colours["candidate"], colours[ground]) >= 3 for ground in ("surface", "page"))


@pytest.mark.parametrize("colour", ["ink", "muted", "candidate", "baseline", "bad"])
def test_a_picture_in_a_comment_can_be_read_on_its_white(colour: str) -> None:
    assert contrast(plots._ON_WHITE[colour], plots._ON_WHITE["surface"]) >= 4.5


# --- structure -------------------------------------------------------------------------------------------------------


def test_language_title_and_one_main_are_there(trees: dict[str, Element]) -> None:
    for root in trees.values():
        [page] = root.all("html")
        assert page.attributes["lang"] == "en"
        assert page.all("title")[0].words.strip()
        assert len(page.all("main")) == 1


def test_headings_go_down_one_step_at_a_time_from_one_h1(trees: dict[str, Element]) -> None:
    for root in trees.values():
        levels = [int(heading.tag[1]) for heading in root.all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(following - level <= 1 for level, following in itertools.pairwise(levels))
        assert all(heading.words.strip() for heading in root.all("h1", "h2", "h3", "h4"))


def test_every_fold_has_a_heading_that_a_screen_reader_can_jump_to(trees: dict[str, Element]) -> None:
    for root in trees.values():
        for fold in root.all("details"):
            assert fold.children[0].tag == "summary"
            assert len(fold.children[0].all("h2")) == 1


def test_every_table_names_its_columns_and_rows(trees: dict[str, Element]) -> None:
    for root in trees.values():
        for table in root.all("table"):
            [head], [body] = table.all("thead"), table.all("tbody")
            assert all(cell.attributes["scope"] == "col" and cell.words.strip() for cell in head.all("th"))
            for row in body.all("tr"):
                assert [cell.attributes.get("scope") for cell in row.children] == ["row", *[None] * (len(row.children) - 1)]
                assert len(row.children) == len(head.all("th"))


def test_whatever_scrolls_can_be_reached_by_keyboard_and_has_a_name(trees: dict[str, Element]) -> None:
    for root in trees.values():
        scrolling = [element for element in root.all("div", "pre") if element.tag == "pre" or element.attributes.get("class") == "scroll"]
        assert scrolling
        for element in scrolling:
            assert (element.attributes["tabindex"], element.attributes["role"]) == ("0", "region")
            assert str(element.attributes["aria-label"]).strip()


def test_pictures_have_a_title_and_a_description_of_their_own(trees: dict[str, Element]) -> None:
    for case in ("worse", "regression"):
        for picture in trees[case].all("svg"):
            named = str(picture.attributes["aria-labelledby"]).split()
            texts = {str(element.attributes["id"]): element.words for element in picture.all("title", "desc")}
            assert picture.attributes["role"] == "img"
            assert [bool(texts[name].strip()) for name in named] == [True, True]


def test_the_first_thing_a_keyboard_reaches_skips_to_the_report(trees: dict[str, Element]) -> None:
    for root in trees.values():
        [body] = root.all("body")
        first = body.children[0]
        assert (first.tag, first.attributes["href"]) == ("a", "#report")
        assert root.all("main")[0].attributes["id"] == "report"


def test_a_phone_may_zoom(pages: dict[str, str]) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in pages["worse"]
