"""What `mlgate doctor` looks at: a model's folder, with a configuration, a broken one or none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlgate import git
from mlgate.config import Config
from mlgate.console import Console
from mlgate.errors import InfrastructureError, InputError
from mlgate.forge.settings import Hosted, hosted
from mlgate.workspace import Workspace

TOKENS = ("MLGATE_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")


@dataclass(frozen=True)
class Subject:
    """A model's folder."""

    root: Path
    config_path: str
    environ: Mapping[str, str]
    workspace: Workspace | None
    """None where the configuration is absent or broken."""
    mistakes: list[str]
    """What is wrong with the configuration."""
    top: Path | None
    """Of the Git repository; None outside of one."""
    git_problem: str | None
    """Why Git cannot be asked."""

    @classmethod
    def open(cls, working_directory: Path, config_path: str, environ: Mapping[str, str]) -> Subject:
        """Raises InputError where there is no such folder."""
        if not working_directory.is_dir():
            raise InputError(f"working-directory: no folder '{working_directory}'")
        root, workspace, mistakes, top, git_problem = working_directory.resolve(), None, [], None, None
        try:
            top = git.toplevel(root)
        except (InputError, InfrastructureError) as error:
            git_problem = str(error)
        if os.path.lexists(root / config_path) and git_problem is None:
            try:
                workspace = Workspace.open(root, config_path, environ, Console())
            except (InputError, InfrastructureError) as error:
                mistakes = str(error).splitlines()
        return cls(root, config_path, environ, workspace, mistakes, top, git_problem)

    @property
    def config(self) -> Config | None:
        return self.workspace.config if self.workspace else None

    @property
    def is_configured(self) -> bool:
        """Whether there is a configuration, right or wrong."""
        return self.workspace is not None or bool(self.mistakes)

    def is_in_git(self, path: str) -> bool:
        """Whether Git tracks a file of the model's folder; where there is no repository, that is another finding."""
        return self.top is None or git.try_text(self.root, "ls-files", "--error-unmatch", "--", f":(literal){path}") is not None

    @property
    def folder(self) -> str:
        """Of the model, relative to the repository's top."""
        return self.root.relative_to(self.top).as_posix() if self.top else "."

    @cached_property
    def origin(self) -> str | None:
        """URL of the remote `origin`."""
        return git.try_text(self.root, "remote", "get-url", "origin") if self.top else None

    @property
    def hosted(self) -> Hosted | None:
        """The repository on GitHub."""
        return hosted(self.origin, self.environ) if self.origin else None

    @property
    def branch(self) -> str | None:
        """Name of the default branch, as far as this clone can tell."""
        return git.default_branch(self.root) if self.top else None

    @property
    def token(self) -> tuple[str, str] | None:
        """The name of the variable that holds a token for GitHub, and the token."""
        return next(((name, value) for name in TOKENS if (value := self.environ.get(name, "").strip())), None)

    def public(self, text: str) -> str:
        """A text without tokens."""
        for name in TOKENS:
            if value := self.environ.get(name, "").strip():
                text = re.sub(re.escape(value), "***", text)
        return text
