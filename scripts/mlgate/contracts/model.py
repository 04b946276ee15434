"""A contract as data: rules that any engine can run, however they were written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

Scalar = bool | int | float | str
"""A value in a rule; dates and times are ISO 8601 text."""
Kind = Literal["integer", "number", "string", "boolean", "date", "datetime"]
"""A type in the short form. Every integer is a number; a number that is whole, 1.0, is an integer by value but not by type."""
Level = Literal["fail", "warn"]


@dataclass(frozen=True)
class Rule:
    """What data must satisfy. Rules about values say nothing of missing cells: `NotNull` does."""

    text: str = field(kw_only=True)
    """The rule in words, as evidence holds it: `in_range(0, 120)`, `not nullable`, `column missing`."""
    level: Level = field(kw_only=True, default="fail")


@dataclass(frozen=True)
class OfColumn(Rule):
    """A rule about one column; `Present` apart, it is not asked where the column is absent."""

    column: str


@dataclass(frozen=True)
class Present(OfColumn):
    """The column is there."""


@dataclass(frozen=True)
class OfKind(OfColumn):
    """The column is of that type. Where single cells are to blame (`1.7` in a column of integers, `n/a` in one of numbers), they are
    counted; a column of another type altogether breaks the rule as such."""

    kind: Kind


@dataclass(frozen=True)
class OfDtype(OfColumn):
    """The column has exactly this pandas dtype, once read as pandas reads it: `int64`, `float64`, `object`, `datetime64[ns]`."""

    dtype: str
    is_coercible: bool = False
    """Another type is as good where every value has its equal in this one: no value may change."""


@dataclass(frozen=True)
class NotNull(OfColumn):
    """No missing cell; NaN is one."""


@dataclass(frozen=True)
class InRange(OfColumn):
    """low <= value <= high, strictly where so said. Numbers by value, dates and text in their order."""

    low: Scalar | None = None
    high: Scalar | None = None
    is_low_included: bool = True
    is_high_included: bool = True


@dataclass(frozen=True)
class OneOf(OfColumn):
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class NoneOf(OfColumn):
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Matches(OfColumn):
    """Text matches a regular expression: from its start (`start`, Python's `re.match`), anywhere (`anywhere`), or all of it (`whole`)."""

    pattern: str
    where: Literal["start", "anywhere", "whole"] = "start"


@dataclass(frozen=True)
class OfLength(OfColumn):
    """Characters of a text, both ends included."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Fresh(OfColumn):
    """The newest time of the column is at most so old when the contract is run; times without a zone are UTC."""

    within: timedelta


@dataclass(frozen=True)
class References(OfColumn):
    """Every value stands in a column of another table."""

    data: str
    other: str


@dataclass(frozen=True)
class Unique(Rule):
    """No two rows agree in all of these columns; which of them are broken is `keep`: all but the first, all but the last, or all."""

    columns: tuple[str, ...]
    keep: Literal["first", "last", "none"] = "none"
    are_missing_equal: bool = True
    """Whether two missing cells agree, as pandas has it. Otherwise a row in which one is missing agrees with none, as in SQL."""


@dataclass(frozen=True)
class Holds(Rule):
    """An expression over columns (`config/expressions.py`) holds in every row; where its answer hangs on a missing cell it says nothing."""

    expression: str


@dataclass(frozen=True)
class RowCount(Rule):
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class ColumnsAre(Rule):
    """No column but these, and in this order where so said."""

    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    """Columns that one of these matches (`re.match`) are no strangers."""
    is_exclusive: bool = True
    is_ordered: bool = False


@dataclass(frozen=True)
class Contract:
    """Rules in the order in which they are told, and what no engine but pandera itself can run."""

    rules: tuple[Rule, ...]
    only_pandera: tuple[str, ...] = ()
    """Why pandera is needed too: `check 'my_check' of column 'age'`."""
