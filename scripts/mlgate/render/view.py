"""From evidence to what a report shows: the one place that knows both. Pure; the renderers only put it into a form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import mlgate
from mlgate.config import ReportConfig
from mlgate.context import RunContext
from mlgate.evidence import STAGES, BaselineRef, Evidence, GateFindings, Override
from mlgate.render import answer as answers
from mlgate.render import comparison, drift, holdout_use, numbers, screens, sections, training
from mlgate.render.answer import Evidences, findings_of
from mlgate.render.document import Answer, Code, Line, Link, ReportView, Section, Span

_PLAN: Line = (Code("mlgate plan"), " says more.")


def build(
    evidences: Mapping[str, Evidence[Any]],
    *,
    model: str,
    report: ReportConfig,
    context: RunContext | None = None,
    refused: Mapping[str, str] | None = None,
    directory: str = ".",
    config_path: str = "mlgate.yaml",
) -> ReportView:
    """Everything a report shows.

    Args:
        evidences: what the stages left, by stage; any may be missing.
        model: name of the model.
        report: the `report` section of mlgate.yaml.
        context: the run; a laptop, where left out.
        refused: stages whose evidence may not be used, with the reason.
        directory: working directory of the model, relative to the repository; for the commands that reproduce it.
        config_path: of mlgate.yaml, relative to it.
    """
    context = context or RunContext()
    refused = refused or {}
    if refused:  # what the gate said may stand on evidence that is none
        evidences = {stage: evidence for stage, evidence in evidences.items() if stage != "gate"}
    gate = findings_of(evidences, "gate", GateFindings)
    answer, headline = answers.answer(evidences, refused, context)
    return ReportView(
        model=model,
        title=report.title or model,
        answer=answer,
        headline=headline,
        notes=tuple(_notes(evidences, gate, refused, context)),
        comparison=comparison.metrics_table(gate) if gate else None,
        caption=comparison.caption(gate) if gate else (),
        legend=comparison.legend(gate) if gate else "",
        differences=comparison.differences_figure(gate) if gate else None,
        rules=comparison.rules_table(gate) if gate else None,
        rules_title=comparison.rules_title(gate) if gate else "Rules",
        sections=_sections(evidences, gate, report, context, directory, config_path),
        footer=_footer(evidences, context),
        run_url=context.run_url,
        plots=report.plots,
        decision=_decision(answer, headline, gate),
        evidence={stage: _dumped(evidences[stage], report) for stage in STAGES if stage in evidences},
    )


def _sections(
    evidences: Evidences, gate: GateFindings | None, report: ReportConfig, context: RunContext, directory: str, config_path: str
) -> tuple[Section, ...]:
    found = (
        sections.checks(evidences),
        sections.contract(evidences, has_examples=report.examples),
        drift.section(evidences),
        screens.section(evidences),
        screens.bias(evidences),
        *(comparison.also_sections(gate) if gate else []),
        comparison.slices_section(gate) if gate else None,
        comparison.remarks_section(gate) if gate else None,
        comparison.methods_section(gate) if gate else None,
        sections.plots(evidences) if gate else None,
        holdout_use.section(gate) if gate else None,
        sections.changes(evidences) if gate else None,
        training.section(evidences),
        sections.time(evidences),
        sections.warnings(evidences),
        sections.lineage(evidences, context),
        sections.reproduce(evidences, context, directory=directory, config_path=config_path),
    )
    shown = [section for section in found if section is not None]
    # What ended the run comes first; the rest keeps its order.
    return tuple(sorted(shown, key=lambda section: not section.is_open))


def _notes(evidences: Evidences, gate: GateFindings | None, refused: Mapping[str, str], context: RunContext) -> list[Line]:
    notes: list[Line] = [(f"Evidence of {stage} is refused: {reason}",) for stage, reason in refused.items()]
    if gate is not None:
        if gate.override is not None:
            notes.insert(0, _override(gate.override))
        # Its first line is the headline.
        notes += [_with_links(line, context) for line in evidences["gate"].summary.splitlines()[1:] if line.strip()]
        changed = [change for change in gate.changes if change.kind == "rule" and not sections.is_training_setting(change)]
        if changed:
            whose = "the baseline’s rules decided" if gate.rules_from == "baseline" else "this change’s own rules decided"
            weaker = sum(change.is_weakening for change in changed)
            how = f" ({weaker:,} so that more can pass)" if weaker else ""
            many = numbers.count(len(changed), "rule")
            notes.append((f"This change alters {many} of the gate{how}; {whose}. Old and new stand under “What changed”.",))
        if gate.baseline is not None and gate.baseline.stands_in_for and gate.baseline.commit:
            notes.append(
                (
                    "No run of the baseline commit ",
                    Code(gate.baseline.stands_in_for[:7]),
                    " left an evaluation; compared with the nearest before it that has one, ",
                    Code(gate.baseline.commit[:7]),
                    ".",
                )
            )
        if gate.baseline is not None and _is_partial(gate.baseline):
            notes.append((f"The holdout changed: only {numbers.share(gate.baseline.shared_share)} of its examples could be compared.",))
        notes += [(f"{one.warning}. ", *_PLAN) for one in gate.planning if one.warning]
        if gate.baseline is not None and gate.baseline.rescoring is not None:
            notes += [(sentence,) for sentence in comparison.rescored(gate.baseline.rescoring)]
    notes += screens.notes(evidences)
    notes += drift.notes(evidences)
    notes += training.notes(evidences)
    first = answers.first_stage(evidences)
    if first is not None and first.subject.is_dirty:
        notes.append(("The working tree had uncommitted changes: no commit reproduces this exactly.",))
    return notes


def _override(override: Override) -> Line:
    link = Link("the comment", override.comment_url)
    of: Line = ("Override of ", Code(override.head_sha[:12]), ", for this commit only (", link)
    return (*of, ").") if answers.shows_whole_reason(override) else (*of, "): “", override.reason, "”")


def _with_links(line: str, context: RunContext) -> Line:
    """A line in which pages of the repository's own workflows, where they can be started, are links, and the command is one piece."""
    pages = re.escape(f"{context.server_url}/{context.repository}/actions/workflows/")
    command = rf"gh workflow run [\w.-]+ --repo {re.escape(str(context.repository))}(?: -f [a-z-]+=\w+)*"
    parts = re.split(rf"({pages}[\w.-]+|{command})", line)
    return tuple(_startable(part) if at % 2 else part for at, part in enumerate(parts) if part)


def _startable(part: str) -> Span:
    return Code(part, limit=400) if part.startswith("gh ") else Link(f"run {part.rpartition('/')[2]} from its page", part)


def _is_partial(baseline: BaselineRef) -> bool:
    return baseline.shared_share < 1


def _footer(evidences: Evidences, context: RunContext) -> Line:
    commit = next((evidence.subject.commit for evidence in evidences.values() if evidence.subject.commit), None)
    about = context.head_sha or commit
    spans: list[Span] = [f"mlgate {mlgate.__version__}"]
    return (*spans, f", commit {about[:7]}") if about else tuple(spans)


def _decision(answer: Answer, headline: str, gate: GateFindings | None) -> dict[str, Any]:
    return {
        "is_passed": answer.is_passed,
        "verdict": gate.verdict if gate else None,
        "statement": answer.statement,
        "headline": headline,
        "override": gate.override.model_dump(mode="json") if gate and gate.override else None,
    }


def _dumped(evidence: Evidence[Any], report: ReportConfig) -> dict[str, Any]:
    document: dict[str, Any] = evidence.model_dump(mode="json")
    if not report.examples:
        findings = document["findings"] or {}
        for found in [*findings.get("contracts", []), *findings.get("baseline_contracts", [])]:
            for rule in found["broken"]:
                rule["values"] = None
    return document
