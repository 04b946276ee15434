"""Every interval names its method, and every method the source of its formula."""

from __future__ import annotations

import numpy as np
import pytest

from mlgate.stats.comparison import METRICS_OF_CLASSES, METRICS_OF_NUMBERS, Model, Pair, compare, compare_means
from mlgate.stats.methods import SOURCES


def classifiers(n: int) -> Pair:
    random = np.random.default_rng(n)
    target = random.integers(0, 2, n)

    def model() -> Model:
        scores = np.clip(random.normal(0.25 + 0.5 * target, 0.25), 0.01, 0.99)
        return Model(target, (scores > 0.5).astype(np.int64), 2, 1, np.column_stack([1 - scores, scores]))

    return Pair(model(), model())


def regressions(n: int, spread: float) -> Pair:
    random = np.random.default_rng(n)
    target = random.normal(10, 2, n)

    def model() -> Model:
        return Model(target, target + random.standard_t(3, n) * spread)

    return Pair(model(), model())


@pytest.mark.parametrize("n", [12, 60, 400, 12_000])
def test_every_method_names_the_source_of_its_formula(n: int) -> None:
    used = {compare(metric, classifiers(n), 0.95, 1).interval.method for metric in METRICS_OF_CLASSES}
    used |= {compare(metric, regressions(n, 1.0), 0.95, 1).interval.method for metric in METRICS_OF_NUMBERS}
    values = np.random.default_rng(n).normal(size=(2, n))
    used.add(compare_means(values[0], values[1], 0.95).interval.method)
    assert {method for method in used if not SOURCES.get(method)} == set()
