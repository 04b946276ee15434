"""Watches leased GPUs through NVML while a training runs, in a thread that neither takes nor holds up anything.

A driver that hangs, a GPU that falls off the bus or a library that is not there end the samples, never the training: whoever asks then
reads how far they reach, and why no further.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgate.console import plain
from mlgate.gpu import nvml
from mlgate.gpu.account import Sample, Tally
from mlgate.gpu.nvml import Code, Nvml, NvmlError, UnavailableError

PERIOD_S = 1.0
"""NVML's utilisation is that of the last second at most (nvml.h, nvmlUtilization_t): what is asked less often has gaps."""
MAX_PERIOD_S = 10.0
MAX_SHARE_OF_CORE = 0.005
"""Where a driver makes its answers dear, they are asked for less often: a round takes both processes no more than the time it lasts."""
_GIVE_UP_AFTER = 3
"""Failed rounds in a row after which a device is watched no longer."""
_WAIT_FOR_LAST_S = 2.0
_INVALID_ARGUMENT = 2
"""NVML_ERROR_INVALID_ARGUMENT; some drivers say it of a MIG instance where others say that it has no such sensor."""
_TEMPERATURE_OF_GPU = 0
"""NVML_TEMPERATURE_GPU."""

_MEMORY, _UTILISATION = "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates"
_POWER, _ENERGY = "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption"
_REASONS, _REASONS_BEFORE_535 = "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
_TEMPERATURE = "nvmlDeviceGetTemperature"


@dataclass
class _Watched:
    tally: Tally
    handle: Any = None
    questions: list[str] = field(default_factory=lambda: [_MEMORY, _UTILISATION, _POWER, _ENERGY, _REASONS, _TEMPERATURE])
    """What its driver tells, as far as is known."""
    failures: int = 0


class Sampler:
    """Samples of some devices from `start` to `stop`."""

    def __init__(
        self, devices: Sequence[str], environ: Mapping[str, str], *, period_s: float = PERIOD_S, share_of_core: float = MAX_SHARE_OF_CORE
    ) -> None:
        """
        Args:
            devices: UUIDs, of GPUs or MIG instances.
            environ: of this process, by which NVML is found.
            period_s: seconds between two samples, at least.
            share_of_core: what watching may take.
        """
        self._environ = environ
        self._period_s = period_s
        self._share_of_core = share_of_core
        self._watched = [_Watched(Tally(uuid, uuid)) for uuid in devices]
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mlgate-gpu-sampler", daemon=True)
        self._began = time.monotonic()

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self, wait_s: float = _WAIT_FOR_LAST_S) -> None:
        """Take the last samples and end. A driver that gives no answer within `wait_s` seconds is left behind."""
        self._is_over.set()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._give_up("the driver gave no answer any more")

    def tallies(self) -> list[Tally]:
        """What was seen so far, of the devices that were seen at all."""
        with self._lock:
            return [watched.tally.copy() for watched in self._watched if watched.tally.samples]

    @property
    def problem(self) -> str | None:
        """Why nothing at all was seen."""
        with self._lock:
            if any(watched.tally.samples for watched in self._watched):
                return None
            return next((watched.tally.stopped for watched in self._watched if watched.tally.stopped), None)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            with nvml.open_library(self._environ) as library:
                self._rounds(library)
        except UnavailableError as error:
            self._give_up(str(error))
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # answers of another shape than nvml.h has them
            self._give_up(f"NVML: an answer that makes no sense: {plain(str(error))[:200]}")

    def _rounds(self, library: Nvml) -> None:
        while watched := [one for one in self._watched if not one.tally.stopped]:
            is_last, began = self._is_over.is_set(), time.monotonic()
            self._round(library, watched, is_last=is_last)
            if is_last:
                return
            took_s = time.monotonic() - began
            self._is_over.wait(min(max(self._period_s, took_s / self._share_of_core), MAX_PERIOD_S))

    def _round(self, library: Nvml, watched: Sequence[_Watched], *, is_last: bool) -> None:
        """One sample of each. Raises UnavailableError: the driver does not answer."""
        for one in watched:
            if one.handle is None:
                self._find(library, one, is_last=is_last)
        known = [one for one in watched if one.handle is not None and not one.tally.stopped]
        answers = iter(library.calls([question for one in known for question in _asked(one)]))
        at_s = time.monotonic()
        for one in known:
            values, error = _values(one, [next(answers) for _ in tuple(one.questions)])
            if error is not None:
                self._fail(one, error, is_last=is_last)
                continue
            one.failures = 0
            with self._lock:
                if not one.tally.stopped:  # a round that came too late for `stop`
                    one.tally.memory_total_bytes = getattr(values.get(_MEMORY), "total", one.tally.memory_total_bytes)
                    one.tally.add(_sample(at_s, values))

    def _find(self, library: Nvml, one: _Watched, *, is_last: bool) -> None:
        try:
            one.handle = library.call("nvmlDeviceGetHandleByUUID", one.tally.uuid)
            one.tally.name = plain(str(library.call("nvmlDeviceGetName", one.handle)))[:100]
        except NvmlError as error:
            self._fail(one, error, is_last=is_last)

    def _fail(self, one: _Watched, error: NvmlError, *, is_last: bool) -> None:
        """A device that fell off the bus comes back with the next boot; what else there is may pass."""
        one.failures += 1
        if error.value == Code.GPU_IS_LOST or one.failures >= _GIVE_UP_AFTER or (is_last and not one.tally.samples):
            self._give_up(f"NVML: {plain(str(error))[:200]}", one)

    def _give_up(self, why: str, only: _Watched | None = None) -> None:
        after_s = time.monotonic() - self._began
        with self._lock:
            for one in [only] if only else self._watched:
                if not one.tally.stopped:
                    one.tally.stopped = f"{why}, {after_s:,.0f} s after the training began" if one.tally.samples else why


def _asked(one: _Watched) -> list[tuple[str, list[Any]]]:
    return [(name, [one.handle, _TEMPERATURE_OF_GPU] if name == _TEMPERATURE else [one.handle]) for name in one.questions]


def _values(one: _Watched, answers: Sequence[Any]) -> tuple[dict[str, Any], NvmlError | None]:
    """What a device said, by question; or the error by which it said nothing. What it cannot say is not asked again."""
    values: dict[str, Any] = {}
    for name, answer in zip(tuple(one.questions), answers, strict=True):
        if not isinstance(answer, NvmlError):
            values[name] = answer
        elif _has_no_such_sensor(answer, one.tally.uuid):
            one.questions.remove(name)
            if name == _REASONS:
                one.questions.append(_REASONS_BEFORE_535)
        else:
            return {}, answer
    return values, None


def _has_no_such_sensor(error: NvmlError, uuid: str) -> bool:
    """As a MIG instance has no power; or an old driver has no such question, or no answer for us."""
    known = (Code.NOT_SUPPORTED, Code.NO_PERMISSION, Code.FUNCTION_NOT_FOUND)
    return error.value in known or (error.value == _INVALID_ARGUMENT and uuid.startswith("MIG-"))


def _sample(at_s: float, values: Mapping[str, Any]) -> Sample:
    """NVML's units (nvml.h) are per cent, bytes, milliwatts and millijoules."""
    utilisation, power_mw, energy_mj = values.get(_UTILISATION), values.get(_POWER), values.get(_ENERGY)
    return Sample(
        at_s=at_s,
        utilisation=None if utilisation is None else utilisation.gpu / 100,
        memory_used_bytes=getattr(values.get(_MEMORY), "used", None),
        power_w=None if power_mw is None else power_mw / 1000,
        energy_j=None if energy_mj is None else energy_mj / 1000,
        reasons=values.get(_REASONS, values.get(_REASONS_BEFORE_535)),
        temperature_c=values.get(_TEMPERATURE),
    )
