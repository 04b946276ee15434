"""Spark says what Polars says, on generated data and on real: contracts and profiles, in one session on this machine."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlgate import stages
from mlgate.console import Console
from mlgate.contracts.model import (
    ColumnsAre,
    Fresh,
    Holds,
    InRange,
    Matches,
    NoneOf,
    NotNull,
    OfDtype,
    OfKind,
    OfLength,
    OneOf,
    Present,
    References,
    RowCount,
    Rule,
    Unique,
)
from mlgate.drift import multivariate, profile, spark_profile, spark_sample
from mlgate.errors import InputError
from mlgate.tables import scan as on_one_machine
from mlgate.tables import spark
from mlgate.tables.spark import Spark
from mlgate.workspace import Workspace
from spark_cases import assert_same_profiles, at, customers, of_polars, of_spark, skip_without_java, told
from support import MINIMAL_CONFIG, commit_files, git, make_repository

EXAMPLES = int(os.environ.get("MLGATE_SPARK_EXAMPLES", "6"))


@pytest.fixture(scope="module")
def local() -> Iterator[Spark]:
    """One session for all: it takes seconds to start."""
    skip_without_java()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLGATE_GITHUB_TOKEN", "of-this-test")
        with at("local[2]") as opened:
            yield opened


def test_its_java_process_leaves_nothing_beside_our_own_temporary_folder(local: Spark) -> None:
    folder = Path(local.session._jvm.java.lang.System.getProperty("java.io.tmpdir"))
    assert folder.parent.name.startswith("mlgate-spark-")
    assert any(folder.glob("blockmgr-*"))
    assert "SPARK_SUBMIT_OPTS" not in os.environ


def test_its_java_process_is_told_none_of_our_secrets(local: Spark) -> None:
    told = local.session._jvm.java.lang.System.getenv()
    assert told.containsKey("PATH")
    assert not told.containsKey("MLGATE_GITHUB_TOKEN")
    assert os.environ["MLGATE_GITHUB_TOKEN"] == "of-this-test"


# --- generated data --------------------------------------------------------------------------------------------------

WORDS = (
    "",
    "a",
    "ab",
    "A",
    "é",
    "ß",
    "x y",
    "a\nb",
    "a\n",
    "NA",
    "1",
    "1.5",
    " 2",
    "-3",
    "true",
    "2026-01-02",
    "2026-01-09 11:00",
    "²",
    "'",
    '"',
    "\\",
    "`${x}`",
    "😀",
)
NUMBERS = (0.0, -0.0, 1.0, 1.5, -2.25, 0.1, 3.0, 1e16, 5e-324, float("inf"), float("-inf"), float("nan"))
WHOLE = (0, 1, 2, 3, -1, 127, 2**53 + 1, -(2**63), 2**63 - 1)
DAYS = (date(2026, 1, 1), date(2026, 1, 2), date(2025, 12, 31), date(1969, 7, 20))
TIMES = tuple(map(datetime.fromisoformat, ("2026-01-09 11:00", "2026-01-02", "2026-01-09 11:00:00.000001", "1969-07-20 20:17:40")))
TYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "i": (pl.Int64, WHOLE),
    "j": (pl.Int64, (0, 1, 2, 3)),
    "u": (pl.UInt8, (0, 1, 255)),
    "x": (pl.Float64, NUMBERS),
    "y": (pl.Float32, NUMBERS),
    "s": (pl.String, WORDS),
    "a.b": (pl.String, WORDS),
    "f": (pl.Boolean, (True, False)),
    "d": (pl.Date, DAYS),
    "t": (pl.Datetime("us"), TIMES),
    "n": (pl.Datetime("ns"), TIMES),
    "z": (pl.Datetime("us", "UTC"), tuple(one.replace(tzinfo=UTC) for one in TIMES)),
    "m": (pl.Decimal(10, 2), (0, 1, 2)),
}
IN_TEXT = ("i", "j", "x", "s", "a.b", "f")
EXPRESSIONS = (
    "i < x", "x / j > 1", "x // j == 1 or i % j == 1", "abs(x - y) < 0.2", "min(i, x) <= max(j, y)", "length(s) == 2 and not f",
    "lower(s) in ['a', 'é', 'x y']", "is_missing(s) or s != column('a.b')", "year(d) == 2026 and t >= d", "days_between(d, t) > 0.5",
    "t == z", "hour(n) < 12", "i == 9007199254740993", "x == 0", "(x - x) == 0", "m > 0.5", "d < '2026-01-02'", "u >= 1", "missing > 1",
)  # fmt: skip
PATTERNS = (r"[a-z]+", r"\w+", r"\d", r"\s", r"[^a]*$", r"^a", r"a|b", r"(?:a|é)\S?", r"[\w .]{1,2}", r"a\n?$", r".", r"[^\w]?")
RANGES = ((0, None), (None, 1.5), (-1, 2**53), (0.1, 3), ("a", "x"), ("2026-01-02", None), (None, "2026-01-09T11:00:00Z"), (2**70, None))
VALUES = ((1, 2.0, "a"), ("é", True), (0.1,), ("2026-01-02", "2026-01-09T11:00:00"), (2**53 + 1, float("inf")), ("x",))


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, 12))
    columns = {
        name: pl.Series(draw(st.lists(st.none() | st.sampled_from(values), min_size=rows, max_size=rows)), dtype=dtype)
        for name, (dtype, values) in TYPES.items()
    }
    return pl.DataFrame(columns)


def of_column(name: str) -> st.SearchStrategy[Rule]:
    kinds = st.sampled_from(("integer", "number", "string", "boolean", "date", "datetime"))
    dtypes = st.sampled_from(("int64", "float64", "float32", "bool", "str", "object", "datetime64[ns]", "uint8"))
    return st.one_of(
        st.just(NotNull(name, text="not nullable")),
        st.just(Present(name, text="column missing")),
        kinds.map(lambda kind: OfKind(name, kind, text=f"type {kind}")),
        dtypes.map(lambda dtype: OfDtype(name, dtype, text=f"dtype {dtype}")),
        st.builds(
            lambda ends, low, high, level: InRange(name, *ends, low, high, text=f"in_range{ends}{low}{high}", level=level),
            st.sampled_from(RANGES), st.booleans(), st.booleans(), st.sampled_from(("fail", "warn")),
        ),
        st.sampled_from(VALUES).map(lambda values: OneOf(name, values, text=f"isin{values}")),
        st.sampled_from(VALUES).map(lambda values: NoneOf(name, values, text=f"notin{values}")),
        st.builds(
            lambda pattern, where: Matches(name, pattern, where, text=f"matches {where} {pattern}"),
            st.sampled_from(PATTERNS), st.sampled_from(("start", "anywhere", "whole")),
        ),
        st.sampled_from(((1, 2), (None, 1), (2, None))).map(lambda ends: OfLength(name, *ends, text=f"length{ends}")),
        st.sampled_from((1, 2000)).map(lambda days: Fresh(name, timedelta(days=days), text=f"fresh({days}d)")),
        st.sampled_from(("j", "s", "x", "t")).map(lambda other: References(name, "other.parquet", other, text=f"references {other}")),
        st.sampled_from(("first", "last", "none")).map(lambda keep: Unique((name,), keep, text=f"unique {keep}")),
    )  # fmt: skip


def contracts(names: tuple[str, ...]) -> st.SearchStrategy[list[Rule]]:
    of_rows: st.SearchStrategy[Rule] = st.one_of(
        st.sampled_from(EXPRESSIONS).map(lambda text: Holds(text, text=text)),
        st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True).map(lambda some: Unique(tuple(some), text=f"unique {some}")),
        st.just(RowCount(3, 10, text="rows(3, 10)")),
        st.just(ColumnsAre(names[1:3], text="columns", is_ordered=True)),
    )
    some = st.lists(st.sampled_from((*names, "missing")).flatmap(of_column), min_size=12, max_size=24)
    return st.builds(lambda one, other: list(dict.fromkeys([*one, *other])), some, st.lists(of_rows, min_size=3, max_size=6))


def as_csv(frame: pl.DataFrame) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in frame.rows())
    return out.getvalue()


def as_jsonl(frame: pl.DataFrame) -> str:
    rows = ({name: cell for name, cell in row.items() if cell is None or cell == cell} for row in frame.iter_rows(named=True))
    return "".join(json.dumps(row) + "\n" for row in rows)


# Not shrunk: every attempt takes seconds. What is generated is small as it is.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(data=st.data(), frame=tables(), other=tables(), kind=st.sampled_from(("parquet", "parquet", "csv", "jsonl")))
def test_both_engines_agree_on_any_data(
    local: Spark, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, frame: pl.DataFrame, other: pl.DataFrame, kind: str
) -> None:
    names = tuple(TYPES) if kind == "parquet" else IN_TEXT
    rules = data.draw(contracts(names))
    root = tmp_path_factory.mktemp("generated")
    match kind:
        case "parquet":
            frame.write_parquet(root / "t.parquet")
        case "csv":
            (root / "t.csv").write_text(as_csv(frame.select(IN_TEXT)), newline="")
        case _:
            (root / "t.jsonl").write_text(as_jsonl(frame.select(IN_TEXT)))
    other.write_parquet(root / "other.parquet")
    expected = of_polars(root, f"t.{kind}", rules, ("other.parquet",))
    assert told(of_spark(local, root, f"t.{kind}", rules, ("other.parquet",))) == told(expected)


# --- what is known of a table --------------------------------------------------------------------------------------------


def test_values_are_the_smallest_of_those_that_break_a_rule_and_told_only_where_they_may_be(local: Spark, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,name\n" + "".join(f"{number},n{number % 7}\n" for number in range(40, 0, -1)))
    rules: list[Rule] = [InRange("x", 30, None, text="r"), Unique(("name",), text="unique")]
    answer = of_spark(local, tmp_path, "t.csv", rules, is_showing_values=True)
    assert [rule.values for rule in answer.broken] == [[str(number) for number in range(1, 11)], ["n0"] * 5 + ["n1"] * 5]
    assert [rule.row_numbers for rule in answer.broken] == [[], []]
    assert "no numbers" in answer.notes[0]
    assert [rule.values for rule in of_spark(local, tmp_path, "t.csv", rules).broken] == [None, None]


@pytest.mark.parametrize(
    ("content", "rules", "reason"),
    [
        ("a,b\n1,2\n1\n", [], "row 3 has 1 fields"),
        ("", [], "the file is empty"),
        (
            "a\nx\n",
            [Matches("a", r"(?i)x", text="m")],
            "Spark cannot run a: the pattern (?i)x; write the rule otherwise, or choose engine: polars",
        ),
    ],
)
def test_what_spark_cannot_run_is_refused_and_never_left_out(
    local: Spark, tmp_path: Path, content: str, rules: list[Rule], reason: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        of_spark(local, tmp_path, "t.csv", rules)
    assert str(caught.value).startswith("t.csv: ")
    assert reason in str(caught.value)


def test_an_address_that_sparks_jars_cannot_read_says_which_is_missing(local: Spark, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^hdfs://|^s3a://bucket/t.parquet: .*hadoop-aws"):
        spark.scan(local, tmp_path, "s3a://bucket/t.parquet")


def test_letters_digits_and_blanks_are_to_java_what_they_are_to_python(local: Spark, tmp_path: Path) -> None:
    known = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) != "Cn"]
    pl.DataFrame({"s": known}).write_parquet(tmp_path / "t.parquet")
    rules: list[Rule] = [
        Matches("s", pattern, "whole", text=pattern) for pattern in (r"\w", r"\d", r"\s", r"\S", r".", r"[\w\s]", r"[^\d]", r"[a-z]$")
    ]
    newer = 2000  # characters that Java 17 (Unicode 13) does not know yet
    for ours, theirs in zip(
        of_polars(tmp_path, "t.parquet", rules).broken, of_spark(local, tmp_path, "t.parquet", rules).broken, strict=True
    ):
        assert abs(ours.rows - theirs.rows) <= newer if "w" in ours.rule else abs(ours.rows - theirs.rows) <= 20, ours.rule


def test_a_profile_is_the_same_cell_by_cell(local: Spark, tmp_path: Path) -> None:
    edges = np.array([0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, np.inf, -np.inf, np.nan, -3.3])
    powers = np.array([2.0**power for power in range(-1074, 1024, 13)])
    numbers = np.concatenate([edges, powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)])
    rows = 3000
    frame = customers(rows).with_columns(
        pl.Series("edges", np.resize(numbers, rows)),
        pl.Series("nothing", [None] * rows, dtype=pl.Int64),
        pl.Series("many", [[one] for one in range(rows)]),
    )
    frame.write_parquet(tmp_path / "t.parquet")
    assert_same_profiles(
        profile.of_table(on_one_machine.scan(tmp_path, "t.parquet")), spark_profile.of_table(spark.scan(local, tmp_path, "t.parquet"))
    )
    with pytest.raises(InputError, match=r"t.parquet: no column 'ag'; did you mean 'age'"):
        spark_profile.of_table(spark.scan(local, tmp_path, "t.parquet"), ["ag"])


def test_the_classifiers_rows_are_the_same_however_spark_splits_the_table(local: Spark, tmp_path: Path) -> None:
    rows = 3 * multivariate.MOST_ROWS
    for at_folder in range(3):  # of the same names, as partitions have them
        frame = pl.DataFrame({"id": range(at_folder * rows, (at_folder + 1) * rows), "day": [date(2026, 1, 1)] * rows, "t": ["a"] * rows})
        (tmp_path / "d" / f"p={at_folder}").mkdir(parents=True)
        frame.write_parquet(tmp_path / "d" / f"p={at_folder}" / "part-0.parquet", row_group_size=5_000)
    table = spark.scan(local, tmp_path, "d")
    found = spark_sample.of_table(table, 3 * rows, ["t", "id", "day"])
    assert found.columns == ["t", "id"]
    assert multivariate.MOST_ROWS * 0.97 < found.height < multivariate.MOST_ROWS * 1.03
    folders = (found["id"].cast(pl.Int64) // rows).value_counts()["count"].to_list()
    assert all(abs(count - found.height / 3) < 100 for count in folders)
    local.session.conf.set("spark.sql.files.maxPartitionBytes", "20000")
    try:
        assert spark_sample.of_table(spark.scan(local, tmp_path, "d"), 3 * rows, ["t", "id", "day"]).equals(found)
    finally:
        local.session.conf.unset("spark.sql.files.maxPartitionBytes")


def test_validate_data_finds_the_drift_that_polars_finds_and_says_what_it_did_not_look_at(
    local: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def running() -> Iterator[Callable[[], Spark]]:
        yield lambda: local  # the session of all tests here: another takes seconds to start

    monkeypatch.setattr(spark, "on_demand", running)
    generator = np.random.default_rng(3)

    def people(shift: float) -> bytes:
        x = generator.normal(size=1500)
        columns = {"age": 40 + 10 * (x + shift), "twin": 40 + 10 * x, "plan": generator.choice(["a", "b", "c"], 1500), "y": x > 0}
        out = io.BytesIO()
        pl.DataFrame(columns).with_columns(day=date(2026, 1, 1), when=TIMES[0]).write_parquet(out)
        return out.getvalue()

    data = "data:\n  engine: {engine}\n  drift: [{{data: t.parquet, label: y}}, {{data: t.parquet, against: other.parquet, level: fail}}]\n"
    data += "  screens: [{{train: t.parquet, label: y}}]\n"
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG})
    for name in ("t.parquet", "other.parquet"):
        (root / name).write_bytes(people(0))
    commit_files(root, {}, "people")
    git(root, "checkout", "--quiet", "-b", "feature")
    (root / "t.parquet").write_bytes(people(0.7))
    found = {}
    for engine in ("polars", "spark"):
        commit_files(root, {"mlgate.yaml": MINIMAL_CONFIG + data.format(engine=engine)}, engine)
        evidence = stages.run("validate-data", Workspace.open(root, "mlgate.yaml", {}, Console(io.StringIO())))
        assert evidence.status == "failed"
        drift = [one.model_dump(exclude={"duration_s", "columns", "note"}) for one in evidence.findings.drift]
        rounded = [
            {k: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for k, v in column.model_dump().items()}
            for one in evidence.findings.drift
            for column in one.columns
        ]
        found[engine] = drift, rounded, evidence
    (ours, exact, _), (theirs, rounded, evidence) = found["polars"], found["spark"]
    assert ours == theirs
    assert exact == rounded
    assert [(one.verdict, one.note) for one in evidence.findings.drift] == [("alert", "read by Spark")] * 2
    assert all(one["multivariate"]["columns"] for one in theirs)
    assert "t.parquet: not screened: engine spark; " in evidence.summary
    assert "screens clean" not in evidence.summary
