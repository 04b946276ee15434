"""Parameters of a workflow's form (MLGATE_PARAMS, `key=value` lines) written into the parameter files, once and for all stages."""

from __future__ import annotations

import os

from mlgate.training import params
from mlgate.workspace import Workspace


def apply(workspace: Workspace) -> list[params.Override]:
    """Write what MLGATE_PARAMS asks for; the text is data all the way, no shell sees it. Doing it again changes nothing.

    Raises:
        InputError: a line is no assignment, a key is in no file, or a value is of another kind than the one there.
    """
    text = os.environ.get("MLGATE_PARAMS", "")
    if not text.strip():
        return []
    asked = params.overrides(text, workspace.root, workspace.config.params)
    params.apply(asked, workspace.root)
    return asked
