"""Commits of a pull request, fetched into the clone as data: questions can be asked of them, nothing of them is checked out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlgate import git, git_token
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.store.git_ref import Remote, remote_of

TIMEOUT_S = 300.0
NAMESPACE = "refs/mlgate-judged"
"""Where the clone keeps them: no branch, no tag, so no revision of a user's finds them by a short name."""


def fetch_pull_request(root: Path, context: RunContext, number: int, base_ref: str) -> None:
    """Fetch head, synthetic merge (where GitHub has one) and the base branch of a pull request.

    Raises:
        InfrastructureError: the repository cannot be reached.
    """
    remote = _origin(root, context)
    _fetch(root, remote, f"+refs/pull/{number}/head:{NAMESPACE}/{number}/head", f"+refs/heads/{base_ref}:{NAMESPACE}/{number}/base")
    try:
        _fetch(root, remote, f"+refs/pull/{number}/merge:{NAMESPACE}/{number}/merge")
    except InputError:
        git.run(root, "update-ref", "-d", f"{NAMESPACE}/{number}/merge")  # a conflict with the base: GitHub makes none


def fetch_commit(root: Path, context: RunContext, commit: str) -> bool:
    """Fetch one commit by its SHA. Whether the repository still has it. Raises InfrastructureError."""
    try:
        _fetch(root, _origin(root, context), commit)
    except InputError:
        return False
    return git.commit(root, commit) is not None


def judged(root: Path, number: int, what: str) -> str | None:
    """SHA of the `head`, `merge` or `base` that was fetched; None where there was none."""
    return git.commit(root, f"{NAMESPACE}/{number}/{what}")


def _origin(root: Path, context: RunContext) -> Remote:
    url = git.try_text(root, "remote", "get-url", "origin")
    if not url:
        raise InputError("git: no remote 'origin'; check out the repository with actions/checkout, without a ref")
    return remote_of(root, context, url)


def _fetch(root: Path, remote: Remote, *refspecs: str) -> None:
    """Raises InputError where the repository has no such thing, InfrastructureError where it cannot be asked."""
    options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance")
    environ = git_token.environment([*remote.access, ("core.hooksPath", os.devnull)])
    try:
        git.run(root, "fetch", *options, "--", remote.url, *refspecs, env=environ, timeout_s=TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")
        if "couldn't find remote ref" in said or "not our ref" in said or "no such remote ref" in said.lower():
            raise InputError(
                f"git: {remote.shown} has no {refspecs[0].removeprefix('+').partition(':')[0]} any more; push again, for a new run"
            ) from None
        lines = remote.hidden_in(said).splitlines()
        line = next((line for line in lines if line.startswith(("fatal:", "error:", "remote:"))), "no reason given")
        raise InfrastructureError(f"git: {remote.shown} cannot be fetched from: {line[:300]}") from None
