"""PyTorch's trainings that were ended at random moments end with the weights of one that never was: bit for bit, on the CPU, alone and
under torchrun. The environment is `.build/torch`, which `make test-torch` makes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import interrupted_training
from interrupted_training import Ended, Started, Training, by_cancellation, by_sigkill, by_sigterm, interrupted, result, told

HERE = Path(__file__).parent
BIN = HERE.parent.parent / ".build" / "torch" / "bin"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
TORCHRUN = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2"]

if not (BIN / "torchrun").exists():
    pytest.skip("PyTorch is installed by `make test-torch`", allow_module_level=True)
pytestmark = pytest.mark.timeout(600)


def training(folder: Path, *arguments: str, launcher: tuple[str, ...] = (str(BIN / "python"),)) -> Training:
    folder.mkdir(parents=True)
    shutil.copy(interrupted_training.GLUE, folder)
    shutil.copy(HERE / "torch_training.py", folder / "train.py")
    return Training([*launcher, "train.py", *arguments], folder, ONE_THREAD, limit_s=120)


def members(started: Started) -> list[int]:
    """The processes that torchrun started, which lead no session of their own (torchrun has them in a group each)."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(started.process.pid)], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in listed.split()]


def everywhere(started: Started, number: int) -> None:
    """To every process, as mlgate does it by its mark in their environments."""
    for pid in [*members(started), started.process.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def all_by_sigterm(started: Started, random: Random) -> Ended:
    everywhere(started, signal.SIGTERM)
    return started.wait("SIGTERM to all")


def all_by_sigkill(started: Started, random: Random) -> Ended:
    everywhere(started, signal.SIGKILL)
    return started.wait("SIGKILL to all")


def one_by_sigterm(started: Started, random: Random) -> Ended:
    """As a machine's notice may reach one process alone."""
    with suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(members(started)), signal.SIGTERM)
    return started.wait("SIGTERM to one of two")


def one_by_sigkill(started: Started, random: Random) -> Ended:
    with suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(members(started)), signal.SIGKILL)
    return started.wait("SIGKILL to one of two")


def torchrun_by_cancellation(started: Started, random: Random) -> Ended:
    everywhere(started, signal.SIGINT)
    if started.sleep(random.uniform(0.5, 1.5)):
        everywhere(started, signal.SIGTERM)
    return started.wait("SIGINT and SIGTERM to all")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights of uninterrupted trainings, by the number of loading processes."""
    folder = tmp_path_factory.mktemp("alone")
    return {workers: training(folder / workers, "0", workers).whole() for workers in ("0", "2")}


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> str:
    return training(tmp_path_factory.mktemp("two") / "whole", "0", "0", launcher=tuple(TORCHRUN)).whole()


class TestAlone:
    @pytest.mark.parametrize("workers", ["0", "2"])
    @pytest.mark.parametrize("way", [by_sigkill, by_sigterm, by_cancellation])
    def test_ended_at_random_moments_it_ends_with_the_same_weights(
        self, tmp_path: Path, alone: dict[str, str], way: interrupted_training.Way, workers: str
    ) -> None:
        seed = interrupted_training.seed()
        every_s = ["0"] if seed % 2 else []
        ends = interrupted(training(tmp_path / "t", "0.02", workers, *every_s), [way] * 2, Random(seed), within_s=1)
        assert result(ends[-1]) == alone[workers], f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
        if way is by_sigterm:
            assert {ended.exit_code for ended in ends[:-1]} <= {0, 143}, told(ends)

    def test_the_example_of_the_docs_trains(self, tmp_path: Path) -> None:
        shutil.copy(interrupted_training.GLUE, tmp_path)
        shutil.copy(interrupted_training.GLUE.with_name("pytorch.py"), tmp_path)
        finished = subprocess.run([str(BIN / "python"), "pytorch.py"], cwd=tmp_path, env={**os.environ, **ONE_THREAD}, check=False)
        assert finished.returncode == 0
        assert (tmp_path / "model.pt").exists()

    def test_what_torch_saved_is_read_without_running_it(self, tmp_path: Path) -> None:
        whole = training(tmp_path / "t", "0", "0")
        whole.whole()
        (path,) = sorted((tmp_path / "t" / "checkpoints").glob("*000005-00000000.zip"))
        with zipfile.ZipFile(path) as archive:
            assert {name for name in archive.namelist() if not name.startswith("arrays/")} == {"state.json", "tensors.pt"}
        changed = tmp_path / "changed.py"
        changed.write_text('import pickle, sys\nclass Bad:\n    def __reduce__(self):\n        return exec, (\'open("ran", "w")\',)\n')
        program = (
            "import sys, zipfile, io, torch; sys.path.insert(0, '.'); from changed import Bad\n"
            "from mlgate_checkpoint import Checkpoint\nimport mlgate_checkpoint\n"
            "model = torch.nn.Linear(2, 2)\nlist(Checkpoint(model=model).epochs(1))\n"
            "path = 'checkpoints/checkpoint-000001-00000000.zip'\n"
            "source = zipfile.ZipFile(path); parts = {name: source.read(name) for name in source.namelist()}\n"
            "stream = io.BytesIO(); torch.save([Bad(), Bad()], stream); parts['tensors.pt'] = stream.getvalue()\n"
            "with zipfile.ZipFile(path, 'w') as target:\n    [target.writestr(name, content) for name, content in parts.items()]\n"
            "list(Checkpoint(model=model).epochs(2))\n"
        )
        shutil.copy(interrupted_training.GLUE, tmp_path)
        finished = subprocess.run([str(BIN / "python"), "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "CheckpointError" in finished.stderr.splitlines()[-1] or "CheckpointError" in finished.stderr, finished.stderr
        assert not (tmp_path / "ran").exists()

    def test_a_full_disk_does_not_end_the_training(self, tmp_path: Path) -> None:
        shutil.copy(interrupted_training.GLUE, tmp_path)
        program = (
            "import resource, torch; from mlgate_checkpoint import Checkpoint\n"
            "model = torch.nn.Linear(300, 300)\n"
            "for epoch in Checkpoint(model=model).epochs(3, every_s=0):\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000 if epoch == 1 else resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        )
        finished = subprocess.run([str(BIN / "python"), "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        assert finished.stderr.count("checkpoint: not saved after") == 1, finished.stderr
        assert sorted(path.name[:17] for path in (tmp_path / "checkpoints").glob("*.zip")) == ["checkpoint-000001", "checkpoint-000003"]


class TestTorchrun:
    @pytest.mark.parametrize("way", [all_by_sigkill, all_by_sigterm, torchrun_by_cancellation, one_by_sigterm, one_by_sigkill])
    def test_two_processes_end_with_the_same_weights(self, tmp_path: Path, of_two: str, way: interrupted_training.Way) -> None:
        seed = interrupted_training.seed()
        ends = interrupted(training(tmp_path / "t", "0.04", "0", "0", launcher=tuple(TORCHRUN)), [way] * 2, Random(seed), within_s=1)
        assert result(ends[-1]) == of_two, f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
        if way in (all_by_sigterm, one_by_sigterm):
            for ended in ends[:-1]:
                assert ended.exit_code == 0 or len(re.findall("ended by SIGTERM after", ended.output)) == 1, told(ends)

    def test_two_machines_without_a_disk_in_common_end_with_the_same_weights(self, tmp_path: Path, of_two: str) -> None:
        seed = interrupted_training.seed()
        random = Random(seed)

        def started(number: int) -> list[Started]:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            found = []
            for rank in (0, 1):
                folder = tmp_path / f"node-{rank}"
                launcher = (
                    str(BIN / "torchrun"),
                    "--nnodes=2",
                    "--nproc-per-node=1",
                    f"--node-rank={rank}",
                    "--rdzv-backend=static",
                    f"--rdzv-endpoint=127.0.0.1:{port}",
                    f"--rdzv-id=run-{number}",
                )
                if not folder.exists():
                    training(folder)
                found.append(Training([*launcher, "train.py", "0.04", "0", "0"], folder, ONE_THREAD, limit_s=120).start())
            return found

        ends: list[Ended] = []
        for number in range(3):
            nodes = started(number)
            if number < 2 and nodes[0].wait_until_ready() and nodes[0].sleep(random.uniform(0.2, 1)):
                everywhere(nodes[random.randrange(2)], random.choice([signal.SIGTERM, signal.SIGKILL]))
            ends += [node.wait(f"one of two machines, try {number}") for node in nodes]
        assert result(ends[-2]) == of_two, f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
        assert ends[-2].is_resumed, f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
        assert list((tmp_path / "node-1").glob("checkpoints/*")) == [], "rank 0 alone writes"
