"""What the working tree has otherwise than the commit, of what reaches the model: on a laptop code is tried before it is committed, and a
form's parameters and data revision are written into files. Part of the key of checkpoints and results."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mlgate import git
from mlgate.data import checkout
from mlgate.data.dvc_files import locked_outputs
from mlgate.stages.revisions import inputs
from mlgate.workspace import Workspace

_CHUNK_BYTES = 1 << 20
_MOST_HASHED_BYTES = 256 * 2**20
"""Of a larger file that Git does not track its size and times tell that it changed."""
_MOST_LISTED = 20_000
_MOST_POINTER_BYTES = 1024
_OF_TOOLS = frozenset({"__pycache__", ".ipynb_checkpoints", ".mlgate", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


def changed(workspace: Workspace, but_for: Iterable[str] = (), data: Iterable[str] = (), *, is_lock_written: bool = True) -> dict[str, str]:
    """Hash of what is in the files that differ from the commit, or are in none and not ignored; by path relative to the repository's top.

    What Git does not look at counts, too: files it was told to take as unchanged, submodules whatever they are set to, what a filter may
    hide (pointers of LFS in the place of their contents), what a link that leads out of the repository shows there.

    Left out is what a training writes: dvc.lock and the outputs it records, predictions, metric files, `train.outputs`, the folder of
    checkpoints; and mlgate.yaml itself, whose settings count where they are used.

    Args:
        workspace: the model's, at a commit.
        but_for: more that is written, relative to the working directory.
        data: what is told apart by hashes of its own, relative to the working directory; links to it are not looked into.
        is_lock_written: whether the command has DVC make what it needs. Otherwise dvc.lock says what the training takes as it is, as
            a form's data revision does.

    Raises:
        InputError: not in a Git repository.
    """
    top = git.require_repository(workspace.root)
    folder = workspace.root.relative_to(top.resolve()).as_posix()
    config_path = posixpath.normpath(f"{folder}/{workspace.config_path}")
    tree = inputs.Tree.at(top, workspace.commit)
    scope = inputs.scope(tree, config_path)
    named = _differing(top)
    others = [name for name in _others(top) if not is_of_tools(name)]
    pinned = {posixpath.normpath(f"{folder}/{name}") for name in data}
    beyond = [name for name in tree.entries if tree.is_link(name) and not any(inputs.touch(name, one) for one in pinned)]
    hidden = {*_unfetched(tree), *_filtered(tree)}
    ours = {posixpath.normpath(f"{folder}/{name}") for name in (*written(workspace), *but_for)} | {config_path}
    for name in (*named, *others):
        if posixpath.basename(name) == "dvc.lock":
            if is_lock_written:
                ours.add(name)
            if (top / name).is_file():
                ours |= locked_outputs((top / name).read_bytes(), posixpath.dirname(name))
    found = {}
    for path in sorted({name.rstrip("/") for name in (*named, *others)} | hidden | {name for name in beyond if _leads_out(top, name)}):
        if not lies_in(path, ours) and scope.reason(path) is not None:
            found[path] = content(top / path, top)
    return found


def _differing(top: Path) -> list[str]:
    """Tracked files that are not as the commit has them, or of which Git was told not to look whether they are."""
    flagged = (entry for entry in _names(git.run(top, "ls-files", "-v", "-z")) if entry[0].islower() or entry[0] == "S")
    settings = ("-c", "core.checkStat=default", "-c", "core.trustctime=true", "-c", "core.fsmonitor=false")  # times can be set back
    named = _names(git.run(top, *settings, "diff", "--name-only", "-z", "--no-renames", "--ignore-submodules=none", "HEAD"))
    return [*named, *(entry[2:] for entry in flagged)]


def _others(top: Path) -> list[str]:
    """Files that are in no commit and not ignored; of a repository inside, its folder."""
    return [name.rstrip("/") for name in _names(git.run(top, "ls-files", "-z", "--others", "--exclude-standard"))]


def _unfetched(tree: inputs.Tree) -> Iterator[str]:
    """Submodules that are not there; Git calls that no difference."""
    return (path for path in tree.entries if tree.is_submodule(path) and not (tree.top / path / ".git").exists())


def _filtered(tree: inputs.Tree) -> Iterator[str]:
    """Files that a filter stands before, as Git compares what the filter makes of them; of LFS only those whose content was not fetched.
    `.git/info/attributes` and the user's own file name filters, too."""
    asked = b"\0".join(os.fsencode(path) for path in tree.entries)
    said = list(_names(git.run(tree.top, "check-attr", "-z", "--stdin", "filter", stdin=asked)))
    for path, value in zip(said[::3], said[2::3], strict=True):
        if value not in ("unspecified", "unset") and (value != "lfs" or _is_pointer(tree.top / path)):
            yield path


def _is_pointer(path: Path) -> bool:
    try:
        return path.stat().st_size <= _MOST_POINTER_BYTES and checkout.is_lfs_pointer(path.read_bytes())
    except OSError:
        return False


def _leads_out(top: Path, path: str) -> bool:
    """Whether a link shows what is not in the repository."""
    try:
        return not (top / path).resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):  # a circle
        return False


def written(workspace: Workspace) -> Iterator[str]:
    """Paths that a training writes, relative to the working directory."""
    yield from workspace.evaluation_files
    train = workspace.config.train
    if train is not None:
        yield from filter(None, [*train.outputs, train.progress, train.checkpoints.path if train.checkpoints else None])


def content(path: Path, top: Path) -> str:
    """What is at a path in a repository, in a word that another content has otherwise."""
    try:
        if path.is_symlink():
            target = f"link to {os.fsencode(path.readlink()).decode(errors='backslashreplace')}"
            return f"{target}: {_beyond(path.resolve())}" if _leads_out(top, os.path.relpath(path, top)) else target
        if path.is_dir():
            return _repository(path)
        return _file(path)
    except FileNotFoundError:
        return "gone"
    except (OSError, RuntimeError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"


def content_beyond(path: Path) -> str:
    """The same of what lies outside of the repository."""
    try:
        return _beyond(path.resolve())
    except FileNotFoundError:
        return "gone"
    except (OSError, RuntimeError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"


def lies_in(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of some, or below one."""
    return path in places or any(path.startswith(f"{place}/") for place in places)


def is_of_tools(path: str) -> bool:
    """Whether it is what Python, or a tool, leaves beside code."""
    return not _OF_TOOLS.isdisjoint(path.split("/"))


def _file(path: Path) -> str:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return "no file"
    if status.st_size > _MOST_HASHED_BYTES:
        return f"{status.st_size} bytes of {status.st_mtime_ns}, {status.st_ctime_ns}"
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _repository(path: Path) -> str:
    """A repository inside this one: its commit, and what it has otherwise."""
    if not (path / ".git").exists():
        return "not fetched"
    commit = git.try_text(path, "rev-parse", "HEAD")
    names = sorted({*(_differing(path) if commit else ()), *_others(path)})
    state = [str(commit), *(f"{name} {content(path / name, path)}" for name in names)]
    return f"repository {_digest(state)}"


def _beyond(target: Path) -> str:
    """What lies outside: of a file its content, of a folder names, sizes and times."""
    if not target.is_dir():
        return _file(target)
    listed: list[str] = []
    for at, folders, names in os.walk(target):
        folders.sort()
        for name in sorted(names):
            status = Path(at, name).lstat()
            listed.append(f"{os.path.relpath(at, target)}/{name} {status.st_size} {status.st_mtime_ns}")
        if len(listed) > _MOST_LISTED:
            break
    return f"folder {_digest(listed)}"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogateescape")).hexdigest()


def _names(listed: bytes) -> Iterator[str]:
    return (os.fsdecode(name) for name in listed.split(b"\0") if name)
