"""What of a repository can reach one model: its inputs. One definition, for the fingerprint that finds a recorded evaluation
(`lineage.inputs_sha256`) and for `mlgate changed`, which says whose model a commit can have changed.

With one model in the repository everything counts, project papers aside. With several:

- the model's folder, without the folders of models inside it;
- what its DVC pipeline, its links and its mlgate.yaml name outside of that, and the pipelines that make it;
- files that lie directly in a folder above it: requirements, lock files, Makefile;
- of the rest what `inputs` of mlgate.yaml names; left out, everything that lies in no other model's folder.

What cannot be understood (a pipeline file that is no YAML, a dependency whose name only DVC can work out) makes everything count.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlgate import config as configuration
from mlgate import git
from mlgate.config import Config
from mlgate.data.dvc_files import LOADER
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean

CONFIG_NAME = "mlgate.yaml"
_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True)
class Tree:
    """All files of a repository at a commit, or of its working tree as Git sees it."""

    top: Path
    commit: str | None
    """None: the working tree, with what is not in Git yet and not ignored."""
    entries: Mapping[str, str]
    """`<mode> <type> <id>` by path relative to the top; of the working tree only the mode is known, and only of submodules."""
    _contents: dict[str, bytes | None] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, top: Path, commit: str | None) -> Tree:
        """The tree of a commit, or of the disk. Raises CalledProcessError where there is no such commit."""
        if commit is not None:
            listed = git.run(top, "ls-tree", "-r", "-z", "--full-tree", commit)
            pairs = (entry.partition(b"\t") for entry in listed.split(b"\0") if entry)
            return cls(top, commit, {_text(path): described.decode() for described, _, path in pairs})
        staged = git.run(top, "ls-files", "-z", "--stage").split(b"\0")
        entries = {_text(path): described.decode().split(" ")[0] for described, _, path in (e.partition(b"\t") for e in staged if e)}
        for name in git.run(top, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
            if name:
                entries[_text(name)] = ""
        return cls(top, None, {path: mode for path, mode in entries.items() if os.path.lexists(top / path)})

    def is_link(self, path: str) -> bool:
        return self.entries[path].startswith(_LINK) or (self.commit is None and (self.top / path).is_symlink())

    def is_submodule(self, path: str) -> bool:
        return self.entries[path].startswith(_SUBMODULE)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents by path, of a link where it leads to; a path that is none, or is a submodule, is left out."""
        wanted = [path for path in paths if path in self.entries and not self.is_submodule(path)]
        missing = [path for path in wanted if path not in self._contents]
        if missing:
            self._contents.update(self._of_commit(missing) if self.commit is not None else map(self._of_disk, missing))
        return {path: content for path in wanted if (content := self._contents[path]) is not None}

    def _of_commit(self, paths: list[str]) -> dict[str, bytes | None]:
        """All in one process: a large repository has thousands of `.dvc` files."""
        return dict(zip(paths, git.blobs(self.top, [self.entries[path].split()[2] for path in paths]), strict=True))

    def _of_disk(self, path: str) -> tuple[str, bytes | None]:
        try:
            file = self.top / path
            return path, os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
        except OSError:
            return path, None


@dataclass(frozen=True)
class Scope:
    """Which paths are inputs of one model."""

    config_path: str
    """Of its mlgate.yaml, relative to the repository's top; so are all paths here."""
    folder: str
    """Its folder with a slash at the end; empty for the top."""
    others: tuple[str, ...]
    """Folders of other models, but for those that this model's folder lies in."""
    other_configs: frozenset[str]
    declared: tuple[str, ...] | None
    """`inputs` of mlgate.yaml; None where it is left out."""
    reached: frozenset[str] = frozenset()
    """Files and folders that its pipeline, its links or its configuration name."""
    is_unbounded: bool = False
    """Whether something in it could not be understood, so that everything counts."""

    def reason(self, path: str) -> str | None:
        """Why a path is an input, in words, or None where it is none. Empty for one in the model's own folder."""
        if (cannot_matter(path, self.folder) and path not in self.reached) or (path in self.other_configs and not self.is_unbounded):
            return None  # a readme that a command reads is no readme
        is_anothers = path.startswith(self.others)
        if path.startswith(self.folder) and not is_anothers:
            return ""
        if any(path == at or path.startswith(f"{at}/") for at in self.reached):
            return "its pipeline or configuration names it"
        if self.is_unbounded:
            return "its pipeline cannot be read, so everything counts"
        if self.declared is not None and any(matches(path, pattern) for pattern in self.declared):
            return "named in its inputs"
        if is_anothers:
            return None
        if self.folder.startswith(posixpath.dirname(path) + "/") or "/" not in path:
            return "lies in a folder above it"
        return "in no model's folder" if self.declared is None else None


def scope(tree: Tree, config_path: str) -> Scope:
    """The inputs of the model whose configuration lies at `config_path`, relative to the repository's top."""
    folder = _folder(config_path)
    names = {CONFIG_NAME, posixpath.basename(config_path)}
    configs = {path for path in tree.entries if posixpath.basename(path) in names} - {config_path}
    others = tuple(sorted({_folder(path) for path in configs} - {other for other in map(_folder, configs) if folder.startswith(other)}))
    config = config_at(tree, config_path)
    declared = tuple(config.inputs) if config is not None and config.inputs is not None else None
    bare = Scope(config_path, folder, others, frozenset(configs), declared)
    if declared is None and not others:
        return bare  # everything counts in any case
    own = [path for path in tree.entries if path.startswith(folder) and not path.startswith(others)]
    try:
        reached = {*_links(tree, own), *_named(tree, folder, config), *_pipelines(tree, own)}
    except _NotUnderstoodError:
        return Scope(config_path, folder, others, frozenset(configs), declared, is_unbounded=True)
    return Scope(config_path, folder, others, frozenset(configs), declared, frozenset(reached))


def config_at(tree: Tree, path: str) -> Config | None:
    """A configuration; None where there is none, or one that this version cannot read."""
    content = tree.read([path]).get(path)
    if content is None or tree.is_link(path):
        return None
    try:
        return configuration.parse(content, path)
    except InputError:
        return None


def unmatched(tree: Tree, patterns: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Number and text of each entry of `inputs` that no path of the tree matches, with the nearest folder or file there is."""
    for number, pattern in enumerate(patterns):
        if not any(matches(path, pattern) for path in tree.entries):
            known = {parent for path in tree.entries for parent in (path, *_parents(path))}
            near = did_you_mean(pattern, known)
            yield number, f"nothing in the repository matches '{pattern}'{near if 'did you mean' in near else ''}"


def made_by_dvc(tree: Tree) -> set[str] | None:
    """Everything that `.dvc` files and pipelines of the repository make; None where that cannot be told."""
    try:
        return {path for pipeline in _read_pipelines(tree, [at for at in tree.entries if _is_pipeline(at)]) for path in pipeline.makes}
    except _NotUnderstoodError:
        return None


def matches(path: str, pattern: str) -> bool:
    """Whether a path is, or lies below, what a pattern names: `lib`, `lib/*.py`, `**/features.py`."""
    if not re.search(r"[*?[]", pattern):
        return path == pattern or path.startswith(f"{pattern}/")
    return _expression(pattern).match(path) is not None


def _expression(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within one name, `**` goes over any number of folders, as in .gitignore."""
    text, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            text, at = f"{text}(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            text, at = f"{text}.*", at + 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            content = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            text, at = f"{text}[{'^' + content[1:] if content.startswith('!') else content}]", end + 1
        else:
            text, at = text + {"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])), at + 1
    return re.compile(f"{text}(?:/|\\Z)")


# --- what can never matter -------------------------------------------------------------------------------------------

_PAPERS = re.compile(
    r"(readme|changelog|contributing|code_of_conduct|security|license|licence|copying|notice|authors|maintainers|citation)"
    r"(\.(md|markdown|rst|txt|cff))?",
    re.IGNORECASE,
)
_SETTINGS = frozenset({".gitignore", ".editorconfig", ".pre-commit-config.yaml", ".git-blame-ignore-revs"})
# Of .github/ the workflows stay in: they choose the interpreter and prepare the environment.
_FOLDERS = (
    ".vscode/",
    ".idea/",
    ".github/issue_template/",
    ".github/pull_request_template",
    ".github/codeowners",
    ".github/dependabot.yml",
)


def cannot_matter(path: str, folder: str) -> bool:
    """Papers count as such at the top of the repository or of the working directory only: deeper down a text file may be data."""
    parent, _, name = path.rpartition("/")
    is_paper = parent in ("", folder.rstrip("/")) and _PAPERS.fullmatch(name) is not None
    return is_paper or name in _SETTINGS or path.lower().startswith(_FOLDERS)


# --- what leads out of the model's folder ----------------------------------------------------------------------------


class _NotUnderstoodError(Exception):
    """A pipeline whose dependencies cannot be told."""


@dataclass(frozen=True)
class _Pipeline:
    """What a dvc.yaml or a `.dvc` file reads and makes."""

    path: str
    reads: frozenset[str]
    makes: frozenset[str]


def _links(tree: Tree, own: list[str]) -> Iterator[str]:
    links = [path for path in own if tree.is_link(path)]
    for path, target in tree.read(links).items():
        yield from _inside(posixpath.join(posixpath.dirname(path), _text(target)))


def _named(tree: Tree, folder: str, config: Config | None) -> Iterator[str]:
    """Files that mlgate.yaml names, and those of the tree that its commands do: they may lie in the folder of a model below."""
    if config is None:
        return
    document = config.model_dump(mode="json", by_alias=True, exclude={"gate", "report", "mlflow", "store", "inputs", "model"})
    for text in _texts(document):
        reference = configuration.user_code(text)
        words = [reference[0]] if reference else _words(text)
        paths = [path for word in words for path in _inside(posixpath.join(folder, word))]
        yield from (path for path in paths if path in tree.entries or f"{path}.dvc" in tree.entries)


def _pipelines(tree: Tree, own: list[str]) -> set[str]:
    """Everything that the model's DVC files depend on outside of `own`, with the DVC files that make it, and theirs."""
    inside = set(own)
    waiting = list(_read_pipelines(tree, [path for path in own if _is_pipeline(path)]))
    elsewhere: list[_Pipeline] | None = None
    reached: set[str] = set()
    while waiting:
        for path in waiting.pop().reads:
            if path in inside or path in reached:
                continue
            reached.add(path)
            if elsewhere is None:
                elsewhere = list(_read_pipelines(tree, [at for at in tree.entries if at not in inside and _is_pipeline(at)]))
            makers = [maker for maker in elsewhere if any(touch(path, made) for made in maker.makes)]
            for maker in makers:
                elsewhere.remove(maker)
                reached |= {maker.path, posixpath.join(posixpath.dirname(maker.path), "dvc.lock")}
            waiting += makers
    return reached


def _is_pipeline(path: str) -> bool:
    return posixpath.basename(path) == "dvc.yaml" or (path.endswith(".dvc") and posixpath.basename(path) != ".dvc")


def _read_pipelines(tree: Tree, paths: list[str]) -> Iterator[_Pipeline]:
    locks = {path: posixpath.join(posixpath.dirname(path), "dvc.lock") for path in paths}
    contents = tree.read([*paths, *set(locks.values())])
    for path in paths:
        document = _document(contents.get(path))
        folder = posixpath.dirname(path)
        if path.endswith(".dvc"):
            yield _single(path, folder, document)
        else:
            yield _pipeline(path, folder, document, _document(contents.get(locks[path])))


def _single(path: str, folder: str, document: dict[str, Any]) -> _Pipeline:
    where = posixpath.join(folder, str(document.get("wdir") or "."))
    # An import from another repository has its path there, not here.
    reads = [entry.get("path") for entry in _list(document.get("deps")) if isinstance(entry, dict) and "repo" not in entry]
    makes = [entry.get("path") for entry in _list(document.get("outs")) if isinstance(entry, dict)]
    return _Pipeline(path, *(frozenset(_all_inside(where, names)) for names in (reads, makes)))


def _pipeline(path: str, folder: str, document: dict[str, Any], lock: dict[str, Any]) -> _Pipeline:
    reads = set(_all_inside(folder, [name for name in _list(document.get("vars")) if isinstance(name, str)]))
    makes: set[str] = set()
    stages, locked = _mapping(document.get("stages")), _mapping(lock.get("stages"))
    for name, described in stages.items():
        stage = _mapping(_mapping(described).get("do")) or _mapping(described)
        runs = [_mapping(run) for key, run in locked.items() if key == name or str(key).startswith(f"{name}@")]
        wdir = str(stage.get("wdir") or ".")
        if "${" in wdir:
            raise _NotUnderstoodError
        where = posixpath.join(folder, wdir)
        for part, found in (("deps", reads), ("params", reads), ("outs", makes), ("metrics", makes), ("plots", makes)):
            found |= set(_all_inside(where, _resolved(_names(stage.get(part), part), [_locked(run, part) for run in runs])))
        reads |= set(_all_inside(where, [file for file in _list(stage.get("vars")) if isinstance(file, str)]))
    return _Pipeline(path, frozenset(reads), frozenset(makes))


def _names(entries: object, part: str) -> list[str]:
    """Files of a section of a stage: `a.csv`, `{a.csv: {cache: false}}`, and of `params` `{file.yaml: [lr]}`."""
    if isinstance(entries, dict):
        return [str(name) for name in entries]
    plain = [] if part == "params" else [entry for entry in _list(entries) if isinstance(entry, str)]
    listed = [str(name) for entry in _list(entries) if isinstance(entry, dict) for name in entry]
    # Parameters without a file are those of params.yaml beside the stage.
    default = ["params.yaml"] if part == "params" and any(isinstance(entry, str) for entry in _list(entries)) else []
    return [*plain, *listed, *default]


def _locked(run: dict[str, Any], part: str) -> list[str]:
    if part == "params":
        return [str(name) for name in _mapping(run.get("params"))]
    return [str(entry["path"]) for entry in _list(run.get(part)) if isinstance(entry, dict) and "path" in entry]


def _resolved(names: list[str], locked: list[list[str]]) -> list[str]:
    """Names as they are written; those that DVC fills in, as the lock file has them. Raises _NotUnderstoodError."""
    if not any("${" in name for name in names):
        return names
    if not any(locked):
        raise _NotUnderstoodError
    return [name for name in names if "${" not in name] + [name for run in locked for name in run]


def _all_inside(folder: str, names: Iterable[object]) -> Iterator[str]:
    for name in names:
        if isinstance(name, str) and "://" not in name:
            path = posixpath.join(folder, name.partition(":")[0])  # `params.py:TrainConfig` names a part of a file
            if posixpath.normpath(path) == ".":
                raise _NotUnderstoodError  # the whole repository
            yield from _inside(path)


def _inside(path: str) -> Iterator[str]:
    """The path, relative to the repository's top, if it lies in the repository."""
    normal = posixpath.normpath(path)
    if "://" not in path and not normal.startswith(("/", "../")) and normal not in (".", ".."):
        yield normal


def touch(one: str, other: str) -> bool:
    """Whether one is the other, or lies in it."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _document(content: bytes | None) -> dict[str, Any]:
    if content is None:
        return {}
    try:
        return _mapping(yaml.load(content, Loader=LOADER))  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _NotUnderstoodError from None


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict() | list():
            for item in value.values() if isinstance(value, dict) else value:
                yield from _texts(item)


def _words(text: str) -> list[str]:
    try:
        return [text, *shlex.split(text)]
    except ValueError:
        return [text, *text.split()]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _folder(path: str) -> str:
    parent = posixpath.dirname(path)
    return f"{parent}/" if parent else ""


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
