"""The manifest of a checkpoint: which files it consists of, of which training, how far that was. It is untrusted until it was
parsed: whoever can write to the place can write one."""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from mlgate.evidence import Commit, InsidePath, Record, RunRef, Sha256, Text, TrainingCost

MAX_BYTES = 20_000_000
MAX_FILES = 10_000
MOST_TRAINED_S = 1e10


def _utc(stated: datetime) -> datetime:
    if not 1970 < stated.year < 9000:  # what lies at the calendar's edge is in no other time zone
        raise ValueError("expected a time of this age")
    return stated.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A time of which whoever wrote it said the zone, so that any two can be compared."""
_MOST_SPENT = 1e12


def _plausible(cost: TrainingCost) -> TrainingCost:
    amounts = (cost.duration_s, cost.gpu_hours, cost.kwh, cost.cost)
    if not all(amount is None or 0 <= amount <= _MOST_SPENT for amount in amounts) or (cost.currency and not cost.currency.isalpha()):
        raise ValueError("expected amounts that a training can take")
    return cost


Spent = Annotated[TrainingCost, AfterValidator(_plausible)]
"""What a place says that a training took: it is added to the bill, and shown."""
Ending = Literal["running", "interrupted", "failed"]
"""Whether the training went on, was ended from outside, or ended with an error of its own, which may lie in its state."""
UNIT = r"^[^\W\d]\w{0,19}$"
"""A word, as progress has it: `epoch`, `it`. It is shown to people."""
_WRITER = r"[0-9a-f]{8,10}-[0-9a-f]{12}"
_NAME = re.compile(rf"(?P<writer>{_WRITER})\.(?P<sequence>[0-9]{{6}})\.json")
_MAX_PATH = 4096
_UNFINISHED = (".tmp", ".part")


def is_left_out(name: str) -> bool:
    """Whether a file or folder of that name is nobody's checkpoint: hidden, or being written."""
    return name.startswith(".") or name.endswith(_UNFINISHED)


def is_ordinary(path: str) -> bool:
    """Whether a file of that path, relative to the folder of checkpoints, can be one of a checkpoint's on any machine."""
    parts = path.split("/")
    if any(not part or is_left_out(part) or len(part.encode(errors="surrogateescape")) > 255 for part in parts):
        return False
    return "\\" not in path and ":" not in path[:2] and len(path) <= _MAX_PATH


def _ordinary(path: str) -> str:
    if not is_ordinary(path):
        raise ValueError("expected the path of an ordinary file below the folder of checkpoints")
    return path


class SavedFile(Record):
    path: Annotated[InsidePath, AfterValidator(_ordinary)]
    """Relative to the folder of checkpoints."""
    size_bytes: Annotated[int, Field(ge=0, lt=2**53)]
    sha256: Sha256
    """Also the name that the content has in the place."""


class Manifest(Record):
    schema_version: Literal[1] = 1
    key: Sha256
    """`identity.Identity.key` of the training."""
    training: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """Drawn where a training begins from nothing; whoever goes on from a checkpoint has it from there."""
    writer: Annotated[str, StringConstraints(pattern=rf"^{_WRITER}$")]
    """The run that saved it, one of perhaps many of the training."""
    sequence: Annotated[int, Field(ge=1, le=999_999)]
    """Counts what that run saved."""
    model: Text
    commit: Commit | None
    run: RunRef | None
    saved_at: Moment
    trained_s: Annotated[float, Field(ge=0, le=MOST_TRAINED_S)]
    """Seconds of training that it holds, over all runs that led to it."""
    step: float | None = None
    unit: Annotated[str, StringConstraints(pattern=UNIT)] | None = None
    """What `step` counts."""
    spent: Spent | None = None
    """What all runs that led to it had taken."""
    ending: Ending = "running"
    begun_anew: RunRef | None = None
    """The run that began this training because it was asked to begin from nothing."""
    files: Annotated[list[SavedFile], Field(min_length=1, max_length=MAX_FILES)]

    @model_validator(mode="after")
    def _has_each_file_once(self) -> Self:
        paths = {file.path for file in self.files}
        if len(paths) < len(self.files):
            raise ValueError("a file is listed twice")
        if any("/".join(parts[:count]) in paths for path in paths for parts in [path.split("/")] for count in range(1, len(parts))):
            raise ValueError("a file is listed as a folder, too")
        return self

    @property
    def name(self) -> str:
        return f"{self.writer}.{self.sequence:06d}.json"

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def order(self) -> tuple[float, datetime, int]:
        """Sorts by how much work it holds."""
        return self.trained_s, self.saved_at, self.sequence


def writer_of(name: str) -> str | None:
    """Which run a manifest of that name is of; None where it is no name of a manifest."""
    match = _NAME.fullmatch(name)
    return match["writer"] if match else None


def new_writer() -> str:
    """The name of a run: when it began, and something of its own."""
    return f"{int(time.time()):08x}-{secrets.token_hex(6)}"


def began_at(writer: str) -> float:
    """When a run began, in seconds since 1970 by its own clock."""
    return float(int(writer.partition("-")[0], 16))
