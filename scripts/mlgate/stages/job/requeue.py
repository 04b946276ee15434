"""requeue: runs of mlgate whose runner was lost get their failed jobs run again, from a scheduled workflow. What checkpoints a training
left, it goes on from. A run that nobody waits for any more, or that somebody ended, stays as it is; so does one that lost too many runners.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from mlgate import git
from mlgate.config.values import parse_duration
from mlgate.console import plain
from mlgate.context import RunContext
from mlgate.errors import InputError, MlgateError
from mlgate.forge import workflow_files
from mlgate.forge.lost_runs import ListedRun, LostRuns
from mlgate.forge.workflow_files import Workflow
from mlgate.render import escape
from mlgate.stages.job import step_files

Outcome = Literal["again", "would run again", "left", "not started"]
_DAY = timedelta(days=1)
_ATTEMPTS = 50
"""GitHub starts no run more often."""
_OF_PULL_REQUESTS = ("pull_request", "pull_request_target")


@dataclass(frozen=True)
class Limits:
    """What a scheduler may do."""

    since: timedelta = timedelta(hours=6)
    """How long ago a run may have lost its runner."""
    max_attempts: int = 3
    """Of one run, the first included."""
    max_a_day: int = 20
    """Runs that workflows start again within 24 hours, over all of mlgate's workflows."""
    is_dry: bool = False


@dataclass(frozen=True)
class Lost:
    """A run that lost a runner, and what became of it."""

    run: ListedRun
    job: str
    """The first of its jobs that did."""
    why: str
    outcome: Outcome
    reason: str = ""
    """Why nothing was done; for `again` which attempt it is now."""

    @property
    def line(self) -> str:
        mark = {"again": "✓", "would run again": "✓", "left": "–", "not started": "✗"}[self.outcome]
        name = f"run {self.run.id} ({self.run.name or self.run.path}, {self.run.head_sha[:12]}, attempt {self.run.run_attempt})"
        return f"{mark} {plain(f'{name}: job {self.job!r}: {self.why}; {self.became}')}"

    @property
    def became(self) -> str:
        match self.outcome:
            case "again":
                return f"its failed jobs run again, {self.reason}"
            case "would run again":
                return "its failed jobs would run again"
            case "not started":
                return f"not started again: {self.reason}"
            case _:
                return f"left as it is: {self.reason}"


@dataclass
class Requeued:
    """What a scheduler did so far."""

    lost: list[Lost] = field(default_factory=list)
    looked_at: int = 0
    """Runs that failed or were cancelled in the time asked for."""
    is_dry: bool = False
    """Whether it was only asked what would run again."""

    @property
    def started(self) -> list[Lost]:
        return [one for one in self.lost if one.outcome == "again"]

    @property
    def lines(self) -> list[str]:
        runs = f"{self.looked_at} failed run{'s' if self.looked_at != 1 else ''} of mlgate looked at"
        done = f"{sum(one.outcome == 'would run again' for one in self.lost)} would run" if self.is_dry else f"{len(self.started)} started"
        return [*(one.line for one in self.lost), f"{runs}: {len(self.lost)} had lost a runner, {done} again"]

    @property
    def markdown(self) -> str:
        """For the job summary."""
        head = ["### mlgate requeue", "", escape.text(self.lines[-1]), ""]
        if not self.lost:
            return "\n".join([*head, ""])
        rows = [
            f"|{escape.link(f'{one.run.name or one.run.path} {one.run.id}', one.run.html_url)}|{escape.code(one.job)}"
            f"|{escape.text(one.why)}|{escape.text(one.became)}|"
            for one in self.lost
        ]
        return "\n".join([*head, "|Run|Job|What happened|What was done|", "|:--|:--|:--|:--|", *rows, "", ""])


def limits(*, since: str, max_attempts: str, max_a_day: str, dry_run: str) -> Limits:
    """What options say. Raises InputError."""
    try:
        seconds = parse_duration(since)
    except ValueError:
        seconds = None
    if not isinstance(seconds, int) or not 0 < seconds <= 7 * 86400:
        raise InputError(f"--since: expected a duration of at most a week, such as 6h or 2d, got '{since[:40]}'")
    if dry_run not in ("", "true", "false"):  # taken for false, `yes` would start what was only asked about
        raise InputError(f"dry-run: expected true or false, got '{dry_run[:40]}'")
    return Limits(
        since=timedelta(seconds=seconds),
        max_attempts=_number("--max-attempts", max_attempts, 2, _ATTEMPTS),
        max_a_day=_number("--max-a-day", max_a_day, 1, 1000),
        is_dry=dry_run == "true",
    )


def _number(option: str, text: str, lowest: int, highest: int) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or not lowest <= int(text) <= highest:
        raise InputError(f"{option}: expected a whole number from {lowest} to {highest}, got '{text[:40]}'")
    return int(text)


def run(
    folder: Path,
    context: RunContext,
    environ: Mapping[str, str],
    asked: Limits,
    *,
    workflows: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> Requeued:
    """Look at the runs that failed lately, and start those again that lost their runner.

    Args:
        folder: in a checkout of the default branch, whose workflow files say which use mlgate, and in which jobs.
        context: of this run.
        environ: for the job summary.
        asked: what may be done.
        workflows: names of workflow files; all of their jobs count then. Left out: those that use mlgate.
        say: gets a line for each run that lost a runner, as soon as it is known.
        now: the time; left out, the clock's.

    Raises:
        InputError: there is no such workflow, or this is no run on GitHub.
        RefusedError: the token may not; the message names the permission.
        InfrastructureError: GitHub cannot be asked.
    """
    if not context.is_github:
        raise InputError(
            "requeue: this is no run on GitHub; start mlgate-requeue.yml from the Actions page, with dry-run to see what it would do"
        )
    github, now = LostRuns(context), now or datetime.now(UTC)
    chosen = dict.fromkeys(workflows) if workflows else _own_workflows(folder)
    listed = {name: list(github.runs_since(name, now - max(asked.since, _DAY))) for name in chosen}
    everywhere = [run for runs in listed.values() for run in runs]
    left_today = asked.max_a_day - sum(run.is_rerun_by_a_workflow and (run.run_started_at or now) > now - _DAY for run in everywhere)
    # Oldest first: it has waited the longest, should there be more than a day may start.
    failed = sorted((run for run in everywhere if run.is_failed and run.updated_at >= now - asked.since), key=lambda run: run.updated_at)
    outdated = _Outdated(github, listed)
    requeued = Requeued(is_dry=asked.is_dry)
    try:
        for failed_run in failed:
            name = next(name for name, runs in listed.items() if failed_run in runs)
            if lost := _looked_at(github, failed_run, chosen[name]):
                job, why = lost
                reason = _over(failed_run, asked, left_today) or outdated.reason(failed_run)
                one = Lost(failed_run, job, why, "left", reason) if reason else _start(github, failed_run, job, why, is_dry=asked.is_dry)
                left_today -= one.outcome in ("again", "would run again")
                say(one.line)
                requeued.lost.append(one)
            requeued.looked_at += 1
    except MlgateError:
        if requeued.looked_at:  # what was started before it came so far
            step_files.add_to_summary(requeued.markdown, environ)
        raise
    say(requeued.lines[-1])
    step_files.add_to_summary(requeued.markdown, environ)
    return requeued


def _own_workflows(folder: Path) -> dict[str, Workflow | None]:
    """Workflow files that use mlgate for more than this, by name."""
    top = git.toplevel(folder) or folder
    found, _ = workflow_files.read(top)
    own = {
        Path(workflow.path).name: workflow
        for workflow in found
        if any(use.action != "requeue" for job in workflow.jobs for use in job.uses)
    }
    if not own:
        raise InputError(
            f"requeue: no file in {workflow_files.FOLDER} uses mlgate; check out the default branch, or name the workflow by --workflow"
        )
    return dict(own)


def _looked_at(github: LostRuns, run: ListedRun, workflow: Workflow | None) -> tuple[str, str] | None:
    """The first job of a run that lost its runner, and how; None where none did, or where somebody ended the run."""
    lost: tuple[str, str] | None = None
    is_fork = github.is_fork(run)
    for job in github.jobs(run):
        if not job.is_failed or not _uses_mlgate(job.name, workflow):
            continue
        ended = github.ended(job, is_fork=is_fork)
        if ended.how == "on purpose":
            return None
        if ended.how == "lost":
            lost = lost or (job.name, ended.reason)
    return lost


def _uses_mlgate(name: str, workflow: Workflow | None) -> bool:
    """Whether a job of a run is one that the workflow file has mlgate in: `train`; `train (a)` of a matrix; `mlgate / train` of a called
    workflow."""
    if workflow is None:
        return True
    own = [job.name for job in workflow.jobs]
    return any("${{" in one or name == one or name.startswith((f"{one} (", f"{one} / ")) for one in own)


def _over(run: ListedRun, asked: Limits, left_today: int) -> str:
    if run.run_attempt >= asked.max_attempts:
        return f"it had {run.run_attempt} attempts, of at most {asked.max_attempts}; run it by hand when its machines stay"
    if left_today <= 0:
        return f"{asked.max_a_day} runs were started again within a day, which is the most; see why machines are lost"
    return ""


class _Outdated:
    """Whether anybody still waits for a run."""

    def __init__(self, github: LostRuns, listed: Mapping[str, Sequence[ListedRun]]) -> None:
        self._github, self._listed = github, listed
        self._default: str | None = None

    def reason(self, run: ListedRun) -> str:
        """Why nobody does; empty where somebody does."""
        if run.event in _OF_PULL_REQUESTS:
            return self._of_pull_request(run)
        if run.event == "merge_group":
            return "a merge queue takes a failed entry out at once; queue the pull request again"
        if run.event == "push" and run.head_branch == self._default_branch():
            return ""  # each run of it records a baseline
        if run.event in ("push", "schedule") and (newer := self._newer(run)):
            return f"run {newer.id} is newer"
        return ""

    def _of_pull_request(self, run: ListedRun) -> str:
        heads = self._github.heads(run)
        if not heads:
            return "its pull request is closed or merged"
        if run.head_sha not in heads.values():
            number, sha = next(iter(heads.items()))
            return f"pull request #{number} is at {sha[:12]} now"
        # The same commit judged again, by a later event such as a new base or a label: that run is the one that counts.
        newer = self._newer(run)
        return f"run {newer.id} of the same commit is newer" if newer and newer.head_sha == run.head_sha else ""

    def _newer(self, run: ListedRun) -> ListedRun | None:
        """A later run of the same workflow for the same branch and event."""
        of_workflow = next((runs for runs in self._listed.values() if run in runs), ())
        return next((one for one in of_workflow if one.id != run.id and _is_successor(one, run)), None)

    def _default_branch(self) -> str:
        self._default = self._default or self._github.default_branch()
        return self._default


def _is_successor(one: ListedRun, of: ListedRun) -> bool:
    if (one.event, one.head_branch) != (of.event, of.head_branch) or one.created_at < of.created_at:
        return False
    return _repository(one) == _repository(of) and (one.created_at, one.id) > (of.created_at, of.id)


def _repository(run: ListedRun) -> str | None:
    return run.head_repository.full_name if run.head_repository else None


def _start(github: LostRuns, run: ListedRun, job: str, why: str, *, is_dry: bool) -> Lost:
    if is_dry:
        return Lost(run, job, why, "would run again")
    again = github.rerun(run)
    if again.is_started:
        return Lost(run, job, why, "again", f"as attempt {run.run_attempt + 1}")
    return Lost(run, job, why, "left" if again.is_overtaken else "not started", again.reason)


def chosen_workflows(text: Iterable[str]) -> Iterator[str]:
    """Names of workflow files out of options that may each hold several, apart by blanks or commas. Raises InputError."""
    for part in text:
        for name in re.split(r"[\s,]+", part.strip()):
            if not name:
                continue
            if not re.fullmatch(r"[\w. -]+\.ya?ml", name.removeprefix(f"{workflow_files.FOLDER}/")):
                raise InputError(f"--workflow: expected the name of a workflow's file, such as mlgate.yml, got '{name[:60]}'")
            yield name.removeprefix(f"{workflow_files.FOLDER}/")
