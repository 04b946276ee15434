"""pull-data: the data that mlgate.yaml names, pulled with DVC and verified file by file. First of the stages that need data."""

from __future__ import annotations

import os
from pathlib import Path

from mlgate.config import Config, is_remote, kind_of_baseline
from mlgate.data import cache, pull
from mlgate.errors import InfrastructureError
from mlgate.evidence import Annotation, PulledTarget, PullFindings
from mlgate.render import numbers
from mlgate.stages.forks import without_secrets
from mlgate.workspace import StageResult, Workspace


def run(workspace: Workspace) -> StageResult:
    """Have the data in the workspace.

    Raises:
        InputError: no such data or remote, or local changes in the way (exit 2).
        InfrastructureError: an object is missing or corrupted, or the remote cannot be asked (exit 3).
    """
    cache.share(os.environ)
    config = workspace.config
    with workspace.console.progress("pull-data") as progress:
        try:
            pulled = pull.fetch(workspace.root, named_data(config), options(config), progress.say)
        except pull.UnreachableError as error:
            advice = without_secrets.advice(workspace.root, workspace.context)
            raise InfrastructureError(f"{error}; {advice}" if advice else str(error)) from None
    return StageResult(
        status="passed",
        summary=". ".join([_summary(pulled.findings), *pulled.notes]),
        findings=pulled.findings,
        data=[target.data for target in pulled.findings.targets],
        annotations=[Annotation(path=workspace.config_path, level="notice", message=note) for note in pulled.notes],
    )


def options(config: Config) -> pull.Options:
    """How to pull it: with what the pipeline reads, where nothing else is said, and without what `prepare` will make."""
    data = config.data
    return pull.Options(
        remote=data.remote,
        with_sources=data.pull is None,
        is_made_later=data.prepare is not None,
        may_be_absent=data.pull is None and data.prepare is not None,
    )


def named_data(config: Config) -> list[str]:
    """Data the configuration names: `data.pull`, or where it is left out what the other sections need to be there."""
    if config.data.pull is not None:
        return list(config.data.pull)
    named = [name for contract in config.data.contracts for name in contract.names]
    named += [name for each in config.data.screens for name in each.names]
    named += [name for each in config.data.drift for name in each.names]
    named += [Path(name).as_posix() for name in config.gate.baselines if kind_of_baseline(name) == "path"]
    return [name for name in dict.fromkeys(named) if not is_remote(name)]  # what lies in an object store is read there


def _summary(findings: PullFindings) -> str:
    if not findings.targets:
        return "no data to pull"
    total = sum(target.data.files for target in findings.targets)
    size = numbers.size(sum(target.data.size_bytes for target in findings.targets))
    from_remote = sum(target.files_from_remote for target in findings.targets if target.source is None)
    from_source = sum(target.files_from_remote for target in findings.targets if target.source is not None)
    from_cache = sum(target.files_from_cache for target in findings.targets)
    origins = []
    if from_remote:
        origins.append(f"{from_remote:,} from remote '{findings.remote}'")
    if from_source:
        origins.append(f"{from_source:,} from where it was imported")
    if from_cache:
        origins.append(f"{from_cache:,} from DVC's cache")
    if total - from_remote - from_source - from_cache:
        origins.append(f"{total - from_remote - from_source - from_cache:,} here already")
    return (
        f"{_names(findings.targets)}: {total:,} {'file' if total == 1 else 'files'}, {size}, each one's hash verified; {', '.join(origins)}"
    )


def _names(targets: list[PulledTarget]) -> str:
    paths = [target.data.path for target in targets]
    return ", ".join(paths) if len(paths) <= 3 else f"{', '.join(paths[:3])} and {len(paths) - 3} more"
