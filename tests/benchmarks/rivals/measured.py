"""How a program of this folder is called, `program FOLDER RUNS WARM`, and what it prints: the seconds of each run and its peak memory.

Standard library only: every program runs in an environment of its own.
"""

import gc
import json
import resource
import sys
import time
from pathlib import Path


def main(check):
    """Time `check(folder, rules)`, which reads the files of a folder and answers with what it found.

    First it checks a small folder of the same kind, WARM, which is not counted: it imports what is imported late.
    """
    folder, runs, warm = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    check(warm, json.loads((warm / "rules.json").read_text()))
    rules = json.loads((folder / "rules.json").read_text())
    seconds, found = [], None
    for _ in range(runs):
        gc.collect()
        started = time.perf_counter()
        found = check(folder, rules)
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "found": found}))
