"""The largest gap between groups in a metric: of one model, and how it changes from one model to another on the same examples.

The gap is a maximum over pairs of groups, which is not smooth: its estimate is too large where groups are alike, and an ordinary
bootstrap of its change lets pass more than it promises. So the bounds here are put together from bounds of single pairs of groups, in a
way that needs nothing of the maximum itself: they err on the side of saying less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.comparison import Model, Pair, UndefinedMetricError, compare, point
from mlgate.stats.distributions import normal_quantile
from mlgate.stats.intervals import Interval
from mlgate.stats.multiplicity import interval_at

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METHOD = "bounds of the groups, combined pair by pair"
RATES = frozenset({"recall", "tpr", "fpr", "selection_rate"})
"""Rates of the positive class of two; every other name is a metric of `stats.comparison`."""
_ON_PAIRED = 0.9
"""Part of the error allowed that goes to comparing the same two groups in both models; the rest goes to comparing different ones."""
_DRAWS = 200
_MOST_DRAWN_GROUPS = 100


@dataclass(frozen=True)
class Group:
    """One group, by both models."""

    place: int
    """In the list of groups that was asked about."""
    n: int
    """Examples the metric looks at: of `recall` the positive ones."""
    candidate: float
    baseline: float | None
    """None where there is nothing to compare with."""


@dataclass(frozen=True, eq=False)
class Gap:
    """The largest difference between two groups."""

    groups: list[Group]
    """Those that the metric has a value on."""
    undefined: list[int]
    """Places of those that it has none on."""
    candidate: Interval
    """The candidate's gap, at least 0, with one-sided bounds."""
    baseline: float | None
    change: Interval | None
    """Candidate's gap minus baseline's. None without a baseline."""
    n: int
    """Examples the metric looks at, in all these groups."""
    reach: Floats
    """(g,): of each of `groups`, how far its bounds lie from its own value, or from its own change; infinite where it has none."""


def gap(metric: str, model: Model, groups: Sequence[Integers], confidence: float, seed: int) -> Gap:
    """One model's largest gap. Arguments and errors as of `compare_gaps`."""
    return _gap(metric, Pair(model, model), groups, confidence, seed, has_baseline=False)


def compare_gaps(metric: str, pair: Pair, groups: Sequence[Integers], confidence: float, seed: int) -> Gap:
    """Two models' largest gaps, and their difference.

    With d(i, j) the difference between groups i and j, the change is max d_candidate - max d_baseline. It is at most x if for every pair
    (i, j) some pair (k, l) has d_candidate(i, j) - d_baseline(k, l) <= x. All (i, j) must hold, so none of them is corrected for. Of
    (k, l) two are tried: (i, j) itself, at nine tenths of the error allowed, which pairs the models and so knows much more; and the pair
    with the baseline's largest gap, at a tenth shared by all other pairs, since the data choose it. Bounds of such differences are made
    of the bounds of each group, which are independent samples.

    Args:
        metric: of `RATES`, or known to `stats.comparison`.
        pair: both models on all examples.
        groups: positions of each group's examples; no example in two of them.
        confidence: one-sided, in (0.5, 1).
        seed: of the bootstrap, where the metric needs one.

    Raises:
        UndefinedMetricError: fewer than two groups have a value.
        ValueError: a rate of a model that has not two classes, or a metric that is not for such a model.

    Source: intersection-union tests, Berger (1982), Technometrics 24:295-300; bounds of sums of independent estimates by the method of
    variance estimates recovery, Zou and Donner (2008), Statistics in Medicine 27:1693-1702. What is tried, and the split, is ours.
    """
    return _gap(metric, pair, groups, confidence, seed, has_baseline=True)


def of_rate(metric: str, model: Model) -> tuple[str, Model]:
    """A rate as the accuracy of a model on some of the examples, against the answer that the rate counts.

    Raises:
        ValueError: there are not two classes.
    """
    if metric not in RATES:
        return metric, model
    if model.classes != 2 or model.positive is None:
        raise ValueError(f"'{metric}' is a rate of the positive class of two")
    is_positive = model.target == model.positive
    counted = np.ones_like(is_positive) if metric == "selection_rate" else ~is_positive if metric == "fpr" else is_positive
    taken = model.take(np.flatnonzero(counted))
    return "accuracy", replace(taken, target=np.full(taken.target.shape, model.positive, dtype=np.int64))


@dataclass(frozen=True)
class _Reach:
    """How far up and down from an estimate the bounds lie, for every group: shape (g,) each."""

    up: Floats
    down: Floats


@dataclass(frozen=True)
class _Bounds:
    """Of the groups, at one confidence."""

    candidate: _Reach
    baseline: _Reach
    difference: _Reach
    """Of candidate minus baseline in the same group."""

    @property
    def swapped(self) -> _Bounds:
        return _Bounds(self.baseline, self.candidate, _Reach(self.difference.down, self.difference.up))


def _gap(metric: str, pair: Pair, groups: Sequence[Integers], confidence: float, seed: int, *, has_baseline: bool) -> Gap:
    found: list[Group] = []
    parts: list[tuple[str, Pair]] = []
    undefined: list[int] = []
    for place, index in enumerate(groups):
        part = pair.take(index)
        name, model = of_rate(metric, part.candidate)
        reduced = Pair(model, of_rate(metric, part.baseline)[1])
        try:
            values = point(name, reduced.candidate), point(name, reduced.baseline)
        except UndefinedMetricError:
            undefined.append(place)
            continue
        found.append(Group(place, reduced.n, values[0], values[1] if has_baseline else None))
        parts.append((name, reduced))
    if len(found) < 2:
        raise UndefinedMetricError("fewer than two groups have a value")
    alpha, pairs = 1 - confidence, len(found) * (len(found) - 1)
    candidate = np.array([group.candidate for group in found])
    n = sum(group.n for group in found)
    near, far = (_reach(parts, "candidate", level, seed) for level in (confidence, 1 - alpha / pairs))
    own = _own_interval(candidate, near, far)
    if not has_baseline:
        return Gap(found, undefined, own, None, None, n, np.maximum(near.up, near.down))
    baseline = np.array([group.baseline or 0.0 for group in found])
    paired = _reach(parts, "difference", 1 - _ON_PAIRED * alpha, seed)
    level = 1 - (1 - _ON_PAIRED) * alpha / (pairs - 1)
    crossed = _Bounds(*(_reach(parts, which, level, seed) for which in ("candidate", "baseline", "difference")))
    high = _most(candidate, baseline, paired, crossed)
    low = -_most(baseline, candidate, _Reach(paired.down, paired.up), crossed.swapped)
    estimate = float(np.ptp(candidate) - np.ptp(baseline))
    strays = _strays_by(baseline, paired, crossed, normal_quantile(1 - _ON_PAIRED * alpha), seed)
    change = Interval(estimate, min(low, estimate), max(high, estimate), METHOD, strays)
    return Gap(found, undefined, own, float(np.ptp(baseline)), change, n, np.maximum(paired.up, paired.down))


def _strays_by(baseline: Floats, paired: _Reach, crossed: _Bounds, z: float, seed: int) -> float | None:
    """The standard deviation of the upper bound where no group's value changes but by chance: what planning needs of a maximum.

    None where there are too many groups to draw them often, or one has no bounds.
    """
    error = (paired.up + paired.down) / 2 / z
    if not np.isfinite(error).all() or baseline.size > _MOST_DRAWN_GROUPS:
        return None
    drawn = np.random.default_rng([seed, 1]).standard_normal((_DRAWS, baseline.size)) * error
    found = float(np.std([_most(baseline + each, baseline, paired, crossed) for each in drawn]))
    return found if math.isfinite(found) and found > 0 else None


def _own_interval(values: Floats, near: _Reach, far: _Reach) -> Interval:
    """One model's gap: below the greatest upper bound of all pairs, above the greatest lower bound of any, which is chosen by the data."""
    difference = values[:, None] - values[None, :]
    high = difference + np.hypot(near.up[:, None], near.down[None, :])
    low = difference - np.hypot(far.down[:, None], far.up[None, :])
    np.fill_diagonal(high, -np.inf)
    np.fill_diagonal(low, -np.inf)
    estimate = float(np.ptp(values))
    return Interval(estimate, max(float(low.max()), 0.0), max(float(high.max()), estimate), METHOD)


def _most(candidate: Floats, baseline: Floats, paired: _Reach, crossed: _Bounds) -> float:
    """The upper bound of the candidate's gap minus the baseline's."""
    same = _same_pair(candidate - baseline, paired)
    other = _against(candidate, baseline, crossed, int(baseline.argmax()), int(baseline.argmin()))
    bound = np.minimum(same, other)
    np.fill_diagonal(bound, -np.inf)
    return float(bound.max())


def _same_pair(difference: Floats, reach: _Reach) -> Floats:
    """Upper bounds of d_candidate(i, j) - d_baseline(i, j), shape (g, g): of one group's difference of models minus another's."""
    return np.asarray(difference[:, None] - difference[None, :] + np.hypot(reach.up[:, None], reach.down[None, :]))


def _against(candidate: Floats, baseline: Floats, bounds: _Bounds, k: int, m: int) -> Floats:
    """Upper bounds of d_candidate(i, j) - d_baseline(k, m), shape (g, g).

    A group that both pairs have counts once: with the bound of its difference of models where it is on the same side of both, and where
    it is on opposite sides with both distances added, as if the models erred alike.
    """
    size = candidate.size
    squares = np.square(bounds.candidate.up)[:, None] + np.square(bounds.candidate.down)[None, :]
    squares = squares + bounds.baseline.down[k] ** 2 + bounds.baseline.up[m] ** 2
    for group, is_top in ((k, True), (m, False)):
        alone = (bounds.baseline.down if is_top else bounds.baseline.up)[group]
        first = bounds.difference.up[group] if is_top else bounds.candidate.up[group] + alone
        second = bounds.candidate.down[group] + alone if is_top else bounds.difference.down[group]
        squares[group, :] += _exchange(first, bounds.candidate.up[group], alone)
        squares[:, group] += _exchange(second, bounds.candidate.down[group], alone)
    estimate = candidate[:, None] - candidate[None, :] - (baseline[k] - baseline[m])
    squares = np.where(np.isnan(squares), np.inf, squares)
    squares[k, m] = np.inf  # the same pair: that is what the other bound is for
    return np.asarray(estimate + np.sqrt(np.maximum(squares, 0.0))).reshape(size, size)


def _exchange(joint: float, one: float, other: float) -> float:
    """What replaces two distances by that of both together, among squares that are added."""
    return joint**2 - one**2 - other**2 if all(map(math.isfinite, (joint, one, other))) else math.inf


def _reach(parts: Sequence[tuple[str, Pair]], which: str, confidence: float, seed: int) -> _Reach:
    up, down = np.empty(len(parts)), np.empty(len(parts))
    for place, (metric, pair) in enumerate(parts):
        asked = pair if which == "difference" else _against_perfect(pair.candidate if which == "candidate" else pair.baseline)
        try:
            found = interval_at(partial(_interval, metric, asked, seed), confidence)
        except UndefinedMetricError:
            up[place] = down[place] = math.inf
            continue
        up[place], down[place] = found.high - found.estimate, found.estimate - found.low
    return _Reach(up, down)


def _interval(metric: str, pair: Pair, seed: int, confidence: float) -> Interval:
    return compare(metric, pair, confidence, seed).interval


def _against_perfect(model: Model) -> Pair:
    """A model beside one that is always right: the interval of their difference is that of the model's own value."""
    scores = None
    if model.scores is not None:
        scores = np.zeros_like(model.scores)
        scores[np.arange(model.target.size), model.target] = 1.0
    return Pair(model, replace(model, prediction=model.target, scores=scores))
