"""doctor: the machine this runs on, as a runner of workflows would need it."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Iterator

import mlgate
from mlgate import git
from mlgate.errors import InfrastructureError
from mlgate.stages.doctor.findings import Finding, ok, problem, warning
from mlgate.stages.doctor.subject import Subject

_OLDEST_GIT = (2, 18)
_FULL_BYTES = 500_000_000
_LOW_BYTES = 5_000_000_000


def look(subject: Subject) -> Iterator[Finding]:
    """Programs and disk space."""
    yield ok(
        f"mlgate {mlgate.__version__} on Python {platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    )
    yield from _git(subject)
    bash = shutil.which("bash")
    if bash:
        yield ok(f"bash at {bash}")
    else:
        yield problem("no bash on PATH: actions and your commands run in it", "install bash")
    usage = shutil.disk_usage(subject.root)
    free = f"{usage.free / 1e9:,.1f} GB free at {subject.root}"
    if usage.free < _FULL_BYTES:
        yield problem(f"only {free}", "make room: DVC's cache ('dvc gc'), old environments", 3)
    elif usage.free < _LOW_BYTES:
        yield warning(f"only {free}", "make room before data or models grow")
    else:
        yield ok(free)


def _git(subject: Subject) -> Iterator[Finding]:
    try:
        said = git.run(subject.root, "--version").decode(errors="replace").strip()
    except InfrastructureError as error:
        yield problem(str(error), "install git")
        return
    match = re.search(r"(\d+)\.(\d+)", said)
    if match and (int(match[1]), int(match[2])) < _OLDEST_GIT:
        yield problem(f"{said}: too old", f"install git {_OLDEST_GIT[0]}.{_OLDEST_GIT[1]} or newer: actions/checkout needs it, too")
    else:
        yield ok(said)
