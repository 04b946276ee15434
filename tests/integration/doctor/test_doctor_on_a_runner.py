"""`mlgate doctor` in a job: with the job's token where the checkout kept none, and with the secret the job hands over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_server import GitServer, git_server
from integration.doctor.diagnoses import OURS, examined, the_one
from support import MINIMAL_CONFIG, git, make_repository

TOKEN = "ghs_plantedTokenThatMustNeverShow"
SECRET = "hunter2-of-the-data"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A company's server with a private repository."""
    (tmp_path / "www/o").mkdir(parents=True)
    git(tmp_path / "www/o", "init", "--quiet", "--bare", "r")
    with git_server(tmp_path / "www", TOKEN) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, server: GitServer) -> Path:
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG})
    git(root, "remote", "add", "origin", f"{server.url}/o/r")
    git(root, "push", "--quiet", str(tmp_path / "www/o/r"), "main")
    return root


def job(server: GitServer, **more: str) -> dict[str, str]:
    return {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": server.url, **more}


def test_the_jobs_token_opens_a_private_origin(root: Path, server: GitServer) -> None:
    findings = examined(root, "Git", **job(server, MLGATE_GITHUB_TOKEN=TOKEN))
    assert the_one(findings, f"origin {server.url}/o/r answers").status == "ok"


def test_without_one_it_says_that_origin_does_not_answer(root: Path, server: GitServer) -> None:
    finding = the_one(examined(root, "Git", **job(server)), "origin")
    assert (finding.status, finding.exit_code) == ("problem", 3)


def test_no_other_server_is_given_the_token(root: Path, server: GitServer) -> None:
    examined(root, "Git", **job(server, MLGATE_GITHUB_TOKEN=TOKEN, GITHUB_SERVER_URL="http://localhost:9", MLGATE_STORE_URL=str(root)))
    assert server.seen
    assert [header for headers in server.seen for header in headers] == []


def doctor_command(root: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "mlgate.cli", "doctor"]
    return subprocess.run(command, cwd=root, env={**clean, **environ}, capture_output=True, text=True, check=False)


def test_the_secret_of_the_data_is_used_and_never_shown(root: Path, server: GitServer) -> None:
    tracking = server.url.replace("://", f"://ada:{SECRET}@")
    ended = doctor_command(root, job(server, MLGATE_SECRET_ENV=f"MLFLOW_TRACKING_URI={tracking}\nOTHER={SECRET}2\n"))

    shown = [line for line in ended.stdout.splitlines() if not line.startswith("::add-mask::")]
    assert f"::add-mask::{SECRET}2" in ended.stdout.splitlines()
    assert [line for line in shown if "MLflow" in line and server.url.partition("://")[2] in line], ended.stdout
    assert SECRET not in "\n".join(shown) + ended.stderr


def test_a_mistake_in_the_secret_ends_it_without_a_word_of_it(root: Path, server: GitServer) -> None:
    ended = doctor_command(root, {"MLGATE_SECRET_ENV": f"A=1\n{SECRET}\n"})

    assert ended.returncode == 2
    assert ended.stderr.startswith("✗ secret env: line 2: expected KEY=value")
    assert SECRET not in ended.stdout + ended.stderr
