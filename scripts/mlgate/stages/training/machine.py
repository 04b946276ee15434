"""The machine a training runs on: preflight before anything costly begins, then the lease of its GPUs. First of what `train` does."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate.config import GpuConfig
from mlgate.console import plain
from mlgate.errors import InfrastructureError
from mlgate.evidence import GpuDevice, LeaseFindings, PreflightFindings
from mlgate.gpu import absence, devices, lease, lock_folder, nvml, preflight
from mlgate.gpu.devices import Device, Found
from mlgate.gpu.preflight import Judged, Room
from mlgate.workspace import Workspace

SETTLE_S = 3.0
"""How long what other programs hold may take to go, before a GPU is refused for it."""
FREE_WITHIN_S = 20.0
"""How long memory of the job that had a GPU before us may take to go."""
_LOOK_EVERY_S = 0.5


class UnfitMachineError(InfrastructureError):
    """This machine has not what the training asks for."""

    def __init__(self, message: str, findings: PreflightFindings) -> None:
        super().__init__(message)
        self.findings = findings


@dataclass(frozen=True)
class Leased:
    """What a training has for itself."""

    devices: tuple[str, ...] = ()
    """UUIDs; none on the CPU."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """For the training: it sees these devices and no others."""
    fds: tuple[int, ...] = ()
    """For the training to inherit: its devices stay its own even if mlgate and all that watches over it are killed at one stroke."""
    findings: LeaseFindings | None = None
    """None: nothing was asked for."""


@dataclass(frozen=True)
class Machine:
    """What preflight found, and what a lease may be taken of."""

    asked: GpuConfig | None
    """None: nothing was asked for, and nothing looked at."""
    devices: tuple[Device, ...]
    """GPUs or MIG instances that will do, best first; none where the training runs on the CPU."""
    findings: PreflightFindings | None
    refusal: str | None = None
    """Why it must not run here at all."""

    @property
    def count(self) -> int:
        """How many devices a lease gives."""
        return self.asked.count if self.asked and self.devices else 0

    def without_gpu(self) -> Machine:
        """The same for a command that computes nothing: none of its GPUs is leased."""
        return replace(self, devices=())

    @contextmanager
    def leased(self, mark: str, workspace: Workspace) -> Iterator[Leased]:
        """Have the GPUs that were asked for while the block lasts; waits in order of arrival until they are free.

        Without `train.gpu` nothing is leased and the training sees what the job sees; where it fell back to the CPU, it sees no GPU.

        Args:
            mark: of the training's processes, `process.new_mark`: they are ended before another job gets the GPUs, even if we are killed.
            workspace: the run that others see waiting, and where is said what it waits for.

        Raises:
            InfrastructureError: none came free within `train.gpu.wait`, somebody else computes on what was leased, or locks do not work.
            InputError: MLGATE_GPU_LOCKS is wrong.
        """
        if not self.devices:
            # Two trainings in one folder of checkpoints: a run that goes on from it must not meet what a killed one left running.
            is_kept = workspace.config.train is not None and workspace.config.train.checkpoints is not None
            with lease.kept(mark) if is_kept else nullcontext():
                yield _without_devices(self.asked)
        else:
            assert self.asked is not None  # noqa: S101 -- for the type checker: there are devices because they were asked for
            asked, run_url = self.asked, workspace.context.run_url
            what = f"{workspace.config.model}, {run_url}" if run_url else workspace.config.model

            def say(waiting: lease.Waiting) -> None:
                workspace.console.line(f"  waiting for {_gpus(asked.count)} since {waiting.waited_s:,.0f} s: {lease.said(waiting)}")

            by_uuid = {device.uuid: device for device in self.devices}
            with lease.acquire(self.devices, asked.count, mark=mark, wait_s=asked.wait, what=what, on_waiting=say) as held:
                ensure_free(held.devices, asked, os.environ)
                after = f" after {held.waited_s:,.0f} s" if held.waited_s >= 1 else ""
                workspace.console.line(f"  leased {_named([by_uuid[uuid] for uuid in held.devices])}{after}")
                yield Leased(
                    devices=held.devices,
                    environ={"CUDA_VISIBLE_DEVICES": ",".join(held.devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
                    fds=held.fds,
                    findings=LeaseFindings(devices=list(held.devices), waited_s=held.waited_s, position=held.in_front),
                )


def _without_devices(asked: GpuConfig | None) -> Leased:
    return Leased() if asked is None else Leased(environ=preflight.environment_without_gpu(), findings=LeaseFindings(devices=[]))


def look(workspace: Workspace) -> Machine:
    """Whether this machine has what `train.gpu` asks for. Takes a fraction of a second; a driver that hangs, ten.

    Raises:
        UnfitMachineError: it has not, and needs it; one line says what is missing and what to do.
        InputError: MLGATE_GPU_LOCKS is wrong.
    """
    train = workspace.config.train
    if train is None or train.gpu is None:
        return Machine(None, (), None)
    machine = examine(workspace.root, train.gpu, os.environ)
    assert machine.findings is not None  # noqa: S101 -- for the type checker: something was asked for
    if machine.refusal:
        raise UnfitMachineError(machine.refusal, machine.findings)
    return machine


def tell(workspace: Workspace, machine: Machine) -> None:
    """Say what a training has to expect of the machine, once it is clear that something is trained."""
    if machine.findings is None:
        return
    for problem in machine.findings.problems:
        workspace.console.line(f"  {plain(problem)}; trains on the CPU (train.gpu.need: preferred)")
    for warning in machine.findings.warnings:
        workspace.console.line(f"  ! {plain(warning)}")


def examine(root: Path, asked: GpuConfig, environ: Mapping[str, str], *, deadline_s: float | None = None) -> Machine:
    """The machine held against `train.gpu`; what is missing stands in `findings.problems`, and in `refusal` where it is needed.

    Args:
        root: the working directory.
        deadline_s: for the driver's first answer; left out, NVML's own.

    Raises:
        InputError: MLGATE_GPU_LOCKS is wrong.
    """
    began = time.monotonic()
    room = Room.look(root)
    warnings = preflight.remarks_on_room(room, asked)
    found, judged, problems = None, Judged((), None, ()), list[str]()
    try:
        with nvml.open_library(environ, deadline_s=deadline_s) as library:
            of_folder = lock_folder.remarks(environ, is_container=absence.is_container(environ))
            found, judged = _judged(library, asked, environ)
            warnings += [*judged.warnings, *of_folder]
            if library.is_stand_in:
                warnings.append(f"MLGATE_NVML: {environ['MLGATE_NVML']} stands in for the NVIDIA driver")
    except nvml.UnavailableError as error:
        # to a training that does without, the advice how to get a GPU is none
        said = str(error).partition(";")[0] if error.is_absent and asked.need == "preferred" else str(error)
        problems.append(f"train.gpu: {said}")
    except InfrastructureError as error:
        problems.append(str(error))
    if judged.problem:
        problems.append(judged.problem)
    is_preferred = asked.need == "preferred"
    disk, shared = preflight.missing_disk(room, asked), preflight.missing_shared_memory(room, asked)
    if shared and is_preferred and not judged.devices:
        warnings.append(shared)  # a runner without a GPU may have less of it
        shared = None
    lacking = [*filter(None, [disk, shared])]
    needed = lacking if is_preferred else [*problems, *lacking]
    findings = PreflightFindings(
        driver=found.driver if found else None,
        cuda=found.cuda if found else None,
        devices=[shown(device) for device in found.devices] if found else [],
        disk_free_bytes=room.disk_free_bytes,
        shared_memory_free_bytes=room.shared_memory_free_bytes,
        problems=[*problems, *lacking],
        warnings=warnings,
        duration_s=time.monotonic() - began,
    )
    return Machine(asked, judged.devices, findings, "; ".join(needed) or None)


def ensure_free(uuids: Collection[str], asked: GpuConfig, environ: Mapping[str, str], *, within_s: float | None = None) -> None:
    """Once leased: that nobody else holds the GPUs' memory. The kernel takes back that of an ended job in its own time.

    Raises:
        InfrastructureError: somebody still does, or the GPU has failed meanwhile; processes are named where the driver tells them.
    """
    deadline = time.monotonic() + (FREE_WITHIN_S if within_s is None else within_s)
    try:
        with nvml.open_library(environ) as library:
            while True:
                held = preflight.still_held(_those(_discovered(library, environ), uuids), asked)
                if not held:
                    return
                if time.monotonic() >= deadline:
                    raise InfrastructureError(
                        f"train.gpu: leased, and not free: {'; '.join(held)}; end what holds it, and run the job again"
                    )
                time.sleep(_LOOK_EVERY_S)
    except nvml.UnavailableError as error:
        raise InfrastructureError(f"train.gpu: {error}") from None


def shown(device: Device) -> GpuDevice:
    """A device as evidence has it."""
    return GpuDevice(
        uuid=device.uuid,
        name=device.name,
        memory_total_bytes=device.memory_total_bytes,
        memory_free_bytes=device.memory_free_bytes,
        compute_capability=None if device.compute_capability is None else ".".join(map(str, device.compute_capability)),
        is_mig=device.is_mig,
        trouble=[*device.trouble, *([f"held by {device.held_by}"] if device.is_held else [])],
    )


def _judged(library: nvml.Nvml, asked: GpuConfig, environ: Mapping[str, str]) -> tuple[Found, Judged]:
    """What there is and what will do. Asked again for a moment while other programs hold what would: a job that has just ended has given
    its lease back, and its memory not quite yet."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = _discovered(library, environ)
        leased = lease.occupied(found.devices, environ) if found.devices else {}
        judged = preflight.judge(found, asked, leased)
        if judged.problem is None or time.monotonic() >= deadline or not preflight.is_only_held(found, asked):
            return found, judged
        time.sleep(_LOOK_EVERY_S)


def _named(devices: Sequence[Device]) -> str:
    """`GPU 0, GPU 1 (NVIDIA H100 80GB HBM3)`."""
    of_model: dict[str, list[str]] = {}
    for device in devices:
        of_model.setdefault(device.name, []).append(device.label)
    return ", ".join(f"{', '.join(labels)} ({model})" for model, labels in of_model.items())


def _gpus(count: int) -> str:
    return "a GPU" if count == 1 else f"{count} GPUs"


def _discovered(library: nvml.Nvml, environ: Mapping[str, str]) -> Found:
    return devices.discover(library, environ, is_container=absence.is_container(environ))


def _those(found: Found, uuids: Collection[str]) -> Sequence[Device]:
    """Leased devices as they are now; one that is no more has failed."""
    there = [device for device in found.devices if device.uuid in uuids]
    gone = set(uuids) - {device.uuid for device in there}
    lost = [_lost(uuid, found) for uuid in sorted(gone)]
    return [*there, *lost]


def _lost(uuid: str, found: Found) -> Device:
    why = "; ".join(found.unnamed) or "the driver does not show it any more"
    return replace(_NOTHING, uuid=uuid, faults=(f"{uuid}: {why}",))


_NOTHING = Device(uuid="", index=-1, name="", memory_total_bytes=0, memory_free_bytes=0)
