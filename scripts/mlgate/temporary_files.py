"""Where this process keeps its temporary files: in a job, in the folder that the runner empties before and after every job. What a job that
is killed leaves in the system's folder would stay on a machine of one's own for ever.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CHOSEN = ("TMPDIR", "TEMP", "TMP")


def of_job(environ: Mapping[str, str]) -> Path | None:
    """The runner's folder for temporary files; None where there is none, or where the runner could not empty it of ours.

    In a job's container we may be root and the runner a user who cannot remove root's files from the folder they share; what lies in the
    container's own folder goes with the container.
    """
    folder = Path(environ.get("RUNNER_TEMP", ""))
    try:
        is_ours = folder.is_absolute() and folder.is_dir() and folder.stat().st_uid == os.geteuid()
    except OSError:
        return None
    return folder if is_ours and os.access(folder, os.W_OK | os.X_OK) else None


def keep_in_job(environ: Mapping[str, str]) -> None:
    """Have Python and all libraries in this process put their temporary files there, unless a variable names another folder.

    Commands of the user's are given `os.environ`, which does not change: what they find there, and where their sockets lie, is theirs.
    """
    if any(environ.get(name) for name in _CHOSEN) or (folder := of_job(environ)) is None:
        return
    tempfile.tempdir = str(folder)
    os.putenv("TMPDIR", str(folder))  # for what is not written in Python (Polars), and for workers that Python starts itself
