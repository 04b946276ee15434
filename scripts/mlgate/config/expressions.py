"""The language of `expressions` in a contract: `start <= end`, `abs(total - net - tax) < 0.01`. Text to a tree, and the tree's types. Pure.

Python reads the text (`ast.parse`), and of what it finds only what stands here is taken over into nodes of our own; nothing is ever
evaluated. Engines translate the nodes that `resolve` gives: `contracts/expressions_in_polars.py`, `contracts/expressions_in_spark.py`.

What an expression means, in any engine:

- Types are never turned into one another. Numbers compare with numbers by value, whole or not; text with text; dates with dates and times,
  a date being its midnight, a time without a zone UTC. A text that stands beside a date is an ISO 8601 date or time.
- Arithmetic is that of 64-bit floating point; `/` never cuts off (7 / 2 is 3.5), `//` rounds down, `%` has the sign of its right side.
- A time's parts (`hour`) are those of UTC; times are told apart to the microsecond.
- A missing cell makes missing what is computed from it; `and`, `or` and `not` know three values, as SQL's do (false and missing is false).
  A row whose answer is missing says nothing, unless it is a division by zero that leaves it without one: that breaks the rule.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Final, Literal

from mlgate.mistakes import did_you_mean, shortened

MAX_LENGTH = 500
MAX_DEPTH = 25
MAX_NODES = 200

Kind = Literal["integer", "number", "string", "boolean", "date", "datetime"]
"""A type of the short form."""
ArithmeticSign = Literal["+", "-", "*", "/", "//", "%"]
ComparisonSign = Literal["==", "!=", "<", "<=", ">", ">="]
Function = Literal["abs", "min", "max", "length", "lower", "is_missing", "year", "month", "day", "hour", "days_between"]

_NAMED: Final[dict[str, str]] = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "a yes/no value",
    "date": "a date",
    "datetime": "a time",
}
_NUMBERS, _TIMES = ("integer", "number"), ("date", "datetime")
_FUNCTIONS: Final[dict[str, tuple[int, int, str]]] = {
    "abs": (1, 1, "abs(number)"),
    "min": (2, 10, "min(a, b)"),
    "max": (2, 10, "max(a, b)"),
    "length": (1, 1, "length(text)"),
    "lower": (1, 1, "lower(text)"),
    "is_missing": (1, 1, "is_missing(column)"),
    "year": (1, 1, "year(date)"),
    "month": (1, 1, "month(date)"),
    "day": (1, 1, "day(date)"),
    "hour": (1, 1, "hour(time)"),
    "days_between": (2, 2, "days_between(start, end)"),
}
_ARITHMETIC: Final[dict[type[ast.operator], ArithmeticSign]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
_COMPARISONS: Final[dict[type[ast.cmpop], ComparisonSign]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


class ExpressionError(ValueError):
    """The text is no expression of the language, or its types do not fit; the message is one line."""


class UnknownColumnError(ExpressionError):
    """A column that is not there."""


@dataclass(frozen=True)
class Node:
    """A part of an expression."""

    at: int = field(kw_only=True, default=0, compare=False)
    """Where it begins in the text, in characters from 0."""
    kind: Kind | None = field(kw_only=True, default=None, compare=False)
    """What its value is; None until `resolve` has seen the columns' types."""


@dataclass(frozen=True)
class Column(Node):
    name: str


@dataclass(frozen=True)
class Constant(Node):
    value: bool | int | float | str | date | datetime
    """`resolve` makes a date or a time of a text beside one."""


@dataclass(frozen=True)
class Arithmetic(Node):
    sign: ArithmeticSign
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison(Node):
    sign: ComparisonSign
    left: Node
    right: Node


@dataclass(frozen=True)
class In(Node):
    value: Node
    options: tuple[Constant, ...]


@dataclass(frozen=True)
class And(Node):
    """`and`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or(Node):
    """`or`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not(Node):
    part: Node


@dataclass(frozen=True)
class Call(Node):
    function: Function
    arguments: tuple[Node, ...]


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        ExpressionError: it is too long, no expression, or holds what the language does not have.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{len(text):,} characters; expected an expression of at most {MAX_LENGTH}")
    line = " ".join(text.splitlines()).strip()
    if not line:
        raise ExpressionError("expected an expression such as 'start <= end', got nothing")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on style
            tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"cannot be read at character {error.offset or 1}{_hint(line)}") from None
    except (RecursionError, MemoryError):
        raise ExpressionError("nested too deeply; write it as several expressions") from None
    except ValueError as error:
        raise ExpressionError(f"cannot be read: {shortened(error)}") from None
    reader = _Reader(line)
    if line.encode()[tree.end_col_offset :].decode().lstrip(" )").startswith("#"):
        raise ExpressionError("'#' begins a comment of YAML's, not of an expression; leave it out")
    node = reader.node(tree, 0)
    if not columns(node):
        raise ExpressionError("names no column; a text stands in quotes, a column does not")
    return node


def columns(node: Node) -> list[str]:
    """Names of the columns in an expression, in order of appearance, each once."""
    return list(dict.fromkeys(part.name for part in _walk(node) if isinstance(part, Column)))


def divisors(node: Node) -> list[Node]:
    """What an expression divides by."""
    return [part.right for part in _walk(node) if isinstance(part, Arithmetic) and part.sign in ("/", "//", "%")]


def refuse_strangers(node: Node, names: Collection[str]) -> None:
    """Raises UnknownColumnError: a column that is none of these."""
    for name in columns(node):
        if name not in names:
            raise UnknownColumnError(f"no column '{shortened(name)}'{did_you_mean(name, names)}")


def resolve(node: Node, kinds: Mapping[str, Kind | None], *, unusable: Collection[str] = (), is_closed: bool = True) -> Node:
    """The tree with the kind of every part, and dates in place of texts that stand beside dates.

    Args:
        node: as `parse` gives it.
        kinds: type of each column; None fits everywhere (a column of missing cells alone).
        unusable: columns of a type that no expression can be about: lists, bytes.
        is_closed: whether these are all columns there are; otherwise others fit everywhere.

    Raises:
        UnknownColumnError: a column that is not there.
        ExpressionError: types that do not fit, or an answer that is not yes or no.
    """
    resolved = _Resolver(kinds, unusable, is_closed).node(node)
    if resolved.kind not in ("boolean", None):
        raise ExpressionError(f"gives {_NAMED[resolved.kind]}; expected a comparison, which is true or false")
    return resolved


# --- reading ---------------------------------------------------------------------------------------------------------


def _hint(line: str) -> str:
    for pattern, hint in (
        (r"(?<![=!<>:])=(?!=)", "; equal is '=='"),
        (r"&&|\|\|", "; write 'and', 'or'"),
        (r"<>", "; unequal is '!='"),
        (r"\b(AND|OR|NOT|IN)\b", "; 'and', 'or', 'not' and 'in' are small letters"),
        (r"`", "; a name with blanks is column('…')"),
    ):
        if re.search(pattern, line):
            return hint
    return "; a column whose name is more than letters, digits and '_' is column('…')"


class _Reader:
    """Takes over what Python parsed, as far as the language goes."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.bytes = line.encode()
        self.count = 0

    def node(self, tree: ast.expr, depth: int) -> Node:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            raise ExpressionError("nested too deeply or too long; write it as several expressions")
        at, deeper = self._at(tree), depth + 1
        match tree:
            case ast.Constant():
                return self._constant(tree)
            case ast.Name():
                # As it is written: Python composes the letters of names anew (NFKC), which would be another column.
                name = self._source(tree)
                return Constant(name == "true", at=at) if name in ("true", "false") else Column(name, at=at)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(value, bool):
                return Constant(-value, at=at)
            case ast.UnaryOp(op=ast.USub()):
                return Arithmetic("-", Constant(0, at=at), self.node(tree.operand, deeper), at=at)
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.node(tree.operand, deeper), at=at)
            case ast.BinOp() if type(tree.op) in _ARITHMETIC:
                return Arithmetic(_ARITHMETIC[type(tree.op)], self.node(tree.left, deeper), self.node(tree.right, deeper), at=at)
            case ast.BoolOp():
                parts = tuple(self.node(value, deeper) for value in tree.values)
                return And(parts, at=at) if isinstance(tree.op, ast.And) else Or(parts, at=at)
            case ast.Compare():
                return self._comparison(tree, deeper)
            case ast.Call(func=ast.Name()):
                return self._call(tree, deeper)
            case _:
                raise self._stranger(tree)

    def _at(self, tree: ast.expr) -> int:
        return len(self.bytes[: tree.col_offset].decode())

    def _source(self, tree: ast.expr) -> str:
        return self.bytes[tree.col_offset : tree.end_col_offset].decode()

    def _stranger(self, tree: ast.expr) -> ExpressionError:
        what = shortened(self._source(tree))
        return ExpressionError(
            f"'{what}' at character {self._at(tree) + 1} is not part of the language; it has comparisons, in, and, or, not, "
            f"+ - * / // %, {', '.join(_FUNCTIONS)} and column('…')"
        )

    def _constant(self, tree: ast.Constant) -> Constant:
        at = self._at(tree)
        match tree.value:
            case None:
                raise ExpressionError(f"'None' at character {at + 1}: a missing cell is is_missing(column)")
            case bool() | str() as value:
                return Constant(value, at=at)
            case int() as value if abs(value) < 2**63:
                return Constant(value, at=at)
            case float() as value if abs(value) < float("inf"):
                return Constant(value, at=at)
            case int() | float():
                raise ExpressionError(f"the number at character {at + 1} has more digits than data can have")
            case _:
                raise self._stranger(tree)

    def _comparison(self, tree: ast.Compare, depth: int) -> Node:
        """`0 <= a <= b` is both comparisons."""
        found = []
        lefts = [tree.left, *tree.comparators]
        for left, operator, right in zip(lefts, tree.ops, tree.comparators, strict=False):
            at = self._at(left)
            if isinstance(operator, ast.In | ast.NotIn):
                one: Node = In(self.node(left, depth), self._options(right), at=at)
                found.append(Not(one, at=at) if isinstance(operator, ast.NotIn) else one)
            elif type(operator) in _COMPARISONS:
                found.append(Comparison(_COMPARISONS[type(operator)], self.node(left, depth), self.node(right, depth), at=at))
            else:
                raise ExpressionError(f"'is' after character {at + 1}: equal is '==', and a missing cell is is_missing(column)")
        return found[0] if len(found) == 1 else And(tuple(found), at=self._at(tree))

    def _options(self, tree: ast.expr) -> tuple[Constant, ...]:
        if not isinstance(tree, ast.List | ast.Tuple | ast.Set) or not tree.elts:
            raise ExpressionError(f"after 'in' at character {self._at(tree) + 1}: expected a list of values such as ['a', 'b']")
        options = [self.node(each, 0) for each in tree.elts]
        for option in options:
            if not isinstance(option, Constant):
                raise ExpressionError(f"after 'in' at character {option.at + 1}: expected a value such as 'a' or 3")
        return tuple(option for option in options if isinstance(option, Constant))

    def _call(self, tree: ast.Call, depth: int) -> Node:
        at, name = self._at(tree), self._source(tree.func)
        if name == "column":
            match tree.args, tree.keywords:
                case [ast.Constant(value=str() as column)], []:
                    return Column(column, at=at)
            raise ExpressionError(f"column at character {at + 1}: expected the name of a column in quotes, column('total amount')")
        if name not in _FUNCTIONS:
            near = did_you_mean(name, [*_FUNCTIONS, "column"])
            raise ExpressionError(f"no function '{shortened(name)}', at character {at + 1}{near}")
        least, most, form = _FUNCTIONS[name]
        if tree.keywords or any(isinstance(each, ast.Starred) for each in tree.args) or not least <= len(tree.args) <= most:
            raise ExpressionError(f"{name} at character {at + 1}: expected {form}")
        arguments = tuple(self.node(each, depth) for each in tree.args)
        if name == "is_missing" and not isinstance(arguments[0], Column):
            raise ExpressionError(f"is_missing at character {at + 1}: expected a column")
        return Call(name, arguments, at=at)  # type: ignore[arg-type]  # one of the functions, as was just asked


def _walk(node: Node) -> Iterator[Node]:
    yield node
    match node:
        case Arithmetic() | Comparison():
            inner: tuple[Node, ...] = (node.left, node.right)
        case In():
            inner = (node.value, *node.options)
        case And() | Or():
            inner = node.parts
        case Not():
            inner = (node.part,)
        case Call():
            inner = node.arguments
        case _:
            inner = ()
    for each in inner:
        yield from _walk(each)


# --- types -----------------------------------------------------------------------------------------------------------


class _Resolver:
    """Gives every part its kind, from the columns up."""

    def __init__(self, kinds: Mapping[str, Kind | None], unusable: Collection[str], is_closed: bool) -> None:
        self.kinds = kinds
        self.unusable = unusable
        self.is_closed = is_closed

    def node(self, node: Node) -> Node:
        match node:
            case Column():
                return replace(node, kind=self._kind_of_column(node))
            case Constant():
                return replace(node, kind=_kind_of_constant(node.value))
            case Arithmetic():
                left, right = (self._expect(self.node(each), _NUMBERS, f"'{node.sign}' is of numbers") for each in (node.left, node.right))
                return replace(node, left=left, right=right, kind="number")
            case Comparison():
                left, right = self._side_by_side((self.node(node.left), self.node(node.right)), f"'{node.sign}'")
                if node.sign not in ("==", "!=") and "boolean" in (left.kind, right.kind):
                    raise ExpressionError(f"'{node.sign}' at character {node.at + 1}: yes/no values have no order; use == or !=")
                return replace(node, left=left, right=right, kind="boolean")
            case In():
                value, *options = self._side_by_side((self.node(node.value), *map(self.node, node.options)), "'in'")
                return replace(node, value=value, options=tuple(each for each in options if isinstance(each, Constant)), kind="boolean")
            case And() | Or():
                word = "'and'" if isinstance(node, And) else "'or'"
                parts = tuple(self._expect(self.node(part), ("boolean",), f"{word} is of comparisons") for part in node.parts)
                return replace(node, parts=parts, kind="boolean")
            case Not():
                return replace(node, part=self._expect(self.node(node.part), ("boolean",), "'not' is of comparisons"), kind="boolean")
            case Call():
                return self._call(node)
            case _:
                raise TypeError(f"{type(node).__name__} is no part of an expression")

    def _kind_of_column(self, node: Column) -> Kind | None:
        if node.name in self.unusable:
            raise ExpressionError(f"column '{shortened(node.name)}' is of a type that no expression can be about")
        if self.is_closed and node.name not in self.kinds:
            raise UnknownColumnError(f"no column '{shortened(node.name)}'{did_you_mean(node.name, (*self.kinds, *self.unusable))}")
        return self.kinds.get(node.name)

    def _call(self, node: Call) -> Node:
        arguments = tuple(map(self.node, node.arguments))
        name = node.function
        match name:
            case "is_missing":
                kind: Kind | None = "boolean"
            case "abs":
                kind = "number"
                arguments = tuple(self._expect(each, _NUMBERS, "abs is of a number") for each in arguments)
            case "min" | "max":
                arguments = tuple(self._side_by_side(arguments, name))
                found = {each.kind for each in arguments}
                if found & {"boolean", "string"}:
                    raise ExpressionError(f"{name} at character {node.at + 1} is of numbers or dates")
                kind = None if None in found else found.pop() if len(found) == 1 else "number" if found <= {*_NUMBERS} else "datetime"
            case "length" | "lower":
                kind = "integer" if name == "length" else "string"
                arguments = tuple(self._expect(each, ("string",), f"{name} is of text") for each in arguments)
            case "days_between":
                kind = "number"
                moments = (self._as_moment(each) if isinstance(each, Constant) else each for each in arguments)
                arguments = tuple(self._expect(each, _TIMES, f"{name} is of dates") for each in moments)
            case "hour":
                kind = "integer"
                arguments = tuple(self._expect(each, ("datetime",), "hour is of a time") for each in arguments)
            case _:
                kind = "integer"
                arguments = tuple(self._expect(each, _TIMES, f"{name} is of a date") for each in arguments)
        return replace(node, arguments=arguments, kind=kind)

    def _expect(self, node: Node, kinds: tuple[str, ...], what: str) -> Node:
        if node.kind is not None and node.kind not in kinds:
            hint = "; days between two dates are days_between(start, end)" if node.kind in _TIMES and kinds == _NUMBERS else ""
            raise ExpressionError(f"{what}, and {_words(node)} at character {node.at + 1} is {_NAMED[node.kind]}{hint}")
        return node

    def _side_by_side(self, nodes: tuple[Node, ...], what: str) -> list[Node]:
        """Parts that are compared with one another."""
        found = list(nodes)
        if any(node.kind in _TIMES for node in nodes):
            found = [self._as_moment(node) if isinstance(node, Constant) else node for node in nodes]
        known = [node for node in found if node.kind is not None]
        for other in known[1:]:
            if _family(known[0]) != _family(other):
                one, two = (f"{_words(node)} is {_NAMED[str(node.kind)]}" for node in (known[0], other))
                raise ExpressionError(f"{what} at character {known[0].at + 1} compares what cannot be compared: {one}, {two}")
        return found

    def _as_moment(self, node: Constant) -> Constant:
        if not isinstance(node.value, str):
            return node
        moment = moment_of(node.value)
        if moment is None:
            raise ExpressionError(f"'{shortened(node.value)}' at character {node.at + 1} is no date; expected one such as '2026-01-31'")
        return replace(node, value=moment, kind="datetime" if isinstance(moment, datetime) else "date")


def moment_of(text: str) -> date | datetime | None:
    """A date of ISO 8601 (`2026-01-31`), or a time (`2026-01-31T08:30:00Z`); None of any other text."""
    for read in _MOMENTS:
        try:
            return read(text)
        except ValueError:
            continue
    return None


def instant(moment: date | datetime) -> datetime:
    """A date's midnight, or a time, with a zone: UTC where it has none."""
    at = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


_MOMENTS: Final[tuple[Callable[[str], date], ...]] = (date.fromisoformat, datetime.fromisoformat)


def _kind_of_constant(value: object) -> Kind:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case datetime():
            return "datetime"
        case _:
            return "date"


def _family(node: Node) -> str | None:
    return "number" if node.kind in _NUMBERS else "date" if node.kind in _TIMES else node.kind


def _words(node: Node) -> str:
    match node:
        case Column():
            return f"'{shortened(node.name)}'"
        case Constant():
            return f"'{shortened(node.value)}'"
        case Call():
            return f"{node.function}(…)"
        case _:
            return "what stands"
