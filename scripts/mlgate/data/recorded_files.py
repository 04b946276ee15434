"""Which content each file of a folder has by DVC's record: its listing of the folder, as `dvc add`, a pull or the pipeline left it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgate.data import objects, targets
from mlgate.data.pull import opened
from mlgate.data.tracking import dvc_root
from mlgate.errors import InputError


def recorded_files(root: Path, path: str) -> Mapping[str, str]:
    """MD5 of each file by its path relative to the folder.

    Args:
        root: the working directory.
        path: the folder, relative to it.

    Raises:
        InputError: DVC does not track the folder, or its listing is not in the cache.
    """
    repository = dvc_root(root)
    if repository is None:
        raise InputError(f"{path}: `hashes: dvc`, and this is no DVC repository")
    with opened(repository) as repo:
        found = targets.resolve([path], repo, root)
        if not found or found[0].output is None:
            raise InputError(f"{path}: `hashes: dvc`, and DVC does not track it: run 'dvc add {path}'")
        if found[0].dvc.hash_name != "md5":
            raise InputError(f"{path}: `hashes: dvc`, and a DVC before 3.0 recorded it: run 'dvc add {path}' again")
        listed = objects.listing(found[0], root)
    if listed is None:
        raise InputError(f"{path}: DVC's listing of the folder is not in its cache: run 'mlgate pull-data' first")
    return {name.removeprefix(f"{path}/"): md5 for name, md5 in listed.items()}
