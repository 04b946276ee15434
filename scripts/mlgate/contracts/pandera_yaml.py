"""pandera's YAML as a contract that any engine runs, read without pandera; what has no translation is named, and pandera runs it.

Where pandera takes a misspelt key in silence, or drops a check with a mere warning, this module refuses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from mlgate import strict_yaml
from mlgate.contracts import pandas_types
from mlgate.contracts.model import (
    ColumnsAre,
    Contract,
    InRange,
    Level,
    Matches,
    NoneOf,
    NotNull,
    OfDtype,
    OfLength,
    OneOf,
    Present,
    Rule,
    Scalar,
    Unique,
)
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean

_TOP_KEYS: Final = frozenset({
    "schema_type", "version", "api", "dataframe_library", "columns", "checks", "index", "multiindex", "dtype", "coerce", "strict", "name",
    "ordered", "unique", "report_duplicates", "unique_column_names", "add_missing_columns", "title", "description", "drop_invalid_rows",
    "metadata",
})  # fmt: skip
_COLUMN_KEYS: Final = frozenset({
    "title", "description", "dtype", "nullable", "checks", "name", "unique", "coerce", "required", "regex", "default", "report_duplicates",
    "drop_invalid_rows",
})  # fmt: skip
# Of a pandas schema; the others that pandera registers are for arrays and hypothesis tests, and are pandera's to refuse or to run.
CHECKS: Final = frozenset({
    "equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to", "in_range", "isin",
    "notin", "str_matches", "str_contains", "str_startswith", "str_endswith", "str_length", "unique_values_eq",
    "cf_has_cell_methods", "cf_has_standard_names", "cf_standard_name", "cf_units", "dim_size", "has_attrs", "has_coords", "has_dims",
    "has_encoding", "is_monotonic", "ndim", "no_duplicates_in_coord", "one_sample_ttest", "two_sample_ttest",
})  # fmt: skip
_CHECKS_OF_LISTS: Final = frozenset({"isin", "notin"})
_KEEP: Final = {None: "none", "all": "none", "exclude_first": "first", "exclude_last": "last"}
_OF_PANDERA_ALONE: Final = {
    "index": "rules of the index",
    "multiindex": "rules of the index",
    "checks": "checks of the whole table",
    "dtype": "one dtype for the whole table",
    "add_missing_columns": "add_missing_columns",
}
_DATETIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
"""In which pandera writes times."""


class _ForPanderaError(Exception):
    """There is no translation; the message says of what."""


@dataclass(frozen=True)
class Translation:
    """A schema over one table's columns."""

    contract: Contract
    """Its `only_pandera` says what is left out of its rules."""
    by_pandera: Mapping[str, str]
    """Columns of the schema, by their key there, that pandera has to run, each with the reason."""
    whole: str | None = None
    """Why pandera has to run all of it; the contract is empty then."""
    key_of: Mapping[str, str] = field(default_factory=dict)
    """The schema's key of each of the table's columns that it names; a pattern where it is found by one."""


def read(path: Path, shown_as: str) -> dict[str, Any]:
    """The document of a schema.

    Raises:
        InputError: no such file, or something in it that pandera does not know; file and key are named.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{shown_as}: no such schema; write one, or let 'mlgate init' propose it from the data") from None
    except OSError as error:
        raise InputError(f"{shown_as}: cannot be read: {error.strerror}") from None
    document = strict_yaml.parse(text, shown_as)
    _check_keys(document, shown_as)
    return dict(document)


def translate(document: Mapping[str, Any], names: Sequence[str]) -> Translation:
    """A schema as a contract.

    Args:
        document: as `read` gives it.
        names: the table's columns, in order.
    """
    if whole := _whole(document):
        return Translation(Contract((), (whole,)), {}, whole)
    by_pandera: dict[str, str] = {}
    key_of: dict[str, str] = {}
    rules: list[Rule] = [*_shape(document)]
    for key, column in document["columns"].items():
        try:
            matched = _matched(key, column, names, document["columns"])
            key_of.update(dict.fromkeys(matched, key))
            rules += _rules_of_column(column, matched, bool(document.get("coerce")))
            if column.get("regex") and column.get("required", True) and not any(re.match(key, name) for name in names):
                rules.append(Present(key, text="no column matches"))
        except _ForPanderaError as error:
            by_pandera[key] = f"{key}: {error}"
    together = document.get("unique")
    if together:
        listed = [together] if isinstance(together, str) else list(together)
        present = tuple(name for name in listed if name in names)
        text = "unique" if len(listed) == 1 else f"unique ({', '.join(map(str, listed))})"
        if present:
            rules.append(Unique(present, _KEEP[document.get("report_duplicates")], text=text))  # type: ignore[arg-type]  # one of the three
    return Translation(Contract(tuple(rules), tuple(by_pandera.values())), by_pandera, None, key_of)


def of_columns(document: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The schema of some of its columns alone."""
    return {"columns": {key: document["columns"][key] for key in keys}, "coerce": bool(document.get("coerce"))}


# --- the table -------------------------------------------------------------------------------------------------------


def _whole(document: Mapping[str, Any]) -> str | None:
    for key, what in _OF_PANDERA_ALONE.items():
        if document.get(key):
            return what
    columns = document["columns"]
    if not all(isinstance(key, str) for key in columns):
        return "columns whose names are no text"
    if document.get("ordered") and any(column.get("regex") for column in columns.values()):
        return "the order of columns that are found by a pattern"
    listed = document.get("unique")
    if document.get("report_duplicates") not in _KEEP or not (
        listed is None or isinstance(listed, str) or (isinstance(listed, list) and all(isinstance(name, str) for name in listed))
    ):
        return "unique"
    if document.get("strict") not in (None, True, False, "filter"):
        return "strict"
    return None


def _shape(document: Mapping[str, Any]) -> Iterator[Rule]:
    """Which columns there may be. `strict: filter` leaves others out without a word, and asks nothing."""
    is_exclusive, is_ordered = document.get("strict") is True, bool(document.get("ordered"))
    if is_exclusive or is_ordered:
        columns = document["columns"]
        named = tuple(key for key, column in columns.items() if not column.get("regex"))
        patterns = tuple(key for key, column in columns.items() if column.get("regex"))
        yield ColumnsAre(named, patterns, is_exclusive, is_ordered, text="column not in the contract")


def _matched(key: str, column: Mapping[str, Any], names: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
    """The table's columns that an entry of the schema is about; one that has an entry of its own is about itself alone."""
    if not column.get("regex"):
        return [key]
    try:
        pattern = re.compile(key)
    except re.error:
        raise _ForPanderaError("a pattern that cannot be read") from None
    return [name for name in names if pattern.match(name) and name not in columns]


# --- columns ---------------------------------------------------------------------------------------------------------


def _rules_of_column(column: Mapping[str, Any], matched: Sequence[str], is_coerced: bool) -> list[Rule]:
    if column.get("default") is not None:
        raise _ForPanderaError("a default for missing cells")
    if column.get("report_duplicates") not in _KEEP:
        raise _ForPanderaError("report_duplicates")
    dtype = _dtype(column, is_coerced)
    checks = [_check(name, value, dtype) for name, value in _checks("", column)]
    rules: list[Rule] = []
    for name in matched:
        if column.get("required", True):
            rules.append(Present(name, text="column missing"))
        if dtype is not None:
            rules.append(OfDtype(name, dtype, bool(column.get("coerce") or is_coerced), text=f"dtype {dtype}"))
        rules += [make(name) for make in checks]
        if not column.get("nullable"):
            rules.append(NotNull(name, text="not nullable"))
        if column.get("unique"):
            rules.append(Unique((name,), _KEEP[column.get("report_duplicates")], text="unique"))  # type: ignore[arg-type]  # one of the three
    return rules


def _dtype(column: Mapping[str, Any], is_coerced: bool) -> str | None:
    named = column.get("dtype")
    if not named:
        return None
    if isinstance(named, str):
        if named in pandas_types.NAMES:
            return pandas_types.NAMES[named]
        if named in pandas_types.EXTENSIONS and (column.get("coerce") or is_coerced):
            return named
    raise _ForPanderaError(f"dtype {named}")


def _check(name: str, given: Any, dtype: str | None) -> Callable[[str], Rule]:
    """A check as a rule about a column yet to be named."""
    options: dict[str, Any] = {}
    arguments = given
    if isinstance(given, dict):
        options = dict(given.get("options") or {})
        arguments = {key: value for key, value in given.items() if key != "options"}
        if set(arguments) == {"value"}:
            arguments = arguments["value"]
    level, said = _options(name, options)
    take = _Arguments(name, arguments, dtype)
    make = _TRANSLATED.get(name)
    if make is None:
        raise _ForPanderaError(f"the check {name}")
    rule, text = make(take)
    take.finish()
    return lambda column: rule(column, text=said or text, level=level)


def _options(name: str, options: dict[str, Any]) -> tuple[Level, str | None]:
    """Whether a check only warns, and its author's words for it."""
    options.pop("check_name", None)
    options.pop("n_failure_cases", None)  # how many pandera would list; ours are counted
    level: Level = "warn" if options.pop("raise_warning", False) is True else "fail"
    said = options.pop("error", None)
    if options.pop("ignore_na", True) is not True or options or not (said is None or isinstance(said, str)):
        raise _ForPanderaError(f"options of the check {name}")
    return level, " ".join(said.split()) if said else None


class _Arguments:
    """What a check is given, by name or as its one value."""

    def __init__(self, check: str, given: Any, dtype: str | None) -> None:
        self.check = check
        self.is_named = isinstance(given, dict)
        self.given: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
        self.only = None if self.is_named else given
        self.dtype = dtype

    def value(self, name: str) -> Any:
        """An argument as pandera takes it: times for columns of times."""
        if self.is_named:
            found = self.given.pop(name, None)
        else:
            found, self.only = self.only, None
        if self.dtype == "timedelta64[ns]":
            raise self.stranger()
        if isinstance(found, str) and self.dtype == "datetime64[ns]":
            try:
                return datetime.strptime(found, _DATETIME_FORMAT)  # noqa: DTZ007 -- the column has no zone either
            except ValueError:
                return found
        if isinstance(found, date) and not isinstance(found, datetime):
            found = datetime(found.year, found.month, found.day)  # noqa: DTZ001 -- as above
        if isinstance(found, datetime) and (self.dtype != "datetime64[ns]" or found.tzinfo is not None):
            raise self.stranger()
        return found

    def scalar(self, name: str) -> Any:
        found = self.value(name)
        if not isinstance(found, bool | int | float | str | datetime) or (isinstance(found, float) and math.isnan(found)):
            raise self.stranger()
        return found

    def bound(self, name: str) -> Any:
        found = self.scalar(name)
        if isinstance(found, bool):
            raise self.stranger()
        return found

    def flag(self, name: str) -> bool:
        found = self.given.pop(name, True)
        if not isinstance(found, bool):
            raise self.stranger()
        return found

    def text(self, name: str) -> str:
        found = self.given.pop(name, None) if self.is_named else self.only
        self.only = None
        if not isinstance(found, str):
            raise self.stranger()
        return found

    def values(self, name: str) -> list[Any]:
        given = self.given.pop(name, None) if self.is_named else self.only
        self.only = None
        found = given if isinstance(given, list) else []
        kinds = {type(value) for value in found}
        if kinds not in ({int}, {float}, {int, float}, {str}, {bool}) or self.dtype in ("datetime64[ns]", "timedelta64[ns]"):
            raise self.stranger()
        if (kinds == {bool}) != (self.dtype == "bool") or any(isinstance(value, float) and not math.isfinite(value) for value in found):
            raise self.stranger()
        return found

    def stranger(self) -> _ForPanderaError:
        return _ForPanderaError(f"arguments of the check {self.check}")

    def finish(self) -> None:
        """Raises _ForPanderaError: something is left, of which pandera has to say that it does not know it."""
        if self.given or self.only is not None:
            raise self.stranger()


_Made = tuple[Callable[..., Rule], str]


def _plain(value: Scalar | datetime) -> Scalar:
    return value.isoformat() if isinstance(value, datetime) else value


def _one_bound(name: str, is_low: bool, is_included: bool) -> Callable[[_Arguments], _Made]:
    def make(take: _Arguments) -> _Made:
        end = take.bound("min_value" if is_low else "max_value")
        low, high = (_plain(end), None) if is_low else (None, _plain(end))
        return lambda column, **words: InRange(column, low, high, is_included, is_included, **words), f"{name}({end})"

    return make


def _in_range(take: _Arguments) -> _Made:
    low, high = take.bound("min_value"), take.bound("max_value")
    with_low, with_high = take.flag("include_min"), take.flag("include_max")
    try:
        is_empty = low > high or (low == high and not (with_low and with_high))
    except TypeError:
        raise take.stranger() from None
    if is_empty:
        raise take.stranger()
    return lambda column, **words: InRange(column, _plain(low), _plain(high), with_low, with_high, **words), f"in_range({low}, {high})"


def _one_value(name: str, kind: type[OneOf | NoneOf]) -> Callable[[_Arguments], _Made]:
    def make(take: _Arguments) -> _Made:
        value = take.scalar("value")
        return lambda column, **words: kind(column, (_plain(value),), **words), f"{name}({value})"

    return make


def _list(name: str, argument: str, kind: type[OneOf | NoneOf]) -> Callable[[_Arguments], _Made]:
    def make(take: _Arguments) -> _Made:
        values = take.values(argument)
        return lambda column, **words: kind(column, tuple(values), **words), f"{name}({values})"

    return make


def _pattern(name: str, argument: str, where: str, form: Callable[[str], str]) -> Callable[[_Arguments], _Made]:
    def make(take: _Arguments) -> _Made:
        given = take.text(argument)
        pattern = form(given)
        try:
            re.compile(pattern)
        except re.error:
            raise take.stranger() from None
        return lambda column, **words: Matches(column, pattern, where, **words), f"{name}('{given}')"  # type: ignore[arg-type]  # a literal

    return make


def _length(take: _Arguments) -> _Made:
    low, high, exact = (take.given.pop(name, None) for name in ("min_value", "max_value", "exact_value"))
    if not take.is_named or any(not (end is None or type(end) is int) for end in (low, high, exact)):
        raise take.stranger()
    if exact is not None and (low is not None or high is not None):
        raise take.stranger()
    if exact is not None:
        return lambda column, **words: OfLength(column, exact, exact, **words), f"str_length({exact})"
    if (low is None and high is None) or (low is not None and high is not None and low > high):
        raise take.stranger()
    return lambda column, **words: OfLength(column, low, high, **words), f"str_length({low}, {high})"


_TRANSLATED: Final[Mapping[str, Callable[[_Arguments], _Made]]] = {
    "equal_to": _one_value("equal_to", OneOf),
    "not_equal_to": _one_value("not_equal_to", NoneOf),
    "greater_than": _one_bound("greater_than", True, False),
    "greater_than_or_equal_to": _one_bound("greater_than_or_equal_to", True, True),
    "less_than": _one_bound("less_than", False, False),
    "less_than_or_equal_to": _one_bound("less_than_or_equal_to", False, True),
    "in_range": _in_range,
    "isin": _list("isin", "allowed_values", OneOf),
    "notin": _list("notin", "forbidden_values", NoneOf),
    "str_matches": _pattern("str_matches", "pattern", "start", str),
    "str_contains": _pattern("str_contains", "pattern", "anywhere", str),
    "str_startswith": _pattern("str_startswith", "string", "start", re.escape),
    "str_endswith": _pattern("str_endswith", "string", "anywhere", lambda end: re.escape(end) + r"\Z"),
    "str_length": _length,
}


# --- keys ------------------------------------------------------------------------------------------------------------


def _check_keys(document: Any, shown_as: str) -> None:
    if not isinstance(document, dict):
        raise InputError(f"{shown_as}: expected a pandera schema with 'columns'")
    for key in document:
        if key not in _TOP_KEYS:
            raise InputError(f"{shown_as}: {key}: unknown key{did_you_mean(str(key), _TOP_KEYS)}")
    if document.get("schema_type", "dataframe") != "dataframe":
        raise InputError(f"{shown_as}: schema_type: expected 'dataframe', got '{document['schema_type']}'")
    columns = document.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise InputError(f"{shown_as}: columns: expected at least one column, by name; a contract without columns would always hold")
    for name, column in columns.items():
        _check_column(f"{shown_as}: columns.{name}", column)


def _check_column(where: str, column: Any) -> None:
    if not isinstance(column, dict):
        raise InputError(f"{where}: expected keys such as dtype, nullable and checks")
    beside = [key for key in column if key not in _COLUMN_KEYS]
    for key in beside:
        if key not in CHECKS:
            raise InputError(f"{where}.{key}: neither a key nor a check{did_you_mean(str(key), sorted(_COLUMN_KEYS | CHECKS))}")
    if beside and column.get("checks") is not None:
        raise InputError(f"{where}.{beside[0]}: pandera ignores it beside 'checks'; write all checks in one place")
    for name, value in _checks(where, column):
        if name not in CHECKS:
            raise InputError(f"{where}.checks.{name}: no such check{did_you_mean(str(name), sorted(CHECKS))}")
        listed = next(iter(value.values()), None) if isinstance(value, dict) and len(value) == 1 else value
        if name in _CHECKS_OF_LISTS and not isinstance(listed, (list, dict)):
            raise InputError(f"{where}.checks.{name}: expected a list of values")


def _checks(where: str, column: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Checks of a column with what they are given, from any of pandera's forms: beside the other keys, in a mapping, or in a list whose
    entries carry their name in `options`."""
    checks = column.get("checks")
    if checks is None:
        return [(str(key), column[key]) for key in column if key not in _COLUMN_KEYS]
    if isinstance(checks, dict):
        return [(str(key), value) for key, value in checks.items()]
    entries = checks if isinstance(checks, list) else [checks]
    if not all(
        isinstance(entry, dict) and isinstance(entry.get("options"), dict) and "check_name" in entry["options"] for entry in entries
    ):
        raise InputError(f"{where}.checks: expected a mapping such as in_range: {{min_value: 0, max_value: 120}}")
    return [(str(entry["options"]["check_name"]), entry) for entry in entries]
