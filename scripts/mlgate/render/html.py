"""The report as one self-contained HTML page: no script, no request to anywhere, light and dark, fit for a phone and for print."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup

from mlgate.render import escape
from mlgate.render.document import Code, IntervalBar, Line, Link, ReportView, Strong
from mlgate.render.templates import render_html


def page(view: ReportView, plots: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        view: what it shows.
        plots: `<svg>` of its figures by key, as `render.plots.draw` makes them; a figure without one is left out, its table stays.
    """
    composed = render_html(
        "report.html.j2",
        view=view,
        plots={key: Markup(svg) for key, svg in (plots or {}).items()},  # noqa: S704 -- ours, labels escaped
        kind=lambda block: type(block).__name__,
        spans=spans,
        clean=lambda text, limit=escape.SENTENCE_LIMIT: escape.clean(str(text), limit),
        log_lines=escape.log_lines,
    )
    return re.sub(r"\n\s*\n+", "\n", composed)


def spans(line: Line) -> Markup:
    """HTML of a line: every span cleaned and escaped. The bars of characters stay out, a picture stands beside."""
    out: list[Markup] = []
    for span in line:
        match span:
            case str():
                before, after = escape.spaces_around(span)
                out.append(Markup("{}{}{}").format(before, escape.clean(span, escape.SENTENCE_LIMIT), after))
            case Code(text, limit):
                out.append(Markup("<code>{}</code>").format(escape.clean(text, limit)))
            case Strong(text):
                out.append(Markup("<strong>{}</strong>").format(text))
            case Link(text, url):
                shown, safe = escape.clean(text, escape.CELL_LIMIT), escape.safe_url(url)
                out.append(
                    Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(safe, shown) if safe else Markup("{}").format(shown)
                )
            case IntervalBar():
                pass
    return Markup("").join(out)
