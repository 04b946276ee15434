"""Evidence that other jobs of this run left as artifacts, merged into the state folder. Its content is untrusted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from mlgate.errors import InputError

MAX_FILE_BYTES = 2_000_000_000
# What the job `verdict` decides and says. Jobs that run code of the pull request have no word in it.
_OF_THE_VERDICT = frozenset({"evidence/gate.json", "evidence/report.json"})


def artifact_name(model: str, job: str, attempt: int) -> str:
    """Name of the artifact with which a job of a run hands on its evidence."""
    return f"mlgate-{model}-{job}-{attempt}"


def job_of(name: str, model: str) -> str | None:
    """Which job of the model's an artifact is of; None for one of another model (`mlgate-a-b-train-1` is none of `a`)."""
    match = _pattern(model).fullmatch(name)
    return match["job"] if match else None


def _pattern(model: str) -> re.Pattern[str]:
    return re.compile(rf"mlgate-{re.escape(model)}-(?P<job>data|train|verdict)-(?P<attempt>[1-9][0-9]{{0,5}})")


def collect(downloaded: Path, state: Path, model: str, attempt: int) -> list[str]:
    """Merge the artifacts `mlgate-<model>-<job>-<attempt>` below `downloaded` into the state folder.

    Of each job the newest attempt not above `attempt` is taken: a re-run of failed jobs uses what the jobs that passed left the
    first time. Only plain files below `evidence/` and `files/` are taken, none replaces a file that this job has already, and evidence
    of the gate and the report is left where it is.

    Args:
        downloaded: folder with one folder an artifact, named like it, or with the content of the only one; may be absent.
        state: the state folder of the model.
        model: name of the model.
        attempt: attempt of this run, from 1.

    Returns:
        Names of the artifacts that were used.

    Raises:
        InputError: an artifact holds links or a file of more than 2 GB.
    """
    pattern = _pattern(model)
    newest: dict[str, tuple[int, Path]] = {}
    if any((downloaded / part).is_dir() for part in ("evidence", "files")):
        # download-artifact makes a folder an artifact only where it found more than one.
        newest["only"] = (attempt, downloaded)
    for folder in sorted(downloaded.iterdir()) if downloaded.is_dir() else []:
        match = pattern.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink() and int(match["attempt"]) <= attempt:
            newest[match["job"]] = max(newest.get(match["job"], (0, folder)), (int(match["attempt"]), folder))
    for _, folder in newest.values():
        for part in ("evidence", "files"):
            if (folder / part).is_symlink():
                raise InputError(f"{folder.name}: {part} is no plain folder; such an artifact is refused")
            for source in sorted((folder / part).rglob("*")):
                _take(source, folder, state)
    return sorted(folder.name for _, folder in newest.values())


def _take(source: Path, folder: Path, state: Path) -> None:
    name = source.relative_to(folder)
    if source.is_symlink() or not (source.is_file() or source.is_dir()):
        raise InputError(f"{folder.name}: {name.as_posix()} is no plain file; such an artifact is refused")
    if source.is_dir() or "/".join(name.parts[:2]).lower() in _OF_THE_VERDICT:
        return
    if source.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{folder.name}: {name.as_posix()} is larger than {MAX_FILE_BYTES:,} bytes; such an artifact is refused")
    target = state / name
    if not target.exists() and not target.is_symlink():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise InputError(f"{folder.name}: {name.as_posix()} cannot be taken: {error.strerror}; such an artifact is refused") from None
