"""One contract: a schema applied to a table, whichever way the schema is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate import process
from mlgate.config import user_code
from mlgate.contracts import rules, schema_file, tables
from mlgate.errors import InputError
from mlgate.evidence import BrokenRule, ContractFindings
from mlgate.mistakes import lookalike

_TIME_LIMIT_S = 3600


@dataclass(frozen=True)
class Checked:
    """What a contract said."""

    findings: ContractFindings
    warnings: list[str]
    """Of checks whose author asked for a warning only."""


def check(root: Path, data: str, schema: str, *, is_showing_values: bool = False) -> Checked:
    """Check data against a schema; never stops at the first broken rule.

    Args:
        root: the working directory.
        data: CSV, Parquet or JSON lines file, relative to `root`.
        schema: pandera schema relative to `root`: a YAML file, or `path/to/module.py:Model`, which the user's interpreter runs.
        is_showing_values: whether findings hold values of the data.

    Raises:
        InputError: the data cannot be read, or the schema is absent or wrong.
    """
    started = time.perf_counter()
    code = user_code(schema)
    if code is not None:
        answer = _in_user_python(root, data, code, is_showing_values)
    elif Path(schema).suffix.lower() in (".yaml", ".yml"):
        answer = _here(root, data, schema, is_showing_values)
    else:
        raise InputError(f"{schema}: expected a pandera schema: a .yaml file, or path/to/module.py:Model")
    broken = [
        BrokenRule.model_validate({key: value for key, value in rule.items() if key != "is_about_schema"}) for rule in answer["broken"]
    ]
    findings = ContractFindings(
        data=data,
        schema_path=schema,
        is_passed=not broken,
        rows=answer["rows"],
        columns=answer["columns"],
        broken=broken,
        duration_s=time.perf_counter() - started,
    )
    return Checked(findings, list(answer["warnings"]))


def _here(root: Path, data: str, schema: str, is_showing_values: bool) -> dict[str, Any]:
    found = schema_file.load(root / schema, schema)
    _check_there(root, data)
    try:
        frame = tables.read(root / data)
    except tables.UnreadableTableError as error:
        raise InputError(f"{data}: {error}") from None
    try:
        return rules.check(frame, found, is_showing_values)
    except ValueError as error:
        raise InputError(f"{schema}: {error}") from None


def _in_user_python(root: Path, data: str, code: tuple[str, str], is_showing_values: bool) -> dict[str, Any]:
    path, name = code
    if not (root / path).is_file():
        raise InputError(f"{path}: no such schema; write one, or correct data.contracts")
    _check_there(root, data)
    request = {"data": data, "schema": path, "name": name, "is_showing_values": is_showing_values}
    program = Path(__file__).with_name("user_schema.py")
    answer = process.call_user_python(program, request, root=root, timeout_s=_TIME_LIMIT_S)
    if "error" in answer:
        raise InputError(str(answer["error"]))
    return answer


def _check_there(root: Path, data: str) -> None:
    if not (root / data).exists():
        raise InputError(f"{data}: no such file{lookalike(root / data) or '; does data.pull name it, or does data.prepare make it?'}")
