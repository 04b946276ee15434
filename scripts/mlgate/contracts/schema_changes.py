"""Two versions of a contract, rule by rule: what changed, and whether data passes now that was refused before. Pure.

It reads YAML schemas without pandera, in the job that holds the write token. Whatever it does not understand counts as a weakening: a
person looks at it, once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mlgate import strict_yaml
from mlgate.errors import InputError

# What a column or a table is held to where its schema does not say.
_OF_COLUMN = {"nullable": False, "unique": False, "required": True, "coerce": False, "regex": False, "dtype": None, "default": None}
_OF_TABLE = {
    "strict": False, "ordered": False, "coerce": False, "dtype": None, "unique": None, "unique_column_names": False,
    "add_missing_columns": False, "index": None, "multiindex": None,
}  # fmt: skip
# Neither adds nor takes away a rule: words for people, and how pandera reports or drops what our check counts by itself.
_WORDS = frozenset({
    "title", "description", "name", "metadata", "version", "schema_type", "api", "dataframe_library", "report_duplicates",
    "drop_invalid_rows", "columns", "checks",
})  # fmt: skip
_BOUNDS = {
    "in_range": (("min_value", "include_min", "low"), ("max_value", "include_max", "high")),
    "greater_than": (("min_value", False, "low"),),
    "greater_than_or_equal_to": (("min_value", True, "low"),),
    "less_than": (("max_value", False, "high"),),
    "less_than_or_equal_to": (("max_value", True, "high"),),
}
_LISTS = {"isin": "allowed_values", "notin": "forbidden_values"}


@dataclass(frozen=True)
class SchemaChange:
    """One rule of a contract that differs."""

    name: str
    """Where it stands: `columns.age.nullable`."""
    old: str | None
    new: str | None
    is_weakening: bool


@dataclass
class _Column:
    """A column's rules in one form, however they are written."""

    settings: dict[str, Any]
    low: tuple[Any, bool] | None = None
    """Lower bound, and whether it is allowed itself."""
    high: tuple[Any, bool] | None = None
    lists: dict[str, list[Any]] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    """Checks whose strength cannot be compared, by name."""


class _NotComparableError(Exception):
    """The document is no schema this module understands."""


def compare(old: bytes, new: bytes) -> list[SchemaChange] | None:
    """What differs between two YAML schemas; an empty list where they ask the same, None where they cannot be compared.

    Args:
        old: content of the baseline's file.
        new: content of the candidate's.
    """
    if old.replace(b"\r\n", b"\n") == new.replace(b"\r\n", b"\n"):
        return []
    try:
        before, after = _document(old), _document(new)
        return [*_settings("", before, after, _OF_TABLE, _is_table_weaker), *_checks_of_table(before, after), *_columns(before, after)]
    except _NotComparableError:
        return None


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = strict_yaml.parse(content, "schema")
    except InputError:
        raise _NotComparableError from None
    if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
        raise _NotComparableError
    if not all(isinstance(column, dict) for column in document["columns"].values()):
        raise _NotComparableError
    return document


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(
    prefix: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    defaults: Mapping[str, Any],
    is_weaker: Callable[[str, Any, Any], bool],
) -> list[SchemaChange]:
    known = [*defaults, *sorted({str(key) for key in (*old, *new)} - set(defaults) - _WORDS)]
    found = []
    for key in known:
        before, after = (_given(document.get(key), defaults.get(key)) for document in (old, new))
        if before != after or type(before) is not type(after):
            weaker = is_weaker(key, before, after) if key in defaults else True
            found.append(SchemaChange(f"{prefix}{key}", _text(before), _text(after), weaker))
    return found


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _is_table_weaker(key: str, old: Any, new: Any) -> bool:
    match key:
        case "strict" | "ordered" | "unique_column_names":
            return old is True
        case "coerce" | "add_missing_columns":
            return new is not False
        case "unique" if old is not None and new:
            return not set(_listed(new)) <= set(_listed(old))  # fewer columns that have to be unique together ask more
        case _:  # dtype, unique, index, multiindex: one more rule where there was none, else another one
            return old is not None


def _is_column_weaker(key: str, old: Any, new: Any) -> bool:
    match key:
        case "nullable" | "coerce":
            return new is not False
        case "unique" | "required":
            return new is not True
        case "dtype":
            return old is not None
        case "default":  # fills what is missing, so nothing is
            return new is not None
        case _:  # regex: other columns are meant
            return True


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


# --- columns ---------------------------------------------------------------------------------------------------------


def _columns(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[SchemaChange]:
    old, new = before["columns"], after["columns"]
    found = []
    for name in dict.fromkeys((*old, *new)):
        where = f"columns.{name}"
        if name not in new:
            found.append(SchemaChange(where, "asked for", None, is_weakening=True))
        elif name not in old:
            # A strict contract refused every table that has it.
            is_let_in = before.get("strict") is True or before.get("ordered") is True
            # A column with an entry of its own is no longer asked what a pattern asks.
            is_excused = any(column.get("regex") and _may_match(key, name) for key, column in old.items())
            found.append(SchemaChange(where, None, "asked for", is_weakening=is_let_in or is_excused))
        elif old[name] != new[name]:
            found += _column(where, _read(old[name]), _read(new[name]))
    if list(map(str, old)) != [str(name) for name in new if name in old] and before.get("ordered") is True and set(old) <= set(new):
        found.append(SchemaChange("columns", ", ".join(map(str, old)), ", ".join(map(str, new)), is_weakening=True))
    return found


def _may_match(pattern: object, name: object) -> bool:
    """Whether a pattern of columns finds a column of that name; of one that cannot be read, or is another's pattern, nobody knows."""
    try:
        return re.match(str(pattern), str(name)) is not None
    except (re.error, RecursionError, OverflowError):
        return True


def _column(where: str, old: _Column, new: _Column) -> list[SchemaChange]:
    found = _settings(f"{where}.", old.settings, new.settings, _OF_COLUMN, _is_column_weaker)
    for side, sign in (("low", 1), ("high", -1)):
        before, after = getattr(old, side), getattr(new, side)
        if before != after:
            name = f"{where}.{'min_value' if side == 'low' else 'max_value'}"
            found.append(SchemaChange(name, _bound(before), _bound(after), _is_bound_weaker(before, after, sign)))
    for name in dict.fromkeys((*old.lists, *new.lists)):
        before, after = old.lists.get(name), new.lists.get(name)
        if before is None or after is None or not _same_values(before, after):
            found.append(SchemaChange(f"{where}.{_LISTS[name]}", _text(before), _text(after), _is_list_weaker(name, before, after)))
    for name in dict.fromkeys((*old.others, *new.others)):
        if name not in old.others or name not in new.others or not _is_same(old.others[name], new.others[name]):
            one, other = ((_text(checks[name]) if name in checks else None) for checks in (old.others, new.others))
            found.append(SchemaChange(f"{where}.{name}", one, other, name in old.others))
    return found


def _checks_of_table(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[SchemaChange]:
    old, new = _named_checks(before.get("checks")), _named_checks(after.get("checks"))
    return [
        SchemaChange(f"checks.{name}", _text(old[name]) if name in old else None, _text(new[name]) if name in new else None, name in old)
        for name in dict.fromkeys((*old, *new))
        if name not in old or name not in new or not _is_same(old[name], new[name])
    ]


# --- checks ----------------------------------------------------------------------------------------------------------


def _read(column: Mapping[str, Any]) -> _Column:
    checks = _named_checks(column.get("checks"))
    settings = {}
    for key, value in column.items():
        if key in _OF_COLUMN or key in _WORDS:
            settings[key] = value
        else:
            checks[key] = value  # pandera also reads a check that stands beside the keys
    read = _Column(settings)
    for name, value in checks.items():
        if _BOUNDS.get(name) and (bounds := _bounds(name, value)) is not None:
            for side, bound in bounds.items():
                setattr(read, side, _stricter(getattr(read, side), bound, 1 if side == "low" else -1))
        elif name in _LISTS and (values := _values(name, value)) is not None:
            read.lists[name] = values
        else:
            read.others[str(name)] = value
    return read


def _named_checks(checks: Any) -> dict[str, Any]:
    """Checks by name, from either form that pandera writes. A check by a name that occurs twice keeps both."""
    if checks is None:
        return {}
    if isinstance(checks, dict):
        return {str(name): value for name, value in checks.items()}
    found: dict[str, Any] = {}
    for entry in checks if isinstance(checks, list) else [checks]:
        options = entry.get("options") if isinstance(entry, dict) else None
        if not isinstance(options, dict) or "check_name" not in options:
            raise _NotComparableError
        name = str(options["check_name"])
        others = {key: value for key, value in options.items() if key != "check_name"}
        value = {key: value for key, value in entry.items() if key != "options"} | ({"options": others} if others else {})
        found[name if name not in found else f"{name} ({len(found)})"] = value
    return found


def _bounds(name: str, value: Any) -> dict[str, tuple[Any, bool]] | None:
    """Lower and upper bound that a check asks for; None where it is written in a way that cannot be compared."""
    statistics = _statistics(value)
    if statistics is None:
        if isinstance(value, dict | list) or value is None or name == "in_range":
            return None
        statistics = {_BOUNDS[name][0][0]: value}
    known = {key for key, _, _ in _BOUNDS[name]} | {inclusion for _, inclusion, _ in _BOUNDS[name] if isinstance(inclusion, str)}
    if "value" in statistics and len(_BOUNDS[name]) == 1:
        statistics = {**statistics, _BOUNDS[name][0][0]: statistics["value"]}
        known.add("value")
    if set(statistics) - known:
        return None
    found = {}
    for key, inclusion, side in _BOUNDS[name]:
        bound = statistics.get(key)
        if not _is_ordered(bound):
            return None
        is_included = statistics.get(inclusion, True) if isinstance(inclusion, str) else inclusion
        found[side] = (bound, bool(is_included))
    return found


def _statistics(value: Any) -> dict[str, Any] | None:
    """A check's arguments; None where it has options of its own (a mere warning, nulls not ignored), or no names."""
    if not isinstance(value, dict):
        return None
    options = value.get("options") or {}
    defaults = {"raise_warning": False, "ignore_na": True}
    if not isinstance(options, dict) or any(key not in defaults or defaults[key] != options[key] for key in options):
        return None
    return {str(key): one for key, one in value.items() if key != "options"}


def _values(name: str, value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return value
    statistics = _statistics(value)
    if statistics is None or len(statistics) != 1:
        return None
    listed = statistics.get("value", statistics.get(_LISTS[name]))
    return listed if isinstance(listed, list) else None


def _is_ordered(value: Any) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)) or isinstance(value, date)


def _stricter(one: tuple[Any, bool] | None, other: tuple[Any, bool], sign: int) -> tuple[Any, bool]:
    if one is None:
        return other
    return one if _is_bound_weaker(one, other, sign) else other


def _is_bound_weaker(old: tuple[Any, bool] | None, new: tuple[Any, bool] | None, sign: int) -> bool:
    """Whether a lower (sign 1) or upper (sign -1) bound lets more through than before."""
    if old is None:
        return False
    if new is None:
        return True
    (before, was_included), (after, is_included) = old, new
    try:
        if before == after:
            return is_included and not was_included
        return bool(after < before) if sign > 0 else bool(after > before)
    except TypeError:  # a number and a date
        return True


def _is_list_weaker(name: str, old: list[Any] | None, new: list[Any] | None) -> bool:
    if old is None:
        return False
    if new is None:
        return True
    fewer, more = (new, old) if name == "isin" else (old, new)
    return not _keys(fewer) <= _keys(more)


def _same_values(one: list[Any], other: list[Any]) -> bool:
    return _keys(one) == _keys(other)


def _keys(values: list[Any]) -> set[tuple[str, str]]:
    """YAML's `1` and `true`, and `1` and `"1"`, are different values in data."""
    return {(type(value).__name__, repr(value)) for value in values}


def _is_same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


# --- words -----------------------------------------------------------------------------------------------------------


def _bound(bound: tuple[Any, bool] | None) -> str | None:
    return None if bound is None else f"{bound[0]}{'' if bound[1] else ' (excluded)'}"


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(_text(one) or "null" for one in value) or "none"
        case dict():
            return ", ".join(f"{key}: {_text(one)}" for key, one in value.items()) or "on"
        case _:
            return str(value)
