"""DVC's run cache as the memory of what was trained: recalled before a training, so that `dvc repro` finds it, and kept after.

`dvc repro` takes a stage's outputs from the run cache only where they lie in the local cache, and a fresh machine has none.
`dvc fetch --run-cache` would bring the history of every stage ever run. Here only what the pipeline asks for now is brought: stage by
stage in order, the key of a stage made of its command, its parameters and the hashes of its dependencies, as DVC makes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate import git
from mlgate.console import plain


@dataclass
class Recalled:
    """What is known of earlier runs before a training begins."""

    stages: list[str] = field(default_factory=list)
    """Stages whose outputs are at hand: DVC will not run them."""
    to_run: list[str] = field(default_factory=list)
    """Stages that `dvc repro` may have to run: their outputs are not at hand, or what they will be is not known."""
    objects: int = 0
    """Files brought from the remote."""
    problem: str | None = None
    """Why the remote could not be asked; training goes on without."""


@dataclass
class Kept:
    """What later runs can find."""

    stages: list[str] = field(default_factory=list)
    """Stages newly recorded on the remote."""
    objects: int = 0
    """Files sent to the remote."""
    problem: str | None = None
    """Why it could not all be kept: most often a remote that may only be read."""


def recall(repository: Path, root: Path, remote: str | None = None) -> Recalled:
    """Bring what earlier runs made of the inputs as they are now.

    Args:
        repository: the folder that holds `.dvc`.
        root: the working directory; the pipelines below it are asked for.
        remote: name of the DVC remote; None for the default. Without any, the local cache is all there is.
    """
    recalled = Recalled()
    try:
        with _opened(repository) as repo:
            memory = _Memory(repo, _remote(repo, remote))
            for stage in in_order(repo, root):
                memory.follow(stage, recalled)
                if stage.cmd and not stage.frozen and stage.addressing not in recalled.stages:
                    recalled.to_run.append(stage.addressing)
    except Exception as error:  # noqa: BLE001 -- clients of remotes raise what they like; the caller says it as a warning
        recalled.problem = _one_line(error)
    return recalled


def keep(repository: Path, root: Path, remote: str | None = None) -> Kept:
    """Send the outputs and records of the runs that dvc.lock names to the remote, outputs first: no record without its outputs.

    Args: as of `recall`.
    """
    kept = Kept()
    try:
        with _opened(repository) as repo:
            name = _remote(repo, remote)
            memory = _Memory(repo, name)
            for stage in in_order(repo, root) if name else []:
                if stage.cmd and not memory.send(stage, kept):
                    kept.problem = "not all files were accepted"
                    break
    except Exception as error:  # noqa: BLE001 -- as above
        kept.problem = _one_line(error)
    return kept


class _Memory:
    """The run cache here and on a remote, and the outputs that are known to follow from the inputs."""

    def __init__(self, repo: Any, remote: str | None) -> None:
        self._repo = repo
        self._known: dict[str, Any] = {}
        """Output by path, with the hash it will have."""
        self._made = {out.fs_path for stage in repo.index.stages if stage.cmd for out in stage.outs}
        self._odb: Any = None
        self._legacy_odb: Any = None
        if remote is not None:
            from dvc.config import RemoteConfigError

            with contextlib.suppress(RemoteConfigError):  # a cloud-versioned remote has no objects by hash, so no run cache either
                self._odb = repo.cloud.get_remote_odb(remote)
                self._odb.verify = True  # else DVC takes a corrupted object for the real one
                self._legacy_odb = repo.cloud.get_remote_odb(remote, hash_name="md5-dos2unix")

    def follow(self, stage: Any, recalled: Recalled) -> None:
        """Work out what a stage's outputs will be, and have them at hand. Leaves them unknown where it has to run."""
        if stage.is_data_source or stage.frozen:
            self._known |= {out.fs_path: out for out in stage.outs if out.hash_info}
            return
        if not _is_remembered(stage):
            return
        is_locked = not stage.cmd_changed and all(item.hash_info for item in (*stage.deps, *stage.outs))
        locked = _key(stage) if is_locked else None
        if not all(self._resolve(dependency) for dependency in stage.deps):
            return
        key = _key(stage)
        record = _record(stage) if key == locked else self._record(key)
        if record is None:
            return
        cached = self._repo.stage_cache._create_stage(record, wdir=stage.wdir)  # noqa: SLF001 -- DVC has no public way
        recalled.objects += self._fetch(cached)
        if all(not out.changed_cache() for out in cached.outs):
            self._known |= {out.fs_path: out for out in cached.outs}
            recalled.stages.append(stage.addressing)

    def send(self, stage: Any, kept: Kept) -> bool:
        """Send a stage's outputs, then its record; whether the remote took them."""
        from dvc.stage.cache import _get_cache_hash

        if self._odb is None or not all(out.hash_info for out in stage.outs if out.use_cache):
            return True
        path = None
        if _is_remembered(stage) and all(item.hash_info and item.can_push for item in (*stage.deps, *stage.outs)):
            key, value = _key(stage), _get_cache_hash(_record(stage))
            local = Path(self._repo.stage_cache._get_cache_path(key, value))  # noqa: SLF001
            path = self._remote_path(key, value) if local.is_file() else None
            if path and self._legacy_odb.fs.exists(path):
                return True
        source = self._repo.stage_cache._create_stage(_record(stage), wdir=stage.wdir) if path else stage  # noqa: SLF001
        for odb, objects in source.get_used_objs(push=True).items():
            result = self._repo.cloud.push(objects, odb=odb or self._odb)
            kept.objects += len(result.transferred)
            if result.failed:
                return False
        if path:
            self._copy(self._repo.cache.legacy.fs, str(local), self._legacy_odb.fs, path)
            kept.stages.append(stage.addressing)
        return True

    def _resolve(self, dependency: Any) -> bool:
        """Give a dependency the hash it will have; whether that is known."""
        from dvc.dependency import ParamsDependency
        from dvc_data.hashfile.meta import Meta

        if isinstance(dependency, ParamsDependency):
            dependency.save()
            return True
        if dependency.protocol != "local":
            return False
        path = dependency.fs_path
        known = self._known.get(path)
        if known is not None and (path in self._made or not dependency.exists):
            dependency.hash_info, dependency.meta, dependency.hash_name = known.hash_info, known.meta, known.hash_name
            return True
        for parent, output in self._known.items():
            if path.startswith(parent + os.sep) and (part := output.get_obj(filter_info=path)):
                dependency.hash_info, dependency.meta, dependency.hash_name = part.hash_info, Meta(), output.hash_name
                return True
        # what a stage makes may lie here from before, and what it will make is not known
        is_made = any(made == path or made.startswith(path + os.sep) or path.startswith(made + os.sep) for made in self._made)
        if is_made or not dependency.exists:
            return False
        dependency.save()
        return True

    def _record(self, key: str) -> Any:
        """The newest record of an earlier run, from here or else from the remote: the one that `dvc repro` will take."""
        folder = Path(self._repo.stage_cache._get_cache_dir(key))  # noqa: SLF001
        if not folder.is_dir() and not self._bring_records(key):
            return None
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        return self._repo.stage_cache._load_cache(key, newest.name)  # noqa: SLF001

    def _bring_records(self, key: str) -> bool:
        if self._legacy_odb is None or not self._has_records:
            return False
        fs, folder = self._legacy_odb.fs, self._remote_path(key)
        names = [fs.name(path) for path in fs.find(folder)] if fs.exists(folder) else []
        for name in names:
            self._copy(fs, fs.join(folder, name), self._repo.cache.legacy.fs, self._repo.stage_cache._get_cache_path(key, name))  # noqa: SLF001
        return bool(names)

    @property
    def _has_records(self) -> bool:
        from dvc.fs import HTTPFileSystem  # which cannot be listed

        return not isinstance(self._legacy_odb.fs, HTTPFileSystem)

    def _fetch(self, cached: Any) -> int:
        """Bring the outputs of a run into the local cache; how many files came."""
        if self._odb is None:
            return 0
        for out in cached.outs:
            if out.hash_info.isdir and not out.cache.exists(out.hash_info.value):
                self._repo.cloud.pull([out.hash_info], odb=self._odb)  # first the listing of a folder, then what it lists
        return sum(len(self._repo.cloud.pull(objects, odb=odb or self._odb).transferred) for odb, objects in cached.get_used_objs().items())

    def _remote_path(self, key: str, *value: str) -> str:
        return str(self._legacy_odb.fs.join(self._legacy_odb.path, "runs", key[:2], key, *value))

    @staticmethod
    def _copy(from_fs: Any, source: str, to_fs: Any, target: str) -> None:
        """Copy one record; a local one aside first, so that DVC never reads half of it."""
        from dvc.fs import LocalFileSystem, generic

        if not isinstance(to_fs, LocalFileSystem):
            generic.copy(from_fs, source, to_fs, target)
            return
        aside = f"{target}.{secrets.token_hex(8)}"
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        generic.copy(from_fs, source, to_fs, aside)
        os.replace(aside, target)


def in_order(repo: Any, root: Path) -> list[Any]:
    """Stages at or below `root` and what they need of others, each after what it depends on."""
    import networkx as nx

    graph = repo.index.graph
    own = [stage for stage in graph if Path(stage.path).resolve().is_relative_to(root)]
    wanted = set(own).union(*(nx.descendants(graph, stage) for stage in own))
    return [stage for stage in reversed(list(nx.topological_sort(graph))) if stage in wanted]


def _is_remembered(stage: Any) -> bool:
    """Whether DVC keeps records of a stage at all: it has inputs and outputs, all of them local, and is run only when they change."""
    if stage.is_callback or stage.always_changed or not (stage.cmd and stage.deps and stage.outs):
        return False
    return all(item.protocol == "local" and item.def_path for item in (*stage.deps, *stage.outs)) and all(
        out.is_in_repo and not out.persist for out in stage.outs
    )


def _record(stage: Any) -> Any:
    from dvc.stage.serialize import to_single_stage_lockfile

    return to_single_stage_lockfile(stage)


def _key(stage: Any) -> str:
    from dvc.stage.cache import _get_cache_hash

    return str(_get_cache_hash(_record(stage), key=True))


def _remote(repo: Any, wanted: str | None) -> str | None:
    name = wanted or repo.config["core"].get("remote")
    return str(name) if name and name in repo.config["remote"] else None


@contextlib.contextmanager
def _opened(repository: Path) -> Iterator[Any]:
    from dvc.repo import Repo

    # DVC takes names relative to where it is
    with contextlib.chdir(repository), Repo(str(repository)) as repo, repo.lock:
        yield repo


def _one_line(error: BaseException) -> str:
    return git.without_credentials(plain(str(error)))[:300] or type(error).__name__
