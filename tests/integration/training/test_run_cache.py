"""Nothing is trained twice: what one machine ran, another finds. Real Git, real DVC, a remote in a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlgate.data import identity
from mlgate.training import pipeline, run_cache
from support import commit_files, git, make_repository

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, used by DVC

ALL = ["prepare", "train", "evaluate"]
PIPELINE = """\
stages:
  prepare:
    cmd: mkdir -p prepared && tr a-z A-Z < raw.txt > prepared/train.txt && cp raw.txt prepared/holdout.txt
    deps: [raw.txt]
    outs: [prepared]
  train:
    cmd: cat params.yaml prepared/train.txt > model.txt
    deps: [prepared/train.txt]
    params: [lr]
    outs: [model.txt]
  evaluate:
    cmd: cp model.txt predictions.csv && echo 1 > metrics.txt
    deps: [model.txt, prepared/holdout.txt]
    outs: [predictions.csv]
    metrics: [metrics.txt: {cache: false}]
"""


def dvc(root: Path, *arguments: str) -> str:
    finished = subprocess.run([Path(sys.executable).parent / "dvc", *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def make_first(folder: Path) -> Path:
    """A machine on which the pipeline is committed, the raw data pushed and nothing run yet; its remote is a folder beside it."""
    root = make_repository(folder / "first", {"dvc.yaml": PIPELINE, "params.yaml": "lr: 0.1\n"})
    dvc(root, "init", "-q")
    (root / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = ../../remote\n")
    (root / "raw.txt").write_text("abc\n")
    dvc(root, "add", "-q", "raw.txt")
    dvc(root, "push", "-q")
    commit_files(root, {}, "pipeline")
    return root


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the machine before anything was run, and after it was run there and kept."""
    folder = tmp_path_factory.mktemp("machines")
    root = make_first(folder / "fresh")
    shutil.copytree(folder / "fresh", folder / "kept", symlinks=True)
    root = folder / "kept" / "first"
    assert reused(dvc(root, "repro")) == dict.fromkeys(ALL, False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_NO_ANALYTICS", "true")
        kept = run_cache.keep(root, root)
    assert (kept.stages, kept.problem) == (ALL, None)
    assert kept.objects > 0
    return folder


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def first(prepared: Path, tmp_path: Path) -> Path:
    """The machine that has run the pipeline and kept what came of it."""
    shutil.copytree(prepared / "kept", tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "first"


def clone(of: Path, to: Path) -> Path:
    """Another machine: a fresh checkout with the data it needs, and no cache."""
    git(of.parent, "clone", "--quiet", str(of), str(to))
    dvc(to, "pull", "-q", "raw.txt")
    return to


def reused(output: str) -> dict[str, bool]:
    return {stage.name: stage.is_reused for stage in pipeline.stages(output.splitlines())}


def test_a_second_machine_with_the_same_inputs_runs_no_stage(first: Path, tmp_path: Path) -> None:
    second = clone(first, tmp_path / "second")  # without dvc.lock: what was run was never committed
    recalled = run_cache.recall(second, second)
    assert (recalled.stages, recalled.problem) == (ALL, None)
    assert not (second / "model.txt").exists()  # recalling puts nothing into the workspace
    assert reused(dvc(second, "repro")) == dict.fromkeys(ALL, True)
    assert (second / "model.txt").read_text() == "lr: 0.1\nABC\n"
    assert (second / "metrics.txt").read_text() == "1\n"


def test_what_dvc_lock_names_is_recalled_too(first: Path, tmp_path: Path) -> None:
    commit_files(first, {}, "trained")
    second = clone(first, tmp_path / "second")
    assert run_cache.recall(second, second).stages == ALL
    assert reused(dvc(second, "repro")) == dict.fromkeys(ALL, True)


def test_only_what_the_change_does_not_touch_is_recalled(first: Path, tmp_path: Path) -> None:
    second = clone(first, tmp_path / "second")
    (second / "params.yaml").write_text("lr: 0.2\n")
    assert run_cache.recall(second, second).stages == ["prepare"]
    assert reused(dvc(second, "repro")) == {"prepare": True, "train": False, "evaluate": False}
    (second / "raw.txt").write_text("xyz\n")
    assert run_cache.recall(second, second).stages == []


def test_a_changed_command_is_another_stage(first: Path) -> None:
    (first / "dvc.yaml").write_text(PIPELINE.replace("tr a-z A-Z", "tr a-z B-Z"))
    assert run_cache.recall(first, first).stages == []


def test_a_stale_output_in_the_workspace_is_not_taken_for_the_new_one(first: Path, tmp_path: Path) -> None:
    (first / "raw.txt").write_text("changed\n")
    assert run_cache.recall(first, first).stages == []
    assert reused(dvc(first, "repro")) == dict.fromkeys(ALL, False)


def test_going_back_to_earlier_parameters_reuses_the_earlier_run(first: Path, tmp_path: Path) -> None:
    (first / "params.yaml").write_text("lr: 0.2\n")
    (first / "params.yaml").write_text("lr: 0.1\n")
    assert run_cache.recall(first, first).stages == ALL
    assert reused(dvc(first, "repro"))["train"]


def test_outputs_missing_on_the_remote_mean_that_the_stage_runs(first: Path, remote: Path, tmp_path: Path) -> None:
    md5 = (first / "dvc.lock").read_text().split("path: model.txt")[1].split("md5: ")[1].split()[0]
    (remote / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    second = clone(first, tmp_path / "second")
    recalled = run_cache.recall(second, second)
    assert recalled.stages == ["prepare"]
    assert reused(dvc(second, "repro"))["train"] is False


def test_a_corrupted_output_on_the_remote_is_not_taken(first: Path, remote: Path, tmp_path: Path) -> None:
    md5 = (first / "dvc.lock").read_text().split("path: model.txt")[1].split("md5: ")[1].split()[0]
    corrupted = remote / "files" / "md5" / md5[:2] / md5[2:]
    corrupted.chmod(0o644)
    corrupted.write_text("poison\n")
    second = clone(first, tmp_path / "second")
    assert "train" not in run_cache.recall(second, second).stages
    dvc(second, "repro")
    assert (second / "model.txt").read_text() == "lr: 0.1\nABC\n"


def test_keeping_again_sends_nothing(first: Path) -> None:
    again = run_cache.keep(first, first)
    assert (again.stages, again.objects, again.problem) == ([], 0, None)


def test_a_remote_without_run_cache_or_without_anything_is_fine(first: Path, remote: Path) -> None:
    shutil.rmtree(remote)
    assert run_cache.recall(first, first).problem is None


def test_without_a_remote_the_local_cache_is_all_there_is(first: Path) -> None:
    (first / ".dvc" / "config").write_text("")
    assert run_cache.recall(first, first).stages == ALL
    assert run_cache.keep(first, first).stages == []


def test_a_remote_that_cannot_be_written_is_a_problem_in_words(first: Path, remote: Path) -> None:
    shutil.rmtree(remote)
    remote.write_text("")
    kept = run_cache.keep(first, first)
    assert kept.stages == []
    assert kept.problem


def test_a_pipeline_in_a_folder_of_a_larger_repository(first: Path, tmp_path: Path) -> None:
    model = first / "models" / "b"
    commit_files(
        first,
        {"models/b/dvc.yaml": "stages:\n  fit: {cmd: cp in.txt out.txt, deps: [in.txt], outs: [out.txt]}\n", "models/b/in.txt": "1\n"},
        "b",
    )
    dvc(model, "repro")
    assert run_cache.keep(first, model).stages == ["models/b/dvc.yaml:fit"]
    git(first.parent, "clone", "--quiet", str(first), str(tmp_path / "second"))
    second = tmp_path / "second"
    assert run_cache.recall(second, second / "models" / "b").stages == ["models/b/dvc.yaml:fit"]
    assert reused(dvc(second / "models" / "b", "repro")) == {"fit": True}


class TestWhatDvcPrinted:
    def test_running_reused_and_unchanged_stages_are_told_apart(self) -> None:
        printed = [
            "'data.csv.dvc' didn't change, skipping",
            "Stage 'prepare' didn't change, skipping",
            "Stage 'models/b/dvc.yaml:fit@1' is cached - skipping run, checking out outputs",
            "Running stage 'train':",
            "> python train.py",
            "the user's Stage 'x' is cached - skipping run",
        ]
        assert reused("\n".join(printed)) == {"prepare": True, "models/b/dvc.yaml:fit@1": True, "train": False}

    def test_a_stage_that_ran_once_was_not_reused(self) -> None:
        assert reused("Running stage 'a':\nStage 'a' didn't change, skipping") == {"a": False}
        assert reused("Stage 'a' didn't change, skipping\nRunning stage 'a':") == {"a": False}

    def test_no_dvc_no_stages(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(b"epoch 1\r\xff\xfe\n" + b"x" * 100_000 + b"\nRunning stage 'a':\r\n")
        assert [stage.name for stage in pipeline.stages_in(tmp_path / "log")] == ["a"]


class TestWhetherARunNeedsAGpu:
    """Asked before any is waited for."""

    def test_nothing_is_to_run_where_all_is_remembered(self, first: Path, tmp_path: Path) -> None:
        second = clone(first, tmp_path / "second")
        assert run_cache.recall(second, second).to_run == []

    def test_stages_whose_inputs_changed_are_named_and_those_after_them(self, first: Path, tmp_path: Path) -> None:
        second = clone(first, tmp_path / "second")
        (second / "params.yaml").write_text("lr: 0.2\n")
        assert run_cache.recall(second, second).to_run == ["train", "evaluate"]

    def test_a_stage_that_always_runs_is_named(self, first: Path) -> None:
        (first / "dvc.yaml").write_text(PIPELINE.replace("    params: [lr]\n", "    params: [lr]\n    always_changed: true\n"))
        assert "train" in run_cache.recall(first, first).to_run

    def test_an_object_that_the_remote_has_lost_is_to_be_made_again(self, first: Path, tmp_path: Path) -> None:
        second = clone(first, tmp_path / "second")
        model = identity.file_md5(first / "model.txt")[0]
        (tmp_path / "remote" / "files" / "md5" / model[:2] / model[2:]).unlink()
        assert run_cache.recall(second, second).to_run == ["train", "evaluate"]

    def test_a_frozen_stage_does_not_run(self, first: Path) -> None:
        (first / "dvc.yaml").write_text(PIPELINE.replace("  train:\n", "  train:\n    frozen: true\n"))
        assert run_cache.recall(first, first).to_run == []
