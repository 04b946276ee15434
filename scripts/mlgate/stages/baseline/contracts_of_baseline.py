"""Contracts of the baseline commit that a change replaces, applied to the data of the change: whether the data needs that is seen here.

Their files come out of Git into a temporary folder of the state; nothing is checked out. A broken one stops nothing here: what the change
did to the contract is judged by the gate, with the trained model beside it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from mlgate.config import ContractConfig, is_remote, user_code
from mlgate.contracts import contract, in_configuration
from mlgate.contracts.engine import POLARS, Engines
from mlgate.data.recorded_files import recorded_files
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import ContractFindings
from mlgate.stages.revisions import contract_changes, lineage
from mlgate.stages.revisions.python_sources import sources
from mlgate.stages.revisions.revision import Revision
from mlgate.workspace import Workspace


@dataclass(frozen=True)
class BaselineContracts:
    """What the baseline's contracts say about the data at hand."""

    findings: list[ContractFindings]
    notes: list[str]
    """What could not be checked, and why."""


def check(workspace: Workspace, engines: Engines = POLARS) -> BaselineContracts:
    """Check every contract of the baseline that this commit has no more, or has otherwise. Raises InfrastructureError: the disk refuses."""
    try:
        base = lineage.baseline_commit(workspace)
    except InputError as error:
        return BaselineContracts([], [f"contracts of the baseline: {error}"])
    if base.commit is None or (base.commit == workspace.commit and not workspace.is_dirty):
        return BaselineContracts([], [])
    old = Revision(workspace.root, base.commit)
    config = old.config(workspace.config_path)
    # The working tree: it is what was just checked by the candidate's own contracts.
    wanted = contract_changes.differing(old, Revision(workspace.root, None), config, workspace.config) if config is not None else []
    findings: list[ContractFindings] = []
    notes: list[str] = []
    folder = workspace.state / "baseline-contracts"
    for one in wanted:
        label = f"{one.data}: {one.schema_ or 'its rules'} as of the baseline {base.commit[:12]}"
        if not is_remote(one.data) and not (workspace.root / one.data).exists():
            notes.append(f"{label}: there is no such data any more")
            continue
        try:
            with workspace.console.progress(f"validate-data: {label}"):
                findings.append(_checked(workspace, old, one, folder, engines))
        except InputError as error:
            notes.append(f"{label}: {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return BaselineContracts(findings, notes)


def _checked(workspace: Workspace, old: Revision, one: ContractConfig, folder: Path, engines: Engines) -> ContractFindings:
    examples = workspace.config.report.examples
    if one.schema_ is None:
        return in_configuration.check(
            workspace.root,
            one,
            schema_path=workspace.config_path,
            is_showing_values=examples,
            engines=engines,
            recorded=lambda name: recorded_files(workspace.root, name),
        ).findings
    code = user_code(one.schema_)
    path = code[0] if code else one.schema_
    files = sources(path, old.read) if code else {path: old.read(path) or b""}
    if not files.get(path):
        raise InputError("no such schema there")
    for name, content in files.items():
        _write(folder / name, content)
    data = one.data if is_remote(one.data) else str(workspace.root / one.data)
    checked = contract.check(folder, data, one.schema_, is_showing_values=examples, engines=engines)
    return checked.findings.model_copy(update={"data": one.data})


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from None
