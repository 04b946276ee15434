"""No two trainings write to the same files at once: what one left would be kept as the other's checkpoint, or result. A lock of the
operating system's, so that whoever is killed holds none."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlgate.errors import InfrastructureError
from mlgate.workspace import Workspace

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextmanager
def in_working_directory(workspace: Workspace, rank: int = 0) -> Iterator[None]:
    """Have a model's parameters, outputs and predictions to oneself while the block runs.

    Args:
        rank: of several nodes that train together and may share a working directory.

    Raises:
        InfrastructureError: another training of the model runs there, or the disk refuses.
    """
    workspace.prepare_state()
    what = f"another training of '{workspace.config.model}' runs in {workspace.root}"
    with _held(workspace.root / ".mlgate" / f".train-{workspace.config.model}-{rank}.lock", what):
        yield


@contextmanager
def in_checkpoints(folder: Path, shown: str, rank: int = 0) -> Iterator[None]:
    """Have a folder of checkpoints to oneself, whichever models, or checkouts by a link, name it. Args, Raises: as above."""
    with _held(folder / f".mlgate-{rank}.lock", f"train.checkpoints.path: {shown}: another training writes its checkpoints there"):
        yield


@contextmanager
def _held(path: Path, what: str) -> Iterator[None]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise InfrastructureError(f"{what}; wait for its end, or train in a checkout of its own") from None
            # a file system without locks: as good as it gets there
        yield
    finally:
        os.close(handle)
