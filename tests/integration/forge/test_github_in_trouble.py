"""Whatever GitHub answers, the user gets the right exit code and one line, nothing is done twice, and the token is never shown."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError, MlgateError
from mlgate.forge.client import Forge
from mlgate.forge.conversation import Conversation

if TYPE_CHECKING:
    from github_stand_in import StandIn

HEAD, BASE = "a" * 40, "b" * 40
BOT = "github-actions[bot]"


def forge(github: StandIn, **options: Any) -> Forge:
    context = RunContext(event="pull_request", repository="octo/models", run_id=100, head_sha=HEAD, api_url=github.url, token=github.token)
    return Forge(context, **{"sleep": lambda _: None, **options})


def _edit_own(forge: Forge, github: StandIn) -> object:
    if not github.comments(7):
        github.add_comments(7, 1, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\nold", login=BOT)
    return forge.publish_comment(7, "digits", "new")


def _second_page(forge: Forge, github: StandIn) -> object:
    github.add_pull_request(8, head_sha=HEAD)
    github.add_comments(8, 101 - len(github.comments(8)))
    for fault in github._faults:
        fault.skipped = 1
    return forge.publish_comment(8, "digits", "new")


def _beside_a_strangers_marker(forge: Forge, github: StandIn) -> object:
    github.add_comments(7, 1, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\npasted", login="mallory")
    return forge.publish_comment(7, "digits", "new")


def _beside_a_duplicate(forge: Forge, github: StandIn) -> object:
    for run_id in (1, 2):
        github.add_comments(7, 1, body=f"<!-- mlgate:digits run={run_id} attempt=1 commit= -->\nold", login=BOT)
    return forge.publish_comment(7, "digits", "new")


def spoken(forge: Forge) -> Conversation:
    """The same with what answers to comments need."""
    other = Conversation(forge._context)
    other._api = forge._api
    return other


def _run_again(forge: Forge, github: StandIn) -> object:
    run = spoken(forge).run(next(iter(github.state.runs)))
    assert run is not None
    return spoken(forge).rerun(run)


CALLS: dict[str, tuple[str, str, Callable[[Forge, StandIn], object]]] = {
    "list comments": ("GET", "/issues/7/comments$", lambda forge, _: forge.publish_comment(7, "digits", "new")),
    "create a comment": ("POST", "/issues/7/comments$", lambda forge, _: forge.publish_comment(7, "digits", "new")),
    "edit a comment": ("PATCH", "/issues/comments/", _edit_own),
    "set a status": ("POST", "/statuses/", lambda forge, _: forge.set_status(HEAD, "success", "mlgate/digits", "fine")),
    "read a pull request": ("GET", "/pulls/7$", lambda forge, _: forge.pull_request_head(7)),
    "list runs": ("GET", "/actions/runs$", lambda forge, _: forge.find_run_artifact(BASE, "digits")),
    "list artifacts": ("GET", "/actions/runs/.*/artifacts$", lambda forge, _: forge.find_run_artifact(BASE, "digits")),
    "fetch an artifact": ("GET", "/zip$", lambda forge, _: forge.find_run_artifact(BASE, "digits")),
    "list comments' second page": ("GET", "/issues/8/comments$", _second_page),
    "ask whose the token is": ("GET", "^/user$", _beside_a_strangers_marker),
    "ask that by GraphQL": ("POST", "/graphql$", _beside_a_strangers_marker),
    "read a comment": ("GET", "/issues/comments/", _beside_a_duplicate),
    "delete a comment": ("DELETE", "/issues/comments/", _beside_a_duplicate),
    "compare with the default branch": ("GET", "/compare/", lambda forge, _: forge.is_on_default_branch(BASE)),
    "list pull requests of a commit": ("GET", "/commits/.*/pulls$", lambda forge, _: forge.open_pull_request_of(HEAD)),
    "read somebody's permission": ("GET", "/permission$", lambda forge, _: spoken(forge).role("ada")),
    "list statuses": ("GET", "/statuses$", lambda forge, _: spoken(forge).statuses(HEAD)),
    "read a run": ("GET", "/actions/runs/[0-9]+$", lambda forge, github: spoken(forge).run(next(iter(github.state.runs)))),
    "run again": ("POST", "/rerun", _run_again),
    "react": ("POST", "/reactions$", lambda forge, github: spoken(forge).react(github.add_comments(7)[0].id, "+1")),
}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PASSING: dict[str, dict[str, Any]] = {
    "409": {"status": 409},
    "429": {"status": 429, "headers": {"Retry-After": "3"}},
    "403 with Retry-After": {"status": 403, "headers": {"Retry-After": "3"}, "message": SECONDARY},
    "secondary limit": {"status": 403, "message": SECONDARY},
    "500": {"status": 500},
    "502": {"status": 502},
    "502 page": {"status": 502, "is_html": True},
    "page for JSON": {"status": 200, "is_html": True},
    "dropped": {},
    "JSON that ends in its middle": {"is_truncated": True},
}
LASTING: dict[str, tuple[dict[str, Any], type[MlgateError], str]] = {
    "401": ({"status": 401, "message": "Bad credentials"}, InfrastructureError, "GitHub refused the token"),
    "403": ({"status": 403, "message": "Resource not accessible by integration"}, InfrastructureError, "It needs '"),
    "404": ({"status": 404, "message": "Not Found"}, InfrastructureError, "there is no such thing, or the token may not"),
    "422": ({"status": 422, "message": "Validation Failed"}, InputError, "answered 422 (Validation Failed)"),
}


@pytest.fixture(autouse=True)
def _repository(github: StandIn) -> None:
    _set_up(github)


def _set_up(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=HEAD)
    github.add_run_artifact(BASE, "mlgate-digits-train-1", {"x": b""})
    github.state.collaborators["ada"] = "write"


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("call", CALLS)
def test_trouble_that_passes_is_waited_out(github: StandIn, call: str, fault: str) -> None:
    method, path, do = CALLS[call]
    github.fail(method, path, **PASSING[fault])
    do(forge(github), github)
    assert posted(github) <= 1
    assert len({(status.context, status.state) for status in github.statuses(HEAD)}) <= 1, "set again, it is the same"


CUT = "JSON that ends in its middle"
# Their answers are no JSON, or the comment whose answer was lost is found when we look for it.
NOT_CUT = {(call, CUT) for call in ("create a comment", "fetch an artifact", "ask whose the token is", "delete a comment", "run again")}


@pytest.mark.parametrize(("call", "fault"), sorted({(call, fault) for call in CALLS for fault in PASSING} - NOT_CUT))
def test_trouble_that_stays_is_one_line_and_exit_3(github: StandIn, call: str, fault: str) -> None:
    method, path, do = CALLS[call]
    github.fail(method, path, times=100, **PASSING[fault])
    with pytest.raises(InfrastructureError) as caught:
        do(forge(github), github)
    assert_is_one_line_without_token(str(caught.value), github)
    assert re.match(rf"GitHub: {method} (/repos/octo/models/|/user|http://[^ ]*/graphql)", str(caught.value))
    assert "Run the job again later" in str(caught.value)
    assert posted(github) <= 1


def posted(github: StandIn) -> int:
    return sum(comment.body.endswith("\nnew") for comment in github.comments(7))


# Answers that are no refusal: it was deleted meanwhile, or a token of that kind may not ask. Tested where they mean something.
ANSWERS = {
    *((call, "404") for call in ("edit a comment", "delete a comment", "read a comment", "fetch an artifact", "read a run")),
    ("read somebody's permission", "404"),
    *((call, status) for call in ("run again", "react") for status in ("403", "404", "422")),
    *(("ask whose the token is", status) for status in ("403", "404")),
    *(("ask that by GraphQL", status) for status in LASTING),
}


@pytest.mark.parametrize(("call", "fault"), sorted({(call, fault) for call in CALLS for fault in LASTING} - ANSWERS))
def test_a_refusal_is_one_line_and_not_repeated(github: StandIn, call: str, fault: str) -> None:
    method, path, do = CALLS[call]
    given, kind, said = LASTING[fault]
    github.fail(method, path, times=100, **given)
    with pytest.raises(kind) as caught:
        do(forge(github), github)
    assert_is_one_line_without_token(str(caught.value), github)
    assert said in str(caught.value)
    asked = [exchange for exchange in github.requests if (exchange.method, exchange.path, exchange.status) != ("GET", "/user", 403)]
    assert [exchange.status for exchange in asked].count(given["status"]) == 1


def assert_is_one_line_without_token(message: str, github: StandIn) -> None:
    assert "\n" not in message
    assert github.token not in message


def test_github_is_waited_for_as_long_as_it_asks(github: StandIn) -> None:
    waits: list[float] = []
    github.fail("POST", "/statuses/", status=429, headers={"Retry-After": "17"})
    github.fail("POST", "/statuses/", status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 30)})
    forge(github, sleep=waits.append).set_status(HEAD, "success", "mlgate/digits", "x")
    assert waits[0] == 17
    assert 25 < waits[1] < 35


def test_a_wait_longer_than_there_is_patience_for_ends_at_once(github: StandIn) -> None:
    waits: list[float] = []
    github.fail("POST", "/statuses/", status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)})
    with pytest.raises(InfrastructureError, match=r"answered 403: rate limit .*, 1 try; GitHub asks to wait 30\d\d s"):
        forge(github, sleep=waits.append).set_status(HEAD, "success", "mlgate/digits", "x")
    assert waits == []


def test_all_waiting_of_a_run_together_is_bounded(github: StandIn) -> None:
    waits: list[float] = []
    github.fail(status=429, headers={"Retry-After": "25"}, times=100)
    impatient = forge(github, patience_s=60, sleep=waits.append)
    for _ in range(3):
        with pytest.raises(InfrastructureError, match="rate limit"):
            impatient.set_status(HEAD, "success", "mlgate/digits", "x")
    assert waits == [25, 25]


def test_a_rate_limit_while_asking_who_we_are_is_not_taken_for_an_answer(github: StandIn) -> None:
    for login in (BOT, "mallory"):  # only a stranger's marker makes us ask
        github.add_comments(7, 1, body="<!-- mlgate:digits run=1 attempt=1 commit= -->\nold", login=login)
    github.fail("GET", "^/user$", status=403, message=SECONDARY, times=1)
    assert forge(github).publish_comment(7, "digits", "new").action == "updated"
    assert [exchange.status for exchange in github.requests if exchange.path == "/user"] == [403, 403]


def test_a_slow_answer_to_any_call_is_asked_for_again() -> None:
    from github_stand_in import StandIn

    def slow(call: str) -> None:
        method, path, do = CALLS[call]
        with StandIn() as github:
            _set_up(github)
            github.fail(method, path, delay_s=1.3)
            do(forge(github, timeout_s=1), github)
            assert posted(github) <= 1
            assert github.violations == []

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(slow, CALLS))


def test_slow_answers_are_given_up_and_count_as_waiting(github: StandIn) -> None:
    github.fail("GET", "/pulls/7$", delay_s=1.3, times=100)
    with pytest.raises(InfrastructureError, match=r"GET /repos/octo/models/pulls/7 got no answer within 1 s, 2 tries\. Run the job again"):
        forge(github, timeout_s=1, patience_s=3.9).pull_request_head(7)


def test_no_server_at_all_is_one_line() -> None:
    context = RunContext(repository="octo/models", api_url="http://127.0.0.1:1", token="ghs_secret")
    with pytest.raises(
        InfrastructureError, match=r"^GitHub: GET /repos/octo/models/pulls/7 got no answer: no connection, or it was dropped, 5 tries"
    ):
        Forge(context, sleep=lambda _: None).pull_request_head(7)


def test_an_answer_that_is_not_as_described_is_one_line(github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    github.fail("GET", "/pulls/7$", status=200, message="a page of a portal, as JSON")
    with pytest.raises(InfrastructureError, match="the answer is not what GitHub describes"):
        forge(github).pull_request_head(7)
    github.fail("GET", "/comments$", status=200, message="a page of a portal, as JSON")
    with pytest.raises(InfrastructureError, match="the answer is not what GitHub describes"):
        forge(github).publish_comment(7, "digits", "x")


def test_what_github_says_cannot_bring_control_characters_or_the_token(github: StandIn) -> None:
    github.fail("GET", "/pulls/7$", status=403, message=f"no \x1b[31m{github.token}\n::error::you")
    with pytest.raises(InfrastructureError, match=r"answered 403 \(no \*\*\* ::error::you\)") as caught:
        forge(github).pull_request_head(7)
    assert_is_one_line_without_token(str(caught.value), github)


@pytest.mark.parametrize("url", ["api.github.com", "ftp://api.github.com", "https://", ""])
def test_an_address_that_is_none_is_wrong_input(url: str) -> None:
    with pytest.raises(InputError, match="GITHUB_API_URL: expected an address such as"):
        Forge(RunContext(repository="octo/models", api_url=url, token="x"))


def test_nothing_is_printed(github: StandIn, capfd: pytest.CaptureFixture[str]) -> None:
    github.fail(status=502, times=2)
    forge(github).publish_comment(7, "digits", "x")
    assert capfd.readouterr() == ("", "")
