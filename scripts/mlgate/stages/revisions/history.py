"""History that a shallow checkout left out, fetched from origin when it is needed; tried once, and never by asking anybody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mlgate import git, git_token
from mlgate.console import Console, plain
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError

TIMEOUT_S = 300.0
_tried: set[Path] = set()


def deepen(root: Path, context: RunContext) -> bool:
    """Fetch what is missing of a shallow clone's history, with the token of this run where there is one.

    A job without a token, whose checkout kept none either, reaches public repositories only; a private one refuses, and nobody is asked
    for a password.

    Returns:
        Whether there is more history now.
    """
    top = git.toplevel(root)
    if top is None or top in _tried or not git.is_shallow(root) or not (url := git.try_text(root, "remote", "get-url", "origin")):
        return False
    _tried.add(top)
    console = Console()
    with console.progress("fetching the history that this shallow checkout lacks"):
        try:
            git.run(root, "fetch", "--quiet", "--unshallow", "--no-tags", "origin", env=environment(url, context), timeout_s=TIMEOUT_S)
        except (subprocess.CalledProcessError, InfrastructureError) as error:
            reason = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else str(error)
            last = next((line for line in reversed(reason.splitlines()) if line.strip()), "")
            if context.token:
                last = last.replace(context.token, "***")
            console.line(f"  the history that this shallow checkout lacks cannot be fetched: {plain(git.without_credentials(last))[:200]}")
            return False
    console.line("  fetched the history that this shallow checkout lacked; `fetch-depth: 0` does so at once")
    return True


def fetch(root: Path, context: RunContext, wanted: str) -> bool:
    """Fetch one tag (as a refspec) or commit from origin, for a clone that lacks it; as `deepen` does, without asking anybody.

    Returns:
        Whether origin gave it.
    """
    top = git.toplevel(root)
    if top is None or wanted.startswith("-") or not (url := git.try_text(root, "remote", "get-url", "origin")):
        return False
    depth = ["--depth=1"] if git.is_shallow(root) else []
    try:
        git.run(root, "fetch", "--quiet", "--no-tags", *depth, "origin", wanted, env=environment(url, context), timeout_s=TIMEOUT_S)
    except (subprocess.CalledProcessError, InfrastructureError):
        return False
    return True


def environment(url: str, context: RunContext) -> dict[str, str]:
    """Variables that keep git from asking anybody, and let it in at the run's own server."""
    quiet = {
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GCM_INTERACTIVE": "never",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND") or "ssh -oBatchMode=yes -oConnectTimeout=20",
    }
    given = git_token.authorization(url, context)
    return quiet if given is None else {**quiet, **git_token.environment(git_token.header(url, given))}
