"""Machines with `python3` and no `python`: what init proposes runs there, and a command that asks for `python` is told how it is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlgate.evidence import CommandRun
from mlgate.stages.adoption import init
from mlgate.stages.job import commands

RUN = CommandRun(command="python train.py", exit_code=127, duration_s=0.1, tail="bash: line 1: python: command not found")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH with git and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    git = shutil.which("git")
    assert git is not None
    (folder / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("MLGATE_USER_PYTHON", raising=False)
    return folder


def program(path: Path, name: str) -> None:
    (path / name).write_text("#!/bin/sh\n")
    (path / name).chmod(0o755)


@pytest.mark.parametrize(("there", "expected"), [(["python3"], "python3"), (["python", "python3"], "python"), ([], "python")])
def test_init_proposes_the_interpreter_that_is_there(path: Path, tmp_path: Path, there: list[str], expected: str) -> None:
    for name in there:
        program(path, name)
    (tmp_path / "train.py").write_text("")
    assert init.survey(tmp_path).command == f"{expected} train.py"


def test_a_command_that_asks_for_python_is_told_what_it_is_called(path: Path) -> None:
    assert commands.failure(RUN).endswith("python: command not found")
    program(path, "python3")
    assert commands.failure(RUN).endswith("; here it is called python3: activate your environment, or write python3")
