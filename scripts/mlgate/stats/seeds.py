"""Training noise: what several runs of one training code, each with a seed of its own, say of the difference between two codes.

One set of predictions certifies one artefact. Trained again, both models would score otherwise, and the difference of two artefacts says
nothing of that. From the values of several runs on either side, the interval covers the training noise, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.intervals import Interval, check_confidence

Floats = NDArray[np.float64]

PAIRED = "paired t of the seeds"
WELCH = "Welch's t of the seeds"
POOLED = "t of the seeds, one side's noise taken for both"
JOINED = " + "
"""Between the method of the examples and that of the seeds."""
FEWEST_ALONE = 3
"""Runs that numbers without predictions need on either side."""


@dataclass(frozen=True, eq=False)
class Runs:
    """A metric's value in every run."""

    candidate: Floats
    """(k,): one a seed."""
    baseline: Floats
    """(l,): one a seed; of a single run where there are no seeds."""
    is_paired: bool = False
    """Whether both are of the same seeds, in the same order."""

    @property
    def estimate(self) -> float:
        """Candidate minus baseline, on average over runs."""
        return float(self.candidate.mean() - self.baseline.mean())


@dataclass(frozen=True)
class TrainingNoise:
    """How far the difference of the means over runs strays, were all runs made anew."""

    standard_error: float
    degrees: float
    method: str

    @property
    def known_error(self) -> float | None:
        """The standard error; None where the numbers are too large to compute with."""
        return self.standard_error if math.isfinite(self.standard_error) else None

    def distance(self, confidence: float) -> float:
        """From the estimate to its bound; infinite where the numbers are too large to compute with."""
        if not math.isfinite(self.standard_error):
            return math.inf
        return t_quantile(confidence, self.degrees) * self.standard_error if self.standard_error > 0 else 0.0


@np.errstate(over="ignore", invalid="ignore")
def training_noise(runs: Runs) -> TrainingNoise:
    """The standard error of the difference, and the degrees of freedom it is known with.

    Paired where the seeds are: what a seed does to both codes, such as the order of the data, cancels. Where one side has a single run,
    its noise is taken to be the other side's. Welch's degrees are rounded down, as tables of t used to be read, and are those of the
    smaller side where that has two runs: unrounded they miss in up to 5.9 % with 10 and 3 normal runs and in 8.2 % with 20 and 2 where
    5 % are promised.

    Raises:
        ValueError: fewer than two runs on either side, or runs said to be paired that are not as many.

    Source: Student (1908), Biometrika 6:1-25; Welch (1938), Biometrika 29:350-362, with the degrees of Satterthwaite (1946), Biometrics
    Bulletin 2:110-114.
    """
    sizes = runs.candidate.size, runs.baseline.size
    if max(sizes) < 2 or min(sizes) < 1:
        raise ValueError("needs at least two runs on one side, and one on the other")
    if runs.is_paired:
        if sizes[0] != sizes[1]:
            raise ValueError(f"{sizes[0]} and {sizes[1]} runs are no pairs")
        each = runs.candidate - runs.baseline
        return TrainingNoise(float(each.std(ddof=1)) / math.sqrt(each.size), each.size - 1, PAIRED)
    if min(sizes) == 1:
        known = runs.candidate if sizes[0] > 1 else runs.baseline
        return TrainingNoise(float(known.std(ddof=1)) * math.sqrt(1 + 1 / known.size), known.size - 1, POOLED)
    parts = [float(one.var(ddof=1)) / one.size for one in (runs.candidate, runs.baseline)]
    total = sum(parts)
    below = sum(part * part / (size - 1) for part, size in zip(parts, sizes, strict=True))
    least = min(sizes) - 1
    is_computed = least > 1 and below > 0 and math.isfinite(total * total) and math.isfinite(below)  # a power would raise
    degrees = math.floor(total * total / below) if is_computed else least
    return TrainingNoise(math.sqrt(total), max(degrees, least), WELCH)


def interval_of_runs(runs: Runs, confidence: float) -> Interval:
    """Interval for the difference between two training codes in a number that no predictions stand behind.

    Infinite bounds for fewer than three runs on either side. The runs say nothing of other data than they were measured on.

    Raises:
        ValueError: as `training_noise`, or confidence out of range.
    """
    check_confidence(confidence)
    noise = training_noise(runs)
    distance = noise.distance(confidence) if min(runs.candidate.size, runs.baseline.size) >= FEWEST_ALONE else math.inf
    return Interval(runs.estimate, runs.estimate - distance, runs.estimate + distance, noise.method, noise.known_error)


def with_training_noise(of_examples: Interval, runs: Runs, confidence: float) -> Interval:
    """Interval for the difference between two training codes, over other examples and other seeds.

    Both distances are added as the sides of a right angle, each with the quantile of its own degrees of freedom. What it
    keeps of its promise, whichever of the two kinds of noise is the larger, is measured by tests/calibration/training_noise.py; with
    Satterthwaite's degrees for their sum false passes came to 8 % with two seeds and 6 with three where 5 % are promised.

    Args:
        of_examples: of a difference over examples, around its own estimate: of two artefacts, or of means over runs.
        runs: the metric's value in every run, on these examples.
        confidence: one-sided.

    Source: the method of variance estimates recovery, Zou and Donner (2008), Statistics in Medicine 27:1693-1702; of two components of
    variance, Howe (1974), Journal of the American Statistical Association 69:789-794.
    """
    check_confidence(confidence)
    noise, estimate = training_noise(runs), runs.estimate
    distance = noise.distance(confidence)
    low = math.hypot(of_examples.estimate - of_examples.low, distance)
    high = math.hypot(of_examples.high - of_examples.estimate, distance)
    half = (of_examples.high - of_examples.low) / 2
    examples = of_examples.standard_error or half / normal_quantile(confidence)
    error = math.hypot(examples, noise.standard_error)
    method = f"{of_examples.method}{JOINED}{noise.method}"
    return Interval(estimate, estimate - low, estimate + high, method, error if math.isfinite(error) else None)
