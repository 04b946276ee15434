"""`mlgate doctor` on Git: a repository, its history, origin, the store. Real Git."""

from __future__ import annotations

from pathlib import Path

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
