"""Whether a job ended because its runner went away, told from what GitHub records of it: its steps and its annotations. Pure.

GitHub has no field that says so. What it does:

- The machine is gone without a word (a spot instance, a pulled plug): after some minutes the job is `failure`, the annotation says that
  the runner "lost communication with the server", and the step that ran then never gets a conclusion.
- The runner is told to end (a node that is drained, `systemctl stop`): the annotation says that it "received a shutdown signal". Runners
  before 2.290 left such a job `cancelled`, later ones `failure` (actions/runner#1792).
- A person cancels, or a newer run of the same concurrency group does: `cancelled`, with an annotation that says who or why. "The operation
  was canceled." stands beside all of these, and tells nothing.

Annotations can be written by whatever runs in the job (`::error::`), so those of a fork's run are no evidence; steps are GitHub's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

FAILED = ("failure", "cancelled")
_TAKEN_AWAY = re.compile(r"this machine is taken away \(spot notice\)")
"""How mlgate's own annotation of a training that a spot notice ended says it; exit 3 follows."""

_LOST = (
    (r"The (?:self-)?hosted runner\b.*\blost communication with the server", "its runner lost communication with the server"),
    (r"The runner has received a shutdown signal", "its runner was shut down"),
    (r"Received request to deprovision", "its machine was taken away"),
    (r"The hosted runner encountered an error while running your job", "its runner broke"),
    (r"GitHub Actions has encountered an internal error when running your job", "GitHub Actions had an internal error"),
    (r"The job was not acquired by Runner of type", "no runner took it"),
)
_ENDED_ON_PURPOSE = (
    (r"The run was canceled by @(?P<who>\S+?)\.?$", "cancelled by {who}"),
    (r"Canceling since a higher priority waiting request", "cancelled by a newer run of its concurrency group"),
)
_OUT_OF_TIME = re.compile(r"The job (?:running on runner .* )?has exceeded the maximum execution time", re.IGNORECASE)
_MLGATE_TITLE = re.compile(r"mlgate\b")


class Step(BaseModel):
    """A step of a job. One that never ended has no conclusion."""

    name: str
    status: str = ""
    conclusion: str | None = None


class Job(BaseModel):
    """A job of one attempt of a run."""

    id: int
    name: str
    status: str
    conclusion: str | None = None
    check_run_url: str = ""
    steps: list[Step] = []

    @property
    def is_failed(self) -> bool:
        return self.status == "completed" and self.conclusion in FAILED


class Annotation(BaseModel):
    """What a check run says beside its conclusion."""

    title: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Ended:
    """Why a job ended, as far as it matters here."""

    how: Literal["lost", "on purpose", "otherwise"]
    reason: str = ""
    """In words, without the job's name; empty for `otherwise`."""


OTHERWISE = Ended("otherwise")


def ended(job: Job, annotations: Sequence[Annotation], *, is_fork: bool = False) -> Ended:
    """Why a job that did not succeed ended.

    Args:
        job: one whose conclusion is `failure` or `cancelled`.
        annotations: of its check run.
        is_fork: whether its code is a stranger's, who could have written the annotations.
    """
    messages = [(note.message or "").strip() for note in annotations]
    for message in messages:
        for pattern, words in _ENDED_ON_PURPOSE:
            if job.conclusion == "cancelled" and (match := re.match(pattern, message, re.IGNORECASE)):
                return Ended("on purpose", words.format(**{name: value[:50] for name, value in match.groupdict().items()}))
    if any(_OUT_OF_TIME.match(message) for message in messages):
        return OTHERWISE
    if _has_vanished(job):
        said = next((words for pattern, words in _LOST if any(re.match(pattern, message, re.IGNORECASE) for message in messages)), None)
        return Ended("lost", said or "its runner vanished, and the step that ran never ended")
    if is_fork:
        return OTHERWISE
    for pattern, words in _LOST:
        if any(re.match(pattern, message, re.IGNORECASE) for message in messages):
            return Ended("lost", words)
    if any(_MLGATE_TITLE.match(note.title or "") and _TAKEN_AWAY.search(note.message or "") for note in annotations):
        return Ended("lost", "its training was ended by a spot notice")
    return OTHERWISE


def _has_vanished(job: Job) -> bool:
    """Whether GitHub closed the job while a step of it was still running. A job that somebody cancels by force looks the same, but for
    its conclusion; one whose step failed ended by itself, whatever its last steps look like."""
    conclusions = [step.conclusion for step in job.steps]
    return job.conclusion == "failure" and None in conclusions and "failure" not in conclusions
