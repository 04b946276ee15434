"""The findings of the gate: every row of the comparison, the rules held against them, the words around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from mlgate.config import Config
from mlgate.evaluation import predictions
from mlgate.evaluation.predictions import Pairing
from mlgate.evidence import AgainstBaseline, Comparison, GateFindings
from mlgate.stages.baseline import joined_rescoring
from mlgate.stages.baseline.lookup import Baseline
from mlgate.stages.decision import also, comparison, fairness, latency, planned, robustness, ruling, slices, training_noise
from mlgate.stages.decision import pairing as pairing_of
from mlgate.stages.decision.candidate import Candidate
from mlgate.stages.decision.comparison import Examination
from mlgate.stages.decision.slices import SliceTable
from mlgate.stages.revisions.lineage import BaselineCommit
from mlgate.stats import methods
from mlgate.workspace import Workspace


def judged(
    workspace: Workspace,
    candidate: Candidate,
    base: BaselineCommit,
    baseline: Baseline | None,
    rules: Config,
    rules_from: Literal["baseline", "candidate"],
    climbing: Callable[[list[Comparison], bool], list[Comparison]],
) -> GateFindings:
    """What the gate finds beside the first baseline: every row, the rules held against them, the decision in words.

    Args:
        workspace: the run.
        candidate: as it was read and checked.
        base: the baseline commit.
        baseline: what is compared with; None for a first model.
        rules: the deciding configuration.
        rules_from: whose it is.
        climbing: what the rows become before rules are held against them (the Ladder); it is told whether both models answer all alike.

    Raises:
        InputError: there is nothing in common to compare on, or a rule is about a metric there is not.
    """
    model = candidate.findings.candidate
    rescored, on_record = None, baseline
    if baseline is not None and candidate.predictions is not None and baseline.predictions is not None:
        # From here on, the baseline may have answers to examples that its record lacks.
        baseline, rescored = joined_rescoring.on_this_holdout(workspace, baseline, candidate.predictions, candidate.findings)
    pairing = pairing_of.paired(workspace, candidate.predictions, baseline)
    pairing_of.refuse_regrouped(workspace, rules, pairing)
    examined = _examination(rules, candidate, baseline, pairing)
    where = workspace.config_path + (f" as of the baseline {base.commit[:12]}" if rules_from == "baseline" and base.commit else "")
    values = {name: comparison.value_of(examined, name) for name in examined.names}
    defined = {name: value for name, value in values.items() if value is not None}
    timed_names = latency.names(rules, candidate.times)
    ruling.check_metrics(rules, [*defined, *timed_names], [name for name in values if name not in defined], where)
    with workspace.console.progress("comparing") as progress:
        rows = comparison.comparisons(examined, progress.say)
        sliced = slices.compared(examined, progress.say) if pairing else SliceTable(comparison.slices_of_first(examined, model.slices))
        gaps = fairness.compared(examined, where, progress.say)
        perturbed = robustness.compared(
            examined, candidate.perturbed, pairing_of.paired_sets(workspace, candidate, on_record), progress.say
        )
        timed = latency.compared(examined, candidate.times, base.commit, progress.say)
    # Answers of the baseline that the candidate's own job made are no proof that both answer alike.
    climbed = climbing(rows, rescored is None and pairing_of.is_same(pairing))
    of_examples = [*climbed, *perturbed.rows, *gaps.rows]
    rows = [*of_examples, *timed.rows]
    decision = ruling.decide(
        rules,
        rows,
        {**defined, **perturbed.values, **timed.values},
        has_baseline=baseline is not None,
        sliced=sliced,
        gaps=gaps,
        missing={**perturbed.missing, **timed.missing},
    )
    if rescored is not None and rescored.recorded_examples:
        # What the others' answers are worth, nobody knows: the job that made them runs the candidate's code.
        old = replace(examined, baseline=on_record, pairing=pairing_of.paired(workspace, candidate.predictions, on_record))
        with workspace.console.progress("comparing on the recorded examples") as progress:
            of_old = [*comparison.guarded(old, progress.say), *fairness.compared(old, where, progress.say).rows]
            decision = ruling.unless_worse(decision, rules, of_old, old.shared_examples, slices.compared(old, progress.say))
    return GateFindings(
        is_open=decision.is_open,
        verdict=decision.verdict,
        headline=decision.headline + pairing_of.holdout_words(pairing, rescored) + _seed_words(rows),
        is_first_model=baseline is None,
        baseline=pairing_of.reference(baseline, pairing, rescored) if baseline else None,
        rules_from=rules_from,
        confidence=rules.gate.confidence,
        rules=decision.rules,
        comparisons=rows,
        slices=sliced.rows,
        remarks=list(dict.fromkeys([*sliced.remarks, *gaps.remarks, *perturbed.remarks, *_of_training(examined, rows), *timed.remarks])),
        changes=[],
        confusion=comparison.confusion_of(examined),
        residuals=comparison.residuals_of(examined),
        is_certified=candidate.predictions is not None or _is_certified_by_seeds(rows),
        planning=planned.of_change(workspace.config, examined, of_examples),
        methods=_sources([*rows, *(row.comparison for row in sliced.rows)]),
    )


def judged_beside_others(
    workspace: Workspace, candidate: Candidate, rules: Config, others: Sequence[tuple[str, Baseline]], findings: GateFindings
) -> GateFindings:
    """The guarded metrics beside further baselines, which must hold, too: small losses against each predecessor add up."""
    for name, baseline in others:
        pairing = pairing_of.paired(workspace, candidate.predictions, baseline)
        examined = _examination(rules, candidate, baseline, pairing)
        with workspace.console.progress(f"comparing with {name}") as progress:
            rows = [
                *comparison.comparisons(examined, progress.say),
                *robustness.compared(
                    examined, candidate.perturbed, pairing_of.paired_sets(workspace, candidate, baseline), progress.say
                ).rows,
                *fairness.compared(examined, workspace.config_path, progress.say).rows,
            ]
            rows = [row for row in rows if row.margin is not None]
            sliced = slices.compared(examined, progress.say)
        against = AgainstBaseline(
            name=name, baseline=pairing_of.reference(baseline, pairing, None), verdict=also.verdict_of(rows), comparisons=rows
        )
        findings = also.must_hold(findings, rules, against, sliced)
    return findings


def _examination(rules: Config, candidate: Candidate, baseline: Baseline | None, pairing: Pairing | None) -> Examination:
    model = candidate.findings.candidate
    return Examination(
        rules=rules,
        candidate=candidate.predictions,
        holdout_sha256=predictions.holdout_sha256(candidate.predictions) if candidate.predictions else None,
        metrics={metric.name: metric for metric in model.metrics},
        baseline=baseline,
        pairing=pairing,
        training=training_noise.of_both(rules, candidate.seeds, model.seed_metrics, baseline, pairing),
    )


def _is_certified_by_seeds(rows: Sequence[Comparison]) -> bool:
    """Whether runs of several seeds stand behind all numbers that a margin guards."""
    guarded = [row for row in rows if row.margin is not None]
    return bool(guarded) and all(row.seeds is not None for row in guarded)


def _of_training(examined: Examination, rows: Sequence[Comparison]) -> list[str]:
    """What to know about seeds: whose could not be used, and an artefact that is worse though its training code is not."""
    told = list(examined.training.remarks)
    if examined.rules.evaluation.group is not None and examined.candidate is not None and examined.candidate.groups is None:
        told.append("The predictions have no groups (evaluation.group): every row counts as an independent example")
    passing = {row.title for row in rows if row.seeds and row.verdict in ("better", "no worse", "cannot tell")}
    if examined.training.has_predictions and passing:
        alone = comparison.guarded(replace(examined, training=training_noise.Training()), lambda _: None)
        worse = [row for row in alone if row.title in passing and row.verdict == "worse"]
        told += [f"This artefact by itself: {ruling.sentence(row, examined.confidence)}" for row in worse]
    return told


def _seed_words(rows: Sequence[Comparison]) -> str:
    """What is certified, where runs of several seeds stand behind what is guarded."""
    if not any(row.seeds and row.margin is not None for row in rows):
        return ""
    return "; margins are over several seeds: the training code, not this artefact"


def _sources(rows: Sequence[Comparison]) -> dict[str, str]:
    """Where the formulas of the intervals are from."""
    used = dict.fromkeys(name for row in rows for name in (row.method, row.p_value_of) if name)
    return {method: source for method in used if (source := methods.source_of(method)) is not None}
