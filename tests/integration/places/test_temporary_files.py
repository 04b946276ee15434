"""What mlgate leaves in the folder for temporary files of a machine of one's own: nothing, also where its job is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlgate import temporary_files
from mlgate.data import credentials
from support import make_repository

CONFIG = """\
model: digits
evaluation: {task: classification, predictions: predictions.csv, metrics: ["own.py:cost"]}
"""
METRIC = """\
import json, os, pathlib, sys, tempfile, time

def cost(y_true, y_pred):
    seen = {"request": sys.argv[1], "pid": os.getpid(), "folder": [os.environ.get("TMPDIR"), tempfile.gettempdir()]}
    pathlib.Path("aside").write_text(json.dumps(seen))
    os.replace("aside", "seen.json")
    time.sleep(float(os.environ["METRIC_SLEEPS_S"]))
    return 1.0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"mlgate.yaml": CONFIG, "own.py": METRIC, "predictions.csv": "id,y,y_pred\n1,0,0\n2,1,1\n"}
    return make_repository(tmp_path / "r", {**files, ".gitignore": ".mlgate/\nseen.json\n"})


@pytest.fixture
def runners(tmp_path: Path) -> Path:
    """The runner's folder, deep enough that no socket would fit below it."""
    folder = tmp_path / "actions-runner-of-an-organisation-with-a-long-name" / ("x" * 40) / "_work" / "_temp"
    folder.mkdir(parents=True)
    return folder


def begun(root: Path, runners: Path, sleeps_s: float = 0) -> subprocess.Popen[str]:
    """mlgate in a job, where nobody has said where temporary files shall lie."""
    left_out = ("MLGATE_", "MLFLOW_", "GITHUB_", "RUNNER_", "CI")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    for name in ("TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV"):
        environ.pop(name, None)
    environ |= {"MLGATE_USER_PYTHON": sys.executable, "METRIC_SLEEPS_S": str(sleeps_s), "RUNNER_TEMP": str(runners)}
    command = [sys.executable, "-m", "mlgate.cli", "evaluate"]
    return subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def elsewhere(root: Path) -> list[Path]:
    """What lies in the system's folder and is about this repository; other tests use that folder at the same time."""
    found = []
    for path in Path("/tmp").glob("mlgate-*/request.json"):
        with suppress(OSError):
            found += [path] if str(root).encode() in path.read_bytes() else []
    return found


def test_a_job_leaves_nothing_and_commands_of_the_users_keep_their_own_folder(root: Path, runners: Path) -> None:
    job = begun(root, runners)
    said, _ = job.communicate(timeout=100)
    assert job.returncode == 0, said
    seen = json.loads((root / "seen.json").read_text())
    assert Path(seen["request"]).is_relative_to(runners)
    assert seen["folder"] == [None, "/tmp"]
    assert list(runners.iterdir()) == []


def test_a_job_that_is_killed_leaves_what_it_leaves_where_the_runner_empties_it(root: Path, runners: Path) -> None:
    job = begun(root, runners, sleeps_s=60)
    deadline = time.monotonic() + 60
    while not (root / "seen.json").exists():
        assert job.poll() is None, job.stdout.read() if job.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.kill()
    seen = json.loads((root / "seen.json").read_text())
    with suppress(ProcessLookupError):
        os.kill(seen["pid"], signal.SIGKILL)  # nobody is left to end it: the runner would
    job.communicate()
    assert Path(seen["request"]).is_file()
    assert Path(seen["request"]).is_relative_to(runners)
    assert elsewhere(root) == []


def gettempdir(**environ: str) -> str:
    """Where a process puts its temporary files, and where one that it starts without saying anything does."""
    code = (
        "import os, subprocess, tempfile; from mlgate import temporary_files; temporary_files.keep_in_job(os.environ); "
        "print(tempfile.gettempdir(), os.environ.get('TMPDIR'), subprocess.check_output(['sh', '-c', 'echo $TMPDIR'], text=True))"
    )
    package = str(Path(temporary_files.__file__).parents[1])
    inherited = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
    finished = subprocess.run(
        [sys.executable, "-c", code], env={**inherited, "PYTHONPATH": package, **environ}, capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()


def test_who_names_another_folder_gets_it(tmp_path: Path, runners: Path) -> None:
    assert gettempdir(RUNNER_TEMP=str(runners)) == f"{runners} None {runners}"
    assert gettempdir(RUNNER_TEMP=str(runners), TMPDIR=str(tmp_path)) == f"{tmp_path} {tmp_path} {tmp_path}"
    for none in ("", "relative", str(tmp_path / "nowhere")):
        assert gettempdir(RUNNER_TEMP=none).split()[0] not in (none, str(runners))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_another_user_would_have_to_empty_is_left_alone(runners: Path) -> None:
    """In a job's container we are root, and the runner, whose folder it is, could not remove what is root's."""
    assert temporary_files.of_job({"RUNNER_TEMP": str(runners)}) == runners
    os.chown(runners, 12345, 12345)
    assert temporary_files.of_job({"RUNNER_TEMP": str(runners)}) is None
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": '{"type": "service_account"}', "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(runners)}
    credentials.hand_over(environ)
    assert list(runners.iterdir()) == []
    assert Path(environ["GOOGLE_APPLICATION_CREDENTIALS"]).is_relative_to(tempfile.gettempdir())
