"""Runs that overtake one another: the newest commit's verdict stands, and of one commit's runs the newest, in one comment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mlgate.context import RunContext
from mlgate.errors import InfrastructureError
from mlgate.forge.client import Forge, PublishedComment
from mlgate.forge.comments import Marker

if TYPE_CHECKING:
    from github_stand_in import StandIn

ONE, TWO = "1" * 40, "2" * 40
BOT = "github-actions[bot]"


def publish(github: StandIn, body: str, *, head: str = ONE, run_id: int = 5, attempt: int = 1, **options: Any) -> PublishedComment:
    context = RunContext(
        event="pull_request",
        repository="octo/models",
        run_id=run_id,
        attempt=attempt,
        pull_request=7,
        head_sha=head,
        api_url=github.url,
        token=github.token,
    )
    return Forge(context, **{"sleep": lambda _: None, **options}).publish_comment(7, "digits", body)


def bodies(github: StandIn) -> list[str]:
    return [comment.body.partition("\n")[2] for comment in github.comments(7, BOT)]


def test_a_run_of_an_older_commit_changes_nothing_and_says_so(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=TWO)
    newer = publish(github, "of two", head=TWO, run_id=9)
    before = github.comments(7)[0]
    older = publish(github, "of one", head=ONE, run_id=5)
    assert (older.action, older.url, older.is_commit_outdated) == ("kept", newer.url, True)
    assert older.outdated == "the pull request is at 222222222222 now"
    assert github.comments(7) == [before]


def test_a_run_of_an_older_commit_that_ends_first_posts_nothing(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=TWO)
    older = publish(github, "of one", head=ONE, run_id=5)
    assert (older.action, older.url) == ("kept", None)
    assert bodies(github) == []
    publish(github, "of two", head=TWO, run_id=9)
    assert bodies(github) == ["of two"]


def test_an_older_commits_run_that_is_run_again_later_changes_nothing(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=ONE)
    publish(github, "of one", head=ONE, run_id=5)
    github.add_pull_request(7, head_sha=TWO)
    publish(github, "of two", head=TWO, run_id=9)
    assert publish(github, "of one again", head=ONE, run_id=5, attempt=3).is_commit_outdated
    assert bodies(github) == ["of two"]


def test_after_a_force_push_back_the_older_commit_is_the_newest_again(github: StandIn) -> None:
    """Whichever of its runs ends first: the one that the force push began, or the first one, run again."""
    for run_id, attempt in ((12, 1), (5, 2)):
        github.add_pull_request(7, head_sha=TWO)
        publish(github, "of two", head=TWO, run_id=9 + run_id)
        github.add_pull_request(7, head_sha=ONE)
        assert publish(github, f"of one {run_id}", head=ONE, run_id=run_id, attempt=attempt).action == "updated"
        assert bodies(github) == [f"of one {run_id}"]


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [((5, 1), (5, 2), "second"), ((5, 2), (5, 1), "first"), ((9, 1), (5, 2), "first"), ((5, 2), (9, 1), "second")],
    ids=["run again", "an attempt that was overtaken", "an older run is run again", "a newer run"],
)
def test_of_the_runs_of_one_commit_the_newest_stands(github: StandIn, first: tuple[int, int], second: tuple[int, int], stands: str) -> None:
    """Reopened, the base moved and the branch was updated without a push, or the failed jobs were run again: one commit, many runs."""
    github.add_pull_request(7, head_sha=ONE)
    publish(github, "first", run_id=first[0], attempt=first[1])
    later = publish(github, "second", run_id=second[0], attempt=second[1])
    assert bodies(github) == [stands]
    assert (later.outdated is None) == (stands == "second")
    if stands == "first":
        assert not later.is_commit_outdated
        assert later.outdated == f"run {first[0]}, attempt {first[1]}, of the same commit is newer"


def test_a_push_between_two_questions_is_noticed(github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """We ask for the head, then somebody pushes and that run publishes, then we read the comments: its marker makes us ask again."""
    github.add_pull_request(7, head_sha=ONE)
    asked = Forge.pull_request_head

    def then_pushed(forge: Forge, number: int) -> str:
        head = asked(forge, number)
        if github.state.pull_requests[7].head_sha == ONE:
            github.add_pull_request(7, head_sha=TWO)
            publish(github, "of two", head=TWO, run_id=9)
        return head

    monkeypatch.setattr(Forge, "pull_request_head", then_pushed)
    assert publish(github, "of one", head=ONE, run_id=5).is_commit_outdated
    assert bodies(github) == ["of two"]


def test_a_comment_that_a_person_deleted_comes_back_with_the_next_run(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=ONE)
    publish(github, "first")
    github.state.comments.clear()
    assert publish(github, "again", attempt=2).action == "created"
    assert bodies(github) == ["again"]


def test_a_locked_conversation_is_said_and_publishes_nothing(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=ONE, is_locked=True)
    with pytest.raises(InfrastructureError, match=r"^GitHub: POST .* answered 403 \(.*locked.*\): unlock the conversation [^\n]*$"):
        publish(github, "first")
    github.add_pull_request(7, head_sha=ONE)
    assert publish(github, "first", attempt=2).action == "created"


def test_a_closed_and_reopened_pull_request_goes_on_with_its_comment(github: StandIn) -> None:
    github.add_pull_request(7, head_sha=ONE)
    first = publish(github, "first", run_id=5)
    github.add_pull_request(7, head_sha=ONE, state="closed")
    assert publish(github, "while closed", run_id=6).url == first.url
    github.add_pull_request(7, head_sha=ONE, base_ref="trunk", base_sha="b" * 40)
    assert publish(github, "reopened, on a renamed base", run_id=7).url == first.url
    assert bodies(github) == ["reopened, on a renamed base"]


def at_once(tasks: list[Callable[[], object]]) -> None:
    barrier = threading.Barrier(len(tasks))

    def started(task: Callable[[], object]) -> object:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(started, task) for task in tasks]:
            future.result()


@pytest.mark.parametrize(
    "runs", [[(5, 1), (9, 1)], [(5, 1), (5, 1)], [(5, 1), (9, 1), (7, 2)]], ids=["two runs", "two jobs of a run", "three runs"]
)
def test_runs_that_post_at_the_same_moment_leave_one_comment(github: StandIn, runs: list[tuple[int, int]]) -> None:
    github.add_pull_request(7, head_sha=ONE)
    for _ in range(10):
        github.state.comments.clear()
        at_once([lambda run=run: publish(github, f"of {run}", run_id=run[0], attempt=run[1]) for run in runs])
        [comment] = github.comments(7)
        marker = Marker.of(comment.body)
        assert marker is not None
        assert comment.body.endswith(f"of {marker.order}"), "a comment is of one run, from its marker to its end"
        assert marker.order == max(runs) or len(runs) > 2


def test_a_comment_that_another_run_wrote_into_is_not_deleted_as_a_duplicate(github: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """We create ours, see an older run's, and before we delete that, the newest run edits it: ours goes."""
    github.add_pull_request(7, head_sha=ONE)
    create, delete = github.state.add_comment, Forge._delete

    def create_after_another(pull_request: int, login: str, body: str) -> Any:
        create(pull_request, login, f"<!-- mlgate:digits run=5 attempt=1 commit={ONE} -->\nof five")
        return create(pull_request, login, body)

    def edited_meanwhile(forge: Forge, comments: Any) -> None:
        oldest = min(github.state.comments.values(), key=lambda comment: comment.id)
        if "of five" in oldest.body:
            oldest.body = f"<!-- mlgate:digits run=9 attempt=1 commit={ONE} -->\nof nine"
        delete(forge, comments)

    monkeypatch.setattr(github.state, "add_comment", create_after_another)
    monkeypatch.setattr(Forge, "_delete", edited_meanwhile)
    assert publish(github, "of seven", run_id=7).action == "kept"
    assert bodies(github) == ["of nine"]


# --- the default branch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("commits", "is_there"), [([ONE], True), ([ONE, TWO], True), ([TWO], False)], ids=["tip", "older", "forced away"])
def test_whether_the_default_branch_still_has_a_commit(github: StandIn, commits: list[str], is_there: bool) -> None:
    github.state.default_branch_commits = commits
    context = RunContext(event="push", repository="octo/models", run_id=5, api_url=github.url, token=github.token)
    assert Forge(context).is_on_default_branch(ONE) is is_there


def test_histories_without_a_common_ancestor_are_no_trouble_of_the_token(github: StandIn) -> None:
    context = RunContext(event="push", repository="octo/models", run_id=5, api_url=github.url, token=github.token)
    github.fail("GET", "/compare/", status=404, message=f"No common ancestor between {ONE} and HEAD.")
    assert not Forge(context).is_on_default_branch(ONE)
    github.fail("GET", "/compare/", status=404, message="Not Found")
    with pytest.raises(InfrastructureError, match=r"/compare/1+\.\.\.HEAD answered 404 .*It needs 'contents: read'"):
        Forge(context).is_on_default_branch(ONE)
