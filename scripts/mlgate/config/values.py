"""Kinds of values in mlgate.yaml: paths inside the repository, durations, numbers, names of the user's code."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from mlgate.mistakes import kind_of

_MAX_DURATION = 50
_DURATION = re.compile(r"^\s*(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m)?\s*(?:(\d+)\s*s)?\s*$")
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,9}})?)\s*({'|'.join(_BYTES)})")
DURATION = _DURATION.pattern
"""A duration, for the JSON schema."""
_USER_CODE = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")


def parse_duration(value: object) -> object:
    """Seconds of `2h`, `90m`, `1h30m` or a number of seconds; anything else is left for pydantic to refuse."""
    if isinstance(value, str):
        match = _DURATION.match(value) if len(value) <= _MAX_DURATION else None  # a long one of blanks would take hours
        if match is None or not any(match.groups()):
            raise ValueError(f"expected a duration such as 90s, 30m, 2h or 1h30m, got {kind_of(value)}")
        days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return no_boolean(value)


def _parse_size(value: object) -> object:
    """Bytes of `20 kB` or `1.5 MiB`; a number is one of bytes."""
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"expected a size such as 500 B, 1.5 MB, 4 MiB or 20GB, got {kind_of(value)}")
        return round(float(found[1]) * _BYTES[found[2]])
    return no_boolean(value)


def duration_text(seconds: int) -> str:
    """Seconds as `parse_duration` reads them, `1h30m`; no second is lost."""
    parts, rest = [], seconds
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def size_text(count: int) -> str:
    """Bytes as a size is written, `20GB`; no byte is lost."""
    fitting = ((unit, factor) for unit, factor in _BYTES.items() if count and count % factor == 0)
    unit, factor = max(fitting, key=lambda one: one[1], default=("B", 1))
    return f"{count // factor}{unit}"


def no_boolean(value: object) -> object:
    """YAML's `yes` is no number, though Python takes it for 1."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {kind_of(value)}")  # noqa: TRY004 -- pydantic explains ValueError only
    return value


def _relative_path(value: str) -> str:
    """A path inside the working directory, with forward slashes."""
    path = PurePosixPath(value.replace("\\", "/"))
    if path.is_absolute() or re.match(r"^[A-Za-z]:", value) or ".." in path.parts or not path.parts or "\0" in value:
        raise ValueError(f"expected a path inside the working directory, got '{value}'")
    return str(path)


def _repository_pattern(value: str) -> str:
    """A path or pattern relative to the repository's top, with forward slashes."""
    path = PurePosixPath(value.replace("\\", "/"))
    if path.is_absolute() or re.match(r"^[A-Za-z]:", value) or ".." in path.parts or not path.parts or "\0" in value:
        raise ValueError(f"expected a path relative to the repository's top, such as 'lib' or 'lib/**/*.py', got '{value}'")
    return str(path)


def _file_pattern(value: str) -> str:
    """A path inside the working directory whose last part, and no other, stands for several files."""
    path = PurePosixPath(_relative_path(value))
    if any(sign in str(path.parent) for sign in "*?[") or not any(sign in path.name for sign in "*?["):
        raise ValueError(f"expected a pattern of files in one folder, such as 'eval/seeds/*.csv', got '{value}'")
    return str(path)


def is_remote(name: str) -> bool:
    """Whether a name of data is an address in an object store, not a path in the working directory."""
    return "://" in name


def _data_place(value: str) -> str:
    """A path inside the working directory, or an address in an object store, without credentials in it."""
    if not is_remote(value):
        if re.match(r"(?:s3a?|gs|az|abfss?|hdfs):", value):
            raise ValueError(f"expected two slashes after the colon, as in s3://bucket/data/train.parquet, got '{value}'")
        return _relative_path(value)
    scheme, _, rest = value.partition("://")
    where, _, path = rest.partition("/")
    user, at, _ = where.rpartition("@")
    if scheme not in _PLACES:
        raise ValueError(f"expected a path, or an address such as s3://bucket/data/train.parquet, gs://… or az://…, got '{scheme}://…'")
    if ":" in user or (at and not scheme.startswith("abfs")) or "?" in value or "#" in value:
        raise ValueError("expected an address without credentials, these come from the environment, and without '?' and '#'")
    if not where or not path.strip("/") or ".." in path.split("/") or not value.isprintable():
        raise ValueError(f"expected an address such as {scheme}://bucket/data/train.parquet, got '{value}'")
    return value


_PLACES = ("s3", "s3a", "gs", "az", "abfs", "abfss", "hdfs")
DataPlace = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_data_place)]
RelativePath = Annotated[str, AfterValidator(_relative_path)]
FilePattern = Annotated[str, StringConstraints(max_length=500), AfterValidator(_file_pattern)]
RepositoryPattern = Annotated[str, StringConstraints(max_length=500), AfterValidator(_repository_pattern)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")]
Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(gt=0, le=366 * 86400),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION}, {"type": "integer", "exclusiveMinimum": 0}]}),
]
Size = Annotated[
    int,
    BeforeValidator(_parse_size),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_SIZE.pattern}$"}, {"type": "integer", "minimum": 0}]}),
]
"""Bytes."""
SecondsOrNone = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=0, le=366 * 86400),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _DURATION.pattern}, {"type": "integer", "minimum": 0}]}),
]
Number = Annotated[float, BeforeValidator(no_boolean)]


def user_code(reference: str) -> tuple[str, str] | None:
    """`path/to/module.py:name` as (path, name), or None where the text is of another form."""
    match = _USER_CODE.fullmatch(reference)
    return (match["file"], match["name"]) if match else None


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True)
