"""Run the whole suite on all cores and write what was measured: `make calibrate`.

A scenario above its bound is run again, with ten times the runs and other samples: among two thousand rates a few lie beyond three
standard errors by chance alone. Both figures are kept; one that stays above is published as such.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from calibration import exact, naive_rules, planned, suite
from calibration.scenario import Promise, Scenario, as_data, measure, measure_promise

RESULTS = Path(__file__).resolve().parents[2] / "docs/reference/calibration.json"
MORE_RUNS = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="calibration", description=__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--family", default="", help="only scenarios and promises whose family begins so; nothing is written")
    parser.add_argument("--only", default=None, metavar="FAMILY", help="as --family, and written in place of the figures there are")
    parser.add_argument("--metric", default="", help="of these only the metrics whose names begin so")
    parser.add_argument("--held-out", action="store_true", help="of these only the populations that no method was tuned on")
    parser.add_argument("--plan", action="store_true", help="only what `mlgate plan` predicts, written beside the figures there are")
    arguments = parser.parse_args()
    if arguments.plan:
        return _plan_again(arguments.family)
    family = arguments.family if arguments.only is None else arguments.only
    chosen = [index for index, item in enumerate(_items()) if _is_asked_for(item, family, arguments)]
    started, found = time.monotonic(), []
    with multiprocessing.Pool(arguments.processes) as pool:
        for index, (data, seconds) in zip(chosen, pool.imap(_run, chosen), strict=True):
            found.append((index, data))
            mark = "" if data["holds"] else "  ABOVE ITS BOUND"
            print(f"{len(found)}/{len(chosen)}  {seconds:6.1f} s  {_items()[index].name}{mark}", flush=True)
    is_part = bool(family or arguments.metric or arguments.held_out)
    if arguments.only is not None:
        RESULTS.write_text(_lines(_with_new(json.loads(RESULTS.read_text()), dict(found))))
        is_part = True
    results = {
        "alpha": 0.05,
        "intervals": [data for index, data in found if isinstance(_items()[index], Scenario)],
        "promises": [data for index, data in found if isinstance(_items()[index], Promise)],
        "in a row": [] if is_part else naive_rules.in_a_row(),
        "exact": [] if is_part else exact.worst_cases(),
    }
    print(f"{(time.monotonic() - started) / 60:.1f} minutes with {arguments.processes} processes")
    if not is_part:
        RESULTS.write_text(_lines(results))
        print(f"{RESULTS} written; `make docs` shows it")
    return 0 if all(data["holds"] or "beyond" in data for _, data in found) else 1


@cache
def _items() -> list[Scenario | Promise]:
    return [*suite.scenarios(), *suite.promises()]


def _run(index: int) -> tuple[dict[str, Any], float]:
    """A scenario's figures, and the processor time they took."""
    item, started = _items()[index], time.process_time()
    data = _figures(item, item.runs, attempt=0)
    if not data["holds"]:  # of what is beyond the promise, too: the figure is shown
        data = _figures(item, item.runs * MORE_RUNS, attempt=1) | {"at_first": data}
    if isinstance(item, Scenario):
        data |= planned.as_data(item) | _labels(item)
    return data, time.process_time() - started


def _labels(item: Scenario | Promise) -> dict[str, Any]:
    """What the suite says of a scenario, whatever was measured."""
    if isinstance(item, Promise):
        return {}
    return ({"beyond": item.beyond} if item.beyond else {}) | ({"is_held_out": True} if item.is_held_out else {})


def _figures(item: Scenario | Promise, runs: int, attempt: int) -> dict[str, Any]:
    return as_data(measure(item, runs, attempt) if isinstance(item, Scenario) else measure_promise(item, runs, attempt))


def _is_asked_for(item: Scenario | Promise, family: str, arguments: argparse.Namespace) -> bool:
    if isinstance(item, Promise):
        return item.family.startswith(family) and not arguments.metric and not arguments.held_out
    is_one = item.is_held_out or not arguments.held_out
    return is_one and item.family.startswith(family) and item.metric.startswith(arguments.metric)


def _with_new(results: dict[str, Any], found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The figures there are, with those of some scenarios and promises measured again in their place: in the order of the suite, which
    alone says what is shown."""
    known = {_named(row): row for row in results["intervals"]} | {row["name"]: row for row in results["promises"]}
    merged: dict[str, list[dict[str, Any]]] = {"intervals": [], "promises": []}
    for index, item in enumerate(_items()):
        is_scenario = isinstance(item, Scenario)
        row = found.get(index) or known.get(_named(vars(item)) if is_scenario else item.name)
        if row is not None:
            measured = {key: value for key, value in row.items() if key not in ("beyond", "is_held_out")}
            merged["intervals" if is_scenario else "promises"].append(measured | _labels(item))
    return results | merged


def _plan_again(family: str) -> int:
    """The predictions of all scenarios of a family, or of all, in the figures as they are; a minute in one process."""
    found = {_named(vars(one)): planned.as_data(one) for one in suite.scenarios() if one.family.startswith(family)}
    results = json.loads(RESULTS.read_text())
    results["intervals"] = [row | found.get(_named(row), {}) for row in results["intervals"]]
    RESULTS.write_text(_lines(results))
    print(f"{RESULTS} written; `make docs` shows it")
    return 0


def _named(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("family", "metric", "n", "margin", "population"))


def _lines(results: dict[str, Any]) -> str:
    """JSON with a record a line, so that a change of one shows as one."""
    parts = []
    for key, value in results.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in value)
            parts.append(f' "{key}": [\n{rows}\n ]')
        else:
            parts.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
