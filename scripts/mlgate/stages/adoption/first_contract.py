"""`mlgate contract infer`: a first contract of a table for a person to edit: the short form to paste, or a pandera schema in a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mlgate import evidence as records
from mlgate.config import is_remote
from mlgate.config.values import DataPlace
from mlgate.contracts import inference, tables
from mlgate.errors import InputError
from mlgate.mistakes import lookalike
from mlgate.stages.adoption.init import render_contract
from mlgate.tables.scan import scan

_PLACE: TypeAdapter[str] = TypeAdapter(DataPlace)


def run(root: Path, data: str, output: str | None = None, *, is_forced: bool = False) -> str:
    """Infer a contract that the data keeps.

    Args:
        root: folder of the model.
        data: the table, relative to `root` or below it, or an address in an object store.
        output: where a pandera schema is written, relative to `root`; None for the short form, which is written nowhere.
        is_forced: replace `output` where it exists.

    Returns:
        YAML to paste under `data.contracts`, comments included.

    Raises:
        InputError: no such table, or it cannot be read; `output` exists, or is no place for a schema. Nothing was written then.
    """
    name = _address(data) if is_remote(data) else _below(root, data)
    path = root / name
    if not is_remote(name) and not path.exists():
        raise InputError(f"{name}: no such file{lookalike(path) or '; pull it first, or correct the path'}")
    if output is None:
        return inference.infer(scan(root, name))
    if is_remote(name):
        raise InputError("--output: a schema is inferred of data that lies here; leave --output out for the short form")
    schema = _below(root, output)
    if Path(schema).suffix not in (".yaml", ".yml"):
        raise InputError(f"--output: '{schema}': expected a .yaml file for the schema")
    if (root / schema).exists() and not is_forced:
        raise InputError(f"{schema}: exists already; remove it, or give --force to replace it. Nothing was written.")
    try:
        frame = tables.read(path)
    except tables.UnreadableTableError as error:
        raise InputError(f"{name}: {error}") from None
    records.write_bytes(root / schema, render_contract(frame, name).encode())
    entry = f"- data: {inference.scalar(name)}\n  schema: {inference.scalar(schema)}\n"
    return f"# {schema} is written: read it, change what is wrong. Paste under data.contracts of mlgate.yaml:\n{entry}"


def _address(data: str) -> str:
    """An address as mlgate.yaml may have it; what it must not have, such as a password, is not repeated."""
    try:
        return _PLACE.validate_python(data)
    except ValidationError as error:
        raise InputError(f"the data: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _below(root: Path, name: str) -> str:
    """A path as mlgate.yaml has it."""
    path = Path(name)
    try:
        relative = (path.absolute().relative_to(root.absolute()) if path.is_absolute() else path).as_posix()
    except ValueError:
        relative = ".."
    if ".." in Path(relative).parts or relative in ("", "."):
        raise InputError(f"'{name}': expected a path inside the working directory, {root}")
    return relative
