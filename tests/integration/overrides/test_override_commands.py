"""`/mlgate override …` in a comment: who may, what is recorded, what is answered, and what nobody can talk it into."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.overrides.pull_requests import NUMBER, Project, moment
from mlgate.errors import InfrastructureError, InputError
from support import commit_files, git

if TYPE_CHECKING:
    from github_stand_in import StandIn


@pytest.fixture
def pull(tmp_path: Path, github: StandIn) -> Project:
    return Project.make(tmp_path, github)


class TestSomebodyWhoMay:
    def test_opens_the_gate_for_this_commit_with_who_when_and_why(self, pull: Project) -> None:
        head = pull.closed()
        assert pull.judged().exit_code == 1
        handled = pull.say("/mlgate override the new limit was agreed on with the ward")
        assert handled.outcome == "overridden"
        evidence = pull.judged()
        override = evidence.findings.override
        assert (evidence.exit_code, evidence.findings.is_open) == (0, True)
        assert (override.by, override.permission, override.head_sha) == ("ada", "maintain", head)
        assert override.reason == "the new limit was agreed on with the ward"
        assert evidence.summary.startswith("gate open, overridden by ada (maintain), 20")
        assert "this change weakens 1 rule" in evidence.findings.headline, "what was overridden is still told"

    def test_has_it_recorded_in_the_store(self, pull: Project) -> None:
        head = pull.closed()
        pull.say("/mlgate override agreed")
        record = pull.record(head)
        [comment] = [comment for comment in pull.github.comments(NUMBER) if comment.login == "ada"]
        assert {key: record[key] for key in ("model", "head_sha", "pull_request", "by", "permission", "reason", "comment_id")} == {
            "model": "digits",
            "head_sha": head,
            "pull_request": NUMBER,
            "by": "ada",
            "permission": "maintain",
            "reason": "agreed",
            "comment_id": comment.id,
        }
        assert moment(record["at"]).tzinfo is not None
        assert record["comment_url"].endswith(f"#issuecomment-{comment.id}")

    def test_has_the_failed_jobs_of_that_run_started_again(self, pull: Project) -> None:
        pull.closed(run_id=5)
        pull.github.add_run("f" * 40, run_id=6, event="pull_request").conclusion = "failure"
        pull.say("/mlgate override agreed")
        assert {run.id: run.reruns for run in pull.github.state.runs.values()} == {5: ["failed"], 6: []}
        assert "is started again" in pull.replies[0]
        assert pull.reactions() == ["+1"]

    def test_gets_a_rule_that_failed_overridden_too(self, pull: Project) -> None:
        pull.closed({"train.py": "worse\n"})
        assert pull.judged(800).exit_code == 1
        pull.say("/mlgate override a hot fix")
        evidence = pull.judged(800)
        assert (evidence.exit_code, evidence.findings.verdict) == (0, "worse")

    @pytest.mark.parametrize(("role", "wanted"), [("admin", "maintain"), ("write", "write"), ("admin", "admin")])
    def test_is_whoever_has_the_role_or_a_higher_one(self, tmp_path: Path, github: StandIn, role: str, wanted: str) -> None:
        from integration.gate.gate_runs import CONFIG

        pull = Project.make(tmp_path, github, CONFIG + f"  override: {{permission: {wanted}}}\n")
        pull.closed()
        assert pull.say("/mlgate override agreed", role=role).outcome == "overridden"
        assert pull.judged().exit_code == 0

    def test_may_have_a_role_of_the_organisations_own(self, pull: Project) -> None:
        pull.github.state.custom_roles["release manager"] = "admin"
        pull.closed()
        assert pull.say("/mlgate override agreed", role="release manager").outcome == "overridden"

    def test_can_name_the_model(self, pull: Project) -> None:
        pull.closed()
        assert pull.say("/mlgate override --model digits agreed").outcome == "overridden"
        assert pull.judged().findings.override.reason == "agreed"

    def test_may_write_a_reason_of_many_lines(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override first\r\n\r\n- second")
        assert pull.judged().findings.override.reason == "first\n\n- second"

    def test_is_told_where_github_does_not_run_it_again(self, pull: Project) -> None:
        head = pull.closed(run_id=5)
        pull.github.state.runs[5].cannot_rerun = "Unable to re-run this workflow run because it was created over a month ago"
        assert pull.say("/mlgate override agreed").outcome == "overridden"
        assert "could not be started again (Unable to re-run this workflow run because it was created over a month ago)" in pull.replies[0]
        assert pull.record(head) is not None

    def test_does_not_wait_for_ever_for_a_run_that_has_not_ended(self, pull: Project) -> None:
        pull.closed(run_id=5)
        pull.github.state.runs[5].status, pull.github.state.runs[5].conclusion = "in_progress", None
        assert pull.say("/mlgate override agreed").outcome == "overridden"
        assert "has not ended" in pull.replies[0]
        assert pull.github.state.runs[5].reruns == []

    def test_has_all_run_again_where_another_workflow_gave_the_verdict(self, pull: Project) -> None:
        """Of a fork: the run that left the evidence had no failed job."""
        pull.closed(run_id=5)
        pull.github.state.runs[5].conclusion = "success"
        pull.say("/mlgate override agreed")
        assert pull.github.state.runs[5].reruns == ["all"]

    def test_is_answered_once_however_often_the_workflow_runs(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override agreed")
        [comment] = [comment for comment in pull.github.comments(NUMBER) if comment.login == "ada"]
        pull.handle(comment.id, comment.body)
        assert len(pull.replies) == 1

    def test_works_where_no_report_is_posted(self, tmp_path: Path, github: StandIn) -> None:
        from integration.gate.gate_runs import CONFIG

        pull = Project.make(tmp_path, github, CONFIG + "report: {comment: false, status: false}\n")
        head = pull.push({"train.py": "worse\n"})
        older, newer, other = (github.add_run(head, event="pull_request") for _ in range(3))
        older.conclusion = newer.conclusion = other.conclusion = "failure"
        other.path = ".github/workflows/tests.yml"
        pull.say("/mlgate override agreed")
        assert [run.reruns for run in (older, newer, other)] == [[], ["failed"], []]


class TestSeveralModels:
    @pytest.fixture
    def head(self, pull: Project) -> str:
        """Of a pull request that closes two gates of three."""
        git(pull.root, "checkout", "--quiet", "main")
        others = {f"{name}/mlgate.yaml": pull.config.replace("model: digits", f"model: {name}") for name in ("zip", "cars")}
        commit_files(pull.root, {**others, "broken/mlgate.yaml": "no: model\n"}, "more models")
        git(pull.root, "checkout", "--quiet", "feature")
        head = pull.closed({"train.py": "worse\n"})
        for name, state in (("zip", "failure"), ("cars", "success")):
            pull.github.add_comments(NUMBER, body=f"<!-- mlgate:{name} run=5 attempt=1 commit={head} -->\n", login="github-actions[bot]")
            pull.status(head, state, name)
        return head

    def test_all_that_are_closed_are_overridden_and_the_run_is_started_once(self, pull: Project, head: str) -> None:
        pull.say("/mlgate override agreed")
        assert "for **digits**, **zip** at" in pull.replies[0]
        assert [pull.record(head, name) is not None for name in ("digits", "zip", "cars")] == [True, True, False]
        assert pull.github.state.runs[5].reruns == ["failed"]

    def test_or_the_one_that_is_named(self, pull: Project, head: str) -> None:
        pull.say("/mlgate override --model zip agreed")
        assert [pull.record(head, name) is not None for name in ("digits", "zip", "cars")] == [False, True, False]


class TestWhatItHoldsFor:
    def test_a_new_push_is_judged_anew(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override agreed")
        assert pull.judged().exit_code == 0
        pull.push({"train.py": "one more\n"})
        assert pull.judged().exit_code == 1

    def test_a_push_after_the_comment_does_not_profit_from_it(self, pull: Project) -> None:
        pull.closed()
        [comment] = pull.github.add_comments(NUMBER, body="/mlgate override agreed", login="ada")
        pull.github.state.collaborators["ada"] = "admin"
        head = pull.closed({"train.py": "what nobody has looked at\n"}, run_id=6)
        assert pull.handle(comment.id, comment.body).outcome == "refused"
        assert pull.record(head) is None
        assert "was pushed after you wrote this" in pull.replies[0]

    def test_the_merge_of_an_overridden_pull_request_passes_on_the_default_branch(self, pull: Project) -> None:
        pull.closed({"train.py": "worse\n"})
        pull.say("/mlgate override a hot fix")
        git(pull.root, "checkout", "--quiet", "main")
        git(pull.root, "merge", "--quiet", "--no-ff", "-m", "Merge", "feature")
        evidence = pull.judged(800, event="push", ref="refs/heads/main")
        assert (evidence.exit_code, evidence.findings.override.by) == (0, "ada")

    def test_the_squash_of_an_overridden_pull_request_passes_too(self, pull: Project) -> None:
        pull.closed({"train.py": "worse\n"})
        pull.say("/mlgate override a hot fix")
        git(pull.root, "checkout", "--quiet", "main")
        squashed = commit_files(pull.root, {"train.py": "worse\n"}, "squashed (#7)")
        pull.github.state.pull_requests[NUMBER].merge_commit_sha = squashed
        evidence = pull.judged(800, event="push", ref="refs/heads/main")
        assert evidence.findings.override is not None

    def test_a_merge_queue_knows_it(self, pull: Project) -> None:
        from dataclasses import replace

        from integration.gate.gate_runs import classified, evaluated, labels
        from mlgate import stages

        pull.closed({"train.py": "worse\n"})
        pull.say("/mlgate override a hot fix")
        base = git(pull.root, "rev-parse", "main")
        git(pull.root, "checkout", "--quiet", "-b", "gh-readonly-queue/main/pr-7", "main")
        git(pull.root, "merge", "--quiet", "--no-ff", "-m", "Queue", "feature")
        workspace = pull.workspace(event="merge_group", ref=f"refs/heads/gh-readonly-queue/main/pr-7-{base}")
        workspace = replace(workspace, context=replace(workspace.context, base_sha=base))
        evaluated(workspace, classified(*labels(800)))
        assert stages.run("gate", workspace).findings.override is not None


class TestSomebodyWhoMayNot:
    @pytest.mark.parametrize("role", ["write", "triage", "read", None])
    def test_is_told_who_may(self, pull: Project, role: str | None) -> None:
        head = pull.closed()
        assert pull.say("/mlgate override please", login="eve", role=role).outcome == "refused"
        [reply] = pull.replies
        assert "you may not override the gate: it takes the role **maintain** or **admin**" in reply
        assert (f"your role is **{role}**" if role else "you have none on this repository") in reply
        assert pull.reactions() == ["-1"]
        assert pull.record(head) is None
        assert pull.github.state.runs[5].reruns == []

    def test_cannot_write_the_record_by_hand(self, pull: Project) -> None:
        """Whoever may push can push to the store, too."""
        head = pull.closed()
        pull.say("/mlgate override agreed")
        pull.write_record(head, by="mallory", comment_id=1)
        evidence = pull.judged()
        assert evidence.exit_code == 1
        assert (
            evidence.summary.splitlines()[1]
            == f"an override is recorded for {head[:12]} and does not count: the comment that gave it is gone"
        )

    def test_cannot_use_anothers_comment(self, pull: Project) -> None:
        head = pull.closed()
        [comment] = pull.github.add_comments(NUMBER, body="I would never say /mlgate override x", login="ada")
        pull.say("/mlgate override agreed", login="grace")
        for changes in ({"comment_id": comment.id, "by": "ada"}, {"by": "ada"}, {"reason": "another"}):
            kept = pull.record(head)
            pull.write_record(head, **changes)
            assert "does not say so, or not any more" in pull.judged().summary
            pull.write_record(head, **kept)
        assert pull.judged().exit_code == 0

    def test_cannot_edit_anothers_comment_into_a_command(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override agreed")
        [comment] = [comment for comment in pull.github.comments(NUMBER) if comment.login == "ada"]
        comment.is_edited = True
        assert "does not say so, or not any more" in pull.judged().summary

    def test_loses_it_with_the_role(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override agreed")
        pull.github.state.collaborators["ada"] = "write"
        assert "ada has the role 'write' on the repository; 'maintain' is needed" in pull.judged().summary

    def test_cannot_lower_what_it_takes_by_the_pull_request_itself(self, pull: Project) -> None:
        head = pull.closed({"mlgate.yaml": pull.config.replace("  rules:", "  override: {permission: write}\n  rules:")})
        assert pull.say("/mlgate override please", login="eve", role="write").outcome == "refused"
        pull.say("/mlgate override agreed", login="ada")
        pull.github.state.collaborators["ada"] = "write"
        assert "'maintain' is needed" in pull.judged().summary
        assert "gate.override.permission maintain → write" in pull.judged().findings.headline
        assert pull.record(head) is not None

    def test_cannot_take_the_record_of_another_commit(self, pull: Project) -> None:
        head = pull.closed()
        pull.say("/mlgate override agreed")
        record = pull.record(head)
        later = pull.push({"train.py": "what nobody has looked at\n"})
        pull.write_record(later, **record)
        assert f"it was given for {head[:12]} of digits" in pull.judged().summary

    def test_cannot_break_the_gate_by_a_damaged_record(self, pull: Project) -> None:
        head = pull.closed()
        pull.write_record(head, reason="x" * 5000)
        evidence = pull.judged()
        assert (evidence.exit_code, evidence.findings.override) == (1, None)
        assert "not a record this version reads" in evidence.summary


class TestWhatNoOverrideOpens:
    def test_a_run_that_ended_in_an_error(self, pull: Project) -> None:
        pull.closed(state="error")
        assert pull.say("/mlgate override please").outcome == "refused"
        assert "no override opens that" in pull.replies[0]

    def test_what_failed_before_the_gate(self, pull: Project) -> None:
        from integration.gate.gate_runs import leave
        from mlgate import stages

        pull.closed()
        pull.say("/mlgate override please")
        workspace = pull.workspace()
        workspace.empty_state()
        leave(workspace, "validate-data", None, status="failed", summary="data/train.csv breaks its contract")
        evidence = stages.run("gate", workspace)
        assert (evidence.exit_code, evidence.findings.is_open) == (1, False)

    def test_missing_evidence(self, pull: Project) -> None:
        from mlgate import stages

        pull.closed()
        pull.say("/mlgate override please")
        workspace = pull.workspace()
        workspace.empty_state()
        assert stages.run("gate", workspace).exit_code == 2


class TestWhatIsAnswered:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("/mlgate overide x", "there is no command 'overide'; did you mean 'override'?"),
            ("/mlgate merge", "there is no command 'merge'"),
            ("/mlgate override", "an override needs a reason"),
            ("/mlgate override ...", "an override needs a reason"),
            ("/mlgate override --modle digits x", "there is no option '--modle'; did you mean '--model'?"),
            ("/mlgate override --model digits", "an override needs a reason"),
            ("/mlgate override " + "x" * 1001, "the reason has 1,001 characters; at most 1,000"),
        ],
    )
    def test_a_command_that_is_not_understood(self, pull: Project, body: str, said: str) -> None:
        head = pull.closed()
        assert pull.say(body).outcome == "refused"
        assert said in pull.replies[0]
        assert "`/mlgate override [--model NAME] REASON`" in pull.replies[0]
        assert pull.reactions() == ["confused"]
        assert pull.record(head) is None

    @pytest.mark.parametrize("body", ["/mlgate", "/mlgate help", "  /mlgate help\n"])
    def test_a_question(self, pull: Project, body: str) -> None:
        pull.closed()
        assert pull.say(body, role=None).outcome == "helped"
        assert "`/mlgate override [--model NAME] REASON`" in pull.replies[0]

    def test_another_model(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override --model digit agreed")
        assert "There is no model 'digit' on the default branch; did you mean 'digits'?" in pull.replies[0]

    def test_a_closed_pull_request(self, pull: Project) -> None:
        pull.closed()
        pull.github.state.pull_requests[NUMBER].state = "closed"
        pull.say("/mlgate override please")
        assert "This pull request is closed" in pull.replies[0]

    def test_an_open_gate(self, pull: Project) -> None:
        pull.closed(state="success")
        pull.say("/mlgate override please")
        assert "No gate of mlgate is closed at" in pull.replies[0]

    def test_a_commit_without_a_verdict(self, pull: Project) -> None:
        head = pull.push({"train.py": "x\n"})
        pull.say("/mlgate override please")
        assert "wait for the verdict" in pull.replies[0]
        assert pull.record(head) is None

    def test_hostile_text_comes_back_as_text(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate <img/src=x> @everyone")
        assert "<img" not in pull.replies[0]
        assert "@everyone" not in pull.replies[0].replace("`@everyone`", "")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("/mlgate override " + "A" * 10_000_000, "the reason has 10,000,000 characters; at most 1,000"),
            ("/mlgate override --model " + "A" * 10_000_000 + " x", "the name of the model has 10,000,000 characters; at most 100"),
            ("/mlgate override --" + "A" * 10_000_000, "there is no option `'--" + "A" * 38 + "'"),
            ("/mlgate " + "A" * 10_000_000, "there is no command `'" + "A" * 40 + "'"),
            ("/mlgate override " + "\u200b\n" * 5_000_000, "an override needs a reason"),
        ],
        ids=["reason", "model", "option", "command", "nothing to see"],
    )
    def test_ten_megabytes_are_answered_in_a_sentence(self, pull: Project, body: str, said: str) -> None:
        pull.closed()
        started = time.monotonic()
        assert pull.say(body).outcome == "refused"
        assert time.monotonic() - started < 10
        [reply] = pull.replies
        assert said in reply
        assert len(reply) < 1_000


class TestWhatIsIgnored:
    @pytest.mark.parametrize(
        "body", ["looks good", "see /mlgate override x", "> /mlgate override x", "/mlgateoverride x", "/mlgate-override x", ""]
    )
    def test_a_comment_that_does_not_begin_with_the_command(self, pull: Project, body: str) -> None:
        pull.closed()
        assert pull.say(body).outcome == "ignored"
        assert pull.replies == []

    def test_a_comment_that_was_edited(self, pull: Project) -> None:
        pull.closed()
        assert pull.say("/mlgate override x", action="edited").outcome == "ignored"
        assert pull.replies == []

    def test_a_bot(self, pull: Project) -> None:
        pull.closed()
        assert pull.say("/mlgate override x", login="helper[bot]", role=None).outcome == "ignored"
        assert pull.replies == []

    def test_a_comment_on_an_issue(self, pull: Project) -> None:
        pull.closed()
        asked = len(pull.github.requests)
        assert pull.say("/mlgate override x", issue={"number": NUMBER, "state": "open"}).outcome == "ignored"
        assert len(pull.github.requests) == asked, "not even asked about"

    def test_a_comment_that_changed_before_it_was_read(self, pull: Project) -> None:
        pull.closed()
        [comment] = pull.github.add_comments(NUMBER, body="/mlgate override something else", login="ada")
        assert pull.handle(comment.id, "/mlgate override x").outcome == "refused"
        assert "changed or deleted" in pull.replies[0]


class TestWhatGoesWrong:
    def test_a_token_that_may_not_ask_names_the_permission(self, pull: Project) -> None:
        pull.closed()
        pull.github.add_token(pull.github.token, permissions={"contents": "write", "pull-requests": "write", "actions": "write"})
        with pytest.raises(InfrastructureError, match="statuses: read"):
            pull.say("/mlgate override x")

    def test_a_run_again_that_may_have_started_is_not_started_twice(self, pull: Project) -> None:
        pull.closed(run_id=5)
        pull.github.fail("POST", r"/rerun-failed-jobs$", is_late=True, status=502)
        pull.say("/mlgate override x")
        assert pull.github.state.runs[5].reruns == ["failed"]

    def test_a_run_again_that_github_cannot_start_is_left_to_a_person(self, pull: Project) -> None:
        head = pull.closed(run_id=5)
        pull.github.fail("POST", r"/rerun-failed-jobs$", status=500, times=9)
        assert pull.say("/mlgate override x").outcome == "overridden"
        assert "could not be started again" in pull.replies[0]
        assert pull.record(head) is not None

    def test_github_that_cannot_be_asked_keeps_the_gate_closed(self, pull: Project) -> None:
        pull.closed()
        pull.say("/mlgate override x")
        pull.github.fail("GET", r"/issues/comments/\d+$", status=500, times=9)
        evidence = pull.judged()
        assert (evidence.exit_code, evidence.status) == (3, "error")

    def test_a_run_for_another_event_says_so(self, pull: Project) -> None:
        from mlgate import context
        from mlgate.stages.decision import slash_command

        with pytest.raises(InputError, match="expected issue_comment, got 'push'"):
            slash_command.run(pull.root, "mlgate.yaml", context.RunContext(event="push"), {})

    def test_an_event_file_that_is_none_says_so(self, pull: Project, tmp_path: Path) -> None:
        from mlgate import context
        from mlgate.stages.decision import slash_command

        (tmp_path / "event.json").write_text("[]")
        run = context.RunContext(event="issue_comment")
        for path, said in ((tmp_path / "event.json", "not the event of a comment"), (tmp_path / "none.json", "cannot be read")):
            with pytest.raises(InputError, match=said):
                slash_command.run(pull.root, "mlgate.yaml", run, {"GITHUB_EVENT_PATH": str(path)})
