"""No Git repository, too little of its history, or the same commit once more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, open_workspace
from integration.mistakes.commands import evidence_of, mlgate, refused
from support import commit_files, git

Make = Callable[..., Path]


@pytest.fixture
def outside(repository: Make) -> Path:
    root = repository()
    shutil.rmtree(root / ".git")
    return root


def test_outside_of_git_there_is_nothing_to_compare_with_and_the_gate_says_so(outside: Path) -> None:
    evaluated(open_workspace(outside), classified(*labels(900)))
    for stage in ("check", "gate"):
        assert mlgate(outside, stage).code == 0
    assert "nothing to compare with" in evidence_of(outside, "gate")["summary"]


@pytest.mark.parametrize("command", ["init", "dispatch"])
def test_what_needs_a_repository_says_so(outside: Path, command: str) -> None:
    assert "Git repository" in refused(outside, command, code=2)


def test_a_model_that_has_a_past_is_not_taken_for_the_first_where_git_is_missing(repository: Make) -> None:
    root = repository()
    evaluated(open_workspace(root), classified(*labels(900)))
    assert mlgate(root, "gate").code == 0
    shutil.rmtree(root / ".git")
    evaluated(open_workspace(root), classified(*labels(900)))
    line = refused(root, "gate", code=2)
    assert line.startswith("baseline: no commit to compare with (not a Git repository), though evaluations of this model are recorded; ")


def test_a_shallow_clone_says_what_to_check_out_with(repository: Make, tmp_path: Path) -> None:
    root = repository()
    commit_files(root, {"train.py": "print(2)\n"}, "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{root}", "shallow")
    shallow = tmp_path / "shallow"
    root.rename(tmp_path / "out of reach")  # else the rest of the history is fetched
    evaluated(open_workspace(shallow), classified(*labels(900)))
    line = refused(shallow, "gate", code=2)
    assert line.startswith("Git history: this clone lacks ")
    assert line.endswith("check out with `fetch-depth: 0`")


def test_a_first_commit_may_be_run_twice(repository: Make) -> None:
    """The second run finds its own evaluation in the store, and takes it for nobody else's."""
    root = repository()
    for _ in range(2):
        evaluated(open_workspace(root), classified(*labels(900)))
        assert mlgate(root, "gate").code == 0
        assert evidence_of(root, "gate")["findings"]["is_first_model"] is True


def test_a_commit_after_one_that_was_never_evaluated_may_be_run_twice(repository: Make) -> None:
    root = repository()
    commit_files(root, {"train.py": "print(2)\n"}, "second")
    for _ in range(2):
        evaluated(open_workspace(root), classified(*labels(900)))
        assert mlgate(root, "gate").code == 0
