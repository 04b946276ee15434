"""The short form of a contract: the common rules, written in mlgate.yaml itself. `contracts/short_form.py` makes rules of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, WithJsonSchema, field_validator, model_validator

from mlgate.config.expressions import MAX_LENGTH, ExpressionError, Kind, instant, moment_of, parse, refuse_strangers, resolve
from mlgate.config.values import DataPlace, Seconds, Section
from mlgate.mistakes import MistakeBelowError, kind_of, shortened

MAX_PATTERN = 500
_PATH: TypeAdapter[str] = TypeAdapter(DataPlace)
_TABLE_AND_COLUMN = re.compile(r"(?P<data>.+?\.(?:csv|parquet|pq|jsonl|ndjson|arrow|feather|ipc)|.+):(?P<column>.+)", re.DOTALL)


def _scalar(value: object) -> object:
    """A value as it may stand in data. YAML reads dates by itself; here they are the text that was written."""
    match value:
        case datetime() | date():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise ValueError(f"expected a value of the data, got {kind_of(value)}")
        case bool() | int() | float() | str():
            return value
    raise ValueError(f"expected a number, a text or a yes/no value, got {kind_of(value)}")


def _limits(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"expected [least, greatest], null where there is no limit, got {kind_of(value)}")
    return value


def _reference(value: str) -> str:
    match = _TABLE_AND_COLUMN.fullmatch(value)
    if match is None or match["column"].startswith("//"):  # an address, and no column
        raise ValueError(f"expected a file and its column, such as 'data/countries.csv:code', got '{shortened(value)}'")
    _PATH.validate_python(match["data"])
    return value


# Names and values of data are taken to the letter: blanks at their ends belong to them.
ColumnName = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1000)]
Value = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["boolean", "number", "string"]})]
_Bound = Annotated[Any, BeforeValidator(lambda value: None if value is None else _scalar(value))]
_BOUND_SCHEMA = {"type": ["number", "string", "null"]}
Limits = Annotated[
    tuple[_Bound, _Bound],
    BeforeValidator(_limits),
    WithJsonSchema({"type": "array", "prefixItems": [_BOUND_SCHEMA, _BOUND_SCHEMA], "minItems": 2, "maxItems": 2}),
]
_Count = Annotated[int, Field(ge=0, le=2**62, strict=True)] | None
Counts = Annotated[tuple[_Count, _Count], BeforeValidator(_limits)]
Level = Literal["warn", "fail"]


class ColumnConfig(Section):
    """What a column of the data must be. Rules about values say nothing of missing cells; `nullable` does."""

    type: Kind | None = None
    """`integer`, `number`, `string`, `boolean`, `date` or `datetime`. Left out: any. Nothing is converted: 1.7 is no integer."""
    nullable: bool = False
    """Whether cells may be missing."""
    required: bool = True
    """Whether the column must be there."""
    unique: bool = False
    """Whether no value may occur twice; missing cells do not count."""
    range: Limits | None = None
    """Least and greatest value, both allowed; `null` where there is no limit: `[0, null]`."""
    in_: Annotated[list[Value] | None, Field(alias="in", min_length=1)] = None
    """The values there may be."""
    not_in: Annotated[list[Value] | None, Field(min_length=1)] = None
    """Values there must not be."""
    pattern: Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=MAX_PATTERN)] | None = None
    """Regular expression that the whole text must match."""
    length: Counts | None = None
    """Least and greatest number of characters; `null` where there is no limit."""
    references: Annotated[str, StringConstraints(max_length=1000)] | None = None
    """Another file and its column, `data/countries.csv:code`: every value must stand there."""
    fresh: Seconds | None = None
    """How old the newest date or time may be when the data is checked: `7d`, `36h`. A time without a zone is UTC."""
    level: Level | None = None
    """`warn`: what breaks these rules is told, and stops nothing. Left out: the contract's."""

    @field_validator("references")
    @classmethod
    def _names_a_column(cls, value: str | None) -> str | None:
        return None if value is None else _reference(value)

    @property
    def reference(self) -> tuple[str, str] | None:
        """The other file, and its column."""
        match = _TABLE_AND_COLUMN.fullmatch(self.references) if self.references else None
        return (match["data"], match["column"]) if match else None

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        self._check_limits("range", self.range)
        self._check_limits("length", self.length)
        for key, values in (("range", self.range or ()), ("in", self.in_ or ()), ("not_in", self.not_in or ())):
            self._check_values(key, values)
        for key in ("pattern", "length"):
            if getattr(self, key) is not None and self.type not in (None, "string"):
                raise MistakeBelowError(key, f"is about text, and the column is of type {self.type}")
        if self.range is not None and self.type == "boolean":
            raise MistakeBelowError("range", "yes/no values have no order; leave it out")
        if self.fresh is not None and self.type not in (None, "date", "datetime"):
            raise MistakeBelowError("fresh", f"is about dates and times, and the column is of type {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise MistakeBelowError("pattern", f"'{shortened(self.pattern)}' is no regular expression: {error}") from None
        return self

    def _check_limits(self, key: str, limits: tuple[Any, Any] | None) -> None:
        if limits is None:
            return
        low, high = limits
        if low is None and high is None:
            raise MistakeBelowError(key, "both limits are null, so it asks nothing; leave it out")
        if any(isinstance(limit, bool) for limit in limits):
            raise MistakeBelowError(key, "yes/no values have no order; expected numbers, dates or texts")
        if low is None or high is None:
            return
        if isinstance(low, str) != isinstance(high, str):
            raise MistakeBelowError(key, f"from {kind_of(low)} to {kind_of(high)}; expected two of a kind")
        if _ordered(low, self.type) > _ordered(high, self.type):
            raise MistakeBelowError(key, f"{shortened(low)} is above {shortened(high)}; the lower limit stands first")

    def _check_values(self, key: str, values: tuple[Any, ...] | list[Any]) -> None:
        """A value of another type than the column's is a mistake: no cell could ever be equal to it."""
        for index, value in enumerate(values):
            if value is not None and not _is_of(value, self.type):
                quoted = "; put it in quotes" if self.type == "string" else ""
                raise MistakeBelowError(f"{key}[{index}]", f"{kind_of(value)} in a column of type {self.type}{quoted}")


class ShortForm(Section):
    """Rules about a table that stand in mlgate.yaml itself."""

    columns: dict[ColumnName, ColumnConfig] = {}
    """The short form: rules by column."""
    other_columns: Literal["allow", "refuse"] = "allow"
    """Whether the data may have columns that `columns` does not name."""
    rows: Counts | None = None
    """Least and greatest number of rows; `null` where there is no limit."""
    unique: list[Annotated[list[ColumnName], Field(min_length=1)]] = []
    """Columns that no two rows may agree in: `[[customer_id, plan]]`."""
    expressions: list[Annotated[str, StringConstraints(max_length=MAX_LENGTH)]] = []
    """What must be true in every row: `start <= end`, `abs(total - net - tax) < 0.01`."""
    level: Level = "fail"
    """`warn`: what breaks the contract is told, and stops nothing."""

    @field_validator("columns", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        for name, rules in value.items() if isinstance(value, dict) else ():
            if not isinstance(name, str):
                raise ValueError(f"a column is named {kind_of(name)}; put the name in quotes")  # noqa: TRY004 -- pydantic explains ValueError only
            if not isinstance(rules, dict | ColumnConfig):
                raise MistakeBelowError(name, f"expected rules such as {{type: integer}}, or {{}}, got {kind_of(rules)}")
        return value

    @field_validator("unique", mode="before")
    @classmethod
    def _lists_of_columns(cls, value: object) -> object:
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            raise ValueError(
                f"expected lists of columns, such as [[{', '.join(map(shortened, value))}]]; a single one has its own 'unique'"
            )
        return value

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        if self.rows is not None:
            low, high = self.rows
            if low is None and high is None:
                raise MistakeBelowError("rows", "both limits are null, so it asks nothing; leave it out")
            if low is not None and high is not None and low > high:
                raise MistakeBelowError("rows", f"{low:,} is above {high:,}; the lower limit stands first")
        for index, together in enumerate(self.unique):
            if len(set(together)) < len(together):
                raise MistakeBelowError(f"unique[{index}]", "names a column twice")
        if self.other_columns == "refuse" and not self.columns:
            raise MistakeBelowError("other_columns", "'refuse' needs the columns there may be, in 'columns'")
        kinds: Mapping[str, Kind | None] = {name: column.type for name, column in self.columns.items()}
        for index, text in enumerate(self.expressions):
            try:
                tree = parse(text)
                if self.other_columns == "refuse":
                    refuse_strangers(tree, kinds)
                resolve(tree, kinds, is_closed=False)
            except ExpressionError as error:
                raise MistakeBelowError(f"expressions[{index}]", f"'{shortened(text)}': {error}") from None
        return self

    @property
    def is_asking(self) -> bool:
        """Whether there is any rule."""
        return bool(self.columns or self.rows or self.unique or self.expressions)

    @property
    def referenced(self) -> list[str]:
        """Other data that the rules need, each once."""
        return list(dict.fromkeys(column.reference[0] for column in self.columns.values() if column.reference))


SHORT_FORM = ("columns", "other_columns", "rows", "unique", "expressions", "level")
"""Keys of the short form."""


def _is_of(value: object, kind: Kind | None) -> bool:
    match kind:
        case None:
            return True
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case _:
            return isinstance(value, str) and moment_of(value) is not None


def _ordered(value: Any, kind: Kind | None) -> Any:
    """A limit as something that can be compared with the other one."""
    moment = moment_of(value) if isinstance(value, str) and kind in ("date", "datetime") else None
    return value if moment is None else instant(moment)
