"""How long requests take: a candidate's program and a baseline's take turns, round by round, so that what slows the machine slows both.

A request is a line with a JSON list of rows of the holdout, an answer a line with a JSON list of as many predictions. The programs are the
user's, or serve_model.py with an MLflow model; both run in processes of their own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from mlgate.config import MAX_LATENCY_SAMPLES, LatencyConfig
from mlgate.errors import InputError
from mlgate.evidence import MAX_MILLISECONDS, LatencySamples
from mlgate.mistakes import lookalike
from mlgate.process import Conversation, SilentError, converse, python_command, shell_command

_SERVE_MODEL = Path(__file__).with_name("serve_model.py")
_MAX_ROWS = 100_000
_FORMATS: dict[str, Callable[[Path], Any]] = {
    ".csv": pyarrow.csv.read_csv,
    ".parquet": pq.read_table,
    ".pq": pq.read_table,
    ".jsonl": pyarrow.json.read_json,
    ".ndjson": pyarrow.json.read_json,
    ".json": pyarrow.json.read_json,
}


class ProgramFailedError(Exception):
    """One of the two programs gave no answer, or a wrong one."""

    def __init__(self, program: Program, reason: str) -> None:
        super().__init__(f"'{program.shown_as}' {reason}")
        self.program = program


@dataclass(frozen=True)
class Program:
    """What answers for one model."""

    argv: list[str]
    root: Path
    log: Path
    """Takes its standard error."""
    shown_as: str


def program_of(latency: LatencyConfig, root: Path, log: Path) -> Program:
    """What the configuration has answer for the model in `root`. Raises InputError where there is no interpreter, or no such model."""
    if latency.predict is not None:
        shown = latency.predict if len(latency.predict) <= 80 else f"{latency.predict[:79]}…"
        return Program(shell_command(latency.predict), root, log, " ".join(shown.split()))
    model = str(latency.model)
    if not (root / model / "MLmodel").is_file():
        raise InputError(f"{model} (evaluation.latency.model): no MLflow model there; expected a folder with a file MLmodel")
    return Program(python_command(_SERVE_MODEL, [model], root), root, log, model)


def rows_of(path: Path, shown_as: str, but_for: Sequence[str | None] = ()) -> list[dict[str, Any]]:
    """The rows that requests are made of, at most the first 100,000.

    Args:
        path: of the file; its ending says the format.
        shown_as: what messages call it.
        but_for: columns that no request has: the target, the id.

    Raises:
        InputError: the file is absent, cannot be read, or has no rows.
    """
    read = _FORMATS.get(path.suffix.lower())
    if read is None:
        raise InputError(f"{shown_as}: expected a .csv, .parquet or .jsonl file of rows to ask about")
    if not path.is_file():
        raise InputError(f"{shown_as}: no such file{lookalike(path)}")
    try:
        table = read(path)
        table = table.select([name for name in table.column_names if name not in but_for]).slice(0, _MAX_ROWS)
        found = [{name: _sendable(value) for name, value in row.items()} for row in table.to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{shown_as}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    if not found:
        raise InputError(f"{shown_as}: no rows in it; expected some to ask about")
    return found


def _sendable(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measure(
    candidate: Program,
    baseline: Program | None,
    latency: LatencyConfig,
    rows: Sequence[dict[str, Any]],
    seed: int,
    say: Callable[[str], None],
) -> LatencySamples:
    """Time every request.

    Each round both models get the same requests, one model after the other, in an order that is drawn anew. Times are from the first byte
    of a request sent to the last byte of its answer read, so that reading and writing JSON count, as they do in a service.

    Args:
        candidate: of this commit.
        baseline: None to measure the candidate alone.
        latency: how.
        rows: at least one; drawn from with replacement.
        seed: of the draws.
        say: told how far it is.

    Raises:
        ProgramFailedError: a program died, was silent or answered wrongly.
        InputError: a program cannot be started.
    """
    random = np.random.default_rng(seed)
    deadline = time.monotonic() + latency.timeout
    programs = [candidate, *([baseline] if baseline else [])]
    times: list[list[list[float]]] = [[] for _ in programs]

    def requests(count: int) -> list[bytes]:
        drawn = random.integers(0, len(rows), (count, latency.batch)).tolist()
        return [json.dumps([rows[place] for place in places], default=str).encode() + b"\n" for places in drawn]

    with ExitStack() as stack:
        talks = [stack.enter_context(converse(one.argv, root=one.root, log=one.log)) for one in programs]
        say("warming up")
        first = requests(latency.warm_up)
        for program, talk in zip(programs, talks, strict=True):
            list(_asked(program, talk, first, latency, deadline, "while warming up"))
        for number in range(latency.rounds):
            say(f"round {number + 1} of {latency.rounds}")
            asked = requests(latency.requests)
            for place in random.permutation(len(programs)).tolist():
                where = f"in round {number + 1} of {latency.rounds}"
                times[place].append(list(_asked(programs[place], talks[place], asked, latency, deadline, where)))
    return LatencySamples(candidate=times[0], baseline=times[1] if baseline else None)


def _asked(
    program: Program, talk: Conversation, requests: Sequence[bytes], latency: LatencyConfig, deadline: float, where: str
) -> Iterator[float]:
    """Milliseconds of each request."""
    for request in requests:
        try:
            answer, seconds = talk.ask(request, deadline)
        except SilentError as error:
            late = f"; evaluation.latency.timeout is {latency.timeout} s" if time.monotonic() >= deadline else ""
            raise ProgramFailedError(program, f"{error} {where}{late}" if late else f"{_placed(str(error), where)}") from None
        if reason := _wrong(answer, latency.batch):
            raise ProgramFailedError(program, f"{reason} {where}")
        yield seconds * 1000


def _placed(reason: str, where: str) -> str:
    """`ended (exit 1) in round 3 of 20: KeyError: 'age'`."""
    what, colon, said = reason.partition(": ")
    return f"{what} {where}{colon}{said}"


def _wrong(answer: bytes, batch: int) -> str:
    """What is wrong with an answer, without quoting predictions; empty where it is right."""
    expected = f"expected a JSON list of {batch:,} {'prediction' if batch == 1 else 'predictions'}, one a row, on one line"
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return f"answered by no JSON ({expected}; print anything else to standard error)"
    if not isinstance(found, list):
        return f"answered by {'an object' if isinstance(found, dict) else type(found).__name__} ({expected})"
    return f"answered by a list of {len(found):,} ({expected})" if len(found) != batch else ""


def read_samples(path: Path, shown_as: str) -> tuple[LatencySamples, bool]:
    """The user's own samples, one row a request: milliseconds in `ms`, or seconds in `s`; perhaps a column `round`.

    Returns:
        The samples by round, and whether there is a column `round`; without one all are of one round.

    Raises:
        InputError: the file is absent or says something wrong.
    """
    read = _FORMATS.get(path.suffix.lower())
    if read is None:
        raise InputError(f"{shown_as}: expected a .csv, .parquet or .jsonl file with a column 'ms'")
    if not path.is_file():
        raise InputError(f"{shown_as}: no such file{lookalike(path) or '; does the training command write it?'}")
    try:
        table = read(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{shown_as}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    unit = next((name for name in ("ms", "s") if table.column_names.count(name) == 1), None)
    if unit is None:
        raise InputError(f"{shown_as}: no column 'ms' (milliseconds) or 's' (seconds); expected one row a request")
    if not 0 < table.num_rows <= MAX_LATENCY_SAMPLES:
        raise InputError(f"{shown_as}: {table.num_rows:,} requests; expected at least one and at most {MAX_LATENCY_SAMPLES:,}")
    column = table.column(unit)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise InputError(f"{shown_as}: column '{unit}': expected numbers, got {column.type}")
    times = column.cast(pa.float64(), safe=False).fill_null(math.nan).to_numpy() * (1000 if unit == "s" else 1)
    if wrong := np.flatnonzero(~(np.isfinite(times) & (times >= 0) & (times <= MAX_MILLISECONDS))).tolist():
        raise InputError(f"{shown_as}: column '{unit}': row {wrong[0]} (from 0): expected a time of 0 or more, and no gap")
    if table.column_names.count("round") != 1:
        return LatencySamples(candidate=[times.tolist()]), False
    rounds: dict[Any, list[float]] = {}
    for name, took in zip(table.column("round").to_pylist(), times.tolist(), strict=True):
        rounds.setdefault(name, []).append(took)
    if None in rounds:
        raise InputError(f"{shown_as}: column 'round': expected the number of a round in every row")
    if len(sizes := {len(one) for one in rounds.values()}) > 1:
        raise InputError(f"{shown_as}: column 'round': from {min(sizes):,} to {max(sizes):,} requests a round; expected equally many")
    return LatencySamples(candidate=list(rounds.values())), True
