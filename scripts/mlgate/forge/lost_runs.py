"""GitHub as `mlgate requeue` needs it: runs of some workflows, why their jobs ended, whether anybody still waits for them, once more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from mlgate.forge import lost_runners
from mlgate.forge.api import Need
from mlgate.forge.client import READ_PULL_REQUESTS, Forge
from mlgate.forge.conversation import READ_RUNS, Rerun
from mlgate.forge.lost_runners import Annotation, Ended, Job

READ_CHECKS = Need("checks: read", "read why a job ended")
READ_REPOSITORY = Need("metadata: read", "read the repository")
RUN_AGAIN = Need("actions: write", "run failed jobs again")

LONGEST_RUN = timedelta(days=6)
"""A job of one's own runner may take five days, and wait one before; a run is listed by when it began."""
_MAX_RUNS = 2_000


class _Account(BaseModel):
    login: str = ""
    type: str = "User"


class _Named(BaseModel):
    full_name: str


class _Repository(BaseModel):
    default_branch: str


class _Commit(BaseModel):
    sha: str
    ref: str = ""
    repo: _Named | None = None


class _PullRequest(BaseModel):
    number: int
    head: _Commit


class ListedRun(BaseModel):
    """A workflow run as it stands at its newest attempt."""

    id: int
    name: str | None = None
    path: str = ""
    html_url: str
    event: str
    head_sha: str
    head_branch: str | None = None
    head_repository: _Named | None = None
    status: str | None = None
    conclusion: str | None = None
    run_attempt: int = 1
    created_at: datetime
    updated_at: datetime
    run_started_at: datetime | None = None
    """Of the newest attempt."""
    triggering_actor: _Account | None = None
    """Who started the newest attempt."""

    @property
    def is_finished(self) -> bool:
        return self.status == "completed"

    @property
    def is_failed(self) -> bool:
        return self.is_finished and self.conclusion in lost_runners.FAILED

    @property
    def is_rerun_by_a_workflow(self) -> bool:
        """Whether some workflow, such as this one, started the newest attempt."""
        return self.run_attempt > 1 and self.triggering_actor is not None and self.triggering_actor.type == "Bot"


class LostRuns(Forge):
    """`Forge`, for whoever runs again what lost its runner."""

    def default_branch(self) -> str:
        answer = self._api.request("GET", self._repository, READ_REPOSITORY)
        return self._parse(_Repository, answer.data, "GET", self._repository).default_branch

    def runs_since(self, workflow: str, since: datetime) -> Iterator[ListedRun]:
        """Runs of a workflow that may have ended since then, newest first.

        Args:
            workflow: name of its file.
            since: when the earliest of them ended.
        """
        path = f"{self._repository}/actions/workflows/{quote(workflow, safe='')}/runs"
        for number, item in enumerate(self._api.pages(path, READ_RUNS, key="workflow_runs")):
            run = self._parse(ListedRun, item, "GET", path)
            if run.created_at < since - LONGEST_RUN or number >= _MAX_RUNS:
                return
            yield run

    def run_now(self, run_id: int) -> ListedRun | None:
        """A run as it stands; None where it was deleted."""
        path = f"{self._repository}/actions/runs/{run_id}"
        answer = self._api.request("GET", path, READ_RUNS, handled=(404,))
        return None if answer.status == 404 else self._parse(ListedRun, answer.data, "GET", path)

    def jobs(self, run: ListedRun) -> list[Job]:
        """Jobs of a run's newest attempt."""
        path = f"{self._repository}/actions/runs/{run.id}/attempts/{run.run_attempt}/jobs"
        return [self._parse(Job, item, "GET", path) for item in self._api.pages(path, READ_RUNS, key="jobs")]

    def ended(self, job: Job, *, is_fork: bool) -> Ended:
        """Why a job that did not succeed ended."""
        found = re.search(r"/check-runs/(\d+)$", job.check_run_url)
        path = f"{self._repository}/check-runs/{found[1] if found else job.id}/annotations"
        annotations = [self._parse(Annotation, item, "GET", path) for item in self._api.pages(path, READ_CHECKS)]
        return lost_runners.ended(job, annotations, is_fork=is_fork)

    def is_fork(self, run: ListedRun) -> bool:
        """Whether a run's code is of another repository, or of one that is gone."""
        ours = self._repository.removeprefix("/repos/")
        return run.head_repository is None or run.head_repository.full_name.lower() != ours.lower()

    def heads(self, run: ListedRun) -> dict[int, str]:
        """Open pull requests from the branch that a run was of: the newest commit by number. GitHub names none of them itself where the
        branch is a fork's."""
        if run.head_repository is None or not run.head_branch:
            return {}
        owner = run.head_repository.full_name.split("/")[0]
        path, query = f"{self._repository}/pulls", {"state": "open", "head": f"{owner}:{run.head_branch}"}
        pulls = [self._parse(_PullRequest, item, "GET", path) for item in self._api.pages(path, READ_PULL_REQUESTS, query=query)]
        named = run.head_repository.full_name.lower()
        ours = [pull for pull in pulls if pull.head.repo is not None and pull.head.repo.full_name.lower() == named]
        return {pull.number: pull.head.sha for pull in ours if pull.head.ref == run.head_branch}

    def rerun(self, run: ListedRun) -> Rerun:
        """Run the failed jobs of a run again, once however many ask for it.

        Raises:
            RefusedError: the token may not.
        """
        now = self.run_now(run.id)
        if now is None:
            return Rerun(is_started=False, reason="it was deleted meanwhile", is_overtaken=True)
        if now.run_attempt != run.run_attempt or not now.is_finished:
            return Rerun(is_started=False, reason=f"attempt {now.run_attempt} was started meanwhile", is_overtaken=True)
        path = f"{self._repository}/actions/runs/{run.id}/rerun-failed-jobs"

        def already_started() -> Any:
            later = self.run_now(run.id)
            return {} if later is not None and later.run_attempt > run.run_attempt else None

        answer = self._api.request("POST", path, RUN_AGAIN, handled=(403, 422), already_done=already_started)
        if answer.status < 400:
            return Rerun(is_started=True)
        said = str(answer.data.get("message", "")) if isinstance(answer.data, dict) else ""
        if answer.status == 403 and ("not accessible" in said or not said):
            raise self._api.refused("POST", path, RUN_AGAIN, answer)
        if "already running" in said:  # another scheduler, between our look and our request
            return Rerun(is_started=False, reason="it was started meanwhile", is_overtaken=True)
        return Rerun(is_started=False, reason=f"GitHub refuses: {said[:200] or answer.status}")
