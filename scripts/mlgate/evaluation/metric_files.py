"""Metric files: JSON or YAML of numbers no predictions stand behind, such as latency or size. Nested keys are joined by dots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from mlgate import strict_yaml
from mlgate.errors import InputError

MAX_FILE_BYTES = 10_000_000
MAX_NUMBERS = 1_000
MAX_KEY_LENGTH = 200


def parse(content: bytes, shown_as: str) -> tuple[dict[str, float], list[str]]:
    """The numbers of a metric file.

    Args:
        content: the file.
        shown_as: what messages call it; its ending says the format.

    Returns:
        Numbers by their joined keys, and the keys of what is no number (texts, lists, truth values) and is left out.

    Raises:
        InputError: it cannot be parsed, a number is not finite, or two keys are the same once joined.
    """
    if len(content) > MAX_FILE_BYTES:
        raise InputError(f"{shown_as}: {len(content):,} bytes; expected a file of metrics, at most {MAX_FILE_BYTES:,}")
    document = _json(content, shown_as) if shown_as.lower().endswith(".json") else strict_yaml.parse(content, shown_as)
    if not isinstance(document, dict):
        raise InputError(f'{shown_as}: expected names and numbers, such as {{"latency_ms": 12.5}}')
    numbers: dict[str, float] = {}
    skipped: list[str] = []
    for key, leaf in _leaves(document, ""):
        if len(key) > MAX_KEY_LENGTH:
            raise InputError(f"{shown_as}: a key of {len(key):,} characters; expected at most {MAX_KEY_LENGTH}")
        if key in numbers:
            raise InputError(f"{shown_as}: '{key}' is there twice (a nested key and one with a dot)")
        if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
            skipped.append(key)
            continue
        try:
            number = float(leaf)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise InputError(f"{shown_as}: '{key}' is not a finite number; expected one")
        numbers[key] = number
    if len(numbers) > MAX_NUMBERS:
        raise InputError(f"{shown_as}: {len(numbers):,} numbers; expected metrics, at most {MAX_NUMBERS:,} a file")
    return numbers, skipped


def _leaves(node: dict[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, child in node.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(child, dict):
            yield from _leaves(child, path)
        else:
            yield path, child


def _json(content: bytes, shown_as: str) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=lambda pairs: _without_twins(pairs, shown_as))
    except UnicodeDecodeError as error:
        raise InputError(f"{shown_as}: not UTF-8 text at byte {error.start}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{shown_as}: line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{shown_as}: not valid JSON: {reason}") from None


def _without_twins(pairs: list[tuple[str, Any]], shown_as: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise InputError(f"{shown_as}: key '{twice}' is given twice")
    return found
