"""The baseline's evaluation, looked for in the job that has the data's credentials, for the job that will compare.

First hit wins: DVC's outputs at that commit or its run cache (`evaluation.dvc_history`), Git's tree, and training it again where the
configuration allows that. Its metrics are computed here by the candidate's list, so that one code computes both.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from mlgate import git, store
from mlgate.config import Config, EvaluationConfig
from mlgate.console import plain
from mlgate.data import cache, checkout
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import loading, metric_files, perturbed, scoring, seeds
from mlgate.evaluation.dvc_history import History, NotThereError, NotTrackedError, open_history
from mlgate.evidence import CarriedBaseline, CarriedSource, ScoredModel, SeedNumbers
from mlgate.stages.baseline import rebuild
from mlgate.stages.baseline.worktree import BaselineNotRunError
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace


@dataclass(frozen=True)
class _Files:
    """What a commit's evaluation is computed from."""

    predictions: Path | None
    """None where the commit has metric files alone."""
    metrics: dict[str, bytes]
    """Metric files by name."""
    source: CarriedSource
    perturbed: dict[str, Path]
    """Predictions on perturbed sets by name."""
    seeds: dict[str, Path] = field(default_factory=dict)
    """Predictions of other seeds by name."""
    seed_metrics: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Metric files of other seeds by name: what messages call each, and its content."""


def carry(workspace: Workspace, commit: str, state: Path, folder_name: str = "baseline") -> tuple[CarriedBaseline | None, str]:
    """Find the evaluation of a commit and leave its normalised predictions in `state`/files/`folder_name`.

    Args:
        workspace: the model's folder.
        commit: the baseline's.
        state: the state folder.
        folder_name: one for each baseline.

    Returns:
        The evaluation, or None and, in a line, why what is recorded of it is not to be had; an empty line where nothing is: the gate
        tells a first model by that. Whatever is wrong with an earlier commit is such a line, never an error.
    """
    if git.commit(workspace.root, commit) is None:
        return None, f"this clone lacks {commit[:12]}; check out with `fetch-depth: 0`"
    rules, _ = lineage.rules_of(workspace, commit)
    with workspace.console.progress("asking the store for the baseline"):
        recorded = _in_store(workspace, rules, commit)
    if recorded:
        return None, recorded
    notes: list[str] = []
    then, now = rules.evaluation.stated_task, workspace.config.evaluation.stated_task
    if then and now and then != now:
        return None, f"the baseline is a {then}, the candidate a {now}"
    cache.share(os.environ)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlgate-")))
        with workspace.console.progress("looking for the baseline's evaluation"):
            files = _recorded(workspace, commit, rules, folder, notes, stack)
        if files is None and workspace.config.gate.rebuild_baseline:
            files = _rebuilt(workspace, commit, rules, notes, stack)
        if files is None:
            return None, "; ".join(notes)
        try:
            model = _score(workspace, commit, rules, files, state, notes, folder_name)
        except InputError as error:
            return None, "; ".join([*notes, f"the baseline's evaluation ({files.source}) cannot be used: {error}"])
    return CarriedBaseline(model=model, source=files.source), "; ".join(notes)


def _in_store(workspace: Workspace, rules: Config, commit: str) -> str | None:
    """Where the store has the evaluation already; None where it has not, or cannot be asked from here (the gate asks it, too)."""
    try:
        kept = store.open_store(rules.store, root=workspace.root, model=workspace.config.model, context=workspace.context)
        if kept.read(f"evaluations/{commit}.json") is not None:
            return f"recorded in the store ({kept.description})"
        if kept.read(f"inputs/{lineage.inputs_sha256(workspace, commit)}.json") is not None:
            return f"recorded in the store ({kept.description}) for equal code, data and parameters"
    except (InfrastructureError, InputError) as error:
        workspace.console.line(f"  the store cannot be asked from here: {plain(str(error))}")
    return None


def _recorded(workspace: Workspace, commit: str, rules: Config, folder: Path, notes: list[str], stack: ExitStack) -> _Files | None:
    """The commit's files out of DVC or Git."""
    history: History | None = None
    try:
        history = stack.enter_context(open_history(workspace.root, commit, rules.data.remote))
    except NotTrackedError:
        pass  # no DVC here: then Git is all there is
    except NotThereError as error:
        notes.append(str(error))
    wanted = rules.evaluation.predictions
    source: CarriedSource | None = None
    try:
        if wanted is not None:
            source = _take(workspace.root, commit, wanted, folder / wanted, history)
    except NotTrackedError:
        return None
    except NotThereError as error:
        notes.append(str(error))
        return None
    found: dict[str, bytes] = {}
    for name in rules.evaluation.metrics_files:
        try:
            taken = _take(workspace.root, commit, name, folder / name, history)
            found[name] = (folder / name).read_bytes()
        except NotThereError as error:
            if wanted is not None or not isinstance(error, NotTrackedError):
                notes.append(str(error))
        else:
            source = source or taken
    if source is None:
        return None
    sets = _take_sets(workspace.root, commit, rules, folder, history, notes)
    return _with_seeds(_Files(None if wanted is None else folder / wanted, found, source, sets), rules, folder, notes)


def _take_sets(root: Path, commit: str, rules: Config, folder: Path, history: History | None, notes: list[str]) -> dict[str, Path]:
    """Write the perturbed sets and the seeds' files to their places below a folder; the sets by name."""
    sets = {}
    for name, path in rules.evaluation.perturbed.items():
        try:
            _take(root, commit, path, folder / path, history)
            sets[name] = folder / path
        except NotThereError as error:
            notes.append(str(error))
    for pattern in filter(None, [rules.evaluation.seeds, rules.evaluation.seed_metrics]):
        _take_matching(root, commit, pattern, folder, history, notes)
    return sets


def _take_matching(root: Path, commit: str, pattern: str, folder: Path, history: History | None, notes: list[str]) -> None:
    """Write the files that a pattern stood for at the commit, as far as they are to be had, to their places below a folder."""
    parent = PurePosixPath(pattern).parent.as_posix()
    if history is not None:
        try:
            history.fetch_all(parent, folder)
        except NotTrackedError:
            pass
        except NotThereError as error:
            notes.append(str(error))
    listed = git.try_text(root, "ls-tree", "-z", "--name-only", commit, "--", f"{parent}/" if parent != "." else ".") or ""
    for path in seeds.matching(listed.split("\0"), pattern):
        if not (folder / path).exists():
            try:
                _take(root, commit, path, folder / path, history)
            except NotThereError as error:
                notes.append(str(error))


def _with_seeds(files: _Files, rules: Config, root: Path, notes: list[str]) -> _Files:
    """The same with the seeds' files that lie below a folder."""
    patterns = (rules.evaluation.seeds, seeds.FEWEST), (rules.evaluation.seed_metrics, seeds.FEWEST_OF_METRICS)
    found: list[dict[str, str]] = []
    for pattern, fewest in patterns:
        try:
            found.append(seeds.by_seed(seeds.files(root, pattern), "baseline: its seeds", pattern, fewest) if pattern else {})
        except InputError as error:
            notes.append(str(error))
            found.append({})
    numbers = {name: (path, (root / path).read_bytes()) for name, path in found[1].items()}
    return replace(files, seeds={name: root / path for name, path in found[0].items()}, seed_metrics=numbers)


def _take(root: Path, commit: str, path: str, target: Path, history: History | None) -> CarriedSource:
    """Write a file as it was at the commit. Raises NotThereError."""
    if history is not None:
        try:
            return history.fetch(path, target)
        except NotTrackedError:
            history.check_current(path)
    content = git.file_at(root, commit, path)
    if content is None:
        raise NotTrackedError(f"{path} is neither in DVC nor in Git at {commit[:12]}")
    if checkout.is_lfs_pointer(content):
        raise NotThereError(f"{path} at {commit[:12]} is in Git LFS, which is not read")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return "git"


def _rebuilt(workspace: Workspace, commit: str, rules: Config, notes: list[str], stack: ExitStack) -> _Files | None:
    """The commit's files from training it again."""
    workspace.console.line(f"  training the baseline {commit[:12]} again (gate.rebuild_baseline)")
    try:
        root = stack.enter_context(rebuild.rebuilt(workspace, commit, rules))
    except BaselineNotRunError as error:
        notes.append(f"training the baseline again: {error}")
        return None
    found = {name: (root / name).read_bytes() for name in rules.evaluation.metrics_files if (root / name).is_file()}
    wanted = rules.evaluation.predictions
    sets = {name: root / path for name, path in rules.evaluation.perturbed.items() if (root / path).is_file()}
    return _with_seeds(_Files(None if wanted is None else root / wanted, found, "rebuilt", sets), rules, root, notes)


def _score(workspace: Workspace, commit: str, rules: Config, files: _Files, state: Path, notes: list[str], folder_name: str) -> ScoredModel:
    """The candidate's metrics of the baseline's predictions. Raises InputError."""
    config = workspace.config
    shown_as = f"{rules.evaluation.predictions} at {commit[:12]}"
    numbers = {name: metric_files.parse(content, f"{name} at {commit[:12]}")[0] for name, content in files.metrics.items()}
    inputs, path = lineage.inputs_sha256(workspace, commit), state / "files" / folder_name / "predictions.parquet"
    if files.predictions is None or config.evaluation.predictions is None:
        scored = replace(scoring.of_files(config.gate.rules, numbers), seed_metrics=_numbers(files, notes))
        return scored.keep(path, state, commit=commit, inputs_sha256=inputs)
    evaluation = as_ours(config.evaluation, rules.evaluation)
    found = loading.load(files.predictions, evaluation, shown_as, are_slices_optional=True)
    # the gate believes resamples of the baseline's own run only
    scored = scoring.score(found, evaluation, config.gate.rules, numbers, root=workspace.root, shown_as=shown_as, are_resampled=False)
    notes += [f"baseline: {warning}" for warning in scored.warnings]
    for name, source in files.perturbed.items():
        path_then = f"{rules.evaluation.perturbed[name]} at {commit[:12]}"
        try:
            one = perturbed.score(source, name, path_then, evaluation, config.gate.rules, found, root=workspace.root)
        except InputError as error:
            notes.append(f"baseline: {error}")  # that set has no baseline, which the gate says
        else:
            scored = replace(scored, perturbed=[*scored.perturbed, one])
    try:
        runs = [
            perturbed.score(source, name, f"{source.name} at {commit[:12]}", evaluation, config.gate.rules, found, root=workspace.root)
            for name, source in sorted(files.seeds.items())
        ]
    except InputError as error:
        notes.append(f"baseline: {error}")  # without its seeds, of which some would be a choice
        runs = []
    scored = replace(scored, seeds=runs, seed_metrics=_numbers(files, notes))
    ids: Literal["column", "row numbers"] = "row numbers" if evaluation.columns.id is None else "column"
    return scored.keep(path, state, commit=commit, inputs_sha256=inputs, ids=ids)


def _numbers(files: _Files, notes: list[str]) -> list[SeedNumbers]:
    try:
        return seeds.numbers(dict(sorted(files.seed_metrics.items())))
    except InputError as error:
        notes.append(f"baseline: {error}")
        return []


def as_ours(ours: EvaluationConfig, theirs: EvaluationConfig) -> EvaluationConfig:
    """How to evaluate the baseline: our metrics and slices on its columns."""
    return ours.model_copy(update={"predictions": theirs.predictions, "columns": theirs.columns})
