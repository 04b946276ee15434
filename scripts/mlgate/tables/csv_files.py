"""CSV as a lazy table, strictly where readers are lenient: ragged lines, other encodings, columns named twice.

What a cell means is what it means to pandas: `NA`, `null` and the like are missing, `True`, `TRUE` and `true` are yes, and a column is of
whole numbers, of numbers, of yes and no, or else of text. Whole numbers beyond 64 bits keep their digits.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.tables.table import UnreadableError, refuse_patterns

if TYPE_CHECKING:
    import polars as pl

MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None",
    "n/a", "nan", "null",
)  # fmt: skip
"""What pandas takes for a missing cell."""
_YES, _NO = ("True", "TRUE", "true"), ("False", "FALSE", "false")
_BLANKS = " \t\r"
_SAMPLE_ROWS = 2_000
_IN_MEMORY_BYTES = 256 * 2**20
"""Smaller files are read once and kept; larger ones are read anew by every query."""
_CHUNK_BYTES = 2**24
_EXACT = 2.0**53
"""Whole numbers above it may have no equal among those of 64-bit floating point (IEEE 754)."""
_WRITTEN_OUT = 1e22


def scan(files: Sequence[Path], folder: Path, as_text: Collection[str] = ()) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """Files with one header as one table, and what reading may have cost.

    Args:
        files: in order.
        folder: what messages name a file relative to; the file itself where there is but one.
        as_text: columns that stay text, whatever their cells look like.

    Raises:
        UnreadableError: one of them is no CSV, or has another header.
    """
    import polars as pl

    names: list[str] = []
    blanks: dict[Path, list[int]] = {}
    for file in files:
        with _named(file, folder):
            header = _header(file)
            if names and header != names:
                raise UnreadableError(f"its header is not that of {files[0].relative_to(folder)}; expected one schema")
            names = header
            refuse_patterns(names)
            blanks[file] = _check_lines(file, len(header))
    try:
        frame, notes = _typed(files, names, blanks, as_text)
        # Where an index was written too, its column has no name; it is called as pandas calls it.
        return (frame.rename({"": f"Unnamed: {names.index('')}"}) if "" in names else frame), notes
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        for file in files:
            with _named(file, folder):
                if "utf-8" in str(error).lower() or "utf8" in str(error).lower():
                    _check_encoding(file)
                _rows_without_fields(file, len(names))  # says which row
        raise UnreadableError("no CSV: quotes or lines do not end where they should") from None


@contextmanager
def _named(file: Path, folder: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableError as error:
        raise error if file == folder else UnreadableError(f"{file.relative_to(folder)}: {error}") from None


# --- shape -----------------------------------------------------------------------------------------------------------


def _header(path: Path) -> list[str]:
    """Names of the columns."""
    with path.open("rb") as stream:
        start = stream.read(2**20)
    if start[:4] == b"PAR1" or start[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b") or start[:4] == b"\x28\xb5\x2f\xfd":
        raise UnreadableError("not UTF-8 text; save the file as UTF-8 CSV")
    if b"\r" in start and b"\n" not in start:
        raise UnreadableError("its lines end in carriage returns alone; save the file with line feeds")
    with _large_fields(), path.open(encoding="utf-8-sig", newline="") as stream_:
        try:
            header = next((fields for fields in csv.reader(stream_) if fields), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise UnreadableError(f"no UTF-8 CSV: {error}") from None
    if not header:
        raise UnreadableError("no CSV: there is no header")
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if twice:
        raise UnreadableError(f"column '{twice[0]}' is named twice in the header" if twice[0] else "two columns have no name")
    return header


def _check_lines(path: Path, width: int) -> list[int]:
    """Refuse lines with too few or too many fields, which readers fill up or cut off; numbers of the blank lines among the rows.

    Counting separators and lines says in a moment that all is well; only where the sums differ is every row read.
    """
    separators = lines = 0
    is_inside, last = False, b""
    has_blank = False
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            found_separators, found_lines, is_inside = _counted(chunk, is_inside)
            separators, lines = separators + found_separators, lines + found_lines
            joined = last + chunk[:4]
            has_blank = has_blank or any(blank in part for blank in (b"\n\n", b"\n\r\n") for part in (chunk, joined))
            last = chunk[-4:]
    if not last.endswith(b"\n"):
        lines += 1
    if not is_inside and not has_blank and separators == lines * (width - 1):
        return []
    return _rows_without_fields(path, width)


def _counted(chunk: bytes, is_inside: bool) -> tuple[int, int, bool]:
    """Separators and line ends outside of quotes, and whether the chunk ends inside them."""
    import numpy as np

    letters = np.frombuffer(chunk, dtype=np.uint8)
    if not is_inside and b'"' not in chunk:
        return int(np.count_nonzero(letters == ord(","))), int(np.count_nonzero(letters == ord("\n"))), False
    inside = np.bitwise_xor.accumulate((letters == ord('"')).view(np.uint8)).astype(bool) ^ is_inside
    outside = ~inside
    return int(((letters == ord(",")) & outside).sum()), int(((letters == ord("\n")) & outside).sum()), bool(inside[-1])


def _rows_without_fields(path: Path, width: int) -> list[int]:
    """Numbers of the blank lines among the rows, from 0 below the header. Raises UnreadableError: a row has another number of fields."""
    blank, row = [], -1
    with _large_fields(), path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        try:
            for number, fields in enumerate(reader, start=1):
                if fields and len(fields) != width:
                    raise UnreadableError(f"no CSV: row {number} has {len(fields)} fields, the header, row 1, has {width}")
                if row == -1 and not fields:
                    continue  # above the header
                if not fields:
                    blank.append(row)
                row += 1
        except (UnicodeDecodeError, csv.Error) as error:
            raise UnreadableError(f"no UTF-8 CSV: {error}") from None
    return blank


def _check_encoding(path: Path) -> None:
    with path.open(encoding="utf-8-sig") as stream:
        try:
            while stream.read(2**20):
                pass
        except UnicodeDecodeError as error:
            raise UnreadableError(f"not UTF-8 text ({error.reason}); save the file as UTF-8") from None


@contextmanager
def _large_fields() -> Iterator[None]:
    """A cell may hold a whole document."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


# --- types -----------------------------------------------------------------------------------------------------------


def _typed(
    files: Sequence[Path], names: list[str], blanks: dict[Path, list[int]], as_text: Collection[str]
) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """The table with the types that its cells have. The first rows say what they may be; where a column turns out otherwise, all are read
    as text and looked at cell by cell."""
    import polars as pl

    is_small = sum(file.stat().st_size for file in files) <= _IN_MEMORY_BYTES
    text: dict[str, Any] = dict.fromkeys(names, pl.String())
    guessed = _looked_at(_read(files[:1], names, blanks, text, n_rows=_SAMPLE_ROWS).collect(engine="streaming").lazy(), names, [])[0]
    guessed |= {name: pl.String() for name in as_text if name in guessed}
    quick = {name: dtype if dtype in (pl.Int64, pl.Float64) else pl.String() for name, dtype in guessed.items()}
    numbers = [name for name in names if quick[name] == pl.Float64]
    undecided = [name for name in names if guessed[name] not in (pl.Int64, pl.Float64, pl.String)]
    for words in ((), MISSING):  # asking every cell for words costs as much as reading it
        try:
            frame = _read(files, names, blanks, quick, words=words)
            if is_small:
                frame = frame.collect(engine="streaming").lazy()
            decided, lost = _looked_at(frame, undecided, numbers)
            break
        except pl.exceptions.PolarsError:
            continue
    else:
        frame = _read(files, names, blanks, text)
        if is_small:
            frame = frame.collect(engine="streaming").lazy()
        decided, _ = _looked_at(frame, [name for name in names if guessed[name] != pl.String], [])
        numbers = [name for name, dtype in decided.items() if dtype == pl.Float64]
        frame = frame.with_columns(_as(pl.col(name), dtype) for name, dtype in decided.items())
        _, lost = _looked_at(frame, [], numbers)
        decided = {}
    frame = frame.with_columns(_as(pl.col(name), dtype) for name, dtype in decided.items())
    if is_small:
        frame = frame.collect(engine="streaming").lazy()
    said = "holds numbers above 2**53 beside others that are not whole: as 64-bit floating point they keep 15 digits"
    return frame, tuple(f"column {name} {said}" for name in lost)


def _read(
    files: Sequence[Path],
    names: list[str],
    blanks: dict[Path, list[int]],
    schema: dict[str, Any],
    n_rows: int | None = None,
    words: Sequence[str] = (),
) -> pl.LazyFrame:
    """The files as they are, but for words that mean a missing cell: in columns of text, and where `words` are given, of numbers too."""
    import polars as pl

    frames = []
    for file in files:
        written = _as_polars_reads(file, names)
        types = dict(zip(written, (schema[name] for name in names), strict=True))
        frame = pl.scan_csv(file, schema=types, null_values=list(words) or None, n_rows=n_rows, glob=False)
        if written != names:
            frame = frame.rename(dict(zip(written, names, strict=True)))
        if blanks[file]:
            row = "row"
            while row in schema:
                row = f"_{row}"
            blank = pl.Series(blanks[file], dtype=pl.UInt32).implode()
            frame = frame.with_row_index(row).filter(~pl.col(row).cast(pl.UInt32).is_in(blank)).drop(row)
        frames.append(frame)
    texts = [name for name in names if schema[name] == pl.String]
    together = frames[0] if len(frames) == 1 else pl.concat(frames)
    return together.with_columns(pl.when(~pl.col(texts).is_in(MISSING)).then(pl.col(texts))) if texts else together


def _as_polars_reads(file: Path, names: list[str]) -> list[str]:
    """Names of the columns by Polars, which leaves doubled quotation marks as they are."""
    import polars as pl

    if not any('"' in name for name in names):
        return names
    return pl.scan_csv(file, n_rows=0, infer_schema_length=0, glob=False).collect_schema().names()


def _looked_at(frame: pl.LazyFrame, texts: Sequence[str], numbers: Sequence[str]) -> tuple[dict[str, pl.DataType], list[str]]:
    """The type of each column of `texts`, the narrowest that every cell is of; which of `numbers` may have lost digits. Every cell of the
    table is read for it once, so that none is refused later. Raises ComputeError: a cell of `numbers` is NaN."""
    import polars as pl

    candidates = (pl.Int64(), pl.UInt64(), pl.Int128(), pl.Float64())  # the narrowest first
    asked = [pl.all().null_count().name.prefix("missing:")]
    if texts:
        bare = pl.col(list(texts)).str.strip_chars(_BLANKS)
        asked += [pl.col(list(texts)).count().name.prefix("there:"), pl.col(list(texts)).is_in([*_YES, *_NO]).sum().name.prefix("flags:")]
        asked += [bare.cast(dtype, strict=False).count().name.prefix(f"{dtype}:") for dtype in candidates[:-1]]
        # NaN spelled otherwise than `MISSING` has it is text to pandas.
        asked.append(bare.cast(candidates[-1], strict=False).is_not_nan().sum().name.prefix(f"{candidates[-1]}:"))
    if numbers:
        size = pl.col(list(numbers)).abs()
        asked.append(((size > _EXACT) & (size < _WRITTEN_OUT)).sum().name.prefix("large:"))
        asked.append(pl.col(list(numbers)).is_nan().sum().name.prefix("nan:"))
    counts = frame.select(asked).collect(engine="streaming").row(0, named=True)
    if any(counts[f"nan:{name}"] for name in numbers):
        raise pl.exceptions.ComputeError("NaN in a column of numbers: whether it is spelled as in MISSING, its text says")
    decided: dict[str, pl.DataType] = {}
    for name in texts:
        there = counts[f"there:{name}"]
        if not there:
            decided[name] = pl.Null()
        elif counts[f"flags:{name}"] == there:
            decided[name] = pl.Boolean()
        else:
            decided[name] = next((dtype for dtype in candidates if counts[f"{dtype}:{name}"] == there), pl.String())
    return decided, [name for name in numbers if counts[f"large:{name}"]]


def _as(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if dtype == pl.String:
        return text
    bare = text.str.strip_chars(_BLANKS)
    if dtype == pl.Boolean:
        return pl.when(text.is_in(_YES)).then(True).when(text.is_in(_NO)).then(False).otherwise(None).alias(text.meta.output_name())
    return bare.cast(dtype)
