"""Which files of the repository a Python schema or metric of the user's is made of: its own and what it imports from beside it.

Read from the text, nothing is imported. What reaches it in other ways is not seen: a package from elsewhere, a file that it opens.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

# Where a module of this repository is looked for, from the working directory: first on the path of our subprocess, and the usual layout.
_PLACES = ("", "src/")
_MAX_FILES = 500


def sources(path: str, read: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """Content by path of a module and of all that it imports, directly or not, from the working directory.

    Args:
        path: of the module, relative to the working directory.
        read: content of a file there, None where there is none.
    """
    found: dict[str, bytes] = {}
    waiting = [path]
    while waiting and len(found) < _MAX_FILES:
        name = waiting.pop()
        if name in found or (content := read(name)) is None:
            continue
        found[name] = content
        waiting += _places(content, name)
    return found


def _places(content: bytes, path: str) -> Iterator[str]:
    """Where the modules that a file imports would lie."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # whoever runs it says so
    folder = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = [node.module] if node.module else []
            if node.level:
                module = [".".join((*folder[: len(folder) - node.level + 1], *module))]
            names = [*module, *(".".join((*module, alias.name)) for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for place in _PLACES:
                yield f"{place}{'/'.join(parts)}.py"
                # A package's __init__ runs before any of its modules does.
                yield from (f"{place}{'/'.join(parts[:depth])}/__init__.py" for depth in range(1, len(parts) + 1))
