"""The short form of mlgate.yaml as a contract: its settings to rules that any engine runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mlgate.config import ColumnConfig, ShortForm
from mlgate.config.values import duration_text
from mlgate.contracts.model import (
    ColumnsAre,
    Contract,
    Fresh,
    Holds,
    InRange,
    Level,
    Matches,
    NoneOf,
    NotNull,
    OfKind,
    OfLength,
    OneOf,
    Present,
    References,
    RowCount,
    Rule,
    Unique,
)


def contract_of(form: ShortForm) -> Contract:
    """The rules of a short form: those about the table's shape, then by column in the order written, then those about whole rows."""
    return Contract(tuple(_rules(form)))


def _rules(form: ShortForm) -> Iterator[Rule]:
    if form.rows is not None:
        low, high = form.rows
        yield RowCount(low, high, text=f"rows({low}, {high})", level=form.level)
    if form.other_columns == "refuse":
        yield ColumnsAre(tuple(form.columns), text="column not in the contract", level=form.level)
    for name, column in form.columns.items():
        yield from _rules_of_column(name, column, column.level or form.level)
    for together in form.unique:
        for name in together:  # where it is absent, nothing could be asked
            if name not in form.columns:
                yield Present(name, text="column missing", level=form.level)
        text = f"unique ({', '.join(together)})" if len(together) > 1 else "unique"
        yield Unique(tuple(together), are_missing_equal=False, text=text, level=form.level)
    for expression in form.expressions:
        yield Holds(expression, text=" ".join(expression.split()), level=form.level)


def _rules_of_column(name: str, column: ColumnConfig, level: Level) -> Iterator[Rule]:
    if column.required:
        yield Present(name, text="column missing", level=level)
    if column.type is not None:
        yield OfKind(name, column.type, text=f"type {column.type}", level=level)
    if not column.nullable:
        yield NotNull(name, text="not nullable", level=level)
    yield from _rules_of_values(name, column, level)
    if column.unique:
        yield Unique((name,), are_missing_equal=False, text="unique", level=level)
    if column.reference is not None:
        data, other = column.reference
        yield References(name, data, other, text=f"references {data}:{other}", level=level)
    if column.fresh is not None:
        yield Fresh(name, timedelta(seconds=column.fresh), text=f"fresh({duration_text(column.fresh)})", level=level)


def _rules_of_values(name: str, column: ColumnConfig, level: Level) -> Iterator[Rule]:
    if column.range is not None:
        low, high = column.range
        if high is None:
            text = f"greater_than_or_equal_to({low})"
        else:
            text = f"less_than_or_equal_to({high})" if low is None else f"in_range({low}, {high})"
        yield InRange(name, low, high, text=text, level=level)
    if column.in_ is not None:
        yield OneOf(name, tuple(column.in_), text=f"isin({_listed(column.in_)})", level=level)
    if column.not_in is not None:
        yield NoneOf(name, tuple(column.not_in), text=f"notin({_listed(column.not_in)})", level=level)
    if column.pattern is not None:
        yield Matches(name, column.pattern, "whole", text=f"str_matches({column.pattern})", level=level)
    if column.length is not None:
        low, high = column.length
        yield OfLength(name, low, high, text=f"str_length({low}, {high})", level=level)


def _listed(values: list[object]) -> str:
    return ", ".join(("true" if value else "false") if isinstance(value, bool) else str(value) for value in values)
