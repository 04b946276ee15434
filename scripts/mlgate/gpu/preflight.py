"""Whether this machine has what `train.gpu` asks for, judged before anything costly begins: sound GPUs enough, of the model and with the
memory asked for, and room on the disk and in shared memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlgate.config import GpuConfig
from mlgate.gpu.devices import Device, Found, by_soundness, gigabytes

_DOCKERS_SHARED_MEMORY = 64 * 2**20
_MOST_REASONS = 8


@dataclass(frozen=True)
class Room:
    """Free space, bytes; None where it cannot be told."""

    disk_free_bytes: int | None
    shared_memory_free_bytes: int | None
    shared_memory_total_bytes: int | None

    @classmethod
    def look(cls, root: Path, shared_memory: Path = Path("/dev/shm")) -> Room:  # noqa: S108 -- the name of the thing itself
        disk = shared_free = shared_total = None
        with suppress(OSError):
            disk = shutil.disk_usage(root).free
        with suppress(OSError):
            usage = os.statvfs(shared_memory)
            shared_free, shared_total = usage.f_bavail * usage.f_frsize, usage.f_blocks * usage.f_frsize
        return cls(disk, shared_free, shared_total)


@dataclass(frozen=True)
class Judged:
    """What came of it."""

    devices: tuple[Device, ...]
    """That will do, best first. Those that another job has leased are among them: they become free. None, where they are not enough."""
    problem: str | None
    """Why they are not enough; one line, with what to do."""
    warnings: tuple[str, ...]


def judge(found: Found, asked: GpuConfig, leased: Collection[str] = ()) -> Judged:
    """Which devices will do.

    Args:
        found: what there is.
        asked: `train.gpu`.
        leased: UUIDs of devices that jobs of mlgate's have now; what holds their memory goes when they do.
    """
    if not found.has_cuda_library:
        problem = (
            "the driver's library libcuda.so.1 is not to be found here, so nothing can compute on its GPUs; in a container, set "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        )
        return Judged((), problem, found.notes)
    reasons = {device.uuid: reason for device in found.devices if (reason := _unfit(device, asked, leased))}
    fit = by_soundness(device for device in found.devices if device.uuid not in reasons)
    whole = tuple(device for device in fit if not device.is_mig)
    instances = tuple(device for device in fit if device.is_mig)
    enough = [group for group in (whole, instances) if len(group) >= asked.count]
    warnings = [*found.notes, *(f"{device.label}: {remark}" for device in fit for remark in device.remarks)]
    warnings += [f"{d.label}: held by {d.held_by}" for d in fit if asked.memory is not None and d.is_held and d.uuid not in leased]
    if asked.count > 1 and enough and enough[0] is instances:
        warnings.append(f"train.gpu.count: CUDA shows a process one MIG instance; {asked.count} take as many processes")
    if enough:
        # of several, CUDA shows a process either GPUs or instances
        return Judged((*whole, *instances) if asked.count == 1 else enough[0], None, tuple(warnings))
    return Judged((), _refusal(found, asked, reasons, max(len(whole), len(instances))), tuple(warnings))


def still_held(devices: Sequence[Device], asked: GpuConfig) -> list[str]:
    """What keeps devices that we have leased from being used: memory that an ended job has not yet let go, or another program's."""
    return [f"{device.label}: {reason}" for device in devices if (reason := _unfit(device, asked, ()))]


def missing_disk(room: Room, asked: GpuConfig) -> str | None:
    """That the working directory has less room than asked for; None where it has not."""
    if asked.disk is None or room.disk_free_bytes is None or room.disk_free_bytes >= asked.disk:
        return None
    return (
        f"train.gpu.disk: expected {gigabytes(asked.disk)} free in the working directory, found {gigabytes(room.disk_free_bytes)}; "
        "make room (old data and checkpoints, 'dvc gc', 'docker system prune'), or ask for less"
    )


def missing_shared_memory(room: Room, asked: GpuConfig) -> str | None:
    """That /dev/shm has less room than asked for; None where it has not."""
    if asked.shared_memory is None or (room.shared_memory_free_bytes or 0) >= asked.shared_memory:
        return None
    found = "none" if room.shared_memory_free_bytes is None else gigabytes(room.shared_memory_free_bytes)
    return (
        f"train.gpu.shared_memory: expected {gigabytes(asked.shared_memory)} free in /dev/shm, found {found}; start the container with "
        f"--shm-size={_whole_gigabytes(asked.shared_memory)}g, or remove what lies there"
    )


def remarks_on_room(room: Room, asked: GpuConfig) -> list[str]:
    """What has not been asked for, and will probably be missed."""
    total = room.shared_memory_total_bytes
    if asked.shared_memory is not None or total is None or not 0 < total <= _DOCKERS_SHARED_MEMORY:
        return []
    return ["Docker's default of 64 MB for /dev/shm: data loaders with several workers die of it; start the container with --shm-size=8g"]


def environment_without_gpu() -> Mapping[str, str]:
    """For a training that goes on on the CPU: it must not take a GPU that nobody gave it."""
    return {"CUDA_VISIBLE_DEVICES": ""}


def _unfit(device: Device, asked: GpuConfig, leased: Collection[str]) -> str | None:
    """Why a device will not do; None where it will."""
    if device.faults:
        return "; ".join(device.faults)
    if asked.model is not None and not any(name.lower() in device.name.lower() for name in asked.model):
        return device.name
    capability = device.compute_capability
    if asked.compute_capability is not None and capability is not None and capability < _capability(asked.compute_capability):
        return f"compute capability {'.'.join(map(str, capability))}"
    if asked.memory is not None and device.memory_total_bytes < asked.memory:
        return f"{gigabytes(device.memory_total_bytes)} of memory"
    if device.uuid in leased:
        return None
    if asked.memory is not None and device.memory_free_bytes < asked.memory:
        holders = f", held by {device.held_by}" if device.held_by else ""
        return f"{gigabytes(device.memory_free_bytes)} of {gigabytes(device.memory_total_bytes)} free{holders}"
    if asked.memory is None and device.is_held:
        return f"held by {device.held_by}"
    return None


def is_only_held(found: Found, asked: GpuConfig) -> bool:
    """Whether there would be enough if no other program held their memory: that may pass in a moment."""
    return judge(found, asked, [device.uuid for device in found.devices]).problem is None


def _refusal(found: Found, asked: GpuConfig, reasons: Mapping[str, str], fit: int) -> str:
    kind = "all of them GPUs or all MIG instances, " if asked.count > 1 and any(device.is_mig for device in found.devices) else ""
    there = len(found.devices)
    if there == 0:
        here = "this runner sees none"
    elif fit == there:
        here = "there is only one here" if there == 1 else f"there are only {there} here"
    else:
        here = "the one here will not do" if there == 1 else f"of the {there} here {fit or 'none'} will do"
    labels: dict[str, list[str]] = {}
    for device in found.devices:
        if device.uuid in reasons:
            labels.setdefault(reasons[device.uuid], []).append(device.label)
    said = [f"{', '.join(labels[reason])}: {reason}" for reason in labels]
    said += [*found.unnamed, *found.notes]
    more = len(said) - _MOST_REASONS
    why = "; ".join([*said[:_MOST_REASONS], *([f"and {more} more"] if more > 0 else [])])
    return (
        f"train.gpu: expected {_in_words(asked)}, {kind}{here}{f' ({why})' if why else ''}; mend that, ask for less, or use another machine"
    )


def _in_words(asked: GpuConfig) -> str:
    words = f"{asked.count} GPUs" if asked.count != 1 else "a GPU"
    each = " each" if asked.count != 1 else ""
    more = []
    if asked.model is not None:
        more.append(f"of model {' or '.join(asked.model)}")
    if asked.compute_capability is not None:
        more.append(f"of compute capability {asked.compute_capability} or newer")
    if asked.memory is not None:
        more.append(f"with {gigabytes(asked.memory)} free{each}")
    return " ".join([words, *more])


def _capability(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _whole_gigabytes(size_bytes: int) -> int:
    return -(-size_bytes // 2**30)
