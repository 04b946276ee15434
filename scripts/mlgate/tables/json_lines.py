"""JSON lines as a lazy table, each value as what it is: text that looks like a number is none, and what is both is told as mixed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.tables.table import UnreadableError

if TYPE_CHECKING:
    import polars as pl

_IN_MEMORY_BYTES = 256 * 2**20
_EXACT = 2**53


@dataclass
class _Seen:
    """What stands under one key."""

    kinds: set[type] = field(default_factory=set)
    least: int = 0
    greatest: int = 0


@dataclass
class _Profile:
    """What one look through the lines found."""

    columns: dict[str, _Seen] = field(default_factory=dict)
    rows: int = 0
    is_plain: bool = True
    """Whether Polars reads them as they are; NaN and Infinity, which Python writes, are no JSON to it."""


def scan(files: Sequence[Path], folder: Path) -> tuple[pl.LazyFrame, frozenset[str], tuple[str, ...]]:
    """Files as one table; its columns of mixed values, as text; what reading may have cost.

    Raises:
        UnreadableError: a line is no JSON object.
    """
    import polars as pl

    profile = _Profile()
    for file in files:
        try:
            _look_through(file, profile)
        except UnreadableError as error:
            raise error if file == folder else UnreadableError(f"{file.relative_to(folder)}: {error}") from None
    if not profile.rows:
        raise UnreadableError("the table has no rows; expected at least one")
    if not profile.columns:
        raise UnreadableError("its objects are empty; expected columns")
    mixed = frozenset(name for name, seen in profile.columns.items() if _is_mixed(seen))
    nested = [name for name, seen in profile.columns.items() if seen.kinds & {dict, list}]
    if not profile.is_plain or (nested and mixed & set(nested)):
        frame = _in_python(files, profile, mixed)
    else:
        schema: dict[str, Any] = {name: _dtype(seen) for name, seen in profile.columns.items()}
        if nested:
            inferred = pl.scan_ndjson(list(files), infer_schema_length=None).collect_schema()
            schema |= {name: inferred[name] for name in nested}
        frame = pl.scan_ndjson(list(files), schema=schema)
        if sum(file.stat().st_size for file in files) <= _IN_MEMORY_BYTES:
            frame = frame.collect(engine="streaming").lazy()
    lost = [name for name, seen in profile.columns.items() if float in seen.kinds and max(-seen.least, seen.greatest) > _EXACT]
    said = "holds numbers above 2**53 beside others that are not whole: as 64-bit floating point they keep 15 digits"
    return frame, mixed, tuple(f"column {name} {said}" for name in lost)


def _look_through(path: Path, profile: _Profile) -> None:
    def constant(_: str) -> float:
        profile.is_plain = False
        return float("nan")

    for _, row in _rows(path, profile, constant):
        profile.rows += 1
        for name, value in row.items():
            seen = profile.columns.get(name)
            if seen is None:
                seen = profile.columns[name] = _Seen()
            if value is None:
                continue
            kind = type(value)
            seen.kinds.add(kind)
            if kind is int:
                seen.least, seen.greatest = min(seen.least, value), max(seen.greatest, value)


def _rows(path: Path, profile: _Profile, constant: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=constant)
    with path.open("rb") as stream:
        start = stream.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b") or start == b"PAR1":
            raise UnreadableError("not UTF-8 text; save the file as UTF-8")
        if start[:3] == b"\xef\xbb\xbf":
            profile.is_plain = False
        stream.seek(0)
        for number, line in enumerate(stream, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if not text:
                    continue
                row = decoder.decode(text)
                if "\\ud" in text or "\\uD" in text:
                    json.dumps(row, ensure_ascii=False).encode()  # half a character
            except UnicodeDecodeError as error:
                raise UnreadableError(f"not UTF-8 text ({error.reason}); save the file as UTF-8") from None
            except UnicodeEncodeError:
                raise UnreadableError(f"line {number} holds half a character (a lone surrogate)") from None
            except RecursionError:
                raise UnreadableError(f"line {number} is nested too deeply") from None
            except ValueError as error:
                raise UnreadableError(f"line {number} is no JSON: {error}") from None
            if not isinstance(row, dict):
                raise UnreadableError(f"line {number} is no JSON object")
            yield number, row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a key is given twice")
    return row


def _is_mixed(seen: _Seen) -> bool:
    return len(seen.kinds) > 1 and seen.kinds != {int, float}


def _dtype(seen: _Seen) -> pl.DataType:
    import polars as pl

    if _is_mixed(seen):
        return pl.String()
    if not seen.kinds:
        return pl.Null()
    if seen.kinds == {int}:
        wide = ((pl.Int64(), -(2**63), 2**63 - 1), (pl.UInt64(), 0, 2**64 - 1), (pl.Int128(), -(2**127), 2**127 - 1))
        for dtype, least, greatest in wide:
            if least <= seen.least and seen.greatest <= greatest:
                return dtype
        return pl.String()
    if float in seen.kinds:
        return pl.Float64()
    return pl.Boolean() if bool in seen.kinds else pl.String()


def _in_python(files: Sequence[Path], profile: _Profile, mixed: frozenset[str]) -> pl.LazyFrame:
    """The table from Python's own reader, for lines that Polars does not take."""
    import polars as pl

    schema: dict[str, Any] = {
        name: None if seen.kinds & {dict, list} and name not in mixed else _dtype(seen) for name, seen in profile.columns.items()
    }
    cells: dict[str, list[Any]] = {name: [] for name in schema}
    for file in files:
        for _, row in _rows(file, _Profile(), float):
            for name, column in cells.items():
                value = row.get(name)
                column.append(value if schema[name] != pl.String or value is None or isinstance(value, str) else json.dumps(value))
    return pl.DataFrame([pl.Series(name, column, dtype=schema[name], strict=False) for name, column in cells.items()]).lazy()
