"""What the sampler sees of GPUs while something runs, through mlgate's own process for NVML; the library alone is stood in for."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nvml_states
from mlgate.config import TrainConfig
from mlgate.evidence import CheckpointRef, TrainingCost
from mlgate.gpu.account import Tally
from mlgate.gpu.sampler import Sampler
from mlgate.stages.training import account
from nvml_states import gpu, instance

WORKING = {"total": 24 * 10**9, "used": 10**9, "busy": 50, "milliwatts": 100_000, "millijoules": 5_000, "reasons": 0, "celsius": 40}
A, B = gpu(1, **WORKING), gpu(2, **WORKING)
LOST, TIMEOUT = {"nvmlDeviceGetMemoryInfo": 15}, {"nvmlDeviceGetPowerUsage": 10}


class Machine:
    """A machine whose NVML answers what it is told to, also while it is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environ = {**os.environ, **self.says()}

    def says(self, *gpus: dict[str, Any], **more: Any) -> dict[str, str]:
        return nvml_states.machine(self._folder, *gpus, **more)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def until(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def seen(sampler: Sampler, at_least: int = 1) -> None:
    before = {tally.uuid: tally.samples for tally in sampler.tallies()}
    until(
        lambda: (now := sampler.tallies()) and all(tally.samples >= before.get(tally.uuid, 0) + at_least for tally in now),
        "no samples",
    )


def watched(machine: Machine, *devices: dict[str, Any]) -> Sampler:
    sampler = Sampler([device["uuid"] for device in devices], machine.environ, period_s=0.02, share_of_core=1)
    sampler.start()
    return sampler


def of(sampler: Sampler, device: dict[str, Any]) -> Tally:
    return next(tally for tally in sampler.tallies() if tally.uuid == device["uuid"])


def test_each_leased_gpu_is_watched_from_beginning_to_end(machine: Machine) -> None:
    machine.says(A, {**B, "busy": 0}, gpu(3, **{**WORKING, "busy": 100}))
    sampler = watched(machine, A, B)
    seen(sampler, 2)
    machine.says({**A, "used": 9 * 10**9, "millijoules": 9_000, "reasons": 0x20, "celsius": 71}, {**B, "busy": 0})
    sampler.stop()  # the last samples are taken here

    [first, second] = [tally.used() for tally in sampler.tallies()]
    assert (first.uuid, first.name) == (A["uuid"], "NVIDIA H100 80GB HBM3")
    assert (first.memory_peak_bytes, first.memory_total_bytes) == (9 * 10**9, 24 * 10**9)
    assert (first.utilisation_mean, second.utilisation_mean) == (0.5, 0.0)
    assert first.energy_j == pytest.approx(4.0)  # the counter went from 5,000 to 9,000 mJ
    assert (first.temperature_max_c, list(first.throttled_by)) == (71, ["heat"])
    assert (first.stopped, second.stopped) == ("", "")


def test_a_counter_of_energy_that_begins_anew_is_replaced_by_power(machine: Machine) -> None:
    machine.says({**A, "millijoules": 900_000})
    sampler = watched(machine, A)
    seen(sampler)
    machine.says({**A, "millijoules": 1_000})
    seen(sampler)
    machine.says({**A, "millijoules": 3_500})
    sampler.stop()

    energy_j = of(sampler, A).used().energy_j
    assert energy_j is not None
    assert 2.5 < energy_j < 2.5 + 100 * of(sampler, A).watched_s  # of the gap at most what 100 W take in the whole time


def test_a_gpu_that_falls_off_the_bus_is_watched_no_longer_and_the_other_is(machine: Machine) -> None:
    machine.says(A, B)
    sampler = watched(machine, A, B)
    seen(sampler)
    machine.says({**A, "errors": LOST}, B)
    until(lambda: of(sampler, A).stopped, "the loss was not noticed")
    before = of(sampler, B).samples
    sampler.stop()

    assert of(sampler, A).stopped.startswith("NVML: GPU is lost, ")
    assert of(sampler, A).stopped.endswith(" s after the training began")
    assert of(sampler, B).samples > before
    assert not of(sampler, B).stopped


def test_an_error_that_passes_ends_nothing_and_one_that_stays_does(machine: Machine) -> None:
    machine.says(A)
    sampler = Sampler([A["uuid"]], machine.environ, period_s=0.1, share_of_core=1)
    sampler.start()
    seen(sampler)
    for _ in range(4):  # a round or two each, of three in a row that would be too many
        machine.says({**A, "errors": TIMEOUT})
        time.sleep(0.12)
        machine.says(A)
        seen(sampler, 1)
    assert not of(sampler, A).stopped
    machine.says({**A, "errors": TIMEOUT})
    until(lambda: of(sampler, A).stopped, "it went on")
    sampler.stop()
    assert of(sampler, A).stopped.startswith("NVML: Timeout, ")


def test_a_driver_that_hangs_ends_the_samples_and_holds_nothing_up(machine: Machine) -> None:
    machine.says(A, B)
    sampler = watched(machine, A, B)
    seen(sampler)
    machine.says(A, B, hangs=["nvmlDeviceGetMemoryInfo"])
    time.sleep(0.2)  # so that it is asked again
    before = time.monotonic()
    sampler.stop(wait_s=0.3)
    assert time.monotonic() - before < 1
    assert of(sampler, A).stopped.startswith("the driver gave no answer any more, ")
    assert of(sampler, A).used().memory_peak_bytes == 10**9


def test_a_machine_whose_driver_cannot_be_asked_is_billed_for_time(machine: Machine) -> None:
    environ = {**machine.environ, "MLGATE_NVML": "/nowhere/nvml.py"}
    with account.sampled(TrainConfig(command="true"), [A["uuid"]], environ) as bill:
        until(lambda: bill.findings().hints, "nothing was said")
    found = bill.findings()
    assert (found.devices, found.samples, found.kwh) == ([], 0, None)
    assert found.hints[0].startswith("the GPUs could not be watched: ")
    assert found.gpu_hours > 0


def test_processor_time_is_that_of_the_training_and_of_nothing_before_it() -> None:
    burn = [sys.executable, "-I", "-S", "-c", "import time\nwhile time.process_time() < 0.4: pass"]
    subprocess.run(burn, check=True)
    with account.sampled(TrainConfig(command="true"), ()) as nothing:
        pass
    with account.sampled(TrainConfig(command="true"), ()) as bill:
        subprocess.run(burn, check=True)
    assert (nothing.findings().cpu_s or 0) < 0.2
    assert (bill.findings().cpu_s or 0) == pytest.approx(0.4, abs=0.2)
    duration_s = bill.findings().duration_s
    time.sleep(0.01)
    assert bill.findings().duration_s == duration_s  # it is over


def test_when_the_training_is_over_nothing_is_asked_any_more(machine: Machine) -> None:
    environ, before = {**machine.environ, **machine.says(A)}, threading.enumerate()
    with account.sampled(TrainConfig(command="true"), [A["uuid"]], environ) as bill:
        until(lambda: bill.findings().samples, "no samples")
    assert [thread.name for thread in threading.enumerate() if thread not in before] == []


def test_a_training_that_went_on_is_billed_with_what_was_taken_before() -> None:
    spent = TrainingCost(duration_s=1000)
    with account.sampled(TrainConfig(command="true"), ()) as bill:
        bill.went_on_from(CheckpointRef(name="c", saved_at="2026-11-21T09:00:00Z", trained_s=900, spent=spent))
        assert bill.spent().duration_s == pytest.approx(1000, abs=5)
    assert account.cost_of(bill.findings()).duration_s > 1000


def test_a_mig_instance_is_watched_for_its_memory_alone(machine: Machine) -> None:
    one = instance(7, used=4 * 10**9)
    machine.says(gpu(1, mig=True, instances=[one], **{**WORKING, "errors": {}}))
    sampler = watched(machine, one)
    seen(sampler, 3)
    sampler.stop()
    used = of(sampler, one).used()
    assert (used.memory_peak_bytes, used.memory_total_bytes) == (4 * 10**9, 10 * 10**9)
    assert (used.utilisation_mean, used.energy_j, used.throttled_share) == (None, None, None)
    assert not used.stopped


def test_a_device_that_is_not_there_is_said(machine: Machine) -> None:
    sampler = watched(machine, A)
    until(lambda: sampler.problem, "nothing was said")
    sampler.stop()
    assert (sampler.tallies(), sampler.problem) == ([], "NVML: Not Found")


def test_watching_eight_gpus_takes_less_than_a_hundredth_of_a_core(machine: Machine) -> None:
    """Both processes: ours, and the one in which NVML runs, of which the system tells when it has ended."""
    devices = [gpu(number, **WORKING) for number in range(8)]
    machine.says(*devices)
    before = _cpu_s()
    sampler = Sampler([one["uuid"] for one in devices], machine.environ, period_s=0.1)
    sampler.start()
    time.sleep(2)
    sampler.stop()
    assert of(sampler, devices[0]).samples >= 2
    start_s = 0.25  # of a Python with pynvml and the stand-in: once for a training
    assert _cpu_s() - before < start_s + 0.02


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
