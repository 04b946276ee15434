"""Whether scripts/mlgate.sh installs PySpark: where mlgate.yaml or the environment asks for it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/mlgate.sh"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Stands in the place of the interpreter that would install, and says what it was told to install."""
    path = tmp_path / "python"
    path.write_text('#!/bin/sh\n[ "$2" = -c ] || echo "$@"\n')
    path.chmod(0o755)
    return path


def has_spark(python: Path, where: Path, *options: str, stage: str = "validate-data", **environ: str) -> bool:
    environment = {"PATH": os.environ["PATH"], "HOME": str(python.parent), "MLGATE_PYTHON": str(python), "MLGATE_STAGES": stage}
    command = ["bash", str(SCRIPT), "--environment", *options]
    finished = subprocess.run(command, cwd=where, env={**environment, **environ}, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    return "spark" in finished.stdout.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data:\n  engine: spark\n", True),
        ("data:\r\n  engine: 'spark'  # large\r\n", True),
        ('data: {engine: "spark", contracts: []}', True),
        ("data:\n  engine: auto\n", False),
        ("data:\n  # engine: spark\n  engine: polars\n", False),
        ("data:\n  pull: [engine/spark]\n", False),
        ("", False),
    ],
)
def test_the_engine_of_mlgate_yaml_says_so(python: Path, tmp_path: Path, text: str, expected: bool) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "mlgate.yaml").write_text(text, newline="")
    assert has_spark(python, folder) is expected
    assert has_spark(python, tmp_path, MLGATE_WORKING_DIRECTORY="a folder") is expected
    (folder / "mlgate.yaml").rename(folder / "other.yaml")
    assert has_spark(python, folder, MLGATE_CONFIG="other.yaml") is expected
    assert has_spark(python, folder, "--config", "other.yaml") is expected


def test_a_cluster_in_the_environment_says_so_too(python: Path, tmp_path: Path) -> None:
    assert has_spark(python, tmp_path, MLGATE_SPARK_MASTER="spark://host:7077")
    assert has_spark(python, tmp_path, SPARK_REMOTE="sc://host")
    assert not has_spark(python, tmp_path, MLGATE_SPARK_MASTER="spark://host:7077", stage="gate")
    assert not has_spark(python, tmp_path)
