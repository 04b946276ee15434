"""`mlgate plan` says beforehand how often a rule fails a model that is exactly as good; the calibration counted how often it does.

A user has one holdout, and plans from it. So each population stands with what single samples of it predict (`calibration.planned`): the
share that was measured must lie among what eight of ten of them say, up to Monte-Carlo error and a twentieth, and the predictions of a
metric must be right on average.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import pytest

from calibration import planned, suite
from calibration.__main__ import RESULTS, _named
from mlgate.stats.planning import PairedProportions

MEASURED = json.loads(RESULTS.read_text())["intervals"]
ACCURACY = [row for row in MEASURED if row["family"] == "0/1 correctness"]
PLANNED = [row for row in MEASURED if row.get("planned")]
TOLERANCE = 0.05
BLOCKED_TOLERANCE = 0.03
HARDLY_ANY_ROWS = 100
"""Fewer rows of a heavy-tailed loss say too little of its tail: more is then shown to be no worse than `plan` expects, not less."""
OF_HARDLY_ANY = 0.25
FEW_POPULATIONS = 4


def named(row: dict[str, Any]) -> str:
    return f"{row['family']}, {row['metric']}, n={row['n']}, margin {row['margin']:g}, {row['population']}"


def chance(share: float, runs: int) -> float:
    """Three Monte-Carlo standard errors."""
    return 3 * math.sqrt(max(share * (1 - share), 1e-4) / runs)


@pytest.mark.parametrize("row", ACCURACY, ids=lambda row: f"n={row['n']}, margin {row['margin']:g}, {row['population']}")
def test_an_unchanged_model_and_one_worse_by_the_margin_fare_as_planned(row: dict[str, Any]) -> None:
    noise = PairedProportions(row["n"], float(row["population"].split()[0]) / 100)
    unchanged = noise.outcomes(row["margin"], 0.95)
    worse = noise.outcomes(row["margin"], 0.95, -row["margin"])
    for expected, measured in [
        (unchanged.cannot_tell, row["cannot_tell"]),
        (unchanged.worse, row["false_block"]),
        (worse.better + worse.no_worse, row["false_pass"]),
    ]:
        error = math.sqrt(max(expected * (1 - expected), 1e-4) / row["runs"])
        assert abs(measured - expected) < 4 * error


def test_what_the_docs_show_was_planned_for_every_metric_but_latency() -> None:
    unplanned = {row["family"] for row in MEASURED if not row.get("planned")}
    assert unplanned == {"latency"}


def test_an_unchanged_model_is_not_shown_to_be_no_worse_as_often_as_single_holdouts_predict() -> None:
    wrong = []
    for row in PLANNED:
        share = row["false_block"] + row["cannot_tell"]
        few = row["n"] < HARDLY_ANY_ROWS and row["family"] == "mean losses"
        room = (OF_HARDLY_ANY if few else TOLERANCE) + chance(share, row["runs"])
        if not row["planned"]["low"] - room <= share <= row["planned"]["high"] + room:
            wrong.append(f"{named(row)}: measured {share:.3f}, planned {row['planned']}")
    assert not wrong, "\n".join(wrong)


def test_an_unchanged_model_is_called_worse_as_often_as_predicted() -> None:
    wrong = [
        f"{named(row)}: measured {row['false_block']:.3f}, planned {row['planned']['false_block']:.3f}"
        for row in PLANNED
        if abs(row["false_block"] - row["planned"]["false_block"]) > BLOCKED_TOLERANCE + chance(row["false_block"], row["runs"])
    ]
    assert not wrong, "\n".join(wrong)


def test_over_the_populations_of_a_metric_the_predictions_lean_to_neither_side() -> None:
    by_metric: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in PLANNED:
        by_metric[row["family"], row["metric"]].append(row)
    wrong = []
    for metric, rows in by_metric.items():
        off = sum(row["planned"]["mean"] - row["false_block"] - row["cannot_tell"] for row in rows) / len(rows)
        room = 3 * math.sqrt(0.25 / sum(row["runs"] for row in rows))
        if len(rows) >= FEW_POPULATIONS and abs(off) > TOLERANCE + room:
            wrong.append(f"{metric}: {off:+.3f}")
    assert not wrong, "\n".join(wrong)


QUICK = {
    next(one.name for one in suite.scenarios() if (one.family, one.metric) == wanted and one.n <= 1000)
    for wanted in [
        ("0/1 correctness", "accuracy"),
        ("confusion table", "f1_binary"),
        ("confusion table", "recall_macro"),
        ("ranking", "roc_auc"),
        ("mean losses", "own, a value an example"),
        ("RMSE and R2", "rmse"),
        ("grouped rows", "accuracy"),
        ("training noise", "accuracy"),
        ("fairness", "recall gap"),
    ]
}


@pytest.mark.parametrize("scenario", [one for one in suite.scenarios() if one.name in QUICK], ids=lambda one: one.name)
def test_the_predictions_that_were_held_against_it_are_those_of_the_code_as_it_is(scenario: Any) -> None:
    recorded = next(row["planned"] for row in MEASURED if _named(row) == _named(vars(scenario)))
    again = planned.as_data(scenario)["planned"]
    assert again is not None
    assert again == pytest.approx(recorded, abs=0.02)
