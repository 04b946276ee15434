"""Where DVC's cache lies in GitHub Actions: outside the workspace, which `actions/checkout` cleans away on self-hosted runners."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from mlgate.data import credentials
from mlgate.errors import InfrastructureError


def share(environ: MutableMapping[str, str]) -> Path | None:
    """Have every DVC started from here, ours and the user's, keep its cache outside the workspace, and know the job's credentials.

    The way is DVC's own: a system-level configuration (`DVC_SYSTEM_CONFIG_DIR`), the weakest of all, so that a cache the user
    configured anywhere wins and no file of the user's is changed. Commands of the user's inherit the variable, so that `dvc repro`
    finds what was pulled. Only in GitHub Actions, or where MLGATE_DVC_CACHE asks for it; never where a system-level configuration
    exists already.

    Args:
        environ: of this process; DVC_SYSTEM_CONFIG_DIR is set in it.

    Returns:
        The cache folder, or None where nothing was changed.

    Raises:
        InputError: DVC_CONFIG of the job's secret is wrong.
        InfrastructureError: the folder cannot be written.
    """
    credentials.hand_over(environ)
    folder = _folder(environ)
    if folder is None or environ.get("DVC_SYSTEM_CONFIG_DIR") or _has_system_configuration():
        return None
    configuration = folder / "mlgate" / "config"
    text = f"[cache]\n    dir = {folder}\n"
    try:
        configuration.parent.mkdir(parents=True, exist_ok=True)
        if not configuration.is_file() or configuration.read_text() != text:
            aside = configuration.with_name(f"config.{os.getpid()}")
            aside.write_text(text)
            aside.replace(configuration)
    except OSError as error:
        raise InfrastructureError(
            f"{folder}: DVC's cache cannot be kept there: {error.strerror}; set MLGATE_DVC_CACHE to a folder that can"
        ) from None
    environ["DVC_SYSTEM_CONFIG_DIR"] = str(configuration.parent)
    return folder


def _folder(environ: MutableMapping[str, str]) -> Path | None:
    if chosen := environ.get("MLGATE_DVC_CACHE"):
        return Path(chosen).absolute()
    tools = environ.get("RUNNER_TOOL_CACHE")
    if environ.get("GITHUB_ACTIONS") == "true" and tools:
        return Path(tools).absolute() / "mlgate" / "dvc-cache"
    return None


def _has_system_configuration() -> bool:
    return any(Path(folder, "dvc", "config").is_file() for folder in (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep))
