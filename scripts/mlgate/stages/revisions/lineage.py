"""What a run is compared with, and what it came from: the baseline commit, the fingerprint of a commit's inputs, the rules that
decide. Used by evaluate and gate; asks Git only, and the network only where a shallow checkout lacks the history."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlgate import git
from mlgate.config import Config
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.stages.revisions import history, inputs
from mlgate.stages.revisions.revision import Revision
from mlgate.workspace import Workspace


@dataclass(frozen=True)
class BaselineCommit:
    """The commit whose model this run's model would replace."""

    commit: str | None
    """None where there is none: the first commit, or no Git repository."""
    how: str
    """How it was found, in words: `first parent of the merge commit`."""


def baseline_commit(workspace: Workspace) -> BaselineCommit:
    """Find the commit to compare with; needs the history that `fetch-depth: 0` brings.

    Raises:
        InputError: this clone lacks the commit or the history that leads to it, and origin does not give them.
    """
    return baseline_of(workspace.root, workspace.context, workspace.commit, lambda: workspace.is_dirty)


def baseline_of(root: Path, context: RunContext, head: str | None, is_dirty: Callable[[], bool]) -> BaselineCommit:
    """`baseline_commit` of a checkout, whatever models it holds. Raises as that does."""
    try:
        return _baseline(root, context, head, is_dirty)
    except TooShallowError:
        if not history.deepen(root, context):
            raise
        return _baseline(root, context, head, is_dirty)


def _baseline(root: Path, context: RunContext, head: str | None, is_dirty: Callable[[], bool]) -> BaselineCommit:
    if head is None:
        return BaselineCommit(None, "not a Git repository" if git.toplevel(root) is None else "no commit yet")
    default = context.default_branch or git.default_branch(root)
    if context.pull_request is not None:
        parents = git.recorded_parents(root, head)
        # Only GitHub's synthetic merge has the pull request's head as second parent: where the head itself is checked out and
        # happens to be a merge (of main into the feature), its second parent is a commit of main.
        if len(parents) == 2 and parents[1] == context.head_sha:
            return _present(root, parents[0], "first parent of the merge commit")
        return _merge_base(root, head, context.base_ref or default, context.base_sha)
    if context.event == "merge_group" and context.base_sha:
        return _present(root, context.base_sha, "base of the merge group")
    if context.event == "push" and default and context.ref == f"refs/heads/{default}":
        return _first_parent(root, head)
    if context.is_release and default and is_on_branch(root, head, default):
        return _first_parent(root, head)
    if not context.is_github and default and git.current_branch(root) == default:
        return BaselineCommit(head, "HEAD, beside uncommitted changes") if is_dirty() else _first_parent(root, head)
    return _merge_base(root, head, context.base_ref or default, context.base_sha)


def is_on_branch(root: Path, commit: str, branch: str) -> bool:
    """Whether a branch, as far as this clone knows it, contains a commit."""
    return any(git.is_ancestor(root, commit, place) for place in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"))


def inputs_sha256(workspace: Workspace, commit: str) -> str:
    """Fingerprint of code, data and parameters at a commit: equal fingerprints promise equal evaluations.

    It covers every file of the repository's tree that is an input of this model (`revisions.inputs`), also outside the working directory
    (shared code lies there), so all data that Git or DVC tracks: the `.dvc` files and dvc.lock are in the tree. dvc.lock alone would not
    do: a commit that changes code without a new lock has the lock of other code. Left out is only what cannot reach the model: other
    models' own folders, readmes and other project papers by their well-known names, settings of editors, and those sections of
    mlgate.yaml that judge or publish.

    Raises:
        InputError: this clone lacks the commit.
    """
    root = workspace.root
    if git.commit(root, commit) is None:
        raise _too_shallow(commit, "the commit to fingerprint")
    return fingerprint(inputs.Tree.at(git.require_repository(root), commit), f"{_prefix(root)}{workspace.config_path}")


def fingerprint(tree: inputs.Tree, config_path: str) -> str:
    """`inputs_sha256` of the model whose configuration lies at `config_path`, relative to the repository's top, at a commit's tree."""
    scope = inputs.scope(tree, config_path)
    config = inputs.config_at(tree, config_path)
    digest = hashlib.sha256(f"mlgate inputs 1\0{config_path}\0".encode("utf-8", "surrogateescape"))
    for path, entry in tree.entries.items():
        if scope.reason(path) is None:
            continue
        described = _what_is_evaluated(config) if path == config_path and config is not None else entry.encode()
        digest.update(described + b"\t" + path.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _prefix(root: Path) -> str:
    """Where the working directory lies in the repository, with a slash at the end; empty for its top."""
    return git.run(root, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").removesuffix("\n")


def rules_of(workspace: Workspace, baseline_commit: str | None) -> tuple[Config, Literal["baseline", "candidate"]]:
    """The configuration whose rules decide: the baseline commit's, so that a pull request does not grade itself.

    The candidate's own where there is no baseline commit, or none of its mlgate.yaml that this version can read.

    Raises:
        InputError: another model's configuration is gone with this change, so that nobody can tell whether it is this one's.
    """
    if baseline_commit is not None:
        config = config_at(workspace, baseline_commit)
        if config is not None:
            return config, "baseline"
        if not workspace.context.is_default_branch and (gone := _gone_since(workspace, baseline_commit)):
            raise InputError(
                f"{workspace.config_path}: model '{workspace.config.model}' is new, and this change takes {gone[0]} away; a model that is "
                "moved keeps its name, by which its rules are found. Keep the name, or take the other model away in a change of its own"
            )
    return workspace.config, "candidate"


def config_at(workspace: Workspace, commit: str) -> Config | None:
    """This model's configuration at a commit, also where it lay in another place then; None where there is none that can be read."""
    there = Revision(workspace.root, commit)
    if there.read(workspace.config_path) is not None:
        return there.config(workspace.config_path)
    before = _tree_with_others(workspace, commit)
    configs = (inputs.config_at(before, path) for path in _configurations(workspace, before)) if before else ()
    return next((config for config in configs if config is not None and config.model == workspace.config.model), None)


def _gone_since(workspace: Workspace, commit: str) -> list[str]:
    """Configurations of a commit that are not there any more, where this one was not there yet."""
    before = _tree_with_others(workspace, commit)
    if before is None or Revision(workspace.root, commit).read(workspace.config_path) is not None:
        return []
    now = inputs.Tree.at(before.top, workspace.commit if workspace.context.is_github else None)
    return [path for path in _configurations(workspace, before) if path not in now.entries]


def _tree_with_others(workspace: Workspace, commit: str) -> inputs.Tree | None:
    top = git.toplevel(workspace.root)
    return None if top is None or git.commit(top, commit) is None else inputs.Tree.at(top, commit)


def _configurations(workspace: Workspace, tree: inputs.Tree) -> list[str]:
    names = {inputs.CONFIG_NAME, posixpath.basename(workspace.config_path)}
    return sorted(path for path in tree.entries if posixpath.basename(path) in names)


def _present(root: Path, commit: str, how: str) -> BaselineCommit:
    if git.commit(root, commit) is None:
        raise _too_shallow(commit, how)
    return BaselineCommit(commit, how)


def _first_parent(root: Path, head: str) -> BaselineCommit:
    parents = git.recorded_parents(root, head)
    return _present(root, parents[0], "first parent of HEAD") if parents else BaselineCommit(None, "first commit")


def _merge_base(root: Path, head: str, branch: str | None, base_sha: str | None) -> BaselineCommit:
    """Where the history of `head` last met the base.

    The base is asked for in three places, each of which can be behind: the event (as of the push), origin's branch and the local
    one. The meeting point nearest to `head` counts. One that is `head` itself only does when there is no other: after the merge, when a
    job is run again, the base branch contains the head.
    """
    name = branch.removeprefix("refs/heads/") if branch else None
    places = [base_sha, f"refs/remotes/origin/{name}" if name else None, f"refs/heads/{name}" if name else None]
    tips = [tip for place in places if place and (tip := git.commit(root, place))]
    if not tips:
        if base_sha or git.is_shallow(root):
            raise _too_shallow(base_sha or f"origin/{name or 'HEAD'}", "the base")
        return BaselineCommit(None, "no default branch to compare with")
    bases = list(dict.fromkeys(base for tip in tips if (base := git.merge_base(root, head, tip))))
    if not bases:
        if git.is_shallow(root):
            raise _too_shallow(tips[0], "a common ancestor with the base")
        return BaselineCommit(None, f"no history in common with {name or base_sha}")
    return BaselineCommit(_nearest(root, [base for base in bases if base != head] or bases), f"merge base with {name or base_sha}")


def _nearest(root: Path, ancestors: list[str]) -> str:
    """The one that descends from the others; the first where none does."""
    nearest = ancestors[0]
    for candidate in ancestors[1:]:
        if git.is_ancestor(root, nearest, candidate):
            nearest = candidate
    return nearest


class TooShallowError(InputError):
    """The history that this clone has does not reach far enough."""


def _too_shallow(commit: str, what: str) -> TooShallowError:
    shown = commit[:12] if re.fullmatch(r"[0-9a-f]{40,64}", commit) else commit
    return TooShallowError(f"Git history: this clone lacks {shown} ({what}); check out with `fetch-depth: 0`")


_REACHES_THE_MODEL = {"command", "params", "launcher", "torchrun"}


def _what_is_evaluated(config: Config) -> bytes:
    """The sections of mlgate.yaml that reach the model or its metrics."""
    chosen = {
        "prepare": config.data.prepare,
        "train": config.train.model_dump(mode="json", include=_REACHES_THE_MODEL, exclude_defaults=True) if config.train else None,
        "evaluation": config.evaluation.model_dump(mode="json", exclude={"predict", "holdout", "model_files"}),
    }
    return json.dumps(chosen, sort_keys=True).encode()
