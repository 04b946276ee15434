"""A fold in GitHub's log around a command's output, which that output cannot end: what opens and closes folds is taken out of it.

Other workflow commands in it pass, as they do in any step of a workflow: whoever runs a training trusts it with its own step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mlgate.console import plain, workflow_command

# Blanks, as .NET trims them, which the runner does before it looks for a command; its lines end with either character.
_BLANKS = rb"(?:[\t\x0b\x0c\x1c-\x1f ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80|\xef\xbb\xbf)*"
_NEW = re.compile(rb"(?:^|(?<=[\r\n]))(" + _BLANKS + rb"):(:(?:end)?group)", re.IGNORECASE)
_OLD = re.compile(rb"##(\[(?:end)?group)", re.IGNORECASE)
_STOPPED = re.compile(rb"(?:^|(?<=[\r\n]))" + _BLANKS + rb"::stop-commands::([^\r\n]+)", re.IGNORECASE)
_MAX_HELD = 4_096
_MAX_NAME = 300
_HALF_BLANKS = {b"\xc2", b"\xe1", b"\xe1\x9a", b"\xe2", b"\xe2\x80", b"\xe2\x81", b"\xe3", b"\xe3\x80", b"\xef", b"\xef\xbb"}
_BEGINNINGS = (b"::group", b"::endgroup", b"::stop-commands::")
_OLD_BEGINNINGS = (b"##[group", b"##[endgroup")


@contextmanager
def opened(title: str, *, is_github: bool) -> Iterator[LogGroup | None]:
    """Fold what is printed meanwhile, on GitHub; elsewhere None, and nothing is changed."""
    if not is_github:
        yield None
        return
    print(workflow_command("group", plain(title)), flush=True)
    group = LogGroup()
    try:
        yield group
    finally:
        if group.stopped:  # else GitHub would take our own commands, and all later ones, for text
            print(f"::{group.stopped}::", flush=True)
        print(workflow_command("endgroup", ""), flush=True)


class LogGroup:
    """What a command's output looks like in a fold."""

    def __init__(self) -> None:
        self._held = b""
        self._line = b""
        """The line as far as it was shown, as long as it can still become a command."""
        self.stopped: str | None = None
        """The word that has GitHub heed commands again, where the output had it stop."""

    def passed(self, chunk: bytes) -> bytes:
        """What to show of it now; a piece of a line that may become a command is held back until more of it is there."""
        text = self._held + chunk
        cut = len(text) - len(_undecided(text, is_line_start=not self._line))
        text, self._held = text[:cut], text[cut:]
        return self._cleaned(text)

    def rest(self) -> bytes:
        """What was held back, at the end."""
        text, self._held = self._held, b""
        return self._cleaned(text)

    def _cleaned(self, text: bytes) -> bytes:
        if not text:
            return b""
        # a chunk begins in the middle of a line: a mark in front keeps `^` from taking it for a beginning
        prefix = b"x" if self._line else b""
        body = prefix + text
        if b"::" in body:
            for word in _STOPPED.findall(body):
                self.stopped = word.decode(errors="replace").strip()
            if self.stopped and re.search(rb"(?:^|(?<=[\r\n]))" + _BLANKS + rb"::" + re.escape(self.stopped.encode()) + rb"::", body):
                self.stopped = None
            body = _NEW.sub(rb"\1: \2", body)
        if b"##[" in body:
            body = _OLD.sub(rb"# \1", body)
        last = max(body.rfind(b"\n"), body.rfind(b"\r"))
        self._line = body[last + 1 :][-1:]
        return body[len(prefix) :]


def _undecided(text: bytes, *, is_line_start: bool) -> bytes:
    """The end of it that may be the beginning of a command."""
    last = max(text.rfind(b"\n"), text.rfind(b"\r"))
    line = text[last + 1 :]
    if len(line) <= _MAX_HELD and (last >= 0 or is_line_start):
        blanks = re.match(_BLANKS, line)
        said = line[blanks.end() if blanks else 0 :].lower()
        if not said or said in _HALF_BLANKS or any(one.startswith(said) for one in _BEGINNINGS) or said.startswith(_BEGINNINGS[-1]):
            return line
        if said.startswith(b"::") and b"::" not in said[2:] and len(said) < _MAX_NAME:
            return line  # it may be the word that ends a stop
    for beginning in _OLD_BEGINNINGS:
        for length in range(min(len(beginning) - 1, len(line)), 0, -1):
            if line.lower().endswith(beginning[:length]):
                return line[-length:]
    return b""
