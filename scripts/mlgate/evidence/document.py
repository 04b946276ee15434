"""The record every stage writes and every view reads. Evidence of another job is untrusted until `load` has checked it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field, ValidationError

from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence.data import CheckFindings, PullFindings, ValidationFindings
from mlgate.evidence.evaluation import EvaluateFindings
from mlgate.evidence.gate import GateFindings
from mlgate.evidence.record import Annotation, FileRef, Record, Status, Subject, Text
from mlgate.evidence.report import ReportFindings
from mlgate.evidence.training import TrainFindings

MAX_EVIDENCE_BYTES = 20_000_000
F = TypeVar("F", bound=Record)
FINDINGS: dict[str, type[Record]] = {
    "check": CheckFindings,
    "pull-data": PullFindings,
    "validate-data": ValidationFindings,
    "train": TrainFindings,
    "evaluate": EvaluateFindings,
    "gate": GateFindings,
    "report": ReportFindings,
}
STAGES = tuple(FINDINGS)
BEFORE_THE_GATE = tuple(stage for stage in STAGES if stage not in ("gate", "report"))


class Evidence(Record, Generic[F]):
    """What one stage did: what it looked at, what it found, how long it took, which files it left."""

    schema_version: Literal[1] = 1
    mlgate_version: Text
    stage: Text
    model: Text
    status: Status
    summary: Text
    """The line a user reads."""
    subject: Subject
    started_at: datetime
    duration_s: float = Field(ge=0)
    findings: F | None
    """None when the stage was skipped or ended in an error before it found anything."""
    exit_code: Literal[0, 1, 2, 3]
    files: list[FileRef] = []
    annotations: list[Annotation] = []

    EXIT_CODES: ClassVar[dict[str, int]] = {"passed": 0, "skipped": 0, "failed": 1}


def write(evidence: Evidence[Any], path: Path) -> None:
    """Write evidence as JSON: aside, then renamed, so that no reader ever sees half of it. Raises InfrastructureError."""
    write_bytes(path, (evidence.model_dump_json(indent=1) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step; the folder is made if needed. Raises InfrastructureError when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from None


def load(path: Path, stage: str) -> Evidence[Any]:
    """Read evidence and check it against its schema; never believes more than that.

    Raises:
        InputError: the file is no evidence of that stage.
        FileNotFoundError: there is none.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_EVIDENCE_BYTES + 1)
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{path.name}: evidence that cannot be read: {error.strerror}") from None
    if len(content) > MAX_EVIDENCE_BYTES:
        raise InputError(f"{path.name}: evidence of more than {MAX_EVIDENCE_BYTES:,} bytes is refused")
    return parse(content, stage, path.name)


def parse(content: bytes, stage: str, name: str) -> Evidence[Any]:
    """Evidence from its JSON; `name` is what messages call it. Raises InputError."""
    try:
        evidence = _typed(stage).model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: not evidence of '{stage}' this version reads: {where}: {first['msg']}") from None
    if evidence.stage != stage:
        raise InputError(f"{name}: evidence of '{evidence.stage}', expected '{stage}'")
    return evidence


def parse_record(record: type[F], content: bytes, name: str) -> F:
    """Any record from its JSON; `name` is what messages call it. Raises InputError."""
    try:
        return record.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{name}: not a record this version reads: {where}: {first['msg']}") from None


def file_ref(path: Path, state: Path) -> FileRef:
    """Reference to a file below the state folder, with its SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return FileRef(path=path.relative_to(state).as_posix(), sha256=digest.hexdigest(), size_bytes=path.stat().st_size)


def checked_file(reference: FileRef, state: Path) -> Path:
    """The file a reference names, after its hash was verified. Raises InputError when it is absent or another."""
    path = state / reference.path
    if not path.is_file() or path.is_symlink():
        raise InputError(f"{reference.path}: named by evidence but not there; run the stage that writes it again")
    if file_ref(path, state).sha256 != reference.sha256:
        raise InputError(f"{reference.path}: not the file the evidence describes (SHA-256 differs); run the stage that writes it again")
    return path


def json_schema(stage: str) -> dict[str, Any]:
    """The JSON Schema of one stage's evidence."""
    from mlgate.described_schema import DescribedSchema

    schema = _typed(stage).model_json_schema(schema_generator=DescribedSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"mlgate evidence: {stage}"}


def now() -> datetime:
    return datetime.now(UTC)


def _typed(stage: str) -> type[Evidence[Any]]:
    if stage not in FINDINGS:
        raise InputError(f"no stage '{stage}'; expected one of {', '.join(STAGES)}")
    typed: type[Evidence[Any]] = Evidence.__class_getitem__(FINDINGS[stage])  # type: ignore[assignment]
    return typed


def dump_schema(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
