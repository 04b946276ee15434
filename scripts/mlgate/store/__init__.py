"""The durable state of a model: small named records that outlive the runner. A Git ref on GitHub, a folder on a laptop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.store.folder import FolderStore
from mlgate.store.git_ref import GitRefStore, remote_of

__all__ = ["Store", "open_store"]


class Store(Protocol):
    """Records by name (`evaluations/<commit>.json`), written together or not at all."""

    @property
    def description(self) -> str:
        """Where it is, in words a user understands and without credentials."""

    def read(self, name: str) -> bytes | None:
        """One record; None where there is none. Raises InfrastructureError when the store cannot be reached."""

    def names(self, prefix: str = "") -> list[str]:
        """Names of all records that begin with `prefix`, sorted. Raises InfrastructureError."""

    def write(self, records: Mapping[str, bytes], message: str) -> None:
        """Add or replace records, all of them in one step; writers that come at the same time lose nothing.

        Raises:
            InputError: a name no record can have, or a record larger than the store takes.
            InfrastructureError: the store cannot be reached, or refuses the write (the message names the permission).
        """


def open_store(setting: str | None, *, root: Path, model: str, context: RunContext, environ: Mapping[str, str] | None = None) -> Store:
    """The store of one model. Nothing is asked of the network before the first record is.

    Args:
        setting: `store` of mlgate.yaml: `git`, a folder (absolute, or relative to `root`), or None for the Git ref on GitHub and
            the folder `.mlgate/store` elsewhere. Where a pull request is judged, take it from the rules of the baseline: the
            candidate must not choose whose evaluations it is compared with.
        root: the working directory.
        model: name of the model.
        context: the run; its token is what the Git ref is written with.
        environ: for MLGATE_STORE_URL, the URL of another repository for the Git ref; this process's by default.

    Raises:
        InputError: the setting names a kind of store there is not, or the Git ref has no repository to be in.
    """
    if setting is None:
        setting = "git" if context.is_github else ".mlgate/store"
    if setting == "git":
        url = (os.environ if environ is None else environ).get("MLGATE_STORE_URL")
        return GitRefStore(remote_of(root, context, url), model)
    if "://" in setting:
        kind = setting.partition("://")[0]
        raise InputError(f"mlgate.yaml: store: '{kind}://' is not supported in this version; expected `git` or the path of a folder")
    return FolderStore(root / Path(setting).expanduser() / model)
