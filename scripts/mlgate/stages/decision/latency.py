"""The gate's rows about latency: computed from every time that the candidate's job took, of both models where they took turns in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlgate.config import MAX_LATENCY_SAMPLES, THROUGHPUT, Config, latency_direction, latency_metric
from mlgate.errors import InputError
from mlgate.evidence import MAX_LATENCY_BYTES, Comparison, Latency, LatencySamples, MetricValue, checked_file, parse_record
from mlgate.stages.decision import comparison
from mlgate.stages.decision.comparison import Examination
from mlgate.stats import quantiles
from mlgate.stats.comparison import Compared
from mlgate.stats.intervals import Interval
from mlgate.workspace import Workspace

Floats = NDArray[np.float64]
_TAKEN_BY_ITSELF = "measured by another job, on another machine perhaps: not compared"


@dataclass(frozen=True)
class Timed:
    """What was found about latency, by the names of its metrics."""

    rows: list[Comparison] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a metric that a rule is about is not there."""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Times:
    """Milliseconds of shape (rounds, requests), and how they were taken."""

    how: Latency
    candidate: Floats
    baseline: Floats | None


def read(workspace: Workspace, latency: Latency | None) -> Times | None:
    """The times that evidence names; what a fork's job says of the baseline is left out, since it would choose its opponent.

    Raises:
        InputError: the file is not the one that evidence describes, too large, or says something wrong.
    """
    if latency is None:
        return None
    if latency.samples.size_bytes > MAX_LATENCY_BYTES:
        raise InputError(f"{latency.samples.path}: more than {MAX_LATENCY_BYTES:,} bytes of latencies are refused")
    content = checked_file(latency.samples, workspace.state).read_bytes()
    samples = parse_record(LatencySamples, content, latency.samples.path)
    if any(sum(map(len, taken)) > MAX_LATENCY_SAMPLES for taken in (samples.candidate, samples.baseline or [])):
        raise InputError(f"{latency.samples.path}: more than {MAX_LATENCY_SAMPLES:,} latencies of one model are refused")
    baseline = samples.baseline if latency.baseline_commit is not None else None
    if workspace.context.triggering and baseline is not None:
        baseline, latency = None, latency.model_copy(update={"baseline_commit": None, "baseline_note": "a fork's job measured it"})
    return Times(latency, np.array(samples.candidate), None if baseline is None else np.array(baseline))


def names(rules: Config, times: Times | None) -> list[str]:
    """Every metric that the deciding rules, or the candidate, have of latency."""
    asked = rules.evaluation.latency.metric_names if rules.evaluation.latency else []
    return list(dict.fromkeys([*asked, *(map(latency_metric, times.how.quantiles) if times else ())]))


def compared(examined: Examination, times: Times | None, base: str | None, say: Callable[[str], None]) -> Timed:
    """A row for every quantile that the candidate or the deciding rules name, and for the throughput.

    Args:
        examined: the baseline there is, and the rules.
        times: None where the candidate was not measured.
        base: the baseline commit; only times of its model are compared with.
        say: told what is looked at.
    """
    found, rules = Timed(), examined.rules
    asked = rules.evaluation.latency
    if times is None:
        names = asked.metric_names if asked else []
        found.missing.update(dict.fromkeys(names, "the candidate was not measured (evaluation.latency)"))
        return found
    levels = dict.fromkeys([*times.how.quantiles, *(asked.quantiles if asked else ())])
    is_throughput = times.how.measured_by == "mlgate"
    theirs = times.baseline if examined.baseline is not None and times.how.baseline_commit in (base, examined.baseline.commit) else None
    words = []
    for level in [*levels, *([None] if is_throughput else [])]:
        name = latency_metric(level) if level is not None else THROUGHPUT
        say(name)
        found.rows.append(_row(examined, name, level, times, theirs))
        found.values[name] = found.rows[-1].candidate
        if level is not None:
            words.append(_words(name, level, times, theirs, examined.confidence))
    if asked and THROUGHPUT in asked.metric_names and not is_throughput:
        found.missing[THROUGHPUT] = "samples of your own say nothing of it (evaluation.latency.samples)"
    found.remarks.append(_how(times, theirs, examined) + "; ".join(words))
    if theirs is not None and len(rules.gate.baselines) > 1:
        found.remarks.append(f"Latency is compared with the base commit's model alone, not with {', '.join(rules.gate.baselines[1:])}")
    return found


def _row(examined: Examination, name: str, level: float | None, times: Times, theirs: Floats | None) -> Comparison:
    own = MetricValue(name=name, value=0.0, better=latency_direction(name), source="file")
    here = replace(examined, metrics={name: own}, pairing=None, candidate=None)
    statistic = _statistic(level, times.how.batch)
    candidate, mine = statistic(times.candidate.ravel()), times.candidate
    if theirs is None:
        return comparison.without_interval(here, name, candidate, None)
    baseline = statistic(theirs.ravel())
    interval = Interval(candidate - baseline, -np.inf, np.inf, quantiles.ROUNDS)
    if quantiles.is_enough(len(mine), min(mine.size, theirs.size), level):
        interval = quantiles.rounds_interval(mine, theirs, statistic, examined.confidence)
    rule = here.margin_rule(name)
    row = comparison.row_of(here, name, Compared(candidate, baseline, interval, mine.size), rule.margin if rule else None)
    return row.model_copy(update={"more_examples": None})  # it takes more requests, and these cost nothing but time


def _statistic(level: float | None, batch: int) -> quantiles.Statistic:
    """The quantile in milliseconds, or rows per second."""
    if level is None:
        return lambda samples: batch * samples.size * 1000 / max(float(samples.sum()), 1e-9)
    return lambda samples: quantiles.quantile(samples, level)


def _how(times: Times, theirs: Floats | None, examined: Examination) -> str:
    """Who measured what."""
    how = times.how
    rows = f" of {how.batch:,} rows" if how.batch > 1 else ""
    if how.measured_by == "user":
        text = f"Latency: {how.requests:,} requests that the project measured itself ({how.program})"
    elif theirs is not None:
        text = (
            f"Latency: {how.requests:,} requests{rows} to each model, taking turns in {how.rounds} rounds on one machine, measured by the "
            f"candidate's own job ({how.program})"
        )
    else:
        text = f"Latency: {how.requests:,} requests{rows}, measured by the candidate's own job ({how.program})"
    if theirs is None and examined.baseline is not None:
        text += f"; the baseline's was {_TAKEN_BY_ITSELF}" + (f" ({how.baseline_note})" if how.baseline_note else "")
    return f"{text}. In milliseconds: "


def _words(name: str, level: float, times: Times, theirs: Floats | None, confidence: float) -> str:
    """`latency_p95 4.1 (95 %: 3.9 to 4.4), 1.02 times the baseline's (0.97 to 1.08)`."""
    flat = times.candidate.ravel()
    own = quantiles.quantile_interval(flat, level, confidence)
    low, high = own.low, own.high
    if quantiles.is_enough(
        len(times.candidate), flat.size, level
    ):  # requests of a round are alike: the machine is as fast or slow for all of them
        by_round = quantiles.rounds_interval(times.candidate, None, _statistic(level, 1), confidence)
        low, high = min(low, max(by_round.low, 0.0)), max(high, by_round.high)
    text = f"{name} {own.estimate:.3g} ({confidence * 100:g} %: {_bounds(low, high)})"
    if theirs is None or not quantiles.is_enough(len(theirs), min(flat.size, theirs.size), level):
        return text
    ratio = quantiles.ratio_interval(times.candidate, theirs, _statistic(level, 1), confidence)
    return f"{text}, {ratio.estimate:.3g} times the baseline's ({_bounds(ratio.low, ratio.high)})" if np.isfinite(ratio.high) else text


def _bounds(low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"at most {high:.3g}" if np.isfinite(high) else "too few requests to say"
    return f"{low:.3g} to {high:.3g}" if np.isfinite(high) else f"at least {low:.3g}, too few requests for an upper bound"
