"""What a comparison with earlier data found, for `validate-data` to tell: apart from what finds it, which needs NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlgate.evidence import Annotation, DataProfile, DriftFindings, FileRef


@dataclass(frozen=True)
class Drifted:
    """What the comparison found."""

    findings: list[DriftFindings]
    profiles: list[DataProfile] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """One sentence each, for the summary."""
    warned: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be compared, and why; what is as it was."""
    annotations: list[Annotation] = field(default_factory=list)

    @property
    def files(self) -> list[FileRef]:
        return [one.file for one in self.profiles]
