"""Names in pictures are text and nothing else: SVG that stands inside the page, PNG that a comment shows. What they say is compared byte by
byte with what is to be shown of it."""

from __future__ import annotations

import io
import re
import time
import xml.etree.ElementTree as ET

import matplotlib.image
import pytest

from mlgate.render import escape, plots
from mlgate.render.document import Bars, Figure, Histogram, IntervalRow, Intervals, Matrices

TEXTS = {
    "formula": r"$\frac{1}{0}$ $\undefined{x}$ $",
    "half a formula": "a$b_{",
    "markup": "</text><script>alert(1)</script>&amp;<!--]]>",
    "attributes": "\" onload='x' `y` \\",
    "link": "http://evil.example/?a=1&b=2 url(#x) xlink:href",
    "right to left": "אבג \u202e\u2066gnp\u2069\u202c العربية",
    "zero width": "a\u200bb\ufeffc\u00ad",
    "control": "a\x00\x07\x1b[31mred\x1b]0;t\x07\r\nb\tc\x85",
    "our own tokens": "@0@ @1@ @999@ @@",
    "our own colours": "#010203 #08090a",
    "lone surrogate": "a\ud800b",
    "piles": "Z" + "\u0301" * 500,
    "no font has it": "模型 🎉 𝔸",
    "nothing to see": "\u200b\u3164",
    "workflow commands": "::error::x\n##[add-mask]y",
    "ten megabytes": "A" * 10_000_000,
    "ten megabytes of what cannot be seen": "\u200b" * 10_000_000,
}  # fmt: skip
LIMIT = 20


def pictures(text: str) -> dict[str, Figure]:
    """Each kind of picture with that text wherever one of a user can stand."""
    row = IntervalRow(text, text, text, 0.01, -0.01, 0.02, 0.02, False)
    counts = ((3, 1), (0, 4))
    kinds = {
        "intervals": Intervals((row, row)),
        "bars": Bars((text, "b"), (1.0, 2.0), (text, "2"), text),
        "matrices": Matrices((text, "b"), counts, counts),
        "histogram": Histogram((0.0, 1.0, 2.0), (1, 2), (2, 1)),
    }
    return {kind: Figure(kind, text, text, data) for kind, data in kinds.items()}


def parsed(svg: str) -> ET.Element:
    """As XML, which is stricter than the page that it stands in."""
    [root] = ET.fromstring(f'<page xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</page>')
    return root


def shown(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter() if element.tag in ("text", "tspan")]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_the_page_it_is_the_text_of_its_element_and_cut(text: str) -> None:
    expected = escape.clean(text, LIMIT)
    for kind, figure in pictures(text).items():
        drawn = plots.svg(figure)
        assert len(drawn) < 40_000
        root = parsed(drawn)
        assert {element.tag for element in root.iter()} <= {"svg", "title", "desc", "g", "path", "defs", "use", "text", "clipPath", "rect"}
        assert (root.findtext("title"), root.findtext("desc")) == (escape.clean(text, 200), escape.clean(text, 400))
        attributes = {name for element in root.iter() for name in element.attrib}
        assert not [name for name in attributes if name.startswith("on")]
        assert "@0@" in text or not re.search(r"@[0-9]+@", drawn)
        if kind in ("intervals", "bars"):
            assert expected in shown(drawn)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_a_comment_it_is_pixels_of_a_bounded_size(text: str) -> None:
    for figure in pictures(text).values():
        started = time.monotonic()
        content = plots.png(figure)
        assert time.monotonic() - started < 20
        height, width = matplotlib.image.imread(io.BytesIO(content)).shape[:2]
        assert (width < 2_000, height < 1_200) == (True, True)
        assert len(content) < 200_000


def test_a_formula_is_drawn_as_its_letters() -> None:
    """With math switched on, the same label is a fraction, and broken math an error."""
    [drawn] = [plots.svg(figure) for kind, figure in pictures("$x^2$").items() if kind == "bars"]
    assert "$x^2$" in shown(drawn)


def test_two_pictures_of_one_page_share_no_id() -> None:
    ids = [set(re.findall(r'\bid="([^"]*)"', plots.svg(figure))) for figure in pictures("x").values()]
    assert sum(map(len, ids)) == len(set().union(*ids))
