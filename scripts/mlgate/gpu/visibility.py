"""Which GPUs a runner may use, as CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES say it.

CUDA's rules: NVIDIA, "CUDA C++ Programming Guide", section "CUDA Environment Variables", and "NVIDIA Multi-Instance GPU User Guide",
section "Device Enumeration". The container runtime's: "NVIDIA Container Toolkit", section "Specialized Configurations with Docker".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CUDA = "CUDA_VISIBLE_DEVICES"
CONTAINER = "NVIDIA_VISIBLE_DEVICES"
_PLACE = re.compile(r"(\d{1,4})[:.](\d{1,4})")
_OLD_MIG = re.compile(r"MIG-(GPU-[0-9a-f-]+)/(\d{1,4})/(\d{1,4})", re.IGNORECASE)
_MOST_SHOWN = 60


@dataclass(frozen=True)
class Visible:
    """Something that may be seen: a GPU, or an instance of one."""

    uuid: str
    index: int
    """Of the GPU, in the order of NVML (PCI)."""
    name: str = ""
    parent_uuid: str | None = None
    """Of an instance: its GPU's."""
    mig_index: int | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None


@dataclass(frozen=True)
class Chosen:
    """What of it a runner may use."""

    uuids: list[str]
    notes: list[str] = field(default_factory=list)
    """What there is to say of the variables."""


def choose(devices: Sequence[Visible], environ: Mapping[str, str], *, is_container: bool = False) -> Chosen:
    """Devices in the order in which the variables name them; all, where they say nothing.

    Args:
        devices: all that NVML shows; of a GPU that MIG has divided, its instances alone.
        is_container: whether the container's runtime has read NVIDIA_VISIBLE_DEVICES already.
    """
    chosen = list(devices)
    notes: list[str] = []
    container = environ.get(CONTAINER)
    if container is not None and _is_for_us(container, devices, is_container=is_container):
        chosen = _of_container(container, chosen, notes)
    cuda = environ.get(CUDA)
    if cuda is not None:
        chosen = _of_cuda(cuda, chosen, notes)
        is_mixed = len({device.name for device in devices if device.parent_uuid is None}) > 1
        if is_mixed and _has_indices(cuda) and environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
            notes.append(f"{CUDA}={_shown(cuda)} counts GPUs of several models here; taken in PCI order, write UUIDs to be sure")
    return Chosen([device.uuid for device in chosen], notes)


def _of_cuda(value: str, devices: Sequence[Visible], notes: list[str]) -> list[Visible]:
    """As CUDA takes it: what follows the first wrong entry is not seen, nor is anything where one is named twice."""
    chosen: list[Visible] = []
    entries = [entry.strip() for entry in value.split(",")] if value.strip() else []
    for entry in entries:
        found = _named(entry, devices)
        if not found:
            if entry not in ("-1", ""):
                notes.append(f"{CUDA}={_shown(value)}: no GPU '{_shown(entry)}' here; it and what follows it are not seen")
            break
        if any(device in chosen for device in found):
            notes.append(f"{CUDA}={_shown(value)} names a GPU twice, and CUDA then sees none; correct it where the runner is started")
            return []
        chosen += found
    if not chosen and not notes:
        notes.append(f"{CUDA}={_shown(value)} hides all GPUs from this runner")
    return chosen


def _of_container(value: str, devices: Sequence[Visible], notes: list[str]) -> list[Visible]:
    value = value.strip()
    if value == "all":
        return list(devices)
    chosen: list[Visible] = []
    for entry in value.split(","):
        chosen += [device for device in _named(entry.strip(), devices) if device not in chosen]
    if not chosen:
        notes.append(f"{CONTAINER}={_shown(value)} hides all GPUs from this runner")
    return chosen


def _is_for_us(value: str, devices: Sequence[Visible], *, is_container: bool) -> bool:
    """Whether it is left to us to hold to it. In a container the runtime has shown only what it names, and counted anew; unless the
    container sees all of the machine, being privileged. `void` is what a runtime leaves that was told of GPUs by other means."""
    value = value.strip()
    if value in ("", "void", "all"):
        return False
    if not is_container or not _has_indices(value):
        return True
    return len({device.index for device in devices}) > len(value.split(","))


def _named(entry: str, devices: Sequence[Visible]) -> list[Visible]:
    """What one entry means: an index, a UUID or the beginning of only one, or an instance's place. A divided GPU means its instances."""
    if entry.isascii() and entry.isdecimal() and len(entry) <= _DIGITS:
        return [device for device in devices if device.index == int(entry)]
    if place := _PLACE.fullmatch(entry):
        return [device for device in devices if (device.index, device.mig_index) == (int(place[1]), int(place[2]))]
    if old := _OLD_MIG.fullmatch(entry):
        wanted = (old[1].lower(), int(old[2]), int(old[3]))
        return [d for d in devices if ((d.parent_uuid or "").lower(), d.gpu_instance, d.compute_instance) == wanted]
    if not entry.upper().startswith(("GPU-", "MIG-")):
        return []
    begun = entry.lower()
    for exact in ([d for d in devices if d.uuid.lower() == begun], [d for d in devices if (d.parent_uuid or "").lower() == begun]):
        if exact:
            return exact
    found = {device.uuid: [device] for device in devices if device.uuid.lower().startswith(begun)}
    for device in devices:
        if device.parent_uuid and device.parent_uuid.lower().startswith(begun):
            found.setdefault(device.parent_uuid, []).append(device)
    return next(iter(found.values())) if len(found) == 1 else []


def _has_indices(value: str) -> bool:
    return any(entry.strip().isdecimal() or _PLACE.fullmatch(entry.strip()) for entry in value.split(","))


def _shown(value: str) -> str:
    """Short, and printable: it is anybody's."""
    text = "".join(character for character in value if character.isprintable())
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


_DIGITS = 4
