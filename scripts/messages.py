"""The messages that end a command with exit 2 or 3, read from the code itself: `docs/troubleshooting.md` lists every one."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "mlgate"
INSTALLATION = "installation"
"""Area of what is said before the package runs, by `mlgate.sh` and `bootstrap.py`."""

_EXIT_CODES = {"InputError": 2, "InfrastructureError": 3}
_AT_A_KEY = "MistakeAtKeyError"
# Raised as another error, and put behind the place by whoever catches it: in a module, or in any of a package.
_CAUGHT = {
    ("config", "ValueError"): "‹mlgate.yaml›: ‹key›: ",
    ("config", _AT_A_KEY): "‹mlgate.yaml›: ",
    ("contracts.user_schema", "RefusedError"): "",
    ("contracts.tables", "UnreadableTableError"): "‹data›: ",
    ("tables", "UnreadableError"): "‹data›: ",
    ("evaluation.user_metric", "RefusedError"): "evaluation.metrics: ‹reference›: ",
}
# What variables are called in the code, and what a reader of the message sees there.
_WORDS = {
    "strerror": "reason",
    "error": "reason",
    "msg": "reason",
    "text": "text",
    "said": "answer",
    "shown as": "file",
    "shown": "place",
    "get": "…",
    "partition": "ref",
    "removesuffix": "name_",
    "skipped": "",
    "stdout": "reason",
    "tracking": "server",
    "kind of": "kind",
    "description": "store",
    "latency direction": "higher or lower",
    "did you mean": "; did you mean …?",
    "nearest": "; did you mean …?",
    "lookalike": "",
}
_SEE_THROUGH = {"plain", "str", "shortened", "one_line", "short", "sorted", "list", "repr", "text", "hidden"}
_PARTS = {"name", "path", "as_posix", "stem", "strip", "split", "splitlines", "decode", "join", "shown", "relative_to"}
_Functions = dict[str, ast.FunctionDef]
_MOST_VARIANTS = 12
_SHORT = 4
_MOST_DEPTH = 3


@dataclass(frozen=True)
class Message:
    """One message as a reader meets it, with what varies in angle quotes."""

    area: str
    """Module below the package, `stages.train`; or INSTALLATION."""
    exit_code: int
    text: str

    def is_in(self, area: str) -> bool:
        """Whether it is of a module, or of a folder of modules."""
        return self.area == area or self.area.startswith(f"{area}.")


@functools.cache
def collect(package: Path = PACKAGE) -> list[Message]:
    """Every message, by area and text. What varies shows as the variable's name, or as what it can hold where that is written nearby."""
    modules = [_Module(_area(path, package), ast.parse(path.read_text())) for path in sorted(package.rglob("*.py"))]
    codes = _exit_codes(module.tree for module in modules)
    constants = _constants(module.tree for module in modules)
    library = {module.area.rpartition(".")[2]: _functions(module.tree) for module in modules}
    found = {message for module in modules for message in module.messages(codes, constants, library)}
    if (package.parent / "bootstrap.py").exists():
        found |= set(_of_the_installation(package.parent))
    return sorted(found, key=lambda message: (message.area, message.exit_code, message.text.lower()))


def _area(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts)


def _exit_codes(trees: Iterable[ast.Module]) -> dict[str, int]:
    """Exit code by class: the two errors, and whatever is derived from one of them."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return _EXIT_CODES | {node.name: _EXIT_CODES[name] for node in classes for base in node.bases if (name := _name(base)) in _EXIT_CODES}


def _constants(trees: Iterable[ast.Module]) -> dict[str, str]:
    """What the constants of modules hold, as messages show it; those of one name and several values are left out."""
    found: dict[str, set[str]] = {}
    for tree in trees:
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() | str() as value)):
                    found.setdefault(name, set()).add(value if isinstance(value, str) else f"{value:,}".removesuffix(".0"))
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1}


@dataclass(frozen=True)
class _Module:
    area: str
    tree: ast.Module

    def messages(self, codes: dict[str, int], constants: dict[str, str], library: dict[str, _Functions]) -> Iterator[Message]:
        functions = _functions(self.tree)
        own = {
            target.id for node in self.tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
        }
        constants = {name: text for name, text in constants.items() if name not in own} | _constants([self.tree])
        for scope in _scopes(self.tree):
            reader = _Reader(functions, _assigned(scope), constants, library)
            for node in _own_nodes(scope):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = _name(node.func)
                prefix = _CAUGHT.get((self.area, name), _CAUGHT.get((self.area.partition(".")[0], name)))
                if prefix is None and name not in codes:
                    continue
                arguments = node.args[:2] if name == _AT_A_KEY else node.args[:1]
                for text in map(": ".join, itertools.product(*map(reader.texts, arguments))):
                    if _says_something(text):
                        yield Message(self.area, 2 if prefix is not None else codes[name], " ".join(f"{prefix or ''}{text}".split()))
        yield from _of_pydantic(self)


def _of_pydantic(module: _Module) -> Iterator[Message]:
    """What is wrong with a key of mlgate.yaml: the lines that `mistakes.explain` puts together."""
    if module.area != "mistakes":
        return
    reader = _Reader({}, {}, {}, {})
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="lines"), attr="append"), args=[line]):
                for text in reader.texts(line):
                    if _says_something(text):
                        yield Message("config", 2, f"‹mlgate.yaml›: {text}")


def _of_the_installation(scripts: Path) -> Iterator[Message]:
    tree = ast.parse((scripts / "bootstrap.py").read_text())
    reader = _Reader({}, {}, {}, {})
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="InstallError"), args=[text, ast.Constant(value=int(code))]):
                yield from (Message(INSTALLATION, code, found) for found in reader.texts(text))
    shell = (scripts / "mlgate.sh").read_text()
    for text, code in re.findall(r'echo "✗ ([^"]*)" >&2\n\s*exit (\d)', shell):
        yield Message(INSTALLATION, int(code), re.sub(r"\$\{?(\w+)\}?", r"‹\1›", text))


@dataclass(frozen=True)
class _Reader:
    """What the expressions of one function can say."""

    functions: dict[str, ast.FunctionDef]
    assigned: dict[str, list[ast.expr]]
    constants: dict[str, str]
    library: dict[str, _Functions]
    """Functions of all modules, by the module's own name."""

    def texts(self, node: ast.expr, depth: int = 0) -> list[str]:
        found = list(dict.fromkeys(self._texts(node, depth)))
        return found if 0 < len(found) <= _MOST_VARIANTS else [_placeholder(node)]

    def _texts(self, node: ast.expr, depth: int) -> Iterator[str]:
        deeper = depth + 1
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=values):
                yield from map("".join, itertools.product(*(self.texts(value, depth) for value in values)))
            case ast.FormattedValue(value=value):
                yield from self.texts(value, deeper)
            case ast.BinOp(left=left, op=ast.Add(), right=right) if _is_written(left) or _is_written(right):
                yield from map("".join, itertools.product(self.texts(left, depth), self.texts(right, depth)))
            case ast.IfExp(body=ast.Constant(value=str(body)), orelse=ast.Constant(value=str(orelse))) if len(body) + len(orelse) < _SHORT:
                yield max(body, orelse, key=len)  # a plural's s
            case ast.IfExp(body=body, orelse=orelse):
                yield from [*self.texts(body, depth), *self.texts(orelse, depth)]
            case ast.BoolOp(op=ast.Or(), values=values) if all(isinstance(value, ast.Call) for value in values):
                yield from (text for value in values for text in self.texts(value, depth))
            case ast.Name(id=name) if name in self.constants:
                yield self.constants[name]
            case ast.Name(id=name) if depth < _MOST_DEPTH and (given := self.assigned.get(name)) and all(map(_is_written, given)):
                yield from (text for value in given for text in self.texts(value, deeper))
            case ast.Call(func=function) if depth < _MOST_DEPTH and (called := self._functions_of(function).get(_name(function))):
                inner = _Reader(self._functions_of(function), _assigned(called), self.constants, self.library)
                returned = [each.value for each in _own_nodes(called) if isinstance(each, ast.Return) and each.value is not None]
                if any(map(_is_written, returned)):
                    yield from (text for value in returned if _is_said(value) for text in inner.texts(value, deeper))
                else:
                    yield _placeholder(node)
            case _:
                yield _placeholder(node)

    def _functions_of(self, function: ast.expr) -> _Functions:
        """Those of the module that a call names; of the own one where it names none."""
        match function:
            case ast.Attribute(value=ast.Name(id=module)) if module in self.library:
                return self.library[module]
            case _:
                return self.functions


def _functions(tree: ast.Module) -> _Functions:
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _is_written(node: ast.expr) -> bool:
    """Whether an expression is a text that stands in the code."""
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _is_written(body) or _is_written(orelse)
        case ast.BinOp(left=left, op=ast.Add()):
            return _is_written(left)
        case _:
            return False


def _is_said(node: ast.expr) -> bool:
    return not isinstance(node, ast.Constant) or isinstance(node.value, str)


def _says_something(text: str) -> bool:
    return re.search(r"[a-z]{2}.*[a-z]{3}", re.sub(r"‹[^›]*›", "", text)) is not None


def _scopes(tree: ast.Module) -> list[ast.AST]:
    return [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))]


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """What belongs to a function itself, not to one defined in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.NamedExpr(target=ast.Name(id=name), value=value):
                found.setdefault(name, []).append(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=False):
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(value)
    return found if not isinstance(scope, ast.Module) else {}


def _placeholder(node: ast.expr) -> str:
    word = _word(node)
    word = _WORDS.get(word, word)
    return f"‹{word}›" if word else ""


def _word(node: ast.expr) -> str:
    """A word for what stands there: the name of the variable, attribute or function it comes from."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name):
            return name.strip("_").replace("_", " ").lower()
        case ast.Attribute(attr="__name__", value=value):
            return "kind"
        case ast.Attribute(attr=attr, value=value) if attr in _PARTS:
            return _word(value)
        case ast.Attribute(attr=attr):
            return attr.strip("_").replace("_", " ").lower()
        case ast.Call():
            return _word_of_call(node)
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
        case ast.Subscript(value=value) | ast.Starred(value=value) | ast.FormattedValue(value=value):
            return _word(value)
        case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
            return _word(element)
        case ast.BoolOp(values=[first, *_]) | ast.BinOp(left=first) | ast.IfExp(body=first):
            return _word(first)
        case ast.JoinedStr(values=values):
            return next((_word(value) for value in values if isinstance(value, ast.FormattedValue)), "…")
        case _:
            return "…"


def _word_of_call(node: ast.Call) -> str:
    match node:
        case ast.Call(func=ast.Name(id="len" | "sum")):
            return "number"
        case ast.Call(func=ast.Attribute(attr="join"), args=[first]):
            return _word(first)
        case ast.Call(func=function, args=[first, *_]) if _name(function).strip("_") in _SEE_THROUGH:
            return _word(first)
        case _:
            return _word(node.func)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
