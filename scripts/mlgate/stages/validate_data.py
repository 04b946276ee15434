"""validate-data: the contracts of mlgate.yaml against the data at hand, once `data.prepare` has made it. After pull-data, before train."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlgate.config import user_code
from mlgate.contracts import contract, wording
from mlgate.contracts.contract import Checked
from mlgate.data import cache, checkout
from mlgate.data.identity import identify
from mlgate.evidence import Annotation, CommandRun, ContractFindings, DataRef, ValidationFindings
from mlgate.stages.baseline import contracts_of_baseline
from mlgate.stages.job import commands
from mlgate.stages.pull_data import named_data
from mlgate.workspace import StageResult, Workspace

_ANNOTATED_RULES = 10


def run(workspace: Workspace) -> StageResult:
    """Prepare the data, check every contract (never stops at the first broken one), and record what exactly was checked.

    Raises:
        InputError: a contract names data or a schema that does not exist or cannot be read (exit 2).
    """
    cache.share(os.environ)
    prepare = _prepared(workspace)
    if prepare is not None and prepare.exit_code != 0:
        return _not_prepared(prepare)
    checked = []
    checkout.refuse_pointers(workspace.root, [each.data for each in workspace.config.data.contracts])
    for each in workspace.config.data.contracts:
        with workspace.console.progress(f"validate-data: {each.data}"):
            checked.append(contract.check(workspace.root, each.data, each.schema_, is_showing_values=workspace.config.report.examples))
    earlier = contracts_of_baseline.check(workspace)
    with workspace.console.progress("validate-data: hashing"):
        validated = _validated(workspace)
    findings = ValidationFindings(
        prepare=prepare,
        contracts=[each.findings for each in checked],
        validated=validated,
        baseline_contracts=earlier.findings,
        baseline_note="; ".join(earlier.notes),
    )
    broken = [each for each in findings.contracts if not each.is_passed]
    return StageResult(
        status="failed" if broken else "passed",
        summary="\n".join([_summary(findings.contracts, broken, validated), *_about_baseline(findings)]),
        findings=findings,
        data=validated,
        files=[prepare.log] if prepare is not None and prepare.log is not None else [],
        annotations=[annotation for each in checked for annotation in _annotations(each, workspace.root)],
    )


def _prepared(workspace: Workspace) -> CommandRun | None:
    command = workspace.config.data.prepare
    return None if command is None else commands.run(workspace, command, "validate-data/prepare.log")


def _not_prepared(prepare: CommandRun) -> StageResult:
    return StageResult(
        status="failed",
        summary=f"data.prepare: {commands.failure(prepare)}. Nothing was trained.",
        findings=ValidationFindings(prepare=prepare, contracts=[], validated=[]),
        files=[prepare.log] if prepare.log is not None else [],
    )


def _validated(workspace: Workspace) -> list[DataRef]:
    """Identity of all data the configuration names, as it is now."""
    names = [each.data for each in workspace.config.data.contracts] + named_data(workspace.config)
    there = [name for name in dict.fromkeys(names) if (workspace.root / name).exists()]
    return [identify(workspace.root, name) for name in there]


def _summary(contracts: list[ContractFindings], broken: list[ContractFindings], validated: list[DataRef]) -> str:
    if broken:
        more = len(broken) - 1
        others = f" {more} more {'contract is' if more == 1 else 'contracts are'} broken." if more else ""
        return f"{wording.summary(broken[0])}.{others} Nothing was trained."
    if not contracts:
        return f"no contracts in data.contracts, nothing was checked; {len(validated)} data recorded as they are"
    return ". ".join(wording.summary(each) for each in contracts)


def _about_baseline(findings: ValidationFindings) -> list[str]:
    """What the contracts say that this change replaces."""
    broken = [wording.summary(each) for each in findings.baseline_contracts if not each.is_passed]
    said = [f"by the contract of the baseline, which this change replaces, {text}; the gate decides on that" for text in broken]
    return [*said, *([f"not checked: {findings.baseline_note}"] if findings.baseline_note else [])]


def _annotations(checked: Checked, root: Path) -> list[Annotation]:
    """Remarks at the schema, whose rule is broken, and at the data."""
    findings = checked.findings
    code = user_code(findings.schema_path)
    path = code[0] if code else findings.schema_path
    lines = (root / path).read_text(errors="replace").splitlines()
    remarks = [
        Annotation(path=path, line=_line_of(rule.column, lines), message=f"{findings.data}: {wording.sentence(rule, findings.rows)}")
        for rule in findings.broken[:_ANNOTATED_RULES]
    ]
    remarks += [Annotation(path=path, level="warning", message=f"{findings.data}: {text}") for text in checked.warnings]
    if not findings.is_passed:
        remarks.append(Annotation(path=findings.data, message=wording.summary(findings)))
    return remarks


def _line_of(column: str | None, lines: list[str]) -> int:
    """The line of a schema file that names a column; 1 where none does."""
    if column is not None:
        pattern = re.compile(rf"^\s*-?\s*['\"]?{re.escape(column)}['\"]?\s*[:=]")
        for number, line in enumerate(lines, start=1):
            if pattern.match(line):
                return number
    return 1
