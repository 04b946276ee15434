"""A second baseline, such as a pinned release: its rules beside those of the first, and both in one sentence. Pure.

Compared with its predecessor alone, each of many small losses passes, and together they are a large one; what is pinned stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.config import Config
from mlgate.evidence import AgainstBaseline, Comparison, GateFindings, RuleResult, Verdict
from mlgate.stages.decision import ruling, slices
from mlgate.stages.decision.slices import SliceTable
from mlgate.stats.verdict import worst

_MOST_REASONS = 3


def verdict_of(rows: Sequence[Comparison]) -> Verdict | None:
    """The worst of some rows'; None of none."""
    return worst([row.verdict for row in rows if row.verdict is not None])


def must_hold(findings: GateFindings, rules: Config, against: AgainstBaseline, sliced: SliceTable) -> GateFindings:
    """The findings with a further baseline, whose margins must not be lost either.

    Args:
        findings: beside the first baseline.
        rules: the deciding configuration.
        against: the guarded rows beside this one.
        sliced: what was found on the slices beside it.
    """
    on_slices = [slices.judged(rule, sliced, rules, against.name) for rule in rules.gate.rules if rule.slices is not None]
    of_slices = [result.model_copy(update={"against": against.name}) for result, _ in on_slices]
    verdicts = [findings.verdict, against.verdict, *(verdict for _, verdict in on_slices)]
    results = [*_results(rules, against), *of_slices]
    is_open = findings.is_open and all(result.is_passed for result in results)
    return findings.model_copy(
        update={
            "is_open": is_open,
            "verdict": worst([verdict for verdict in verdicts if verdict is not None]),
            "headline": _headline(findings, against, results, rules.gate.confidence) + _on_slices(of_slices, against),
            "rules": [*findings.rules, *results],
            "also": [*findings.also, against],
        }
    )


def _on_slices(results: Sequence[RuleResult], against: AgainstBaseline) -> str:
    return "".join(f"; against {against.name}, {result.reason}" for result in results if not result.is_passed)


def _results(rules: Config, against: AgainstBaseline) -> list[RuleResult]:
    by_title = {row.title: row for row in against.comparisons}
    results = []
    for rule in rules.gate.rules:
        row = by_title.get(rule.title)
        if rule.margin is None or row is None or rule.slices is not None:
            continue
        row = ruling.at_margin(row, rule.margin)
        is_unknown = row.verdict in ("cannot tell", None)
        is_blocked = is_unknown and rules.gate.is_blocking(rule)
        results.append(
            RuleResult(
                rule=f"{rule.title} not worse than {against.name} by more than {rule.margin:g}",
                metric=row.title,
                is_passed=row.verdict != "worse" and not is_blocked,
                is_warning=is_unknown and not is_blocked,
                reason=ruling.sentence(row, rules.gate.confidence),
                against=against.name,
            )
        )
    return results


def _headline(findings: GateFindings, against: AgainstBaseline, results: Sequence[RuleResult], confidence: float) -> str:
    """`accuracy is no worse (by 0.2 pt at most, the margin is 1 pt); but against v1.4.0, accuracy is worse by 2.1 pt (…)`."""
    if not results or not against.comparisons:
        return findings.headline
    told = [row for row in against.comparisons if row.verdict == against.verdict] or list(against.comparisons)
    words = "; ".join(ruling.brief(row, confidence) for row in told[:_MOST_REASONS])
    contrast = "but " if findings.verdict in ("better", "no worse") and against.verdict in ("worse", "cannot tell") else ""
    return f"{findings.headline}; {contrast}against {against.name}, {words}"
