"""Predictions and metric files that an earlier run left in the workspace: another model's, and no word about this one.

A self-hosted runner keeps its workspace, and a checkout with `clean: false` keeps what Git does not track.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mlgate import git
from mlgate.errors import InputError
from mlgate.evidence import TrainFindings
from mlgate.stages.revisions import inputs
from mlgate.workspace import Workspace

_FILE_SYSTEMS_ROUND_S = 2


def refuse(workspace: Workspace, environ: Mapping[str, str]) -> list[str]:
    """Refuse files of the evaluation that lay there before this run made anything.

    What a DVC pipeline makes is left alone: DVC keeps a file that is as the pipeline would make it, and makes any other again.

    Returns:
        A remark for a file that Git tracks and nobody wrote anew: it is the commit's own, but perhaps not meant.

    Raises:
        InputError: a file is a leftover; the message says what should have written it.
    """
    train = workspace.evidence("train")
    if train is not None and isinstance(train.findings, TrainFindings):
        began, what = train.started_at.timestamp(), "training began"
        has_pipeline = bool(train.findings.pipeline) or train.findings.is_reused
    elif workspace.context.is_github and (job := _job_began(environ)) is not None:
        began, what, has_pipeline = job, "this job began", True
    else:
        return []
    older = [path for path in workspace.evaluation_files if _is_older(workspace.root / path, began)]
    remarks = []
    for path in _not_of_dvc(workspace.root, older) if older and has_pipeline else older:
        if not _is_tracked(workspace.root, path):
            raise InputError(f"{path}: written before {what}, so it is left over from an earlier run; {_advice(what, has_pipeline)}")
        if what == "training began" and not has_pipeline:
            remarks.append(f"{path} is in Git and was not written by the training command")
    return remarks


def _advice(what: str, has_pipeline: bool) -> str:
    if what == "this job began":
        return "does a step of this job write it?"
    return "name it among the outputs of the pipeline" if has_pipeline else "does the training command write it?"


def not_written_since(root: Path, paths: Iterable[str], began: float) -> list[str]:
    """Those that lay there before, in seconds since 1970, and that no commit has: a training that was to write them wrote none."""
    older = [path for path in paths if _is_older(root / path, began)]
    return [path for path in older if not _is_tracked(root, path)]


def _is_tracked(root: Path, path: str) -> bool:
    return git.try_text(root, "ls-files", "--error-unmatch", "--", f":(literal){path}") is not None


def _is_older(path: Path, began: float) -> bool:
    try:
        return path.stat().st_mtime < began - _FILE_SYSTEMS_ROUND_S
    except OSError:
        return False  # whoever reads it says what is wrong


def _job_began(environ: Mapping[str, str]) -> float | None:
    """The runner writes the event file when it takes up a job."""
    try:
        return Path(environ["GITHUB_EVENT_PATH"]).stat().st_mtime
    except (KeyError, OSError):
        return None


def _not_of_dvc(root: Path, paths: list[str]) -> list[str]:
    """Those that no `.dvc` file and no pipeline makes; none where that cannot be told."""
    top = git.toplevel(root)
    if top is None:
        return []
    made = inputs.made_by_dvc(inputs.Tree.at(top, None))
    if made is None:
        return []
    prefix = root.relative_to(top.resolve()).as_posix()
    return [path for path in paths if not any(inputs.touch(_joined(prefix, path), one) for one in made)]


def _joined(prefix: str, path: str) -> str:
    return path if prefix == "." else f"{prefix}/{path}"
