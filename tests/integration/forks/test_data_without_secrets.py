"""A run of a fork or of Dependabot whose data lies on a private remote: one line, with what a maintainer does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from integration.gate.gate_runs import open_workspace
from mlgate import stages
from mlgate.context import RunContext
from mlgate.stages.forks import without_secrets
from support import commit_files, make_repository

CONFIG = """\
model: digits
data: {pull: [data.csv]}
train: {command: python train.py}
evaluation: {task: regression, predictions: p.csv, metrics: [rmse]}
"""
TRAIN = "jobs:\n  train:\n    uses: acme/mlgate/.github/workflows/reusable-train.yml@v1\n"
FORK = RunContext(event="pull_request", repository="octo/models", run_id=1, pull_request=7, is_fork=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data that is tracked, on a remote that this machine cannot see."""
    root = make_repository(tmp_path_factory.mktemp("private") / "project", {"mlgate.yaml": CONFIG})
    (root / "data.csv").write_text("x\n1\n")
    remote = ["remote", "add", "--default", "private", "/nowhere/private"]
    for arguments in (["init", "--quiet"], remote, ["add", "--quiet", "data.csv"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)
    commit_files(root, {".github/workflows/train-it.yml": TRAIN}, "data")
    (root / "data.csv").unlink()
    cache = root / ".dvc/cache"
    cache.rename(root.parent / "elsewhere")
    return root


def pulled(project: Path, context: RunContext) -> str:
    evidence = stages.run("pull-data", replace(open_workspace(project), context=context))
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    return evidence.summary


def test_says_in_one_line_what_a_maintainer_does(project: Path) -> None:
    [line] = pulled(project, FORK).splitlines()
    assert "/nowhere/private" in line
    assert line.endswith(
        "GitHub gives runs of forks and of Dependabot no secrets, so a private remote is out of reach: a maintainer must dispatch: "
        "gh workflow run train-it.yml --repo octo/models -f pull-request=7, "
        "or https://github.com/octo/models/actions/workflows/train-it.yml"
    )


def test_a_run_with_secrets_is_told_nothing_of_the_kind(project: Path) -> None:
    assert "dispatch" not in pulled(project, replace(FORK, is_fork=False))


def test_where_nothing_can_be_dispatched_yet_the_template_is_named(tmp_path: Path) -> None:
    make_repository(tmp_path / "plain", {"a": "b"})
    found = without_secrets.dispatch(tmp_path / "plain", FORK)
    assert found.template == "train.yml"
    assert (
        "copy templates/workflows/train.yml to .github/workflows/mlgate-train.yml of the default branch, then gh workflow run"
        in found.sentence
    )


def test_a_workflow_file_with_a_strange_name_becomes_no_part_of_a_command(tmp_path: Path) -> None:
    files = {f".github/workflows/{name}": TRAIN for name in ("a b.yml", "$(touch x).yml", "-f.yml", "z.yml")}
    make_repository(tmp_path / "strange", files)
    assert without_secrets.dispatch(tmp_path / "strange", FORK).workflow == "z.yml"


def test_the_server_of_the_run_is_the_one_linked_to(tmp_path: Path) -> None:
    found = without_secrets.dispatch(tmp_path, replace(FORK, server_url="https://git.example.org"))
    assert found.url == "https://git.example.org/octo/models/actions/workflows/mlgate-train.yml"
