"""Which commit the evidence of another run is of, and of which pull request: what the evidence claims, held against GitHub's refs and Git.

A `pull_request` run checks out a merge that GitHub made of the base branch and the head. No API says which merge a run had, and the base
may have moved since; any commit of the fork network can be fetched by its SHA. So a claimed merge counts only where it is what GitHub would
have made: parents are a commit that the base branch was at, and the head; its tree is the merge of the two.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlgate import git
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.forge import commits
from mlgate.forge.triggering import PullRequest

BASE_MOVED_WITHIN = timedelta(days=1)
"""How long before the run the base may have moved on: GitHub makes merges with delay, and clocks differ."""
MAX_BASE_HISTORY = 10_000
"""Commits of the base branch, newest first, among which a merge's first parent is looked for."""


def find(
    root: Path, context: RunContext, pulls: Sequence[PullRequest], claimed: str | None, created_at: datetime | None
) -> tuple[PullRequest, str]:
    """The pull request and the commit that evidence is of.

    Args:
        root: the clone; heads, merges and bases of `pulls` were fetched into it.
        context: the run.
        pulls: open pull requests whose head the run was of, at least one, oldest first.
        claimed: the commit that the evidence names; None where there is no evidence.
        created_at: when the run was created, as GitHub says.

    Returns:
        Without evidence the oldest pull request and its present merge, or where there is a conflict with the base, its head.

    Raises:
        InputError: the claimed commit is neither the head nor a merge of it into the base, or of a base that was long gone.
        InfrastructureError: Git cannot say.
    """
    head = pulls[0].head_sha
    for pull in pulls:
        merge = _present_merge(root, pull)
        if claimed is None:
            return pull, merge or head
        if claimed == merge:
            return pull, claimed
        if claimed == head:
            _require_recent(root, pull, _left_base_at(root, pull), created_at)
            return pull, claimed
    if claimed is None:
        raise ValueError("at least one pull request")
    if git.commit(root, claimed) is None and not commits.fetch_commit(root, context, claimed):
        raise InputError(f"evidence of a commit that this repository does not have ({claimed[:12]}); push again, for a new run")
    for pull in pulls:
        if _is_earlier_merge(root, pull, claimed):
            _require_recent(root, pull, git.recorded_parents(root, claimed)[0], created_at)
            return pull, claimed
    names = ", ".join(f"#{pull.number}" for pull in pulls)
    raise InputError(
        f"evidence of another commit ({claimed[:12]}), neither the head of {names} ({head[:12]}) nor its merge into the base; push again"
    )


def is_changed(root: Path, commit: str, path: str, baseline: str) -> bool:
    """Whether a file, by its path in the repository, differs between two commits, or is in neither."""
    before, after = (git.try_text(root, "rev-parse", "--verify", "--quiet", f"{revision}:{path}") for revision in (baseline, commit))
    return before is None or before != after


def _present_merge(root: Path, pull: PullRequest) -> str | None:
    """GitHub's merge of the pull request; None where it is of another head, or there is none."""
    merge = commits.judged(root, pull.number, "merge")
    return merge if merge and git.recorded_parents(root, merge)[1:] == [pull.head_sha] else None


def _left_base_at(root: Path, pull: PullRequest) -> str | None:
    base = commits.judged(root, pull.number, "base")
    return git.merge_base(root, base, pull.head_sha) if base else None


def _require_recent(root: Path, pull: PullRequest, commit: str | None, created_at: datetime | None) -> None:
    """Refuse evidence whose baseline the base branch had left behind before the run: nobody chooses an older and weaker opponent.

    When the base moved on is what the commit after it says; it is the base's own, so the pull request's author has no word in that.

    Raises:
        InputError: the base was elsewhere a day before the run was created, or was never at that commit, or GitHub does not say when.
    """
    base = commits.judged(root, pull.number, "base")
    options = ("--first-parent", f"--max-count={MAX_BASE_HISTORY}", "--no-show-signature", "--format=%H %ct")
    listed = [line.split() for line in git.run(root, "log", *options, base).decode().splitlines()] if base else []
    at = next((number for number, (sha, _) in enumerate(listed) if sha == commit), None)
    if at == 0:
        return
    left = datetime.fromtimestamp(int(listed[at - 1][1]), UTC) if at is not None else None
    if left is None or created_at is None or left < created_at - BASE_MOVED_WITHIN:
        named = commit[:12] if commit else "no commit"
        when = f"which the base left at {left:%Y-%m-%d %H:%M} UTC, long before this run" if left else "where the base never was"
        raise InputError(f"evidence that compares with {named} of {pull.base_ref}, {when}; merge the base into the pull request, and push")


def _is_earlier_merge(root: Path, pull: PullRequest, commit: str) -> bool:
    parents, base = git.recorded_parents(root, commit), commits.judged(root, pull.number, "base")
    if len(parents) != 2 or parents[1] != pull.head_sha or base is None:
        return False
    history = git.run(root, "rev-list", "--first-parent", f"--max-count={MAX_BASE_HISTORY}", base).decode().split()
    if parents[0] not in history:
        return False
    try:
        merged = git.run(root, "merge-tree", "--write-tree", parents[0], pull.head_sha).decode().split()[0]
    except subprocess.CalledProcessError as error:
        if error.returncode == 1:
            return False  # they conflict: GitHub made no merge of them
        raise InfrastructureError("git merge-tree: this Git cannot merge trees; Git 2.38 or newer is needed, or a new push") from None
    return git.try_text(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}") == merged
