"""What stands in the lock files: who waits for which GPUs, and who has one. Read as text of unknown origin: every user of the machine can
write there.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from mlgate.console import plain

TICKET = "ticket-"
DEVICE = "device-"

_VERSION = 1
_MARK = re.compile(r"[0-9a-f]{32}")
_MOST_DEVICES = 1024
_LONGEST = 200
_LAST_DAY = 4_000_000_000.0
_NOT_OURS = (ValueError, KeyError, TypeError, RecursionError)


class Leasable(Protocol):
    """A GPU or a MIG instance that can be leased."""

    @property
    def uuid(self) -> str: ...

    @property
    def parent_uuid(self) -> str | None:
        """Of a MIG instance: the GPU that it is a part of."""


@dataclass(frozen=True)
class Claim:
    """A device as tickets and records name it."""

    uuid: str
    parent_uuid: str | None = None

    def shares_with(self, other: Claim) -> bool:
        """Whether both cannot be had at once: the same device, or a GPU and an instance of it."""
        return self.uuid in (other.uuid, other.parent_uuid) or self.parent_uuid == other.uuid


@dataclass(frozen=True)
class Holder:
    """Who has a device."""

    device: Claim
    mark: str
    """Of the training's processes."""
    pid: int
    """Of mlgate."""
    started: int
    """When that began, in ticks since the machine did; it tells processes of one number apart."""
    machine: str
    """The machine since its last start, and the namespace that the number belongs to."""
    user: str
    what: str
    """In its own words."""
    since: float
    """Seconds since 1970."""

    @property
    def said(self) -> str:
        """For a line of a log."""
        about = f", {self.what}" if self.what else ""
        return f"{self.user} (process {self.pid}{about}, since {time.strftime('%H:%M', time.localtime(self.since))})"

    @property
    def is_gone(self) -> bool:
        """Whether the mlgate that wrote this certainly is no more."""
        return self.machine == this_machine() and started_at(self.pid) != self.started


@dataclass(frozen=True)
class Ticket:
    """A place in the queue."""

    number: int
    claims: tuple[Claim, ...]
    """Any of these will do."""
    count: int
    until: float
    """By `now`; who has not gone by then is stopped in the middle, and keeps nobody waiting."""

    @property
    def name(self) -> str:
        return f"{TICKET}{self.number:015d}"

    def wants(self, claims: Sequence[Claim]) -> bool:
        return any(mine.shares_with(other) for mine in self.claims for other in claims)


def now() -> float:
    """Seconds by a clock that all processes of the machine share and nobody sets."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def device_file(uuid: str) -> str:
    """Name of a device's lock file; no two devices share one."""
    clean = re.sub(r"[^A-Za-z0-9-]", "_", uuid)[:80]
    return f"{DEVICE}{clean}" + ("" if clean == uuid else f"-{hashlib.sha256(uuid.encode()).hexdigest()[:12]}")


def holder_of_us(device: Claim, mark: str, what: str) -> Holder:
    """What we write into a device's file."""
    pid = os.getpid()
    return Holder(device, mark, pid, started_at(pid) or 0, this_machine(), _user(), plain(what)[:_LONGEST], time.time())


def written(claim: Holder | Ticket) -> bytes:
    """For the file."""
    return json.dumps({"version": _VERSION, **asdict(claim)}).encode()


def read_holder(content: bytes | None) -> Holder | None:
    """None: nobody, or nothing that we understand."""
    try:
        found = _fields(content)
        return Holder(
            device=_claim(found["device"]),
            mark=_matching(_MARK, found["mark"]),
            pid=_number(found["pid"]),
            started=_number(found["started"]),
            machine=_text(found["machine"]),
            user=_text(found["user"]),
            what=_text(found["what"]),
            since=min(float(_number(found["since"])), _LAST_DAY),
        )
    except _NOT_OURS:
        return None


def read_ticket(content: bytes | None, number: int) -> Ticket | None:
    """None: nothing that we understand."""
    try:
        found = _fields(content)
        claims = tuple(_claim(each) for each in found["claims"][:_MOST_DEVICES])
        return Ticket(number=number, claims=claims, count=_number(found["count"]), until=float(_number(found["until"])))
    except _NOT_OURS:
        return None


def ticket_number(name: str) -> int | None:
    """None: it is no ticket, or one of a number that nobody gets by counting."""
    digits = name.removeprefix(TICKET)
    return int(digits) if re.fullmatch(r"0[0-9]{14}", digits) else None


def started_at(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None: there is none, or it is not shown to us."""
    try:
        # after the name, which is in brackets and may hold anything: state is the 1st, the start the 20th
        fields = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


@functools.cache
def this_machine() -> str:
    """Tells apart: machines, their starts, and namespaces of process numbers (containers)."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return "unknown"


@functools.cache
def _user() -> str:
    try:
        return plain(getpass.getuser())[:_LONGEST]
    except (OSError, KeyError):  # a container's user without a name
        return f"user {os.getuid()}"


def _fields(content: bytes | None) -> dict[str, Any]:
    found = json.loads(content or b"{}")
    if not isinstance(found, dict) or found["version"] != _VERSION:
        raise ValueError
    return found


def _claim(found: dict[str, Any]) -> Claim:
    parent = found["parent_uuid"]
    return Claim(_text(found["uuid"]), None if parent is None else _text(parent))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return plain(value)[:_LONGEST]


def _number(value: object) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 2**62:  # also refuses NaN
        raise ValueError
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value)
    if not pattern.fullmatch(text):
        raise ValueError
    return text
