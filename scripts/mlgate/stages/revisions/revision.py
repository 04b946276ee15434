"""A model's folder as it is at a commit, or in the working tree, read without checking anything out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlgate import config as configuration
from mlgate import git
from mlgate.config import Config
from mlgate.errors import InputError


@dataclass(frozen=True)
class Revision:
    """The working directory at one point of its history."""

    root: Path
    commit: str | None
    """None: the working tree as it lies on the disk."""

    def read(self, path: str) -> bytes | None:
        """Content of a file, or of what a link leads to, `path` relative to the working directory; None where there is none."""
        if self.commit is not None:
            return git.file_behind(self.root, self.commit, path)
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def config(self, path: str) -> Config | None:
        """The configuration; None where it is absent, or not valid for this version of mlgate."""
        content = self.read(path)
        if content is None:
            return None
        try:
            return configuration.parse(content, path)
        except InputError:
            return None
