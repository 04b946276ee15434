"""A folder of 10,000 files from a DVC remote: `mlgate pull-data`, which hashes every file itself, beside `dvc pull`, which does not.

Each in turn, in a fresh clone with an empty cache; the remote is a folder on the same disk, so that what is measured is not the network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOLS = Path(sys.executable).parent
CONFIG = """\
model: images
data: {pull: [images]}
train: {command: "true"}
evaluation: {task: classification, predictions: p.csv, metrics: [accuracy]}
"""


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> float:
    """Wall time in seconds of a command that must succeed."""
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"bench: {command} failed:\n{finished.stdout}{finished.stderr}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=20_000, help="size of a file")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        }  # fmt: skip
        origin = folder / "origin"
        (origin / "images").mkdir(parents=True)
        run("git", "init", "--quiet", cwd=origin, environment=environment)
        run(TOOLS / "dvc", "init", "-q", cwd=origin, environment=environment)
        run(TOOLS / "dvc", "remote", "add", "-q", "-d", "storage", folder / "remote", cwd=origin, environment=environment)
        for number in range(options.files):
            (origin / "images" / f"{number}.bin").write_bytes(os.urandom(options.bytes))
        (origin / "mlgate.yaml").write_text(CONFIG)
        run(TOOLS / "dvc", "add", "-q", "images", cwd=origin, environment=environment)
        run(TOOLS / "dvc", "push", "-q", cwd=origin, environment=environment)
        run("git", "add", "--all", cwd=origin, environment=environment)
        run("git", "commit", "--quiet", "-m", "data", cwd=origin, environment=environment)
        times: dict[str, list[float]] = {"dvc pull": [], "mlgate pull-data": [], "mlgate pull-data, all there": []}
        evidence_bytes = 0
        for number in range(options.runs):
            clone = folder / f"clone-{number}"
            for command in ("dvc pull", "mlgate pull-data") if number % 2 else ("mlgate pull-data", "dvc pull"):
                run("git", "clone", "--quiet", origin, clone, cwd=folder, environment=environment)
                tool, *arguments = command.split()
                os.sync()  # the disk must not still be busy with what the other one wrote
                times[command].append(run(TOOLS / tool, *arguments, cwd=clone, environment=environment))
                if tool == "mlgate":
                    times[f"{command}, all there"].append(run(TOOLS / tool, *arguments, cwd=clone, environment=environment))
                    evidence_bytes = (clone / ".mlgate/images/evidence/pull-data.json").stat().st_size
                shutil.rmtree(clone)
        print(f"\nA folder of {options.files:,} files of {options.bytes / 1000:g} kB, median of {options.runs} (seconds):")
        for command, durations in times.items():
            print(f"  {command:30} {statistics.median(durations):6.1f}   ({', '.join(f'{value:.1f}' for value in durations)})")
        print(f"  evidence: {evidence_bytes / 1000:.1f} kB")


if __name__ == "__main__":
    main()
