"""scripts/mlgate.sh from nothing: an empty HOME, no caches, real packages. Slow, so only in `make test-system`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.caller import Caller
from support import MINIMAL_CONFIG, make_repository

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/mlgate.sh"
pytestmark = pytest.mark.timeout(900)


def mlgate(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"} or name.startswith(("PIP_", "SSL_", "HTTP"))}
    return subprocess.run(["bash", str(SCRIPT), *arguments], cwd=cwd, env={**kept, **environ}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_repository(tmp_path_factory.mktemp("repository"), {"mlgate.yaml": MINIMAL_CONFIG})
    # What would shadow ours, if the working directory or PYTHONPATH were on the import path.
    for name in ("json.py", "mlgate.py", "yaml.py"):
        (root / name).write_text("raise SystemExit('the code of the caller ran')\n")
    return root


def test_installs_only_what_a_stage_needs_and_then_is_fast(home: Path, repository: Path) -> None:
    first = mlgate("setup", cwd=repository, HOME=str(home), MLGATE_STAGES="gate", PYTHONPATH=str(repository))
    assert first.returncode == 0, first.stderr
    assert first.stdout == "✓ mlgate.yaml: model digits\n"
    assert "installing what gate, forge needs" in first.stderr
    environment = next(
        path for path in (home / ".cache/mlgate").iterdir() if (path / "pyvenv.cfg").exists() and not path.name.endswith(".uv")
    )
    installed = {path.name.partition("-")[0].lower() for path in environment.glob("lib/python3*/site-packages/*.dist-info")}
    assert {"pydantic", "numpy", "pygithub"} <= installed
    assert not {"dvc", "mlflow_skinny", "pandas", "ruff", "pytest", "mlgate"} & installed
    started = time.perf_counter()
    again = mlgate("setup", cwd=repository, HOME=str(home), MLGATE_STAGES="gate")
    assert (again.returncode, again.stderr) == (0, "")
    assert time.perf_counter() - started < 3


def test_a_command_that_writes_no_report_installs_nothing_for_one(home: Path, repository: Path, tmp_path: Path) -> None:
    said = mlgate("requeue", cwd=repository, HOME=str(home), MLGATE_ENVIRONMENT=str(tmp_path / "environment"))
    assert "installing what forge needs" in said.stderr
    assert "Traceback" not in said.stderr
    installed = {path.name.partition("-")[0].lower() for path in (tmp_path / "environment").glob("lib/python3*/site-packages/*.dist-info")}
    assert "pygithub" in installed
    assert not {"matplotlib", "jinja2", "tabulate", "numpy"} & installed


def test_every_stage_runs_with_nothing_but_what_it_installs(home: Path, tmp_path: Path) -> None:
    """Each in an environment of its own, so that no stage lives on what another one brought."""
    model = Caller.make(tmp_path, {}).clone
    plain = tmp_path / "bin"
    plain.mkdir()
    (plain / "python").symlink_to(Path(sys.executable).resolve())
    said = {}
    environments = tmp_path / "environments"
    for stage in ("check", "pull-data", "validate-data", "train", "evaluate", "gate", "report"):
        if stage != "check":
            (environments / f"{stage}.uv").symlink_to(environments / "check.uv")  # what installs is no part of what is installed
        environ = {"HOME": str(home), "PATH": f"{plain}:{os.environ['PATH']}", "MLGATE_ENVIRONMENT": str(environments / stage)}
        finished = mlgate(stage, cwd=model, **environ)
        assert finished.returncode == 0, f"{stage}: {finished.stdout}{finished.stderr}"
        said[stage] = finished.stdout
    assert "gate open" in said["gate"]
    assert (model / ".mlgate/toy/report.html").is_file()


def test_processes_that_start_together_wait_for_one_another(home: Path, repository: Path) -> None:
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: mlgate("report", "--help", cwd=repository, HOME=str(home)), range(3)))
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert sum("installed in" in run.stderr for run in runs) == 1


def test_the_schemes_of_dvcs_remotes_choose_its_extras(home: Path, repository: Path) -> None:
    (repository / ".dvc").mkdir()
    (repository / ".dvc/config").write_text("[core]\n    remote = x\n['remote \"x\"']\n    url = ssh://host/path\n")
    finished = mlgate("pull-data", "--help", cwd=repository, HOME=str(home))
    assert finished.returncode == 0, finished.stderr
    assert "installing what pull-data, dvc-ssh needs" in finished.stderr


def test_without_an_index_it_is_one_line_and_worth_a_retry(tmp_path: Path, repository: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
    }
    finished = mlgate("check", cwd=repository, HOME=str(tmp_path), **nowhere)
    assert finished.returncode == 3
    assert "Traceback" not in finished.stderr
    assert finished.stderr.splitlines()[-1].startswith("✗ mlgate's environment cannot be made: pip install uv: ")


def test_an_unknown_stage_and_an_unfit_python_are_named(tmp_path: Path, repository: Path) -> None:
    wrong = mlgate("setup", cwd=repository, HOME=str(tmp_path), MLGATE_STAGES="gate trian")
    assert wrong.returncode == 2
    assert "there is no stage 'trian'" in wrong.stderr
    unfit = mlgate("setup", cwd=repository, HOME=str(tmp_path), MLGATE_PYTHON="/usr/bin/false")
    assert unfit.returncode == 2
    assert "MLGATE_PYTHON: '/usr/bin/false' is no Python 3.11 or newer" in unfit.stderr


def test_a_cache_key_follows_what_is_in_the_environment(home: Path, repository: Path) -> None:
    def key(**environ: str) -> dict[str, str]:
        finished = mlgate("--environment", cwd=repository, HOME=str(home), MLGATE_PYTHON=sys.executable, **environ)
        assert finished.returncode == 0, finished.stderr
        return dict(line.split("=", 1) for line in finished.stdout.splitlines())

    one = key(MLGATE_STAGES="gate report")
    assert one == key(MLGATE_STAGES="report gate")
    assert one["path"].startswith(str(home))
    assert one["key"] != key(MLGATE_STAGES="gate")["key"]
