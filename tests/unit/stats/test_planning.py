"""What planning promises: held against brute force over the gate's own intervals, an independent sample-size formula, simulation, and the
numbers that ease.ml/ci published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, multinomial
from statsmodels.stats.power import normal_sample_size_one_tail

from mlgate.stats import planning
from mlgate.stats.comparison import Model, Pair, compare
from mlgate.stats.intervals import Interval, tango_interval
from mlgate.stats.means import mean_interval
from mlgate.stats.planning import NormalDifference, PairedProportions, examples_for_margin, visible_loss
from mlgate.stats.verdict import decide

RUNS = 2000


@pytest.mark.parametrize(
    ("n", "disagreement", "margin", "improvement"),
    [(30, 0.2, 0.05, 0.0), (40, 0.1, 0.1, -0.05), (25, 1.0, 0.2, 0.0), (50, 0.04, 0.0, 0.0), (40, 0.3, 0.1, 0.3), (60, 0.05, 0.04, 0.02)],
)
def test_the_exact_sum_is_the_sum_over_every_table_there_can_be(n: int, disagreement: float, margin: float, improvement: float) -> None:
    shares = [(disagreement + improvement) / 2, (disagreement - improvement) / 2, 1 - disagreement]
    expected = dict.fromkeys(("better", "no worse", "cannot tell", "worse"), 0.0)
    for gained in range(n + 1):
        for lost in range(n - gained + 1):
            counts = [gained, lost, n - gained - lost]
            if all(share > 0 or not count for share, count in zip(shares, counts, strict=True)):
                expected[decide(tango_interval(gained, lost, n, 0.95), margin)] += multinomial.pmf(counts, n, shares)
    found = PairedProportions(n, disagreement).outcomes(margin, 0.95, improvement)
    assert [found.better, found.no_worse, found.cannot_tell, found.worse] == pytest.approx(list(expected.values()), abs=1e-9)
    assert found.method == planning.EXACT


@pytest.mark.parametrize(("n", "disagreement", "margin"), [(1000, 0.04, 0.01), (5000, 0.1, 0.01)])
def test_many_holdouts_come_out_as_planned(n: int, disagreement: float, margin: float) -> None:
    drawn = np.random.default_rng(n).multinomial(n, [disagreement / 2, disagreement / 2, 1 - disagreement], size=RUNS)
    verdicts = [decide(tango_interval(int(gained), int(lost), n, 0.95), margin) for gained, lost, _ in drawn]
    found = PairedProportions(n, disagreement).outcomes(margin, 0.95)
    for verdict, share in (("no worse", found.no_worse), ("cannot tell", found.cannot_tell), ("worse", found.worse)):
        assert verdicts.count(verdict) / RUNS == pytest.approx(share, abs=3 * math.sqrt(0.25 / RUNS))


def test_many_disagreements_are_approximated_and_the_answer_hardly_moves() -> None:
    few, many = PairedProportions(19_900, 0.1), PairedProportions(20_100, 0.1)
    one, other = few.outcomes(0.004, 0.95), many.outcomes(0.004, 0.95)
    assert (one.method, other.method) == (planning.EXACT, planning.APPROXIMATE)
    assert one.passes == pytest.approx(other.passes, abs=0.005)
    assert one.worse == pytest.approx(other.worse, abs=0.0005)


@pytest.mark.parametrize("noise", [PairedProportions(800, 0.05), NormalDifference(800, 0.01), PairedProportions(10**6, 0.05)])
def test_the_four_verdicts_are_all_there_is_and_a_wider_margin_passes_more(noise: planning.Noise) -> None:
    margins = [0.0, 0.001, 0.01, 0.02, 0.1, 1.0]
    found = [noise.outcomes(margin, 0.95) for margin in margins]
    for one in found:
        assert one.better + one.no_worse + one.cannot_tell + one.worse == pytest.approx(1)
    passes = [one.passes for one in found]
    assert passes == sorted(passes)
    assert [noise.passes(margin, 0.95) for margin in margins] == pytest.approx(passes)
    assert found[0].no_worse == 0
    assert found[-1].passes == pytest.approx(1)


@pytest.mark.parametrize(("n", "disagreement"), [(200, 0.1), (1000, 0.1), (1000, 0.02), (5000, 0.3)])
def test_an_equally_good_model_passes_at_the_visible_loss_four_times_out_of_five(n: int, disagreement: float) -> None:
    noise = PairedProportions(n, disagreement)
    loss = visible_loss(noise, 0.95)
    assert loss is not None
    drawn = np.random.default_rng(n).multinomial(n, [disagreement / 2, disagreement / 2, 1 - disagreement], size=RUNS)
    passed = sum(decide(tango_interval(int(gained), int(lost), n, 0.95), loss) in ("better", "no worse") for gained, lost, _ in drawn)
    assert passed / RUNS == pytest.approx(0.8, abs=0.04)
    assert noise.outcomes(loss, 0.95).passes == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("n", "disagreement"), [(1000, 0.1), (5000, 0.04), (200_000, 0.1)])
def test_a_model_worse_by_the_visible_loss_is_found_worse_about_as_often(n: int, disagreement: float) -> None:
    noise = PairedProportions(n, disagreement)
    loss = visible_loss(noise, 0.95)
    assert loss is not None
    assert noise.outcomes(0.0, 0.95, -loss).worse == pytest.approx(0.8, abs=0.05)


def test_of_large_holdouts_it_is_the_usual_sample_size_turned_around() -> None:
    loss = visible_loss(PairedProportions(1_000_000, 0.08), 0.95, 0.9)
    assert loss is not None
    assert normal_sample_size_one_tail(loss, 0.9, 0.05, std_null=math.sqrt(0.08)) == pytest.approx(1_000_000, rel=0.005)
    needed = examples_for_margin(NormalDifference(1000, math.sqrt(0.08 / 1000)), 0.01, 0.95, 0.9)
    assert needed == math.ceil(normal_sample_size_one_tail(0.01, 0.9, 0.05, std_null=math.sqrt(0.08)))


@pytest.mark.parametrize("noise", [PairedProportions(500, 0.04), NormalDifference(500, 0.02)])
def test_the_examples_a_margin_needs_see_a_loss_of_that_margin(noise: planning.Noise) -> None:
    needed = examples_for_margin(noise, 0.01, 0.95)
    assert needed is not None
    assert visible_loss(noise.at(needed), 0.95) == pytest.approx(0.01, rel=0.01)
    assert noise.at(needed).passes(0.01, 0.95) >= 0.8


def test_models_that_never_disagreed_may_still_do_so() -> None:
    assert visible_loss(PairedProportions(100, 0.0), 0.95) == visible_loss(PairedProportions(100, 0.01), 0.95)


def test_what_cannot_be_had_is_not_promised() -> None:
    assert examples_for_margin(PairedProportions(100, 0.1), 0.0, 0.95) is None
    assert examples_for_margin(NormalDifference(100, 1.0), 1e-6, 0.95) is None
    assert visible_loss(PairedProportions(1, 1.0), 0.95) is None
    assert visible_loss(NormalDifference(100, 0.0), 0.95) is None
    assert planning.noise_of(Interval(0.0, -math.inf, 1.0, "x"), 10, 0.95) is None
    with pytest.raises(ValueError, match="cannot differ"):
        PairedProportions(100, 0.1).outcomes(0.0, 0.95, 0.2)
    with pytest.raises(ValueError, match="disagreement in"):
        PairedProportions(0, 0.1)


def test_a_threshold_at_the_baselines_own_value_fails_an_equal_model_almost_every_second_time() -> None:
    noise = PairedProportions(1000, 0.04)
    fails = noise.falls_short(0.9, 0.9)
    drawn = np.random.default_rng(1).multinomial(1000, [0.02, 0.02, 0.96], size=20_000)
    assert fails == pytest.approx(float(np.mean(drawn[:, 0] < drawn[:, 1])), abs=0.01)
    assert 0.45 < fails < 0.5
    assert noise.falls_short(0.9, 0.88) < 0.01
    assert noise.falls_short(0.9, 0.92) > 0.99
    assert NormalDifference(10, 0.0).falls_short(0.5, 0.5) == 0.0


def test_a_threshold_needs_examples_as_far_as_the_baseline_keeps_it() -> None:
    noise = PairedProportions(1000, 0.04)
    needed = planning.examples_for_threshold(noise, 0.902, 0.9)
    assert needed is not None
    assert noise.at(needed).falls_short(0.902, 0.9) == pytest.approx(0.2, abs=0.01)
    assert planning.examples_for_threshold(noise, 0.9, 0.9) is None


def test_the_published_sample_sizes_of_ease_ml_ci_come_out_to_the_last_example() -> None:
    assert planning.hoeffding_examples(0.01, 0.99) == 105_967
    assert planning.hoeffding_examples(0.01, 0.99, uses=32) == 549_581


def test_pairing_needs_a_small_part_of_them() -> None:
    ours = examples_for_margin(PairedProportions(1000, 0.1), 0.01, 0.99)
    assert ours is not None
    assert ours < planning.hoeffding_examples(0.01, 0.99) / 10


def test_a_twin_is_exactly_as_good_and_disagrees_as_asked() -> None:
    random = np.random.default_rng(3)
    target = random.choice(3, size=6000, p=[0.6, 0.3, 0.1])
    prediction = np.where(random.random(6000) < 0.12, (target + 1) % 3, target)
    share = planning.share_to_exchange(target, prediction == target, 0.08)
    rows = planning.twin_rows(target, share, seed=4)
    assert sorted(rows) == list(range(6000))
    assert (target[rows] == target).all()
    assert np.mean((prediction[rows] == target) != (prediction == target)) == pytest.approx(0.08, abs=0.01)
    compared = compare("f1_macro", Pair(Model(target, prediction[rows], 3), Model(target, prediction, 3)), 0.95, 1)
    assert compared.candidate == compared.baseline
    assert compared.interval.low < 0 < compared.interval.high
    assert (planning.twin_rows(target, share, seed=4) == rows).all()


def test_where_nothing_is_wrong_a_twin_can_only_agree() -> None:
    target = np.array([0, 1, 1])
    assert planning.share_to_exchange(target, target == target, 0.1) == 1.0
    assert planning.twin_rows(target, 1.0, 0).size == 3
    assert planning.twin_rows(np.array([], dtype=np.int64), 0.5, 0).size == 0


def test_few_disagreements_leave_their_share_open() -> None:
    assert planning.largest_share(6, 719, 0.95) == pytest.approx(float(beta.ppf(0.95, 7, 713)), abs=1e-9)
    assert planning.largest_share(0, 300, 0.95) == pytest.approx(0.01, rel=0.01)  # the rule of three
    assert planning.largest_share(5, 5, 0.95) == 1.0


def test_bounds_wider_than_the_noise_asks_for_are_planned_with_as_they_are() -> None:
    random = np.random.default_rng(9)
    losses = random.exponential(1.0, (RUNS, 300)) - random.exponential(1.0, (RUNS, 300))
    found = [mean_interval(each, 0.95, widest=8.0) for each in losses]
    noise = planning.noise_of(found[0], 300, 0.95)
    assert noise is not None
    assert noise.widening > 1.1
    margin = 1.2 * (found[0].high - found[0].low) / 2
    verdicts = [decide(one, margin) for one in found]
    expected = noise.outcomes(margin, 0.95)
    assert sum(verdict in ("better", "no worse") for verdict in verdicts) / RUNS == pytest.approx(expected.passes, abs=0.1)
    assert verdicts.count("worse") / RUNS == pytest.approx(expected.worse, abs=0.005)
