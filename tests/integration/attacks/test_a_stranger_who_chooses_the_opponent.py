"""A stranger's pull request that picks what it is compared with: an older base of the same repository, or another branch of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integration.forks.second_workflow import NUMBER, STATUS, World, _first_world, make_world  # noqa: F401 -- fixtures
from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, open_workspace
from mlgate import stages
from mlgate.evidence import Evidence, GateFindings
from support import commit_files, git

LONG_AFTER = "2099-01-01T00:00:00Z"
"""When GitHub says that the run was created: the base moved on long before."""


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:  # noqa: F811
    """The stranger's model is right on 900 of 1,000, as the base's was when the branch was made; the base has a better one since."""
    world = make_world()
    commit_files(world.base, {"train.py": "print('a better model')\n"}, "better")
    git(world.base, "push", "--quiet", "origin", "main")
    pushed = open_workspace(world.base, event="push", repository="octo/models", run_id=2, ref="refs/heads/main", default_branch="main")
    evaluated(pushed, classified(*labels(990)))
    assert stages.run("gate", pushed).findings.recorded_in_store
    git(world.fork, "fetch", "--quiet", "origin")
    return world


def judged(world: World, **run: str) -> Evidence[GateFindings]:
    world.take(head_sha=world.head, **run)
    [gate] = world.judge("gate")
    return gate


@pytest.fixture
def old_merge(world: World) -> str:
    """What GitHub made when the branch was new."""
    return world.merge


@pytest.fixture
def updated(world: World, old_merge: str) -> World:
    """The base's changes do not conflict, so that GitHub makes a merge with the new base."""
    git(world.fork, "checkout", "--quiet", "topic")
    git(world.fork, "reset", "--quiet", "--hard", "origin/main~1")
    world.head = commit_files(world.fork, {"features.py": "WORSE = True\n"}, "by a stranger")
    world.merge = world.merged("origin/main")
    world.publish(NUMBER)
    world.github.state.runs.clear()
    world.leave_evidence()
    return world


def test_the_honest_run_of_that_change_is_refused_the_merge(updated: World) -> None:
    gate = judged(updated, created_at=LONG_AFTER)
    assert (gate.status, gate.findings.verdict) == ("failed", "worse")


def test_a_merge_into_the_base_of_long_ago_does_not_count(updated: World) -> None:
    updated.merge = updated.merged("origin/main~1")
    git(updated.fork, "push", "--quiet", "origin", f"{updated.merge}:refs/pull/8/head")
    updated.leave_evidence()
    gate = judged(updated, created_at=LONG_AFTER)
    assert gate.status == "failed"
    assert "long before this run" in gate.findings.headline


def test_nor_does_the_head_of_a_branch_that_left_the_base_long_ago(updated: World) -> None:
    updated.merge = updated.head
    updated.leave_evidence()
    gate = judged(updated, created_at=LONG_AFTER)
    assert gate.status == "failed"
    assert "long before this run" in gate.findings.headline


def test_a_verdict_on_a_merge_into_another_branch_is_none_on_the_default_branch(updated: World) -> None:
    """The commit is the same, and so would the status be: a good model there, or a pull request whose base is changed afterwards."""
    git(updated.base, "push", "--quiet", "origin", "main~1:refs/heads/old")
    git(updated.fork, "fetch", "--quiet", "origin")
    updated.merge = updated.merged("origin/old")
    updated.publish(NUMBER, base_ref="old")
    updated.leave_evidence()
    updated.take(head_sha=updated.head, created_at=LONG_AFTER)
    [gate, _] = updated.judge("gate", "report")
    assert gate.status == "passed"
    states = {status.context: status.state for status in updated.github.statuses(updated.head)}
    assert STATUS not in states
    assert states[f"{STATUS} into old"] == "success"


def test_the_same_in_a_run_of_the_repositorys_own(updated: World) -> None:
    git(updated.base, "push", "--quiet", "origin", "main~1:refs/heads/old")
    git(updated.base, "checkout", "--quiet", "-b", "topic", "main~1")
    head = commit_files(updated.base, {"features.py": "WORSE = True\n"}, "by a colleague")
    updated.github.add_pull_request(9, head_sha=head, base_sha=git(updated.base, "rev-parse", "main~1"), base_ref="old")
    workspace = open_workspace(
        updated.base, event="pull_request", repository="octo/models", run_id=3, pull_request=9, head_sha=head, base_ref="old",
        base_sha=git(updated.base, "rev-parse", "main~1"), default_branch="main", api_url=updated.github.url, token=updated.github.token,
    )  # fmt: skip
    evaluated(workspace, classified(*labels(900)))
    assert [stages.run(stage, workspace).exit_code for stage in ("gate", "report")] == [0, 0]
    assert [status.context for status in updated.github.statuses(head)] == [f"{STATUS} into old"]


def test_rules_of_the_configuration_are_those_of_the_tests_above() -> None:
    assert "margin: 0.02" in CONFIG
