"""What the second workflow makes of a stranger's pull request: which one it is, of which commit, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from integration.forks.second_workflow import FORK, NUMBER, REPOSITORY, World, _first_world, make_world  # noqa: F401 -- fixtures
from mlgate import git as questions
from mlgate.errors import InfrastructureError
from mlgate.evidence import GateFindings
from mlgate.stages.forks import triggering_run
from support import commit_files, git

Make = Callable[..., World]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def world(make_world: Make) -> World:  # noqa: F811
    return make_world()


def findings(world: World) -> GateFindings:
    [gate] = world.judge("gate")
    assert isinstance(gate.findings, GateFindings), gate.summary
    return gate.findings


class TestWhichPullRequest:
    def test_the_one_from_the_runs_branch_at_the_runs_commit(self, world: World) -> None:
        taken = world.take()
        assert (taken.pull_request, taken.variables["MLGATE_COMMIT"]) == (NUMBER, world.merge)
        assert world.states() == ["pending"]

    def test_none_that_is_closed(self, world: World) -> None:
        world.github.state.pull_requests[NUMBER].state = "closed"
        taken = world.take()
        assert (taken.pull_request, world.states()) == (None, [])
        assert taken.lines == [f"nothing to do: no open pull request from {FORK}:topic"]

    def test_none_that_was_pushed_to_since(self, world: World) -> None:
        judged = world.head
        world.push({"train.py": "print('model 2')\n"})
        taken = world.take(head_sha=judged)
        assert taken.pull_request is None
        assert taken.lines == [f"nothing to do: #7 is at {world.head[:12]} now, and the run was of {judged[:12]}"]

    def test_not_one_of_another_fork_with_a_branch_of_that_name(self, world: World) -> None:
        world.github.state.pull_requests[NUMBER].head_repository = "somebody/models"
        assert world.take().pull_request is None

    def test_of_several_from_one_branch_the_one_whose_merge_was_evaluated(self, world: World) -> None:
        git(world.base, "branch", "release", commit_files(world.base, {"notes.txt": "1.0\n"}, "release"))
        git(world.base, "push", "--quiet", "origin", "release")
        git(world.fork, "fetch", "--quiet", "origin")
        world.merge = world.merged("origin/release")
        world.publish(3, base_ref="release")
        assert world.take().pull_request == NUMBER
        world.leave_evidence()
        taken = world.take()
        assert (taken.pull_request, taken.variables["MLGATE_BASE_REF"]) == (3, "release")

    @pytest.mark.parametrize(
        ("event", "repository", "said"), [("push", FORK, "was of 'push'"), ("pull_request", REPOSITORY, "was of a branch")]
    )
    def test_nothing_is_done_where_the_first_workflow_decides(self, world: World, event: str, repository: str, said: str) -> None:
        taken = world.take(event=event, head_repository={"full_name": repository})
        assert taken.pull_request is None
        assert said in taken.lines[0]
        assert world.states() == []

    def test_dependabots_branch_is_judged_like_a_forks(self, world: World) -> None:
        world.github.state.pull_requests[NUMBER].head_repository = None
        taken = world.take(head_repository={"full_name": REPOSITORY}, actor={"login": "dependabot[bot]"})
        assert taken.pull_request == NUMBER

    def test_a_deleted_fork_is_found_by_its_commit(self, world: World) -> None:
        assert world.take(head_repository=None, head_branch=None).pull_request == NUMBER


class TestVerdict:
    def test_compares_with_the_baseline_by_the_bases_rules_and_says_so_once(self, world: World) -> None:
        world.take()
        gate, report = world.judge("gate", "report")
        assert (gate.status, gate.findings.rules_from, gate.findings.baseline.source) == ("passed", "baseline", "store")
        assert gate.subject.commit == world.merge
        assert (gate.subject.run.repository, gate.subject.run.run_id, gate.subject.run.event) == (REPOSITORY, 500, "pull_request")
        assert report.status == "passed", report.summary
        [comment] = world.github.comments(NUMBER, "github-actions[bot]")
        assert f"run=500 attempt=1 commit={world.head}" in comment.body
        assert world.states() == ["pending", "success"]
        assert triggering_run.close(world.second_run()) == ["status mlgate/digits: success"]

    def test_a_worse_model_is_a_failed_status(self, make_world: Make) -> None:  # noqa: F811
        world = make_world(right=820)
        world.take()
        world.judge("gate", "report")
        assert world.states() == ["pending", "failure"]

    def test_what_is_checked_out_stays_the_bases(self, world: World) -> None:
        before = git(world.base, "rev-parse", "HEAD")
        world.take()
        world.judge("gate")
        assert git(world.base, "rev-parse", "HEAD") == before
        assert git(world.base, "status", "--porcelain") == ""
        assert (world.base / "train.py").read_text() == "print('model 0')\n"
        assert questions.commit(world.base, world.head) == world.head

    def test_shows_what_the_fork_changed(self, world: World) -> None:
        world.take()
        assert [(change.kind, change.name) for change in findings(world).changes] == [("code", "train.py")]

    def test_rules_that_the_fork_softened_do_not_decide(self, make_world: Make) -> None:  # noqa: F811
        world = make_world(right=820)
        softened = (world.base / "mlgate.yaml").read_text().replace("margin: 0.02", "margin: 0.5")
        world.push({"mlgate.yaml": softened})
        world.leave_evidence(820)
        world.take(head_sha=world.head)
        found = findings(world)
        assert not found.is_open
        assert any(change.kind == "rule" for change in found.changes)

    def test_the_fork_does_not_choose_what_is_published(self, world: World) -> None:
        quiet = (world.base / "mlgate.yaml").read_text() + "report: {comment: false, status: false}\nstore: /tmp/elsewhere\n"
        world.push({"mlgate.yaml": quiet})
        world.leave_evidence()
        world.take(head_sha=world.head)
        world.judge("gate", "report")
        assert len(world.github.comments(NUMBER)) == 1
        assert world.states()[0] == "pending"
        assert world.states()[-1] != "pending"

    def test_a_base_that_moved_since_the_run_changes_nothing(self, world: World) -> None:
        judged = world.merge
        world.move_base()
        assert world.merge != judged
        taken = world.take()
        assert taken.variables["MLGATE_COMMIT"] == judged
        assert findings(world).baseline.source == "store"

    def test_a_later_attempt_takes_what_earlier_ones_left(self, world: World) -> None:
        world.github.state.runs[500].attempt = 2
        world.take(run_attempt=2)
        [gate] = world.judge("gate")
        assert (gate.status, gate.subject.run.attempt) == ("passed", 2)

    def test_a_job_that_failed_and_left_nothing_closes_the_gate(self, world: World) -> None:
        world.take(conclusion="failure")
        found = findings(world)
        assert not found.is_open
        assert found.headline == "job 'mlgate.yml, run 500' failed though its stages passed: see its log, then run it again"

    def test_no_artifact_at_all_closes_the_gate(self, world: World) -> None:
        world.github.state.artifacts.clear()
        world.take(conclusion="failure")
        assert not findings(world).is_open
        world.judge("gate", "report")
        assert world.states()[-1] != "pending"


def test_the_permissions_that_the_workflow_asks_for_are_enough_and_needed(world: World) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/reusable-verdict.yml").read_text())["jobs"]
    tokens = {name: world.github.add_token(f"of-{name}", permissions=job["permissions"]).value for name, job in jobs.items()}
    world.token = tokens["announce"]
    triggering_run.announce(world.second_run())
    world.token = tokens["verdict"]
    world.take()
    _, report = world.judge("gate", "report")
    assert report.status == "passed", report.summary
    assert world.states() == ["pending", "pending", "success"]


class TestStatus:
    def test_is_pending_as_soon_as_the_run_is_there(self, world: World) -> None:
        lines = triggering_run.announce(world.second_run(conclusion=None))
        assert lines == ["status mlgate/digits: pending, trained without secrets; the verdict follows"]
        [status] = world.github.statuses(world.head)
        assert (status.state, status.target_url) == ("pending", "https://github.com/octo/models/actions/runs/900")

    def test_waits_for_the_approval_of_a_newcomers_run(self, world: World) -> None:
        assert world.take(conclusion="action_required").pull_request is None
        [status] = world.github.statuses(world.head)
        assert (status.state, status.description) == ("pending", "a maintainer must approve the run of this pull request")

    def test_never_stays_open_after_the_job(self, world: World) -> None:
        world.take()
        with pytest.raises(InfrastructureError, match="no verdict was reached"):
            triggering_run.close(world.second_run())
        assert world.states() == ["pending", "error"]


class TestDataOutOfReach:
    SUMMARY = "remote 's3' refuses access"

    def test_the_comment_names_command_and_link_for_a_maintainer(self, world: World) -> None:
        world.leave_failure("pull-data", self.SUMMARY, 3)
        world.take(conclusion="failure")
        gate, _ = world.judge("gate", "report")
        command = f"gh workflow run retrain.yml --repo octo/models -f pull-request=7 -f ref={world.head}"
        link = "https://github.com/octo/models/actions/workflows/retrain.yml"
        assert f"a maintainer must dispatch: {command}, or {link}" in gate.summary
        [comment] = world.github.comments(NUMBER)
        assert "a maintainer must dispatch" in comment.body
        assert link in comment.body
        assert world.states()[-1] == "error"

    def test_data_that_is_wrong_is_no_matter_of_secrets(self, world: World) -> None:
        world.leave_failure("pull-data", "no such data", 2)
        world.take(conclusion="failure")
        [gate] = world.judge("gate")
        assert "dispatch" not in gate.summary
