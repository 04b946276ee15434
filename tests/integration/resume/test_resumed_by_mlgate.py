"""`mlgate train`, ended at random moments and run again as a job is: the training ends with the weights of one that never was ended."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import interrupted_training
from interrupted_training import Ended, Started, Training, by_cancellation, by_sigterm, interrupted, told
from support import make_repository

HERE = Path(__file__).parent
MLGATE = Path(sys.executable).parent / "mlgate"
USER = HERE.parents[2] / ".build" / "user" / "bin"
"""An environment with NumPy, beside mlgate's own."""
CONFIG = """\
model: sums
data: {{contracts: []}}
train:
  command: python train.py {pause} 0
  checkpoints: {{path: checkpoints, store: "{store}", every: 1s}}
  outputs: [weights.npy]
  grace: 5s
evaluation: {{task: regression, predictions: predictions.csv, metrics: [rmse]}}
"""


def mlgate_by_sigkill(started: Started, random: Random) -> Ended:
    """mlgate alone is killed; its keeper ends what it started, which the next job may meet half-way there."""
    started.send(signal.SIGKILL)
    ended = started.wait("SIGKILL of mlgate")
    time.sleep(random.uniform(0, 0.3))
    until = time.monotonic() + 15
    while _trainings(started.training.folder) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _trainings(started.training.folder), "the training outlived mlgate"
    return ended


def training_by_sigkill(started: Started, random: Random) -> Ended:
    """The training alone, as the kernel does it when memory is short."""
    for pid in _trainings(started.training.folder):
        os.kill(pid, signal.SIGKILL)
    return started.wait("SIGKILL of the training")


def _trainings(folder: Path) -> list[int]:
    """Processes that train in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and b"train.py" in (entry / "cmdline").read_bytes() and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Training]:
    """The job of a repository whose training keeps checkpoints."""
    text = {
        "mlgate.yaml": CONFIG.format(pause=0.01, store=tmp_path / "kept"),
        "train.py": (HERE / "numpy_training.py").read_text(),
        "mlgate_checkpoint.py": interrupted_training.GLUE.read_text(),
        ".gitignore": "/checkpoints/\n/.mlgate/\n__pycache__/\n/weights.npy\n",
    }
    root = make_repository(tmp_path / "repository", text)
    environ = {"PATH": f"{USER}{os.pathsep}{os.environ['PATH']}", "GITHUB_ACTIONS": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    yield Training([str(MLGATE), "train"], root, environ)
    for pid in _trainings(root):
        os.kill(pid, signal.SIGKILL)


def test_a_training_ended_with_its_job_goes_on_in_the_next(jobs: Training, tmp_path: Path) -> None:
    seed = interrupted_training.seed()
    random = Random(seed)
    ways = random.sample([by_sigterm, by_cancellation, mlgate_by_sigkill, training_by_sigkill], 2)
    ends = interrupted(jobs, ways, random, within_s=1)
    why = f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
    weights = [re.findall(r"^weights ([0-9a-f]{64})$", ended.output, re.MULTILINE) for ended in ends]
    uninterrupted = Training([str(USER / "python"), "train.py", "0"], jobs.folder, {"MLGATE_CHECKPOINTS": str(tmp_path / "other")}).whole()
    assert weights[-1] == [uninterrupted], why
    assert (jobs.folder / "weights.npy").exists()
    for ended, following in itertools.pairwise(ends):
        assert ended.exit_code != 0 or "weights " in ended.output, why
        if ended.how in ("SIGTERM", "cancellation") and ended.exit_code == 3:
            assert following.is_resumed, why
