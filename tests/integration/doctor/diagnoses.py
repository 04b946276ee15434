"""What `mlgate doctor` says of one area, for tests of it."""

from __future__ import annotations

import os
from pathlib import Path

from mlgate.stages import doctor
from mlgate.stages.doctor.findings import MARKS, Finding

OURS = ("GITHUB_", "MLGATE_", "MLFLOW_", "GH_", "AWS_")


def examined(root: Path, area: str, *, config: str = "mlgate.yaml", timeout_s: float = 20, **environ: str) -> list[Finding]:
    """Findings of an area, in an environment without anything of ours but `environ`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    questions = [question for question in doctor.QUESTIONS if question.area == area]
    return doctor.run(root, config, {**clean, **environ}, timeout_s=timeout_s, questions=questions).findings


def said(findings: list[Finding]) -> list[str]:
    """A line each: mark, text and advice."""
    return [f"{MARKS[one.status]} {one.text}" + (f" → {one.advice}" if one.advice else "") for one in findings]


def the_one(findings: list[Finding], part: str) -> Finding:
    """The finding that speaks of something."""
    found = [finding for finding in findings if part in finding.text]
    assert len(found) == 1, f"{part!r}: {said(findings)}"
    return found[0]
