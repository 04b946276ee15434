"""What the tests of Spark share: sessions, both engines over the same data, and a table with something of everything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlgate.contracts import polars_engine, spark_engine
from mlgate.contracts.answer import Answer
from mlgate.contracts.model import (
    ColumnsAre,
    Contract,
    Fresh,
    Holds,
    InRange,
    Matches,
    NotNull,
    OfKind,
    OneOf,
    References,
    RowCount,
    Rule,
    Unique,
)
from mlgate.drift.profile import Profile
from mlgate.tables import scan as on_one_machine
from mlgate.tables import spark
from mlgate.tables.spark import Spark

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a process of seconds: what the second compiler makes never pays."""
SMALL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",  # compiling takes longer than small data
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
}


def skip_without_java() -> None:
    pytest.importorskip("pyspark", reason="PySpark is not installed: make test-system does")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is not installed (Debian: openjdk-17-jre-headless)")


@contextmanager
def at(master: str, **more: str) -> Iterator[Spark]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPARK_REMOTE", raising=False)
        patch.setenv("MLGATE_SPARK_MASTER", master)
        with spark.session(SMALL | more) as opened:
            yield opened


def of_polars(root: Path, name: str, rules: list[Rule], others: tuple[str, ...] = (), is_showing_values: bool = False) -> Answer:
    read = {other: on_one_machine.scan(root, other) for other in others}
    table = on_one_machine.scan(root, name)
    return polars_engine.run(table, Contract(tuple(rules)), others=read, is_showing_values=is_showing_values, now=NOW)


def of_spark(
    opened: Spark, root: Path, name: str, rules: list[Rule], others: tuple[str, ...] = (), is_showing_values: bool = False
) -> Answer:
    read = {other: spark.scan(opened, root, other) for other in others}
    table = spark.scan(opened, root, name)
    return spark_engine.run(table, Contract(tuple(rules)), others=read, is_showing_values=is_showing_values, now=NOW)


def told(answer: Answer) -> Any:
    """What both engines must say; which rows break a rule is Polars' alone to know."""
    broken = [[(rule.column, rule.rule, rule.rows, rule.share) for rule in rules] for rules in (answer.broken, answer.warned)]
    return answer.rows, answer.columns, broken


def customers(rows: int) -> pl.DataFrame:
    chance = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "id": np.arange(rows),
            "age": chance.integers(-1, 122, rows),
            "plan": chance.choice(["free", "pro", "team", "Team"], rows, p=[0.7, 0.2, 0.099, 0.001]),
            "email": [f"user{number}@example.org" if number % 5_000 else "none" for number in range(rows)],
            "total": chance.normal(size=rows).round(3),
            "when": pl.Series(chance.integers(1_700_000_000, 1_767_960_000, rows) * 1_000_000).cast(pl.Datetime("us")),
            "region": chance.choice(["north", "south"], rows),
        }
    )
    return frame.with_columns(pl.when(pl.col("id") % 1000 == 0).then(None).otherwise("total").alias("total"))


CUSTOMERS: list[Rule] = [
    ColumnsAre(("id", "age", "plan", "email", "total", "when", "region"), text="columns"),
    RowCount(1000, None, text="rows"),
    OfKind("id", "integer", text="type integer"),
    Unique(("id",), text="unique"),
    Unique(("age", "total"), "first", text="unique (age, total)"),
    InRange("age", 0, 120, text="in_range(0, 120)"),
    OneOf("plan", ("free", "pro", "team"), text="isin(free, pro, team)"),
    Matches("email", r"[^@]+@[^@]+", "whole", text="str_matches"),
    NotNull("total", text="not nullable"),
    Fresh("when", timedelta(days=7), text="fresh(7d)"),
    References("plan", "plans.csv", "plan", text="references plans.csv:plan", level="warn"),
    Holds("total < 3 or age > 60", text="total < 3 or age > 60"),
]


def customers_at(root: Path, rows: int) -> Path:
    customers(rows).write_parquet(pl.PartitionBy(root / "customers", key=["region"], include_key=False))
    (root / "plans.csv").write_text("plan\nfree\npro\nteam\n")
    return root


def assert_same_profiles(ours: Profile, theirs: Profile) -> None:
    """Cell by cell; what is rounded, to nine digits."""
    assert list(ours.columns) == list(theirs.columns)
    for name, one in ours.columns.items():
        other = theirs.columns[name]
        assert (one.kind, one.rows, one.nulls, one.cells.level, one.names) == (
            other.kind,
            other.rows,
            other.nulls,
            other.cells.level,
            other.names,
        )
        assert one.cells.keys.tolist() == other.cells.keys.tolist()
        assert one.cells.counts.tolist() == other.cells.counts.tolist()
        for exact, rounded in ((one.mean, other.mean), (one.sd, other.sd), (one.minimum, other.minimum), (one.maximum, other.maximum)):
            assert (exact is None and rounded is None) or exact == pytest.approx(rounded, rel=1e-9)
