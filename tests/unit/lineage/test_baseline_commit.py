"""Which commit a run is compared with, on real repositories in every way a checkout leaves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository


def opened(root: Path, context: RunContext | None = None) -> Workspace:
    return replace(Workspace.open(root, "mlgate.yaml", {}), context=context or RunContext())


def on_github(**given: object) -> RunContext:
    return RunContext(**{"repository": "o/r", "run_id": 1, "default_branch": "main", **given})  # type: ignore[arg-type]


@pytest.fixture
def history(tmp_path: Path) -> dict[str, str]:
    """main: one - two - three; feature: branches off at two, a - b. Checked out: feature."""
    root = make_repository(tmp_path / "r", {"mlgate.yaml": MINIMAL_CONFIG})
    commits = {"root": str(root), "one": git(root, "rev-parse", "HEAD"), "two": commit_files(root, {"a.txt": "2"}, "two")}
    git(root, "checkout", "--quiet", "-b", "feature")
    commits["a"] = commit_files(root, {"f.txt": "a"}, "a")
    commits["b"] = commit_files(root, {"f.txt": "b"}, "b")
    git(root, "checkout", "--quiet", "main")
    commits["three"] = commit_files(root, {"a.txt": "3"}, "three")
    git(root, "checkout", "--quiet", "feature")
    return commits


def merge(root: str, onto: str, other: str) -> str:
    """A merge commit as GitHub makes it: detached, base first."""
    git(Path(root), "checkout", "--quiet", "--detach", onto)
    git(Path(root), "merge", "--quiet", "--no-ff", "-m", "merge", other)
    return git(Path(root), "rev-parse", "HEAD")


def test_a_synthetic_merge_is_compared_with_the_base_it_was_merged_onto(history: dict[str, str]) -> None:
    merge(history["root"], history["three"], history["b"])
    context = on_github(event="pull_request", pull_request=7, head_sha=history["b"], base_sha=history["two"], base_ref="main")

    found = lineage.baseline_commit(opened(Path(history["root"]), context))

    assert found == lineage.BaselineCommit(history["three"], "first parent of the merge commit")


def test_a_head_checkout_is_compared_with_the_merge_base(history: dict[str, str]) -> None:
    context = on_github(event="pull_request", pull_request=7, head_sha=history["b"], base_sha=history["three"], base_ref="main")

    found = lineage.baseline_commit(opened(Path(history["root"]), context))

    assert found == lineage.BaselineCommit(history["two"], "merge base with main")


def test_a_head_that_merged_main_is_not_taken_for_the_synthetic_merge(history: dict[str, str]) -> None:
    head = merge(history["root"], history["b"], history["three"])
    context = on_github(event="pull_request", pull_request=7, head_sha=head, base_sha=history["two"], base_ref="main")

    found = lineage.baseline_commit(opened(Path(history["root"]), context))

    assert found.commit == history["three"], "the commit of main that was merged in is where the two histories last met"


def test_a_base_sha_older_than_the_merge_of_main_does_not_count_mains_changes_as_the_pull_requests(history: dict[str, str]) -> None:
    root = Path(history["root"])
    head = merge(history["root"], history["b"], history["three"])
    git(root, "update-ref", "refs/remotes/origin/main", history["three"])
    git(root, "branch", "--quiet", "--force", "main", history["one"])
    context = on_github(event="pull_request", pull_request=7, head_sha=head, base_sha=history["two"], base_ref="main")

    assert lineage.baseline_commit(opened(root, context)).commit == history["three"]


def test_a_run_repeated_after_the_merge_is_not_compared_with_itself(history: dict[str, str]) -> None:
    root = Path(history["root"])
    git(root, "checkout", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "-m", "merged", "feature")
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(root, "checkout", "--quiet", "--detach", history["b"])
    context = on_github(event="pull_request", pull_request=7, head_sha=history["b"], base_sha=history["three"], base_ref="main")

    assert lineage.baseline_commit(opened(root, context)).commit == history["two"]


def test_a_dispatch_for_a_pull_request_knows_its_synthetic_merge(history: dict[str, str]) -> None:
    merge(history["root"], history["three"], history["b"])
    context = on_github(event="workflow_dispatch", pull_request=7, head_sha=history["b"], ref="refs/heads/main")

    assert lineage.baseline_commit(opened(Path(history["root"]), context)).commit == history["three"]


def test_a_merge_group_is_compared_with_the_base_of_its_event(history: dict[str, str]) -> None:
    head = merge(history["root"], history["three"], history["b"])
    context = on_github(event="merge_group", head_sha=head, base_sha=history["two"], base_ref="refs/heads/main")

    found = lineage.baseline_commit(opened(Path(history["root"]), context))

    assert found == lineage.BaselineCommit(history["two"], "base of the merge group")


def test_a_dispatch_is_compared_with_the_merge_base_with_the_default_branch(history: dict[str, str]) -> None:
    context = on_github(event="workflow_dispatch", ref="refs/heads/feature")

    assert lineage.baseline_commit(opened(Path(history["root"]), context)) == lineage.BaselineCommit(history["two"], "merge base with main")


def test_a_dispatch_on_the_default_branch_is_compared_with_that_commit(history: dict[str, str]) -> None:
    git(Path(history["root"]), "checkout", "--quiet", "main")

    assert (
        lineage.baseline_commit(opened(Path(history["root"]), on_github(event="workflow_dispatch", ref="refs/heads/main"))).commit
        == history["three"]
    )


def test_a_push_to_the_default_branch_is_compared_with_its_first_parent(history: dict[str, str]) -> None:
    merged = merge(history["root"], history["three"], history["b"])
    context = on_github(event="push", ref="refs/heads/main", head_sha=merged)

    assert lineage.baseline_commit(opened(Path(history["root"]), context)) == lineage.BaselineCommit(
        history["three"], "first parent of HEAD"
    )


def test_a_push_is_known_as_one_to_the_default_branch_also_where_the_event_does_not_name_it(history: dict[str, str]) -> None:
    git(Path(history["root"]), "checkout", "--quiet", "main")
    context = on_github(event="push", ref="refs/heads/main", default_branch=None)

    assert lineage.baseline_commit(opened(Path(history["root"]), context)).commit == history["two"]


def test_a_push_to_another_branch_is_compared_with_the_merge_base(history: dict[str, str]) -> None:
    assert (
        lineage.baseline_commit(opened(Path(history["root"]), on_github(event="push", ref="refs/heads/feature"))).commit == history["two"]
    )


def test_the_first_commit_has_no_baseline(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")

    found = lineage.baseline_commit(opened(root, on_github(event="push", ref="refs/heads/main")))

    assert found == lineage.BaselineCommit(None, "first commit")


def test_on_a_laptop_a_branch_is_compared_with_where_it_left_main(history: dict[str, str]) -> None:
    assert lineage.baseline_commit(opened(Path(history["root"]))) == lineage.BaselineCommit(history["two"], "merge base with main")


def test_on_a_laptop_the_nearer_of_local_and_origins_main_counts(history: dict[str, str]) -> None:
    root = Path(history["root"])
    git(root, "branch", "--quiet", "--force", "main", history["one"])
    git(root, "update-ref", "refs/remotes/origin/main", history["three"])
    assert lineage.baseline_commit(opened(root)).commit == history["two"]

    git(root, "branch", "--quiet", "--force", "main", history["three"])
    git(root, "update-ref", "refs/remotes/origin/main", history["one"])
    assert lineage.baseline_commit(opened(root)).commit == history["two"]


def test_on_a_laptop_main_is_compared_with_the_commit_before(history: dict[str, str]) -> None:
    git(Path(history["root"]), "checkout", "--quiet", "main")

    assert lineage.baseline_commit(opened(Path(history["root"]))) == lineage.BaselineCommit(history["two"], "first parent of HEAD")


def test_on_a_laptop_uncommitted_changes_on_main_are_compared_with_head(history: dict[str, str]) -> None:
    root = Path(history["root"])
    git(root, "checkout", "--quiet", "main")
    (root / "a.txt").write_text("changed")

    assert lineage.baseline_commit(opened(root)) == lineage.BaselineCommit(history["three"], "HEAD, beside uncommitted changes")


def test_a_default_branch_of_another_name_is_known_by_origins_head(history: dict[str, str]) -> None:
    root = Path(history["root"])
    git(root, "branch", "--quiet", "-m", "main", "trunk")
    git(root, "update-ref", "refs/remotes/origin/trunk", history["three"])
    git(root, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")

    assert lineage.baseline_commit(opened(root)) == lineage.BaselineCommit(history["two"], "merge base with trunk")


def test_outside_git_there_is_no_baseline(tmp_path: Path) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)

    assert lineage.baseline_commit(opened(tmp_path)) == lineage.BaselineCommit(None, "not a Git repository")


def test_before_the_first_commit_there_is_no_baseline(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)

    assert lineage.baseline_commit(opened(tmp_path)) == lineage.BaselineCommit(None, "no commit yet")


def test_histories_that_never_met_have_no_baseline(history: dict[str, str]) -> None:
    root = Path(history["root"])
    git(root, "checkout", "--quiet", "--orphan", "other")
    commit_files(root, {"x": "1"}, "orphan")

    assert lineage.baseline_commit(opened(root)) == lineage.BaselineCommit(None, "no history in common with main")


def shallow(history: dict[str, str], tmp_path: Path, branch: str, depth: int) -> Path:
    target = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", f"--depth={depth}", "--branch", branch, f"file://{history['root']}", str(target))
    git(target, "remote", "set-url", "origin", f"file://{tmp_path}/gone")  # else the history would be fetched when it is missed
    return target


def test_a_shallow_clone_without_the_parent_says_to_fetch_more(history: dict[str, str], tmp_path: Path) -> None:
    root = shallow(history, tmp_path, "main", 1)

    with pytest.raises(InputError, match=r"lacks [0-9a-f]{12} \(first parent of HEAD\); check out with `fetch-depth: 0`"):
        lineage.baseline_commit(opened(root, on_github(event="push", ref="refs/heads/main")))


def test_a_shallow_clone_with_the_parent_is_enough(history: dict[str, str], tmp_path: Path) -> None:
    root = shallow(history, tmp_path, "main", 2)

    assert lineage.baseline_commit(opened(root, on_github(event="push", ref="refs/heads/main"))).commit == history["two"]


def test_a_synthetic_merge_cut_off_from_its_parents_is_still_known_as_one(history: dict[str, str], tmp_path: Path) -> None:
    merged = merge(history["root"], history["three"], history["b"])
    git(Path(history["root"]), "branch", "--quiet", "merged", merged)
    root = shallow(history, tmp_path, "merged", 1)
    context = on_github(event="pull_request", pull_request=7, head_sha=history["b"], base_sha=history["three"], base_ref="main")

    with pytest.raises(InputError, match=rf"lacks {history['three'][:12]} \(first parent of the merge commit\).*fetch-depth: 0"):
        lineage.baseline_commit(opened(root, context))


@pytest.mark.parametrize("event", ["pull_request", "workflow_dispatch"])
def test_a_shallow_head_checkout_says_to_fetch_more(history: dict[str, str], tmp_path: Path, event: str) -> None:
    root = shallow(history, tmp_path, "feature", 1)
    pull_request = {"pull_request": 7, "head_sha": history["b"], "base_sha": history["three"]} if event == "pull_request" else {}

    with pytest.raises(InputError, match="fetch-depth: 0"):
        lineage.baseline_commit(opened(root, on_github(event=event, base_ref="main", **pull_request)))


def test_a_shallow_clone_whose_branches_do_not_meet_says_to_fetch_more(history: dict[str, str], tmp_path: Path) -> None:
    root = shallow(history, tmp_path, "feature", 1)
    git(root, "fetch", "--quiet", "--depth=1", f"file://{history['root']}", "main:refs/remotes/origin/main")
    context = on_github(event="pull_request", pull_request=7, head_sha=history["b"], base_sha=history["three"], base_ref="main")

    with pytest.raises(InputError, match="a common ancestor with the base"):
        lineage.baseline_commit(opened(root, context))


def test_a_merge_group_whose_base_is_missing_says_to_fetch_more(history: dict[str, str], tmp_path: Path) -> None:
    root = shallow(history, tmp_path, "main", 1)

    with pytest.raises(InputError, match="base of the merge group"):
        lineage.baseline_commit(opened(root, on_github(event="merge_group", base_sha=history["two"], base_ref="refs/heads/main")))


def test_a_repository_of_another_user_is_no_absent_repository(history: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")

    with pytest.raises(InputError, match=r"belongs to another user.*safe.directory"):
        opened(Path(history["root"]))
