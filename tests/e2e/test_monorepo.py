"""Three models in one repository, one of them a DVC repository of its own: templates/workflows/monorepo.yml on a real runner.

act runs nothing after a called workflow that failed, not even `if: always()`: that the aggregate job then says no is shown by running
its command on what the models' runs left (tests/integration/monorepo).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

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
            env={
                "E2E_ORIGIN": str(self.origin),
                "E2E_SHA": pull.merge,
                "E2E_NOTES": str(notes),
                "GITHUB_REPOSITORY": caller.REPOSITORY,
                "GITHUB_RUN_ID": str(3000 + number),
                "GITHUB_REF": f"refs/pull/{number}/merge",
                "GITHUB_SHA": pull.merge,
                "GITHUB_API_URL": self.github.url,
                "MLGATE_STORE_URL": str(self.origin),
            },
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
