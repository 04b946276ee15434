"""Commands and Python code of the user, run in the user's environment: live output, time limit, signals, whole process group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """How a command of the user's ended."""

    exit_code: int
    """128 + n for signal n, as the shell has it."""
    is_timed_out: bool
    duration_s: float
    tail: str
    """The last 40 lines of output, at most 8 KB."""


def run_command(command: str, *, root: Path, log: Path, timeout_s: float | None = None, is_echoed: bool = True) -> Outcome:
    """Run a shell command of the user's in `root`, its output to `log` and, live, to our standard output."""
    ...


def call_user_python(program: Path, request: dict[str, Any], *, root: Path, timeout_s: float = 600) -> dict[str, Any]:
    """Run a program of ours (standard library only, plus what the user has) under the user's interpreter.

    Args:
        program: the script; it gets the path of a request file and of an answer file as arguments, both JSON.
        request: what it is asked.
        root: its working directory, first on its import path.

    Returns:
        The answer.

    Raises:
        InputError: there is no interpreter, the program died, or its answer is no JSON object; the last line it said is named.
    """
    ...
