"""validate-data: the contracts of mlgate.yaml against the data at hand, once `data.prepare` has made it. After pull-data, before train."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlgate.config import ContractConfig, is_remote, user_code
from mlgate.contracts import contract, in_configuration, wording
from mlgate.contracts.contract import Checked
from mlgate.contracts.engine import Engines
from mlgate.data import cache, checkout, remote_identity
from mlgate.data.identity import differing, identify
from mlgate.data.recorded_files import recorded_files
from mlgate.errors import InputError, MlgateError
from mlgate.evidence import Annotation, CommandRun, ContractFindings, DataRef, ValidationFindings
from mlgate.stages.baseline import contracts_of_baseline
from mlgate.stages.baseline.contracts_of_baseline import BaselineContracts
from mlgate.stages.job import commands
from mlgate.stages.pull_data import named_data
from mlgate.stages.validation import screens
from mlgate.stages.validation.drifted import Drifted
from mlgate.stages.validation.screens import Screens
from mlgate.tables import spark
from mlgate.workspace import StageResult, Workspace

_ANNOTATED_RULES = 10


def run(workspace: Workspace) -> StageResult:
    """Prepare the data, check every contract (never stops at the first broken one), and record what exactly was checked.

    Raises:
        InputError: a contract names data or a schema that does not exist or cannot be read (exit 2).
    """
    cache.share(os.environ)
    rules = _schemas(workspace)
    prepare = _prepared(workspace)
    if prepare is not None and prepare.exit_code != 0:
        return _not_prepared(prepare)
    if other := [path for path, content in _schemas(workspace).items() if rules.get(path, content) != content]:
        raise InputError(f"{other[0]}: data.prepare changed the rules that its data must keep; leave them to people")
    checkout.refuse_pointers(workspace.root, [name for each in workspace.config.data.contracts for name in each.names])
    versions = _versions(workspace)
    with spark.on_demand() as session:  # one for all that need it
        engines = Engines(workspace.config.data.engine, session)
        checked, earlier = _by_contracts(workspace, engines)
        with workspace.console.progress("validate-data: hashing"):
            validated = _validated(workspace)
        screened = _screened(workspace, validated, engines, is_broken=any(not each.findings.is_passed for each in checked))
        drifted = _drifted(workspace, validated, engines)
    if moved := differing(workspace.root, versions):
        raise InputError(f"{moved[0]} while it was checked; run 'mlgate validate-data' again")
    findings = ValidationFindings(
        prepare=prepare,
        contracts=[each.findings.model_copy(update={"warnings": each.warnings}) for each in checked],
        validated=validated,
        baseline_contracts=earlier.findings,
        baseline_note="; ".join(earlier.notes),
        screened=screened.findings,
        drift=drifted.findings,
        profiles=drifted.profiles,
    )
    broken = [each for each in findings.contracts if not each.is_passed]
    return StageResult(
        status="failed" if broken or screened.failed or drifted.failed else "passed",
        summary="\n".join(
            [*_in_order(findings, broken, screened, drifted, validated), *_about_baseline(findings), *_about_stores(validated)]
        ),
        findings=findings,
        data=validated,
        files=[*([prepare.log] if prepare is not None and prepare.log is not None else []), *drifted.files],
        annotations=[
            *(annotation for each in checked for annotation in _annotations(each, workspace.root, workspace.config_path)),
            *screened.annotations,
            *drifted.annotations,
        ],
    )


def _by_contracts(workspace: Workspace, engines: Engines) -> tuple[list[Checked], BaselineContracts]:
    """What the contracts say, and those of the baseline."""
    checked = []
    for each in workspace.config.data.contracts:
        with workspace.console.progress(f"validate-data: {each.data}") as progress:
            checked.append(_checked(workspace, each, engines, progress.say))
    return checked, contracts_of_baseline.check(workspace, engines)


def _checked(workspace: Workspace, entry: ContractConfig, engines: Engines, say: Callable[[str], None]) -> Checked:
    """What one contract says, whichever way its rules are written."""
    examples = workspace.config.report.examples
    if entry.schema_ is not None:
        return contract.check(workspace.root, entry.data, entry.schema_, is_showing_values=examples, engines=engines)
    return in_configuration.check(
        workspace.root,
        entry,
        schema_path=workspace.config_path,
        is_showing_values=examples,
        engines=engines,
        recorded=lambda name: recorded_files(workspace.root, name),
        say=say,
    )


def _screened(workspace: Workspace, validated: list[DataRef], engines: Engines, *, is_broken: bool) -> Screens:
    """What the screens find. Data that breaks its contract may be beyond them: then the contract's answer stands."""
    try:
        return screens.check(workspace, validated, engines)
    except InputError as error:
        if not is_broken:
            raise
        return Screens([], warned=[f"screens: {error}"])


def _drifted(workspace: Workspace, validated: list[DataRef], engines: Engines) -> Drifted:
    if not workspace.config.data.drift:
        return Drifted([])
    from mlgate.stages.validation import drift  # needs NumPy

    return drift.check(workspace, validated, engines)


def _schemas(workspace: Workspace) -> dict[str, bytes]:
    """Content of the contracts' schemas: a command that makes data could make its rules fit, and no reader of the change would see it."""
    named = {entry.schema_ for entry in workspace.config.data.contracts if entry.schema_ is not None}
    paths = sorted((user_code(one) or (one, ""))[0] for one in named)
    return {path: (workspace.root / path).read_bytes() for path in paths if (workspace.root / path).is_file()}


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


def _versions(workspace: Workspace) -> list[DataRef]:
    """Identity of data in object stores before any of it is read: somebody may write there at any time."""
    found = []
    for name in _named(workspace):
        if is_remote(name):
            with suppress(MlgateError):  # reading it says better what is wrong
                found.append(identify(workspace.root, name))
    return found


def _validated(workspace: Workspace) -> list[DataRef]:
    """Identity of all data the configuration names, as it is now."""
    return [identify(workspace.root, name) for name in _named(workspace) if is_remote(name) or (workspace.root / name).exists()]


def _named(workspace: Workspace) -> list[str]:
    screened = [name for section in (workspace.config.data.screens, workspace.config.data.drift) for each in section for name in each.names]
    away = [name for each in workspace.config.data.screens for name in (each.train, each.holdout) if name is not None and is_remote(name)]
    away += [each.data for each in workspace.config.data.drift if is_remote(each.data)]
    names = [*(name for each in workspace.config.data.contracts for name in each.names), *screened, *away, *named_data(workspace.config)]
    return list(dict.fromkeys(names))


def _summary(contracts: list[ContractFindings], broken: list[ContractFindings], validated: list[DataRef]) -> str:
    if broken:
        more = len(broken) - 1
        others = f" {more} more {'contract is' if more == 1 else 'contracts are'} broken." if more else ""
        return f"{wording.summary(broken[0])}.{others} Nothing was trained."
    if not contracts:
        return f"no contracts in data.contracts, nothing was checked; {len(validated)} data recorded as they are"
    return ". ".join(wording.summary(each) for each in contracts)


def _in_order(
    findings: ValidationFindings, broken: list[ContractFindings], screened: Screens, drifted: Drifted, validated: list[DataRef]
) -> list[str]:
    """Contracts, screens and drift in sentences, what stops the run first: the first line is what a report begins with."""
    about_screens, about_drift = _about_screens(screened), _about_drift(drifted)
    if not findings.contracts and (about_screens or about_drift):
        return [*about_drift, *about_screens] if drifted.failed and not screened.failed else [*about_screens, *about_drift]
    about_contracts = [_summary(findings.contracts, broken, validated)]
    if broken or not (screened.failed or drifted.failed):
        return [*about_contracts, *about_screens, *about_drift]
    rest = [*about_drift, *about_screens] if not screened.failed else [*about_screens, *about_drift]
    return [*rest, *about_contracts]


def _about_drift(drifted: Drifted) -> list[str]:
    """What drifted and what could not be compared; nothing where nothing was asked."""
    told = [*(f"{sentence}. Nothing was trained." for sentence in drifted.failed), *(f"warning: {one}" for one in drifted.warned)]
    quiet = [
        f"{', '.join(dict.fromkeys(names))}: {words}"
        for words, verdict in (("no drift", "stable"), ("unchanged, so no drift", "unchanged"))
        if (names := [one.data for one in drifted.findings if one.verdict == verdict])
    ]
    return [*told, *drifted.notes, *quiet]


def _about_screens(screened: Screens) -> list[str]:
    """What the screens found; nothing where there are none."""
    told = [*(f"{sentence}. Nothing was trained." for sentence in screened.failed), *(f"warning: {one}" for one in screened.warned)]
    clean = [one.train for one in screened.findings if not (one.failed or one.warned or one.why_not_read)]
    return [*told, *([f"{', '.join(clean)}: screens clean"] if clean else [])]


def _about_baseline(findings: ValidationFindings) -> list[str]:
    """What the contracts say that this change replaces."""
    broken = [wording.summary(each) for each in findings.baseline_contracts if not each.is_passed]
    said = [f"by the contract of the baseline, which this change replaces, {text}; the gate decides on that" for text in broken]
    return [*said, *([f"not checked: {findings.baseline_note}"] if findings.baseline_note else [])]


def _about_stores(validated: list[DataRef]) -> list[str]:
    """What no commit pins: data that is read where it lies, in an object store."""
    pinned = [each.path for each in validated if is_remote(each.path) and each.hash != remote_identity.UNPINNED]
    unpinned = [each.path for each in validated if each.hash == remote_identity.UNPINNED]
    told = []
    for names, what in (
        (pinned, "; its version was recorded, and 'train' refuses another"),
        (unpinned, ", and its version could not be recorded: the store's client is not installed"),
    ):
        if names:
            told.append(f"{', '.join(names)}: in an object store, so no commit pins it{what}")
    return told


def _annotations(checked: Checked, root: Path, config_path: str) -> list[Annotation]:
    """Remarks at the schema, whose rule is broken, and at the data."""
    findings = checked.findings
    code = user_code(findings.schema_path)
    path = code[0] if code else findings.schema_path
    lines = (root / path).read_text(errors="replace").splitlines()
    begin = _begin_of(findings.data, lines) if path == config_path else 0
    remarks = [
        Annotation(path=path, line=_line_of(rule.column, lines, begin), message=f"{findings.data}: {wording.sentence(rule, findings.rows)}")
        for rule in findings.broken[:_ANNOTATED_RULES]
    ]
    remarks += [Annotation(path=path, line=begin + 1, level="warning", message=f"{findings.data}: {text}") for text in checked.warnings]
    if not findings.is_passed:
        remarks.append(Annotation(path=path if is_remote(findings.data) else findings.data, message=wording.summary(findings)))
    return remarks


def _begin_of(data: str, lines: list[str]) -> int:
    """The line of a configuration with which the rules about some data begin, counted from 0."""
    pattern = re.compile(rf"[\s{{,]data:\s*['\"]?{re.escape(data)}['\"]?\s*(?:[,}}#]|$)")
    return next((number for number, line in enumerate(lines) if pattern.search(line)), 0)


def _line_of(column: str | None, lines: list[str], begin: int = 0) -> int:
    """The line of a schema that names a column, from `begin` on; where none does, the one with which the schema begins."""
    if column is not None:
        pattern = re.compile(rf"^\s*-?\s*['\"]?{re.escape(column)}['\"]?\s*[:=]")
        for number, line in enumerate(lines[begin:], start=begin + 1):
            if pattern.match(line):
                return number
    return begin + 1
