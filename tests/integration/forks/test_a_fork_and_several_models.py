"""A stranger's pull request in a repository with several models: which are judged, and the one commit status that answers for all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from github_stand_in import StandIn
from integration.forks.second_workflow import FORK, NUMBER, REPOSITORY, RUN_ID, WORKFLOW, World
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels
from mlgate import context, stages
from mlgate.console import Console
from mlgate.context import RunContext
from mlgate.stages.forks import several_models, triggering_run, without_secrets
from mlgate.stages.forks.several_models import Found
from mlgate.stages.monorepo import aggregate, changed
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

ROOT = Path(__file__).resolve().parents[3]
STATUS = "mlgate"
FILES = {
    **{
        f"models/{name}/mlgate.yaml": CONFIG.replace("model: digits", f"model: {name}\ninputs: [lib]")
        for name in ("north", "south", "west")
    },
    **{f"models/{name}/train.py": "print('model 0')\n" for name in ("north", "south", "west")},
    "lib/features.py": "n = 1\n",
    WORKFLOW: "name: mlgate\n",
}


@dataclass
class Monorepo(World):
    """As World, with three models below models/."""

    stages: tuple[str, ...] = ("gate",)

    def again(self, folder: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Monorepo:
        for name in ("origin.git", "base", "fork"):
            shutil.copytree(self.folder / name, folder / name)
        world = Monorepo(folder, github, monkeypatch)
        for clone in (world.base, world.fork):
            git(clone, "remote", "set-url", "origin", str(world.origin))
        monkeypatch.setenv("MLGATE_STORE_URL", str(world.origin))
        return world

    @classmethod
    def begin(cls, folder: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Monorepo:
        world = cls(folder, github, monkeypatch)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(world.origin))
        git(world.origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        make_repository(world.base, FILES)
        git(world.base, "remote", "add", "origin", str(world.origin))
        git(world.base, "push", "--quiet", "origin", "main")
        git(folder, "clone", "--quiet", str(world.origin), str(world.fork))
        return world

    def train(self, model: str, right: int = 900, commit: str | None = None) -> None:
        """What the first run's jobs of that model leave."""
        git(self.fork, "checkout", "--quiet", "--force", "--detach", commit or self.merge)
        workspace = Workspace.open(self.fork / "models" / model, "mlgate.yaml", {}, Console())
        at = RunContext(repository=REPOSITORY, run_id=RUN_ID, event="pull_request", pull_request=NUMBER, is_fork=True, head_sha=self.head)
        workspace = replace(workspace, context=at)
        workspace.empty_state()
        evaluated(workspace, classified(*labels(right)))
        run = self.first_run_on_github()
        self.github.add_run_artifact(self.head, f"mlgate-{model}-train-1", self.files_of(workspace), run=run)

    def first_run_on_github(self) -> Any:
        return self.github.state.runs.get(RUN_ID) or self.github.add_run(
            self.head, run_id=RUN_ID, event="pull_request", head_repository=FORK
        )

    def push(self, files: Mapping[str, str], branch: str = "topic") -> None:
        super().push(files, branch)
        self.first_run_on_github()

    def context(self, **run: Any) -> RunContext:
        self.second_run_begins(**run)
        return context.from_environment(self.environ)

    def find(self, **run: Any) -> Found:
        return several_models.find(self.base, "mlgate.yaml", self.context(**run))

    def judge_model(self, row: dict[str, str], downloaded: Path) -> None:
        """A job of the matrix: reusable-verdict.yml for one model."""
        root = self.base / row["working-directory"]
        workspace = Workspace.open(root, row["config"], self.environ, Console())
        workspace.empty_state()
        taken = triggering_run.take(workspace)
        with self.monkeypatch.context() as patched:
            for name, value in taken.variables.items():
                patched.setenv(name, value)
            judging = Workspace.open(root, row["config"], {**self.environ, **taken.variables}, Console())
            for stage in self.stages:
                stages.run(stage, judging)
        shutil.copytree(workspace.state, downloaded / f"mlgate-{workspace.config.model}-verdict-1")

    def answer(self, found: Found, *, models: str = "success", runs: str | None = None) -> aggregate.Answer:
        """The jobs of the matrix, and the last one."""
        outputs = found.outputs if models == "success" else {}
        downloaded = self.folder / "downloaded"
        shutil.rmtree(downloaded, ignore_errors=True)
        matrix = json.loads(outputs.get("matrix", '{"include":[]}'))["include"]
        for row in matrix:
            self.judge_model(row, downloaded)
        result = runs or ("success" if matrix else "skipped")
        needs = {"models": {"result": models, "outputs": outputs}, "mlgate": {"result": result, "outputs": {}}}
        return aggregate.run({**self.environ, "MLGATE_NEEDS": json.dumps(needs), "MLGATE_ARTIFACTS": str(downloaded)})

    def statuses(self, name: str = STATUS) -> list[tuple[str, str]]:
        return [(status.state, status.description or "") for status in self.github.statuses(self.head) if status.context == name]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Monorepo:
    with StandIn(REPOSITORY) as github, pytest.MonkeyPatch.context() as monkeypatch:
        return Monorepo.begin(tmp_path_factory.mktemp("several"), github, monkeypatch)


@pytest.fixture
def world(_made: Monorepo, tmp_path: Path, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> Monorepo:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLGATE_"))]:
        monkeypatch.delenv(name)
    return _made.again(tmp_path, github, monkeypatch)


def rows(found: Found) -> list[str]:
    return [row["model"] for row in json.loads(found.outputs["matrix"])["include"]]


class TestWhichModels:
    def test_those_that_the_pull_request_changes_whatever_its_run_says(self, world: Monorepo) -> None:
        world.push({"models/north/train.py": "print('model 1')\n"})
        world.train("south")  # of a model that it did not touch
        found = world.find()
        assert rows(found) == ["north"]
        assert [(model.name, model.why is None) for model in found.models] == [("north", False), ("south", True), ("west", True)]
        assert (found.outputs["pull-request"], found.outputs["base-ref"], found.outputs["commit"]) == ("7", "main", world.merge)
        assert world.statuses() == [("pending", "checking what the run left")]

    def test_all_where_it_changes_what_they_share(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        assert rows(world.find()) == ["north", "south", "west"]

    def test_a_pull_request_cannot_put_its_change_out_of_sight(self, world: Monorepo) -> None:
        hidden = {f"models/{name}/mlgate.yaml": CONFIG.replace("digits", f"{name}\ninputs: []") for name in ("north", "south", "west")}
        world.push({**hidden, "lib/features.py": "n = 2\n"})
        assert rows(world.find()) == ["north", "south", "west"]

    def test_one_under_another_name_is_judged_by_the_name_that_it_had_and_refused(self, world: Monorepo) -> None:
        world.push({"models/north/mlgate.yaml": CONFIG.replace("digits", "south")})
        found = world.find()
        assert rows(found) == ["north"]
        answer = world.answer(found)
        assert answer.status == "failed"
        assert "cannot rename a model" in answer.description

    @pytest.mark.parametrize(
        ("change", "path", "said"),
        [
            ({"models/east/mlgate.yaml": CONFIG.replace("digits", "east")}, "models/east/mlgate.yaml", "not on the default branch"),
            ({"models/north/mlgate.yaml": None}, "models/north/mlgate.yaml", "taken away"),
        ],
        ids=["added", "taken away"],
    )
    def test_a_configuration_that_only_one_side_has_closes_the_gate(
        self, world: Monorepo, change: dict[str, Any], path: str, said: str
    ) -> None:
        if None in change.values():
            git(world.fork, "checkout", "--quiet", "-b", "topic", "origin/main")
            git(world.fork, "rm", "--quiet", path)
            world.push({})
        else:
            world.push(change)
        found = world.find()
        assert [refusal.path for refusal in found.refusals] == [path]
        answer = world.answer(found)
        assert (answer.status, answer.exit_code) == ("failed", 0)
        assert answer.description.startswith(f"{path}: {said}")
        assert world.statuses()[-1][0] == "failure"

    def test_a_stranger_with_thousands_of_configurations_of_hostile_names_is_answered_in_a_few_lines(self, world: Monorepo) -> None:
        names = [f"models/m{number}@octo`$(id)`‮|<b>&/mlgate.yaml" for number in range(300)]
        world.push(dict.fromkeys(names, CONFIG))
        found = world.find()
        summary = world.folder / "summary.md"
        outputs = found.outputs
        assert len(outputs["models"]) < 10_000
        assert "‮" not in outputs["models"]
        needs = {"models": {"result": "success", "outputs": outputs}, "mlgate": {"result": "skipped", "outputs": {}}}
        answer = aggregate.run({**world.environ, "MLGATE_NEEDS": json.dumps(needs), "GITHUB_STEP_SUMMARY": str(summary)})
        assert answer.status == "failed"
        shown = MarkdownIt("gfm-like", {"linkify": False}).render(summary.read_text())
        assert "<b>" not in shown
        assert "@octo" not in re.sub(r"<code>.*?</code>", "", shown)
        assert all("\u202e" not in line for line in answer.lines)

    def test_no_open_pull_request_is_nothing_to_do(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        world.github.state.pull_requests[NUMBER].state = "closed"
        found = world.find()
        assert (found.outputs["pull-request"], found.outputs["any"], world.statuses()) == ("", "false", [])

    def test_a_run_that_waits_for_approval_is_pending(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        assert world.find(conclusion="action_required").outputs["pull-request"] == ""
        assert world.statuses() == [("pending", "a maintainer must approve the run of this pull request")]

    def test_two_models_of_one_name_are_said_by_the_status(self, world: Monorepo) -> None:
        commit_files(world.base, {"models/west/mlgate.yaml": CONFIG.replace("digits", "north")}, "twice")
        git(world.base, "push", "--quiet", "origin", "main")
        git(world.fork, "fetch", "--quiet", "origin")
        world.push({"lib/features.py": "n = 2\n"})
        found = world.find()
        assert found.refused is not None
        answer = world.answer(found)
        assert (answer.status, world.statuses()[-1][0]) == ("failed", "failure")
        assert "both name their model 'north'" in world.statuses()[-1][1]


class TestTheOneAnswer:
    def test_is_yes_where_every_changed_model_passed(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        for model in ("north", "south", "west"):
            world.train(model)
        world.stages = ("gate", "report")
        answer = world.answer(world.find())
        assert (answer.status, answer.exit_code) == ("passed", 0)
        assert world.statuses()[-1] == ("success", "3 changed models passed, 0 untouched")
        assert len(world.github.comments(NUMBER)) == 3
        named = {status.context for status in world.github.statuses(world.head)}
        assert named == {"mlgate", "mlgate/north", "mlgate/south", "mlgate/west"}

    def test_is_no_where_one_is_bad_and_says_which(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        for model, right in (("north", 900), ("south", 700), ("west", 900)):
            world.train(model, right)
        answer = world.answer(world.find())
        assert (answer.status, answer.exit_code) == ("failed", 0)  # the status blocks; the run belongs to the default branch's commit
        [*_, (state, description)] = world.statuses()
        assert state == "failure"
        assert description.startswith("south: gate closed")

    def test_is_no_where_a_changed_model_left_nothing(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        for model in ("north", "south"):
            world.train(model)
        assert world.answer(world.find(conclusion="failure")).status == "failed"
        assert world.statuses()[-1][0] == "failure"

    def test_is_yes_where_no_model_changed(self, world: Monorepo) -> None:
        world.push({"README.md": "words\n"})
        answer = world.answer(world.find())
        assert answer.status == "passed"
        assert world.statuses()[-1] == ("success", "no model changed, 3 untouched")
        assert world.github.comments(NUMBER) == []

    def test_is_no_where_the_evidence_of_two_models_is_of_two_commits(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        for model in ("north", "south"):
            world.train(model)
        world.train("west", commit=world.head)  # the head and its merge are both taken, but not both by one run
        answer = world.answer(world.find())
        assert answer.status == "failed"
        assert world.statuses()[-1][0] == "failure"
        assert "its evidence is of" in " ".join(outcome.words for outcome in answer.outcomes)

    def test_into_another_branch_has_a_status_of_its_own(self, world: Monorepo) -> None:
        git(world.base, "branch", "release", commit_files(world.base, {"notes.txt": "1.0\n"}, "release"))
        git(world.base, "push", "--quiet", "origin", "release")
        git(world.fork, "fetch", "--quiet", "origin")
        world.push({"lib/features.py": "n = 2\n"})
        world.merge = world.merged("origin/release")
        world.publish(NUMBER, base_ref="release")
        for model in ("north", "south", "west"):
            world.train(model)
        assert world.answer(world.find()).status == "passed"
        assert world.statuses() == []
        assert [state for state, _ in world.statuses("mlgate into release")] == ["pending", "success"]

    def test_a_workflow_file_that_the_fork_changed_closes_the_gate(self, world: Monorepo) -> None:
        world.push({WORKFLOW: "name: mlgate\n# mine\n", "lib/features.py": "n = 2\n"})
        for model in ("north", "south", "west"):
            world.train(model)
        assert world.answer(world.find()).status == "failed"

    def test_a_job_that_broke_off_leaves_no_status_pending(self, world: Monorepo) -> None:
        world.push({"lib/features.py": "n = 2\n"})
        found = world.find()
        answer = world.answer(found, models="failure")
        assert (answer.status, answer.exit_code) == ("failed", 1)
        [*_, (state, description)] = world.statuses()
        assert (state, description) == ("error", "which models changed is not known: job 'models' failed; see its log")

    def test_a_model_whose_verdict_broke_off_is_an_error(self, world: Monorepo) -> None:
        world.push({"models/north/train.py": "print('model 1')\n"})
        world.train("north")
        answer = world.answer(world.find(), runs="failure")
        assert (answer.exit_code, world.statuses()[-1][0]) == (1, "error")


def test_the_status_is_pending_before_anything_is_trained(world: Monorepo) -> None:
    world.push({"lib/features.py": "n = 2\n"})
    assert several_models.announce(world.context(conclusion=None)) == [
        "status mlgate: pending, trained without secrets; the verdict follows"
    ]
    assert world.statuses() == [("pending", "trained without secrets; the verdict follows")]


def test_the_permissions_that_the_workflow_asks_for_are_enough(world: Monorepo) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/reusable-monorepo-verdict.yml").read_text())["jobs"]
    tokens = {name: world.github.add_token(f"of-{name}", permissions=job["permissions"]).value for name, job in jobs.items()}
    world.push({"README.md": "words\n"})
    world.token = tokens["announce"]
    several_models.announce(world.context(conclusion=None))
    world.token = tokens["models"]
    found = world.find()
    world.environ["MLGATE_GITHUB_TOKEN"] = tokens["verdict"]
    assert world.answer(found).status == "passed"
    assert world.answer(found, models="failure").status == "failed"
    assert [state for state, _ in world.statuses()] == ["pending", "pending", "success"]  # nothing was pending any more


class TestTheFirstWorkflow:
    def test_its_answer_on_a_branch_of_the_repository_is_the_same_status(self, github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        models = json.dumps([{"model": "north", "changed": False}])
        needs = {"changed": {"result": "success", "outputs": {"models": models}}, "mlgate": {"result": "skipped", "outputs": {}}}
        environ = {
            "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_RUN_ID": "3", "GITHUB_EVENT_NAME": "push",
            "GITHUB_SHA": "4" * 40, "GITHUB_API_URL": github.url, "MLGATE_NEEDS": json.dumps(needs),
        }  # fmt: skip
        assert not aggregate.run(environ).is_told_by_status
        assert github.statuses("4" * 40) == []
        answer = aggregate.run({**environ, "MLGATE_GITHUB_TOKEN": github.token})
        [status] = github.statuses("4" * 40)
        assert (answer.exit_code, status.context, status.state) == (0, "mlgate", "success")


class TestWithSecrets:
    CALL = "jobs:\n  mlgate:\n    uses: mlgate/mlgate/.github/workflows/reusable-monorepo.yml@v0.1.0\n"

    def test_a_maintainer_is_told_the_workflow_that_gives_the_one_answer(self, tmp_path: Path) -> None:
        files = {
            ".github/workflows/mlgate.yml": self.CALL,
            ".github/workflows/mlgate-train.yml": (ROOT / "templates/workflows/monorepo-train.yml").read_text(),
            ".github/workflows/a-train.yml": self.CALL.replace("monorepo", "train"),
        }
        make_repository(tmp_path, files)
        at = RunContext(repository=REPOSITORY, pull_request=7, head_sha="4" * 40)
        assert (
            "gh workflow run mlgate-train.yml --repo octo/models -f pull-request=7 -f ref=4444"
            in without_secrets.dispatch(tmp_path, at).command
        )
        (tmp_path / ".github/workflows/mlgate-train.yml").unlink()
        assert without_secrets.dispatch(tmp_path, at).sentence.startswith(
            "a maintainer must dispatch: copy templates/workflows/monorepo-train.yml to .github/workflows/mlgate-train.yml"
        )

    def test_a_dispatched_run_wants_the_commit_that_was_read(self, world: Monorepo) -> None:
        from mlgate.errors import InputError

        at = RunContext(event="workflow_dispatch", repository=REPOSITORY, head_sha="main", default_branch="main")
        with pytest.raises(InputError, match="ref: expected the full SHA"):
            changed.run(world.base, "mlgate.yaml", at)
