"""The commit status, the head of a pull request, and what the run of another commit left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.forge.client import Forge

if TYPE_CHECKING:
    from github_stand_in import StandIn

HEAD, BASE = "a" * 40, "b" * 40


def forge(github: StandIn, token: str | None = None, **options: Any) -> Forge:
    context = RunContext(event="pull_request", repository="octo/models", run_id=5, api_url=github.url, token=token or github.token)
    return Forge(context, **{"sleep": lambda _: None, **options})


def test_a_status_is_set(github: StandIn) -> None:
    forge(github).set_status(HEAD, "failure", "mlgate/digits", "worse: accuracy", "https://github.com/octo/models/actions/runs/5")
    [status] = github.statuses(HEAD)
    assert (status.state, status.context, status.description) == ("failure", "mlgate/digits", "worse: accuracy")
    assert status.target_url == "https://github.com/octo/models/actions/runs/5"
    assert len(github.requests) == 1


def test_a_long_description_is_cut_to_what_github_takes(github: StandIn) -> None:
    forge(github).set_status(HEAD, "success", "mlgate/digits", "é" * 141)
    assert github.statuses(HEAD)[0].description == "é" * 139 + "…"


def test_a_status_on_something_that_is_no_commit_is_wrong_input(github: StandIn) -> None:
    with pytest.raises(InputError, match=r"/statuses/main answered 422 \(No commit found for SHA: main\)"):
        forge(github).set_status("main", "success", "mlgate/digits", "x")


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        ("statuses: write", lambda forge: forge.set_status(HEAD, "success", "mlgate/digits", "x")),
        ("actions: read", lambda forge: forge.find_run_artifact(BASE, "digits")),
        ("pull-requests: read", lambda forge: forge.pull_request_head(7)),
        ("pull-requests: write", lambda forge: forge.publish_comment(7, "digits", "x")),
    ],
)
def test_a_missing_permission_is_named(github: StandIn, permission: str, call: Any) -> None:
    github.add_pull_request(7, head_sha=HEAD)
    token = github.add_token("ghs_little", permissions={"contents": "read"}).value
    with pytest.raises(InfrastructureError, match=f"It needs '{permission}': add it to 'permissions:' of the job"):
        call(forge(github, token))
    assert len(github.requests) == 1


def test_a_fork_is_told_that_its_token_is_read_only(github: StandIn) -> None:
    token = github.add_token("ghs_fork", permissions={"statuses": "read"}).value
    context = RunContext(repository="octo/models", api_url=github.url, token=token, is_fork=True)
    with pytest.raises(InfrastructureError, match="a pull request from a fork has a read-only token"):
        Forge(context).set_status(HEAD, "success", "mlgate/digits", "x")


def test_the_newest_commit_of_a_pull_request_is_told(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=HEAD)
    assert forge(github).pull_request_head(7) == HEAD
    github.add_pull_request(7, head_sha=BASE)
    assert forge(github).pull_request_head(7) == BASE


def test_the_newest_artifact_of_the_commit_is_downloaded_without_the_token(github: StandIn, tmp_path: Any) -> None:
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"evidence/evaluate.json": b"older run"})
    run = github.add_run(BASE, attempt=2)
    for attempt in (1, 2):
        github.add_run_artifact(BASE, f"mlgate-digits-train-{attempt}", {"evidence/evaluate.json": b"attempt %d" % attempt}, run=run)
    github.add_run_artifact(BASE, "mlgate-other-train-1", {"x": b"other model"}, run=run)
    github.add_run_artifact(HEAD, "mlgate-digits-train-3", {"x": b"other commit"})
    found = forge(github).find_run_artifact(BASE, "digits")
    assert found is not None
    assert (found.name, found.run_id, found.commit) == ("mlgate-digits-train-2", run.id, BASE)
    assert [path.read_bytes() for path in found.unpack(tmp_path)] == [b"attempt 2"]
    assert github.storage_refusals == []


def test_none_is_found_where_there_is_none_or_it_has_expired(github: StandIn) -> None:
    github.add_run_artifact(HEAD, "mlgate-digits-train-1", {"x": b""})
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b""}, is_expired=True)
    assert forge(github).find_run_artifact(BASE, "digits") is None


def test_one_that_is_deleted_while_it_is_fetched_does_not_count(github: StandIn) -> None:
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b""})
    github.fail("GET", "/zip$", status=410, message="Artifact has expired")
    assert forge(github).find_run_artifact(BASE, "digits") is None


@pytest.mark.parametrize("event", ["pull_request", "workflow_dispatch"])
def test_a_run_that_may_have_trained_otherwise_is_no_baseline(github: StandIn, event: str) -> None:
    run = github.add_run(BASE, event=event)
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b"other parameters"}, run=run)
    assert forge(github).find_run_artifact(BASE, "digits") is None


def test_what_a_forks_run_left_is_never_taken(github: StandIn) -> None:
    run = github.add_run(BASE, event="push", head_repository="mallory/models")
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b"forged"}, run=run)
    assert forge(github).find_run_artifact(BASE, "digits") is None


def test_it_is_found_behind_many_runs_and_artifacts(github: StandIn) -> None:
    run = github.add_run(BASE)
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b"found"}, run=run)
    for number in range(130):
        github.add_run_artifact(BASE, f"other-{number}", b"PK", run=run)
    for _ in range(20):
        github.add_run(BASE)
    found = forge(github).find_run_artifact(BASE, "digits")
    assert found is not None
    assert found.run_id == run.id


def test_one_that_is_too_large_is_refused(github: StandIn) -> None:
    artifact = github.add_run_artifact(BASE, "mlgate-digits-train-1", b"x" * 3_000_000)
    with pytest.raises(InputError, match=f"artifact 'mlgate-digits-train-1' of run {artifact.run_id}: larger than 1,000,000 bytes"):
        forge(github).find_run_artifact(BASE, "digits", max_bytes=1_000_000)


def test_one_that_is_larger_than_github_says_is_refused_too(github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    github.add_run_artifact(BASE, "mlgate-digits-train-1", b"x" * 3_000_000)
    described = github.answers.artifact
    monkeypatch.setattr(github.answers, "artifact", lambda artifact: {**described(artifact), "size_in_bytes": 5})
    with pytest.raises(InputError, match="larger than 1,000,000 bytes"):
        forge(github).find_run_artifact(BASE, "digits", max_bytes=1_000_000)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 403}, {}])
def test_a_download_that_fails_is_repeated_from_a_fresh_link(github: StandIn, fault: dict[str, Any]) -> None:
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b"found"})
    github.fail("GET", "^/storage/", **fault)
    assert forge(github).find_run_artifact(BASE, "digits") is not None
    assert [exchange.status for exchange in github.requests if exchange.path.endswith("/zip")] == [302, 302]
