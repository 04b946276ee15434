"""The live status of a training: what the comment says while there is no report yet. Data in, Markdown out.

Everything in it that the training said is escaped as in the report. What stood in the comment before is kept, folded, between two hidden
lines, and found again there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlgate.evidence import CheckpointRef, ProgressFindings
from mlgate.render import escape, figures, numbers, training

MAX_METRICS = 8
_BEGIN = re.compile(r"<!-- mlgate-earlier run=(\d{1,18}) commit=([0-9a-f]*) -->")
_END = "<!-- mlgate-earlier-end -->"
_MARK = "### ⏳ "
_TOO_LONG = "Left out here for its length."


@dataclass(frozen=True)
class LiveView:
    """What is known of a training while it runs."""

    title: str
    model: str
    elapsed_s: float
    as_of: datetime
    """UTC."""
    every_s: int
    progress: ProgressFindings | None = None
    left_s: float | None = None
    """Estimate; None where nobody can tell."""
    gpus: tuple[str, ...] = ()
    """Names of the leased devices."""
    waited_s: float = 0.0
    resumed_from: CheckpointRef | None = None
    is_over: bool = False
    """Whether the training came to its end, and only the report is missing."""
    commit: str | None = None
    run_url: str | None = None
    runs_url: str | None = None
    """Where runs have their pages, by number."""
    plots: Literal["mermaid", "text", "branch", "none"] = "mermaid"


@dataclass(frozen=True)
class Earlier:
    """What the comment said before this run."""

    body: str
    """Markdown that mlgate wrote."""
    run_id: int
    """0: not known."""
    commit: str


def comment(view: LiveView, earlier: Earlier | None, limit: int) -> str:
    """The comment, of at most `limit` characters; what stood there before is left out, with a link, where it has no room."""
    now = "\n\n".join(filter(None, [_heading(view), _facts(view), _curve(view), _footer(view)])) + "\n"
    if earlier is None:
        return now[:limit]
    kept = f"{now}\n{_folded(view, earlier, earlier.body)}"
    return kept if len(kept) <= limit else f"{now}\n{_folded(view, earlier, _TOO_LONG)}"[:limit]


def report_in(body: str, run_id: int, commit: str) -> Earlier | None:
    """The report in a comment: all of it, or what a live status keeps folded; None where a live status keeps none.

    Args:
        body: of the comment, without its marker.
        run_id: of the run that wrote it.
        commit: that it is about.
    """
    if not body.startswith(_MARK):
        return Earlier(body.strip("\n"), run_id, commit)
    begin = _BEGIN.search(body)
    if begin is None or _END not in body:
        return None
    return Earlier(body[begin.end() : body.rindex(_END)].strip("\n"), int(begin[1]), begin[2])


def share_done(progress: ProgressFindings | None) -> float | None:
    """How much of the training is done, 0 to 1; None where its end is not known."""
    if progress is None or progress.step is None or not progress.total or progress.total <= 0:
        return None
    return min(max(progress.step / progress.total, 0.0), 1.0)


def about(seconds: float) -> str:
    """A time that is an estimate: `about 40 s`, `about 12 min`, `about 2 h 20 min`."""
    if seconds < 60:
        return f"about{numbers.NBSP}{max(10, round(seconds / 10) * 10)}{numbers.NBSP}s"
    minutes = round(seconds / 60)
    minutes = minutes if minutes < 60 else round(minutes / 10) * 10
    return f"about{numbers.NBSP}{numbers.duration(minutes * 60)}"


def _heading(view: LiveView) -> str:
    if view.is_over:
        return f"{_MARK}{escape.text(view.title)}: trained, the report follows"
    share = share_done(view.progress)
    parts = [f"training, {math.floor(share * 100)}{numbers.NBSP}%" if share is not None else "training"]
    parts += [f"{about(view.left_s)} left"] if view.left_s is not None else []
    return f"{_MARK}{escape.text(view.title)}: {', '.join(parts)}"


def _facts(view: LiveView) -> str:
    """A list of what is known: progress, metrics, GPU, where it began."""
    lines = [_progress(view)]
    progress = view.progress
    if progress is not None and progress.metrics:
        shown = [f"{escape.code(name, 40)} {_value(value)}" for name, value in list(progress.metrics.items())[:MAX_METRICS]]
        more = len(progress.metrics) - len(shown)
        lines.append(f"last values: {', '.join(shown)}{f' and {more} more' if more else ''}")
    if view.gpus:
        waited = f", after {numbers.duration(view.waited_s)} in the queue" if view.waited_s >= 1 else ""
        lines.append(f"on {_devices(view.gpus)}{waited}")
    if view.resumed_from is not None:
        held = f", which holds {numbers.duration(view.resumed_from.trained_s)} of training" if view.resumed_from.trained_s >= 1 else ""
        lines.append(f"goes on from the checkpoint of {_moment(view.resumed_from.saved_at)}{held}")
    return "\n".join(f"- {line}" for line in lines)


def _progress(view: LiveView) -> str:
    took = f"{numbers.duration(view.elapsed_s)} of training"
    as_of = f"as of {view.as_of:%Y-%m-%d %H:%M:%S} UTC"
    progress = view.progress
    if progress is None or progress.step is None:
        return f"{took}, {as_of}" + ("" if view.is_over else "; it does not say how far it is")
    unit = escape.text(progress.unit, 30, is_line_start=False) if progress.unit else "step"
    total = f" of {_value(progress.total)}" if progress.total else ""
    return f"{unit} {_value(progress.step)}{total} after {took}, {as_of}"


def _devices(names: Sequence[str]) -> str:
    counted = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(f"{f'{count} × ' if count > 1 else ''}{escape.text(name, 60, is_line_start=False)}" for name, count in counted.items())


def _moment(saved_at: str) -> str:
    try:
        return f"{datetime.fromisoformat(saved_at):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return escape.text(saved_at, 40, is_line_start=False)


def _footer(view: LiveView) -> str:
    parts = [f"commit {escape.code(view.commit[:12])}"] if view.commit else []
    parts += [escape.link("log of the run", view.run_url)] if view.run_url else []
    parts.append("a status, no verdict: the report takes its place")
    if not view.is_over:
        parts.append(f"every {numbers.duration(view.every_s)}")
    return f"<sub>{' · '.join(parts)}</sub>"


def _folded(view: LiveView, earlier: Earlier, body: str) -> str:
    of_commit = f" of commit {earlier.commit[:12]}" if earlier.commit else ""
    link = f"{escape.link('Its run', f'{view.runs_url}/{earlier.run_id}')}\n\n" if view.runs_url and earlier.run_id else ""
    title = escape.summary(f"The report before this training{of_commit}")
    begin = f"<!-- mlgate-earlier run={earlier.run_id} commit={earlier.commit} -->"
    return f"<details>\n<summary>{title}</summary>\n\n{link}{begin}\n{body}\n{_END}\n\n</details>\n"


def _curve(view: LiveView) -> str:
    """As the report will have it, but for pictures: these are the report's."""
    shown = training.learning_curves(view.progress) if view.progress is not None else None
    return figures.figure(shown, view.plots) if shown is not None else ""


def _value(value: float) -> str:
    if value == int(value) and abs(value) < 1e9 if math.isfinite(value) else False:
        return f"{int(value):,}".replace("-", numbers.MINUS)
    return f"{value:.4g}".replace("-", numbers.MINUS)
