"""The promise at 99.9 %, which is what `holdout_reuse: bonferroni` asks of each comparison with a budget of fifty uses.

A bootstrap of 400 draws has none beyond such a bound; these are as many as the gate makes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calibration import confusion_tables, means, rankings
from calibration.scenario import Promise
from mlgate.stats import confusion, ranking
from mlgate.stats.comparison import compare_means

CONFIDENCE = 0.999
FAMILY = "at 99.9 %"

Count = Callable[[int, np.random.Generator], int]


def promises() -> list[Promise]:
    tables = [
        _promise(f"F1 macro, n = {n:,}, margin {margin:g}, 4 % disagree, {task.words}", _of_tables(task, n, margin), 2500)
        for task, n, margin in ((confusion_tables.RARE, 1000, 0.03),)
    ]
    areas = [
        _promise(f"{name}, n = {n:,}, margin 0.02, 10 % disagree, {words}", _of_areas(metric, shares, n), runs)
        for metric, name, runs in (("roc_auc", "ROC AUC", 5000), ("pr_auc", "PR AUC", 5000))
        for shares, words, n in ((rankings.BALANCED, "balanced", 1000), (rankings.RARE, "10 % positive", 2000))
    ]
    losses = [
        _promise(f"{one.metric}, n = {n:,}, margin {one.margin:g}, {one.words}", _of_losses(one, n), 5000)
        for one in means.POPULATIONS
        if (one.metric, one.words) in {("log_loss", "too sure of itself"), ("mae", "errors of t(3)"), ("mae", "loss in 2 % of rows")}
        for n in (500, 2000)
    ]
    return [*tables, *areas, *losses]


def _promise(words: str, count: Count, runs: int) -> Promise:
    return Promise(FAMILY, f"at 99.9 %, a model worse by the margin passes: {words}", 1 - CONFIDENCE, count, runs)


def _of_tables(task: confusion_tables.Task, n: int, margin: float) -> Count:
    population = confusion_tables.Population(task, 0.04)
    positive = 1 if task.classes == 2 else None

    def count(runs: int, generator: np.random.Generator) -> int:
        drawn = confusion_tables.draw(population, "f1_macro", n, margin, runs, generator)
        lows = (confusion.difference_interval("f1_macro", one, CONFIDENCE, run, positive).low for run, one in enumerate(drawn))
        return sum(low > -margin for low in lows)

    return count


def _of_areas(metric: str, shares: tuple[float, ...], n: int) -> Count:
    scores = rankings.Scores(shares, 0.9, 0.1)
    area = ranking.roc_auc if metric == "roc_auc" else ranking.average_precision

    def count(runs: int, generator: np.random.Generator) -> int:
        passed = 0
        for run in range(runs):
            label, new, old = scores.draw(metric, n, 0.02, generator)
            areas = ranking.over_classes(area, label, new, [1]), ranking.over_classes(area, label, old, [1])
            if metric == "roc_auc":
                found = ranking.delong_interval(*areas, label, CONFIDENCE)
            else:
                found = ranking.average_precision_interval(label, (new, old), areas, [1], CONFIDENCE, run)
            passed += found.low > -0.02
        return passed

    return count


def _of_losses(population: means.Population, n: int) -> Count:
    def count(runs: int, generator: np.random.Generator) -> int:
        drawn = means.samples(population, n, population.margin, runs, generator)
        return sum(compare_means(*one, CONFIDENCE).interval.high < population.margin for one in drawn)

    return count
