"""`data.contracts[].files`: what a folder of files (images, audio, text) must satisfy."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from mlgate.config.values import DataPlace, NonEmpty, Section, Size, no_boolean
from mlgate.mistakes import MistakeBelowError

FileType = Literal[
    "png", "jpg", "gif", "bmp", "tiff", "webp", "wav", "flac", "ogg", "mp3", "txt", "md", "json", "jsonl", "csv", "tsv", "xml", "html"
]
IMAGES: frozenset[str] = frozenset({"png", "jpg", "gif", "bmp", "tiff", "webp"})
SOUNDS: frozenset[str] = frozenset({"wav", "flac", "ogg", "mp3"})
Level = Annotated[Literal["off", "warn", "fail"], BeforeValidator(lambda value: "off" if value is False else value)]  # YAML's bare `off`
_SECONDS_IN = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|m|h)")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%")


def _parse_span(value: object) -> object:
    """Seconds of `500ms`, `1.5s` or `2m`; a number is one of seconds."""
    if isinstance(value, str):
        found = _SPAN.fullmatch(value.strip())
        if found is None:
            raise ValueError("expected a time such as 500ms, 1.5s or 2m")
        return float(found[1]) * _SECONDS_IN[found[2]]
    return no_boolean(value)


def _parse_least(value: object) -> object:
    """A number of files, or a share of them as text: `5%`."""
    if isinstance(value, str):
        found = _PERCENT.fullmatch(value.strip())
        if found is None or not 0 < float(found[1]) <= 100:
            raise ValueError("expected a number of files, such as 50, or a share of them, such as 5%")
        return f"{float(found[1]):g}%"
    return no_boolean(value)


def _ordered(value: tuple[Any, Any]) -> tuple[Any, Any]:
    low, high = value
    if low is None and high is None:
        raise ValueError("expected at least one end, such as [1, null]")
    if low is not None and high is not None and low > high:
        raise ValueError(f"expected the lower end first, got [{low:g}, {high:g}]")
    return value


def _no_path(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError("expected a pattern of paths inside the folder, such as '*.json' or 'thumbnails/*'")
    return value


_Span = Annotated[
    float,
    BeforeValidator(_parse_span),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_SPAN.pattern}$"}, {"type": "number", "minimum": 0}]}),
]
_Count = Annotated[int, BeforeValidator(no_boolean), Field(ge=0)]
_Positive = Annotated[int, BeforeValidator(no_boolean), Field(gt=0)]
Counts = Annotated[tuple[_Count | None, _Count | None], AfterValidator(_ordered)]
Sizes = Annotated[tuple[Size | None, Size | None], AfterValidator(_ordered)]
Spans = Annotated[tuple[_Span | None, _Span | None], AfterValidator(_ordered)]
Least = Annotated[
    _Positive | str,
    BeforeValidator(_parse_least),
    WithJsonSchema({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{_PERCENT.pattern}$"}]}),
]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_path)]


class ManifestConfig(Section):
    file: DataPlace
    """Table with one row a file: CSV, Parquet, JSON lines or Arrow."""
    path: NonEmpty = "path"
    """Column with the file's path, relative to the folder."""
    label: NonEmpty | None = None
    """Column with the file's class. Left out: `label`, if there is such a column."""
    hash: NonEmpty | None = None
    """Column with the SHA-256 or MD5 of the file's content, hexadecimal. Left out: `sha256` or `md5`, if there is such a column."""


def _manifest(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class FilesConfig(Section):
    types: Annotated[list[FileType], Field(min_length=1)]
    """What the files are, by their names' endings and by their content: `[png, jpg]`."""
    count: Counts | None = None
    """Number of files, lowest and highest; null for an open end."""
    size: Sizes | None = None
    """Size of a file, with its unit: `[1 kB, 20 MB]`. A number without one is of bytes."""
    width: Counts | None = None
    """Pixels of an image."""
    height: Counts | None = None
    """Pixels of an image."""
    mode: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """Modes of an image as Pillow calls them: `[RGB, L]`."""
    duration: Spans | None = None
    """Length of a sound, with its unit: `[0.5s, 30s]`. A number without one is of seconds."""
    sample_rate: Annotated[list[_Positive], Field(min_length=1)] | None = None
    """Samples a second of a sound, one of these: `[16000]`."""
    channels: Annotated[list[_Positive], Field(min_length=1)] | None = None
    """Channels of a sound, one of these: `[1, 2]`."""
    length: Counts | None = None
    """Characters of a text."""
    decodable: Level = "fail"
    """Every file is decoded from its first byte to its last; one that cannot be breaks the contract."""
    classes: Literal["folder", "manifest"] | None = None
    """Where a file's class stands: its first folder, or the manifest's label. Left out: the manifest's label, if there is one."""
    class_names: Annotated[list[NonEmpty], Field(min_length=1)] | None = None
    """The classes: each of them is there, and no other."""
    smallest_class: Least | None = None
    """Files that every class has at least: `50`, or as a share of all, `5%`."""
    class_ratio: Annotated[float, BeforeValidator(no_boolean), Field(ge=1)] | None = None
    """How many times as many files as the smallest class the largest may have."""
    manifest: Annotated[ManifestConfig, BeforeValidator(_manifest)] | None = None
    """Table that lists the files: each of them is there, with the hash it says."""
    strays: Literal["refuse", "allow"] = "refuse"
    """Files that the manifest does not list, or DVC with `hashes: dvc`."""
    hashes: Literal["dvc"] | None = None
    """`dvc`: every file is there and is what DVC recorded, when it was added, pulled or made by the pipeline."""
    duplicates: Level = "warn"
    """Files with the same content as another of their class (or of the folder, where there are no classes)."""
    conflicts: Level = "fail"
    """Files with the same content in two classes."""
    ignore: list[Pattern] = []
    """Files that are none of the data, by pattern: `['*.json', 'thumbnails/*']`."""

    @model_validator(mode="after")
    def _fits_together(self) -> FilesConfig:
        asked = set(self.types)
        for keys, of, what in (
            (("width", "height", "mode"), IMAGES, "images"),
            (("duration", "sample_rate", "channels"), SOUNDS, "sounds"),
            (("length",), frozenset(asked) - IMAGES - SOUNDS, "text"),
        ):
            for key in keys:
                if getattr(self, key) is not None and not asked & of:
                    raise MistakeBelowError(key, f"is about {what}, and none of the types is of that kind")
        if self.classes == "manifest" and self.manifest is None:
            raise MistakeBelowError("classes", "needs the manifest: `manifest: data/labels.csv`")
        has_classes = self.classes is not None or self.manifest is not None
        for key in ("class_names", "smallest_class", "class_ratio"):
            if getattr(self, key) is not None and not has_classes:
                raise MistakeBelowError(key, "needs `classes: folder`, or a manifest with labels")
        return self
