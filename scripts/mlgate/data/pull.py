"""Data pulled with DVC and then hashed here: DVC passes corrupted objects in silence.

Knows no workspace: `train` calls it on another machine.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.data import advice, checkout, dvc_log, imports, objects
from mlgate.data.advice import Place
from mlgate.data.identity import Content, content, data_ref, identify
from mlgate.data.targets import Target, resolve, sources
from mlgate.data.tracking import dvc_root, tracked_by
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import PulledTarget, PullFindings
from mlgate.git import without_credentials
from mlgate.mistakes import did_you_mean

_PATIENCE_S = 60.0
"""Clients ask again by themselves before they give up: after so long there is no further attempt of ours."""


class UnreachableError(InfrastructureError):
    """The remote cannot be asked, refuses, or has nothing at all: without credentials a private one looks so."""


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
    def place(self) -> Place:
        return advice.place(self.repo, self.remote, self._default)

    def place_of(self, target: Target) -> Place:
        """Where a target comes from: an output may name a remote of its own, and imported data has its source."""
        if imports.is_taken_from_source(target):
            return imports.source(target)
        return advice.place(self.repo, target.dvc.remote or self.remote, self._default)

    def push_command(self, target: Target, *more: Target) -> str:
        return self.place_of(target).push_command(self.root, [target, *more])

    @property
    def _default(self) -> str | None:
        return str(name) if (name := self.repo.config["core"].get("remote")) else None


@dataclass
class _Outcome:
    """What a transfer did."""

    found: dict[str, Content] = field(default_factory=dict)
    """What lies in the workspace now, verified, by target."""
    origins: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Files from the cache and from the remote, by target."""
    sources: dict[str, str] = field(default_factory=dict)
    """Where targets came from that are not on the remote, by target."""
    notes: list[str] = field(default_factory=list)
    attempts: int = 0

    def add(self, other: _Outcome) -> None:
        """What a further transfer did."""
        self.found |= other.found
        self.origins |= other.origins
        self.sources |= other.sources
        self.notes += other.notes
        self.attempts = max(self.attempts, other.attempts)


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
    checkout.refuse_absent_submodules(root, names)
    pulled = _fetch(root, names, options, say)
    checkout.refuse_pointers(root, [target.data.path for target in pulled.findings.targets])
    return pulled


def _fetch(root: Path, names: Sequence[str], options: Options, say: Callable[[str], None]) -> Pulled:
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
    with dvc_log.captured() as log, opened(repository) as repo:
        source = _Source(root, repo, remote_name(repo, options.remote), options, say, log)
        also = sources(repo, root) if options.with_sources else []
        wanted = resolve([*names, *also], repo, root, may_be_absent=options.may_be_absent)
        return _pull(source, wanted)


def _pull(source: _Source, wanted: list[Target]) -> Pulled:
    root = source.root
    for target in wanted:
        if imports.is_without_data(target):
            raise InputError(advice.not_downloaded(target.path, _dvc_file(root, target)))
        if target.output is not None and target.dvc.remote:
            remote_name(source.repo, target.dvc.remote, f"{_dvc_file(root, target)}: remote of '{target.path}'")
    never_ran = [target.path for target in wanted if not target.has_run]
    found = {target.path: there for target in wanted if target.has_run and (there := _found(root, target))}
    absent = [target for target in wanted if target.has_run and target.path not in found]
    imported = [target for target in absent if imports.is_taken_from_source(target)]
    own = [target for target in absent if target not in imported]
    outcome = _bring(source, own) if own else _Outcome()
    for target in imported:
        outcome.add(_bring_imported(source, target))
    found |= outcome.found
    pulled = []
    for target in wanted:
        if target.path in found:
            tracker = tracked_by(root, target.path) if target.output is None else "dvc"
            from_cache, from_remote = outcome.origins.get(target.path, (0, 0))
            data = data_ref(target.path, found[target.path], tracker)
            pulled.append(
                PulledTarget(data=data, files_from_cache=from_cache, files_from_remote=from_remote, source=outcome.sources.get(target.path))
            )
    remote = source.remote if any(target.output is not None and target.path not in outcome.sources for target in wanted) else None
    findings = PullFindings(remote=remote, remote_url=remote_url(source.repo, remote), targets=pulled, attempts=max(1, outcome.attempts))
    notes = [f"{advice.listed(never_ran)}: not pulled, dvc.lock has no hash before the stage has run"] if never_ran else []
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
        outcome.notes.append(f"{advice.listed(stale)}: corrupted in DVC's cache; removed there and fetched again")
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
    wrong = [target for target in targets if target.path in faults]
    if is_second:
        raise InfrastructureError(advice.corrupted(source.place_of(wrong[0]), found, source.push_command(wrong[0])))
    again = _bring(source, wrong, is_second=True)
    names = [fault.path for fault in found]
    outcome.notes.append(f"{advice.listed(names)}: corrupted in DVC's cache or on the way there; removed and fetched again")
    attempts = outcome.attempts + again.attempts
    outcome.add(again)
    outcome.attempts = attempts
    return outcome


def _bring_imported(source: _Source, target: Target, is_second: bool = False) -> _Outcome:
    """Fetch a target from where it was imported, check it out and verify it.

    Raises:
        InputError: it is a part of an import that can only be had as a whole, or changed here.
        InfrastructureError: it cannot be had there, or is another one than was imported.
    """
    whole = os.path.relpath(target.dvc.fs_path, source.root)
    if target.path != Path(whole).as_posix():
        raise InputError(f"{target.path}: part of '{whole}', which was imported and comes as a whole; name '{whole}' in data.pull")
    shown = imports.source(target).shown
    is_cached = imports.is_cached(target, source.root)
    attempts = 0 if is_cached else _fetch_imported(source, target)
    _check_out(source, [target])
    if (found := _found(source.root, target)) is None:
        objects.verify(target, source.root)  # which removes what is corrupted
        imports.discard(target)
        if is_second:
            raise InfrastructureError(
                f"{target.path}: imported from {shown}, where its content is not the one that was imported (MD5 {target.md5}); "
                f"put it right there, or run 'dvc update {shlex.quote(_dvc_file(source.root, target))}' and commit"
            )
        again = _bring_imported(source, target, is_second=True)
        again.notes.insert(0, f"{target.path}: corrupted in DVC's cache or on the way there; removed and fetched again")
        return again
    files = len(found.files)
    return _Outcome({target.path: found}, {target.path: (files, 0) if is_cached else (0, files)}, {target.path: shown}, [], attempts)


def _fetch_imported(source: _Source, target: Target) -> int:
    """Have DVC's cache hold a target from its source; returns how often that was asked. Raises InfrastructureError."""
    place = imports.source(target)
    for attempt in _attempts(source, place):
        _ask(source, [target])
        if imports.is_cached(target, source.root):
            return attempt.number
        why = dvc_log.reason(source.log.errors)
        if why is None or why.kind in ("missing", "other"):
            try:
                imports.probe(target)
            except Exception as error:  # noqa: BLE001 -- any client's exception: why it cannot be had
                why = dvc_log.reason([error])
        if why is not None and why.kind == "transient" and not attempt.is_last:
            attempt.reason = why.text
            continue
        if why is not None and why.kind == "missing":
            raise InfrastructureError(f"{target.path}: imported from {place.shown}, and missing there: {why.text}")
        raise UnreachableError(f"{target.path} is imported: {_unreachable(place, why, attempt.number)}")
    raise AssertionError("the last attempt returns or raises")


@dataclass
class _Attempt:
    """One of several at asking a remote."""

    number: int
    is_last: bool
    reason: str = ""
    """Why there has to be another."""


def _attempts(source: _Source, place: Place) -> Iterator[_Attempt]:
    """Attempts with a pause between them that doubles, until there were enough or they have taken long enough."""
    started = time.monotonic()
    wait_s = source.options.wait_s
    for number in range(1, source.options.attempts + 1):
        attempt = _Attempt(number, is_last=number == source.options.attempts or time.monotonic() - started > _PATIENCE_S)
        yield attempt
        source.say(f"{place.shown} does not answer ({attempt.reason}), again in {wait_s:.0f} s")
        time.sleep(wait_s)
        wait_s *= 2
        source.repo.drop_data_index()


def _ask(source: _Source, targets: list[Target]) -> None:
    """Have DVC fetch targets; what goes wrong is in the log."""
    from dvc.exceptions import DownloadError

    source.log.errors.clear()
    try:
        with _nobody_asked():
            source.repo.fetch(_addresses(source, targets), remote=source.options.remote)
    except DownloadError:
        pass  # only counts what failed: the reasons are in the log
    except Exception as error:  # noqa: BLE001 -- DVC lets any client's exception through; it is sorted by the caller, and none is lost
        source.log.errors.append(error)


@contextmanager
def _nobody_asked() -> Iterator[None]:
    """Keep the SSH client's question for a password, which nobody can answer where there is no terminal, out of the log."""
    if sys.stdin is not None and sys.stdin.isatty():
        yield
    else:
        with redirect_stderr(io.StringIO()):
            yield


def _transfer(source: _Source, targets: list[Target]) -> tuple[int, dvc_log.Reason | None]:
    """Ask the remote until the cache holds everything, or asking again would not help.

    Returns:
        How often it was asked, and what DVC last said about what is still missing.

    Raises:
        InfrastructureError: the remote cannot be asked.
    """
    for attempt in _attempts(source, source.place):
        _ask(source, targets)
        lacking = [target for target in targets if objects.missing(target, source.root)]
        if not lacking:
            return attempt.number, None
        why = dvc_log.reason(source.log.errors)
        if why is None or why.kind == "missing":
            why = _probed(source, lacking[0])
        if why is None or why.kind in ("missing", "other"):
            return attempt.number, why
        if why.kind != "transient" or attempt.is_last:
            raise UnreachableError(_unreachable(source.place_of(lacking[0]), why, attempt.number))
        attempt.reason = why.text
    raise AssertionError("the last attempt returns or raises")


def _probed(source: _Source, target: Target) -> dvc_log.Reason | None:
    """Why an object did not come, although DVC's log has no reason but that it is not there."""
    if not (target.dvc.remote or source.remote):
        return None
    try:
        with _nobody_asked():
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
        InputError: there is no remote to ask, or none that mlgate can.
        InfrastructureError: the remote lacks objects, holds corrupted ones, or does not exist.
    """
    later = [target for target in targets if source.options.is_made_later and target.is_stage_output]
    needed = [target for target in targets if target not in later]
    if not needed:
        return [f"{target.path}: not on the remote; stage '{target.stage}' will make it" for target in later]
    one = needed[0]
    place = source.place_of(one)
    names = [name for target in needed for name in lacking[target.path]]
    if place.remote is None:
        raise InputError(
            f"{advice.listed(names)}: not in DVC's cache, and no default DVC remote is configured; {_advice_on_remotes(source.repo)}"
        )
    command = place.push_command(source.root, needed)
    try:
        with _nobody_asked():
            faults = _faults(source, needed)
    except Exception as error:  # noqa: BLE001 -- as above: any client's exception, told to the user
        _refuse_unknown_kind(place, error)
        raise UnreachableError(_unreachable(place, why or dvc_log.reason([error]), 1)) from None
    if not_pushed := [target for target in needed if not target.dvc.can_push]:
        raise InputError(advice.not_pushable([target.path for target in not_pushed], not_pushed[0].stage))
    if faults is None:
        raise UnreachableError(advice.never_pushed(place, names, command))
    if not faults:
        raise UnreachableError(_unreachable(place, why, 1))
    if wrong := [fault for fault in faults if fault.what is not None]:
        raise InfrastructureError(advice.corrupted(place, wrong, command))
    removed = {"/".join(Path(path).parts[-2:]) for path in source.log.removed}
    if gone := [fault for fault in faults if "/".join(Path(fault.object).parts[-2:]) in removed]:
        raise InfrastructureError(advice.removed(place, gone, command))
    raise InfrastructureError(advice.missing(place, faults, command))


def _refuse_unknown_kind(place: Place, error: Exception) -> None:
    """Raises InputError where DVC's part for a kind of remote is not installed, or an output names a remote that is none."""
    from dvc.config import RemoteNotFoundError
    from dvc_objects.fs.errors import RemoteMissingDepsError

    if isinstance(error, (RemoteMissingDepsError, ImportError)):
        raise InputError(advice.not_installed(place)) from None
    if isinstance(error, RemoteNotFoundError):
        raise InputError(f".dvc/config: {dvc_log.one_line(error)}") from None


def _faults(source: _Source, targets: list[Target]) -> list[objects.Fault] | None:
    """What is wrong on the remote with targets that did not come; None where there is no such remote at all."""
    faults = []
    for target in targets:
        remote = _remote(source, target)
        # a web server need not show its folders
        if not str(remote.fs.protocol).startswith("http") and not remote.fs.exists(remote.path):
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
            f"{advice.listed([target.path for target in targets])}: cannot be written: {why.text if why else error}"
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
def opened(repository: Path) -> Iterator[Any]:
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
        raise InputError(_unreadable(error, repository)) from None


def _unreadable(error: Exception, repository: Path) -> str:
    """What is wrong with a file of DVC's."""
    from dvc.utils.serialize import YAMLFileCorruptedError

    if isinstance(error, YAMLFileCorruptedError):
        cause = getattr(error, "exc", error)
        mark = getattr(cause.__cause__, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        problem = getattr(cause.__cause__, "problem", None) or "not valid YAML"
        return f"{os.path.relpath(error.path, repository)}: {where}{problem}"
    return f"DVC cannot read this repository: {dvc_log.one_line(error)}"


def _dvc_file(root: Path, target: Target) -> str:
    return Path(os.path.relpath(target.dvc.stage.path, root)).as_posix()


def remote_name(repo: Any, wanted: str | None, wanted_by: str = "data.remote") -> str | None:
    known = list(repo.config["remote"])
    name = wanted or repo.config["core"].get("remote")
    if name is None or name in known:
        return name
    key = wanted_by if wanted else ".dvc/config: core.remote"
    if not known:
        raise InputError(f"{key}: no DVC remote '{name}', and none is configured; add it with 'dvc remote add -d {name} URL'")
    raise InputError(f"{key}: no DVC remote '{name}'{did_you_mean(name, known)}")


def _advice_on_remotes(repo: Any) -> str:
    if known := list(repo.config["remote"]):
        return f"run 'dvc remote default {known[0]}' and commit .dvc/config, or set data.remote in mlgate.yaml"
    return "run 'dvc remote add -d NAME URL', commit .dvc/config, and 'dvc push'"


def _unreachable(place: Place, why: dvc_log.Reason | None, attempts: int) -> str:
    match why:
        case None:
            return f"{place.shown} cannot be read, and DVC does not say why; try 'dvc pull --verbose'"
        case dvc_log.Reason("credentials", text):
            return f"{place.shown} refuses access: {text}; {advice.credentials(place)}"
        case dvc_log.Reason("transient", text):
            return f"{place.shown} does not answer, asked {attempts} {'time' if attempts == 1 else 'times'}: {text}"
        case dvc_log.Reason("disk", text):
            return f"data from {place.shown} cannot be kept on this machine: {text}"
        case dvc_log.Reason(_, text):
            return f"{place.shown} cannot be read: {text}"


def _local_changes(names: list[str]) -> str:
    return f"{advice.listed(names)}: changed here and not what DVC recorded; keep that with 'dvc add' or 'dvc commit', or remove the file"
