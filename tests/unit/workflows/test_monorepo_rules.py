"""What the workflow for several models keeps to, beside the rules of all workflows (test_rules.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
# For a dispatched run of one model: data and parameters are a model's own.
NOT_FOR_MANY = {"data-revision", "params"}


def document(path: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / path).read_text())
    return loaded


MONOREPO = document(".github/workflows/reusable-monorepo.yml")
JOBS = MONOREPO["jobs"]


def test_each_model_gets_everything_that_a_single_one_can_be_given() -> None:
    called = document(".github/workflows/reusable-pull-request.yml")[True]["workflow_call"]
    taken = set(called["inputs"])
    assert set(JOBS["mlgate"]["secrets"]) == set(MONOREPO[True]["workflow_call"]["secrets"]) == set(called["secrets"])
    assert set(JOBS["mlgate"]["with"]) == taken - NOT_FOR_MANY
    assert set(MONOREPO[True]["workflow_call"]["inputs"]) == taken - NOT_FOR_MANY | {"max-parallel"}


def test_the_check_to_require_always_runs_knows_all_jobs_and_may_only_set_a_status() -> None:
    verdict = JOBS["verdict"]
    assert verdict["if"].startswith("always() && !(inputs.verdict-apart && github.event_name == 'pull_request'")
    assert set(verdict["needs"]) == set(JOBS) - {"verdict"}
    assert verdict["permissions"] == {"statuses": "write"}
    assert "secrets." not in yaml.safe_dump(verdict)
    assert verdict["steps"][-1]["with"]["github-token"] == "${{ inputs.verdict-apart && github.token || '' }}"


def test_without_forks_the_check_itself_is_what_blocks() -> None:
    """A skipped required check counts as passed: only who asks for the pair has a run in which it is skipped."""
    assert MONOREPO[True]["workflow_call"]["inputs"]["verdict-apart"]["default"] is False
    assert "verdict-apart" not in document("templates/workflows/monorepo.yml")["jobs"]["mlgate"]["with"]


def test_an_empty_matrix_is_never_started_and_one_model_never_ends_another() -> None:
    assert JOBS["mlgate"]["if"] == "needs.changed.outputs.any == 'true'"
    assert JOBS["mlgate"]["strategy"]["fail-fast"] is False


def test_the_template_grants_what_the_models_need() -> None:
    granted = document("templates/workflows/monorepo.yml")["jobs"]["mlgate"]["permissions"]
    assert granted == JOBS["mlgate"]["permissions"]
    assert granted.items() >= document(".github/workflows/reusable-pull-request.yml")["jobs"]["verdict"]["permissions"].items()
