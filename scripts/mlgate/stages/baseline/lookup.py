"""The baseline's evaluation for the gate: from the store, the training job, an earlier run's artifact, or a file. Never silently absent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlgate import evidence as records
from mlgate import git
from mlgate.config import Config, kind_of_baseline
from mlgate.data.dvc_files import locked_outputs
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import loading, predictions
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import BaselineSource, EvaluateFindings, FileRef, MetricValue, ScoredModel, SeedNumbers, TrainingCost
from mlgate.stages.baseline import run_artifacts
from mlgate.stages.baseline.run_artifacts import Further, further_in, further_of, predictions_of
from mlgate.stages.revisions import lineage, release
from mlgate.stages.revisions.lineage import BaselineCommit
from mlgate.store import Store
from mlgate.workspace import Workspace

CHAMPION = "champion.json"
KindOfBaseline = Literal["base", "champion", "path", "release"]
_Found = tuple[ScoredModel, Predictions | None, BaselineSource, Further]


@dataclass(frozen=True)
class Baseline:
    """A model's evaluation as it was found, ready to be compared with."""

    kind: KindOfBaseline
    commit: str | None
    how: str
    source: BaselineSource
    predictions: Predictions | None
    """None where metric files are all that was recorded."""
    metrics: dict[str, MetricValue]
    """What was recorded of it, by name; the gate believes only what no predictions stand behind."""
    ids: Literal["column", "row numbers"] = "column"
    """What names its examples."""
    stands_in_for: str | None = None
    """The commit asked for, where this is of an earlier one."""
    remark: str = ""
    """What went wrong on the way to it, and did not matter."""
    further: Further = field(default_factory=Further)
    """Its predictions on perturbed copies of the holdout, and of other seeds."""
    seed_metrics: tuple[SeedNumbers, ...] = ()
    """Numbers of metric files, of other seeds."""
    training: TrainingCost | None = None
    """What its training took, where that is recorded."""


def find(workspace: Workspace, rules: Config, base: BaselineCommit, evaluated: EvaluateFindings, store: Store) -> Baseline | None:
    """The baseline that `gate.baseline` of the deciding rules names, the first of two; first hit wins.

    Returns:
        None only where no evaluation of this model was ever recorded: the first model.

    Raises:
        InputError: the baseline cannot be: no champion, no such file, no commit to compare with.
        InfrastructureError: it was recorded and is not to be had, or a place to look at cannot be reached.
    """
    return _named(workspace, rules, rules.gate.baselines[0], base, evaluated, store)


def find_others(
    workspace: Workspace, rules: Config, base: BaselineCommit, evaluated: EvaluateFindings, store: Store, first: Baseline | None
) -> list[tuple[str, Baseline]]:
    """Baselines that must hold beside the first, by the name the deciding rules have for them. Raises as `find` does."""
    found = []
    for name in rules.gate.baselines[1:]:
        if kind_of_baseline(name) == "release":
            pinned = _release(workspace, name).commit
            if pinned == workspace.commit or (first is not None and pinned == first.commit):
                continue  # the run of the release itself, or of what follows it directly: one table says it all
        baseline = _named(workspace, rules, name, base, evaluated, store)
        if baseline is None:  # nothing was ever recorded of any commit, and yet this one is to be beaten
            raise InfrastructureError(f"baseline {name}: no evaluation of it is recorded; run the workflow on that commit")
        found.append((name, baseline))
    return found


def _named(
    workspace: Workspace, rules: Config, name: str, base: BaselineCommit, evaluated: EvaluateFindings, store: Store
) -> Baseline | None:
    match kind_of_baseline(name):
        case "base":
            return _of_commit(workspace, "base", base, rules, evaluated, store)
        case "champion":
            return _of_commit(workspace, "champion", _champion(workspace, store), rules, evaluated, store)
        case "release":
            return _of_commit(workspace, "release", _release(workspace, name), rules, evaluated, store)
        case _:
            return _of_file(workspace, rules, name, base)


def _release(workspace: Workspace, name: str) -> BaselineCommit:
    try:
        return BaselineCommit(release.commit_of(workspace.root, workspace.context, name), f"release {name}")
    except InputError as error:
        raise InputError(f"{workspace.config_path}: {error}") from None


def recorded_predictions(workspace: Workspace, commit: str, store: Store) -> Predictions | None:
    """A commit's predictions as the store has them; None where it has none. Raises InfrastructureError where they are damaged."""
    found = _recorded(workspace, commit, store)
    return None if found is None else found[1]


def _champion(workspace: Workspace, store: Store) -> BaselineCommit:
    content = store.read(CHAMPION)
    if content is None:
        raise InputError(
            f"{workspace.config_path}: gate.baseline: no champion is recorded in {store.description}; set gate.baseline: base until one is"
        )
    try:
        commit = json.loads(content)["commit"]
    except (ValueError, KeyError, TypeError):
        commit = None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise InfrastructureError(f"{CHAMPION} in {store.description}: damaged, it names no commit; record the champion again")
    return BaselineCommit(commit, "champion in the store")


def _of_commit(
    workspace: Workspace, kind: KindOfBaseline, at: BaselineCommit, rules: Config, evaluated: EvaluateFindings, store: Store
) -> Baseline | None:
    if at.commit is None:
        if _has_others(workspace, store):
            raise InputError(
                f"baseline: no commit to compare with ({at.how}), though evaluations of this model are recorded; "
                "check out a commit that descends from the default branch, with `fetch-depth: 0`"
            )
        return None
    commit = at.commit
    unreadable: InfrastructureError | None = None

    def stored() -> _Found | None:
        nonlocal unreadable
        try:
            return _recorded(workspace, commit, store)
        except InfrastructureError as error:
            unreadable = error  # closes the gate, unless this very commit's evaluation lies elsewhere too
            return None

    sources: list[Callable[[], _Found | None]] = [
        stored,
        lambda: _carried(workspace, commit, evaluated, ("dvc outputs", "git")),
        lambda: _run_artifact(workspace, commit, rules.model),
        lambda: _carried(workspace, commit, evaluated, ("run cache", "rebuilt")),
        lambda: _rescored(workspace, commit, evaluated),
    ]
    for source in sources:
        if (found := source()) is not None:
            model, predicted, name, further = found
            remark = f"the store was of no use, the baseline is from elsewhere ({name}): {unreadable}" if unreadable else ""
            return replace(_baseline(kind, commit, at.how, name, predicted, model), remark=remark, further=further)
    if unreadable:
        raise unreadable
    expired: str | None = None
    if kind == "base":
        earlier, expired = run_artifacts.of_ancestor(workspace, commit, rules.model)
        if earlier is not None:
            how = f"the nearest before {commit[:7]} ({at.how}) whose own run left an evaluation"
            found_earlier = _baseline(kind, earlier.commit, how, "run artifact", earlier.predictions, earlier.model)
            return replace(found_earlier, stands_in_for=commit, further=earlier.further)
    if kind == "base" and not expired and not _has_others(workspace, store) and not _has_outputs(workspace, commit, rules):
        return None
    note = f" ({expired or evaluated.baseline_note})" if expired or evaluated.baseline_note else ""
    shown = f"{at.how} ({commit[:12]})" if kind == "release" else commit[:12]
    raise InfrastructureError(
        f"baseline {shown}: its evaluation is not to be had{note}; run the workflow on that commit of the default branch, "
        "'dvc push' its outputs, or set gate.rebuild_baseline: true"
    )


def _has_others(workspace: Workspace, store: Store) -> bool:
    """Whether another commit's evaluation was ever recorded; the candidate's own is there when its run is repeated."""
    return any(name != f"evaluations/{workspace.commit}.json" for name in store.names("evaluations/"))


def _has_outputs(workspace: Workspace, commit: str, rules: Config) -> bool:
    """Whether the commit says that it has predictions, in Git or in DVC, under a configuration that named them.

    Asked of Git, not of the job that looked for them: that one ran the candidate's code.
    """
    root, predicted = workspace.root, rules.evaluation.predictions
    if predicted is None or git.file_at(root, commit, workspace.config_path) is None:
        return False  # before this model had a gate
    if any(git.file_at(root, commit, name) is not None for name in (predicted, f"{predicted}.dvc")):
        return True
    listed = git.try_text(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", ".") or ""
    locks = [path for path in listed.split("\0") if path.rpartition("/")[2] == "dvc.lock"]
    outputs = {out for path in locks for out in locked_outputs(git.file_at(root, commit, path) or b"", path.rpartition("/")[0])}
    return any(predicted == out or predicted.startswith(f"{out}/") for out in outputs)


def _recorded(workspace: Workspace, commit: str, store: Store) -> _Found | None:
    name = f"evaluations/{commit}.json"
    content = store.read(name)
    if content is None and git.commit(workspace.root, commit) is not None:
        name = f"inputs/{lineage.inputs_sha256(workspace, commit)}.json"
        content = store.read(name)
    if content is None:
        return None
    where = f"{name} in {store.description}"
    try:
        model = records.parse_record(ScoredModel, content, where)
    except InputError as error:
        raise InfrastructureError(f"{error}; run the workflow on the default branch to record it again") from None
    if model.predictions is None:
        return model, None, "store", Further()
    predicted = _stored(workspace, store, model.predictions, model, model.classes, where)
    further = further_of(model, lambda one: _stored(workspace, store, one.predictions, model, one.classes, where))
    return model, predicted, "store", further


def _stored(
    workspace: Workspace, store: Store, reference: FileRef, model: ScoredModel, classes: list[str] | None, where: str
) -> Predictions | None:
    """Predictions out of the store. Raises InfrastructureError where they are not what was recorded."""
    body = store.read(reference.path)
    if body is None or hashlib.sha256(body).hexdigest() != reference.sha256:
        what = "absent" if body is None else "not the ones that were recorded (SHA-256 differs)"
        raise InfrastructureError(f"{where}: its predictions are {what}; run the workflow on the default branch to record them again")
    path = workspace.files / "gate" / "baseline.parquet"
    records.write_bytes(path, body)
    return predictions.read(path, model.task, classes) if model.task else None


def _carried(workspace: Workspace, commit: str, evaluated: EvaluateFindings, accepted: tuple[str, ...]) -> _Found | None:
    for carried in (evaluated.baseline, evaluated.pinned):
        if carried is not None and carried.source in accepted and carried.model.commit == commit:
            found = predictions_of(carried.model, workspace.state)
            return carried.model, found, carried.source, further_in(carried.model, workspace.state)
    return None


def _rescored(workspace: Workspace, commit: str, evaluated: EvaluateFindings) -> _Found | None:
    """Its model's answers on this very holdout, where there is no record of others."""
    model = evaluated.rescored
    if model is None or model.commit != commit:
        return None
    return model, predictions_of(model, workspace.state), "re-scored", Further()


def _run_artifact(workspace: Workspace, commit: str, name: str) -> _Found | None:
    """What a workflow run of that very commit left."""
    found = run_artifacts.of_commit(workspace, commit, name)
    return (found.model, found.predictions, "run artifact", found.further) if found else None


def _of_file(workspace: Workspace, rules: Config, path: str, base: BaselineCommit) -> Baseline:
    """A predictions file; where Git tracks it, as the baseline commit has it: a pull request does not choose its own opponent."""
    where = f"{workspace.config_path}: gate.baseline"
    try:
        inside = FileRef(path=path, sha256="0" * 64, size_bytes=0).path
    except ValueError:
        raise InputError(f"{where}: expected `base`, `champion` or a path inside the working directory, got '{path}'") from None
    content = git.file_at(workspace.root, base.commit, inside) if base.commit else None
    source = workspace.root / inside
    if content is not None:
        source = workspace.files / "gate" / f"baseline{Path(inside).suffix}"
        records.write_bytes(source, content)
    elif base.commit and workspace.context.is_github and (source.resolve() != source or git.file_at(workspace.root, "HEAD", inside)):
        raise InputError(f"{where}: '{path}' is not there at the baseline {base.commit[:12]}, and this change's own file does not count")
    elif not source.is_file():
        raise InputError(f"{where}: no file '{path}', and neither `base` nor `champion`{_git_hint(workspace, path)}")
    how = f"{path} as of {base.commit[:12]}" if content is not None and base.commit else path
    predicted = loading.load(source, rules.evaluation, path, are_slices_optional=True)
    ids: Literal["column", "row numbers"] = "row numbers" if rules.evaluation.columns.id is None else "column"
    return Baseline("path", base.commit if content is not None else None, how, "file", predicted, {}, ids)


def _git_hint(workspace: Workspace, path: str) -> str:
    return "; pull it first with 'dvc pull'" if (workspace.root / f"{path}.dvc").is_file() else ""


def _baseline(
    kind: KindOfBaseline, commit: str, how: str, source: BaselineSource, predicted: Predictions | None, model: ScoredModel
) -> Baseline:
    metrics = {metric.name: metric for metric in model.metrics}
    return Baseline(
        kind, commit, how, source, predicted, metrics, model.ids, seed_metrics=tuple(model.seed_metrics), training=model.training
    )
