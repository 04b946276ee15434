"""The messages that end a command with exit 2 or 3, read from the code itself: `docs/troubleshooting.md` lists every one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "mlgate"
_EXIT_CODES = {"InputError": 2, "MistakeAtKeyError": 2, "InfrastructureError": 3}


@dataclass(frozen=True)
class Message:
    """One message as a reader meets it, with what varies in angle brackets."""

    area: str
    """First folder or module below the package: `data`, `config`."""
    exit_code: int
    text: str


def collect(package: Path = PACKAGE) -> list[Message]:
    """Every message that is written where its error is raised, by area and text. One built elsewhere shows as what builds it there."""
    found = set()
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text())
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        area = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (code := _EXIT_CODES.get(_name(node.func))) and node.args:
                for argument in node.args:
                    found.update(
                        Message(area, code, text) for text in _texts(argument, functions) if re.search(r"[a-z]{3}.*[a-z]{3}", text)
                    )
    return sorted(found, key=lambda message: (message.area, message.exit_code, message.text.lower()))


def _texts(node: ast.expr, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """What an expression can say; both ways of a condition, and what a function of the same module returns."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body, functions)
        yield from _texts(node.orelse, functions)
    elif isinstance(node, ast.Call) and (function := functions.get(_name(node.func))):
        for inner in ast.walk(function):
            if isinstance(inner, ast.Return) and inner.value is not None and not isinstance(inner.value, ast.Call):
                yield from _texts(inner.value, functions)
    elif (text := _text(node)) is not None:
        yield " ".join(text.split())


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or "" for value in values)
        case ast.FormattedValue(value=value):
            return f"‹{_placeholder(value)}›"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_text(left) or '‹…›'}{_text(right) or '‹…›'}"
        case _:
            return None


def _placeholder(node: ast.expr) -> str:
    """A word for what stands there: the name of the variable or attribute, where it is one."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_").replace("_", " ")
        case ast.Call(func=ast.Name(id="plain" | "str" | "shortened" | "len"), args=[first, *_]):
            return _placeholder(first)
        case ast.Subscript(value=value):
            return _placeholder(value)
        case _:
            return "…"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
