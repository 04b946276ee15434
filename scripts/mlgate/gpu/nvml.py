"""NVIDIA's management library (NVML), asked through a process of its own: every call has a deadline, and a driver that hangs costs a
process that is left behind, never ours. All that mlgate knows of GPUs comes through here.

A call into a hung driver sleeps in the kernel, where not even SIGKILL ends it; a thread of ours would then keep our own process from ever
ending, and with it the job.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.gpu import absence
from mlgate.gpu.absence import Failure, Host

DEADLINE_S = 10.0
"""For the library's start; MLGATE_NVML_TIMEOUT says another."""
CALL_DEADLINE_S = 5.0
"""For each question after it."""
_LONGEST_DEADLINE_S = 600

_PROGRAM = Path(__file__).with_name("nvml_process.py")
_PASSED_ON = ("LD_", "NVIDIA_", "CUDA_", "MLGATE_NVML")  # no secret of the job's: a stand-in is anybody's code
_MAX_ANSWER_BYTES = 16_000_000
_ABANDONED: list[subprocess.Popen[bytes]] = []
"""Processes that the kernel does not let end; kept, for Popen complains of a living child that is forgotten."""


class Code(IntEnum):
    """NVML's error codes that mean something to us."""

    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_POWER = 8
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    VERSION_MISMATCH = 18
    UNKNOWN = 999


class NvmlError(Exception):
    """NVML's answer to one call was an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.value = code
        """As pynvml's errors have it."""


class UnavailableError(Exception):
    """NVML cannot be asked; the message says why and what to do, in one line."""

    def __init__(self, message: str, *, is_absent: bool) -> None:
        super().__init__(message)
        self.is_absent = is_absent
        """Whether this is merely a machine without an NVIDIA GPU."""


@dataclass(frozen=True)
class Handle:
    """A device, as the library's process knows it."""

    number: int


class Nvml:
    """The library, begun. May be asked from several threads; one question at a time is on its way."""

    def __init__(self, child: subprocess.Popen[bytes], look: Callable[[], Host]) -> None:
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 -- for the type checker: we asked for pipes
        self._child, self._look = child, look
        self._questions, self._answers = child.stdin, child.stdout
        self._lock = threading.Lock()
        self._pending = b""
        self._problem: UnavailableError | None = None
        self.is_stand_in = False
        os.set_blocking(self._answers.fileno(), False)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """pynvml's functions as methods: `library.nvmlDeviceGetName(handle)`."""
        if not name.startswith("nvml"):
            raise AttributeError(name)
        return functools.partial(self.call, name)

    def call(self, name: str, *arguments: Any) -> Any:
        """One of pynvml's functions by name. Takes some 50 µs more than the driver does; `calls` takes them once for many.

        Args:
            arguments: numbers, texts, lists of them, and handles.

        Returns:
            What it gives; a structure as an object with its fields.

        Raises:
            NvmlError: its error; FUNCTION_NOT_FOUND also where driver and pynvml do not know the function.
            UnavailableError: the driver does not answer.
        """
        [answer] = self.calls([(name, arguments)])
        if isinstance(answer, NvmlError):
            raise answer
        return answer

    def calls(self, questions: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Several at once, in order: each one's value or its NvmlError. Raises UnavailableError: the driver does not answer."""
        asked = [(name, [_sent(argument) for argument in arguments]) for name, arguments in questions]
        found = self._ask({"calls": asked}, CALL_DEADLINE_S)
        return [_received(answer) for answer in found["answers"]]

    def can_load(self, library: str) -> bool:
        """Whether the dynamic loader finds a library such as `libcuda.so.1`. Raises UnavailableError: the driver does not answer."""
        return bool(self._ask({"load": library}, CALL_DEADLINE_S)["is_loadable"])

    def close(self) -> None:
        """End the process, or leave it behind where the kernel holds it."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def wait_for_start(self, deadline_s: float) -> None:
        """Have the library begun. Raises UnavailableError: it cannot be, or does not answer."""
        with self._lock:
            answer = self._read(deadline_s)
            if "ready" not in answer:
                self._end()
                raise self._unavailable(Failure(answer["failed"], answer.get("code"), plain(answer["text"])[:300]))
            self.is_stand_in = answer["is_stand_in"]

    def _ask(self, question: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        with self._lock:
            if self._problem is not None:
                raise self._problem
            try:
                self._questions.write(json.dumps(question).encode() + b"\n")
                self._questions.flush()
            except (OSError, ValueError):  # it has died, or was closed
                raise self._died() from None
            try:
                return self._read(deadline_s)
            except BaseException as interruption:
                # its answer would be taken for that of the next question
                self._problem = self._problem or UnavailableError(f"NVML was interrupted: {type(interruption).__name__}", is_absent=False)
                self._end()
                raise

    def _read(self, deadline_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + deadline_s
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self._answers, select.POLLIN)
        while b"\n" not in self._pending:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                self._end()
                raise self._unavailable(Failure("hung", None, f"{deadline_s:g} s"))
            chunk = os.read(self._answers.fileno(), 1 << 16)
            if not chunk or len(self._pending) > _MAX_ANSWER_BYTES:
                raise self._died()
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self) -> UnavailableError:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(0.5)
        code = self._child.poll()
        self._end()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit {code}"
        return self._unavailable(Failure("died", None, how))

    def _unavailable(self, failure: Failure) -> UnavailableError:
        host = self._look()
        self._problem = UnavailableError(absence.explain(failure, host), is_absent=absence.is_plain_absence(failure, host))
        return self._problem

    def _end(self) -> None:
        """Without waiting longer than a moment for what the kernel holds."""
        for stream in (self._questions, self._answers):
            with suppress(OSError):
                stream.close()
        if self._child.poll() is not None:
            return
        if self._problem is None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(0.2)  # its standard input has ended
        self._child.kill()
        try:
            self._child.wait(0.5)
        except subprocess.TimeoutExpired:
            _ABANDONED.append(self._child)


def open_library(environ: Mapping[str, str] | None = None, *, deadline_s: float | None = None, host: Host | None = None) -> Nvml:
    """Begin NVML. Close what is returned.

    Args:
        environ: left out, that of this process.
        deadline_s: for the library's start; left out, MLGATE_NVML_TIMEOUT or ten seconds.
        host: what this machine shows of its driver; left out, it is looked at.

    Raises:
        InputError: MLGATE_NVML_TIMEOUT is no number of seconds.
        UnavailableError: no driver here, or one that is broken or does not answer.
    """
    environ = os.environ if environ is None else environ
    deadline_s = deadline_s or _deadline_of(environ)
    passed = {name: value for name, value in environ.items() if name == "PATH" or name.startswith(_PASSED_ON)}
    if stand_in := passed.pop("MLGATE_NVML", ""):
        passed["MLGATE_NVML"] = os.path.abspath(stand_in)  # noqa: PTH100 -- a link is the stand-in's own affair
    child = subprocess.Popen(
        [sys.executable, "-I", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # it must hold nothing that the job's end is waited for by
        env=passed,
        cwd="/",
        start_new_session=True,
    )
    library = Nvml(child, lambda: host or Host.look(environ))
    try:
        library.wait_for_start(deadline_s)
    except BaseException:
        library.close()
        raise
    return library


def _deadline_of(environ: Mapping[str, str]) -> float:
    """Seconds. Raises InputError: MLGATE_NVML_TIMEOUT is no such number."""
    if not (said := environ.get("MLGATE_NVML_TIMEOUT", "").strip()):
        return DEADLINE_S
    with suppress(ValueError):
        if 0 < (asked := float(said)) <= _LONGEST_DEADLINE_S:
            return asked
    raise InputError(f"MLGATE_NVML_TIMEOUT: expected seconds, more than 0 and at most {_LONGEST_DEADLINE_S}, found '{plain(said)[:50]}'")


def _sent(argument: Any) -> Any:
    return {"handle": argument.number} if isinstance(argument, Handle) else argument


def _received(answer: dict[str, Any]) -> Any:
    if "code" in answer:
        return NvmlError(answer["code"], answer["text"])
    return _value(answer["value"])


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"handle"}:
        return Handle(value["handle"])
    return SimpleNamespace(**{name: _value(item) for name, item in value.items()})
