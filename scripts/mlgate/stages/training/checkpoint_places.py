"""Where a training's checkpoints are kept: what `train.checkpoints.store` names, else the DVC remote, else a folder of this machine."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgate.data import cache, dvc_log, pull
from mlgate.data.tracking import dvc_root
from mlgate.errors import MlgateError
from mlgate.git import without_credentials
from mlgate.stages.job import secret_env
from mlgate.training.checkpoints.places import FolderPlace, Place, RemotePlace
from mlgate.training.checkpoints.series import FOLDER
from mlgate.workspace import Workspace

_KEPT_HERE_S = 30 * 86400.0
_OURS = {"az": "azure"}
"""Schemes of addresses that DVC calls otherwise."""


class _UnusableError(Exception):
    """Why a place is none for checkpoints, in a line."""


@dataclass(frozen=True)
class Places:
    here: FolderPlace
    """Of this machine; or the only one."""
    store: Place | None
    remarks: list[str] = field(default_factory=list)
    """Why it is not where one would expect it."""
    refusal: str = ""
    """Why what `train.checkpoints.store` names is no place for them; empty where it is, or names none."""


def find(workspace: Workspace) -> Places:
    """Where checkpoints go. A place that cannot be used is no reason not to train: then it is this machine, and said so."""
    settings = workspace.config.train and workspace.config.train.checkpoints
    wanted = settings.store if settings else None
    if wanted is not None and (folder := _folder(workspace.root, wanted)) is not None:
        return Places(FolderPlace(folder, f"folder {wanted}"), None, _gone_with_checkout(workspace, folder, wanted))
    machine = machine_folder(workspace, os.environ)
    here = FolderPlace(machine, f"{machine} on this machine", is_synced=False)
    try:
        found = _address(wanted) if wanted is not None else _dvc_remote(workspace)
    except ModuleNotFoundError:
        why = f"mlgate was installed without what {wanted or 'the DVC remote'} needs"
    except (MlgateError, _UnusableError) as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 -- whatever DVC or a client says of its settings; it becomes a remark
        why = f"{wanted or 'the DVC remote'}: {explained(error)}"
    else:
        if isinstance(found, FolderPlace):
            return Places(found, None)
        if found is not None:
            return Places(here, found)
        why = "there is no DVC remote"
    refusal = why if wanted is not None else ""
    return Places(here, None, [f"{why}: checkpoints are kept on this machine, and no other can go on from them"], refusal)


def explained(error: Exception) -> str:
    """An error of a store's client in a line, without credentials."""
    reason = dvc_log.reason([error])
    text = reason.text if reason else type(error).__name__
    if reason and reason.kind == "missing":
        text = f"not found: {text}"
    return secret_env.hidden(text, os.environ)


def machine_folder(workspace: Workspace, environ: Mapping[str, str]) -> Path:
    """A folder that outlives the job: of the runner's tool cache, else of the user's cache; else of the workspace."""
    tools = environ.get("RUNNER_TOOL_CACHE") if environ.get("GITHUB_ACTIONS") == "true" else None
    cached = tools or environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else None)
    if cached:
        folder = Path(cached).absolute() / "mlgate"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    return workspace.root / ".mlgate"


def forget_old(here: FolderPlace, model: str, key: str, now: float | None = None) -> None:
    """Remove from a machine's folder what nothing was written to for a month. A place that the user chose is left alone."""
    oldest = (time.time() if now is None else now) - _KEPT_HERE_S
    with suppress(OSError):
        for folder in (here.path / FOLDER / model).iterdir():
            if folder.name != key and re.fullmatch(r"[0-9a-f]{64}", folder.name) and _newest(folder) < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _newest(folder: Path) -> float:
    return max(os.lstat(at).st_mtime for at, _, _ in os.walk(folder))


def _folder(root: Path, store: str) -> Path | None:
    """The folder that a store is; None where it is an address."""
    if store.startswith("file://"):
        return Path(store.removeprefix("file://"))
    return None if "://" in store else Path(os.path.normpath(root / Path(store).expanduser()))


def _gone_with_checkout(workspace: Workspace, folder: Path, store: str) -> list[str]:
    if workspace.context.is_github and folder.is_relative_to(workspace.root):
        return [f"train.checkpoints.store: {store} is a folder of the checkout, which the next job does not have; name one outside of it"]
    return []


def _address(url: str) -> Place:
    """Raises whatever DVC or a client raises."""
    from dvc.fs import get_cloud_fs

    cache.share(os.environ)
    scheme, _, rest = url.partition("://")
    cls, settings, path = get_cloud_fs({}, url=f"{_OURS.get(scheme, scheme)}://{rest}")
    return _place(cls, settings, path, without_credentials(url))


def _dvc_remote(workspace: Workspace) -> Place | None:
    """None: there is no remote. Raises whatever DVC or a client raises."""
    repository = dvc_root(workspace.root)
    if repository is None:
        return None
    cache.share(os.environ)
    from dvc.fs import get_cloud_fs

    with pull.opened(repository) as repo:
        name = pull.remote_name(repo, workspace.config.data.remote)
        if name is None:
            return None
        url = without_credentials(str(repo.config["remote"][name]["url"]))
        cls, settings, path = get_cloud_fs(repo.config, name=name)
    return _place(cls, settings, path, f"remote '{name}' ({url})")


def _place(cls: Any, settings: dict[str, Any], path: str, shown: str) -> Place:
    if cls.protocol == "local":
        return FolderPlace(Path(path), shown)
    if str(cls.protocol).startswith("http"):
        raise _UnusableError(f"{shown}: cannot be listed; name another place in train.checkpoints.store")
    dvc_log.hush()
    for option in ("worktree", "version_aware"):
        settings.pop(option, None)
    return RemotePlace(cls(**settings), path.rstrip("/"), shown, explained)
