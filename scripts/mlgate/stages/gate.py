"""gate: compare the candidate with the baseline and decide. After evaluate; runs whatever happened before, and only on evidence.

It runs none of the user's code and believes nothing that other jobs left beyond what it checks: every number a prediction stands
behind is computed here again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlgate import evidence as records
from mlgate.config import Config
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.evaluation import predictions, recognition
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import (
    BEFORE_THE_GATE,
    BaselineRef,
    Change,
    EvaluateFindings,
    Evidence,
    GateFindings,
    Rescoring,
    ScoredModel,
    ValidationFindings,
)
from mlgate.stages.baseline import joined_rescoring, lookup
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision import comparison, override, recording, ruling, weakening_verdict
from mlgate.stages.decision.comparison import Examination
from mlgate.stages.forks import without_secrets
from mlgate.stages.revisions import changes, lineage
from mlgate.stages.revisions.lineage import BaselineCommit
from mlgate.store import Store, open_store
from mlgate.workspace import StageResult, Workspace

_BEFORE_TRAINING = ("check", "pull-data", "validate-data")
_BAD_ENDS = ("failure", "cancelled")


@dataclass(frozen=True)
class _Candidate:
    findings: EvaluateFindings
    predictions: Predictions | None
    """None where metric files are all there is."""
    path: Path | None


def run(workspace: Workspace) -> StageResult:
    """Decide whether the candidate may be merged, and record it where it already is.

    Raises:
        InputError: a rule, a baseline or an artifact is wrong (exit 2).
        InfrastructureError: the baseline was recorded and is not to be had, or the store cannot be reached (exit 3).
    """
    closed = _closed_before(workspace, os.environ)
    if closed is not None:
        return closed
    if workspace.context.is_github and workspace.commit is None:
        raise InputError("working-directory: expected a Git checkout; without one there is no baseline. Use actions/checkout")
    candidate = _candidate(workspace)
    base = lineage.baseline_commit(workspace)
    rules, rules_from = lineage.rules_of(workspace, base.commit)
    # By the name the baseline has: a pull request that changes it would be a first model, with nothing to compare it with.
    store = open_store(rules.store, root=workspace.root, model=rules.model, context=workspace.context)
    rules = _resolved(workspace, rules, candidate)
    with workspace.console.progress("finding the baseline"):
        baseline = lookup.find(workspace, rules, base, candidate.findings, store)
    findings = _findings(workspace, candidate, base, baseline, rules, rules_from)
    findings = _with_rule_changes(workspace, rules, base, baseline, candidate, findings, store)
    overridden = override.applied(workspace, rules, findings, store)
    if rules.model != workspace.config.model:
        store = open_store(rules.store, root=workspace.root, model=workspace.config.model, context=workspace.context)
    remarks = [*([baseline.remark] if baseline and baseline.remark else []), *overridden.remarks]
    return _recorded(workspace, candidate, overridden.findings, store, remarks)


def _closed_before(workspace: Workspace, environ: Mapping[str, str]) -> StageResult | None:
    """The result where an earlier stage or job already decided; None where there is something to compare."""
    if workspace.context.triggering and (refused := environ.get(without_secrets.REFUSED)):
        return _closed(workspace, f"Nothing was compared: {refused}", 2)
    found = {stage: workspace.evidence(stage) for stage in BEFORE_THE_GATE}
    for stage, evidence in found.items():
        if evidence is not None and evidence.status in ("failed", "error"):
            advice = without_secrets.advice(workspace.root, workspace.context) if (stage, evidence.exit_code) == ("pull-data", 3) else None
            return _closed(workspace, _what_did_not_happen(stage, found, evidence.summary), evidence.exit_code or 1, advice)
    needs = {**_needs(environ), **without_secrets.ended(workspace.context)}
    ended = [
        f"job '{job}' was cancelled" if result == "cancelled" else f"job '{job}' failed"
        for job, result in needs.items()
        if result in _BAD_ENDS
    ]
    if ended:
        missing = " and left no evidence" if found["evaluate"] is None else " though its stages passed"
        return _closed(workspace, f"{ended[0]}{missing}: see its log, then run it again", 3)
    if found["evaluate"] is None:
        skipped = [f"job '{job}' was skipped, " for job, result in needs.items() if result == "skipped"]
        raise InputError(
            f"evaluate.json: {skipped[0] if skipped else ''}no evidence of an evaluation; run 'mlgate evaluate' before the gate"
        )
    return None


def _what_did_not_happen(stage: str, found: Mapping[str, Evidence[Any] | None], summary: str) -> str:
    line = summary.splitlines()[0] if summary else f"{stage} failed"
    if stage in _BEFORE_TRAINING and (found["train"] is None or found["train"].status == "skipped"):
        return f"Nothing was trained: {line.removesuffix(' Nothing was trained.')}"
    return f"Nothing was compared: {line}"


def _needs(environ: Mapping[str, str]) -> dict[str, str]:
    """How earlier jobs ended, from the workflow's `needs` context. Raises InputError."""
    text = environ.get("MLGATE_NEEDS", "").strip()
    if not text:
        return {}
    try:
        needs = json.loads(text)
        return {str(job): str(state["result"]) for job, state in needs.items()}
    except (ValueError, AttributeError, KeyError, TypeError):
        raise InputError("MLGATE_NEEDS: expected the workflow's needs as JSON: ${{ toJSON(needs) }}") from None


def _closed(workspace: Workspace, headline: str, exit_code: int, advice: str | None = None) -> StageResult:
    findings = GateFindings(
        is_open=False,
        verdict=None,
        headline=headline,
        is_first_model=False,
        baseline=None,
        rules_from="candidate",
        confidence=workspace.config.gate.confidence,
        rules=[],
        comparisons=[],
        slices=[],
        changes=[],
    )
    summary = "\n".join([f"gate closed: {headline}", *filter(None, [advice])])
    return StageResult(status="failed", summary=summary, findings=findings, exit_code=exit_code)


def _candidate(workspace: Workspace) -> _Candidate:
    evidence = workspace.evidence("evaluate")
    findings = evidence.findings if evidence else None
    if not isinstance(findings, EvaluateFindings):
        raise InputError("evaluate.json: nothing was evaluated; run 'mlgate evaluate' before the gate")
    if workspace.context.triggering:  # the run was a stranger's, who would like to choose the opponent
        findings = findings.model_copy(update={"baseline": None, "rescored": None})
    model = findings.candidate
    if model.predictions is None or model.task is None:
        return _Candidate(findings, None, None)
    path = records.checked_file(model.predictions, workspace.state)
    return _Candidate(findings, predictions.read(path, model.task, model.classes), path)


def _resolved(workspace: Workspace, rules: Config, candidate: _Candidate) -> Config:
    """The deciding rules with what they leave out: the task as the gate itself recognises it, the metrics of that task.

    Raises:
        InputError: the predictions are not of what the evaluation took them for, or there are none and the rules are about some.
    """
    found = candidate.predictions
    if found is None:
        if rules.evaluation.predictions is not None:
            raise InputError(
                f"{workspace.config_path}: evaluation.predictions: the baseline's rules are about predictions, and this change gives "
                "numbers of metric files alone, which certify nothing; keep the predictions"
            )
        return rules
    if rules.evaluation.stated_task is None and (seen := recognition.of_predictions(found)).task != found.task:
        raise InputError(f"evaluate.json: evaluated as a {found.task}, and {seen.because}: that is a {seen.task}; set evaluation.task")
    return rules.resolved(found.task)


def _findings(
    workspace: Workspace, candidate: _Candidate, base: BaselineCommit, baseline: Baseline | None, rules: Config, rules_from: Any
) -> GateFindings:
    model = candidate.findings.candidate
    rescored, on_record = None, baseline
    if baseline is not None and candidate.predictions is not None and baseline.predictions is not None:
        # From here on, the baseline may have answers to examples that its record lacks.
        baseline, rescored = joined_rescoring.on_this_holdout(workspace, baseline, candidate.predictions, candidate.findings)
    pairing = _paired(workspace, candidate.predictions, baseline)
    examined = Examination(
        rules=rules,
        candidate=candidate.predictions,
        holdout_sha256=predictions.holdout_sha256(candidate.predictions) if candidate.predictions else None,
        metrics={metric.name: metric for metric in model.metrics},
        baseline=baseline,
        pairing=pairing,
    )
    where = workspace.config_path + (f" as of the baseline {base.commit[:12]}" if rules_from == "baseline" and base.commit else "")
    values = {name: comparison.value_of(examined, name) for name in examined.names}
    defined = {name: value for name, value in values.items() if value is not None}
    ruling.check_metrics(rules, list(defined), [name for name in values if name not in defined], where)
    with workspace.console.progress("comparing") as progress:
        rows = comparison.comparisons(examined, progress.say)
        slices = comparison.slices(examined, progress.say) if pairing else comparison.slices_of_first(examined, model.slices)
    decision = ruling.decide(rules, rows, defined, has_baseline=baseline is not None)
    if rescored is not None and rescored.recorded_examples:
        # What the others' answers are worth, nobody knows: the job that made them runs the candidate's code.
        old = replace(examined, baseline=on_record, pairing=_paired(workspace, candidate.predictions, on_record))
        with workspace.console.progress("comparing on the recorded examples") as progress:
            decision = ruling.unless_worse(decision, rules, comparison.guarded(old, progress.say), old.shared_examples)
    return GateFindings(
        is_open=decision.is_open,
        verdict=decision.verdict,
        headline=decision.headline + _holdout_words(pairing, rescored),
        is_first_model=baseline is None,
        baseline=_reference(baseline, pairing, rescored) if baseline else None,
        rules_from=rules_from,
        confidence=rules.gate.confidence,
        rules=decision.rules,
        comparisons=rows,
        slices=slices,
        changes=[],
        confusion=comparison.confusion_of(examined),
        residuals=comparison.residuals_of(examined),
        is_certified=candidate.predictions is not None,
    )


def _with_rule_changes(
    workspace: Workspace,
    rules: Config,
    base: BaselineCommit,
    baseline: Baseline | None,
    candidate: _Candidate,
    findings: GateFindings,
    store: Store,
) -> GateFindings:
    """What changed, and what that does to the rules it is judged by; a weakening closes the gate.

    Rules are those of the baseline commit, also where the model to beat is the champion, or a file's.
    """
    validated = workspace.evidence("validate-data")
    replaced = baseline.commit if baseline and baseline.commit else base.commit
    differs = changes.changes(workspace, replaced)
    judged = differs if replaced == base.commit else changes.changes(workspace, base.commit)
    found = [
        *(change for change in judged if change.kind == "rule"),
        *_holdout_change(workspace, base, baseline, candidate.predictions, store),
    ]
    data = validated.findings if validated and isinstance(validated.findings, ValidationFindings) else None
    found += weakening_verdict.of_data(data, found)
    weakenings = [change for change in found if change.is_weakening]
    told = {"changes": [*found, *(change for change in differs if change.kind != "rule")]}
    # On the default branch it has happened: nothing is left to be kept out.
    if not weakenings or recording.is_due(workspace):
        return findings.model_copy(update=told)
    hint = f"; '/mlgate override REASON' by somebody with the role {rules.gate.override.permission} opens the gate for this commit"
    why = weakening_verdict.sentence(weakenings) + (hint if workspace.context.is_github else "")
    headline = why if findings.is_open else f"{findings.headline}; {why}"
    return findings.model_copy(update={**told, "is_open": False, "headline": headline})


def _holdout_change(
    workspace: Workspace, base: BaselineCommit, baseline: Baseline | None, candidate: Predictions | None, store: Store
) -> list[Change]:
    """How the holdout differs from the one on record for the baseline commit."""
    if baseline is None or candidate is None:
        return []
    is_numbered = workspace.config.evaluation.columns.id is None or baseline.ids == "row numbers"
    recorded = baseline.predictions
    if baseline.kind != "base":
        recorded = lookup.recorded_predictions(workspace, base.commit, store) if base.commit else None
    elif baseline.source == "re-scored":
        recorded = None  # nothing is on record
    compare = weakening_verdict.of_numbered_holdout if is_numbered else weakening_verdict.of_holdout
    change = compare(candidate, recorded) if recorded is not None else None
    return [change] if change is not None else []


def _paired(workspace: Workspace, candidate: Predictions | None, baseline: Baseline | None) -> Pairing | None:
    """Both models on the examples they share; None where one of them has no predictions."""
    if candidate is None or baseline is None or baseline.predictions is None:
        return None
    is_numbered = workspace.config.evaluation.columns.id is None
    if is_numbered or baseline.ids == "row numbers":
        return _paired_by_row(candidate, baseline, baseline.predictions, is_numbered=is_numbered)
    pairing = predictions.pair(candidate, baseline.predictions)
    if pairing.shared_examples == 0:
        name = baseline.commit[:12] if baseline.commit else baseline.how
        reason = "with equal targets " if pairing.common_ids else ""
        raise InputError(
            f"baseline {name}: no example {reason}in common with the candidate's holdout of {candidate.n:,}; "
            "evaluate both on one holdout (evaluation.columns.id names the examples), or give evaluation.predict, by which the baseline's "
            "model is scored on the new one"
        )
    return pairing


def _paired_by_row(candidate: Predictions, baseline: Baseline, theirs: Predictions, *, is_numbered: bool) -> Pairing:
    try:
        return predictions.pair_by_row(candidate, theirs)
    except predictions.HoldoutChangedError as reason:
        name = baseline.commit[:12] if baseline.commit else baseline.how
        what = f"baseline {name}: the holdout changed ({reason}), and row numbers cannot tell which examples are still the same"
        if is_numbered:
            advice = "name a column of ids (the action's input `id`, evaluation.columns.id), first with the old holdout, then change it"
        else:
            advice = "the baseline was evaluated without ids: merge the column of ids first, rows in its order and the holdout unchanged"
        raise InputError(f"{what}; {advice}") from None


def _reference(baseline: Baseline, pairing: Pairing | None, rescored: Rescoring | None) -> BaselineRef:
    return BaselineRef(
        kind=baseline.kind,
        commit=baseline.commit,
        how=baseline.how,
        source=baseline.source,
        shared_examples=pairing.shared_examples if pairing else None,
        shared_share=pairing.shared_share if pairing else 1.0,
        rescoring=rescored,
        stands_in_for=baseline.stands_in_for,
    )


def _holdout_words(pairing: Pairing | None, rescored: Rescoring | None) -> str:
    """Which examples the comparison is on, where the holdout is not the baseline's own."""
    if rescored is not None:
        return " (baseline re-scored on this holdout)"
    if pairing is None or pairing.shared_share == 1:
        return ""
    return (
        f" (on the {pairing.shared_examples:,} of {round(pairing.shared_examples / pairing.shared_share):,} examples both were scored on)"
    )


def _recorded(workspace: Workspace, candidate: _Candidate, findings: GateFindings, store: Store, remarks: Sequence[str]) -> StageResult:
    how = f"open, {override.words(findings.override)}; without that" if findings.override else "open" if findings.is_open else "closed"
    summary = "\n".join([f"gate {how}: {findings.headline}", *remarks])
    status: Any = "passed" if findings.is_open else "failed"
    if not recording.is_due(workspace):
        return StageResult(status=status, summary=summary, findings=findings)
    model: ScoredModel = candidate.findings.candidate
    try:
        with workspace.console.progress(f"recording the evaluation in {store.description}"):
            if (outdated := recording.outdated(workspace)) is not None:
                findings = findings.model_copy(update={"outdated": outdated})
                return StageResult(status=status, summary=f"{summary}\nnot recorded as a baseline, outdated: {outdated}", findings=findings)
            reason = recording.record(workspace, model, candidate.path, store)
    except RefusedError as error:
        if workspace.config.store is None and workspace.context.is_github:  # nobody asked for it: ten lines have `contents: read`
            remark = f"not recorded in the store: {error}; this run's artifact is the baseline of later ones"
            return StageResult(status=status, summary=f"{summary}\n{remark}", findings=findings)
        return StageResult(status="error", summary=f"{summary}\nnot recorded as a baseline: {error}", findings=findings, exit_code=3)
    except InfrastructureError as error:
        return StageResult(status="error", summary=f"{summary}\nnot recorded as a baseline: {error}", findings=findings, exit_code=3)
    if reason is not None:
        return StageResult(status=status, summary=f"{summary}\nnot recorded as a baseline: {reason}", findings=findings)
    return StageResult(status=status, summary=summary, findings=findings.model_copy(update={"recorded_in_store": True}))
