"""The GPUs of this machine, and the MIG instances they are divided into: what they are, what they have free, what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlgate.console import plain
from mlgate.gpu import kernel_log, visibility
from mlgate.gpu.kernel_log import Xid
from mlgate.gpu.nvml import Code, Handle, Nvml, NvmlError

_VOLATILE, _UNCORRECTED = 0, 1
_PROHIBITED = 2
_RECOVERY_ACTION = 230
_MEMORY_V2 = 0x02000028
"""Size and version of the structure that tells reserved memory apart."""
_MOST_NAME = 200
_DISPLAY_BYTES = 1 << 30
"""Memory in use that no process accounts for is somebody's only above this: displays and the driver take some."""
_NO_NUMBER = 2**64 - 1


@dataclass(frozen=True)
class Program:
    """A process that holds memory of a GPU."""

    pid: int
    """As NVML tells it: of the machine, which in a container is another one's."""
    name: str | None
    memory_bytes: int | None

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Device:
    """A GPU, or an instance of one that MIG has divided."""

    uuid: str
    """As CUDA_VISIBLE_DEVICES takes it: `GPU-…` or `MIG-…`."""
    index: int
    """Of the GPU, in NVML's order."""
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    compute_capability: tuple[int, int] | None = None
    pci: str | None = None
    is_mig: bool = False
    mig_index: int | None = None
    parent_uuid: str | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None
    memory_unaccounted_bytes: int = 0
    """In use, and by none of `programs`."""
    programs: tuple[Program, ...] = ()
    """What computes on it."""
    faults: tuple[str, ...] = ()
    """Why it cannot be used, each with what to do."""
    remarks: tuple[str, ...] = ()
    """What should be looked at."""

    @property
    def is_usable(self) -> bool:
        """Whether it is sound; that somebody uses it is another question."""
        return not self.faults

    @property
    def trouble(self) -> tuple[str, ...]:
        return (*self.faults, *self.remarks)

    @property
    def label(self) -> str:
        """`GPU 0`, `GPU 0 MIG 1`."""
        return f"GPU {self.index}" + (f" MIG {self.mig_index}" if self.is_mig else "")

    @property
    def is_held(self) -> bool:
        """Whether other programs compute on it, or hold its memory."""
        return bool(self.programs) or self.memory_unaccounted_bytes > max(_DISPLAY_BYTES, self.memory_total_bytes // 10)

    @property
    def held_by(self) -> str:
        """In words; empty where nobody holds it."""
        if self.programs:
            more = len(self.programs) - _MOST_PROGRAMS
            return ", ".join(map(str, self.programs[:_MOST_PROGRAMS])) + (f" and {more} more" if more > 0 else "")
        return f"{gigabytes(self.memory_unaccounted_bytes)} by programs that are not to be seen from here" if self.is_held else ""


@dataclass(frozen=True)
class Found:
    """What there is."""

    driver: str
    cuda: str | None
    """The newest CUDA that the driver takes."""
    devices: tuple[Device, ...]
    """That this runner may use, as its variables say."""
    hidden: tuple[Device, ...] = ()
    """The others."""
    unnamed: tuple[str, ...] = ()
    """What is wrong with GPUs that are none here: they do not answer, or are divided and have no instance."""
    notes: tuple[str, ...] = ()
    """Of the variables that hide GPUs."""
    has_cuda_library: bool = True


def discover(
    nvml: Nvml, environ: Mapping[str, str], *, kernel: str | None = None, is_container: bool = False, meminfo: Path = Path("/proc/meminfo")
) -> Found:
    """All devices and their trouble.

    Args:
        nvml: begun.
        environ: CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES of it are kept to.
        kernel: the kernel's log; left out, it is read where it may be.
        is_container: whether NVIDIA_VISIBLE_DEVICES has been applied already.
        meminfo: for GPUs that share the machine's memory.

    Raises:
        UnavailableError: the driver does not answer any more.
    """
    driver, cuda, count = nvml.calls([(name, ()) for name in _OF_SYSTEM])
    log = kernel_log.xids(kernel_log.read() if kernel is None else kernel)
    found: list[Device] = []
    unnamed: list[str] = []
    handles = nvml.calls([("nvmlDeviceGetHandleByIndex", (index,)) for index in range(count if isinstance(count, int) else 0)])
    for index, handle in enumerate(handles):
        if isinstance(handle, NvmlError):
            if handle.value != Code.NO_PERMISSION:  # it is shown to others, not to this container
                unnamed.append(f"GPU {index} does not answer: {_of_lost(handle)}")
            continue
        try:
            gpu = _gpu(nvml, handle, index, log, meminfo)
        except NvmlError as error:
            unnamed.append(f"GPU {index} does not answer: {_of_lost(error)}")
            continue
        instances = _instances(nvml, handle, gpu)
        if instances is None:
            found.append(gpu)
        elif instances:
            found += instances
        else:
            unnamed.append(f"{gpu.label}: MIG is on and it has no instance; make some (nvidia-smi mig -cgi … -C), or switch MIG off")
    chosen = visibility.choose([_visible(device) for device in found], environ, is_container=is_container)
    by_uuid = {device.uuid: device for device in found}
    return Found(
        driver=_shown(driver) if isinstance(driver, str) else "of unknown version",
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if isinstance(cuda, int) else None,
        devices=tuple(by_uuid[uuid] for uuid in chosen.uuids),
        hidden=tuple(device for device in found if device.uuid not in chosen.uuids),
        unnamed=tuple(unnamed),
        notes=tuple(chosen.notes),
        has_cuda_library=nvml.can_load("libcuda.so.1"),
    )


def gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB"


_OF_SYSTEM = ("nvmlSystemGetDriverVersion", "nvmlSystemGetCudaDriverVersion_v2", "nvmlDeviceGetCount")
_MOST_PROGRAMS = 5


def _gpu(nvml: Nvml, handle: Handle, index: int, log: Sequence[Xid], meminfo: Path) -> Device:
    """One GPU. Raises NvmlError: it does not even say its name."""
    uuid, name, capability, pci, mode = nvml.calls(
        (question, (handle,))
        for question in (
            "nvmlDeviceGetUUID",
            "nvmlDeviceGetName",
            "nvmlDeviceGetCudaComputeCapability",
            "nvmlDeviceGetPciInfo",
            "nvmlDeviceGetComputeMode",
        )
    )
    for answer in (uuid, name):
        if isinstance(answer, NvmlError):
            raise answer
    device = Device(
        uuid=uuid,
        index=index,
        name=_shown(name),
        memory_total_bytes=0,
        memory_free_bytes=0,
        compute_capability=(capability[0], capability[1]) if isinstance(capability, list) else None,
        pci=None if isinstance(pci, NvmlError) else kernel_log.address(pci.busId),
    )
    faults, remarks = _health(nvml, handle, device, log)
    if mode == _PROHIBITED:
        faults.append("compute mode is 'Prohibited' (nvidia-smi -c 0)")
    return _with_use(nvml, handle, replace(device, faults=tuple(faults), remarks=tuple(remarks)), meminfo)


def _health(nvml: Nvml, handle: Handle, device: Device, log: Sequence[Xid]) -> tuple[list[str], list[str]]:
    """What makes a GPU useless, and what is only worth a look."""
    reset = f"reset it (nvidia-smi --gpu-reset -i {device.index}) or restart the machine"
    ecc, rows, pages, fields = nvml.calls(
        [
            ("nvmlDeviceGetTotalEccErrors", (handle, _UNCORRECTED, _VOLATILE)),
            ("nvmlDeviceGetRemappedRows", (handle,)),
            ("nvmlDeviceGetRetiredPagesPendingStatus", (handle,)),
            ("nvmlDeviceGetFieldValues", (handle, [_RECOVERY_ACTION])),
        ]
    )
    faults, remarks = [], []
    for answer in (ecc, rows, pages):
        if isinstance(answer, NvmlError) and answer.value in (Code.GPU_IS_LOST, Code.RESET_REQUIRED):
            return [_of_lost(answer)], []
    if isinstance(ecc, int) and 0 < ecc < _NO_NUMBER:
        faults.append(f"{ecc:,} uncorrectable ECC memory error{'s' if ecc != 1 else ''} since its driver was loaded; {reset}")
    if isinstance(rows, list):
        _, _, is_pending, has_failed = rows
        if has_failed:
            faults.append("its memory has rows that could not be remapped; have it replaced")
        elif is_pending:
            faults.append(f"memory rows wait to be remapped; {reset}")
    if pages == 1:
        faults.append(f"memory pages wait to be retired; {reset}")
    action = _recovery_action(fields)
    if action and not faults:
        faults.append(_RECOVERIES.get(action, "its driver asks for a recovery; restart the machine"))
    for xid in log:
        if device.pci is None or xid.pci != device.pci:
            continue
        if xid.needs_reset and action is None and not faults:
            # nothing tells that it was reset since, but for what also clears these messages
            faults.append(f"{xid.text}; restart the machine or load its driver again")
        else:
            remarks.append(xid.text)
    return faults, remarks


_RECOVERIES = {
    1: "its driver asks for a reset (nvidia-smi --gpu-reset)",
    2: "its driver asks for the machine to be restarted",
    3: "its driver asks for its NVLink peers to be drained and reset",
    4: "its driver asks for it to be drained and reset",
    6: "its driver asks for its bus to be reset; restart the machine",
    7: "its driver asks for the machine to be restarted",
}


def _recovery_action(fields: Any) -> int | None:
    """0 for none; None where the driver does not tell."""
    if isinstance(fields, NvmlError) or not fields or fields[0].nvmlReturn != 0:
        return None
    return int(fields[0].value.uiVal)


def _of_lost(error: NvmlError) -> str:
    match error.value:
        case Code.GPU_IS_LOST:
            return "it fell off the bus; restart the machine, and look at power, heat and its seat"
        case Code.RESET_REQUIRED:
            return "it must be reset (nvidia-smi --gpu-reset)"
        case Code.INSUFFICIENT_POWER:
            return "its power cables are not connected as they should be"
        case _:
            return f"NVML: {plain(str(error))[:200]}; restart the machine"


def _with_use(nvml: Nvml, handle: Handle, device: Device, meminfo: Path | None) -> Device:
    """With its memory, and who computes on it.

    Args:
        meminfo: for a GPU that has no memory of its own and shares the machine's; None for an instance.
    """
    exact, older, computing, drawing = nvml.calls(
        [
            ("nvmlDeviceGetMemoryInfo", (handle, _MEMORY_V2)),
            ("nvmlDeviceGetMemoryInfo", (handle,)),
            ("nvmlDeviceGetComputeRunningProcesses", (handle,)),
            ("nvmlDeviceGetGraphicsRunningProcesses", (handle,)),
        ]
    )
    memory = older if isinstance(exact, NvmlError) else exact
    faults = device.faults
    if not isinstance(memory, NvmlError):
        total, free, used = memory.total, memory.free, memory.used
    elif memory.value == Code.NOT_SUPPORTED:
        (total, free), used = _shared_memory(meminfo), 0
    else:  # it was lost since it said its name
        total = free = used = 0
        faults = faults or (_of_lost(memory),)
    on_displays = {process.pid for process in _listed(drawing)}
    programs = tuple(
        Program(process.pid, _name(nvml, process.pid), _number(process.usedGpuMemory))
        for process in _listed(computing)
        if process.pid not in on_displays
    )
    accounted = sum(_number(process.usedGpuMemory) or 0 for process in (*_listed(computing), *_listed(drawing)))
    return replace(
        device,
        memory_total_bytes=total,
        memory_free_bytes=free,
        memory_unaccounted_bytes=max(used - accounted, 0),
        faults=faults,
        programs=tuple(program for program in programs if program.name not in _SERVICES),
    )


_SERVICES = ("nvidia-cuda-mps-server", "nv-hostengine", "dcgm-exporter")
"""Take a little memory on every GPU and compute nothing."""


def _shared_memory(meminfo: Path | None) -> tuple[int, int]:
    """Total and available memory of the machine, of which such a GPU has no part of its own. (0, 0) where that is not to be read."""
    numbers: dict[str, int] = {}
    if meminfo is None:
        return 0, 0
    with suppress(OSError, ValueError):
        for line in meminfo.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                numbers[name] = int(rest.split()[0]) * 1024
    return numbers.get("MemTotal", 0), numbers.get("MemAvailable", 0)


def _listed(processes: Any) -> Sequence[Any]:
    return [] if isinstance(processes, NvmlError) else processes


def _number(value: int | None) -> int | None:
    return None if value is None or value >= _NO_NUMBER else value


def _name(nvml: Nvml, pid: int) -> str | None:
    """Name of the program, without its folder and arguments: those may hold secrets. None inside of a container, where the number is the
    machine's and NVML looks it up among the container's own processes."""
    if not (nvml.is_stand_in or _sees_all_processes()):
        return None
    try:
        said = nvml.call("nvmlSystemGetProcessName", pid)
    except NvmlError:
        return None
    return plain(str(said).split(" ")[0].rpartition("/")[2])[:40] or None


def _sees_all_processes() -> bool:
    """Whether we are in the machine's first namespace of processes; its number never changes (PROC_PID_INIT_INO, linux/proc_ns.h)."""
    with suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino == 0xEFFFFFFC
    return False


def _instances(nvml: Nvml, handle: Handle, gpu: Device) -> list[Device] | None:
    """The instances of a GPU that MIG has divided; None of one that it has not."""
    mode, most = nvml.calls([("nvmlDeviceGetMigMode", (handle,)), ("nvmlDeviceGetMaxMigDeviceCount", (handle,))])
    if isinstance(mode, NvmlError) or not mode[0] or isinstance(most, NvmlError):
        return None
    instances = []
    for place, instance in enumerate(nvml.calls([("nvmlDeviceGetMigDeviceHandleByIndex", (handle, place)) for place in range(most)])):
        if isinstance(instance, NvmlError):
            continue  # nothing in that place
        uuid, name, gpu_instance, compute_instance = nvml.calls(
            (question, (instance,))
            for question in ("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetGpuInstanceId", "nvmlDeviceGetComputeInstanceId")
        )
        if isinstance(uuid, NvmlError):
            continue
        device = replace(
            gpu,
            uuid=uuid,
            name=gpu.name if isinstance(name, NvmlError) else _shown(name),
            is_mig=True,
            mig_index=place,
            parent_uuid=gpu.uuid,
            gpu_instance=_known(gpu_instance),
            compute_instance=_known(compute_instance),
        )
        instances.append(_with_use(nvml, instance, device, None))  # an instance has memory of its own
    return instances


def _known(number: Any) -> int | None:
    return None if isinstance(number, NvmlError) else int(number)


def _visible(device: Device) -> visibility.Visible:
    return visibility.Visible(
        uuid=device.uuid,
        index=device.index,
        name=device.name,
        parent_uuid=device.parent_uuid,
        mig_index=device.mig_index,
        gpu_instance=device.gpu_instance,
        compute_instance=device.compute_instance,
    )


def by_soundness(devices: Iterable[Device]) -> list[Device]:
    """Usable ones, those without a remark first."""
    return sorted((device for device in devices if device.is_usable), key=lambda device: len(device.remarks))


def _shown(said: object) -> str:
    """A name as the driver says it, of which a stand-in may make anything."""
    return plain(str(said))[:_MOST_NAME]
