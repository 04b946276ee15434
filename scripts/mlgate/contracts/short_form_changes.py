"""Two versions of a contract's short form, rule by rule: what changed, and whether data passes now that was refused before. Pure.

What `schema_changes` is for schemas in files of their own. Whatever cannot be compared counts as a weakening: a person looks at it, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlgate.config import ColumnConfig, ShortForm
from mlgate.config.expressions import instant, moment_of, parse
from mlgate.config.values import duration_text
from mlgate.contracts.schema_changes import SchemaChange

_Limits = tuple[Any, Any] | None


def compare(old: ShortForm, new: ShortForm) -> list[SchemaChange]:
    """What differs between two short forms; empty where they ask the same."""
    return [*_table(old, new), *_columns(old, new), *_together(old, new), *_expressions(old, new)]


def _table(old: ShortForm, new: ShortForm) -> Iterator[SchemaChange]:
    if old.level != new.level:
        yield SchemaChange("level", old.level, new.level, new.level == "warn")
    if old.rows != new.rows:
        yield SchemaChange("rows", _span(old.rows), _span(new.rows), _is_wider(old.rows, new.rows))
    if old.other_columns != new.other_columns:
        yield SchemaChange("other_columns", old.other_columns, new.other_columns, new.other_columns == "allow")


def _columns(old: ShortForm, new: ShortForm) -> Iterator[SchemaChange]:
    for name in dict.fromkeys((*old.columns, *new.columns)):
        where = f"columns.{name}"
        if name not in new.columns:
            yield SchemaChange(where, "asked for", None, is_weakening=True)
        elif name not in old.columns:
            # A contract that refuses other columns refused every table that has it.
            yield SchemaChange(where, None, "asked for", is_weakening=old.other_columns == "refuse")
        else:
            before, after = old.columns[name], new.columns[name]
            for change in _column(before, after):
                yield SchemaChange(f"{where}.{change.name}", change.old, change.new, change.is_weakening)
            if before.level != after.level:
                was, now = before.level or old.level, after.level or new.level
                yield SchemaChange(f"{where}.level", was, now, (was, now) == ("fail", "warn"))


def _column(old: ColumnConfig, new: ColumnConfig) -> Iterator[SchemaChange]:
    for key, is_weaker in _SETTINGS.items():
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield SchemaChange(key, _text(before), _text(after), is_weaker(before, after))
    if old.range != new.range:
        yield SchemaChange("range", _span(old.range), _span(new.range), _is_wider(old.range, new.range))
    if old.length != new.length:
        yield SchemaChange("length", _span(old.length), _span(new.length), _is_wider(old.length, new.length))
    for key, name in (("in_", "in"), ("not_in", "not_in")):
        before, after = getattr(old, key), getattr(new, key)
        if _keys(before) != _keys(after):
            fewer, more = (after, before) if key == "in_" else (before, after)
            is_weakening = before is not None and (after is None or not (_keys(fewer) or set()) <= (_keys(more) or set()))
            yield SchemaChange(name, _text(before), _text(after), is_weakening)
    if old.fresh != new.fresh:
        was, now = (None if seconds is None else duration_text(seconds) for seconds in (old.fresh, new.fresh))
        yield SchemaChange("fresh", was, now, old.fresh is not None and (new.fresh is None or new.fresh > old.fresh))


def _is_other(old: object, _new: object) -> bool:
    """Of what is either asked or not: another than before lets something pass that did not."""
    return old is not None


_SETTINGS: dict[str, Callable[[Any, Any], bool]] = {
    # Every whole number is a number, so that asking for the one in place of the other asks more.
    "type": lambda old, new: old is not None and (old, new) != ("number", "integer"),
    "nullable": lambda _old, new: bool(new),
    "required": lambda _old, new: not new,
    "unique": lambda _old, new: not new,
    "pattern": _is_other,
    "references": _is_other,
}


def _together(old: ShortForm, new: ShortForm) -> Iterator[SchemaChange]:
    was, now = ({frozenset(columns): columns for columns in form.unique} for form in (old, new))
    # Rules that only warn, or of a column that need not be there, take no other's place.
    alone = {
        frozenset([name])
        for name, column in new.columns.items()
        if column.unique and column.required and (old.level, column.level or new.level) != ("fail", "warn")
    }
    for key, columns in was.items():
        if key not in now:
            is_kept = any(fewer <= key for fewer in (*now, *alone))  # fewer columns that must differ ask more
            yield SchemaChange(f"unique ({', '.join(columns)})", "asked for", None, not is_kept)
    for key, columns in now.items():
        if key not in was:
            yield SchemaChange(f"unique ({', '.join(columns)})", None, "asked for", is_weakening=False)


def _expressions(old: ShortForm, new: ShortForm) -> Iterator[SchemaChange]:
    was, now = ({parse(text): " ".join(text.split()) for text in form.expressions} for form in (old, new))
    for tree, text in was.items():
        if tree not in now:
            yield SchemaChange(f"expressions '{text}'", "asked for", None, is_weakening=True)
    for tree, text in now.items():
        if tree not in was:
            yield SchemaChange(f"expressions '{text}'", None, "asked for", is_weakening=False)


def _is_wider(old: _Limits, new: _Limits) -> bool:
    if old is None or new is None:
        return old is not None
    (low, high), (new_low, new_high) = old, new
    return _is_below(new_low, low) or _is_below(high, new_high, is_open_high=True)


def _is_below(one: Any, other: Any, *, is_open_high: bool = False) -> bool:
    """Whether a limit lies below another, where None is an open end; limits that cannot be compared are said to."""
    if one == other and isinstance(one, str) == isinstance(other, str):
        return False
    if one is None or other is None:
        return (other if is_open_high else one) is None
    if isinstance(one, str) != isinstance(other, str):
        return True
    if isinstance(one, str):
        moments = [moment_of(text) for text in (one, other)]
        if moments[0] is not None and moments[1] is not None:
            return instant(moments[0]) < instant(moments[1])
    return bool(one < other)


def _keys(values: Iterable[Any] | None) -> set[tuple[bool, bool, Any]] | None:
    """`1`, `true` and `"1"` are different values in data; `1` and `1.0` are not."""
    return None if values is None else {(isinstance(value, bool), isinstance(value, str), value) for value in values}


def _span(limits: _Limits) -> str | None:
    if limits is None:
        return None
    low, high = limits
    if high is None:
        return f"from {low}"
    return f"up to {high}" if low is None else f"{low}..{high}"


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(_text(one) or "" for one in value)
        case _:
            return str(value)
