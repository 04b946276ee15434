"""The gate's decision in words: each rule held against its row, the verdict over all of them, the sentence at the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlgate.config import Config, RuleConfig
from mlgate.errors import InputError
from mlgate.evidence import Comparison, RuleResult, Verdict
from mlgate.mistakes import did_you_mean
from mlgate.render import numbers
from mlgate.stats.verdict import worst

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


def decide(rules: Config, rows: Sequence[Comparison], values: dict[str, float], *, has_baseline: bool) -> Decision:
    """Hold every rule against its row.

    Args:
        rules: the deciding configuration.
        rows: comparisons, on the examples both models share.
        values: the candidate's value of each row by its title, on its whole holdout: what thresholds are about.
        has_baseline: whether there was anything to compare with.
    """
    by_title = {row.title: row for row in rows}
    results = [
        result for rule in rules.gate.rules for result in _results(rule, by_title[rule.title], values[rule.title], rules, has_baseline)
    ]
    is_open = all(result.is_passed for result in results)
    guarded = [by_title[rule.title] for rule in rules.gate.rules if rule.margin is not None] if has_baseline else []
    verdict = worst([row.verdict for row in guarded if row.verdict is not None])
    return Decision(is_open, verdict, _headline(rules, rows, results, guarded, verdict, has_baseline=has_baseline), results)


def unless_worse(decision: Decision, rules: Config, recorded: Sequence[Comparison], examples: int) -> Decision:
    """The same decision, but closed where a guarded metric is worse on the examples that the baseline's record has.

    Args:
        decision: on the whole holdout, with answers of the baseline that no record has.
        rules: the deciding configuration.
        recorded: rows of the guarded metrics on the recorded examples alone.
        examples: how many these are.
    """
    worse = [row for row in recorded if row.verdict == "worse"]
    if not worse:
        return decision
    where = f"on the {examples:,} examples that are on record"
    results = [
        RuleResult(
            rule=f"{row.title} not worse than the baseline by more than {row.margin or 0:g}, {where}",
            metric=row.title,
            is_passed=False,
            reason=sentence(row, rules.gate.confidence),
        )
        for row in worse
    ]
    words = "; ".join(f"{where}, {brief(row, rules.gate.confidence)}" for row in worse[:_MOST_REASONS])
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
            return f"{change}: no worse than {margin}"
        case "worse":
            return f"{change}: worse" + (f" by more than {margin}" if margin else "")
        case "cannot tell" if row.method is None:
            return f"{change}: cannot tell, one number on each side certifies nothing"
        case "cannot tell" if row.low is None and row.high is None:
            return f"{change}: cannot tell, there are too few examples for an interval"
        case "cannot tell":
            settled = f"; about {row.more_examples:,} more examples would settle it" if row.more_examples else ""
            return f"{change}: cannot tell whether it is worse" + (f" by more than {margin}" if margin else "") + settled
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
        case "cannot tell":
            settled = f"; about {row.more_examples:,} more examples would settle it" if row.more_examples else ""
            return f"cannot tell whether {row.title} is worse" + (f" by more than {margin}" if margin else "") + settled
        case _:
            return sentence(row, confidence)


def _results(rule: RuleConfig, row: Comparison, value: float, rules: Config, has_baseline: bool) -> list[RuleResult]:
    results = []
    for limit, is_kept, words in (
        (rule.min, rule.min is None or value >= rule.min, ("at least", "below")),
        (rule.max, rule.max is None or value <= rule.max, ("at most", "above")),
    ):
        if limit is not None:
            reason = f"{value:.6g} is {words[0] if is_kept else words[1]} {limit:g}"
            results.append(RuleResult(rule=f"{rule.title} {words[0]} {limit:g}", metric=rule.title, is_passed=is_kept, reason=reason))
    if rule.margin is not None:
        results.append(_margin_result(rule.title, rule.margin, row, rules, has_baseline))
    return results


def _margin_result(title: str, margin: float, row: Comparison, rules: Config, has_baseline: bool) -> RuleResult:
    text = f"{title} not worse than the baseline by more than {margin:g}"
    if not has_baseline:
        return RuleResult(rule=text, metric=title, is_passed=True, is_warning=True, reason="first model: nothing to compare with")
    if row.verdict == "cannot tell" or row.verdict is None:
        is_blocked = rules.gate.cannot_tell == "block"
        return RuleResult(
            rule=text, metric=title, is_passed=not is_blocked, is_warning=not is_blocked, reason=sentence(row, rules.gate.confidence)
        )
    return RuleResult(rule=text, metric=title, is_passed=row.verdict != "worse", reason=sentence(row, rules.gate.confidence))


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
    failed = [_why(result, by_title[result.metric], rules) for result in results if not result.is_passed]
    if failed:
        more = f"; and {len(failed) - _MOST_REASONS} more" if len(failed) > _MOST_REASONS else ""
        return "; ".join(failed[:_MOST_REASONS]) + more
    if not rules.gate.rules:
        shown = f" ({sentence(rows[0], rules.gate.confidence)})" if rows and has_baseline else ""
        return f"no rules: nothing is guarded{shown}"
    if not has_baseline:
        thresholds = [result for result in results if not result.is_warning]
        kept = "; ".join(_why(result, by_title[result.metric], rules) for result in thresholds[:_MOST_REASONS])
        return f"first model: nothing to compare with{'; ' + kept if kept else ''}"
    if guarded:  # the worst first: it is what the verdict says
        ordered = sorted(guarded, key=lambda row: row.verdict != verdict)
        return "; ".join(brief(row, rules.gate.confidence) for row in ordered[:_MOST_REASONS])
    return "; ".join(_why(result, by_title[result.metric], rules) for result in results[:_MOST_REASONS])


def _why(result: RuleResult, row: Comparison, rules: Config) -> str:
    """A reason that names its metric: those of margins begin with it, those of thresholds with the number."""
    return brief(row, rules.gate.confidence) if result.reason.startswith(f"{result.metric} ") else f"{result.metric} {result.reason}"
