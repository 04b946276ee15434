"""A training that was ended at random moments, by whatever means, ends with the weights of one that never was: bit for bit."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from random import Random

import pytest

import interrupted_training
from interrupted_training import Training, by_cancellation, by_sigkill, by_sigterm, interrupted, result, told

HERE = Path(__file__).parent
EXAMPLES = interrupted_training.GLUE.parent


def training(folder: Path, program: str, *arguments: str) -> Training:
    """A user's folder: the script and, beside it, the file that they copied."""
    folder.mkdir()
    shutil.copy(interrupted_training.GLUE, folder)
    shutil.copy(HERE / program, folder / "train.py")
    return Training([sys.executable, "train.py", *arguments], folder)


@pytest.fixture(scope="module")
def numpy_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return training(tmp_path_factory.mktemp("whole") / "numpy", "numpy_training.py", "0").whole()


class TestNumPy:
    @pytest.mark.parametrize("way", [by_sigkill, by_sigterm, by_cancellation])
    def test_ended_at_random_moments_it_ends_with_the_same_weights(
        self, tmp_path: Path, numpy_weights: str, way: interrupted_training.Way
    ) -> None:
        seed = interrupted_training.seed()
        # half of the trainings save after every batch, so that some are killed while they write
        every_s = ["0"] if seed % 2 else []
        ends = interrupted(training(tmp_path / "t", "numpy_training.py", "0.003", *every_s), [way] * 2, Random(seed), within_s=0.15)
        assert result(ends[-1]) == numpy_weights, f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
        assert any(ended.is_resumed for ended in ends), f"MLGATE_TEST_SEED={seed}\n{told(ends)}"

    def test_sigterm_ends_it_after_its_batch_with_exit_code_143(self, tmp_path: Path) -> None:
        started = training(tmp_path / "t", "numpy_training.py", "0.005").start()
        assert started.wait_until_ready()
        assert started.sleep(0.1)
        ended = by_sigterm(started, Random(0))
        assert ended.exit_code == 143, ended.output
        assert "checkpoint: ended by SIGTERM after " in ended.output
        assert not list((tmp_path / "t" / "checkpoints").glob("*.tmp")), "nothing half-written is left"

    def test_its_progress_is_where_mlgate_looks_for_it(self, tmp_path: Path) -> None:
        numpy = training(tmp_path / "t", "numpy_training.py", "0")
        numpy.environ = {"MLGATE_PROGRESS": str(tmp_path / "progress.json"), "MLGATE_CHECKPOINTS": str(tmp_path / "kept")}
        numpy.whole()
        progress = json.loads((tmp_path / "progress.json").read_text())
        assert (progress["step"], progress["total"], progress["unit"]) == (10, 10, "epoch")
        assert progress["metrics"]["loss"] > 0
        assert max(path.name for path in (tmp_path / "kept").iterdir()) == "checkpoint-000010-00000000.zip"


class TestPlainProtocol:
    def test_a_script_of_the_shell_goes_on_where_it_was(self, tmp_path: Path) -> None:
        script = Training(["bash", str(EXAMPLES / "plain.sh")], tmp_path, ready="")
        for _ in range(2):
            started = script.start()
            assert started.sleep(0.25)
            assert by_sigterm(started, Random(0)).exit_code == 143
        step, total = map(int, (tmp_path / "checkpoints" / "state.txt").read_text().split())
        assert 10 < step < 100
        assert total == step * (step + 1) // 2
        script.start().wait("nothing")
        assert (tmp_path / "sum.txt").read_text() == "5050\n"


class TestScikitLearn:
    def test_the_example_of_the_docs_trains(self, tmp_path: Path) -> None:
        example = training(tmp_path / "t", str(EXAMPLES / "scikit_learn.py"))
        assert example.start().wait("nothing").exit_code == 0
        assert (tmp_path / "t" / "model.joblib").exists()
        assert sorted((tmp_path / "t" / "checkpoints").glob("*000005-00000000.zip"))

    def test_ended_at_random_moments_its_estimators_are_the_same(self, tmp_path: Path) -> None:
        seed = interrupted_training.seed()
        random = Random(seed)
        whole = training(tmp_path / "whole", "sklearn_training.py", "0")
        pieces = training(tmp_path / "pieces", "sklearn_training.py", "0.01")
        way = random.choice([by_sigkill, by_sigterm, by_cancellation])
        ends = interrupted(pieces, [way], random, within_s=0.8)
        assert result(ends[-1]) == whole.whole(), f"MLGATE_TEST_SEED={seed}\n{told(ends)}"
