"""Preflight on this machine's own GPUs, held against nvidia-smi."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgate.config import GpuConfig
from mlgate.gpu import devices, nvml
from mlgate.gpu.absence import Host
from mlgate.gpu.devices import Found
from mlgate.stages.training import machine


@pytest.fixture(scope="module")
def found() -> Found:
    with nvml.open_library() as library:
        return devices.discover(library, {}, is_container=Host.look(os.environ).is_container)


def told_by_nvidia_smi(*fields: str) -> list[dict[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("no nvidia-smi to hold it against")
    said = subprocess.run(
        [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True
    ).stdout
    return [dict(zip(fields, row, strict=True)) for row in csv.reader(said.splitlines(), skipinitialspace=True)]


def test_driver_names_and_memory_are_those_of_nvidia_smi(found: Found) -> None:
    told = told_by_nvidia_smi("uuid", "name", "driver_version", "memory.total", "memory.free", "compute_cap", "pci.bus_id")
    by_uuid = {device.parent_uuid or device.uuid: device for device in found.devices}
    assert found.unnamed != () or set(by_uuid) == {gpu["uuid"] for gpu in told}
    for gpu in told:
        assert found.driver == gpu["driver_version"]
        device = by_uuid[gpu["uuid"]]
        assert device.name.startswith(gpu["name"])
        assert device.compute_capability == tuple(map(int, gpu["compute_cap"].split(".")))
        assert device.pci is not None
        assert device.pci in gpu["pci.bus_id"].lower()
        if not device.is_mig and gpu["memory.total"].isdecimal():
            assert device.memory_total_bytes == pytest.approx(int(gpu["memory.total"]) * 2**20, rel=0.01)
            # somebody may take some between the two questions
            assert device.memory_free_bytes == pytest.approx(int(gpu["memory.free"]) * 2**20, abs=2 * 2**30)


def test_what_is_found_makes_sense(found: Found) -> None:
    assert found.devices or found.unnamed
    assert found.cuda is not None
    assert int(found.cuda.split(".")[0]) >= 10
    assert found.has_cuda_library
    for device in found.devices:
        assert device.uuid.startswith("MIG-" if device.is_mig else "GPU-")
        assert 0 <= device.memory_free_bytes <= device.memory_total_bytes
        assert device.memory_total_bytes > 10**9


def test_preflight_takes_what_is_sound_and_free_in_seconds(found: Found, tmp_path: Path) -> None:
    will_do = [device for device in found.devices if device.is_usable and not device.is_held]
    began = time.monotonic()
    seen = machine.examine(tmp_path, GpuConfig(), {**os.environ, "MLGATE_GPU_LOCKS": str(tmp_path / "locks")})
    assert time.monotonic() - began < 10 + machine.SETTLE_S
    assert {device.uuid for device in seen.devices} == {device.uuid for device in will_do}
    assert seen.findings is not None
    assert bool(seen.findings.problems) == (not will_do)


def test_more_than_there_is_is_refused_with_what_there_is(found: Found, tmp_path: Path) -> None:
    environ = {**os.environ, "MLGATE_GPU_LOCKS": str(tmp_path / "locks")}
    for asked in (GpuConfig(count=64), GpuConfig(memory=10**15), GpuConfig(model=["no such model"]), GpuConfig(compute_capability="99.0")):
        seen = machine.examine(tmp_path, asked, environ)
        assert seen.devices == ()
        assert seen.findings is not None
        [problem] = seen.findings.problems
        assert problem.startswith("train.gpu: expected ")


def test_a_gpu_is_chosen_by_its_index_its_uuid_and_the_beginning_of_that(found: Found) -> None:
    everything = (*found.devices, *found.hidden)
    last = everything[-1]
    begun = next(last.uuid[:end] for end in range(9, 99) if sum(device.uuid.startswith(last.uuid[:end]) for device in everything) == 1)
    with nvml.open_library() as library:
        for value, expected in (
            (last.uuid, [last]),
            (begun, [last]),
            (str(last.index), [device for device in everything if device.index == last.index]),  # all instances of a divided one
        ):
            chosen = devices.discover(library, {"CUDA_VISIBLE_DEVICES": value}).devices
            assert [device.uuid for device in chosen] == [device.uuid for device in expected]


def test_the_command_lists_them(found: Found, tmp_path: Path) -> None:
    environ = {**os.environ, "MLGATE_GPU_LOCKS": str(tmp_path / "locks")}
    said = subprocess.run([sys.executable, "-m", "mlgate.cli", "gpu", "--json"], env=environ, capture_output=True, text=True, check=True)
    listed = json.loads(said.stdout)
    assert {device["uuid"] for device in listed["devices"]} >= {device.uuid for device in found.devices}
    assert listed["driver"] == found.driver


def test_a_question_takes_less_than_a_millisecond_beside_the_drivers_own_time(found: Found) -> None:
    """What the process between us and the library costs: the sampler asks every second."""
    with nvml.open_library() as library:
        began = time.monotonic()
        for _ in range(200):
            library.calls([("nvmlSystemGetDriverVersion", ())])
        assert (time.monotonic() - began) / 200 < 0.001
