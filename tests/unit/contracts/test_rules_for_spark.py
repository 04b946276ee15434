"""What a contract is told to Spark as, without a Java process: literals that cannot end, patterns that mean the same, the engine chosen."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config import expressions
from mlgate.contracts import engine, spark_engine
from mlgate.contracts.engine import Engines
from mlgate.contracts.expressions_in_spark import broken_rows
from mlgate.contracts.model import Contract, InRange, Matches, NotNull, OfDtype, OneOf
from mlgate.contracts.patterns_in_java import java_pattern
from mlgate.contracts.spark_rules import Compiler
from mlgate.tables.spark import identifier, literal

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@given(st.text())
def test_no_text_ends_a_literal_or_is_replaced(text: str) -> None:
    written = literal(text)
    assert re.fullmatch(r"'(?:[A-Za-z0-9 _-]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*'", written)
    read = re.sub(r"\\U([0-9a-f]{8})|\\u([0-9a-f]{4})", lambda found: chr(int(found[1] or found[2], 16)), written[1:-1])
    assert read == text


def test_a_name_is_one_name_whatever_it_holds() -> None:
    assert identifier("a`; DROP TABLE b --") == "`a``; DROP TABLE b --`"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "true"), (3, "3L"), (2**70, f"{2**70}BD"), (-0.5, "-0.5D"), (1e300, "1e+300D"), (float("inf"), "CAST('inf' AS DOUBLE)")],
)
def test_a_number_keeps_its_type(value: float, expected: str) -> None:
    assert literal(value) == expected


@pytest.mark.parametrize(
    ("pattern", "where", "expected"),
    [
        (r"[^@]+@[^@]+", "whole", r"(?d)\A(?:[^\@]+@[^\@]+)\z"),
        (r"a|b$", "start", r"(?d)\A(?:a|b$)"),
        (r"\w\W", "anywhere", r"(?d)[\p{L}\p{N}_][^\p{L}\p{N}_]"),
        (r"[\d-]{2,}?", "anywhere", r"(?d)[\p{Nd}\-]{2,}?"),
        ("é+", "anywhere", "(?d)é+"),
    ],
)
def test_a_pattern_says_to_java_what_it_says_to_python(pattern: str, where: str, expected: str) -> None:
    assert java_pattern(pattern, where) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pattern", [r"(?i)a", r"\bx", r"(?=a)", r"(?P<a>b)\1", r"[a&&b]", r"[[a]", r"x*+", r"[\W]", r"\Z", r"\p{L}", r"[]a]", r"a{2}{3}"]
)
def test_a_pattern_that_java_may_read_otherwise_is_not_translated(pattern: str) -> None:
    assert java_pattern(pattern, "whole") is None


def test_every_column_is_called_by_its_place() -> None:
    schema = {"a` OR true --": pl.Int64(), "x": pl.Float64()}
    rules = (NotNull("a` OR true --", text="n"), InRange("x", 0, 1, text="r"), OneOf("x", (1, "'"), text="in"))
    compiler = Compiler(schema, "parquet", frozenset(), Contract(rules), NOW)
    masks = [str(compiler.compile(rule).mask) for rule in rules]
    assert masks[0] == "c0 IS NULL"
    assert masks[1] == "(c1 IS NOT NULL AND NOT coalesce((c1 >= 0.0D AND c1 <= 1.0D), true))"
    assert masks[2] == "(c1 IS NOT NULL AND NOT coalesce(CAST(c1 AS DOUBLE) IN (1.0D), true))"


def test_a_number_that_no_double_holds_ends_a_range_and_is_no_value() -> None:
    compiler = Compiler({"x": pl.Float64()}, "parquet", frozenset(), Contract(()), NOW)
    of_range, of_values = (compiler.compile(rule) for rule in (InRange("x", 0, 10**400, text="r"), OneOf("x", (1, 10**400), text="in")))
    assert "1.7976931348623157e+308D" in str(of_range.mask)
    assert "CAST(c0 AS DOUBLE) IN (1.0D)" in str(of_values.mask)


def test_an_expression_is_sql_of_doubles_that_never_divides_by_zero() -> None:
    node = expressions.resolve(expressions.parse("a / b < 2"), {"a": "integer", "b": "number"})
    sql = broken_rows(node, lambda name: f"`{name}`")
    assert "CASE WHEN CAST(CAST(`b` AS DOUBLE) AS DOUBLE) != 0D THEN" in sql
    assert sql.endswith("coalesce(CAST(CAST(`b` AS DOUBLE) AS DOUBLE) = 0D, false))")


def test_what_only_pandera_or_python_can_run_is_named() -> None:
    contract = Contract(
        (Matches("s", r"(?i)x", text="m"), Matches("i", r"(?i)x", text="m"), OfDtype("s", "int64", is_coercible=True, text="d")),
        only_pandera=("check 'own' of column 's'",),
    )
    said = spark_engine.unsupported({"s": pl.String(), "i": pl.Int64()}, contract)
    assert said == ["check 'own' of column 's'", "s: coerce from string to int64", "s: the pattern (?i)x"]


def test_auto_is_polars_unless_a_cluster_is_named_and_one_machine_is_not_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a.parquet").write_bytes(b"1234")
    asked: list[str] = []
    cluster = {"MLGATE_SPARK_MASTER": "spark://host:7077"}

    def spark_for(choice: str, data: str, environ: dict[str, str]) -> bool:
        asked.clear()
        Engines(choice, lambda: asked.append(data)).spark_for(tmp_path, data, environ)  # type: ignore[arg-type,func-returns-value]
        return bool(asked)

    assert not spark_for("auto", "t", {})
    assert not spark_for("auto", "t", cluster)
    assert spark_for("auto", "hdfs://host/t.parquet", cluster)
    assert not spark_for("auto", "hdfs://host/t.parquet", {})
    assert spark_for("spark", "t", {})
    assert not spark_for("polars", "t", cluster)
    monkeypatch.setattr(engine, "MANY_BYTES", 4)
    assert spark_for("auto", "t", cluster)
    assert not spark_for("auto", "t", {})
