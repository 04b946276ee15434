"""The form of train.yml against a real repository: what is refused, what would run, and other data put in place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlgate.errors import InputError
from mlgate.stages import setup as setup_stage
from mlgate.stages.job import dispatch
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

CONFIG = MINIMAL_CONFIG.replace("train: {command: python train.py}", "train: {command: python train.py, params: [params.yaml]}")
OLD, NEW = "outs:\n- md5: " + "a" * 32 + "\n  path: train.csv\n", "outs:\n- md5: " + "b" * 32 + "\n  path: train.csv\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model in a folder of a repository: data of `v1`, then of main; a file whose name is a pattern to Git."""
    root = make_repository(
        tmp_path / "repository",
        {
            "models/mlgate.yaml": CONFIG,
            "models/params.yaml": "lr: 0.1 # comment\nsteps: 10\n",
            "models/data/train.csv.dvc": OLD,
            "models/data/[a]*.csv.dvc": OLD,
            "other/data.csv.dvc": OLD,
        },
    )
    git(root, "tag", "v1")
    commit_files(root, {"models/data/train.csv.dvc": NEW, "models/data/new.csv.dvc": NEW, "other/data.csv.dvc": NEW}, "new data")
    return root / "models"


def opened(root: Path) -> Workspace:
    return Workspace.open(root, "mlgate.yaml", {})


def plan(root: Path, **form: str) -> dispatch.Plan:
    return dispatch.plan(opened(root), **{"pull_request": "", "data_revision": "", "params": "", **form})


def test_says_what_would_run(root):
    planned = plan(root, pull_request="7", data_revision="v1", params="lr=0.01\n\nsteps = 20\n")
    head, v1 = git(root, "rev-parse", "HEAD"), git(root, "rev-parse", "v1")
    assert planned.head_sha == head
    assert planned.lines == [
        f"would train digits of pull request 7 at {head[:12]}: python train.py",
        f"with the data of v1 ({v1[:12]}): data/[a]*.csv.dvc, data/train.csv.dvc",
        "with lr = 0.01 in params.yaml",
        "with steps = 20 in params.yaml",
    ]
    assert "0.1" in (root / "params.yaml").read_text()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"pull_request": "seven"}, "pull-request: expected its number, got 'seven'"),
        ({"pull_request": "7; id"}, "pull-request: expected its number"),
        ({"data_revision": "v2"}, "data-revision: no branch, tag or commit 'v2' in this clone"),
        ({"data_revision": "--output=/tmp/x"}, "data-revision: no branch, tag or commit"),
        ({"params": "lr"}, "expected key=value"),
        ({"params": "learning_rate=0.1"}, "learning_rate"),
        ({"params": "lr=$(id)"}, "lr"),
    ],
)
def test_a_form_that_is_wrong_is_refused_before_anything_runs(root, form, message):
    with pytest.raises(InputError) as caught:
        plan(root, **form)
    assert message in str(caught.value)


def test_data_of_another_revision_replaces_the_pointers_below_the_model_only(root):
    lines = setup_stage.run(opened(root), {"MLGATE_DATA_REV": "v1"})
    assert "✓ data of v1: data/[a]*.csv.dvc, data/train.csv.dvc" in lines
    assert (root / "data/train.csv.dvc").read_text() == OLD
    assert (root.parent / "other/data.csv.dvc").read_text() == NEW
    assert git(root, "rev-parse", "HEAD") != git(root, "rev-parse", "v1")


def test_a_branch_means_what_origin_has(root, tmp_path):
    clone = tmp_path / "clone"
    git(root.parent, "branch", "old", "v1")
    git(tmp_path, "clone", "--quiet", str(root.parent), str(clone))
    assert dispatch.resolve(clone / "models", "old") == git(root, "rev-parse", "v1")
    with pytest.raises(InputError, match="did you mean 'old'"):
        dispatch.resolve(clone / "models", "odl")


def test_a_revision_without_data_is_refused(root):
    git(root, "rm", "-rq", "data")
    git(root, "commit", "-qm", "no data")
    with pytest.raises(InputError, match="tracks no data with DVC here"):
        plan(root, data_revision="HEAD")


def test_setup_forgets_earlier_runs_and_hands_on_secrets_and_parameters(root, tmp_path):
    leftover = root / ".mlgate/digits/evidence/gate.json"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("{}")
    environ = {
        **os.environ,
        "GITHUB_ENV": str(tmp_path / "env"),
        "MLGATE_SECRET_ENV": "KEY=s3cret",
        "MLGATE_PARAMS": "lr=0.5",
        "GITHUB_ACTIONS": "false",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "mlgate.cli", "setup", "-C", str(root)], env=environ, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[0] == "::add-mask::s3cret"  # before anything else is printed
    assert "s3cret" not in "\n".join(finished.stdout.splitlines()[1:])
    assert not leftover.exists()
    assert (tmp_path / "env").read_text().startswith("KEY<<mlgate_")
    assert "lr: 0.5 # comment" in (root / "params.yaml").read_text()
