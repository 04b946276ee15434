"""`mlgate gpu`: the GPUs of this machine, what is wrong with them, who has them, and how many jobs wait. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlgate.console import plain
from mlgate.errors import InfrastructureError
from mlgate.gpu import absence, devices, lease, nvml
from mlgate.gpu.devices import Device, Found, gigabytes


@dataclass(frozen=True)
class Listed:
    """One device, and who has it."""

    device: Device
    leased_by: str | None
    """The job of mlgate's that has it, in words; None where none has."""
    is_hidden: bool
    """From this runner, by CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES."""

    @property
    def mark(self) -> str:
        if self.is_hidden:
            return "–"
        if not self.device.is_usable:
            return "✗"
        return "!" if self.device.remarks or (self.device.is_held and self.leased_by is None) else "✓"

    @property
    def line(self) -> str:
        device = self.device
        said = [f"{device.label} {device.name}"]
        if device.memory_total_bytes:
            said.append(f"{gigabytes(device.memory_free_bytes)} of {gigabytes(device.memory_total_bytes)} free")
        if device.compute_capability:
            said.append(f"compute capability {'.'.join(map(str, device.compute_capability))}")
        said.append(device.uuid)
        if self.is_hidden:
            said.append("hidden from this runner")
        if self.leased_by is not None:
            said.append(f"leased by {self.leased_by}")
        elif device.is_held:
            said.append(f"held by {device.held_by}")
        return "; ".join([", ".join(said), *device.trouble])


@dataclass(frozen=True)
class Listing:
    """The machine."""

    found: Found | None
    absence: str | None
    """Why there is nothing to list."""
    listed: tuple[Listed, ...]
    waiting: int
    """Jobs in the queue."""

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.found is None:
            yield f"– {plain(self.absence or '')}"
            return
        yield f"driver {self.found.driver}" + (f", CUDA up to {self.found.cuda}" if self.found.cuda else "")
        for one in self.listed:
            yield f"  {one.mark} {plain(one.line)}"
        for trouble in self.found.unnamed:
            yield f"  ✗ {plain(trouble)}"
        for note in self.found.notes:
            yield f"  ! {plain(note)}"
        if not self.found.has_cuda_library:
            yield "  ✗ libcuda.so.1 is not to be found: in a container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        if not self.listed and not self.found.unnamed:
            yield "  – the driver shows no GPU"
        if self.waiting:
            yield f"  {self.waiting} job{'s wait' if self.waiting != 1 else ' waits'} for GPUs of this machine"

    def as_json(self) -> str:
        """For a program."""
        document = {
            "driver": self.found.driver if self.found else None,
            "cuda": self.found.cuda if self.found else None,
            "absence": self.absence,
            "devices": [_as_object(one) for one in self.listed],
            "problems": [*self.found.unnamed] if self.found else [],
            "notes": [*self.found.notes] if self.found else [],
            "waiting": self.waiting,
        }
        return json.dumps(document, indent=1, ensure_ascii=False)


def run(environ: Mapping[str, str]) -> Listing:
    """Look at the machine.

    Raises:
        InfrastructureError: a driver that does not answer, or is broken; or the folder of leases cannot be read.
        InputError: MLGATE_GPU_LOCKS is wrong.
    """
    try:
        with nvml.open_library(environ) as library:
            found = devices.discover(library, environ, is_container=absence.is_container(environ))
    except nvml.UnavailableError as error:
        if error.is_absent:
            return Listing(None, str(error).partition(";")[0], (), 0)
        raise InfrastructureError(str(error)) from None
    every = [*found.devices, *found.hidden]
    leased = lease.occupied(every, environ) if every else {}
    listed = [
        Listed(
            device,
            None if device.uuid not in leased else holder.said if (holder := leased[device.uuid]) else "a job that does not say who it is",
            is_hidden=device in found.hidden,
        )
        for device in sorted(every, key=lambda device: (device.index, device.mig_index or 0))
    ]
    return Listing(found, None, tuple(listed), lease.waiting(environ) if every else 0)


def _as_object(one: Listed) -> dict[str, object]:
    device = one.device
    return {
        "uuid": device.uuid,
        "index": device.index,
        "name": device.name,
        "memory_total_bytes": device.memory_total_bytes,
        "memory_free_bytes": device.memory_free_bytes,
        "compute_capability": ".".join(map(str, device.compute_capability)) if device.compute_capability else None,
        "pci": device.pci,
        "is_mig": device.is_mig,
        "parent_uuid": device.parent_uuid,
        "is_usable": device.is_usable,
        "is_hidden": one.is_hidden,
        "trouble": list(device.trouble),
        "leased_by": one.leased_by,
        "programs": [{"pid": program.pid, "name": program.name, "memory_bytes": program.memory_bytes} for program in device.programs],
    }
