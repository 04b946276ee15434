"""Pictures that a comment shows: pushed to the branch `mlgate-assets` of the repository, shown from there to whoever may read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlgate.context import RunContext
from mlgate.errors import InputError


def publish(files: Mapping[str, bytes], root: Path, context: RunContext) -> dict[str, str]:
    """Push pictures and say where they are.

    Args:
        files: content by name; the name changes with the content.
        root: the working directory, whose clone names the repository where there is no token.
        context: the run.

    Returns:
        Addresses by name. `…/blob/<branch>/…?raw=true` is redirected, with the reader's own rights, to where the picture is; an address of
        raw.githubusercontent.com would be broken in a private repository.

    Raises:
        InputError: there is no commit to file them under.
        InfrastructureError: the branch cannot be reached or written.
    """
    from mlgate.store.assets import BRANCH, AssetsBranch
    from mlgate.store.git_ref import remote_of

    if context.repository is None or context.head_sha is None:
        raise InputError("pictures: neither a repository on GitHub nor a commit to file them under")
    remote = remote_of(root, context, os.environ.get("MLGATE_ASSETS_URL") or None)
    AssetsBranch(remote).publish(context.head_sha, files)
    base = f"{context.server_url.rstrip('/')}/{context.repository}/blob/{BRANCH}/{context.head_sha}"
    return {name: f"{base}/{name}?raw=true" for name in files}
