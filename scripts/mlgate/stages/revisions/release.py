"""Which commit a release is that `gate.baseline` pins: a tag, or a commit by its SHA. A branch is none, since it moves by itself."""

from __future__ import annotations

import re
from pathlib import Path

from mlgate import git
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean
from mlgate.stages.revisions import history

_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
_MOST_TAGS = 200


def commit_of(root: Path, context: RunContext, name: str) -> str:
    """The commit of a tag or SHA, fetched from origin where this clone lacks it.

    Raises:
        InputError: there is none, or the name fits several commits.
    """
    found = _found(root, name)
    if found is None and history.fetch(root, context, _wanted(name)):
        found = _found(root, name)
    if found is None:
        tags = (git.try_text(root, "tag", "--list", "--sort=-creatordate") or "").splitlines()[:_MOST_TAGS]
        near = did_you_mean(name, ["base", "champion", *tags])
        hint = near if near.startswith("; did you mean") else "; push the tag, and check out with 'fetch-depth: 0', which brings tags"
        raise InputError(
            f"gate.baseline: no tag and no commit '{name}', no file of predictions (.csv, .parquet, .jsonl), and neither 'base' nor "
            f"'champion'{hint}"
        )
    return found


def _found(root: Path, name: str) -> str | None:
    tag = git.try_text(root, "show-ref", "--verify", "--hash", f"refs/tags/{name}")  # takes the name as it is: no `v1~3`
    if tag:
        return git.commit(root, tag)
    # `git rev-parse abcdef1` would take a branch of that name.
    return git.commit(root, name) if _SHA.fullmatch(name) and not _is_branch(root, name) else None


def _is_branch(root: Path, name: str) -> bool:
    return any(git.commit(root, f"{place}/{name}") for place in ("refs/heads", "refs/remotes/origin"))


def _wanted(name: str) -> str:
    """What to ask origin for."""
    return name if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) else f"+refs/tags/{name}:refs/tags/{name}"
