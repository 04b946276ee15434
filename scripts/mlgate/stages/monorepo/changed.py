"""changed: which of a repository's models a commit can have changed, and why. Feeds the matrix of reusable-monorepo.yml.

Errs on the side of running: a model is untouched only where nothing that `revisions.inputs` counts among its inputs, as they were before or
as they are now, differs from the baseline commit.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mlgate import config as configuration
from mlgate import git
from mlgate.config import Config
from mlgate.console import plain
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.stages.revisions import history, inputs, lineage
from mlgate.stages.revisions.inputs import Tree
from mlgate.store import open_store

MAX_IN_A_MATRIX = 256
"""GitHub starts no more jobs of one matrix."""
_MAX_WHY = 160


@dataclass(frozen=True)
class Model:
    """One mlgate.yaml of the repository."""

    name: str
    """As it says itself; that of its folder where it cannot be read."""
    working_directory: str
    config: str
    """Relative to the working directory."""
    why: str | None
    """Why it has to run; None where it is untouched."""
    is_readable: bool = True

    @property
    def path(self) -> str:
        return posixpath.normpath(posixpath.join(self.working_directory, self.config))

    @property
    def row(self) -> dict[str, str]:
        """Its line in a matrix."""
        return {"model": self.name, "working-directory": self.working_directory, "config": self.config, "why": self.why or ""}


@dataclass(frozen=True)
class Models:
    """All models of the repository, in the order of their paths."""

    models: list[Model]
    compared_with: str
    """In words: `4f1c2a (first parent of the merge commit)`."""
    removed: list[str]
    """Configurations that were there at the baseline and are not now."""

    @property
    def changed(self) -> list[Model]:
        return [model for model in self.models if model.why is not None]

    @property
    def matrix(self) -> str:
        return as_output({"include": [model.row for model in self.changed]})

    @property
    def all(self) -> str:
        return as_output([{**model.row, "changed": model.why is not None} for model in self.models])


def run(folder: Path, name: str, context: RunContext) -> Models:
    """Find the models below a folder and compare each with the baseline commit.

    Args:
        folder: where to look, inside a Git repository.
        name: what their configurations are called; may be a pattern (`mlgate*.yaml`).
        context: the run.

    Raises:
        InputError: no repository, no model, two models of one name, or a history that does not reach to the baseline.
    """
    top = require_place(folder, name)
    head = git.commit(top)
    if context.event == "workflow_dispatch" and context.head_sha is not None and context.head_sha != head:
        # A branch could move on between the jobs: what was read is what must be trained.
        raise InputError(f"ref: expected the full SHA of a commit, as this one has it ({head}), got '{plain(context.head_sha)[:80]}'")
    is_dirty = head is None or (not context.is_github and bool(git.try_text(top, "status", "--porcelain")))
    now = Tree.at(top, None if is_dirty else head)
    paths = configurations(now, folder.resolve(), name)
    if not paths:
        raise InputError(f"no file '{plain(name)}' in {folder}; write one, or let 'mlgate init' propose it")
    base, how = _compared_with(top, context, head, is_dirty)
    if base is None:
        models = [model_at(now, path, how) for path in paths]
        found = Models(models, how, [])
    else:
        before = Tree.at(top, base)
        different = differences(top, base, None if is_dirty else head)
        models = [model_at(now, path, why_it_runs(before, now, path, different)) for path in paths]
        removed = [path for path in configurations(before, folder.resolve(), name) if path not in now.entries]
        if context.is_default_branch and context.token is not None:
            models = [model if model.why is not None or _is_recorded(now, context, model) else _unrecorded(model) for model in models]
        found = Models(models, f"{base[:12]} ({how})", removed)
    check_names(found.models)
    check_size(found.changed)
    return found


def lines(found: Models) -> Iterator[str]:
    """What a person reads."""
    yield f"compared with {found.compared_with}"
    for model in found.models:
        where = f"{model.name} ({model.path})"
        yield plain(f"→ {where}: {model.why}" if model.why is not None else f"– {where}: untouched")
    for path in found.removed:
        yield plain(f"! {path} was removed: its model is not checked any more")
    yield f"{len(found.changed)} of {len(found.models)} models to run"


def require_place(folder: Path, name: str) -> Path:
    """Top of the repository to look for models in. Raises InputError: no such folder, in no repository, or a name that is a path."""
    if not folder.is_dir():
        raise InputError(f"working-directory: no folder '{folder}'")
    if "/" in name or "\\" in name:
        raise InputError(f"config: expected the name of a file, such as mlgate.yaml or mlgate*.yaml, got '{plain(name)[:80]}'")
    return git.require_repository(folder)


def configurations(tree: Tree, folder: Path, name: str) -> list[str]:
    """Paths of the configurations of that name in or below a folder, in order."""
    prefix = folder.relative_to(tree.top.resolve()).as_posix()
    below = "" if prefix == "." else f"{prefix}/"
    return sorted(path for path in tree.entries if path.startswith(below) and fnmatch.fnmatchcase(posixpath.basename(path), name))


def _compared_with(top: Path, context: RunContext, head: str | None, is_dirty: bool) -> tuple[str | None, str]:
    """The baseline commit, and how it was found; None, and why everything runs."""
    if context.is_default_branch and head is not None:
        # A push can bring several commits, and HEAD's parent would hide what the first ones changed.
        before = context.before
        if before and git.commit(top, before) is None:
            history.deepen(top, context)
        if before and git.commit(top, before) is not None and git.is_ancestor(top, before, head):
            return before, "the commit before this push"
        return None, "it is not known what this push changed"
    found = lineage.baseline_of(top, context, head, lambda: is_dirty)
    if found.commit is None:
        return None, f"nothing to compare with: {found.how}"
    if found.commit == head and not is_dirty:
        return None, "this very commit is on the default branch"
    return found.commit, found.how


def differences(top: Path, base: str, head: str | None) -> list[str]:
    """Paths that differ, submodules and both names of a rename among them. A submodule can ask not to be looked at: it is not heard."""
    options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", "--no-relative")
    listed = git.run(top, "diff", *options, base, *([head] if head else []), "--", env={"GIT_OPTIONAL_LOCKS": "0"})
    if head is None:
        listed += git.run(top, "ls-files", "-z", "--others", "--exclude-standard")
    return [path.decode("utf-8", "surrogateescape") for path in listed.split(b"\0") if path]


def why_it_runs(before: Tree, now: Tree, path: str, different: Iterable[str]) -> str | None:
    """Which differences are inputs of a model, by what its inputs are now or were before: a change cannot put itself out of sight."""
    if path not in before.entries:
        return "new"
    scopes = [inputs.scope(now, path), inputs.scope(before, path)]
    reached = [
        (changed, reason)
        for changed in different
        if (reason := next((r for s in scopes if (r := s.reason(changed)) is not None), None)) is not None
    ]
    if not reached:
        return _wrong_pattern(now, path)
    changed, reason = reached[0]
    more = f" and {len(reached) - 1:,} more" if len(reached) > 1 else ""
    shown = changed if len(changed) <= _MAX_WHY else f"…{changed[-_MAX_WHY:]}"
    return plain(f"{shown}{f' ({reason})' if reason else ''}{more}")


def _wrong_pattern(tree: Tree, path: str) -> str | None:
    """An entry of `inputs` that matches nothing keeps changes from being seen."""
    config = inputs.config_at(tree, path)
    wrong = next(inputs.unmatched(tree, config.inputs or ()), None) if config is not None else None
    return None if wrong is None else plain(f"inputs[{wrong[0]}]: {wrong[1]}")[:_MAX_WHY]


def model_at(tree: Tree, path: str, why: str | None) -> Model:
    """The model whose configuration lies there."""
    config, name = _read(tree, path)
    folder = posixpath.dirname(path) or "."
    if config is None and why is None:
        why = "its configuration cannot be read"
    return Model(name or plain(folder), folder, posixpath.basename(path), why, is_readable=config is not None)


def _read(tree: Tree, path: str) -> tuple[Config | None, str | None]:
    content = tree.read([path]).get(path)
    if content is None or tree.is_link(path):
        return None, None
    try:
        config = configuration.parse(content, path)
    except InputError:
        named = re.search(rb"^model:[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9._-]{0,99})[\"']?[ \t\r]*(?:#.*)?$", content, re.MULTILINE)
        return None, named[1].decode() if named else None
    return config, config.model


def check_names(models: list[Model]) -> None:
    """Two models of one name would share a store, a comment and artifacts. Case aside: not every place tells it."""
    seen: dict[str, Model] = {}
    for model in models:
        other = seen.setdefault(model.name.casefold(), model)
        if other is not model and model.is_readable and other.is_readable:
            raise InputError(f"{other.path} and {model.path}: both name their model '{model.name}'; each model needs a name of its own")


def check_size(models: list[Model]) -> None:
    """Raises InputError where they are more than a matrix takes."""
    if len(models) > MAX_IN_A_MATRIX:
        raise InputError(
            f"{len(models)} models changed, and GitHub starts {MAX_IN_A_MATRIX} jobs of a matrix at most; "
            "name a folder of some of them in working-directory"
        )


def _unrecorded(model: Model) -> Model:
    return replace(model, why="no run has recorded its evaluation")


def _is_recorded(now: Tree, context: RunContext, model: Model) -> bool:
    """Whether the store has the evaluation that later pull requests need; it has not where the run that should have recorded it failed.

    A model of which nothing was ever recorded keeps no store: that is its choice, and no reason to run it at every push.
    """
    config = inputs.config_at(now, model.path)
    if config is None:
        return True
    try:
        names = open_store(config.store, root=now.top / model.working_directory, model=model.name, context=context).names()
    except (InputError, InfrastructureError):
        return True  # the gate says what is wrong with the store
    if not any(name.startswith("evaluations/") for name in names):
        return True
    return f"evaluations/{now.commit}.json" in names or f"inputs/{lineage.fingerprint(now, model.path)}.json" in names


def as_output(value: object) -> str:
    """On one line, without a blank: step outputs lose double ones, and folders may have them. Nor with what the runner obeys in a log."""
    return json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020").replace("##[", "##\\u005b")
