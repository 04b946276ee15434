"""The verdict line and the sentence below it, whatever way a run ended. Words only; the gate has decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mlgate.context import RunContext
from mlgate.evidence import (
    BEFORE_THE_GATE,
    STAGES,
    Comparison,
    Evidence,
    GateFindings,
    Override,
    Record,
    RuleResult,
    TrainFindings,
    ValidationFindings,
    Verdict,
)
from mlgate.render import escape, numbers
from mlgate.render.document import Answer, Code, Line

Evidences = Mapping[str, Evidence[Any]]
R = TypeVar("R", bound=Record)
_REASON_SHOWN = 200
"""Characters of an override's reason in the line at the top; a note has all of it."""

_WORST_FIRST: tuple[Verdict, ...] = ("worse", "cannot tell", "no worse", "better")
_GOOD = ("better", "no worse")

_SAID_NO = {
    "check": "a check failed",
    "pull-data": "the data could not be verified",
    "validate-data": "the data breaks its contract; nothing was trained",
    "train": "training failed",
    "evaluate": "the evaluation is not valid",
}
_DOING = {
    "check": "running the checks",
    "pull-data": "pulling the data",
    "validate-data": "checking the data",
    "train": "training",
    "evaluate": "evaluating",
    "gate": "comparing with the baseline",
}


def findings_of(evidences: Evidences, stage: str, record: type[R]) -> R | None:
    """Findings of a stage; None where it has none."""
    evidence = evidences.get(stage)
    return evidence.findings if evidence is not None and isinstance(evidence.findings, record) else None


def first_stage(evidences: Evidences) -> Evidence[Any] | None:
    """The stage that saw the working tree as it was checked out: training writes to files that Git tracks, such as dvc.lock."""
    return next((evidences[stage] for stage in STAGES if stage in evidences), None)


def broken_stage(evidences: Evidences) -> Evidence[Any] | None:
    """The first stage before the gate that ended the run; None where all went through."""
    return next(
        (evidences[stage] for stage in BEFORE_THE_GATE if stage in evidences and evidences[stage].status in {"failed", "error"}), None
    )


def answer(evidences: Evidences, refused: Mapping[str, str], context: RunContext) -> tuple[Answer, str]:
    """The verdict line and why, in one sentence."""
    gate = findings_of(evidences, "gate", GateFindings)
    broken = broken_stage(evidences)
    if broken is not None:
        return _stopped(broken, evidences, context), _first_line(broken.summary)
    if gate is not None and not refused:
        headline = f"Without the override the gate is closed: {gate.headline}" if gate.override else gate.headline
        return _decided(gate, evidences["gate"], context), headline
    if "gate" in evidences and evidences["gate"].status != "passed" and not refused:
        return _stopped(evidences["gate"], evidences, context), _first_line(evidences["gate"].summary)
    if refused:
        stage, reason = next(iter(refused.items()))
        return Answer("unsure", _not_yet(context), (f"evidence of {stage} is refused",)), _first_line(reason)
    missing = next((stage for stage in ("evaluate", "gate") if stage not in evidences), "gate")
    return (
        Answer("unsure", _not_yet(context), ("the gate has not decided",)),
        f"There is no evidence of '{missing}': its job did not run, or did not finish. Its log says why.",
    )


def _decided(gate: GateFindings, evidence: Evidence[Any], context: RunContext) -> Answer:
    if not gate.comparisons and not gate.is_open and evidence.exit_code != 1:
        return Answer("unsure", _not_yet(context), ("a job before the gate did not finish",))
    statement = _words(context)[0 if gate.is_open else 1]
    baseline = _baseline_name(gate, context)
    failed = [rule for rule in gate.rules if not rule.is_passed]
    if not gate.is_open:
        return Answer("bad", statement, _why_closed(gate, baseline, failed, context))
    if gate.override is not None:
        return Answer("unsure", statement, overridden(gate.override), is_passed=evidence.status != "error")
    if evidence.status == "error":
        return Answer("unsure", statement, (*_why_open(gate, baseline), ", but the gate could not finish"))
    if gate.verdict == "cannot tell":
        told = _beside(gate, baseline) if gate.also else ("the holdout cannot tell it from ", *baseline)
        return Answer("unsure", statement, told, is_passed=True)
    # Without a baseline every margin says that it had nothing to look at: no flaw of this model.
    has_warning = any(rule.is_warning for rule in gate.rules) and not gate.is_first_model
    return Answer("unsure" if has_warning else "good", statement, _why_open(gate, baseline), is_passed=True)


def _why_open(gate: GateFindings, baseline: Line) -> Line:
    if gate.is_first_model:
        return ("first model, so there is nothing to compare it with",)
    if gate.also and gate.verdict is not None:
        return _beside(gate, baseline)
    match gate.verdict:
        case "better":
            return ("better than ", *baseline)
        case "no worse":
            margins = {
                numbers.scale_of(row.metric, [row.candidate, row.baseline]).margin(row.margin)
                for row in gate.comparisons
                if row.margin is not None
            }
            return ("no worse than ", *baseline, f" by more than {margins.pop()}") if len(margins) == 1 else ("no worse than ", *baseline)
        case _:
            because = "every rule holds" if gate.rules else "no rules are set"
            return (because,) if gate.is_certified else (f"{because}, uncertified",)


def overridden(override: Override) -> Line:
    """Who opened the gate, when and why."""
    who = (Code(override.by, limit=60), f" ({override.permission}) on {override.at:%Y-%m-%d at %H:%M} UTC: ")
    return ("overridden by ", *who, f"“{escape.clean(override.reason, _REASON_SHOWN)}”")


def shows_whole_reason(override: Override) -> bool:
    """Whether the line at the top has all of an override's reason."""
    return len(override.reason) <= _REASON_SHOWN and "\n" not in override.reason


def _why_closed(gate: GateFindings, baseline: Line, failed: list[RuleResult], context: RunContext) -> Line:
    weakened = sum(change.is_weakening for change in gate.changes)
    if weakened:
        also = "it weakens " + numbers.count(weakened, "rule")
        rest = _why_rules_closed(gate, baseline, failed, context) if failed else ()
        return (*rest, ", and ", also) if rest else (also,)
    return _why_rules_closed(gate, baseline, failed, context)


def _why_rules_closed(gate: GateFindings, baseline: Line, failed: list[RuleResult], context: RunContext) -> Line:
    if gate.verdict == "worse":
        return _beside(gate, baseline) if gate.also else ("worse than ", *baseline)
    # Reasons of margins begin with the metric, those of thresholds with the number.
    if gate.verdict == "cannot tell" and all(rule.reason.startswith(rule.metric) for rule in failed):
        told = _beside(gate, baseline) if gate.also else ("the holdout cannot tell it from ", *baseline)
        return (*told, ", and a release has to know") if context.is_release and failed else told
    if len(failed) == 1:
        return (f"it fails the rule “{failed[0].rule}”",)
    return (f"it fails {len(failed)} of {numbers.count(len(gate.rules), 'rule')}",) if failed else ("the gate is closed",)


def _beside(gate: GateFindings, baseline: Line) -> Line:
    """`no worse than main, but 2.1 pt worse than v1.4.0`: the verdict beside each baseline."""
    own = min((row.verdict for row in gate.comparisons if row.margin is not None and row.verdict), key=_WORST_FIRST.index, default=None)
    line = _verdict_on(own, gate.comparisons, baseline)
    for one in gate.also:
        is_contrast = (own in _GOOD) != (one.verdict in _GOOD)
        said = _verdict_on(one.verdict, one.comparisons, (Code(one.name, limit=60),))
        line = (*line, ", but " if is_contrast else " and ", *said) if line else said
    return line


def _verdict_on(verdict: Verdict | None, rows: Sequence[Comparison], name: Line) -> Line:
    match verdict:
        case "better" | "no worse":
            return (f"{verdict} than ", *name)
        case "worse":
            worst = [row for row in rows if row.margin is not None and row.verdict == "worse" and row.difference is not None]
            if len(worst) != 1:
                return ("worse than ", *name)
            row = worst[0]
            scale = numbers.scale_of(row.metric, [row.candidate, row.baseline], row.low, row.high)
            return (f"{scale.amount(row.difference or 0.0)} worse than ", *name)
        case "cannot tell":
            return ("not to be told from ", *name)
        case None:
            return ()


def _stopped(evidence: Evidence[Any], evidences: Evidences, context: RunContext) -> Answer:
    if evidence.status == "failed":
        because = _SAID_NO.get(evidence.stage, "the gate is closed")
        validation = findings_of(evidences, "validate-data", ValidationFindings)
        if evidence.stage == "validate-data" and validation and validation.prepare and validation.prepare.exit_code:
            because = "preparing the data failed; nothing was trained"
        elif evidence.stage == "validate-data" and validation and not validation.has_broken_contract and validation.has_failed_screen:
            because = "a screen of the data says no; nothing was trained"
        return Answer("bad", _words(context)[1], (because,))
    if evidence.status == "skipped":
        return Answer("unsure", "was not judged", (f"{evidence.stage} was skipped",))
    if (why := _why_not_trained(findings_of(evidences, "train", TrainFindings))) and evidence.stage == "train":
        return Answer("unsure", _not_yet(context), (why,))
    doing = _DOING.get(evidence.stage, evidence.stage)
    cause = "something outside the repository failed" if evidence.exit_code == 3 else "the configuration or an input is wrong"
    return Answer("unsure", _not_yet(context), (f"{cause} while {doing}",))


def _why_not_trained(found: TrainFindings | None) -> str | None:
    if found is None:
        return None
    if found.run is None:
        return "the machine has not what the training asks for"
    return f"the training was ended by {what_ended(found.ended_by)}" if found.ended_by else None


def what_ended(ended_by: str) -> str:
    """What ended a training from outside, as a sentence has it."""
    return {"spot notice": "the machine’s spot notice", "time limit": "its time limit"}.get(ended_by, ended_by)


def _words(context: RunContext) -> tuple[str, str]:
    """What an open and a closed gate mean: after a push there is no merge left to allow."""
    if context.is_release:
        return "may be released", "must not be released"
    return ("passes the gate", "does not pass the gate") if context.event == "push" else ("may be merged", "must not be merged")


def _not_yet(context: RunContext) -> str:
    return "was not judged" if context.event == "push" or context.is_release else "cannot be merged yet"


def _baseline_name(gate: GateFindings, context: RunContext) -> Line:
    if gate.baseline is not None and gate.baseline.kind == "champion":
        return ("the champion",)
    if gate.baseline is not None and gate.baseline.kind == "release":
        return (f"the {gate.baseline.how}",)
    if gate.baseline is not None and gate.baseline.kind == "base" and context.base_ref:
        return (Code(context.base_ref.removeprefix("refs/heads/"), limit=60),)
    return ("the baseline",)


def _first_line(text: str) -> str:
    """The first line, with a full stop: messages are written without one."""
    line = text.strip().split("\n")[0].strip()
    return line if not line or line[-1] in ".!?…" else f"{line}."
