"""Where Spark runs: a standalone cluster of two workers, this machine under the command line, and places that do not answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlgate.drift import multivariate, profile, spark_profile, spark_sample
from mlgate.errors import InfrastructureError, InputError
from mlgate.tables import scan as on_one_machine
from mlgate.tables import spark
from spark_cases import CUSTOMERS, JAVA_OPTIONS, SMALL, assert_same_profiles, at, customers_at, of_polars, of_spark, skip_without_java, told
from support import make_repository


@pytest.fixture(scope="module", autouse=True)
def java() -> None:
    skip_without_java()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A standalone master and two workers of one core each."""
    import pyspark

    home = Path(pyspark.__file__).parent
    master = f"spark://127.0.0.1:{free_port()}"
    port, shown = master.rpartition(":")[2], str(free_port())
    place = "org.apache.spark.deploy"
    commands = [[f"{place}.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", shown]]
    for name in ("one", "two"):
        own = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / name), "--webui-port", str(free_port())]
        commands.append([f"{place}.worker.Worker", "--host", "127.0.0.1", *own, master])
    environ = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    processes = []
    try:
        for command in commands:
            with (folder / f"{len(processes)}.log").open("wb") as log:
                processes.append(subprocess.Popen([home / "bin/spark-class", *command], env=environ, stdout=log, stderr=log, cwd=folder))
            wait_for(lambda: connects(int(port)), processes[0])
        wait_for(lambda: (folder / "0.log").read_text().count("Registering worker") == 2, processes[0])
        yield master
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(20)


def connects(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def wait_for(is_there: Callable[[], bool], process: subprocess.Popen[bytes], limit_s: float = 120) -> None:
    for _ in range(int(limit_s / 0.1)):
        if is_there():
            return
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("not there in time")


def test_a_cluster_of_two_workers_says_of_20_000_partitioned_rows_what_polars_says(tmp_path: Path) -> None:
    customers_at(tmp_path, 20_000)
    expected = of_polars(tmp_path, "customers", CUSTOMERS, ("plans.csv",))
    profiled = profile.of_table(on_one_machine.scan(tmp_path, "customers"))
    assert len(expected.broken) >= 6
    assert len(expected.warned) == 1
    with cluster(tmp_path) as master, at(master, **{"spark.executor.memory": "512m", "spark.driver.host": "127.0.0.1"}) as opened:
        assert opened.session.sparkContext.master == master
        assert told(of_spark(opened, tmp_path, "customers", CUSTOMERS, ("plans.csv",))) == told(expected)
        assert_same_profiles(profiled, spark_profile.of_table(spark.scan(opened, tmp_path, "customers")))
        sampled = spark_sample.of_table(spark.scan(opened, tmp_path, "customers"), 20_000, list(profiled.columns))
        assert multivariate.MOST_ROWS * 0.97 < sampled.height < multivariate.MOST_ROWS * 1.03


def test_validate_data_runs_on_spark_where_mlgate_yaml_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    config = (
        "model: m\ntrain: {command: 'true'}\nevaluation: {task: regression, predictions: p.csv, metrics: [rmse]}\n"
        "data:\n  engine: spark\n  contracts:\n    - {data: t.csv, columns: {id: {type: integer, unique: true}, x: {range: [0, 100]}}}\n"
    )
    root = make_repository(tmp_path / "r", {"mlgate.yaml": config, "t.csv": "id,x\n1,2\n1,500\n"})
    for name in ("tmp", "conf"):
        (tmp_path / name).mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in SMALL.items()))
    environ = {**os.environ, "MLGATE_SPARK_MASTER": "local[1]", "TMPDIR": str(tmp_path / "tmp"), "SPARK_CONF_DIR": str(tmp_path / "conf")}
    environ.pop("SPARK_REMOTE", None)
    command = [sys.executable, "-m", "mlgate.cli", "validate-data"]
    finished = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=240, check=False)
    said = finished.stdout + finished.stderr
    assert finished.returncode == 1, said
    assert "t.csv breaks its contract: id not unique in 2 of 2 rows, and 1 more broken rule" in said
    assert not any(word in said for word in ("WARN", "ERROR", "SLF4J", "Traceback", "incubator"))
    (findings,) = json.loads((root / ".mlgate/m/evidence/validate-data.json").read_text())["findings"]["contracts"]
    assert (findings["engine"], [rule["rows"] for rule in findings["broken"]]) == ("spark", [2, 1])
    assert not list((tmp_path / "tmp").glob("mlgate-spark-*"))
    assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in each.read_bytes()]


def test_without_java_or_pyspark_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setenv("MLGATE_SPARK_MASTER", "local[1]")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"^engine: spark needs Java 17 or newer \(.*\); found none in JAVA_HOME="), spark.session():
        pass
    monkeypatch.setenv("MLGATE_SPARK_MASTER", "mesos://host")
    with pytest.raises(InputError, match=r"^Spark's master 'mesos://host': expected local\[\*\], spark://host:port"), spark.session():
        pass
    monkeypatch.setenv("SPARK_REMOTE", "host:15002/;token=secret")
    with pytest.raises(InputError, match=r"^SPARK_REMOTE 'host:15002/': expected sc://host:port$"), spark.session():
        pass


def test_a_master_that_is_not_there_is_one_line_and_at_once() -> None:
    started = time.monotonic()
    with (
        pytest.raises(InfrastructureError, match=r"^Spark at spark://127.0.0.1:\d+ cannot be reached: Connection refused$"),
        at(f"spark://127.0.0.1:{free_port()}"),
    ):
        pass
    assert time.monotonic() - started < 15


def test_a_cluster_that_gives_no_worker_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never says anything."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.delenv("SPARK_REMOTE", raising=False)
        monkeypatch.setenv("MLGATE_SPARK_MASTER", f"spark://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(InfrastructureError, match=r"no first answer within 8 s"), spark.session(SMALL, start_limit_s=8):
            pass
