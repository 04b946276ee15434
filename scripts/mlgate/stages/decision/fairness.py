"""Rules about the largest gap between groups: the gap of both models on the same examples, its change, and each rule held against them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.config import Config, RuleConfig
from mlgate.evaluation.metrics import groups
from mlgate.evaluation.predictions import Predictions
from mlgate.evaluation.scoring import check_fairness
from mlgate.evidence import Comparison, RuleResult, finite
from mlgate.render import numbers
from mlgate.stages.decision import comparison
from mlgate.stages.decision.comparison import Examination
from mlgate.stages.decision.slices import columns_of, listed
from mlgate.stats import fairness as statistics
from mlgate.stats import planning
from mlgate.stats.bootstrap import seed_of
from mlgate.stats.comparison import UndefinedMetricError
from mlgate.stats.fairness import Gap
from mlgate.stats.intervals import Interval
from mlgate.stats.verdict import closing_in, decide, more_examples, towards_better


@dataclass(frozen=True)
class Gaps:
    """What was found between groups, by the titles of the rules that asked."""

    rows: list[Comparison] = field(default_factory=list)
    own: dict[str, Interval] = field(default_factory=dict)
    """The candidate's gap on its whole holdout, with one-sided bounds."""
    unprotected: dict[str, list[str]] = field(default_factory=dict)
    """Groups on which the metric has no value."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why there is no gap at all."""
    open_by: dict[str, str] = field(default_factory=dict)
    """Of which groups too little is known of the candidate's own gap."""
    remarks: list[str] = field(default_factory=list)


def compared(examined: Examination, where: str, say: Callable[[str], None]) -> Gaps:
    """The gap of every fairness rule.

    Args:
        examined: both models, or the candidate alone, and the rules.
        where: what messages call the configuration.
        say: told what is looked at.

    Raises:
        InputError: a rule asks for what there is not for such a model.
    """
    found = Gaps()
    for index, rule in enumerate(examined.rules.gate.rules):
        title = rule.title
        if rule.fairness is None or title in found.own or title in found.missing:
            continue
        say(title)
        if examined.candidate is None:
            found.missing[title] = "there are no predictions to compute it from"
            continue
        check_fairness(rule.fairness, examined.candidate, f"{where}: gate.rules[{index}]")
        _measure(examined, rule, found)
    return found


def results_of(rule: RuleConfig, found: Gaps, rules: Config, margin_result: Callable[[], RuleResult]) -> list[RuleResult]:
    """A fairness rule, held against its gap.

    Args:
        rule: of that kind.
        found: the gaps.
        rules: the deciding configuration.
        margin_result: what its margin, if it has one, comes to by its row.
    """
    title = rule.title
    if title in found.missing:
        text = f"{title} at most {rule.max_gap:g}" if rule.max_gap is not None else f"{title} not wider than the baseline's"
        return [RuleResult(rule=text, metric=title, is_passed=False, reason=f"{title} is not to be had: {found.missing[title]}")]
    results = []
    if rule.max_gap is not None:
        results.append(_limit_result(rule, rule.max_gap, found.own[title], rules, found.open_by.get(title, "")))
    if rule.margin is not None:
        results.append(margin_result())
    if names := found.unprotected.get(title):
        words = f"; {numbers.count(len(names), 'group')} without a value, unprotected: {listed(names)}"
        results = [one.model_copy(update={"is_warning": one.is_passed, "reason": one.reason + words}) for one in results]
    return results


def _limit_result(rule: RuleConfig, limit: float, own: Interval, rules: Config, open_by: str) -> RuleResult:
    """Closed only where the gap is surely above: the measured gap of many small groups is large though none is treated worse."""
    scale = numbers.scale_of(rule.fairness or "", [own.estimate, limit], finite(own.low), finite(own.high))
    interval = scale.interval(finite(own.low), finite(own.high)).replace("+", "")
    measured = f"{scale.amount(own.estimate)}" + (f" ({rules.gate.confidence * 100:g} %: {interval})" if interval else "")
    text, said = f"{rule.title} at most {limit:g}", scale.margin(limit)
    if own.low > limit:
        return RuleResult(rule=text, metric=rule.title, is_passed=False, reason=f"{measured} is above {said}")
    if own.high <= limit:
        return RuleResult(rule=text, metric=rule.title, is_passed=True, reason=f"{measured} is at most {said}")
    is_blocked = rules.gate.is_blocking(rule)
    reason = f"{measured}: cannot tell whether it is at most {said}" + (f"; {open_by}" if open_by else "")
    return RuleResult(rule=text, metric=rule.title, is_passed=not is_blocked, is_warning=not is_blocked, reason=reason)


def _measure(examined: Examination, rule: RuleConfig, found: Gaps) -> None:
    title, column = rule.title, rule.group or ""
    pairing, candidate = examined.pairing, examined.candidate
    shared = None
    if pairing is not None:
        columns, remarks = columns_of(pairing, {column})
        found.remarks.extend(remark for remark in remarks if remark not in found.remarks)
        if column in columns:
            shared = replace(pairing.candidate, slices={column: columns[column]})
    whole = shared if shared is not None and candidate is not None and shared.n == candidate.n else candidate
    if whole is None or column not in whole.slices:
        found.missing[title] = f"the predictions have no column '{column}'"
        return
    try:
        gap, names = _gap(examined, rule, shared)
        own, own_names = (gap, names) if gap is not None and whole is shared else _own(examined, rule, whole)
    except UndefinedMetricError as reason:
        found.missing[title] = str(reason)
        return
    if gap is not None and gap.candidate.low > own.candidate.low:  # its own column says more of the examples that are on record
        own, own_names = gap, names
    found.own[title] = own.candidate
    found.open_by[title] = _open_by(column, own, own_names)
    found.unprotected[title] = [own_names[place] for place in own.undefined]
    if own.undefined:
        groups_named = listed(found.unprotected[title])
        found.remarks.append(
            f"{rule.fairness} has no value on {numbers.count(len(own.undefined), 'group')} of '{column}', unprotected: {groups_named}"
        )
    shown, of_shown = (gap, names) if gap is not None else (own, own_names)
    row = _row(examined, rule, shown)
    found.rows.append(row.model_copy(update={"open_by": _open_by(column, shown, of_shown)}) if row.verdict == "cannot tell" else row)


def _gap(examined: Examination, rule: RuleConfig, shared: Predictions | None) -> tuple[Gap | None, list[str]]:
    pair = comparison.pair_of(examined)
    if shared is None or pair is None:
        return None, []
    names, indices = _groups(shared)
    return statistics.compare_gaps(rule.fairness or "", pair, indices, examined.confidence, _seed(examined, rule)), names


def _own(examined: Examination, rule: RuleConfig, whole: Predictions) -> tuple[Gap, list[str]]:
    names, indices = _groups(replace(whole, slices={rule.group or "": whole.slices[rule.group or ""]}))
    model = comparison.model_of(whole, examined.rules)
    return statistics.gap(rule.fairness or "", model, indices, examined.confidence, _seed(examined, rule)), names


def _seed(examined: Examination, rule: RuleConfig) -> int:
    return seed_of(examined.holdout_sha256 or "", rule.title)


def _groups(predicted: Predictions) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Names of the groups, and which examples are in each."""
    found = [(value, index) for _, value, index in groups(predicted)]
    return [value for value, _ in found], [index for _, index in found]


def _row(examined: Examination, rule: RuleConfig, gap: Gap) -> Comparison:
    guards = [one.margin for one in examined.rules.gate.rules if one.title == rule.title and one.margin is not None]
    margin = min(guards, default=None)
    verdict, more, visible = None, None, None
    if gap.change is not None:
        improvement = towards_better(gap.change, is_lower_better=True)
        verdict = decide(improvement, margin)
        if verdict == "cannot tell":
            more = more_examples(closing_in(improvement, gap.n), gap.n, margin)
        noise = planning.noise_of(improvement, gap.n, examined.confidence) if verdict in ("no worse", "cannot tell") else None
        visible = planning.visible_loss(noise, examined.confidence) if noise else None
    elif margin is not None and examined.baseline is not None:
        verdict = "cannot tell"
    return Comparison(
        metric=rule.fairness or "",
        aspect=rule.aspect,
        better="lower",
        candidate=gap.candidate.estimate,
        baseline=gap.baseline,
        difference=gap.change.estimate if gap.change else None,
        low=finite(gap.change.low) if gap.change else None,
        high=finite(gap.change.high) if gap.change else None,
        method=gap.change.method if gap.change else None,
        verdict=verdict,
        margin=margin,
        more_examples=more,
        visible_loss=visible,
        standard_error=gap.change.standard_error if gap.change else None,
    )


def _open_by(column: str, gap: Gap, names: Sequence[str]) -> str:
    """Which groups leave it open: those without any bounds, else the one whose bounds are the widest."""
    without = [place for place, reach in enumerate(gap.reach) if not math.isfinite(reach)]
    shown = [f"{column} = {names[gap.groups[place].place]} ({numbers.count(gap.groups[place].n, 'example')})" for place in without]
    if without:
        return f"too few examples for any bound: {listed(shown)}"
    widest = gap.groups[int(gap.reach.argmax())]
    return f"least is known of {column} = {names[widest.place]} ({numbers.count(widest.n, 'example')})"
