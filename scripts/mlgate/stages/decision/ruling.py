"""The gate's decision in words: each rule held against its row, the verdict over all of them, the sentence at the top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mlgate.config import Config, RuleConfig
from mlgate.errors import InputError
from mlgate.evidence import Comparison, RuleResult, Verdict
from mlgate.mistakes import did_you_mean
from mlgate.render import numbers
from mlgate.stages.decision import fairness, slices
from mlgate.stages.decision.fairness import Gaps
from mlgate.stages.decision.slices import SliceTable
from mlgate.stats.intervals import Interval
from mlgate.stats.verdict import decide as verdict_at
from mlgate.stats.verdict import towards_better, worst

_MOST_REASONS = 3


@dataclass(frozen=True)
class Decision:
    """Open or closed, and why."""

    is_open: bool
    verdict: Verdict | None
    headline: str
    rules: list[RuleResult]


def check_metrics(rules: Config, known: Sequence[str], undefined: Sequence[str], where: str) -> None:
    """Refuse rules about metrics there are not.

    Args:
        rules: the deciding configuration.
        known: metrics with a value.
        undefined: metrics that were asked for and have none on this holdout.
        where: what messages call the configuration.

    Raises:
        InputError: one line a rule.
    """
    problems = []
    for index, rule in enumerate(rules.gate.rules):
        key = f"{where}: gate.rules[{index}].metric"
        if rule.metric in undefined:
            problems.append(f"{key}: '{rule.metric}' has no value on this holdout (see the warnings of evaluate)")
        elif rule.metric not in known:
            problems.append(f"{key}: no metric '{rule.metric}' in the evaluation{did_you_mean(rule.metric, known)}")
    if problems:
        raise InputError("\n".join(problems))


def decide(
    rules: Config,
    rows: Sequence[Comparison],
    values: dict[str, float],
    *,
    has_baseline: bool,
    sliced: SliceTable | None = None,
    gaps: Gaps | None = None,
    missing: Mapping[str, str] | None = None,
) -> Decision:
    """Hold every rule against its row.

    Args:
        rules: the deciding configuration.
        rows: comparisons, on the examples both models share.
        values: the candidate's value of each row by its title, on its whole holdout: what thresholds are about.
        has_baseline: whether there was anything to compare with.
        sliced: what was found on the slices.
        gaps: what was found between groups.
        missing: why a row is not there, by its title: a rule about it fails.
    """
    by_title, missing = {row.title: row for row in rows}, missing or {}
    results: list[RuleResult] = []
    verdicts: list[Verdict] = []
    for rule in rules.gate.rules:
        if rule.slices is not None:
            result, of_slices = slices.judged(rule, (sliced or SliceTable()) if has_baseline else None, rules)
            results.append(result)
            verdicts += [of_slices] if of_slices else []
        elif rule.fairness is not None:
            of_margin = partial(_of_gap, rule, by_title.get(rule.title), rules, has_baseline)
            results += fairness.results_of(rule, gaps or Gaps(), rules, of_margin)
        elif rule.title in missing:
            reason = f"{rule.title} is not to be had: {missing[rule.title]}"
            results.append(RuleResult(rule=f"{rule.title} there to be judged", metric=rule.title, is_passed=False, reason=reason))
        else:
            results += _results(rule, by_title[rule.title], values[rule.title], rules, has_baseline)
    is_open = all(result.is_passed for result in results)
    of_rows = [rule for rule in rules.gate.rules if rule.margin is not None and rule.slices is None and rule.title in by_title]
    guarded = [by_title[rule.title] for rule in of_rows] if has_baseline else []
    verdict = worst([*(row.verdict for row in guarded if row.verdict is not None), *verdicts])
    return Decision(is_open, verdict, _headline(rules, rows, results, guarded, verdict, has_baseline=has_baseline), results)


def _of_gap(rule: RuleConfig, row: Comparison | None, rules: Config, has_baseline: bool) -> RuleResult:
    margin = rule.margin or 0.0
    return _margin_result(rule, margin, row, rules) if has_baseline and row is not None else _not_asked(rule.title, margin)


def unless_worse(
    decision: Decision, rules: Config, recorded: Sequence[Comparison], examples: int, sliced: SliceTable | None = None
) -> Decision:
    """The same decision, but closed where a guarded metric is worse on the examples that the baseline's record has.

    Args:
        decision: on the whole holdout, with answers of the baseline that no record has.
        rules: the deciding configuration.
        recorded: rows of the guarded metrics on the recorded examples alone.
        examples: how many these are.
        sliced: what was found on their slices.
    """
    worse = [row for row in recorded if row.verdict == "worse" and row.margin is not None]
    judged = [slices.judged(rule, sliced, rules) for rule in rules.gate.rules if rule.slices is not None and sliced is not None]
    harmed = [result for result, verdict in judged if verdict == "worse"]
    if not worse and not harmed:
        return decision
    where = f"on the {examples:,} examples that are on record"
    results = [
        RuleResult(
            rule=f"{margin_words(row.title, row.margin or 0.0)}, {where}",
            metric=row.title,
            is_passed=False,
            reason=sentence(row, rules.gate.confidence),
        )
        for row in worse
    ]
    results += [result.model_copy(update={"rule": f"{result.rule}, {where}"}) for result in harmed]
    told = [*(brief(row, rules.gate.confidence) for row in worse), *(result.reason for result in harmed)]
    words = "; ".join(f"{where}, {line}" for line in told[:_MOST_REASONS])
    headline = words if decision.is_open else f"{decision.headline}; {words}"
    return Decision(False, "worse", headline, [*decision.rules, *results])


def sentence(row: Comparison, confidence: float) -> str:
    """`accuracy 96.4 % → 97.2 %, +0.8 pt (95 %: −0.4 to +2.0): no worse than 1 pt`."""
    scale = numbers.scale_of(row.metric, [row.candidate, row.baseline], row.low, row.high)
    if row.baseline is None or row.difference is None:
        return f"{row.title} {scale.value(row.candidate)}, and no value of the baseline: cannot tell"
    interval = scale.interval(row.low, row.high)
    interval = f" ({confidence * 100:g} %: {interval})" if interval else ""
    change = f"{row.title} {scale.value(row.baseline)} → {scale.value(row.candidate)}, {scale.difference(row.difference)}{interval}"
    margin = scale.margin(row.margin) if row.margin else None
    match row.verdict:
        case "better":
            return f"{change}: better"
        case "no worse":
            seen = f". It could have seen a loss of {scale.loss(row.visible_loss)}" if row.visible_loss else ""
            return f"{change}: no worse than {margin}{seen}"
        case "worse":
            return f"{change}: worse" + (f" by more than {margin}" if margin else "")
        case "cannot tell" if row.method is None:
            return f"{change}: cannot tell, one number on each side certifies nothing"
        case "cannot tell" if (held := _no_new_best(row, scale)) is not None:
            return f"{change}: cannot tell, {held}"
        case "cannot tell" if row.low is None and row.high is None and row.open_by:
            return f"{change}: cannot tell, {row.open_by}"
        case "cannot tell" if row.low is None and row.high is None:
            few = f"groups ({row.groups:,})" if row.groups else "examples"
            return f"{change}: cannot tell, there are too few {few} for an interval"
        case "cannot tell":
            settled = _settled(row)
            seen = f". It could have seen a loss of {scale.loss(row.visible_loss)}" if row.visible_loss else ""
            return f"{change}: cannot tell whether it is worse" + (f" by more than {margin}" if margin else "") + settled + seen
        case _:
            return change


def brief(row: Comparison, confidence: float) -> str:
    """`accuracy is worse by 2.4 pt (at least 1.6 pt, the margin is 1 pt)`: the answer alone, for the line above the table of numbers."""
    scale = numbers.scale_of(row.metric, [row.candidate, row.baseline], row.low, row.high)
    if row.difference is None or row.low is None or row.high is None:
        return sentence(row, confidence)
    amount, margin = scale.amount(row.difference), scale.margin(row.margin) if row.margin else None
    gain_low, gain_high = (-row.high, -row.low) if row.better == "lower" else (row.low, row.high)
    match row.verdict:
        case "better":
            return f"{row.title} is better by {amount} (at least {scale.amount(gain_low)})"
        case "no worse" if gain_low >= 0:
            return f"{row.title} is no worse"
        case "no worse":
            return f"{row.title} is no worse (by {scale.amount(gain_low)} at most" + (f", the margin is {margin})" if margin else ")")
        case "worse":
            return f"{row.title} is worse by {amount} (at least {scale.amount(gain_high)}" + (
                f", the margin is {margin})" if margin else ")"
            )
        case "cannot tell" if (held := _no_new_best(row, scale)) is not None:
            return f"cannot tell whether {row.title} is worse" + (f" by more than {margin}" if margin else "") + f": {held}"
        case "cannot tell":
            settled = _settled(row)
            return f"cannot tell whether {row.title} is worse" + (f" by more than {margin}" if margin else "") + settled
        case _:
            return sentence(row, confidence)


def _settled(row: Comparison) -> str:
    """Nobody knows the true difference: the number is for the one that was measured, and said to be."""
    by = f"; {row.open_by}" if row.open_by else ""
    if not row.more_examples:
        return by
    return f"{by}; about {numbers.about(row.more_examples, 'more example')} would settle it, if the difference stays as measured"


def threshold_words(title: str, words: str, limit: float) -> str:
    """`accuracy at least 0.9`."""
    return f"{title} {words} {limit:g}"


def margin_words(title: str, margin: float) -> str:
    """`accuracy not worse than the baseline by more than 0.01`."""
    return f"{title} not worse than the baseline by more than {margin:g}"


def _results(rule: RuleConfig, row: Comparison, value: float, rules: Config, has_baseline: bool) -> list[RuleResult]:
    results = []
    for limit, is_kept, words in (
        (rule.min, rule.min is None or value >= rule.min, ("at least", "below")),
        (rule.max, rule.max is None or value <= rule.max, ("at most", "above")),
    ):
        if limit is not None:
            reason = f"{value:.6g} is {words[0] if is_kept else words[1]} {limit:g}"
            text = threshold_words(rule.title, words[0], limit)
            results.append(RuleResult(rule=text, metric=rule.title, is_passed=is_kept, reason=reason))
    if rule.margin is not None:
        results.append(_margin_result(rule, rule.margin, row, rules) if has_baseline else _not_asked(rule.title, rule.margin))
    return results


def _not_asked(title: str, margin: float) -> RuleResult:
    reason = "first model: nothing to compare with"
    return RuleResult(rule=margin_words(title, margin), metric=title, is_passed=True, is_warning=True, reason=reason)


def _margin_result(rule: RuleConfig, margin: float, row: Comparison, rules: Config) -> RuleResult:
    row = at_margin(row, margin)
    is_unknown = row.verdict in ("cannot tell", None)
    is_blocked = is_unknown and rules.gate.is_blocking(rule)
    return RuleResult(
        rule=margin_words(rule.title, margin),
        metric=rule.title,
        is_passed=row.verdict != "worse" and not is_blocked,
        is_warning=is_unknown and not is_blocked,
        reason=sentence(row, rules.gate.confidence),
    )


def at_margin(row: Comparison, margin: float) -> Comparison:
    """The row as a rule of this margin sees it; a stricter one may guard the same metric."""
    if row.margin is None or row.margin == margin or row.better is None or row.difference is None or row.low is None or row.high is None:
        return row
    interval = Interval(row.difference, row.low, row.high, row.method or "")
    verdict = verdict_at(towards_better(interval, is_lower_better=row.better == "lower"), margin)
    if is_held_back(row) and verdict in ("better", "no worse"):
        verdict = "cannot tell"
    return row.model_copy(update={"margin": margin, "verdict": verdict, "more_examples": None})


def is_held_back(row: Comparison) -> bool:
    """Whether the Ladder lets no claim stand: there is no new best, nor a model that answers as the baseline does."""
    return row.ladder is not None and not row.ladder.is_new_best and not row.ladder.is_same


def _no_new_best(row: Comparison, scale: numbers.Scale) -> str | None:
    """Why a claim that the interval would bear is not made; None where the interval itself cannot tell."""
    if row.ladder is None or not is_held_back(row) or row.margin is None or row.low is None or row.high is None:
        return None
    loss = row.high if row.better == "lower" else -row.low
    if loss >= row.margin:
        return None
    best, step = scale.value(row.ladder.best), scale.amount(row.ladder.step)
    return f"no new best on this holdout: the best so far has {best}, to be beaten by {step}"


def _headline(
    rules: Config,
    rows: Sequence[Comparison],
    results: list[RuleResult],
    guarded: list[Comparison],
    verdict: Verdict | None,
    *,
    has_baseline: bool,
) -> str:
    by_title = {row.title: row for row in rows}
    failing = sorted((one for one in results if not one.is_passed), key=lambda one: _is_doubt(one, by_title.get(one.metric)))
    failed = [_why(result, by_title.get(result.metric), rules) for result in failing]
    if failed:
        more = f"; and {len(failed) - _MOST_REASONS} more" if len(failed) > _MOST_REASONS else ""
        return "; ".join(failed[:_MOST_REASONS]) + more
    if not rules.gate.rules:
        shown = f" ({sentence(rows[0], rules.gate.confidence)})" if rows and has_baseline else ""
        return f"no rules: nothing is guarded{shown}"
    if not has_baseline:
        thresholds = [result for result in results if not result.is_warning]
        kept = "; ".join(_why(result, by_title.get(result.metric), rules) for result in thresholds[:_MOST_REASONS])
        return f"first model: nothing to compare with{'; ' + kept if kept else ''}"
    if guarded:  # the worst first: it is what the verdict says
        ordered = sorted(guarded, key=lambda row: row.verdict != verdict)
        told = [brief(row, rules.gate.confidence) for row in ordered]
        told += [result.reason for result in results if result.metric not in by_title]
        return "; ".join(told[:_MOST_REASONS])
    return "; ".join(_why(result, by_title.get(result.metric), rules) for result in results[:_MOST_REASONS])


def _is_doubt(result: RuleResult, row: Comparison | None) -> bool:
    """Whether a rule fails because nothing could be told: said after what is known to be broken, which must not hide in `and 1 more`."""
    return row is not None and row.verdict in ("cannot tell", None) and result.reason.startswith(f"{result.metric} ")


def _why(result: RuleResult, row: Comparison | None, rules: Config) -> str:
    """A reason that names its metric: those of margins begin with it, those of thresholds with the number; without a row it is whole."""
    if row is None:
        return result.reason
    return brief(row, rules.gate.confidence) if result.reason.startswith(f"{result.metric} ") else f"{result.metric} {result.reason}"
