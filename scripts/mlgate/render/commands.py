"""How a report names a command that was run."""

from __future__ import annotations

from mlgate.evidence import CommandRun
from mlgate.render import numbers
from mlgate.render.document import Code, Line


def command_line(command: CommandRun) -> Line:
    """The command, how it ended, and after how long."""
    ended = "timed out" if command.is_timed_out else "passed" if command.exit_code == 0 else f"failed with exit code {command.exit_code}"
    return (
        "✅ " if command.exit_code == 0 else "❌ ",
        Code(command.command, 200),
        f" {ended} after {numbers.duration(command.duration_s)}",
    )
