"""Files as DVC's pipeline made them at an earlier commit, read without checkout: from dvc.lock, or from DVC's run cache.

dvc.lock is believed only where it is that commit's: users let CI train and forget to commit the lock, and then it names the outputs of
code that is long gone. So each stage that leads to a file is checked, dependency by dependency, in Git's tree; where the lock lags
behind, the run cache is asked for the stage's true inputs. Nothing is run and nothing is checked out.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgate import git
from mlgate.console import plain

Source = Literal["dvc outputs", "run cache"]

_NOT_HASHED = ["size", "nfiles"]  # what DVC leaves out of a run cache key


class NotThereError(Exception):
    """A file of that commit cannot be had; the message says why, in a line."""


class NotTrackedError(NotThereError):
    """DVC knows nothing of the file at that commit."""


@dataclass(frozen=True)
class _Made:
    """What a stage made from the commit's inputs: DVC's hash by path of each output, and who says so."""

    hashes: dict[str, Any]
    source: Source


@contextmanager
def open_history(root: Path, commit: str, remote: str | None) -> Iterator[History]:
    """DVC's view of a commit.

    Args:
        root: the working directory, at or below DVC's repository.
        commit: one this clone has.
        remote: name of the remote to ask for what the cache lacks; None for the default one.

    Raises:
        NotThereError: no DVC repository, or DVC cannot read it.
    """
    top = git.require_repository(root)
    if not any((folder / ".dvc").is_dir() for folder in (root, *root.parents) if folder.is_relative_to(top)):
        raise NotTrackedError("no DVC repository")
    from dvc.repo import Repo

    # two of them: at a commit, DVC reads relative paths of its configuration as if the repository lay at the root of the disk
    with _told(), Repo(str(root)) as storage, Repo(str(root)) as repo, repo.switch(commit):
        yield History(repo, storage, root, commit, remote)


@contextmanager
def _told() -> Iterator[None]:
    """DVC's complaints (a broken dvc.yaml, a revision it cannot read) as ours."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        raise NotThereError(f"DVC: {_one_line(error)}") from None


class History:
    """The outputs of DVC's pipeline at one commit."""

    def __init__(self, repo: Any, storage: Any, root: Path, commit: str, remote: str | None) -> None:
        self._repo, self._storage = repo, storage
        self._root, self._commit, self._remote = root, commit, remote
        self._made: dict[str, _Made | NotThereError] = {}
        self._top = git.require_repository(root)

    def fetch(self, path: str, target: Path) -> Source:
        """Write a file of the commit, its content checked against its hash.

        Args:
            path: relative to the working directory.
            target: where to.

        Raises:
            NotTrackedError: DVC does not track it at that commit.
            NotThereError: it cannot be had.
        """
        with _told():
            return self._fetch(path, target)

    def _fetch(self, path: str, target: Path) -> Source:
        wanted = self._at(path)
        output = self._output_of(wanted)
        if output is None:
            raise NotTrackedError(f"{path} is no output of DVC at {self._commit[:12]}")
        made = self._stage(output.stage)
        found = made.hashes[output.fs_path]
        if not output.use_cache and made.source == "dvc outputs":
            raise NotTrackedError(f"{path} is in Git, not in DVC's cache")  # `cache: false`
        if found.isdir:
            found_md5 = self._listing(output, found).get(wanted.removeprefix(output.fs_path + "/"))
            if found_md5 is None:
                raise NotThereError(f"{path} is not among the files DVC recorded at {self._commit[:12]}")
        else:
            found_md5 = found.value
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._object(found_md5, found.name, output.remote, path))
        return made.source

    def fetch_all(self, path: str, root: Path) -> None:
        """Write a file, or every file at or below a folder, of the commit to the same place below `root`; as `fetch` does.

        Raises:
            NotTrackedError: DVC does not track it at that commit.
            NotThereError: it, or a file of it, cannot be had.
        """
        with _told():
            files = list(self._files(path))
            if not files:
                raise NotTrackedError(f"{path} is no output of DVC at {self._commit[:12]}")
            for name, output, found_md5, hash_name in files:
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                target.write_bytes(self._object(found_md5, hash_name, output.remote, name))

    def behind(self, path: str) -> list[str]:
        """What the stage that writes a file works with: what else it makes, such as a model, or else what other stages hand it.

        Returns:
            Paths relative to the working directory, no metric and no plot among them; none where no stage writes the file.
        """
        with _told():
            output = self._output_of(self._at(path))
            if output is None or output.stage.is_data_source:
                return []
            made = [out.fs_path for out in output.stage.outs if out is not output and out.use_cache and not (out.metric or out.plot)]
            handed = [dep.fs_path for dep in output.stage.deps if not _is_params(dep) and self._is_made(dep.fs_path)]
            return [self._from_here(at) for at in made or handed]

    def md5(self, path: str) -> str | None:
        """DVC's hash of a file or folder at the commit (`<hex>`, `<hex>.dir`); None where DVC has none of just that.

        Raises:
            NotThereError: its stage was changed after it ran, or the folder it lies in cannot be listed.
        """
        with _told():
            at = self._at(path)
            output = self._output_of(at)
            if output is None:
                return None
            found = self._stage(output.stage).hashes[output.fs_path]
            if output.fs_path == at:
                return str(found.value)
            return self._listing(output, found).get(at.removeprefix(output.fs_path + "/")) if found.isdir else None

    def _files(self, path: str) -> Iterator[tuple[str, Any, str, str]]:
        """Files that DVC's cache has at or below a path: relative to the working directory, their output, hash, and the hash's name."""
        at = self._at(path)
        for output in self._repo.index.outs:
            is_near = _is_at_or_below(at, output.fs_path) or _is_at_or_below(output.fs_path, at)
            if not (is_near and output.is_in_repo and output.use_cache):
                continue
            found = self._stage(output.stage).hashes[output.fs_path]
            listed = self._listing(output, found) if found.isdir else {"": found.value}
            for part, md5 in listed.items():
                name = f"{output.fs_path}/{part}" if part else output.fs_path
                if _is_at_or_below(name, at) and ".." not in part.split("/"):
                    yield self._from_here(name), output, md5, found.name

    def _is_made(self, path: str) -> bool:
        output = self._output_of(path)
        return output is not None and not output.stage.is_data_source

    def _from_here(self, path: str) -> str:
        """A path of DVC's as the working directory has it; the other way round from `_at`."""
        return os.path.relpath(path, self._at("."))

    def check_current(self, path: str) -> None:
        """Refuse a file as Git has it where the commit's pipeline makes another.

        Raises:
            NotThereError: its stage was changed after it ran.
        """
        with _told():
            output = self._output_of(self._at(path))
            if output is not None:
                self._stage(output.stage)

    def _at(self, path: str) -> str:
        """A path of the working directory as DVC has it at a commit: from the top of Git's tree."""
        return "/" + (self._root / path).relative_to(self._top).as_posix()

    def _output_of(self, path: str) -> Any | None:
        """The output that is the file, or the folder it lies in."""
        return next(
            (out for out in self._repo.index.outs if out.is_in_repo and (path == out.fs_path or path.startswith(out.fs_path + "/"))), None
        )

    def _stage(self, stage: Any) -> _Made:
        if stage.addressing not in self._made:
            try:
                self._made[stage.addressing] = self._make(stage)
            except NotThereError as error:
                self._made[stage.addressing] = error
        found = self._made[stage.addressing]
        if isinstance(found, NotThereError):
            raise found
        return found

    def _make(self, stage: Any) -> _Made:
        locked = {out.fs_path: out.hash_info for out in stage.outs}
        is_locked = all(locked.values())
        cannot_lag = stage.is_data_source or not stage.cmd or stage.frozen or stage.is_callback or stage.always_changed
        if is_locked and cannot_lag:
            return _Made(locked, "dvc outputs")
        inputs = {dep.fs_path: self._input(dep) for dep in stage.deps if not _is_params(dep)}
        lag = self._lag(stage, inputs) if is_locked else "it is not in dvc.lock"
        if lag is None:
            return _Made(locked, "dvc outputs")
        behind = f"dvc.lock lags behind at {self._commit[:12]}: stage {plain(getattr(stage, 'name', None) or stage.relpath)}: {lag}"
        try:
            return _Made(self._from_run_cache(stage, inputs, behind), "run cache")
        except NotThereError as error:
            if is_locked:
                raise
            raise NotTrackedError(str(error)) from None  # it never ran: nothing is lost

    def _lag(self, stage: Any, inputs: dict[str, Any]) -> str | None:
        """What differs between the lock's inputs of a stage and the commit's; None where nothing does."""
        if stage.cmd_changed:
            return "another command"
        for dep in stage.deps:
            if _is_params(dep):
                if changed := dep.workspace_status():
                    return f"parameters differ in {', '.join(changed)}"
            elif not dep.hash_info:
                return f"{dep.def_path} is a new dependency"
            elif inputs[dep.fs_path] is not None and inputs[dep.fs_path] != dep.hash_info and not self._is_same_in_git(dep):
                return f"{dep.def_path} differs"
        return None

    def _is_same_in_git(self, dep: Any) -> bool:
        """Whether a folder of code is as it was when the lock was written.

        DVC's hash of a folder covers untracked files too, such as __pycache__, so Git's tree alone can never reproduce it.
        """
        if not dep.isdir():
            return False
        lock = os.path.relpath(dep.stage.path, "/").replace("dvc.yaml", "dvc.lock")
        written = git.try_text(self._top, "log", "-1", "--format=%H", self._commit, "--", f":(literal){lock}")
        folder = f":(literal){dep.fs_path.lstrip('/')}"
        return bool(written) and git.try_text(self._top, "diff", "--quiet", str(written), self._commit, "--", folder) is not None

    def _input(self, dep: Any) -> Any | None:
        """Hash of a dependency at the commit; None where it cannot be told (outside the repository, untracked, a mixed folder)."""
        if not dep.is_in_repo:
            return None
        output = self._output_of(dep.fs_path)
        if output is None:
            contains_outputs = any(out.fs_path.startswith(dep.fs_path + "/") for out in self._repo.index.outs)
            return dep.get_hash() if not contains_outputs and dep.exists else None
        found = self._stage(output.stage).hashes[output.fs_path]
        if output.fs_path == dep.fs_path:
            return found
        part = dep.fs_path.removeprefix(output.fs_path + "/")
        md5 = self._listing(output, found).get(part)
        return type(found)(found.name, md5) if md5 else None

    def _from_run_cache(self, stage: Any, inputs: dict[str, Any], behind: str) -> dict[str, Any]:
        """Hashes of a stage's outputs from the newest run with these very inputs. Raises NotThereError."""
        from dvc.stage.serialize import to_single_stage_lockfile
        from dvc.utils import dict_sha256

        for dep in stage.deps:
            if _is_params(dep):
                dep.hash_info = dep.get_hash()
            elif inputs[dep.fs_path] is not None:
                dep.hash_info = inputs[dep.fs_path]
                dep.meta = type(dep.meta)(isexec=dep.meta.isexec)  # the lock's has the hash once more
            if not dep.hash_info:
                raise NotThereError(f"{behind}; {dep.def_path} is neither in Git nor in DVC there")
        asked = dict(to_single_stage_lockfile(stage))
        asked["outs"] = [out["path"] for out in asked.get("outs", [])]
        key = dict_sha256(asked, exclude=_NOT_HASHED)
        for entry in self._runs(key):
            # a run whose entry was altered on the way no longer has the hash it is filed under
            made = {out["path"]: out for out in entry.get("outs", [])}
            if dict_sha256({**entry, "outs": list(made)}, exclude=_NOT_HASHED) != key:
                continue
            infos = {out.fs_path: _hash_info(out, made.get(out.def_path)) for out in stage.outs}
            if all(infos.values()):
                return infos
        raise NotThereError(f"{behind}; the run cache has no run of it with these inputs")

    def _runs(self, key: str) -> Iterator[dict[str, Any]]:
        """Runs filed under a key, the newest of the local cache first, then the remote's."""
        from dvc.exceptions import DvcException
        from dvc.utils.serialize import ParseError, parse_yaml

        folder = Path(self._storage.stage_cache.cache_dir, key[:2], key)
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True) if folder.is_dir() else []
        texts = [file.read_bytes() for file in files]
        if not texts:
            try:
                odb = self._storage.cloud.get_remote_odb(self._remote, "fetch --run-cache", hash_name="md5-dos2unix")
                texts = [odb.fs.cat_file(path) for path in odb.fs.find(odb.fs.join(odb.path, "runs", key[:2], key))]
            except DvcException:
                texts = []  # no remote, or one that keeps no runs
            except Exception as error:  # noqa: BLE001 -- whatever the remote's client raises; the reason is passed on
                raise NotThereError(f"the remote's run cache cannot be read: {_one_line(error)}") from None
        for text in texts:
            try:
                entry = parse_yaml(text.decode(), folder)
            except (ParseError, UnicodeDecodeError):
                continue
            if isinstance(entry, dict):
                yield entry

    def _listing(self, output: Any, found: Any) -> dict[str, str]:
        """MD5 by path of the files in a folder."""
        entries = json.loads(self._object(found.value, found.name, output.remote, f"the listing of {output.def_path}"))
        return {entry["relpath"]: entry["md5"] for entry in entries}

    def _object(self, md5: str, name: str, remote: str | None, what: str) -> bytes:
        """An object of the cache, or of the remote. DVC passes altered ones on in silence, so both are hashed. Raises NotThereError."""
        cached = Path((self._storage.cache.legacy if name == "md5-dos2unix" else self._storage.cache.local).oid_to_path(md5))
        said = "not in DVC's cache"
        if cached.is_file():
            content = cached.read_bytes()
            if _md5(content, name) == md5.removesuffix(".dir"):
                return content
            said = "corrupted in DVC's cache"
        try:
            odb = self._storage.cloud.get_remote_odb(remote or self._remote, "fetch", hash_name=name)
            content = odb.fs.cat_file(odb.oid_to_path(md5))
        except FileNotFoundError:
            raise NotThereError(f"{what}: {said}, missing on the remote ({md5})") from None
        except Exception as error:  # noqa: BLE001 -- whatever the remote's client raises; the reason is passed on
            raise NotThereError(f"{what}: {said}, and not to be had from a remote: {_one_line(error)}") from None
        if _md5(content, name) != md5.removesuffix(".dir"):
            raise NotThereError(f"{what}: {said}, corrupted on the remote ({md5})")
        return bytes(content)


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_params(dep: Any) -> bool:
    from dvc.dependency.param import ParamsDependency

    return isinstance(dep, ParamsDependency)


def _hash_info(out: Any, entry: Any) -> Any | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("md5"), str):
        return None
    return type(out.hash_info)("md5" if entry.get("hash") else "md5-dos2unix", entry["md5"])


def _md5(content: bytes, name: str) -> str:
    if name == "md5-dos2unix":
        from dvc_data.hashfile.hash import fobj_md5

        return str(fobj_md5(io.BytesIO(content), name=name))
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _one_line(error: BaseException) -> str:
    return git.without_credentials(plain(str(error)))[:300] or type(error).__name__
