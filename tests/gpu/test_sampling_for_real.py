"""Sampling on this machine's own GPUs: what is seen of them, what it takes, and that it adds up."""

from __future__ import annotations

import os
import resource
import time

import pytest

from mlgate.config import PriceConfig, TrainConfig
from mlgate.gpu import devices, nvml
from mlgate.gpu.devices import Device
from mlgate.gpu.sampler import Sampler
from mlgate.stages.training import account


@pytest.fixture(scope="module")
def found() -> list[Device]:
    with nvml.open_library() as library:
        return [device for device in devices.discover(library, os.environ).devices if device.is_usable]


def test_a_minute_of_watching_takes_less_than_a_hundredth_of_a_core(found: list[Device]) -> None:
    """Measured with getrusage on both sides of a sampler that runs 5 s and one that runs 35 s: the start of its process drops out."""

    def taken(seconds: float) -> float:
        before = _cpu_s()
        sampler = Sampler([device.uuid for device in found], os.environ)
        sampler.start()
        time.sleep(seconds)
        sampler.stop()
        return _cpu_s() - before

    assert taken(35) - taken(5) < 0.01 * 30


def test_what_is_seen_makes_sense_and_adds_up(found: list[Device]) -> None:
    settings = TrainConfig(command="true", price=PriceConfig(gpu_hour=3600, kwh=1))
    with account.sampled(settings, [device.uuid for device in found]) as bill:
        time.sleep(6)
    taken = bill.findings()
    assert taken.duration_s == pytest.approx(6, abs=0.5)
    assert taken.gpu_hours == pytest.approx(len(found) * taken.duration_s / 3600)
    assert [used.uuid for used in taken.devices] == [device.uuid for device in found]
    for used, device in zip(taken.devices, found, strict=True):
        assert used.name == device.name
        assert not used.stopped
        assert used.memory_total_bytes == pytest.approx(device.memory_total_bytes, rel=0.02)
        assert used.memory_peak_bytes is not None
        assert 0 <= used.memory_peak_bytes <= device.memory_total_bytes
        if not device.is_mig and used.power_mean_w is not None:
            assert 5 < used.power_mean_w < 2000
            assert used.energy_j == pytest.approx(used.power_mean_w * used.watched_s, rel=0.5)
        if not device.is_mig:
            assert used.utilisation_mean is None or 0 <= used.utilisation_mean <= 1
            assert used.temperature_max_c is None or 5 < used.temperature_max_c < 120
    assert taken.cost is not None
    assert taken.cost >= 3600 * taken.gpu_hours


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
