"""What `mlgate doctor` finds: one line a thing, with what to do, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

from mlgate.console import plain

Status = Literal["ok", "warning", "problem", "open"]
MARKS: dict[Status, str] = {"ok": "✓", "warning": "!", "problem": "✗", "open": "–"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    status: Status
    """`open`: not there and not needed, or nothing to be known from here."""
    text: str
    advice: str = ""
    """What to do, in the imperative."""
    exit_code: Literal[0, 2, 3] = 0
    """Of a problem: 2 for the user to mend, 3 for what cannot be reached."""
    area: str = ""

    def of(self, area: str) -> Finding:
        return replace(self, area=area)


@dataclass(frozen=True)
class Diagnosis:
    """All that was found, area by area."""

    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """2 where something must be mended, else 3 where something cannot be reached, else 0."""
        codes = {finding.exit_code for finding in self.findings if finding.status == "problem"}
        return 2 if 2 in codes else 3 if 3 in codes else 0

    def lines(self) -> Iterator[str]:
        """For a person."""
        area = None
        for finding in self.findings:
            if finding.area != area:
                area = finding.area
                yield area
            yield f"  {MARKS[finding.status]} {plain(finding.text)}" + (f" → {plain(finding.advice)}" if finding.advice else "")
        yield self._summary()

    def as_json(self) -> str:
        """For a program."""
        document = {"exit_code": self.exit_code, "findings": [asdict(finding) for finding in self.findings]}
        return json.dumps(document, indent=1, ensure_ascii=False).replace("##[", "##\\u005b")  # GitHub's runner would obey it

    def _summary(self) -> str:
        problems = sum(finding.status == "problem" for finding in self.findings)
        warnings = sum(finding.status == "warning" for finding in self.findings)
        said = [f"{number} {word}{'s' if number != 1 else ''}" for number, word in ((problems, "problem"), (warnings, "warning")) if number]
        if problems:
            return f"{' and '.join(said)}: mend what is marked {MARKS['problem']}."
        return f"{said[0]}, no problem." if said else "All is ready for a run."


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warning(text: str, advice: str = "") -> Finding:
    return Finding("warning", text, advice)


def problem(text: str, advice: str = "", exit_code: int = 2) -> Finding:
    return Finding("problem", text, advice, 3 if exit_code == 3 else 2)


def unneeded(text: str, advice: str = "") -> Finding:
    """What is absent and need not be there, or cannot be known from here."""
    return Finding("open", text, advice)
