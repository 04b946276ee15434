"""A caller's repository through its first weeks: the workflows of templates/ on a real runner, against GitHub stood in for.

Every run is one fixture, made once, of which several tests say what a user can rely on. A run needs the ones before it: that is the
order in which the fixtures ask for one another.
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

DATA_SECRET = "s3cret-of-the-dvc-remote"
CODE_OF_THE_CALLER = {"setup", "check", "train", "metric"}


@dataclass
class World:
    """The machine, the caller's repository and GitHub, over all runs."""

    machine: act.Machine
    caller: caller.Caller
    github: StandIn
    folder: Path
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By run, what the caller's code wrote down of itself."""
    stored: dict[str, list[str]] = field(default_factory=dict)
    """By run, the store's records after it."""

    def run(self, name: str, event_name: str, event: dict[str, Any], sha: str, *, workflow: str = "pull-request.yml", ref: str) -> act.Run:
        notes, tracking = self.folder / "notes" / name, self.folder / "mlflow" / f"{name}.db"
        notes.mkdir(parents=True)
        tracking.parent.mkdir(exist_ok=True)
        if (first := tracking.with_name("first.db")).exists():
            shutil.copy(first, tracking)  # MLflow takes seconds to make one
        finished = act.run(
            self.machine,
            workspace=self.caller.clone,
            workflow=f".github/workflows/{workflow}",
            event_name=event_name,
            event=event,
            env=caller.environment(self.caller.origin, self.github, sha=sha, ref=ref, run_id=1000 + len(self.notes), E2E_NOTES=str(notes)),
            secrets={
                "GITHUB_TOKEN": self.github.token,
                "MLGATE_ENV": f"DATA_SECRET={DATA_SECRET}\nMLFLOW_TRACKING_URI=sqlite:///{tracking}",
            },
            name=name,
        )
        self.notes[name] = [json.loads(path.read_text()) for path in notes.iterdir()]
        self.stored[name] = self.caller.store_names()
        return finished

    def pull_request(self, name: str, pull: caller.PullRequest, workflow: str = "pull-request.yml") -> act.Run:
        self.github.add_pull_request(pull.number, head_sha=pull.head, base_sha=pull.base)
        event = caller.pull_request_event(pull)
        return self.run(name, "pull_request", event, pull.merge, workflow=workflow, ref=f"refs/pull/{pull.number}/merge")

    def comments(self, number: int) -> list[Any]:
        return list(self.github.comments(number, "github-actions[bot]"))

    def who_ran(self, name: str) -> set[str]:
        return {note["who"] for note in self.notes[name]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("e2e")
    with StandIn(caller.REPOSITORY) as github:
        made = caller.Caller.make(folder, {"pip install -r requirements.txt": "python note.py setup"})
        yield World(act.Machine.prepare(folder), made, github, folder)
        assert github.violations == []


@pytest.fixture(scope="module")
def first(world: World) -> act.Run:
    """A pull request before anything was ever recorded."""
    world.caller.push("one", caller.errors(30), "a first model")
    return world.pull_request("first", world.caller.pull_request(1, "one"))


@pytest.fixture(scope="module")
def broken(world: World, first: act.Run) -> act.Run:
    """A pull request whose data breaks the contract."""
    world.caller.push("broken", caller.errors(0), "other data", x=7.5)
    return world.pull_request("broken", world.caller.pull_request(3, "broken"))


@pytest.fixture(scope="module")
def merged(world: World, first: act.Run) -> act.Run:
    """The push to main after the first pull request was merged."""
    before, after = world.caller.merge("one")
    return world.run("merged", "push", caller.push_event(before, after), after, ref="refs/heads/main")


@pytest.fixture(scope="module")
def better(world: World, merged: act.Run) -> act.Run:
    """A better model, in a pull request with 150 comments of others."""
    world.caller.push("two", caller.errors(10), "better")
    pull = world.caller.pull_request(2, "two")
    world.github.add_pull_request(2, head_sha=pull.head, base_sha=pull.base)
    world.github.add_comments(2, 150, body="me too", login="ada")
    return world.pull_request("better", pull)


@pytest.fixture(scope="module")
def queued(world: World, better: act.Run) -> act.Run:
    """The better model in the merge queue, in a repository that uses our actions on its own machines."""
    base = caller.git(world.caller.clone, "rev-parse", "main")
    head = world.caller.queue("two")
    event = caller.merge_group_event(base, head)
    ref = "refs/heads/gh-readonly-queue/main/pr-2"
    return world.run("queued", "merge_group", event, head, workflow="pull-request-self-hosted-gpu.yml", ref=ref)


@pytest.fixture(scope="module")
def worse(world: World, queued: act.Run) -> act.Run:
    """A second push to that pull request, with a worse model."""
    world.caller.push("two", caller.errors(80), "worse")
    return world.pull_request("worse", world.caller.pull_request(2, "two"))


@pytest.fixture(scope="module")
def dispatched(world: World, worse: act.Run) -> act.Run:
    """The form, asked to train that pull request with other parameters."""
    head = caller.git(world.caller.clone, "rev-parse", "two")
    event = caller.dispatch_event(**{"pull-request": "2", "params": "model.errors=12", "runner": "ubuntu-latest"})
    return world.run("dispatched", "workflow_dispatch", event, head, workflow="train.yml", ref="refs/heads/main")


class TestFirstModel:
    def test_passes_on_its_thresholds_alone(self, world: World, first: act.Run) -> None:
        assert first.results() == {"data": "success", "train": "success", "verdict": "success"}
        [comment] = world.comments(1)
        assert "first model" in comment.body

    def test_sets_the_commit_status_of_the_head(self, world: World, first: act.Run) -> None:
        head = caller.git(world.caller.clone, "rev-parse", "one")
        assert [(status.context, status.state) for status in world.github.statuses(head)][-1] == ("mlgate/toy", "success")

    def test_records_no_baseline(self, world: World, first: act.Run) -> None:
        assert [name for name in world.stored["first"] if name.startswith(("evaluations/", "inputs/"))] == []

    def test_code_of_the_caller_never_runs_beside_the_write_token(self, world: World, first: act.Run) -> None:
        assert world.who_ran("first") == CODE_OF_THE_CALLER
        assert {note["job"] for note in world.notes["first"]} == {"data", "train"}
        for note in world.notes["first"]:
            assert world.github.token not in "\n".join(note["environ"].values())

    def test_the_secret_env_reaches_data_and_training_only(self, world: World, first: act.Run) -> None:
        assert {note["environ"].get("DATA_SECRET") for note in world.notes["first"]} == {DATA_SECRET}
        # act forgets masks inside later composite actions; GitHub keeps them for the whole job.
        assert "setup: the secret is ***" in first.jobs["data"].log
        assert DATA_SECRET not in "".join(comment.body for comment in world.comments(1))

    def test_the_secret_env_is_in_no_artifact(self, world: World, first: act.Run) -> None:
        content = b"".join(act.artifacts(world.machine, "first").values())
        assert b"check: the secret is ***" in content
        assert DATA_SECRET.encode() not in content


class TestBrokenData:
    def test_ends_the_run_before_anything_is_trained(self, world: World, broken: act.Run) -> None:
        assert broken.results() == {"data": "failure", "verdict": "failure"}
        assert act.evidence(world.machine, "broken", "validate-data")["status"] == "failed"
        assert world.who_ran("broken") == {"setup", "check"}

    def test_fails_the_required_check_and_says_why(self, world: World, broken: act.Run) -> None:
        [comment] = world.comments(3)
        assert "data/train.csv" in comment.body
        head = caller.git(world.caller.clone, "rev-parse", "broken")
        assert world.github.statuses(head)[-1].state == "failure"


class TestMerge:
    def test_records_the_baseline_in_the_repositorys_ref(self, world: World, merged: act.Run) -> None:
        assert merged.results() == {"data": "success", "train": "success", "verdict": "success"}
        main = caller.git(world.caller.clone, "rev-parse", "main")
        assert f"evaluations/{main}.json" in world.stored["merged"]

    def test_posts_no_comment(self, world: World, merged: act.Run) -> None:
        assert len(world.comments(1)) == 1


class TestBetterModel:
    def test_is_compared_with_the_recorded_baseline_and_passes(self, world: World, better: act.Run) -> None:
        assert better.results()["verdict"] == "success"
        assert len(world.comments(2)) == 1
        findings = act.evidence(world.machine, "better", "gate")["findings"]
        assert (findings["verdict"], findings["baseline"]["source"]) == ("better", "store")


class TestWorseModel:
    def test_fails_the_required_check(self, world: World, worse: act.Run) -> None:
        assert worse.results() == {"data": "success", "train": "success", "verdict": "failure"}
        assert act.evidence(world.machine, "worse", "gate")["findings"]["verdict"] == "worse"
        assert act.evidence(world.machine, "worse", "report")["status"] == "passed"

    def test_edits_the_comment_that_is_there(self, world: World, better: act.Run, worse: act.Run) -> None:
        [comment] = world.comments(2)
        sent = [(exchange.method, exchange.path) for exchange in world.github.requests if exchange.method in {"POST", "PATCH"}]
        assert len([path for method, path in sent if method == "POST" and path.endswith("/issues/2/comments")]) == 1
        assert [path for method, path in sent if method == "PATCH" and path.endswith(f"/issues/comments/{comment.id}")]
        assert f"commit={caller.git(world.caller.clone, 'rev-parse', 'two')}" in comment.body


class TestMergeQueue:
    def test_our_actions_on_own_runners_give_the_same_verdict(self, world: World, better: act.Run, queued: act.Run) -> None:
        assert queued.results() == {"data": "success", "train": "success", "verdict": "success"}
        gate, other = act.evidence(world.machine, "queued", "gate"), act.evidence(world.machine, "better", "gate")
        assert gate["findings"]["comparisons"] == other["findings"]["comparisons"]
        assert gate["findings"]["rules"] == other["findings"]["rules"]


class TestForm:
    def test_trains_with_the_forms_parameters_and_reports_in_the_pull_request(self, world: World, dispatched: act.Run) -> None:
        assert dispatched.results()["plan"] == "success"
        assert dispatched.results()["verdict"] == "success"
        assert act.evidence(world.machine, "dispatched", "train")["findings"]["params"]["model.errors"] == "12"
        assert len(world.comments(2)) == 1

    def test_a_dry_run_only_says_what_would_run(self, world: World, merged: act.Run) -> None:
        event = caller.dispatch_event(params="model.errors=12", runner="ubuntu-latest", **{"dry-run": "true"})
        main = caller.git(world.caller.clone, "rev-parse", "main")
        dry = world.run("dry", "workflow_dispatch", event, main, workflow="train.yml", ref="refs/heads/main")
        assert dry.jobs["plan"].result == "success"
        assert "with model.errors = 12 in params.yaml" in dry.jobs["plan"].log
        assert not {"data", "verdict"} & {name for name, job in dry.jobs.items() if job.steps}
        assert world.notes["dry"] == []

    def test_text_of_the_form_is_never_a_command(self, world: World, merged: act.Run) -> None:
        target = world.folder / "injected"
        event = caller.dispatch_event(params=f"model.errors=12; touch {target} $(touch {target})", runner="ubuntu-latest")
        main = caller.git(world.caller.clone, "rev-parse", "main")
        refused = world.run("injected", "workflow_dispatch", event, main, workflow="train.yml", ref="refs/heads/main")
        assert refused.jobs["plan"].result == "failure"
        assert not target.exists()


class TestRootAction:
    def test_predictions_in_verdict_out(self, world: World, first: act.Run) -> None:
        pull = caller.PullRequest(4, *(caller.git(world.caller.clone, "rev-parse", name) for name in ("one", "main", "one")))
        run = world.pull_request("simple", pull, workflow="simple.yml")
        assert run.results() == {"simple": "success"}
        [comment] = world.comments(4)
        assert "selftest" in comment.body


def test_the_runner_has_nothing_of_this_machine(world: World, first: act.Run) -> None:
    names = {name for note in world.notes["first"] for name in note["environ"]}
    assert [name for name in names if name.startswith(("PYTEST", "UV_", "PIP_"))] == []


def test_no_run_ever_had_code_of_the_caller_beside_the_write_token(world: World, broken: act.Run, dispatched: act.Run) -> None:
    ran = [note for notes in world.notes.values() for note in notes]
    assert len(ran) > 20
    assert {note["job"] for note in ran} == {"data", "train"}
    assert [note for note in ran if world.github.token in "\n".join(note["environ"].values())] == []
