"""NVML replaced at its library boundary: pynvml's functions over a machine that a JSON file describes, with pynvml's own errors.

`MLGATE_NVML` names this file, `MLGATE_NVML_STATE` the description (`nvml_states.py` writes it), read anew at every call:

    {"driver", "cuda", "init": code, "hangs": [functions], "crashes": [functions], "stuck": {function: seconds}, "names": {pid: name},
     "gpus": [{"uuid", "name", ..., "errors": {function: code}, "instances": [{...}]}]}
"""

# ruff: noqa: N816 -- the names are NVML's

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml

DEFAULTS = {
    "name": "NVIDIA H100 80GB HBM3",
    "total": 80 * 10**9,
    "reserved": 0,
    "used": 0,
    "capability": [9, 0],
    "mode": 0,
    "ecc": 0,
    "rows": [0, 0, 0, 0],
    "pages": 0,
    "recovery": 0,
    "computing": [],
    "drawing": [],
    "mig": False,
    "instances": [],
    "errors": {},
}
_ANYTHING_ELSE = pynvml.NVML_ERROR_NOT_SUPPORTED


class _Handle:
    """What the driver gives for a device: its place, nothing that could be sent anywhere."""

    def __init__(self, gpu: int, instance: int | None = None) -> None:
        self.gpu, self.instance = gpu, instance


def _state(function: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(Path(os.environ["MLGATE_NVML_STATE"]).read_text())
    if function in state.get("hangs", []):
        time.sleep(600)
    if function in state.get("crashes", []):
        os.abort()
    return state


def _device(handle: _Handle, function: str) -> dict[str, Any]:
    gpu = {**DEFAULTS, **_state(function)["gpus"][handle.gpu]}
    device = gpu if handle.instance is None else {**DEFAULTS, "errors": gpu["errors"], **gpu["instances"][handle.instance]}
    if function in device["errors"]:
        raise pynvml.NVMLError(device["errors"][function])
    return {"index": handle.gpu, **device}


def nvmlInit() -> None:
    print("what a library prints is no answer")
    print("and neither is this", file=sys.stderr)
    if code := _state("nvmlInit").get("init"):
        raise pynvml.NVMLError(code)


def nvmlShutdown() -> None:
    """Nothing to end."""


def nvmlSystemGetDriverVersion() -> str:
    return str(_state("nvmlSystemGetDriverVersion").get("driver", "570.86.15"))


def nvmlSystemGetCudaDriverVersion_v2() -> int:
    return int(_state("nvmlSystemGetCudaDriverVersion_v2").get("cuda", 12080))


def nvmlSystemGetProcessName(pid: int) -> str:
    names = _state("nvmlSystemGetProcessName").get("names", {})
    if str(pid) not in names:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    return str(names[str(pid)])


def nvmlDeviceGetCount() -> int:
    return len(_state("nvmlDeviceGetCount")["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> _Handle:
    _device(_Handle(index), "nvmlDeviceGetHandleByIndex")
    return _Handle(index)


def nvmlDeviceGetHandleByUUID(uuid: str) -> _Handle:
    for index, gpu in enumerate(_state("nvmlDeviceGetHandleByUUID")["gpus"]):
        if gpu["uuid"] == uuid:
            return _Handle(index)
        for place, instance in enumerate(gpu.get("instances", [])):
            if instance and instance["uuid"] == uuid:
                return _Handle(index, place)
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)


def _told(function: str, field: str) -> Callable[[_Handle], Any]:
    def told(handle: _Handle) -> Any:
        return _device(handle, function)[field]

    told.__name__ = function
    return told


nvmlDeviceGetUUID = _told("nvmlDeviceGetUUID", "uuid")
nvmlDeviceGetName = _told("nvmlDeviceGetName", "name")
nvmlDeviceGetComputeMode = _told("nvmlDeviceGetComputeMode", "mode")
nvmlDeviceGetRetiredPagesPendingStatus = _told("nvmlDeviceGetRetiredPagesPendingStatus", "pages")
nvmlDeviceGetGpuInstanceId = _told("nvmlDeviceGetGpuInstanceId", "gpu_instance")
nvmlDeviceGetComputeInstanceId = _told("nvmlDeviceGetComputeInstanceId", "compute_instance")


def nvmlDeviceGetCudaComputeCapability(handle: _Handle) -> tuple[int, int]:
    major, minor = _device(handle, "nvmlDeviceGetCudaComputeCapability")["capability"]
    return major, minor


def nvmlDeviceGetRemappedRows(handle: _Handle) -> tuple[int, ...]:
    return tuple(_device(handle, "nvmlDeviceGetRemappedRows")["rows"])


def nvmlDeviceGetPciInfo(handle: _Handle) -> Any:
    info = pynvml.nvmlPciInfo_t()
    info.busId = f"00000000:{0x17 + _device(handle, 'nvmlDeviceGetPciInfo')['index']:02X}:00.0".encode()
    return info


def nvmlDeviceGetTotalEccErrors(handle: _Handle, kind: int, counter: int) -> int:
    assert (kind, counter) == (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
    return int(_device(handle, "nvmlDeviceGetTotalEccErrors")["ecc"])


def nvmlDeviceGetFieldValues(handle: _Handle, fields: list[int]) -> Any:
    assert fields == [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION]
    recovery = _device(handle, "nvmlDeviceGetFieldValues")["recovery"]
    values = (pynvml.c_nvmlFieldValue_t * 1)()
    values[0].fieldId = fields[0]
    values[0].nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED if recovery is None else pynvml.NVML_SUCCESS
    values[0].value.uiVal = recovery or 0
    return values


def nvmlDeviceGetMemoryInfo(handle: _Handle, version: int | None = None) -> Any:
    device = _device(handle, "nvmlDeviceGetMemoryInfo")
    memory = pynvml.c_nvmlMemory_v2_t() if version else pynvml.c_nvmlMemory_t()
    if version:
        assert version == pynvml.nvmlMemory_v2
        memory.reserved = device["reserved"]
    memory.total, memory.used = device["total"], device["used"]
    memory.free = device["total"] - device["used"] - device["reserved"]
    return memory


def _processes(function: str, field: str) -> Callable[[_Handle], Any]:
    def listed(handle: _Handle) -> list[Any]:
        # as pynvml makes them of c_nvmlProcessInfo_v3_t
        return [SimpleNamespace(pid=pid, usedGpuMemory=used, gpuInstanceId=0) for pid, used in _device(handle, function)[field]]

    return listed


nvmlDeviceGetComputeRunningProcesses = _processes("nvmlDeviceGetComputeRunningProcesses", "computing")
nvmlDeviceGetGraphicsRunningProcesses = _processes("nvmlDeviceGetGraphicsRunningProcesses", "drawing")


def nvmlDeviceGetMigMode(handle: _Handle) -> list[int]:
    return [int(_device(handle, "nvmlDeviceGetMigMode")["mig"])] * 2


def nvmlDeviceGetMaxMigDeviceCount(handle: _Handle) -> int:
    _device(handle, "nvmlDeviceGetMaxMigDeviceCount")
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(handle: _Handle, place: int) -> _Handle:
    instances = _device(handle, "nvmlDeviceGetMigDeviceHandleByIndex")["instances"]
    if place >= len(instances) or instances[place] is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    return _Handle(handle.gpu, place)


def nvmlDeviceIsMigDeviceHandle(handle: _Handle) -> Any:
    return ctypes.c_uint(handle.instance is not None)


def _sensor(function: str, field: str) -> Callable[..., Any]:
    """What is told while something runs; a device that says nothing of it has no such sensor."""

    def told(handle: _Handle, *_kind: int) -> Any:
        value = _device(handle, function).get(field)
        if value is None:
            raise pynvml.NVMLError(_ANYTHING_ELSE)
        return value

    told.__name__ = function
    return told


nvmlDeviceGetPowerUsage = _sensor("nvmlDeviceGetPowerUsage", "milliwatts")
nvmlDeviceGetTotalEnergyConsumption = _sensor("nvmlDeviceGetTotalEnergyConsumption", "millijoules")
nvmlDeviceGetCurrentClocksThrottleReasons = _sensor("nvmlDeviceGetCurrentClocksThrottleReasons", "reasons")
nvmlDeviceGetTemperature = _sensor("nvmlDeviceGetTemperature", "celsius")


def nvmlDeviceGetUtilizationRates(handle: _Handle) -> Any:
    rates = pynvml.c_nvmlUtilization_t()
    rates.gpu = _sensor("nvmlDeviceGetUtilizationRates", "busy")(handle)
    return rates
