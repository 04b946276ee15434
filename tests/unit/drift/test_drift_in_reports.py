"""Drift as a reviewer sees it: in the comment, on the page, as pictures."""

from __future__ import annotations

from markdown_it import MarkdownIt

from mlgate.config import ReportConfig
from mlgate.render import html, markdown, plots, view
from report_cases import CASES, PULL_REQUEST


def test_the_comment_names_the_column_its_index_and_what_changed() -> None:
    shown = markdown.comment(view.build(CASES["drifted"](), model="digits", report=ReportConfig(), context=PULL_REQUEST))
    assert "|⚠️ alert: `age`|0.31|0.02|mean 38.2 → 44.7|" in shown
    assert "|label `churned`|0.12|0.02|0: 80 % → 66 %|" in shown.replace("\u00a0", " ")
    assert "age      before " in shown
    assert "         now    " in shown
    assert "unchanged, the very same data" in shown
    note = "The data drifted: `data/train.parquet` in `age` (mean 38.2 → 44.7). Before and now stand under “Drift”."
    assert note in shown.partition("<details>")[0]


def test_the_page_has_a_picture_of_each_drifted_column() -> None:
    built = view.build(CASES["drifted"](), model="digits", report=ReportConfig(), context=PULL_REQUEST)
    figure = next(figure for figure in built.figures if figure.key == "drift-0")
    drawn = plots.svg(figure)
    assert all(name in drawn for name in ("age", "churned", "plan", "up to 24", "above 56"))
    assert "var(--candidate)" in drawn
    assert drawn in html.page(built, {"drift-0": drawn})
    assert plots.png(figure).startswith(b"\x89PNG")


def test_hostile_names_of_columns_stay_text() -> None:
    built = view.build(CASES["hostile"](), model="digits", report=ReportConfig(), context=PULL_REQUEST)
    figure = next(figure for figure in built.figures if figure.key == "drift-0")
    drawn = plots.svg(figure)
    assert "<img" not in drawn
    assert "<img" not in html.page(built, {"drift-0": drawn})
    section = "<summary>Drift" + markdown.comment(built).partition("<summary>Drift")[2]
    shown = MarkdownIt("gfm-like").render(section.partition("</details>")[0])
    assert "<img" not in shown
    assert "href" not in shown
    assert "\u202e" not in shown
