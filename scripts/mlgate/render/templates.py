"""The Jinja2 templates of `templates/report/`, with escaping that is on unless a value says that it is escaped already."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from mlgate.errors import InfrastructureError
from mlgate.render import escape

# The package always runs from a checkout of its repository (DESIGN.md): what users copy and what we fill in lie side by side.
FOLDER = Path(__file__).resolve().parents[3] / "templates" / "report"


class Markdown(str):
    """Text that is Markdown already. Everything else a template prints is escaped."""

    __slots__ = ()


def render_markdown(name: str, **values: Any) -> str:
    """A Markdown template, filled in."""
    return _environment(is_html=False).get_template(name).render(values)


def render_html(name: str, **values: Any) -> str:
    """An HTML template, filled in; Jinja2's autoescape is on."""
    return _environment(is_html=True).get_template(name).render(values)


@cache
def _environment(*, is_html: bool) -> jinja2.Environment:
    if not FOLDER.is_dir():
        raise InfrastructureError(f"{FOLDER}: the report's templates are not there; run mlgate from a full checkout of its repository")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=is_html,  # noqa: S701 -- Markdown has an escaping of its own: `finalize`
        finalize=None if is_html else _markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown(value: object) -> str:
    return value if isinstance(value, Markdown) else Markdown(escape.text(str(value)))
