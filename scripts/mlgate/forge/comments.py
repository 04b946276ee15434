"""The hidden first line by which mlgate knows its comment again, and which run wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_LINE = re.compile(
    rf"<!-- mlgate:(?P<name>{_NAME}) run=(?P<run>[0-9]{{1,18}}) attempt=(?P<attempt>[0-9]{{1,9}}) commit=(?P<commit>[0-9a-f]*) -->"
)


@dataclass(frozen=True)
class Marker:
    """Whose comment it is, and of which run. Run ids grow, so the order of runs is that of (run, attempt)."""

    name: str
    run_id: int
    attempt: int
    commit: str

    def __post_init__(self) -> None:
        if _LINE.fullmatch(self.line) is None:
            raise ValueError(f"no name, run and commit fit for a marker: {self.line}")

    @property
    def order(self) -> tuple[int, int]:
        return self.run_id, self.attempt

    @property
    def line(self) -> str:
        return f"<!-- mlgate:{self.name} run={self.run_id} attempt={self.attempt} commit={self.commit} -->"

    @staticmethod
    def of(body: str) -> Marker | None:
        """The marker a comment begins with; None where its first line is none."""
        match = _LINE.fullmatch(body.partition("\n")[0].rstrip("\r"))
        return Marker(match["name"], int(match["run"]), int(match["attempt"]), match["commit"]) if match else None
