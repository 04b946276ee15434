"""A pull request that weakens a rule, somebody who overrides it in a comment, and the verdict that is run again: on a real runner.

The workflow that judges is the short one; the one that answers comments is the template as users copy it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from support import commit_files, git

HERE = Path(__file__).resolve().parent
NUMBER = 7
REASON = "agreed with the ward; `touch injected` $(touch injected) ${{ github.token }}"
WORKFLOW = """\
on: pull_request
jobs:
  verdict:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {fetch-depth: 0, persist-credentials: false}
      - run: python predict.py 40
      - uses: mlgate/mlgate@v0.1.0
"""


@dataclass
class World:
    """A repository, pull request 7, and GitHub."""

    machine: act.Machine
    clone: Path
    origin: Path
    github: StandIn

    def run(self, name: str, workflow: str, event_name: str, event: dict[str, Any], sha: str, run_id: int, attempt: int = 1) -> act.Run:
        git(self.clone, "checkout", "--quiet", "--detach", sha)  # act takes workflow files from here
        return act.run(
            self.machine,
            workspace=self.clone,
            workflow=f".github/workflows/{workflow}",
            event_name=event_name,
            event=event,
            env=caller.environment(
                self.origin,
                self.github,
                sha=sha,
                ref=f"refs/pull/{NUMBER}/merge" if event_name == "pull_request" else "refs/heads/main",
                run_id=run_id,
                GITHUB_RUN_ATTEMPT=str(attempt),
            ),
            secrets={"GITHUB_TOKEN": self.github.token},
            name=name,
        )

    def judge(self, name: str, head: str, attempt: int) -> act.Run:
        base = git(self.clone, "rev-parse", "main")
        merge = git(self.clone, "commit-tree", f"{head}^{{tree}}", "-p", base, "-p", head, "-m", f"Merge {head} into {base}")
        git(self.clone, "push", "--quiet", "--force", "origin", f"{merge}:refs/pull/{NUMBER}/merge")
        event = caller.pull_request_event(caller.PullRequest(NUMBER, head, base, merge))
        return self.run(name, "mlgate.yml", "pull_request", event, merge, run_id=50, attempt=attempt)

    def say(self, name: str, body: str, login: str) -> act.Run:
        [comment] = self.github.add_comments(NUMBER, body=body, login=login)
        event = {
            "action": "created",
            "repository": caller.repository(),
            "issue": {"number": NUMBER, "state": "open", "pull_request": {"url": "https://api.github.com/x"}},
            "comment": {"id": comment.id, "body": body, "user": {"login": login, "type": "User"}},
        }
        main = git(self.clone, "rev-parse", "main")
        return self.run(name, "mlgate-commands.yml", "issue_comment", event, main, run_id=60)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clone, origin = caller.empty_repository(tmp_path)
    model = {name: (HERE.parent / "selftest" / name).read_text() for name in ("mlgate.yaml", "predict.py")}
    commit_files(clone, {".github/workflows/mlgate.yml": WORKFLOW, **model}, "first")
    shutil.copy(HERE.parents[1] / "templates/workflows/mlgate-commands.yml", clone / ".github/workflows")
    commit_files(clone, {}, "commands")
    git(clone, "push", "--quiet", "origin", "main")
    with StandIn(caller.REPOSITORY) as github:
        yield World(act.Machine.prepare(tmp_path), clone, origin, github)
        assert github.violations == []


def test_a_weakened_rule_closes_the_gate_until_somebody_who_may_overrides_it(world: World) -> None:
    git(world.clone, "checkout", "--quiet", "-b", "feature")
    config = (world.clone / "mlgate.yaml").read_text()
    assert "min: 0.75" in config
    head = commit_files(world.clone, {"mlgate.yaml": config.replace("min: 0.75", "min: 0.1")}, "a weaker rule")
    git(world.clone, "push", "--quiet", "origin", "feature")
    world.github.add_pull_request(NUMBER, head_sha=head, base_sha=git(world.clone, "rev-parse", "main"))
    run = world.github.add_run(head, run_id=50, event="pull_request")

    assert world.judge("closed", head, attempt=1).results() == {"verdict": "failure"}
    run.conclusion = "failure"
    [report] = world.github.comments(NUMBER)
    assert report.body.splitlines()[1] == "### ❌ selftest: must not be merged — it weakens 1 rule"

    world.github.state.collaborators["ada"] = "maintain"
    assert world.say("command", f"/mlgate override {REASON}", "ada").results() == {"answer": "success"}
    assert run.reruns == ["failed"]
    stored = json.loads(git(world.origin, "show", f"refs/mlgate/selftest:overrides/{head}.json"))
    assert (stored["by"], stored["permission"], stored["reason"]) == ("ada", "maintain", REASON)
    assert list(world.origin.parent.rglob("injected")) == []

    assert world.judge("overridden", head, attempt=2).results() == {"verdict": "success"}
    first = report.body.splitlines()[1]
    assert first.startswith("### ⚠️ selftest: may be merged — overridden by `ada` (maintain) on 20")
    assert "agreed with the ward" in first
    assert [status.state for status in world.github.statuses(head)] == ["failure", "success"]
