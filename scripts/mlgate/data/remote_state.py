"""Whether a DVC remote can be asked, and whether it has all that this commit's data consists of. Nothing is pulled or pushed."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate import git
from mlgate.data import advice, dvc_log, imports, objects
from mlgate.data.advice import Place
from mlgate.data.pull import opened, remote_name
from mlgate.data.targets import Target
from mlgate.data.tracking import dvc_root
from mlgate.errors import InfrastructureError, InputError


@dataclass(frozen=True)
class Lacking:
    """A file that the remote does not have."""

    path: str
    """Relative to the working directory."""
    is_here: bool
    """Whether DVC's cache has it, so that it can be pushed from here."""
    is_made: bool
    """Whether a stage of the pipeline makes it, so that a runner can make it again."""


@dataclass(frozen=True)
class RemoteState:
    """One remote, and what belongs on it."""

    place: Place
    targets: int
    """Outputs of DVC that belong there."""
    files: int
    """Files of them."""
    lacking: list[Lacking]
    """Those that are not there."""
    push_command: str
    """As a message quotes it."""
    is_absent: bool = False
    """Whether there is nothing at all at its address, as before the first push."""


@dataclass(frozen=True)
class Data:
    """What DVC tracks for a working directory."""

    remotes: list[RemoteState]
    without_remote: list[str] = field(default_factory=list)
    """Data that belongs on the default remote, and there is none."""
    never_ran: list[str] = field(default_factory=list)
    """Outputs whose stage has not run: there is no hash of them yet."""
    not_in_git: list[str] = field(default_factory=list)
    """Files of DVC's that differ from the commit: what they say, no runner knows."""
    only_here: str | None = None
    """The default remote, where only .dvc/config.local has it: no runner knows it."""


def survey(root: Path, wanted_remote: str | None) -> Data:
    """Ask every remote for every object that the data at or below a folder consists of.

    Args:
        root: the working directory, in a DVC repository.
        wanted_remote: `data.remote` of mlgate.yaml; None for DVC's default.

    Raises:
        InputError: a remote that does not exist, or a broken pipeline file.
        InfrastructureError: a remote cannot be asked; the message says which and why.
    """
    repository = dvc_root(root)
    if repository is None:
        raise InputError(f"{root}: no DVC repository; run 'dvc init'")
    with dvc_log.captured(), opened(repository) as repo:
        default = remote_name(repo, wanted_remote)
        tracked = list(_tracked(repo, root))
        pushed = [target for target in tracked if target.has_run and target.dvc.can_push and not imports.is_taken_from_source(target)]
        by_remote: dict[str | None, list[Target]] = {}
        for target in pushed:
            by_remote.setdefault(target.dvc.remote or default, []).append(target)
        if default is not None:
            by_remote.setdefault(default, [])
        remotes = [_state(repo, root, name, targets) for name, targets in by_remote.items() if name is not None]
        return Data(
            remotes=remotes,
            without_remote=[target.path for target in by_remote.get(None, [])],
            never_ran=[target.path for target in tracked if not target.has_run],
            not_in_git=_not_in_git(root),
            only_here=default if default is not None and not _is_shared(repository, default) else None,
        )


def _tracked(repo: Any, root: Path) -> Iterator[Target]:
    for output in repo.index.outs:
        path = Path(os.path.relpath(output.fs_path, root)).as_posix()
        if output.use_cache and output.is_in_repo and not path.startswith("../"):
            yield Target(path, output)


def _state(repo: Any, root: Path, name: str, targets: list[Target]) -> RemoteState:
    """Raises InfrastructureError."""
    place = advice.place(repo, name, repo.config["core"].get("remote"))
    try:
        remote = repo.cloud.get_remote(name)
        if not remote.fs.protocol.startswith("http") and not remote.fs.exists(remote.path):
            lacking = [Lacking(target.path, _is_cached(target, root), target.is_stage_output) for target in targets]
            if not targets:
                _probe(remote)
            return RemoteState(place, len(targets), len(targets), lacking, place.push_command(root, targets), is_absent=True)
        files, lacking = _compared(targets, root, remote)
    except ModuleNotFoundError:
        raise InputError(advice.not_installed(place)) from None
    except (InputError, InfrastructureError):
        raise
    except Exception as error:  # noqa: BLE001 -- whatever the remote's client raises; it is sorted, and told to the user
        raise _unreachable(place, error) from None
    unpushed = [target for target in targets if any(_is_of(one.path, target) for one in lacking)]
    return RemoteState(place, len(targets), files, lacking, place.push_command(root, unpushed))


def _compared(targets: list[Target], root: Path, remote: Any) -> tuple[int, list[Lacking]]:
    """How many files there should be, and which of them are not there. Raises whatever the remote's client raises."""
    wanted: dict[bool, dict[str, list[tuple[str, Target]]]] = {False: {}, True: {}}
    files = 0
    for target in targets:
        if remote.fs.version_aware:
            continue  # kept by path and version: DVC knows them only by its own record
        is_legacy = target.dvc.hash_name == "md5-dos2unix"
        listed = dict(objects.listing(target, root) or _listing_there(target, remote, is_legacy=is_legacy))
        files += len(listed)
        if target.dvc.hash_info.isdir:
            listed[target.path] = target.md5
        for path, md5 in listed.items():
            wanted[is_legacy].setdefault(md5, []).append((path, target))
    lacking = []
    for is_legacy, by_md5 in wanted.items():
        if not by_md5:
            continue
        odb = remote.legacy_odb if is_legacy else remote.odb
        gone = by_md5.keys() - set(odb.oids_exist(list(by_md5), jobs=8))
        if gone:  # clients answer "not there" for any trouble they have; asked to read, they say what it is
            _read_one(odb, min(gone))
        lacking += [Lacking(path, _has_object(target, md5), target.is_stage_output) for md5 in gone for path, target in by_md5[md5]]
    return files, sorted(lacking, key=lambda one: one.path)


def _listing_there(target: Target, remote: Any, *, is_legacy: bool) -> Mapping[str, str]:
    """A folder's files by the listing on the remote, where the cache lacks it; none where the remote lacks it, too."""
    odb = remote.legacy_odb if is_legacy else remote.odb
    try:
        entries = json.loads(odb.fs.cat_file(odb.oid_to_path(target.md5)))
        return {f"{target.path}/{entry['relpath']}": entry["md5"] for entry in entries}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _read_one(odb: Any, md5: str) -> None:
    try:
        with odb.fs.open(odb.oid_to_path(md5), "rb") as stream:
            stream.read(1)
    except FileNotFoundError as error:  # clients say so, too, of what kept them from looking
        why = dvc_log.reason([error])
        if why is not None and why.kind != "missing":
            raise


def _probe(remote: Any) -> None:
    """Where nothing was ever pushed, there need be nothing; the place above it must answer all the same."""
    if remote.fs.protocol != "local":
        remote.fs.exists(remote.fs.parent(remote.path))


def _has_object(target: Target, md5: str) -> bool:
    return Path(target.dvc.cache.oid_to_path(md5)).exists()


def _is_cached(target: Target, root: Path) -> bool:
    return not objects.missing(target, root)


def _is_of(path: str, target: Target) -> bool:
    return path == target.path or path.startswith(f"{target.path}/")


def _unreachable(place: Place, error: Exception) -> InfrastructureError:
    match dvc_log.reason([error]):
        case dvc_log.Reason("credentials", text):
            return InfrastructureError(f"{place.shown} refuses access: {text}; {advice.credentials(place)}")
        case dvc_log.Reason(_, text):
            return InfrastructureError(f"{place.shown} cannot be asked: {text}")
        case None:
            return InfrastructureError(f"{place.shown} cannot be asked; try 'dvc status --cloud --verbose'")


def _not_in_git(root: Path) -> list[str]:
    try:
        listed = git.run(root, "status", "--porcelain", "-z", "--", "*.dvc", "*dvc.lock", "*dvc.yaml", ":(top).dvc/config")
    except subprocess.CalledProcessError:
        return []
    return sorted({entry[3:] for entry in listed.decode(errors="replace").split("\0") if len(entry) > 3})


def _is_shared(repository: Path, name: str) -> bool:
    """Whether .dvc/config, which is in Git, has the remote."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string((repository / ".dvc" / "config").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return True  # DVC itself reads it otherwise
    return any(section.strip("'\"") == f'remote "{name}"' or section == f"'remote \"{name}\"'" for section in parser.sections())
