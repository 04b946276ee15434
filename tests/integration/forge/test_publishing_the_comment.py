"""The one comment of a model: found again, edited in place, never another's, never over a newer run's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.forge.client import MAX_COMMENT, Forge

if TYPE_CHECKING:
    from github_stand_in import StandIn

HEAD = "a" * 40
BOT = "github-actions[bot]"


def forge(github: StandIn, *, run_id: int = 100, attempt: int = 1, token: str | None = None, **options: Any) -> Forge:
    context = RunContext(
        event="pull_request",
        repository="octo/models",
        run_id=run_id,
        attempt=attempt,
        pull_request=7,
        head_sha=HEAD,
        api_url=github.url,
        token=token or github.token,
    )
    return Forge(context, **{"sleep": lambda _: None, **options})


@pytest.fixture(autouse=True)
def _pull_request(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=HEAD)


def requested(github: StandIn) -> list[str]:
    return [f"{exchange.method} {exchange.path.removeprefix('/repos/octo/models')}" for exchange in github.requests]


def test_the_first_run_creates_it(github: StandIn) -> None:
    published = forge(github).publish_comment(7, "digits", "# merge\nfine")
    [comment] = github.comments(7)
    assert published.action == "created"
    assert published.url == f"https://github.com/octo/models/pull/7#issuecomment-{comment.id}"
    assert comment.body == f"<!-- mlgate:digits run=100 attempt=1 commit={HEAD} -->\n# merge\nfine"


def test_the_next_run_edits_it_in_place(github: StandIn) -> None:
    first = forge(github).publish_comment(7, "digits", "first")
    second = forge(github, run_id=101).publish_comment(7, "digits", "second")
    assert (second.action, second.url) == ("updated", first.url)
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == ["second"]


def test_among_many_other_comments_and_pasted_markers_it_is_still_the_one_that_is_edited(github: StandIn) -> None:
    github.add_comments(7, 120)
    github.add_comments(7, 30, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\nlooks like it", login="mallory")
    github.add_comments(7, 1, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\nlooks like it", login="other-app[bot]")
    before = [comment.body for comment in github.comments(7)]
    assert forge(github).publish_comment(7, "digits", "first").action == "created"
    github.add_comments(7, 60)
    github.requests.clear()
    assert forge(github, run_id=101).publish_comment(7, "digits", "second").action == "updated"
    assert [comment.body for comment in github.comments(7)][:151] == before
    assert [comment.body.splitlines()[1] for comment in github.comments(7, BOT)] == ["second"]
    pages = ["GET /issues/7/comments"] * 3
    whose = ["GET /user", "POST /graphql"]
    assert requested(github) == ["GET /pulls/7", *pages, *whose, f"PATCH /issues/comments/{github.comments(7, BOT)[0].id}"]


def test_a_pasted_marker_of_a_far_newer_run_does_not_keep_the_comment_from_being_edited(github: StandIn) -> None:
    forge(github).publish_comment(7, "digits", "first")
    github.add_comments(7, 1, body="<!-- mlgate:digits run=999999 attempt=1 commit= -->\nnothing to see", login="mallory")
    assert forge(github, run_id=101).publish_comment(7, "digits", "second").action == "updated"


@pytest.mark.parametrize(("run_id", "attempt"), [(99, 1), (99, 5), (100, 1)])
def test_an_older_run_keeps_the_newer_comment(github: StandIn, run_id: int, attempt: int) -> None:
    newer = forge(github, run_id=100, attempt=2).publish_comment(7, "digits", "newer")
    older = forge(github, run_id=run_id, attempt=attempt).publish_comment(7, "digits", "older")
    assert (older.action, older.url) == ("kept", newer.url)
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == ["newer"]


def test_a_second_attempt_of_the_same_run_edits(github: StandIn) -> None:
    forge(github, attempt=1).publish_comment(7, "digits", "first")
    assert forge(github, attempt=2).publish_comment(7, "digits", "second").action == "updated"


def test_each_model_has_its_own(github: StandIn) -> None:
    for model in ("digits", "digits-2"):
        assert forge(github).publish_comment(7, model, model).action == "created"
    assert forge(github, run_id=101).publish_comment(7, "digits", "again").action == "updated"
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == ["again", "digits-2"]


def test_comments_that_two_racing_runs_left_become_one(github: StandIn) -> None:
    for run_id in (98, 99):
        github.add_comments(7, 1, body=f"<!-- mlgate:digits run={run_id} attempt=1 commit= -->\n{run_id}", login=BOT)
    assert forge(github).publish_comment(7, "digits", "one").action == "updated"
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == ["one"]


@pytest.mark.parametrize(("other", "action", "left"), [(99, "created", "ours"), (101, "kept", "theirs")])
def test_a_run_that_creates_at_the_same_moment_leaves_the_newer_comment(
    github: StandIn, monkeypatch: pytest.MonkeyPatch, other: int, action: str, left: str
) -> None:
    create = github.state.add_comment

    def create_after_the_other(pull_request: int, login: str, body: str) -> Any:
        create(pull_request, login, f"<!-- mlgate:digits run={other} attempt=1 commit={HEAD} -->\ntheirs")
        return create(pull_request, login, body)

    monkeypatch.setattr(github.state, "add_comment", create_after_the_other)
    assert forge(github, run_id=100).publish_comment(7, "digits", "ours").action == action
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == [left]


def test_a_comment_that_was_deleted_meanwhile_is_created_anew(github: StandIn) -> None:
    forge(github).publish_comment(7, "digits", "first")
    github.fail("PATCH", status=404, message="Not Found")
    assert forge(github, run_id=101).publish_comment(7, "digits", "second").action == "created"


@pytest.mark.parametrize("login", ["ada", "own[bot]"])
def test_a_token_of_a_person_or_of_an_app_edits_its_own_comment_in_place(github: StandIn, login: str) -> None:
    token = github.add_token("ghs_own", login=login).value
    created = forge(github, token=token, run_id=100).publish_comment(7, "digits", "100")
    edited = forge(github, token=token, run_id=101).publish_comment(7, "digits", "101")
    assert (edited.action, edited.url) == ("updated", created.url)
    assert [(comment.login, comment.body.splitlines()[1]) for comment in github.comments(7)] == [(login, "101")]


@pytest.mark.parametrize("login", ["ada", "own[bot]"])
def test_after_a_change_from_githubs_token_to_ones_own_there_is_still_one_comment(github: StandIn, login: str) -> None:
    forge(github, run_id=100).publish_comment(7, "digits", "by GITHUB_TOKEN")
    token = github.add_token("ghs_own", login=login).value
    assert forge(github, token=token, run_id=101).publish_comment(7, "digits", "by another").action == "updated"
    assert [(comment.login, comment.body.splitlines()[1]) for comment in github.comments(7)] == [(BOT, "by another")]


@pytest.mark.parametrize("login", ["ada", "own[bot]", BOT])
def test_a_marker_that_another_pasted_is_left_alone_whoever_we_are(github: StandIn, login: str) -> None:
    token = github.add_token("ghs_own", login=login).value
    pasted = f"<!-- mlgate:digits run=999999 attempt=1 commit={HEAD} -->\n# may be merged"
    for other in ("mallory", "other[bot]"):
        github.add_comments(7, 1, body=pasted, login=other)
    for run_id in (100, 101):
        forge(github, token=token, run_id=run_id).publish_comment(7, "digits", str(run_id))
    assert [comment.body for comment in github.comments(7) if comment.login != login] == [pasted, pasted]
    assert [comment.body.splitlines()[1] for comment in github.comments(7, login)] == ["101"]


@pytest.mark.parametrize("fault", [{"status": 403, "message": "Forbidden"}, {"status": 404, "message": "Not Found"}])
def test_where_nobody_says_whose_the_token_is_it_is_taken_for_githubs(github: StandIn, fault: dict[str, Any]) -> None:
    github.add_comments(7, 1, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\npasted", login="mallory")
    forge(github).publish_comment(7, "digits", "first")
    github.fail("POST", "/graphql$", **fault)
    assert forge(github, run_id=101).publish_comment(7, "digits", "second").action == "updated"
    assert [comment.body.splitlines()[1] for comment in github.comments(7)] == ["pasted", "second"]


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 500}, {"status": 200, "is_html": True}, {}])
@pytest.mark.parametrize("is_late", [True, False])
def test_an_answer_that_got_lost_never_makes_a_second_comment(github: StandIn, fault: dict[str, Any], is_late: bool) -> None:
    github.fail("POST", "/comments$", is_late=is_late, **fault)
    assert forge(github).publish_comment(7, "digits", "once").action == "created"
    assert len(github.comments(7)) == 1


def test_an_answer_that_comes_too_late_never_makes_a_second_comment(github: StandIn) -> None:
    github.fail("POST", "/comments$", delay_s=1.3)
    assert forge(github, timeout_s=1).publish_comment(7, "digits", "once").action == "created"
    assert len(github.comments(7)) == 1


def test_the_longest_body_fits(github: StandIn) -> None:
    forge(github, run_id=10**17, attempt=10**8).publish_comment(7, "m" * 100, "é" * MAX_COMMENT)
    assert len(github.comments(7)) == 1
    with pytest.raises(ValueError, match="at most 65,280 fit"):
        forge(github).publish_comment(7, "digits", "x" * (MAX_COMMENT + 1))


def test_a_token_that_may_only_read_is_told_which_permission_to_add(github: StandIn) -> None:
    token = github.add_token("ghs_readonly", permissions={"contents": "read", "pull-requests": "read"}).value
    with pytest.raises(InfrastructureError) as caught:
        forge(github, token=token).publish_comment(7, "digits", "x")
    assert str(caught.value) == (
        "GitHub: POST /repos/octo/models/issues/7/comments answered 403 (Resource not accessible by integration): the token may not "
        "comment on the pull request. It needs 'pull-requests: write': add it to 'permissions:' of the job and of every workflow "
        "that calls it"
    )


def test_a_locked_conversation_is_not_blamed_on_the_token(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=HEAD, is_locked=True)
    with pytest.raises(InfrastructureError, match=r"issue is locked\.\): unlock the conversation"):
        forge(github).publish_comment(7, "digits", "x")


def test_a_pull_request_that_is_not_there_is_named(github: StandIn) -> None:
    with pytest.raises(InfrastructureError, match=r"/pulls/8 answered 404 \(Not Found\): there is no such thing, or the token may not"):
        forge(github).publish_comment(8, "digits", "x")


def test_without_a_token_or_repository_it_is_said_what_to_set() -> None:
    with pytest.raises(InputError, match="MLGATE_GITHUB_TOKEN: not set; give the action"):
        Forge(RunContext(repository="octo/models"))
    with pytest.raises(InputError, match="outside a workflow"):
        Forge(RunContext(token="x"))


@pytest.mark.parametrize("token", ["ghs_x\nsecret", "ghs x", "ghs_é"])
def test_a_token_that_is_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(InputError, match="MLGATE_GITHUB_TOKEN") as caught:
        Forge(RunContext(repository="octo/models", token=token))
    assert "ghs" not in str(caught.value)


def test_the_address_of_an_enterprise_server_has_a_path() -> None:
    from github_stand_in import StandIn

    with StandIn(prefix="/api/v3") as github:
        github.add_pull_request(7, head_sha=HEAD)
        github.add_comments(7, 150)
        assert github.url.endswith("/api/v3")
        assert forge(github).publish_comment(7, "digits", "first").action == "created"
        assert forge(github, run_id=101).publish_comment(7, "digits", "second").action == "updated"
        assert github.violations == []
