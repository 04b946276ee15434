"""What screens find in training data: leakage, poisoning, wrong labels, hygiene, and bias."""

from __future__ import annotations

from typing import Literal

from mlgate.evidence.record import Record, Text


class ScreenItem(Record):
    """One thing that a screen found: of a column, a class, a source or the whole table."""

    where: Text | None
    """Column, class or source; None for the whole table."""
    what: Text
    """In words: `holds e-mail addresses`."""
    rows: int = 0
    """How many rows are concerned; 0 for what is about no single rows."""
    row_numbers: list[int] = []
    """The first ten of them in train, counted from 0 below the header."""
    samples: list[Text] = []
    """Masked: never a value as it stands."""


class ScreenFindings(Record):
    name: Text
    """As the configuration calls it: `leakage`."""
    level: Literal["off", "warn", "fail"]
    verdict: Literal["clean", "warned", "failed", "not run"]
    sentence: Text
    """What was found, or what was looked at, or why nothing was."""
    items: list[ScreenItem] = []


class BiasGroup(Record):
    """Rows of train that agree in protected columns."""

    group: Text
    """`sex = f`, `sex = f, region = north`, `age 30 to 44`."""
    rows: int
    share: float
    """Of all rows."""
    rates: list[float | None]
    """Share of each shown label within the group, or its mean label for numbers; None where no row has a label."""
    earlier_share: float | None = None
    """Of the group in what it is compared with; None where there is nothing."""
    earlier_rates: list[float | None] = []


class BiasFindings(Record):
    columns: list[Text]
    """Protected columns that the groups are of: one, or two together."""
    labels: list[Text]
    """Which rates are shown: classes, or `mean` for a label of numbers."""
    groups: list[BiasGroup]
    groups_in_all: int
    """More than are listed, where there are very many."""
    smallest: Text | None
    """The smallest group; None where there is none."""
    smallest_rows: int = 0
    compared_with: Text | None = None
    """`the baseline 4f1c08aa90b1`, `the holdout`; None where there was nothing to compare with."""


class ScreenedData(Record):
    """One entry of `data.screens`."""

    train: Text
    holdout: Text | None
    rows: int
    holdout_rows: int | None
    screens: list[ScreenFindings]
    bias: list[BiasFindings] = []
    note: Text = ""
    """What was not looked at, and why."""
    duration_s: float

    @property
    def failed(self) -> list[ScreenFindings]:
        return [one for one in self.screens if one.verdict == "failed"]

    @property
    def warned(self) -> list[ScreenFindings]:
        return [one for one in self.screens if one.verdict == "warned"]

    @property
    def why_not_read(self) -> str:
        """Why nothing looked at its rows, where one reason kept all screens from it that were asked for."""
        asked = [one for one in self.screens if one.level != "off" and one.name != "hashes"]
        reasons = {one.sentence for one in asked}
        return reasons.pop() if self.rows == 0 and len(reasons) == 1 and all(one.verdict == "not run" for one in asked) else ""
