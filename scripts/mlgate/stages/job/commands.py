"""A command of the user's as a stage runs it: what it prints is kept in the state folder, how it ended becomes evidence."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlgate import environment, process
from mlgate import evidence as records
from mlgate.console import plain
from mlgate.errors import InfrastructureError
from mlgate.evidence import CommandRun
from mlgate.stages.job import secret_env
from mlgate.workspace import Workspace

_NO_PYTHON = re.compile(r"\bpython: (command )?not found")


class CommandInterruptedError(InfrastructureError):
    """We were told to end while the command ran: a cancelled run, Ctrl-C."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended, whoever ended it."""

    run: CommandRun
    interrupted_by: str | None
    """The signal we got meanwhile."""
    stopped_by: str | None
    """Why its attendance stopped it."""


def run(
    workspace: Workspace,
    command: str,
    log: str,
    timeout_s: float | None = None,
    root: Path | None = None,
    *,
    grace_s: float = 10,
    attendance: process.Attendance | None = None,
) -> CommandRun:
    """Run a command in the user's environment, its output live and in `files/<log>`; in `root`, where that is not the workspace's.

    Raises:
        CommandInterruptedError: we got a signal meanwhile; the command was ended with it.
        InputError: it cannot be started.
        InfrastructureError: the log cannot be written.
    """
    ended = carry_out(workspace, command, log, timeout_s, root, grace_s=grace_s, attendance=attendance)
    if ended.interrupted_by:
        raise CommandInterruptedError(interruption(ended))
    return ended.run


def carry_out(
    workspace: Workspace,
    command: str,
    log: str,
    timeout_s: float | None = None,
    root: Path | None = None,
    *,
    grace_s: float = 10,
    attendance: process.Attendance | None = None,
    shown_as: str | None = None,
) -> Ended:
    """As `run`, but for an interruption, which is part of the answer.

    Args:
        workspace: whose command it is.
        command: for the shell.
        log: path below `files/`.
        timeout_s: after which it is ended.
        root: its working directory.
        grace_s: between SIGTERM and SIGKILL.
        attendance: what goes along with it.
        shown_as: the command as a user and the evidence see it, where it is not the very text.
    """
    workspace.prepare_state()
    path, shown = workspace.files / log, shown_as or command
    print(f"$ {plain(shown)}", flush=True)
    if workspace.import_ahead:
        threading.Thread(target=_import, args=(workspace.import_ahead,), daemon=True).start()
    try:
        outcome = process.run_command(
            command, root=root or workspace.root, log=path, timeout_s=timeout_s, grace_s=grace_s, attendance=attendance
        )
        _put_back(workspace, path, outcome.tail)
    finally:
        if not path.is_symlink():
            secret_env.hide_in(path, os.environ)
    ran = CommandRun(
        command=shown[:20_000],
        exit_code=outcome.exit_code,
        is_timed_out=outcome.is_timed_out,
        duration_s=outcome.duration_s,
        log=records.file_ref(path, workspace.state),
        tail=secret_env.hidden(outcome.tail, os.environ),
    )
    return Ended(ran, outcome.interrupted_by, outcome.stopped_by)


def _put_back(workspace: Workspace, path: Path, tail: str) -> None:
    """A log where the command removed its own, or put something in its place: a link, or a pipe that holds up whoever reads it.

    Raises InfrastructureError: it cannot be written.
    """
    try:
        if stat.S_ISREG(path.lstat().st_mode) and path.resolve().is_relative_to(workspace.state.resolve()):
            return
    except OSError:  # it is not there, or what lay above it is not
        pass
    try:
        workspace.prepare_state()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_text(f"(the command took its log away; this is the end of it)\n{tail}\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise InfrastructureError(f"{path}: the command took its log away, and none can be written: {error.strerror}") from None


def interruption(ended: Ended) -> str:
    """That a command was ended by a signal of ours, in a line."""
    return f"interrupted by {ended.interrupted_by}: '{short(ended.run.command)}' was ended"


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(ImportError):  # whoever needs it says so
            importlib.import_module(module)


def short(command: str) -> str:
    """A command on one line that leaves room for what is said of it."""
    line = plain(command)
    return line if len(line) <= 80 else f"{line[:79]}…"


def failure(run: CommandRun, timeout_s: float | None = None) -> str:
    """Why a command failed, in one line: `'pytest -q' failed (exit 1): 1 failed, 3 passed`."""
    said = process.last_line(run.tail)
    reason = f": {plain(said)[:300]}" if said else ""
    if run.exit_code == 127 and _NO_PYTHON.search(said) and shutil.which("python3", path=environment.user_environment()["PATH"]):
        reason += "; here it is called python3: activate your environment, or write python3"
    if run.is_timed_out:
        return f"'{short(run.command)}' took longer than {timeout_s or run.duration_s:,.0f} s and was ended{reason}"
    return f"'{short(run.command)}' failed ({_exit(run.exit_code)}){reason}"


def _exit(code: int) -> str:
    if code == 127:
        return "exit 127, no such command"
    if code <= 128:
        return f"exit {code}"
    try:
        name = signal.Signals(code - 128).name
    except ValueError:
        return f"exit {code}"
    return f"killed by {name}{', often for want of memory' if name == 'SIGKILL' else ''}"
