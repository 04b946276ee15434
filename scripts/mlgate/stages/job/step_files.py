"""The files by which a step of a workflow speaks to GitHub: the job's summary, and variables for the steps that follow."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from mlgate.errors import InfrastructureError


def add_to_summary(markdown: str, environ: Mapping[str, str]) -> None:
    """Append to the job's summary, the file that GITHUB_STEP_SUMMARY names; outside of a job nothing is written.

    Raises:
        InfrastructureError: the disk refuses.
    """
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(markdown)
    except OSError as error:
        raise InfrastructureError(f"GITHUB_STEP_SUMMARY: the job summary cannot be written: {error.strerror}") from None


def export(variables: Mapping[str, str], github_env: Path) -> None:
    """Append variables to the file that GITHUB_ENV names, each value between delimiters that it cannot contain. Raises OSError."""
    with github_env.open("a", encoding="utf-8") as stream:
        for name, value in variables.items():
            end = f"mlgate_{secrets.token_hex(16)}"
            stream.write(f"{name}<<{end}\n{value}\n{end}\n")
