"""The baseline's model on a holdout that changed: its code and model in a worktree of its commit, the candidate's holdout, one command.

Part of `evaluate`, the job that has the data and its credentials. The gate holds the answers against those on record.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mlgate import git, store
from mlgate.config import DEFAULT_TIMEOUT_S, Config, EvaluationConfig
from mlgate.console import plain
from mlgate.data import cache, identity
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import loading, predictions, scoring
from mlgate.evaluation.dvc_history import NotThereError, NotTrackedError, open_history
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import CarriedBaseline, ScoredModel, parse_record
from mlgate.stages.baseline import worktree
from mlgate.stages.baseline.search import as_ours
from mlgate.stages.baseline.worktree import BaselineNotRunError
from mlgate.stages.job import commands
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace

FILE = "rescored.parquet"


def rescore(workspace: Workspace, candidate: Predictions, carried: CarriedBaseline | None) -> tuple[ScoredModel | None, str]:
    """Score the baseline commit's model on the candidate's holdout, where that is another than its own.

    Args:
        workspace: the model's folder; what lies in it stays as it is.
        candidate: predictions of this commit's model.
        carried: the baseline's evaluation, where this job found it.

    Returns:
        The evaluation, its predictions below files/baseline; or None and, in a line, why there is none. The line is empty where there was
        no need of one: no `evaluation.predict`, or the same holdout.

    Raises:
        CommandInterruptedError: we were told to end while the command ran.
    """
    try:
        commit = lineage.baseline_commit(workspace).commit
    except InputError:
        return None, ""  # who looked for the baseline has said it
    if commit is None or git.commit(workspace.root, commit) is None:
        return None, ""
    rules, _ = lineage.rules_of(workspace, commit)
    theirs = rules.evaluation if rules.evaluation.predict else workspace.config.evaluation
    if rules.gate.baselines[0] != "base" or theirs.predict is None or rules.evaluation.predictions is None:
        return None, ""
    cache.share(os.environ)
    if not _has_changed(workspace, commit, rules, theirs, predictions.holdout_sha256(candidate), carried):
        return None, ""
    workspace.console.line(f"  the holdout changed: scoring the baseline {commit[:12]} on it (evaluation.predict)")
    try:
        return _rescored(workspace, commit, rules, theirs, candidate), ""
    except (BaselineNotRunError, InputError) as error:
        reason = f"the holdout changed, and the baseline could not be scored on it: {error}"
        return None, f"{reason}; compared on the examples that both were scored on"


def _has_changed(
    workspace: Workspace, commit: str, rules: Config, theirs: EvaluationConfig, ours: str, carried: CarriedBaseline | None
) -> bool:
    """Whether the candidate's holdout is another than the baseline's: by its evaluation where one can be had, else by the files."""
    recorded = carried.model.holdout_sha256 if carried else _recorded_holdout(workspace, commit, rules)
    if recorded is not None:
        return recorded != ours
    return any(_is_other_file(workspace, commit, rules, name) for name in theirs.holdout)


def _recorded_holdout(workspace: Workspace, commit: str, rules: Config) -> str | None:
    """The baseline's holdout as the store has it; None where the store has none, or cannot be asked from here."""
    try:
        kept = store.open_store(rules.store, root=workspace.root, model=rules.model, context=workspace.context)
        for name in (f"evaluations/{commit}.json", f"inputs/{lineage.inputs_sha256(workspace, commit)}.json"):
            if (content := kept.read(name)) is not None:
                return parse_record(ScoredModel, content, name).holdout_sha256
    except (InfrastructureError, InputError):
        return None  # the gate can ask it, and says so where it cannot
    return None


def _is_other_file(workspace: Workspace, commit: str, rules: Config, name: str) -> bool:
    """Whether a file or folder is not as it was at a commit, or nobody can tell."""
    root = workspace.root
    if not (root / name).exists():
        return True
    try:
        with open_history(root, commit, rules.data.remote) as history:
            if (md5 := history.md5(name)) is not None:
                return identity.content(root, name).md5 != md5
    except NotTrackedError:
        pass  # no DVC here
    except (NotThereError, InputError):
        return True
    is_tracked = bool(git.try_text(root, "ls-tree", "-r", "--name-only", commit, "--", name))
    return not is_tracked or git.try_text(root, "diff", "--quiet", commit, "--", f":(literal){name}") is None


def _rescored(workspace: Workspace, commit: str, rules: Config, theirs: EvaluationConfig, candidate: Predictions) -> ScoredModel:
    """Raises BaselineNotRunError and InputError."""
    config, made = workspace.config, str(rules.evaluation.predictions)
    shown_as = f"{made} of the baseline {commit[:12]}"
    evaluation = as_ours(config.evaluation, rules.evaluation)
    with worktree.at_commit(workspace.root, commit) as root:
        with workspace.console.progress("fetching the baseline's model"):
            bring_model(workspace.root, commit, rules, theirs, root)
        _bring_holdout(workspace, config.evaluation.holdout or theirs.holdout, theirs.holdout, root, commit)
        _remove(root / made)
        worktree.run(workspace, str(theirs.predict), root, "predict.log", rules.train.timeout if rules.train else DEFAULT_TIMEOUT_S)
        found = loading.load(root / made, evaluation, shown_as, are_slices_optional=True)
    _require_same_holdout(candidate, found, str(theirs.predict))
    # the gate believes resamples of the baseline's own run only
    scored = scoring.score(found, evaluation, config.gate.rules, {}, root=workspace.root, shown_as=shown_as, are_resampled=False)
    ids: Literal["column", "row numbers"] = "row numbers" if evaluation.columns.id is None else "column"
    return scored.keep(workspace.files / "baseline" / FILE, workspace.state, commit=commit, inputs_sha256=None, ids=ids)


def bring_model(ours: Path, commit: str, rules: Config, theirs: EvaluationConfig, root: Path) -> None:
    """Have the model of the commit in its worktree: what DVC's pipeline made then, each file's hash verified. Git's files are there.

    Args:
        ours: the working directory; what lies in it stays as it is.
        commit: whose model it is.
        rules: that commit's configuration.
        theirs: which names the files of the model, or leaves them to the pipeline.
        root: of the worktree.

    Raises:
        BaselineNotRunError: a file of it is not to be had.
    """
    named = theirs.model_files
    try:
        with open_history(ours, commit, rules.data.remote) as history:
            for name in _but_for(theirs.holdout, history.behind(str(rules.evaluation.predictions))) if named is None else named:
                try:
                    history.fetch_all(name, root)
                except NotTrackedError:
                    _require(root, name, commit)
    except NotTrackedError:  # no DVC here
        for name in named or ():
            _require(root, name, commit)
    except NotThereError as error:
        raise BaselineNotRunError(f"its model: {error}") from None


def _require(root: Path, name: str, commit: str) -> None:
    if not (root / name).exists():
        raise BaselineNotRunError(f"its model: {name} (evaluation.model_files) is neither in DVC nor in Git at {commit[:12]}")


def _but_for(holdout: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in names if not any(name == one or name.startswith(f"{one}/") for one in holdout)]


def _bring_holdout(workspace: Workspace, ours: Sequence[str], theirs: Sequence[str], root: Path, commit: str) -> None:
    """Put the candidate's holdout where the baseline's code looks for its own."""
    if len(ours) != len(theirs):
        raise BaselineNotRunError(f"evaluation.holdout names {len(ours)} files here and {len(theirs)} at {commit[:12]}")
    for name, place in zip(ours, theirs, strict=True):
        source, target = workspace.root / name, root / place
        if not source.exists():
            raise BaselineNotRunError(f"evaluation.holdout: there is no '{name}' here")
        try:
            _remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
        except (OSError, shutil.Error) as error:
            raise BaselineNotRunError(f"'{name}' cannot be copied: {plain(str(error))[:200]}") from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _require_same_holdout(candidate: Predictions, found: Predictions, command: str) -> None:
    if predictions.holdout_sha256(found) == predictions.holdout_sha256(candidate):
        return
    same = predictions.pair(candidate, found).shared_examples
    raise BaselineNotRunError(
        f"'{commands.short(command)}' made predictions for {found.n:,} examples, {same:,} of them with id and target of the candidate's "
        f"{candidate.n:,}; expected all of these and no other"
    )
