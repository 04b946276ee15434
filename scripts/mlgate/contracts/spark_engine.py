"""A contract run by Spark: one job counts all rules about cells, a second one what needs other rows: uniqueness and references.

What it says is what Polars says, to the last count. Two things differ: rows of a distributed table have no numbers, so that none are told;
and of the values that break a rule, told only where the report may show them, it is the smallest ten, not the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

from mlgate.contracts import polars_engine
from mlgate.contracts.answer import SHOWN_ROWS, Answer, by_rows, by_schema
from mlgate.contracts.model import Contract, Matches, References, Rule, Unique
from mlgate.contracts.patterns_in_java import java_pattern
from mlgate.contracts.polars_rules import Facts, kind_or_name
from mlgate.contracts.spark_rules import Compiler
from mlgate.errors import InputError
from mlgate.evidence import BrokenRule
from mlgate.tables.spark import SparkTable

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import DataFrame

_AT_ONCE = 300
"""Aggregates of one job: Spark plans thousands in minutes."""
_WITHOUT_NUMBERS = "Spark ran this contract: rows of a distributed table have no numbers, so none are told"


def unsupported(schema: Mapping[str, pl.DataType], contract: Contract) -> list[str]:
    """What of a contract Spark cannot run, in words: what only pandera can, and regular expressions that Java may read otherwise."""
    texts = {name for name, dtype in schema.items() if kind_or_name(dtype) == "string"}
    patterns = (rule for rule in contract.rules if isinstance(rule, Matches) and rule.column in texts)
    return [
        *contract.only_pandera,
        *polars_engine.unsupported(schema, contract).values(),
        *(f"{rule.column}: the pattern {rule.pattern}" for rule in patterns if java_pattern(rule.pattern, rule.where) is None),
    ]


def run(table: SparkTable, contract: Contract, *, others: Mapping[str, SparkTable], is_showing_values: bool, now: datetime) -> Answer:
    """Every rule of a contract, whatever else is broken.

    Args:
        table: the data.
        contract: its rules.
        others: tables that `References` rules name, by `References.data`.
        is_showing_values: whether findings hold values of the data.
        now: when the contract is run, with a zone: what `Fresh` counts from.

    Raises:
        InputError: the data cannot be read, or a rule is one that Spark cannot run: none is left out in silence.
        InfrastructureError: the cluster went away.
    """
    if refused := unsupported(table.schema, contract):
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise InputError(f"{table.name}: Spark cannot run {refused[0]}{more}; write the rule otherwise, or choose engine: polars")
    found = _Run(table, contract, others, is_showing_values, now)
    return table.spark.ask(found.answer, table.name)


@dataclass(frozen=True)
class _Lookup:
    """What is asked of other rows for one rule."""

    rule: Rule
    count: DataFrame
    """One row, one column: how many rows break it."""
    values: Callable[[], list[object]]


class _Run:
    """One contract over one table."""

    def __init__(
        self, table: SparkTable, contract: Contract, others: Mapping[str, SparkTable], is_showing_values: bool, now: datetime
    ) -> None:
        self.compiler = Compiler(table.schema, table.format, table.mixed, contract, now)
        self.contract = contract
        self.others = others
        self.is_showing_values = is_showing_values
        self.schema = table.schema
        self.notes = table.notes
        self.base = table.frame.toDF(*self.compiler.places.values())  # names of a user's are nothing to build queries of

    def answer(self) -> Answer:
        said: dict[int, list[BrokenRule]] = {}
        rows = self._cells(said)
        self._other_rows(said, rows)
        found = [(rule.level, each) for rule in self.contract.rules for each in said.get(id(rule), [])]
        return Answer(
            rows=rows,
            columns=len(self.schema),
            broken=[each for level, each in found if level == "fail"],
            warned=[each for level, each in found if level == "warn"],
            notes=[*self.notes, *([_WITHOUT_NUMBERS] if any(each.rows for _, each in found) else [])],
        )

    # --- rules about cells -------------------------------------------------------------------------------------------

    def _cells(self, said: dict[int, list[BrokenRule]]) -> int:
        """Rows of the table; what is broken goes to `said`, by rule."""
        compiled = [self.compiler.compile(rule) for rule in self.contract.rules if not isinstance(rule, Unique | References)]
        asked = ["count(*)"]
        for one in compiled:
            asked += [*one.aggregates, *([f"count_if({one.mask})"] if one.mask is not None else [])]
        values = iter(self._counted(asked))
        rows = int(next(values))
        for one in compiled:
            rule = one.meaning.rule
            facts = Facts(rows, tuple(_zoned(next(values)) for _ in one.aggregates))
            count = int(next(values)) if one.mask is not None else 0
            whole = one.meaning.judge(facts) if one.meaning.judge is not None else None
            said[id(rule)] = [*one.meaning.at_once]
            if count and not (whole is not None and one.meaning.is_whole_first):
                shown = one.meaning.shown
                sample = None if shown is None else self._smallest(self.base.where(str(one.mask)), self.compiler.raw(shown))
                said[id(rule)].append(self._by_rows(shown, one.meaning.mask_text or rule.text, count, rows, sample))
            elif whole is not None:
                said[id(rule)].append(whole)
        return rows

    def _counted(self, asked: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(asked), _AT_ONCE):
            row = self.base.selectExpr(*(f"{text} AS a{index}" for index, text in enumerate(asked[start : start + _AT_ONCE]))).first()
            yield from row or ()

    def _smallest(self, frame: DataFrame, cell: str) -> Callable[[], list[object]]:
        return lambda: [row[0] for row in frame.select(cell).orderBy(cell).limit(SHOWN_ROWS).collect()]

    def _by_rows(self, column: str | None, text: str, count: int, total: int, values: Callable[[], list[object]] | None) -> BrokenRule:
        shown = values() if values is not None and self.is_showing_values else None
        return by_rows(column, text, count=count, total=total, row_numbers=[], values=shown)

    # --- rules about other rows --------------------------------------------------------------------------------------

    def _other_rows(self, said: dict[int, list[BrokenRule]], rows: int) -> None:
        """All in one job."""
        lookups = [*self._uniques(), *self._references(said)]
        if not lookups:
            return
        counts = [each.count.selectExpr(f"{index} AS place", "broken") for index, each in enumerate(lookups)]
        for place, count in reduce(lambda one, other: one.union(other), counts).collect():
            if count:
                rule = lookups[place].rule
                column = rule.columns[0] if isinstance(rule, Unique) and len(rule.columns) == 1 else getattr(rule, "column", None)
                values = lookups[place].values if column is not None else None
                said.setdefault(id(rule), []).append(self._by_rows(column, rule.text, int(count), rows, values))

    def _uniques(self) -> Iterator[_Lookup]:
        for rule in self.contract.rules:
            if isinstance(rule, Unique) and all(name in self.schema for name in rule.columns):
                keys = [self.compiler.raw(name) for name in rule.columns]
                is_there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
                base = self.base if rule.are_missing_equal else self.base.where(is_there)
                repeated = base.groupBy(*keys).count().where("count > 1")
                broken = "count" if rule.keep == "none" else "count - 1"
                count = repeated.selectExpr(f"coalesce(sum({broken}), 0L) AS broken")
                yield _Lookup(rule, count, self._repeated(repeated, keys[0], broken))

    def _repeated(self, repeated: DataFrame, key: str, broken: str) -> Callable[[], list[object]]:
        def values() -> list[object]:
            groups = repeated.selectExpr(key, f"{broken} AS broken").orderBy(key).limit(SHOWN_ROWS).collect()
            return [value for value, count in groups for _ in range(min(count, SHOWN_ROWS))][:SHOWN_ROWS]

        return values

    def _references(self, said: dict[int, list[BrokenRule]]) -> Iterable[_Lookup]:
        for rule in self.contract.rules:
            if isinstance(rule, References) and rule.column in self.schema:
                found = self._strangers(rule)
                if isinstance(found, BrokenRule):
                    said[id(rule)] = [found]
                elif found is not None:
                    cell = self.compiler.raw(rule.column)
                    yield _Lookup(rule, found.selectExpr("count(*) AS broken"), self._smallest(found, cell))

    def _strangers(self, rule: References) -> DataFrame | BrokenRule | None:
        """Rows whose value stands nowhere in the other table."""
        import polars as pl

        other = self.others[rule.data]
        ours, theirs = self.compiler.polars.dtype(rule.column), other.schema.get(rule.other)
        if theirs is None:
            return by_schema(rule.column, f"{rule.text}: there is no column {rule.other} in {rule.data}")
        if ours == pl.Null:
            return None
        cells = self.compiler.cells(rule.column)
        if theirs == pl.Null:
            return self.base.where(f"{cells} IS NOT NULL")
        if kind_or_name(ours) != kind_or_name(theirs) and not (ours.is_numeric() and theirs.is_numeric()):
            return by_schema(rule.column, f"{rule.text}: {kind_or_name(ours)} here, {kind_or_name(theirs)} there")
        places = [f"c{index}" for index in range(len(other.schema))]
        known = other.frame.toDF(*places).selectExpr(f"{_comparable(places[list(other.schema).index(rule.other)], ours, theirs)} AS known")
        mine = self.base.selectExpr(self.compiler.raw(rule.column), f"{_comparable(cells, ours, theirs)} AS mine").where("mine IS NOT NULL")
        distinct = known.where("known IS NOT NULL").distinct()
        return mine.join(distinct, mine["mine"] == distinct["known"], "left_anti")


def _comparable(cells: str, ours: pl.DataType, theirs: pl.DataType) -> str:
    """The same values under one type, so that they can be joined."""
    import polars as pl

    if ours.is_integer() and theirs.is_integer():
        return f"CAST({cells} AS DECIMAL(20, 0))"
    if ours.is_numeric():
        return f"CAST({cells} AS DOUBLE)"
    return f"CAST({cells} AS TIMESTAMP_NTZ)" if isinstance(ours, pl.Datetime) else cells


def _zoned(value: Any) -> Any:
    """Times come from Spark in UTC, and without saying so."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
