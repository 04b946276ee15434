"""`mlgate doctor` on Git: a repository, its history, origin, the store. Real Git."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.doctor.diagnoses import examined, said, the_one
from support import MINIMAL_CONFIG, commit_files, git, make_repository


def test_a_clone_with_its_history_and_an_origin_that_answers(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    first = git(root, "rev-parse", "HEAD")
    git(root, "clone", "--quiet", "--bare", str(root), str(tmp_path / "o.git"))
    git(root, "remote", "add", "origin", str(tmp_path / "o.git"))
    git(root, "checkout", "--quiet", "-b", "topic")
    commit_files(root, {"a": ""}, "a")
    store = root / ".mlgate" / "store" / "digits"
    assert said(examined(root, "Git")) == [
        f"✓ repository {root}, default branch main",
        "✓ the history is complete",
        f"✓ baseline of a run from here: {first[:12]} (merge base with main)",
        f"✓ origin {tmp_path}/o.git answers",
        f"– store (folder {store}): no evaluation yet → a run of the default branch records the first",
    ]


def test_no_repository_is_a_problem(tmp_path: Path) -> None:
    [finding] = examined(tmp_path, "Git")
    assert (finding.status, finding.exit_code) == ("problem", 2)
    assert "git init" in finding.advice


def test_no_commit_is_a_problem(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert "no commit yet" in the_one(examined(tmp_path, "Git"), "commit").text


def test_a_shallow_clone_is_to_be_deepened(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    commit_files(root, {"a": ""}, "a")
    git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), "shallow")
    finding = the_one(examined(tmp_path / "shallow", "Git"), "this clone is shallow")
    assert finding.status == "warning"
    assert "git fetch --unshallow" in finding.advice
    assert git(tmp_path / "shallow", "rev-parse", "--is-shallow-repository") == "true", "doctor changes nothing"


def test_origin_absent_or_silent(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    assert the_one(examined(root, "Git"), "'origin'").status == "warning"
    git(root, "remote", "add", "origin", "http://ada:hunter2@127.0.0.1:9/r.git")
    finding = the_one(examined(root, "Git"), "does not answer")
    assert (finding.status, finding.exit_code) == ("problem", 3)
    assert "hunter2" not in finding.text


def test_state_of_ours_that_git_tracks(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG, ".mlgate/digits/x": "1"})
    finding = the_one(examined(root, "Git"), "Git tracks files in it")
    assert finding.advice == "run 'git rm -r --cached .mlgate' and commit"


def test_a_store_that_cannot_be_reached(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG + "store: git\n"})
    git(root, "remote", "add", "origin", str(tmp_path / "gone.git"))
    assert {finding.exit_code for finding in examined(root, "Git") if finding.status == "problem"} == {3}


@pytest.mark.parametrize(
    ("ignored", "is_warned"),
    [("", True), ("out/\n", False), ("out/checkpoints/\n", False), ("*.zip\n", True), ("out/checkpoints/*\n", False)],
)
def test_checkpoints_that_git_would_take_are_told_before_they_are_committed(tmp_path: Path, ignored: str, is_warned: bool) -> None:
    config = MINIMAL_CONFIG.replace("train: {", "train: {checkpoints: out/checkpoints, ")
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config, ".gitignore": ignored})
    lines = [line for line in said(examined(root, "Git")) if "train.checkpoints" in line]
    text = "! train.checkpoints.path: Git does not ignore out/checkpoints/, and 'git add' takes the checkpoints"
    assert lines == ([f"{text} → put out/checkpoints/ into .gitignore"] if is_warned else [])


def test_without_an_origin_github_is_not_asked_and_no_repository_is_called_none_of_its(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    assert "– not asked: there is no remote 'origin'" in said(examined(root, "GitHub", GH_TOKEN="ghp_x"))
