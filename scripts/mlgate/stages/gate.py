"""gate: compare the candidate with the baseline and decide. After evaluate; runs whatever happened before, and only on evidence.

It runs none of the user's code and believes nothing that other jobs left beyond what it checks: every number a prediction stands
behind is computed here again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from mlgate.config import Config, kind_of_baseline
from mlgate.errors import InfrastructureError, InputError, RefusedError
from mlgate.evaluation import predictions, recognition
from mlgate.evidence import Comparison, GateFindings, ScoredModel, Status
from mlgate.stages.baseline import lookup
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision import candidate as candidates
from mlgate.stages.decision import closed_before, holdout_ledger, judging, override, recording, rule_changes
from mlgate.stages.decision.candidate import Candidate
from mlgate.stages.decision.holdout_ledger import Ledger
from mlgate.stages.revisions import lineage, moved_base, release
from mlgate.stages.validation import profiles
from mlgate.stats import quantiles
from mlgate.store import Store, open_store
from mlgate.workspace import StageResult, Workspace


def run(workspace: Workspace) -> StageResult:
    """Decide whether the candidate may be merged, and record it where it already is.

    Raises:
        InputError: a rule, a baseline or an artifact is wrong (exit 2).
        InfrastructureError: the baseline was recorded and is not to be had, or the store cannot be reached (exit 3).
    """
    closed = closed_before.closed_before(workspace, os.environ)
    if closed is not None:
        return closed
    if workspace.context.is_github and workspace.commit is None:
        raise InputError("working-directory: expected a Git checkout; without one there is no baseline. Use actions/checkout")
    candidate = candidates.read(workspace)
    base = lineage.baseline_commit(workspace)
    rules, rules_from = lineage.rules_of(workspace, base.commit)
    # By the name the baseline has: a pull request that changes it would be a first model, with nothing to compare it with.
    store = open_store(rules.store, root=workspace.root, model=rules.model, context=workspace.context)
    rules = _resolved(workspace, rules, candidate)
    asked, rules = rules, holdout_ledger.decided_by(rules, is_release=workspace.context.is_release)
    with workspace.console.progress("finding the baseline"):
        baseline = lookup.find(workspace, rules, base, candidate.findings, store)
        others = lookup.find_others(workspace, rules, base, candidate.findings, store, baseline)
    ledger = _ledger(workspace, candidate, baseline, store)
    findings = judging.judged(workspace, candidate, base, baseline, rules, rules_from, _climbing(ledger, asked, store))
    findings = judging.judged_beside_others(workspace, candidate, rules, others, findings)
    findings = _with_use(workspace, ledger, asked, findings, store)
    findings = rule_changes.with_rule_changes(workspace, rules, base, baseline, candidate, findings, store)
    overridden = override.applied(workspace, rules, findings, store)
    if rules.model != workspace.config.model:
        store = open_store(rules.store, root=workspace.root, model=workspace.config.model, context=workspace.context)
    moved = moved_base.remark(workspace, base) if rules.gate.baselines[0] == "base" else None
    worn_out = holdout_ledger.worn_out(findings.holdout) if findings.holdout else None
    found_at = [one.remark for one in filter(None, [baseline, *(other for _, other in others)]) if one.remark]
    remarks = [*found_at, *filter(None, [worn_out, moved]), *_pins_not_there(workspace, rules), *overridden.remarks]
    use = holdout_ledger.records_of(workspace, ledger, findings.comparisons) if ledger else {}
    return _recorded(workspace, candidate, overridden.findings, store, remarks, use)


def _pins_not_there(workspace: Workspace, rules: Config) -> list[str]:
    """Releases that this change pins and nobody has: once merged, every later run would end at them, the one that corrects it, too."""
    told = []
    for name in workspace.config.gate.baselines:
        if name not in rules.gate.baselines and kind_of_baseline(name) == "release":
            try:
                release.commit_of(workspace.root, workspace.context, name)
            except InputError as error:
                told.append(f"merged like this, every later run would end with an error: {error}")
    return told


def _resolved(workspace: Workspace, rules: Config, candidate: Candidate) -> Config:
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


def _ledger(workspace: Workspace, candidate: Candidate, baseline: Baseline | None, store: Store) -> Ledger | None:
    """The ledger of the candidate's holdout; None where there are no predictions to test."""
    file = candidate.findings.candidate.predictions
    if candidate.predictions is None or file is None:
        return None
    recorded = baseline.predictions if baseline is not None and baseline.predictions is not None else None
    share = 0.0
    if recorded is not None and recorded.task == candidate.predictions.task:
        share = predictions.pair(candidate.predictions, recorded).shared_share
    return holdout_ledger.opened(workspace, store, candidate.predictions, file.sha256, recorded, share)


def _climbing(ledger: Ledger | None, asked: Config, store: Store) -> Callable[[list[Comparison], bool], list[Comparison]]:
    """What rows become before the rules are held against them: what the Ladder lets stand, where it is asked for. Called with the rows, and
    with whether both models answer every example alike."""
    gate = asked.gate
    if ledger is None or gate.holdout.reuse != "ladder":
        return lambda rows, _: rows
    return lambda rows, same: holdout_ledger.climbed(ledger, rows, store, gate.confidence, gate.holdout.budget, is_same=same)


def _with_use(workspace: Workspace, ledger: Ledger | None, asked: Config, findings: GateFindings, store: Store) -> GateFindings:
    """The findings with how often this holdout was used, this use counted, and what is left of the gate's promise by that."""
    if ledger is None:
        return findings
    gate = asked.gate
    of_examples = [row for row in findings.comparisons if row.method != quantiles.ROUNDS]
    used = holdout_ledger.use_of(ledger, of_examples, gate.holdout, gate.confidence, gate.test_confidence)
    if not recording.is_due(workspace):  # else it is written in one step with the evaluation
        with workspace.console.progress("counting this use of the holdout"):
            used = holdout_ledger.record(workspace, ledger, findings.comparisons, store, used)
    return findings.model_copy(update={"holdout": used})


def _recorded(
    workspace: Workspace, candidate: Candidate, findings: GateFindings, store: Store, remarks: Sequence[str], use: Mapping[str, bytes]
) -> StageResult:
    """The stage's result; where the commit is on the default branch, after its evaluation was recorded as a baseline of later runs."""
    how = f"open, {override.words(findings.override)}; without that" if findings.override else "open" if findings.is_open else "closed"
    summary = "\n".join([f"gate {how}: {findings.headline}", *remarks])
    status: Status = "passed" if findings.is_open else "failed"
    if not recording.is_due(workspace):
        return StageResult(status=status, summary=summary, findings=findings)
    model: ScoredModel = candidate.findings.candidate
    try:
        with workspace.console.progress(f"recording the evaluation in {store.description}"):
            if (outdated := recording.outdated(workspace)) is not None:
                findings = findings.model_copy(update={"outdated": outdated})
                return StageResult(status=status, summary=f"{summary}\nnot recorded as a baseline, outdated: {outdated}", findings=findings)
            kept = profiles.records(workspace, workspace.commit) if workspace.commit else {}
            reason = recording.record(workspace, model, candidate.path, store, {**use, **kept})
            findings = holdout_ledger.as_counted(findings)
    except RefusedError as error:
        findings = holdout_ledger.as_counted(findings, error)
        if workspace.config.store is None and workspace.context.is_github:  # nobody asked for it: ten lines have `contents: read`
            remark = f"not recorded in the store: {error}; this run's artifact is the baseline of later ones"
            return StageResult(status=status, summary=f"{summary}\n{remark}", findings=findings)
        return StageResult(status="error", summary=f"{summary}\nnot recorded as a baseline: {error}", findings=findings, exit_code=3)
    except InfrastructureError as error:
        return StageResult(status="error", summary=f"{summary}\nnot recorded as a baseline: {error}", findings=findings, exit_code=3)
    if reason is not None:
        return StageResult(status=status, summary=f"{summary}\nnot recorded as a baseline: {reason}", findings=findings)
    return StageResult(status=status, summary=summary, findings=findings.model_copy(update={"recorded_in_store": True}))
