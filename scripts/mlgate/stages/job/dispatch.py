"""What the form of the `train.yml` workflow asks for: validated before anything runs, and the data revision put in place.

The form's text is data. It reaches Git and DVC as arguments that cannot be options, never a shell.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mlgate import git
from mlgate.console import plain
from mlgate.data.dvc_files import is_dvc_file
from mlgate.errors import InfrastructureError, InputError
from mlgate.mistakes import did_you_mean
from mlgate.training import params as training_params
from mlgate.workspace import Workspace

_DATA_REVISION = "data-revision.txt"


@dataclass(frozen=True)
class Plan:
    """What a dispatched run would do."""

    lines: list[str]
    """In words."""
    head_sha: str


def plan(workspace: Workspace, *, pull_request: str, data_revision: str, params: str) -> Plan:
    """Check a form against the commit that is checked out, and say what would run.

    Args:
        workspace: the model's folder at the commit the form names.
        pull_request: its number, or empty.
        data_revision: where data is taken from, or empty.
        params: `key=value` lines, or empty.

    Raises:
        InputError: not in a Git repository, a field of another form, a parameter no file has, or a revision this clone does not have.
    """
    if workspace.commit is None:
        raise InputError("the form names a commit of a Git repository, and this folder is in none; check one out first")
    if pull_request and not re.fullmatch(r"[1-9][0-9]{0,9}", pull_request):
        raise InputError(f"pull-request: expected its number, got '{plain(pull_request)[:40]}'")
    config = workspace.config
    overrides = training_params.overrides(params, workspace.root, config.params)
    what = f"pull request {pull_request} at {workspace.commit[:12]}" if pull_request else workspace.commit[:12]
    lines = [f"would train {config.model} of {what}: {config.train.command if config.train else 'nothing, there is no `train`'}"]
    if data_revision:
        revision = resolve(workspace.root, data_revision)
        tracked = data_files(workspace.root, revision)
        lines.append(f"with the data of {plain(data_revision)} ({revision[:12]}): {', '.join(tracked)}")
    lines += [f"with {override.key} = {override.value} in {override.path}" for override in overrides]
    return Plan(lines=lines, head_sha=workspace.commit)


def note_data_revision(workspace: Workspace, revision: str) -> None:
    """Have later stages of this job say whose data it is. Raises InputError, InfrastructureError."""
    noted = f"{plain(revision)[:80]} ({resolve(workspace.root, revision)[:12]})"
    try:
        (workspace.state / _DATA_REVISION).write_text(noted, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"{workspace.state}: cannot be written: {error.strerror}") from None


def noted_data_revision(workspace: Workspace) -> str | None:
    """The revision whose data was put in place for this job, for people; None where it is the commit's own."""
    try:
        return plain((workspace.state / _DATA_REVISION).read_text(encoding="utf-8"))[:120] or None
    except (OSError, UnicodeDecodeError):
        return None


def use_data_of(root: Path, revision: str) -> list[str]:
    """Put the `.dvc` files and dvc.lock of another revision into the working tree.

    Returns:
        Their paths, relative to `root`.

    Raises:
        InputError: no such revision, it tracks no data below `root`, or Git cannot write the files.
    """
    commit = resolve(root, revision)
    paths = data_files(root, commit)
    try:
        git.run(root, "checkout", "--quiet", commit, "--", *(f":(literal){path}" for path in paths))
    except subprocess.CalledProcessError as error:
        raise InputError(f"data-revision: git checkout: {plain(error.stderr.decode(errors='replace'))}") from None
    return paths


def data_files(root: Path, commit: str) -> list[str]:
    """Files of DVC's below `root` at a commit. Raises InputError where there are none."""
    listed = git.run(root, "ls-tree", "-r", "-z", "--name-only", commit, ".").decode("utf-8", "surrogateescape")
    found = [path for path in listed.split("\0") if is_dvc_file(path)]
    if not found:
        raise InputError(f"data-revision: {commit[:12]} tracks no data with DVC here; expected .dvc files or a dvc.lock")
    return found


def resolve(root: Path, revision: str) -> str:
    """Full SHA of a branch, tag or commit, as origin has it. Raises InputError."""
    if not revision.startswith("-"):
        for name in (f"refs/remotes/origin/{revision}", revision):
            if found := git.commit(root, name):
                return found
    listed = git.try_text(root, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin") or ""
    tags = git.try_text(root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags") or ""
    hint = did_you_mean(revision, [*listed.split(), *tags.split()])
    raise InputError(f"data-revision: no branch, tag or commit '{plain(revision)[:80]}' in this clone{hint}")
