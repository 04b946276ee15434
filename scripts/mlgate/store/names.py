"""Names of records: plain relative paths that mean the same in a Git tree and on every file system."""

from __future__ import annotations

import re

from mlgate.errors import InputError

MAX_LENGTH = 200
# A folder has no dot and a record has one, so that no record can stand in the way of a folder. Lower case only: some file systems
# take `A` and `a` for the same. No leading dot: nothing hidden, no `..`, and never a workflow file, which GitHub would refuse.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(?:/[a-z0-9][a-z0-9_-]*)*(?:\.[a-z0-9_-]+)+")


def is_record_name(name: str) -> bool:
    return len(name) <= MAX_LENGTH and _NAME.fullmatch(name) is not None


def checked(name: str) -> str:
    """The name itself. Raises InputError where no record can be called so."""
    if not is_record_name(name):
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        raise InputError(
            f"store: no record can be called {shown!r}; expected lower-case folders and a file name, as in 'evaluations/4f1c.json'"
        )
    return name
