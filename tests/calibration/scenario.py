"""The harness: a scenario is a population with an exactly known difference and a function that gives an interval; here it is measured.

To add a method: write a module with `scenarios() -> list[Scenario]`, and add it to `suite.py`. A promise that is no interval's (a
family of slices, many candidates, many looks) is a `Promise`: a function that counts how often it was broken.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlgate.stats.intervals import Interval
from mlgate.stats.planning import Noise
from mlgate.stats.verdict import decide

ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
PASSES = ("better", "no worse")


@dataclass(frozen=True)
class Scenario:
    """Models compared by one metric on samples of one size from one kind of population."""

    family: str
    """Heading of the table it is shown under, such as `confusion table`."""
    metric: str
    n: int
    margin: float
    """Of the rule. Its true loss is this, exactly, where a pass would be false."""
    population: str
    """What the examples are like, for a reader: `4 % disagree, 10 % positive`."""
    draw: Callable[[float, int, np.random.Generator], Iterable[Any]]
    """(loss, runs, generator) -> that many samples of n examples of a population where the candidate is worse by exactly `loss`."""
    interval: Callable[[Any, int], Interval]
    """(sample, seed) -> the interval of the improvement (greater is better: mirror a loss) at CONFIDENCE, as the gate makes it."""
    runs: int = 2000
    """Of each of the two populations, worse by the margin and unchanged, when everything is run."""
    is_quick: bool = False
    """Also run, with fewer runs, by `make test`."""
    noise: Callable[[Any], Noise] | None = None
    """What `mlgate plan` takes from a sample; None where it is the interval."""
    beyond: str = ""
    """Why nothing is promised here, although it is shown; empty where the promise is to hold."""
    is_held_out: bool = False
    """No constant of any method was ever chosen with a look at this population."""

    @property
    def name(self) -> str:
        return f"{self.family} | {self.metric} | n={self.n} | margin {self.margin:g} | {self.population}"


@dataclass(frozen=True)
class Measured:
    """Rates, each a share of the runs."""

    family: str
    metric: str
    n: int
    margin: float
    population: str
    runs: int
    false_pass: float
    """Passed, though worse by the margin. The same as missing the truth from above with the lower bound."""
    high_missed: float
    """Of the same population: the upper bound lies below the truth."""
    unchanged_low_missed: float
    """Of an unchanged model: called better."""
    unchanged_high_missed: float
    """Of an unchanged model: the upper bound lies below nought."""
    false_block: float
    """Of an unchanged model: called worse than the margin allows."""
    cannot_tell: float
    """Of an unchanged model: not shown to be no worse; what `cannot_tell: block` blocks."""
    says_nothing: float
    """Of both: no finite lower bound."""
    methods: dict[str, float]
    """Of both: which method gave the interval."""

    @property
    def worst(self) -> float:
        return max(self.false_pass, self.high_missed, self.unchanged_low_missed, self.unchanged_high_missed)

    @property
    def holds(self) -> bool:
        """Whether all four one-sided bounds, and with them the false passes, keep the promise up to Monte-Carlo error."""
        return self.worst <= allowed(self.runs)


@dataclass(frozen=True)
class Promise:
    """A rate that is promised not to exceed a bound."""

    family: str
    name: str
    bound: float
    """What is promised, without Monte-Carlo error; 1 of a rule that promises nothing and is shown beside ours."""
    count: Callable[[int, np.random.Generator], int]
    """(runs, generator) -> in how many of the runs the promise was broken."""
    runs: int = 2000
    is_quick: bool = False


@dataclass(frozen=True)
class Rate:
    """A promise as measured."""

    family: str
    name: str
    bound: float
    runs: int
    rate: float

    @property
    def holds(self) -> bool:
        return self.rate <= allowed(self.runs, self.bound)


def allowed(runs: int, bound: float = ALPHA) -> float:
    """The bound and three Monte-Carlo standard errors."""
    return bound + 3 * math.sqrt(bound * (1 - bound) / runs)


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())


def measure(scenario: Scenario, runs: int | None = None, attempt: int = 0) -> Measured:
    """Run a scenario; the same numbers every time, others at another attempt."""
    runs = runs or scenario.runs
    missed = {}
    methods: Counter[str] = Counter()
    nothing = 0
    verdicts: Counter[str] = Counter()
    for loss in (scenario.margin, 0.0):
        low = high = 0
        generator = np.random.default_rng([seed_of(scenario.name), int(loss > 0), *([attempt] if attempt else [])])
        drawn = 0
        for run, sample in enumerate(scenario.draw(loss, runs, generator)):
            found = scenario.interval(sample, run)
            low += found.low > -loss
            high += found.high < -loss
            methods[found.method] += 1
            nothing += not math.isfinite(found.low)
            if loss == 0:
                verdicts[decide(found, scenario.margin)] += 1
            drawn += 1
        if drawn != runs:
            raise ValueError(f"{scenario.name}: {drawn} samples where {runs} were asked for")
        missed[loss > 0] = low / runs, high / runs
    return Measured(
        family=scenario.family,
        metric=scenario.metric,
        n=scenario.n,
        margin=scenario.margin,
        population=scenario.population,
        runs=runs,
        false_pass=missed[True][0],
        high_missed=missed[True][1],
        unchanged_low_missed=missed[False][0],
        unchanged_high_missed=missed[False][1],
        false_block=verdicts["worse"] / runs,
        cannot_tell=verdicts["cannot tell"] / runs,
        says_nothing=nothing / (2 * runs),
        methods={name: count / (2 * runs) for name, count in methods.most_common()},
    )


def measure_promise(promise: Promise, runs: int | None = None, attempt: int = 0) -> Rate:
    """Run a promise; the same number every time, another at another attempt."""
    runs = runs or promise.runs
    broken = promise.count(runs, np.random.default_rng([seed_of(promise.name), *([attempt] if attempt else [])]))
    return Rate(promise.family, promise.name, promise.bound, runs, broken / runs)


def as_data(found: Measured | Rate) -> dict[str, Any]:
    """For JSON: rates rounded to what the number of runs supports."""
    return {key: _rounded(value) for key, value in asdict(found).items()} | {"holds": bool(found.holds)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(float(value), 5) if isinstance(value, float) else value
