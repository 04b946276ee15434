"""Profiles of data between runs: left as files of the evidence, recorded in the store by commit, and kept with the champion.

Keys of the store: `profiles/<commit>/<data>.json` of a commit of the default branch, `champion/profiles/<data>.json` of the champion
(written when a model is registered); <data> as `key` writes it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mlgate.evidence import DataProfile, ValidationFindings, checked_file, file_ref, write_bytes
from mlgate.workspace import Workspace

CHAMPION_FOLDER = "champion/profiles"
_MAX_READABLE = 60


def key(data: str) -> str:
    """What a record calls data: its path as far as such names allow, and 12 digits of the path's SHA-256, which tell two apart."""
    readable = re.sub(r"[^a-z0-9_]+", "-", data.lower()).strip("-_")[:_MAX_READABLE] or "data"
    return f"{readable}-{hashlib.sha256(data.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}.json"


def of_commit(commit: str, data: str) -> str:
    return f"profiles/{commit}/{key(data)}"


def of_champion(data: str) -> str:
    return f"{CHAMPION_FOLDER}/{key(data)}"


def keep(workspace: Workspace, data: str, content: bytes) -> DataProfile:
    """Leave a profile in the state folder, for the evidence to name. Raises InfrastructureError: the disk refuses."""
    path = workspace.files / "validate-data" / "profiles" / key(data)
    write_bytes(path, content)
    return DataProfile(data=data, file=file_ref(path, workspace.state))


def records(workspace: Workspace, commit: str) -> dict[str, bytes]:
    """What a run leaves in the store of a commit of the default branch: the profiles that validate-data's evidence names.

    Raises:
        InputError: a file of them is not what the evidence says.
    """
    evidence = workspace.evidence("validate-data")
    found = evidence.findings if evidence is not None else None
    if not isinstance(found, ValidationFindings):
        return {}
    return {of_commit(commit, one.data): Path(checked_file(one.file, workspace.state)).read_bytes() for one in found.profiles}
