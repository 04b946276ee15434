"""What stands in text that should not: hidden characters, formulas, personal data. Values are masked wherever they are shown."""

from __future__ import annotations

from mlgate.evidence import ScreenItem
from mlgate.screens import patterns
from mlgate.screens.patterns import Pattern
from mlgate.screens.subject import Answer, Subject, count


def hidden_unicode(subject: Subject) -> Answer:
    """Characters that are not seen, turn the direction of text, or look like others; in the names of columns, too."""
    named = [name for name in subject.columns.kinds if any(patterns.is_in(pattern, name) for pattern in patterns.HIDDEN)]
    items = [ScreenItem(where=ascii(name)[1:-1], what="has a name with characters that are not seen or look like others") for name in named]
    return _answer(subject, patterns.HIDDEN, "characters that hide or deceive", [], items)


def formulas(subject: Subject) -> Answer:
    """Cells that a spreadsheet would run."""
    return _answer(subject, patterns.FORMULAS, "cells that a spreadsheet would run", [])


def personal_data(subject: Subject) -> Answer:
    """E-mail addresses, telephone numbers, card numbers and IBANs."""
    return _answer(subject, patterns.PERSONAL, "personal data", subject.settings.personal_data.columns)


def _answer(
    subject: Subject, looked_for: tuple[Pattern, ...], words: str, exempt: list[str], named: list[ScreenItem] | None = None
) -> Answer:
    items = list(named or [])
    looked_at = 0
    for name, counts in subject.train.counts.items():
        if name in exempt or not any(pattern.name in counts.matches for pattern in looked_for):
            continue
        looked_at += 1
        for pattern in looked_for:
            found = counts.matches.get(pattern.name)
            if found is not None and found.rows:
                items.append(
                    ScreenItem(
                        where=name, what=pattern.words, rows=found.rows, row_numbers=list(found.row_numbers), samples=list(found.samples)
                    )
                )
    if not items:
        return Answer(f"no {words} in {count(looked_at, 'column')}" if looked_at else "there are no columns of text")
    said = [f"column '{item.where}' {item.what}" + (f" in {count(item.rows, 'row')}" if item.rows else "") for item in items]
    more = f"; and {len(said) - 3:,} more" if len(said) > 3 else ""
    return Answer("; ".join(said[:3]) + more, items)
