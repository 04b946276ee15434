"""Numbers as people read them: proportions in per cent and percentage points, as many decimals as the interval is worth."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mlgate import console
from mlgate.config import FAIRNESS_RATES

NBSP = "\u00a0"
MINUS = "\u2212"
NONE = "–"

PROPORTIONS = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        *FAIRNESS_RATES,
        *(f"{name}_{how}" for name in ("precision", "recall", "f1") for how in ("macro", "micro", "weighted", "binary")),
    }
)


@dataclass(frozen=True)
class Scale:
    """How the numbers of one metric are written: the same for baseline, candidate and difference."""

    factor: float
    decimals: int
    unit: str
    difference_unit: str

    def value(self, number: float | None) -> str:
        return NONE if number is None else _number(number * self.factor, self.decimals) + self.unit

    def difference(self, number: float | None) -> str:
        return NONE if number is None else self._signed(number) + self.difference_unit

    def amount(self, number: float) -> str:
        """How much, whatever the direction: `2.4 pt`."""
        return self.difference(abs(number)).removeprefix("+")

    def interval(self, low: float | None, high: float | None) -> str:
        """`−0.3 to +2.5`; only a bound that exists is named."""
        if low is None and high is None:
            return ""
        if low is None or high is None:
            return f"at least{NBSP}{self._signed(low)}" if low is not None else f"at most{NBSP}{self._signed(high or 0.0)}"
        return f"{self._signed(low)}{NBSP}to{NBSP}{self._signed(high)}"

    def margin(self, number: float) -> str:
        """A margin as the user wrote it, in the unit of the difference."""
        return f"{number * self.factor:.6g}{self.difference_unit}"

    def loss(self, number: float) -> str:
        """A loss that can be seen: `0.7 pt`, rounded up."""
        return self.margin(rounded_up(number))

    def _signed(self, number: float) -> str:
        written = _number(number * self.factor, self.decimals)
        return written if written.startswith(MINUS) or not written.strip("0.,") else f"+{written}"


def scale_of(metric: str, values: list[float | None], low: float | None = None, high: float | None = None) -> Scale:
    """The scale that fits a metric: two digits of the interval's half width, or four of the value where there is no interval."""
    known = [abs(value) for value in values if value is not None]
    is_proportion = metric in PROPORTIONS and all(value <= 1 for value in known)
    factor = 100.0 if is_proportion else 1.0
    if low is not None and high is not None and (half := (high - low) / 2 * factor) > 0:
        decimals = 1 - math.floor(math.log10(half))
    else:
        largest = max((value * factor for value in known), default=0.0)
        decimals = 3 - math.floor(math.log10(largest)) if largest > 0 else 0
        decimals = min(decimals, 1) if is_proportion else decimals
        if not is_proportion and known and all(value == int(value) for value in known):
            decimals = 0
    lowest = 1 if is_proportion else 0
    unit, difference_unit = (f"{NBSP}%", f"{NBSP}pt") if is_proportion else ("", "")
    return Scale(factor, max(lowest, min(decimals, 3 if is_proportion else 6)), unit, difference_unit)


def rounded_up(number: float) -> float:
    """To two significant digits, never less: a loss that is rounded down is not seen."""
    if number <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(round(number / unit, 6)) * unit:.12g}")


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, no number parted from its unit."""
    return re.sub(r"(?<=\d) ", NBSP, console.duration(seconds))


def size(count: int) -> str:
    """`812 bytes`, `14.2 kB`, `3.1 GB`, no number parted from its unit."""
    return console.size(count).replace(" ", NBSP)


def share(part: float) -> str:
    """`12 %`, `0.02 %`, `< 0.01 %`; never 0 % or 100 % for what is a little more or less."""
    percent = part * 100
    if abs(percent) > 1e9:  # of evidence that a stranger made up
        return f"{percent:.3g}{NBSP}%"
    if 0 < percent < 0.01:
        return f"<{NBSP}0.01{NBSP}%"
    if 99.9 < percent < 100:
        return f">{NBSP}99.9{NBSP}%"
    decimals = 0 if percent in (0, 100) or (percent >= 10 and round(percent) < 100) else 1 if percent >= 1 else 2
    return f"{percent:.{decimals}f}{NBSP}%"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 rule`, `3 rules`, `14,998 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def needed(examples: int | None) -> str:
    """How many examples a rule needs, as far as anybody would collect them: `2,535`, `over 1 million`."""
    if not examples:
        return NONE
    return f"{examples:,}" if examples <= 1_000_000 else f"over 1{NBSP}million"


def about(number: int, one: str) -> str:
    """`410 rows`, `1,300 rows` of 1,234: rounded up to two digits, where more would only look exact."""
    return count(int(rounded_up(number)), one)


def _number(number: float, decimals: int) -> str:
    if number and not 1e-6 <= abs(number) < 1e9:
        return f"{number:.3g}".replace("-", MINUS)
    written = f"{number:,.{decimals}f}"
    if not written.strip("-0.,"):
        written = written.lstrip("-")
    return written.replace("-", MINUS)
