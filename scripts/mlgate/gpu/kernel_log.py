"""What the kernel's log says of GPUs: Xid messages, by which NVIDIA's driver reports a GPU's faults.

Meaning of the numbers: NVIDIA, "Xid Errors" (GPU deployment and management documentation), the table of messages and what each asks for.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SINCE_S = 24 * 3600
"""Older messages are no news."""
_RECORD = re.compile(r"(?P<priority>\d+),\d+,(?P<microseconds>\d+),[^;]*;(?P<text>.*)")
_XID = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})(?:\.\d)?\): (?P<number>\d+)(?P<more>.*)")
_ADDRESS = re.compile(r"([0-9A-Fa-f]{4,8}):([0-9A-Fa-f]{2}):([0-9A-Fa-f]{2})")
_LOADED = "NVRM: loading NVIDIA"
_RECOVERY = 154
_MAX_BYTES = 32 << 20
# Faults of a program, after which the GPU is as it was.
_OF_PROGRAMS = frozenset({13, 31, 43, 45, 68, 69, 137})
# After these the GPU is no good until it is reset.
_NEED_RESET = {
    48: "double-bit memory error",
    61: "internal microcontroller stopped",
    62: "internal microcontroller halted",
    64: "memory rows could not be remapped",
    74: "NVLink error",
    79: "fell off the bus",
    95: "uncontained memory error",
    110: "security fault",
    119: "GSP does not answer",
    120: "GSP error",
    140: "unrecovered memory error",
}
_REMARKABLE = {63: "memory rows were remapped", 92: "many single-bit memory errors", 94: "contained memory error"}


@dataclass(frozen=True)
class Xid:
    """What the log says of one GPU, once a number."""

    pci: str
    """As `address` gives it."""
    number: int
    age_s: float
    """Of the newest one."""
    times: int

    @property
    def needs_reset(self) -> bool:
        return self.number in _NEED_RESET

    @property
    def text(self) -> str:
        meaning = _NEED_RESET.get(self.number) or _REMARKABLE.get(self.number)
        often = f"{self.times} times, last " if self.times > 1 else ""
        return f"Xid {self.number}{f' ({meaning})' if meaning else ''} {often}{_ago(self.age_s)}"


def address(pci: str) -> str:
    """A PCI address in one form, `0000:81:00`, whichever of NVML's or the kernel's it comes in; without the function."""
    match = _ADDRESS.match(pci)
    return f"{int(match[1], 16):04x}:{int(match[2], 16):02x}:{int(match[3], 16):02x}" if match else pci.lower()


def read(path: Path = Path("/dev/kmsg")) -> str:
    """The kernel's log since boot; empty where it may not be read, as in most containers."""
    chunks, size = [], 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        while size < _MAX_BYTES:
            try:
                chunk = os.read(descriptor, 1 << 16)  # a record each time
            except BrokenPipeError:
                continue  # records were overwritten meanwhile; the next call goes on behind them
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
    except OSError:
        pass  # BlockingIOError: that was all; others: not to be read here
    finally:
        os.close(descriptor)
    return b"".join(chunks).decode(errors="replace")


def xids(log: str, *, now_s: float | None = None) -> list[Xid]:
    """Xid messages of the last 24 hours that still tell of the GPU: none that a program of its own caused, and none from before its driver
    was loaded again or said that it had recovered.

    Args:
        log: records of /dev/kmsg.
        now_s: seconds since boot, as the log counts them.
    """
    now_s = time.clock_gettime(time.CLOCK_MONOTONIC) if now_s is None else now_s
    found: dict[tuple[str, int], Xid] = {}
    for at_s, text in _records(log):
        if _LOADED in text:
            found.clear()
        match = _XID.search(text)
        if match is None:
            continue
        pci, number = address(match["pci"]), int(match["number"])
        if number == _RECOVERY:
            if re.search(r"\bto 0x0\b", match["more"]):
                found = {key: xid for key, xid in found.items() if key[0] != pci}
            continue  # what is to be done now, NVML tells
        if number in _OF_PROGRAMS or now_s - at_s > SINCE_S:
            continue
        times = found[pci, number].times + 1 if (pci, number) in found else 1
        found[pci, number] = Xid(pci, number, max(now_s - at_s, 0.0), times)
    return list(found.values())


def _records(log: str) -> Iterator[tuple[float, str]]:
    """Seconds since boot and text of what the kernel itself said; what others write there has another facility."""
    for line in log.splitlines():
        match = _RECORD.match(line)
        if match and int(match["priority"]) >> 3 == 0:
            yield int(match["microseconds"]) / 1e6, match["text"]


def _ago(seconds: float) -> str:
    if seconds < 90:
        return "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"
