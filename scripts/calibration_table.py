"""The tables of docs/calibration.md, from what `make calibrate` measured (docs/reference/calibration.json)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "docs/reference/calibration.json"
RULES_OF_THUMB = "rules of thumb"
SIZES = (200, 500, 1000, 5000)
SHOWN_MARGINS = (0.01, 0.05)
"""Of metrics that were run with more of them."""

Row = dict[str, Any]


def tables() -> dict[str, Callable[[], str]]:
    """By the name that a page calls them."""
    return {
        "calibration summary": summary,
        "calibration intervals": intervals,
        "calibration above": above,
        "calibration held out": held_out,
        "calibration beyond": beyond,
        "calibration doubt": doubt,
        "calibration plan": plan,
        "calibration methods": methods,
        "calibration exact": exact,
        "calibration promises": promises,
        "calibration rules of thumb": rules_of_thumb,
    }


def summary() -> str:
    """One paragraph."""
    rows, others = _promised_intervals(), [row for row in _load()["promises"] if row["bound"] < 1]
    runs = sum(2 * row["runs"] for row in rows) + sum(row["runs"] for row in others)
    again = [row for row in (*rows, *others) if "at_first" in row]
    kept = sum(row["holds"] for row in (*rows, *others))
    passes = [row["false_pass"] for row in rows]
    fresh = [row for row in rows if row.get("is_held_out")]
    unpromised = [row for row in _load()["intervals"] if "beyond" in row]
    worst_fresh = _percent(max((row["false_pass"] for row in fresh), default=0.0))
    worst_unpromised = _percent(max((row["false_pass"] for row in unpromised), default=0.0))
    return (
        f"{len(rows)} populations and {len(others)} other promises, {runs / 1e6:.1f} million comparisons. {kept} of "
        f"{len(rows) + len(others)} are kept up to three Monte-Carlo standard errors; {len(again)} "
        f"{'was' if len(again) == 1 else 'were'} above that at first and run again, with ten times the runs and other samples. "
        f"At worst {_percent(max(passes))} of the bad models passed, {_mean(passes)} on average over all populations. "
        f"{len(fresh)} of the populations had no part in choosing any constant of a method: {sum(row['holds'] for row in fresh)} of them "
        f"hold, and at worst {worst_fresh} of the bad models passed. Of {len(unpromised)} more populations "
        f"[nothing is promised](#what-no-holdout-can-show); at worst {worst_unpromised} passed there.\n"
    )


def intervals() -> str:
    """A row a metric: its worst population."""
    lines = [
        "| | metric | populations | a model worse by exactly the margin passes | a bound misses | an unchanged model is called worse |",
        "|---|---|---|---|---|---|",
    ]
    for (family, metric), rows in _grouped(_promised_intervals(), "family", "metric"):
        passes = [row["false_pass"] for row in rows]
        bounds = [_worst(row) for row in rows]
        lines.append(
            f"| {family} | {_name(metric)} | {len(rows)} | {_percent(max(passes))} ({_mean(passes)}) | {_percent(max(bounds))} "
            f"| {_percent(max(row['false_block'] for row in rows))} |"
        )
    return "\n".join([*lines, ""])


def above() -> str:
    """Every population and promise that stayed above its bound."""
    data = _load()
    found = [
        f"| {row['family']}: {_name(row['metric'])}, n = {row['n']:,}, margin {row['margin']:g}, {row['population']} "
        f"| {_percent(_worst(row))} "
        f"| {row['runs']:,} |"
        for row in _promised_intervals()
        if not row["holds"]
    ]
    found += [f"| {_words(row['name'])} | {_percent(row['rate'])} | {row['runs']:,} |" for row in data["promises"] if not row["holds"]]
    return "\n".join(["| population | worst rate | runs |", "|---|---|---|", *found, ""]) if found else "None.\n"


def held_out() -> str:
    """Every population that no method was tuned on."""
    lines = [
        "| population | margin | n | a model worse by exactly the margin passes | a bound misses, at worst |",
        "|---|---|---|---|---|",
    ]
    rows = [row for row in _promised_intervals() if row.get("is_held_out")]
    for (family, metric, population, margin), of_one in _grouped(rows, "family", "metric", "population", "margin"):
        sizes, passes = "; ".join(f"{row['n']:,}" for row in of_one), "; ".join(_percent(row["false_pass"]) for row in of_one)
        worst = _percent(max(_worst(row) for row in of_one))
        lines.append(f"| {family}: {_name(metric)}, {_words(population)} | {margin:g} | {sizes} | {passes} | {worst} |")
    return "\n".join([*lines, ""])


def beyond() -> str:
    """Populations of which nothing is promised, with what was measured."""
    lines = ["| population | why | a model worse by exactly the margin passes | runs |", "|---|---|---|---|"]
    lines += [
        f"| {row['family']}: {_name(row['metric'])}, n = {row['n']:,}, margin {row['margin']:g}, {row['population']} "
        f"| {row['beyond']} | {_percent(row['false_pass'])} | {row['runs']:,} |"
        for row in _load()["intervals"]
        if "beyond" in row
    ]
    return "\n".join([*lines, ""])


def doubt() -> str:
    """How often an unchanged model is not shown to be no worse, by size."""
    lines = [f"| | metric | margin | {' | '.join(f'n = {n:,}' for n in SIZES)} |", f"|---|---|---|{'---|' * len(SIZES)}"]
    rows = [row for row in _load()["intervals"] if row["n"] in SIZES]
    for (family, metric), of_metric in _grouped(rows, "family", "metric"):
        few = any(row["margin"] == SHOWN_MARGINS[1] for row in of_metric)
        for (margin,), of_margin in _grouped(of_metric, "margin"):
            cells = [[row["cannot_tell"] for row in of_margin if row["n"] == n] for n in SIZES]
            if any(cells) and (margin in SHOWN_MARGINS or not few):
                lines.append(f"| {family} | {_name(metric)} | {margin:g} | {' | '.join(_range(cell) for cell in cells)} |")
    return "\n".join([*lines, ""])


def plan() -> str:
    """What a rule that blocks when in doubt does to an unchanged model, and what single holdouts predicted."""
    lines = [
        "| | metric | populations | not shown to be no worse: measured | `mlgate plan` predicted | called worse: measured | predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [row for row in _load()["intervals"] if row.get("planned")]
    for (family, metric), of_metric in _grouped(rows, "family", "metric"):
        measured = [row["false_block"] + row["cannot_tell"] for row in of_metric]
        expected = [row["planned"]["mean"] for row in of_metric]
        called = [_percent(max(row["false_block"] for row in of_metric)), _percent(max(row["planned"]["false_block"] for row in of_metric))]
        shown = f"{_mean(measured)} | {_mean(expected)} | {' | '.join(called)}"
        lines.append(f"| {family} | {_name(metric)} | {len(of_metric)} | {shown} |")
    return "\n".join([*lines, ""])


def methods() -> str:
    """Which method gave the interval, by metric and size."""
    lines = [f"| | metric | method | {' | '.join(f'n = {n:,}' for n in SIZES)} |", f"|---|---|---|{'---|' * len(SIZES)}"]
    rows = [row for row in _load()["intervals"] if row["n"] in SIZES]
    for (family, metric), of_metric in _grouped(rows, "family", "metric"):
        names = dict.fromkeys(name for row in of_metric for name in row["methods"])
        for name in names:
            cells = [_mean([row["methods"].get(name, 0.0) for row in of_metric if row["n"] == n]) for n in SIZES]
            lines.append(f"| {family} | {_name(metric)} | {name} | {' | '.join(cells)} |")
        silent = [_mean([row["says_nothing"] for row in of_metric if row["n"] == n]) for n in SIZES]
        if any(row["says_nothing"] for row in of_metric):
            lines.append(f"| {family} | {_name(metric)} | of these, no interval at all | {' | '.join(silent)} |")
    return "\n".join([*lines, ""])


def exact() -> str:
    """Tango's bound, summed over all outcomes."""
    lines = [
        "| n | as published (where the model is really worse) | as the gate has it (where the model is really worse) |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['n']:,} | {_percent(row['published'])} ({_percent(row['published_of_losses'])}) "
        f"| {_percent(row['corrected'])} ({_percent(row['corrected_of_losses'])}) |"
        for row in _load()["exact"]
    ]
    return "\n".join([*lines, ""])


def promises() -> str:
    """Promises that are no interval's; of rollouts, of which there are many, the worst of a kind."""
    lines = ["| | promised: at most | measured | runs |", "|---|---|---|---|"]
    rows = [row for row in _load()["promises"] if row["family"] != RULES_OF_THUMB]
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        if family.startswith("sequential"):
            worst = max(own, key=lambda row: row["rate"])
            what = f"{family.removeprefix('sequential, ')}: {len(own)} bounds of rollouts, looked at after every batch; the worst"
            lines.append(f"| {what} ({_words(worst['name'])}) | {_promised(worst)} | {_percent(worst['rate'])} | {worst['runs']:,} each |")
            continue
        lines += [f"| {_words(row['name'])} | {_promised(row)} | {_percent(row['rate'])} | {row['runs']:,} |" for row in own]
    return "\n".join([*lines, ""])


def rules_of_thumb() -> str:
    lines = ["| rule | what it does | in | promised: at most |", "|---|---|---|---|"]
    for row in _load()["promises"]:
        if row["family"] == RULES_OF_THUMB:
            rule, _, what = row["name"].partition(" | ")
            lines.append(f"| {rule} | {what} | {_percent(row['rate'])} | {_promised(row)} |")
    lines += [f"| {row['rule']} | {row['what']} | {row['points']:g} points | |" for row in _load()["in a row"]]
    return "\n".join([*lines, ""])


def _promised_intervals() -> list[Row]:
    return [row for row in _load()["intervals"] if "beyond" not in row]


def _worst(row: Row) -> float:
    return max(float(row[key]) for key in ("false_pass", "high_missed", "unchanged_low_missed", "unchanged_high_missed"))


def _load() -> dict[str, list[Row]]:
    loaded: dict[str, list[Row]] = json.loads(RESULTS.read_text())
    return loaded


def _grouped(rows: Iterable[Row], *keys: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return sorted(groups.items(), key=lambda group: group[0])


def _promised(row: Row) -> str:
    return "nothing" if row["bound"] >= 1 else _percent(row["bound"])


def _percent(share: float) -> str:
    digits = 2 if share < 0.0005 else 1
    return "0" if share == 0 else f"{share * 100:.{digits}f} %"


def _mean(shares: list[float]) -> str:
    return _percent(sum(shares) / len(shares)) if shares else ""


def _range(shares: list[float]) -> str:
    if not shares:
        return ""
    low, high = round(min(shares) * 100), round(max(shares) * 100)
    return f"{low} %" if low == high else f"{low} to {high} %"


def _name(metric: str) -> str:
    return f"`{metric}`" if metric.replace("_", "").isalnum() else _words(metric)


def _words(text: str) -> str:
    return text.replace(" | ", ", ").replace("|", "\\|")
