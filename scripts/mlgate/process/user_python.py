"""Python code of the user's, run by the user's interpreter: our process imports none of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlgate.console import plain
from mlgate.environment import user_environment, user_interpreter
from mlgate.errors import InputError
from mlgate.process.command import run_program

_RUN_PROGRAM = (
    "import runpy, sys; root, *sys.argv = sys.argv[1:]; sys.path[:] = [root, *(p for p in sys.path if p not in ('', root))]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def python_command(program: Path, arguments: Sequence[str], root: Path) -> list[str]:
    """Arguments that have the user's interpreter run a program of ours, as `call_user_python` does. Raises InputError without one."""
    return [str(user_interpreter()), "-c", _RUN_PROGRAM, str(root), str(program), *arguments]


def call_user_python(program: Path, request: dict[str, Any], *, root: Path, timeout_s: float = 600) -> dict[str, Any]:
    """Run a program of ours (standard library only, plus what the user has) under the user's interpreter.

    Args:
        program: the script; it gets the path of a request file and of an answer file as arguments, both JSON. Its own folder is
            not on the import path: a module of ours must not hide one of the user's.
        request: what it is asked.
        root: its working directory, first on its import path.

    Returns:
        The answer.

    Raises:
        InputError: there is no interpreter, the program died, or its answer is no JSON object; the last line it said is named.
    """
    interpreter = user_interpreter()
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        question, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        question.write_text(json.dumps(request), encoding="utf-8")
        outcome = run_program(
            python_command(program, [str(question), str(answer)], root),
            root=root,
            log=Path(folder, "log"),
            timeout_s=timeout_s,
            is_echoed=False,
            grace_s=2,
            environ=user_environment(),
        )
        if outcome.interrupted_by:
            raise KeyboardInterrupt(outcome.interrupted_by)
        if outcome.is_timed_out:
            raise InputError(f"your code, run by {interpreter}, did not end within {timeout_s:g} s and was stopped")
        if outcome.exit_code != 0:
            reason = plain(outcome.last_line) or "no output"
            raise InputError(f"your code, run by {interpreter}, failed (exit {outcome.exit_code}): {reason}")
        try:
            found = json.loads(answer.read_bytes())
        except FileNotFoundError:
            raise InputError(
                f"your code, run by {interpreter}, ended the process before it gave an answer: {plain(outcome.last_line)}"
            ) from None
        except (ValueError, OSError) as error:
            raise InputError(f"your code, run by {interpreter}, gave an answer that cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"your code, run by {interpreter}, gave {type(found).__name__} where an object was expected")
    return found
