"""Data as it was at the baseline commit: out of DVC's cache, its remote, or Git's tree, into a temporary folder. Nothing is checked out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from mlgate import git
from mlgate.data import checkout
from mlgate.errors import InfrastructureError
from mlgate.evaluation.dvc_history import History, NotThereError, NotTrackedError, open_history
from mlgate.evidence import DataRef

Source = Literal["dvc outputs", "git"]
_AT_ONCE_BYTES = 64 * 2**20


class EarlierData:
    """The data of one commit, fetched when it is asked for."""

    def __init__(self, root: Path, commit: str, history: History | None, history_note: str, folder: Path) -> None:
        self._root, self._commit, self._folder = root, commit, folder
        self._history, self._history_note = history, history_note
        self._fetched: dict[str, Source] = {}

    @property
    def folder(self) -> Path:
        """Where fetched data lies, under the path it has in the working directory."""
        return self._folder

    def is_unchanged(self, now: DataRef) -> bool:
        """Whether the data was the very same; False where nobody knows."""
        if self._history is not None:
            try:
                md5 = self._history.md5(now.path)
            except NotThereError:
                return False
            if md5 is not None:
                return f"md5:{md5}" == now.hash
        if now.tracked_by == "dvc":
            return False
        there = git.try_text(self._root, "rev-parse", "--verify", "--quiet", f"{self._commit}:./{now.path}")
        unchanged = git.try_text(self._root, "diff", "--quiet", self._commit, "--", f":(literal){now.path}")
        untracked = git.try_text(self._root, "ls-files", "--others", "--", f":(literal){now.path}")
        return bool(there) and unchanged is not None and not untracked

    def fetch(self, path: str) -> Source:
        """Have a file or folder below `folder`.

        Raises:
            NotThereError: it is not to be had; the message says why.
            InfrastructureError: the disk refuses.
        """
        if path not in self._fetched:
            try:
                self._fetched[path] = self._fetch(path)
            except OSError as error:
                raise InfrastructureError(f"{self._folder}: {path} of the baseline cannot be written: {error.strerror}") from None
        return self._fetched[path]

    def _fetch(self, path: str) -> Source:
        if self._history is not None:
            try:
                self._history.fetch_all(path, self._folder)
            except NotTrackedError:
                self._history.check_current(path)
            else:
                return "dvc outputs"
        listed = git.try_text(self._root, "ls-tree", "-r", "-l", "-z", self._commit, "--", f"./{path}") or ""
        files = [(*described.split()[2:], name) for described, _, name in (line.partition("\t") for line in listed.split("\0")) if name]
        if not files:
            reason = f"; {self._history_note}" if self._history_note else ""
            raise NotTrackedError(f"{path} is neither in DVC nor in Git at {self._commit[:12]}{reason}")
        for batch in _batches(files):
            contents = git.blobs(self._root, [oid for oid, _, _ in batch])
            for (_, _, name), content in zip(batch, contents, strict=True):
                self._write(name, content)
        return "git"

    def _write(self, name: str, content: bytes | None) -> None:
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise NotThereError(f"{name} at {self._commit[:12]} lies outside the working directory")
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            raise NotThereError(f"{name} cannot be read from Git at {self._commit[:12]}")
        if checkout.is_lfs_pointer(content):
            raise NotThereError(f"{name} at {self._commit[:12]} is in Git LFS, which is not read")
        target.write_bytes(content)


def _batches(files: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """Files, each as (id, size, name), as many at once as memory holds without a thought: a process for each would take minutes."""
    batch: list[tuple[str, ...]] = []
    held = 0
    for one in files:
        size = int(one[1]) if one[1].isdecimal() else 0  # a submodule has none
        if batch and held + size > _AT_ONCE_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(one)
        held += size
    if batch:
        yield batch


@contextmanager
def open_earlier(root: Path, commit: str, remote: str | None) -> Iterator[EarlierData]:
    """The data of a commit; what was fetched is gone afterwards.

    Args:
        root: the working directory.
        commit: one this clone has.
        remote: name of the DVC remote; None for the default one.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlgate-earlier-")))
        history, note = None, ""
        try:
            history = stack.enter_context(open_history(root, commit, remote))
        except NotTrackedError:
            pass  # no DVC here
        except NotThereError as error:
            note = str(error)
        yield EarlierData(root, commit, history, note, folder)
