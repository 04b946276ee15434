"""What a change does to the rules it is judged by; a weakening closes the gate."""

from __future__ import annotations

from mlgate.config import Config
from mlgate.evaluation.predictions import Predictions
from mlgate.evidence import Change, GateFindings, ValidationFindings
from mlgate.render import numbers
from mlgate.stages.baseline import lookup
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision import recording, weakening_verdict
from mlgate.stages.decision.candidate import Candidate
from mlgate.stages.revisions import changes, lineage, weakening
from mlgate.stages.revisions.lineage import BaselineCommit
from mlgate.store import Store
from mlgate.workspace import Workspace


def with_rule_changes(
    workspace: Workspace,
    rules: Config,
    base: BaselineCommit,
    baseline: Baseline | None,
    candidate: Candidate,
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
        *_seed_changes(workspace, rules, baseline, candidate),
    ]
    data = validated.findings if validated and isinstance(validated.findings, ValidationFindings) else None
    found += weakening_verdict.of_data(data, found)
    weakenings = [change for change in found if change.is_weakening]
    told = {"changes": [*found, *(change for change in differs if change.kind != "rule")]}
    # On the default branch, and in a release of it, it has happened: nothing is left to be kept out.
    if not weakenings or recording.is_due(workspace) or _is_release_of_default(workspace):
        return findings.model_copy(update=told)
    hint = f"; '/mlgate override REASON' by somebody with the role {rules.gate.override.permission} opens the gate for this commit"
    why = weakening_verdict.sentence(weakenings) + (hint if workspace.context.is_github else "")
    headline = why if findings.is_open else f"{findings.headline}; {why}"
    return findings.model_copy(update={**told, "is_open": False, "headline": headline})


def _seed_changes(workspace: Workspace, rules: Config, baseline: Baseline | None, candidate: Candidate) -> list[Change]:
    """Fewer seeds than the baseline has: wider intervals, which make "cannot tell" of "worse". A setting that is gone is told by itself."""
    if baseline is None or not weakening.is_doubt_passing(rules.gate):
        return []
    before, after = rules.evaluation, workspace.config.evaluation
    counted = [
        ("evaluation.seeds", before.seeds and after.seeds, len(baseline.further.seeds), len(candidate.seeds)),
        (
            "evaluation.seed_metrics",
            before.seed_metrics and after.seed_metrics,
            len(baseline.seed_metrics),
            len(candidate.findings.candidate.seed_metrics),
        ),
    ]
    return [
        Change(kind="rule", name=name, old=numbers.count(was, "seed"), new=numbers.count(now, "seed"), is_weakening=True)
        for name, is_asked, was, now in counted
        if is_asked and now < was
    ]


def _is_release_of_default(workspace: Workspace) -> bool:
    context, commit = workspace.context, workspace.commit
    default = context.default_branch
    return context.is_release and default is not None and commit is not None and lineage.is_on_branch(workspace.root, commit, default)


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
