"""`mlgate doctor` on the user's interpreter and commands, MLflow, and the machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from integration.doctor.diagnoses import examined, said, the_one
from support import MINIMAL_CONFIG, make_repository


def project(root: Path, command: str, more: str = "") -> Path:
    return make_repository(root, {"mlgate.yaml": MINIMAL_CONFIG.replace("python train.py", command) + more, "train.py": ""})


def test_the_interpreter_is_found_and_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "r", "python train.py")
    monkeypatch.setenv("MLGATE_USER_PYTHON", sys.executable)
    version = ".".join(map(str, sys.version_info[:3]))
    assert the_one(examined(root, "Your code"), "Python ").text == f"{sys.executable}: Python {version}"
    monkeypatch.setenv("MLGATE_USER_PYTHON", "no-such-python")
    finding = the_one(examined(root, "Your code"), "no-such-python")
    assert (finding.status, finding.exit_code) == ("problem", 2)


@pytest.mark.parametrize(
    ("command", "status", "text"),
    [
        ("bash train.sh", "ok", "train.command: bash train.sh"),
        ("A=1 B='' bash x", "ok", "train.command: A=1 B='' bash x"),
        ("cd src && bash x", "ok", "train.command: cd src && bash x"),
        ("python train.py", "ok", "train.command: python train.py"),
        ("torchrum train.py", "problem", "train.command: no program 'torchrum' on PATH"),
        ("./train.sh", "problem", "train.command: no program './train.sh' on PATH"),
        ("python trian.py", "problem", "train.command: no file 'trian.py'"),
        ("$(cat command)", "open", "train.command: '$(cat command)' is for the shell to take apart"),
    ],
)
def test_the_first_word_of_a_command_is_looked_for(tmp_path: Path, command: str, status: str, text: str) -> None:
    finding = the_one(examined(project(tmp_path / "r", f'"{command}"'), "Your code"), "train.command")
    assert (finding.status, finding.text) == (status, text)
    assert bool(finding.advice) == (status == "problem")


@pytest.mark.parametrize(
    ("command", "has_torchrun", "status", "text"),
    [
        ("train.py --epochs 3", True, "ok", "train.command: torchrun train.py --epochs 3"),
        ("python train.py", True, "ok", "train.command: torchrun train.py"),
        ("-m my.package", True, "ok", "train.command: torchrun -m my.package"),
        ("trian.py", True, "problem", "train.command: no file 'trian.py'"),
        ("-O train.py", True, "problem", "train.command: expected a script or '-m module' for torchrun to run"),
        ("train.py", False, "problem", "train.launcher: no program 'torchrun' on PATH"),
    ],
)
def test_what_torchrun_will_run_is_looked_for_as_torchrun_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, has_torchrun: bool, status: str, text: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", *(["torchrun"] if has_torchrun else [])):
        (programs / name).write_text("#!/bin/sh\necho Python 3.12.0\n")
        (programs / name).chmod(0o755)
    monkeypatch.delenv("MLGATE_USER_PYTHON", raising=False)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    root = project(tmp_path / "r", f"{command}, launcher: torchrun")
    finding = the_one(examined(root, "Your code"), text)
    assert finding.status == status
    assert finding.text.startswith(text)


def test_every_command_is_looked_at_and_none_is_run(tmp_path: Path) -> None:
    more = "checks: [touch a]\ndata: {prepare: touch b}\n"
    config = MINIMAL_CONFIG.replace("python train.py", "touch c").replace("  metrics:", "  predict: touch d\n  holdout: [h]\n  metrics:")
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config + more, "h": ""})
    lines = said(examined(root, "Your code"))
    for line in ("✓ checks[0]: touch a", "✓ data.prepare: touch b", "✓ train.command: touch c", "✓ evaluation.predict: touch d"):
        assert line in lines
    assert sorted(path.name for path in root.iterdir()) == [".git", "h", "mlgate.yaml"]


def test_a_gpu_is_for_information(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "r", "python train.py")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    program = programs / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 550.54'\n")
    program.chmod(0o755)
    assert "✓ GPU NVIDIA H100 80GB HBM3, 81559 MiB, driver 550.54" in said(examined(root, "Your code"))
    program.write_text("#!/bin/sh\nexit 9\n")
    assert the_one(examined(root, "Your code"), "nvidia-smi").status == "open"
    program.unlink()
    assert the_one(examined(root, "Your code"), "GPU").status in ("open", "ok")


@contextmanager
def mlflow(status: int = 200, version: str = "3.17.0") -> Iterator[str]:
    """What answers as an MLflow server does to the two questions that are asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = version.encode() if self.path == "/version" else b'{"experiments": []}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_an_mlflow_server_that_answers_is_named_with_its_version(tmp_path: Path) -> None:
    root = project(tmp_path / "r", "python train.py")
    with mlflow() as url:
        assert said(examined(root, "Runs", MLFLOW_TRACKING_URI=url)) == [f"✓ MLflow (MLFLOW_TRACKING_URI): {url} answers, version 3.17.0"]
    with mlflow(version="1.30.0") as url:
        [finding] = examined(root, "Runs", MLFLOW_TRACKING_URI=url)
        assert (finding.status, "1.30.0" in finding.text) == ("warning", True)


@pytest.mark.parametrize(("status", "exit_code", "text"), [(401, 2, "MLFLOW_TRACKING_TOKEN"), (503, 3, "cannot be reached")])
def test_an_mlflow_server_that_refuses_or_fails(tmp_path: Path, status: int, exit_code: int, text: str) -> None:
    root = project(tmp_path / "r", "python train.py")
    with mlflow(status) as url:
        [finding] = examined(root, "Runs", MLFLOW_TRACKING_URI=url)
    assert (finding.status, finding.exit_code) == ("problem", exit_code)
    assert text in finding.text


def test_no_mlflow_server_is_no_problem_and_a_wrong_address_is(tmp_path: Path) -> None:
    root = project(tmp_path / "r", "python train.py")
    assert [finding.status for finding in examined(root, "Runs")] == ["open"]
    [finding] = examined(root, "Runs", MLFLOW_TRACKING_URI="htp://x")
    assert (finding.status, finding.exit_code) == ("problem", 2)
    [finding] = examined(root, "Runs", MLFLOW_TRACKING_URI="http://ada:hunter2@127.0.0.1:9")
    assert (finding.exit_code, "hunter2" in finding.text) == (3, False)


def test_the_machine_has_what_a_runner_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = examined(tmp_path, "This machine")
    assert {finding.status for finding in findings} <= {"ok", "warning"}
    assert [part for part in ("mlgate ", "git version", "bash at", "GB free") if not any(part in one.text for one in findings)] == []
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = {finding.text.split()[0] for finding in examined(tmp_path, "This machine") if finding.status == "problem"}
    assert problems == {"git:", "no"}
