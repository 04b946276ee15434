"""evaluation.latency as `evaluate` measures it: the candidate's program here, the baseline's in a worktree of its commit, taking turns.

Both run on this machine in this job; what another machine measured is never compared with. The job runs the candidate's code, so the times
are its own word: the gate computes from them, and the report says who took them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import evidence as records
from mlgate import git
from mlgate.config import Config, LatencyConfig
from mlgate.data import cache, checkout
from mlgate.errors import InputError
from mlgate.evaluation import latency as timing
from mlgate.evaluation.latency import Program, ProgramFailedError
from mlgate.evidence import Latency, LatencySamples, file_ref
from mlgate.stages.baseline import rescoring, worktree
from mlgate.stages.baseline.worktree import BaselineNotRunError
from mlgate.stages.job import secret_env
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace

FILE = "latency.json"
_LOG = "latency.log"


def measure(workspace: Workspace) -> Latency | None:
    """Measure both models, or read the user's samples; None where the configuration asks for neither.

    Raises:
        InputError: the candidate's program, the rows or the samples are wrong.
        InfrastructureError: the disk refuses.
    """
    latency = workspace.config.evaluation.latency
    if latency is None:
        return None
    if latency.samples is not None:
        checkout.refuse_pointers(workspace.root, [latency.samples])
        shown_as = f"{latency.samples} (evaluation.latency.samples)"
        samples, has_rounds = timing.read_samples(workspace.root / latency.samples, shown_as)
        return _kept(workspace, latency, samples, len(samples.candidate) if has_rounds else None, _NOT_MEASURED)
    rows = _rows(workspace, latency)
    log = workspace.files / _LOG
    candidate = timing.program_of(latency, workspace.root, log)
    with ExitStack() as stack:
        opponent = _opponent(workspace, latency, stack)
        seed = zlib.crc32(f"{workspace.commit}:{opponent.commit}".encode())
        try:
            with workspace.console.progress("latency") as progress:
                samples, opponent = _timed(candidate, opponent, latency, rows, seed, progress.say)
        finally:
            for written in (log, _baselines_log(workspace)):
                secret_env.hide_in(written, os.environ)
    return _kept(workspace, latency, samples, latency.rounds, opponent)


@dataclass(frozen=True)
class _Opponent:
    """The baseline's program, or why there is none."""

    program: Program | None = None
    commit: str | None = None
    note: str = ""


_NOT_MEASURED = _Opponent(note="these are samples of the candidate alone")


def _timed(
    candidate: Program, opponent: _Opponent, latency: LatencyConfig, rows: Sequence[dict[str, Any]], seed: int, say: Callable[[str], None]
) -> tuple[LatencySamples, _Opponent]:
    """Both, or the candidate alone where the baseline's program fails. Raises InputError where the candidate's does."""
    try:
        return timing.measure(candidate, opponent.program, latency, rows, seed, say), opponent
    except ProgramFailedError as error:
        reason = secret_env.hidden(str(error), os.environ)
        if error.program is candidate:
            raise InputError(f"evaluation.latency: {reason}") from None
    return _timed(candidate, _Opponent(note=f"the baseline's {reason}"), latency, rows, seed, say)


def _rows(workspace: Workspace, latency: LatencyConfig) -> list[dict[str, Any]]:
    """What is asked about: the holdout without its answers. Raises InputError."""
    evaluation = workspace.config.evaluation
    data, key = (latency.data, "evaluation.latency.data") if latency.data else (evaluation.holdout[0], "evaluation.holdout")
    checkout.refuse_pointers(workspace.root, [data])
    return timing.rows_of(workspace.root / data, f"{data} ({key})", (evaluation.columns.target, evaluation.columns.id))


def _baselines_log(workspace: Workspace) -> Path:
    return workspace.files / "baseline" / _LOG


def _opponent(workspace: Workspace, latency: LatencyConfig, stack: ExitStack) -> _Opponent:
    """The baseline commit's program, its code and model in a worktree that is gone when `stack` is left."""
    try:
        commit = lineage.baseline_commit(workspace).commit
    except InputError:
        return _Opponent()  # who looked for the baseline has said it
    if commit is None or git.commit(workspace.root, commit) is None:
        return _Opponent()
    rules, _ = lineage.rules_of(workspace, commit)
    if rules.gate.baselines[0] != "base":
        return _Opponent(note=f"gate.baseline is '{rules.gate.baselines[0]}', and only the model of the base commit can be run here")
    try:
        return _Opponent(_program(workspace, commit, rules, latency, stack), commit)
    except (BaselineNotRunError, InputError) as error:
        return _Opponent(note=f"the baseline {commit[:12]} could not be run: {error}")


def _program(workspace: Workspace, commit: str, rules: Config, latency: LatencyConfig, stack: ExitStack) -> Program:
    """Raises BaselineNotRunError and InputError."""
    cache.share(os.environ)
    theirs = rules.evaluation.latency
    if theirs is None or theirs.samples is not None:
        theirs = latency  # it was not measured then: the way of now may do for the model of then
    root = stack.enter_context(worktree.at_commit(workspace.root, commit))
    with workspace.console.progress("fetching the baseline's model"):
        rescoring.bring_model(workspace.root, commit, rules, rules.evaluation, root)
        if theirs.model is not None and not (root / theirs.model).exists():
            named = rules.evaluation.model_copy(update={"model_files": [theirs.model]})
            rescoring.bring_model(workspace.root, commit, rules, named, root)
    return timing.program_of(theirs, root, _baselines_log(workspace))


def _kept(workspace: Workspace, latency: LatencyConfig, samples: LatencySamples, rounds: int | None, opponent: _Opponent) -> Latency:
    """Every time that was taken, beside the evidence."""
    path = workspace.files / FILE
    records.write_bytes(path, samples.model_dump_json().encode())
    is_ours = latency.samples is None
    return Latency(
        measured_by="mlgate" if is_ours else "user",
        program=str(latency.predict or latency.model or latency.samples)[: records.MAX_TEXT],
        samples=file_ref(path, workspace.state),
        requests=sum(map(len, samples.candidate)),
        rounds=rounds,
        batch=latency.batch if is_ours else 1,
        warm_up=latency.warm_up if is_ours else 0,
        quantiles=latency.quantiles,
        baseline_commit=opponent.commit if samples.baseline is not None else None,
        baseline_note=secret_env.hidden(opponent.note, os.environ)[: records.MAX_TEXT],
    )
