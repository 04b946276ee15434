"""Training that fails, takes too long or has nowhere to be recorded."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from integration.mistakes.commands import PLANTED, evidence_of, mlgate, refused, stopped

Make = Callable[..., Path]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_mlflow_server_that_cannot_be_reached_is_noticed_before_training(repository: Make) -> None:
    root = repository()
    address = f"127.0.0.1:{closed_port()}"
    line = refused(root, "train", code=3, MLFLOW_TRACKING_URI=f"http://ada:{PLANTED}@{address}")
    assert line.startswith(f"MLFLOW_TRACKING_URI: the MLflow server http://{address} cannot be reached (")
    assert line.endswith("; nothing was trained")
    assert not (root / "trained").exists()


def test_a_place_for_runs_that_is_none(repository: Make) -> None:
    root = repository("mlflow: {tracking_uri: 'ftp://runs'}\n")
    assert refused(root, "train", code=2).startswith("mlflow.tracking_uri: 'ftp://runs' is no place for runs; expected http(s)://host")
    assert not (root / "trained").exists()


def test_a_training_command_that_fails_closes_the_gate(repository: Make) -> None:
    root = repository(**{"train.py": "import sys\nprint('epoch 1')\nsys.exit('the GPU is on strike')\n"})
    line = stopped(root, "train", code=1)
    assert line.endswith("train.py' failed (exit 1): the GPU is on strike")
    assert not (root / ".mlgate" / "digits" / "evidence" / "evaluate.json").exists()


def test_a_training_command_that_takes_too_long(repository: Make) -> None:
    root = repository(**{"train.py": "import time\nprint('epoch 1', flush=True)\ntime.sleep(60)\n"})
    config = root / "mlgate.yaml"
    config.write_text(config.read_text().replace("timeout: 20s", "timeout: 1s"))
    line = refused(root, "train", code=1)
    assert line.endswith("train.py' took longer than 1 s and was ended: epoch 1")
    assert evidence_of(root, "train")["findings"]["run"]["is_timed_out"] is True


def test_a_check_that_fails_ends_the_run_before_training(repository: Make) -> None:
    root = repository("checks: ['echo 1 failed, 3 passed; exit 1', 'touch second']\n")
    assert stopped(root, "check", code=1) == "'echo 1 failed, 3 passed; exit 1' failed (exit 1): 1 failed, 3 passed"
    assert not (root / "second").exists()
    assert not (root / "trained").exists()


def test_what_a_command_prints_of_our_token_is_kept_nowhere(repository: Make) -> None:
    root = repository("checks: ['env; exit 1']\n")
    assert mlgate(root, "check", MLFLOW_TRACKING_TOKEN="").code == 1
