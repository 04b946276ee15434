"""What the files say that DVC keeps in Git, `.dvc` and dvc.lock: which data a commit used and made. Read without importing DVC."""

from __future__ import annotations

import hashlib
import posixpath
from typing import Any

import yaml

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a lock of thousands of files takes seconds without C


def is_dvc_file(path: str) -> bool:
    """Whether a path is that of such a file."""
    return path.endswith(".dvc") or posixpath.basename(path) == "dvc.lock"


def hashes(content: bytes | None, path: str) -> dict[str, str]:
    """Path and hash of all data that one of these files speaks of, what a stage reads included.

    Args:
        content: of the file; None where there is none.
        path: its own; those of the data are relative to the same folder.

    Returns:
        `md5:<hex>` or what the remote calls it, by path; the hash of the file itself where it cannot be read.
    """
    if content is None:
        return {}
    try:
        document = yaml.load(content, Loader=LOADER)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        return {path: f"sha256:{hashlib.sha256(content).hexdigest()}"}
    folder = posixpath.dirname(path)
    found = {}
    for entry in _entries(document):
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            kind = next((kind for kind in ("md5", "etag", "checksum") if isinstance(entry.get(kind), str)), None)
            if kind is not None:
                found[f"{folder}/{entry['path']}" if folder else entry["path"]] = f"{kind}:{entry[kind]}"
    return found


def locked_outputs(lock: bytes, folder: str) -> set[str]:
    """Paths of the outputs that a dvc.lock in `folder` has hashes of; none where it cannot be read."""
    try:
        stages = yaml.load(lock, Loader=LOADER)["stages"].values()  # noqa: S506 -- a SafeLoader
        return {posixpath.normpath(posixpath.join(folder, str(out["path"]))) for stage in stages for out in stage.get("outs", [])}
    except (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError):
        return set()


def _entries(document: Any) -> list[Any]:
    """Outputs of a `.dvc` file, or dependencies and outputs of every stage of a dvc.lock."""
    if not isinstance(document, dict):
        return []
    stages = document.get("stages")
    places = stages.values() if isinstance(stages, dict) else [{"outs": document.get("outs")}]
    listed = [place.get(part) for place in places if isinstance(place, dict) for part in ("deps", "outs")]
    return [entry for entries in listed if isinstance(entries, list) for entry in entries]
