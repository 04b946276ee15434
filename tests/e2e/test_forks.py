"""A stranger's pull request through both workflows on a real runner: trained without secrets and without a token that may write, then
judged on the default branch's code.

What evidence can hold beyond an honest one's is told below this level, in tests/integration/forks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e import act, caller
from github_stand_in import StandIn

FORK = "stranger/models"
FIRST_RUN = 500
NUMBER = 5
READ_ONLY = "read-only-token-of-a-fork"


@dataclass
class World:
    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    folder: Path
    pull: caller.PullRequest
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, name: str, workflow: str, event_name: str, event: dict[str, Any], sha: str, run_id: int, token: str) -> act.Run:
        notes = self.folder / "notes" / name
        notes.mkdir(parents=True)
        finished = act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=f".github/workflows/{workflow}",
            event_name=event_name,
            event=event,
            env=caller.environment(
                self.caller.origin,
                self.github,
                sha=sha,
                ref="refs/heads/main" if event_name == "workflow_run" else f"refs/pull/{NUMBER}/merge",
                run_id=run_id,
                E2E_NOTES=str(notes),
            ),
            secrets={"GITHUB_TOKEN": token},
            name=name,
        )
        self.notes[name] = [json.loads(path.read_text()) for path in notes.iterdir()]
        return finished

    def second(self, name: str, action: str, run_id: int) -> act.Run:
        """The second workflow, as GitHub starts it: on the default branch, for the first run."""
        side = {"full_name": FORK, "name": "models", "owner": {"login": "stranger"}}
        run = {
            "id": FIRST_RUN,
            "run_attempt": 1,
            "name": "mlgate",
            "path": ".github/workflows/pull-request-forks.yml",
            "event": "pull_request",
            "head_sha": self.pull.head,
            "head_branch": "topic",
            "head_repository": side,
            "actor": {"login": "stranger"},
            "conclusion": "success" if action == "completed" else None,
            "pull_requests": [],
        }
        event = {"action": action, "workflow_run": run, "repository": caller.repository()}
        main = caller.git(self.caller.clone, "rev-parse", "main")
        return self.run(name, "mlgate-verdict.yml", "workflow_run", event, main, run_id, self.github.token)

    def states(self) -> list[tuple[str, str]]:
        return [(status.context, status.state) for status in self.github.statuses(self.pull.head)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("forks")
    with StandIn(caller.REPOSITORY) as github:
        github.add_token(READ_ONLY, permissions={"contents": "read"})
        made = caller.Caller.make(folder, {"pip install -r requirements.txt": "python note.py setup"})
        # Modules that mlgate's own job imports: the stranger's must not stand in for them.
        shadows = {f"{name}.py": "import note\nnote.leave('shadow')\n" for name in ("matplotlib", "github", "jinja2")}
        made.push("topic", {**caller.errors(20), **shadows}, "a model by a stranger")
        pull = made.pull_request(NUMBER, "topic")
        caller.git(made.clone, "checkout", "--quiet", "main")
        github.add_pull_request(NUMBER, head_sha=pull.head, base_sha=pull.base, head_repository=FORK)
        yield World(act.Machine.prepare(folder), made, github, folder, pull)
        assert github.violations == []


@pytest.fixture(scope="module")
def announced(world: World) -> act.Run:
    return world.second("announced", "requested", 600)


@pytest.fixture(scope="module")
def trained(world: World, announced: act.Run) -> act.Run:
    """The first workflow; what it left is GitHub's then."""
    event = caller.pull_request_event(world.pull)
    event["pull_request"]["head"] |= {"repo": {"full_name": FORK}, "ref": "topic"}
    finished = world.run("trained", "pull-request-forks.yml", "pull_request", event, world.pull.merge, FIRST_RUN, READ_ONLY)
    run = world.github.add_run(world.pull.head, run_id=FIRST_RUN, event="pull_request", head_repository=FORK)
    for archive in sorted((world.machine.folder / "runs/trained/artifacts").rglob("mlgate-toy-*.zip")):
        world.github.add_run_artifact(world.pull.head, archive.stem, archive.read_bytes(), run=run)
    return finished


@pytest.fixture(scope="module")
def judged(world: World, trained: act.Run) -> act.Run:
    return world.second("judged", "completed", 601)


def test_the_status_is_pending_before_anything_is_trained(world: World, announced: act.Run) -> None:
    assert announced.results() == {"announce": "success"}
    assert world.states()[0] == ("mlgate/toy", "pending")
    assert world.notes["announced"] == []


def test_the_first_workflow_trains_and_leaves_the_verdict_to_the_second(world: World, trained: act.Run) -> None:
    assert trained.results() == {"data": "success", "train": "success"}
    asked = [exchange for exchange in world.github.requests if exchange.token == READ_ONLY]
    assert [exchange.path for exchange in asked if exchange.method != "GET"] == []


def test_the_second_workflow_posts_one_comment_and_the_final_status(world: World, judged: act.Run) -> None:
    assert judged.results() == {"verdict": "success"}
    [comment] = world.github.comments(NUMBER, "github-actions[bot]")
    assert f"run={FIRST_RUN} attempt=1 commit={world.pull.head}" in comment.body
    assert "first model" in comment.body
    assert world.states()[-1] == ("mlgate/toy", "success")
    gate = act.evidence(world.machine, "judged", "gate")
    assert gate["subject"]["commit"] == world.pull.merge
    assert gate["subject"]["run"]["run_id"] == FIRST_RUN
    assert gate["findings"]["rules_from"] == "baseline"


def test_no_code_of_the_stranger_ever_ran_beside_the_write_token(world: World, judged: act.Run) -> None:
    assert {note["who"] for note in world.notes["trained"]} >= {"setup", "check", "train", "metric"}
    assert {note["job"] for note in world.notes["trained"]} == {"data", "train"}
    assert (world.notes["announced"], world.notes["judged"]) == ([], [])
    for note in world.notes["trained"]:
        assert world.github.token not in "\n".join(note["environ"].values())
