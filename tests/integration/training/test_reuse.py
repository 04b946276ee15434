"""The result of an earlier run is taken only where code, data, parameters, command and environment are the same, and only whole. Real Git,
real files, the user's real interpreter."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nvml_states
from integration.train.test_train_stage import validate
from mlgate import process, stages
from mlgate.config import Config
from mlgate.context import RunContext
from mlgate.data.identity import identify
from mlgate.errors import InputError
from mlgate.evidence import CommandRun
from mlgate.gpu import lease
from mlgate.gpu.claims import Claim
from mlgate.stages.job import commands, form_parameters
from mlgate.stages.training import reuse
from mlgate.stages.training.reuse import Reused, Sought
from mlgate.training import params, run_cache
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = """\
model: digits
train:
  command: python train.py
  params: [params.yaml]
  outputs: [model]
  checkpoints: {path: checkpoints, store: ../store}
evaluation:
  task: classification
  predictions: eval/predictions.csv
  metrics: [accuracy]
  seeds: eval/seeds/*.csv
  metrics_files: [metrics.json]
"""
TRAIN = """\
import pathlib, random
for folder in ("eval/seeds", "model"):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
rows = pathlib.Path("train.csv").read_text() + pathlib.Path("params.yaml").read_text() + str(random.random())
pathlib.Path("eval/predictions.csv").write_text(rows)
pathlib.Path("model/weights.bin").write_bytes(rows.encode() * 1000)
pathlib.Path("metrics.json").write_text("{}")
for seed in "ab":
    pathlib.Path(f"eval/seeds/{seed}.csv").write_text(seed + rows)
"""
PRODUCTS = ["eval/predictions.csv", "eval/seeds/a.csv", "eval/seeds/b.csv", "metrics.json", "model/weights.bin"]
FILES = {"train.py": TRAIN, "params.yaml": "lr: 0.1\n", "train.csv": "a\n1\n", ".gitignore": "eval\nmodel\nmetrics.json\ncheckpoints\n"}


@pytest.fixture(autouse=True)
def _local(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "MLGATE_PARAMS", "MLGATE_RESUME", "MLGATE_CONTAINER_IMAGE", "RUNNER_ENVIRONMENT", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a machine before anything was trained there, and after."""
    folder = tmp_path_factory.mktemp("machines")
    make_repository(folder / "fresh" / "first", {"mlgate.yaml": CONFIG, **FILES})
    shutil.copytree(folder / "fresh", folder / "taught")
    with pytest.MonkeyPatch.context() as patch:
        _without(patch)
        assert trained(opened(folder / "taught" / "first"))[2] is None
    return folder


@pytest.fixture
def fresh(machines: Path, tmp_path: Path) -> Path:
    """A machine on which nothing was trained yet."""
    shutil.copytree(machines / "fresh", tmp_path, dirs_exist_ok=True)
    return tmp_path / "first"


@pytest.fixture
def first(machines: Path, tmp_path: Path) -> Path:
    """A machine that has trained, and kept what came of it."""
    shutil.copytree(machines / "taught", tmp_path, dirs_exist_ok=True)
    return tmp_path / "first"


def clone(of: Path, name: str = "second") -> Path:
    git(of.parent, "clone", "--quiet", str(of), str(of.parent / name))
    return of.parent / name


def forgotten(root: Path) -> Path:
    """The same machine without what was made there."""
    for name in ("eval", "model"):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "metrics.json").unlink(missing_ok=True)
    return root


def opened(root: Path, **run: Any) -> Workspace:
    workspace = Workspace.open(root, "mlgate.yaml", os.environ)
    return replace(workspace, context=RunContext(**run)) if run else workspace


def sought(workspace: Workspace) -> Sought:
    form_parameters.apply(workspace)
    data = [identify(workspace.root, "train.csv")]
    return reuse.look(workspace, data, params.read(workspace.root, workspace.config.params))


def trained(workspace: Workspace) -> tuple[Sought, CommandRun, str | None]:
    """A run that found nothing, trained and kept what came of it."""
    looked = sought(workspace)
    assert looked.key is not None, looked.why_not
    assert workspace.config.train is not None
    ran = commands.run(workspace, workspace.config.train.command, "train/train.log")
    assert ran.exit_code == 0, ran.tail
    return looked, ran, looked.keep(ran)


def earlier(root: Path, **run: Any) -> Reused | None:
    return sought(opened(root, **run)).earlier()


def contents(root: Path) -> dict[str, bytes]:
    return {path: (root / path).read_bytes() for path in PRODUCTS if (root / path).exists()}


def kept(folder: Path) -> Path:
    """The folder of the one training that is kept."""
    [training] = (folder / "mlgate-results" / "digits").iterdir()
    return training


class TestTheSame:
    def test_is_not_trained_again_and_all_of_its_files_are_brought(self, fresh: Path) -> None:
        run = {"event": "pull_request", "repository": "octo/models", "run_id": 5, "server_url": "https://git.example.org"}
        looked, ran, problem = trained(opened(fresh, **run))
        assert problem is None
        second = clone(fresh)
        found = earlier(second)
        assert found is not None
        assert contents(second) == contents(fresh)
        assert set(contents(second)) == set(PRODUCTS)
        assert (found.run.commit, found.run.key, found.run.duration_s) == (git(fresh, "rev-parse", "HEAD"), looked.key, ran.duration_s)
        assert found.run.run_url == "https://github.com/octo/models/actions/runs/5"
        assert found.command.exit_code == 0
        assert found.summary.startswith(f"nothing was trained and no GPU touched: the result of commit {found.run.commit[:12]} of 20")
        assert "UTC is reused (5 files, " in found.summary
        assert list((second / ".mlgate" / "digits" / "files").glob("reused*")) == []

    def test_is_found_from_another_commit_that_changes_nothing_a_training_sees(self, first: Path) -> None:
        config = (first / "mlgate.yaml").read_text()
        commit_files(first, {"README.md": "# Digits\n", "mlgate.yaml": config + "gate: {rules: [{metric: accuracy, min: 0.5}]}\n"}, "rules")
        assert earlier(forgotten(first)) is not None

    def test_is_another_training_where_a_byte_of_code_data_parameters_or_command_differs(self, first: Path) -> None:
        forgotten(first)
        config = (first / "mlgate.yaml").read_text()
        for name, text in {
            "params.yaml": "lr: 0.2\n",
            "train.csv": "a\n2\n",
            "features.py": "x = 1\n",
            "mlgate.yaml": config.replace("python train.py", "python -O train.py"),
            "train.py": TRAIN + "# other\n",
        }.items():
            before = (first / name).read_bytes() if (first / name).exists() else None
            (first / name).write_text(text)
            assert earlier(first) is None, f"{name} is not committed yet"
            if before is not None and name != "train.py":
                (first / name).write_bytes(before)
            elif name == "features.py":
                (first / name).unlink()
        commit_files(first, {}, "other code")
        assert earlier(first) is None
        assert contents(first) == {}
        git(first, "reset", "--quiet", "--hard", "HEAD^")
        assert earlier(first) is not None

    def test_has_the_parameters_of_a_form_in_it(self, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        git(first, "checkout", "--quiet", "--", ".")
        monkeypatch.setenv("MLGATE_PARAMS", "lr=0.5")
        assert earlier(forgotten(first)) is None
        trained(opened(first))
        assert earlier(forgotten(first)) is not None
        assert b"lr: 0.5" in (first / "eval/predictions.csv").read_bytes()
        monkeypatch.delenv("MLGATE_PARAMS")
        git(first, "checkout", "--quiet", "--", ".")
        assert earlier(forgotten(first)) is not None
        assert b"lr: 0.1" in (first / "eval/predictions.csv").read_bytes()

    def test_is_found_on_a_laptop_without_any_place_named(self, tmp_path: Path) -> None:
        config = CONFIG.replace("  checkpoints: {path: checkpoints, store: ../store}\n", "")
        root = make_repository(tmp_path / "laptop", {"mlgate.yaml": config, **FILES})
        trained(opened(root))
        shutil.rmtree(root / "eval")
        assert earlier(root) is not None
        assert set(contents(root)) == set(PRODUCTS)
        (root / "helper.py").write_text("x = 1\n")  # not in Git, not ignored: it may be what train.py imports
        assert earlier(root) is None


class TestTheEnvironment:
    def test_of_another_container_image_is_another(
        self, fresh: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MLGATE_CONTAINER_IMAGE", "nvcr.io/nvidia/pytorch:25.08-py3")
        trained(opened(fresh))
        assert earlier(forgotten(fresh)) is not None
        monkeypatch.setenv("MLGATE_CONTAINER_IMAGE", "nvcr.io/nvidia/pytorch:25.09-py3")
        assert earlier(forgotten(fresh)) is None
        assert contents(fresh) == {}
        said = capfd.readouterr().err
        assert "trained in another environment, so it is trained again: image nvcr.io/nvidia/pytorch:25.08-py3 -> nvcr" in said

    def test_with_another_version_of_a_package_is_another(
        self, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        packages = tmp_path / "packages"
        (packages / "torch-2.3.0.dist-info").mkdir(parents=True)
        monkeypatch.setenv("PYTHONPATH", str(packages))
        trained(opened(fresh))
        (packages / "torch-2.3.0.dist-info").rename(packages / "torch-2.4.0.dist-info")
        assert earlier(fresh) is None
        assert "torch 2.3.0 -> 2.4.0" in capfd.readouterr().err
        trained(opened(fresh))  # both are kept, side by side
        made = contents(fresh)
        assert earlier(forgotten(fresh)) is not None
        assert contents(fresh) == made

    def test_that_cannot_be_told_is_no_reason_to_fail(self, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = first.parent / "broken-python"
        broken.write_text("#!/bin/sh\nexit 3\n")
        broken.chmod(0o755)
        monkeypatch.setenv("MLGATE_USER_PYTHON", str(broken))
        assert sought(opened(first)).key is None


class TestWhatLiesThere:
    def test_is_replaced_by_the_next_training_where_it_is_of_no_use(self, first: Path, capfd: pytest.CaptureFixture[str]) -> None:
        largest = max(kept(first.parent / "store").iterdir(), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-1])
        workspace = opened(forgotten(first))
        looked = sought(workspace)
        assert looked.earlier() is None
        assert contents(first) == {}
        assert "left a result that is of no use" in capfd.readouterr().err
        assert looked.keep(commands.run(workspace, "python train.py", "train/train.log")) is None
        made = contents(first)
        assert earlier(forgotten(first)) is not None
        assert contents(first) == made

    def test_leads_nowhere_else_where_a_commit_has_a_link_for_a_folder(self, first: Path) -> None:
        outside = first.parent / "outside"
        outside.mkdir()
        (forgotten(first) / "eval").symlink_to(outside)
        assert earlier(first) is None
        assert list(outside.iterdir()) == []
        assert contents(first) == {}

    def test_that_cannot_be_asked_lets_the_training_run(self, fresh: Path, capfd: pytest.CaptureFixture[str]) -> None:
        (fresh.parent / "store").write_text("no folder")
        looked, _, problem = trained(opened(fresh))
        assert looked.earlier() is None
        assert "no earlier run could be looked for" in capfd.readouterr().err
        assert problem is not None
        assert problem.startswith("the result could not be kept")

    def test_is_whole_while_two_jobs_keep_at_once(self, fresh: Path) -> None:
        roots = [fresh, clone(fresh)]
        runs = [(sought(opened(root)), commands.run(opened(root), "python train.py", "train/train.log")) for root in roots]
        together = threading.Barrier(2)

        def keep(looked: Sought, ran: CommandRun) -> None:
            together.wait()
            assert looked.keep(ran) is None

        threads = [threading.Thread(target=keep, args=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        third = clone(fresh, "third")
        assert earlier(third) is not None
        assert contents(third) in [contents(root) for root in roots]


class TestNothingIsReused:
    def test_where_the_configuration_says_so(self, first: Path) -> None:
        config = (first / "mlgate.yaml").read_text()
        commit_files(first, {"mlgate.yaml": config.replace("  outputs:", "  reuse: false\n  outputs:")}, "no reuse")
        looked = sought(opened(first))
        assert (looked.key, looked.why_not) == (None, "train.reuse is false")

    def test_where_a_run_is_to_begin_from_nothing_and_its_result_takes_the_place(
        self, first: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLGATE_RESUME", "false")
        before = contents(first)
        assert earlier(first) is None
        trained(opened(first))
        made = contents(first)
        monkeypatch.delenv("MLGATE_RESUME")
        assert earlier(forgotten(first)) is not None
        assert contents(first) == made != before

    def test_where_a_run_says_neither_yes_nor_no(self, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLGATE_RESUME", "flase")
        with pytest.raises(InputError, match="MLGATE_RESUME: expected true, or false to train from nothing, found 'flase'"):
            earlier(first)
        monkeypatch.setenv("MLGATE_RESUME", " True ")
        assert earlier(forgotten(first)) is not None

    def test_but_what_an_earlier_attempt_of_the_run_made_when_it_was_asked_to_begin_from_nothing(
        self, first: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = {"event": "push", "repository": "octo/models", "run_id": 7}
        trained(opened(first, **run))
        monkeypatch.setenv("MLGATE_RESUME", "false")
        assert earlier(forgotten(first), **run, attempt=2) is None  # it was asked only now
        trained(opened(first, **run, attempt=2))
        made = contents(first)
        assert earlier(forgotten(first), **run, attempt=2) is None
        assert earlier(forgotten(first), **run, attempt=3) is not None
        assert contents(first) == made
        assert earlier(forgotten(first), **{**run, "run_id": 8}, attempt=3) is None

    def test_of_a_fork_which_writes_nothing_though_it_may_read(self, fresh: Path) -> None:
        fork = {"event": "pull_request", "repository": "octo/models", "run_id": 6, "is_fork": True}
        _, _, problem = trained(opened(fresh, **fork))
        assert problem is None
        assert not (fresh.parent / "store").exists()
        trained(opened(fresh))
        assert earlier(forgotten(fresh), **fork) is not None

    def test_where_nobody_can_tell_which_data_it_was(self, first: Path) -> None:
        workspace = opened(first)
        looked = reuse.look(workspace, [], {})
        assert looked.key is None
        assert "names no data" in looked.why_not
        config = workspace.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        config["train"]["reuse"] = True
        vouched = replace(workspace, config=Config.model_validate(config))
        assert reuse.look(vouched, [], {}).key is not None

    def test_where_a_command_will_need_a_model_that_nothing_names(self, first: Path) -> None:
        workspace = opened(first)
        config = workspace.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        config["train"]["outputs"] = []
        config["evaluation"] |= {"predict": "python predict.py", "holdout": ["train.csv"]}
        asking = replace(workspace, config=Config.model_validate(config))
        assert "needs the model" in sought(asking).why_not

    def test_of_what_the_command_did_not_make(self, fresh: Path) -> None:
        commit_files(fresh, {"train.py": TRAIN.replace('"model/weights.bin"', '"weights.bin"')}, "elsewhere")
        (fresh / "model").mkdir()
        _, _, problem = trained(opened(fresh))
        assert problem is not None
        assert problem.endswith("so another run of the same will train again: the command made no model")
        assert earlier(fresh) is None

    @pytest.mark.parametrize("left", ["eval/predictions.csv", "eval/seeds/a.csv", "metrics.json"])
    def test_of_a_file_that_lay_there_before_and_that_the_training_did_not_write(self, fresh: Path, left: str) -> None:
        trained(opened(fresh))
        shutil.rmtree(fresh.parent / "store")
        os.utime(fresh / left, (1, 1))
        workspace = opened(fresh)
        why = sought(workspace).keep(commands.run(workspace, "true", "train/train.log"))
        assert why == f"{left} lay there before the training, which did not write it, so the result is not kept for other runs of the same"
        assert earlier(forgotten(fresh)) is None

    def test_on_a_machine_that_is_thrown_away(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = CONFIG.replace("  checkpoints: {path: checkpoints, store: ../store}\n", "")
        root = make_repository(tmp_path / "hosted", {"mlgate.yaml": config, **FILES})
        monkeypatch.setenv("RUNNER_ENVIRONMENT", "github-hosted")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        github = {"event": "push", "repository": "octo/models", "run_id": 7}
        assert sought(opened(root, **github)).key is None
        monkeypatch.setenv("RUNNER_ENVIRONMENT", "self-hosted")
        assert sought(opened(root, **github)).key is not None


class TestPipelinesOfDvc:
    def project(self, folder: Path, command: str = "dvc repro") -> Workspace:
        pipeline = "stages:\n  train: {cmd: python train.py, deps: [train.csv], outs: [eval/predictions.csv]}\n"
        config = (
            "model: digits\ntrain:\n  command: "
            + command
            + "\n  gpu: {count: 1}\n  checkpoints: {path: c, store: %s}\n" % (folder / "store")
        )
        config += "evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}\n"
        root = make_repository(folder / "pipeline", {"mlgate.yaml": config, "dvc.yaml": pipeline, ".dvc/config": "", **FILES})
        return opened(root)

    @pytest.mark.parametrize("command", ["dvc repro", "make train"])
    def test_are_remembered_by_dvc(self, tmp_path: Path, command: str) -> None:
        looked = sought(self.project(tmp_path, command))
        assert (looked.key, looked.why_not) == (None, "it is a DVC pipeline, which DVC's run cache remembers")

    @pytest.mark.parametrize(
        ("command", "recalled", "is_needless"),
        [
            ("dvc repro", run_cache.Recalled(stages=["train"]), True),
            ("dvc repro", run_cache.Recalled(stages=["prepare"], to_run=["train"]), False),
            ("dvc repro", run_cache.Recalled(problem="no answer"), False),
            ("dvc repro && python more.py", run_cache.Recalled(stages=["train"]), False),
        ],
    )
    def test_need_no_gpu_where_dvc_will_run_nothing(
        self, tmp_path: Path, command: str, recalled: run_cache.Recalled, is_needless: bool
    ) -> None:
        assert reuse.needs_no_gpu(self.project(tmp_path, f'"{command}"'), recalled) is is_needless

    def test_say_it_where_what_is_reused_was_trained_in_another_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        workspace, lock = self.project(tmp_path), "a" * 64
        monkeypatch.setenv("MLGATE_CONTAINER_IMAGE", "one")
        assert reuse.pipeline_remark(workspace, lock, is_reused=True, duration_s=1) is None, "nothing is known of it"
        assert reuse.pipeline_remark(workspace, lock, is_reused=False, duration_s=60) is None
        assert reuse.pipeline_remark(workspace, lock, is_reused=True, duration_s=1) is None
        monkeypatch.setenv("MLGATE_CONTAINER_IMAGE", "two")
        remark = reuse.pipeline_remark(workspace, lock, is_reused=True, duration_s=1)
        assert remark is not None
        assert "another environment (image one -> two)" in remark


class TestTheStage:
    def test_takes_the_result_though_every_gpu_is_held_and_says_whose_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held = nvml_states.gpu(1)
        for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in nvml_states.machine(tmp_path, held).items():
            monkeypatch.setenv(name, value)
        config = CONFIG.replace("  outputs:", "  gpu: {count: 1, wait: 1s}\n  outputs:")
        first = make_repository(tmp_path / "first", {"mlgate.yaml": config, **FILES})
        _, ran, _ = trained(opened(first))
        second = clone(first)
        validate(second)
        with lease.acquire([Claim(held["uuid"])], 1, mark=process.new_mark(), wait_s=0):
            again = stages.run("train", opened(second))
        assert again.status == "passed", again.summary
        findings = again.findings
        assert (findings.is_reused, findings.lease, findings.pipeline) == (True, None, [])
        assert findings.reused_run.commit == git(first, "rev-parse", "HEAD")
        assert findings.reused_run.duration_s == pytest.approx(ran.duration_s)
        assert again.summary.startswith("nothing was trained and no GPU touched: the result of commit ")
        assert contents(second) == contents(first)
