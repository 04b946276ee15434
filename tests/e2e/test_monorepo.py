"""Three models in one repository, one of them a DVC repository of its own: templates/workflows/monorepo.yml on a real runner.

act runs nothing after a called workflow that failed, not even `if: always()`. That the aggregate job then says no is shown with the jobs
of reusable-monorepo.yml itself in a workflow of its own, in which each model's jobs are steps: after those act goes on, as GitHub does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e import act, caller
from github_stand_in import StandIn
from support import commit_files, git

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODELS = ("north", "south", "west")


@dataclass
class Monorepo:
    """The machine, the caller's repository and GitHub, over all runs."""

    machine: act.Machine
    clone: Path
    origin: Path
    github: StandIn

    @classmethod
    def make(cls, folder: Path, github: StandIn) -> Monorepo:
        clone, origin = caller.empty_repository(folder)
        caller.dvc(clone, "init", "--quiet")
        remote = str(folder / "dvc-remote")
        caller.dvc(clone, "remote", "add", "--default", "storage", remote)
        for name in MODELS:
            root = clone / "models" / name
            shutil.copytree(HERE / "caller", root)
            (root / "mlgate.yaml").write_text((root / "mlgate.yaml").read_text().replace("model: toy", f"model: {name}"))
            if name == "west":
                caller.dvc(root, "init", "--quiet", "--subdir")
                caller.dvc(root, "remote", "add", "--default", "storage", remote)
            caller.Caller(root, origin).write_data()
        template = (
            (ROOT / "templates/workflows/monorepo.yml").read_text().replace("pip install -r requirements.txt", "python note.py setup")
        )
        commit_files(clone, {".github/workflows/mlgate.yml": template}, "three models")
        git(clone, "push", "--quiet", "origin", "main")
        return cls(act.Machine.prepare(folder), clone, origin, github)

    def run(self, number: int, files: dict[str, str]) -> act.Run:
        """A pull request with these files, checked."""
        branch = f"pull-{number}"
        git(self.clone, "checkout", "--quiet", "-b", branch, "main")
        commit_files(self.clone, files, branch)
        git(self.clone, "push", "--quiet", "origin", branch)
        pull = caller.Caller(self.clone, self.origin).pull_request(number, branch)
        self.github.add_pull_request(number, head_sha=pull.head, base_sha=pull.base)
        notes = self.machine.folder / f"notes-{number}"
        notes.mkdir()
        return act.run(
            self.machine,
            workspace=self.clone,
            workflow=".github/workflows/mlgate.yml",
            event_name="pull_request",
            event=caller.pull_request_event(pull),
            env=caller.environment(
                self.origin, self.github, sha=pull.merge, ref=f"refs/pull/{number}/merge", run_id=3000 + number, E2E_NOTES=str(notes)
            ),
            secrets={"GITHUB_TOKEN": self.github.token, "MLGATE_ENV": f"MLFLOW_TRACKING_URI=sqlite:///{notes / 'mlflow.db'}"},
            name=branch,
        )

    def statuses(self, branch: str) -> dict[str, str]:
        return {status.context: status.state for status in self.github.statuses(git(self.clone, "rev-parse", branch))}


@pytest.fixture(scope="module")
def monorepo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monorepo]:
    with StandIn(caller.REPOSITORY) as github:
        yield Monorepo.make(tmp_path_factory.mktemp("monorepo"), github)
        assert github.violations == []


@pytest.fixture(scope="module")
def one_changed(monorepo: Monorepo) -> act.Run:
    """A pull request that touches the model with a DVC repository of its own, and leaves two alone."""
    return monorepo.run(1, {"models/west/params.yaml": "model:\n  errors: 30\n"})


class TestAChangeOfOneModel:
    def test_passes_the_aggregate_check(self, one_changed: act.Run) -> None:
        assert one_changed.results()["verdict"] == "success"
        assert "1 changed model passed, 2 untouched" in one_changed.output

    def test_runs_that_model_and_no_other(self, monorepo: Monorepo, one_changed: act.Run) -> None:
        assert monorepo.statuses("pull-1") == {"mlgate/west": "success"}

    def test_comments_once(self, monorepo: Monorepo, one_changed: act.Run) -> None:
        [comment] = monorepo.github.comments(1, "github-actions[bot]")
        assert "west" in comment.body


def test_a_change_of_no_model_is_green_without_a_comment(monorepo: Monorepo) -> None:
    run = monorepo.run(2, {"README.md": "words"})
    assert run.results() == {"changed": "success", "verdict": "success"}
    assert "no model changed, 3 untouched" in run.output
    assert list(monorepo.github.comments(2, "github-actions[bot]")) == []
    assert monorepo.statuses("pull-2") == {}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[act.Run]:
    """A pull request that changes two of three models, one of them for the worse."""
    folder = tmp_path_factory.mktemp("aggregate")
    clone, origin = caller.empty_repository(folder)
    files = {".github/workflows/mlgate.yml": _with_steps_for_models()}
    for name in MODELS:
        for file in ("mlgate.yaml", "predict.py"):
            files[f"models/{name}/{file}"] = (ROOT / "tests/selftest" / file).read_text().replace("model: selftest", f"model: {name}")
        files[f"models/{name}/wrong.txt"] = "40"
    commit_files(clone, files, "three models")
    git(clone, "push", "--quiet", "origin", "main")
    git(clone, "checkout", "--quiet", "-b", "topic")
    commit_files(clone, {"models/north/wrong.txt": "30", "models/south/wrong.txt": "200"}, "one better, one worse")
    git(clone, "push", "--quiet", "origin", "topic")
    pull = caller.Caller(clone, origin).pull_request(3, "topic")
    with StandIn(caller.REPOSITORY) as github:
        github.add_pull_request(3, head_sha=pull.head, base_sha=pull.base)
        yield act.run(
            act.Machine.prepare(folder),
            workspace=clone,
            workflow=".github/workflows/mlgate.yml",
            event_name="pull_request",
            event=caller.pull_request_event(pull),
            env=caller.environment(origin, github, sha=pull.merge, ref="refs/pull/3/merge", run_id=3003),
            secrets={"GITHUB_TOKEN": github.token},
            name="failed",
        )
        assert github.violations == []


class TestAChangedModelThatFails:
    def test_fails_the_aggregate_check_which_runs_all_the_same(self, failed: act.Run) -> None:
        assert failed.results() == {"changed": "success", "mlgate": "failure", "verdict": "failure"}
        assert failed.jobs["verdict"].steps["mlgate/mlgate/actions/aggregate@v0.1.0"] == "failure"

    def test_is_named_with_its_reason_beside_the_others(self, failed: act.Run) -> None:
        said = [line for line in failed.jobs["verdict"].lines if line.startswith(("✗", "  ✗", "  ✓", "  –"))]
        assert said[:4] == [
            "✗ 1 of 2 changed models did not pass: south",
            "  ✓ north: gate open: first model: nothing to compare with; accuracy 0.925 is at least 0.75",
            "  ✗ south: gate closed: accuracy 0.5 is below 0.75",
            "  – west: untouched",
        ]


def _with_steps_for_models() -> str:
    """The jobs of reusable-monorepo.yml with their inputs' defaults; in place of the workflow that each model calls, the short way."""
    text = (ROOT / ".github/workflows/reusable-monorepo.yml").read_text()
    inputs = yaml.safe_load(text)[True]["workflow_call"]["inputs"]
    text = re.sub(r"fromJSON\(inputs\.(\S+)\)", lambda found: f"fromJSON('{inputs[found[1]]['default']}')", text)
    text = re.sub(r"\$\{\{ inputs\.(\S+) \}\}", lambda found: str(inputs[found[1]]["default"]), text)
    jobs = yaml.safe_load(text)["jobs"]
    model = {key: value for key, value in jobs["mlgate"].items() if key not in ("uses", "with", "secrets")}
    checkout = next(step for step in jobs["changed"]["steps"] if step.get("uses", "").startswith("actions/checkout@"))
    where = "${{ matrix.working-directory }}"
    steps = [
        {**checkout, "with": {"fetch-depth": 0, "persist-credentials": False}},
        {"run": 'python predict.py "$(cat wrong.txt)"', "working-directory": where},
        {"uses": "mlgate/mlgate@v0.1.0", "with": {"config": "${{ matrix.config }}", "working-directory": where}},
    ]
    jobs["mlgate"] = {**model, "runs-on": "ubuntu-latest", "steps": steps}
    return yaml.safe_dump({"on": "pull_request", "permissions": {}, "jobs": jobs}, allow_unicode=True, sort_keys=False)
