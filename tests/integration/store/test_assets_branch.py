"""Pictures on a branch without history: they are there, the oldest go, racing writers lose nothing, the token is nowhere to be seen."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlgate.errors import InfrastructureError
from mlgate.store.assets import BRANCH, AssetsBranch
from mlgate.store.git_ref import Remote
from support import git


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "--quiet", "--bare", "--initial-branch=main")
    return path


def branch(remote: Path, kept: int = 50) -> AssetsBranch:
    return AssetsBranch(Remote(url=str(remote), push_url=str(remote)), folders_kept=kept)


def files(remote: Path) -> list[str]:
    return git(remote, "ls-tree", "-r", "--name-only", BRANCH).split()


def test_pictures_are_on_the_branch_in_a_folder_of_their_commit(remote: Path) -> None:
    branch(remote).publish("a" * 40, {"digits-time.png": b"one", "digits-slices.png": b"two"})
    branch(remote).publish("a" * 40, {"other-time.png": b"three"})
    assert files(remote) == [f"{'a' * 40}/digits-slices.png", f"{'a' * 40}/digits-time.png", f"{'a' * 40}/other-time.png", "folders.txt"]
    assert git(remote, "show", f"{BRANCH}:{'a' * 40}/digits-slices.png") == "two"


def test_the_branch_has_no_history_and_the_oldest_folders_go(remote: Path) -> None:
    for number, commit in enumerate(("a", "b", "c", "a", "d")):
        branch(remote, kept=3).publish(commit * 40, {f"x{number}.png": b"%d" % number})
    assert git(remote, "rev-list", "--count", BRANCH) == "1"
    assert files(remote) == [f"{'a' * 40}/x0.png", f"{'a' * 40}/x3.png", f"{'c' * 40}/x2.png", f"{'d' * 40}/x4.png", "folders.txt"]
    assert git(remote, "show", f"{BRANCH}:folders.txt").split() == ["c" * 40, "a" * 40, "d" * 40]


def test_the_same_pictures_again_write_nothing(remote: Path) -> None:
    branch(remote).publish("a" * 40, {"x.png": b"one"})
    before = git(remote, "rev-parse", BRANCH)
    branch(remote).publish("a" * 40, {"x.png": b"one"})
    assert git(remote, "rev-parse", BRANCH) == before


def test_writers_at_the_same_moment_lose_nothing(remote: Path) -> None:
    writers = [threading.Thread(target=branch(remote).publish, args=(letter * 40, {"x.png": letter.encode()})) for letter in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert files(remote) == [*(f"{letter * 40}/x.png" for letter in "abcd"), "folders.txt"]


def test_a_branch_that_may_not_be_written_is_said_in_one_line(remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(InfrastructureError, match=r"branch mlgate-assets of .*: refused to write .*`contents: write`") as caught:
        branch(remote).publish("a" * 40, {"x.png": b"one"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../x.png", "a/b.png", ".x", "", "x\n.png"])
def test_a_name_that_leads_elsewhere_is_refused(remote: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        branch(remote).publish("a" * 40, {name: b"one"})


HOSTILE_NAMES = {
    "up": "..", "up and away": "../x.png", "absolute": "/etc/passwd", "option": "-x.png", "hidden": ".git", "Git's own": ".gitmodules",
    "workflow": ".github/workflows/x.yml", "newline": "a\nb.png", "tab": "a\tb.png", "NUL": "a\0b.png", "blank": "a b.png", "empty": "",
    "very long": "a" * 201, "ten megabytes": "a" * 10_000_000, "turned around": "\u202egnp.png", "shell": "$(touch pwned).png",
    "newline at the end": "a.png\n", "backslash": "a\\..\\b.png",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_name_that_leads_elsewhere_is_never_written(remote: Path, name: str, what: str) -> None:
    folder, file = ("a" * 40, name) if what == "file" else (name, "y.png")
    with pytest.raises(ValueError, match="no name for a file of a branch") as refused:
        branch(remote).publish(folder, {"x.png": b"one", file: b"two"})
    assert len(str(refused.value)) < 300
    assert git(remote, "for-each-ref") == ""
