"""Data pulled with DVC and then hashed here: DVC passes corrupted objects in silence.

Knows no workspace: `train` calls it on another machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.data import dvc_log, objects
from mlgate.data.identity import Content, content, data_ref, identify
from mlgate.data.targets import Target, resolve, sources
from mlgate.data.tracking import dvc_root, tracked_by
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import PulledTarget, PullFindings
from mlgate.git import without_credentials
from mlgate.mistakes import did_you_mean

_SHOWN = 5


@dataclass(frozen=True)
class Options:
    """How to pull."""

    remote: str | None = None
    """Name of the DVC remote; None for DVC's default."""
    with_sources: bool = False
    """Whether to pull what the pipeline reads as well."""
    is_made_later: bool = False
    """Whether a command will make what stages write: then it need not be on the remote."""
    may_be_absent: bool = False
    """Whether names that nothing has are left out instead of refused."""
    attempts: int = 4
    """How often a remote that does not answer is asked."""
    wait_s: float = 1.0
    """Before the second attempt; doubled before each further one."""


DEFAULTS = Options()


@dataclass(frozen=True)
class Pulled:
    """What is in the workspace now."""

    findings: PullFindings
    notes: list[str]
    """What was not pulled and why, and what was repaired."""


@dataclass(frozen=True)
class _Source:
    """A DVC repository and the remote that is asked."""

    root: Path
    repo: Any
    remote: str | None
    options: Options
    say: Callable[[str], None]
    log: dvc_log.Captured

    @property
    def shown(self) -> str:
        return f"remote '{self.remote}' ({remote_url(self.repo, self.remote)})" if self.remote else "DVC's cache"


@dataclass
class _Outcome:
    """What a transfer did."""

    found: dict[str, Content] = field(default_factory=dict)
    """What lies in the workspace now, verified, by target."""
    origins: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Files from the cache and from the remote, by target."""
    notes: list[str] = field(default_factory=list)
    attempts: int = 0


def fetch(root: Path, names: Sequence[str], options: Options = DEFAULTS, say: Callable[[str], None] = lambda _: None) -> Pulled:
    """Have data in the workspace, every file of it verified against the hash that Git has of it.

    Args:
        root: the working directory.
        names: files, folders, `.dvc` files or stages, relative to `root`.
        options: how to pull.
        say: told what is going on.

    Raises:
        InputError: no such data or remote, local changes in the way, or a broken pipeline file.
        InfrastructureError: an object is missing or corrupted, or the remote cannot be asked; the message names which.
    """
    root = root.resolve()
    repository = dvc_root(root)
    if repository is None:
        if options.remote is not None:
            raise InputError(
                f"data.remote: '{options.remote}' would be a DVC remote, but this is no DVC repository; run 'dvc init', or remove the key"
            )
        targets = [
            PulledTarget(data=identify(root, target.path), files_from_cache=0, files_from_remote=0)
            for target in resolve(names, None, root, may_be_absent=options.may_be_absent)
        ]
        return Pulled(PullFindings(remote=None, remote_url=None, targets=targets), [])
    with dvc_log.captured() as log, _opened(repository) as repo:
        source = _Source(root, repo, _remote_name(repo, options.remote), options, say, log)
        also = sources(repo, root) if options.with_sources else []
        wanted = resolve([*names, *also], repo, root, may_be_absent=options.may_be_absent)
        return _pull(source, wanted)


def _pull(source: _Source, wanted: list[Target]) -> Pulled:
    root = source.root
    never_ran = [target.path for target in wanted if not target.has_run]
    found = {target.path: there for target in wanted if target.has_run and (there := _found(root, target))}
    absent = [target for target in wanted if target.has_run and target.path not in found]
    outcome = _bring(source, absent) if absent else _Outcome()
    found |= outcome.found
    pulled = []
    for target in wanted:
        if target.path in found:
            tracker = tracked_by(root, target.path) if target.output is None else "dvc"
            from_cache, from_remote = outcome.origins.get(target.path, (0, 0))
            data = data_ref(target.path, found[target.path], tracker)
            pulled.append(PulledTarget(data=data, files_from_cache=from_cache, files_from_remote=from_remote))
    remote = source.remote if any(target.output is not None for target in wanted) else None
    findings = PullFindings(remote=remote, remote_url=remote_url(source.repo, remote), targets=pulled, attempts=max(1, outcome.attempts))
    notes = [f"{_listed(never_ran)}: not pulled, dvc.lock has no hash before the stage has run"] if never_ran else []
    if not source.options.is_made_later:
        notes += [_outdated(target) for target in wanted if target.path in found and target.is_outdated]
    return Pulled(findings, notes + outcome.notes)


def _outdated(target: Target) -> str:
    return (
        f"{target.path}: stage '{target.stage}' changed since it made this; set data.prepare, so that what is checked is what training uses"
    )


def remote_url(repo: Any, name: str | None) -> str | None:
    """Where a remote is, without credentials."""
    return without_credentials(str(repo.config["remote"][name]["url"])) if name else None


def _found(root: Path, target: Target) -> Content | None:
    """What the workspace holds of a target already, if it is right. Parts of folders are left to DVC."""
    if target.output is None:
        return content(root, target.path)
    if not (root / target.path).exists() or Path(target.output.fs_path) != root / target.path:
        return None
    there = content(root, target.path, target.output.hash_name)
    return there if there.md5 == target.md5 else None


def _bring(source: _Source, targets: list[Target], is_second: bool = False) -> _Outcome:
    """Fetch, check out and verify; what turns out corrupted is removed and asked for once more."""
    outcome = _Outcome()
    if stale := [fault.path for target in targets if (fault := objects.discard_bad_listing(target))]:
        outcome.notes.append(f"{_listed(stale)}: corrupted in DVC's cache; removed there and fetched again")
    since_ns = objects.cache_clock(Path(source.repo.cache.repo.path))
    outcome.attempts, why = _transfer(source, targets)
    faults = {target.path: [fault] for target in targets if (fault := objects.discard_bad_listing(target))}
    lacking = {target.path: names for target in targets if target.path not in faults and (names := objects.missing(target, source.root))}
    outcome.notes += _accept_missing(source, [target for target in targets if target.path in lacking], lacking, why)
    here = [target for target in targets if target.path not in lacking and target.path not in faults]
    outcome.origins = {target.path: objects.origin(target, source.root, since_ns) for target in here}
    _check_out(source, here)
    for target in here:
        verified = objects.verify(target, source.root)
        if verified.content is not None:
            outcome.found[target.path] = verified.content
        elif verified.corrupted:
            faults[target.path] = verified.corrupted
        else:
            raise InputError(_local_changes(verified.changed))
    if not faults:
        return outcome
    found = [fault for several in faults.values() for fault in several]
    if is_second:
        raise InfrastructureError(_corrupted(source, found))
    again = _bring(source, [target for target in targets if target.path in faults], is_second=True)
    names = [fault.path for fault in found]
    outcome.notes += [f"{_listed(names)}: corrupted in DVC's cache or on the way there; removed and fetched again", *again.notes]
    outcome.found |= again.found
    outcome.origins |= again.origins
    outcome.attempts += again.attempts
    return outcome


def _transfer(source: _Source, targets: list[Target]) -> tuple[int, dvc_log.Reason | None]:
    """Ask the remote until the cache holds everything, or asking again would not help.

    Returns:
        How often it was asked, and what DVC last said about what is still missing.

    Raises:
        InfrastructureError: the remote cannot be asked.
    """
    from dvc.exceptions import DownloadError

    wait_s = source.options.wait_s
    for attempt in range(1, source.options.attempts + 1):
        source.log.errors.clear()
        try:
            source.repo.fetch(_addresses(source, targets), remote=source.options.remote)
        except DownloadError:
            pass  # only counts what failed: the reasons are in the log
        except Exception as error:  # noqa: BLE001 -- DVC lets any client's exception through; it is sorted below, and none is lost
            source.log.errors.append(error)
        lacking = [target for target in targets if objects.missing(target, source.root)]
        if not lacking:
            return attempt, None
        why = dvc_log.reason(source.log.errors)
        if why is None or why.kind == "missing":
            why = _probed(source, lacking[0])
        if why is None or why.kind in ("missing", "other"):
            return attempt, why
        if why.kind != "transient" or attempt == source.options.attempts:
            raise InfrastructureError(_unreachable(source, why, attempt))
        source.say(f"{source.shown} does not answer ({why.text}), again in {wait_s:.0f} s")
        time.sleep(wait_s)
        wait_s *= 2
        source.repo.drop_data_index()
    raise AssertionError("the loop returns or raises")


def _probed(source: _Source, target: Target) -> dvc_log.Reason | None:
    """Why an object did not come, although DVC's log has no reason but that it is not there."""
    if source.remote is None:
        return None
    try:
        objects.probe(target, source.root, _remote(source, target))
    except Exception as error:  # noqa: BLE001 -- as above: any client's exception
        return dvc_log.reason([error])
    if target.dvc.hash_info.isdir and objects.listing(target, source.root) is None:
        return None  # a folder's listing may be there and not come because of what it lists, or because it is corrupted
    return dvc_log.Reason("transient", "the object is there, but did not come")


def _remote(source: _Source, target: Target) -> Any:
    return source.repo.cloud.get_remote(target.dvc.remote or source.remote)


def _accept_missing(source: _Source, targets: list[Target], lacking: dict[str, list[str]], why: dvc_log.Reason | None) -> list[str]:
    """Notes on what is not to be had but will be made later.

    Raises:
        InputError: there is no remote to ask.
        InfrastructureError: the remote lacks objects, holds corrupted ones, or does not exist.
    """
    later = [target for target in targets if source.options.is_made_later and target.is_stage_output]
    needed = [target for target in targets if target not in later]
    if not needed:
        return [f"{target.path}: not on the remote; stage '{target.stage}' will make it" for target in later]
    names = [name for target in needed for name in lacking[target.path]]
    if source.remote is None:
        raise InputError(
            f"{_listed(names)}: not in DVC's cache, and no default DVC remote is configured; {_advice_on_remotes(source.repo)}"
        )
    try:
        faults = _faults(source, needed)
    except Exception as error:  # noqa: BLE001 -- as above: any client's exception, told to the user
        raise InfrastructureError(_unreachable(source, why or dvc_log.reason([error]), 1)) from None
    if faults is None:
        raise InfrastructureError(
            f"{_listed(names)}: cannot be pulled, there is nothing at {source.shown}; check its URL, and that it is mounted"
        )
    if not faults:
        raise InfrastructureError(_unreachable(source, why, 1))
    if wrong := [fault for fault in faults if fault.what is not None]:
        raise InfrastructureError(_corrupted(source, wrong))
    removed = {"/".join(Path(path).parts[-2:]) for path in source.log.removed}
    if gone := [fault for fault in faults if "/".join(Path(fault.object).parts[-2:]) in removed]:
        raise InfrastructureError(
            f"{_first(gone)}: corrupted on {source.shown}: DVC noticed and removed {gone[0].object}; run 'dvc push' where the data is right"
        )
    raise InfrastructureError(
        f"{_first(faults)}: missing on {source.shown}: no object {faults[0].object}; run 'dvc push' where the data is"
    )


def _faults(source: _Source, targets: list[Target]) -> list[objects.Fault] | None:
    """What is wrong on the remote with targets that did not come; None where there is no such remote at all."""
    faults = []
    for target in targets:
        remote = _remote(source, target)
        if not remote.fs.protocol.startswith("http") and not remote.fs.exists(remote.path):  # a web server need not show its folders
            return None
        faults += objects.faults_on_remote(target, source.root, remote)
    return faults


def _check_out(source: _Source, targets: list[Target]) -> None:
    """Put targets into the workspace. Raises InputError for local changes in the way, InfrastructureError for a full disk."""
    if not targets:
        return
    from dvc.exceptions import DvcException

    source.log.errors.clear()
    try:
        source.repo.checkout(targets=_addresses(source, targets))
    except (DvcException, OSError) as error:
        if "unsaved files" in str(error):
            raise InputError(_local_changes([os.path.relpath(line, source.root) for line in str(error).splitlines()[1:]])) from None
        why = dvc_log.reason([*source.log.errors, error])
        raise InfrastructureError(
            f"{_listed([target.path for target in targets])}: cannot be written: {why.text if why else error}"
        ) from None


def _addresses(source: _Source, targets: list[Target]) -> list[str]:
    """What DVC calls the targets. A stage of which every output is wanted goes by its name: DVC finds that without building its whole
    graph, whose library alone takes 0.2 s to import."""
    wanted = {target.dvc.fs_path for target in targets if str(source.root / target.path) == target.dvc.fs_path}
    addresses: dict[str, None] = {}
    for target in targets:
        stage = target.dvc.stage
        name = getattr(stage, "name", None)
        if all(output.fs_path in wanted for output in stage.outs if output.use_cache):
            addresses[f"{stage.path}:{name}" if name else stage.path] = None
        else:
            addresses[str(source.root / target.path)] = None
    return list(addresses)


@contextmanager
def _opened(repository: Path) -> Iterator[Any]:
    """DVC's repository. Raises InputError for what is broken in it, InfrastructureError when another process holds it."""
    try:
        from dvc.config import ConfigError
        from dvc.exceptions import DvcException
        from dvc.lock import LockError
        from dvc.repo import Repo
    except ModuleNotFoundError as error:
        raise InputError(f"data is tracked by DVC, but mlgate was installed without it ({error.name}); install mlgate[pull-data]") from None

    try:
        with Repo(str(repository)) as repo:
            yield repo
    except ConfigError as error:
        raise InputError(f".dvc/config: {dvc_log.one_line(error)}") from None
    except LockError as error:
        raise InfrastructureError(f".dvc: another DVC process is at work here: {dvc_log.one_line(error)}") from None
    except DvcException as error:
        raise InputError(f"DVC cannot read this repository: {dvc_log.one_line(error)}") from None


def _remote_name(repo: Any, wanted: str | None) -> str | None:
    known = list(repo.config["remote"])
    name = wanted or repo.config["core"].get("remote")
    if name is None or name in known:
        return name
    key = "data.remote" if wanted else ".dvc/config: core.remote"
    if not known:
        raise InputError(f"{key}: no DVC remote '{name}', and none is configured; add it with 'dvc remote add -d {name} URL'")
    raise InputError(f"{key}: no DVC remote '{name}'{did_you_mean(name, known)}")


def _advice_on_remotes(repo: Any) -> str:
    if known := list(repo.config["remote"]):
        return f"run 'dvc remote default {known[0]}' and commit .dvc/config, or set data.remote in mlgate.yaml"
    return "run 'dvc remote add -d NAME URL', commit .dvc/config, and 'dvc push'"


def _unreachable(source: _Source, why: dvc_log.Reason | None, attempts: int) -> str:
    match why:
        case None:
            return f"{source.shown} cannot be read, and DVC does not say why; try 'dvc pull --verbose'"
        case dvc_log.Reason("credentials", text):
            return f"{source.shown} refuses access: {text}; give the data job the remote's credentials (secret 'env' of the workflow)"
        case dvc_log.Reason("transient", text):
            return f"{source.shown} does not answer, asked {attempts} times: {text}"
        case dvc_log.Reason("disk", text):
            return f"data from {source.shown} cannot be kept on this machine: {text}"
        case dvc_log.Reason(_, text):
            return f"{source.shown} cannot be read: {text}"


def _corrupted(source: _Source, faults: list[objects.Fault]) -> str:
    first = faults[0]
    return f"{_first(faults)}: corrupted on {source.shown}: {first.what}; delete {first.object} there, then 'dvc push' the right data"


def _first(faults: list[objects.Fault]) -> str:
    return faults[0].path + (f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else "")


def _local_changes(names: list[str]) -> str:
    return f"{_listed(names)}: changed here and not what DVC recorded; keep that with 'dvc add' or 'dvc commit', or remove the file"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
