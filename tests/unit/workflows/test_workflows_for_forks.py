"""The pair for pull requests without secrets: who holds which token, and that between the two each run is judged exactly once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def document(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


FIRST = document(".github/workflows/reusable-pull-request.yml")["jobs"]
SECOND = document(".github/workflows/reusable-verdict.yml")["jobs"]


def spoken(condition: str) -> str:
    return " ".join(condition.split())


def test_the_second_checks_out_the_default_branch_and_nothing_else():
    checkouts = [step for job in SECOND.values() for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 2
    for step in checkouts:
        assert step["with"]["persist-credentials"] is False
        assert not {"ref", "repository", "allow-unsafe-pr-checkout"} & set(step["with"])


def test_the_second_runs_only_mlgate_and_gets_no_secret_no_cache_and_no_python_of_the_users():
    for job in SECOND.values():
        text = yaml.safe_dump(job)
        assert "secrets." not in text
        assert [step for step in job["steps"] if "run" in step] == []
        used = {step["uses"].partition("@")[0].rpartition("/")[2] for step in job["steps"]}
        assert used <= {"checkout", "setup", "triggering-run", "run", "upload-artifact"}
    setup = next(step["with"] for step in SECOND["verdict"]["steps"] if "/setup@" in step["uses"])
    assert (setup["cache"], setup["stages"]) == ("false", "gate report")
    gate = next(step["with"] for step in SECOND["verdict"]["steps"] if "/actions/run@" in step["uses"])
    assert gate["stages"] == "gate report"


def test_the_second_cannot_write_to_the_repository():
    written = {name: {kind for kind, level in job["permissions"].items() if level == "write"} for name, job in SECOND.items()}
    assert written == {"announce": {"statuses"}, "verdict": {"pull-requests", "statuses"}}


def test_each_run_is_judged_by_exactly_one_of_the_two():
    """Both ask the same: is the head in another repository, or did Dependabot start it."""
    first, second = spoken(FIRST["verdict"]["if"]), spoken(SECOND["verdict"]["if"])
    assert "(github.event.pull_request.head.repo.full_name != github.repository || github.actor == 'dependabot[bot]')" in first
    asked = (
        "(github.event.workflow_run.head_repository.full_name != github.repository"
        " || github.event.workflow_run.actor.login == 'dependabot[bot]')"
    )
    assert asked in second
    assert first.startswith("always() && !(inputs.verdict-apart && github.event_name == 'pull_request' &&")
    assert "github.event.action == 'completed' && github.event.workflow_run.event == 'pull_request'" in second
    assert asked in spoken(SECOND["announce"]["if"])


def test_a_caller_that_does_not_ask_for_it_keeps_the_verdict_in_the_required_job():
    inputs = document(".github/workflows/reusable-pull-request.yml")[True]["workflow_call"]["inputs"]
    assert inputs["verdict-apart"]["default"] is False
    assert "verdict-apart" not in document("templates/workflows/pull-request.yml")["jobs"]["mlgate"]["with"]


def test_the_template_of_the_second_waits_for_that_of_the_first():
    first, second = document("templates/workflows/pull-request-forks.yml"), document("templates/workflows/mlgate-verdict.yml")
    assert second[True]["workflow_run"] == {"workflows": [first["name"]], "types": ["requested", "completed"]}
    assert first["jobs"]["mlgate"]["with"]["verdict-apart"] is True
    assert second["name"] != first["name"]


def test_the_template_grants_what_the_jobs_ask_for():
    granted = document("templates/workflows/mlgate-verdict.yml")["jobs"]["mlgate"]["permissions"]
    levels = {"read": 1, "write": 2}
    for job in SECOND.values():
        assert all(levels[granted[kind]] >= levels[level] for kind, level in job["permissions"].items())


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("templates/workflows/*.yml")]), ids=lambda path: path.name
)
def test_no_workflow_runs_on_the_head_of_a_fork_with_the_bases_rights(path: Path):
    assert not re.search(r"^\s*pull_request_target\b", path.read_text(), re.MULTILINE)


class TestSeveralModels:
    """The pair for a repository with several models, beside which the same holds."""

    FIRST = document(".github/workflows/reusable-monorepo.yml")["jobs"]
    SECOND = document(".github/workflows/reusable-monorepo-verdict.yml")["jobs"]

    def test_the_second_checks_out_the_default_branch_and_nothing_else(self):
        checkouts = [step for job in self.SECOND.values() for step in job.get("steps", []) if "actions/checkout@" in step.get("uses", "")]
        assert [step["with"] for step in checkouts] == [{"fetch-depth": 0, "persist-credentials": False}]

    def test_the_second_runs_only_mlgate_and_gets_no_secret(self):
        assert "secrets" not in yaml.safe_dump(self.SECOND)
        steps = [step for job in self.SECOND.values() for step in job.get("steps", [])]
        assert [step for step in steps if "run" in step] == []
        used = {step["uses"].partition("@")[0].rpartition("/")[2] for step in steps}
        assert used <= {"checkout", "triggering-run", "download-artifact", "aggregate"}

    def test_each_model_is_judged_as_the_only_one_of_a_repository_is(self):
        job = self.SECOND["mlgate"]
        assert job["uses"].partition("@")[0].endswith("/reusable-verdict.yml")
        assert job["permissions"] == SECOND["verdict"]["permissions"]
        assert set(job["with"]) == set(document(".github/workflows/reusable-verdict.yml")[True]["workflow_call"]["inputs"])

    def test_the_second_cannot_write_to_the_repository(self):
        written = {name: {kind for kind, level in job["permissions"].items() if level == "write"} for name, job in self.SECOND.items()}
        assert written == {
            "announce": {"statuses"},
            "models": {"statuses"},
            "mlgate": {"pull-requests", "statuses"},
            "verdict": {"statuses"},
        }

    def test_each_run_is_answered_by_exactly_one_of_the_two(self):
        single = spoken(FIRST["verdict"]["if"])
        assert spoken(self.FIRST["verdict"]["if"]) == single
        assert self.FIRST["mlgate"]["with"]["verdict-apart"] == "${{ inputs.verdict-apart }}"
        assert spoken(self.SECOND["models"]["if"]) == spoken(SECOND["verdict"]["if"])
        assert spoken(self.SECOND["announce"]["if"]) == spoken(SECOND["announce"]["if"])

    def test_the_answer_is_given_also_where_a_job_before_it_failed_but_not_where_there_is_nothing_to_judge(self):
        job = self.SECOND["verdict"]
        assert set(job["needs"]) == {"models", "mlgate"}
        assert job["if"] == (
            "always() && needs.models.result != 'skipped' && (needs.models.result != 'success' || needs.models.outputs.pull-request != '')"
        )

    def test_the_templates_fit_together(self):
        first, second, train = (document(f"templates/workflows/monorepo-{name}.yml") for name in ("forks", "verdict", "train"))
        assert second[True]["workflow_run"] == {"workflows": [first["name"]], "types": ["requested", "completed"]}
        assert first["jobs"]["mlgate"]["with"]["verdict-apart"] is train["jobs"]["mlgate"]["with"]["verdict-apart"] is True
        assert all(given["required"] for given in train[True]["workflow_dispatch"]["inputs"].values())
        levels = {"read": 1, "write": 2}
        granted = second["jobs"]["mlgate"]["permissions"]
        for job in self.SECOND.values():
            assert all(levels[granted[kind]] >= levels[level] for kind, level in job["permissions"].items())
