"""A verdict or an override that was given for something else: other parameters or data, another commit, pull request or branch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_stand_in import StandIn
from integration.gate.gate_runs import classified, evaluated, labels
from integration.overrides.pull_requests import Project
from mlgate import context, stages

ROOT = Path(__file__).resolve().parents[3]
DISPATCHED = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/models", "GITHUB_EVENT_NAME": "workflow_dispatch"}


@pytest.mark.parametrize(
    ("trial", "name"), [("true", "mlgate/digits on trial"), ("false", "mlgate/digits"), ("", "mlgate/digits")], ids=["trial", "no", "unset"]
)
def test_the_status_of_a_trial_has_a_name_of_its_own(trial: str, name: str) -> None:
    assert context.from_environment({**DISPATCHED, "MLGATE_TRIAL": trial}).status_name("digits") == name


def test_the_verdict_job_is_told_of_both_ways_to_try_something_else() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/reusable-pull-request.yml").read_text())
    told = workflow["jobs"]["verdict"]["env"]["MLGATE_TRIAL"]
    assert all(f"inputs.{name} != ''" in told for name in ("params", "data-revision"))


def test_a_record_that_is_copied_to_another_commit_opens_nothing(tmp_path: Path, github: StandIn) -> None:
    """The comment stands and is its author's, but it was about the commit that was the head then."""
    pull = Project.make(tmp_path, github)
    head = pull.closed()
    pull.say("/mlgate override agreed")
    assert pull.judged().exit_code == 0
    record = pull.record(head)
    assert record is not None
    later = pull.closed({"train.py": "what nobody has looked at\n"}, run_id=6)
    pull.write_record(later, **{**record, "head_sha": later})
    evidence = pull.judged(run_id=6)
    assert evidence.exit_code == 1
    assert f"{later[:12]} was pushed after the comment it names was written" in evidence.summary


@pytest.mark.parametrize(("other", "said"), [({"pull_request": 8}, "it was given in #7"), ({"base_ref": "old"}, "for a merge into main")])
def test_an_override_is_for_one_pull_request_into_one_branch(tmp_path: Path, github: StandIn, other: dict[str, Any], said: str) -> None:
    """A commit can be the head of several pull requests, and the base of one can be changed."""
    pull = Project.make(tmp_path, github)
    pull.closed()
    pull.say("/mlgate override only on the branch for experiments")
    workspace = pull.workspace()
    workspace = replace(workspace, context=replace(workspace.context, **other))
    evaluated(workspace, classified(*labels(905)))
    evidence = stages.run("gate", workspace)
    assert (evidence.exit_code, said in evidence.summary) == (1, True), evidence.summary
