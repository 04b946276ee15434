"""A DVC pipeline that was changed in part: what its training reads tells which training it is, whoever tracks it. Real Git and DVC."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from mlgate.data.identity import identify
from mlgate.stages.job import dispatch, form_parameters
from mlgate.stages.training import same_training
from mlgate.training import params
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

pytestmark = [
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # pygtrie, used by DVC
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # DVC leaves databases to the garbage collector
]

CONFIG = """\
model: digits
train: {command: %s, params: [params.yaml], checkpoints: checkpoints}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
"""
PIPELINE = """\
stages:
  prepare:
    cmd: mkdir -p data && cp raw.csv data/prepared.csv
    deps: [raw.csv]
    outs: [data/prepared.csv]
  train:
    cmd: mkdir -p model && cat data/prepared.csv extra.csv folder/* tracked.csv > model/weights
    deps: [data/prepared.csv, extra.csv, folder, tracked.csv, ../beyond.csv]
    params: [lr, own.yaml: [depth]]
    outs: [model/weights]
  evaluate:
    cmd: mkdir -p eval && cp model/weights eval/predictions.csv
    deps: [model/weights]
    params: [threshold]
    outs: [eval/predictions.csv]
"""
FILES = {
    "mlgate.yaml": CONFIG % "dvc repro",
    "dvc.yaml": PIPELINE,
    "params.yaml": "lr: 0.1\nthreshold: 0.5\n",
    "raw.csv": "a\n",
    ".gitignore": "/eval\n/model\n/checkpoints\n/data\n/.mlgate\n/extra.csv\n/folder\n/tracked.csv\n/own.yaml\n",
}
FROZEN = ("outs: [data/prepared.csv]\n", "outs: [data/prepared.csv]\n    frozen: true\n")
Change = Callable[[Path], object]


def reproduced(root: Path, *stages: str) -> None:
    """`dvc repro`, in this process: its command takes seconds to begin."""
    with contextlib.chdir(root), Repo(str(root)) as repo:
        repo.reproduce(list(stages) or None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that was run, its lock committed; beside it a file that it reads."""
    base = tmp_path_factory.mktemp("made")
    root = make_repository(base / "r", FILES)
    (base / "beyond.csv").write_text("b\n")
    (root / "own.yaml").write_text("depth: 3\n")
    for name in ("extra.csv", "tracked.csv", "folder/a.csv"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(f"{name}\n")
    Repo.init(str(root)).close()
    with contextlib.chdir(root), Repo(str(root)) as repo:
        repo.add("tracked.csv")
    reproduced(root)
    commit_files(root, {}, "run")
    return base


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_ACTIONS", "MLGATE_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    shutil.copytree(made, tmp_path / "made", symlinks=True)
    return tmp_path / "made" / "r"


def key(root: Path, *data: str) -> str:
    workspace = Workspace.open(root, "mlgate.yaml", os.environ)
    form_parameters.apply(workspace)
    return same_training.identify(workspace, [identify(root, path) for path in data], params.read(root, ["params.yaml"])).key


def edited(path: str, before: str, after: str) -> Change:
    def change(root: Path) -> None:
        text = (root / path).read_text()
        assert before in text
        (root / path).write_text(text.replace(before, after))

    return change


def written(path: str, text: str = "other\n") -> Change:
    return lambda root: (root / path).write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(edited("params.yaml", "0.1", "0.2"), id="a parameter"),
        pytest.param(edited("params.yaml", "0.5", "0.6"), id="a parameter of evaluate alone: code may read it all the same"),
        pytest.param(edited("params.yaml", "lr: 0.1", "lr:  1e-1"), id="equal values in other bytes: code may read them otherwise"),
        pytest.param(edited("dvc.yaml", "cmd: mkdir -p model", "cmd: mkdir -p ./model"), id="a command"),
        pytest.param(edited("dvc.yaml", "outs: [model/weights]", "outs: [model/weights, model/more]"), id="an output more"),
        pytest.param(edited("dvc.yaml", "deps: [raw.csv]", "deps: [raw.csv, tracked.csv]"), id="a dependency more"),
        pytest.param(edited("dvc.yaml", *FROZEN), id="frozen"),
        pytest.param(written("extra.csv"), id="a dependency that Git ignores"),
        pytest.param(written("folder/a.csv"), id="in a folder of those"),
        pytest.param(written("folder/b.csv"), id="one more there"),
        pytest.param(lambda root: (root / "extra.csv").unlink(), id="one that is gone"),
        pytest.param(written("own.yaml", "depth: 4\n"), id="parameters that Git ignores"),
        pytest.param(written("../beyond.csv"), id="outside of the repository"),
        pytest.param(written("tracked.csv"), id="data that DVC tracks, changed and not added"),
    ],
)  # fmt: skip
def test_what_a_stage_reads_is_another_training(root: Path, change: Change) -> None:
    before = key(root)
    change(root)
    assert key(root) != before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "dvc.lock").unlink(), id="no lock"),
        pytest.param(edited("dvc.lock", "md5: ", "md5: 0"), id="another lock"),
        pytest.param(lambda root: shutil.rmtree(root / "model"), id="outputs are gone"),
        pytest.param(written("data/prepared.csv"), id="an output that DVC makes anew"),
        pytest.param(lambda root: (root / "tracked.csv").unlink(), id="data that will be brought"),
    ],
)  # fmt: skip
def test_what_dvc_makes_or_brings_is_the_same_training(root: Path, change: Change) -> None:
    before = key(root)
    change(root)
    assert key(root) == before


def test_what_python_leaves_beside_a_dependency_is_no_other_training(root: Path) -> None:
    before = key(root)
    (root / "folder" / "__pycache__").mkdir()
    (root / "folder" / "__pycache__" / "x.pyc").write_text("")
    assert key(root) == before


def test_another_output_of_a_frozen_stage_is_another_training(root: Path) -> None:
    edited("dvc.yaml", *FROZEN)(root)
    commit_files(root, {}, "frozen")
    before = key(root)
    written("data/prepared.csv")(root)
    changed = key(root)
    with contextlib.chdir(root), Repo(str(root)) as repo:
        repo.commit("prepare", force=True)
    assert git(root, "status", "--porcelain").strip() == "M dvc.lock"
    assert key(root) == changed != before
    (root / "data" / "prepared.csv").unlink()
    assert key(root) == changed


@pytest.mark.parametrize("command", ["python train.py", "dvc repro -s train"])
def test_data_of_another_revision_is_another_training_though_nobody_named_it_to_mlgate(root: Path, command: str) -> None:
    commit_files(root, {"mlgate.yaml": CONFIG % command}, "A")
    git(root, "tag", "A")
    written("raw.csv")(root)
    reproduced(root, "prepare")
    commit_files(root, {}, "B")
    of_b = key(root)
    dispatch.use_data_of(root, "A")
    mixed = key(root)
    shutil.rmtree(root / "data")
    of_a = key(root)
    assert len({of_a, of_b, mixed}) == 3, "that of B lay there still: the training would have read it"
    dispatch.use_data_of(root, "HEAD")
    assert key(root) != of_a


def test_parameters_of_a_form_are_those_of_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(root)
    monkeypatch.setenv("MLGATE_PARAMS", "lr=0.3")
    asked = key(root)
    assert asked != before
    assert key(root) == asked
    monkeypatch.delenv("MLGATE_PARAMS")
    git(root, "checkout", "--", "params.yaml")
    assert key(root) == before
