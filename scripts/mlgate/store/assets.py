"""Pictures for comments, on the branch `mlgate-assets` of the user's repository: there is no API that attaches one to a comment.

The branch has no history: each write is a commit without a parent that takes the last one's place, so that pictures which were dropped are
gone from the repository, too. One folder a head commit; only the newest stay. Written by ordinary git, with the same care about token,
hooks and racing writers as the store (`git_ref`).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping

from mlgate.errors import InfrastructureError
from mlgate.store.git_ref import GitRefStore, Remote, _Trouble

BRANCH = "mlgate-assets"
FOLDERS_KEPT = 50
"""Commits whose pictures stay: those of pull requests that somebody still looks at."""
WRITE_PATIENCE_S = 30.0
_INDEX = "folders.txt"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class AssetsBranch(GitRefStore):
    """The branch of one repository."""

    def __init__(self, remote: Remote, branch: str = BRANCH, folders_kept: int = FOLDERS_KEPT) -> None:
        super().__init__(remote, "assets")
        self._ref = f"refs/heads/{branch}"
        self._folders_kept = folders_kept

    def publish(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Add files to a folder, which becomes the newest; the oldest folders beyond those kept go.

        Args:
            folder: SHA of the commit the files are about.
            files: content by name; a name should change with its content, since pages are cached.

        Raises:
            InfrastructureError: the remote cannot be reached or refuses the push, or others were faster for too long.
            ValueError: a name that is none.
        """
        for name in (folder, *files):
            if not _NAME.fullmatch(name):
                raise ValueError(f"no name for a file of a branch: {name[:200]!r}")
        added = {f"{folder}/{name}": f"100644 {self._put(content)}" for name, content in files.items()}
        deadline = time.monotonic() + WRITE_PATIENCE_S
        while True:
            there = self._fetched()
            if all(there.get(name) == entry for name, entry in added.items()):
                return
            entries = self._pruned({**there, **added}, folder)
            if self._push(self._commit(entries, f"pictures of {folder[:12]}")):
                self._forget()
                return
            if time.monotonic() > deadline:
                raise InfrastructureError(f"{self.description}: others kept writing for {WRITE_PATIENCE_S:.0f} s; run it again")
            time.sleep(random.uniform(0.1, 1))  # noqa: S311 -- spreads writers, guards nothing
            self._forget()

    def _forget(self) -> None:
        """Have the branch fetched anew; unlike a store's, its old tip is not in its history."""
        self._tip = self._entries = None

    def _commit(self, entries: Mapping[str, str], message: str) -> str:
        """A commit that knows no earlier one."""
        tip, self._tip = self._tip, None
        try:
            return super()._commit(entries, message)
        finally:
            self._tip = tip

    def _push(self, commit: str) -> bool:
        """Whether the remote took the commit in the place of the very one that we saw."""
        lease = f"--force-with-lease={self._ref}:{self._tip or ''}"
        arguments = ("push", "--quiet", "--no-verify", lease, "store", f"{commit}:{self._ref}")
        return self._over_network("write", *arguments, but=_Trouble.OVERTAKEN) is not None

    @property
    def description(self) -> str:
        return f"branch {self._ref.removeprefix('refs/heads/')} of {self._remote.shown}"

    def _pruned(self, entries: Mapping[str, str], newest: str) -> dict[str, str]:
        """What stays, with the order of folders written down: a tree has none."""
        there = {name.partition("/")[0] for name in entries if "/" in name}
        listed = (self.read_index() if _INDEX in entries else "").split()
        order = [*(one for one in dict.fromkeys(listed) if one in there and one != newest), newest]
        kept = [*sorted(there - set(order)), *order][-self._folders_kept :]
        index = self._put("".join(f"{one}\n" for one in kept).encode())
        return {name: entry for name, entry in entries.items() if name.partition("/")[0] in kept} | {_INDEX: f"100644 {index}"}

    def read_index(self) -> str:
        """Folders there are, the oldest first, one a line."""
        entry = self._fetched().get(_INDEX)
        found = self._over_network("read", "cat-file", "blob", entry.split()[1]) if entry else None
        return (found or b"").decode("utf-8", "replace")
