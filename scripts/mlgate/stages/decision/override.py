"""Overrides: one record a head commit in the store, `overrides/<head sha>.json`, written when somebody with the right says so in a
comment, and what the gate makes of it.

An override opens a gate that the rules or a weakening closed. It is no evidence: what failed, ended in an error or never ran stays closed.
A record alone is not believed, since whoever may push can write to the store: the comment it names has to stand, unchanged, and its author
must have the role now that the baseline's rules ask for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlgate import evidence as records
from mlgate import git
from mlgate.config import Config
from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.evidence import GateFindings, Override
from mlgate.forge import slash_commands
from mlgate.store import Store
from mlgate.workspace import Workspace

_MOST_HEADS = 100


@dataclass(frozen=True)
class Overridden:
    """The gate's findings after overrides were looked for."""

    findings: GateFindings
    remarks: list[str]
    """Overrides that were found and do not count, and why."""


def record_name(head_sha: str) -> str:
    """Where the override of a commit is in a model's store."""
    return f"overrides/{head_sha}.json"


def applied(workspace: Workspace, rules: Config, findings: GateFindings, store: Store) -> Overridden:
    """Open a closed gate where somebody with the right said so for this very head.

    Args:
        workspace: the run.
        rules: the deciding configuration: it says which role counts.
        findings: what the gate found.
        store: the model's, under the name it has in `rules`.

    Raises:
        InfrastructureError: the store or GitHub cannot be asked.
    """
    if findings.is_open:
        return Overridden(findings, [])
    remarks = []
    for head in _heads(workspace):
        content = store.read(record_name(head))
        if content is None:
            continue
        found, refused = _verified(workspace.context, rules, content, head)
        if found is not None:
            return Overridden(findings.model_copy(update={"is_open": True, "override": found}), [])
        remarks.append(f"an override is recorded for {head[:12]} and does not count: {refused}")
    return Overridden(findings, remarks)


def words(override: Override) -> str:
    """`overridden by ada (maintain), 2026-11-21 09:30 UTC: the new range was agreed on`."""
    return f"overridden by {override.by} ({override.permission}), {override.at:%Y-%m-%d %H:%M} UTC: {' '.join(override.reason.split())}"


def _verified(context: RunContext, rules: Config, content: bytes, head: str) -> tuple[Override | None, str]:
    """The override of a record, or why it does not count."""
    try:
        found = records.parse_record(Override, content, record_name(head))
    except InputError as error:
        return None, str(error)
    if (found.head_sha, found.model) != (head, rules.model):
        return None, f"it was given for {found.head_sha[:12]} of {found.model}"
    if context.pull_request not in (None, found.pull_request):  # several can share a commit
        return None, f"it was given in #{found.pull_request}"
    base = (context.base_ref or (context.default_branch if context.is_default_branch else None) or "").removeprefix("refs/heads/")
    if base and found.into not in (None, base):
        return None, f"it was given for a merge into {found.into}"
    if not context.is_github:
        return found, ""
    if context.token is None:
        return None, "without github-token it cannot be verified"
    refused = _why_not(context, found, rules.gate.override.permission)
    return (None, refused) if refused else (found, "")


def _why_not(context: RunContext, given: Override, wanted: str) -> str | None:
    """Why GitHub does not bear a recorded override out; None where it does. `wanted` is the role that it takes."""
    from mlgate.forge.conversation import Conversation

    github = Conversation(context)
    comment = github.comment(given.comment_id)
    if comment is None:
        return "the comment that gave it is gone"
    command = slash_commands.parse(comment.body)
    is_same = (comment.author.casefold(), comment.number) == (given.by.casefold(), given.pull_request)
    said = (command.reason, command.model or given.model) if isinstance(command, slash_commands.Override) else None
    if not is_same or said != (given.reason, given.model) or github.is_edited(comment):
        return f"the comment it names ({comment.html_url}) does not say so, or not any more"
    began = github.first_run_at(given.head_sha)
    if began is None or began > comment.created_at:  # the comment names no commit, and a record can be copied
        return f"{given.head_sha[:12]} was pushed after the comment it names was written"
    role = github.role(given.by)
    if not slash_commands.is_at_least(role, wanted):
        return f"{given.by} has the role '{role}' on the repository; '{wanted}' is needed"
    return None


# --- which commits -----------------------------------------------------------------------------------------------------


def _heads(workspace: Workspace) -> list[str]:
    """Heads of pull requests whose override counts here: this run's; after a merge and in a merge queue, those that were merged."""
    context, root = workspace.context, workspace.root
    if context.event == "merge_group" and context.base_sha and workspace.commit:
        merged = _merged(workspace, f"{context.base_sha}..{workspace.commit}")
        return merged or _head_in_queue(context)
    if context.is_default_branch and workspace.commit:
        merged = git.recorded_parents(root, workspace.commit)[1:]
        return merged or _brought_by(context, workspace.commit)
    return [context.head_sha] if context.head_sha else [workspace.commit] if workspace.commit else []


def _merged(workspace: Workspace, commits: str) -> list[str]:
    """Second parents of the merges among some commits."""
    listed = git.try_text(workspace.root, "rev-list", "--first-parent", "--parents", f"--max-count={_MOST_HEADS}", commits) or ""
    return [parent for line in listed.splitlines() for parent in line.split()[2:]]


def _head_in_queue(context: RunContext) -> list[str]:
    """Of a queue that squashes or rebases: the head of the pull request that its ref is named for."""
    number = re.search(r"/pr-(\d+)-[0-9a-f]+$", context.ref or "")
    if number is None or context.token is None:
        return []
    from mlgate.forge.conversation import Conversation

    return [Conversation(context).pull_request(int(number[1])).head.sha]


def _brought_by(context: RunContext, commit: str) -> list[str]:
    """Of a commit that was squashed or rebased: the heads of its pull requests."""
    if context.token is None:
        return []
    from mlgate.forge.conversation import Conversation

    return Conversation(context).merged_heads(commit)
