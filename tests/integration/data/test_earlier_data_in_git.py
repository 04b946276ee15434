"""Data of the baseline commit that Git itself tracks: brought as it was, whatever it holds, and by few processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlgate.evaluation.dvc_history import NotThereError
from mlgate.stages.baseline import data_of_baseline
from mlgate.stages.baseline.data_of_baseline import open_earlier
from support import git

CONTENTS = {
    "a.csv": b"x,y\n1,2\n",
    "empty.csv": b"",
    "no line feed at the end.txt": b"x",
    "blank lines.txt": b"\n\n\n",
    "bytes.bin": bytes(range(256)) * 40,
    "folder/ümlaut.txt": "ü\n".encode(),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working directory below the top of a repository; what is committed has been changed since."""
    folder = tmp_path / "repository" / "model"
    for name, content in CONTENTS.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(content)
    top = folder.parent
    git(top, "init", "--quiet", "--initial-branch=main")
    git(top, "add", "-A")
    git(top, "commit", "--quiet", "-m", "data")
    for name in CONTENTS:
        (folder / "data" / name).write_bytes(b"another\n")
    return folder


def brought(root: Path, path: str) -> dict[str, bytes]:
    with open_earlier(root, git(root, "rev-parse", "HEAD"), None) as earlier:
        assert earlier.fetch(path) == "git"
        found = earlier.folder / path
        files = [found] if found.is_file() else [one for one in found.rglob("*") if one.is_file()]
        return {one.relative_to(earlier.folder).as_posix(): one.read_bytes() for one in files}


def test_a_folder_comes_as_it_was_to_the_byte(root: Path) -> None:
    assert brought(root, "data") == {f"data/{name}": content for name, content in CONTENTS.items()}


def test_a_single_file_comes_alone(root: Path) -> None:
    assert brought(root, "data/a.csv") == {"data/a.csv": CONTENTS["a.csv"]}


def test_more_than_memory_is_to_hold_comes_in_parts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_of_baseline, "_AT_ONCE_BYTES", 5)
    assert brought(root, "data") == {f"data/{name}": content for name, content in CONTENTS.items()}


def test_a_folder_of_many_files_takes_few_processes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        (root / "data" / f"{number}.txt").write_text(f"{number}\n")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "many")
    counted = tmp_path / "counted"
    (tmp_path / "programs").mkdir()
    real = next(path for entry in os.environ["PATH"].split(os.pathsep) if (path := Path(entry) / "git").exists())
    (tmp_path / "programs" / "git").write_text(f"#!/bin/sh\necho >> '{counted}'\nexec '{real}' \"$@\"\n")
    (tmp_path / "programs" / "git").chmod(0o755)
    commit = git(root, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"), prepend=os.pathsep)
    with open_earlier(root, commit, None) as earlier:
        earlier.fetch("data")
        assert (earlier.folder / "data/137.txt").read_text() == "137\n"
    assert len(counted.read_text()) < 10


def test_a_pointer_of_git_lfs_is_no_data(root: Path) -> None:
    (root / "data" / "a.csv").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n")
    git(root, "commit", "--quiet", "-am", "lfs")
    with open_earlier(root, git(root, "rev-parse", "HEAD"), None) as earlier, pytest.raises(NotThereError, match="in Git LFS"):
        earlier.fetch("data")


def test_a_submodule_is_said_to_be_unreadable(root: Path) -> None:
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{git(root, 'rev-parse', 'HEAD')},model/data/module")
    git(root, "commit", "--quiet", "-m", "submodule")
    with (
        open_earlier(root, git(root, "rev-parse", "HEAD"), None) as earlier,
        pytest.raises(NotThereError, match="data/module cannot be read"),
    ):
        earlier.fetch("data")
