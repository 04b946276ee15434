"""Bounds that hold at every look: formulas against quadrature, optimisers and enumeration, error rates against simulated rollouts."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from calibration.scenario import allowed
from calibration.sequential import Rollout, missed, missed_naively, rollouts
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.sequential import (
    FEWEST_FOR_MEANS,
    PairedMeans,
    PairedProportions,
    TwoMeans,
    TwoProportions,
    asymptotic_bounds,
    mixture_information,
    paired_log_wealth,
    two_arm_log_wealth,
)
from mlgate.stats.verdict import decide

RUNS = 150
State = PairedMeans | PairedProportions | TwoMeans | TwoProportions
KINDS = (PairedMeans, PairedProportions, TwoMeans, TwoProportions)


# Formulas


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("information", [1.0, 300.0, 2000.0, 50_000.0])
def test_the_boundary_is_beyond_that_of_the_mixture_it_is_made_of_and_not_by_much(information: float, confidence: float) -> None:
    """The half-normal mixture of exp(l s - l^2 v / 2), by quadrature: at the boundary it has reached 1 / alpha."""
    precision = mixture_information(confidence) / 2000.0

    def log_mixture(distance: float) -> float:
        score = distance * math.sqrt(information)
        scale = math.sqrt(precision)
        whole, _ = integrate.quad(
            lambda bet: 2 * stats.norm.pdf(bet, scale=scale) * math.exp(bet * score - bet * bet * information / 2),
            0, 12 * scale, points=[score / (information + 1 / precision)] if score > 0 else None, limit=200,
        )  # fmt: skip
        return math.log(whole)

    found = float(asymptotic_bounds(information, 2000.0, confidence))
    exact = optimize.brentq(lambda distance: log_mixture(distance) + math.log(1 - confidence), 0.0, 1.2 * found)
    assert exact <= found <= 1.05 * exact + 1e-9


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_tuning_makes_the_bound_narrowest_at_the_target(confidence: float) -> None:
    """Width at n = 1,000 as a function of the target it is tuned to, minimised by SciPy: no target does a thousandth better than 1,000."""
    best = optimize.minimize_scalar(
        lambda log_target: float(asymptotic_bounds(1000.0, math.exp(log_target), confidence)), bounds=(2, 12), method="bounded"
    )
    assert float(asymptotic_bounds(1000.0, 1000.0, confidence)) <= 1.001 * best.fun


@pytest.mark.parametrize("confidence", [0.5, 1.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="expected a one-sided confidence"):
            kind(target=100).with_batch([0.0, 1.0] * 200, [1.0, 1.0] * 200).interval(confidence)


PROBABILITIES = (0.02, 0.3, 0.5, 0.9, 0.995)


@pytest.mark.parametrize("difference", [-0.3, -0.01, 0.0, 0.05])
@pytest.mark.parametrize("rows", [(1, 1), (3, 1), (2, 5)])
def test_two_arms_expected_evidence_of_a_true_claim_is_at_most_one(difference: float, rows: tuple[int, int]) -> None:
    """By enumeration of all outcomes of a block after one that has been seen, at and within the boundary of the claim."""
    seen = np.array([30.0]), np.array([33.0]), np.array([28.0]), np.array([31.0])
    for baseline in PROBABILITIES:
        for candidate in {min(max(baseline + difference, 0), 1), max(0.0, baseline + difference - 0.1)}:
            if candidate - baseline > difference + 1e-12:
                continue
            expected = 0.0
            for right, other in product(range(rows[0] + 1), range(rows[1] + 1)):
                chance = stats.binom.pmf(right, rows[0], candidate) * stats.binom.pmf(other, rows[1], baseline)
                block = [np.append(one, float(two)) for one, two in zip(seen, (right, rows[0], other, rows[1]), strict=True)]
                before, after = two_arm_log_wealth(*block, difference=difference, target=100, confidence=0.95)
                # of the mixture: the increment of its average
                expected += chance * math.exp(after - before)
            assert expected <= 1 + 1e-12


@pytest.mark.parametrize("difference", [-0.3, -0.01, 0.0, 0.05])
def test_pairs_expected_evidence_of_a_true_claim_is_at_most_one_and_exactly_one_on_the_boundary(difference: float) -> None:
    for disagreement in (0.31, 0.6, 1.0):
        gain, loss = (disagreement + difference) / 2, (disagreement - difference) / 2
        expected = 0.0
        for one, two in product(range(3), repeat=2):
            kinds = [one, two]
            chance = math.prod([gain, loss, 1 - gain - loss][kind] for kind in kinds)
            blocks = np.array([[kind == 0, kind == 1, 1] for kind in kinds], dtype=float).T
            expected += chance * math.exp(paired_log_wealth(*blocks, difference, 100, 0.95)[-1])
        assert expected == pytest.approx(1, abs=1e-12)


def test_a_two_arm_block_is_the_likelihood_ratio_of_turner_and_grunwald() -> None:
    """An alternative (a, b), the point of the claim nearest to it in Kullback-Leibler divergence found by SciPy, and their ratio."""
    n, m, difference = 40, 90, -0.02
    alternative = (0.93, 0.91)

    def divergence(baseline: float) -> float:
        return sum(
            rows * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
            for rows, p, q in ((n, alternative[0], baseline + difference), (m, alternative[1], baseline))
        )

    nearest = optimize.minimize_scalar(divergence, bounds=(0.03, 0.99), method="bounded", options={"xatol": 1e-13}).x
    p, q = nearest + difference, nearest
    bet = (alternative[0] - p) / (p * (1 - p)) * n
    assert bet == pytest.approx(-(alternative[1] - q) / (q * (1 - q)) * m, rel=1e-4)
    for right, other in ((0, 0), (40, 90), (33, 88), (40, 60)):
        ratio = stats.binom.logpmf(right, n, alternative[0]) - stats.binom.logpmf(right, n, p)
        ratio += stats.binom.logpmf(other, m, alternative[1]) - stats.binom.logpmf(other, m, q)
        ours = right * math.log1p(bet / n * (1 - p)) + (n - right) * math.log1p(-bet / n * p)
        ours += other * math.log1p(-bet / m * (1 - q)) + (m - other) * math.log1p(bet / m * q)
        assert ours == pytest.approx(ratio, rel=1e-4, abs=1e-4)


counts_of_a_pair = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 200)).filter(any)
counts_of_arms = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)).filter(
    lambda c: c[0] + c[1] > 0 and c[2] + c[3] > 0
)


@given(st.lists(counts_of_a_pair, min_size=1, max_size=6), st.floats(-0.999, 1), st.floats(-0.999, 1))
def test_the_less_is_claimed_of_pairs_the_more_evidence_there_is_against_it(blocks, one: float, other: float) -> None:
    gained, lost, ties = np.array(blocks, dtype=float).T
    low, high = sorted((one, other))
    below, above = (paired_log_wealth(gained, lost, gained + lost + ties, claim, 500, 0.95) for claim in (low, high))
    assert (below >= above - 1e-9).all()


@given(st.lists(counts_of_arms, min_size=1, max_size=6), st.floats(-1, 1), st.floats(-1, 1))
def test_the_less_is_claimed_of_two_arms_the_more_evidence_there_is_against_it(blocks, one: float, other: float) -> None:
    right, wrong, baseline_right, baseline_wrong = np.array(blocks, dtype=float).T
    low, high = sorted((one, other))
    below, above = (
        two_arm_log_wealth(
            right, right + wrong, baseline_right, baseline_right + baseline_wrong, difference=claim, target=500, confidence=0.95
        )
        for claim in (low, high)
    )
    assert (below >= above - 1e-9).all()


# The record between two looks


def batches(kind: type[State], seed: int, sizes: list[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    is_right_or_wrong = kind in (PairedProportions, TwoProportions)

    def draw(rows: int) -> np.ndarray:
        return (random.random(rows) < 0.9).astype(float) if is_right_or_wrong else random.exponential(1, rows)

    if kind in (PairedMeans, PairedProportions):
        sizes = [(n, n) for n, _ in sizes]
    return [(draw(n), draw(m)) for n, m in sizes]


def assert_same(found: Interval, expected: Interval, tolerance: float = 1e-12) -> None:
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-9, abs=tolerance
    )


sizes = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=5)


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=sizes, seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_record_put_away_as_json_between_two_looks_goes_on_where_it_was(kind, sizes, seed: int) -> None:
    going_on = put_away = kind(target=1000)
    for candidate, baseline in batches(kind, seed, sizes):
        going_on = going_on.with_batch(candidate, baseline)
        put_away = kind.model_validate_json(put_away.with_batch(candidate, baseline).model_dump_json())
    assert put_away == going_on
    assert put_away.interval(0.95) == going_on.interval(0.95)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_stays_small_over_ten_thousand_looks(kind) -> None:
    state = kind(target=5000)
    one, other = batches(kind, 1, [(50, 50)])[0]
    for _ in range(10_000):
        state = state.with_batch(one, other)
    assert len(state.model_dump_json()) < 30_000


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=sizes, seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_exchanging_the_models_mirrors_the_bounds(kind, sizes, seed: int) -> None:
    one = other = kind(target=1000)
    for candidate, baseline in batches(kind, seed, sizes):
        one, other = one.with_batch(candidate, baseline), other.with_batch(baseline, candidate)
    assert_same(other.interval(0.95), one.interval(0.95).mirrored)


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=sizes, seed=st.integers(0, 99), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_within_a_batch_does_not_matter(kind, sizes, seed: int, shuffle) -> None:
    one = other = kind(target=1000)
    for candidate, baseline in batches(kind, seed, sizes):
        order, its = list(range(candidate.size)), list(range(baseline.size))
        shuffle.shuffle(order)
        shuffle.shuffle(its)
        if kind in (PairedMeans, PairedProportions):
            its = order
        one = one.with_batch(candidate, baseline)
        other = other.with_batch(candidate[order], baseline[its])
    assert_same(other.interval(0.95), one.interval(0.95))


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_pairs_by_the_batch_tell_what_they_tell_at_once(parts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = random.exponential(1, (2, sum(parts)))
    by_batch = PairedMeans(target=1000)
    for part in np.split(whole, np.cumsum(parts)[:-1], axis=1):
        by_batch = by_batch.with_batch(*part)
    at_once = PairedMeans(target=1000).with_batch(*whole)
    assert_same(by_batch.interval(0.95), at_once.interval(0.95), 1e-9)
    differences = whole[0] - whole[1]
    if differences.size:
        assert by_batch.differences.cubes == pytest.approx(((differences - differences.mean()) ** 3).sum(), abs=1e-8, rel=1e-8)


# What is refused, and what says nothing


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_is_refused_in_words(kind) -> None:
    state = kind(target=100)
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="baseline: expected finite numbers, got NaN or infinity in row 1"):
            state.with_batch([0, 1], [1, bad])
    with pytest.raises(ValueError, match="candidate: expected one number a row"):
        state.with_batch([[0, 1]], [[0, 1]])


def test_what_does_not_fit_is_refused_in_words() -> None:
    for kind in (PairedMeans, PairedProportions):
        with pytest.raises(ValueError, match="expected the same rows of both models, got 2 and 1"):
            kind(target=100).with_batch([0, 1], [1])
    for kind in (PairedProportions, TwoProportions):
        with pytest.raises(ValueError, match="candidate: expected whether it was right, 0 or 1 a row"):
            kind(target=100).with_batch([0.5], [1])
    for kind in (PairedMeans, TwoMeans):
        with pytest.raises(ValueError, match="numbers too large to compute with"):
            kind(target=100).with_batch([1e300, -1e300] * 10, [0.0] * 20)
    for kind in KINDS:
        with pytest.raises(ValueError, match="target"):
            kind(target=0)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_and_one_row_say_nothing(kind) -> None:
    nothing = kind(target=100)
    assert nothing.with_batch([], []) == nothing
    for state in (nothing, nothing.with_batch([1.0], [0.0])):
        found = state.interval(0.95)
        assert found.low <= -0.5
        assert found.high >= 0.5


@pytest.mark.parametrize("kind", [PairedMeans, TwoMeans])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9, 12345.678])
def test_means_of_what_is_always_the_same_say_nothing(kind, value: float) -> None:
    state = kind(target=100)
    for _ in range(20):
        state = state.with_batch(np.full(50, value), np.zeros(50))
    found = state.interval(0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.estimate == pytest.approx(value)


def test_means_have_no_bounds_before_there_are_enough_rows_of_both() -> None:
    random = np.random.default_rng(0)
    few = FEWEST_FOR_MEANS - 1
    assert PairedMeans(target=100).with_batch(random.normal(size=few), random.normal(size=few)).interval(0.95).low == -math.inf
    assert TwoMeans(target=100).with_batch(random.normal(size=few), random.normal(size=9000)).interval(0.95).low == -math.inf
    assert TwoMeans(target=100).with_batch(random.normal(size=few + 1), random.normal(size=9000)).interval(0.95).low > -1


# What a rollout can rely on


def test_models_that_never_disagree_are_told_apart_from_a_margin_after_a_few_hundred_rows() -> None:
    state, looks = PairedProportions(target=1000), 0
    while decide(state.interval(0.95), 0.01) == "cannot tell":
        state, looks = state.with_batch(np.ones(20), np.ones(20)), looks + 1
    assert 100 <= looks * 20 <= 1000


@pytest.mark.parametrize(
    ("start", "truth"), [(PairedProportions(target=5000), -0.06), (TwoProportions(target=5000), -0.06), (TwoMeans(target=5000), -0.06)]
)
def test_a_model_that_is_much_worse_is_stopped_long_before_the_target(start: State, truth: float) -> None:
    random, state = np.random.default_rng(5), start
    while decide(state.interval(0.95), 0.01) == "cannot tell":
        state = state.with_batch((random.random(50) < 0.9 + truth).astype(float), (random.random(50) < 0.9).astype(float))
    assert decide(state.interval(0.95), 0.01) == "worse"
    assert (state.n if isinstance(state.n, int) else state.n[1]) < 3000


def test_looking_at_any_time_costs_no_more_than_three_times_the_rows() -> None:
    """At the target the exact bounds are at most 1.75 times as far away as those of a fixed sample, which nobody may look at twice."""
    random = np.random.default_rng(6)
    state = PairedProportions(target=5000)
    for _ in range(100):
        right = random.random(50) < 0.9
        flipped = random.random(50) < 0.04
        state = state.with_batch(right ^ flipped, right)
    gained, lost, n = (sum(column) for column in zip(*state.blocks, strict=True))
    fixed, found = tango_interval(gained, lost, n, 0.95), state.interval(0.95)
    assert fixed.high - fixed.low < found.high - found.low < 1.75 * (fixed.high - fixed.low)


def test_a_share_that_grows_while_nights_are_slower_does_not_look_like_a_difference() -> None:
    rollout = next(one for one in rollouts() if "slower at night" in one.population)
    assert sum(missed_naively(rollout, 20, np.random.default_rng(3)).values()) >= 20
    assert sum(missed(rollout, 20, np.random.default_rng(3)).values()) <= 2


QUICK = (
    "4 % disagree, 1 pt worse",
    "90 % right, 1 pt worse",
    "log losses",
    "2 % lose a lot, beside small noise",
    "exponential latencies, 10 % slower",
)


@pytest.mark.parametrize(
    "rollout", [one for one in rollouts() if one.population in QUICK], ids=lambda one: f"{one.family}: {one.population}"
)
def test_looked_at_after_every_batch_the_bounds_keep_their_promise(rollout: Rollout) -> None:
    assert max(missed(rollout, RUNS, np.random.default_rng(11)).values()) / RUNS <= allowed(RUNS)


def test_looked_at_after_every_batch_the_bound_of_a_fixed_sample_does_not() -> None:
    """What people do: a z-test a look. One in twenty becomes one in five, even with normal data."""
    rollout = next(one for one in rollouts() if one.population == "normal")
    assert min(missed_naively(rollout, RUNS, np.random.default_rng(12)).values()) / RUNS > 0.15


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sequential.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)
    assert names["decide"](names["state"].interval(0.95), margin=0.01) == "cannot tell"
    assert names["state"].n == (4, 3)
