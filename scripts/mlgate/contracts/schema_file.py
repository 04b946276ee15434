"""pandera schemas in YAML, read strictly: pandera passes over a misspelt key in silence, and a contract that asks nothing always holds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mlgate import strict_yaml
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean

_TOP_KEYS = frozenset({
    "schema_type", "version", "api", "dataframe_library", "columns", "checks", "index", "multiindex", "dtype", "coerce", "strict", "name",
    "ordered", "unique", "report_duplicates", "unique_column_names", "add_missing_columns", "title", "description", "drop_invalid_rows",
    "metadata",
})  # fmt: skip
_COLUMN_KEYS = frozenset({
    "title", "description", "dtype", "nullable", "checks", "name", "unique", "coerce", "required", "regex", "default", "report_duplicates",
    "drop_invalid_rows",
})  # fmt: skip
_CHECKS_OF_LISTS = frozenset({"isin", "notin"})


def load(path: Path, shown_as: str) -> Any:
    """The `DataFrameSchema` that a YAML file describes.

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

    import pandera.io.pandas_io as pandas_io

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandera only warns of what it leaves out
        for name, column in document["columns"].items():
            try:  # column by column, so that the message can name it
                pandas_io.deserialize_schema({"columns": {name: _copy(column)}})  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001 -- pandera, pandas and re raise many kinds; all mean a wrong schema
                raise InputError(f"{shown_as}: columns.{name}: {_one_line(error)}") from None
        try:
            return pandas_io.deserialize_schema(_copy(document))  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 -- as above
            raise InputError(f"{shown_as}: {_one_line(error)}") from None


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
    known_checks = _names_of_checks()
    for name, column in columns.items():
        _check_column(f"{shown_as}: columns.{name}", column, known_checks)


def _check_column(where: str, column: Any, known_checks: frozenset[str]) -> None:
    if not isinstance(column, dict):
        raise InputError(f"{where}: expected keys such as dtype, nullable and checks")
    beside = [key for key in column if key not in _COLUMN_KEYS]
    for key in beside:
        if key not in known_checks:
            raise InputError(f"{where}.{key}: neither a key nor a check{did_you_mean(str(key), sorted(_COLUMN_KEYS | known_checks))}")
    if beside and column.get("checks") is not None:
        raise InputError(f"{where}.{beside[0]}: pandera ignores it beside 'checks'; write all checks in one place")
    named = {key: column[key] for key in beside} or _listed_checks(where, column.get("checks"))
    for name, value in named.items():
        if name not in known_checks:
            raise InputError(f"{where}.checks.{name}: no such check{did_you_mean(str(name), sorted(known_checks))}")
        listed = next(iter(value.values()), None) if isinstance(value, dict) and len(value) == 1 else value
        if name in _CHECKS_OF_LISTS and not isinstance(listed, (list, dict)):
            raise InputError(f"{where}.checks.{name}: expected a list of values")


def _listed_checks(where: str, checks: Any) -> dict[Any, Any]:
    """Checks by name, from either form that pandera writes: a mapping, or a list whose entries carry their name in `options`."""
    if checks is None:
        return {}
    if isinstance(checks, dict):
        return checks
    entries = checks if isinstance(checks, list) else [checks]
    if not all(
        isinstance(entry, dict) and isinstance(entry.get("options"), dict) and "check_name" in entry["options"] for entry in entries
    ):
        raise InputError(f"{where}.checks: expected a mapping such as in_range: {{min_value: 0, max_value: 120}}")
    return {entry["options"]["check_name"]: {key: value for key, value in entry.items() if key != "options"} for entry in entries}


def _names_of_checks() -> frozenset[str]:
    from pandera.pandas import Check  # its checks register themselves on import

    return frozenset(Check.CHECK_FUNCTION_REGISTRY) | frozenset(Check.REGISTERED_CUSTOM_CHECKS)


def _copy(value: Any) -> Any:
    """pandera changes what it is given."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
