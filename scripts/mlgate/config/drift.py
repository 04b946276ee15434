"""`data.drift`: data whose distribution is compared with what it was."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mlgate.config.values import DataPlace, NonEmpty, Number, Section, is_remote

BASE, CHAMPION = "base", "champion"


def _level(value: object) -> object:
    """YAML 1.1 reads a bare `off` as a no."""
    return "off" if value is False else value


Index = Annotated[Number, Field(gt=0, le=100)]
_PROFILE = re.compile(r"\.profile\.json$", re.IGNORECASE)


class ColumnDriftConfig(Section):
    """A column with thresholds of its own."""

    warn: Index | None = None
    """PSI above which drift is told of."""
    alert: Index | None = None
    """PSI above which it is an alert."""


class DriftConfig(Section):
    """One set of data and what it is compared with."""

    data: DataPlace
    """What is compared: CSV, Parquet, JSON lines or Arrow, or a folder of such files."""
    against: DataPlace = BASE
    """`base`, the same data at the baseline commit; `champion`, the profile kept with the champion; or the path of a table, or of a
    profile (`*.profile.json`)."""
    level: Annotated[Literal["off", "warn", "fail"], BeforeValidator(_level)] = "warn"
    """What an alert does: `warn` tells of it, `fail` stops the run before training, `off` compares nothing."""
    label: NonEmpty | None = None
    """Column of the label, told of on a line of its own."""
    columns: list[NonEmpty] | None = None
    """Columns to compare. Left out: all."""
    except_: Annotated[list[NonEmpty], Field(alias="except")] = []
    """Columns to leave out, such as ids and times that only grow."""
    warn: Index = 0.1
    """PSI above which drift is told of, where it is above what chance gives."""
    alert: Index = 0.2
    """PSI above which it is an alert."""
    thresholds: dict[NonEmpty, ColumnDriftConfig] = {}
    """Thresholds of single columns, by their names."""
    rows: Annotated[Number, Field(gt=0)] | None = 0.5
    """How many more rows, or fewer, are told of: 0.5 for more than one and a half times as many."""
    min_rows: Annotated[int, Field(ge=20)] = 200
    """With fewer rows on either side there is too little data to tell."""
    multivariate: bool | None = None
    """Whether a classifier tries to tell the rows of both apart, which finds what no column shows alone. Left out: where the rows of
    both are there; `true` reads them also where a profile would do."""

    @property
    def names(self) -> list[str]:
        """Files and folders of the working directory that it needs."""
        against = [self.against] if self.against not in (BASE, CHAMPION) else []
        return [name for name in (self.data, *against) if not is_remote(name)]

    @property
    def is_against_profile(self) -> bool:
        return self.against not in (BASE, CHAMPION) and _PROFILE.search(self.against) is not None

    def of_column(self, name: str) -> tuple[float, float]:
        """Thresholds of a column: (warn, alert)."""
        own = self.thresholds.get(name, ColumnDriftConfig())
        alert = self.alert if own.alert is None else own.alert
        return min(self.warn if own.warn is None else own.warn, alert), alert

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.warn > self.alert:
            raise ValueError(f"warn: expected at most alert ({self.alert:g}), got {self.warn:g}")
        for name, own in self.thresholds.items():
            if own.warn is not None and own.warn > (self.alert if own.alert is None else own.alert):
                raise ValueError(f"thresholds.{name}.warn: expected at most its alert")
        if self.columns is not None and self.except_:
            raise ValueError("columns and except: expected one of them, got both")
        if self.against == self.data:
            raise ValueError("against: expected other data than 'data'")
        return self
