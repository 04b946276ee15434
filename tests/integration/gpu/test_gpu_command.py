"""`mlgate gpu` and the GPU's line of `mlgate doctor`, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration.doctor.diagnoses import examined, the_one
from mlgate.gpu import lease
from mlgate.gpu.devices import Device
from mlgate.process import new_mark
from nvml_states import gpu, instance, machine
from support import MINIMAL_CONFIG, make_repository

UNSEEN = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GITHUB_ACTIONS")


def mlgate(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in UNSEEN}
    return subprocess.run(
        [sys.executable, "-m", "mlgate.cli", *arguments], env={**clean, **environ}, capture_output=True, text=True, check=False
    )


def leasable(number: int) -> Device:
    return Device(gpu(number)["uuid"], number, "NVIDIA H100", 1, 1)


def test_the_machines_gpus_are_listed_with_trouble_and_holders(tmp_path: Path) -> None:
    environ = machine(
        tmp_path,
        gpu(0),
        gpu(1, ecc=2),
        gpu(2, used=70 * 10**9, computing=[[4242, 70 * 10**9]]),
        gpu(3, mig=True, instances=[instance(1)]),
        gpu(4, mig=True),
        names={"4242": "python3"},
    )
    with lease.acquire([leasable(0)], 1, mark=new_mark(), wait_s=0, what="digits", environ={**os.environ, **environ}):
        found = mlgate("gpu", **environ, CUDA_VISIBLE_DEVICES="0,1,2,3")
        as_json = json.loads(mlgate("gpu", "--json", **environ).stdout)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "driver 570.86.15, CUDA up to 12.8"
    head = "NVIDIA H100 80GB HBM3, 80.0 GB of 80.0 GB free, compute capability 9.0"
    assert lines[1].startswith(f"  ✓ GPU 0 {head}, {gpu(0)['uuid']}, leased by ")
    assert f"process {os.getpid()}, digits" in lines[1]
    assert lines[2].startswith(f"  ✗ GPU 1 {head}, {gpu(1)['uuid']}; 2 uncorrectable ECC memory errors")
    assert lines[3].startswith("  ! GPU 2 ")
    assert lines[3].endswith("held by process 4242 (python3)")
    assert lines[4].startswith("  ✓ GPU 3 MIG 0 NVIDIA H100 80GB HBM3 MIG 1g.10gb, 10.0 GB of 10.0 GB free")
    assert lines[5].startswith("  ✗ GPU 4: MIG is on and it has no instance")
    assert [device["leased_by"] is not None for device in as_json["devices"]] == [True, False, False, False]
    assert [device["is_usable"] for device in as_json["devices"]] == [True, False, True, True]
    assert as_json["devices"][2]["programs"] == [{"pid": 4242, "name": "python3", "memory_bytes": 70 * 10**9}]
    assert (as_json["driver"], as_json["waiting"], as_json["devices"][3]["parent_uuid"]) == ("570.86.15", 0, gpu(3)["uuid"])


def test_who_waits_is_counted_and_what_is_hidden_is_marked(tmp_path: Path) -> None:
    environ = machine(tmp_path, gpu(0), gpu(1))
    code = (
        "import sys; from mlgate.gpu import lease; from mlgate.gpu.claims import Claim\n"
        f"lease.acquire([Claim({gpu(0)['uuid']!r})], 1, mark='0' * 32, wait_s=60, on_waiting=lambda _: print('waits', flush=True))"
    )
    with lease.acquire([leasable(0)], 1, mark=new_mark(), wait_s=0, environ={**os.environ, **environ}):
        waiter = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True)
        try:
            assert waiter.stdout is not None
            assert waiter.stdout.readline() == "waits\n"
            lines = mlgate("gpu", **environ, CUDA_VISIBLE_DEVICES="0").stdout.splitlines()
        finally:
            waiter.kill()
            waiter.communicate()
    assert lines[-1] == "  1 job waits for GPUs of this machine"
    assert lines[2].startswith("  – GPU 1 ")
    assert "hidden from this runner" in lines[2]


def test_a_driver_that_hangs_ends_the_command_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    found = mlgate("gpu", **machine(tmp_path, gpu(0), hangs=["nvmlInit"]), MLGATE_NVML_TIMEOUT="0.5")
    assert time.monotonic() - began < 10
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.startswith("✗ the NVIDIA driver gave no answer within 0.5 s; restart the machine")


def test_a_machine_without_a_driver_is_no_error() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has an NVIDIA driver")
    found = mlgate("gpu")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("– no NVIDIA driver")
    assert json.loads(mlgate("gpu", "--json").stdout)["devices"] == []


def test_doctor_says_whether_the_gpus_that_are_asked_for_are_here(tmp_path: Path) -> None:
    def config(gpus: str) -> str:
        return MINIMAL_CONFIG.replace("{command: python train.py}", f"{{command: python train.py, gpu: {{{gpus}}}}}")

    root = make_repository(tmp_path / "r", {"mlgate.yaml": config("count: 2"), "train.py": ""})
    environ = machine(tmp_path, gpu(0), gpu(1), gpu(2))
    finding = the_one(examined(root, "Your code", **environ), "train.gpu:")
    assert (finding.status, finding.text) == (
        "ok",
        "train.gpu: 2 of 3 that will do, NVIDIA H100 80GB HBM3; driver 570.86.15, CUDA up to 12.8",
    )
    machine(tmp_path, gpu(0))
    finding = the_one(examined(root, "Your code", **environ), "train.gpu:")
    assert (finding.status, finding.text[:56]) == ("warning", "train.gpu: expected 2 GPUs, there is only one here; mend")
    finding = the_one(examined(root, "Your code", **environ, GITHUB_ACTIONS="true"), "train.gpu:")
    assert (finding.status, finding.exit_code) == ("problem", 3)
    (root / "mlgate.yaml").write_text(config("count: 2, need: preferred"))
    finding = the_one(examined(root, "Your code", **environ), "train.gpu:")
    assert (finding.status, "training goes on on the CPU" in finding.text) == ("open", True)
