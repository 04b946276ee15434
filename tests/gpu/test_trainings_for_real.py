"""`mlgate train` on this machine's own GPUs: what is leased is what CUDA sees, is nobody else's meanwhile, is paid for, and a training
that was ended goes on where it was."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any

import pytest

import interrupted_training
from interrupted_training import Training, by_cancellation, by_sigterm, interrupted, result, told
from mlgate.gpu import devices, nvml
from support import make_repository

HERE = Path(__file__).parent
MLGATE = Path(sys.executable).parent / "mlgate"
USER = HERE.parents[1] / ".build" / "user" / "bin"
"""An environment with NumPy, beside mlgate's own."""
CONFIG = """\
model: sums
data: {{contracts: []}}
train:
  command: python cuda_training.py {arguments}
  gpu: {{count: {count}, wait: 2m}}
  checkpoints: {{path: checkpoints, store: "{store}", every: 1s}}
  price: {{gpu_hour: 3600}}
  reuse: false
  grace: 5s
  outputs: [weights.npy]
evaluation: {{task: regression, predictions: predictions.csv, metrics: [rmse]}}
"""


@pytest.fixture(scope="module")
def free() -> list[str]:
    """UUIDs of the GPUs that nobody has."""
    with nvml.open_library() as library:
        found = [device.uuid for device in devices.discover(library, os.environ).devices if device.is_usable and not device.is_held]
    if not found:
        pytest.skip("every GPU of this machine is in use")
    return found


def job(folder: Path, arguments: str, count: int = 1, **environ: str) -> Training:
    """The job of a repository of its own, on a machine whose jobs share GPUs by a folder of this test."""
    text = {
        "mlgate.yaml": CONFIG.format(arguments=arguments, count=count, store=folder / "kept"),
        "cuda_training.py": (HERE / "cuda_training.py").read_text(),
        "mlgate_checkpoint.py": interrupted_training.GLUE.read_text(),
        ".gitignore": "/checkpoints/\n/.mlgate/\n__pycache__/\n/weights.npy\n",
    }
    folder.mkdir()
    usual = {
        "PATH": f"{USER}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_ACTIONS": "",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MLGATE_GPU_LOCKS": str(folder.parent / "locks"),
    }
    return Training([str(MLGATE), "train"], make_repository(folder / "repository", text), {**usual, **environ}, limit_s=180)


def findings(of: Training) -> dict[str, Any]:
    evidence = json.loads((of.folder / ".mlgate/sums/evidence/train.json").read_text())
    assert isinstance(evidence["findings"], dict), evidence
    return evidence["findings"]


def bare(name: str) -> str:
    """A UUID as CUDA's driver gives it."""
    return str(uuid.UUID(name.partition("-")[2]))


def test_cuda_sees_what_was_leased_and_the_bill_says_what_it_took(free: list[str], tmp_path: Path) -> None:
    training = job(tmp_path / "one", "0.02 25")
    ended = training.start().wait("nothing")
    assert ended.exit_code == 0, ended.output
    found = findings(training)
    [leased] = found["lease"]["devices"]
    assert leased in free
    assert f"gpus {bare(leased)}\n" in ended.output
    account = found["account"]
    [used] = account["devices"]
    assert used["uuid"] == leased
    assert used["memory_peak_bytes"] >= 1 << 30
    assert used["utilisation_mean"] is None or used["utilisation_mean"] > 0
    assert account["gpu_hours"] == pytest.approx(account["duration_s"] / 3600)
    assert account["cost"] == pytest.approx(account["duration_s"])
    assert found["preflight"]["problems"] == []


def test_a_training_that_was_ended_goes_on_and_ends_with_the_same_weights(free: list[str], tmp_path: Path) -> None:
    seed = interrupted_training.seed()
    training = job(tmp_path / "ended", "0.02 10")
    ends = interrupted(training, [by_sigterm, by_cancellation], Random(seed), within_s=1.5)
    whole = job(tmp_path / "whole", "0 10").start().wait("nothing")
    why = f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
    assert result(ends[-1]) == result(whole), why
    assert ends[1].is_resumed, why


def test_two_jobs_never_have_one_gpu_and_a_killed_ones_comes_free(free: list[str], tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    jobs = [
        job(tmp_path / name, f"{pause} 10 {journal}", count=len(free)) for name, pause in (("first", 1), ("second", 0.02), ("third", 0.02))
    ]
    first = jobs[0].start()
    assert first.wait_until_ready()
    second = jobs[1].start()
    time.sleep(2)
    third = jobs[2].start()
    assert second.sleep(2), "it waits"
    first.send(signal.SIGKILL)
    first.wait("SIGKILL of mlgate")
    ends = [second.wait("nothing"), third.wait("nothing")]
    assert [ended.exit_code for ended in ends] == [0, 0], told(ends)
    for training in jobs[1:]:
        assert sorted(findings(training)["lease"]["devices"]) == sorted(free)
        assert findings(training)["lease"]["waited_s"] > 1
    words = [line.split() for line in journal.read_text().splitlines()]
    assert [line[0] for line in words] == ["began", "began", "ended", "began", "ended"], "the killed one began only"
    assert all(float(earlier[1]) <= float(later[1]) for earlier, later in itertools.pairwise(words))
