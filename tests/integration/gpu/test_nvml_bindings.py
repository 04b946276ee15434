"""The way through pynvml to a library of NVML's name: what NVIDIA's own would answer reaches us as it was meant."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlgate.gpu import devices, nvml
from mlgate.gpu.devices import Program

SOURCE = Path(__file__).with_name("nvml_library.c")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("library")
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True)
    clean = {name: value for name, value in os.environ.items() if name != "MLGATE_NVML"}
    return {**clean, "LD_LIBRARY_PATH": str(folder)}


def test_what_a_library_answers_arrives_through_pynvml(environ: dict[str, str]) -> None:
    with nvml.open_library(environ) as library:
        found = devices.discover(library, {}, kernel="")
        assert not library.is_stand_in
    assert (found.driver, found.cuda) == ("535.104.05", "12.2")
    [device] = found.devices
    assert (device.uuid, device.name, device.pci) == ("GPU-11111111-2222-3333-4444-555555555555", "NVIDIA RTX A5000", "0000:af:00")
    assert (device.memory_total_bytes, device.memory_free_bytes, device.compute_capability) == (24 * 10**9, 20 * 10**9, (8, 6))
    # in a container the number is the machine's, and a name would be another program's
    assert device.programs in ((Program(77, "python3", None),), (Program(77, None, None),))
    assert device.faults == ("its driver asks for a reset (nvidia-smi --gpu-reset)",)


def test_what_an_older_library_lacks_is_told_apart_from_what_a_gpu_lacks(environ: dict[str, str]) -> None:
    with nvml.open_library(environ) as library:
        handle = library.nvmlDeviceGetHandleByIndex(0)
        for name, code in (
            ("nvmlDeviceGetTotalEnergyConsumption", nvml.Code.FUNCTION_NOT_FOUND),
            ("nvmlDeviceGetGraphicsRunningProcesses", nvml.Code.FUNCTION_NOT_FOUND),
            ("nvmlNoSuchFunction", nvml.Code.FUNCTION_NOT_FOUND),
            ("nvmlDeviceGetMigMode", nvml.Code.NOT_SUPPORTED),
        ):
            with pytest.raises(nvml.NvmlError) as caught:
                library.call(name, handle)
            assert caught.value.value == code


def test_a_library_that_cannot_be_loaded_says_why(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"cut")
    with pytest.raises(nvml.UnavailableError, match=r"NVIDIA's library is there and cannot be loaded: .*file too short") as caught:
        nvml.open_library({**environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert not caught.value.is_absent
