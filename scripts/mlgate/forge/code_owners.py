"""CODEOWNERS: whether a file of the repository has owners, whose review a branch can require. The last pattern that fits decides."""

from __future__ import annotations

import re
from pathlib import Path

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks, first hit wins."""


def find(top: Path) -> Path | None:
    """The file of a repository; None where it has none."""
    return next((top / place for place in PLACES if (top / place).is_file()), None)


def owners(text: str, path: str) -> list[str]:
    """Who owns a file.

    Args:
        text: of CODEOWNERS.
        path: relative to the repository's top, with forward slashes.

    Returns:
        Names as written there; none where nobody does.
    """
    for line in reversed(text.splitlines()):
        pattern, *names = re.sub(r"(^|\s)#.*$", "", line).replace("\\ ", "\0").split() or [""]
        if pattern and _fits(pattern.replace("\0", " "), path):
            return names
    return []


def _fits(pattern: str, path: str) -> bool:
    """As in .gitignore, which CODEOWNERS follows but for negation and character ranges."""
    is_anchored = "/" in pattern.rstrip("/")
    is_folder = pattern.endswith("/")
    parts = pattern.strip("/").split("/")
    expression = "" if is_anchored else "(?:.*/)?"
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            expression += ".*" if is_last else "(?:.*/)?"
            continue
        expression += "".join("[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char) for char in part)
        expression += "" if is_last else "/"
    # `docs/*` owns the files of docs but not those below; `docs/` and `docs` own all.
    below = "/.*" if is_folder else "" if parts[-1] == "*" and len(parts) > 1 else "(?:/.*)?"
    return re.fullmatch(expression + below, path) is not None
