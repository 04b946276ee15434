"""Parameter files (YAML, JSON, TOML) as flat `key.of.key: value` tables, and overrides such as a workflow's form gives them."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean, lookalike

_MAX_BYTES = 1_000_000
_MAX_VALUES = 20_000
_MAX_DEPTH = 50
_MAX_TEXT = 20_000
_MAX_OVERRIDE = 2_000
_PLAIN = re.compile(r"^(?!-)[\w .,:/@%+=-]*\Z")
# GitHub's form has fields of one line only: there `;` stands between assignments.
_ASSIGNMENTS = re.compile(r"\r?\n|;(?=\s*[\w./:-]+\s*=)")
_NULL = re.compile(r"^(?:~|null|Null|NULL)$")


@dataclass(frozen=True)
class Override:
    """One value to train with instead of the file's."""

    path: str
    """The parameter file, relative to the working directory."""
    key: str
    """Nested keys joined by dots."""
    value: Any


def flatten(content: bytes, path: str) -> dict[str, str]:
    """Values of a parameter file, nested keys joined by dots; a list is one value.

    Args:
        content: of the file.
        path: its name, for messages; the suffix tells the format (`.json`, `.toml`, else YAML).

    Raises:
        InputError: the file is not what its suffix says, or is out of all proportion.
    """
    return {key: _text(value)[:_MAX_TEXT] for key, value in _values(parse(content, path), path)}


def read(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Values of all parameter files. A key that an earlier file has too is told apart by its file: `other.yaml:lr`.

    Raises:
        InputError: a file is absent or cannot be read.
    """
    found: dict[str, str] = {}
    for path in paths:
        for key, value in flatten(_content(root, path), path).items():
            found[f"{path}:{key}" if key in found else key] = value
    return found


def parse(content: bytes, path: str) -> dict[str, Any]:
    """A parameter file as Python has it. Raises InputError."""
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path}: {len(content):,} bytes; expected a parameter file of at most {_MAX_BYTES:,}")
    try:
        text = content.decode("utf-8-sig")
        match Path(path).suffix.lower():
            case ".json":
                document = json.loads(text)
            case ".toml":
                document = tomllib.loads(text)
            case _:
                document = yaml.load(text, Loader=_Yaml12)  # noqa: S506 -- a SafeLoader
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise InputError(f"{path}: not a valid parameter file: {' '.join(str(error).split())[:300]}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected parameters by name, got {type(document).__name__}")
    return document


def overrides(text: str, root: Path, paths: Sequence[str]) -> list[Override]:
    """What `key=value` lines ask for, each checked against the files. On one line, `;` separates them.

    Empty lines and lines that begin with `#` are passed over. A value is YAML, as in the file. `file:key=value` says which file is
    meant, where more than one has the key. Nothing here or later is run by a shell, and nothing in a value is expanded.

    Args:
        text: the lines.
        root: the working directory.
        paths: of the parameter files, relative to `root`.

    Raises:
        InputError: a line is no assignment, its key is in no file, or its value is of another kind than the one there.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_ASSIGNMENTS.split(text), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and not paths:
        raise InputError("MLGATE_PARAMS: there is nothing to override; name the parameter files in train.params")
    files = {path: dict(_values(parse(_content(root, path), path), path, with_sections=True)) for path in paths}
    found: dict[tuple[str, str], Override] = {}
    for number, line in lines:
        override = _override(line, f"MLGATE_PARAMS: line {number}", files)
        if (override.path, override.key) in found:
            raise InputError(f"MLGATE_PARAMS: line {number}: '{override.key}' is given twice")
        found[override.path, override.key] = override
    return list(found.values())


def apply(asked: Sequence[Override], root: Path) -> None:
    """Write overrides into their files, comments and order kept, with what DVC itself writes parameters with.

    Raises:
        InputError: a file cannot be written.
    """
    from dvc.utils.serialize import MODIFIERS, ParseError

    for path in dict.fromkeys(override.path for override in asked):
        try:
            with MODIFIERS[Path(path).suffix.lower()](str(root / path)) as document:
                for override in asked:
                    if override.path == path:
                        _set(document, override.key, override.value)
        except (OSError, ParseError) as error:
            raise InputError(f"{path}: the overrides cannot be written: {error}") from None


def _override(line: str, where: str, files: Mapping[str, Mapping[str, Any]]) -> Override:
    name, equals, text = line.partition("=")
    name, text = name.strip(), text.strip()
    if not equals or not name:
        raise InputError(f"{where}: expected key=value, got '{line[:80]}'")
    if len(text) > _MAX_OVERRIDE:
        raise InputError(f"{where}: a value of {len(text):,} characters; expected at most {_MAX_OVERRIDE:,}")
    path, key = _named(name, where, files)
    return Override(path, key, _value(text, files[path][key], f"{where}: {key}"))


def _named(name: str, where: str, files: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Which key of which file a name means."""
    path, colon, key = name.partition(":")
    if colon and path in files:
        if key not in files[path]:
            raise InputError(f"{where}: no parameter '{key}' in {path}{did_you_mean(key, files[path])}")
        return path, key
    holders = [path for path, values in files.items() if name in values]
    if not holders:
        known = [key for values in files.values() for key in values]
        raise InputError(f"{where}: no parameter '{name[:80]}' in {', '.join(files)}{did_you_mean(name, known)}")
    if len(holders) > 1:
        raise InputError(f"{where}: '{name}' is in {' and '.join(holders)}; write '{holders[0]}:{name}=…' to say which")
    return holders[0], name


def _value(text: str, old: Any, where: str) -> Any:
    """The value a text means where `old` stands now."""
    if isinstance(old, str) and not _NULL.match(text) and not text.startswith(("'", '"')):
        return _plain(text, where)  # a version such as 1.10 is a text where a text stood
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise InputError(f"{where}: aliases (*name) are not supported; write the value out")
        value = yaml.load(text, Loader=_Yaml12)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a valid YAML value: {' '.join(str(error).split())[:200]}") from None
    if old is not None and value is not None and _kind(old) != _kind(value):
        raise InputError(f"{where}: expected a {_kind(old)} such as {_text(old)[:80]}, got '{text[:80]}'")
    for _, part in _values({"": value}, where, with_sections=True):
        _check_parts(part, where)
    return value


def _check_parts(part: Any, where: str) -> None:
    if isinstance(part, float) and not math.isfinite(part):
        raise InputError(f"{where}: expected a finite number, got {part}")
    texts = [*part, *part.values()] if isinstance(part, Mapping) else part if isinstance(part, list) else [part]
    for text in texts:
        if isinstance(text, (list, Mapping)):
            _check_parts(text, where)
        elif isinstance(text, str):
            _plain(text, where)


def _plain(text: str, where: str) -> str:
    """A text that stays one even where a pipeline writes it into a command: DVC's `${key}` is replaced before the shell runs."""
    if not _PLAIN.match(text):
        raise InputError(
            f"{where}: a text given here may hold letters, digits, spaces and _.,:/@%+=- and not begin with -, got '{text[:60]}'"
        )
    return text


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    kinds = {"str": "text", "dict": "mapping"}
    name = type(value).__name__
    return kinds.get(name, name)


def _set(document: Any, key: str, value: Any) -> None:
    """Replace a value whose flat key is known to be there; a key may hold dots itself."""
    for name in list(document):
        if str(name) == key:
            document[name] = value
            return
        if key.startswith(f"{name}.") and isinstance(document[name], dict):
            _set(document[name], key[len(str(name)) + 1 :], value)


def _values(document: Mapping[Any, Any], path: str, with_sections: bool = False) -> Iterator[tuple[str, Any]]:
    count = 0
    stack: list[tuple[str, Any, int]] = [("", document, 0)]
    while stack:
        key, value, depth = stack.pop()
        count += 1
        if count > _MAX_VALUES or depth > _MAX_DEPTH:
            raise InputError(f"{path}: more than {_MAX_VALUES:,} parameters, or nested deeper than {_MAX_DEPTH}")
        if isinstance(value, Mapping) and (value or not key):
            if with_sections and key:
                yield key, value
            stack += [(f"{key}.{name}" if key else str(name), inner, depth + 1) for name, inner in reversed(list(value.items()))]
        else:
            yield key, value


def _text(value: Any) -> str:
    """A value as YAML writes it, on one line."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    try:
        return json.dumps(value, default=str)
    except (ValueError, RecursionError):  # an alias to itself
        return type(value).__name__


def _content(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"train.params: no file '{path}'{lookalike(root / path) or '; write it, or take it out of train.params'}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


class _Yaml12(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2, as DVC reads parameters: `1e-3` is a number, `on` and `12:30` are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("bool", "int", "float", "timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0o?[0-7_]+|[0-9][0-9_]*|0x[0-9a-fA-F_]+)$"), list("-+0123456789")
)
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def _int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if len(digits) > 4_000:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return sign * int(digits, {"0x": 16, "0o": 8}.get(digits[:2], 10))


_Yaml12.add_constructor("tag:yaml.org,2002:int", _int)
