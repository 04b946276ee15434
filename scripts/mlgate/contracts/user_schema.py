"""Program for the user's interpreter: a schema written in Python, applied with the pandas and pandera found there.

Called with the paths of a request and an answer, both JSON. It runs code of the pull request, so never in a job that holds a write token.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """What the user has to change."""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Findings of `pandera_run.check`, or `error` with what the user has to change."""
    try:
        import pandera  # noqa: F401 -- asked for here so that its absence is said in words
    except ImportError as error:
        return {"error": f"{request['schema']}: {error.name} is not installed for {sys.executable}; install pandera[pandas] there"}
    here = Path(__file__).parent
    pandera_run, tables = _module(here / "pandera_run.py", "mlgate_pandera_run"), _module(here / "tables.py", "mlgate_tables")
    try:
        schema = _schema(request["schema"], request["name"])
        frame = tables.read(Path(request["data"]))
        return dict(pandera_run.check(frame, schema, request["is_showing_values"]))
    except tables.UnreadableTableError as error:
        return {"error": f"{request['data']}: {error}"}
    except (RefusedError, ValueError) as error:
        return {"error": f"{request['schema']}: {error}"}


def _schema(path: str, name: str) -> Any:
    try:
        module = _module(Path(path), Path(path).stem)
    except Exception as error:  # noqa: BLE001 -- whatever the user's module raises is theirs to read
        where = next(
            (f", line {frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__)) if frame.filename.endswith(path)), ""
        )
        if isinstance(error, SyntaxError) and error.lineno:
            where = f", line {error.lineno}"
        raise RefusedError(f"cannot be imported{where}: {type(error).__name__}: {' '.join(str(error).split())}") from None
    found = getattr(module, name, None)
    if found is None:
        near = difflib.get_close_matches(name, [known for known in vars(module) if not known.startswith("_")], n=1)
        raise RefusedError(f"has no '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    if isinstance(found, type) and hasattr(found, "to_schema"):
        try:
            found = found.to_schema()
        except Exception as error:  # noqa: BLE001 -- pandera raises many kinds for a model it cannot make sense of
            raise RefusedError(f"{name} is no valid model: {type(error).__name__}: {' '.join(str(error).split())}") from None
    if type(found).__name__ != "DataFrameSchema" or ".polars." in type(found).__module__:
        raise RefusedError(f"{name} is no pandera model for pandas; expected a DataFrameModel or DataFrameSchema of pandera.pandas")
    return found


def _module(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(answer(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))), encoding="utf-8")
