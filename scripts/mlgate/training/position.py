"""Where a training stands, of all its loops: the outermost that it names counts, the inner ones tell of the part between two of its steps.
Fed with lines that `training.progress_lines` understood; used by `training.progress`."""

from __future__ import annotations

from dataclasses import dataclass

from mlgate.training.progress_lines import Said

_MAX_COUNTERS = 50


@dataclass(frozen=True)
class Position:
    step: float
    total: float | None
    unit: str


@dataclass
class _Counter:
    """One bar, or one kind of sentence."""

    step: float
    total: float | None
    unit: str
    began: float
    updated: float
    rounds: int = 0
    """How often it began anew, as an inner loop does."""
    _before: float = 0.0
    """Steps of those rounds."""

    def update(self, step: float, now: float) -> None:
        if step < self.step:
            self._before += self.total or self.step
            self.rounds, self.began = self.rounds + 1, now
        self.step, self.updated = step, now

    @property
    def is_open(self) -> bool:
        return self.total is not None and self.step < self.total

    @property
    def rank(self) -> tuple[int, float, float]:
        """The highest is the outermost loop: it does not begin anew, lasts longest, and is the longest."""
        return -self.rounds, self.updated - self.began, self.total or 0.0

    def position(self) -> Position:
        return Position(self._before + self.step, None if self.rounds else self.total, self.unit)


@dataclass
class _Epochs:
    """The outermost loop, where the training calls it so."""

    number: float = -1.0
    total: float | None = None
    is_count: bool = False
    """Whether `number` of them are done; else it is the one that goes on."""
    is_from_zero: bool = False
    share: float = 0.0
    """Of the one that goes on."""

    def update(self, said: Said) -> None:
        if said.epoch is None:
            return
        if (said.epoch, said.is_epoch_count) != (self.number, self.is_count):
            self.share = 0.0
        self.number, self.is_count, self.total = said.epoch, said.is_epoch_count, said.epochs or self.total
        self.is_from_zero = self.is_from_zero or (said.epoch == 0 and not said.is_epoch_count)
        if said.step is None and said.metrics:
            self.share = 1.0  # said with what came of it

    def position(self) -> Position:
        before = self.number if self.is_count or self.is_from_zero else max(self.number - 1, 0.0)
        done = before if self.is_count else before + self.share
        return Position(min(done, self.total) if self.total else done, self.total, "epoch")


class Loops:
    """All loops of one training."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, float | None], _Counter] = {}
        self._main: _Counter | None = None
        self._epochs: _Epochs | None = None

    def update(self, said: Said, now: float, *, is_settled: bool) -> None:
        """Take in what a line said.

        Args:
            said: the line.
            now: seconds, by any clock that does not go back.
            is_settled: metrics were told along the loop that counted so far: a later bar, of a last evaluation, does not take its place.
        """
        if said.epoch is not None:
            self._epochs = self._epochs or _Epochs()
            self._epochs.update(said)
        if said.step is None:
            return
        key = said.label, said.total
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= _MAX_COUNTERS:
                del self._counters[min(self._counters, key=lambda one: self._counters[one].updated)]
            counter = self._counters[key] = _Counter(said.step, said.total, said.unit or "step", now, now)
        counter.update(said.step, now)
        if self._epochs and said.total:
            self._epochs.share = max(self._epochs.share, min(said.step / said.total, 1.0))
        self._choose(is_settled)

    def _choose(self, is_settled: bool) -> None:
        main = self._main
        if main is not None and (main.is_open or is_settled) and main.rounds == 0:
            return
        best = max(self._counters.values(), key=lambda counter: (counter.is_open, counter.rank))
        if main is None or best.is_open or main.total is None:
            self._main = best

    def end(self, *, is_complete: bool) -> None:
        """It is over; `is_complete`: by itself, so that the epoch that went on is done, too."""
        if is_complete and self._epochs:
            self._epochs.share = 1.0
        elif self._counters:
            self._main = max(self._counters.values(), key=lambda counter: counter.rank)

    def position(self) -> Position | None:
        """Of the outermost loop; None where nothing was said."""
        epochs, main = self._epochs, self._main
        if epochs and (epochs.total or main is None or main.total is None or main.rounds):
            return epochs.position()
        return main.position() if main else None
