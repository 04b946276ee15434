"""What a person wrote wrong, put into words: the key path of each mistake, what stands there, the nearest right name."""

from __future__ import annotations

import difflib
import re
import types
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_MAX_MISTAKES = 25
_MAX_NAMES = 25
_MAX_WORD = 200
"""Of what is compared: the time it takes grows with it."""
_KINDS = {"int": "an integer", "float": "a number"}
_SHOWN_KEYS = 3
_QUOTE = "'"
# pydantic adds the branch of a union to the location; users know only their own keys
_UNION_BRANCHES = frozenset({"str", "int", "bool", "float", "constrained-str", "none"})


class MistakeAtKeyError(ValueError):
    """For validators that look at a whole model and know better than pydantic which key is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class MistakeBelowError(ValueError):
    """For validators of a model that stands in another: the key is told from that model on, `range` or `expressions[0]`."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """`; did you mean 'x'?` for the nearest known name, or the names there are, or nothing."""
    names = [str(name) for name in known]
    near = difflib.get_close_matches(word[:_MAX_WORD], names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; expected one of {', '.join(names)}" if names and len(names) <= _MAX_NAMES else ""


def lookalike(path: Path) -> str:
    """`; …` where a file that is not there has a twin whose letters are composed otherwise: alike to the eye, another name to the system.

    macOS and some editors write `ü` as two characters, most others as one.
    """
    for part in reversed((path, *path.parents)):
        if not part.exists() and part.parent.is_dir():
            wanted = unicodedata.normalize("NFC", part.name)
            others = (other.name for other in part.parent.iterdir() if other.name != part.name)
            twins = [name for name in others if unicodedata.normalize("NFC", name) == wanted]
            return f"; '{part.name}' is there with its letters composed otherwise (Unicode NFC and NFD): rename it" if twins else ""
    return ""


def kind_of(value: object) -> str:
    """What a value of a YAML file is, in words: `the text 'x'`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"{str(value).lower()} (a yes/no value)"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f"the text '{shortened(value)}'"
        case _:
            return f"{shortened(value)} ({_KINDS.get(type(value).__name__) or f'a {type(value).__name__}'})"


def shortened(value: object) -> str:
    """A value as it may be quoted in a message."""
    text = " ".join(str(value).encode(errors="backslashreplace").decode().split())
    return text if len(text) <= 60 else text[:57] + "..."


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line a mistake: key path, what was expected, what is there.

    Args:
        error: what pydantic found wrong with a document.
        model: what the document should have been; names the keys there are.
    """
    lines = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, MistakeAtKeyError):
            lines.append(f"{cause.key}: {cause}")
            continue
        if isinstance(cause, MistakeBelowError):
            lines.append(f"{_key_path(location, cause.key)}: {cause}")
            continue
        kind, given = problem["type"], problem.get("input")
        match kind:
            case "extra_forbidden":
                key = str(location[-1])
                lines.append(f"{_key_path(location[:-1], key)}: unknown key{did_you_mean(key, _keys_at(model, location[:-1]))}")
            case "invalid_key":
                lines.append(f"{_key_path(location[:-1]) or 'top level'}: expected text as a key, got {kind_of(given)}")
            case "missing":
                lines.append(f"{_key_path(location)}: missing; this key is required")
            case "value_error":
                lines.append(f"{_key_path(location) or 'mlgate'}: {cause}")
            case "literal_error":
                expected = re.findall(r"'([^']*)'", str(problem.get("ctx", {}).get("expected", "")))
                lines.append(f"{_key_path(location)}: '{shortened(given)}' is not possible{did_you_mean(str(given), expected)}")
            case "model_type" | "model_attributes_type" | "dict_type" if keys := _keys_at(model, location):
                such = ", ".join(keys[:_SHOWN_KEYS])
                lines.append(f"{_key_path(location) or 'top level'}: expected keys below it, such as {such}; got {kind_of(given)}")
            case "list_type" | "tuple_type":
                like = _example(_annotation_at(model, location), given)
                what = f"a list, such as {like}" if kind == "list_type" else "two values, [least, greatest]"
                lines.append(f"{_key_path(location)}: expected {what}, got {kind_of(given)}")
            case "too_short" | "too_long" if isinstance(given, list):
                lines.append(f"{_key_path(location)}: expected {_bound(problem['ctx'])}, got {_entries(len(given))}")
            case _:
                wanted = _wanted(kind, problem.get("ctx", {})) or f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
                lines.append(f"{_key_path(location) or 'top level'}: {wanted}, got {kind_of(given)}")
    distinct = list(dict.fromkeys(lines))
    more = len(distinct) - _MAX_MISTAKES
    return [*distinct[:_MAX_MISTAKES], f"and {more:,} more mistakes"] if more > 0 else distinct


def _wanted(kind: str, limits: Mapping[str, Any]) -> str:
    """What pydantic expected, in words of the file rather than of Python; empty where its own are better."""
    match kind:
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return "expected a whole number"
        case "float_type" | "float_parsing":
            return "expected a number"
        case "finite_number":
            return "expected a finite number"
        case "bool_type" | "bool_parsing":
            return "expected true or false"
        case "string_type":
            return "expected text"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            bound = next(iter(limits.values()))
            word = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}[next(iter(limits))]
            return f"expected {word} {bound:,.12g}" if isinstance(bound, int | float) else ""
        case _:
            return ""


def _key_path(location: tuple[int | str, ...], *more: str) -> str:
    path = ""
    parts = (*location, *more)
    for before, part in zip((None, *parts), parts, strict=False):
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _UNION_BRANCHES or before == "columns":  # a column may have any name
            path += f".{part}" if path else str(part)
    return path


def _bound(limits: Mapping[str, Any]) -> str:
    """How many entries pydantic wants of a list, from what it says of one that has others."""
    return f"at least {_entries(limits['min_length'])}" if "min_length" in limits else f"at most {_entries(limits['max_length'])}"


def _entries(count: int) -> str:
    return f"{count:,} entr{'y' if count == 1 else 'ies'}" if count else "an empty list"


def _example(annotation: Any, given: object) -> str:
    """A list as a key takes it, in YAML: of what was given without brackets, where that can be an entry.

    Args:
        annotation: of the key, with a list somewhere in it.
        given: what is there instead.
    """
    item = next((get_args(part)[0] for part in _alternatives(annotation) if get_origin(part) is list), str)
    kinds = list(_alternatives(item))
    if sections := [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]:
        fields = sections[0].model_fields.items()
        keys = [field.alias or name for name, field in fields if field.is_required()] or [field.alias or name for name, field in fields]
        return f"[{{{', '.join(f'{key}: …' for key in keys[:2])}}}]"
    if any(get_origin(kind) is list for kind in kinds):
        return f"[{_example(item, None)}]"
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    usual: Sequence[object] = choices[:2] or ["first", "second"]
    of: tuple[type, ...] = (str, int, float) if Any in kinds else (str,)
    if float in kinds:
        usual, of = [0.5, 0.9], (int, float)
    elif int in kinds:
        usual, of = [1, 2], (int,)
    stated = given.values() if isinstance(given, dict) else [given]
    entries = [one for one in stated if isinstance(one, of) and not isinstance(one, bool) and str(one).strip()]
    fitting = [one for one in entries if not choices or one in choices]
    return f"[{', '.join(_in_yaml(one) for one in fitting[:2] or usual)}]"


def _in_yaml(value: object) -> str:
    text = shortened(value)
    is_plain = not isinstance(value, str) or re.fullmatch(r"[A-Za-z_./][\w./*-]*( [\w./*-]+)*", text)
    return text if is_plain else f"'{text.replace(_QUOTE, _QUOTE * 2)}'"


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _alternatives(one)
    else:
        yield annotation


def _annotation_at(model: Any, location: tuple[int | str, ...]) -> Any:
    """Of the key at a location; None where nothing stands there."""
    annotation = model
    for part in location:
        found = None
        for kind in _alternatives(annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found = next((field.annotation for name, field in kind.model_fields.items() if part in (name, field.alias)), None)
            elif get_origin(kind) in (list, tuple) and isinstance(part, int):
                found = get_args(kind)[0]
            elif get_origin(kind) is dict:
                found = get_args(kind)[1]
            if found is not None:
                break
        annotation = found if found is not None else annotation  # a branch of a union has no key of its own
    return annotation


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    is_key = False
    for part in location:
        if isinstance(part, int) or is_key:
            is_key = False
            continue
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is None:
            return []
        model = _model_in(field.annotation)
        if model is None:
            return []
        is_key = get_origin(field.annotation) is dict
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, types.UnionType, Annotated):
        return next((found for found in map(_model_in, get_args(annotation)) if found), None)
    return _model_in(get_args(annotation)[1]) if get_origin(annotation) is dict else None
