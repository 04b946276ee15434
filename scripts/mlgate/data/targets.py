"""Which data is meant: names from mlgate.yaml resolved to outputs that DVC tracks, files that Git tracks, or files that are just there."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import git
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean


@dataclass(frozen=True)
class Target:
    """One piece of data to have in the workspace."""

    path: str
    """Relative to the working directory."""
    output: Any | None = None
    """DVC's `Output` that it is or lies in; None where DVC does not track it."""

    @property
    def is_stage_output(self) -> bool:
        """Whether a pipeline stage makes it, so that running the pipeline can make it again."""
        return self.output is not None and not self.output.stage.is_data_source

    @property
    def is_outdated(self) -> bool:
        """Whether the stage that makes it has changed since: what the lock file records, and DVC pulls, is then the old output."""
        if not self.is_stage_output:
            return False
        stage = self.dvc.stage
        if stage.frozen:
            return False
        # what was not pulled counts as `deleted`; what lies outside of this machine is the training command's to ask for
        statuses = [dependency.status() for dependency in stage.deps if dependency.protocol == "local"]
        return bool(stage.changed_stage() or any(status and "deleted" not in status.values() for status in statuses))

    @property
    def stage(self) -> str:
        return stage_name(self.output.stage) if self.output is not None else ""

    @property
    def dvc(self) -> Any:
        """The `Output`, of a target that has one."""
        if self.output is None:
            raise ValueError(f"{self.path} is not tracked by DVC")
        return self.output

    @property
    def has_run(self) -> bool:
        """Whether the `.dvc` or lock file records a hash of it: not so before its stage ran for the first time."""
        return self.output is None or bool(self.output.hash_info.value)

    @property
    def md5(self) -> str:
        """Hash that the `.dvc` or lock file records for the output."""
        return str(self.dvc.hash_info.value)


def resolve(names: Iterable[str], repo: Any, root: Path, *, may_be_absent: bool = False) -> list[Target]:
    """Targets by name, each output once, in order.

    A name may be a file or folder, a `.dvc` file, or a stage (`prepare`, `dvc.yaml:prepare`).

    Args:
        names: as in `data.pull`, relative to `root`.
        repo: DVC's `Repo`; None outside a DVC repository.
        root: the working directory.
        may_be_absent: leave names out that nothing has, instead of raising.

    Raises:
        InputError: nothing has that name; the nearest right one is named.
    """
    outputs = _outputs(repo, root) if repo is not None else {}
    targets: dict[str, Target] = {}
    for name in names:
        found = _resolve(name, outputs, root)
        if not found and not may_be_absent:
            raise InputError(_not_kept(name, repo, root) or _elsewhere(name, repo, root) or _unknown(name, outputs, root))
        for target in found:
            targets.setdefault(target.path, target)
    return list(targets.values())


def sources(repo: Any, root: Path) -> list[str]:
    """Data that training will read: what `dvc add` or `dvc import` tracks and the pipelines at or below `root` depend on.

    Where there is no pipeline, everything so tracked at or below `root`.
    """
    outputs = _outputs(repo, root)
    pipeline = [stage for stage in repo.index.stages if not stage.is_data_source and _is_below(stage.wdir, root)]
    if not pipeline:
        return [path for path, output in outputs.items() if output.stage.is_data_source and not path.startswith("..")]
    needed: dict[str, None] = {}
    seen = set(pipeline)
    while pipeline:
        for dependency in pipeline.pop().deps:
            for path, output in _touching(dependency, outputs, root):
                if output.stage.is_data_source:
                    needed[path] = None
                elif output.stage not in seen:
                    seen.add(output.stage)
                    pipeline.append(output.stage)
    return sorted(needed)


def _outputs(repo: Any, root: Path) -> dict[str, Any]:
    """Outputs that DVC keeps in its cache, by path relative to `root`."""
    return {
        Path(os.path.relpath(output.fs_path, root)).as_posix(): output
        for output in repo.index.outs
        if output.use_cache and output.is_in_repo
    }


def _resolve(name: str, outputs: dict[str, Any], root: Path) -> list[Target]:
    path = posixpath.normpath(name)
    if path in outputs:
        return [Target(path, outputs[path])]
    for ancestor in _ancestors(path):
        if ancestor in outputs:
            return [Target(path, outputs[ancestor])]
    of_stage = [Target(at, output) for at, output in outputs.items() if path in _names_of_stage(output.stage, root)]
    if of_stage:
        return of_stage
    below = [Target(at, output) for at, output in outputs.items() if at.startswith(path + "/") or path == "."]
    if below:
        return below
    return [Target(path)] if (root / path).exists() else []


def _unknown(name: str, outputs: dict[str, Any], root: Path) -> str:
    tracked = (git.try_text(root, "ls-files", "-z") or "").split("\0")
    near = did_you_mean(name, sorted({*outputs, *tracked} - {""}))
    return f"no data '{name}': neither DVC nor Git tracks it, and there is no such file{near if 'did you mean' in near else ''}"


def stage_name(stage: Any) -> str:
    """A stage as `dvc repro` takes it in the repository's top folder."""
    file = Path(os.path.relpath(stage.path, stage.repo.root_dir)).as_posix()
    name = getattr(stage, "name", None)
    if name is None:
        return file
    return str(name) if file == "dvc.yaml" else f"{file}:{name}"


def _not_kept(name: str, repo: Any, root: Path) -> str | None:
    """Of an output that DVC only looks at: one outside of the repository, or with `cache: false`."""
    for output in repo.index.outs if repo is not None else ():
        path = output.fs_path if output.protocol != "local" else Path(os.path.relpath(output.fs_path, root)).as_posix()
        if posixpath.normpath(name) not in {path, output.def_path, *_names_of_stage(output.stage, root)}:
            continue
        stage = f"stage '{stage_name(output.stage)}'"
        if not output.is_in_repo:
            return f"{name}: {stage} writes '{output.def_path}', which lies outside of the repository: DVC keeps no copy of it"
        if not output.use_cache:
            return f"{name}: {stage} writes '{path}' with 'cache: false', so DVC keeps no copy, and it is not in Git; commit it"
    return None


def _elsewhere(name: str, repo: Any, root: Path) -> str | None:
    """Of data below a DVC repository inside this one, or inside a submodule that was not checked out."""
    path = posixpath.normpath(name)
    for folder in _ancestors(path):
        if (root / folder / ".dvc").is_dir() and (repo is None or Path(repo.root_dir) != root / folder):
            return f"no data '{name}' here: '{folder}' is a DVC repository of its own; set working-directory to it, or below it"
    return None


def _names_of_stage(stage: Any, root: Path) -> set[str]:
    file = Path(os.path.relpath(stage.path, root)).as_posix()
    name = getattr(stage, "name", None)
    if name is None:
        return {file}
    group = name.partition("@")[0]  # all of a foreach or matrix stage
    return {file, f"{file}:{name}", f"{file}:{group}"} | ({name, group} if file == "dvc.yaml" else set())


def _touching(dependency: Any, outputs: dict[str, Any], root: Path) -> list[tuple[str, Any]]:
    """Outputs that a dependency is, lies in, or contains."""
    if dependency.protocol != "local":
        return []
    path = Path(os.path.relpath(dependency.fs_path, root)).as_posix()
    return [(at, output) for at, output in outputs.items() if at == path or path.startswith(at + "/") or at.startswith(path + "/")]


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _is_below(path: str, root: Path) -> bool:
    return Path(path).resolve().is_relative_to(root)
