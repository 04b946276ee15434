"""Where a run is: read from the environment and the event as GitHub writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlgate.context import RunContext, from_environment
from mlgate.errors import InputError

TOKEN = "ghs_plantedToken"


def context(tmp_path: Path, event_name: str, event: Any, **more: str) -> RunContext:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))
    fixed = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "123",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_SHA": "m" * 40,
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(path),
    }
    return from_environment({**fixed, **more})


def pull_request(head_repository: str | None = "o/r") -> dict[str, Any]:
    repository = {"full_name": head_repository} if head_repository else None
    head, base = {"sha": "h" * 40, "ref": "feature", "repo": repository}, {"sha": "b" * 40, "ref": "main"}
    return {"pull_request": {"number": 7, "head": head, "base": base}, "repository": {"default_branch": "main"}}


def test_a_laptop_is_local_even_with_a_token_around() -> None:
    assert from_environment({"MLGATE_GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "o/r"}) == RunContext()
    assert not RunContext().is_github
    assert RunContext().run is None


def test_a_pull_request_is_about_its_head_not_its_merge(tmp_path: Path) -> None:
    found = context(tmp_path, "pull_request", pull_request(), GITHUB_REF="refs/pull/7/merge", MLGATE_GITHUB_TOKEN=TOKEN)

    assert (found.pull_request, found.head_sha, found.base_sha, found.base_ref) == (7, "h" * 40, "b" * 40, "main")
    assert (found.is_fork, found.default_branch, found.token) == (False, "main", TOKEN)
    assert found.run_url == "https://github.com/o/r/actions/runs/123"
    assert found.run is not None
    assert (found.run.run_id, found.run.attempt, found.run.event) == (123, 2, "pull_request")


@pytest.mark.parametrize("head_repository", ["stranger/r", None])
def test_a_fork_is_known_also_when_it_was_deleted(tmp_path: Path, head_repository: str | None) -> None:
    assert context(tmp_path, "pull_request", pull_request(head_repository)).is_fork


def test_dependabot_is_treated_as_a_fork_though_its_branch_is_ours(tmp_path: Path) -> None:
    assert context(tmp_path, "pull_request", pull_request(), GITHUB_ACTOR="dependabot[bot]").is_without_secrets
    assert not context(tmp_path, "pull_request", pull_request(), GITHUB_ACTOR="ada").is_without_secrets
    assert not context(tmp_path, "push", {}, GITHUB_ACTOR="dependabot[bot]").is_without_secrets


def workflow_run(**changed: Any) -> dict[str, Any]:
    run = {
        "id": 55,
        "run_attempt": 3,
        "name": "mlgate",
        "path": ".github/workflows/mlgate.yml@refs/heads/main",
        "event": "pull_request",
        "head_sha": "a" * 40,
        "head_branch": "topic",
        "head_repository": {"full_name": "stranger/r"},
        "actor": {"login": "stranger"},
        "conclusion": "success",
        "pull_requests": [],
    }
    return {"workflow_run": {**run, **changed}, "repository": {"default_branch": "main"}}


class TestWorkflowRun:
    """The second workflow of a pull request without secrets: about the run that triggered it, not about itself."""

    def test_is_about_the_run_that_triggered_it(self, tmp_path: Path) -> None:
        found = context(tmp_path, "workflow_run", workflow_run(), GITHUB_REF="refs/heads/main")

        assert found.run is not None
        assert (found.run.run_id, found.run.attempt, found.run.event) == (55, 3, "pull_request")
        assert found.judged_run_url == "https://github.com/o/r/actions/runs/55"
        assert found.run_url == "https://github.com/o/r/actions/runs/123"  # the report is here
        assert (found.head_sha, found.pull_request, found.commit) == ("a" * 40, None, None)
        assert found.triggering is not None
        assert found.triggering.path == ".github/workflows/mlgate.yml"
        assert not found.is_default_branch

    def test_may_publish_though_what_it_judges_had_no_secrets(self, tmp_path: Path) -> None:
        found = context(tmp_path, "workflow_run", workflow_run())

        assert (found.is_fork, found.is_without_secrets) == (False, True)

    @pytest.mark.parametrize(
        ("repository", "actor", "is_without_secrets"),
        [("o/r", "ada", False), ("o/r", "dependabot[bot]", True), ("stranger/r", "ada", True), (None, "ada", True)],
    )
    def test_knows_whose_run_had_no_secrets(self, tmp_path: Path, repository: str | None, actor: str, is_without_secrets: bool) -> None:
        event = workflow_run(head_repository=repository and {"full_name": repository}, actor={"login": actor})

        assert context(tmp_path, "workflow_run", event).is_without_secrets == is_without_secrets

    def test_takes_pull_request_and_commit_from_what_its_first_step_found_out(self, tmp_path: Path) -> None:
        found_out = {"MLGATE_PULL_REQUEST": "7", "MLGATE_COMMIT": "c" * 40, "MLGATE_BASE_SHA": "b" * 40, "MLGATE_BASE_REF": "main"}
        found = context(tmp_path, "workflow_run", workflow_run(), **found_out)

        assert (found.pull_request, found.commit, found.base_sha, found.base_ref) == (7, "c" * 40, "b" * 40, "main")
        assert context(tmp_path, "pull_request", pull_request(), **found_out).commit is None

    @pytest.mark.parametrize("event", [{}, {"workflow_run": None}, workflow_run(head_sha=None), workflow_run(id=None)])
    def test_an_event_without_a_run_is_named(self, tmp_path: Path, event: Any) -> None:
        with pytest.raises(InputError, match=r"expected the run that triggered this one"):
            context(tmp_path, "workflow_run", event)

    @pytest.mark.parametrize("commit", ["main", "--upload-pack=x", "A" * 40, "a" * 39])
    def test_a_commit_is_a_full_sha(self, tmp_path: Path, commit: str) -> None:
        with pytest.raises(InputError, match=r"expected the full SHA of a commit"):
            context(tmp_path, "workflow_run", workflow_run(), MLGATE_COMMIT=commit)
        with pytest.raises(InputError, match=r"workflow_run.head_sha: expected the full SHA of a commit"):
            context(tmp_path, "workflow_run", workflow_run(head_sha=commit))


def test_a_merge_group_has_no_pull_request(tmp_path: Path) -> None:
    event = {"merge_group": {"head_sha": "h" * 40, "base_sha": "b" * 40, "base_ref": "refs/heads/main"}}
    found = context(tmp_path, "merge_group", event)

    assert (found.pull_request, found.head_sha, found.base_sha, found.is_fork) == (None, "h" * 40, "b" * 40, False)


def test_only_a_push_to_the_default_branch_is_one(tmp_path: Path) -> None:
    event = {"repository": {"default_branch": "trunk"}}

    assert context(tmp_path, "push", event, GITHUB_REF="refs/heads/trunk").is_default_branch
    assert not context(tmp_path, "push", event, GITHUB_REF="refs/heads/feature").is_default_branch
    assert not context(tmp_path, "push", event, GITHUB_REF="refs/tags/trunk").is_default_branch
    assert not context(tmp_path, "workflow_dispatch", event, GITHUB_REF="refs/heads/trunk").is_default_branch
    assert not context(tmp_path, "push", {}, GITHUB_REF="refs/heads/main").is_default_branch


def test_a_dispatch_may_name_a_pull_request_and_its_head(tmp_path: Path) -> None:
    found = context(tmp_path, "workflow_dispatch", {}, MLGATE_PULL_REQUEST="9", MLGATE_HEAD_SHA="c" * 40)

    assert (found.pull_request, found.head_sha) == (9, "c" * 40)


@pytest.mark.parametrize("event", [{}, {"pull_request": None}, {"pull_request": "x", "repository": []}, {"merge_group": 3}])
def test_an_event_of_unexpected_shape_gives_what_it_has(tmp_path: Path, event: Any) -> None:
    found = context(tmp_path, "issue_comment", event)

    assert (found.pull_request, found.head_sha, found.base_sha) == (None, "m" * 40, None)


def test_enterprise_servers_are_used_as_given(tmp_path: Path) -> None:
    found = context(tmp_path, "push", {}, GITHUB_SERVER_URL="https://git.example.org", GITHUB_API_URL="https://git.example.org/api/v3")

    assert (found.server_url, found.api_url) == ("https://git.example.org", "https://git.example.org/api/v3")
    assert found.run_url == "https://git.example.org/o/r/actions/runs/123"


@pytest.mark.parametrize(("name", "value"), [("MLGATE_PULL_REQUEST", "seven"), ("GITHUB_RUN_ID", "x"), ("GITHUB_RUN_ATTEMPT", "1.5")])
def test_a_number_that_is_none_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"expected a whole number, got '{value}'"):
        context(tmp_path, "push", {}, **{name: value})


def test_an_event_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"GITHUB_EVENT_PATH: the event file cannot be read"):
        context(tmp_path, "push", {}, GITHUB_EVENT_PATH=str(tmp_path / "absent"))
    (tmp_path / "broken").write_text("{")
    with pytest.raises(InputError, match=r"GITHUB_EVENT_PATH: the event file cannot be read"):
        context(tmp_path, "push", {}, GITHUB_EVENT_PATH=str(tmp_path / "broken"))
    with pytest.raises(InputError, match=r"expected a JSON object"):
        context(tmp_path, "push", [1])


def test_the_token_is_in_no_representation(tmp_path: Path) -> None:
    found = context(tmp_path, "pull_request", pull_request(), MLGATE_GITHUB_TOKEN=TOKEN)

    assert TOKEN not in repr(found)
    assert TOKEN not in str(found)
    assert found.run is not None
    assert TOKEN not in found.run.model_dump_json()


def test_the_patience_with_github_is_a_number_of_seconds(tmp_path: Path) -> None:
    assert context(tmp_path, "push", {}).github_patience_s == 90
    assert context(tmp_path, "push", {}, MLGATE_GITHUB_PATIENCE_S="2.5").github_patience_s == 2.5
    for wrong in ("long", "-1", "nan", "inf"):
        with pytest.raises(InputError, match=f"MLGATE_GITHUB_PATIENCE_S: expected seconds as a number from 0, got '{wrong}'"):
            context(tmp_path, "push", {}, MLGATE_GITHUB_PATIENCE_S=wrong)
