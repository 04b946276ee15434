"""The report stage on real evidence in a real repository, published to GitHub as its OpenAPI description has it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlgate import evidence as records
from mlgate import stages
from mlgate.evidence import Evidence, ReportFindings
from mlgate.stages import report
from mlgate.workspace import Workspace
from report_cases import CASES, HOSTILE, Evidences, better, infrastructure, thousand_slices, worse
from support import MINIMAL_CONFIG, make_repository

if TYPE_CHECKING:
    from github_stand_in import StandIn

BOT = "github-actions[bot]"
BASE = "b" * 40
Run = Callable[..., Evidence[Any]]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One font list for all of these tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository", {"models/digits/mlgate.yaml": MINIMAL_CONFIG}) / "models" / "digits"


def event(tmp_path: Path, head: str, *, head_repository: str = "octo/models") -> Path:
    path = tmp_path / "event.json"
    pull_request = {"number": 7, "head": {"sha": head, "repo": {"full_name": head_repository}}, "base": {"sha": BASE, "ref": "main"}}
    path.write_text(json.dumps({"pull_request": pull_request, "repository": {"default_branch": "main"}}))
    return path


def on_github(
    github: StandIn, path: Path | None, *, name: str = "pull_request", run_id: int = 100, token: str | None = "", **more: str
) -> dict[str, str]:
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "octo/models",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_RUN_ID": str(run_id),
        "GITHUB_API_URL": github.url,
        **more,
    }
    if path:
        environ["GITHUB_EVENT_PATH"] = str(path)
    if token is not None:
        environ["MLGATE_GITHUB_TOKEN"] = token or github.token
    return environ


def reported(root: Path, evidences: Evidences, environ: dict[str, str]) -> tuple[Workspace, Evidence[Any]]:
    """The stage's evidence after these were left by the stages before, in this very run."""
    workspace = Workspace.open(root, "mlgate.yaml", environ)
    workspace.empty_state()
    for stage, evidence in evidences.items():
        records.write(evidence.model_copy(update={"subject": workspace.subject(evidence.subject.data)}), workspace.evidence_path(stage))
    return workspace, stages.run("report", workspace)


def head_of(root: Path) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


# --- on a laptop -----------------------------------------------------------------------------------------------------


def test_on_a_laptop_the_report_is_three_files_named_in_the_evidence(root: Path) -> None:
    workspace, evidence = reported(root, worse(), {})
    assert (evidence.status, evidence.exit_code) == ("passed", 0)
    assert evidence.summary == "report written to .mlgate/digits/report.html; it says: must not be merged"
    assert [file.path for file in evidence.files] == ["report.md", "report.html", "report.json"]
    for file in evidence.files:
        records.checked_file(file, workspace.state)
    assert (workspace.state / "report.md").read_text().startswith("### ❌ digits: must not be merged — worse than the baseline\n")
    page = (workspace.state / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "mlgate run -C models/digits" in page
    document = json.loads((workspace.state / "report.json").read_text())
    assert document["decision"]["is_passed"] is False
    assert list(document["evidence"]) == ["check", "pull-data", "validate-data", "train", "evaluate", "gate"]


def test_the_terminal_answer_says_where_the_page_is(root: Path) -> None:
    workspace, _ = reported(root, better(), {})
    text = report.terminal_answer(workspace)
    assert text.startswith("✓ digits: may be merged — better than the baseline\n")
    assert text.endswith(f"  Report: {workspace.state / 'report.html'}\n")


@pytest.mark.parametrize("case", [case for case in CASES if case != "thousand_slices"])
def test_every_way_a_run_can_end_is_reported(root: Path, case: str) -> None:
    workspace, evidence = reported(root, CASES[case](), {})
    assert evidence.exit_code == 0, evidence.summary
    assert (workspace.state / "report.html").stat().st_size > 3000


def test_the_same_evidence_gives_the_same_bytes(root: Path) -> None:
    workspace, _ = reported(root, better(), {})
    first = {name: (workspace.state / name).read_bytes() for name in ("report.md", "report.html", "report.json")}
    report.run(workspace)
    assert first == {name: (workspace.state / name).read_bytes() for name in first}


def test_without_a_gate_the_report_says_so_and_is_wrong_input(root: Path) -> None:
    evidences = better()
    del evidences["gate"]
    workspace, evidence = reported(root, evidences, {})
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert evidence.summary.startswith("gate.json: no evidence of the gate; run 'mlgate gate' before the report\n")
    assert "cannot be merged yet — the gate has not decided" in (workspace.state / "report.md").read_text()


def test_evidence_of_another_commit_is_refused_and_never_shown(root: Path) -> None:
    workspace, _ = reported(root, better(), {})
    gate = records.load(workspace.evidence_path("gate"), "gate")
    other = gate.model_copy(update={"subject": gate.subject.model_copy(update={"commit": "c" * 40})})
    records.write(other, workspace.evidence_path("gate"))
    evidence = stages.run("report", workspace)
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert evidence.summary.startswith("gate.json: evidence of another commit")
    text = (workspace.state / "report.md").read_text()
    assert text.startswith("### ⚠️ digits: cannot be merged yet — evidence of gate is refused\n")
    assert "better than" not in text


def test_settings_of_matplotlib_in_the_repository_under_test_have_no_effect(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    (root / "matplotlibrc").write_bytes(b"text.usetex: True\nsavefig.format: \xff\xfe\n")
    (root / "matplotlib.py").write_text("raise SystemExit('code of the repository under test ran')")
    _, evidence = reported(root, better(), {})
    assert evidence.exit_code == 0, evidence.summary


def test_pictures_that_cannot_be_drawn_end_in_one_line_after_the_rest_was_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'ImportError: no matplotlib' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    workspace, evidence = reported(root, thousand_slices(), {})
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert evidence.summary == "the pictures of the report cannot be drawn: ImportError: no matplotlib"
    assert (workspace.state / "report.md").exists()


# --- on GitHub -------------------------------------------------------------------------------------------------------


def test_a_pull_request_gets_one_comment_that_a_second_push_edits_and_a_status(github: StandIn, root: Path, tmp_path: Path) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE)
    github.add_comments(7, 150)
    _, first = reported(root, worse(), on_github(github, event(tmp_path, head)))
    assert first.exit_code == 0, first.summary
    assert isinstance(first.findings, ReportFindings)
    assert (first.findings.comment_action, first.findings.status_set) == ("created", True)
    _, second = reported(root, better(), on_github(github, event(tmp_path, head), run_id=101))
    assert isinstance(second.findings, ReportFindings)
    assert (second.findings.comment_action, second.findings.comment_url) == ("updated", first.findings.comment_url)
    (comment,) = github.comments(7, BOT)
    assert "### ✅ digits: may be merged — better than `main`" in comment.body
    assert "(<https://github.com/octo/models/actions/runs/101>)" in comment.body
    assert [(status.state, status.context, status.description) for status in github.statuses(head)] == [
        ("failure", "mlgate/digits", "must not be merged: worse than main"),
        ("success", "mlgate/digits", "may be merged: better than main"),
    ]


def test_a_run_that_failed_sets_the_status_error(github: StandIn, root: Path, tmp_path: Path) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE)
    _, evidence = reported(root, infrastructure(), on_github(github, event(tmp_path, head)))
    assert evidence.exit_code == 0
    assert github.statuses(head)[-1].state == "error"


def test_the_job_summary_holds_the_report_below_its_limit(
    github: StandIn, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    _, evidence = reported(root, thousand_slices(), on_github(github, event(tmp_path, head)))
    assert evidence.exit_code == 0, evidence.summary
    assert summary.read_text().startswith("before\n### ✅ digits: may be merged")
    assert 150_000 < summary.stat().st_size < 1_048_576
    assert len(github.comments(7, BOT)[0].body) < 65_536


@pytest.mark.parametrize("name", ["push", "merge_group"])
def test_without_a_pull_request_there_is_a_status_and_no_comment(github: StandIn, root: Path, tmp_path: Path, name: str) -> None:
    head = head_of(root)
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"merge_group": {"head_sha": head, "base_sha": BASE}} if name == "merge_group" else {"after": head}))
    _, evidence = reported(root, better(), on_github(github, path, name=name, GITHUB_SHA=head, GITHUB_REF="refs/heads/main"))
    assert evidence.exit_code == 0, evidence.summary
    assert github.statuses(head)[-1].state == "success"
    assert not [exchange for exchange in github.requests if "/issues/" in exchange.path]


def test_a_fork_is_not_answered_and_that_is_no_failure(github: StandIn, root: Path, tmp_path: Path) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE, head_repository="stranger/models")
    _, evidence = reported(root, better(), on_github(github, event(tmp_path, head, head_repository="stranger/models")))
    assert (evidence.status, evidence.exit_code) == ("passed", 0)
    assert "not posted: a run of a fork or of Dependabot has a token that may only read" in evidence.summary
    assert github.requests == []


def test_a_missing_token_names_the_input(github: StandIn, root: Path, tmp_path: Path) -> None:
    workspace, evidence = reported(root, better(), on_github(github, event(tmp_path, head_of(root)), token=None))
    assert (evidence.status, evidence.exit_code) == ("error", 2)
    assert "github-token" in evidence.summary.split("\n")[0]
    assert (workspace.state / "report.html").exists()


def test_nothing_is_asked_of_github_where_nothing_is_wanted(github: StandIn, root: Path, tmp_path: Path) -> None:
    (root / "mlgate.yaml").write_text(MINIMAL_CONFIG + "report: {comment: false, status: false}\n")
    _, evidence = reported(root, better(), on_github(github, event(tmp_path, head_of(root)), token=None))
    assert evidence.exit_code == 0
    assert github.requests == []


def test_a_token_that_may_not_comment_names_the_permission_and_the_status_is_set_all_the_same(
    github: StandIn, root: Path, tmp_path: Path
) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE)
    github.add_token("ghs_read", permissions={"pull-requests": "read", "statuses": "write"})
    workspace, evidence = reported(root, better(), on_github(github, event(tmp_path, head), token="ghs_read"))
    assert (evidence.status, evidence.exit_code) == ("error", 3)
    assert "pull-requests: write" in evidence.summary.split("\n")[0]
    assert github.statuses(head)[-1].state == "success"
    assert (workspace.state / "report.html").exists()
    assert "ghs_read" not in evidence.model_dump_json()


def test_hostile_text_reaches_github_as_text(github: StandIn, root: Path, tmp_path: Path) -> None:
    head = head_of(root)
    github.add_pull_request(7, head_sha=head, base_sha=BASE)
    _, evidence = reported(root, CASES["hostile"](), on_github(github, event(tmp_path, head)))
    assert evidence.exit_code == 0, evidence.summary
    (comment,) = github.comments(7, BOT)
    assert HOSTILE not in comment.body
    assert "\x1b" not in github.statuses(head)[-1].description
