"""Contracts and drift beside what else would check the same files: each rival in an environment of its own, all in one run.

A program reads the files and checks them, over and over in one process; what counts is the median, reading included, and the peak memory
of its process. Start-up and imports do not count. Environments are made on the first call, under `.build/rivals`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "rivals"
ENVIRONMENTS = Path(".build/rivals")
NUMBERS, COUNTS, CATEGORIES = 12, 3, 4
LEVELS = 8
CODES = tuple(f"{a}{b}-{number:02}" for a in "ABCD" for b in "XYZ" for number in range(16))
"""Of the category that a pattern guards; the other categories have a few values."""


@dataclass(frozen=True)
class Measured:
    """One program on one pair of files."""

    seconds: float
    peak_bytes: int
    found: object


@dataclass(frozen=True)
class Program:
    name: str
    script: str
    environment: str | None
    """Named like its requirements file; None: mlgate's own."""


CONTRACT = (
    Program("mlgate", "mlgate_contract.py", None),
    Program("pandera on pandas", "pandera_on_pandas.py", "pandera_on_pandas"),
    Program("pandera on Polars", "pandera_on_polars.py", "pandera_on_polars"),
    Program("Great Expectations", "great_expectations_suite.py", "great_expectations"),
)
DRIFT = (
    Program("mlgate", "mlgate_drift.py", None),
    Program("mlgate, from a stored profile", "mlgate_drift_from_profile.py", None),
    Program("scipy", "scipy_tests.py", "evidently"),
    Program("evidently, PSI alone", "evidently_psi.py", "evidently"),
    Program("evidently, preset", "evidently_preset.py", "evidently"),
)


def rules(columns: int = 1 + NUMBERS + COUNTS + CATEGORIES) -> list[dict[str, object]]:
    """What the contract asks of each column: 20 of them, or as many as are wanted, the kinds in turn."""
    made: list[dict[str, object]] = [{"name": "id", "kind": "id", "unique": True}]
    kinds = ["number"] * NUMBERS + ["count"] * COUNTS + ["category"] * (CATEGORIES - 1) + ["code"]
    for index in range(columns - 1):
        match kinds[index % len(kinds)]:
            case "number":
                made.append({"name": f"number_{index}", "kind": "number", "range": [-10.0, 10.0]})
            case "count":
                made.append({"name": f"count_{index}", "kind": "number", "range": [0, 10_000]})
            case "category":
                made.append({"name": f"category_{index}", "kind": "category", "in": [f"level {level}" for level in range(LEVELS)]})
            case _:
                made.append({"name": f"code_{index}", "kind": "category", "pattern": "[A-D][X-Z]-[0-9]{2}"})
    return made


def table(asked: list[dict[str, object]], rows: int, seed: int, shift: float = 0.0, is_broken: bool = False) -> pl.DataFrame:
    """Columns that keep the rules; `shift` moves the numbers by so many standard deviations, `is_broken` breaks every cell."""
    random = np.random.default_rng(seed)
    columns: dict[str, pl.Series] = {}
    for rule in asked:
        name = str(rule["name"])
        if rule["kind"] == "id":
            values = pl.Series(np.zeros(rows, np.int64) if is_broken else random.permutation(rows))
        elif name.startswith("number"):
            values = pl.Series(np.clip(random.normal(shift, 1, rows), -9.9, 9.9) + 100 * is_broken)
        elif name.startswith("count"):
            values = pl.Series(random.poisson(50 * (1 + shift), rows) - 100_000 * is_broken)
        else:
            levels = CODES if "pattern" in rule else [f"level {level}" for level in range(LEVELS)]
            text = pl.Series([level.lower() + "?" for level in levels] if is_broken else levels)
            values = text.gather(random.integers(0, len(levels), rows))
        columns[name] = values
    return pl.DataFrame(columns)


def write(folder: Path, rows: int, columns: int, *, is_broken: bool = False) -> None:
    folder.mkdir(parents=True)
    asked = rules(columns)
    table(asked, rows, 0).write_parquet(folder / "reference.parquet")
    table(asked, rows, 1, shift=0.5, is_broken=is_broken).write_parquet(folder / "current.parquet")
    (folder / "rules.json").write_text(json.dumps(asked))
    (folder / "contract.yaml").write_text(yaml.safe_dump(_schema(asked)))


def _schema(asked: list[dict[str, object]]) -> dict[str, object]:
    columns = {}
    for rule in asked:
        checks: dict[str, object] = {}
        match rule:
            case {"range": [low, high]}:
                checks["in_range"] = {"min_value": low, "max_value": high}
            case {"in": values}:
                checks["isin"] = values
            case {"pattern": pattern}:
                checks["str_matches"] = pattern
        columns[str(rule["name"])] = {"nullable": False, "unique": rule.get("unique", False), "checks": checks}
    return {"schema_type": "dataframe", "version": "0.35.0", "columns": columns}


def run(program: Program, folder: Path, runs: int) -> Measured | str:
    """What a program measured; why not, where it could not."""
    python = sys.executable if program.environment is None else str(ENVIRONMENTS / program.environment / "bin/python")
    warm = folder.parent / "warm"
    if not warm.exists():
        write(warm, 1_000, len(rules()))
    call = [python, str(PROGRAMS / program.script), str(folder), str(runs), str(warm)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return Measured(statistics.median(answer["seconds"]), answer["peak_bytes"], answer["found"])


def make_environments(uv: str) -> None:
    for requirements in sorted(PROGRAMS.glob("*.txt")):
        folder = ENVIRONMENTS / requirements.stem
        stamp = folder / "made-of.txt"
        if stamp.exists() and stamp.read_text() == requirements.read_text():
            continue
        print(f"Making the environment of {requirements.stem} …", flush=True)
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), "-r", str(requirements)], check=True)
        stamp.write_text(requirements.read_text())


def compared(title: str, programs: tuple[Program, ...], folder: Path, runs: int) -> dict[str, Measured]:
    """Run programs side by side and print them, each beside ours."""
    print(f"\n{title}")
    found: dict[str, Measured] = {}
    for program in programs:
        measured = run(program, folder, runs)
        if isinstance(measured, str):
            print(f"  {program.name:32} not measured: {measured}")
            continue
        found[program.name] = measured
        ratio = found["mlgate"].seconds / measured.seconds if "mlgate" in found else 1.0
        print(
            f"  {program.name:32} {measured.seconds:9.3f} s  {measured.peak_bytes / 1e6:8,.0f} MB   mlgate takes {ratio:6.3f} of it"
            f"   found {measured.found}",
            flush=True,
        )
    return found


def growth(folder: Path, sizes: list[int], write_one: Callable[[Path, int], None], what: str) -> None:
    """The exponent of time by size: 1 is a straight line."""
    for program in (CONTRACT[0], DRIFT[0]):
        times = []
        for size in sizes:
            place = folder / f"{what}-{size}"
            if not place.exists():
                write_one(place, size)
            measured = run(program, place, 3)
            if isinstance(measured, str):
                print(f"  {program.script}: {measured}")
                return
            times.append(measured.seconds)
        slope = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        shown = ", ".join(f"{size:,}: {seconds:.3f} s" for size, seconds in zip(sizes, times, strict=True))
        print(f"  {Path(program.script).stem.removeprefix('mlgate_'):10} time ~ {what}^{slope:.2f}   ({shown})")


def larger_than_memory(folder: Path, rows: int) -> None:
    """Many rows of five columns, written piece by piece."""
    import pyarrow.parquet as pq

    asked = rules(5)
    folder.mkdir(parents=True)
    piece = 5_000_000
    writer = None
    for start in range(0, rows, piece):
        end = min(start + piece, rows)
        frame = table(asked, end - start, start).with_columns(pl.int_range(start, end).alias("id"))
        arrow = frame.to_arrow()
        writer = writer or pq.ParquetWriter(folder / "current.parquet", arrow.schema)
        writer.write_table(arrow)
    if writer:
        writer.close()
    (folder / "rules.json").write_text(json.dumps(asked))
    (folder / "contract.yaml").write_text(yaml.safe_dump(_schema(asked)))
    measured = run(CONTRACT[0], folder, 1)
    shown = measured if isinstance(measured, str) else f"{measured.seconds:.1f} s, peak {measured.peak_bytes / 1e9:.2f} GB (to reach: 3 GB)"
    print(f"\nA contract on {rows:,} rows of 5 columns, {(folder / 'current.parquet').stat().st_size / 1e9:.1f} GB of Parquet: {shown}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", required=True, help="uv, which makes the rivals' environments")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--large", type=int, default=0, help="rows of the table that is larger than memory; 0: leave it out")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    make_environments(options.uv)
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as temporary:
        folder = Path(temporary)
        for rows in options.rows:
            runs = options.runs if rows <= 1_000_000 else 1
            write(folder / f"{rows}", rows, 20)
            compared(f"Contract, {rows:,} rows x 20 columns, all in order", CONTRACT, folder / f"{rows}", runs)
            compared(f"Drift, {rows:,} rows x 19 columns beside as many", DRIFT, folder / f"{rows}", min(runs, 3))
        write(folder / "broken", min(options.rows), 20, is_broken=True)
        compared(f"Contract, {min(options.rows):,} rows x 20 columns, every cell broken", CONTRACT, folder / "broken", 1)
        print("\nGrowth")
        growth(folder, [10_000, 100_000, 1_000_000], lambda place, size: write(place, size, 20), "rows")
        growth(folder, [20, 80, 320], lambda place, size: write(place, 50_000, size), "columns")
        if options.large:
            larger_than_memory(folder / "large", options.large)
    return 0


if __name__ == "__main__":
    sys.exit(main())
