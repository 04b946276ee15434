"""Real repositories for tests: Git and DVC, made in a temporary folder. No test of ours mocks either."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from mlgate.evidence import Comparison, GateFindings, SliceComparison

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}

MINIMAL_CONFIG = """\
model: digits
train: {command: python train.py}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
"""


def decided(*, is_open: bool = True, headline: str | None = None) -> GateFindings:
    """What a gate found that compared nothing else: a better model, or a worse one."""
    return GateFindings(
        is_open=is_open,
        verdict="better" if is_open else "worse",
        headline=headline or ("accuracy 0.95 is better" if is_open else "accuracy 0.85 is worse"),
        is_first_model=False,
        baseline=None,
        rules_from="baseline",
        confidence=0.95,
        rules=[],
        comparisons=[],
        slices=[],
        changes=[],
    )


def git(root: Path, *arguments: str) -> str:
    """Output of a git command that must succeed."""
    finished = subprocess.run(
        ["git", *arguments], cwd=root, env={**os.environ, **GIT_IDENTITY}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, f"git {' '.join(arguments)}: {finished.stderr}"
    return finished.stdout.strip()


def make_repository(root: Path, files: dict[str, str] | None = None) -> Path:
    """A Git repository on branch `main` with one commit of `files` (mlgate.yaml by default)."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit_files(root, files if files is not None else {"mlgate.yaml": MINIMAL_CONFIG}, "first")
    return root


def commit_files(root: Path, files: dict[str, str], message: str) -> str:
    """Write and commit text files; returns the commit's SHA."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def guarded_slice(value: str, verdict: Any, low: float, high: float, n: int = 100, **more: Any) -> SliceComparison:
    """A slice of `country` under a rule that allows it to lose 3 points of accuracy."""
    row = Comparison(
        metric="accuracy",
        better="higher",
        candidate=0.9,
        baseline=0.9,
        difference=(low + high) / 2,
        low=low,
        high=high,
        method="Tango's score interval",
        verdict=verdict,
        margin=0.03,
    )
    return SliceComparison(column="country", value=value, n=n, comparison=row, is_guarded=True, **more)
