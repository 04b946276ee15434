"""Holm's procedure: what it lets stand, against an independent implementation, and the rate of false alarms it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from calibration import slices
from calibration.scenario import ALPHA, allowed
from mlgate.stats.intervals import Interval
from mlgate.stats.multiplicity import holm_adjusted, interval_at, step_down

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=15)  # a call of theirs takes 0.1 s
@given(P_VALUES)
def test_adjusted_p_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    wanted = multipletests(p_values, method="holm")[1]
    assert holm_adjusted(np.array(p_values)) == pytest.approx(wanted, abs=1e-12)


def test_four_hypotheses_by_hand() -> None:
    """0.01 * 4, then 0.013 * 3, but never less than the one before; 0.03 * 2 = 0.06; 0.04 * 1 is raised to it."""
    assert holm_adjusted(np.array([0.04, 0.01, 0.03, 0.013])).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.04])


@given(P_VALUES, st.floats(0.001, 0.5))
def test_stepping_down_by_intervals_lets_the_same_claims_stand(p_values: list[float], alpha: float) -> None:
    promising = [place for place, p in enumerate(p_values) if p <= alpha]
    standing = step_down(lambda place, level: p_values[place] <= level, promising, len(p_values), alpha)
    adjusted = holm_adjusted(np.array(p_values))
    near = {place for place in promising if math.isclose(adjusted[place], alpha, rel_tol=1e-9)}  # equal but for rounding
    assert standing - near == {place for place, p in enumerate(adjusted) if p <= alpha} - near


def test_an_empty_family_claims_nothing_and_a_larger_one_than_promised_is_refused() -> None:
    assert step_down(lambda *_: True, [], 0, 0.05) == frozenset()
    with pytest.raises(ValueError, match="2 claims in a family of 1"):
        step_down(lambda *_: True, [0, 1], 1, 0.05)


def test_beyond_what_draws_resolve_a_bootstrap_is_continued_by_the_normals_tail_and_a_formula_is_asked_itself() -> None:
    asked = []

    def at(method: str, confidence: float) -> Interval:
        asked.append(confidence)
        return Interval(1.0, 0.0, 3.0, method)

    far = interval_at(lambda confidence: at("paired bootstrap", confidence), 0.9999)
    stretch = 3.719016485455709 / 2.5758293035489004  # normal quantiles of 0.9999 and 0.995, by scipy
    assert (far.low, far.high) == (pytest.approx(1 - stretch), pytest.approx(1 + 2 * stretch))
    assert interval_at(lambda confidence: at("Tango's score interval", confidence), 0.9999).low == 0.0
    assert asked == [0.995, 0.995, 0.9999]
    assert interval_at(lambda confidence: at("paired bootstrap", confidence), 0.95) == Interval(1.0, 0.0, 3.0, "paired bootstrap")


def test_twenty_slices_of_an_unchanged_model_raise_no_more_alarms_than_one_may() -> None:
    """Each slice for itself raises one in most runs, and so does the tolerance of a point that somebody guessed."""
    runs = 400
    by = {claim: slices.count(runs, np.random.default_rng(1), claim) / runs for claim in (slices.worse, slices.worse_alone, slices.dropped)}
    assert by[slices.worse] <= allowed(runs, ALPHA)
    assert by[slices.worse_alone] > 0.5
    assert by[slices.dropped] > 0.5
