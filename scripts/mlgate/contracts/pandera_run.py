"""A pandera schema run over a table in one pass: which rules are broken, by how many rows, which ones.

Standard library, pandas and pandera only, and Python 3.9: the same code runs here for YAML schemas and, as part of `user_schema.py`, under
the user's interpreter for schemas written in Python.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

SHOWN_ROWS = 10
_MAX_VALUE_LENGTH = 100
_MAX_RULE_LENGTH = 300


def check(frame: Any, schema: Any, is_showing_values: bool) -> dict[str, Any]:
    """Check every rule of a schema; never stops at the first that is broken.

    Args:
        frame: the data, a pandas DataFrame. Rows are counted from 0 in its order.
        schema: a pandera `DataFrameSchema` for pandas.
        is_showing_values: whether to return what stands in broken cells.

    Returns:
        `rows`, `columns`, `broken` (each as `evidence.BrokenRule`) and `warnings`.

    Raises:
        ValueError: the schema cannot be applied at all.
    """
    import pandera.errors

    if schema.index is None:
        frame = frame.reset_index(drop=True)
    bare, nulls, uniques = _bare(schema, frame)
    broken = _lossy_coercions(frame, schema, is_showing_values)
    said = []
    checked = frame
    with warnings.catch_warnings(record=True) as caught, _full_validation():
        warnings.simplefilter("always")
        try:
            checked = bare.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            said = errors.schema_errors
            checked = errors.data if len(getattr(errors, "data", ())) == len(frame) else frame
        except pandera.errors.SchemaDefinitionError as error:
            raise ValueError(_one_line(error)) from None
    uncoerced = {_column_of(one) for one in said if _reason(one) == "DATATYPE_COERCION"}
    mistyped = uncoerced | {_column_of(one) for one in said if _reason(one) == "WRONG_DATATYPE" and not _is_text_after_all(one, frame)}
    for one in said:
        if _reason(one) == "WRONG_DATATYPE" and _column_of(one) in uncoerced:
            continue
        if rule := _broken(one, frame, mistyped, is_showing_values):
            broken.append(rule)
    for column in nulls:
        broken.append(_rule(frame, column, "not nullable", checked[column].isna().to_numpy(), is_showing_values))
    for columns, keep in uniques:
        name = columns[0] if len(columns) == 1 else None
        text = "unique" if name is not None else f"unique ({', '.join(map(str, columns))})"
        keep_first = {"exclude_first": "first", "exclude_last": "last"}.get(keep, False)
        broken.append(_rule(frame, name, text, checked.duplicated(subset=columns, keep=keep_first).to_numpy(), is_showing_values))
    return {
        "rows": len(frame),
        "columns": len(frame.columns),
        "broken": [rule for rule in broken if rule["rows"] or rule["is_about_schema"]],
        "warnings": [
            _one_line(str(w.message).split(" failure cases:")[0]) for w in caught if issubclass(w.category, pandera.errors.SchemaWarning)
        ],
    }


def _bare(schema: Any, frame: Any) -> tuple[Any, list[Any], list[tuple[list[Any], str]]]:
    """The schema without its rules on nulls and duplicates, and these: pandera lists every broken cell of them, which takes seconds and
    gigabytes where all are broken, and they can be counted directly. Of the other rules it is told to keep one example."""
    bare = copy.deepcopy(schema)
    bare.drop_invalid_rows = False  # it would drop what is broken, and pass
    if bare.strict == "filter":
        bare.strict = False  # it would drop columns that rules of the whole table are about
    bare.columns = _spelled_out(bare, frame)
    nulls, uniques = [], []
    for name, column in bare.columns.items():
        present = _columns_named(name, column, frame)
        if not column.nullable and getattr(column, "default", None) is None:
            nulls += present
        if column.unique:
            uniques += [([one], getattr(column, "report_duplicates", "all")) for one in present]
        _set(column, nullable=True, unique=False, drop_invalid_rows=False)
    if bare.unique:
        together = [bare.unique] if isinstance(bare.unique, str) else list(bare.unique)
        if all(name in frame.columns for name in together):
            uniques.append((together, getattr(bare, "report_duplicates", "all")))
            _set(bare, unique=None)
    for component in [bare, *bare.columns.values()]:
        for one in component.checks:
            one.n_failure_cases = 1
    return bare, nulls, uniques


def _spelled_out(schema: Any, frame: Any) -> dict[Any, Any]:
    """The schema's columns by name, a pattern replaced by what it matches: pandera names the last match in every error of a pattern."""
    columns: dict[Any, Any] = {}
    for name, column in schema.columns.items():
        matched = _columns_named(name, column, frame) if column.regex else []
        if not matched:
            columns[name] = column  # of a pattern without match, pandera says that it is missing
        for one in matched:
            if one not in schema.columns:
                columns[one] = copy.deepcopy(column).set_name(one)
                columns[one].regex = False
    return columns


def _set(component: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(component, f"_{name}" if hasattr(component, f"_{name}") else name, value)


def _columns_named(name: Any, column: Any, frame: Any) -> list[Any]:
    if not column.regex:
        return [name] if name in frame.columns else []
    return list(frame.columns[frame.columns.astype(str).str.match(name)])


def _full_validation() -> Any:
    """PANDERA_VALIDATION_ENABLED and _DEPTH in the environment must not switch a contract off."""
    from pandera.config import ValidationDepth, config_context

    return config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA)


def _lossy_coercions(frame: Any, schema: Any, is_showing_values: bool) -> list[dict[str, Any]]:
    """Where `coerce` would change a value, not only its type: 1.7 to 1, or text to nothing."""
    broken = []
    for name, column in schema.columns.items():
        dtype = schema.dtype or column.dtype
        if dtype is None or not (column.coerce or schema.coerce):
            continue
        for present in _columns_named(name, column, frame):
            try:
                coerced = dtype.coerce(frame[present])
            except Exception:  # noqa: BLE001, S112 -- pandera reports what cannot be coerced at all, with the rows
                continue
            mask = _changed(frame[present], coerced)
            broken.append(_rule(frame, present, f"coerce to {dtype} would change values", mask, is_showing_values))
    return broken


def _changed(before: Any, after: Any) -> Any:
    """Which values became another, compared as numbers where both are, or nothing."""
    import pandas as pd

    lost = before.notna() & after.isna()
    if pd.api.types.is_bool_dtype(after.dtype) and not pd.api.types.is_numeric_dtype(before.dtype):
        # To pandas every text but an empty one is true, "False" and "no" among them.
        is_same = before.astype(str).str.lower().eq(after.astype(str).str.lower())
        return (before.notna() & ~is_same).to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(after.dtype) and not pd.api.types.is_datetime64_any_dtype(before.dtype):
        number = pd.to_numeric(before, errors="coerce")
        was_number = number.notna() & after.notna()
        differs = number.astype("float64").ne(after.astype("float64"))
        return (lost | (was_number & differs)).to_numpy(dtype=bool)
    return lost.to_numpy(dtype=bool)


def _broken(error: Any, frame: Any, mistyped: set[Any], is_showing_values: bool) -> dict[str, Any] | None:
    """One of pandera's errors as a broken rule; None where it only follows from another."""
    reason, column = _reason(error), _column_of(error)
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return _about_schema(error.failure_cases if isinstance(error.failure_cases, str) else column, "column missing")
    if reason == "INVALID_COLUMN_NAME" and getattr(error.schema, "regex", False):
        return _about_schema(column, "no column matches")
    if reason == "COLUMN_NOT_IN_SCHEMA":
        return _about_schema(error.failure_cases, "column not in the contract")
    if reason == "COLUMN_NOT_ORDERED":
        return _about_schema(error.failure_cases, "column out of order")
    if reason == "DUPLICATE_COLUMN_LABELS":
        return _about_schema(None, "column names unique")
    if reason == "WRONG_DATATYPE":
        found = str(frame[column].dtype) if column in frame.columns else str(error.failure_cases)
        expected = str(error.schema.dtype)
        if _is_text_after_all(error, frame):
            return None
        return _about_schema(column, f"dtype {expected}, found {found}")
    if reason == "DATATYPE_COERCION":
        return _not_coercible(error, column, frame, is_showing_values)
    if reason in ("DATAFRAME_CHECK", "SERIES_CHECK") or (reason == "CHECK_ERROR" and column not in mistyped):
        text = _text_of(error.check)
        if reason == "CHECK_ERROR":
            return _about_schema(column, f"{text} cannot be computed: {_without_values(error.failure_cases, is_showing_values)}")
        return _rule(frame, column, text, _mask(error.check_output, frame), is_showing_values, is_broken=True)
    if reason == "CHECK_ERROR":
        return None
    return _about_schema(column, f"{reason.lower().replace('_', ' ')}: {_without_values(error, is_showing_values)}")


def _is_text_after_all(error: Any, frame: Any) -> bool:
    """Whether text was found where `object` was asked for: pandas 3 has a type of its own for it."""
    column = _column_of(error)
    found = str(frame[column].dtype) if column in frame.columns else ""
    return str(error.schema.dtype) == "object" and found in ("str", "string")


def _not_coercible(error: Any, column: Any, frame: Any, is_showing_values: bool) -> dict[str, Any]:
    import numpy as np

    text = f"coerce to {error.schema.dtype}"
    cases = error.failure_cases
    if getattr(cases, "columns", None) is None or "index" not in cases.columns:
        return _about_schema(column, f"{text}: {_without_values(error, is_showing_values)}")
    mask = np.asarray(frame.index.isin(cases["index"]))
    return _rule(frame, column, text, mask, is_showing_values, is_broken=True)


def _mask(check_output: Any, frame: Any) -> Any:
    """Which rows a check found broken; None where it did not answer by row. Rows with nulls may be left out of the answer."""
    if not hasattr(check_output, "index") or not hasattr(check_output, "fillna"):
        return None
    passed = check_output.fillna(True).astype(bool)
    failed = ~(passed if passed.ndim == 1 else passed.all(axis=1))
    if len(failed) == len(frame):
        return failed.to_numpy()
    labels = failed.index[failed.to_numpy()]
    return frame.index.isin(labels) if len(labels) and labels.isin(frame.index).all() else None


def _rule(frame: Any, column: Any, text: str, mask: Any, is_showing_values: bool, is_broken: bool = False) -> dict[str, Any]:
    """A rule that rows break. `is_broken` says so even where no row can be named."""
    rows = [] if mask is None else mask.nonzero()[0]
    first = [int(row) for row in rows[:SHOWN_ROWS]]
    is_shown = is_showing_values and column is not None and column in frame.columns
    return {
        "column": None if column is None else str(column),
        "rule": _shortened(text, _MAX_RULE_LENGTH),
        "rows": len(rows),
        "share": len(rows) / len(frame) if len(frame) else 0.0,
        "row_numbers": first,
        "values": [_shortened(_one_line(value), _MAX_VALUE_LENGTH) for value in frame[column].iloc[first]] if is_shown and first else None,
        "is_about_schema": is_broken and not len(rows),
    }


def _about_schema(column: Any, text: str) -> dict[str, Any]:
    return {
        "column": None if column is None else str(column),
        "rule": _shortened(text, _MAX_RULE_LENGTH),
        "rows": 0,
        "share": 0.0,
        "row_numbers": [],
        "values": None,
        "is_about_schema": True,
    }


def _reason(error: Any) -> str:
    return str(getattr(error.reason_code, "name", error.reason_code))


def _column_of(error: Any) -> Any:
    """Name of the column an error is about; None for the table."""
    import pandera.pandas as pa

    if isinstance(error.schema, pa.DataFrameSchema):
        return error.column_name
    return getattr(error.schema, "name", None)


def _text_of(check: Any) -> str:
    """A check in words: `in_range(0, 120)`, or what its author wrote as its error, or its function's name."""
    said = getattr(check, "error", None)
    if said:
        return _one_line(said)
    return str(getattr(check, "name", None) or check)


def _without_values(reason: object, is_showing_values: bool) -> str:
    """Why something failed. What an exception says may quote the data, so that without leave only its kind is told."""
    if is_showing_values:
        return _one_line(reason)
    return str(reason).split("(")[0].strip() if isinstance(reason, str) else type(reason).__name__


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
