"""The process that writes to MLflow: `python -m mlgate.registry.recorder`, one JSON request a line in, one answer a line out.

A process of its own, because MLflow takes seconds to import and SQLite seconds to set up, while the training runs already. When
its input ends before a run was finished, whoever started it is gone: the run is marked as killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import posixpath
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# MLflow imports these where they are installed and needs none of them to write runs: more than a second.
_NOT_NEEDED = ("pandas", "polars", "scipy", "matplotlib")
_BATCH = 100


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    _import_mlflow()
    recorder = _Recorder()
    for line in sys.stdin:
        try:
            answer = recorder.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 -- whatever a store or a client raises is the answer
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:1_000]}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), file=answers, flush=True)
    recorder.close()
    os._exit(0)  # nothing to clean up, and somebody waits


class _Recorder:
    def __init__(self) -> None:
        self._client: Any = None
        self._open_run: str | None = None

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "start":
                return self._start(request)
            case "finish":
                return self._finish(request)
            case _:
                return self._log(request)

    def close(self) -> None:
        if self._open_run:
            self._client.set_terminated(self._open_run, status="KILLED")

    def _start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with _alone(request.get("artifacts")):
            self._connect(request["tracking_uri"])
            experiment_id = self._experiment(request["experiment"], request.get("artifacts"))
        run = self._client.create_run(experiment_id, run_name=request["name"], tags=_texts(request["tags"], 5_000))
        self._open_run = run_id = run.info.run_id
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in _texts(request["params"], 6_000).items()]
        for first in range(0, len(params), _BATCH):
            self._client.log_batch(run_id, params=params[first : first + _BATCH])
        return {"run_id": run_id, "experiment_id": experiment_id}

    def _log(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Metrics, tags and files of a run."""
        self._connect(request["tracking_uri"])
        run_id = request["run_id"]
        from mlflow.entities import Metric, RunTag

        now_ms = int(time.time() * 1000)
        metrics = [Metric(_name(key), value, now_ms, 0) for key, value in request["metrics"].items() if math.isfinite(value)]
        tags = [RunTag(key, value) for key, value in _texts(request["tags"], 5_000).items()]
        for first in range(0, max(len(metrics), len(tags)), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[first : first + _BATCH], tags=tags[first : first + _BATCH])
        for path, folder in request["files"]:
            self._client.log_artifact(run_id, path, folder or None)
        return {}

    def _finish(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._log(request)
        finally:
            self._client.set_terminated(request["run_id"], status=request["status"])
            self._open_run = None

    def _connect(self, uri: str) -> None:
        if self._client is not None:
            return
        if uri.startswith("sqlite:///"):
            _set_up(Path(uri.removeprefix("sqlite:///")))
        os.environ["MLFLOW_TRACKING_URI"] = uri
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = Path(artifacts).as_uri() if artifacts else None
            try:
                return str(self._client.create_experiment(name, artifact_location=location))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)  # another run was faster
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise ValueError(f"the experiment '{name}' is deleted; restore it with 'mlflow experiments restore -x {found.experiment_id}'")
        return str(found.experiment_id)


def _set_up(file: Path) -> None:
    """Make a database of MLflow's where there is none: aside, since one that was killed half-made is refused for ever."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    aside = file.with_name(f".{file.name}.setup")
    shutil.rmtree(aside, ignore_errors=True)  # of one that was killed
    aside.mkdir()
    store = SqlAlchemyStore(f"sqlite:///{aside / file.name}", default_artifact_root="./mlruns")  # type: ignore[no-untyped-call]
    store.engine.dispose()
    (aside / file.name).replace(file)
    aside.rmdir()


def _import_mlflow() -> None:
    """While nobody waits yet. What is wrong with it is said in the answer to the first request."""
    for name in _NOT_NEEDED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    with contextlib.suppress(ImportError):
        import mlflow  # noqa: F401


@contextlib.contextmanager
def _alone(artifacts: str | None) -> Iterator[None]:
    """Two runs that set up the same SQLite file at the same time would break it."""
    if artifacts is None:
        yield
        return
    folder = Path(artifacts).parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _texts(values: Mapping[str, Any], limit: int) -> dict[str, str]:
    """Names and texts as MLflow takes them."""
    return {_name(key): str(value)[:limit] for key, value in values.items()}


def _name(key: str) -> str:
    """A name MLflow takes: of a few characters only, and no path that could mean another."""
    name = re.sub(r"[^\w\-. /:]", "_", key, flags=re.ASCII)[:250].strip() or "_"
    return name if posixpath.normpath(name) == name and not name.startswith((".", "/")) else re.sub(r"[./]", "_", name)


if __name__ == "__main__":
    main()
