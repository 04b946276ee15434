"""What is said where NVIDIA's library gives no answer: one line for each state, with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pynvml
import pytest

from mlgate.errors import InputError
from mlgate.gpu import devices, nvml
from mlgate.gpu.absence import Failure, Host, explain, is_plain_absence

BARE = Host(is_container=False, driver=None, has_device_files=False)
LOADED = Host(is_container=False, driver="550.54.15", has_device_files=True)
CONTAINER = Host(is_container=True, driver=None, has_device_files=False)
SHOWN = Host(is_container=True, driver="550.54.15", has_device_files=False)
WITHOUT_GPU = Host(is_container=False, driver=None, has_device_files=False, has_gpu=False)
WITH_GPU = Host(is_container=False, driver=None, has_device_files=False, has_gpu=True)
MISSING = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory"
MUSL = "Error relocating /usr/lib/libnvidia-ml.so.1: __snprintf_chk: symbol not found"


@pytest.mark.parametrize(
    ("code", "text", "host", "expected"),
    [
        (12, MISSING, BARE, "no NVIDIA driver on this machine"),
        (12, MISSING, LOADED, "driver 550.54.15 is loaded, its library libnvidia-ml.so.1 is not found"),
        (12, MISSING, CONTAINER, "no NVIDIA driver in this container; give it GPUs (options: --gpus all)"),
        (12, MISSING, SHOWN, "this container lacks the NVIDIA driver's libraries (libnvidia-ml.so.1), though the machine has a driver"),
        (12, MISSING, WITHOUT_GPU, "no NVIDIA driver on this machine; run on"),
        (12, MISSING, WITH_GPU, "no NVIDIA driver on this machine, though it has an NVIDIA GPU; install the driver"),
        (12, MUSL, SHOWN, "NVIDIA's library is there and cannot be loaded: Error relocating"),
        (9, "Driver Not Loaded", BARE, "the NVIDIA driver is installed and not loaded; modprobe nvidia"),
        (9, "Driver Not Loaded", WITH_GPU, "the NVIDIA driver is installed and not loaded; modprobe nvidia"),
        (9, "Driver Not Loaded", WITHOUT_GPU, "the NVIDIA driver is installed and no NVIDIA GPU is here; run on a machine with"),
        (9, "Driver Not Loaded", LOADED, "driver 550.54.15 is loaded and does not answer"),
        (9, "Driver Not Loaded", SHOWN, "this container has the NVIDIA driver's libraries and no GPU"),
        (
            18,
            "mismatch",
            LOADED,
            "the NVIDIA driver was updated while it ran, kernel module and library differ (550.54.15 is loaded); restart the m",
        ),
        (
            18,
            "mismatch",
            SHOWN,
            "the NVIDIA driver was updated while it ran, kernel module and library differ (550.54.15 is loaded); start the con",
        ),
        (999, "Unknown Error", SHOWN, "the container has lost its GPUs (NVML: Unknown Error)"),
        (
            999,
            "Unknown Error",
            LOADED,
            "the NVIDIA driver is in a broken state (NVML: Unknown Error), as after the machine was suspended; reload",
        ),
        (4, "Insufficient Permissions", LOADED, "this user may not open the GPUs; give it the group that owns /dev/nvidiactl"),
        (13, "Function Not Found", LOADED, "the NVIDIA driver is too old for nvidia-ml-py (Function Not Found)"),
        (15, "GPU is lost", LOADED, "a GPU has failed (NVML: GPU is lost); restart the machine"),
        (17, "The operating system has blocked the request.", LOADED, "NVML does not start: The operating system has blocked the request."),
    ],
)
def test_each_state_has_a_line_of_its_own(code: int, text: str, host: Host, expected: str) -> None:
    said = explain(Failure("nvml", code, text), host)
    assert said.startswith(expected)
    assert "\n" not in said
    is_plain = (code == 12 and not host.driver and text == MISSING) or (code == 9 and host == WITHOUT_GPU)
    assert is_plain_absence(Failure("nvml", code, text), host) == is_plain


@pytest.mark.parametrize("kind", ["hung", "died", "module", "stand-in"])
def test_what_is_broken_is_no_plain_absence(kind: str) -> None:
    failure = Failure(kind, None, "10 s")  # type: ignore[arg-type]
    assert "10 s" in explain(failure, BARE)
    assert not is_plain_absence(failure, BARE)


def test_a_machine_is_seen_as_it_shows_itself(tmp_path: Path) -> None:
    assert Host.look({}, tmp_path) == BARE
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)\nGCC version: 12.3.0\n"
    (tmp_path / "proc/driver/nvidia/version").write_text(version)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()  # which the library makes without any driver
    assert not Host.look({}, tmp_path).has_device_files
    (tmp_path / "dev/nvidia3").touch()
    assert Host.look({}, tmp_path) == Host(is_container=False, driver="570.86.15", has_device_files=True)
    (tmp_path / ".dockerenv").touch()
    assert Host.look({}, tmp_path).is_container
    assert Host.look({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path / "none").is_container


@pytest.mark.parametrize(
    ("vendor", "kind", "has_gpu"),
    [
        ("0x10de", "0x030000", True),
        ("0x10de", "0x030200", True),
        ("0x10de", "0x040300", False),  # the sound of its display
        ("0x1002", "0x030000", False),
        (None, None, None),
    ],
)
def test_a_gpu_is_seen_on_the_bus(tmp_path: Path, vendor: str | None, kind: str, *, has_gpu: bool | None) -> None:
    if vendor is not None:
        for place, (whose, what) in {"0000:00:02.0": ("0x8086", "0x060100"), "0000:01:00.0": (vendor, kind)}.items():
            device = tmp_path / "sys/bus/pci/devices" / place
            device.mkdir(parents=True)
            (device / "vendor").write_text(f"{whose}\n")
            (device / "class").write_text(f"{what}\n")
        (tmp_path / "sys/bus/pci/devices/0000:02:00.0").mkdir()  # gone while it was looked at
    assert Host.look({}, tmp_path).has_gpu is has_gpu


@pytest.mark.parametrize(("said", "seconds"), [("2.5", 2.5), ("600", 600), ("", 10), (" ", 10)])
def test_how_long_the_driver_may_take_to_start_is_a_number_of_seconds_or_ten(said: str, seconds: float) -> None:
    assert nvml._deadline_of({"MLGATE_NVML_TIMEOUT": said}) == seconds


@pytest.mark.parametrize("said", ["601", "0", "-1", "nan", "inf", "1m", "soon"])
def test_a_time_that_is_none_is_refused_before_anything_is_asked(said: str) -> None:
    with pytest.raises(InputError, match=f"MLGATE_NVML_TIMEOUT: expected seconds, more than 0 and at most 600, found '{said}'"):
        nvml.open_library({"MLGATE_NVML_TIMEOUT": said})


def test_our_numbers_are_nvmls() -> None:
    for code in nvml.Code:
        name = {"GPU_IS_LOST": "GPU_IS_LOST", "VERSION_MISMATCH": "LIB_RM_VERSION_MISMATCH"}.get(code.name, code.name)
        assert code == getattr(pynvml, f"NVML_ERROR_{name}")
    assert pynvml.nvmlMemory_v2 == devices._MEMORY_V2
    assert pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION == devices._RECOVERY_ACTION
    assert (pynvml.NVML_VOLATILE_ECC, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED) == (devices._VOLATILE, devices._UNCORRECTED)
    assert pynvml.NVML_COMPUTEMODE_PROHIBITED == devices._PROHIBITED
    actions = {name: value for name, value in vars(pynvml).items() if name.startswith("NVML_GPU_RECOVERY_ACTION_")}
    assert set(devices._RECOVERIES) <= set(actions.values()) - {0}


def test_every_message_that_the_docs_explain_is_one_that_is_said() -> None:
    root = Path(__file__).resolve().parents[3]
    sources = "".join((root / f"scripts/mlgate/gpu/{name}.py").read_text() for name in ("absence", "devices", "preflight"))
    page = (root / "docs/gpu.md").read_text().partition("### What a broken machine says")[2].partition("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        assert message.replace("10 s", "{failure.text}") in sources, message
