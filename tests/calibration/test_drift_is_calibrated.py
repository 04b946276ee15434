"""What drift promises, measured: a quick part of what `make calibrate` runs in full."""

from __future__ import annotations

import pytest

from calibration import drift
from calibration.scenario import Promise, measure_promise

RUNS = 250
QUICK = [promise for promise in drift.promises() if promise.is_quick]


@pytest.mark.parametrize("promise", QUICK, ids=lambda promise: promise.name)
def test_clean_data_rings_and_shifted_data_is_missed_no_more_often_than_promised(promise: Promise) -> None:
    assert measure_promise(promise, RUNS).holds


def test_a_bare_index_above_two_tenths_rings_on_clean_samples_of_a_hundred() -> None:
    """The figure that the rule about chance is for."""
    import numpy as np

    from mlgate.drift import bins, statistics

    generator, rings = np.random.default_rng(1), 0
    for _ in range(RUNS):
        found = bins.of(*(drift.KINDS["normal"](100, generator) for _ in range(2)))
        rings += statistics.population_stability_index(found.reference, found.current) > 0.2
    assert 0.25 < rings / RUNS < 0.5
