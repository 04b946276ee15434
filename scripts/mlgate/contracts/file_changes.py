"""Two versions of the rules of a folder of files: what changed, and whether files pass now that were refused before. Pure.

What `short_form_changes` is for tables. Whatever cannot be compared counts as a weakening: a person looks at it, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlgate.config import FilesConfig
from mlgate.contracts.schema_changes import SchemaChange

_LEVELS = ("off", "warn", "fail")


def compare(old: FilesConfig, new: FilesConfig) -> list[SchemaChange]:
    """What differs between two versions; empty where they ask the same."""
    changes = []
    for key in FilesConfig.model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            # Labels of a manifest are classes where nothing is said of classes.
            is_weaker = _WEAKER.get(key, _is_other)(before, after) or (key == "classes" and old.manifest is not None)
            changes.append(SchemaChange(f"files.{key}", _text(before), _text(after), is_weaker))
    return changes


def _is_wider(old: Any, new: Any) -> bool:
    if old is None:
        return False
    if new is None:
        return True
    (was_low, was_high), (low, high) = old, new
    is_lower = was_low is not None and (low is None or low < was_low)
    return is_lower or (was_high is not None and (high is None or high > was_high))


def _allows_more(old: Any, new: Any) -> bool:
    return old is not None and (new is None or not set(new) <= set(old))


def _is_another_set(old: Any, new: Any) -> bool:
    """Whether other classes are named: a class that is gone need not be there any more, and files of a new one are no strangers."""
    return old is not None and (new is None or set(new) != set(old))


def _is_lower_level(old: Any, new: Any) -> bool:
    return _LEVELS.index(new) < _LEVELS.index(old)


def _is_less(old: Any, new: Any) -> bool:
    """Of the smallest class: fewer files, or a share in place of a number, which nobody can compare."""
    if old is None:
        return False
    if new is None or isinstance(old, str) != isinstance(new, str):
        return True
    was, now = (float(str(value).rstrip("%")) for value in (old, new))
    return now < was


def _is_higher(old: Any, new: Any) -> bool:
    return old is not None and (new is None or new > old)


def _is_other(old: Any, _new: Any) -> bool:
    return old is not None


_WEAKER: dict[str, Callable[[Any, Any], bool]] = {
    "types": _allows_more,
    "count": _is_wider,
    "size": _is_wider,
    "width": _is_wider,
    "height": _is_wider,
    "mode": _allows_more,
    "duration": _is_wider,
    "sample_rate": _allows_more,
    "channels": _allows_more,
    "length": _is_wider,
    "decodable": _is_lower_level,
    "class_names": _is_another_set,
    "smallest_class": _is_less,
    "class_ratio": _is_higher,
    "strays": lambda _old, new: new == "allow",
    "duplicates": _is_lower_level,
    "conflicts": _is_lower_level,
    "ignore": lambda old, new: not set(new) <= set(old),
}


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case list() | tuple():
            shown = [("null" if one is None else f"{one:g}" if isinstance(one, float) else str(one)) for one in value]
            return f"[{', '.join(shown)}]"
        case float():
            return f"{value:g}"
        case str() | int():
            return str(value)
    return ", ".join(f"{key} {one}" for key, one in value.model_dump().items() if one is not None)
