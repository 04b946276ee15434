"""A file or folder as a lazy table: CSV, Parquet, JSON lines, Arrow, and folders of such files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.config import is_remote
from mlgate.errors import InputError
from mlgate.tables.table import SUFFIXES, Format, Table, UnreadableError, finished

if TYPE_CHECKING:
    import polars as pl

_EXPECTED = "expected .csv, .parquet, .jsonl or .arrow"


def scan(root: Path, name: str, as_text: Collection[str] = ()) -> Table:
    """The table of that name. CSV and JSON lines are looked through once for the types of their columns.

    Args:
        root: the working directory.
        name: file or folder relative to `root`, or an address in an object store (`remote`).
        as_text: columns of CSV that stay text, whatever their cells look like: `007` is not 7 there.

    Raises:
        InputError: it is absent, empty, or no table.
        InfrastructureError: the object store cannot be asked.
    """
    if is_remote(name):
        from mlgate.tables import remote

        return remote.scan(name, at, as_text)
    if not (root / name).exists():
        raise InputError(f"{name}: no such file")
    return at(root / name, name, as_text)


def at(path: Path, name: str, as_text: Collection[str] = ()) -> Table:
    """The table at a path of this machine that messages call by a name. Raises InputError: it is empty, or no table."""
    with readable(name):
        files, kind = _files(path)
        table = _opened(name, path, files, kind, as_text)
        if table.frame.head(1).collect(engine="streaming").is_empty():
            raise UnreadableError("the table has no rows; expected at least one")
        return table


def collected(name: str, frames: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Queries on a table, run together.

    Args:
        name: of the table, for messages.
        frames: the queries.

    Raises:
        InputError: the data turns out to be unreadable.
    """
    import polars as pl

    with readable(name):
        return pl.collect_all(list(frames), engine="streaming")


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raises InputError, one line with the table's name, of whatever reading it ends in; a panic of Polars' is no `Exception`."""
    import polars as pl

    if is_remote(name):
        from mlgate.tables import remote

        with remote.explaining(name):
            yield
        return
    try:
        yield
    except UnreadableError as error:
        raise InputError(f"{name}: {error}") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or _one_line(error)}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, MemoryError) as error:
        raise InputError(f"{name}: cannot be read: {_one_line(error)}") from None


def _files(path: Path) -> tuple[list[Path], Format]:
    """The files of a table in order, and their format."""
    if path.is_file():
        kind = SUFFIXES.get(path.suffix.lower())
        if path.stat().st_size == 0:
            raise UnreadableError("the file is empty")
        if kind is None:
            raise UnreadableError(f"'{path.suffix}' is no format of a table here; {_EXPECTED}")
        return [path], kind
    there = [entry for entry in sorted(path.rglob("*")) if not any(part[0] in "._" for part in entry.relative_to(path).parts)]
    if linked := next((entry for entry in there if entry.is_symlink() and entry.is_dir()), None):  # others may follow it
        raise UnreadableError(f"{linked.relative_to(path)} is a link to a folder, which mlgate does not follow; put the files there")
    files = [file for file in there if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not files:
        raise UnreadableError(f"a folder without tables; {_EXPECTED} files")
    kinds = {SUFFIXES[file.suffix.lower()]: file for file in reversed(files)}
    if len(kinds) > 1:
        one, other, *_ = sorted(str(file.relative_to(path)) for file in kinds.values())
        raise UnreadableError(f"a folder of several formats: {one}, {other}; expected files of one")
    if empty := next((file for file in files if file.stat().st_size == 0), None):
        raise UnreadableError(f"{empty.relative_to(path)} is empty")
    return files, next(iter(kinds))


def _opened(name: str, path: Path, files: list[Path], kind: Format, as_text: Collection[str]) -> Table:
    from mlgate.tables import csv_files, json_lines

    match kind:
        case "csv":
            frame, notes = csv_files.scan(files, path, as_text)
            mixed: frozenset[str] = frozenset()
        case "jsonl":
            frame, mixed, notes = json_lines.scan(files, path)
        case _:
            frame, mixed, notes = _typed(files, path, kind), frozenset(), ()
    return finished(name, frame, kind, mixed, notes)


def _typed(files: list[Path], path: Path, kind: Format) -> pl.LazyFrame:
    """Files that say themselves what types they have."""
    import polars as pl

    is_hive = any("=" in part for part in files[0].relative_to(path).parts[:-1])
    first: dict[str, pl.DataType] | None = None
    for file in files:
        where = "" if file == path else f"{file.relative_to(path)}: "
        try:
            found = dict(pl.read_parquet_schema(file) if kind == "parquet" else _arrow(file).collect_schema())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            what = "Parquet" if kind == "parquet" else "Arrow"
            raise UnreadableError(f"{where}truncated or no {what} file: {_one_line(error)}") from None
        if first is not None and found != first:
            raise UnreadableError(f"{where}{difference(first, found)}, unlike {files[0].relative_to(path)}; expected one schema")
        keys = {part.partition("=")[0] for part in file.relative_to(path).parts[:-1] if "=" in part}
        if twice := sorted(keys & found.keys()):  # which of the two a reader takes is its own affair
            raise UnreadableError(f"{where}column '{twice[0]}' stands in the file and in the folder's name; expected one of them")
        first = found
    if kind == "parquet":
        return pl.scan_parquet(files, hive_partitioning=is_hive)
    if is_hive:
        return pl.scan_ipc(files, hive_partitioning=True)
    return pl.concat([_arrow(file) for file in files])


def _arrow(file: Path) -> pl.LazyFrame:
    import polars as pl

    with file.open("rb") as stream:
        start = stream.read(6)
    if start[:4] == b"FEA1":
        raise UnreadableError("Feather of version 1, which is no Arrow; write it anew as version 2")
    return pl.scan_ipc(file) if start == b"ARROW1" else pl.read_ipc_stream(file).lazy()


def difference(first: dict[str, pl.DataType], found: dict[str, pl.DataType]) -> str:
    """How a schema differs from another, in words."""
    for name in first:
        if name not in found:
            return f"no column '{name}'"
        if found[name] != first[name]:
            return f"column '{name}' is {found[name]}, not {first[name]}"
    for name in found:
        if name not in first:
            return f"column '{name}' besides"
    return "columns in another order"


def _one_line(error: BaseException) -> str:
    said = str(error).split("\n\nThe current offset")[0].split("\n\nConsider")[0].split("\n\nYou might")[0]
    return " ".join(said.split())[:200] or type(error).__name__
