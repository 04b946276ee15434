"""The few questions mlgate asks of a Git repository, answered by the git command; nothing here changes one."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mlgate import own_secrets
from mlgate.errors import InfrastructureError, InputError

# Set by git for its hooks. Our questions are about the folder we are asked about, also where a hook asks them.
_OF_A_HOOK = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
)


def run(
    root: Path, *arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None, timeout_s: float | None = None
) -> bytes:
    """Standard output of `git <arguments>` in `root`.

    Raises:
        subprocess.CalledProcessError: git said no; its `stderr` says why.
        InputError: the repository belongs to another user, and git refuses to work in it; or it is one that was committed.
        InfrastructureError: there is no git, or it took longer than `timeout_s`.
    """
    if "GIT_DIR" not in (env or {}):
        _refuse_committed_repository(root)
    # Of our secrets git needs none: whoever talks to a remote hands the token over in `env`.
    inherited = {name: value for name, value in own_secrets.without(os.environ).items() if name not in _OF_A_HOOK}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=root,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=True,
            timeout=timeout_s,
            env={**inherited, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(env or {})},
        ).stdout
    except subprocess.CalledProcessError as error:
        # Usual in container jobs. Taken for "no repository", it would switch off the baseline.
        if strangers := re.search(rb"dubious ownership in repository at '([^']*)'", error.stderr):
            where, command = strangers[1].decode(errors="replace"), "git config --global --add safe.directory '*'"
            raise InputError(f"{where}: the repository belongs to another user, so git does not touch it; run: {command}") from None
        raise
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"git {arguments[0]}: no end after {timeout_s:.0f} s; given up, run it again") from None
    except FileNotFoundError:
        raise InfrastructureError("git: not found on PATH; install it") from None


def _refuse_committed_repository(root: Path) -> None:
    """Git takes a folder with HEAD and objects for a bare repository and runs what its `config` names: a pull request can commit one.

    Looked for where git looks, up to the `.git` that nobody can commit. (`safe.bareRepository` is unknown to git before 2.38, and
    git's refusal would read as "no repository".)

    Raises:
        InputError: the folder, or one above it, is such a repository.
    """
    for folder in (root.absolute(), *root.absolute().parents):
        if os.path.lexists(folder / ".git"):
            return
        if os.path.lexists(folder / "HEAD") and (os.path.lexists(folder / "objects") or os.path.lexists(folder / "commondir")):
            raise InputError(f"{folder}: looks like a Git repository of its own (HEAD, objects); mlgate does not work in it: remove them")


def try_text(root: Path, *arguments: str) -> str | None:
    """Trimmed output of a git command, or None where git said no."""
    try:
        return run(root, *arguments).decode(errors="replace").strip()
    except subprocess.CalledProcessError:
        return None


def toplevel(root: Path) -> Path | None:
    """The working tree's top folder; None outside a repository."""
    found = try_text(root, "rev-parse", "--show-toplevel")
    return Path(found) if found else None


def commit(root: Path, revision: str = "HEAD") -> str | None:
    """Full SHA of a revision; None where there is no such commit."""
    if revision.startswith("-"):
        return None
    return try_text(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}") or None


def recorded_parents(root: Path, revision: str = "HEAD") -> list[str]:
    """SHAs of a commit's parents as the commit itself names them, also those that a shallow clone cut off."""
    content = try_text(root, "cat-file", "commit", revision) or ""
    header = content.partition("\n\n")[0]
    return [line.removeprefix("parent ") for line in header.splitlines() if line.startswith("parent ")]


def current_branch(root: Path) -> str | None:
    """Name of the branch that is checked out; None for a detached HEAD."""
    return try_text(root, "symbolic-ref", "--quiet", "--short", "HEAD") or None


def is_ancestor(root: Path, one: str, other: str) -> bool:
    """Whether `other` descends from `one`, or is it."""
    return try_text(root, "merge-base", "--is-ancestor", one, other) is not None


def merge_base(root: Path, one: str, other: str) -> str | None:
    """Best common ancestor; None where this clone knows none."""
    return try_text(root, "merge-base", one, other) or None


def is_shallow(root: Path) -> bool:
    return try_text(root, "rev-parse", "--is-shallow-repository") == "true"


def default_branch(root: Path) -> str | None:
    """Name of the default branch as far as this clone can tell: origin's HEAD, else a local main or master."""
    remote = try_text(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if remote:
        return remote.removeprefix("origin/")
    for name in ("main", "master"):
        if commit(root, f"refs/heads/{name}") or commit(root, f"refs/remotes/origin/{name}"):
            return name
    return None


def file_at(root: Path, revision: str, path: str) -> bytes | None:
    """Content of a file, `path` relative to `root`, at a commit; None where it was absent there."""
    try:
        return run(root, "cat-file", "blob", f"{revision}:./{path}")
    except subprocess.CalledProcessError:
        return None


def file_behind(root: Path, revision: str, path: str) -> bytes | None:
    """`file_at`, with links inside the repository followed as a checkout would; None where one leads out of it, or nowhere."""
    if "\n" in path:
        return file_at(root, revision, path)
    try:
        prefix = run(root, "rev-parse", "--show-prefix").removesuffix(b"\n")
        whole = posixpath.normpath(os.fsdecode(prefix) + path)
        found = run(root, "cat-file", "--batch", "--follow-symlinks", stdin=os.fsencode(f"{revision}:{whole}\n"))
    except subprocess.CalledProcessError:
        return None
    header, _, content = found.partition(b"\n")
    match = re.fullmatch(rb"[0-9a-f]{40,64} blob (\d+)", header)
    return content[: int(match[1])] if match else None


def blobs(root: Path, ids: Sequence[str]) -> list[bytes | None]:
    """Contents of files by their object ids, all from one process; None for one that is not to be had: a partial clone's, a submodule's."""
    output = run(root, "cat-file", "--batch", stdin="".join(f"{one}\n" for one in ids).encode())
    contents: list[bytes | None] = []
    at = 0
    for _ in ids:
        end = output.index(b"\n", at)
        header = output[at:end].split()  # `<id> <type> <size>`, or `<id> missing`
        at = end + 1
        if len(header) != 3:
            contents.append(None)
            continue
        size = int(header[2])
        contents.append(output[at : at + size] if header[1] == b"blob" else None)
        at += size + 1
    return contents


def without_credentials(url: str) -> str:
    """A URL, or text with some, with users, passwords and what stands in queries cut out, fit for a log."""
    return re.sub(r"(://[^\s?'\"]*\?)[^\s'\"]+", r"\1…", re.sub(r"(?<=://)[^/\s]*@", "", url))


def require_repository(root: Path) -> Path:
    """The working tree's top folder. Raises InputError outside a Git repository."""
    top = toplevel(root)
    if top is None:
        raise InputError(f"{root}: not inside a Git repository; run 'git init', or set working-directory")
    return top
