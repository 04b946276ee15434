"""Which of DVC's extras scripts/mlgate.sh installs: those that the remotes, imports and pipelines of a repository need, and no others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import commit_files, make_repository

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/mlgate.sh"
REMOTE = "['remote \"x\"']\n    url = {}\n"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Stands in the place of the interpreter that would install, and says what it was told to install."""
    path = tmp_path / "python"
    path.write_text('#!/bin/sh\n[ "$2" = -c ] || echo "$@"\n')
    path.chmod(0o755)
    return path


def extras(python: Path, where: Path, stage: str = "pull-data", **environ: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(python.parent), "MLGATE_PYTHON": str(python), "MLGATE_STAGES": stage}
    finished = subprocess.run(
        ["bash", str(SCRIPT), "--environment"], cwd=where, env={**environment, **environ}, capture_output=True, text=True, check=True
    )
    assert finished.stderr == ""
    return [word for word in finished.stdout.split() if word.startswith("dvc-")]


def repository(root: Path, files: dict[str, str]) -> Path:
    (root / ".dvc").mkdir(parents=True)
    return make_repository(root, {".dvc/config": "", **files})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REMOTE.format("s3://bucket/path"), ["dvc-s3"]),
        (REMOTE.format("'gs://bucket/path'"), ["dvc-gs"]),
        (REMOTE.format('"azure://container"').replace(" = ", "="), ["dvc-azure"]),
        (REMOTE.format("ssh://ada@host:22/path").replace("\n", "\r\n"), ["dvc-ssh"]),
        (REMOTE.format("s3://b").rstrip("\n"), ["dvc-s3"]),
        (REMOTE.format("s3://b") + REMOTE.format("ssh://h/p"), ["dvc-s3", "dvc-ssh"]),
        (REMOTE.format("s3://b") + REMOTE.format("s3://c"), ["dvc-s3"]),
        (REMOTE.format("https://host/path"), []),
        (REMOTE.format("gdrive://id"), []),
        (REMOTE.format("/mnt/s3://odd"), []),
        ("# url = s3://bucket\n", []),
    ],
)
def test_the_scheme_of_a_remote_says_which(python: Path, tmp_path: Path, text: str, expected: list[str]) -> None:
    root = tmp_path / "a folder"
    (root / ".dvc").mkdir(parents=True)
    for name in ("config", "config.local"):
        for other in ("config", "config.local"):
            (root / ".dvc" / other).write_text("")
        (root / ".dvc" / name).write_text(text, newline="")
        assert extras(python, root) == expected


def test_remotes_of_the_machine_count_too(python: Path, tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {})
    (tmp_path / "dvc").mkdir()
    (tmp_path / "dvc" / "config").write_text(REMOTE.format("s3://b"))
    assert extras(python, root, DVC_GLOBAL_CONFIG_DIR=str(tmp_path / "dvc")) == ["dvc-s3"]
    assert extras(python, root, XDG_CONFIG_HOME=str(tmp_path)) == ["dvc-s3"]
    assert extras(python, root, DVC_SYSTEM_CONFIG_DIR=str(tmp_path / "dvc")) == ["dvc-s3"]
    assert extras(python, root) == []


def test_a_model_below_the_dvc_folder_has_its_remotes(python: Path, tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {".dvc/config": REMOTE.format("s3://b"), "models/a/mlgate.yaml": ""})
    assert extras(python, root / "models/a") == ["dvc-s3"]
    assert extras(python, tmp_path, MLGATE_WORKING_DIRECTORY="r/models/a") == ["dvc-s3"]
    assert extras(python, root, stage="gate") == []  # which pulls nothing


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("data/e.csv.dvc", "deps:\n- etag: abc\n  path: s3://bucket/e.csv\nouts:\n- path: e.csv\n", ["dvc-s3"]),
        ("dvc.yaml", "stages: {a: {cmd: x, deps: ['gs://bucket/e.csv'], outs: [b]}}\n", ["dvc-gs"]),
        ("models/a/dvc.yaml", "stages:\n  a:\n    cmd: x\n    outs:\n    - ssh://host/e.csv:\n        cache: false\n", ["dvc-ssh"]),
        ("a.dvc", "deps:\n- path: a\n  repo:\n    url: git@host:o/r\n    remote:\n      url: s3://bucket\n", ["dvc-s3"]),
        ("a.dvc", "deps:\n- path: a\n  repo:\n    url: ssh://git@host/o/r\n", []),
        ("dvc.yaml", "stages: {a: {cmd: aws s3 cp s3://bucket/e.csv ., outs: [b]}}\n", []),
        ("data.csv", "path: s3://bucket\n", []),
    ],
)
def test_addresses_of_imports_and_pipelines_count_too(python: Path, tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    assert extras(python, repository(tmp_path / "r", {name: text})) == expected


def test_without_git_or_dvc_there_are_none(python: Path, tmp_path: Path) -> None:
    assert extras(python, tmp_path) == []
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(REMOTE.format("s3://b"))
    assert extras(python, tmp_path) == ["dvc-s3"]


def test_a_folder_that_passes_for_a_repository_is_not_believed(python: Path, tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"m/.dvc/config": "", "m/HEAD": "ref: refs/heads/main\n", "m/objects/.keep": "", "m/refs/.keep": ""})
    trap = f"[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch {tmp_path}/ran\n\tworktree = .\n"
    commit_files(root, {"m/config": trap}, "trap")
    assert extras(python, root / "m") == []
    assert not (tmp_path / "ran").exists()
