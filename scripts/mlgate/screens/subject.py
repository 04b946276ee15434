"""What a screen is given, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlgate.config import ScreensConfig
from mlgate.evidence import ScreenItem
from mlgate.screens import chance, encoding
from mlgate.screens.reading import Columns, Rows

_LEAST_ROWS = 100


def keyed(columns: Columns) -> list[str]:
    """Features that make the key of a row: those that both tables have, where there are two."""
    return columns.shared or columns.features


@dataclass(frozen=True)
class Reference:
    """Rows that train is compared with."""

    name: str
    """In a sentence: `the holdout`, `the baseline 4f1c08aa90b1`."""
    rows: Rows


@dataclass(frozen=True)
class Subject:
    """One entry of `data.screens`, read."""

    settings: ScreensConfig
    columns: Columns
    train: Rows
    holdout: Rows | None
    earlier: Reference | None = None
    """Train as it was at the baseline commit."""

    @property
    def keyed(self) -> list[str]:
        """Features that make the key of a row: those that both tables have."""
        return keyed(self.columns)

    @cached_property
    def collision_rate(self) -> float:
        """How likely two rows have equal keys by chance: by the holdout, where there is one, for train may hold what should not be."""
        codes = encoding.codes(self.train.sample, self.keyed, self.columns)
        if chance.has_nearly_unique_column(np.unique(codes, axis=0)):
            return 0.0
        if self.holdout is not None and len(self.holdout.sample) >= _LEAST_ROWS and self.columns.shared:
            codes = encoding.codes(self.holdout.sample, self.keyed, self.columns)
        return chance.collision_rate(codes)

    @property
    def references(self) -> list[Reference]:
        """What train is compared with, the nearest relative first."""
        found = [self.earlier] if self.earlier is not None else []
        return [*found, *([Reference("the holdout", self.holdout)] if self.holdout is not None else [])]


@dataclass(frozen=True)
class Answer:
    """What a screen says."""

    sentence: str
    items: Sequence[ScreenItem] = field(default=())
    """What was found; nothing where the data is clean."""
    is_run: bool = True


def not_run(why: str) -> Answer:
    return Answer(why, is_run=False)


def listed(names: Iterable[object], shown: int = 5) -> str:
    """`'a', 'b' and 3 more`."""
    words = [f"'{name}'" for name in names]
    if len(words) > shown:
        return f"{', '.join(words[:shown])} and {len(words) - shown:,} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def count(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def percent(share: float) -> str:
    """`12 %`, `0.3 %`, `< 0.1 %`."""
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.0f} %" if value >= 10 or value == round(value) else f"{value:.1f} %"
