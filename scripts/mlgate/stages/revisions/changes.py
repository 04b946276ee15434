"""What differs between the baseline and the candidate: the rules they are judged by, parameters, data, code. From Git alone: DVC's
files say which data a commit used, so nothing is pulled or checked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlgate import config as configuration
from mlgate import git
from mlgate.config import GENERATED_CONFIG, Config, values
from mlgate.data import dvc_files
from mlgate.data.checkout import lfs_oid
from mlgate.data.dvc_files import is_dvc_file
from mlgate.errors import InputError
from mlgate.evidence import Change
from mlgate.stages.revisions import contract_changes, drift_changes, inputs, lineage, screen_changes, weakening
from mlgate.stages.revisions.revision import Revision
from mlgate.training import params
from mlgate.workspace import Workspace

MAX_CODE_CHANGES = 50
_MAX_VALUE = 300


@dataclass(frozen=True)
class ChangedFile:
    """One line of `git diff --numstat`, with what happened to the file."""

    path: str
    """Relative to the working directory; as Git has it where the file lies outside."""
    is_inside: bool
    """Below the working directory."""
    status: str
    """Git's letter: A, M, D, R, C, T."""
    added: int | None
    """Lines; None for a binary file."""
    deleted: int | None
    renamed_from: str | None = None

    @property
    def summary(self) -> str:
        """`new, +10`, `−3 +5`, `renamed from old.py, +1 −1`, `binary`."""
        lines = "binary" if self.added is None or self.deleted is None else f"+{self.added} −{self.deleted}"
        match self.status:
            case "A":
                return f"new, {lines}"
            case "D":
                return f"deleted, {lines}"
            case "R":
                return f"renamed from {self.renamed_from}, {lines}"
            case _:
                return lines


def changes(workspace: Workspace, baseline_commit: str | None) -> list[Change]:
    """Everything that differs from the baseline commit: rules, parameters, data, code, in this order.

    On GitHub the candidate is the commit that is checked out; on a laptop with uncommitted changes it is the working tree.

    Args:
        workspace: the candidate.
        baseline_commit: a commit of this clone; None gives no changes.
    """
    if baseline_commit is None or workspace.commit is None:
        return []
    is_working_tree = not workspace.context.is_github and workspace.is_dirty
    old = Revision(workspace.root, baseline_commit)
    new = Revision(workspace.root, None if is_working_tree else workspace.commit)
    old_config = lineage.config_at(workspace, baseline_commit)
    files = {file.path: file for file in changed_files(old, new)}
    rules = _rules(workspace, old, new, old_config, files)
    parameters = _parameters(workspace.config, old_config, old, new, files)
    data = _data(workspace, old, new, files)
    told = {workspace.config_path, *_data_files(workspace.config, files), *(change.name for change in rules)}
    for config in filter(None, (workspace.config, old_config)):
        told.update(_judges(config), config.params)
    reached = _reach(workspace, old, new)
    code = [file for file in files.values() if not (file.is_inside and (file.path in told or is_dvc_file(file.path))) and reached(file)]
    return [*rules, *parameters, *data, *_code(code)]


def _reach(workspace: Workspace, old: Revision, new: Revision) -> Callable[[ChangedFile], bool]:
    """Whether a file can reach this model: those of other models in the repository are not its change."""
    top, prefix = git.require_repository(workspace.root), git.run(workspace.root, "rev-parse", "--show-prefix").decode().rstrip("\n")
    scopes = [inputs.scope(inputs.Tree.at(top, revision.commit), f"{prefix}{workspace.config_path}") for revision in (old, new)]

    def reaches(file: ChangedFile) -> bool:
        path = f"{prefix}{file.path}" if file.is_inside else file.path
        # Papers and settings are told, though they count for nothing.
        return inputs.cannot_matter(path, prefix) or any(scope.reason(path) is not None for scope in scopes)

    return reaches


def changed_files(old: Revision, new: Revision) -> list[ChangedFile]:
    """Tracked files that differ between a commit and another, or the working tree; renames found."""
    if old.commit is None:
        raise ValueError("a diff starts at a commit")
    prefix = git.run(old.root, "rev-parse", "--show-prefix").decode(errors="replace").rstrip("\n")
    options = ("--raw", "--numstat", "-z", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--no-relative")
    output = git.run(old.root, "diff", *options, old.commit, *([new.commit] if new.commit else []), "--", env={"GIT_OPTIONAL_LOCKS": "0"})
    fields = iter(output.decode(errors="replace").split("\0"))
    statuses: dict[str, str] = {}
    files = []
    for field in fields:
        if field.startswith(":"):
            status, path = field.rsplit(" ", 1)[1][:1], next(fields)
            statuses[next(fields) if status in "RC" else path] = status
        elif field:
            added, deleted, path = field.split("\t", 2)
            renamed_from = None if path else next(fields)
            path = path or next(fields)
            files.append(
                ChangedFile(
                    path=path.removeprefix(prefix),
                    is_inside=path.startswith(prefix),
                    status=statuses[path],
                    added=None if added == "-" else int(added),
                    deleted=None if deleted == "-" else int(deleted),
                    renamed_from=renamed_from and renamed_from.removeprefix(prefix),
                )
            )
    return files


# --- rules -----------------------------------------------------------------------------------------------------------


def _rules(workspace: Workspace, old: Revision, new: Revision, old_config: Config | None, files: Mapping[str, ChangedFile]) -> list[Change]:
    name = workspace.config_path
    if name == GENERATED_CONFIG:
        return []  # made of the workflow's inputs, which are told of with the workflow
    if old_config is None:
        reason = "not valid for this version of mlgate" if old.read(name) is not None else None
        found = [Change(kind="rule", name=name, old=reason, new="all rules of it are new", is_weakening=reason is not None)]
        return found + _judges_told(dict.fromkeys(_judges(workspace.config)), frozenset(), files)
    contracts = contract_changes.of(old, new, old_config, workspace.config)
    weakened = weakening.weakened(old_config, workspace.config) | contracts.weakened_settings
    found = [
        change.model_copy(update={"is_weakening": change.name in weakened})
        for change in _differences("rule", _settings(old_config), _settings(workspace.config))
    ]
    unseen = weakened - {change.name for change in found}  # however it is written, a weakening does not go untold
    found += [Change(kind="rule", name=name, old=None, new="asks less", is_weakening=True) for name in sorted(unseen)]
    found += contracts.changes
    weakened_files = contracts.weakened_files | _references(old, new, old_config, files)
    judges = dict.fromkeys((*_judges(workspace.config), *_judges(old_config), *sorted(weakened_files)))
    return found + _judges_told([path for path in judges if path not in contracts.told_files], weakened_files, files)


def _references(old: Revision, new: Revision, old_config: Config, files: Mapping[str, ChangedFile]) -> frozenset[str]:
    """Files that drift is told by and that changed: the table or profile itself, what is in the folder, or what DVC has of it."""
    found = set()
    for path in drift_changes.references(old_config):
        found |= {one for one in (path, f"{path}.dvc") if old.read(one) != new.read(one)}
        found |= {one for one in files if one.startswith(f"{path}/")}
    return frozenset(found)


def _judges_told(paths: Iterable[str], weakened: frozenset[str], files: Mapping[str, ChangedFile]) -> list[Change]:
    """Files that decide what passes and changed, of which nothing more can be told than that. Behind a link, Git names another one."""
    return [
        Change(
            kind="rule", name=path, old=None, new=files[path].summary if path in files else "not the same", is_weakening=path in weakened
        )
        for path in paths
        if path in files or path in weakened
    ]


def _judges(config: Config) -> list[str]:
    """Files of the repository that decide what passes: schemas of contracts, the user's own metrics."""
    schemas = [contract.schema_ for contract in config.data.contracts if contract.schema_ is not None]
    references = [*schemas, *config.evaluation.references]
    paths = [(configuration.user_code(reference) or (reference, ""))[0] for reference in references]
    return [path for path in dict.fromkeys(paths) if "." in path]


_WITH_UNIT: Mapping[str, Callable[[int], str]] = {
    **dict.fromkeys(
        ("train.timeout", "train.grace", "train.gpu.wait", "train.checkpoints.every", "evaluation.latency.timeout"), values.duration_text
    ),
    **dict.fromkeys(("train.gpu.memory", "train.gpu.disk", "train.gpu.shared_memory"), values.size_text),
}
"""Settings that mlgate.yaml has with a unit, and how they are written so."""


def _settings(config: Config) -> dict[str, str]:
    """Every setting of mlgate.yaml that is about how a model is made and judged, as text by the name a report calls it."""
    document = config.model_dump(mode="json", by_alias=True)
    del document["data"]["contracts"]
    del document["data"]["screens"]
    del document["data"]["drift"]
    rules = document["gate"].pop("rules")
    settings = {"model": config.model, **_flat("store", document["store"]), **_flat("inputs", document["inputs"])}
    for section in ("checks", "data", "train", "evaluation", "gate"):
        settings.update(_flat(section, document[section]))
    settings |= {key: value_text(int(settings[key])) for key, value_text in _WITH_UNIT.items() if key in settings}
    for contract in config.data.contracts:
        key = contract_changes.setting(contract)
        rules_at = contract.schema_ or ("rules about files" if contract.form == "files" else "rules in short form")
        settings[key] = ", ".join(sorted(filter(None, [settings.get(key), rules_at])))
    settings |= screen_changes.settings(config) | drift_changes.settings(config)
    for rule, written in zip(config.gate.rules, rules, strict=True):
        for metric, aspect in weakening.subjects(config, rule):
            for bound in ("min", "max", "margin", "better", "max_gap"):
                if written[bound] is not None:
                    key = f"gate.rules {f'{metric} {aspect}' if aspect else metric} {bound}"
                    settings[key] = ", ".join(filter(None, [settings.get(key), _text(written[bound])]))
    return settings


def _flat(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: text for part, inner in value.items() for key, text in _flat(f"{name}.{part}", inner).items()}
    return {} if value is None else {name: _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- parameters ------------------------------------------------------------------------------------------------------


def _parameters(config: Config, old_config: Config | None, old: Revision, new: Revision, files: Mapping[str, ChangedFile]) -> list[Change]:
    paths = list(dict.fromkeys((*config.params, *(old_config.params if old_config else ()))))
    found = []
    for path in paths:
        if path in files:
            prefix = f"{path}: " if len(paths) > 1 else ""
            before, after = (
                {f"{prefix}{key}": value for key, value in _parameters_in(revision.read(path), path).items()} for revision in (old, new)
            )
            found += _differences("parameter", before, after)
    return found


def _parameters_in(content: bytes | None, path: str) -> dict[str, str]:
    try:
        return {} if content is None else params.flatten(content, path)
    except InputError:
        return {path: "not readable"}  # training has refused it already, or the baseline is past mending: not a reason to stop here


# --- data ------------------------------------------------------------------------------------------------------------


def _data(workspace: Workspace, old: Revision, new: Revision, files: Mapping[str, ChangedFile]) -> list[Change]:
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for path, file in files.items():
        if file.is_inside and is_dvc_file(path):
            before.update(dvc_files.hashes(old.read(file.renamed_from or path), path))
            after.update(dvc_files.hashes(new.read(path), path))
    commits = [commit for commit in (old.commit, workspace.commit) if commit]
    in_git = _paths_in_git(workspace, commits, sorted({*before, *after}))
    found = _differences("data", _without(before, in_git), _without(after, in_git))
    found += [_file_change(files[path], old, new) for path in _data_files(workspace.config, files)]
    return found


def _file_change(file: ChangedFile, old: Revision, new: Revision) -> Change:
    """A changed data file that Git tracks; of one in Git LFS, which data its pointers stand for."""
    before, after = lfs_oid(old.read(file.renamed_from or file.path)), lfs_oid(new.read(file.path))
    return Change(kind="data", name=file.path, old=before, new=after or file.summary)


def _data_files(config: Config, files: Mapping[str, ChangedFile]) -> list[str]:
    """Changed files that Git tracks and mlgate.yaml calls data."""
    data = {*(config.data.pull or ()), *(name for contract in config.data.contracts for name in contract.names)}
    return [path for path in files if path in data or any(path.startswith(f"{folder}/") for folder in data)]


def _paths_in_git(workspace: Workspace, commits: list[str], paths: list[str]) -> set[str]:
    """Those that Git tracks: code a DVC stage depends on, metrics it leaves in Git. They are told of as code."""
    asked = [(commit, path) for commit in commits for path in paths if "\n" not in path]
    if not asked:
        return set()
    stdin = "".join(f"{commit}:./{path.rstrip('/')}\n" for commit, path in asked).encode()
    answers = git.run(workspace.root, "cat-file", "--batch-check=%(objecttype)", stdin=stdin).decode(errors="replace").splitlines()
    return {path for (_, path), answer in zip(asked, answers, strict=True) if answer in ("blob", "tree")}


def _without(hashes: dict[str, str], paths: set[str]) -> dict[str, str]:
    return {path: value for path, value in hashes.items() if path not in paths}


# --- code ------------------------------------------------------------------------------------------------------------


def _code(files: list[ChangedFile]) -> list[Change]:
    inside = [file for file in files if file.is_inside]
    outside = [file for file in files if not file.is_inside]
    found = [Change(kind="code", name=file.path, old=None, new=file.summary) for file in inside[:MAX_CODE_CHANGES]]
    for name, rest in (("more files", inside[MAX_CODE_CHANGES:]), ("outside the working directory", outside)):
        if rest:
            added, deleted = sum(file.added or 0 for file in rest), sum(file.deleted or 0 for file in rest)
            found.append(
                Change(kind="code", name=name, old=None, new=f"{len(rest)} file{'s' if len(rest) > 1 else ''}, +{added} −{deleted}")
            )
    return found


def _differences(kind: Literal["rule", "parameter", "data"], old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    return [
        Change(kind=kind, name=name, old=_shortened(old.get(name)), new=_shortened(new.get(name)))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]


def _shortened(value: str | None) -> str | None:
    return value if value is None or len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…"
