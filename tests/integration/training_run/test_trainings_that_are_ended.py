"""A training that is cancelled, whose machine goes, that is one of several: what is left of it. Real processes, signals and MLflow."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from mlgate import evidence as records
from mlgate import process
from mlgate.evidence import Evidence, TrainFindings
from support import make_repository

sys.path.insert(0, str(Path(__file__).parent))
from metadata_server import cloud

SCRIPTS = Path(process.__file__).parents[2]
TRAIN = """\
import json, os, pathlib, signal, sys, time

folder = pathlib.Path(os.environ["MLGATE_CHECKPOINTS"])
step = int((folder / "step").read_text()) if (folder / "step").exists() else 0
begun_at = step

def save(*_):
    (folder / "step.tmp").write_text(str(step))
    (folder / "step.tmp").rename(folder / "step")
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
while step < 600:
    step += 1
    print(f"step {step}/600 loss={1 / step:.4f}", flush=True)
    if step == begun_at + 5:
        print("::endgroup::")
        pathlib.Path("begun").write_text("begun\\n")
    time.sleep(0.02)
"""
CONFIG = """\
model: digits
train:
  command: |
    python3 train.py
    echo never
  checkpoints: {path: checkpoints, store: ../kept}
  reuse: false
  grace: 8
evaluation: {task: classification, predictions: predictions.csv, metrics: [accuracy]}
"""


ON_GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "job", {"mlgate.yaml": CONFIG, "train.py": TRAIN, ".gitignore": "checkpoints\nbegun\n"})


@contextmanager
def training(root: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`mlgate train`, once its command has begun."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_", "MLFLOW_"))}
    # a shell that starts the tests in the background has them ignore Ctrl-C
    heeded = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeded}; from mlgate.cli import main; sys.exit(main(['train']))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        env={**kept, "PYTHONPATH": str(SCRIPTS), "HOME": str(root.parent), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as ours:
        deadline = time.monotonic() + 60
        while not (root / "begun").exists() and time.monotonic() < deadline and ours.poll() is None:
            time.sleep(0.02)
        yield ours


def mlflow_says(root: Path, status: str) -> bool:
    """Whether MLflow has this run so, which its recorder writes after `mlgate` has gone."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(root / ".mlgate" / "mlflow" / "mlflow.db")) as database:
            if list(database.execute("select status from runs")) == [(status,)]:
                return True
        time.sleep(0.1)
    return False


def evidence(root: Path) -> tuple[Evidence[TrainFindings], TrainFindings]:
    found = records.load(root / ".mlgate" / "digits" / "evidence" / "train.json", "train")
    assert found.findings is not None, found.summary
    return found, found.findings


def test_a_cancelled_training_keeps_its_checkpoint_and_all_that_is_known(root: Path) -> None:
    with training(root, **ON_GITHUB) as ours:
        ours.send_signal(signal.SIGINT)  # as GitHub does, and 7.5 s later SIGTERM: no second signal is waited for
        began = time.monotonic()
        said, _ = ours.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert ours.returncode == 3, said
    assert seconds < 9.5, said
    found, findings = evidence(root)
    assert (found.status, found.exit_code, findings.ended_by) == ("error", 3, "SIGINT")
    assert found.summary.startswith("interrupted by SIGINT: 'python3 train.py echo never' was ended; the checkpoint")
    assert findings.run is not None
    assert "step 5/600" in findings.run.tail
    assert "never" not in findings.run.tail
    assert findings.progress is not None
    assert (findings.progress.total, findings.progress.unit) == (600, "step")
    assert findings.checkpoints is not None
    assert findings.checkpoints.last is not None
    assert findings.checkpoints.last.unit == "step"
    saved = int((root / "checkpoints" / "step").read_text())
    assert 5 <= saved < 600
    assert findings.account is not None
    assert mlflow_says(root, "KILLED")
    lines = said.splitlines()
    opened, closed = lines.index("::group::training"), lines.index("::endgroup::")
    assert opened < lines.index("step 1/600 loss=1.0000") < lines.index(": :endgroup::") < closed


def test_a_training_whose_machine_goes_saves_and_ends(root: Path) -> None:
    with cloud() as said, training(root, **ON_GITHUB, MLGATE_SPOT="aws", MLGATE_SPOT_ENDPOINT=said.endpoint) as ours:
        said.instance_action = {"action": "terminate", "time": "2026-11-22T03:10:30Z"}
        told, _ = ours.communicate(timeout=60)
    assert ours.returncode == 3, told
    assert "! AWS: terminate at 2026-11-22T03:10:30Z; the training is asked to save and to end" in told
    found, findings = evidence(root)
    assert (found.status, findings.ended_by) == ("error", "spot notice")
    assert "this machine is taken away (spot notice); the checkpoint of step " in found.summary
    assert " is kept; run the job again, it goes on from there" in found.summary
    assert findings.checkpoints is not None
    assert findings.checkpoints.last is not None
    assert int((root / "checkpoints" / "step").read_text()) >= 5


def test_one_of_several_machines_leaves_its_rank_and_no_run_in_mlflow(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "torchrun"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')  # what torchrun does with it is shown by `make test-torch`
    program.chmod(0o755)
    config = (
        "model: digits\ntrain:\n  command: python train.py\n  launcher: torchrun\n  torchrun: {nodes: 2, rendezvous: 'a:1'}\n"
        + CONFIG.splitlines(keepends=True)[-1]
    )
    root = make_repository(tmp_path / "job", {"mlgate.yaml": config, "train.py": ""})
    environ = {"PATH": f"{program.parent}:{os.environ['PATH']}", "MLGATE_NODE_RANK": "1", "MLGATE_RENDEZVOUS_ID": "digits-7"}
    with training(root, **environ) as ours:
        said, _ = ours.communicate(timeout=60)
    assert ours.returncode == 0, said
    found, findings = evidence(root)
    assert (found.status, findings.node_rank, findings.mlflow) == ("passed", 1, None)
    assert findings.run is not None
    assert findings.run.command == (
        "torchrun --nnodes=2 --node-rank=1 --rdzv-backend=static --rdzv-endpoint=a:1 --rdzv-id=digits-7 --nproc-per-node=1 train.py"
    )
    assert not (root / ".mlgate" / "mlflow").exists()
    assert json.loads((root / ".mlgate" / "digits" / "evidence" / "train.json").read_text())["findings"]["node_rank"] == 1
