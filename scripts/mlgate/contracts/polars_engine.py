"""A contract run by Polars: all rules in one streaming pass that counts, and a short second one for the rows of those that are broken.

The pass holds no rows: a count for each rule, and for `Unique` the hashes of the cells. Only where two hashes agree are the cells
themselves compared. Rows of a broken rule are looked for until there are enough to show, so that ten million cost no more than ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlgate.contracts import pandas_types
from mlgate.contracts.answer import SHOWN_ROWS, Answer, by_rows, by_schema
from mlgate.contracts.model import Contract, Matches, OfDtype, References, Rule, Unique
from mlgate.contracts.patterns import rust_pattern
from mlgate.contracts.polars_rules import Compiled, Compiler, Facts, kind_or_name
from mlgate.evidence import BrokenRule
from mlgate.tables.scan import collected
from mlgate.tables.table import Table

if TYPE_CHECKING:
    import polars as pl

_FIRST_ROWS = 4_096
"""Where a rule is broken often, these hold enough of its rows to show."""
_ROWS_A_PARTITION = 25_000_000
"""Hashes held at once: a share of a larger table is looked through at a time."""


def unsupported(schema: Mapping[str, pl.DataType], contract: Contract) -> dict[str, str]:
    """Columns of a table that the engine cannot judge, each with the reason: a conversion that pandas must try.

    Args:
        schema: of the table.
        contract: its rules.
    """
    return {
        rule.column: f"{rule.column}: coerce from {kind_or_name(schema[rule.column])} to {rule.dtype}"
        for rule in contract.rules
        if isinstance(rule, OfDtype)
        and rule.is_coercible
        and rule.column in schema
        and not pandas_types.is_coercible(schema[rule.column], rule.dtype)
    }


def run(table: Table, contract: Contract, *, others: Mapping[str, Table], is_showing_values: bool, now: datetime) -> Answer:
    """Every rule of a contract, whatever else is broken; what is in `contract.only_pandera` is not run here.

    Args:
        table: the data.
        contract: its rules.
        others: tables that `References` rules name, by `References.data`.
        is_showing_values: whether findings hold values of the data.
        now: when the contract is run, with a zone: what `Fresh` counts from.

    Raises:
        InputError: the data turns out to be unreadable.
    """
    return _Run(table, Compiler(table.frame.collect_schema(), table.format, table.mixed, contract, now), others, is_showing_values).answer(
        contract
    )


@dataclass(frozen=True)
class _Sample:
    """A rule that so many rows break, and where to find them."""

    rule: Rule
    text: str
    column: str | None
    count: int
    rows: pl.LazyFrame
    """Their numbers, and where values may be told, what stands there."""
    mask: pl.Expr | None = None
    """What finds them row by row; None where it takes more than a row to say."""


class _Run:
    """One contract over one table."""

    def __init__(self, table: Table, compiler: Compiler, others: Mapping[str, Table], is_showing_values: bool) -> None:
        self.table = table
        self.compiler = compiler
        self.others = others
        self.is_showing_values = is_showing_values
        self.schema = compiler.schema
        self.row = _free_name("row", self.schema)

    def answer(self, contract: Contract) -> Answer:
        """What the contract says of the table."""
        compiled = [self.compiler.compile(rule) for rule in contract.rules if not isinstance(rule, Unique | References)]
        uniques = [rule for rule in contract.rules if isinstance(rule, Unique) and all(name in self.schema for name in rule.columns)]
        references = [rule for rule in contract.rules if isinstance(rule, References) and rule.column in self.schema]
        partitions = self._partitions() if uniques else 1
        rows, counted, is_unique = self._pass(compiled, uniques if partitions == 1 else [])
        said: dict[int, list[BrokenRule]] = {id(one.rule): [*one.at_once] for one in compiled}
        samples: list[_Sample] = []
        for one, (facts, count) in zip(compiled, counted, strict=True):
            whole = one.judge(facts) if one.judge is not None else None
            if count and one.mask is not None and not (whole is not None and one.is_whole_first):
                samples.append(self._sample(one, one.mask, count))
            elif whole is not None:
                said[id(one.rule)].append(whole)
        for rule, is_kept in zip(uniques, is_unique if partitions == 1 else [False] * len(uniques), strict=True):
            samples += [] if is_kept else self._duplicates(rule, partitions)
        for reference in references:
            outcome = self._strangers(reference)
            if isinstance(outcome, BrokenRule):
                said[id(reference)] = [outcome]
            elif outcome is not None:
                samples.append(outcome)
        for sample, broken in zip(samples, self._looked_up(samples, rows), strict=True):
            said.setdefault(id(sample.rule), []).append(broken)
        found = [(rule.level, each) for rule in contract.rules for each in said.get(id(rule), [])]
        return Answer(
            rows=rows,
            columns=len(self.schema),
            broken=[each for level, each in found if level == "fail"],
            warned=[each for level, each in found if level == "warn"],
            notes=[*self.table.notes, *self._notes(contract)],
        )

    # --- the pass ----------------------------------------------------------------------------------------------------

    def _pass(self, compiled: Sequence[Compiled], uniques: Sequence[Unique]) -> tuple[int, list[tuple[Facts, int]], list[bool]]:
        """Rows of the table; for each rule its facts and how many rows break it; for each `Unique` whether it is kept for certain."""
        import polars as pl

        asked: list[pl.Expr] = [pl.len()]
        for one in compiled:
            asked += [*one.aggregates, *([one.mask.sum()] if one.mask is not None else [])]
        asked += [_distinct(rule) for rule in uniques]
        (answers,) = collected(self.table.name, [self.table.frame.select(expr.alias(f"{i}") for i, expr in enumerate(asked))])
        values = iter(answers.row(0))
        rows = int(next(values))
        counted = []
        for one in compiled:
            facts = Facts(rows, tuple(next(values) for _ in one.aggregates))
            counted.append((facts, int(next(values) or 0) if one.mask is not None else 0))
        return rows, counted, [int(next(values)) == rows for _ in uniques]

    def _sample(self, one: Compiled, mask: pl.Expr, count: int) -> _Sample:
        frame = self.table.frame.with_row_index(self.row).filter(mask)
        return _Sample(one.rule, one.mask_text or one.rule.text, one.shown, count, self._shown(frame, one.shown), mask)

    def _shown(self, frame: pl.LazyFrame, column: str | None) -> pl.LazyFrame:
        return frame.select([self.row, *([column] if column is not None and self.is_showing_values else [])]).head(SHOWN_ROWS)

    def _looked_up(self, samples: Sequence[_Sample], rows: int) -> list[BrokenRule]:
        """The samples as broken rules: from the first rows where they are enough, else all are looked for together."""
        frames = self._among_the_first(samples)
        left = [at for at in range(len(samples)) if at not in frames]
        frames |= dict(zip(left, collected(self.table.name, [samples[at].rows for at in left]), strict=True))
        found = []
        for at, sample in enumerate(samples):
            frame = frames[at]
            ordered = frame.sort(self.row)
            values = _told(ordered.to_series(1)) if ordered.width > 1 else None
            numbers = ordered[self.row].to_list()
            found.append(by_rows(sample.column, sample.text, count=sample.count, total=rows, row_numbers=numbers, values=values))
        return found

    def _among_the_first(self, samples: Sequence[_Sample]) -> dict[int, pl.DataFrame]:
        """The samples that the first rows of the table fill, by their place."""
        masks = {at: sample.mask for at, sample in enumerate(samples) if sample.mask is not None}
        if not masks:
            return {}
        needed = {name for at, mask in masks.items() for name in (*mask.meta.root_names(), samples[at].column) if name is not None}
        (first,) = collected(self.table.name, [self.table.frame.select(sorted(needed)).head(_FIRST_ROWS).with_row_index(self.row)])
        tried = collected(self.table.name, [self._shown(first.lazy().filter(mask), samples[at].column) for at, mask in masks.items()])
        return {at: frame for at, frame in zip(masks, tried, strict=True) if frame.height >= min(SHOWN_ROWS, samples[at].count)}

    # --- uniqueness --------------------------------------------------------------------------------------------------

    def _partitions(self) -> int:
        """In how many parts the hashes of a table are looked through."""
        import polars as pl

        if self.table.format not in ("parquet", "arrow"):  # their files say how many rows they have
            return 1
        (count,) = collected(self.table.name, [self.table.frame.select(pl.len())])
        return 1 + int(count.item()) // _ROWS_A_PARTITION

    def _duplicates(self, rule: Unique, partitions: int) -> list[_Sample]:
        """Rows that share their cells with others, counted by the cells themselves; nothing where only hashes agreed."""
        import polars as pl

        keys = list(rule.columns)
        size, first, last = (_free_name(name, self.schema) for name in ("size", "first", "last"))
        frame = self.table.frame.select(keys).with_row_index(self.row)
        if not rule.are_missing_equal:
            frame = frame.filter(pl.all_horizontal(pl.col(keys).is_not_null()))
        count, groups = 0, []
        for part in range(partitions):
            mine = frame if partitions == 1 else frame.filter(_hash(keys) % partitions == part)
            if partitions > 1 and self._is_distinct(mine, keys):
                continue
            grouped = mine.group_by(keys).agg(pl.len().alias(size), pl.col(self.row).min().alias(first), pl.col(self.row).max().alias(last))
            (found,) = collected(self.table.name, [grouped.filter(pl.col(size) > 1)])
            count += int(found[size].sum()) - (0 if rule.keep == "none" else found.height)
            # A row to be shown belongs to one of the groups that begin first, unless their first rows are excused.
            groups.append(found if rule.keep == "first" else found.bottom_k(SHOWN_ROWS, by=first))
        if not count:
            return []
        is_broken = {"none": pl.lit(True), "first": pl.col(self.row) != pl.col(first), "last": pl.col(self.row) != pl.col(last)}
        rows = frame.join(pl.concat(groups).lazy(), on=keys, nulls_equal=True).filter(is_broken[rule.keep])
        only = keys[0] if len(keys) == 1 else None
        shown = [self.row, *([only] if only is not None and self.is_showing_values else [])]
        return [_Sample(rule, rule.text, only, count, rows.select(shown).bottom_k(SHOWN_ROWS, by=self.row))]

    def _is_distinct(self, frame: pl.LazyFrame, keys: Sequence[str]) -> bool:
        import polars as pl

        (found,) = collected(self.table.name, [frame.select(pl.len(), _hash(keys).n_unique().alias("distinct"))])
        rows, distinct = found.row(0)
        return bool(rows == distinct)

    # --- references --------------------------------------------------------------------------------------------------

    def _strangers(self, rule: References) -> BrokenRule | _Sample | None:
        """Values that stand nowhere in the other table."""
        import polars as pl

        other = self.others[rule.data]
        theirs = other.frame.collect_schema().get(rule.other)
        ours = self.compiler.dtype(rule.column)
        if theirs is None:
            return by_schema(rule.column, f"{rule.text}: there is no column {rule.other} in {rule.data}")
        key = _free_name("key", self.schema)
        one, two = _comparable(self.compiler.cells(rule.column), ours), _comparable(pl.col(rule.other), theirs)
        if pl.Null in (ours, theirs):
            return None if ours == pl.Null else self._all_strangers(rule)
        if kind_or_name(ours) != kind_or_name(theirs) and not (ours.is_numeric() and theirs.is_numeric()):
            return by_schema(rule.column, f"{rule.text}: {kind_or_name(ours)} here, {kind_or_name(theirs)} there")
        if ours.is_numeric() and not (ours.is_integer() and theirs.is_integer()):
            one, two = one.cast(pl.Float64), two.cast(pl.Float64)
        (known,) = collected(other.name, [other.frame.select(two.alias(key)).drop_nulls().unique()])
        mine = self.table.frame.with_row_index(self.row).with_columns(one.alias(key)).filter(pl.col(key).is_not_null())
        strange = mine.join(known.lazy(), on=key, how="anti", maintain_order="left")
        (count,) = collected(self.table.name, [strange.select(pl.len())])
        return _Sample(rule, rule.text, rule.column, int(count.item()), self._shown(strange, rule.column)) if count.item() else None

    def _all_strangers(self, rule: References) -> _Sample | None:
        import polars as pl

        strange = self.table.frame.with_row_index(self.row).filter(pl.col(rule.column).is_not_null())
        (count,) = collected(self.table.name, [strange.select(pl.len())])
        return _Sample(rule, rule.text, rule.column, int(count.item()), self._shown(strange, rule.column)) if count.item() else None

    def _notes(self, contract: Contract) -> list[str]:
        """Patterns that Polars cannot run."""
        return [
            f"the pattern of {rule.column} was run by Python, which is slower: Polars reads it otherwise"
            for rule in contract.rules
            if isinstance(rule, Matches) and rule.column in self.schema and rust_pattern(rule.pattern, rule.where) is None
        ]


def _told(cells: pl.Series) -> list[Any]:
    """What stands in cells; of times that no calendar has, the numbers they are held as."""
    try:
        return cells.to_list()
    except (OverflowError, ValueError):
        return cells.to_physical().to_list()


def _hash(columns: Sequence[str]) -> pl.Expr:
    """One number for the cells of a row; equal cells have equal numbers."""
    import polars as pl

    return pl.col(columns[0]).hash() if len(columns) == 1 else pl.struct(columns).hash()


def _distinct(rule: Unique) -> pl.Expr:
    """How many rows there are that agree with none before; that of hashes, so at most so many."""
    import polars as pl

    if rule.are_missing_equal:
        return _hash(rule.columns).n_unique()
    is_there = pl.all_horizontal(pl.col(list(rule.columns)).is_not_null())
    return _hash(rule.columns).filter(is_there).n_unique() + (~is_there).sum()


def _comparable(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The same values under one type, so that they can be joined."""
    import polars as pl

    if dtype.is_integer():
        return cells.cast(pl.Int128)
    if dtype.is_decimal():
        return cells.cast(pl.Float64)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return cells.cast(pl.String)
    if isinstance(dtype, pl.Datetime):  # a time without a zone is UTC
        moments = cells.cast(pl.Datetime("us", dtype.time_zone))
        return moments if dtype.time_zone is None else moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return cells


def _free_name(wanted: str, taken: Mapping[str, object]) -> str:
    """A name that no column of the table has."""
    while wanted in taken:
        wanted = f"_{wanted}"
    return wanted
