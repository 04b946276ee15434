"""What a training took, of samples that are added up; every number here is worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.config import PriceConfig
from mlgate.evidence import AccountFindings, CheckpointRef, PipelineStage, ReusedRun, TrainFindings, TrainingCost
from mlgate.gpu.account import Sample, Tally, bill, cost_of, throttled_by, total, with_earlier
from mlgate.stages.training import cost

GB = 1_000_000_000
PRICE = PriceConfig(gpu_hour=2.5, kwh=0.3, currency="EUR")


def tally(
    seconds: float = 600,
    busy: float | None = 0.9,
    peak_gb: float | None = 60,
    reasons: int | None = 0,
    power_w: float | None = 360,
    uuid: str = "GPU-a",
    **more: Any,
) -> Tally:
    """A GPU that begins empty and is used evenly, sampled ten times."""
    watched = Tally(uuid, "NVIDIA H100", 80 * GB)
    for index in range(11):
        at_s = seconds * index / 10
        peak = None if peak_gb is None else int(peak_gb * GB) if index else 500_000_000
        watched.add(
            Sample(at_s, busy, peak, power_w, more.get("energy_per_s", power_w or 0) * at_s if power_w else None, reasons, 60 + index)
        )
    return watched


def hints(*tallies: Tally, seconds: float = 600) -> list[str]:
    return bill(tallies, len(tallies), seconds).hints


# --- sums ------------------------------------------------------------------------------------------------------------


def test_two_gpus_for_an_hour_and_a_half_are_three_gpu_hours_with_their_energy_and_price() -> None:
    found = bill([tally(5400), tally(5400, uuid="GPU-b")], 2, 5400, PRICE)
    assert found.gpu_hours == 3.0
    assert found.kwh == pytest.approx(2 * 0.36 * 1.5)  # 360 W each
    assert found.cost == pytest.approx(3 * 2.5 + 1.08 * 0.3)
    assert found.currency == "EUR"


def test_energy_is_the_counters_where_there_is_one_and_else_the_trapezoid_of_the_power() -> None:
    watched = Tally("GPU-a", "T4")
    watched.add(Sample(0, power_w=100))
    watched.add(Sample(2, power_w=200))  # 2 s at 150 W on average
    watched.add(Sample(3, power_w=100, energy_j=1_000))  # 1 s at 150 W
    watched.add(Sample(5, power_w=900, energy_j=1_250))  # the counter says 250 J, whatever the power was at both ends
    assert watched.used().energy_j == pytest.approx(300 + 150 + 250)


def test_a_counter_that_begins_anew_counts_by_power_for_that_step() -> None:
    watched = Tally("GPU-a", "T4")
    watched.add(Sample(0, power_w=100, energy_j=9_000))
    watched.add(Sample(1, power_w=100, energy_j=40))
    watched.add(Sample(2, power_w=100, energy_j=240))
    assert watched.used().energy_j == pytest.approx(100 + 200)


def test_what_a_machine_took_while_it_slept_is_not_made_up() -> None:
    watched = Tally("GPU-a", "T4")
    for at_s in (0, 1, 7_201, 7_202):
        watched.add(Sample(at_s, power_w=100))
    assert watched.used().energy_j == pytest.approx(200)


def test_a_counter_that_stands_still_counts_for_nothing() -> None:
    watched = Tally("GPU-a", "a virtual GPU")
    for second in range(11):
        watched.add(Sample(second, power_w=90, energy_j=600))
    assert watched.used().energy_j == pytest.approx(900)
    asleep = Tally("GPU-b", "H100")
    asleep.add(Sample(0, energy_j=600))
    asleep.add(Sample(1, energy_j=600))
    assert asleep.used().energy_j is None, "nothing tells what it took"


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 700)), min_size=2, max_size=60))
def test_energy_of_a_steady_power_is_power_times_time_whatever_the_samples(steps: list[tuple[float, float]]) -> None:
    """Against its definition: the integral of a piecewise linear power."""
    watched, at_s, expected, before = Tally("GPU-a", "T4"), 0.0, 0.0, None
    for wait_s, power_w in steps:
        if before is not None:
            expected += wait_s * (before + power_w) / 2
        at_s += wait_s
        watched.add(Sample(at_s, power_w=power_w))
        before = power_w
    assert watched.used().energy_j == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_mean_peak_and_hottest_are_of_all_samples() -> None:
    watched = Tally("GPU-a", "T4", 16 * GB)
    for busy, used, celsius in ((0.0, 1 * GB, 40), (1.0, 9 * GB, 80), (0.5, 3 * GB, 60)):
        watched.add(Sample(float(watched.samples), busy, used, None, None, None, celsius))
    used_device = watched.used()
    assert (used_device.utilisation_mean, used_device.memory_peak_bytes, used_device.temperature_max_c) == (0.5, 9 * GB, 80)
    assert (used_device.power_mean_w, used_device.energy_j, used_device.throttled_share) == (None, None, None)
    assert used_device.watched_s == 2


def test_a_copy_stays_as_it_was() -> None:
    watched = tally(reasons=0x20)
    before = watched.copy()
    watched.add(Sample(601, 0.1, 70 * GB, reasons=0x80))
    assert before.used() == tally(reasons=0x20).used()


# --- what held clocks down -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reasons", "named"),
    [
        (0x0, []),
        (0x1, []),  # idle
        (0x2, []),  # somebody set the clocks
        (0x4, ["power limit"]),
        (0x8, ["hardware slowdown"]),
        (0x20, ["heat"]),
        (0x40 | 0x8, ["heat"]),  # the hardware slowdown is for its heat
        (0x80 | 0x8, ["power brake"]),
        (0x20 | 0x4 | 0x1, ["heat", "power limit"]),
    ],
)
def test_idle_or_set_clocks_are_no_throttling(reasons: int, named: list[str]) -> None:
    assert throttled_by(reasons) == named


def test_throttling_is_a_share_of_the_samples() -> None:
    watched = Tally("GPU-a", "T4")
    for index, reasons in enumerate((0, 0x4, 0x24, 0x1, None)):
        watched.add(Sample(float(index), reasons=reasons))
    used = watched.used()
    assert used.throttled_share == 0.5  # 2 of the 4 that were told
    assert used.throttled_by == {"power limit": 0.5, "heat": 0.25}


# --- what is not known -----------------------------------------------------------------------------------------------


def test_on_the_cpu_time_is_all_there_is() -> None:
    found = bill([], 0, 120, PRICE, cpu_s=230)
    assert (found.gpu_hours, found.kwh, found.cost, found.currency, found.cpu_s) == (0, None, None, None, 230)
    assert cost_of(found) == TrainingCost(duration_s=120)


def test_energy_that_one_gpu_does_not_tell_is_not_told_of_all_and_the_cost_says_so() -> None:
    found = bill([tally(3600), tally(3600, power_w=None, uuid="MIG-b")], 2, 3600, PRICE)
    assert found.kwh is None
    assert found.cost == 5.0
    assert found.hints[-1] == "the energy could not be measured, so the cost is without it"


def test_a_price_of_energy_alone_says_nothing_where_it_was_not_measured() -> None:
    found = bill([tally(power_w=None)], 1, 600, PriceConfig(kwh=0.3))
    assert found.cost is None
    assert found.hints[-1] == "the energy could not be measured, so the cost is not known"


def test_a_price_of_energy_alone_is_one_where_it_was_measured() -> None:
    found = bill([tally(3600)], 1, 3600, PriceConfig(kwh=0.5))
    assert found.cost == pytest.approx(0.36 * 0.5)


def test_without_a_price_there_is_no_cost() -> None:
    assert bill([tally()], 1, 600).cost is None


def test_leased_gpus_cost_even_where_nothing_could_be_watched() -> None:
    found = bill([], 2, 1800, PriceConfig(gpu_hour=2), unseen="NVML: Unknown Error")
    assert (found.gpu_hours, found.cost, found.hints) == (1.0, 2.0, ["the GPUs could not be watched: NVML: Unknown Error"])


# --- hints -----------------------------------------------------------------------------------------------------------


def test_a_gpu_that_works_and_is_filled_gets_no_hint() -> None:
    assert hints(tally()) == []


def test_a_gpu_that_waits_gets_a_hint_with_what_to_do() -> None:
    [hint] = hints(tally(busy=0.12))
    assert hint.startswith("the GPU worked 12 % of the time and waited for the rest")
    assert "more loader workers" in hint


def test_memory_that_lay_empty_gets_a_hint() -> None:
    [hint] = hints(tally(peak_gb=20))
    assert hint.startswith("at most 20.0 of 80 GB of GPU memory were in use")


def test_limits_are_not_hints() -> None:
    assert hints(tally(busy=0.31, peak_gb=32)) == []


@pytest.mark.parametrize("seconds", [5, 59, 299])
def test_short_trainings_get_no_hint(seconds: float) -> None:
    assert hints(tally(seconds, busy=0.05, peak_gb=2), seconds=seconds) == []


def test_a_gpu_that_nothing_was_put_on_is_said_after_a_minute() -> None:
    untouched = tally(60, busy=0.0, peak_gb=0.5)
    [hint] = hints(untouched, seconds=60)
    assert hint.startswith("nothing ran on the GPU: the training used the CPU alone.")
    assert hints(tally(59, busy=0.0, peak_gb=0.5), seconds=59) == []


def test_one_of_several_gpus_that_nothing_was_put_on_names_torchrun() -> None:
    [hint] = hints(tally(), tally(busy=0.0, peak_gb=0.5, uuid="GPU-b"))
    assert hint.startswith("nothing ran on GPU 1 (NVIDIA H100) of the 2 leased GPUs: 'launcher: torchrun' starts a process for each")
    assert "train.gpu.count: 1" in hint
    [hint] = hints(tally(), tally(uuid="GPU-b"), tally(busy=0.0, peak_gb=0.5, uuid="GPU-c"))
    assert "train.gpu.count: 2" in hint


def test_one_of_several_gpus_that_worked_little_is_named() -> None:
    [hint] = hints(tally(), tally(busy=0.1, uuid="GPU-b"))
    assert hint == ("of 2 leased GPUs some worked little (GPU 1 (NVIDIA H100) 10 % of the time): are all given the same share of the work?")


def test_heat_gets_a_hint_and_a_power_limit_does_not() -> None:
    assert hints(tally(reasons=0x4)) == []
    [hint] = hints(tally(reasons=0x20))
    assert hint == "heat held the clocks of the GPU down for 100 % of the time: look at its cooling"


@pytest.mark.parametrize(("hot", "is_told"), [(10, False), (11, True)])
def test_heat_gets_a_hint_above_a_tenth_of_the_time(hot: int, *, is_told: bool) -> None:
    watched = Tally("GPU-a", "NVIDIA H100", 80 * GB)
    for index in range(100):
        watched.add(Sample(index * 6.0, 0.9, 60 * GB, reasons=0x20 if index < hot else 0))
    assert hints(watched) == (["heat held the clocks of the GPU down for 11 % of the time: look at its cooling"] if is_told else [])


def test_a_gpu_that_was_lost_early_gets_no_hint() -> None:
    assert hints(tally(100, busy=0.0), seconds=600) == []
    assert len(hints(tally(400, busy=0.1), seconds=600)) == 1  # most of it was seen


def test_a_mig_instance_gets_a_hint_of_its_memory_alone() -> None:
    [hint] = hints(tally(busy=None, peak_gb=4, power_w=None, reasons=None, uuid="MIG-a"))
    assert hint.startswith("at most 4.0 of 80 GB")


# --- runs that went on from another, or were taken from one ---------------------------------------------------------


def checkpoint(spent: TrainingCost | None = None) -> CheckpointRef:
    return CheckpointRef(name="c", saved_at="2026-11-21T09:00:00Z", trained_s=1800, spent=spent)


def test_a_resumed_training_counts_what_its_checkpoint_had_taken() -> None:
    spent = TrainingCost(duration_s=2000, gpu_hours=1.2, kwh=0.5, cost=3.0, currency="EUR")
    found = with_earlier(bill([tally(3600)], 1, 3600, PRICE), checkpoint(spent), PRICE, 1)
    assert found.whole is not None
    assert (found.whole.duration_s, found.whole.gpu_hours) == (5600, pytest.approx(2.2))
    assert found.whole.kwh == pytest.approx(0.5 + 0.36)
    assert found.whole.cost == pytest.approx(3.0 + 2.5 + 0.36 * 0.3)
    assert cost_of(found) == found.whole
    assert found.gpu_hours == 1.0  # this run's own share


def test_of_a_checkpoint_that_does_not_say_it_the_seconds_of_training_count() -> None:
    price = PriceConfig(gpu_hour=2)
    found = with_earlier(bill([tally(3600), tally(3600)], 2, 3600, price), checkpoint(), price, 2)
    assert found.whole == TrainingCost(duration_s=5400, gpu_hours=3.0, kwh=None, cost=6.0, currency="USD")


def test_a_resumed_training_on_the_cpu_counts_time() -> None:
    found = with_earlier(bill([], 0, 60), checkpoint(), None, 0)
    assert found.whole == TrainingCost(duration_s=1860)


def test_a_training_that_began_anew_is_its_own_whole() -> None:
    assert with_earlier(bill([], 0, 60), None, None, 0).whole is None


def test_money_of_two_currencies_is_not_added() -> None:
    one, other = TrainingCost(duration_s=1, cost=1, currency="EUR"), TrainingCost(duration_s=1, cost=1, currency="USD")
    assert (total(one, other).cost, total(one, other).currency, total(one, other).duration_s) == (None, None, 2)


def findings(**more: Any) -> TrainFindings:
    return TrainFindings(**{"run": None, "params": {}, "lock_sha256": None, "pipeline": [], "is_reused": False, "mlflow": None, **more})


ACCOUNT = AccountFindings(duration_s=60, gpu_hours=1 / 60)


def test_a_model_whose_training_was_reused_keeps_what_it_cost_then() -> None:
    earlier = ReusedRun(
        commit=None, run_url=None, trained_at="", duration_s=90, key="0" * 64, cost=TrainingCost(duration_s=90, gpu_hours=0.1)
    )
    assert cost.of(findings(is_reused=True, reused_run=earlier, account=ACCOUNT)) == earlier.cost
    unknown = earlier.model_copy(update={"cost": None})
    assert cost.of(findings(is_reused=True, reused_run=unknown)) == TrainingCost(duration_s=90)


def test_of_a_pipeline_that_was_run_elsewhere_nobody_knows_the_cost() -> None:
    assert cost.of(findings(is_reused=True, account=ACCOUNT)) is None
    assert cost.of(findings()) is None


def test_stages_that_did_not_run_are_named_beside_the_cost() -> None:
    pipeline = [PipelineStage(name="prepare", is_reused=True), PipelineStage(name="train", is_reused=False)]
    assert cost.of(findings(account=ACCOUNT, pipeline=pipeline)) == TrainingCost(duration_s=60, gpu_hours=1 / 60, without=["prepare"])
