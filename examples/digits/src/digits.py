"""A table of digits as arrays."""

import numpy as np
from pyarrow import parquet

PIXELS = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids of shape (n,), grey levels (n, 64) and what was written (n,)."""
    table = parquet.read_table(path)
    pixels = np.column_stack([table[name].to_numpy() for name in PIXELS])
    return table["id"].to_numpy(), pixels, table["digit"].to_numpy()
