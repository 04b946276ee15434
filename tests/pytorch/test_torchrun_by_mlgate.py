"""`launcher: torchrun` of mlgate, on one machine and as one of two: jobs that were ended and run again end with the weights of jobs that
were not, bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from random import Random

import pytest

import interrupted_training
from interrupted_training import Ended, Started, Training, by_cancellation, by_sigterm, interrupted, result, told
from support import git, make_repository

HERE = Path(__file__).parent
MLGATE = Path(sys.executable).parent / "mlgate"
BIN = HERE.parent.parent / ".build" / "torch" / "bin"
CONFIG = """\
model: signs
data: {{contracts: []}}
train:
  command: train.py 0.04 0 0
  launcher: torchrun
  torchrun: {torchrun}
  checkpoints: {{path: checkpoints, store: "{store}", every: 1s}}
  outputs: [weights.pt]
evaluation: {{task: classification, predictions: predictions.csv, metrics: [accuracy]}}
"""

if not (BIN / "torchrun").exists():
    pytest.skip("PyTorch is installed by `make test-torch`", allow_module_level=True)
pytestmark = pytest.mark.timeout(900)


def repository(tmp_path: Path, torchrun: str) -> Path:
    files = {
        "mlgate.yaml": CONFIG.format(torchrun=torchrun, store=tmp_path / "kept"),
        "train.py": (HERE / "torch_training.py").read_text(),
        "mlgate_checkpoint.py": interrupted_training.GLUE.read_text(),
        ".gitignore": "/checkpoints/\n/.mlgate/\n__pycache__/\n/weights.pt\n",
    }
    return make_repository(tmp_path / "repository", files)


def job(root: Path, tmp_path: Path, **environ: str) -> Training:
    usual = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "GITHUB_ACTIONS": "",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return Training([str(MLGATE), "train"], root, {**usual, **environ}, limit_s=180)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(interrupted_training.GLUE, folder)
    shutil.copy(HERE / "torch_training.py", folder / "train.py")
    command = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2", "train.py", "0", "0"]
    return Training(command, folder, {"OMP_NUM_THREADS": "1"}, limit_s=180).whole()


def test_one_machine(tmp_path: Path, uninterrupted: str) -> None:
    seed = interrupted_training.seed()
    ends = interrupted(job(repository(tmp_path, "{processes: 2}"), tmp_path), [by_sigterm, by_cancellation], Random(seed), within_s=1.5)
    why = f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
    assert result(ends[-1]) == uninterrupted, why
    assert ends[0].exit_code == 3, why
    assert ends[1].is_resumed, why


def test_two_machines(tmp_path: Path, uninterrupted: str) -> None:
    seed = interrupted_training.seed()
    random = Random(seed)
    first = repository(tmp_path, "{nodes: 2, processes: 1}")
    git(tmp_path, "clone", "--quiet", str(first), "second")
    ends: list[Ended] = []
    for attempt in range(3):
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = f"127.0.0.1:{free.getsockname()[1]}"
        nodes: list[Started] = []
        for rank, root in random.sample([(0, first), (1, tmp_path / "second")], 2):  # either may be there first
            own = {"MLGATE_NODE_RANK": str(rank), "MLGATE_RENDEZVOUS": place, "MLGATE_RENDEZVOUS_ID": f"signs-{attempt}"}
            nodes.append(job(root, tmp_path, **own).start())
        nodes.sort(key=lambda node: node.training.environ["MLGATE_NODE_RANK"])
        if attempt < 2 and nodes[0].wait_until_ready() and nodes[0].sleep(random.uniform(0.3, 1.5)):
            for node in nodes if attempt else [random.choice(nodes)]:
                node.send(signal.SIGTERM)
        ends += [node.wait(f"attempt {attempt}") for node in nodes]
    why = f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
    assert result(ends[-2]) == uninterrupted, why
    assert any(ended.is_resumed for ended in ends), why
    assert ends[-1].exit_code == ends[-2].exit_code == 0, why
