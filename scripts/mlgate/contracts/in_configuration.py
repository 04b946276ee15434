"""A contract whose rules stand in mlgate.yaml itself, applied to its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from mlgate.config import ContractConfig
from mlgate.contracts import file_folder, polars_engine, short_form
from mlgate.contracts.contract import Checked, checked
from mlgate.contracts.engine import POLARS, Engines, referenced, run_on_spark, texts
from mlgate.tables.scan import scan


def check(
    root: Path,
    entry: ContractConfig,
    *,
    schema_path: str,
    is_showing_values: bool = False,
    engines: Engines = POLARS,
    now: datetime | None = None,
    recorded: Callable[[str], Mapping[str, str]] | None = None,
    say: Callable[[str], None] | None = None,
) -> Checked:
    """Check data against the short form, or files against their rules; never stops at the first broken rule.

    Args:
        root: the working directory.
        entry: of `data.contracts`, in the short form.
        schema_path: the configuration's file, for the findings.
        is_showing_values: whether findings hold values of the data.
        engines: what may run it.
        now: what freshness counts from, with a zone; the present by default.
        recorded: gives, of a folder of files, the MD5 of each by DVC's record.
        say: is told how far a folder of files is.

    Raises:
        InputError: the data, or a table that it refers to, cannot be read.
    """
    if entry.files is not None:
        of_dvc = recorded(entry.data) if recorded is not None and entry.files.hashes == "dvc" else None
        return file_folder.check(root, entry.data, entry.files, schema_path=schema_path, recorded=of_dvc, say=say)
    started = time.perf_counter()
    contract, present = short_form.contract_of(entry), now or datetime.now(UTC)
    if (spark := engines.spark_for(root, entry.data)) is not None:
        answer = run_on_spark(spark, root, entry.data, contract, is_showing_values=is_showing_values, now=present)
        return checked(answer, data=entry.data, schema=schema_path, engine="spark", started=started)
    table = scan(root, entry.data, texts(contract))
    others = {name: scan(root, name, columns) for name, columns in referenced(contract, table.frame.collect_schema()).items()}
    answer = polars_engine.run(table, contract, others=others, is_showing_values=is_showing_values, now=present)
    return checked(answer, data=entry.data, schema=schema_path, engine="polars", started=started)
