"""Files inspected by worker processes, in order. A decoder that dies of a file takes one worker with it, not the stage, and the file is
found and named."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from mlgate.contracts.files.inspection import Inspected, Wanted, inspect
from mlgate.errors import InfrastructureError

_FEW = 64
"""So many are done here before a pool would have started."""
_BATCH = 128
_MOST_WORKERS = 32
_DEATHS = 5
"""When the first so many files of a batch all kill their worker, it is not the files."""
_ALL_DIE = "the processes that decode files end at once; is there memory enough?"
_AHEAD = 4
"""Batches a worker that are under way at once: memory does not grow with the number of files."""

Task = tuple[str, str | None]
"""Path and type of a file, as `inspect` takes them."""


def inspect_all(tasks: Sequence[Task], wanted: Wanted, processes: int | None = None) -> Iterator[Inspected]:
    """What each file is, in the order of the tasks.

    Args:
        tasks: paths and types.
        wanted: what to find out about each.
        processes: how many workers; None for as many as there are cores for this process. 0 does all of it here.
    """
    processes = min(_cores(), _MOST_WORKERS) if processes is None else processes
    if not processes or len(tasks) <= _FEW:
        return (inspect(path, kind, wanted) for path, kind in tasks)
    return itertools.chain.from_iterable(_in_batches(tasks, wanted, processes))


def _in_batches(tasks: Sequence[Task], wanted: Wanted, processes: int) -> Iterator[list[Inspected]]:
    waiting = deque(tasks[start : start + _BATCH] for start in range(0, len(tasks), _BATCH))
    under_way: deque[tuple[Sequence[Task], Future[list[Inspected]]]] = deque()
    pool = _pool(processes)
    try:
        while waiting or under_way:
            _fill(under_way, waiting, pool, wanted, processes * _AHEAD)
            batch, future = under_way.popleft()
            try:
                found = future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                found = _one_by_one(batch, wanted)
                waiting.extendleft(other for other, _ in reversed(under_way))
                under_way.clear()
                pool = _pool(processes)
            yield found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fill(
    under_way: deque[tuple[Sequence[Task], Future[list[Inspected]]]],
    waiting: deque[Sequence[Task]],
    pool: ProcessPoolExecutor,
    wanted: Wanted,
    most: int,
) -> None:
    while waiting and len(under_way) < most:
        try:
            future = pool.submit(_inspect_batch, waiting[0], wanted)
        except BrokenProcessPool:
            if not under_way:
                raise InfrastructureError(_ALL_DIE) from None
            return  # what is under way tells
        under_way.append((waiting.popleft(), future))


def _one_by_one(batch: Sequence[Task], wanted: Wanted) -> list[Inspected]:
    """A batch again, with a worker of its own that may die at any file."""
    found = []
    deaths = 0
    pool = _pool(1)
    try:
        for task in batch:
            try:
                found += pool.submit(_inspect_batch, [task], wanted).result()
            except BrokenProcessPool:
                deaths += 1
                if deaths == len(found) + 1 == _DEATHS:
                    raise InfrastructureError(_ALL_DIE) from None
                pool.shutdown(wait=False)
                pool = _pool(1)
                found.append(Inspected(undecodable="the decoder crashes or runs out of memory"))
    finally:
        pool.shutdown(wait=False)
    return found


def _pool(processes: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork of a process with threads (Polars has many) can hang.
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start)


def _start() -> None:
    """A worker: silent, deaf to Ctrl-C, which its parent answers, and never there longer than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stderr__.fileno() if sys.__stderr__ else 2)  # libtiff's and libmpg123's remarks
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end_with_parent, daemon=True).start()


def _inspect_batch(batch: Sequence[Task], wanted: Wanted) -> list[Inspected]:
    return [inspect(path, kind, wanted) for path, kind in batch]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
