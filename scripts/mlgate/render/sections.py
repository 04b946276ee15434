"""The folded sections of a report, one function each: what was checked, what changed, where the time went, how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from mlgate.config import GENERATED_CONFIG, TrainConfig
from mlgate.context import RunContext
from mlgate.evidence import (
    STAGES,
    BaselineRef,
    BrokenRule,
    Change,
    CheckFindings,
    ContractFindings,
    EvaluateFindings,
    GateFindings,
    PullFindings,
    TrainFindings,
    ValidationFindings,
)
from mlgate.render import numbers
from mlgate.render.answer import Evidences, findings_of, first_stage
from mlgate.render.commands import command_line
from mlgate.render.document import (
    Bars,
    Block,
    Code,
    Commands,
    Figure,
    Histogram,
    Items,
    Line,
    Link,
    Log,
    Matrices,
    Paragraph,
    Section,
    Span,
    Table,
)
from mlgate.render.training import mlflow_run

_HASH_SHOWN = 16
_FILES_SHOWN = 200
_CLASSES_SHOWN = 20
_CLASSES_DRAWN = 60
_MAX_WARNINGS = 10


def checks(evidences: Evidences) -> Section | None:
    """The user's own tests; only worth a section when one failed."""
    found = findings_of(evidences, "check", CheckFindings)
    if found is None or not found.commands:
        return None
    failed = next((command for command in found.commands if command.exit_code), None)
    lines = tuple(command_line(command) for command in found.commands)
    blocks: tuple[Block, ...] = (Items(lines), *((Log(failed.tail),) if failed and failed.tail.strip() else ()))
    title = "Checks: one failed" if failed else f"Checks: {len(lines)} passed"
    return Section("checks", title, blocks, is_open=failed is not None)


def contract(evidences: Evidences, *, has_examples: bool) -> Section | None:
    """Each contract in one line, and every rule that data breaks."""
    found = findings_of(evidences, "validate-data", ValidationFindings)
    if found is None or not (found.contracts or found.prepare or found.baseline_contracts):
        return None
    blocks: list[Block] = []
    if found.prepare is not None and found.prepare.exit_code:
        blocks += [Items((command_line(found.prepare),)), Log(found.prepare.tail)]
    if found.contracts:
        blocks.append(Items(tuple(_contract_line(one) for one in found.contracts)))
    broken = [(one.data, rule) for one in found.contracts for rule in one.broken]
    if broken:
        blocks.append(_broken_rules(broken, _folders(found.contracts), has_examples=has_examples))
    if warnings := [(one.data, text) for one in found.contracts for text in one.warnings]:
        blocks.append(_warnings(warnings))
    blocks += _replaced_contracts(found, has_examples=has_examples)
    is_broken = any(not one.is_passed for one in found.contracts)
    title = (
        f"Contract: broken by {numbers.count(len(broken), 'rule')}"
        if is_broken
        else f"Contract: {numbers.count(len(found.contracts), 'file')} in order"
    )
    if not is_broken and any(not one.is_passed for one in found.baseline_contracts):
        title += ", but not by the contract that this change replaces"
    if not found.contracts:
        title = "Preparing the data" if found.prepare else "Contract: removed by this change"
    ended_by_another = found.has_failed_screen or any(one.verdict == "alert" and one.level == "fail" for one in found.drift)
    is_open = is_broken or (evidences["validate-data"].status != "passed" and not ended_by_another)
    return Section("contract", title, tuple(blocks), is_open=is_open)


def _warnings(warnings: list[tuple[str, str]]) -> Items:
    """What breaks rules that only warn."""
    lines: list[Line] = [("⚠️ ", Code(data), f": {text}") for data, text in warnings[:_MAX_WARNINGS]]
    more = len(warnings) - _MAX_WARNINGS
    return Items((*lines, *([(f"and {numbers.count(more, 'more warning')}",)] if more > 0 else [])))


def _replaced_contracts(found: ValidationFindings, *, has_examples: bool) -> list[Block]:
    """Contracts of the baseline that this change has no more, or has otherwise."""
    if not found.baseline_contracts:
        return []
    blocks: list[Block] = [
        Paragraph(("By the contracts of the baseline, which this change replaces:",)),
        Items(tuple(_contract_line(one) for one in found.baseline_contracts)),
    ]
    broken = [(one.data, rule) for one in found.baseline_contracts for rule in one.broken]
    folders = _folders(found.baseline_contracts)
    return [*blocks, _broken_rules(broken, folders, has_examples=has_examples)] if broken else blocks


def plots(evidences: Evidences) -> Section | None:
    """What the candidate gets wrong: confusion of classes, or residuals; each picture with its numbers in a table."""
    gate = findings_of(evidences, "gate", GateFindings)
    if gate is None:
        return None
    blocks: list[Block] = []
    if gate.confusion is not None:
        confusion = gate.confusion
        names = tuple(confusion.classes)
        data = Matrices(
            names, tuple(map(tuple, confusion.candidate)), tuple(map(tuple, confusion.baseline)) if confusion.baseline else None
        )
        if len(names) <= _CLASSES_DRAWN:
            blocks.append(Figure("confusion", "Confusion of classes", "How often each true class was predicted as each class.", data))
        if len(names) <= _CLASSES_SHOWN:
            blocks += [_matrix_table("Baseline", names, data.baseline)] if data.baseline else []
            blocks += [_matrix_table("Candidate", names, data.candidate)]
    if gate.residuals is not None:
        residuals = gate.residuals
        histogram = Histogram(tuple(residuals.edges), tuple(residuals.candidate), tuple(residuals.baseline) if residuals.baseline else None)
        blocks.append(
            Figure(
                "residuals",
                "Residuals",
                "How many examples were predicted too low (left of 0) or too high (right of 0), by how much.",
                histogram,
            )
        )
        blocks.append(_histogram_table(histogram))
    return Section("plots", "Plots", tuple(blocks)) if blocks else None


def changes(evidences: Evidences) -> Section | None:
    """Parameters old and new, data, code, and rules: what this change is made of."""
    gate = findings_of(evidences, "gate", GateFindings)
    if gate is None or (gate.baseline is None and not gate.changes):
        return None
    by_kind = {kind: [change for change in gate.changes if _kind(change) == kind] for kind, _ in _KINDS}
    blocks: list[Block] = []
    for kind, heading in (("rule", "Rule"), ("setting", "Training"), ("parameter", "Parameter"), ("data", "Data")):
        if by_kind[kind]:
            blocks.append(_changes_table(heading, kind, by_kind[kind]))
    if by_kind["code"]:
        files = by_kind["code"]
        lines = [(_code_change(change), Code(change.name)) for change in files[:_FILES_SHOWN]]
        rest = [(f"… {numbers.count(len(files) - _FILES_SHOWN, 'more file')}",)] if len(files) > _FILES_SHOWN else []
        blocks.append(Items((*lines, *rest)))
    counted = [numbers.count(len(of_kind), word) for kind, word in _KINDS if (of_kind := by_kind[kind])]
    weaker = [change for change in by_kind["rule"] if change.is_weakening]
    if weaker:
        counted[0] += f" ({len(weaker):,} weaker)"
    title = f"What changed: {', '.join(counted)}" if counted else "What changed: nothing that the model is made of"
    shown = tuple(blocks) or (Paragraph(("Code, data and parameters equal the baseline’s.",)),)
    return Section("changes", title, shown)


def _changes_table(heading: str, kind: str, changed: list[Change]) -> Table:
    has_weaker = any(change.is_weakening for change in changed)
    # What a reviewer has to look at stands first.
    ordered = sorted(changed, key=lambda change: not change.is_weakening)
    effect = {True: ("⚠️ more can pass",), False: ("",)}
    rows = tuple(
        ((Code(change.name),), _before(change, kind), _side(change.new, kind), *((effect[change.is_weakening],) if has_weaker else ()))
        for change in ordered
    )
    return Table((heading, "Baseline", "Candidate", *(("Effect",) if has_weaker else ())), "lll" + "l" * has_weaker, rows, unit=kind)


_KINDS = (("rule", "rule"), ("setting", "training setting"), ("parameter", "parameter"), ("data", "data set"), ("code", "code file"))
_OF_TRAINING = tuple(f"train.{name}" for name in TrainConfig.model_fields)


def is_training_setting(change: Change) -> bool:
    """Whether it says how the model is made, and no word on whether it may be merged: a GPU, a price, a time limit."""
    named = any(change.name == name or change.name.startswith(f"{name}.") for name in _OF_TRAINING)
    return change.kind == "rule" and named and not change.is_weakening


def _kind(change: Change) -> str:
    return "setting" if is_training_setting(change) else change.kind


def time(evidences: Evidences) -> Section | None:
    """Where the time went, stage by stage."""
    shown = [evidences[stage] for stage in STAGES if stage in evidences and stage != "report"]
    if not shown:
        return None
    total = numbers.duration(sum(one.duration_s for one in shown))
    blocks: list[Block] = []
    if len(shown) > 1:
        texts = tuple(numbers.duration(one.duration_s) for one in shown)
        bars = Bars(tuple(one.stage for one in shown), tuple(one.duration_s for one in shown), texts, "s")
        blocks.append(Figure("time", "Time by stage", "Seconds each stage took.", bars))
    rows: list[tuple[Line, ...]] = [
        ((Code(one.stage),), (one.status,), (numbers.duration(one.duration_s),), (_short(one.summary),)) for one in shown
    ]
    rows.append((("all",), ("",), (total,), ("",)))
    blocks.append(Table(("Stage", "Result", "Time", "What it says"), "llrl", tuple(rows), unit="stage"))
    return Section("time", f"Time by stage: {total}", tuple(blocks))


def warnings(evidences: Evidences) -> Section | None:
    """What the evaluation could not compute."""
    found = findings_of(evidences, "evaluate", EvaluateFindings)
    lines = [*filter(None, [found.recognised, *found.warnings, found.baseline_note])] if found else []
    if not lines:
        return None
    return Section("warnings", f"Remarks on the evaluation: {len(lines)}", (Items(tuple((line,) for line in lines)),))


def lineage(evidences: Evidences, context: RunContext) -> Section | None:
    """Which exact inputs all of this is about."""
    first = first_stage(evidences)
    if first is None:
        return None
    subject = first.subject
    rows: list[tuple[Line, ...]] = []

    def row(what: str, *value: Span) -> None:
        rows.append(((what,), value))

    if subject.commit:
        row("Commit", Code(subject.commit), *((" with uncommitted changes",) if subject.is_dirty else ()))
    if context.head_sha and context.head_sha != subject.commit:
        row("Head of the pull request", Code(context.head_sha))
    gate = findings_of(evidences, "gate", GateFindings)
    if gate is not None and gate.baseline is not None:
        row("Baseline", *_which(gate.baseline))
        rows += [(("Second baseline",), _which(one.baseline)) for one in gate.also]
    row("Configuration", Code(f"sha256:{subject.config_sha256}"))
    if gate is not None:
        row("Rules", "those of the baseline commit" if gate.rules_from == "baseline" else "those of this commit")
    data = {ref.path: ref for evidence in evidences.values() for ref in evidence.subject.data}
    for ref in sorted(data.values(), key=lambda one: one.path):
        row("Data", Code(ref.path), " ", Code(ref.hash), f" ({numbers.size(ref.size_bytes)}, {numbers.count(ref.files, 'file')})")
    pulled = findings_of(evidences, "pull-data", PullFindings)
    if pulled is not None and pulled.remote:
        row("DVC remote", Code(pulled.remote), *((" at ", Code(pulled.remote_url)) if pulled.remote_url else ()))
    evaluated = findings_of(evidences, "evaluate", EvaluateFindings)
    if evaluated is not None and evaluated.candidate.n is not None:
        named = ", by row number " if evaluated.candidate.ids == "row numbers" else " "
        row("Holdout", f"{numbers.count(evaluated.candidate.n, 'example')}{named}", Code(f"sha256:{evaluated.candidate.holdout_sha256}"))
    train = findings_of(evidences, "train", TrainFindings)
    if train is not None and train.mlflow is not None:
        row("MLflow run", *mlflow_run(train.mlflow))
    if context.judged_run_url:
        row("Run", Link(f"{context.repository}, run {context.run_id}, attempt {context.attempt}", context.judged_run_url))
    row("mlgate", f"{first.mlgate_version}, started {first.started_at:%Y-%m-%d %H:%M} UTC")
    return Section("lineage", "Lineage", (Table(("What", "Which"), "ll", tuple(rows), unit="row"),))


def _which(baseline: BaselineRef) -> Line:
    """Its commit, how that was found, and where its evaluation is from."""
    return (*((Code(baseline.commit), ", ") if baseline.commit else ()), f"{baseline.how}; its evaluation from: {baseline.source}")


def reproduce(evidences: Evidences, context: RunContext, *, directory: str, config_path: str) -> Section | None:
    """The commands that give the same answer on a laptop."""
    commit = next((evidence.subject.commit for evidence in evidences.values() if evidence.subject.commit), None)
    if commit is None:
        return None
    lines = []
    if context.pull_request is not None:
        # The synthetic merge commit is on no branch: only this ref has it.
        side = "head" if commit == context.head_sha else "merge"
        lines.append(f"git fetch origin refs/pull/{context.pull_request}/{side}")
    elif context.is_github:
        lines.append("git fetch origin")
    lines.append(f"git checkout {commit}")
    options = ([] if directory == "." else ["-C", directory]) + ([] if config_path == "mlgate.yaml" else ["--config", config_path])
    if config_path == GENERATED_CONFIG:  # of the action's inputs: in no commit, and `init` makes the same of the workflow
        options = options[:-2]
        lines.append(shlex.join(["mlgate", "init", *options]))
    lines.append(shlex.join(["mlgate", "run", *options]))
    return Section("reproduce", "How to reproduce it locally", (Commands(tuple(lines)),))


# --- lines -----------------------------------------------------------------------------------------------------------


def _contract_line(one: ContractFindings) -> Line:
    measured = f"{numbers.count(one.rows, 'row')}, {numbers.count(one.columns, 'column')}, {numbers.duration(one.duration_s)}"
    if one.folder is not None:
        classes = f", {numbers.count(len(one.folder.classes), 'class', 'classes')}" if one.folder.classes is not None else ""
        size = numbers.size(one.folder.size_bytes)
        measured = f"{numbers.count(one.rows, 'file')}, {size}{classes}, {numbers.duration(one.duration_s)}"
    measured += "".join([" on Spark" if one.engine == "spark" else "", *(f"; {note}" for note in one.notes)])
    if one.is_passed:
        return ("✅ ", Code(one.data), " keeps ", Code(one.schema_path), f": {measured}")
    return ("❌ ", Code(one.data), " breaks ", Code(one.schema_path), f" in {numbers.count(len(one.broken), 'rule')}: {measured}")


def _folders(contracts: Iterable[ContractFindings]) -> frozenset[str]:
    return frozenset(one.data for one in contracts if one.folder is not None)


def _broken_rules(broken: list[tuple[str, BrokenRule]], folders: frozenset[str], *, has_examples: bool) -> Table:
    def cells(data: str, rule: BrokenRule) -> tuple[Line, ...]:
        whole = "files" if rule.names else "whole folder" if data in folders else "whole table"
        column: Line = (Code(rule.column),) if rule.column is not None else (whole,)
        how_many = f"{rule.rows:,} ({numbers.share(rule.share)})" if rule.rows else numbers.NONE
        found: tuple[Line, ...] = ((_listed(rule.values or []),),) if has_examples else ()
        where: Span = _listed(rule.names) if rule.names else _numbers_listed(rule)
        return ((Code(data),), column, (Code(rule.rule, 160),), (how_many,), (where,), *found)

    counted = ("Rows or files", "Which") if folders else ("Rows", "Row numbers")
    headings = ("Data", "Column", "Rule", *counted, *(("Values",) if has_examples else ()))
    return Table(
        headings,
        "lllrl" + ("l" if has_examples else ""),
        tuple(cells(data, rule) for data, rule in broken),
        unit="broken rule",
        is_cut_last=True,
    )


def _numbers_listed(rule: BrokenRule) -> str:
    listed = ", ".join(str(number) for number in rule.row_numbers[:10])
    return f"{listed}, …" if rule.rows > len(rule.row_numbers[:10]) and listed else listed


def _listed(values: Iterable[str]) -> Span:
    return Code(", ".join(list(values)[:10]), 120)


def _side(value: str | None, kind: str) -> Line:
    if value is None:
        return ("none",)
    return (Code(value[:_HASH_SHOWN] + "…" if kind == "data" and len(value) > _HASH_SHOWN else value),)


def _before(change: Change, kind: str) -> Line:
    """The baseline's side; a data file in Git was there, unless it is new: what is told of it is how many lines changed."""
    is_diff = kind == "data" and change.old is None and (change.new or "").startswith(("+", "binary", "deleted", "renamed"))
    return (numbers.NONE,) if is_diff else _side(change.old, kind)


def _code_change(change: Change) -> str:
    """By what `changes` says of a file: `new, +10 −0`, `deleted, +0 −3`, `renamed from x, +1 −1`, `+1 −1`."""
    said = change.new or ""
    words = {"new, ": "added ", "deleted, ": "removed ", "renamed ": "renamed "}
    return next((word for start, word in words.items() if said.startswith(start)), "changed ")


def _short(summary: str) -> str:
    line = summary.strip().split("\n")[0]
    return line if len(line) <= 200 else line[:199] + "…"


def _matrix_table(who: str, classes: tuple[str, ...], counts: tuple[tuple[int, ...], ...]) -> Table:
    def cells(line: tuple[int, ...]) -> tuple[Line, ...]:
        return tuple((f"{count:,}" if count else "·",) for count in line)

    rows = tuple(((Code(name, 24),), *cells(line)) for name, line in zip(classes, counts, strict=True))
    return Table((f"{who}: true ↓ predicted →", *classes), "l" + "r" * len(classes), rows, is_matrix=True)


def _histogram_table(histogram: Histogram) -> Table:
    scale = numbers.scale_of(
        "", [max(abs(histogram.edges[0]), abs(histogram.edges[-1]))], 0.0, 2 * abs(histogram.edges[1] - histogram.edges[0]) or None
    )
    rows: list[tuple[Line, ...]] = []
    for index, count in enumerate(histogram.candidate):
        between = f"{scale.value(histogram.edges[index])} to {scale.value(histogram.edges[index + 1])}"
        baseline: tuple[Line, ...] = ((f"{histogram.baseline[index]:,}",),) if histogram.baseline else ()
        rows.append(((between,), *baseline, (f"{count:,}",)))
    headings = ("Prediction minus target", *(("Baseline",) if histogram.baseline else ()), "Candidate")
    return Table(headings, "l" + "r" * (len(headings) - 1), tuple(rows), unit="bin")
