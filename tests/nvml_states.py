"""Machines with GPUs that no machine here has, described for `nvml_stand_in`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).with_name("nvml_stand_in.py")


def gpu(number: int, **more: Any) -> dict[str, Any]:
    """A healthy H100 of its own UUID, which `more` changes."""
    return {"uuid": f"GPU-{number:08x}-0000-4000-8000-000000000000", **more}


def instance(number: int, place: int = 0, **more: Any) -> dict[str, Any]:
    """An instance that MIG made."""
    return {
        "uuid": f"MIG-{number:08x}-0000-5000-8000-000000000000",
        "name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "total": 10 * 10**9,
        "gpu_instance": 7 + place,
        "compute_instance": 0,
        **more,
    }


def machine(folder: Path, *gpus: dict[str, Any], **more: Any) -> dict[str, str]:
    """Describe a machine in a folder; the environment in which mlgate sees it."""
    path = folder / "nvml.json"
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps({"gpus": list(gpus), **more}))
    aside.replace(path)
    return {"MLGATE_NVML": str(STAND_IN), "MLGATE_NVML_STATE": str(path), "MLGATE_GPU_LOCKS": str(folder / "locks")}
