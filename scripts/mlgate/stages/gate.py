"""gate: compare the candidate with the baseline and decide. After evaluate; runs whatever happened before, and only on evidence.

It runs none of the user's code and believes nothing that other jobs left beyond what it checks: every number a prediction stands
behind is computed here again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import evidence as records
from mlgate.config import Config
from mlgate.errors import InfrastructureError, InputError
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import BEFORE_THE_GATE, BaselineRef, EvaluateFindings, Evidence, GateFindings, ScoredModel
from mlgate.stages import changes, gate_baseline, gate_comparison, gate_recording, gate_rules, lineage
from mlgate.stages.gate_baseline import Baseline
from mlgate.stages.gate_comparison import Examination
from mlgate.stages.lineage import BaselineCommit
from mlgate.store import Store, open_store
from mlgate.workspace import StageResult, Workspace

_BEFORE_TRAINING = ("check", "pull-data", "validate-data")
_BAD_ENDS = ("failure", "cancelled")


@dataclass(frozen=True)
class _Candidate:
    findings: EvaluateFindings
    predictions: Predictions
    path: Path


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
    with workspace.console.progress("finding the baseline"):
        baseline = gate_baseline.find(workspace, rules, base, candidate.findings, store)
    findings = _findings(workspace, candidate, base, baseline, rules, rules_from)
    if rules.model != workspace.config.model:
        store = open_store(rules.store, root=workspace.root, model=workspace.config.model, context=workspace.context)
    return _recorded(workspace, candidate, findings, store)


def _closed_before(workspace: Workspace, environ: Mapping[str, str]) -> StageResult | None:
    """The result where an earlier stage or job already decided; None where there is something to compare."""
    found = {stage: workspace.evidence(stage) for stage in BEFORE_THE_GATE}
    for stage, evidence in found.items():
        if evidence is not None and evidence.status in ("failed", "error"):
            return _closed(workspace, _what_did_not_happen(stage, found, evidence.summary), evidence.exit_code or 1)
    needs = _needs(environ)
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


def _closed(workspace: Workspace, headline: str, exit_code: int) -> StageResult:
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
    return StageResult(status="failed", summary=f"gate closed: {headline}", findings=findings, exit_code=exit_code)


def _candidate(workspace: Workspace) -> _Candidate:
    evidence = workspace.evidence("evaluate")
    findings = evidence.findings if evidence else None
    if not isinstance(findings, EvaluateFindings):
        raise InputError("evaluate.json: nothing was evaluated; run 'mlgate evaluate' before the gate")
    model = findings.candidate
    path = records.checked_file(model.predictions, workspace.state)
    return _Candidate(findings, predictions.read(path, model.task, model.classes), path)


def _findings(
    workspace: Workspace, candidate: _Candidate, base: BaselineCommit, baseline: Baseline | None, rules: Config, rules_from: Any
) -> GateFindings:
    model = candidate.findings.candidate
    pairing = _paired(candidate.predictions, baseline) if baseline else None
    examined = Examination(
        rules=rules,
        candidate=candidate.predictions,
        holdout_sha256=predictions.holdout_sha256(candidate.predictions),
        metrics={metric.name: metric for metric in model.metrics},
        baseline=baseline,
        pairing=pairing,
    )
    where = workspace.config_path + (f" as of the baseline {base.commit[:12]}" if rules_from == "baseline" and base.commit else "")
    values = {name: gate_comparison.value_of(examined, name) for name in examined.names}
    defined = {name: value for name, value in values.items() if value is not None}
    gate_rules.check_metrics(rules, list(defined), [name for name in values if name not in defined], where)
    with workspace.console.progress("comparing") as progress:
        rows = gate_comparison.comparisons(examined, progress.say)
        slices = gate_comparison.slices(examined, progress.say) if pairing else gate_comparison.slices_of_first(examined, model.slices)
    decision = gate_rules.decide(rules, rows, defined, has_baseline=baseline is not None)
    return GateFindings(
        is_open=decision.is_open,
        verdict=decision.verdict,
        headline=decision.headline + _shared_words(pairing),
        is_first_model=baseline is None,
        baseline=_reference(baseline, pairing) if baseline and pairing else None,
        rules_from=rules_from,
        confidence=rules.gate.confidence,
        rules=decision.rules,
        comparisons=rows,
        slices=slices,
        changes=changes.changes(workspace, baseline.commit if baseline and baseline.commit else base.commit),
        confusion=gate_comparison.confusion_of(examined),
        residuals=gate_comparison.residuals_of(examined),
    )


def _paired(candidate: Predictions, baseline: Baseline) -> Pairing:
    pairing = predictions.pair(candidate, baseline.predictions)
    if pairing.shared_examples == 0:
        name = baseline.commit[:12] if baseline.commit else baseline.how
        reason = "with equal targets " if pairing.common_ids else ""
        raise InputError(
            f"baseline {name}: no example {reason}in common with the candidate's holdout of {candidate.n:,}; "
            "evaluate both on one holdout (evaluation.columns.id names the examples)"
        )
    return pairing


def _reference(baseline: Baseline, pairing: Pairing) -> BaselineRef:
    return BaselineRef(
        kind=baseline.kind,
        commit=baseline.commit,
        how=baseline.how,
        source=baseline.source,
        shared_examples=pairing.shared_examples,
        shared_share=pairing.shared_share,
    )


def _shared_words(pairing: Pairing | None) -> str:
    if pairing is None or pairing.shared_share == 1:
        return ""
    return (
        f" (on the {pairing.shared_examples:,} of {round(pairing.shared_examples / pairing.shared_share):,} examples both were scored on)"
    )


def _recorded(workspace: Workspace, candidate: _Candidate, findings: GateFindings, store: Store) -> StageResult:
    summary = f"gate {'open' if findings.is_open else 'closed'}: {findings.headline}"
    status: Any = "passed" if findings.is_open else "failed"
    if not gate_recording.is_due(workspace):
        return StageResult(status=status, summary=summary, findings=findings)
    model: ScoredModel = candidate.findings.candidate
    try:
        with workspace.console.progress(f"recording the evaluation in {store.description}"):
            reason = gate_recording.record(workspace, model, candidate.path, store)
    except InfrastructureError as error:
        return StageResult(status="error", summary=f"{summary}\nnot recorded as a baseline: {error}", findings=findings, exit_code=3)
    if reason is not None:
        return StageResult(status=status, summary=f"{summary}\nnot recorded as a baseline: {reason}", findings=findings)
    return StageResult(status=status, summary=summary, findings=findings.model_copy(update={"recorded_in_store": True}))
