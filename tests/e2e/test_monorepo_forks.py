"""A stranger's pull request in a repository with two models, through both workflows of the pair for it on a real runner: trained without
secrets and without a token that may write, then judged on the default branch's code, in one commit status.

Who may pass and who may not is told below this level, in tests/integration/forks/test_a_fork_and_several_models.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e import act, caller
from github_stand_in import StandIn
from support import commit_files, git

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE.parents[1] / "templates/workflows"
FORK, FIRST_RUN, NUMBER = "stranger/models", 500, 5
READ_ONLY = "read-only-token-of-a-fork"


@dataclass
class World:
    machine: act.Machine
    clone: Path
    origin: Path
    github: StandIn
    pull: caller.PullRequest
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, github: StandIn) -> World:
        """Two models on the default branch; a stranger's branch with another one of the first."""
        clone, origin = caller.empty_repository(folder)
        caller.dvc(clone, "init", "--quiet")
        caller.dvc(clone, "remote", "add", "--default", "storage", str(folder / "dvc-remote"))
        for name in ("north", "south"):
            root = clone / "models" / name
            shutil.copytree(HERE / "caller", root)
            (root / "mlgate.yaml").write_text((root / "mlgate.yaml").read_text().replace("model: toy", f"model: {name}"))
            caller.Caller(root, origin).write_data()
        workflows = {"mlgate.yml": "monorepo-forks.yml", "mlgate-verdict.yml": "monorepo-verdict.yml"}
        files = {
            f".github/workflows/{name}": (TEMPLATES / template)
            .read_text()
            .replace("pip install -r requirements.txt", "python note.py setup")
            for name, template in workflows.items()
        }
        commit_files(clone, files, "two models")
        git(clone, "push", "--quiet", "origin", "main")
        git(clone, "checkout", "--quiet", "-b", "topic")
        commit_files(clone, {"models/north/params.yaml": "model:\n  errors: 30\n"}, "a model by a stranger")
        git(clone, "push", "--quiet", "origin", "topic")
        pull = caller.Caller(clone, origin).pull_request(NUMBER, "topic")
        git(clone, "checkout", "--quiet", "main")
        github.add_pull_request(NUMBER, head_sha=pull.head, base_sha=pull.base, head_repository=FORK)
        return cls(act.Machine.prepare(folder), clone, origin, github, pull)

    def run(self, name: str, workflow: str, event_name: str, event: dict[str, Any], sha: str, run_id: int, token: str) -> act.Run:
        notes = self.machine.folder / "notes" / name
        notes.mkdir(parents=True)
        finished = act.run(
            self.machine,
            workspace=self.clone,
            workflow=f".github/workflows/{workflow}",
            event_name=event_name,
            event=event,
            env={
                "E2E_ORIGIN": str(self.origin),
                "E2E_SHA": sha,
                "E2E_NOTES": str(notes),
                "GITHUB_REPOSITORY": caller.REPOSITORY,
                "GITHUB_RUN_ID": str(run_id),
                "GITHUB_REF": "refs/heads/main" if event_name == "workflow_run" else f"refs/pull/{NUMBER}/merge",
                "GITHUB_SHA": sha,
                "GITHUB_API_URL": self.github.url,
                "MLGATE_STORE_URL": str(self.origin),
            },
            secrets={"GITHUB_TOKEN": token},
            name=name,
        )
        self.notes[name] = [json.loads(path.read_text()) for path in notes.iterdir()]
        return finished

    def first(self) -> act.Run:
        """The first workflow; what it left is GitHub's then."""
        event = caller.pull_request_event(self.pull)
        event["pull_request"]["head"] |= {"repo": {"full_name": FORK}, "ref": "topic"}
        finished = self.run("trained", "mlgate.yml", "pull_request", event, self.pull.merge, FIRST_RUN, READ_ONLY)
        run = self.github.add_run(self.pull.head, run_id=FIRST_RUN, event="pull_request", head_repository=FORK)
        for archive in sorted((self.machine.folder / "runs/trained/artifacts").rglob("mlgate-*.zip")):
            self.github.add_run_artifact(self.pull.head, archive.stem, archive.read_bytes(), run=run)
        return finished

    def second(self, name: str, action: str, run_id: int) -> act.Run:
        """The second workflow, as GitHub starts it: on the default branch, for the first run."""
        run = {
            "id": FIRST_RUN,
            "run_attempt": 1,
            "name": "mlgate",
            "path": ".github/workflows/mlgate.yml",
            "event": "pull_request",
            "head_sha": self.pull.head,
            "head_branch": "topic",
            "head_repository": {"full_name": FORK, "name": "models", "owner": {"login": "stranger"}},
            "actor": {"login": "stranger"},
            "conclusion": "success" if action == "completed" else None,
            "pull_requests": [],
        }
        event = {"action": action, "workflow_run": run, "repository": caller.repository()}
        return self.run(name, "mlgate-verdict.yml", "workflow_run", event, git(self.clone, "rev-parse", "main"), run_id, self.github.token)

    def statuses(self) -> list[tuple[str, str]]:
        return [(status.context, status.state) for status in self.github.statuses(self.pull.head)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with StandIn(caller.REPOSITORY) as github:
        github.add_token(READ_ONLY, permissions={"contents": "read"})
        yield World.make(tmp_path_factory.mktemp("monorepo-forks"), github)
        assert github.violations == []


@pytest.fixture(scope="module")
def runs(world: World) -> dict[str, act.Run]:
    return {
        "announced": world.second("announced", "requested", 600),
        "trained": world.first(),
        "judged": world.second("judged", "completed", 601),
    }


def test_the_first_workflow_trains_the_changed_model_and_leaves_the_answer_to_the_second(world: World, runs: dict[str, act.Run]) -> None:
    assert runs["trained"].results() == {"changed": "success", "data": "success", "train": "success"}
    assert [exchange.path for exchange in world.github.requests if exchange.token == READ_ONLY and exchange.method != "GET"] == []


def test_the_second_gives_one_status_for_all_models_pending_from_the_start(world: World, runs: dict[str, act.Run]) -> None:
    assert runs["announced"].results() == {"announce": "success"}
    assert runs["judged"].results()["verdict"] == "success"
    assert [state for name, state in world.statuses() if name == "mlgate"] == ["pending", "pending", "success"]
    assert "1 changed model passed, 1 untouched" in runs["judged"].output


def test_the_changed_model_has_its_own_status_and_comment_and_the_other_has_none(world: World, runs: dict[str, act.Run]) -> None:
    assert [state for name, state in world.statuses() if name == "mlgate/north"] == ["pending", "success"]
    assert {name for name, _ in world.statuses()} == {"mlgate", "mlgate/north"}
    [comment] = world.github.comments(NUMBER, "github-actions[bot]")
    assert f"run={FIRST_RUN} attempt=1 commit={world.pull.head}" in comment.body


def test_no_code_of_the_stranger_ever_ran_beside_the_write_token(world: World, runs: dict[str, act.Run]) -> None:
    assert {note["job"] for note in world.notes["trained"]} == {"data", "train"}
    assert (world.notes["announced"], world.notes["judged"]) == ([], [])
    for note in world.notes["trained"]:
        assert world.github.token not in "\n".join(note["environ"].values())
