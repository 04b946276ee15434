"""Standard output and error that outlast whoever reads them. A gate that stops working because `head` has read enough would leave neither
evidence nor a report."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Lasting(io.FileIO):
    """A stream whose reader may go: from then on nobody is told anything, and nothing else changes."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _lead_nowhere(self.fileno())
            return memoryview(data).nbytes


def outlast_readers() -> None:
    """Have this process go on when the reader of its output goes, and where it never had one (`>&-`)."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _lead_nowhere(number)  # else the next file that is opened would get its number, and what is printed
    for name, number in (("stdout", 1), ("stderr", 2)):
        given = getattr(sys, name)
        if given is None:
            setattr(sys, name, _stream(number, "utf-8", "backslashreplace", is_by_line=False))
        elif isinstance(given, io.TextIOWrapper):
            given.flush()
            setattr(sys, name, _stream(number, given.encoding, given.errors, is_by_line=given.line_buffering))


def _stream(number: int, encoding: str, errors: str | None, *, is_by_line: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(number, "wb", closefd=False)), encoding=encoding, errors=errors, line_buffering=is_by_line
    )


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
