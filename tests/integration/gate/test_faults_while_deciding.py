"""What the gate asks of GitHub and of the store, answered by each kind of fault: exit 3 and one line where it matters, a remark where
not; a commit that left the default branch records nothing; run again, it completes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels, next_commit, open_workspace, project
from mlgate import stages
from mlgate.context import RunContext
from mlgate.evidence import Evidence
from mlgate.store import git_ref, open_store
from mlgate.workspace import Workspace
from support import git

if TYPE_CHECKING:
    from github_stand_in import StandIn

FOLDER = CONFIG + "store: .mlgate/store\n"
# One of each kind; tests/integration/forge has all of them for every call.
FAULTS: dict[str, tuple[dict[str, Any], int]] = {
    "401": ({"status": 401, "message": "Bad credentials"}, 3),
    "403": ({"status": 403, "message": "Resource not accessible by integration"}, 3),
    "404": ({"status": 404, "message": "Not Found"}, 3),
    "422": ({"status": 422, "message": "Validation Failed"}, 2),
    "429": ({"status": 429, "headers": {"Retry-After": "60"}}, 3),
    "502": ({"status": 502}, 3),
    "dropped": ({}, 3),
    "a page for JSON": ({"status": 200, "is_html": True}, 3),
    "an answer that ends in its middle": ({"is_truncated": True}, 3),
}
CALLS = {
    "list runs": ("GET", r"/actions/runs$"),
    "list artifacts": ("GET", r"/actions/runs/.*/artifacts$"),
    "ask for an artifact": ("GET", r"/zip$"),
    "download it": ("GET", r"^/storage/"),
}


def on_github(root: Path, github: StandIn, **more: Any) -> Workspace:
    head = git(root, "rev-parse", "HEAD")
    common = {"repository": "octo/models", "run_id": 5, "head_sha": head, "default_branch": "main", "github_patience_s": 0.0}
    return open_workspace(root, **common, api_url=github.url, token=github.token, **more)


def judged_on_main(root: Path, github: StandIn, right: int = 900) -> Evidence[Any]:
    workspace = on_github(root, github, event="push", ref="refs/heads/main")
    evaluated(workspace, classified(*labels(right)))
    return stages.run("gate", workspace)


def judged_in_a_pull_request(root: Path, github: StandIn, base: str, **more: Any) -> Evidence[Any]:
    workspace = on_github(root, github, event="pull_request", pull_request=7, base_sha=base, base_ref="main")
    evaluated(workspace, classified(*labels(840)), **more)
    return stages.run("gate", workspace)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_baseline_that_github_does_not_hand_out_closes_the_gate_until_it_does(
    tmp_path: Path, github: StandIn, call: str, fault: str
) -> None:
    root = project(tmp_path / "repository", FOLDER)
    base = git(root, "rev-parse", "HEAD")
    main = open_workspace(root)
    evaluated(main, classified(*labels(900)))
    left = {name: (main.state / name).read_bytes() for name in ("evidence/evaluate.json", "files/predictions.parquet")}
    github.add_run_artifact(base, "mlgate-digits-train-1", left)
    next_commit(root, 1, branch="feature")
    method, path = CALLS[call]
    given, exit_code = FAULTS[fault]
    if (call, fault) in {("ask for an artifact", "404"), ("ask for an artifact", "an answer that ends in its middle")}:
        return  # it has expired; a redirect has nothing to cut
    github.fail(method, path, times=100, **given)

    evidence = judged_in_a_pull_request(root, github, base)

    assert evidence.status == "error"
    assert evidence.exit_code == (3 if call == "download it" else exit_code), evidence.summary
    assert re.fullmatch(r"(GitHub: GET /repos/octo/models/|artifact ')[^\n]+", evidence.summary), evidence.summary
    assert github.token not in evidence.model_dump_json()

    github._faults.clear()
    evidence = judged_in_a_pull_request(root, github, base)
    assert (evidence.findings.verdict, evidence.findings.baseline.source) == ("worse", "run artifact")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_default_branch_that_cannot_be_asked_for_records_nothing_until_it_can(tmp_path: Path, github: StandIn, fault: str) -> None:
    root = project(tmp_path / "repository", FOLDER)
    given, exit_code = FAULTS[fault]
    github.fail("GET", "/compare/", times=100, **given)

    evidence = judged_on_main(root, github)

    assert evidence.exit_code == exit_code, evidence.summary
    assert re.search(r"GitHub: GET /repos/octo/models/compare/[^\n]+$", evidence.summary)
    assert names(root) == []

    github._faults.clear()
    evidence = judged_on_main(root, github)
    assert (evidence.exit_code, evidence.findings.recorded_in_store) == (0, True)
    assert f"evaluations/{git(root, 'rev-parse', 'HEAD')}.json" in names(root)


def names(root: Path) -> list[str]:
    return open_store(".mlgate/store", root=root, model="digits", context=RunContext()).names()


def test_a_commit_that_a_force_push_took_off_the_default_branch_records_nothing(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository", FOLDER)
    commit = git(root, "rev-parse", "HEAD")
    github.state.default_branch_commits = ["f" * 40]
    evidence = judged_on_main(root, github)
    assert (evidence.status, evidence.exit_code, evidence.findings.recorded_in_store) == ("passed", 0, False)
    assert evidence.findings.outdated == f"main does not contain {commit[:12]} any more"
    assert evidence.summary.endswith(f"\nnot recorded as a baseline, outdated: main does not contain {commit[:12]} any more")
    assert names(root) == []


def test_of_two_pushes_to_the_default_branch_both_are_recorded_whichever_ends_first(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository", FOLDER)
    one = git(root, "rev-parse", "HEAD")
    two = next_commit(root, 1)
    github.state.default_branch_commits = [one, two]
    git(root, "checkout", "--quiet", one)
    evaluated(on_github(root, github), classified(*labels(900)))
    assert judged_on_main(root, github).findings.recorded_in_store
    git(root, "checkout", "--quiet", two)
    assert judged_on_main(root, github).findings.recorded_in_store
    assert {f"evaluations/{commit}.json" for commit in (one, two)} <= set(names(root))


def test_a_base_that_moved_is_another_baseline_and_the_gate_names_it(tmp_path: Path, github: StandIn) -> None:
    """The same head under another synthetic merge: run again after main got a commit, it is compared with that one."""
    root = project(tmp_path / "repository", FOLDER)
    one = git(root, "rev-parse", "HEAD")
    judged_on_main(root, github, right=900)
    head = next_commit(root, 2, branch="feature")
    git(root, "checkout", "--quiet", "main")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "main goes on")
    (root / "other.py").write_text("print(1)\n")
    git(root, "add", "other.py")
    git(root, "commit", "--quiet", "-m", "main goes on")
    two = git(root, "rev-parse", "HEAD")
    judged_on_main(root, github, right=800)
    found = []
    for base in (one, two):
        git(root, "checkout", "--quiet", base)
        git(root, "merge", "--quiet", "--no-ff", "-m", "Merge", head)
        workspace = on_github(root, github, event="pull_request", pull_request=7, base_sha=base, base_ref="renamed")
        workspace = open_workspace(root, **{**vars(workspace.context), "head_sha": head})
        evaluated(workspace, classified(*labels(850)))
        evidence = stages.run("gate", workspace)
        found.append((evidence.findings.baseline.commit, evidence.findings.baseline.how, evidence.findings.verdict))
    assert found == [(one, "first parent of the merge commit", "worse"), (two, "first parent of the merge commit", "better")]


# --- a store that cannot be reached -----------------------------------------------------------------------------------


@pytest.fixture
def _unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_STORE_URL", "http://127.0.0.1:9/octo/models")
    monkeypatch.setattr(git_ref, "NETWORK_PAUSE_S", 0.0)


@pytest.mark.usefixtures("_unreachable")
def test_a_store_that_cannot_be_reached_closes_the_gate_where_it_alone_knows_the_baseline(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository")
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    evidence = judged_in_a_pull_request(root, github, base)
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert re.fullmatch(
        r"store: Git ref refs/mlgate/digits of http://127\.0\.0\.1:9/octo/models: cannot be reached [^\n]+", evidence.summary
    )


@pytest.mark.usefixtures("_unreachable")
def test_it_is_a_remark_where_the_baseline_lies_elsewhere_too(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository")
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1, branch="feature")
    candidate = {"baseline": classified(*labels(800)), "baseline_commit": base, "baseline_source": "dvc outputs"}
    evidence = judged_in_a_pull_request(root, github, base, **candidate)
    assert (evidence.exit_code, evidence.findings.verdict, evidence.findings.baseline.source) == (0, "better", "dvc outputs")
    first, remark = evidence.summary.split("\n")
    assert first.startswith("gate open")
    assert remark.startswith("the store was of no use, the baseline is from elsewhere (dvc outputs): store: Git ref ")


@pytest.mark.usefixtures("_unreachable")
def test_on_the_default_branch_it_keeps_the_run_from_recording_and_that_is_exit_3(tmp_path: Path, github: StandIn) -> None:
    root = project(tmp_path / "repository")
    base = git(root, "rev-parse", "HEAD")
    next_commit(root, 1)
    workspace = on_github(root, github, event="push", ref="refs/heads/main")
    evaluated(workspace, classified(*labels(900)), classified(*labels(800)), baseline_commit=base)
    evidence = stages.run("gate", workspace)
    assert (evidence.status, evidence.exit_code, evidence.findings.is_open) == ("error", 3, True)
    assert "\nnot recorded as a baseline: store: Git ref " in evidence.summary
