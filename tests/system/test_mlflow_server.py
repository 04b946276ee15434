"""Training recorded on a real MLflow tracking server: seen as running meanwhile, complete afterwards, files through the server's proxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgate import stages
from mlgate.evidence import Evidence, TrainFindings
from mlgate.registry import runs, tracking
from mlgate.workspace import Workspace
from support import git, make_repository

CONFIG = """\
model: digits
train: {command: 'echo epoch 1; while [ ! -e go ]; do sleep 0.1; done; exit $(cat go)', timeout: 2m, params: [params.yaml]}
evaluation: {task: classification, predictions: predictions.csv, metrics: [accuracy]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
            ],
            cwd=folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=1):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def root(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{server}/")
    return make_repository(tmp_path, {"mlgate.yaml": CONFIG, "params.yaml": "lr: 0.1\n", ".gitignore": "go\n"})


def ask(server: str, path: str, **body: object) -> dict[str, object]:
    request = urllib.request.Request(
        f"{server}/api/2.0/mlflow/{path}", data=json.dumps(body).encode() if body else None, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())  # type: ignore[no-any-return]


def states(server: str) -> list[str]:
    experiments = ask(server, "experiments/search?max_results=100").get("experiments", [])
    ids = [experiment["experiment_id"] for experiment in experiments if experiment["name"] == "digits"]  # type: ignore[attr-defined]
    if not ids:
        return []
    return [run["info"]["status"] for run in ask(server, "runs/search", experiment_ids=ids).get("runs", [])]  # type: ignore[attr-defined]


def train(root: Path) -> Evidence[TrainFindings]:
    return stages.run("train", Workspace.open(root, "mlgate.yaml", os.environ))


def test_a_run_is_seen_while_it_goes_on_and_complete_when_it_has_ended(root: Path, server: str) -> None:
    found: list[Evidence[TrainFindings]] = []
    thread = threading.Thread(target=lambda: found.append(train(root)))
    thread.start()
    deadline = time.monotonic() + 60
    while states(server) != ["RUNNING"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert states(server) == ["RUNNING"]
    (root / "go").write_text("0\n")
    thread.join(60)
    (evidence,) = found
    assert evidence.status == "passed", evidence.summary
    assert evidence.findings is not None
    recorded = evidence.findings.mlflow
    assert recorded is not None
    assert recorded.url
    assert recorded.url.startswith(f"{server}/#/experiments/")
    run = ask(server, f"runs/get?run_id={recorded.run_id}")["run"]
    assert run["info"]["status"] == "FINISHED"  # type: ignore[index]
    assert {param["key"]: param["value"] for param in run["data"]["params"]} == {"lr": "0.1"}  # type: ignore[index]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}  # type: ignore[index]
    assert tags["mlflow.source.git.commit"] == git(root, "rev-parse", "HEAD")

    place = tracking.resolve(None, os.environ, root)
    runs.log_evaluation(place.uri, recorded.run_id, {"accuracy": 0.97}, [root / "params.yaml"]).wait()
    run = ask(server, f"runs/get?run_id={recorded.run_id}")["run"]
    assert {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}["accuracy"] == 0.97  # type: ignore[index]
    listed = ask(server, f"artifacts/list?run_id={recorded.run_id}&path=evaluation")["files"]
    assert [file["path"] for file in listed] == ["evaluation/params.yaml"]  # type: ignore[attr-defined]


def test_a_failed_training_is_a_failed_run(root: Path, server: str) -> None:
    (root / "go").write_text("7\n")
    evidence = train(root)
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.findings is not None
    assert evidence.findings.mlflow is not None
    run = ask(server, f"runs/get?run_id={evidence.findings.mlflow.run_id}")["run"]
    assert run["info"]["status"] == "FAILED"  # type: ignore[index]
    assert {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}["train.exit_code"] == 7  # type: ignore[index]
