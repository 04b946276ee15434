"""The manifest of a folder: a table with one row a file, its path, its class, the hash of its content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlgate.config.files import ManifestConfig
from mlgate.errors import InputError
from mlgate.mistakes import did_you_mean
from mlgate.tables.scan import scan

_HASHES: dict[int, Literal["md5", "sha256"]] = {32: "md5", 64: "sha256"}
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, by path relative to the folder."""

    name: str
    labels: dict[str, str] | None
    """None where it has no labels."""
    hashes: dict[str, str] | None
    """None where it has no hashes; lower case."""
    hash_name: Literal["md5", "sha256"] | None
    paths: dict[str, None]
    """In the order of the table."""
    twice: list[str]
    """Paths that are there more than once, once for each time too many."""
    without_label: list[str]
    without_hash: list[str]
    """With none, or with one that is no such hash."""


def read(root: Path, settings: ManifestConfig) -> Manifest:
    """The manifest of that name.

    Raises:
        InputError: it cannot be read, or has not the columns it should have.
    """
    import polars as pl

    name = settings.file
    table = scan(root, name)
    # All of a CSV is text here: a label `01` is not 1.
    frame = pl.scan_csv(root / name, infer_schema=False) if table.format == "csv" and (root / name).is_file() else table.frame
    columns = frame.collect_schema().names()
    label = _column(name, settings.label, ("label",), columns)
    hashed = _column(name, settings.hash, ("sha256", "md5"), columns)
    path = _named(name, settings.path, columns)
    wanted = list(dict.fromkeys(column for column in (path, label, hashed) if column is not None))
    try:
        rows = frame.select(pl.col(wanted).cast(pl.String)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{name}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    if rows[path].null_count():
        raise InputError(f"{name}: column '{path}': {rows[path].null_count():,} rows without a path")
    paths = [one.replace("\\", "/").removeprefix("./") for one in rows[path].to_list()]
    labels = dict(zip(paths, rows[label].to_list(), strict=True)) if label is not None else None
    hashes = dict(zip(paths, rows[hashed].to_list(), strict=True)) if hashed is not None else None
    seen: dict[str, None] = {}
    twice = [one for one in paths if one in seen or seen.setdefault(one, None)]
    hash_name = _hash_name(name, hashed, hashes) if hashes is not None and hashed is not None else None
    digits = next((length for length, kind in _HASHES.items() if kind == hash_name), 0)
    return Manifest(
        name=name,
        labels=None if labels is None else {one: said for one, said in labels.items() if said},
        hashes=None if hashes is None else {one: said.lower() for one, said in hashes.items() if _is_hash(said, digits)},
        hash_name=hash_name,
        paths=seen,
        twice=twice,
        without_label=[] if labels is None else [one for one, said in labels.items() if not said],
        without_hash=[] if hashes is None else [one for one, said in hashes.items() if not _is_hash(said, digits)],
    )


def _column(name: str, asked: str | None, usual: tuple[str, ...], columns: list[str]) -> str | None:
    return _named(name, asked, columns) if asked is not None else next((column for column in usual if column in columns), None)


def _named(name: str, asked: str, columns: list[str]) -> str:
    if asked not in columns:
        raise InputError(f"{name}: no column '{asked}'{did_you_mean(asked, columns)}; data.contracts names it")
    return asked


def _hash_name(name: str, column: str, hashes: dict[str, str | None]) -> Literal["md5", "sha256"]:
    first = next((said for said in hashes.values() if said), "")
    found = _HASHES.get(len(first)) if _HEX.fullmatch(first) else None
    if found is None:
        raise InputError(f"{name}: column '{column}': expected MD5 (32 hexadecimal digits) or SHA-256 (64)")
    return found


def _is_hash(said: str | None, digits: int) -> bool:
    return said is not None and len(said) == digits and _HEX.fullmatch(said) is not None
