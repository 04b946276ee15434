"""The process in which NVIDIA's management library runs, so that a driver that hangs, or a library that crashes, takes nobody else with it.

Run by its path under mlgate's interpreter (`nvml.py` does): standard library and `pynvml` only. It says how the library's start went, then
answers each line of JSON by one, until its standard input ends.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import select
import sys
import threading
from typing import Any

STAND_IN = "MLGATE_NVML"
"""Names a Python file with pynvml's functions, for machines without a GPU."""
_FUNCTION_NOT_FOUND = 13
_LIBRARY_NOT_FOUND = 12
_GIVE_HANDLES = ("nvmlDeviceGetHandleBy", "nvmlDeviceGetMigDeviceHandleByIndex", "nvmlDeviceGetDeviceHandleFromMigDeviceHandle")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints is no answer

    threading.Thread(target=_end_with_who_asks, daemon=True).start()

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    library, failure = _start()
    if library is None:
        say(failure)
        return
    say({"ready": True, "is_stand_in": STAND_IN in os.environ})
    handles: list[Any] = []
    for line in sys.stdin:
        question = json.loads(line)
        if "load" in question:
            say({"is_loadable": STAND_IN in os.environ or _problem_of_loading(question["load"]) is None})
        else:
            say({"answers": [_answer(library, handles, name, arguments) for name, arguments in question["calls"]]})


def _end_with_who_asks() -> None:
    """End when nobody can ask any more, also in the middle of a call that does not return."""
    poll = select.poll()
    poll.register(0, 0)  # nothing but that its other end is closed
    poll.poll()
    os._exit(0)


def _start() -> tuple[Any, dict[str, Any]]:
    """The library, begun; or None and why not."""
    try:
        library = _module()
    except Exception as error:  # noqa: BLE001 -- a stand-in is somebody's Python
        return None, {"failed": "stand-in" if STAND_IN in os.environ else "module", "text": f"{type(error).__name__}: {error}"}
    try:
        library.nvmlInit()
    except Exception as error:  # noqa: BLE001 -- NVMLError is a class of the module's
        failure = _failure(error)
        if failure["code"] == _LIBRARY_NOT_FOUND and STAND_IN not in os.environ:
            failure["text"] = _problem_of_loading("libnvidia-ml.so.1") or failure["text"]
        return None, {"failed": "nvml", **failure}
    return library, {}


def _module() -> Any:
    path = os.environ.get(STAND_IN)
    if path is None:
        return importlib.import_module("pynvml")
    spec = importlib.util.spec_from_file_location("nvml_stand_in", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _problem_of_loading(name: str) -> str | None:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return None


def _answer(library: Any, handles: list[Any], name: str, arguments: list[Any]) -> dict[str, Any]:
    """One call: its value, or NVML's error."""
    given = [handles[argument["handle"]] if isinstance(argument, dict) else argument for argument in arguments]
    try:
        function = getattr(library, name)
    except AttributeError:
        return {"code": _FUNCTION_NOT_FOUND, "text": f"no function {name}"}
    try:
        value = function(*given)
    except Exception as error:  # noqa: BLE001 -- NVMLError is a class of the module's
        return _failure(error)
    if name.startswith(_GIVE_HANDLES):
        handles.append(value)
        return {"value": {"handle": len(handles) - 1}}
    return {"value": _plain(value)}


def _failure(error: Exception) -> dict[str, Any]:
    code = getattr(error, "value", None)
    # pynvml's NVMLLibraryMismatchError has no code: the driver's library is older than the function
    return {"code": code if isinstance(code, int) else _FUNCTION_NOT_FOUND, "text": str(error)}


def _plain(value: Any) -> Any:
    """What JSON can carry of an answer: structures become objects."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode(errors="replace")
    if isinstance(value, list | tuple | ctypes.Array):
        return [_plain(item) for item in value]
    if isinstance(value, ctypes.Structure | ctypes.Union):
        return {field[0]: _plain(getattr(value, field[0])) for field in value._fields_}
    if isinstance(value, ctypes._SimpleCData):  # noqa: SLF001 -- ctypes has no public name for it
        return _plain(value.value)
    return {name: _plain(item) for name, item in vars(value).items()}


if __name__ == "__main__":
    main()
