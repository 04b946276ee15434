"""What a rule can be expected to do before it does it: how often it fails a model that is exactly as good, the smallest loss a holdout
can see, how many examples a margin needs, and what a published estimator that does not pair would ask for.

Everything rests on how far the difference of two models that are in truth equally good strays on a holdout: `PairedProportions` for shares
of examples that are right, `NormalDifference` for every other metric. Both answer the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mlgate.stats import confusion
from mlgate.stats.distributions import binomial_tail, normal_quantile
from mlgate.stats.intervals import Interval, tango_lies_above
from mlgate.stats.means import ALLOWING, FEWEST, USUAL_WIDENING

POWER = 0.8
ASSUMED_DISAGREEMENT = 0.1
"""Share of examples that one of two models gets right and the other wrong, where no pair of them is at hand."""
ASSUMED_CORRELATION = 0.9
"""Of the losses of two models on the same examples, where no pair of them is at hand."""
MOST_EXAMPLES = 1_000_000_000
"""Beyond this many nobody would collect them: no number is given."""

EXACT, APPROXIMATE = "exact sum over all counts", "normal approximation"
_MOST_SUMMED = 2_000
"""Expected disagreements up to which all counts are summed over; beyond, the normal approximation is off by less than 0.002."""
_TAIL = 8.0
"""Standard deviations beyond which no count adds anything that a double would notice."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Outcomes:
    """How often each verdict comes out over many holdouts; together 1."""

    better: float
    no_worse: float
    cannot_tell: float
    worse: float
    method: str
    """How these were computed."""

    @property
    def passes(self) -> float:
        return self.better + self.no_worse


class Noise(Protocol):
    """How far the difference of two models strays on a holdout of n examples, whatever the truth is."""

    @property
    def n(self) -> int: ...

    @property
    def standard_error(self) -> float:
        """Of the difference, where the models are equally good."""
        ...

    def at(self, n: int) -> Self:
        """The same on a holdout of another size."""
        ...

    def outcomes(self, margin: float, confidence: float, improvement: float = 0.0) -> Outcomes:
        """What the verdicts of `stats.verdict.decide` come to.

        Args:
            margin: of the rule, in units of the metric, at least 0.
            confidence: one-sided, in (0.5, 1).
            improvement: what the candidate is better by in truth; below 0, worse.
        """
        ...

    def passes(self, margin: float, confidence: float) -> float:
        """How often a model exactly as good is found better or no worse: the power of the rule."""
        ...

    def falls_short(self, value: float, limit: float, improvement: float = 0.0) -> float:
        """How often the candidate's value on this holdout lies below a threshold.

        Args:
            value: the baseline's on this very holdout, in the direction of better (minus a value that is better when lower).
            limit: the threshold, in the same direction.
            improvement: what the candidate is better by in truth.
        """
        ...


@dataclass(frozen=True)
class PairedProportions:
    """The share of examples that are right, compared by Tango's interval: gains and losses are multinomial."""

    n: int
    disagreement: float
    """Share of examples that one model alone gets right, in [0, 1]. No pair that disagreed is no proof that none would: at least the share
    that n examples could have missed counts, 1 / n."""

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.disagreement <= 1:
            raise ValueError(f"expected n >= 1 and a disagreement in [0, 1], got n={self.n}, disagreement={self.disagreement}")

    @property
    def standard_error(self) -> float:
        return math.sqrt(self._psi(0.0) / self.n)

    def at(self, n: int) -> PairedProportions:
        return replace(self, n=n)

    def outcomes(self, margin: float, confidence: float, improvement: float = 0.0) -> Outcomes:
        """As `Noise.outcomes`: the exact sum over all gains and losses; of many, the normal approximation of their difference, held
        against the exact limits of the score test.

        Raises:
            ValueError: models cannot differ by more than they disagree.

        Source: the trinomial distribution of the counts; sizes and power of the score test in Liu, Hsueh, Hsieh and Chen (2002),
        Statistics in Medicine 21:231-245.
        """
        psi, margin = self._psi(improvement), min(margin, 1 - 1e-9)

        def is_better(gained: float, lost: float) -> bool:
            return tango_lies_above(0.0, gained, lost, self.n, confidence)

        def is_no_worse(gained: float, lost: float) -> bool:
            return tango_lies_above(-margin, gained, lost, self.n, confidence)

        def is_not_worse(gained: float, lost: float) -> bool:
            return not tango_lies_above(margin, lost, gained, self.n, confidence)

        # From better to worse: each of these holds up to some number of losses, and no further.
        better, passing, open_ = self._shares((is_better, is_no_worse, is_not_worse), psi, improvement)
        method = EXACT if self.n * psi <= _MOST_SUMMED else APPROXIMATE
        return Outcomes(better, passing - better, open_ - passing, 1 - open_, method)

    def passes(self, margin: float, confidence: float) -> float:
        limit = min(margin, 1 - 1e-9)
        return self._shares((lambda gained, lost: tango_lies_above(-limit, gained, lost, self.n, confidence),), self._psi(0.0), 0.0)[0]

    def falls_short(self, value: float, limit: float, improvement: float = 0.0) -> float:
        psi, right = self._psi(improvement), round(value * self.n)
        if abs(value * self.n - right) > 1e-6:  # of another holdout, or of a mean of several
            return NormalDifference(self.n, self.standard_error).falls_short(value, limit, improvement)
        return 1 - self._shares((lambda gained, lost: (right + gained - lost) / self.n >= limit,), psi, improvement)[0]

    def _psi(self, improvement: float) -> float:
        psi = min(max(self.disagreement, 1 / self.n), 1.0)
        if abs(improvement) > psi:
            raise ValueError(f"models that disagree on a share of {psi:g} cannot differ by {abs(improvement):g}")
        return psi

    def _shares(self, holding: tuple[Callable[[float, float], bool], ...], psi: float, improvement: float) -> list[float]:
        """How often each condition on (gained, lost) holds; each must hold up to some number of losses among so many disagreements."""
        losing = (psi - improvement) / 2 / psi
        if self.n * psi > _MOST_SUMMED:
            return [self._share_of_many(holds, psi, improvement) for holds in holding]
        counts = _counts(self.n, psi, losing)
        rows = np.arange(counts.disagreeing.size)
        shares = []
        for holds in holding:
            first = np.clip(_first_failing(holds, counts.disagreeing) - counts.fewest_lost, 0, counts.below.shape[1] - 1)
            shares.append(min(float(counts.weights @ counts.below[rows, first]), 1.0))
        return shares

    def _share_of_many(self, holds: Callable[[float, float], bool], psi: float, improvement: float) -> float:
        """With the number of disagreements at its expectation, and their difference normal."""
        count = self.n * psi
        low, high = 0.0, count  # losses
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(count - middle, middle) else (low, middle)
        limit = 1 - 2 * low / count  # the least difference at which it holds, as a share of the disagreements
        spread = math.sqrt(max(psi - improvement**2, 0.0) / self.n)
        return _NORMAL.cdf((improvement - limit * psi) / spread) if spread > 0 else float(improvement >= limit * psi)


@dataclass(frozen=True)
class NormalDifference:
    """A difference that is normal around the truth: of means and of everything that depends on the rows smoothly."""

    n: int
    standard_error: float
    """Of the improvement on n examples; at least 0."""
    widening: float = 1.0
    """How many times as far as z standard errors below the estimate the method sets its lower bound, for what a sample may not hold."""
    above: float | None = None
    """The same of the upper bound; None where it is as far. Skewed losses are given more room on the side that they may stray to."""
    enough: int = 0
    """How many examples end its allowance for losses that a small sample does not show; 0 where it makes none."""
    is_imagined: bool = False
    """The room beyond z standard errors is that of a fixed number of imagined examples: the more real ones, the less it is."""
    is_fixed: bool = False
    """Part of it is noise of training, which more examples leave as it is: other sizes cannot be planned."""

    def at(self, n: int) -> NormalDifference:
        """Standard errors shrink with the square root of the number of examples, an allowance for unseen losses with the number itself."""
        error = self.standard_error * math.sqrt(self.n / n)
        above = None if self.above is None else self._widening_at(n, self.above)
        return replace(self, n=n, standard_error=error, widening=self._widening_at(n, self.widening), above=above)

    def _widening_at(self, n: int, widening: float) -> float:
        if n == self.n:
            return widening
        if self.enough:
            usual = min(widening, USUAL_WIDENING)
            return usual if n >= self.enough else max(usual, widening * math.sqrt(self.n / n))
        if self.is_imagined and widening > 1:
            return math.sqrt(1 + (widening * widening - 1) * self.n / n)
        return widening

    def outcomes(self, margin: float, confidence: float, improvement: float = 0.0) -> Outcomes:
        """As `Noise.outcomes`; the interval reaches so many standard errors to either side."""
        z = normal_quantile(confidence)
        below, above = z * self.widening, z * (self.widening if self.above is None else self.above)
        better = self._exceeds(improvement, below)
        passing = self._exceeds(improvement + margin, below)
        open_ = self._exceeds(improvement + margin, -above)
        return Outcomes(better, passing - better, open_ - passing, 1 - open_, APPROXIMATE)

    def passes(self, margin: float, confidence: float) -> float:
        return self._exceeds(margin, normal_quantile(confidence) * self.widening)

    def falls_short(self, value: float, limit: float, improvement: float = 0.0) -> float:
        if self.standard_error == 0:
            return float(value + improvement < limit)
        return _NORMAL.cdf((limit - value - improvement) / self.standard_error)

    def _exceeds(self, distance: float, z: float) -> float:
        """How often the difference plus `distance` is more than z standard errors."""
        if self.standard_error == 0:
            return float(distance > 0 or (distance == 0 and z < 0))
        return _NORMAL.cdf(distance / self.standard_error - z)


def noise_of(improvement: Interval, n: int, confidence: float, *, is_fixed: bool = False) -> NormalDifference | None:
    """What an interval says of the noise: its bounds lie z standard errors away, or more of them where it knows its standard error.

    Args:
        improvement: greater is better; `stats.verdict.towards_better` mirrors what is not.
        n: examples.
        confidence: of each bound.
        is_fixed: as `NormalDifference.is_fixed`.

    Returns:
        None where it has no finite bounds.
    """
    z = normal_quantile(confidence)
    half = (improvement.high - improvement.low) / 2
    if not math.isfinite(half):
        return None
    error = improvement.standard_error or half / z
    if error == 0:
        return NormalDifference(n, 0.0, is_fixed=is_fixed)
    return NormalDifference(
        n,
        error,
        (improvement.estimate - improvement.low) / error / z,
        (improvement.high - improvement.estimate) / error / z,
        ALLOWING.get(improvement.method, 0),
        improvement.method == confusion.METHOD,
        is_fixed,
    )


def twin_rows(kinds: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Rows whose answers an imagined model gives that is exactly as good as the one at hand: a share of the rows exchange their answers at
    random among rows of one kind. Every table of kinds and answers stays as it is, and with it every metric.

    Args:
        kinds: of shape (n,): the true classes; one kind for a regression, whose residuals are exchanged.
        share: of the rows that exchange, in [0, 1].
        seed: the same seed gives the same model.

    Returns:
        Of shape (n,): row i answers as row `twin_rows[i]` did; a permutation.
    """
    generator = np.random.default_rng(seed)
    rows = np.arange(kinds.size)
    chosen = np.flatnonzero(generator.random(kinds.size) < share)
    shuffled = generator.permutation(chosen)
    order, other = np.argsort(kinds[chosen], kind="stable"), np.argsort(kinds[shuffled], kind="stable")
    rows[chosen[order]] = shuffled[other]
    return rows


def share_to_exchange(kinds: NDArray[np.int64], is_right: NDArray[np.bool_], disagreement: float) -> float:
    """Which share of rows has to exchange answers for two models to differ in being right on so many, as `twin_rows` has it.

    Two random rows of a kind that is right on a share a differ in being right with probability 2 a (1 - a).
    """
    _, codes = np.unique(kinds, return_inverse=True)
    size = np.bincount(codes)
    right = np.bincount(codes, weights=is_right) / size
    most = float(size @ (2 * right * (1 - right))) / kinds.size
    return min(disagreement / most, 1.0) if most > 0 else 1.0


def visible_loss(noise: Noise, confidence: float, power: float = POWER) -> float | None:
    """The smallest loss this holdout can see.

    It is the smallest margin at which a model exactly as good is found no worse with this power; by symmetry, and up to how the noise
    changes with it, the smallest true loss at which a model is found worse than its baseline with this power.

    Args:
        noise: of the difference of two models.
        confidence: one-sided, in (0.5, 1).
        power: in (0, 1).

    Returns:
        In units of the metric. None where there is none: no noise at all, or a holdout so small that not even the largest loss shows.
    """
    if isinstance(noise, NormalDifference):
        loss = (normal_quantile(confidence) * noise.widening + normal_quantile(power)) * noise.standard_error
        return loss if loss > 0 else None
    if noise.passes(1.0, confidence) < power:
        return None
    low, high = 0.0, 1.0
    guess = (normal_quantile(confidence) + normal_quantile(power)) * noise.standard_error
    for loss in (guess, 1.2 * guess):  # near it, most often: each question costs a sum over all counts
        if low < loss < high:
            low, high = (low, loss) if noise.passes(loss, confidence) >= power else (loss, high)
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if noise.passes(middle, confidence) >= power else (middle, high)
    return high


def examples_for_margin(noise: Noise, margin: float, confidence: float, power: float = POWER) -> int | None:
    """How many examples a margin needs, so that a model exactly as good is found no worse with this power.

    Returns:
        None where no number below a billion would do: a margin of 0 asks for better, and noise of training stays whatever their number.
    """
    if margin <= 0 or (isinstance(noise, NormalDifference) and noise.is_fixed):
        return None
    least = FEWEST if isinstance(noise, NormalDifference) else 1
    return _fewest(lambda n: noise.at(n).passes(margin, confidence) >= power, least)


def examples_for_threshold(noise: Noise, value: float, limit: float, power: float = POWER) -> int | None:
    """How many examples a threshold needs, so that a model exactly as good keeps it with this power.

    Args:
        noise: of the difference of two models.
        value: the baseline's, in the direction of better.
        limit: the threshold, in the same direction.

    Returns:
        None where no number below a billion would do: the baseline's own value does not keep it.
    """
    if value <= limit:
        return None
    # The baseline's own value on another holdout is no whole number of examples.
    smooth = NormalDifference(noise.n, noise.standard_error)
    return _fewest(lambda n: smooth.at(n).falls_short(value, limit) <= 1 - power, FEWEST)


def largest_share(count: int, n: int, confidence: float) -> float:
    """Upper bound of a share of which `count` of n were seen, one-sided. Source: Clopper and Pearson (1934), Biometrika 26:404-413."""
    low, high = count / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_tail(count, n, middle) > 1 - confidence else (low, middle)
    return high


def hoeffding_examples(tolerance: float, reliability: float, uses: int = 1, span: float = 2.0) -> int:
    """How many examples ease.ml/ci's estimator asks for, by which an estimate lies within the tolerance: it takes no two predictions
    for a pair, and no outcome for more likely than another.

    By Hoeffding's inequality a mean of n independent values of range r strays by eps or more with probability at most
    2 exp(-2 n eps^2 / r^2). Set equal to delta = 1 - reliability, n = r^2 ln(2 / delta) / (2 eps^2). Whoever sees pass or fail after each
    of H uses and adapts walks one of 2^H paths, and all must hold: delta / 2^H takes the place of delta.

    Args:
        tolerance: eps, in units of the metric, above 0.
        reliability: 1 - delta, in (0, 1).
        uses: H; 1 is a single test, with nothing to adapt to.
        span: r; new minus old accuracy (`n - o`) lies in [-1, 1].

    Raises:
        ValueError: an argument out of range.

    Source: Renggli, Karlas, Ding, Liu, Schawinski, Wu and Zhang (2019), Continuous Integration of Machine Learning Models with
    ease.ml/ci, Proceedings of Machine Learning and Systems 1:322-333; Hoeffding (1963), Journal of the American Statistical
    Association 58:13-30.
    """
    if not (tolerance > 0 and 0 < reliability < 1 and uses >= 1 and span > 0):
        raise ValueError("expected a tolerance and a span above 0, a reliability in (0, 1) and at least one use")
    paths = uses * math.log(2) if uses > 1 else 0.0
    return math.ceil(span**2 * (math.log(2) - math.log1p(-reliability) + paths) / (2 * tolerance**2))


def _fewest(is_enough: Callable[[int], bool], least: int) -> int | None:
    """The fewest examples from `least` that are enough: more are enough, too (up to the steps that whole counts make).

    With fewer than fifty most metrics have no interval, and nothing is normal.
    """
    low, high = least - 1, least
    while not is_enough(high):
        low, high = high, high * 2
        if high > MOST_EXAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _first_failing(holds: Callable[[float, float], bool], disagreeing: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each number of disagreements the fewest losses at which a condition fails: with one disagreement more, hardly any more."""
    first = np.empty(disagreeing.size, dtype=np.int64)
    lost = -1
    for at, count in enumerate(disagreeing.tolist()):
        if lost < 0:  # the first: by bisection
            low, high = -1, count + 1
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if holds(count - middle, middle) else (low, middle)
            lost = high
        else:
            while lost <= count and holds(count - lost, lost):
                lost += 1
            while lost > 0 and not holds(count - lost + 1, lost - 1):
                lost -= 1
        first[at] = lost
    return first


@dataclass(frozen=True, eq=False)
class _Counts:
    """The joint distribution of disagreements and losses, as far as it matters."""

    disagreeing: NDArray[np.int64]
    """(k,)"""
    weights: NDArray[np.float64]
    """(k,): how likely each number of disagreements is."""
    below: NDArray[np.float64]
    """(k, l + 1): how likely fewer than `fewest_lost` + column losses are among them."""
    fewest_lost: int


@lru_cache(maxsize=8)
def _counts(n: int, disagreement: float, losing: float) -> _Counts:
    """Gains and losses of n examples; kept, since a search asks again and again of other margins."""
    disagreeing = _window(n, n, disagreement)
    lost = _window(int(disagreeing[0]), int(disagreeing[-1]), losing)
    conditional = _binomials(disagreeing, losing, lost)
    below = np.concatenate([np.zeros((disagreeing.size, 1)), np.cumsum(conditional, axis=1)], axis=1)
    return _Counts(disagreeing, _binomial(n, disagreement, disagreeing), below, int(lost[0]))


def _window(fewest: int, most: int, probability: float) -> NDArray[np.int64]:
    """Counts that are at all likely among `fewest` to `most` trials."""
    reach = [_TAIL * math.sqrt(trials * probability * (1 - probability)) + _TAIL for trials in (fewest, most)]
    low, high = math.floor(fewest * probability - reach[0]), math.ceil(most * probability + reach[1])
    return np.arange(max(0, low), min(most, high) + 1)


def _binomial(n: int, probability: float, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of counts, made to sum to 1."""
    choose = np.array([math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1) for count in counts.tolist()])
    logs = choose + _times_log(counts, probability) + _times_log(n - counts, 1 - probability)
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _binomials(trials: NDArray[np.int64], probability: float, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities of shape (trials, counts): one distribution a row."""
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int(trials[-1]) + 1)))])
    rest = trials[:, None] - counts[None, :]
    logs = factorials[trials][:, None] - factorials[np.minimum(counts, trials[-1])][None, :] - factorials[np.maximum(rest, 0)]
    logs += _times_log(counts, probability)[None, :] + _times_log(np.maximum(rest, 0), 1 - probability)
    return np.where(rest >= 0, np.exp(logs), 0.0)


def _times_log(counts: NDArray[np.int64], probability: float) -> NDArray[np.float64]:
    """counts * log(probability), 0 where there are none."""
    if probability <= 0:
        return np.where(counts > 0, -np.inf, 0.0)
    return np.asarray(counts * math.log(probability))
