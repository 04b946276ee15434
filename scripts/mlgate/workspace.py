"""One model's folder as the stages see it: its configuration, the run it is in, and the evidence of the stages before."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlgate import config as configuration
from mlgate import context as run_context
from mlgate import evidence as records
from mlgate import git
from mlgate.config import Config
from mlgate.console import Console
from mlgate.context import RunContext
from mlgate.data.dvc_files import locked_outputs
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import seeds
from mlgate.evidence import Annotation, DataRef, Evidence, FileRef, Record, Status, Subject

MAX_CONFIG_BYTES = 1_000_000
"""Of a commit that is judged without being checked out."""


@dataclass(frozen=True)
class StageResult:
    """What a stage found; `stages.run` makes evidence of it."""

    status: Status
    summary: str
    """The line a user reads, without the mark in front."""
    findings: Record | None = None
    data: list[DataRef] = field(default_factory=list)
    files: list[FileRef] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    exit_code: int | None = None
    """Left out: by status."""


def root_of(working_directory: Path, environ: Mapping[str, str]) -> Path:
    """The working directory as an absolute path. Raises InputError: there is no such folder, or it leads out of the checkout."""
    if not working_directory.is_dir():
        raise InputError(f"working-directory: no folder '{working_directory}'")
    root = working_directory.resolve()
    checkout = environ.get("GITHUB_WORKSPACE") if environ.get("GITHUB_ACTIONS") == "true" else None
    if checkout and not root.is_relative_to(Path(checkout).resolve()):
        raise InputError(f"working-directory: expected a folder of the checkout, and '{working_directory}' leads out of it")
    return root


@dataclass(frozen=True)
class Workspace:
    """A model's folder in a run."""

    root: Path
    """Absolute path of the working directory; paths of mlgate.yaml are relative to it."""
    config_path: str
    """Of mlgate.yaml, relative to the working directory."""
    config: Config
    config_sha256: str
    context: RunContext
    commit: str | None
    """The commit that is checked out."""
    console: Console
    import_ahead: tuple[str, ...] = ()
    """Modules that later stages of this process need: imported while a command of the user's runs, which costs nothing."""

    @classmethod
    def open(cls, working_directory: Path, config_path: str, environ: Mapping[str, str], console: Console | None = None) -> Workspace:
        """Read the configuration and find out where we are.

        Raises:
            InputError: no such folder, the configuration is absent or wrong, or one of them is a link that leads elsewhere.
        """
        root = root_of(working_directory, environ)
        path = root / config_path
        if not path.resolve().is_relative_to(root):
            raise InputError(f"config: expected a path inside the working directory, got '{config_path}'")
        if path.resolve() != Path(os.path.normpath(path)):
            # At the baseline commit Git has the link, not what it leads to, and the rules there would be passed over.
            raise InputError(f"{config_path}: expected a file, found a link; put the file itself there")
        config, content = configuration.load(path, shown_as=config_path), path.read_bytes()
        context = run_context.from_environment(environ)
        if context.commit is not None:
            config, content = _as_judged(root, context.commit, config_path, config)
        return cls(
            root=root,
            config_path=config_path,
            config=config,
            config_sha256=configuration.sha256(content),
            context=context,
            commit=context.commit or git.commit(root),
            console=console or Console(),
        )

    def judging(self, pull_request: int, commit: str, base_ref: str, base_sha: str) -> Workspace:
        """The same folder as one that judges a commit of a pull request without checking it out.

        Raises:
            InputError: the configuration at that commit is absent or wrong, or gives the model another name.
        """
        config, content = _as_judged(self.root, commit, self.config_path, self.config)
        context = replace(self.context, pull_request=pull_request, commit=commit, base_ref=base_ref, base_sha=base_sha)
        return replace(self, config=config, config_sha256=configuration.sha256(content), context=context, commit=commit)

    @property
    def state(self) -> Path:
        """Folder of everything this run leaves for this model."""
        return self.root / ".mlgate" / self.config.model

    @property
    def files(self) -> Path:
        """Folder for what stages leave beside their evidence."""
        return self.state / "files"

    def evidence_path(self, stage: str) -> Path:
        return self.state / "evidence" / f"{stage}.json"

    def prepare_state(self) -> None:
        """Make the state folder, and keep Git from ever seeing it.

        Raises:
            InputError: on GitHub, where it is a link: a pull request could commit one that leads out of the checkout.
            InfrastructureError: the disk refuses.
        """
        folder = self.root / ".mlgate"
        if self.context.is_github and (folder.is_symlink() or self.state.is_symlink()):
            raise InputError(".mlgate: expected a folder of mlgate's own, found a link; remove it from the repository")
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if ignore.is_symlink() or not ignore.exists():
                records.write_bytes(ignore, b"*\n")
        except OSError as error:
            raise InfrastructureError(f"{folder}: cannot be written: {error.strerror}") from None

    def empty_state(self) -> None:
        """Forget earlier runs; runs tracked in .mlgate/mlflow and a store folder beside it stay. Raises as `prepare_state` does, and
        on GitHub where a commit brought files into .mlgate/: a store there would be of the pull request's making."""
        self.prepare_state()
        if self.context.is_github and git.try_text(self.root, "ls-files", "--", ".mlgate"):
            raise InputError(".mlgate: expected a folder of mlgate's own, found files that Git tracks; 'git rm -r --cached .mlgate'")
        shutil.rmtree(self.state, ignore_errors=True)
        self.prepare_state()

    def evidence(self, stage: str) -> Evidence[Any] | None:
        """Evidence of an earlier stage of this very run; None where it left none.

        Raises:
            InputError: it breaks its schema, or is of another run, commit, model or configuration.
        """
        try:
            found = records.load(self.evidence_path(stage), stage)
        except FileNotFoundError:
            return None
        subject = found.subject
        mine, theirs = self.context.run, subject.run
        for what, expected, got in (
            ("model", self.config.model, found.model),
            ("commit", self.commit, subject.commit),
            ("configuration", self.config_sha256, subject.config_sha256),
            ("run", mine and (mine.repository, mine.run_id), theirs and (theirs.repository, theirs.run_id)),
        ):
            if expected != got:
                raise InputError(
                    f"{stage}.json: evidence of another {what} ({got or 'none'}, expected {expected or 'none'}); run '{stage}' again"
                )
        if mine and theirs and theirs.attempt > mine.attempt:
            raise InputError(f"{stage}.json: evidence of a later attempt ({theirs.attempt}) of this run; start the newest attempt again")
        return found

    @property
    def is_dirty(self) -> bool:
        """Whether the working tree differs from the commit in more than a training writes into it: dvc.lock, outputs, metric files."""
        if self.commit is None:
            return False
        return not _is_clean(self.root, but_for=self.evaluation_files)

    @property
    def evaluation_files(self) -> list[str]:
        """Files that a training writes to be evaluated, those of other seeds as far as they are there; relative to `root`."""
        evaluation = self.config.evaluation
        return [*evaluation.written_files, *seeds.written(self.root, evaluation)]

    def subject(self, data: list[DataRef]) -> Subject:
        return Subject(
            commit=self.commit,
            is_dirty=self.is_dirty,
            config_sha256=self.config_sha256,
            run=self.context.run,
            data=data,
        )


def _is_clean(root: Path, but_for: Iterable[str]) -> bool:
    """Whether nothing that Git tracks differs from the commit.

    Args:
        root: the working directory, inside a Git repository.
        but_for: files a training writes, relative to `root`; dvc.lock and the outputs it records are known.
    """
    top = git.require_repository(root)
    listed = git.try_text(top, "diff", "--name-only", "-z", "HEAD")
    if listed is None:
        return False
    changed = [name for name in listed.split("\0") if name]
    folder = root.relative_to(top).as_posix()
    written = {posixpath.normpath(f"{folder}/{name}") for name in but_for}
    for name in changed:
        if posixpath.basename(name) == "dvc.lock" and (top / name).is_file():
            written |= {name, *locked_outputs((top / name).read_bytes(), posixpath.dirname(name))}
    return all(name in written or any(name.startswith(f"{path}/") for path in written) for name in changed)


def _as_judged(root: Path, commit: str, config_path: str, own: Config) -> tuple[Config, bytes]:
    """The configuration of a commit that is judged without being checked out: data of a stranger's, perhaps.

    Where it would say what is published, and where state lies, the checked-out configuration counts: a fork must not choose that.

    Args:
        own: the configuration that is checked out.

    Raises:
        InputError: it is absent, too large or wrong, or gives the model another name.
    """
    size = git.try_text(root, "cat-file", "-s", f"{commit}:./{config_path}")
    if size is not None and int(size) > MAX_CONFIG_BYTES:
        raise InputError(f"{config_path} at {commit[:12]}: {int(size):,} bytes; expected a configuration of at most {MAX_CONFIG_BYTES:,}")
    content = git.file_at(root, commit, config_path)
    if content is None:
        raise InputError(f"{config_path}: no such file at {commit[:12]}, the commit that is judged")
    config = configuration.parse(content, f"{config_path} at {commit[:12]}")
    if config.model != own.model:
        raise InputError(
            f"{config_path} at {commit[:12]}: model: expected '{own.model}', as the default branch has it, got '{config.model}'; "
            "a pull request without secrets cannot rename a model"
        )
    return config.model_copy(update={"report": own.report, "store": own.store, "notify": own.notify}), content
