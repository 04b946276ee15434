"""What every record is made of: closed, frozen, without NaN or infinity, its texts of limited length."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

MAX_TEXT = 20_000
Status = Literal["passed", "failed", "skipped", "error"]
Verdict = Literal["better", "no worse", "worse", "cannot tell"]
CarriedSource = Literal["dvc outputs", "git", "run cache", "rebuilt"]
BaselineSource = Literal["store", "dvc outputs", "git", "run artifact", "run cache", "rebuilt", "re-scored", "file"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


def _inside(path: str) -> str:
    if path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/") or "\0" in path or ":" in path[:2]:
        raise ValueError("expected a path inside the state folder")
    return path


InsidePath = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_inside)]


class Record(BaseModel):
    """Base of everything in evidence: closed (unknown keys are refused), frozen, without NaN or infinity."""

    # Built at first use: a command reads and writes a few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class FileRef(Record):
    """A file a stage left in the state folder, relative to it."""

    path: InsidePath
    sha256: Sha256
    size_bytes: int


class DataRef(Record):
    """One piece of data and the hash that identifies it."""

    path: Text
    """Relative to the working directory; or an address in an object store."""
    hash: Text
    """`md5:<hex>` as DVC computes it (`md5:<hex>.dir` for a folder). In an object store `etag:<its version>`, `etags:<SHA-256>` of what is
    listed in a folder, or `unpinned` where its client is not installed."""
    size_bytes: int
    files: int
    tracked_by: Literal["dvc", "git", "none"]


class RunRef(Record):
    """The GitHub Actions run a record was made in."""

    repository: Text
    run_id: int
    attempt: int
    event: Text

    def is_later_attempt_of(self, other: RunRef | None) -> bool:
        return other is not None and (self.repository, self.run_id) == (other.repository, other.run_id) and self.attempt > other.attempt


class Subject(Record):
    """What exactly a stage looked at."""

    commit: Commit | None
    """The commit that was checked out; None outside a Git repository."""
    is_dirty: bool
    """Whether the working tree differed from that commit."""
    config_sha256: Sha256
    run: RunRef | None
    """None on a laptop."""
    data: list[DataRef] = []


class Annotation(Record):
    """A remark at a file, shown beside it by GitHub."""

    path: Text
    line: int = 1
    level: Literal["error", "warning", "notice"] = "error"
    message: Text


def finite(value: float) -> float | None:
    """The number, or None where it is NaN or infinite: evidence is strict JSON."""
    return float(value) if math.isfinite(value) else None
