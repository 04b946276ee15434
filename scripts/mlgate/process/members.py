"""All processes of one command, found by its session and by a mark in their environment, also when they left the group."""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path

# Every process of a command inherits it, also one that left the group and the session (torchrun's workers, daemons).
_MARK = "MLGATE_COMMAND_IDS"
_LOOKS = 10
"""How often the processes are looked at again while one of them shows no environment; some never show any."""


def new_mark() -> str:
    """What all processes of a command will carry in their environment, and none but them."""
    return secrets.token_hex(16)


def marked(environ: dict[str, str], mark: str) -> dict[str, str]:
    """The same environment, with a mark beside those that are there: a command within a command belongs to both."""
    environ[_MARK] = ":".join(filter(None, [environ.get(_MARK), mark]))
    return environ


class Processes:
    """All processes of one command."""

    def __init__(self, leader: int | None, mark: str) -> None:
        """Those of the leader's session and those with the mark; without a leader, which needs /proc, those with the mark."""
        self._leader = leader
        self._mark = mark.encode()

    def send(self, number: int) -> bool:
        """Signal all of them; whether there was any."""
        members = self._members()
        if members and self._leader is not None:  # the group in one step: it must not fork away between two signals
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self._leader:
                    os.kill(pid, number)
        return bool(members)

    def are_there(self) -> bool:
        """Whether any of them lives."""
        return bool(self._members())

    def end(self, grace_s: float) -> None:
        """Ask whatever is left to end, then kill it."""
        deadline = time.monotonic() + grace_s
        if not self.send(signal.SIGTERM):
            return
        while time.monotonic() < deadline and self._members():
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """Kill them and what they start meanwhile; gives up on what the kernel holds for 5 s."""
        deadline = time.monotonic() + 5
        while self.send(signal.SIGKILL) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _members(self) -> list[int]:
        """Living processes of the session or with the mark. Where there is no /proc, only the group can be asked for."""
        proc = Path("/proc")
        if not (proc / "self" / "stat").exists():
            if self._leader is None:
                return []
            try:
                os.killpg(self._leader, 0)
            except (ProcessLookupError, PermissionError):
                return []
            return [self._leader]
        for _ in range(_LOOKS):
            found = {int(entry.name): self._is_member(entry) for entry in proc.iterdir() if entry.name.isdecimal()}
            if None not in found.values():
                break
            time.sleep(0.005)
        return [pid for pid, is_member in found.items() if is_member]

    def _is_member(self, entry: Path) -> bool | None:
        """None: not to be told just now, it is between two programs (`exec`) and shows the environment of neither."""
        try:
            # after the name, which is in brackets and may hold anything: state, parent, group, session
            state, _, _, session, *_ = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            if state in (b"Z", b"X"):
                return False
            if int(session) == self._leader:
                return True
            environ = (entry / "environ").read_bytes()
        except (OSError, ValueError):
            return False  # it ended meanwhile, or is another user's
        if not environ and int(session) != 0:  # session 0: the kernel's own
            return None
        return self._mark in environ
