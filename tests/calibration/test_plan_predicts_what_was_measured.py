"""`mlgate plan` says beforehand how often a rule fails a model that is exactly as good; the calibration counted how often it does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mlgate.stats.planning import PairedProportions

MEASURED = json.loads((Path(__file__).resolve().parents[2] / "docs/reference/calibration.json").read_text())["intervals"]
ACCURACY = [row for row in MEASURED if row["family"] == "0/1 correctness"]


@pytest.mark.parametrize("row", ACCURACY, ids=lambda row: f"n={row['n']}, margin {row['margin']:g}, {row['population']}")
def test_an_unchanged_model_and_one_worse_by_the_margin_fare_as_planned(row: dict[str, Any]) -> None:
    noise = PairedProportions(row["n"], float(row["population"].split()[0]) / 100)
    unchanged = noise.outcomes(row["margin"], 0.95)
    worse = noise.outcomes(row["margin"], 0.95, -row["margin"])
    for planned, measured in [
        (unchanged.cannot_tell, row["cannot_tell"]),
        (unchanged.worse, row["false_block"]),
        (worse.better + worse.no_worse, row["false_pass"]),
    ]:
        error = math.sqrt(max(planned * (1 - planned), 1e-4) / row["runs"])
        assert abs(measured - planned) < 4 * error
