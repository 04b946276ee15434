"""Whether the branch that a pull request goes into has moved on since the commit that its verdict is against. Asks the clone only."""

from __future__ import annotations

from pathlib import Path

from mlgate import git
from mlgate.context import RunContext
from mlgate.stages.revisions import lineage
from mlgate.stages.revisions.lineage import BaselineCommit
from mlgate.stages.revisions.revision import Revision
from mlgate.workspace import Workspace


def remark(workspace: Workspace, base: BaselineCommit) -> str | None:
    """What to tell the reader of a pull request's verdict; None where nothing that reaches this model came in, or nobody knows.

    Known is what the checkout brought: with `fetch-depth: 0` the branch as it was when the job began. A branch of which this clone has
    a part only counts for unknown, and so does one that was rewritten. Merged pull requests need no advice.
    """
    context, root = workspace.context, workspace.root
    if context.pull_request is None or base.commit is None or git.is_shallow(root):
        return None
    branch = (context.base_ref or context.default_branch or "").removeprefix("refs/heads/")
    tip = git.commit(root, f"refs/remotes/origin/{branch}") if branch else None
    if tip is None or tip == base.commit or not git.is_ancestor(root, base.commit, tip) or _is_merged(root, context, tip):
        return None
    if _as_judged(workspace, base.commit) == _as_judged(workspace, tip):
        return None
    count = int(git.try_text(root, "rev-list", "--count", f"{base.commit}..{tip}") or 0)
    commits = f"{count:,} commit{'s' if count != 1 else ''}"
    return (
        f"{branch} has moved by {commits} since {base.commit[:7]}, which this verdict is against, and what came in reaches this model: "
        "update the branch to be compared with it"
    )


def _is_merged(root: Path, context: RunContext, tip: str) -> bool:
    return context.head_sha is not None and git.is_ancestor(root, context.head_sha, tip)


def _as_judged(workspace: Workspace, commit: str) -> tuple[str, bytes | None]:
    """What a verdict against a commit depends on: all that makes its model, and its rules."""
    return lineage.inputs_sha256(workspace, commit), Revision(workspace.root, commit).read(workspace.config_path)
