"""A command imports what it needs and nothing else: a start costs the user's time at every job, and each stage installs only its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.gate.gate_runs import classified, evaluated, labels, next_commit, open_workspace
from mlgate.cli import STAGE_HELP
from support import MINIMAL_CONFIG, git, make_repository

HEAVY = frozenset({"mlflow", "matplotlib", "sklearn", "scipy", "pandera", "pandas", "pyarrow", "numpy", "dvc", "github", "jinja2"})
FOR_HELP = HEAVY | {"pydantic", "yaml"}
COMMANDS = ["run", *STAGE_HELP, "init", "doctor", "plan", "setup", "dispatch", "changed", "aggregate", "gpu", "schema"]
CONFIG = MINIMAL_CONFIG + "checks: [exit 0]\ndata: {pull: [data.csv]}\n"
TABLES = {"numpy", "pyarrow", "pandas"}  # pyarrow imports pandas for itself where it is installed


def imported(root: Path, *arguments: str) -> set[str]:
    """Top-level names of all that a command imported, which must end well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_", "MLFLOW_"))}
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mlgate.cli", *arguments],
        cwd=root,
        env={**environ, "XDG_CACHE_HOME": str(root.parent / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr[-2000:]
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +([A-Za-z_]\w*)", finished.stderr, re.MULTILINE)
    assert "argparse" in names
    return set(names)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", {"mlgate.yaml": CONFIG, "data.csv": "x\n1\n", "train.py": "print('model 0')\n"})


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_needs_nothing_but_the_standard_library(tmp_path: Path, arguments: list[str]) -> None:
    assert imported(tmp_path, *arguments) & FOR_HELP == set()


@pytest.mark.parametrize(
    "arguments",
    [
        *([name] for name in ("check", "setup", "dispatch", "changed", "pull-data", "validate-data")),
        *(["schema", of] for of in ("config", *STAGE_HELP)),
    ],
    ids=" ".join,
)
def test_what_needs_no_data_library_imports_none(root: Path, arguments: list[str]) -> None:
    """Data that Git tracks, and no contract: of these stages nothing needs DVC or pandas."""
    assert imported(root, *arguments) & HEAVY == set()


def test_init_in_an_empty_repository_imports_no_data_library(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert imported(tmp_path, "init") & HEAVY == set()


def _first_model(root: Path) -> None:
    evaluated(open_workspace(root), classified(*labels(900)))


def _against_a_baseline(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    evaluated(open_workspace(root), classified(*labels(950)), classified(*labels(900)), baseline_commit=base)


@pytest.mark.parametrize("prepare", [_first_model, _against_a_baseline])
def test_the_gate_needs_only_numpy_and_arrow(root: Path, prepare: Callable[[Path], None]) -> None:
    prepare(root)
    assert imported(root, "gate") & HEAVY <= TABLES


def test_the_report_leaves_matplotlib_to_a_process_beside_it(root: Path) -> None:
    _against_a_baseline(root)
    imported(root, "gate")
    assert imported(root, "report") & HEAVY == {"jinja2"}


def test_training_leaves_mlflow_to_a_process_beside_it(root: Path) -> None:
    (root / "train.py").write_text("open('trained', 'w')\n")
    (root / "mlgate.yaml").write_text(CONFIG.replace("python train.py", f"{sys.executable} train.py"))
    assert imported(root, "train") & HEAVY == set()


def test_an_evaluation_imports_neither_mlflow_nor_matplotlib(root: Path) -> None:
    (root / "eval").mkdir()
    (root / "eval" / "predictions.csv").write_text("id,y,y_pred\n1,0,0\n2,1,1\n")
    assert imported(root, "evaluate") & {"mlflow", "matplotlib", "pandera", "dvc", "github", "jinja2"} == set()
