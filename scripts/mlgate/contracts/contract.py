"""One contract: a schema applied to a table, whichever way the schema is written, by the engine that can."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mlgate import process
from mlgate.config import is_remote, user_code
from mlgate.contracts import pandera_yaml, polars_engine, wording
from mlgate.contracts.answer import Answer
from mlgate.contracts.engine import POLARS, Engines, run_yaml_on_spark
from mlgate.contracts.model import Contract, OfColumn, Rule, Unique
from mlgate.contracts.pandera_yaml import Translation
from mlgate.errors import InputError
from mlgate.evidence import BrokenRule, ContractFindings
from mlgate.mistakes import lookalike
from mlgate.tables.scan import scan
from mlgate.tables.table import Table

Engine = Literal["polars", "pandera", "polars and pandera", "spark"]

_TIME_LIMIT_S = 3600
_SHOWN_REASONS = 3


@dataclass(frozen=True)
class Checked:
    """What a contract said."""

    findings: ContractFindings
    warnings: list[str]
    """Of checks whose author asked for a warning only."""


def check(root: Path, data: str, schema: str, *, is_showing_values: bool = False, engines: Engines = POLARS) -> Checked:
    """Check data against a schema; never stops at the first broken rule.

    Args:
        root: the working directory.
        data: CSV, Parquet, JSON lines or Arrow, a file or a folder of them, relative to `root`.
        schema: pandera schema relative to `root`: a YAML file, or `path/to/module.py:Model`, which the user's interpreter runs.
        is_showing_values: whether findings hold values of the data.
        engines: what may run it, a schema in Python apart.

    Raises:
        InputError: the data cannot be read, or the schema is absent or wrong.
    """
    started = time.perf_counter()
    code = user_code(schema)
    engine: Engine = "pandera"
    said: list[str] = []
    if code is not None:
        answer, said = _in_user_python(root, data, code, is_showing_values)
    elif Path(schema).suffix.lower() in (".yaml", ".yml"):
        answer, said, engine = _of_yaml(root, data, schema, is_showing_values, engines)
    else:
        raise InputError(f"{schema}: expected a pandera schema: a .yaml file, or path/to/module.py:Model")
    return checked(answer, data=data, schema=schema, engine=engine, started=started, warnings=said)


def checked(answer: Answer, *, data: str, schema: str, engine: Engine, started: float, warnings: list[str] | None = None) -> Checked:
    """An engine's answer as findings.

    Args:
        answer: what it said.
        data: the table, as the configuration spells it.
        schema: the file in which the rules stand.
        engine: which one it was.
        started: `time.perf_counter()` before anything was read.
        warnings: what else is to be warned of, as sentences.
    """
    findings = ContractFindings(
        data=data,
        schema_path=schema,
        is_passed=not answer.broken,
        rows=answer.rows,
        columns=answer.columns,
        broken=answer.broken,
        duration_s=time.perf_counter() - started,
        engine=engine,
        notes=answer.notes,
    )
    return Checked(findings, [*(wording.sentence(rule, answer.rows) for rule in answer.warned), *(warnings or [])])


def check_there(root: Path, data: str) -> None:
    """Raises InputError: there is no such data. Of what lies in an object store, reading tells."""
    if not is_remote(data) and not (root / data).exists():
        raise InputError(f"{data}: no such file{lookalike(root / data) or '; does data.pull name it, or does data.prepare make it?'}")


# --- YAML ------------------------------------------------------------------------------------------------------------


def _of_yaml(root: Path, data: str, schema: str, is_showing_values: bool, engines: Engines) -> tuple[Answer, list[str], Engine]:
    """By Polars, and by pandera what Polars cannot run, each on the columns concerned."""
    document = pandera_yaml.read(root / schema, schema)
    if pandera_yaml.translate(document, ()).contract.only_pandera:
        from mlgate.contracts import schema_file

        schema_file.build(document, schema)  # what it makes nothing of is said before anything of the data
    check_there(root, data)
    if (spark := engines.spark_for(root, data)) is not None:
        now = datetime.now(UTC)
        return run_yaml_on_spark(spark, root, data, schema, document, is_showing_values=is_showing_values, now=now), [], "spark"
    table = scan(root, data)
    types = table.frame.collect_schema()
    translation = pandera_yaml.translate(document, types.names())
    if translation.whole is not None:
        answer, said, seconds = _by_pandera(root, table, schema, document, types.names(), is_showing_values)
        return replace(answer, notes=[*table.notes, _cost(seconds, [translation.whole])]), said, "pandera"
    elsewhere = dict(translation.by_pandera)
    for column, reason in polars_engine.unsupported(types, translation.contract).items():
        elsewhere.setdefault(translation.key_of[column], reason)
    left_out = {column for column, key in translation.key_of.items() if key in elsewhere}
    rules = tuple(rule for rule in translation.contract.rules if not _is_about(rule, left_out, elsewhere))
    if not elsewhere:
        return (
            polars_engine.run(table, Contract(rules), others={}, is_showing_values=is_showing_values, now=datetime.now(UTC)),
            [],
            "polars",
        )
    reduced = _reduced(document, translation, elsewhere, left_out)
    asked = [name for name in types.names() if _is_asked(name, reduced, left_out)]
    other, said, seconds = _by_pandera(root, table, schema, reduced, asked, is_showing_values)
    answer = polars_engine.run(table, Contract(rules), others={}, is_showing_values=is_showing_values, now=datetime.now(UTC))
    notes = [*answer.notes, _cost(seconds, list(elsewhere.values()))]
    return replace(answer, broken=[*answer.broken, *other.broken], notes=notes), said, "polars and pandera"


def _is_about(rule: Rule, columns: set[str], keys: Mapping[str, str]) -> bool:
    """Whether pandera is asked a rule: it is about one of these columns, or about them among others."""
    match rule:
        case OfColumn():
            return rule.column in columns or rule.column in keys
        case Unique():
            return bool(columns & set(rule.columns))
        case _:
            return False


def _reduced(document: dict[str, Any], translation: Translation, elsewhere: Mapping[str, str], left_out: set[str]) -> dict[str, Any]:
    """The schema of the columns that pandera has to run, with what is asked of them together with others."""
    reduced = pandera_yaml.of_columns(document, list(elsewhere))
    together = document.get("unique")
    listed = [together] if isinstance(together, str) else list(together or [])
    if left_out & set(listed):
        others = [translation.key_of[name] for name in listed if name in translation.key_of and name not in left_out]
        reduced["columns"] |= {key: {"required": False, "nullable": True} for key in others}
        reduced |= {"unique": together, "report_duplicates": document.get("report_duplicates") or "all"}
    return reduced


def _is_asked(name: str, reduced: Mapping[str, Any], left_out: set[str]) -> bool:
    import re

    unique = reduced.get("unique") or []
    if name in left_out or name in reduced["columns"] or name == unique or name in unique:
        return True
    return any(column.get("regex") and re.match(key, name) for key, column in reduced["columns"].items())


def _by_pandera(
    root: Path, table: Table, schema: str, document: dict[str, Any], columns: list[str], is_showing_values: bool
) -> tuple[Answer, list[str], float]:
    """Rules that pandera runs, on those columns alone; its warnings, and the seconds it took."""
    from mlgate.contracts import pandera_run, schema_file, tables

    started = time.perf_counter()
    built = schema_file.build(document, schema)
    try:
        frame = (
            tables.read(root / table.name, columns)
            if (root / table.name).is_file() and table.format != "arrow"
            else _in_pandas(table, columns)
        )
    except tables.UnreadableTableError as error:
        raise InputError(f"{table.name}: {error}") from None
    try:
        answer = pandera_run.check(frame, built, is_showing_values)
    except ValueError as error:
        raise InputError(f"{schema}: {error}") from None
    return _answer(answer), list(answer["warnings"]), time.perf_counter() - started


def _in_pandas(table: Table, columns: list[str]) -> Any:
    from mlgate.tables.scan import collected

    (frame,) = collected(table.name, [table.frame.select(columns)])
    return frame.to_pandas()


def _cost(seconds: float, reasons: list[str]) -> str:
    more = f" and {len(reasons) - _SHOWN_REASONS} more" if len(reasons) > _SHOWN_REASONS else ""
    return f"pandera ran {', '.join(reasons[:_SHOWN_REASONS])}{more}, in {seconds:.1f} s"


# --- Python ----------------------------------------------------------------------------------------------------------


def _in_user_python(root: Path, data: str, code: tuple[str, str], is_showing_values: bool) -> tuple[Answer, list[str]]:
    path, name = code
    if not (root / path).is_file():
        raise InputError(f"{path}: no such schema; write one, or correct data.contracts")
    if is_remote(data):
        raise InputError(
            f"{data}: a schema in Python is run by your interpreter, on files of this machine; write it as YAML or in short form"
        )
    check_there(root, data)
    request = {"data": data, "schema": path, "name": name, "is_showing_values": is_showing_values}
    program = Path(__file__).with_name("user_schema.py")
    started = time.perf_counter()
    answer = process.call_user_python(program, request, root=root, timeout_s=_TIME_LIMIT_S)
    if "error" in answer:
        raise InputError(str(answer["error"]))
    note = f"pandera ran all of it in your Python, in {time.perf_counter() - started:.1f} s: the schema is Python"
    return replace(_answer(answer), notes=[note]), list(answer["warnings"])


def _answer(answer: dict[str, Any]) -> Answer:
    broken = [
        BrokenRule.model_validate({key: value for key, value in rule.items() if key != "is_about_schema"}) for rule in answer["broken"]
    ]
    return Answer(answer["rows"], answer["columns"], broken)
