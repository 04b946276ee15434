"""Runs the user's own metrics under the user's interpreter: `python user_metric.py request.json answer.json`.

Nothing of mlgate is imported here, and nothing but the standard library unless the user has NumPy; any Python from 3.8 runs it.
The arrays come and go as raw files beside the request, because a million numbers in JSON take seconds.
"""

from __future__ import annotations

import array
import importlib
import importlib.util
import inspect
import json
import math
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

try:
    np: Any = importlib.import_module("numpy")
except ImportError:
    np = None


ABOUT_CODE = (ImportError, NameError, SyntaxError)

DRAWS = 400
BLOCKS = 1000
"""Fewer examples than this, and nothing is promised of a single number's interval: stats/resampled.py."""


class RefusedError(Exception):
    """A message for the user that needs no exception type in front."""


def main(request_path: str, answer_path: str) -> None:
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    data = Data(request)
    answers: list[dict[str, Any]] = []
    for place, (path, name) in enumerate(request["metrics"]):
        try:
            answers.append(measure(data, path, name, Path(request["folder"], f"values-{place}"), request["resampling"].get(str(place))))
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever the user's code raises becomes the user's message
            answers.append({"error": said(error, path, request["is_showing_values"])})
    Path(answer_path).write_text(json.dumps({"metrics": answers}), encoding="utf-8")


class Data:
    """Targets, predictions and probabilities as the user's functions want them: NumPy arrays, or lists where there is no NumPy."""

    def __init__(self, request: dict[str, Any]) -> None:
        folder = Path(request["folder"])
        kind = "d" if request["classes"] is None else "q"
        self.n: int = request["n"]
        self.is_showing_values: bool = request["is_showing_values"]
        self.target = labels(read(folder / "target", kind), request["classes"])
        self.prediction = labels(read(folder / "prediction", kind), request["classes"])
        width = request["score_width"]
        self.score = rows(read(folder / "score", "d"), width) if width else None
        self.groups: list[Any] = []
        order, start = read(folder / "order", "q"), 0
        for size in request["group_sizes"]:
            self.groups.append(order[start : start + size])
            start += size

    def of(self, index: Any) -> tuple[Any, Any, Any]:
        """Everything, or the rows at some positions."""
        if index is None:
            return self.target, self.prediction, self.score
        return take(self.target, index), take(self.prediction, index), None if self.score is None else take(self.score, index)


def measure(data: Data, path: str, name: str, values_path: Path, resampling: dict[str, Any] | None) -> dict[str, Any]:
    """What one function finds: on everything, and on each group where it gives a single number, and where asked, on resamples."""
    function = load(path, name)
    takes_score = any(p.name == "y_score" or p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())

    def call(index: Any = None) -> Any:
        target, prediction, score = data.of(index)
        return function(target, prediction, y_score=score) if takes_score else function(target, prediction)

    found: dict[str, Any] = dict.fromkeys(("value", "groups", "undefined", "resampled"))
    found["better"] = getattr(function, "better", None)
    number, many = numbers(call(), data.n)
    if many is not None:
        values_path.write_bytes(array.array("d", many).tobytes())
        return found
    on_groups: list[float | None] = []
    for index in data.groups:
        try:
            on_group, _ = numbers(call(index), None)
            on_groups.append(on_group)
        except Exception as error:  # noqa: BLE001 -- a slice may be too small for the user's metric; that is said, and is no end
            on_groups.append(None)
            found["undefined"] = said(error, path, data.is_showing_values)
    return {**found, "value": number, "groups": on_groups, "resampled": resample(call, data.n, **resampling) if resampling else None}


def resample(call: Any, n: int, seed: str, limit_s: float) -> dict[str, Any]:
    """The number on resamples of the examples and without each block of them, or why not.

    Which examples a resample holds follows from the seed alone, on every machine and under every version of Python and NumPy, since the
    other model's were drawn by another run.
    """
    if np is None:
        return {"why": "your Python has no NumPy"}
    if n < BLOCKS:
        return {"why": f"{n:,} examples, it takes {BLOCKS:,}"}
    rows = np.arange(n)
    draws: list[float | None] = []
    left_out: list[float | None] = []
    started = time.monotonic()
    for done in range(DRAWS + BLOCKS):
        index = drawn(n, f"{seed}:{done}") if done < DRAWS else np.flatnonzero(rows % BLOCKS != done - DRAWS)
        try:
            number, _ = numbers(call(index), None)
        except Exception as error:  # noqa: BLE001 -- a resample may lack what the user's metric needs; that is counted
            number = None
            if done >= DRAWS or draws.count(None) >= DRAWS // 100:
                return {"why": f"on parts of the holdout it raises {type(error).__name__}"}
        (draws if done < DRAWS else left_out).append(number)
        seconds = (time.monotonic() - started) / (done + 1) * (DRAWS + BLOCKS)
        if done >= 5 and seconds > limit_s:
            return {"why": f"{DRAWS + BLOCKS:,} calls of it would take {seconds:,.0f} s, at most {limit_s:,.0f} s are spent"}
    return {"draws": draws, "left_out": left_out}


def drawn(n: int, seed: str) -> Any:
    """Positions of n examples drawn with replacement."""
    bits = random.Random(seed).getrandbits(32 * n).to_bytes(4 * n, "little")  # noqa: S311 -- a resample is no secret
    return ((np.frombuffer(bits, dtype="<u4").astype(np.uint64) * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


def load(path: str, name: str) -> Any:
    """The user's function."""
    if not Path(path).is_file():
        raise RefusedError("no such file")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise RefusedError("not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        own = (n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__ and n[0] != "_")
        raise RefusedError(f"no function '{name}' in it; it has {', '.join(sorted(own)) or 'none'}")
    return function


def numbers(result: Any, n: int | None) -> tuple[float | None, list[float] | None]:
    """(number, None), or (None, one number for each of n examples)."""
    if hasattr(result, "tolist"):
        result = result.tolist()
    expected = "a number" if n is None else f"a number, or {n} numbers, one an example"
    if isinstance(result, (bool, str, bytes, dict, type(None))):
        raise RefusedError(f"expected {expected}; got {type(result).__name__}")
    try:
        many = list(result)
    except TypeError:
        return finite(result), None
    if len(many) != n:
        raise RefusedError(f"expected {expected}; got {len(many)}")
    return None, [finite(number) for number in many]


def finite(number: Any) -> float:
    try:
        value = float(number)
    except (TypeError, ValueError):
        raise RefusedError(f"expected numbers; got {type(number).__name__}") from None
    if not math.isfinite(value):
        raise RefusedError(f"expected finite numbers; got {value}")
    return value


def said(error: BaseException, path: str, is_showing_values: bool) -> str:
    """The last line of the user's exception, with the line of the user's file it came from.

    What an exception says may quote the data; without leave only those are quoted whose text is about code.
    """
    if isinstance(error, RefusedError):
        return str(error)
    if is_showing_values or isinstance(error, ABOUT_CODE):
        last = traceback.format_exception_only(type(error), error)[-1].strip()
    else:
        last = f"{type(error).__name__} (what it says may quote the data; report.examples: true shows it)"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).absolute() == Path(path).absolute()]
    return (f"line {lines[-1]}: " if lines else "") + last


def labels(codes: Any, classes: list[Any] | None) -> Any:
    if classes is None:
        return codes
    return [classes[code] for code in codes] if np is None else np.array(classes)[codes]


def read(path: Path, kind: str) -> Any:
    if np is not None:
        return np.fromfile(str(path), dtype="f8" if kind == "d" else "i8")
    found = array.array(kind)
    found.frombytes(path.read_bytes())
    return found.tolist()


def rows(flat: Any, width: int) -> Any:
    if width == 1:
        return flat
    return [flat[start : start + width] for start in range(0, len(flat), width)] if np is None else flat.reshape(-1, width)


def take(column: Any, index: Any) -> Any:
    return [column[place] for place in index] if np is None else column[index]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
