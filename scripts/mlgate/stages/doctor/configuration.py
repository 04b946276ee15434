"""doctor: mlgate.yaml and what it names: contracts, parameter files, the user's own metrics."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mlgate.config import Config, is_remote, user_code
from mlgate.data.tracking import tracked_by
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean
from mlgate.stages.doctor.findings import Finding, ok, problem, unneeded, warning
from mlgate.stages.doctor.subject import Subject
from mlgate.training import params


def modules(subject: Subject) -> tuple[str, ...]:
    """What reading the contracts takes."""
    contracts = subject.config.data.contracts if subject.config else []
    return ("pandera.pandas",) if any(contract.schema_ is not None for contract in contracts) else ()


def look(subject: Subject) -> Iterator[Finding]:
    """Whether the configuration is there and right."""
    name = subject.config_path
    if not subject.is_configured:
        if subject.git_problem is None:
            proposal = "let 'mlgate init' propose one for data checks, training and slices"
            yield unneeded(f"{name}: none here; the root action works without, on predictions alone", proposal)
        return
    for mistake in subject.mistakes:
        yield problem(mistake)
    config = subject.config
    if config is None:
        return
    if subject.is_in_git(name):
        yield ok(f"{name}: model {config.model}")
    else:
        yield warning(f"{name}: model {config.model}; not in Git", "commit it: a run has only what is committed")
    if not config.gate.rules:
        yield warning(f"{name}: gate.rules: none, so the gate opens for every model", "add one, such as {metric: accuracy, margin: 0.01}")
    yield from _parameters(subject, config)
    for reference in config.evaluation.references:
        if code := user_code(reference):
            yield from _python(subject.root, code, f"metric {reference}")
    yield from _holdout(subject, config)


def look_at_contracts(subject: Subject) -> Iterator[Finding]:
    """Whether every contract can be read, and its data is known to somebody."""
    config = subject.config
    for contract in config.data.contracts if config else []:
        if contract.schema_ is None:
            yield ok(f"contract of {contract.data}: in {subject.config_path}")
        elif code := user_code(contract.schema_):
            yield from _python(subject.root, code, f"contract {contract.schema_}")
        else:
            yield from _schema(subject.root, contract.schema_)
        for name in contract.names:
            if is_remote(name):
                yield ok(f"{name}: in an object store, so no commit pins it")
            elif not _is_known(subject.root, name) and config is not None and config.data.prepare is None:
                yield problem(
                    f"{name}: in data.contracts, and neither DVC nor Git tracks it",
                    f"run 'dvc add {name}', or name the command that makes it in data.prepare",
                )


def _parameters(subject: Subject, config: Config) -> Iterator[Finding]:
    if config.params:
        try:
            found = params.read(subject.root, config.params)
        except InputError as error:
            yield problem(str(error))
        else:
            yield ok(f"{', '.join(config.params)}: {len(found)} parameter{'s' if len(found) != 1 else ''}")


def _holdout(subject: Subject, config: Config) -> Iterator[Finding]:
    for name in config.evaluation.holdout:
        if not _is_known(subject.root, name):
            yield problem(f"evaluation.holdout: {name}: neither DVC nor Git tracks it, and it is not here", "correct the path")


def _schema(root: Path, name: str) -> Iterator[Finding]:
    from mlgate.contracts import schema_file

    try:
        schema = schema_file.load(root / name, name)
    except InputError as error:
        yield problem(str(error), "correct the contract")
    else:
        yield ok(f"contract {name}: {len(schema.columns)} column{'s' if len(schema.columns) != 1 else ''}")


def _python(root: Path, code: tuple[str, str], what: str) -> Iterator[Finding]:
    """Whether a module has the name; it is read, not run."""
    path, name = code
    try:
        module = ast.parse((root / path).read_bytes(), path)
    except FileNotFoundError:
        yield problem(f"{what}: no file {path}", "correct the path")
        return
    except (SyntaxError, ValueError, OSError) as error:
        yield problem(f"{what}: {path} cannot be read as Python: {error}", "correct it")
        return
    names = {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
    names |= {target.id for node in module.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    imported = {alias.asname or alias.name for node in module.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    if name in names | imported or "*" in imported:
        yield ok(f"{what}: defined")
    else:
        yield problem(f"{what}: {path} has no '{name}'{did_you_mean(name, sorted(names))}", "correct the name")


def _is_known(root: Path, path: str) -> bool:
    return (root / path).exists() or tracked_by(root, path) != "none"
