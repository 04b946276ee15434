"""The tables of differences: metrics and slices of candidate and baseline, and the rules that were asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from mlgate.evidence import BaselineRef, Comparison, GateFindings, PlannedRule, Rescoring, RuleResult, SliceComparison
from mlgate.render import escape, holdout_use, intervals, numbers
from mlgate.render.document import Block, Code, Figure, IntervalBar, IntervalRow, Intervals, Items, Line, Paragraph, Section, Span, Table

SLICES_DRAWN = 16
METRICS_DRAWN = 12

SOURCES = {
    "store": "the store",
    "dvc outputs": "DVC’s outputs at that commit",
    "git": "the files at that commit",
    "run artifact": "that commit’s own run",
    "run cache": "DVC’s run cache",
    "rebuilt": "training it again",
    "re-scored": "its model, re-scored on this holdout",
    "file": "the file named",
}
_MARKS = {"better": "✅", "no worse": "✅", "worse": "❌", "cannot tell": "⚠️"}
_SEVERITY = {"worse": 0, "cannot tell": 1, "no worse": 2, "better": 3, None: 4}


def metrics_table(gate: GateFindings) -> Table | None:
    """One row a metric: the table a reviewer reads first."""
    if not gate.comparisons:
        return None
    if gate.baseline is None:
        rows = tuple(((Code(row.title),), (_scale(row).value(row.candidate),)) for row in gate.comparisons)
        if not gate.is_certified:
            labelled = tuple((*row, ("uncertified",)) for row in rows)
            return Table(("Metric", "Candidate", "Verdict"), "lrl", labelled, unit="metric", is_cut_last=True)
        return Table(("Metric", "Candidate"), "lr", rows, unit="metric", is_cut_last=True)
    return Table(
        ("Metric", "Baseline", "Candidate", "Difference", "Verdict"),
        "lrrll",
        tuple(((Code(row.title),), *_numbers(row, has_bar=True), _verdict(row, gate.rules, has_sight=True)) for row in gate.comparisons),
        unit="metric",
        is_cut_last=True,
    )


def differences_figure(gate: GateFindings) -> Figure | None:
    """Every difference that has an interval, with its margin, each on its own axis; a lone dot would look surer than it is."""
    certain = (
        row for row in gate.comparisons if row.better and row.difference is not None and (row.low is not None or row.high is not None)
    )
    rows = tuple(_interval_row(row, row.title) for row in certain)[:METRICS_DRAWN]
    if not rows:
        return None
    return Figure(
        "differences",
        "Difference from the baseline",
        "For each metric: candidate minus baseline with its interval, the line of no difference and the margin. Right is better.",
        Intervals(rows),
    )


def caption(gate: GateFindings) -> Line:
    """What the numbers stand on, in a line: which baseline, from where, on how many examples, how sure. Lineage has the rest."""
    baseline = gate.baseline
    if baseline is None:
        return () if gate.is_certified else ("Numbers of metric files, uncertified: no predictions stand behind them.",)
    spans: list[Span] = ["Baseline"]
    if baseline.commit:
        spans += [" ", Code(baseline.commit[:7])]
    spans.append(f" from {SOURCES[baseline.source]}, compared on {_compared_on(baseline, gate)}.")
    if (runs := _runs(gate.comparisons)) is not None:
        spans.append(f" Means over {runs}: the verdicts are about the training code, not about this artefact.")
    if any(row.low is not None for row in gate.comparisons):
        spans.append(f" Each bound holds with {numbers.share(gate.confidence)} confidence.")
    if few := unprotected(gate):
        spans.append(few)
    if said := holdout_use.sentence(gate):
        spans.append(said)
    return tuple(spans)


def also_sections(gate: GateFindings) -> list[Section]:
    """The guarded metrics beside each further baseline; open where that is why the gate is closed."""
    found: list[Section] = []
    for one in gate.also:
        failing = [rule for rule in gate.rules if rule.against == one.name and not rule.is_passed]
        rows = tuple(((Code(row.title),), *_numbers(row, has_bar=True), _verdict(row)) for row in one.comparisons)
        if not rows:
            continue
        baseline, which = one.baseline, (" (", Code(one.baseline.commit[:7]), ")") if one.baseline.commit else ()
        intro: Line = ("Baseline ", Code(one.name, limit=60), *which, f" from {SOURCES[baseline.source]}, compared on {_shared(baseline)}.")
        shown = escape.clean(one.name, 60)
        table = Table(("Metric", shown, "Candidate", "Difference", "Verdict"), "lrrll", rows, unit="metric", is_cut_last=True)
        title = f"Against {shown}: {one.verdict or 'not judged'}"
        found.append(Section(f"also-{len(found)}", title, (Paragraph(intro), table), is_open=bool(failing)))
    return found


def legend(gate: GateFindings) -> str:
    """How to read the bars; nothing where there are none."""
    return intervals.LEGEND if any(intervals.bar(row) for row in gate.comparisons) else ""


def rules_table(gate: GateFindings) -> Table | None:
    """Every rule with whether it holds, those that do not first."""
    if not gate.rules:
        return None
    ordered = sorted(gate.rules, key=lambda rule: (rule.is_passed, not rule.is_warning))
    return Table(
        ("Rule", "Result", "Why"),
        "lll",
        tuple(((rule.rule,), (_result(rule, gate),), (rule.reason,)) for rule in ordered),
        unit="rule",
        is_cut_last=True,
    )


def rules_title(gate: GateFindings) -> str:
    """`Rules: 2 of 3 fail`."""
    failing = sum(not rule.is_passed for rule in gate.rules)
    warned = sum(rule.is_passed and rule.is_warning for rule in gate.rules) if not gate.is_first_model else 0
    if failing:
        return f"Rules: {failing:,} of {len(gate.rules):,} {'fails' if failing == 1 else 'fail'}"
    holding = f"Rules: {len(gate.rules):,} {'holds' if len(gate.rules) == 1 else 'hold'}"
    return f"{holding}, {warned:,} with a warning" if warned else holding


def methods_section(gate: GateFindings) -> Section | None:
    """How the intervals were made, with the source of each formula, and what the rules can be expected to do."""
    by_method: dict[str, list[str]] = {}
    for row in gate.comparisons:
        if row.method is not None:
            by_method.setdefault(row.method, []).append(row.title)
    if not by_method:
        return None
    by_title = {row.title: row for row in gate.comparisons}
    rows = tuple(
        (_names(titles), (method + _counted(by_title[titles[0]], gate.baseline),), (gate.methods.get(method, numbers.NONE),))
        for method, titles in by_method.items()
    )
    tested = (row for row in gate.comparisons if row.p_value_of)
    rows += tuple(((Code(row.title),), (_test(row),), (gate.methods.get(row.p_value_of, numbers.NONE),)) for row in tested)
    blocks: list[Block] = [Table(("Metric", "Method", "Source"), "lll", rows, unit="method")]
    if said := _certified(gate.comparisons):
        blocks.append(Paragraph((said,)))
    if gate.planning:
        blocks.append(Paragraph(("What the rules of this change do to a model exactly as good as the baseline:",)))
        blocks.append(_planning_table(gate))
        blocks += [Paragraph((said,)) for said in _unplanned(gate.planning)]
    return Section("methods", "How sure the comparison is: methods, and what the rules can see", tuple(blocks))


def _compared_on(baseline: BaselineRef, gate: GateFindings) -> str:
    if baseline.shared_examples is None and gate.is_certified:
        return "numbers of several training runs, behind which no predictions stand"
    return f"{_shared(baseline)}{_in_groups(gate.comparisons)}"


def _in_groups(rows: Sequence[Comparison]) -> str:
    """`, in 400 groups`; empty where examples stand alone."""
    groups = next((row.groups for row in rows if row.groups), None)
    return f", in {numbers.count(groups, 'group')}" if groups else ""


def _runs(rows: Sequence[Comparison]) -> str | None:
    """`5 training runs`, or `5 and 3 training runs` of candidate and baseline; None where no row covers any."""
    sizes = next((row.seeds for row in rows if row.seeds), None)
    if sizes is None:
        return None
    return f"{sizes[0]:,} training runs on either side" if sizes[0] == sizes[1] else f"{sizes[0]:,} training runs against {sizes[1]:,}"


def _counted(row: Comparison, baseline: BaselineRef | None) -> str:
    """`: 2,000 rows in 400 groups, 5 training runs on either side`; empty of rows that stand alone, of one artefact."""
    said = []
    if row.groups and baseline is not None and baseline.shared_examples:
        said.append(f"{numbers.count(baseline.shared_examples, 'row')} in {numbers.count(row.groups, 'group')}")
    if runs := _runs([row]):
        said.append(runs)
    return f": {', '.join(said)}" if said else ""


def _certified(rows: Sequence[Comparison]) -> str:
    """Which rows are about one artefact, and which about whatever the code trains."""
    trained = [row.title for row in rows if row.certifies == "the training code"]
    artefact = [row.title for row in rows if row.certifies == "this artefact"]
    if not trained and not artefact:
        return ""
    if not trained:
        return "Certified is this artefact, by one set of predictions on either side; trained anew, it would score a little otherwise."
    but = f"; this artefact alone in {', '.join(artefact)}" if artefact else ""
    return f"Certified is the training code, over examples and seeds, in {', '.join(trained)}{but}. Thresholds are about this artefact."


def _test(row: Comparison) -> str:
    """`McNemar's mid-p: p = 0.039; shown, decides nothing`."""
    p = row.p_value if row.p_value is not None else 1.0
    return f"{row.p_value_of}: p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}; shown, decides nothing"


def _names(titles: Sequence[str]) -> Line:
    return tuple(span for at, title in enumerate(titles) for span in (*((", ",) if at else ()), Code(title)))


def _planning_table(gate: GateFindings) -> Table:
    by_title = {row.title: row for row in gate.comparisons}

    def seen(rule: PlannedRule) -> str:
        row = by_title.get(rule.metric)
        scale = _scale(row) if row else numbers.scale_of(rule.metric, [])
        return scale.loss(rule.visible_loss) if rule.visible_loss else numbers.NONE

    def share(part: float | None) -> str:
        return numbers.NONE if part is None else numbers.share(part)

    return Table(
        ("Rule", "Fails it", "Cannot tell it", "Smallest loss seen", "Examples needed"),
        "lrrrr",
        tuple(
            (
                (rule.rule,),
                (share(rule.fails_unchanged),),
                (share(rule.cannot_tell_unchanged),),
                (seen(rule),),
                (numbers.needed(rule.examples_needed),),
            )
            for rule in gate.planning
        ),
        unit="rule",
        is_cut_last=True,
    )


def _unplanned(rules: Sequence[PlannedRule]) -> list[str]:
    """Why columns are empty: a reason is given once, whatever the number of rules."""
    by_reason: dict[str, list[str]] = {}
    for rule in rules:
        if rule.unplanned:
            by_reason.setdefault(rule.unplanned, []).append(f"“{rule.rule}”")
    told = [f"Nothing can be expected of {', '.join(names)}: {reason}." for reason, names in by_reason.items()]
    if any(rule.seeds and not rule.unplanned for rule in rules):
        told.append("Over several seeds no number of examples is given: more of them leave the noise of training as it is.")
    return told


def slices_section(gate: GateFindings) -> Section | None:
    """Subgroups of the holdout, the worst first; the rows of one slice stand together."""
    if not gate.slices:
        return None
    groups = _by_severity(_protection_asked_for(gate.slices))
    ordered = [row for group in groups for row in group]
    metrics = list(dict.fromkeys(row.comparison.metric for row in ordered))
    has_baseline = any(row.comparison.baseline is not None for row in ordered)
    has_metric = len(metrics) > 1
    headings = (
        "Slice",
        "Examples",
        *(("Metric",) if has_metric else ()),
        *(("Baseline", "Candidate", "Difference", "Verdict") if has_baseline else ("Candidate",)),
    )
    is_regular = len({len(group) for group in groups}) == 1
    table = Table(
        headings,
        "lr" + ("l" if has_metric else "") + ("rrll" if has_baseline else "r"),
        tuple(_slice_row(row, has_metric=has_metric, has_baseline=has_baseline) for row in ordered),
        unit="slice" if is_regular else "row of slices",
        rows_per_unit=len(groups[0]) if is_regular else 1,
        is_cut_last=True,
    )
    worse = sum(any(row.comparison.verdict == "worse" for row in group) for group in groups)
    title = f"Slices: {worse:,} of {len(groups):,} worse" if worse else f"Slices: {len(groups):,}"
    unprotected = sum(any(row.is_unprotected for row in group) for group in groups)
    title += f", {unprotected:,} unprotected" if unprotected else ""
    by: Line = () if has_metric else (" by ", Code(metrics[0]))
    intro = Paragraph(
        (
            numbers.count(len(groups), "subgroup"),
            " of the holdout",
            *by,
            ", the worst first." if len(groups) > 1 else ".",
            _together(len(ordered)) if has_baseline and len(ordered) > 1 else "",
            " Unprotected: too few examples to show that it loses no more than its margin." if unprotected else "",
        )
    )
    figure = _slices_figure(ordered)
    return Section("slices", title, (intro, *((figure,) if figure else ()), table))


def _protection_asked_for(rows: list[SliceComparison]) -> list[SliceComparison]:
    """Where rules guard some metrics on slices, only these can be unprotected: the heading counts what the line below the table does."""
    if not any(row.is_guarded for row in rows):
        return rows
    return [row if row.is_guarded else row.model_copy(update={"is_unprotected": False}) for row in rows]


def _together(count: int) -> str:
    return (
        f" “Better” and “worse” are said so that the chance of any false word among all {count:,} is that of a single one (Holm); each"
        " interval is for itself."
    )


def unprotected(gate: GateFindings) -> str:
    """How many of the slices that a rule guards are too small for it; empty where none is."""
    guarded = {(row.column, row.value) for row in gate.slices if row.is_guarded}
    open_ = {(row.column, row.value) for row in gate.slices if row.is_guarded and row.is_unprotected}
    if not open_:
        return ""
    are = "is unprotected" if len(open_) == 1 else "are unprotected"
    return f" {len(open_):,} of {len(guarded):,} guarded slices {are}: too few examples to show a loss of the margin."


def remarks_section(gate: GateFindings) -> Section | None:
    """What to know about the rows: slices without a value, sets that the baseline lacks."""
    if not gate.remarks:
        return None
    return Section("remarks", f"Remarks on the comparison: {len(gate.remarks)}", (Items(tuple((line,) for line in gate.remarks)),))


def _by_severity(slices: list[SliceComparison]) -> list[list[SliceComparison]]:
    groups: dict[tuple[str, str], list[SliceComparison]] = {}
    for row in slices:
        groups.setdefault((row.column, row.value), []).append(row)
    return sorted(groups.values(), key=lambda group: min(_severity(row) for row in group))


def _slices_figure(ordered: list[SliceComparison]) -> Figure | None:
    first = ordered[0].comparison.metric
    rows = tuple(
        _interval_row(row.comparison, f"{row.column} = {row.value}")
        for row in ordered
        if row.comparison.metric == first and row.comparison.better and row.comparison.difference is not None
    )
    if len(rows) < 2:
        return None
    which = f"the {SLICES_DRAWN} worst of {len(rows)} slices" if len(rows) > SLICES_DRAWN else "each slice"
    return Figure(
        "slices",
        f"Difference in {first} by slice" + (f" ({rows[0].unit})" if rows[0].unit else ""),
        f"Difference between candidate and baseline in {first} for {which}.",
        Intervals(rows[:SLICES_DRAWN]),
    )


def _slice_row(row: SliceComparison, *, has_metric: bool, has_baseline: bool) -> tuple[Line, ...]:
    name: Line = (Code(row.column, 40), f"{numbers.NBSP}={numbers.NBSP}", Code(row.value, 60))
    metric: tuple[Line, ...] = ((Code(row.comparison.metric),),) if has_metric else ()
    if not has_baseline:
        return (name, (f"{row.n:,}",), *metric, (_scale(row.comparison).value(row.comparison.candidate),))
    return (name, (f"{row.n:,}",), *metric, *_numbers(row.comparison, has_bar=False), _slice_verdict(row))


def _slice_verdict(row: SliceComparison) -> Line:
    """The verdict, and why it says less than the interval beside it, or protects from nothing."""
    found = row.comparison
    gain_high = None if found.low is None or found.high is None else -found.low if found.better == "lower" else found.high
    is_worse_alone = found.verdict == "cannot tell" and gain_high is not None and gain_high < -(found.margin or 0.0)
    said = "unprotected" if row.is_unprotected else "worse by itself, which among so many slices is no proof" if is_worse_alone else ""
    return (*_verdict(found), *((f"; {said}",) if said else ()))


def _severity(row: SliceComparison) -> tuple[int, float]:
    comparison = row.comparison
    difference = comparison.difference or 0.0
    return _SEVERITY[comparison.verdict], -difference if comparison.better == "lower" else difference


def _scale(row: Comparison) -> numbers.Scale:
    return numbers.scale_of(row.metric, [row.candidate, row.baseline], row.low, row.high)


def _numbers(row: Comparison, *, has_bar: bool) -> tuple[Line, Line, Line]:
    scale = _scale(row)
    difference: list[Span] = [scale.difference(row.difference)]
    if between := scale.interval(row.low, row.high):
        difference.append(f"{numbers.NBSP}({between})")
    if has_bar and (bar := intervals.bar(row)):
        difference.append(IntervalBar(bar))
    return (scale.value(row.baseline),), (scale.value(row.candidate),), tuple(difference)


def _verdict(row: Comparison, rules: Sequence[RuleResult] = (), *, has_sight: bool = False) -> Line:
    """What the interval says, or the rule that fails although the interval does not: nothing that closes the gate hides in a fold."""
    is_told = row.margin is not None and row.verdict in {"worse", "cannot tell"}
    if not is_told and (failing := [rule.reason for rule in rules if rule.metric == row.title and not rule.against and not rule.is_passed]):
        return (f"❌{numbers.NBSP}fails: {'; '.join(failing)}",)
    if row.method is None and row.difference is not None:
        words = f"{_MARKS['cannot tell']}{numbers.NBSP}uncertified" if row.margin is not None else "uncertified"
        return (f"{words}, no interval",)
    if row.verdict is None:
        return ("no baseline" if row.baseline is None else "no margin" if row.margin is None else "not judged",)
    # A mark stands only where a margin makes the verdict count: an unguarded metric never closes the gate.
    if row.margin is None:
        return (f"{row.verdict} (no margin)",)
    words = f"{_MARKS[row.verdict]} {row.verdict}".replace(" ", numbers.NBSP)
    if row.verdict == "cannot tell" and row.ladder is not None and not row.ladder.is_new_best:
        words += "; no new best"
    more = numbers.about(row.more_examples, "more example") if row.more_examples else ""
    settled = f"about {more} would settle it, if the difference stays" if more else ""
    settled = "; ".join(filter(None, [row.open_by, settled]))
    return ("; ".join(filter(None, [words, settled if row.verdict == "cannot tell" else "", _sight(row) if has_sight else ""])),)


def _sight(row: Comparison) -> str:
    """`could have seen a loss of 0.7 pt`: what the verdict is worth."""
    return f"could have seen a loss of {_scale(row).loss(row.visible_loss)}" if row.visible_loss else ""


def _result(rule: RuleResult, gate: GateFindings) -> str:
    if not rule.is_passed:
        return f"❌{numbers.NBSP}fails"
    if rule.is_warning and gate.is_first_model and rule.reason.startswith("first model"):
        return "not asked"
    return f"⚠️{numbers.NBSP}holds, with a warning" if rule.is_warning else f"✅{numbers.NBSP}holds"


def _interval_row(row: Comparison, label: str) -> IntervalRow:
    scale = _scale(row)

    def shown(value: float | None) -> float | None:
        return None if value is None else value * scale.factor

    return IntervalRow(
        label=label,
        metric=row.metric,
        unit=scale.difference_unit.strip(),
        difference=shown(row.difference) or 0.0,
        low=shown(row.low),
        high=shown(row.high),
        margin=shown(row.margin),
        is_lower_better=row.better == "lower",
    )


def rescored(rescoring: Rescoring) -> list[str]:
    """What the baseline's answers on a changed holdout are worth, a sentence each."""
    new = numbers.count(rescoring.rescored_examples, "example")
    if not rescoring.recorded_examples:
        return [f"Baseline re-scored on this holdout; its {new} have no recorded answers to check the new ones against."]
    known = numbers.count(rescoring.recorded_examples, "example")
    said = [f"The holdout changed: baseline re-scored on this holdout; {known} with the answers on record, {new} with new ones."]
    if rescoring.is_doubtful:
        said.append(
            f"The baseline’s model, scored again, gives other answers than on record to {rescoring.disagreeing_examples:,} of {known}: "
            f"its code or environment is no longer what it was. Doubt the comparison on the {new} that rest on it."
        )
    return said


def _shared(baseline: BaselineRef) -> str:
    if baseline.shared_examples is None:
        return "numbers alone: no predictions stand behind them on both sides, so nothing is certified"
    examples = numbers.count(baseline.shared_examples, "example")
    if baseline.shared_share >= 1:
        return f"all {examples} of the holdout"
    return f"{examples}, {numbers.share(baseline.shared_share)} of both holdouts: the rest has no equal on the other side"
