"""Class labels as text: what a label is called in evidence, whatever type its column had. 3, 3.0 and "3" are one class."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from mlgate.console import plain
from mlgate.errors import InputError

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST_EXACT = 2.0**53  # above it a float no longer names one whole number


def canonical_label(value: object) -> str:
    """Text of one label.

    Args:
        value: a text, a number or a truth value.

    Returns:
        `3` for 3 and 3.0, `0.5` for 0.5, `true` for True; a text as it is.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value.is_integer() and abs(value) <= _LARGEST_EXACT:
            return str(int(value))
        return repr(value)
    return str(value)


def canonical_texts(values: Sequence[str | None]) -> list[str]:
    """Canonical labels of a column that has no types of its own (CSV): numbers where all are written as numbers.

    `01` is no number but a text, such as a postal code. A missing value is an empty text.
    """
    texts = ["" if value is None else value for value in values]
    given = [text for text in texts if text]
    if all(_WHOLE.fullmatch(text) for text in given):
        return ["0" if text == "-0" else text for text in texts]
    if all(_NUMBER.fullmatch(text) for text in given):
        return [canonical_label(float(text)) if text else "" for text in texts]
    if all(text.lower() in ("true", "false") for text in given):
        return [text.lower() for text in texts]
    return texts


def sorted_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Distinct labels in the order of their probabilities: by number where all are numbers, else by text."""
    distinct = sorted(set(labels))
    numbers = [_number(label) for label in distinct]
    if any(number is None for number in numbers):
        return tuple(distinct)
    return tuple(label for _, label in sorted(zip(numbers, distinct, strict=True), key=lambda pair: (pair[0] or 0.0, pair[1])))


def positive_class(classes: Sequence[str], configured: object, shown_as: str) -> str:
    """The positive class of a binary task: the configured one, else the greater label.

    Raises:
        InputError: there is no such class.
    """
    if configured is None:
        return classes[-1]
    label = canonical_label(configured)
    if label not in classes:
        named = ", ".join(plain(known)[:40] for known in classes[:20]) + (", …" if len(classes) > 20 else "")
        raise InputError(f"evaluation.positive: no class '{label}' in {shown_as}; expected one of {named}")
    return label


def _number(label: str) -> float | None:
    # float() also takes "1_000" and " 1 ": those are texts that merely look alike
    if not label or label.strip() != label or "_" in label:
        return None
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
