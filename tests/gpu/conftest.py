"""For machines with an NVIDIA GPU: `make test-gpu`. Elsewhere every test is skipped, and says why."""

from __future__ import annotations

import os

import pytest

from mlgate.gpu import nvml


@pytest.fixture(scope="session", autouse=True)
def a_gpu() -> None:
    """Nothing stands in for the driver here."""
    os.environ.pop("MLGATE_NVML", None)
    try:
        nvml.open_library().close()
    except nvml.UnavailableError as error:
        if not error.is_absent:
            raise  # a driver that is there and broken is no reason to skip
        pytest.skip(str(error).partition(";")[0])
