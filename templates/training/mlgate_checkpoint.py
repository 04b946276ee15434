"""Checkpoints of a training in three lines. Copy this file beside your training script; it needs nothing but Python 3.9.

    from mlgate_checkpoint import Checkpoint

    checkpoint = Checkpoint(model=model, optimizer=optimizer, scheduler=scheduler)
    for epoch in checkpoint.epochs(10):
        for inputs, targets in checkpoint.batches(loader):
            ...
        checkpoint.report(loss=loss)

A training that was ended, however it was, begins where it had come to when it is started again, and ends with the same weights, bit
for bit where the computation itself is repeatable. SIGTERM and SIGINT end it after the batch it is at: it saves, then exits with
143 or 130. Checkpoints are files in the folder that MLGATE_CHECKPOINTS names, else `checkpoints`; mlgate is not needed for any of this.

What is given by name is kept and restored in place: objects with `state_dict` and `load_state_dict` (PyTorch's modules, optimizers,
schedulers, scalers), NumPy arrays, tensors, dictionaries, lists, scikit-learn's estimators, random generators. The global random
states of `random`, NumPy and PyTorch (CPU and CUDA) are kept without being asked for. Under torchrun rank 0 writes, each process
keeps its own random states, and all of them agree on where to begin and where to stop.

A checkpoint is a zip file: `state.json`, arrays as .npy (read without pickle), tensors by torch.save (read with weights_only=True).
Estimators alone are pickled, since scikit-learn has no other form: reading one runs what is in it. It happens only where you gave an
estimator, in your own process; keep the folder to yourself.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import errno
import importlib
import io
import json
import math
import os
import pickle
import random
import re
import signal
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Checkpoint", "CheckpointError"]

KEPT = 2
"""Newest checkpoints that stay on this machine."""
MOST_OF_THE_TIME = 0.05
"""Share of the time that saving after each epoch may take, where no period is given; then some epochs are not saved."""
WITHIN_AN_EPOCH_S = 300.0
"""How often there is a save in the middle of an epoch, where no period is given."""

_FORMAT = 1
_NAME = re.compile(r"^checkpoint-(\d{6,})-(\d{8,})\.zip$")
_ASIDE = re.compile(r"^\.checkpoint-\d+-\d+\.zip\.tmp$")
_INLINE_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 26
_PROGRESS_EVERY_S = 0.5
_WAIT_FOR_ANOTHER_S = 10.0
_NOTHING, _SAVE, _STOP = 0, 1, 2
_END = object()


class CheckpointError(Exception):
    """The training cannot be saved or gone on with as it is; the message says what to do."""


class Position(NamedTuple):
    """How far a training has come."""

    epochs: int
    """Whole ones."""
    batches: int
    """Of the next one."""

    def __str__(self) -> str:
        return f"{self.epochs} epoch{'s' if self.epochs != 1 else ''}" + (f" and {self.batches} batches" if self.batches else "")


class Checkpoint:
    """The state of a training, on disk.

    Args:
        name: a folder of its own below the others, for a program with several loops of epochs.
        objects: what is kept, by name; restored in place, so go on using the objects that you gave. A name bound anew
            (`weights = weights - step`) is another object: write `weights -= step`, or keep it in a dictionary.

    Raises:
        TypeError: an object of a kind that cannot be restored.
    """

    def __init__(self, name: str = "", /, **objects: Any) -> None:
        self._folder = Path(os.environ.get("MLGATE_CHECKPOINTS") or "checkpoints") / name
        self._objects = {key: value for key, value in objects.items() if not _is_generator(value)}
        self._generators = {key: value for key, value in objects.items() if _is_generator(value)}
        for key, value in self._objects.items():
            _Parts().encode_object(key, value)  # what cannot be kept is said now, not after the first epoch
        self._progress = _Progress()
        self._ranks = _Ranks()
        self._every_s: float | None = None
        self._is_used = False
        self._asked: int | None = None  # the signal that asked us to end
        self._at: Position | None = None
        self._total = 0
        self._took_batches = False
        self._random_at: dict[str, Any] = {}  # random states when the epoch, and when its batches, began
        self._resumed: _Saved | None = None  # in the middle of an epoch, until its batches have come
        self._unclaimed: dict[str, Any] = {}  # states of generators that belong to a loader we have not seen yet
        self._saved_at = 0.0
        self._cost_s = 0.0
        self._unchanged: dict[str, tuple[Position, int]] = {}
        self._lock: _Lock | None = None

    def epochs(self, total: int, every_s: float | None = None) -> Iterator[int]:
        """The numbers of the epochs that are still to be done, from 0 for the first to `total` - 1.

        Restores the newest whole checkpoint, saves after epochs and at the end, and on SIGTERM or SIGINT. None is left where the training
        was done before; the objects are then as it left them.

        Args:
            total: epochs, or steps, or trees: whatever one round of the loop is.
            every_s: save when this many seconds have passed since the last time, after a batch or an epoch; 0 for each of them.
                Left out: after each epoch unless that takes more than a twentieth of the time, and every 5 minutes within one.

        Raises:
            CheckpointError: the newest checkpoint is of another training, or a loop is used twice.
            SystemExit: 143 after SIGTERM, 130 after SIGINT, once the state is saved.
        """
        if self._is_used:
            raise CheckpointError(
                "a Checkpoint serves one loop over epochs(); make another with a name: Checkpoint('finetune', model=model)"
            )
        self._is_used, self._every_s, self._total = True, every_s, total
        with self._signals(), self._folder_released():
            self._ranks.meet()
            self._at = self._load(total)
            if self._ranks.agree_now(_STOP if self._asked else _NOTHING) == _STOP:
                self._leave()
            self._saved_at = time.monotonic()
            while self._at.epochs < total:
                self._took_batches = False
                if self._resumed is None:
                    self._random_at = {"epoch": self._random_state()}
                yield self._at.epochs
                if self._resumed is not None:
                    raise CheckpointError(
                        f"{self._folder / self._resumed.name} is from the middle of an epoch, after {self._resumed.position.batches} "
                        "batches, but the loop did not go through checkpoint.batches(); begin anew in an empty folder"
                    )
                self._at = Position(self._at.epochs + 1, 0)
                is_last = self._at.epochs >= total
                self._progress.write(self._at.epochs, total, is_forced=is_last)
                wanted = self._wanted(is_last or self._is_due(is_within=False))
                self._act(self._ranks.agree_now(wanted))
            self._ranks.part()

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """`batches`, and between two of them the place where the training may be saved or ended.

        Going on in the middle of an epoch draws the batches that were trained on once more and drops them, so that data, shuffling and
        augmentation are as they would have been. `sampler.set_epoch` is called where there is one. Once an epoch: for the training.

        Args:
            batches: a DataLoader, or anything that yields the same each time it is gone through with the same random states.
        """
        if self._at is None:
            raise CheckpointError("checkpoint.batches() belongs into a loop over checkpoint.epochs()")
        if self._took_batches:
            raise CheckpointError("checkpoint.batches() was used twice in an epoch; leave it out where nothing is trained")
        self._took_batches = True
        self._claim(batches)
        saved, epochs, done = self._resumed, self._at.epochs, 0
        if saved:
            self._set_random_state(saved.random("batches"))
        self._random_at["batches"] = self._random_state()
        for sampler in (getattr(batches, "sampler", None), getattr(batches, "batch_sampler", None)):
            if sampler is not None and hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epochs)
        iterator = _begin(batches)
        if saved:
            done = self._skip(iterator, saved)
        try:
            size = len(batches)  # type: ignore[arg-type]
        except TypeError:
            size = 0
        for batch in iterator:
            yield batch
            done += 1
            self._at = Position(epochs, done)
            if size:
                self._progress.write(epochs + min(done / size, 1), self._total)
            self._act(self._ranks.agree_soon(self._wanted(self._is_due(is_within=True))))

    def report(self, **metrics: Any) -> None:
        """Say how the training goes: `checkpoint.report(loss=loss)`. For mlgate's live status; numbers, or tensors of one number."""
        self._progress.metrics.update({name: value.detach() if hasattr(value, "detach") else value for name, value in metrics.items()})

    # When to save, and when to end

    def _wanted(self, is_due: bool) -> int:
        return _STOP if self._asked else _SAVE if is_due and self._ranks.rank == 0 else _NOTHING

    def _is_due(self, is_within: bool) -> bool:
        passed = time.monotonic() - self._saved_at
        if self._every_s is not None:
            return passed >= self._every_s
        return passed >= max(self._cost_s / MOST_OF_THE_TIME, WITHIN_AN_EPOCH_S if is_within else 0)

    def _act(self, agreed: int) -> None:
        if agreed >= _SAVE:
            self._save()
        if agreed == _STOP:
            self._leave()

    def _leave(self) -> None:
        self._progress.flush()
        self._ranks.part()  # torchrun ends the others when the first one ends, and rank 0 may still be writing
        number = self._asked or signal.SIGTERM  # another process was asked
        self._say(f"ended by {signal.Signals(number).name} after {self._at}; starts from there when it is run again")
        raise SystemExit(128 + number)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers; Python's own apply
            return
        before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _folder_released(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._lock:
                self._lock.release()
                self._lock = None

    def _take(self, number: int, _frame: Any) -> None:
        if self._asked == signal.SIGINT == number and sys.stdin is not None and sys.stdin.isatty():
            raise KeyboardInterrupt  # somebody presses Ctrl-C again: at once
        self._asked = self._asked or number

    def _say(self, text: str) -> None:
        if self._ranks.rank == 0:
            print(f"checkpoint: {text}", file=sys.stderr, flush=True)

    # What is kept

    def _random_state(self) -> Any:
        """Of the global generators and of those given, as JSON has it."""
        parts = _Parts()
        states: dict[str, Any] = {"random": random.getstate()}
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy:
            states["numpy"] = numpy.random.get_state(legacy=False)
        if torch:
            states["torch"] = _bytes_of(torch.get_rng_state())
            if torch.cuda.is_available() and torch.cuda.is_initialized():
                states["cuda"] = [_bytes_of(state) for state in torch.cuda.get_rng_state_all()]
        own = {name: _generator_state(generator) for name, generator in self._generators.items()}
        return parts.encode({"global": states, "own": own}, "random states")

    def _set_random_state(self, encoded: Any) -> None:
        if encoded is None:
            return
        found = _decode(encoded, None)
        states = found["global"]
        random.setstate(states["random"])
        if "numpy" in states:
            importlib.import_module("numpy").random.set_state(states["numpy"])
        if "torch" in states:
            torch = importlib.import_module("torch")
            torch.set_rng_state(_tensor_of(states["torch"]))
            if "cuda" in states and torch.cuda.is_available():
                for device in range(min(len(states["cuda"]), torch.cuda.device_count())):
                    torch.cuda.set_rng_state(_tensor_of(states["cuda"][device]), device)
        self._unclaimed = dict(found["own"])
        for name, generator in self._generators.items():
            if name in self._unclaimed:
                _set_generator_state(generator, self._unclaimed.pop(name))

    def _claim(self, loader: Any) -> None:
        """Keep the state of a loader's own generators, too."""
        sampler, batch_sampler = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
        owners = [loader, sampler, batch_sampler, getattr(batch_sampler, "sampler", None)]
        for number, owner in enumerate(owners):
            generator, name = getattr(owner, "generator", None), f"batches.{number}"
            if _is_generator(generator) and not any(generator is known for known in self._generators.values()):
                self._generators[name] = generator
                if name in self._unclaimed:
                    _set_generator_state(generator, self._unclaimed.pop(name))

    def _skip(self, iterator: Iterator[Any], saved: _Saved) -> int:
        """Go past the batches that were trained on; then everything is as it was when it was saved, whatever the way here changed."""
        for _ in range(saved.position.batches):
            if next(iterator, _END) is _END:
                raise CheckpointError(
                    f"{self._folder / saved.name}: saved after {saved.position.batches} batches of an epoch, which now has fewer: "
                    "it is of other data; begin anew in an empty folder"
                )
        with self._opened(saved.name) as archive:
            self._restore(saved, archive)
        self._set_random_state(saved.random("now"))
        self._resumed = None
        return saved.position.batches

    # Saving

    def _save(self) -> None:
        began = time.monotonic()
        assert self._at is not None  # noqa: S101 -- for the type checker: we are in the loop
        within = self._random_at if self._at.batches else {}
        states = self._ranks.gather({**within, "now": self._random_state()})
        if self._ranks.rank == 0:
            self._progress.flush()
            try:
                self._write(self._at, states)
            except OSError as error:
                self._say(f"not saved after {self._at}: {self._folder}: {error.strerror or error}; the one before stays")
        self._saved_at = time.monotonic()
        self._cost_s = self._saved_at - began

    def _write(self, position: Position, random_states: list[Any]) -> None:
        parts = _Parts()
        objects = {name: parts.encode_object(name, value) for name, value in self._objects.items()}
        state = {
            "format": _FORMAT,
            "epochs": position.epochs,
            "batches": position.batches,
            "total": self._total,
            "objects": objects,
            "random": random_states,
        }
        path = self._folder / f"checkpoint-{position.epochs:06d}-{position.batches:08d}.zip"
        self._hold_folder()
        _write_aside(path, lambda stream: parts.write(stream, state), self._hold_folder)
        if not position.batches:
            self._warn_of_stale(position, parts)
        found = _found(self._folder)
        kept = [name for name, at in found if at <= position][:KEPT]  # what claims to be newer than this was passed over: it is cut
        for name in {name for name, _ in found} - set(kept):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / name).unlink()

    def _hold_folder(self) -> None:
        """Have the folder, for this training alone. Raises CheckpointError where another one has it, OSError where there can be none."""
        if self._lock is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _Lock(self._folder / ".lock")
        elif not self._lock.is_in_place():
            if self._lock.path.exists():
                raise CheckpointError(f"{self._folder}: another training keeps its checkpoints here since; this one ends")
            raise FileNotFoundError(errno.ENOENT, "it was taken away while the training ran")

    def _warn_of_stale(self, position: Position, parts: _Parts) -> None:
        for name, crc in parts.checksums.items():
            before = self._unchanged.get(name)
            if before and before[1] == crc and before[0] != position:
                self._say(
                    f"'{name}' is as it was after {before[0]}. Was the name bound to another array meanwhile? That one is not saved: "
                    f"change it in place ({name} -= …, {name}[:] = …), or keep it in a dictionary"
                )
                self._unchanged[name] = (position, -1)  # say it once
            elif not before or before[1] not in (crc, -1):
                self._unchanged[name] = (position, crc)

    # Loading

    def _load(self, total: int) -> Position:
        """Restore the newest checkpoint that is whole; where it is from. All processes the same one."""
        chosen = self._ranks.share(self._newest() if self._ranks.rank == 0 else None)
        if not chosen:
            return Position(0, 0)
        name, checksum = chosen
        is_here = self._ranks.rank == 0 or _checksum(self._folder / name) == checksum
        self._sent = None if self._ranks.all(is_here) else self._ranks.send(self._folder / name, is_wanted=not is_here)
        with self._opened(name) as archive:
            saved = _Saved(name, json.loads(archive.read("state.json")), self._ranks.rank)
            self._restore(saved, archive)
        if saved.world_size != self._ranks.size:
            self._say(f"{name} was saved by {saved.world_size} processes, this is {self._ranks.size}: random states begin anew")
        if saved.position.batches:
            self._resumed = saved
            self._random_at = {"epoch": saved.random("epoch")}
            self._set_random_state(saved.random("epoch"))
        else:
            self._set_random_state(saved.random("now"))
            self._sent = None
        self._say(f"going on after {saved.position}, of {total} in all ({self._folder / name})")
        return Position(saved.position.epochs, 0)

    _sent: io.BytesIO | None = None  # the checkpoint, where this machine's folder does not have it

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[zipfile.ZipFile]:
        if self._sent:
            self._sent.seek(0)
        with zipfile.ZipFile(self._sent or self._folder / name) as archive:
            yield archive

    def _newest(self) -> tuple[str, int] | None:
        """Name and checksum of the newest checkpoint that is whole, and that as many processes can go on from."""
        with contextlib.suppress(OSError):  # a disk that is full or cannot be written is said when there is something to save
            self._hold_folder()
            for path in self._folder.iterdir():
                if _ASIDE.match(path.name):
                    path.unlink()  # of a process that was killed while it wrote
        for name, position in _found(self._folder):
            path = self._folder / name
            checksum = _checksum(path)
            if checksum is None:
                self._say(f"{path} is cut or damaged and passed over")
                continue
            with zipfile.ZipFile(path) as archive:
                state = json.loads(archive.read("state.json"))
            if state["format"] != _FORMAT:
                raise CheckpointError(f"{path}: written by another version of mlgate_checkpoint.py; begin anew in an empty folder")
            if position.batches and len(state["random"]) != self._ranks.size:
                self._say(
                    f"{path} is from the middle of an epoch of {len(state['random'])} processes, this is {self._ranks.size}: passed over"
                )
                continue
            return name, checksum
        return None

    def _restore(self, saved: _Saved, archive: zipfile.ZipFile) -> None:
        missing, more = sorted(set(self._objects) - set(saved.objects)), sorted(set(saved.objects) - set(self._objects))
        if missing or more:
            raise CheckpointError(
                f"{self._folder / saved.name} holds {', '.join(saved.objects) or 'nothing'}; the training keeps "
                f"{', '.join(self._objects) or 'nothing'}: it is of another training; begin anew in an empty folder"
            )
        source = _Source(archive)
        for name, value in self._objects.items():
            try:
                _restore(name, value, saved.objects[name], source)
            except CheckpointError:
                raise
            except Exception as error:
                raise CheckpointError(
                    f"{self._folder / saved.name}: '{name}' cannot be restored ({type(error).__name__}: {error}). If the checkpoint is of "
                    "another training, begin anew in an empty folder"
                ) from error


class _Saved:
    """What a checkpoint says of itself."""

    def __init__(self, name: str, state: dict[str, Any], rank: int) -> None:
        self.name = name
        self.position = Position(state["epochs"], state["batches"])
        self.objects: dict[str, Any] = state["objects"]
        self.world_size = len(state["random"])
        self._rank = rank
        self._random: list[dict[str, Any]] = state["random"]

    def random(self, moment: str) -> Any:
        """This process's random states at `epoch`, `batches` or `now`; None where it did not run then."""
        return self._random[self._rank].get(moment) if self._rank < self.world_size else None


# Objects


def _kind(name: str, value: Any) -> str:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if any("FullyShardedDataParallel" in base.__name__ or base.__name__ == "FSDPModule" for base in type(value).__mro__):
        raise TypeError(f"Checkpoint({name}=…): each process holds a part of it; save it by torch.distributed.checkpoint")
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return "state"
    if numpy and isinstance(value, numpy.ndarray):
        return "array"
    if torch and isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, (dict, list)):
        return "plain"
    if hasattr(value, "get_params") and hasattr(value, "set_params") and hasattr(value, "fit"):
        return "estimator"
    raise TypeError(
        f"Checkpoint({name}=…): {type(value).__name__} cannot be restored in place; give an object with state_dict and load_state_dict, a "
        "NumPy array, a tensor, a dictionary, a list, a random generator or a scikit-learn estimator"
    )


def _restore(name: str, value: Any, encoded: Any, source: _Source) -> None:
    kind = _kind(name, value)
    if kind == "estimator":
        found = source.estimator(encoded["estimator"])
        if type(found) is not type(value):
            raise TypeError(f"it is a {type(found).__name__}, not a {type(value).__name__}")
        value.__dict__.clear()
        value.__dict__.update(found.__dict__)
        return
    found = _decode(encoded, source, is_to_device=kind == "plain")
    if kind == "state":
        value.load_state_dict(found)
    elif kind == "array":
        if found.shape != value.shape or found.dtype != value.dtype:
            raise ValueError(f"it is {found.dtype}{list(found.shape)}, not {value.dtype}{list(value.shape)}")
        value[...] = found
    elif kind == "tensor":
        if found.shape != value.shape or found.dtype != value.dtype:
            raise ValueError(f"it is {found.dtype}{list(found.shape)}, not {value.dtype}{list(value.shape)}")
        value.detach().copy_(found)
    else:
        if type(found) is not type(value):
            raise TypeError(f"it is a {type(found).__name__}, not a {type(value).__name__}")
        value.clear()
        value.update(found) if isinstance(value, dict) else value.extend(found)


class _Parts:
    """Values as JSON, and beside it what JSON has no room for."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.tensors: list[Any] = []
        self.estimators: list[Any] = []
        self.checksums: dict[str, int] = {}
        """Of arrays that were given themselves, by name."""
        self._named: dict[str, str] = {}

    def encode_object(self, name: str, value: Any) -> Any:
        kind = _kind(name, value)
        if kind == "estimator":
            self.estimators.append(value)
            return {"estimator": len(self.estimators) - 1}
        if kind == "array":
            self.arrays.append(_plain_array(value, name))
            self._named[f"arrays/{len(self.arrays) - 1}.npy"] = name
            return {"array": len(self.arrays) - 1}
        if kind == "state":
            return self.encode(value.state_dict(), name, is_state=True)
        return self.encode(value, name)

    def encode(self, value: Any, where: str, is_state: bool = False) -> Any:  # noqa: C901 -- a line a type
        """`value` of plain types, arrays and tensors. Raises CheckpointError for others, with where they stand."""
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.encode(item, f"{where}[{number}]", is_state) for number, item in enumerate(value)]
        if isinstance(value, dict):
            pairs = [
                [self.encode(key, where), self.encode(item, f"{where}.{key}", is_state)]
                for key, item in value.items()
                if not (is_state and callable(item))  # a scheduler's functions are the code's, not the state's
            ]
            tag = next((tag for tag, kind in _DICTIONARIES.items() if isinstance(value, kind)), "dict")
            more = getattr(value, "_metadata", None)  # versions of PyTorch's modules
            return {tag: pairs, "metadata": self.encode(more, where)} if more is not None else {tag: pairs}
        if isinstance(value, (tuple, set, frozenset, collections.deque)):
            tag = next(tag for tag, kind in _COLLECTIONS.items() if isinstance(value, kind))
            return {tag: [self.encode(item, f"{where}[{number}]", is_state) for number, item in enumerate(value)]}
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if torch and isinstance(value, torch.Tensor):
            if type(value).__name__ == "DTensor":
                raise CheckpointError(f"Checkpoint: {where}: each process holds a part of it; save it by torch.distributed.checkpoint")
            self.tensors.append(value.detach())
            return {"tensor": len(self.tensors) - 1, "device": value.device.type}
        if torch and isinstance(value, torch.dtype):
            return {"dtype": str(value).rpartition(".")[2]}
        if numpy and isinstance(value, (numpy.ndarray, numpy.generic)):
            array = _plain_array(numpy.asarray(value), where)
            scalar = {"scalar": True} if isinstance(value, numpy.generic) else {}
            if array.nbytes <= _INLINE_BYTES and array.dtype.names is None:
                content = base64.b64encode(array.tobytes()).decode()
                return {"values": content, "type": array.dtype.str, "shape": list(array.shape), **scalar}
            self.arrays.append(array)
            return {"array": len(self.arrays) - 1, **scalar}
        if isinstance(value, (bool, int, float, str)):
            return self.encode(next(kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), where)
        raise CheckpointError(
            f"Checkpoint: {where} is a {type(value).__module__}.{type(value).__qualname__}, which is not kept: numbers, text, lists, "
            "dictionaries, arrays and tensors are; leave it out, or give it a state_dict of those"
        )

    def write(self, stream: Any, state: dict[str, Any]) -> None:
        """All of it as a zip file."""
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("state.json", json.dumps(state))
            for number, array in enumerate(self.arrays):
                with archive.open(f"arrays/{number}.npy", "w", force_zip64=True) as part:
                    importlib.import_module("numpy").lib.format.write_array(part, array, allow_pickle=False)
            if self.tensors:
                with archive.open("tensors.pt", "w", force_zip64=True) as part:
                    importlib.import_module("torch").save(self.tensors, part)
            for number, estimator in enumerate(self.estimators):
                with archive.open(f"estimators/{number}.pickle", "w", force_zip64=True) as part:
                    pickle.dump(estimator, part, protocol=pickle.HIGHEST_PROTOCOL)
            self.checksums = {self._named[info.filename]: info.CRC for info in archive.infolist() if info.filename in self._named}


_DICTIONARIES: dict[str, Any] = {"ordered": collections.OrderedDict, "counter": collections.Counter}
_COLLECTIONS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque}


class _Source:
    """The parts of a checkpoint that is read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._tensors: list[Any] | None = None

    def array(self, number: int) -> Any:
        with self._archive.open(f"arrays/{number}.npy") as part:
            return importlib.import_module("numpy").lib.format.read_array(part, allow_pickle=False)

    def tensor(self, number: int) -> Any:
        if self._tensors is None:
            torch = importlib.import_module("torch")
            part = io.BufferedReader(_Member(self._archive, "tensors.pt"))
            self._tensors = torch.load(part, map_location="cpu", weights_only=True)
        return self._tensors[number]

    def estimator(self, number: int) -> Any:
        with self._archive.open(f"estimators/{number}.pickle") as part:
            return pickle.load(part)  # noqa: S301 -- as the head of this file says


class _Member(io.RawIOBase):
    """A stored member of a zip file in which one can seek at no cost; zipfile's own reads from the beginning, and torch seeks a lot."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        stream: Any = archive.fp
        self._stream = stream
        info = archive.getinfo(name)
        self._stream.seek(info.header_offset)
        name_size, extra_size = struct.unpack("<26xHH", self._stream.read(30))
        self._begin = info.header_offset + 30 + name_size + extra_size
        self._size = info.file_size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence], 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._stream.seek(self._begin + self._position)
        data = self._stream.read(max(min(len(buffer), self._size - self._position), 0))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _decode(encoded: Any, source: _Source | None, is_to_device: bool = False) -> Any:  # noqa: C901 -- a line a type
    """What `_Parts.encode` was given."""

    def again(value: Any) -> Any:
        return _decode(value, source, is_to_device)

    if isinstance(encoded, list):
        return [again(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    for tag, kind in {"dict": dict, **_DICTIONARIES}.items():
        if tag in encoded:
            found: Any = kind({again(key): again(item) for key, item in encoded[tag]})
            if "metadata" in encoded:
                found._metadata = again(encoded["metadata"])  # noqa: SLF001 -- where PyTorch looks for it
            return found
    for tag, kind in _COLLECTIONS.items():
        if tag in encoded:
            return kind(again(item) for item in encoded[tag])
    if "bytes" in encoded:
        return base64.b64decode(encoded["bytes"])
    if "complex" in encoded:
        return complex(*encoded["complex"])
    if "dtype" in encoded:
        return getattr(importlib.import_module("torch"), encoded["dtype"])
    if "tensor" in encoded:
        assert source is not None  # noqa: S101 -- for the type checker: random states hold no tensors
        found = source.tensor(encoded["tensor"])
        return found.to(encoded["device"]) if is_to_device else found
    if "values" in encoded:
        numpy = importlib.import_module("numpy")
        content = bytearray(base64.b64decode(encoded["values"]))  # writable
        array = numpy.frombuffer(content, dtype=numpy.dtype(encoded["type"])).reshape(encoded["shape"])
    else:
        assert source is not None  # noqa: S101 -- for the type checker: random states hold no large arrays
        array = source.array(encoded["array"])
    return array[()] if encoded.get("scalar") else array


def _plain_array(array: Any, where: str) -> Any:
    if array.dtype.hasobject:
        raise CheckpointError(f"Checkpoint: {where} is an array of Python objects, which is not kept; keep numbers or text")
    return array


# Random generators


def _is_generator(value: Any) -> bool:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (
        isinstance(value, random.Random)
        or (numpy is not None and isinstance(value, (numpy.random.Generator, numpy.random.RandomState)))
        or (torch is not None and isinstance(value, torch.Generator))
    )


def _generator_state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator.state
    return generator.get_state(legacy=False) if type(generator).__name__ == "RandomState" else _bytes_of(generator.get_state())


def _set_generator_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state
    else:
        generator.set_state(_tensor_of(state) if isinstance(state, bytes) else state)


def _bytes_of(state: Any) -> bytes:
    return bytes(state.tolist())


def _tensor_of(state: bytes) -> Any:
    torch = importlib.import_module("torch")
    return torch.tensor(list(state), dtype=torch.uint8)


# Processes under torchrun


class _Ranks:
    """All processes of a training: what they tell one another. A single one has nothing to tell."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self._group: Any = None
        self._dist: Any = None
        self._pending: Any = None

    def meet(self) -> None:
        """Find the others. A group of its own: what goes on in the training's must not mix with it, and CUDA must not wait for it."""
        torch = sys.modules.get("torch")
        dist = getattr(torch, "distributed", None)
        is_ready = bool(dist and dist.is_available() and dist.is_initialized())
        if int(os.environ.get("WORLD_SIZE") or 1) > 1 and not is_ready:
            raise CheckpointError("call torch.distributed.init_process_group() before checkpoint.epochs(): this is one process of several")
        if is_ready and dist is not None and dist.get_world_size() > 1:
            self._dist, self.rank, self.size = dist, dist.get_rank(), dist.get_world_size()
            self._group = dist.new_group(backend="gloo")

    def agree_now(self, wanted: int) -> int:
        """The most that any process wants, the same in all of them."""
        if not self._dist:
            return wanted
        before = self.agree_soon(wanted)
        after = self._await()
        return max(before, after)

    def agree_soon(self, wanted: int) -> int:
        """The most that any process wanted a batch ago: nobody waits, and all stop at the same batch."""
        if not self._dist:
            return wanted
        before = self._await()
        flag = sys.modules["torch"].tensor([wanted])
        self._pending = self._dist.all_reduce(flag, op=self._dist.ReduceOp.MAX, group=self._group, async_op=True), flag
        return before

    def _await(self) -> int:
        pending, self._pending = self._pending, None
        if pending is None:
            return _NOTHING
        pending[0].wait()
        return int(pending[1])

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in rank 0; elsewhere nothing."""
        if not self._dist:
            return [value]
        found: Any = [None] * self.size if self.rank == 0 else None
        self._dist.gather_object(value, found, dst=0, group=self._group)
        return found or []

    def share(self, value: Any) -> Any:
        """Rank 0's value."""
        if not self._dist:
            return value
        box = [value]
        self._dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def all(self, value: bool) -> bool:
        if not self._dist:
            return value
        found = [None] * self.size
        self._dist.all_gather_object(found, value, group=self._group)
        return all(found)

    def send(self, path: Path, is_wanted: bool) -> io.BytesIO | None:
        """A file of rank 0's, in memory where it is wanted: the machines of a training need no disk in common."""
        torch = sys.modules["torch"]
        left = self.share(path.stat().st_size if self.rank == 0 else None)
        received = io.BytesIO() if is_wanted else None
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(path.open("rb")) if self.rank == 0 else None
            while left:
                content = bytearray(min(left, _CHUNK_BYTES))
                if source:
                    source.readinto(content)
                chunk = torch.frombuffer(content, dtype=torch.uint8)
                self._dist.broadcast(chunk, src=0, group=self._group)
                if received:
                    received.write(content)
                left -= len(content)
        return received

    def part(self) -> None:
        """Wait until all are here; then they have nothing more to tell one another."""
        if self._dist:
            self._dist.barrier(group=self._group)
            self._dist.destroy_process_group(self._group)
            self._dist = self._group = None


# Files


def _found(folder: Path) -> list[tuple[str, Position]]:
    """Checkpoints of a folder, the one that got farthest first."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    found = [(match.group(), Position(int(match.group(1)), int(match.group(2)))) for match in map(_NAME.match, names) if match]
    return sorted(found, key=lambda item: item[1], reverse=True)


def _checksum(path: Path) -> int | None:
    """Of a checkpoint's content, every byte of which was read; None where it is not whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None or "state.json" not in archive.namelist():
                return None
            return zlib.crc32(repr([(info.filename, info.CRC, info.file_size) for info in archive.infolist()]).encode())
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile):
        return None


class _Lock:
    """A folder that one training has for itself, as long as it lives; two that write to it would go on from one another's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl: Any = importlib.import_module("fcntl")
        except ImportError:
            return  # Windows
        deadline = time.monotonic() + _WAIT_FOR_ANOTHER_S  # who was told to end may be at its last save
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's it is not handed on to loading processes
                break
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= deadline:
                    who = os.read(self._descriptor, 20).decode(errors="replace").strip()
                    os.close(self._descriptor)
                    raise CheckpointError(
                        f"{path.parent}: another training{f' (process {who})' if who else ''} keeps its checkpoints here; end it, or set "
                        "MLGATE_CHECKPOINTS to another folder"
                    ) from None
                time.sleep(0.1)
            except OSError:
                return  # a file system without locks
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def is_in_place(self) -> bool:
        """Whether this is the folder still; it may have been taken away, and another training begun in a new one of its name."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        os.close(self._descriptor)


def _write_aside(path: Path, write: Callable[[Any], None], check: Callable[[], None]) -> None:
    """Under its name there is the whole file or none, also after a power cut. `check` may object at the last moment."""
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with aside.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        check()
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _begin(batches: Iterable[Any]) -> Iterator[Any]:
    """An iterator whose worker processes leave signals to us: mlgate signals all processes, and a loader dies with its workers."""
    if not hasattr(signal, "pthread_sigmask"):
        return iter(batches)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        return iter(batches)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Progress:
    """The file that MLGATE_PROGRESS names, rewritten; nothing without it."""

    def __init__(self) -> None:
        path = os.environ.get("MLGATE_PROGRESS") if os.environ.get("RANK", "0") == "0" else None
        self._path = Path(path) if path else None
        self._written_at = -math.inf
        self._unwritten: tuple[float, int] | None = None
        self.metrics: dict[str, Any] = {}

    def write(self, step: float, total: int, is_forced: bool = False) -> None:
        now = time.monotonic()
        if self._path is None or (now - self._written_at < _PROGRESS_EVERY_S and not is_forced):
            self._unwritten = (step, total)
            return
        self._written_at, self._unwritten = now, None
        numbers = {name: float(value) for name, value in self.metrics.items()}
        content = {
            "step": round(step, 6),
            "total": total,
            "unit": "epoch",
            "metrics": {name: x for name, x in numbers.items() if math.isfinite(x)},
        }
        aside = self._path.with_name(f".{self._path.name}.tmp")
        with contextlib.suppress(OSError):  # a training does not end for want of a progress bar
            aside.write_text(json.dumps(content), encoding="utf-8")
            os.replace(aside, self._path)

    def flush(self) -> None:
        """Write what there was no time for: what is saved, or ends, says how far it is."""
        if self._unwritten is not None:
            self.write(*self._unwritten, is_forced=True)
