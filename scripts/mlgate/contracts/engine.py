"""Which engine runs a contract, as `data.engine` of mlgate.yaml has it, and contracts run by Spark.

`auto` is Polars, which streams what memory does not hold. It is Spark only where the environment names a cluster (SPARK_REMOTE or
MLGATE_SPARK_MASTER) and one machine is not the place to read the data: 20 GiB of it or more, or at an address that only Spark reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mlgate.contracts import pandera_yaml, spark_engine
from mlgate.contracts.answer import Answer
from mlgate.contracts.model import Contract, OfKind, References
from mlgate.errors import InputError
from mlgate.tables import spark
from mlgate.tables.spark import Spark

MANY_BYTES = 20 * 2**30
_ONLY_SPARK = ("hdfs://",)


@dataclass(frozen=True)
class Engines:
    """What may run contracts."""

    engine: Literal["auto", "polars", "spark"]
    """As `data.engine` says."""
    session: Callable[[], Spark] | None = None
    """As `tables.spark.on_demand` gives it; asked only where Spark runs."""

    def spark_for(self, root: Path, data: str, environ: Mapping[str, str] = os.environ) -> Spark | None:
        """The session that runs contracts on this data; None where Polars does.

        Args:
            root: the working directory.
            data: file or folder relative to it, or an address.
            environ: may name a cluster.

        Raises:
            InputError: PySpark or Java is missing.
            InfrastructureError: Spark cannot be reached.
        """
        return self.session() if self.session is not None and self.is_for_spark(root, data, environ) else None

    def is_for_spark(self, root: Path, data: str, environ: Mapping[str, str] = os.environ) -> bool:
        """Whether Spark reads this data; starts nothing."""
        if self.session is None or self.engine == "polars":
            return False
        return self.engine == "spark" or (
            spark.is_configured(environ) and (data.startswith(_ONLY_SPARK) or bytes_of(root / data) >= MANY_BYTES)
        )


POLARS = Engines("polars")


def run_on_spark(opened: Spark, root: Path, data: str, contract: Contract, *, is_showing_values: bool, now: datetime) -> Answer:
    """A contract by Spark, with the tables that it refers to.

    Raises:
        InputError: data cannot be read, or a rule is one that Spark cannot run.
        InfrastructureError: the cluster went away.
    """
    table = spark.scan(opened, root, data, texts(contract))
    others = {name: spark.scan(opened, root, name, columns) for name, columns in referenced(contract, table.schema).items()}
    return spark_engine.run(table, contract, others=others, is_showing_values=is_showing_values, now=now)


def texts(contract: Contract) -> list[str]:
    """Columns that a contract says are text: those of CSV are not read as anything else."""
    return [rule.column for rule in contract.rules if isinstance(rule, OfKind) and rule.kind == "string"]


def referenced(contract: Contract, schema: Mapping[str, object]) -> dict[str, list[str]]:
    """Tables that a contract refers to, and of each the columns that are text because the columns that refer to them are."""
    import polars as pl

    found: dict[str, list[str]] = {}
    for rule in contract.rules:
        if isinstance(rule, References):
            found.setdefault(rule.data, []).extend([rule.other] if schema.get(rule.column) == pl.String else [])
    return found


def run_yaml_on_spark(
    opened: Spark, root: Path, data: str, schema: str, document: dict[str, Any], *, is_showing_values: bool, now: datetime
) -> Answer:
    """A pandera schema in YAML by Spark. What only pandera could run is refused: it has no way to a cluster's data.

    Raises:
        InputError: data cannot be read, or the schema holds what Spark cannot run.
        InfrastructureError: the cluster went away.
    """
    table = spark.scan(opened, root, data)
    translation = pandera_yaml.translate(document, list(table.schema))
    if translation.whole is not None:
        raise InputError(f"{schema}: Spark cannot run {translation.whole}; write the schema otherwise, or choose data.engine: polars")
    contract = replace(translation.contract, only_pandera=tuple(translation.by_pandera.values()))
    return spark_engine.run(table, contract, others={}, is_showing_values=is_showing_values, now=now)


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 of what is not there."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
