"""Slices of the holdout: each compared as the whole is, what is claimed of any of them held against all, and rules that guard them.

A model passes a rule on slices unless harm is shown: some slice worse by more than the margin, Holm's step-down over all guarded slices
and metrics. That each slice is no worse is asked of each by itself (all must hold: no correction), and what cannot be shown is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.config import Config, RuleConfig
from mlgate.evaluation.metrics import groups
from mlgate.evaluation.predictions import Pairing
from mlgate.evidence import RuleResult, SliceComparison, Verdict
from mlgate.render import numbers
from mlgate.stages.decision import comparison
from mlgate.stages.decision.comparison import Examination
from mlgate.stats.comparison import ACCURACY_LIKE, Pair
from mlgate.stats.intervals import Interval
from mlgate.stats.multiplicity import interval_at, is_drawn, step_down
from mlgate.stats.verdict import towards_better

_NAMED = 5
_MOST_UNGUARDED = 1_000
"""Slices that are compared though no rule is about them."""


@dataclass(frozen=True)
class Undefined:
    """A guarded slice without a comparison."""

    metric: str
    column: str
    value: str
    n: int


@dataclass(frozen=True)
class SliceTable:
    """What was found on the slices."""

    rows: list[SliceComparison] = field(default_factory=list)
    undefined: list[Undefined] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Claim:
    """One metric on one slice, before the family is looked at."""

    row: SliceComparison
    index: NDArray[np.int64]


def guarded_columns(rule: RuleConfig, rules: Config) -> list[str]:
    """The columns whose slices a rule guards; none of a rule on something else."""
    if rule.slices is None:
        return []
    return list(rules.evaluation.slices) if rule.slices == "all" else list(rule.slices)


def compared(examined: Examination, say: Callable[[str], None]) -> SliceTable:
    """On every slice of the shared examples: metrics that rules guard there, those guarded on the whole, or where there are none the first.

    Returns:
        Rows whose `better` and `worse` hold for all of them together.
    """
    pair, pairing = comparison.pair_of(examined), examined.pairing
    if pair is None or pairing is None:
        return SliceTable()
    margins = _guarded_margins(examined.rules)
    columns, remarks = columns_of(pairing, {column for column, _ in margins})
    columns, left_out = _few_enough(columns, {column for column, _ in margins})
    remarks = [*remarks, *left_out]
    shown = _shown_metrics(examined, pair)
    claims: list[_Claim] = []
    undefined: list[Undefined] = []
    for column, value, index in groups(replace(pairing.candidate, slices=columns)):
        say(f"{column} {value}")
        part = pair.take(index)
        for name in dict.fromkeys([*(metric for where, metric in margins if where == column), *shown]):
            is_guarded = (column, name) in margins
            found = comparison.compared_on(examined, name, part, index)
            if found is None:
                undefined += [Undefined(name, column, value, len(index))] if is_guarded else []
                continue
            rule = examined.margin_rule(name)
            margin = margins.get((column, name), rule.margin if rule else None)
            row = comparison.row_of(examined, name, found, margin)
            claims.append(_Claim(SliceComparison(column=column, value=value, n=len(index), comparison=row, is_guarded=is_guarded), index))
    return SliceTable(_corrected(examined, pair, claims), undefined, [*remarks, *_undefined_words(undefined)])


def judged(rule: RuleConfig, table: SliceTable | None, rules: Config, against: str = "the baseline") -> tuple[RuleResult, Verdict | None]:
    """A rule on slices, held against their rows, and what it adds to the verdict over all.

    Slices that cannot be told never close the gate, as some of many always are, unless the rule itself says `cannot_tell: block`; nor do
    they add to the verdict: they are a warning.

    Args:
        rule: of that kind.
        table: None where there is nothing to compare with.
        rules: the deciding configuration.
        against: what the baseline is called.
    """
    columns, margin = guarded_columns(rule, rules), rule.margin or 0.0
    where = f"slice of {_either(columns)}"
    text = f"{rule.metric} on no {where} worse than {against} by more than {margin:g}"

    def result(reason: str, *, is_passed: bool = True, is_warning: bool = False) -> RuleResult:
        return RuleResult(rule=text, metric=rule.title, is_passed=is_passed, is_warning=is_warning, reason=reason)

    if table is None:
        return result("first model: nothing to compare with", is_warning=True), None
    rows = [row for row in table.rows if row.is_guarded and row.comparison.metric == rule.metric and row.column in columns]
    missing = [one for one in table.undefined if one.metric == rule.metric and one.column in columns]
    if not rows and not missing:
        return result(f"{rule.title}: no predictions with {_either(columns)} to compare on", is_passed=False), None
    there = {row.column for row in rows} | {one.column for one in missing}
    if unknown := [column for column in columns if column not in there]:
        return result(f"{rule.title}: the predictions have no column {_either(unknown)}", is_passed=False), None
    scale = numbers.scale_of(rule.metric, [value for row in rows for value in (row.comparison.candidate, row.comparison.baseline)])
    count, said = len(rows) + len(missing), scale.margin(margin)
    # by the margin of this rule: another may guard the same slice more strictly
    worse = [row for row in rows if row.comparison.verdict == "worse" and _improvement(row).high < -margin]
    if worse:
        ordered = sorted(worse, key=lambda row: _improvement(row).estimate)
        harmed = listed([f"{_name(row)} ({scale.difference(row.comparison.difference)})" for row in ordered])
        return result(
            f"{rule.title} is worse by more than {said} on {len(worse):,} of {count:,} slices: {harmed}", is_passed=False
        ), "worse"
    open_ = [row for row in rows if not _improvement(row).low > -margin]
    unprotected = [row for row in open_ if row.is_unprotected]
    doubtful = [row for row in open_ if not row.is_unprotected]
    shown = f"{rule.title} is no worse by more than {said} on {count - len(open_) - len(missing):,} of {count:,} slices"
    reason = "; ".join(
        filter(
            None,
            [
                shown,
                f"cannot tell on {len(doubtful):,}: {listed([_name(row) for row in doubtful])}" if doubtful else "",
                _unprotected_words(unprotected, missing),
            ],
        )
    )
    if not open_ and not missing:
        return result(reason), "no worse"
    if rule.cannot_tell == "block":
        return result(reason, is_passed=False), "cannot tell"
    return result(reason, is_warning=True), None


def _guarded_margins(rules: Config) -> dict[tuple[str, str], float]:
    """The strictest margin for each (column, metric) that a rule on slices guards."""
    margins: dict[tuple[str, str], float] = {}
    for rule in rules.gate.rules:
        for column in guarded_columns(rule, rules):
            key = column, rule.metric
            margins[key] = min(margins.get(key, float("inf")), rule.margin or 0.0)
    return margins


def columns_of(pairing: Pairing, guarded: set[str]) -> tuple[dict[str, NDArray[np.str_]], list[str]]:
    """Which slice each example is in, and where the two models' predictions say otherwise: then the baseline's, which are on record, count.

    A change that moves examples between slices would otherwise choose what it is compared on.
    """
    mine, theirs = pairing.candidate.slices, pairing.baseline.slices
    columns = {name: theirs.get(name, texts) for name, texts in mine.items()}
    columns |= {name: texts for name, texts in theirs.items() if name in guarded and name not in mine}
    remarks = []
    for name in columns:
        if name in mine and name in theirs and (moved := int(np.count_nonzero(mine[name] != theirs[name]))):
            of_all = f"{moved:,} of {len(mine[name]):,} examples"
            remarks.append(f"{of_all} have another '{name}' than in the baseline's predictions, whose slices are compared")
    return columns, remarks


def _few_enough(columns: dict[str, NDArray[np.str_]], guarded: set[str]) -> tuple[dict[str, NDArray[np.str_]], list[str]]:
    """The columns that no rule guards only as far as they are few slices together: whoever lists more of them keeps the gate busy."""
    kept, slices, left_out = {}, 0, []
    for name, texts in columns.items():
        if name in guarded:
            kept[name] = texts
            continue
        count = int(np.unique(texts).size)
        if slices + count <= _MOST_UNGUARDED:
            kept[name] = texts
            slices += count
        else:
            left_out.append(name)
    if not left_out:
        return kept, []
    return kept, [f"More than {_MOST_UNGUARDED:,} slices that no rule guards; not compared: {listed(left_out)}"]


def _shown_metrics(examined: Examination, pair: Pair) -> list[str]:
    known = examined.known(pair.candidate) & pair.baseline.metrics
    with_interval = [name for name in examined.names if name in known or comparison.has_values(examined, name)]
    guarded = [name for name in with_interval if examined.margin_rule(name) is not None]
    if guarded:
        return guarded
    if any(rule.slices for rule in examined.rules.gate.rules):
        return []
    accuracy_like = [name for name in with_interval if name in ACCURACY_LIKE]
    return (accuracy_like or with_interval)[:1]


def _corrected(examined: Examination, pair: Pair, claims: Sequence[_Claim]) -> list[SliceComparison]:
    """Claims of harm that hold for all slices under a rule together, or all others; claims of improvement for all there are."""
    alpha = 1 - examined.confidence

    taken: dict[int, Pair] = {}  # the slice looked at last: its metrics stand side by side

    def part(place: int) -> Pair:
        key = id(claims[place].index)
        if key not in taken:
            taken.clear()
            taken[key] = pair.take(claims[place].index)
        return taken[key]

    def improvement(place: int, level: float) -> Interval:
        index, found = claims[place].index, claims[place].row.comparison

        def at(confidence: float) -> Interval:
            again = comparison.compared_on(examined, found.metric, part(place), index, confidence)
            return again.interval if again is not None else Interval(0.0, -np.inf, np.inf, "")

        interval = interval_at(at, 1 - level, drawn=is_drawn(found.method or ""))
        return towards_better(interval, is_lower_better=found.better == "lower")

    def is_worse(place: int, level: float) -> bool:
        return improvement(place, level).high < -(claims[place].row.comparison.margin or 0.0)

    def is_better(place: int, level: float) -> bool:
        return improvement(place, level).low > 0

    standing: set[int] = set()
    places = [place for place, claim in enumerate(claims) if claim.row.comparison.better is not None]
    harm = [[place for place in places if claims[place].row.is_guarded == is_guarded] for is_guarded in (True, False)]
    for family, verdict, holds in ((harm[0], "worse", is_worse), (harm[1], "worse", is_worse), (places, "better", is_better)):
        promising = [place for place in family if claims[place].row.comparison.verdict == verdict]
        standing |= step_down(holds, promising, len(family), alpha)
    return [_told(claim.row, is_standing=place in standing) for place, claim in enumerate(claims)]


def _told(row: SliceComparison, *, is_standing: bool) -> SliceComparison:
    """A row with the verdict that holds in company."""
    found = row.comparison
    is_too_small = found.margin is not None and (found.visible_loss is None or found.visible_loss > found.margin)
    if found.verdict == "cannot tell":
        return row.model_copy(update={"is_unprotected": is_too_small})
    if is_standing or found.verdict not in ("better", "worse"):
        return row
    verdict = "no worse" if found.verdict == "better" and found.margin is not None else "cannot tell"
    return row.model_copy(update={"comparison": found.model_copy(update={"verdict": verdict})})


def _improvement(row: SliceComparison) -> Interval:
    found = row.comparison
    low = -np.inf if found.low is None else found.low
    high = np.inf if found.high is None else found.high
    return towards_better(Interval(found.difference or 0.0, low, high, ""), is_lower_better=found.better == "lower")


def _name(row: SliceComparison | Undefined) -> str:
    return f"{row.column} = {row.value}"


def _either(columns: Sequence[str]) -> str:
    return " or ".join(f"'{column}'" for column in columns)


def listed(names: Sequence[str]) -> str:
    """`a, b, c, d, e and 3 more`."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _unprotected_words(rows: Sequence[SliceComparison], missing: Sequence[Undefined]) -> str:
    if not rows and not missing:
        return ""
    small: list[SliceComparison | Undefined] = [*rows, *missing]
    named = listed([f"{_name(one)} ({numbers.count(one.n, 'example')})" for one in small])
    return f"{len(rows) + len(missing):,} unprotected, with too few examples to show it: {named}"


def _undefined_words(undefined: Sequence[Undefined]) -> list[str]:
    by: dict[tuple[str, str], list[Undefined]] = {}
    for one in undefined:
        by.setdefault((one.metric, one.column), []).append(one)
    return [
        f"{metric} has no value on {numbers.count(len(found), 'slice')} of '{column}', unprotected: {listed([one.value for one in found])}"
        for (metric, column), found in by.items()
    ]
