"""The objects of an output in DVC's cache and on its remote: which are there, where they came from, which are corrupted."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.data.identity import Content, content, file_md5
from mlgate.data.targets import Target


@dataclass(frozen=True)
class Fault:
    """One object that is not as it should be."""

    path: str
    """The file it is the content of, relative to the working directory; a folder, for its listing."""
    object: str
    """Where it lies below the remote's URL; on a remote that keeps versions, which version of the file."""
    what: str | None
    """How it is corrupted; None where it is missing."""


@dataclass(frozen=True)
class Verified:
    """A pulled target after every file of it was hashed."""

    content: Content | None
    """None where something was wrong."""
    corrupted: list[Fault] = field(default_factory=list)
    """Objects that are not what their name says. Removed from the cache, their files from the workspace."""
    changed: list[str] = field(default_factory=list)
    """Files whose object is right: somebody changed the workspace."""


def listing(target: Target, root: Path) -> dict[str, str] | None:
    """MD5 of every file that belongs to the target, by path relative to `root`; None while the cache lacks a folder's listing."""
    output = target.dvc
    if not output.hash_info.isdir:
        return {_at(target, root): output.hash_info.value}
    if output.files:  # cloud versioning: the `.dvc` file lists them itself
        return _within(target, root, output.files)
    try:
        return _within(target, root, json.loads(_object_path(target, target.md5).read_bytes()))
    except (OSError, ValueError):
        return None


def missing(target: Target, root: Path) -> list[str]:
    """Files of the target whose object the cache lacks; the target itself where its listing is."""
    files = listing(target, root)
    if files is None:
        return [target.path]
    at = target.dvc.cache.oid_to_path
    return [path for path, md5 in files.items() if not os.path.exists(at(md5))]  # noqa: PTH110 -- a folder may have 100,000 files


def discard_bad_listing(target: Target) -> Fault | None:
    """Remove a folder's listing from the cache if it is not what its name says; returns what was wrong."""
    if not target.dvc.hash_info.isdir or target.dvc.files:
        return None
    path = _object_path(target, target.md5)
    if not path.exists():
        return None
    found, size = file_md5(path)
    if f"{found}.dir" == target.md5:
        return None
    path.unlink()
    return _bad_listing(target, found, size)


def probe(target: Target, root: Path, remote: Any) -> None:
    """Read a byte of the first object that did not come. Clients answer "not there" to "is it there?" for any trouble they have; asked
    to read, they say what it is.

    Raises:
        FileNotFoundError: it is indeed not there; any other exception of the remote's client: why it cannot be read.
    """
    if remote.fs.version_aware:
        raise FileNotFoundError  # what is gone there is told by `faults_on_remote`
    odb = _remote_odb(target, remote)
    files = listing(target, root)
    lacking = [target.md5] if files is None else [md5 for md5 in files.values() if not _object_path(target, md5).exists()]
    for md5 in lacking[:1]:
        with odb.fs.open(odb.oid_to_path(md5), "rb") as stream:
            stream.read(1)


def faults_on_remote(target: Target, root: Path, remote: Any) -> list[Fault]:
    """What is wrong on the remote with the objects that did not come.

    A folder's listing is read there and checked; of a file's object it is asked whether it is there.

    Args:
        target: what did not come, or not all of it.
        root: the working directory.
        remote: DVC's `Remote`.
    """
    files = listing(target, root)
    if remote.fs.version_aware:
        lacking = files or {target.path: target.md5}
        return [_fault(target, path, md5, None) for path, md5 in lacking.items() if not _object_path(target, md5).exists()]
    odb = _remote_odb(target, remote)
    if files is None:
        try:
            with odb.fs.open(odb.oid_to_path(target.md5), "rb") as stream:
                raw = stream.read()
        except FileNotFoundError:
            return [_fault(target, target.path, target.md5, None)]
        found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        if f"{found}.dir" != target.md5:
            return [_bad_listing(target, found, len(raw))]
        files = _within(target, root, json.loads(raw)) or {}
    lacking = {path: md5 for path, md5 in files.items() if not _object_path(target, md5).exists()}
    return [_fault(target, path, md5, None) for path, md5 in lacking.items() if not odb.fs.exists(odb.oid_to_path(md5))]


def cache_clock(folder: Path) -> int:
    """Now, in nanoseconds, as the cache's own file system has it. Raises OSError where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".mlgate-") as marker:
        return Path(marker.name).stat().st_ctime_ns


def origin(target: Target, root: Path, since_ns: int) -> tuple[int, int]:
    """How many of the target's files the cache held before `since_ns`, and how many came from the remote since."""
    files = listing(target, root) or {}
    new = sum(_object_path(target, md5).stat().st_ctime_ns >= since_ns for md5 in files.values())
    return len(files) - new, new


def verify(target: Target, root: Path) -> Verified:
    """Hash every file of the target in the workspace; remove what is corrupted from workspace and cache.

    Raises:
        InputError: a file cannot be read.
    """
    expected = listing(target, root) or {}
    found = content(root, target.path, target.dvc.hash_name) if (root / target.path).exists() else Content("", 0, {})
    actual = {f"{target.path}/{name}" if name else target.path: md5 for name, md5 in found.files.items()}
    if actual == expected:
        return Verified(found)
    verified = Verified(None)
    for path, md5 in expected.items():
        if actual.get(path) == md5:
            continue
        if (wrong := _remove_object(target, md5)) is None:
            verified.changed.append(path)
        else:
            (root / path).unlink(missing_ok=True)
            verified.corrupted.append(_fault(target, path, md5, wrong))
    verified.changed.extend(sorted(actual.keys() - expected.keys()))
    return verified


def _remove_object(target: Target, md5: str) -> str | None:
    """Remove an object that is not what its name says; in words what it was, or None where it is right."""
    path = _object_path(target, md5)
    try:
        found, size = file_md5(path, target.dvc.hash_name)
    except FileNotFoundError:
        return "gone from DVC's cache"
    if found == md5:
        return None
    path.unlink()
    return _described(found, size, md5)


def _described(found: str, size: int, expected: str) -> str:
    return f"{size:,} bytes with MD5 {found} instead of {expected}" if size else f"0 bytes instead of those with MD5 {expected}"


def _bad_listing(target: Target, found: str, size: int) -> Fault:
    return _fault(target, target.path, target.md5, f"the folder's listing has {_described(found, size, target.md5.removesuffix('.dir'))}")


def _fault(target: Target, path: str, md5: str, what: str | None) -> Fault:
    if version := _version(target, path):
        return Fault(path, f"{path} of version {version}", what)
    prefix = "" if target.dvc.hash_name == "md5-dos2unix" else "files/md5/"  # DVC before 3.0 had no folder of its own for each hash
    return Fault(path, f"{prefix}{md5[:2]}/{md5[2:]}", what)


def _version(target: Target, path: str) -> str | None:
    """The version of a file on a remote that keeps versions; None where it is kept by hash."""
    output = target.dvc
    if not output.files:
        return getattr(output.meta, "version_id", None)
    inside = {entry["relpath"]: entry.get("version_id") for entry in output.files}
    return next((version for name, version in inside.items() if path.endswith(f"/{name}")), None)


def _within(target: Target, root: Path, entries: list[dict[str, str]]) -> dict[str, str] | None:
    """A folder's entries by path relative to `root`, those of the target only; None where they are no listing."""
    at = _at(target, root)
    try:
        files = {f"{at}/{entry['relpath']}": entry["md5"] for entry in entries}
    except (KeyError, TypeError):
        return None
    if target.path == at:
        return files
    return {path: md5 for path, md5 in files.items() if path == target.path or path.startswith(target.path + "/")}


def _at(target: Target, root: Path) -> str:
    return Path(os.path.relpath(target.dvc.fs_path, root)).as_posix()


def _remote_odb(target: Target, remote: Any) -> Any:
    return remote.legacy_odb if target.dvc.hash_name == "md5-dos2unix" else remote.odb


def _object_path(target: Target, md5: str) -> Path:
    return Path(target.dvc.cache.oid_to_path(md5))
