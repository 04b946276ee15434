"""How a program of this folder is called, and what it answers: `program FOLDER RUNS` prints the seconds of each run and its peak memory.

Standard library only: every program runs in an environment of its own.
"""

import gc
import json
import resource
import sys
import time
from pathlib import Path


def main(check):
    """Time `check(folder, rules)`, which reads the files of a folder and answers with what it found; the first run is not counted."""
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    rules = json.loads((folder / "rules.json").read_text())
    seconds, found = [], None
    for run in range(runs + (runs > 1)):
        gc.collect()
        started = time.perf_counter()
        found = check(folder, rules)
        if run or runs == 1:
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "found": found}))
