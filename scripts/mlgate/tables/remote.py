"""Tables in object stores: `tables.scan` opens them here. Polars reads Parquet and Arrow where they lie, so that they stream; CSV and JSON
lines, which say nothing of their types, are brought here first and read as strictly as local ones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mlgate.errors import InfrastructureError, InputError
from mlgate.tables import places
from mlgate.tables.table import SUFFIXES, Format, Table, UnreadableError, finished

if TYPE_CHECKING:
    import polars as pl

_ENDINGS = tuple(SUFFIXES)
Opened = Callable[[Path, str, Collection[str]], Table]
"""Opens the table at a path of this machine by the name that messages call it."""


def scan(name: str, opened: Opened, as_text: Collection[str] = ()) -> Table:
    """The table at an address, one object or all below it.

    Args:
        name: `s3://bucket/path/train.parquet`; without the ending of a table's format, it is a folder of them, partitioned or not.
        opened: opens files that were brought to this machine.
        as_text: columns of CSV that stay text.

    Raises:
        InputError: no such data, no table, or credentials that are absent or refused.
        InfrastructureError: the store cannot be asked.
    """
    options = places.storage_options(name, os.environ)
    if "*" in name:
        raise InputError(f"{name}: expected an object or a folder, not a pattern")
    kind = None if name.endswith("/") else SUFFIXES.get(PurePosixPath(name).suffix.lower())
    with explaining(name):
        if kind is None:
            return _folder(name, options, opened, as_text)
        if kind in ("csv", "jsonl"):
            return _brought_here(name, [name], options, opened, as_text)
        table = finished(name, _typed(name, kind, options), kind)
        if table.frame.head(1).collect(engine="streaming").is_empty():
            raise UnreadableError("the table has no rows; expected at least one")
        return table


@contextmanager
def explaining(name: str) -> Iterator[None]:
    """Errors of Polars' about a remote table as ours.

    Raises:
        InputError: no such data, no table, or credentials that are absent or refused.
        InfrastructureError: the store cannot be asked.
    """
    import polars as pl

    try:
        yield
    except UnreadableError as error:
        raise InputError(f"{name}: {error}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError, ValueError) as error:
        raise places.explained(name, error, os.environ) from None


def _folder(name: str, options: dict[str, Any], opened: Opened, as_text: Collection[str]) -> Table:
    """All tables below an address."""
    if any(sign in name for sign in "?["):  # below such an address nothing can be looked for
        raise InputError(f"{name}: a folder's address cannot have '?' or '['; name its objects, or call it otherwise")
    top = name.rstrip("/")
    found = [ending for ending in _ENDINGS if _is_there(name, f"{top}/**/*{ending}", options)]
    if not found:
        raise InputError(f"{name}: no tables are there; expected {', '.join(_ENDINGS)}, or the address of one")
    if len(found) > 1:  # to read one of them and say nothing of the others would be to check half of the data
        raise InputError(f"{name}: tables of several formats are there ({', '.join(found)}); name a folder with one")
    kind = SUFFIXES[found[0]]
    pattern = f"{top}/**/*{found[0]}"
    if kind in ("csv", "jsonl"):
        return _brought_here(name, _objects(pattern, options), options, opened, as_text)
    return finished(name, _typed(pattern, kind, options), kind)


def _is_there(name: str, pattern: str, options: dict[str, Any]) -> bool:
    """Whether anything has an address of that pattern; of the first, the beginning is read."""
    import polars as pl

    kind = SUFFIXES[PurePosixPath(pattern).suffix]
    try:
        with explaining(name):
            if kind in ("csv", "jsonl"):  # any text is a table of one column
                pl.scan_csv(
                    pattern, storage_options=options, credential_provider=None, has_header=False, infer_schema=False, quote_char=None
                ).collect_schema()
            else:
                _typed(pattern, kind, options).collect_schema()
    except places.NothingThereError:
        return False
    return True


def _typed(address: str, kind: Format, options: dict[str, Any]) -> pl.LazyFrame:
    """Objects that say themselves what types they have."""
    import polars as pl

    is_folder = "*" in address
    scan_it = pl.scan_parquet if kind == "parquet" else pl.scan_ipc
    return scan_it(address, storage_options=options, credential_provider=None, glob=is_folder, hive_partitioning=is_folder)


def _lines(address: str, options: dict[str, Any], **more: Any) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_lines(address, storage_options=options, credential_provider=None, glob="*" in address, **more)


def _objects(pattern: str, options: dict[str, Any]) -> list[str]:
    """Addresses that a pattern stands for."""
    listed = _lines(pattern, options, include_file_paths="object").select("object").unique().collect(engine="streaming")
    return sorted(listed["object"].to_list())


# What was brought here, by address and the way to it: contracts, screens and drift of one run read the same.
_here: dict[tuple[Any, ...], Path] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []


def _brought_here(name: str, objects: list[str], options: dict[str, Any], opened: Opened, as_text: Collection[str]) -> Table:
    """A table of text, copied line by line; what ends a line is a line feed then. The copy is gone with this process."""
    key = (name, *sorted(options.items()))
    if key not in _here:
        try:
            folder = tempfile.TemporaryDirectory(prefix="mlgate-data-")
        except OSError as error:
            raise InfrastructureError(f"{name}: no folder to bring it to: {error.strerror}") from None
        _folders.append(folder)
        top = name.rstrip("/") + "/"
        for one in objects:
            path = Path(folder.name) / (one.removeprefix(top) if one.startswith(top) else PurePosixPath(one).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _lines(one, options).sink_csv(path, include_header=False, quote_style="never")
        _here[key] = path if objects == [name] else Path(folder.name)
    return opened(_here[key], name, as_text)
