"""What a change does to the contracts and to the user's own metrics: rule by rule for schemas in YAML, whole files for Python. From Git
alone; nothing of the pull request runs here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlgate.config import Config, ContractConfig, user_code
from mlgate.contracts import file_changes, schema_changes, short_form_changes
from mlgate.contracts.schema_changes import SchemaChange
from mlgate.evidence import Change
from mlgate.stages.revisions import weakening
from mlgate.stages.revisions.python_sources import sources
from mlgate.stages.revisions.revision import Revision

_MAX_TEXT = 300


@dataclass(frozen=True)
class ContractChanges:
    """What became of the rules that stand in files of their own."""

    changes: list[Change]
    """Rules of YAML schemas, old and new."""
    weakened_settings: frozenset[str]
    """Entries of `data.contracts`, as `changes` calls them, that ask less."""
    weakened_files: frozenset[str]
    """Files of which it cannot be told what they ask now."""
    told_files: frozenset[str]
    """Schemas whose rules stand in `changes` one by one."""


def of(old: Revision, new: Revision, old_config: Config, new_config: Config) -> ContractChanges:
    """Compare the contracts and own metrics of two revisions."""
    changes: list[Change] = []
    settings: set[str] = set()
    files: set[str] = set()
    told: set[str] = set()
    for contract in old_config.data.contracts:
        same_data = [other for other in new_config.data.contracts if other.data == contract.data]
        same = [other for other in same_data if (other.form, other.schema_) == (contract.form, contract.schema_)]
        found = _first_that_asks_no_less(old, new, contract, same or same_data)
        if found is None:
            settings.add(setting(contract))
        elif isinstance(found, set):
            files |= found
            if not same:
                settings.add(setting(contract))
        elif found:
            changes += found
            told |= {one.schema_ for one in (contract, *(same or same_data)) if one.schema_ is not None}
    for path in weakening.guarded_code(old_config):
        before, after = (_content(revision, f"{path}:metric") for revision in (old, new))
        files |= {name for name in (*before, *after) if before.get(name) != after.get(name)}
    return ContractChanges(changes, frozenset(settings), frozenset(files), frozenset(told))


def differing(old: Revision, new: Revision, old_config: Config, new_config: Config) -> list[ContractConfig]:
    """Contracts of the old revision that the new one has not, or has otherwise: what its own do not check already."""
    return [
        contract
        for contract in old_config.data.contracts
        if contract not in new_config.data.contracts
        or (contract.schema_ is not None and _content(old, contract.schema_) != _content(new, contract.schema_))
    ]


def setting(contract: ContractConfig) -> str:
    """What a report calls the entry of `data.contracts`."""
    return f"data.contracts {contract.data}"


def _first_that_asks_no_less(
    old: Revision, new: Revision, contract: ContractConfig, others: Iterable[ContractConfig]
) -> list[Change] | set[str] | None:
    """Differences from the one among the new contracts for the same data that is nearest; where it cannot be told, the files it is about;
    None where there is none."""
    compared = [_compared_forms(old, new, contract, other) for other in others]
    known = [found for found in compared if isinstance(found, list)]
    known.sort(key=lambda found: any(change.is_weakening for change in found))
    return known[0] if known else compared[0] if compared else None


def _compared_forms(old: Revision, new: Revision, before: ContractConfig, after: ContractConfig) -> list[Change] | set[str] | None:
    """Rules that differ between two contracts, or the files of which it cannot be told; None where nothing at all can."""
    if before.schema_ is not None and after.schema_ is not None:
        return _compared(old, new, before.schema_, after.schema_)
    if before == after:
        return []
    if before.form == after.form == "short":
        return _told(setting(before), short_form_changes.compare(before, after))
    if before.files is not None and after.files is not None:
        return _told(setting(before), file_changes.compare(before.files, after.files))
    return None


def _compared(old: Revision, new: Revision, before: str, after: str) -> list[Change] | set[str]:
    """Rules that differ between two schemas, or the files of which it cannot be told."""
    path = (user_code(after) or (after, ""))[0]
    if user_code(before) or user_code(after):
        one, other = _content(old, before), _content(new, after)
        changed = {name for name in (*one, *other) if one.get(name) != other.get(name)}
        if not changed and _name(before) == _name(after):
            return []
        # A schema that is no longer asked may lie there as it was: the entry of `data.contracts` tells of it.
        return {name for name in changed if old.read(name) != new.read(name)} or {path}
    found = schema_changes.compare(old.read(before) or b"", new.read(after) or b"")
    if found is None:
        return {path}
    return _told(path, found)


def _told(where: str, found: Iterable[SchemaChange]) -> list[Change]:
    return [
        Change(
            kind="rule",
            name=_shortened(f"{where} {change.name}"),
            old=change.old and _shortened(change.old),
            new=change.new and _shortened(change.new),
            is_weakening=change.is_weakening,
        )
        for change in found
    ]


def _shortened(text: str) -> str:
    """Text of a stranger's, as short as a table takes it."""
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _name(reference: str) -> str | None:
    code = user_code(reference)
    return code[1] if code else None


def _content(revision: Revision, schema: str) -> Mapping[str, bytes]:
    """A schema's file, or for Python all files it is made of; line endings aside."""
    code = user_code(schema)
    content = None if code else revision.read(schema)
    files = sources(code[0], revision.read) if code else {} if content is None else {schema: content}
    return {path: text.replace(b"\r\n", b"\n") for path, text in files.items()}
