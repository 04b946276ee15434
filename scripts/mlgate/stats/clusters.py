"""Rows that belong together, such as several of one user: intervals that count groups, since rows of one group are no independent examples.

What an interval of independent rows promises breaks at once: with ten rows a group and a correlation of 0.3 within them, a model worse by
exactly the margin passes in 13 to 33 % of the runs where 5 % are promised (tests/calibration/clusters.py). Groups are drawn here, or their
sums taken as the examples; rows never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.stats import confusion, losses, means, ranking
from mlgate.stats.bootstrap import draws_for, most_draws, percentile_interval, row_weights
from mlgate.stats.confusion import JointCounts, Margins
from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.means import Caution
from mlgate.stats.ranking import Area

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PROPORTIONS = "Tango's score interval at the effective size of the groups"
CLUSTER_T = "cluster-robust t interval"
CORRECTED_T = "cluster-robust t interval with Hall's correction"
WIDEST_T = "cluster-robust t interval with Hall's correction, allowing for unseen losses"
BOOTSTRAP = "cluster bootstrap"
OBUCHOWSKI = "DeLong's interval with components summed by group"
JACKKNIFE = "infinitesimal jackknife by groups"

FEWEST = 50
"""Below this many groups there is no interval. Found by simulation: with 30, no method here both holds and says anything."""
MANY_GROUPS = 5_000
"""From here on sums over resampled groups are drawn from their normal limit: the cost no longer depends on the number of groups."""
OF_MEANS = Caution(reach=1.5, enough=200, negligible=0.02)
OF_SQUARES = Caution(reach=1.75, enough=200, negligible=0.15)
OF_AREAS = Caution(reach=1.5, enough=FEWEST, negligible=0.15)
"""As in `means`, but a group of several rows shows more than one row does."""

_IMAGINED = 0.5
"""Groups imagined whose rows all disagree alike: a handful of disagreements can look independent by chance."""
_LARGEST_TABLE = 20_000_000


@dataclass(frozen=True, eq=False)
class Groups:
    """Which rows belong together."""

    codes: Integers
    """(n,): in [0, count); every code occurs."""
    count: int

    @staticmethod
    def of(labels: NDArray[np.generic]) -> Groups:
        """From whatever names the group of each row."""
        names, codes = np.unique(labels, return_inverse=True)
        return Groups(codes.astype(np.int64).reshape(-1), int(names.size))

    def sums(self, values: Floats) -> Floats:
        """By group: of shape (count,)."""
        return np.asarray(np.bincount(self.codes, weights=values, minlength=self.count), dtype=np.float64)

    @property
    def largest(self) -> int:
        return int(np.bincount(self.codes, minlength=self.count).max())

    def take(self, index: Integers) -> Groups:
        return Groups.of(self.codes[index])


def proportions_interval(gained: NDArray[np.bool_], lost: NDArray[np.bool_], groups: Groups, confidence: float) -> Interval:
    """Score interval for the difference of two paired proportions, as of as many independent rows as the groups are worth.

    The variance of the difference by groups over that by rows is the design effect; gains, losses and rows are divided by it, and by the
    square of t over z, with G - 1 degrees, since it is estimated.

    Args:
        gained, lost: by row, of shape (n,).
        groups: of the rows.
        confidence: one-sided.

    Source: Rao and Scott (1992), Biometrics 48:577-585, for Tango (1998), Statistics in Medicine 17:891-908.
    """
    n, difference = gained.size, gained.astype(np.float64) - lost
    estimate = float(difference.mean())
    if groups.count < FEWEST:
        return _nothing(estimate, PROPORTIONS)
    centred = difference - estimate
    size = n / groups.count
    seen = float(np.square(groups.sums(centred)).sum()) * groups.count / (groups.count - 1)
    by_group = seen + _IMAGINED * size * size
    by_row = float(np.square(centred).sum()) + _IMAGINED * size
    effect = max(by_group / by_row, 1.0) * _student(groups.count, confidence) ** 2
    found = tango_interval(float(gained.sum()) / effect, float(lost.sum()) / effect, n / effect, confidence)
    return Interval(estimate, found.low, found.high, PROPORTIONS, math.sqrt(seen) / n or None)


def mean_interval(differences: Floats, groups: Groups, confidence: float, widest: float | None = None) -> Interval:
    """Interval for the mean of paired differences over all rows: of the sums by group, linearised, with t at G - 1 degrees.

    A group's value is its sum of distances from the mean in units of n / G rows; these are treated as `means.mean_interval` treats
    independent differences, with the same corrections for skewed and unseen ones.

    Args:
        differences: candidate minus baseline, of shape (n,).
        groups: of the rows.
        confidence: one-sided.
        widest: how far two losses can lie apart.

    Source: the linearised ratio of Cochran (1977), Sampling Techniques, section 9A; otherwise as `means.mean_interval`.
    """
    estimate = float(differences.mean())
    if groups.count < FEWEST:
        return _nothing(estimate, CLUSTER_T)
    share = groups.count / differences.size
    values = groups.sums(differences - estimate) * share
    found = means.mean_interval(values, confidence, None if widest is None else widest * groups.largest * share, OF_MEANS)
    return _shifted(found, estimate)


def squares_interval(metric: str, columns: Floats, groups: Groups, confidence: float, seed: int) -> Interval:
    """Interval for a difference of RMSE or R2: bootstrap of the sums by group; where groups contribute too unevenly for that, the
    jackknife by groups with Hall's correction.

    Args:
        metric: of `losses.OF_SQUARES`.
        columns: of `losses.squared_columns`.
        groups: of the rows.
        confidence: one-sided.
        seed: of the draws.
    """
    average = columns.mean(axis=0)
    if average[0] < average[1]:  # one of the two orders is the rule, so that exchanging the models mirrors the interval exactly
        return squares_interval(metric, columns[:, [1, 0, 2, 3]], groups, confidence, seed).mirrored
    difference, influence = losses.OF_SQUARES[metric]
    estimate = float(difference(average[None, :])[0])
    if groups.count < FEWEST:
        return _nothing(estimate, BOOTSTRAP)
    each, widest = influence(columns)
    share = groups.count / columns.shape[0]
    values = groups.sums(each) * share
    corrected = means.corrected_interval(estimate, values, confidence, widest * groups.largest * share, OF_SQUARES)
    if corrected is not None:
        return _shifted(corrected, estimate, is_centred=False)
    sums = np.column_stack([np.ones(columns.shape[0]), columns])
    by_group = np.column_stack([groups.sums(column) for column in sums.T])
    drawn = _resampled(by_group, None, confidence, seed)
    return _expanded(estimate, difference(drawn[:, 1:] / drawn[:, :1]), groups.count, confidence)


def table_interval(
    metric: str,
    models: tuple[Integers, Integers, Integers],
    classes: int,
    groups: Groups,
    confidence: float,
    seed: int,
    positive: int | None = None,
) -> Interval:
    """Interval for a difference in a metric of the confusion table: bootstrap of the groups' own tables.

    Imagined groups that disagree in both directions keep a table with hardly any disagreement from vouching for any margin, as in
    `confusion.difference_interval`; each is as large as a group's disagreements are.

    Args:
        metric: of `confusion.METRICS`.
        models: codes of label, candidate and baseline, of shape (n,).
        classes: how many there are.
        groups: of the rows.
        confidence: one-sided.
        seed: of the draws.
        positive: code of the positive class, for binary metrics.

    Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8, groups drawn with replacement; expanded by t
    over z as Hesterberg (2015), The American Statistician 69:371-386, advises for few.
    """
    label, candidate, baseline = models
    counts = confusion.joint_counts(label, baseline, candidate, classes)
    swapped = counts.swapped
    mirror, own = (tuple(column.tobytes() for column in (one.candidate, one.baseline, one.count)) for one in (swapped, counts))
    if mirror < own:
        return table_interval(metric, (label, baseline, candidate), classes, groups, confidence, seed, positive).mirrored
    estimate = confusion.difference(metric, counts, positive)
    if groups.count < FEWEST:
        return _nothing(estimate, BOOTSTRAP)
    extra = _imagined_groups(metric, counts, (label, candidate, baseline), groups, confidence, positive)

    def value(sums: Floats) -> Floats:
        support, mine, theirs, mine_right, theirs_right = sums.reshape(sums.shape[0], 5, classes).transpose(1, 0, 2)
        one = confusion.value(metric, Margins(support, mine, mine_right), positive)
        return np.asarray(one - confusion.value(metric, Margins(support, theirs, theirs_right), positive))

    if groups.count * 5 * classes > _LARGEST_TABLE:
        drawn = _resampled_rows((label, candidate, baseline), classes, groups, extra, confidence, seed)
    else:
        drawn = _resampled(_tables((label, candidate, baseline), groups.codes, groups.count, classes), extra, confidence, seed)
    centre = _margins_of(counts) + (extra.sums * extra.expected[:, None]).sum(axis=0)
    found = value(drawn) - float(value(centre[None])[0]) + estimate
    return _expanded(estimate, found, groups.count, confidence)


def areas_interval(
    areas: tuple[Area, Area],
    target: Integers,
    codes: list[int],
    groups: Groups,
    of_rows: Interval,
    confidence: float,
    seed: int,
    scores: tuple[Floats | None, Floats | None] | None = None,
) -> Interval:
    """Interval for a difference of two areas, of the ROC curve or of precision and recall.

    What each row contributes is summed by group, for the ROC curve DeLong's structural components; t counts the groups in which the
    scarcest class occurs. Of average precision of few rows it is the bootstrap that draws groups. No bound is nearer than the one of
    independent rows, which has its own caution for rows that were not seen.

    Args:
        areas: of the candidate and of the baseline, with the influence of every row, of shape (n,).
        target: codes, of shape (n,).
        codes: the classes that were averaged.
        groups: of the rows.
        of_rows: the interval of independent rows.
        confidence: one-sided.
        seed: of the draws.
        scores: of both models, of shape (n, k) each, where the area is average precision.

    Source: Obuchowski (1997), Biometrics 53:567-578.
    """
    candidate, baseline = areas
    estimate, holding = candidate.value - baseline.value, _fewest_holding(target, codes, groups)
    method = OBUCHOWSKI if scores is None else JACKKNIFE
    if min(holding, groups.count) < FEWEST:
        return _nothing(estimate, method)
    each = candidate.influence - baseline.influence
    sums = groups.sums(each)
    variance = float(sums @ sums) * groups.count / (groups.count - 1)
    one, other = scores or (None, None)
    if one is not None and other is not None and target.size * len(codes) <= ranking.MANY_ROWS:
        parts = []
        for weights in row_weights(groups.count, draws_for(2 * target.size * len(codes), confidence), seed):
            of_each = weights.take(groups.codes, axis=1)
            drawn = [ranking.weighted_precision(target, model, codes, of_each) for model in (one, other)]
            parts.append(drawn[0] - drawn[1])
        found = _expanded(estimate, np.concatenate(parts), groups.count, confidence)
    else:
        half = t_quantile(confidence, holding - 1) * math.sqrt(variance)
        found = means.corrected_interval(estimate, (sums - sums.mean()) * groups.count, confidence, None, OF_AREAS) or Interval(
            estimate, estimate - half, estimate + half, method
        )
    name = BOOTSTRAP if found.method == BOOTSTRAP else method
    return Interval(estimate, min(found.low, of_rows.low), max(found.high, of_rows.high), name, math.sqrt(variance))


def _fewest_holding(target: Integers, codes: list[int], groups: Groups) -> int:
    """In how many groups the scarcest class occurs, and its opposite: the smaller number."""
    found = []
    for code in codes:
        is_positive = target == code
        found += [int(np.unique(groups.codes[flags]).size) for flags in (is_positive, ~is_positive)]
    return min(found)


@dataclass(frozen=True)
class _Extra:
    """Imagined groups."""

    sums: Floats
    """(k, columns)."""
    expected: Floats
    """(k,): how many there are of each, on average."""


def _imagined_groups(
    metric: str, counts: JointCounts, models: tuple[Integers, Integers, Integers], groups: Groups, confidence: float, positive: int | None
) -> _Extra:
    imagined = confusion.with_imagined_disagreements(metric, counts, confidence, positive)
    first, classes = counts.count.size, counts.classes
    kinds = (imagined.label[first:], imagined.candidate[first:], imagined.baseline[first:])
    disagrees = groups.sums((models[1] != models[2]).astype(np.float64))
    size = float(np.square(disagrees).sum() / disagrees.sum()) if disagrees.any() else groups.codes.size / groups.count
    return _Extra(_tables(kinds, np.arange(kinds[0].size), kinds[0].size, classes) * size, imagined.count[first:])


def _margins_of(counts: JointCounts) -> Floats:
    """As one row of `_tables`."""
    classes, label = counts.classes, counts.label
    of = [label, counts.candidate, counts.baseline]
    columns = [np.bincount(one, weights=counts.count, minlength=classes) for one in of]
    columns += [np.bincount(label, weights=counts.count * (one == label), minlength=classes) for one in of[1:]]
    return np.concatenate(columns)


def _tables(models: tuple[Integers, Integers, Integers], codes: Integers, count: int, classes: int) -> Floats:
    """By group, of shape (count, 5 * classes): support, predicted by candidate and baseline, right of candidate and baseline."""
    label, candidate, baseline = models
    right, also_right = candidate == label, baseline == label
    columns = [(codes, label), (codes, candidate), (codes, baseline), (codes[right], label[right]), (codes[also_right], label[also_right])]
    parts = [np.bincount(of * classes + code, minlength=count * classes).reshape(count, classes) for of, code in columns]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _resampled(sums: Floats, extra: _Extra | None, confidence: float, seed: int) -> Floats:
    """Sums over as many groups as there are, drawn with replacement, and over imagined ones: of shape (draws, columns)."""
    count, columns = sums.shape
    generator = np.random.default_rng(seed)
    if count > MANY_GROUPS and columns <= MANY_GROUPS // 5:
        drawn = _normal_limit(sums, most_draws(confidence), generator)
    else:
        draws = draws_for(count * max(1, columns // 50), confidence)
        drawn = np.concatenate([weights @ sums for weights in row_weights(count, draws, seed)])
    if extra is None or not extra.expected.size:
        return drawn
    return np.asarray(np.maximum(drawn + generator.poisson(extra.expected, size=(drawn.shape[0], extra.expected.size)) @ extra.sums, 0))


def _normal_limit(sums: Floats, draws: int, generator: np.random.Generator) -> Floats:
    centred = sums - sums.mean(axis=0)
    covariance = centred.T @ centred
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(sums.sum(axis=0) + (generator.standard_normal((draws, sums.shape[1])) @ root.T) * scale)


def _resampled_rows(
    models: tuple[Integers, Integers, Integers], classes: int, groups: Groups, extra: _Extra, confidence: float, seed: int
) -> Floats:
    """As `_resampled`, where tables by group would not fit into memory: one draw after the other, from the rows."""
    label, candidate, baseline = models
    generator = np.random.default_rng(seed)
    right, also_right = np.flatnonzero(candidate == label), np.flatnonzero(baseline == label)
    draws = draws_for(10 * label.size, confidence)
    drawn = np.empty((draws, 5 * classes))
    for place in range(draws):
        weights = np.bincount(generator.integers(0, groups.count, groups.count), minlength=groups.count)[groups.codes].astype(np.float64)
        columns = [np.bincount(one, weights=weights, minlength=classes) for one in models]
        columns += [np.bincount(label[rows], weights=weights[rows], minlength=classes) for rows in (right, also_right)]
        drawn[place] = np.concatenate(columns)
    return np.asarray(drawn + generator.poisson(extra.expected, size=(draws, extra.expected.size)) @ extra.sums)


def _expanded(estimate: float, drawn: Floats, count: int, confidence: float) -> Interval:
    """Percentiles, each as much farther from the estimate as t is than z: the spread among few groups is itself an estimate."""
    found = percentile_interval(estimate, drawn, confidence, BOOTSTRAP)
    factor = _student(count, confidence) * math.sqrt(count / (count - 1))
    return replace(found, low=estimate - (estimate - found.low) * factor, high=estimate + (found.high - estimate) * factor)


def _student(count: int, confidence: float) -> float:
    return t_quantile(confidence, count - 1) / normal_quantile(confidence)


_NAMES: dict[str, str] = {means.PAIRED_T: CLUSTER_T, means.WIDEST_T: WIDEST_T, means.WIDEST_JACKKNIFE: WIDEST_T}


def _shifted(found: Interval, estimate: float, *, is_centred: bool = True) -> Interval:
    """What was found of groups, under its own name; around the estimate, where it was found around 0."""
    by = estimate - found.estimate if is_centred else 0.0
    return Interval(estimate, found.low + by, found.high + by, _NAMES.get(found.method, CORRECTED_T), found.standard_error)


def _nothing(estimate: float, method: str) -> Interval:
    return Interval(estimate, -math.inf, math.inf, method)
