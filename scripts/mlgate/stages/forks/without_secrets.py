"""What a maintainer does where a run without secrets (a fork's, Dependabot's) could not get at the data: the command and the link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlgate import git
from mlgate.context import RunContext

_ENDS = {"success": "success", "cancelled": "cancelled", "skipped": "skipped", "neutral": "skipped"}
_CALLS_TRAIN = re.compile(rb"^\s*(?:-\s*)?uses:\s*\S+/reusable-train\.yml@", re.MULTILINE)
_CALLS_MONOREPO = re.compile(rb"^\s*(?:-\s*)?uses:\s*\S+/reusable-monorepo\.yml@", re.MULTILINE)
_TAKES_PULL_REQUEST = re.compile(rb"^\s*pull-request:\s*\$\{\{\s*inputs\.pull-request\s*\}\}", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
REFUSED = "MLGATE_REFUSED"
"""Tells the gate of the second workflow why what the first one left cannot be used."""
REASON = "GitHub gives runs of forks and of Dependabot no secrets"
USUAL_NAME = "mlgate-train.yml"
"""What templates/workflows/train.yml and monorepo-train.yml tell to call it."""


@dataclass(frozen=True)
class Dispatch:
    """How a maintainer starts a run with secrets for a pull request."""

    workflow: str
    """Name of the file below .github/workflows."""
    template: str | None
    """Name of what has to be copied first; None where the checkout has such a workflow."""
    command: str
    url: str

    @property
    def sentence(self) -> str:
        """`a maintainer must dispatch: gh workflow run …, or https://…`."""
        first = (
            f"copy templates/workflows/{self.template} to .github/workflows/{USUAL_NAME} of the default branch, then "
            if self.template
            else ""
        )
        return f"a maintainer must dispatch: {first}{self.command}, or {self.url}"


def dispatch(root: Path, context: RunContext) -> Dispatch:
    """The workflow of this checkout that trains on request, for the pull request of this run."""
    top = git.toplevel(root) or root
    files = {path.name: _content(path) for path in sorted((top / ".github/workflows").glob("*.y*ml")) if _NAME.fullmatch(path.name)}
    of_all = {name: content for name, content in files.items() if _CALLS_MONOREPO.search(content)}
    # Where one status answers for all models, only a run that gives it will do.
    if of_all:
        found = [name for name, content in of_all.items() if _TAKES_PULL_REQUEST.search(content)]
    else:
        found = [name for name, content in files.items() if _CALLS_TRAIN.search(content)]
    workflow = found[0] if found else USUAL_NAME
    return Dispatch(
        workflow=workflow,
        template=None if found else "monorepo-train.yml" if of_all else "train.yml",
        # The commit by its SHA: what is pushed after somebody has read it must not meet the secrets.
        command=f"gh workflow run {workflow} --repo {context.repository} -f pull-request={context.pull_request or 'NUMBER'}"
        + (f" -f ref={context.head_sha}" if context.head_sha else ""),
        url=f"{context.server_url}/{context.repository}/actions/workflows/{workflow}",
    )


def ended(context: RunContext) -> dict[str, str]:
    """How the run that triggered this one ended, by its name, in the words of a workflow's `needs`; empty where none did."""
    run = context.triggering
    return {} if run is None else {f"{Path(run.path).name or run.workflow}, run {run.run_id}": _ENDS.get(run.conclusion or "", "failure")}


def advice(root: Path, context: RunContext) -> str | None:
    """What to do about data that did not come, in a sentence; None where the run had secrets."""
    if not context.is_without_secrets:
        return None
    return f"{REASON}, so a private remote is out of reach: {dispatch(root, context).sentence}"


def _content(path: Path) -> bytes:
    try:
        return b"" if path.is_symlink() else path.read_bytes()
    except OSError:
        return b""
