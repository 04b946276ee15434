"""How far a training is: its output and its progress file, followed while it runs, at next to no cost. What a line means is the part of
`progress_lines`, where the training stands among its loops that of `position`; here it becomes curves and the time that is left."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from mlgate.console import plain
from mlgate.evidence import CurvePoint, ProgressFindings
from mlgate.training.position import Loops, Position
from mlgate.training.progress_lines import parse

MAX_POINTS = 200
MAX_FILE_BYTES = 256 * 1024
_MAX_METRICS = 30
_MAX_NAME = 60
_LOOK_EVERY_S = 0.2
_BYTES_PER_S = 12 * 1024
"""Of output that is read closely, in the long run, the newest of what comes: more would cost more than 1 % of a core."""
_BURST_BYTES = 128 * 1024
_MOST_BYTES = 64 * 1024
_LEAST_BYTES = 4 * 1024
_LINE_ENDS = re.compile(rb"[\r\n]+")
_TORN_RETRY_S = 0.02
_HISTORY = 60
_MOST_LEFT_S = 1e9
"""An estimate of thirty years is none."""


@dataclass
class _Curve:
    """Values by position, thinned as it grows."""

    points: list[tuple[float, float]] = field(default_factory=list)
    last: float = 0.0
    _apart: float = 0.0
    """The least distance of two points."""

    def add(self, position: float, value: float) -> None:
        self.last = value
        if self.points and position <= self.points[-1][0]:
            self.points[-1] = (self.points[-1][0], value)
        elif len(self.points) > 1 and position - self.points[-2][0] < self._apart:
            self.points[-1] = (position, value)  # the newest is always there
        else:
            self.points.append((position, value))
        if len(self.points) > 2 * MAX_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]
            self._apart = (self.points[-1][0] - self.points[0][0]) / len(self.points)

    def thinned(self) -> list[CurvePoint]:
        stride = max(math.ceil(len(self.points) / MAX_POINTS), 1)
        chosen = self.points[-1::-stride][::-1]
        return [CurvePoint(step=position, value=value) for position, value in chosen]


@dataclass(frozen=True)
class Standing:
    """How far a training is now."""

    findings: ProgressFindings
    left_s: float | None
    """Estimate; None where nobody can tell."""

    def line(self) -> str:
        """For a log: `epoch 3.5 of 10, loss 0.42, 12 min left`; empty where nothing is known."""
        found = self.findings
        if found.step is None:
            return ""
        count = f"{found.unit or 'step'} {found.step:,.6g}" + (f" of {found.total:,.6g}" if found.total else "")
        metrics = [f"{name} {value:.4g}" for name, value in list(found.metrics.items())[:3]]
        return ", ".join([count, *metrics, *([f"{duration(self.left_s)} left"] if self.left_s is not None else [])])


def duration(seconds: float) -> str:
    """A time as a person says it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Progress:
    """Of one training. Output goes in in one thread; any thread may ask how far it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = b""
        self._looked = clock()
        self._credit = float(_BURST_BYTES)
        self._loops = Loops()
        self._declared: Position | None = None
        self._declared_metrics: set[str] = set()
        self._history: list[tuple[float, float]] = []
        self._measured_in: tuple[str, float | None] | None = None
        self._curves: dict[str, _Curve] = {}

    def take(self, chunk: bytes) -> None:
        """Output, as it comes."""
        most = min(max(int(self._credit), _LEAST_BYTES), _MOST_BYTES)
        self._pending = chunk[-most:] if len(chunk) >= most else (self._pending + chunk)[-most:]
        if self._clock() - self._looked >= _LOOK_EVERY_S or len(self._pending) == _MOST_BYTES:
            self._look()

    def declare(self, declared: Declared) -> None:
        """What the progress file says; it counts for more than output from then on."""
        with self._lock:
            metrics = declared.metrics
            if declared.step is not None:
                self._declared = Position(declared.step, declared.total, declared.unit or "step")
                behind = {name for name in metrics.keys() - self._declared_metrics if self._is_behind(name, self._declared)}
                self._declared_metrics |= metrics.keys()
                metrics = {name: value for name, value in metrics.items() if name not in behind}
            self._note(metrics)

    def position(self) -> Position | None:
        """Where it is; None where it does not say."""
        with self._lock:
            return self._position()

    def end(self, *, is_complete: bool) -> None:
        """The output is over; `is_complete`: the training came to its end by itself."""
        self._look(is_over=True)
        with self._lock:
            self._loops.end(is_complete=is_complete)

    def standing(self) -> Standing:
        """How far it is now."""
        with self._lock:
            position = self._position()
            left_s = time_left(self._history, position.total if position else None, self._clock())
            curves = {name: curve.thinned() for name, curve in self._curves.items()}
            metrics = {name: curve.last for name, curve in self._curves.items()}
        if position is None:
            return Standing(ProgressFindings(metrics=metrics), None)
        found = ProgressFindings(step=round(position.step, 3), total=position.total, unit=position.unit, metrics=metrics, curves=curves)
        return Standing(found, left_s)

    def _look(self, *, is_over: bool = False) -> None:
        """Read the newest lines, as many as may be."""
        now = self._clock()
        self._credit = min(self._credit + (now - self._looked) * _BYTES_PER_S, _BURST_BYTES)
        self._looked = now
        allowed = max(int(self._credit), _LEAST_BYTES if is_over else 0)
        if allowed < min(len(self._pending), _LEAST_BYTES):
            return  # the pending bytes stay, their oldest make room
        read, self._pending = self._pending[-allowed:], b""
        self._credit -= len(read)
        *lines, rest = _LINE_ENDS.split(read)
        if is_over:
            lines.append(rest)
        else:
            self._pending = rest
        with self._lock:
            for line in lines:
                if line and (said := parse(line.decode(errors="replace"))):
                    self._loops.update(said, now, is_settled=bool(self._curves))
                    # the file lags behind the output: what both name would get the number of one step at the place of another
                    self._note({name: value for name, value in said.metrics.items() if name[:_MAX_NAME] not in self._declared_metrics})

    def _is_behind(self, name: str, position: Position) -> bool:
        """Whether output has told the metric of a later step already: the first that a file says of it may be of long ago."""
        curve = self._curves.get(name)
        is_same = self._measured_in is not None and self._measured_in[0] == position.unit
        return curve is not None and is_same and position.step < curve.points[-1][0]

    def _position(self) -> Position | None:
        return self._declared or self._loops.position()

    def _note(self, metrics: Mapping[str, float]) -> None:
        """Where it stands now, and metrics that were told there."""
        position = self._position()
        if position is None:
            return
        if self._measured_in != (position.unit, position.total) or (self._history and position.step < self._history[-1][1]):
            if self._measured_in is not None and self._measured_in[0] != position.unit:
                self._curves.clear()
            self._history, self._measured_in = [], (position.unit, position.total)
        if not self._history or position.step > self._history[-1][1]:
            self._history.append((self._clock(), position.step))
            if len(self._history) > 2 * _HISTORY:
                self._history = self._history[-1::-2][::-1]
        for name, value in metrics.items():
            if name in self._curves or len(self._curves) < _MAX_METRICS:
                self._curves.setdefault(name[:_MAX_NAME], _Curve()).add(position.step, value)


def time_left(history: Sequence[tuple[float, float]], total: float | None, now: float) -> float | None:
    """Seconds until `total`, by the median rate of all pairs of points (Theil 1950, Sen 1968): a slow first step, or one long evaluation,
    is not taken for the pace.

    Args:
        history: times and positions, both rising, of shape (n, 2).
        total: the position at the end.
        now: by the clock of the history.
    """
    if total is None or len(history) < 2 or history[-1][1] >= total:
        return None
    rates = [
        (later[1] - sooner[1]) / (later[0] - sooner[0])
        for sooner, later in combinations(history[:: len(history) // 50 + 1], 2)
        if later[0] > sooner[0]
    ]
    rate = statistics.median(rates) if rates else 0.0
    if rate <= 0:
        return None
    left_s = max((total - history[-1][1]) / rate - (now - history[-1][0]), 0.0)
    return left_s if left_s < _MOST_LEFT_S else None


@dataclass(frozen=True)
class Declared:
    """What a progress file says."""

    step: float | None
    total: float | None
    unit: str | None
    metrics: dict[str, float]


class ProgressFile:
    """A progress file that the training rewrites. It is the training's: nothing in it is believed but numbers, and it may be torn."""

    def __init__(self, path: Path) -> None:
        """What lies there now is of another training, and passed over."""
        self._path = path
        found = self._read()
        self._seen = self._before = found[1] if found else None
        self._was_understood = False

    def trouble(self, *, is_expected: bool = True) -> str:
        """Why it said nothing in all this time; empty where it did.

        Args:
            is_expected: whether it is a mistake not to write it at all.
        """
        found = self._read()
        if self._was_understood:
            return ""
        if found is None and self._path.exists():
            return f"expected a file of at most {MAX_FILE_BYTES // 1024} KiB"
        if found is None or found[1] == self._before:
            return "expected the training to write it, and it did not" if is_expected else ""
        return 'expected JSON such as {"step": 3, "total": 10, "metrics": {"loss": 0.4}} in it, and found something else'

    def changed(self) -> Declared | None:
        """What it says, where that changed since the last call and can be understood."""
        for _ in range(3):
            found = self._read()
            if found is None:
                return None
            text, seen = found
            if seen == self._seen:
                return None
            if (declared := declared_in(text)) is not None:
                self._seen = seen
                self._was_understood = self._was_understood or declared.step is not None or bool(declared.metrics)
                return declared
            time.sleep(_TORN_RETRY_S)
        return None

    def _read(self) -> tuple[bytes, tuple[int, int, int]] | None:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe there must not hold us
        except OSError:
            return None
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
                return None
            return os.read(handle, MAX_FILE_BYTES), (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError:
            return None
        finally:
            os.close(handle)


def declared_in(text: bytes) -> Declared | None:
    """What `{"step": 3, "total": 10, "unit": "epoch", "metrics": {"loss": 0.4}}` says; None where that is not what it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    step, total, unit, metrics = _number(found.get("step")), _number(found.get("total")), found.get("unit"), found.get("metrics")
    numbers = {plain(name[:_MAX_NAME])[:_MAX_NAME]: _number(value) for name, value in metrics.items()} if isinstance(metrics, dict) else {}
    kept = {name: value for name, value in list(numbers.items())[:_MAX_METRICS] if value is not None}
    return Declared(
        step=step if step is not None and step >= 0 else None,
        total=total if total is not None and total > 0 else None,
        unit=unit[:20] if isinstance(unit, str) and unit.isidentifier() else None,
        metrics=kept,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
