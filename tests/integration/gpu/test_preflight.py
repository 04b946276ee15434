"""Preflight: what `train.gpu` asks for held against machines in every state, NVML replaced at its library boundary."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pynvml
import pytest

from mlgate.config import GpuConfig
from mlgate.errors import InfrastructureError
from mlgate.gpu import devices, lease, nvml, preflight
from mlgate.gpu.absence import Host
from mlgate.gpu.devices import Device, Found
from mlgate.gpu.preflight import Judged
from mlgate.process import new_mark
from mlgate.stages.training import machine as stage
from mlgate.stages.training.machine import Machine
from mlgate.workspace import Workspace
from nvml_states import gpu, instance, machine
from support import MINIMAL_CONFIG, make_repository

GB = 10**9
UNSEEN = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
STAND_IN = "stands in for the NVIDIA driver"


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held stays held here, but where a test says so."""
    monkeypatch.setattr(stage, "SETTLE_S", 0)


class Driver:
    """The library, begun once for many machines: it looks at each anew, as at one that changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = nvml.open_library({**os.environ, **machine(folder)})

    def judged(self, asked: GpuConfig, *gpus: dict[str, Any], kernel: str = "", names: Mapping[str, str] | None = None) -> Judged:
        machine(self._folder, *gpus, names=names or {})
        return preflight.judge(self.found(kernel), asked)

    def found(self, kernel: str = "") -> Found:
        return devices.discover(self._library, {}, kernel=kernel)

    def close(self) -> None:
        self._library.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("driver"))
    yield driver
    driver.close()


def examined(folder: Path, asked: GpuConfig, environ: Mapping[str, str]) -> Machine:
    return stage.examine(folder, asked, {**{k: v for k, v in os.environ.items() if k not in UNSEEN}, **environ})


def problems(found: Machine) -> list[str]:
    assert found.findings is not None
    assert (found.devices == ()) == bool(found.findings.problems)
    assert found.asked is not None
    assert found.refusal == (None if found.asked.need == "preferred" else "; ".join(found.findings.problems) or None)
    return found.findings.problems


def warnings(found: Machine) -> list[str]:
    assert found.findings is not None
    return [line for line in found.findings.warnings if STAND_IN not in line]


def test_a_machine_that_has_what_is_asked_for_is_described(tmp_path: Path) -> None:
    asked = GpuConfig(count=2, memory=20 * GB, model=["A100", "h100"], compute_capability="8.0", disk="1kB", shared_memory="1kB")
    found = examined(tmp_path, asked, machine(tmp_path, gpu(0, used=5 * GB), gpu(1)))
    assert problems(found) == []
    assert warnings(found) == []
    assert [device.label for device in found.devices] == ["GPU 0", "GPU 1"]
    findings = found.findings
    assert findings is not None
    assert (findings.driver, findings.cuda) == ("570.86.15", "12.8")
    first = findings.devices[0]
    assert (first.name, first.compute_capability, first.is_mig, first.trouble) == ("NVIDIA H100 80GB HBM3", "9.0", False, [])
    assert (first.memory_total_bytes, first.memory_free_bytes) == (80 * GB, 75 * GB)
    assert first.uuid == gpu(0)["uuid"]
    assert findings.disk_free_bytes is not None
    assert findings.shared_memory_free_bytes is not None
    assert 0 < findings.duration_s < 10


def test_what_is_asked_for_to_the_byte_and_the_minor_version_is_enough_and_more_is_not(driver: Driver) -> None:
    whole = gpu(0, total=80 * GB, used=0)
    assert driver.judged(GpuConfig(compute_capability="9.0", memory=80 * GB), whole).problem is None
    assert driver.judged(GpuConfig(compute_capability="9.1"), whole).problem is not None
    assert driver.judged(GpuConfig(memory=80 * GB + 1), whole).problem is not None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (GpuConfig(count=3), "expected 3 GPUs, there are only 2 here; mend that"),
        (GpuConfig(model=["A100"]), "expected a GPU of model A100, of the 2 here none will do (GPU 0, GPU 1: NVIDIA H100 80GB HBM3); mend"),
        (
            GpuConfig(compute_capability="10.0"),
            "expected a GPU of compute capability 10.0 or newer, of the 2 here none will do (GPU 0, GPU 1: c",
        ),
        (GpuConfig(memory=90 * GB), "expected a GPU with 90.0 GB free, of the 2 here none will do (GPU 0, GPU 1: 80.0 GB of memory)"),
    ],
)
def test_what_is_missing_is_said_in_one_line(driver: Driver, asked: GpuConfig, expected: str) -> None:
    problem = driver.judged(asked, gpu(0), gpu(1)).problem
    assert problem is not None
    assert problem.startswith(f"train.gpu: {expected}")
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"ecc": 1}, "1 uncorrectable ECC memory error since its driver was loaded; reset it (nvidia-smi --gpu-reset -i 0) or restart"),
        ({"ecc": 1204}, "1,204 uncorrectable ECC memory errors"),
        ({"rows": [3, 1, 1, 0]}, "memory rows wait to be remapped; reset it"),
        ({"rows": [0, 8, 0, 1]}, "its memory has rows that could not be remapped; have it replaced"),
        ({"pages": 1}, "memory pages wait to be retired; reset it"),
        ({"recovery": 1}, "its driver asks for a reset"),
        ({"recovery": 2}, "its driver asks for the machine to be restarted"),
        ({"mode": pynvml.NVML_COMPUTEMODE_PROHIBITED}, "compute mode is 'Prohibited' (nvidia-smi -c 0)"),
        ({"errors": {"nvmlDeviceGetTotalEccErrors": pynvml.NVML_ERROR_GPU_IS_LOST}}, "it fell off the bus; restart the machine"),
        ({"errors": {"nvmlDeviceGetTotalEccErrors": pynvml.NVML_ERROR_RESET_REQUIRED}}, "it must be reset"),
        ({"errors": {"nvmlDeviceGetMemoryInfo": pynvml.NVML_ERROR_GPU_IS_LOST}}, "it fell off the bus"),  # after all else was answered
        ({"errors": {"nvmlDeviceGetMemoryInfo": pynvml.NVML_ERROR_UNKNOWN}}, "NVML: Unknown Error; restart the machine"),
        ({"errors": {"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_GPU_IS_LOST}}, "GPU 0 does not answer: it fell off the bus"),
        ({"errors": {"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_INSUFFICIENT_POWER}}, "GPU 0 does not answer: its power cables"),
        ({"errors": {"nvmlDeviceGetName": pynvml.NVML_ERROR_UNKNOWN}}, "GPU 0 does not answer: NVML: Unknown Error"),
        ({"mig": True}, "GPU 0: MIG is on and it has no instance"),
    ],
)
def test_a_gpu_in_trouble_is_not_used_and_the_other_is(driver: Driver, state: dict[str, Any], expected: str) -> None:
    assert [device.label for device in driver.judged(GpuConfig(), gpu(0, **state), gpu(1)).devices] == ["GPU 1"]
    judged = driver.judged(GpuConfig(count=2), gpu(0, **state), gpu(1))
    assert judged.devices == ()
    assert expected in (judged.problem or "")


def test_old_and_small_gpus_tell_less_and_are_used(driver: Driver) -> None:
    silent = dict.fromkeys(
        (
            "nvmlDeviceGetTotalEccErrors",
            "nvmlDeviceGetRemappedRows",
            "nvmlDeviceGetRetiredPagesPendingStatus",
            "nvmlDeviceGetFieldValues",
            "nvmlDeviceGetMigMode",
            "nvmlDeviceGetComputeRunningProcesses",
            "nvmlDeviceGetGraphicsRunningProcesses",
            "nvmlDeviceGetComputeMode",
            "nvmlDeviceGetPciInfo",
            "nvmlDeviceGetCudaComputeCapability",
        ),
        pynvml.NVML_ERROR_NOT_SUPPORTED,
    )
    judged = driver.judged(GpuConfig(compute_capability="5.0"), gpu(0, errors=silent))
    assert [device.compute_capability for device in judged.devices] == [None]


def test_a_gpu_without_memory_of_its_own_has_the_machines(driver: Driver) -> None:
    silent = {"nvmlDeviceGetMemoryInfo": pynvml.NVML_ERROR_NOT_SUPPORTED}
    [device] = driver.judged(GpuConfig(memory=GB), gpu(0, errors=silent)).devices
    assert device.memory_total_bytes > device.memory_free_bytes > GB


def test_memory_that_other_programs_hold_is_theirs_and_they_are_named(driver: Driver) -> None:
    names = {"4242": "/usr/bin/python3 train.py --token=abc"}
    gpus = (gpu(0, used=77 * GB, computing=[[4242, 76 * GB]]), gpu(1, used=30 * GB))
    problem = driver.judged(GpuConfig(), *gpus, names=names).problem or ""
    assert "GPU 0: held by process 4242 (python3); GPU 1: held by 30.0 GB by programs that are not to be seen from here" in problem
    assert "abc" not in problem
    problem = driver.judged(GpuConfig(memory=60 * GB), *gpus, names=names).problem or ""
    assert "GPU 0: 3.0 GB of 80.0 GB free, held by process 4242 (python3); GPU 1: 50.0 GB of 80.0 GB free, held by 30.0 GB" in problem


def test_memory_that_is_free_will_do_where_it_was_asked_for(driver: Driver) -> None:
    judged = driver.judged(GpuConfig(memory=40 * GB), gpu(0, used=30 * GB, computing=[[77, 30 * GB]]))
    assert (judged.problem, judged.warnings) == (None, ("GPU 0: held by process 77",))


def test_displays_and_services_take_no_gpu_away(driver: Driver) -> None:
    judged = driver.judged(
        GpuConfig(count=2),
        gpu(0, used=3 * GB, drawing=[[1500, 2 * GB]], computing=[[1600, 3 * 10**7]], reserved=GB),
        gpu(1, used=2 * GB, drawing=[[1500, 2 * GB]], computing=[[1500, 2 * GB]]),  # a browser does both
        names={"1600": "nvidia-cuda-mps-server"},
    )
    assert len(judged.devices) == 2


def test_what_a_job_that_has_just_ended_held_is_waited_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SETTLE_S", 20)
    environ = machine(tmp_path, gpu(0, computing=[[77, GB]]))
    state = (tmp_path / "nvml.json").as_posix()
    code = f"import os, time; time.sleep(0.6); os.replace({state + '.later'!r}, {state!r})"
    Path(state + ".later").write_text(Path(state).read_text().replace("77", "78").replace("[[78, 1000000000]]", "[]"))
    with subprocess.Popen([sys.executable, "-c", code]):
        assert problems(examined(tmp_path, GpuConfig(), environ)) == []


def test_a_gpu_that_another_job_of_ours_has_leased_is_waited_for_not_refused(tmp_path: Path) -> None:
    environ = machine(tmp_path, gpu(0, used=70 * GB, computing=[[77, 70 * GB]]))
    asked = GpuConfig(memory=40 * GB)
    assert problems(examined(tmp_path, asked, environ)) != []
    [device] = examined(tmp_path, GpuConfig(memory=GB), environ).devices
    with lease.acquire([device], 1, mark=new_mark(), wait_s=0, environ={**os.environ, **environ}):
        assert problems(examined(tmp_path, asked, environ)) == []
        assert problems(examined(tmp_path, GpuConfig(memory=90 * GB), environ)) != []  # it never had so much


def test_once_leased_memory_must_be_free(tmp_path: Path) -> None:
    environ = {**os.environ, **machine(tmp_path, gpu(0, computing=[[77, GB]]), gpu(1))}
    stage.ensure_free([gpu(1)["uuid"]], GpuConfig(), environ, within_s=0)
    with pytest.raises(InfrastructureError, match=r"leased, and not free: GPU 0: held by process 77; end what holds it"):
        stage.ensure_free([gpu(0)["uuid"]], GpuConfig(), environ, within_s=0)
    with pytest.raises(InfrastructureError, match=r"GPU-00000009-.*: the driver does not show it any more"):
        stage.ensure_free([gpu(9)["uuid"]], GpuConfig(), environ, within_s=0)


def test_instances_are_the_devices_and_their_gpu_is_none(tmp_path: Path) -> None:
    divided = gpu(0, mig=True, instances=[instance(1), None, instance(2, 2, used=9 * GB, computing=[[77, 9 * GB]])])
    found = examined(tmp_path, GpuConfig(), machine(tmp_path, divided))
    [device] = found.devices
    assert (device.label, device.is_mig, device.parent_uuid, device.name) == ("GPU 0 MIG 0", True, gpu(0)["uuid"], instance(1)["name"])
    assert device.memory_total_bytes == 10 * GB
    assert found.findings is not None
    assert [one.uuid for one in found.findings.devices] == [instance(1)["uuid"], instance(2)["uuid"]]
    assert found.findings.devices[1].trouble == ["held by process 77"]


def test_an_instance_of_a_gpu_in_trouble_is_in_trouble(driver: Driver) -> None:
    judged = driver.judged(GpuConfig(), gpu(0, ecc=1, mig=True, instances=[instance(1)]))
    assert "GPU 0 MIG 0: 1 uncorrectable ECC" in (judged.problem or "")


def test_gpus_and_instances_are_never_mixed(driver: Driver) -> None:
    both = (gpu(0), gpu(1, mig=True, instances=[instance(1), instance(2, 1)]))
    assert [device.label for device in driver.judged(GpuConfig(), *both).devices] == ["GPU 0", "GPU 1 MIG 0", "GPU 1 MIG 1"]
    two = driver.judged(GpuConfig(count=2), *both)
    assert [device.label for device in two.devices] == ["GPU 1 MIG 0", "GPU 1 MIG 1"]
    assert two.warnings == ("train.gpu.count: CUDA shows a process one MIG instance; 2 take as many processes",)
    problem = driver.judged(GpuConfig(count=3), *both).problem or ""
    assert "expected 3 GPUs, all of them GPUs or all MIG instances, of the 3 here 2 will do" in problem


def test_only_gpus_that_the_runner_may_use_are_candidates(tmp_path: Path) -> None:
    environ = machine(tmp_path, gpu(0), gpu(1), gpu(2))
    assert [d.index for d in examined(tmp_path, GpuConfig(), {**environ, "CUDA_VISIBLE_DEVICES": "2,1"}).devices] == [2, 1]
    [problem] = problems(examined(tmp_path, GpuConfig(), {**environ, "CUDA_VISIBLE_DEVICES": ""}))
    assert "this runner sees none (CUDA_VISIBLE_DEVICES= hides all GPUs from this runner)" in problem


def test_a_gpu_that_the_container_may_not_touch_is_not_spoken_of(tmp_path: Path) -> None:
    denied = {"nvmlDeviceGetHandleByIndex": pynvml.NVML_ERROR_NO_PERMISSION}
    found = examined(tmp_path, GpuConfig(count=2), machine(tmp_path, gpu(0, errors=denied), gpu(1)))
    assert problems(found) == ["train.gpu: expected 2 GPUs, there is only one here; mend that, ask for less, or use another machine"]


@pytest.mark.parametrize(
    "code", [pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_DRIVER_NOT_LOADED]
)
def test_a_driver_that_does_not_start_is_refused_with_its_reason(tmp_path: Path, code: int) -> None:
    [problem] = problems(examined(tmp_path, GpuConfig(), machine(tmp_path, init=code)))
    expected = {18: "was updated while it ran", 999: "NVML: Unknown Error", 9: "NVIDIA driver"}
    assert expected[code] in problem


def xid_log(number: int) -> str:
    age_us = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
    return f"3,1,{age_us},-;NVRM: Xid (PCI:0000:17:00): {number}, pid=1, name=python\n"


@pytest.mark.parametrize(
    ("number", "recovery", "faults", "remarks"),
    [
        (79, None, ["Xid 79 (fell off the bus) just now; restart the machine or load its driver again"], []),
        (79, 0, [], ["Xid 79 (fell off the bus) just now"]),  # the driver says that there is nothing to be done
        (95, 1, ["its driver asks for a reset (nvidia-smi --gpu-reset)"], ["Xid 95 (uncontained memory error) just now"]),
        (94, None, [], ["Xid 94 (contained memory error) just now"]),
        (31, None, [], []),
    ],
)
def test_xid_messages_are_held_against_what_the_driver_says_now(
    driver: Driver, number: int, recovery: int | None, faults: list[str], remarks: list[str]
) -> None:
    judged = driver.judged(GpuConfig(), gpu(0, recovery=recovery), gpu(1), kernel=xid_log(number))
    found = driver.found(xid_log(number))
    assert (list(found.devices[0].faults), list(found.devices[0].remarks)) == (faults, remarks)
    assert found.devices[1].trouble == ()
    assert [device.index for device in judged.devices] == ([1] if faults else [1, 0] if remarks else [0, 1])
    assert judged.warnings == (() if faults else tuple(f"GPU 0: {remark}" for remark in remarks))


def test_a_machine_whose_cuda_is_hidden_is_refused() -> None:
    device = Device("GPU-1", 0, "NVIDIA H100", 80 * GB, 80 * GB)
    judged = preflight.judge(Found("570.86.15", "12.8", (device,), has_cuda_library=False), GpuConfig())
    assert judged.devices == ()
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in (judged.problem or "")


def test_a_driver_that_hangs_is_refused_in_time_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "CALL_DEADLINE_S", 0.7)
    before = set(_children(os.getpid()))
    for function in ("nvmlInit", "nvmlDeviceGetMemoryInfo"):
        environ = {**machine(tmp_path, gpu(0), hangs=[function]), "MLGATE_NVML_TIMEOUT": "0.7"}
        began = time.monotonic()
        [problem] = problems(examined(tmp_path, GpuConfig(), environ))
        assert "the NVIDIA driver gave no answer within" in problem
        assert time.monotonic() - began < 6
        assert set(_children(os.getpid())) <= before


def test_a_question_that_hangs_does_not_outlive_who_asked(tmp_path: Path) -> None:
    code = "from mlgate.gpu import nvml; print('began', flush=True); nvml.open_library()"
    environ = {**os.environ, **machine(tmp_path, gpu(0), hangs=["nvmlInit"])}
    with subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        while not (asked := _children(asking.pid)):
            time.sleep(0.01)
        time.sleep(0.3)
        asking.kill()
    deadline = time.monotonic() + 20
    while any(_is_alive(pid) for pid in asked):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_library_that_crashes_takes_nobody_with_it(tmp_path: Path) -> None:
    [problem] = problems(examined(tmp_path, GpuConfig(), machine(tmp_path, gpu(0), crashes=["nvmlDeviceGetUUID"])))
    assert "the NVIDIA library crashed (signal SIGABRT)" in problem


def test_a_stand_in_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')\n")
    for name, reason in (("broken.py", "RuntimeError: no"), ("absent.py", "absent.py")):
        [problem] = problems(examined(tmp_path, GpuConfig(), {"MLGATE_NVML": str(tmp_path / name)}))
        assert "MLGATE_NVML: expected a Python file with NVML's functions" in problem
        assert reason in problem


def test_the_librarys_process_sees_no_secret(tmp_path: Path) -> None:
    (tmp_path / "looks.py").write_text("import os\ndef nvmlInit(): raise RuntimeError(' '.join(sorted(os.environ)))\n")
    environ = {
        "MLGATE_NVML": str(tmp_path / "looks.py"),
        "MLGATE_GITHUB_TOKEN": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "NVIDIA_VISIBLE_DEVICES": "all",
    }
    with pytest.raises(nvml.UnavailableError) as caught:
        nvml.open_library(environ, host=Host(is_container=False, driver=None, has_device_files=False))
    assert "MLGATE_NVML NVIDIA_VISIBLE_DEVICES" in str(caught.value)
    assert "TOKEN" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_disk_and_shared_memory_are_looked_at_before_anything_costly(tmp_path: Path) -> None:
    environ = machine(tmp_path, gpu(0))
    refusal = examined(tmp_path, GpuConfig(disk="10000TB", shared_memory="1000TB"), environ).refusal or ""
    assert re.search(r"train\.gpu\.disk: expected 10,000,000\.0 GB free in the working directory, found .* make room", refusal)
    assert re.search(r"train\.gpu\.shared_memory: expected 1,000,000\.0 GB .*--shm-size=931323g", refusal)
    # a training on the CPU takes as much of the disk; a runner without a GPU may have less shared memory, though
    without = examined(tmp_path, GpuConfig(disk="10000TB", shared_memory="1000TB", need="preferred"), machine(tmp_path, gpu(0, ecc=1)))
    assert (without.refusal or "").startswith("train.gpu.disk: expected")
    assert "shared_memory" not in (without.refusal or "")
    assert any("train.gpu.shared_memory" in warning for warning in warnings(without))
    small = preflight.Room(disk_free_bytes=1, shared_memory_free_bytes=60 * 2**20, shared_memory_total_bytes=64 * 2**20)
    assert "--shm-size=8g" in preflight.remarks_on_room(small, GpuConfig())[0]
    assert preflight.remarks_on_room(small, GpuConfig(shared_memory="1kB")) == []


def opened(folder: Path, gpu_of_config: str) -> Workspace:
    config = MINIMAL_CONFIG.replace("{command: python train.py}", f"{{command: python train.py{gpu_of_config}}}")
    return Workspace.open(make_repository(folder / "repository", {"mlgate.yaml": config}), "mlgate.yaml", {})


def test_a_training_that_asks_for_nothing_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_NVML", str(tmp_path / "absent.py"))
    assert stage.look(opened(tmp_path, "")) == Machine(None, (), None)


def test_a_gpu_that_is_required_and_absent_ends_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in machine(tmp_path, gpu(0, ecc=2)).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InfrastructureError, match=r"^train\.gpu: expected a GPU, the one here will not do \(GPU 0: 2 uncorrectable ECC"):
        stage.look(opened(tmp_path, ", gpu: {count: 1}"))


def test_a_gpu_that_is_preferred_and_absent_leaves_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in machine(tmp_path, gpu(0, ecc=2)).items():
        monkeypatch.setenv(name, value)
    run = opened(tmp_path, ", gpu: {need: preferred}")
    found = stage.look(run)
    assert found.devices == ()
    assert "uncorrectable ECC" in problems(found)[0]
    assert capsys.readouterr().err == ""  # an earlier result may still be found, and then nothing is trained
    stage.tell(run, found)
    assert "trains on the CPU (train.gpu.need: preferred)" in capsys.readouterr().err


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has an NVIDIA driver")
def test_this_machine_without_a_gpu_says_so_by_the_real_library(tmp_path: Path) -> None:
    found = examined(tmp_path, GpuConfig(), {})
    [problem] = problems(found)
    assert "no NVIDIA driver" in problem
    assert found.findings is not None
    assert (found.findings.driver, found.findings.devices) == (None, [])
    [problem] = problems(examined(tmp_path, GpuConfig(need="preferred"), {}))
    assert ";" not in problem  # how to get a GPU is no news to who does without


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[1]) == parent:
                found.append(int(entry.name))
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
