"""What decided before the gate could: a stage or job that failed, or none that evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlgate.errors import InputError
from mlgate.evidence import BEFORE_THE_GATE, Evidence, GateFindings
from mlgate.stages.forks import without_secrets
from mlgate.workspace import StageResult, Workspace

_BEFORE_TRAINING = ("check", "pull-data", "validate-data")
_BAD_ENDS = ("failure", "cancelled")


def closed_before(workspace: Workspace, environ: Mapping[str, str]) -> StageResult | None:
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
