"""ROC AUC and PR AUC: normal scores, whose areas are known by formula, so that one can be solved for an exact loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from calibration.scenario import CONFIDENCE, Scenario
from mlgate.stats import ranking
from mlgate.stats.intervals import Interval

SIZES = (200, 500, 1000, 5000)
DISAGREEMENTS = (0.02, 0.04, 0.1)
BALANCED = (0.5, 0.5)
RARE = (0.9, 0.1)
THREE = (0.45, 0.45, 0.1)
TEN = tuple(0.8**k / sum(0.8**i for i in range(10)) for k in range(10))

Floats = NDArray[np.float64]
Sample = tuple[NDArray[np.int64], Floats, Floats]
"""Labels of shape (n,), the new and the old model's scores of shape (n, classes)."""


@dataclass(frozen=True)
class Scores:
    """An example of a class scores higher for it by a shift than others do, and every model adds standard normal noise.

    The rest follows: the area under the ROC curve of one class against the rest is Phi(shift / sqrt(2)) for every class.
    """

    shares: tuple[float, ...]
    """Of the classes. Of two classes only the second is scored."""
    area: float
    """The old model's, of ROC."""
    disagreement: float
    is_moved: bool = False
    """True: the new model scores all examples as the old one does, but for this share of each class, which it scores anew, the worse the
    more it loses. False: it scores all of them anew, with noise that is correlated such that it would give another class to this share
    of them, were the one halfway between the means."""

    @property
    def scored(self) -> int:
        return 1 if len(self.shares) == 2 else len(self.shares)

    @property
    def shift(self) -> float:
        return math.sqrt(2) * float(stats.norm.ppf(self.area))

    @property
    def correlation(self) -> float:
        return _correlation(self.shift / 2, self.disagreement)

    def new_shift(self, metric: str, loss: float) -> float:
        """The shift (of the examples that are scored anew) at which the new model's metric is less by exactly `loss`."""
        share = self.disagreement if self.is_moved else 1.0
        if loss == 0:
            return self.shift
        if metric == "roc_auc":
            return math.sqrt(2) * float(stats.norm.ppf(self.area - loss / share))
        return _solved(self.shares[-self.scored :], self.shift, share, loss)

    def draw(self, metric: str, n: int, loss: float, generator: np.random.Generator) -> Sample:
        label = generator.choice(len(self.shares), size=n, p=self.shares)
        codes = [1] if self.scored == 1 else list(range(self.scored))
        own = label[:, None] == np.array(codes)
        noise = generator.standard_normal((2, n, self.scored))
        old = noise[1] + self.shift * own
        if self.is_moved:
            is_moved = generator.random((n, 1)) < self.disagreement
            new = np.where(is_moved & own, noise[0] + self.new_shift(metric, loss), old)
        else:
            rho = self.correlation
            new = rho * noise[1] + math.sqrt(1 - rho * rho) * noise[0] + self.new_shift(metric, loss) * own
        if self.scored == 1:  # a column a class, as models have; the first is not looked at
            new, old = (np.column_stack([-one, one]) for one in (new, old))
        return label, new, old


@cache
def _correlation(distance: float, disagreement: float) -> float:
    """Of two standard normal noises, such that just one of them exceeds `distance` in a share of `disagreement`."""

    def share(rho: float) -> float:
        both = stats.multivariate_normal(cov=[[1, rho], [rho, 1]]).cdf([-distance, -distance])
        return float(2 * (stats.norm.sf(distance) - both))

    return float(optimize.brentq(lambda rho: share(rho) - disagreement, 0, 1 - 1e-9))


@cache
def _solved(shares: tuple[float, ...], shift: float, moved: float, loss: float) -> float:
    """The shift of the moved positives at which the mean of the average precisions has lost so much."""

    def mean(other: float) -> float:
        return float(np.mean([_average_precision(shift, other, moved, share) for share in shares]))

    target = mean(shift) - loss
    return float(optimize.brentq(lambda other: mean(other) - target, shift - 8, shift, xtol=1e-10))


def _average_precision(shift: float, other: float, moved: float, share: float) -> float:
    """Of the population: the mean precision over the scores of the positives, a share of which has another shift."""

    def above(score: float) -> float:
        return float((1 - moved) * stats.norm.sf(score - shift) + moved * stats.norm.sf(score - other))

    def at(score: float) -> float:
        density = (1 - moved) * _density(score - shift) + moved * _density(score - other)
        positives = share * above(score)
        return density * positives / (positives + (1 - share) * float(stats.norm.sf(score)))

    return float(integrate.quad(at, min(shift, other) - 8, shift + 8, epsabs=1e-10, limit=200, points=[other, shift])[0])


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def interval(metric: str, sample: Sample, seed: int) -> Interval:
    label, new, old = sample
    codes = [1] if new.shape[1] == 2 else [int(code) for code in np.unique(label)]
    area = ranking.roc_auc if metric == "roc_auc" else ranking.average_precision
    areas = ranking.over_classes(area, label, new, codes), ranking.over_classes(area, label, old, codes)
    if metric == "roc_auc":
        return ranking.delong_interval(*areas, label, CONFIDENCE)
    return ranking.average_precision_interval(label, (new, old), areas, codes, CONFIDENCE, seed)


def scenarios() -> list[Scenario]:
    found = []
    for n, disagreement, metric in product(SIZES, DISAGREEMENTS, ("roc_auc", "pr_auc")):
        for shares, words in ((BALANCED, "2 balanced classes"), (RARE, "10 % positive")):
            found.append(of_scores(Scores(shares, 0.9, disagreement), metric, n, words))
            found.append(of_scores(Scores(shares, 0.9, disagreement, is_moved=True), metric, n, words))
            if disagreement == 0.02:
                found.append(of_scores(Scores(shares, 0.98, disagreement), metric, n, words))
        found.append(of_scores(Scores(THREE, 0.9, disagreement), metric, n, "3 classes, one of 10 %"))
        if n in (500, 1000):
            found.append(of_scores(Scores(TEN, 0.9, disagreement), metric, n, "10 classes of 3 to 22 %"))
    return found


def of_scores(scores: Scores, metric: str, n: int, words: str, margin: float | None = None) -> Scenario:
    share = scores.disagreement * 100
    changed = f"scores of {share:g} % of the positives moved" if scores.is_moved else f"all scores new, {share:g} % disagree"
    is_dear = len(scores.shares) > 2
    return Scenario(
        family="ranking",
        metric=metric,
        n=n,
        margin=margin or (scores.disagreement / 4 if scores.is_moved else 0.01 if n >= 1000 else 0.03),  # so few rows cannot lose much
        population=f"{changed}, ROC AUC {scores.area:g}, {words}",
        draw=lambda loss, runs, generator: (scores.draw(metric, n, loss, generator) for _ in range(runs)),
        interval=lambda sample, seed: interval(metric, sample, seed),
        runs=200 if n == 5000 and metric == "pr_auc" else 400 if is_dear and n >= 1000 else 1000,
        is_quick=n == 200 and scores.disagreement == 0.02 and not is_dear,
    )
