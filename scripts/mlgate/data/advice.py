"""What a user is told when data does not come: which remote was asked, what is wrong there, and the command that puts it right."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlgate.data.objects import Fault
from mlgate.data.targets import Target
from mlgate.git import without_credentials

_SHOWN = 5
_NAMED_IN_COMMAND = 3
_SECRET = "the workflow's secret MLGATE_ENV"  # noqa: S105 -- its name
_CREDENTIALS = {
    "s3": f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in {_SECRET}",
    "gs": f"GOOGLE_APPLICATION_CREDENTIALS in {_SECRET}",
    "azure": f"AZURE_STORAGE_CONNECTION_STRING in {_SECRET}",
    "ssh": f"keyfile or password of the remote, as DVC_CONFIG in {_SECRET}",
    "http": f"auth, user and password of the remote, as DVC_CONFIG in {_SECRET}",
    "https": f"auth, user and password of the remote, as DVC_CONFIG in {_SECRET}",
}
REACHED = ("a folder", "s3", "gs", "azure", "ssh", "http", "https")
"""Kinds of remotes that mlgate brings what they need for."""


@dataclass(frozen=True)
class Place:
    """A remote, or where imported data comes from."""

    shown: str
    """As messages call it, without credentials."""
    scheme: str
    """Of its URL; empty for a folder."""
    remote: str | None = None
    """Name of the DVC remote; None where it is none."""
    is_default: bool = True

    def push_command(self, root: Path, targets: Sequence[Target]) -> str:
        """The command that brings the data there, to be given in the model's folder on a machine that has it."""
        outputs = list(dict.fromkeys(os.path.relpath(target.dvc.fs_path, root) for target in targets))
        named = [shlex.quote(path) for path in outputs] if len(outputs) <= _NAMED_IN_COMMAND else []
        command = " ".join(["dvc push", *([] if self.is_default else ["-r", self.remote or ""]), *named])
        return f"`{command}`" if "'" in command else f"'{command}'"


def place(repo: Any, name: str | None, default: str | None) -> Place:
    """Where a remote of the repository is; DVC's cache where there is none."""
    if not name:
        return Place("DVC's cache", "")
    url = str(repo.config["remote"][name]["url"])
    base = url
    while base.startswith("remote://"):  # a remote may be a folder of another one
        base = str(repo.config["remote"][urlsplit(base).netloc]["url"])
    scheme = urlsplit(base).scheme if "://" in base else ""
    return Place(f"remote '{name}' ({without_credentials(url)})", scheme, name, name == default)


def credentials(place: Place) -> str:
    """Where to put credentials for a place."""
    return f"give the data job credentials that may read it: {_CREDENTIALS.get(place.scheme, f'in {_SECRET}')} (mlgate's docs/data.md)"


def corrupted(place: Place, faults: Sequence[Fault], command: str) -> str:
    fault = faults[0]
    cure = f"delete {fault.object} there, then run {command} where the data is right"
    return f"{first(faults)}: corrupted on {place.shown}: {fault.what}; {cure}"


def removed(place: Place, faults: Sequence[Fault], command: str) -> str:
    return f"{first(faults)}: corrupted on {place.shown}: DVC noticed and removed {faults[0].object}; run {command} where the data is right"


def missing(place: Place, faults: Sequence[Fault], command: str) -> str:
    return f"{first(faults)}: missing on {place.shown}: no object {faults[0].object}; run {command} where the data is"


def never_pushed(place: Place, names: Sequence[str], command: str) -> str:
    """There is nothing at all where the remote should be."""
    check = "that it is mounted" if not place.scheme else "its URL in .dvc/config"
    return (
        f"{listed(names)}: cannot be pulled, there is nothing at {place.shown}; "
        f"if nothing was ever pushed there, run {command} where the data is, else check {check}"
    )


def not_pushable(names: Sequence[str], stage: str) -> str:
    """An output with `push: false`, which DVC leaves on the machine that made it."""
    return (
        f"{listed(names)}: stage '{stage}' has 'push: false' for it, so no other machine can have it; remove that and run 'dvc push', "
        "or have data.prepare make it"
    )


def not_downloaded(name: str, dvc_file: str) -> str:
    """An import of which no hash is recorded."""
    file = shlex.quote(dvc_file)
    return (
        f"{name}: was imported without its data (--no-download), so there is no hash to verify it by; "
        f"run 'dvc update {file}', commit {file}, and 'dvc push'"
    )


def first(faults: Sequence[Fault]) -> str:
    return faults[0].path + (f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else "")


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def not_installed(place: Place) -> str:
    """DVC's part for a kind of remote is absent."""
    if place.scheme in REACHED:
        return f"{place.shown}: mlgate was installed without what {place.scheme}:// needs; install mlgate[dvc-{place.scheme}]"
    return f"{place.shown}: mlgate does not reach {place.scheme}:// remotes; expected {', '.join(REACHED[:-1])} or {REACHED[-1]}"
