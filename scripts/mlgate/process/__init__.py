"""Commands, programs and Python code of the user, run in the user's environment and ended with all their processes."""

from mlgate.process.command import MAX_LOG_BYTES, TAIL_BYTES, TAIL_LINES, Attendance, Outcome, Shown, last_line, run_command, shell_command
from mlgate.process.conversation import Conversation, SilentError, converse
from mlgate.process.interruption import Interruption, Stop, signals_noted
from mlgate.process.members import Processes, new_mark
from mlgate.process.user_python import call_user_python, python_command

__all__ = [
    "MAX_LOG_BYTES",
    "TAIL_BYTES",
    "TAIL_LINES",
    "Attendance",
    "Conversation",
    "Interruption",
    "Outcome",
    "Processes",
    "Shown",
    "SilentError",
    "Stop",
    "call_user_python",
    "converse",
    "last_line",
    "new_mark",
    "python_command",
    "run_command",
    "shell_command",
    "signals_noted",
]
