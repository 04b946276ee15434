"""Why NVIDIA's management library gives no answer here, and what to do about it: one line for each state that a machine is found in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_VERSION = re.compile(r"\b(\d{3,4}\.\d{1,3}(?:\.\d{1,3})?)\b")
_GIVE_GPUS = "give it GPUs (options: --gpus all) and the machine the NVIDIA Container Toolkit"
_ELSEWHERE = "run on a machine with an NVIDIA GPU (runs-on), or say 'need: preferred' to train on the CPU"


@dataclass(frozen=True)
class Failure:
    """How the library failed."""

    kind: Literal["module", "stand-in", "nvml", "hung", "died"]
    code: int | None
    """NVML's, for `nvml`."""
    text: str


@dataclass(frozen=True)
class Host:
    """What a machine shows of its driver without being asked."""

    is_container: bool
    driver: str | None
    """Version of the kernel's part; None where none is loaded."""
    has_device_files: bool
    """Of a GPU, as /dev/nvidia0. /dev/nvidiactl tells nothing: for root NVIDIA's library makes it, be there a driver or not."""
    has_gpu: bool | None = None
    """Whether a GPU of NVIDIA's is on its bus; None where that is not shown."""

    @classmethod
    def look(cls, environ: Mapping[str, str], root: Path = Path("/")) -> Host:
        driver = None
        with suppress(OSError):
            said = (root / "proc/driver/nvidia/version").read_text(errors="replace").partition("\n")[0]
            found = _VERSION.search(said)
            driver = found[1] if found else "of unknown version"
        has_device_files = any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev/dxg").exists()
        return cls(is_container(environ, root), driver, has_device_files, _has_gpu_on_bus(root))

    @property
    def shows_driver(self) -> bool:
        """Whether anything of a driver that is loaded, or was, is to be seen."""
        return self.driver is not None or self.has_device_files


def is_container(environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether we run in a container."""
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return any(mark.exists() for mark in marks) or any(environ.get(name) for name in ("KUBERNETES_SERVICE_HOST", "container"))


def _has_gpu_on_bus(root: Path) -> bool | None:
    """Whether a display or compute device (PCI class 3) of NVIDIA's (vendor 10de) is there; None where the kernel shows no PCI bus."""
    found = None
    for device in (root / "sys/bus/pci/devices").glob("*"):
        with suppress(OSError):
            is_display = (device / "class").read_text().startswith("0x03")
            found = found or (is_display and (device / "vendor").read_text().strip() == "0x10de")
    return found


def is_plain_absence(failure: Failure, host: Host) -> bool:
    """Whether this is merely a machine without an NVIDIA GPU, or without a driver for it."""
    if failure.kind != "nvml" or host.shows_driver:
        return False
    if failure.code == 12:
        return not _is_unloadable(failure.text)
    return failure.code == 9 and host.has_gpu is False


def explain(failure: Failure, host: Host) -> str:
    """One line: what is the matter, and what to do."""
    match failure.kind:
        case "module":
            return f"nvidia-ml-py is not installed beside mlgate ({failure.text}); install mlgate[gpu]"
        case "stand-in":
            return f"MLGATE_NVML: expected a Python file with NVML's functions; it cannot be run: {failure.text}"
        case "hung":
            return (
                f"the NVIDIA driver gave no answer within {failure.text}; restart the machine, or, where it is only slow to start, switch "
                "persistence mode on (nvidia-smi -pm 1) or set MLGATE_NVML_TIMEOUT"
            )
        case "died":
            return f"the NVIDIA library crashed ({failure.text}); reinstall the driver, or restart the machine"
        case "nvml":
            return _of_nvml(failure, host)


def _of_nvml(failure: Failure, host: Host) -> str:
    match failure.code:
        case 12:
            return _without_library(failure.text, host)
        case 9:
            return _without_driver(host)
        case 18:
            loaded = f" ({host.driver} is loaded)" if host.driver else ""
            what = "start the container again" if host.is_container else "restart the machine"
            return f"the NVIDIA driver was updated while it ran, kernel module and library differ{loaded}; {what}"
        case 999 if host.is_container:
            return (
                "the container has lost its GPUs (NVML: Unknown Error), as after the machine was suspended or systemd was reloaded; start "
                "the container again"
            )
        case 999:
            return (
                "the NVIDIA driver is in a broken state (NVML: Unknown Error), as after the machine was suspended; reload nvidia_uvm "
                "(rmmod nvidia_uvm, modprobe nvidia_uvm) or restart the machine"
            )
        case 4:
            return "this user may not open the GPUs; give it the group that owns /dev/nvidiactl (video or render)"
        case 13:
            return f"the NVIDIA driver is too old for nvidia-ml-py ({failure.text}); install a newer driver"
        case 15 | 16:
            return f"a GPU has failed (NVML: {failure.text}); restart the machine"
        case _:
            return f"NVML does not start: {failure.text} (error {failure.code}); run nvidia-smi on the machine"


def _is_unloadable(text: str) -> bool:
    """musl, another architecture, a library that is cut: it is there, and cannot be loaded."""
    return "libnvidia-ml" in text and "no such file" not in text.lower()


def _without_library(text: str, host: Host) -> str:
    if _is_unloadable(text):
        return f"NVIDIA's library is there and cannot be loaded: {text}; use an image with glibc, for this machine's architecture"
    if host.is_container and host.shows_driver:
        return (
            "this container lacks the NVIDIA driver's libraries (libnvidia-ml.so.1), though the machine has a driver; "
            f"{_GIVE_GPUS}, with NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        )
    if host.is_container:
        return f"no NVIDIA driver in this container; {_GIVE_GPUS}, or {_ELSEWHERE}"
    if host.driver:
        return f"driver {host.driver} is loaded, its library libnvidia-ml.so.1 is not found; install the driver's libraries"
    if host.has_gpu:
        return f"no NVIDIA driver on this machine, though it has an NVIDIA GPU; install the driver, or {_ELSEWHERE}"
    return f"no NVIDIA driver on this machine; {_ELSEWHERE}"


def _without_driver(host: Host) -> str:
    if host.has_gpu is False and not host.shows_driver:
        return f"the NVIDIA driver is installed and no NVIDIA GPU is here; {_ELSEWHERE}"
    if host.is_container and not host.has_device_files:
        return f"this container has the NVIDIA driver's libraries and no GPU; {_GIVE_GPUS}"
    if host.driver:
        return f"driver {host.driver} is loaded and does not answer (/dev/nvidiactl); run nvidia-modprobe, or restart the machine"
    return "the NVIDIA driver is installed and not loaded; modprobe nvidia, or reinstall it for this kernel (a kernel update needs that)"
