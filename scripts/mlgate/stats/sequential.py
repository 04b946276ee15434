"""Comparisons that may be looked at after every batch: for rollouts, which stop as soon as they know.

An interval of a fixed sample errs in one look in twenty; looked at after every batch it errs far more often. The bounds here hold at
all looks at once, and whoever looks may stop, go on or look more often than planned because of what was seen. Each kind of comparison
is a small frozen record that goes into JSON between two looks: `with_batch` takes the next rows, `interval` says what is known.

What a reader should know: a bound speaks of the whole of what was seen, so that it follows a model that gets worse, slowly; rows must
come as they come, not be chosen by their outcome; and how early a bound closes in is tuned to a number of pairs, `target`, which is
where it is narrowest. It holds at every other number too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from mlgate.evidence import Record
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval

Floats = NDArray[np.float64]
Block = tuple[int, int, int]
TwoArmBlock = tuple[int, int, int, int]

ASYMPTOTIC = "asymptotic confidence sequence"
EXACT = "exact anytime-valid interval"

FEWEST_FOR_MEANS = 500
"""Below this many rows (of either arm) means have no bounds: the first looks are where an asymptotic sequence breaks its promise. With
bounds from 200 rows on, a loss that sits in 2 % of the rows beside small noise is missed in 9 % of rollouts, from 500 on in 2 %."""
_FEWEST_IN_A_STRATUM = 10
_BLOCKS_TO_TARGET = 100
_BETS = 24
_LARGEST_BET = 0.9
"""Short of 1, at which one row of the other kind would end the game."""
_GUESSED_DISAGREEMENT, _GUESS_COUNTS = 0.1, 20.0


class Moments(Record):
    """A sample's size, mean, sums of squared and cubed deviations, and range."""

    n: int = Field(default=0, ge=0)
    mean: float = 0.0
    squares: float = Field(default=0.0, ge=0)
    cubes: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, values: Floats) -> Moments:
        if not values.size:
            return cls()
        low, high = float(values.min()), float(values.max())
        if low == high:  # exactly, so that rounding never looks like a spread
            return cls(n=values.size, mean=low, low=low, high=high)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            centred = values - mean
            squares = float(centred @ centred)
            cubes = float((centred * centred) @ centred)
        if not (math.isfinite(mean) and math.isfinite(squares) and math.isfinite(cubes)):
            raise ValueError("numbers too large to compute with")
        return cls(n=values.size, mean=mean, squares=squares, cubes=cubes, low=low, high=high)

    def merged(self, other: Moments) -> Moments:
        """Both samples as one.

        Source: Chan, Golub and LeVeque (1983), American Statistician 37:242-247; Pebay (2008), Sandia report SAND2008-6212, for cubes.
        """
        if not self.n or not other.n:
            return self if self.n else other
        n, delta = self.n + other.n, other.mean - self.mean
        one, rest = self.n / n, other.n / n
        low, high = min(self.low, other.low), max(self.high, other.high)
        if low == high:
            return Moments(n=n, mean=low, low=low, high=high)
        between = delta * delta * self.n * rest
        cubes = self.cubes + other.cubes + between * delta * (one - rest) + 3 * delta * (one * other.squares - rest * self.squares)
        mean, squares = self.mean + delta * rest, self.squares + other.squares + between
        if not (math.isfinite(mean) and math.isfinite(squares) and math.isfinite(cubes)):
            raise ValueError("numbers too large to compute with")
        return Moments(n=n, mean=mean, squares=squares, cubes=cubes, low=low, high=high)


class PairedMeans(Record):
    """Two models' losses, or any number a row, on the same rows: a shadow that answers every request as well."""

    target: int = Field(ge=1)
    differences: Moments = Moments()

    @property
    def n(self) -> int:
        return self.differences.n

    def with_batch(self, candidate: ArrayLike, baseline: ArrayLike) -> Self:
        """The record after further rows.

        Args:
            candidate, baseline: a finite number a row, of shape (b,) each.

        Raises:
            ValueError: not finite, not of one length, or too large to compute with.
        """
        one, other = _numbers(candidate, "candidate"), _numbers(baseline, "baseline")
        _check_paired(one, other)
        with np.errstate(over="ignore"):
            differences = one - other
        if not np.isfinite(differences).all():
            raise ValueError("numbers too large to compute with")
        return self.model_copy(update={"differences": self.differences.merged(Moments.of(differences))})

    def interval(self, confidence: float) -> Interval:
        """Candidate minus baseline, with one-sided bounds that hold at all looks at once; see `asymptotic_bounds`."""
        seen = self.differences
        if seen.n < FEWEST_FOR_MEANS:
            return _unknown(seen.mean, confidence)
        spread = (seen.squares * seen.n / (seen.n - 1), seen.cubes, seen.mean - seen.low, seen.high - seen.mean)
        return _asymptotic_interval(seen.mean, seen.n, spread, self.target, confidence)


class TwoMeans(Record):
    """The mean of a number a row where each row went to one of the models: a canary that gets a share of the requests.

    Every batch is compared within itself and counts by its size: traffic that is different at night, or a share that grows while the
    rollout goes on, does not look like a difference between models. Batches with fewer than 10 rows of a model wait for the next one.
    """

    target: int = Field(ge=1)
    candidates: int = Field(default=0, ge=0)
    """Rows in finished strata."""
    baselines: int = Field(default=0, ge=0)
    weight: float = Field(default=0.0, ge=0)
    """Half the pairs that would tell as much: the sum over strata of w = n m / (n + m)."""
    weighted_difference: float = 0.0
    variance: float = Field(default=0.0, ge=0)
    """Of `weighted_difference`."""
    third_cumulant: float = 0.0
    farthest_low: float = Field(default=0.0, ge=0)
    """How far one row has moved `weighted_difference` down, and up."""
    farthest_high: float = Field(default=0.0, ge=0)
    open_candidate: Moments = Moments()
    open_baseline: Moments = Moments()

    @property
    def n(self) -> tuple[int, int]:
        """Rows of the candidate and of the baseline, those that wait among them."""
        return self.candidates + self.open_candidate.n, self.baselines + self.open_baseline.n

    def with_batch(self, candidate: ArrayLike, baseline: ArrayLike) -> Self:
        """The record after further rows, of shape (b,) and (c,). Raises ValueError: not finite, or too large to compute with."""
        one = self.open_candidate.merged(Moments.of(_numbers(candidate, "candidate")))
        other = self.open_baseline.merged(Moments.of(_numbers(baseline, "baseline")))
        if min(one.n, other.n) < _FEWEST_IN_A_STRATUM:
            return self.model_copy(update={"open_candidate": one, "open_baseline": other})
        weight = one.n * other.n / (one.n + other.n)
        by_one, by_other = weight / one.n, weight / other.n  # how far a row moves the weighted difference
        found = {
            "weighted_difference": self.weighted_difference + weight * (one.mean - other.mean),
            "variance": self.variance + by_one**2 * _k2(one) * one.n + by_other**2 * _k2(other) * other.n,
            "third_cumulant": self.third_cumulant + by_one**3 * _k3(one) * one.n - by_other**3 * _k3(other) * other.n,
            "farthest_low": max(self.farthest_low, by_one * (one.mean - one.low), by_other * (other.high - other.mean)),
            "farthest_high": max(self.farthest_high, by_one * (one.high - one.mean), by_other * (other.mean - other.low)),
        }
        if not all(math.isfinite(value) for value in found.values()):
            raise ValueError("numbers too large to compute with")
        counts = {"candidates": self.candidates + one.n, "baselines": self.baselines + other.n, "weight": self.weight + weight}
        return self.model_copy(update={**counts, **found, "open_candidate": Moments(), "open_baseline": Moments()})

    def interval(self, confidence: float) -> Interval:
        """Candidate minus baseline within batches, with one-sided bounds that hold at all looks at once; see `asymptotic_bounds`."""
        estimate = self.weighted_difference / self.weight if self.weight else 0.0
        if min(self.candidates, self.baselines) < FEWEST_FOR_MEANS:
            return _unknown(estimate, confidence)
        spread = (self.variance, self.third_cumulant, self.farthest_low, self.farthest_high)
        return _asymptotic_interval(estimate, self.weight, spread, self.target / 2, confidence)


class PairedProportions(Record):
    """Right or wrong of two models on the same rows. The bounds are exact at every number of rows."""

    target: int = Field(ge=1)
    blocks: tuple[Block, ...] = ()
    """(gained, lost, rows) of each; the last one may still grow."""

    @property
    def n(self) -> int:
        return sum(block[2] for block in self.blocks)

    @property
    def mirrored(self) -> Self:
        """The models exchanged."""
        return self.model_copy(update={"blocks": tuple((lost, gained, rows) for gained, lost, rows in self.blocks)})

    def with_batch(self, candidate: ArrayLike, baseline: ArrayLike) -> Self:
        """The record after further rows: whether each model was right, of shape (b,). Raises ValueError: not 0/1, not of one length."""
        one, other = _flags(candidate, "candidate"), _flags(baseline, "baseline")
        _check_paired(one, other)
        if not one.size:
            return self
        batch = (int(np.count_nonzero(one & ~other)), int(np.count_nonzero(other & ~one)), one.size)
        blocks = list(self.blocks)
        if blocks and blocks[-1][2] < _block_size(self.target, self.n - blocks[-1][2]):
            last = blocks.pop()
            batch = (last[0] + batch[0], last[1] + batch[1], last[2] + batch[2])
        return self.model_copy(update={"blocks": (*blocks, batch)})

    def log_e_value(self, difference: float, confidence: float) -> float:
        """Log of the evidence against `candidate - baseline <= difference`: reject once it reaches -log(1 - confidence)."""
        return float(self.log_e_values(difference, confidence)[-1]) if self.blocks else 0.0

    def log_e_values(self, difference: float, confidence: float) -> Floats:
        """The same after each block."""
        gained, lost, rows = np.array(self.blocks, dtype=np.float64).reshape(-1, 3).T
        return paired_log_wealth(gained, lost, rows, difference, self.target, confidence)

    def interval(self, confidence: float) -> Interval:
        """Candidate minus baseline, with one-sided bounds that hold at all looks at once."""
        estimate = sum(gained - lost for gained, lost, _ in self.blocks) / max(self.n, 1)
        low, high = (_lowest_kept(one.log_e_value, confidence) for one in (self, self.mirrored))
        return Interval(estimate, low, -high, EXACT)


class TwoProportions(Record):
    """Right or wrong where each row went to one of the models. The bounds are exact at every number of rows."""

    target: int = Field(ge=1)
    blocks: tuple[TwoArmBlock, ...] = ()
    """(right, rows) of the candidate, then of the baseline; the last one may still grow, and does not count until it is full."""

    @property
    def n(self) -> tuple[int, int]:
        """Rows of the candidate and of the baseline, those that wait among them."""
        return sum(block[1] for block in self.blocks), sum(block[3] for block in self.blocks)

    @property
    def mirrored(self) -> Self:
        """The models exchanged."""
        return self.model_copy(update={"blocks": tuple((*block[2:], *block[:2]) for block in self.blocks)})

    @property
    def finished(self) -> tuple[TwoArmBlock, ...]:
        """The blocks that count."""
        return self.blocks if self._is_last_full else self.blocks[:-1]

    @property
    def _is_last_full(self) -> bool:
        before = sum(_pairs(block) for block in self.blocks[:-1])
        return not self.blocks or _pairs(self.blocks[-1]) >= _block_size(self.target, before)

    def with_batch(self, candidate: ArrayLike, baseline: ArrayLike) -> Self:
        """The record after further rows: whether the model was right, of shape (b,) and (c,). Raises ValueError: not 0/1."""
        one, other = _flags(candidate, "candidate"), _flags(baseline, "baseline")
        if not one.size and not other.size:
            return self
        batch = (int(np.count_nonzero(one)), one.size, int(np.count_nonzero(other)), other.size)
        blocks = list(self.blocks)
        if not self._is_last_full:
            last = blocks.pop()
            batch = (last[0] + batch[0], last[1] + batch[1], last[2] + batch[2], last[3] + batch[3])
        return self.model_copy(update={"blocks": (*blocks, batch)})

    def log_e_value(self, difference: float, confidence: float) -> float:
        """Log of the evidence against `candidate - baseline <= difference`: reject once it reaches -log(1 - confidence)."""
        return float(self.log_e_values(difference, confidence)[-1]) if self.finished else 0.0

    def log_e_values(self, difference: float, confidence: float) -> Floats:
        """The same after each block that counts."""
        counts = np.array(self.finished, dtype=np.float64).reshape(-1, 4).T
        return two_arm_log_wealth(*counts, difference=difference, target=self.target, confidence=confidence)

    def interval(self, confidence: float) -> Interval:
        """Candidate minus baseline, with one-sided bounds that hold at all looks at once; the estimate is that within blocks."""
        weights = [_pairs(block) for block in self.finished]
        differences = [block[0] / block[1] - block[2] / block[3] for block in self.finished]
        estimate = math.fsum(w * d for w, d in zip(weights, differences, strict=True)) / math.fsum(weights) if weights else 0.0
        low, high = (_lowest_kept(one.log_e_value, confidence) for one in (self, self.mirrored))
        return Interval(estimate, low, -high, EXACT)


def asymptotic_bounds(information: ArrayLike, target: float, confidence: float) -> Floats:
    """How many standard errors a one-sided bound lies from the estimate, so that it holds at all looks at once.

    Args:
        information: what was seen at each look, in units of `target`, above 0; any shape.
        target: where the bound is to be narrowest.
        confidence: one-sided, in (0.5, 1).

    Source: Robbins (1970), Annals of Mathematical Statistics 41:1397-1409, the normal mixture; in its one-sided closed form Howard,
    Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49:1055-1080, eq. 3.7; with an estimated variance Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52:2613-2640.
    """
    scaled = np.asarray(information, dtype=np.float64) * (mixture_information(confidence) / target)
    grown = scaled + 1
    return np.asarray(np.sqrt(2 * grown / scaled * np.log1p(np.sqrt(grown) / (2 * (1 - confidence)))))


def mixture_information(confidence: float) -> float:
    """The mixture's precision, as a multiple of 1 / target, at which the boundary is narrowest at the target.

    The two-sided boundary at level a is narrowest where x = log(1 + x) - 2 log(a); the one-sided one at level a is taken for the
    two-sided one at 2 a, as Howard et al. (2021), section 3.5, and Waudby-Smith et al. (2024), appendix B.2, do.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"expected a one-sided confidence in (0.5, 1), got {confidence}")
    level = -2 * math.log(2 * (1 - confidence))
    x = level + 1
    for _ in range(200):
        x = level + math.log1p(x)
    return x


def paired_log_wealth(gained: Floats, lost: Floats, rows: Floats, difference: float, target: float, confidence: float) -> Floats:
    """Log of an e-process against `p(candidate) - p(baseline) <= difference`, after each block.

    A gambler multiplies her money, a row at a time, by 1 - c + c (1 + d) / (1 + difference), where d is 1, 0 or -1: no bet in [0, 1] on
    this gains if the claim is true, so that her money ever reaches 1 / alpha with probability alpha at most. A mixture of bets is one,
    too; they are those of Robbins' mixture, by the disagreement of the blocks before. It falls in `difference`.

    Args:
        gained, lost, rows: by block, of shape (..., k); rows above 0.
        difference: in [-1, 1].

    Source: Waudby-Smith and Ramdas (2024), Journal of the Royal Statistical Society B 86:1-27, for the betting; the test of two paired
    proportions is theirs for the mean of a value in {-1, 0, 1}.
    """
    if difference <= -1:  # every row is lost: one that is not settles it
        return np.asarray(np.where(np.cumsum(rows - lost, axis=-1) > 0, np.inf, 0.0))
    counted = _before(rows) + _GUESS_COUNTS
    disagreement = (_before(gained + lost) + _GUESSED_DISAGREEMENT * _GUESS_COUNTS) / counted
    bets = _bets(disagreement, target, confidence)
    gain = 1 / (1 + difference)
    terms = (
        gained[..., None] * np.log1p(bets * (2 * gain - 1))
        + (rows - gained - lost)[..., None] * np.log1p(bets * (gain - 1))
        + lost[..., None] * np.log1p(-bets)
    )
    return _mixed(np.cumsum(terms, axis=-2))


def two_arm_log_wealth(
    right: Floats, rows: Floats, baseline_right: Floats, baseline_rows: Floats, *, difference: float, target: float, confidence: float
) -> Floats:
    """Log of an e-process against `p(candidate) - p(baseline) <= difference` of two independent streams, after each block.

    Of a block with n and m rows and any pair of probabilities (p, q) with p - q = difference, the product over its rows of
    1 + b (y - p) / n for the candidate and 1 - b (y - q) / m for the baseline has an expectation of at most 1 under the claim, for any
    b >= 0 that leaves all factors positive: it is the likelihood ratio of Turner, Ly and Grünwald with (p, q) the point of the claim
    nearest to an alternative, written by that point instead of by the alternative. (p, q) and the scale of the bets come from the blocks
    before, their size from Robbins' mixture. It falls in `difference`.

    Args:
        right, rows, baseline_right, baseline_rows: by block, of shape (..., k); rows above 0.
        difference: in [-1, 1].

    Source: Turner, Ly and Grünwald (2024), Journal of Statistical Planning and Inference 230:106116; for a difference that is not 0
    Turner and Grünwald (2023), Statistics & Probability Letters 198:109835, theorem 1.
    """
    seen, seen_right = _before(rows), _before(right)
    seen_baseline, seen_baseline_right = _before(baseline_rows), _before(baseline_right)
    counted = seen + seen_baseline + 1
    pooled = (seen_right + seen_baseline_right + 0.5) / counted
    candidate = pooled + difference * (seen_baseline + 0.5) / counted
    candidate = np.clip(candidate, max(0.0, difference), min(1.0, 1 + difference))[..., None]
    baseline = np.clip(candidate - difference, 0.0, 1.0)  # within by construction; rounding may leave
    # b / n is the bet on a row of the candidate; the greater of the two is at most `_LARGEST_BET`
    bets = _bets(pooled * (1 - pooled), target / 2, confidence)
    both = (rows + baseline_rows)[..., None]
    by_candidate, by_baseline = bets * baseline_rows[..., None] / both, bets * rows[..., None] / both
    terms = (
        right[..., None] * np.log1p(by_candidate * (1 - candidate))
        + (rows - right)[..., None] * np.log1p(-by_candidate * candidate)
        + baseline_right[..., None] * np.log1p(-by_baseline * (1 - baseline))
        + (baseline_rows - baseline_right)[..., None] * np.log1p(by_baseline * baseline)
    )
    return _mixed(np.cumsum(terms, axis=-2))


def _bets(variance: Floats, target: float, confidence: float) -> Floats:
    """Equally weighted bets for each block, of shape (..., k, bets): quantiles of the half-normal distribution of Robbins' mixture."""
    quantiles = np.array([normal_quantile(0.5 + (step + 0.5) / (2 * _BETS)) for step in range(_BETS)])
    scale = np.sqrt(mixture_information(confidence) / (target * variance))
    return np.asarray(np.minimum(scale[..., None] * quantiles, _LARGEST_BET))


def _mixed(log_wealth: Floats) -> Floats:
    """Log of the mean over the last axis of their exponentials."""
    greatest = log_wealth.max(axis=-1)
    return np.asarray(greatest + np.log(np.exp(log_wealth - greatest[..., None]).mean(axis=-1)))


def _before(counts: Floats) -> Floats:
    """Sums over the blocks before each."""
    return np.asarray(np.cumsum(counts, axis=-1) - counts)


def _lowest_kept(log_e_value: Callable[[float, float], float], confidence: float) -> float:
    """The greatest difference, to rounding, such that it and all below are rejected; -1 where none is."""
    mixture_information(confidence)  # refuses what is out of range
    threshold = -math.log1p(-confidence)
    low, high = -1.0, 1.0
    if log_e_value(high, confidence) >= threshold:
        return high
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if log_e_value(middle, confidence) >= threshold else (low, middle)
    return low


def _asymptotic_interval(
    estimate: float, information: float, spread: tuple[float, float, float, float], target: float, confidence: float
) -> Interval:
    """Bounds from the variance and the third cumulant of information * estimate and from its farthest terms below and above.

    The variance is not known and losses are skewed: as in `means.mean_interval` each bound is computed with z^2 / 2 further terms
    like the farthest on its side and moved outwards by Hall's correction. Terms that are all the same say nothing.
    """
    variance, cumulant, farthest_low, farthest_high = spread
    if not variance > 0:
        return _unknown(estimate, confidence)
    quantile, added = float(asymptotic_bounds(information, target, confidence)), normal_quantile(confidence) ** 2 / 2

    def distance(third: float, farthest: float) -> float:
        """To the upper bound."""
        scale = math.sqrt(variance + added * farthest * farthest)
        skew = third / scale / scale / scale + added * (farthest / scale) ** 3
        return max(quantile, _hall_quantile(quantile, -skew)) * scale / information

    return Interval(estimate, estimate - distance(-cumulant, farthest_low), estimate + distance(cumulant, farthest_high), ASYMPTOTIC)


def _hall_quantile(quantile: float, skew: float) -> float:
    """Where Hall's transformation of the studentised mean reaches `quantile`. Hall (1992), J. R. Statist. Soc. B 54:221-228."""
    if abs(skew) < 1e-8:
        return quantile
    return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)


def _unknown(estimate: float, confidence: float) -> Interval:
    mixture_information(confidence)  # refuses what is out of range
    return Interval(estimate, -math.inf, math.inf, ASYMPTOTIC)


def _block_size(target: int, seen: float) -> float:
    """How much a block must hold: a hundredth of the target, or of what was seen, so that their number stays small."""
    return max(target, seen) / _BLOCKS_TO_TARGET


def _pairs(block: TwoArmBlock) -> float:
    """The pairs that would tell as much: the harmonic mean of the arms' sizes."""
    return 2 * block[1] * block[3] / (block[1] + block[3])


def _k2(moments: Moments) -> float:
    """Unbiased variance."""
    return moments.squares / (moments.n - 1)


def _k3(moments: Moments) -> float:
    """Unbiased third cumulant."""
    return moments.cubes * moments.n / ((moments.n - 1) * (moments.n - 2))


def _numbers(values: ArrayLike, name: str) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{name}: expected one number a row, got an array of shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity in row {int(np.flatnonzero(~np.isfinite(numbers))[0])}")
    return numbers


def _flags(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    numbers = _numbers(values, name)
    if not ((numbers == 0) | (numbers == 1)).all():
        raise ValueError(f"{name}: expected whether it was right, 0 or 1 a row")
    return np.asarray(numbers == 1)


def _check_paired(candidate: NDArray[np.generic], baseline: NDArray[np.generic]) -> None:
    if candidate.shape != baseline.shape:
        raise ValueError(f"expected the same rows of both models, got {candidate.size} and {baseline.size}")
