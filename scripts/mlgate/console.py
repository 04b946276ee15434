"""What a person sees while mlgate works: progress on anything longer than a second, and lines fit for a terminal or a CI log."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)

_OLD_COMMAND = re.compile(r"##+\[")


def plain(text: str) -> str:
    """Text of unknown origin on one line, without control, escape, bidirectional and zero-width characters, fit for any encoding and
    without workflow commands, of which GitHub's runner obeys the older form (`##[name]`) anywhere in a line and the newer one (`::name::`)
    at its start, whatever blanks stand before it."""
    line = " ".join(_CONTROL.sub("", text).split())
    line = f": :{line[2:]}" if line.startswith("::") else line
    return _OLD_COMMAND.sub("# [", line).encode(errors="backslashreplace").decode()


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def size(count: int) -> str:
    """`812 bytes`, `14.2 kB`, `3.1 GB`."""
    if count < 1000:
        return f"{count} bytes"
    power = 1 if count < 999_500 else 2 if count < 999_500_000 else 3
    amount, unit = count / 1000**power, ("kB", "MB", "GB")[power - 1]
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"


def workflow_command(name: str, message: str, **properties: str | int) -> str:
    """A GitHub workflow command (`::error file=x,line=1::message`) whose values cannot start another."""

    def escaped(value: str) -> str:
        return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    listed = ",".join(f"{key}={escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items())
    return f"::{name}{' ' + listed if listed else ''}::{escaped(message)}"


class Progress:
    """What a running step has to say of itself; `say` may be called from any thread, as often as one likes."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.detail = ""

    def say(self, detail: str) -> None:
        self.detail = plain(detail)


class Console:
    """Standard error as a terminal or as a log."""

    def __init__(self, stream: TextIO | None = None, first_after_s: float = 1.0, every_s: float = 15.0) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._first_after_s = first_after_s
        self._every_s = 0.2 if self._is_terminal else every_s

    def line(self, text: str) -> None:
        """One line, now."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Show that something is going on, once it takes longer than a second: rewritten in place on a terminal, a line now and
        then in a log."""
        progress = Progress(label)
        finished = threading.Event()
        started = time.monotonic()

        def show() -> None:
            wait = self._first_after_s
            while not finished.wait(wait):
                wait = self._every_s
                text = f"  … {label}, {time.monotonic() - started:.0f} s" + (f", {progress.detail}" if progress.detail else "")
                if self._is_terminal:
                    text = f"\r\x1b[K{text[: os.get_terminal_size(self._stream.fileno()).columns - 1]}"
                    print(text, end="", file=self._stream, flush=True)
                else:
                    self.line(text)

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield progress
        finally:
            finished.set()
            thread.join()
            if self._is_terminal:
                print("\r\x1b[K", end="", file=self._stream, flush=True)
