"""Whether a Parquet file of a stranger's can be read at all: a few kilobytes can unfold to more than any machine has.

Nothing in such a file bounds what reading it takes (page headers are believed by readers, and one run-length pair stands for billions of
rows). So it is read once by a process of its own, whose memory and time are limited, and which nobody misses when it dies.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlgate.errors import InputError

MAX_FILE_BYTES = 200_000_000
MAX_MEMORY_BYTES = 4_000_000_000
MAX_CPU_S = 120
MAX_ROWS = 5_000_000
MAX_COLUMNS = 200
MAX_SLICE_VALUES = 1_000
"""`evaluate` takes no more either; the gate goes through all of them."""
_REFUSED = 9


def check(path: Path) -> None:
    """Refuse a file that is no Parquet, or takes more than there is.

    Raises:
        InputError: with the limit that it breaks.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path.name}: larger than {MAX_FILE_BYTES:,} bytes; such predictions are refused")
    try:
        finished = subprocess.run(
            [sys.executable, "-I", "-m", "mlgate.evaluation.parquet_limits", str(path), str(MAX_MEMORY_BYTES)],
            # Arrow's own allocators reserve address space in pieces that would count against the limit.
            env={
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                **{name: os.environ[name] for name in ("PATH", "MLGATE_PACKAGE") if name in os.environ},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10 * MAX_CPU_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{path.name}: cannot be read within {10 * MAX_CPU_S} s; such predictions are refused") from None
    if finished.returncode == _REFUSED:
        raise InputError(f"{path.name}: {finished.stdout.decode(errors='replace').strip()[:200]}; such predictions are refused")
    if finished.returncode != 0:
        raise InputError(
            f"{path.name}: reading it takes more than {MAX_MEMORY_BYTES // 10**9} GB or {MAX_CPU_S} s; such predictions are refused"
        )


def _main(path: str, max_memory_bytes: int) -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    try:
        with pq.ParquetFile(path) as file:
            for what, number, most in (("rows", file.metadata.num_rows, MAX_ROWS), ("columns", file.metadata.num_columns, MAX_COLUMNS)):
                if number > most:
                    print(f"{number:,} {what}, at most {most:,} are taken from a run without secrets")
                    return _REFUSED
            for name in file.schema_arrow.names:
                column = file.read([name], use_threads=False).column(0)
                if name.startswith("slice:") and (values := pc.count_distinct(column).as_py()) > MAX_SLICE_VALUES:
                    print(f"{values:,} values in column '{name[:60]}', at most {MAX_SLICE_VALUES:,} make slices")
                    return _REFUSED
    except MemoryError:
        return 1
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        print(f"not a Parquet file of predictions ({type(error).__name__})")
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))
