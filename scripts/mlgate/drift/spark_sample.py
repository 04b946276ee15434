"""Rows of a table of Spark's for the multivariate screen: at most as many as it looks at leave the cluster.

Which rows is told by their places in their files, spread over the whole table, so the same table gives the same rows however Spark splits
it, and a table of as many rows or fewer gives all of them, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from mlgate.drift.multivariate import MOST_ROWS
from mlgate.tables.spark import SparkTable, identifier

if TYPE_CHECKING:
    import polars as pl

_SPREAD = 2_654_435_761
"""As `multivariate.screen` has it."""
_FILE = "substring_index(_metadata.file_path, '/', -2)"  # with its folder, for partitions that name their files alike


def why_not(table: SparkTable) -> str:
    """Why no rows can be chosen; nothing where they can."""
    if table.format != "parquet":
        return "Spark numbers no rows of CSV and JSON lines"
    return "its column _metadata hides from Spark where rows lie" if "_metadata" in table.schema else ""


def of_table(table: SparkTable, rows: int, columns: Sequence[str]) -> pl.DataFrame:
    """Rows of those columns that are numbers or text; the others are left out, as the screen does not look at them.

    Args:
        table: of Parquet, as `tables.spark.scan` opens it.
        rows: how many it has.
        columns: names that it has.

    Raises:
        InputError: what lies behind it cannot be read.
        InfrastructureError: the cluster went away.
    """
    import polars as pl

    types = {name: kind for name, dtype in table.frame.dtypes if name in set(columns) and (kind := _type(dtype)) is not None}
    chosen = [name for name in columns if name in types]
    frame = table.frame
    if rows > MOST_ROWS:  # an offset for each file: otherwise small files would all give their first row
        place = f"pmod((_metadata.row_index + crc32({_FILE})) * {_SPREAD}L, 4294967296L)"
        frame = frame.where(f"{place} < {round(MOST_ROWS / rows * (1 << 32))}")
    cells = [f"CAST({identifier(name)} AS {types[name]}) AS c{at}" for at, name in enumerate(chosen)]
    asked = frame.selectExpr(f"{_FILE} AS file", "_metadata.row_index AS row", *cells)
    cells_of_rows = table.spark.ask(lambda: [tuple(each) for each in asked.collect()], table.name)
    schema = {"file": pl.String, "row": pl.Int64}
    schema |= {f"c{at}": pl.String if types[name] == "STRING" else pl.Float64 for at, name in enumerate(chosen)}
    ordered = pl.DataFrame(cells_of_rows, schema=schema, orient="row").sort("file", "row").drop("file", "row")
    return ordered.rename({f"c{at}": name for at, name in enumerate(chosen)})


def _type(dtype: str) -> Literal["DOUBLE", "STRING"] | None:
    """What a column is told apart by."""
    match dtype.split("(")[0]:
        case "tinyint" | "smallint" | "int" | "bigint" | "float" | "double" | "decimal" | "boolean":
            return "DOUBLE"
        case "string" | "varchar" | "char":
            return "STRING"
    return None
