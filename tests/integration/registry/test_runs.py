"""Runs are written to MLflow by a process beside ours. Real MLflow on SQLite."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from mlgate.errors import InfrastructureError
from mlgate.registry import runs, tracking


def rows(root: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(root / ".mlgate" / "mlflow" / "mlflow.db") as database:
        found = list(database.execute(query))
    database.close()
    return found


def start(root: Path, recorder: runs.Recorder, **params: str) -> runs.StartedRun:
    place = tracking.resolve(None, {}, root)
    return runs.start(recorder, place, experiment="digits", name="n", params=params, tags={"a tag": "t" * 6_000})


def test_a_run_from_start_to_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "nowhere"))
    (tmp_path / "mlflow.py").write_text("raise SystemExit('the working directory must not be imported from')\n")
    file = tmp_path / "predictions.parquet"
    file.write_bytes(b"PAR1")
    began = time.monotonic()
    hostile = {
        "a/../b": "1",
        "x$(touch y)": "2",
        "../../up": "3",
        "né": "4",
        "": "5",
        "k" * 300: "v" * 7_000,
        **{f"p{i}": "0" for i in range(250)},
    }
    started = start(tmp_path, runs.Recorder(tmp_path), **hostile)
    assert time.monotonic() - began < 1  # nothing waits for MLflow
    run = started.finish(
        "FINISHED", metrics={"train.duration_s": 1.5}, tags={"dvc.lock.sha256": "ab"}, files=[(file, "train"), (tmp_path / "no", "")]
    )
    assert run.experiment == "digits"
    assert rows(tmp_path, "select status, name from runs") == [("FINISHED", "n")]
    assert dict(rows(tmp_path, "select key, value from params where key not like 'p%'"))["a____b"] == "1"
    assert rows(tmp_path, "select count(*) from params") == [(256,)]
    assert [path.name for path in (tmp_path / ".mlgate" / "mlflow" / "artifacts").rglob("*.parquet")] == ["predictions.parquet"]

    place = tracking.resolve(None, {}, tmp_path)
    began = time.monotonic()
    pending = runs.log_evaluation(place.uri, run.run_id, {"accuracy": 0.9, "nothing": float("nan")}, [file])
    pending.wait()
    assert time.monotonic() - began < 2  # MLflow was imported already
    again = runs.log_evaluation(place.uri, run.run_id, {"accuracy": 0.95}, [])  # and so it goes in a process of its own
    again.wait()
    assert rows(tmp_path, "select key, value from latest_metrics where key not like 'train%'") == [("accuracy", 0.95)]
    assert (tmp_path / ".mlgate" / "mlflow" / "artifacts" / run.run_id / "artifacts" / "evaluation" / file.name).is_file()


def test_a_run_that_is_not_finished_is_marked_as_killed(tmp_path: Path) -> None:
    recorder = runs.Recorder(tmp_path)
    start(tmp_path, recorder).describe()
    assert rows(tmp_path, "select status from runs") == [("RUNNING",)]
    recorder.close()
    assert rows(tmp_path, "select status from runs") == [("KILLED",)]


def test_whoever_pressed_ctrl_c_waits_for_no_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = tracking.resolve(None, {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{silent.getsockname()[1]}"}, tmp_path)
        recorder = runs.Recorder(tmp_path)
        runs.start(recorder, place, experiment="digits", name="a run", params={}, tags={})
        began = time.monotonic()
        recorder.let_go(0.2)
        assert time.monotonic() - began < 2
        os.kill(recorder.pid, 0)  # it is still at it, and will mark the run as killed
        recorder.close(is_forced=True)


def test_two_runs_may_set_up_the_same_file_at_once(tmp_path: Path) -> None:
    recorders = [runs.Recorder(tmp_path) for _ in range(2)]
    for run in [start(tmp_path, recorder) for recorder in recorders]:
        run.finish("FINISHED", metrics={}, tags={})
    assert rows(tmp_path, "select status from runs") == [("FINISHED",), ("FINISHED",)]


def test_a_run_killed_while_it_sets_up_the_file_leaves_none_that_is_half_made(tmp_path: Path) -> None:
    recorder = runs.Recorder(tmp_path)
    start(tmp_path, recorder)
    until = time.monotonic() + 30
    while not any(path.stat().st_size >= 200_000 for path in tmp_path.rglob("mlflow.db")) and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(recorder.pid, 9)
    recorder.close(is_forced=True)
    start(tmp_path, runs.Recorder(tmp_path)).finish("FINISHED", metrics={}, tags={})
    assert rows(tmp_path, "select status from runs where status = 'FINISHED'") == [("FINISHED",)]
    assert [path.name for path in (tmp_path / ".mlgate" / "mlflow").glob(".*.setup")] == []


def test_what_mlflow_refuses_is_one_line(tmp_path: Path) -> None:
    place = tracking.resolve(None, {}, tmp_path)
    with pytest.raises(InfrastructureError, match="MLflow did not take the run: ") as error:
        runs.log_evaluation(place.uri, "0" * 32, {"accuracy": 1.0}, []).wait()
    assert "\n" not in str(error.value)


def test_a_recorder_that_dies_is_said(tmp_path: Path) -> None:
    recorder = runs.Recorder(tmp_path)
    started = start(tmp_path, recorder)
    os.kill(recorder.pid, 9)
    with pytest.raises(InfrastructureError, match="it did not answer"):
        started.describe()
