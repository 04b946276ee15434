"""Closed-form intervals against independent implementations: SciPy's optimiser and distributions, published formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from mlgate.stats.distributions import normal_quantile, t_quantile
from mlgate.stats.intervals import TANGO_OF_FEW, tango_interval, tango_score_interval

counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 500)).filter(lambda c: c[0] + c[1] <= c[2])


@pytest.mark.parametrize("probability", [0.05, 0.6, 0.9, 0.95, 0.99, 0.9995])
@pytest.mark.parametrize("degrees", [1, 2, 3, 5.5, 29, 199, 10_000, 1_000_000])
def test_quantiles_agree_with_scipy(probability: float, degrees: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-8)
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), rel=1e-12)


def test_quantiles_refuse_what_is_out_of_range() -> None:
    for probability, degrees in ((0, 3), (1, 3), (0.5, 0), (0.5, math.nan)):
        with pytest.raises(ValueError, match="expected a probability"):
            t_quantile(probability, degrees)


def score_statistic(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's statistic with the nuisance parameter found by SciPy's optimiser over the multinomial likelihood."""

    def minus_log_likelihood(loss: float) -> float:
        cells = ((gained, loss + difference), (lost, loss), (n - gained - lost, 1 - 2 * loss - difference))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    loss = optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    return (gained - lost - n * difference) / math.sqrt(n * (2 * loss + difference * (1 - difference)))


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 3, 100), (1, 9, 50), (5, 5, 40), (20, 1, 30), (40, 35, 5000), (0, 4, 200)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_tango_inverts_the_score_test(gained: int, lost: int, n: int, confidence: float) -> None:
    found = tango_score_interval(gained, lost, n, confidence)
    z, estimate = stats.norm.ppf(confidence), (gained - lost) / n
    low = optimize.brentq(lambda d: score_statistic(gained, lost, n, d) - z, -0.999, estimate - 1e-9)
    high = optimize.brentq(lambda d: score_statistic(gained, lost, n, d) + z, estimate + 1e-9, 0.999)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"),
    [
        (1, 7, 21, -0.5173, -0.0260),  # airway hyper-responsiveness before and after a transplantation
        (6, 16, 161, -0.1240, -0.0054),  # complete response before and after consolidation
    ],
)
def test_tangos_interval_of_published_examples(gained: int, lost: int, n: int, low: float, high: float) -> None:
    """Two-sided, 95 %: Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850-2875, and their Statistical Analysis of
    Contingency Tables (2017), chapter 8."""
    found = tango_score_interval(gained, lost, n, 0.975)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_with_six_gains_and_six_losses_it_is_tangos_and_with_fewer_it_is_never_narrower() -> None:
    for gained, lost in ((6, 6), (6, 40), (100, 90)):
        found, published = (function(gained, lost, 1000, 0.95) for function in (tango_interval, tango_score_interval))
        assert found == published
    for gained in range(8):
        for lost in range(6):
            found, published = (function(gained, lost, 1000, 0.95) for function in (tango_interval, tango_score_interval))
            assert found.method == TANGO_OF_FEW
            assert found.low <= published.low
            assert published.high <= found.high


@pytest.mark.parametrize(("lost", "n"), [(0, 50), (0, 1000), (1, 300), (4, 200), (30, 400)])
def test_where_nothing_was_gained_the_losses_have_their_exact_binomial_bound(lost: int, n: int) -> None:
    exact = stats.binomtest(lost, n).proportion_ci(0.9, "exact").high
    found = tango_interval(0, lost, n, 0.95)
    assert found.low == pytest.approx(-exact, rel=1e-9) or found.low < -exact


def test_one_more_gain_or_one_loss_less_never_lowers_the_bound() -> None:
    low = np.array([[tango_interval(gained, lost, 200, 0.95).low for lost in range(20)] for gained in range(20)])
    assert (np.diff(low, axis=0) >= -1e-12).all()
    assert (np.diff(low, axis=1) <= 1e-12).all()


@pytest.mark.parametrize("n", [1, 20, 200, 100_000])
def test_no_disagreement_at_all_still_leaves_room_for_one(n: int) -> None:
    z = stats.norm.ppf(0.95)
    found = tango_score_interval(0, 0, n, 0.95)
    assert found.high == -found.low == pytest.approx(z**2 / (n + z**2), rel=1e-9)


def test_tango_at_the_ends() -> None:
    z = stats.norm.ppf(0.95)
    found = tango_score_interval(5, 0, 5, 0.95)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(2 * 5 / (5 + z**2) - 1, rel=1e-9), (
        "all gained: Wilson's interval of one proportion, stretched to [-1, 1]"
    )


@pytest.mark.parametrize(
    ("gained", "lost", "n", "confidence"), [(-1, 0, 5, 0.95), (3, 3, 5, 0.95), (0, 0, 0, 0.95), (1, 1, 5, 0.5), (1, 1, 5, 1)]
)
def test_tango_refuses_what_cannot_be(gained: int, lost: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        tango_interval(gained, lost, n, confidence)


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_tango_mirrors_when_models_are_exchanged_and_widens_with_confidence(count: tuple[int, int, int], confidence: float) -> None:
    gained, lost, n = count
    found = tango_interval(gained, lost, n, confidence)
    assert found.mirrored == tango_interval(lost, gained, n, confidence)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    wider = tango_interval(gained, lost, n, 0.999)
    assert wider.low <= found.low
    assert found.high <= wider.high
