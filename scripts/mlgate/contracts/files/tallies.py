"""Broken rules of a folder of files: counted exactly, the first files named, names of strangers fit for any report."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from mlgate.evidence import BrokenRule

SHOWN_NAMES = 10
_MAX_NAME_LENGTH = 160
_MAX_RULE_LENGTH = 300


@dataclass
class Tally:
    """Files that break one rule, as they come."""

    rule: str
    column: str | None = None
    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str, detail: str = "") -> None:
        self.count += 1
        if len(self.names) < SHOWN_NAMES:
            self.names.append(shown(name) + (f" ({shown(detail)})" if detail else ""))

    def broken(self, total: int) -> BrokenRule:
        """As evidence.

        Args:
            total: the files that were asked.
        """
        return BrokenRule(
            column=self.column,
            rule=self.rule[:_MAX_RULE_LENGTH],
            rows=self.count,
            share=self.count / total if total else 0.0,
            row_numbers=[],
            names=self.names,
        )


def of_all(rule: str) -> BrokenRule:
    """A rule that the folder breaks as such."""
    return BrokenRule(column=None, rule=shown(rule)[:_MAX_RULE_LENGTH], rows=0, share=0.0, row_numbers=[])


def shown(name: str) -> str:
    """A file's name as any report, log and terminal can hold it: bytes that are no UTF-8, control, format and direction characters and
    line ends are written as their codes; of a long one its end, where names differ, is kept."""
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    text = "".join(_code(sign) if unicodedata.category(sign) in _UNSHOWN else sign for sign in text)
    return text if len(text) <= _MAX_NAME_LENGTH else f"…{text[1 - _MAX_NAME_LENGTH :]}"


_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _code(sign: str) -> str:
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
