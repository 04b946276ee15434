"""The gate's statistics on a million paired predictions: four metrics on the whole and on 20 slices, and each beside resampling rows.

Every measurement is a process of its own that loads the same arrays, so that its peak memory is its own. Times are the least of some
runs: another job on the machine only ever adds. Targets are held against CPU time where the wall's is longer, since machines that share
their cores are never quiet. What would take hours (thousands of resamples of a million rows) is measured for a few and multiplied.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlgate.stats.bootstrap import MAX_DRAWS
from mlgate.stats.comparison import Model, Pair, compare, point

METRICS = ("accuracy", "f1_macro", "log_loss", "roc_auc")
SLICES = (12, 8)
"""Values of two columns."""
RESAMPLES = 10
"""How many are measured of those that resampling rows takes."""
MOST_SECONDS, MOST_BYTES, LEAST_RATIO, MOST_DELONG_SECONDS = 3.0, 1e9, 100.0, 1.0


@dataclass(frozen=True)
class Measured:
    wall_s: float
    cpu_s: float
    peak_bytes: int

    @property
    def seconds(self) -> float:
        return min(self.wall_s, self.cpu_s)


def make(folder: Path, rows: int) -> None:
    """Two models of two classes that agree as a retrained model does with its predecessor: they differ on 3 rows in 100."""
    random = np.random.default_rng(0)
    target = random.integers(0, 2, rows)
    shared = 1.5 * (2 * target - 1) + 1.5 * random.normal(size=rows)
    for name in ("candidate", "baseline"):
        positive = 1 / (1 + np.exp(-shared - 0.25 * random.normal(size=rows)))
        np.save(folder / f"{name}.npy", np.column_stack([1 - positive, positive]))
    np.save(folder / "target.npy", target)
    np.save(folder / "slices.npy", np.column_stack([random.integers(0, values, rows) for values in SLICES]))


def load(folder: Path) -> Pair:
    target = np.load(folder / "target.npy")

    def model(name: str) -> Model:
        scores = np.load(folder / f"{name}.npy")
        return Model(target, (scores[:, 1] > 0.5).astype(np.int64), 2, 1, scores)

    return Pair(model("candidate"), model("baseline"))


def gate(folder: Path) -> Callable[[], None]:
    pair, slices = load(folder), np.load(folder / "slices.npy")

    def run() -> None:
        parts = [np.flatnonzero(column == value) for column, values in zip(slices.T, SLICES, strict=True) for value in range(values)]
        for index in (None, *parts):
            part = pair if index is None else pair.take(index)
            for metric in METRICS:
                compare(metric, part, 0.95, 1)

    return run


def ours(folder: Path, metric: str) -> Callable[[], None]:
    pair = load(folder)
    return lambda: _discard(compare(metric, pair, 0.95, 1))


def resampled_rows(folder: Path, metric: str) -> Callable[[], None]:
    """The bootstrap as one would write it: draw rows, compute the metric of both models again."""
    pair, random = load(folder), np.random.default_rng(1)

    def run() -> None:
        draws = []
        for _ in range(RESAMPLES):
            part = pair.take(random.integers(0, pair.n, pair.n))
            draws.append(point(metric, part.candidate) - point(metric, part.baseline))
        np.quantile(draws, [0.05, 0.95])

    return run


def scipys_bootstrap(folder: Path, metric: str) -> Callable[[], None]:
    from scipy.stats import bootstrap

    pair = load(folder)
    one, other = pair.candidate, pair.baseline
    if one.scores is None or other.scores is None:
        raise ValueError("no scores")
    columns = (one.target, one.prediction, other.prediction, one.scores[:, 1], other.scores[:, 1])

    def difference(*resampled: np.ndarray, axis: int) -> np.ndarray:
        """Of one resample at a time, shape (1, n): a thousand of them would not fit into memory."""
        target, candidate, baseline, score, other_score = (column.ravel() for column in resampled)
        values = [
            point(metric, Model(target, label, 2, 1, np.column_stack([1 - positive, positive])))
            for label, positive in ((candidate, score), (baseline, other_score))
        ]
        return np.full(resampled[0].shape[:-1], values[0] - values[1])

    return lambda: _discard(
        bootstrap(columns, difference, paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", batch=1, rng=1)
    )


WAYS = {"gate": gate, "ours": ours, "rows": resampled_rows, "scipy": scipys_bootstrap}


def measure(way: str, folder: Path, metric: str | None) -> None:
    """In a process of its own: prints what one run takes."""
    run = WAYS[way](folder) if metric is None else WAYS[way](folder, metric)  # type: ignore[operator]
    started, cpu = time.perf_counter(), time.process_time()
    run()
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    # kilobytes on Linux, bytes on macOS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps([wall_s, cpu_s, peak]))


def best_of(runs: int, way: str, folder: Path, metric: str | None = None) -> Measured:
    command = [sys.executable, __file__, "--measure", way, "--folder", str(folder), *(["--metric", metric] if metric else [])]
    found = []
    for _ in range(runs):
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            raise SystemExit(f"bench: {' '.join(command)} failed:\n{finished.stderr}")
        found.append(Measured(*json.loads(finished.stdout)))
    return Measured(min(run.wall_s for run in found), min(run.cpu_s for run in found), max(run.peak_bytes for run in found))


def compare_all(rows: int, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        folder = Path(name)
        make(folder, rows)
        print(f"\nThe gate's statistics on {rows:,} paired predictions, least of {runs} runs, a process each", flush=True)
        whole = best_of(runs, "gate", folder)
        print(
            f"  {len(METRICS)} metrics, whole and {sum(SLICES)} slices: {whole.wall_s:.2f} s, {whole.cpu_s:.2f} s of CPU, "
            f"{whole.peak_bytes / 1e6:.0f} MB at most   "
            f"({_met(whole.seconds <= MOST_SECONDS and whole.peak_bytes <= MOST_BYTES)}: {MOST_SECONDS:g} s, {MOST_BYTES / 1e9:g} GB)"
        )
        factor = MAX_DRAWS / RESAMPLES
        print(f"\n  One metric's interval, seconds of CPU; for {MAX_DRAWS:,} draws of rows {RESAMPLES} are measured and multiplied")
        print(f"  {'metric':<12}{'mlgate':>10}{'rows':>12}{'scipy':>12}{'rows / mlgate':>16}{'scipy / mlgate':>16}")
        for metric in METRICS:
            mine = best_of(runs, "ours", folder, metric)
            slow = [best_of(2, way, folder, metric).cpu_s * factor for way in ("rows", "scipy")]
            target = ""
            if metric == "f1_macro":
                target = f"   ({_met(slow[0] / mine.cpu_s >= LEAST_RATIO)}: {LEAST_RATIO:g} times)"
            elif metric == "roc_auc":
                target = f"   ({_met(mine.seconds <= MOST_DELONG_SECONDS)}: DeLong in {MOST_DELONG_SECONDS:g} s)"
            ratios = "".join(f"{math.floor(value / mine.cpu_s):>16,}" for value in slow)
            print(f"  {metric:<12}{mine.cpu_s:>10.3f}{slow[0]:>12,.0f}{slow[1]:>12,.0f}{ratios}{target}", flush=True)


def _met(is_met: bool) -> str:
    return "target met" if is_met else "target MISSED"


def _discard(_: object) -> None:
    """A result nobody reads."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--metric", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.folder, options.metric)
    else:
        compare_all(options.rows, options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
