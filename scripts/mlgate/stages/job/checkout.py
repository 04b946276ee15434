"""What a checkout can lack that a model's run will miss: said at the start of a job, before anything fails of it."""

from __future__ import annotations

from pathlib import Path

from mlgate import git
from mlgate.errors import InputError
from mlgate.stages.revisions import inputs
from mlgate.workspace import Workspace

_MAX_NAMED = 5


def remarks(workspace: Workspace) -> list[str]:
    """Submodules among the model's inputs that were not fetched: their folders are empty.

    Raises:
        InputError: an entry of `inputs` in mlgate.yaml matches nothing, so that a change of what it means would go unseen.
    """
    if workspace.commit is None:
        return []
    top = git.require_repository(workspace.root)
    tree = inputs.Tree.at(top, workspace.commit)
    for number, problem in inputs.unmatched(tree, workspace.config.inputs or ()):
        raise InputError(f"{workspace.config_path}: inputs[{number}]: {problem}")
    submodules = [path for path in tree.entries if tree.is_submodule(path)]
    if not submodules:
        return []
    prefix = git.run(workspace.root, "rev-parse", "--show-prefix").decode(errors="surrogateescape").removesuffix("\n")
    scope = inputs.scope(tree, f"{prefix}{workspace.config_path}")
    absent = [path for path in submodules if scope.reason(path) is not None and not _is_fetched(top / path)]
    if not absent:
        return []
    named = ", ".join(absent[:_MAX_NAMED]) + (f" and {len(absent) - _MAX_NAMED} more" if len(absent) > _MAX_NAMED else "")
    one = len(absent) == 1
    return [
        (
            f"{'submodule' if one else 'submodules'} not fetched: {named}; if the model needs {'it' if one else 'them'}, "
            "check out with `submodules: true`, or run 'git submodule update --init'"
        )
    ]


def _is_fetched(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
