"""mlgate plan: what the rules of mlgate.yaml can be expected to do on the holdout there is, or on one there might be. No stage: it judges
nothing and leaves no evidence. The gate says the same of every change, from the comparison it has made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlgate import evidence as records
from mlgate.config import CLASSIFICATION_METRICS, REGRESSION_METRICS, USUAL_METRICS, Config, RuleConfig, Task, kind_of_baseline
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evaluation import loading, predictions
from mlgate.evaluation.predictions import Pairing, Predictions
from mlgate.evidence import Comparison, EvaluateFindings, MetricValue, PlannedRule, ScoredModel
from mlgate.render import numbers
from mlgate.stages.adoption import proposed_margin
from mlgate.stages.baseline import lookup
from mlgate.stages.baseline.run_artifacts import predictions_of
from mlgate.stages.decision import comparison, fairness, latency, planned
from mlgate.stages.decision.comparison import Examination
from mlgate.stages.decision.planned import Known
from mlgate.stages.revisions import lineage
from mlgate.stats import planning
from mlgate.stats.comparison import ACCURACY_LIKE
from mlgate.store import open_store
from mlgate.workspace import Workspace

MANY_USES = 32
_FEW_DIFFERING = 30
"""Examples that two models differ on; fewer leave their share wide open."""
_MOST_EXAMPLES = planning.MOST_EXAMPLES


@dataclass(frozen=True)
class Asked:
    """What the command line asks; None where it leaves the answer to what is at hand."""

    power: float = planning.POWER
    examples: int | None = None
    disagreement: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Unpaired:
    """What a published estimator that takes no two predictions for a pair would ask for, for one rule."""

    rule: str
    ours: int | None
    one_use: int
    many_uses: int


@dataclass(frozen=True)
class Plan:
    """What `mlgate plan` prints."""

    model: str | None
    examples: int
    disagreement: float | None
    """Share of the examples that one of two models alone gets right; None for a regression."""
    basis: str
    """On what the numbers rest, in words."""
    power: float
    confidence: float
    rules: list[PlannedRule]
    unpaired: list[Unpaired]
    metrics: dict[str, Comparison]
    """Rows by title: the scale that losses are written in."""
    remarks: list[str]

    def lines(self) -> list[str]:
        """For a terminal."""
        shown = [plain(f"{self.model + ': ' if self.model else ''}{self.basis}"), ""]
        headings = ["Rule", "Fails", "Cannot tell", "Smallest loss seen", "Examples needed"]
        shown += [
            f"  {line}" for line in _table(headings, [[plain(cell) for cell in (rule.rule, *self._cells(rule))] for rule in self.rules])
        ]
        shown += [
            "",
            "  Fails, cannot tell: how often this happens to a model exactly as good as the baseline.",
            f"  Smallest loss seen, examples needed: with a power of {self.power:g}, each bound at {self.confidence * 100:g} % confidence.",
        ]
        shown += [plain(f"! {rule.warning}.") for rule in self.rules if rule.warning]
        shown += [plain(f"- {rule.rule}: nothing can be said, since {rule.unplanned}.") for rule in self.rules if rule.unplanned]
        shown += [f"  {plain(line)}" for line in (*map(_what_pairing_buys, self.unpaired), *self.remarks)]
        return shown

    def _cells(self, rule: PlannedRule) -> list[str]:
        row = self.metrics.get(rule.metric)
        scale = numbers.scale_of(row.metric, [row.candidate, row.baseline]) if row else numbers.scale_of(rule.metric, [])
        return [
            numbers.NONE if rule.fails_unchanged is None else numbers.share(rule.fails_unchanged),
            numbers.NONE if rule.cannot_tell_unchanged is None else numbers.share(rule.cannot_tell_unchanged),
            scale.loss(rule.visible_loss) if rule.visible_loss else numbers.NONE,
            numbers.needed(rule.examples_needed),
        ]

    def as_json(self) -> str:
        """For a program."""
        return json.dumps(
            {
                "model": self.model,
                "examples": self.examples,
                "disagreement": self.disagreement,
                "basis": plain(self.basis),
                "power": self.power,
                "confidence": self.confidence,
                "rules": [rule.model_dump(mode="json") for rule in self.rules],
                "unpaired": [
                    {"rule": one.rule, "ours": one.ours, "one_use": one.one_use, f"uses_{MANY_USES}": one.many_uses}
                    for one in self.unpaired
                ],
                "remarks": self.remarks,
            },
            indent=1,
        )


def _table(headings: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table; the first column to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in [headings, *rows]) for at in range(len(headings))]

    def line(cells: list[str]) -> str:
        return "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(cells, widths, strict=True)))

    return [line(headings), line(["-" * width for width in widths]), *map(line, rows)]


def _what_pairing_buys(one: Unpaired) -> str:
    ours = f"{one.ours:,} examples here" if one.ours else "no number here"
    return (
        f"What pairing buys, for '{one.rule}': {ours}; {one.one_use:,} by an estimator that does not pair (Hoeffding, as in ease.ml/ci), "
        f"{one.many_uses:,} for {MANY_USES} uses that adapt to its answers."
    )


def asked(*, power: str, examples: str, disagreement: str, margin: str) -> Asked:
    """The command line's numbers; an empty text is not given. Raises InputError, one line."""
    return Asked(
        power=_number("--power", power, "above 0 and below 1, such as 0.8", lambda one: 0 < one < 1) if power else planning.POWER,
        examples=_examples(examples) if examples else None,
        disagreement=_number("--disagreement", disagreement, "from 0 to 1, such as 0.04", lambda one: 0 <= one <= 1)
        if disagreement
        else None,
        margin=_number("--margin", margin, "above 0, such as 0.01", lambda one: one > 0) if margin else None,
    )


def _number(option: str, text: str, expected: str, is_fit: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not is_fit(number):
        raise InputError(f"{option}: expected a number {expected}, got '{text}'")
    return number


def _examples(text: str) -> int:
    number = text.replace(",", "").replace("_", "")
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and 1 <= int(number) <= _MOST_EXAMPLES):
        raise InputError(f"--examples: expected a whole number from 1 to {_MOST_EXAMPLES:,}, such as 2000, got '{text}'")
    return int(number)


def run(working_directory: Path, config_path: str, environ: Mapping[str, str], question: Asked) -> Plan:
    """Plan for the rules of mlgate.yaml, on what is at hand.

    Raises:
        InputError: the configuration or the predictions are wrong, or there is nothing to plan with or for.
        InfrastructureError: the baseline's predictions were recorded and are damaged.
    """
    if question.examples is not None and working_directory.is_dir() and not (working_directory / config_path).exists():
        if question.margin is None:
            raise InputError(f"{config_path}: no such file; to plan before there is one, say --margin 0.01 too")
        return _without_configuration(question, question.margin)
    workspace = Workspace.open(working_directory, config_path, environ)
    config = workspace.config
    if question.margin is not None:
        config = config.model_copy(update={"gate": config.gate.model_copy(update={"rules": [RuleConfig(margin=question.margin)]})})
    if not config.gate.rules:
        raise InputError(f"{config_path}: gate.rules: nothing to plan for; write a rule, or try one with --margin 0.01")
    found = None if question.examples is not None and question.disagreement is not None else _at_hand(workspace)
    if found is None:
        return _imagined(workspace, config, question)
    return _measured(config, question, found, workspace.config_path)


@dataclass(frozen=True)
class _AtHand:
    candidate: Predictions
    other: Pairing | None
    """The same model beside another; None where there is no other."""
    whose: str
    """Whose predictions the other's are, in words."""


def _at_hand(workspace: Workspace) -> _AtHand | None:
    """The predictions in the workspace, and another model's: what `evaluate` brought, the store, Git, in this order. None without any."""
    evaluation = workspace.config.evaluation
    if evaluation.predictions is None:
        return None
    evaluated = _evaluated(workspace)
    candidate = _normalised(workspace, evaluated.candidate) if evaluated else None
    if candidate is None and (workspace.root / evaluation.predictions).is_file():
        candidate = loading.load(workspace.root / evaluation.predictions, evaluation, evaluation.predictions, are_slices_optional=True)
    recorded, whose = _recorded(workspace, evaluated)
    if candidate is None:
        return _AtHand(recorded, None, whose) if recorded is not None else None
    if recorded is not None and (pairing := _paired(workspace, candidate, recorded)) is not None:
        return _AtHand(candidate, pairing, whose)
    if (workspace.root / evaluation.predictions).is_file():
        pairing, commit = proposed_margin.earlier(workspace.root, evaluation, candidate)
        if pairing is not None:
            return _AtHand(candidate, pairing, f"the model of commit {commit[:7]}")
    return _AtHand(candidate, None, "")


def _evaluated(workspace: Workspace) -> EvaluateFindings | None:
    """What `evaluate` left here, of whatever commit and configuration: two models disagree as they do."""
    try:
        found = records.load(workspace.evidence_path("evaluate"), "evaluate").findings
    except FileNotFoundError:
        return None
    return found if isinstance(found, EvaluateFindings) else None


def _normalised(workspace: Workspace, model: ScoredModel) -> Predictions | None:
    return predictions_of(model, workspace.state) if model.predictions and (workspace.state / model.predictions.path).is_file() else None


def _recorded(workspace: Workspace, evaluated: EvaluateFindings | None) -> tuple[Predictions | None, str]:
    """The baseline's predictions, and whose they are."""
    config = workspace.config
    first = config.gate.baselines[0]
    if kind_of_baseline(first) == "path" and (workspace.root / first).is_file():
        return loading.load(workspace.root / first, config.evaluation, first, are_slices_optional=True), f"the model of {first}"
    carried = evaluated.baseline if evaluated else None
    if carried is not None and (found := _normalised(workspace, carried.model)) is not None:
        return found, f"the model of commit {carried.model.commit[:7]}" if carried.model.commit else "the baseline"
    if workspace.commit is None:
        return None, ""
    base = lineage.baseline_commit(workspace)
    if base.commit is None:
        return None, ""
    workspace.prepare_state()
    store = open_store(config.store, root=workspace.root, model=config.model, context=workspace.context)
    return lookup.recorded_predictions(workspace, base.commit, store), f"the model of commit {base.commit[:7]}"


def _paired(workspace: Workspace, candidate: Predictions, other: Predictions) -> Pairing | None:
    """Both on the examples they share; None where these are not enough to tell anything."""
    pair = predictions.pair if workspace.config.evaluation.columns.id is not None else predictions.pair_by_row
    try:
        pairing = pair(candidate, other)
    except (InputError, predictions.HoldoutChangedError):
        return None
    return pairing if pairing.shared_examples > 1 else None


def _measured(config: Config, question: Asked, found: _AtHand, where: str) -> Plan:
    """From predictions: how far two models lie apart is seen, or at least what one model's errors are like."""
    config = config.resolved(found.candidate.task)
    is_classifier = found.candidate.classes is not None
    if found.other is not None and question.disagreement is None:
        pairings = [found.other]
        share = planned.disagreement_of(found.other) if is_classifier else None
        apart = f"this model and {found.whose} differ in being right on {numbers.share(share)} of them" if share is not None else ""
        basis = apart or f"by how far the errors of this model and {found.whose} lie apart"
    else:
        share = question.disagreement
        if share is None and is_classifier:
            share = planned.assumed_disagreement(found.candidate)
        share = share if is_classifier else None
        pairings = planned.beside_twins(found.candidate, *([share] if share is not None else []))
        told = (
            "as asked" if question.disagreement is not None and is_classifier else "assumed, since no other model's predictions are at hand"
        )
        how = (
            f"two models differ in being right on {numbers.share(share)} of them"
            if share is not None
            else (f"squared errors of two models correlate by {planning.ASSUMED_CORRELATION:g}")
        )
        basis = f"{how} ({told})"
    n = pairings[0].shared_examples
    known = _known(config, pairings, share, where)
    if question.examples is not None:
        known = [replace(one, noise=one.noise.at(question.examples) if one.noise else None) for one in known]
        basis = f"{question.examples:,} examples, as asked, like the {n:,} at hand; {basis}"
    else:
        basis = f"{numbers.count(n, 'example')}; {basis}"
    remarks = _unknown_rows(config, known)
    if found.other is not None and question.disagreement is None and share is not None and (differing := round(share * n)) < _FEW_DIFFERING:
        at_most = numbers.rounded_up(planning.largest_share(differing, n, config.gate.confidence))
        told = f"Only {numbers.count(differing, 'example')}" if differing else "No example"
        remarks.append(
            f"{told} of {n:,} told these two models apart; two others may differ more. For a plan on "
            f"the safe side, say --disagreement {at_most:g}."
        )
    return _plan(config, question, known, question.examples or n, share, basis, remarks)


def _known(config: Config, pairings: Sequence[Pairing], share: float | None, where: str) -> list[Known]:
    """A row a metric; of several imagined twins the rows of the first, with the noise of all."""
    tables = []
    for pairing in pairings:
        examined = Examination(
            rules=config,
            candidate=pairing.candidate,
            holdout_sha256=predictions.holdout_sha256(pairing.candidate),
            metrics=_own(pairing),
            baseline=None,
            pairing=pairing,
        )
        rows = [*comparison.comparisons(examined, lambda _: None), *fairness.compared(examined, where, lambda _: None).rows]
        tables.append([planned.known(row, pairing.shared_examples, examined.confidence, share) for row in rows])
    together = []
    for at, one in enumerate(tables[0]):
        noises = [table[at].noise for table in tables if at < len(table)]
        normal = [noise for noise in noises if isinstance(noise, planning.NormalDifference)]
        together.append(replace(one, noise=planned.together(normal)) if len(normal) > 1 else one)
    return together


def _own(pairing: Pairing) -> dict[str, MetricValue]:
    """Metrics of the user's own that have a value an example."""
    values = pairing.candidate.values
    return {name: MetricValue(name=name, value=float(each.mean()), better=None, source="user") for name, each in values.items()}


def _unknown_rows(config: Config, known: Sequence[Known]) -> list[str]:
    """Rules that no row is there for, and why: a line a reason."""
    titles = {one.row.title for one in known}
    by_reason: dict[str, list[str]] = {}
    for rule in config.gate.rules:
        reason = _unplanned(rule, config, is_known=rule.title in titles)
        if reason:
            by_reason.setdefault(reason, []).append(rule.title)
    return [f"Not planned: {', '.join(dict.fromkeys(titles))}: {reason}." for reason, titles in by_reason.items()]


def _unplanned(rule: RuleConfig, config: Config, *, is_known: bool) -> str:
    if rule.slices is not None:
        return "of every slice the gate's report says whether it has enough examples"
    if rule.fairness is not None and not is_known:
        return f"the predictions at hand say nothing of '{rule.group}', or the metric has no value there"
    if rule.fairness is not None and rule.margin is None:
        return "a limit on the gap itself asks nothing of the baseline"
    if is_known:
        return ""
    if rule.on is not None:
        return f"the predictions on '{rule.on}' are compared by the gate alone; its report plans this rule"
    if rule.metric in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS):
        return "the predictions at hand give it no value (probabilities that are not there, or a single class)"
    if rule.metric in latency.names(config, None):
        return "how long requests take is measured anew in every run"
    return "it is one number of each model, and nothing says how far chance moves it"


def _imagined(workspace: Workspace, config: Config, question: Asked) -> Plan:
    """Without predictions: shares of examples that are right need no more than two numbers."""
    where = workspace.config_path
    if question.examples is None:
        named = workspace.config.evaluation.predictions
        what = f"no predictions at '{named}', and none recorded of the baseline" if named else "only metric files, which carry no noise"
        raise InputError(f"{where}: evaluation: {what}; run 'mlgate evaluate' first, or say --examples 2000 --disagreement 0.04")
    task: Task = config.evaluation.stated_task or "classification"
    config = config.resolved(task)
    rules = [rule for rule in config.gate.rules if rule.metric in ACCURACY_LIKE and not rule.aspect]
    if not rules:
        titles = ", ".join(dict.fromkeys(rule.title for rule in config.gate.rules))
        raise InputError(
            f"{where}: gate.rules: '{titles}' can be planned from predictions only; accuracy from --examples and --disagreement"
        )
    rest = [rule.title for rule in config.gate.rules if rule not in rules]
    remarks = [f"Not planned without predictions: {', '.join(dict.fromkeys(rest))}."] if rest else []
    return _of_two_numbers(config.model_copy(update={"gate": config.gate.model_copy(update={"rules": rules})}), question, remarks)


def _without_configuration(question: Asked, margin: float) -> Plan:
    document = {
        "model": "new",
        "evaluation": {"task": "classification", "predictions": "predictions.csv", "metrics": [USUAL_METRICS["classification"][0]]},
        "gate": {"rules": [{"metric": USUAL_METRICS["classification"][0], "margin": margin}]},
    }
    return replace(_of_two_numbers(Config.model_validate(document), question, []), model=None)


def _of_two_numbers(config: Config, question: Asked, remarks: list[str]) -> Plan:
    share = planning.ASSUMED_DISAGREEMENT if question.disagreement is None else question.disagreement
    examples = question.examples or 1
    noise = planning.PairedProportions(examples, share)
    titles = dict.fromkeys(rule.metric for rule in config.gate.rules)
    known = [Known(_empty_row(title), None, noise) for title in titles]
    told = "assumed" if question.disagreement is None else "as asked"
    basis = f"{numbers.count(examples, 'example')}; two models differ in being right on {numbers.share(share)} of them ({told})"
    return _plan(config, question, known, examples, share, basis, remarks)


def _empty_row(metric: str) -> Comparison:
    """A row of which nothing is known but its metric."""
    return Comparison(
        metric=metric,
        better="higher",
        candidate=0.0,
        baseline=None,
        difference=None,
        low=None,
        high=None,
        method=None,
        verdict=None,
        margin=None,
    )


def _plan(
    config: Config, question: Asked, known: Sequence[Known], examples: int, share: float | None, basis: str, remarks: list[str]
) -> Plan:
    confidence = config.gate.test_confidence
    rules = planned.planned(config, known, question.power)
    unpaired = [
        Unpaired(
            rule=rule.rule,
            ours=rule.examples_needed,
            one_use=planning.hoeffding_examples(rule.margin, confidence),
            many_uses=planning.hoeffding_examples(rule.margin, confidence, MANY_USES),
        )
        for rule in rules
        if rule.metric in ACCURACY_LIKE and rule.margin
    ]
    return Plan(
        model=config.model,
        examples=examples,
        disagreement=share,
        basis=basis,
        power=question.power,
        confidence=confidence,
        rules=rules,
        unpaired=unpaired,
        metrics={one.row.title: one.row for one in known},
        remarks=remarks,
    )
