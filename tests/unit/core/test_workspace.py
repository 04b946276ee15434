"""The model's folder in a run: which evidence of earlier stages is believed, and what every stage leaves."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlgate import evidence as records
from mlgate import stages
from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.evidence import CheckFindings, Evidence
from mlgate.workspace import StageResult, Workspace
from support import MINIMAL_CONFIG, commit_files, make_repository

RUN = RunContext(event="push", repository="o/r", run_id=5, attempt=2)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return replace(Workspace.open(make_repository(tmp_path / "r"), "mlgate.yaml", {}), context=RUN)


def leave(workspace: Workspace, **changes: Any) -> None:
    """Evidence of `check` as this run would have left it."""
    found = Evidence[CheckFindings](
        mlgate_version="1",
        stage="check",
        model=workspace.config.model,
        status="passed",
        summary="",
        subject=workspace.subject([]),
        started_at=records.now(),
        duration_s=0,
        findings=CheckFindings(commands=[]),
        exit_code=0,
    )
    records.write(found.model_copy(update=changes), workspace.evidence_path("check"))


def test_evidence_of_this_very_run_is_believed(workspace: Workspace) -> None:
    assert workspace.evidence("check") is None
    leave(workspace)

    found = workspace.evidence("check")
    assert found is not None
    assert found.status == "passed"


def test_evidence_of_an_earlier_attempt_of_the_run_is_believed(workspace: Workspace) -> None:
    leave(replace(workspace, context=replace(RUN, attempt=1)))

    assert workspace.evidence("check") is not None


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"context": replace(RUN, run_id=6)}, "another run"),
        ({"context": replace(RUN, repository="o/other")}, "another run"),
        ({"context": RunContext()}, "another run"),
        ({"commit": "d" * 40}, "another commit"),
        ({"commit": None}, "another commit"),
        ({"config_sha256": "e" * 64}, "another configuration"),
        ({"context": replace(RUN, attempt=3)}, "a later attempt"),
    ],
)
def test_evidence_of_anything_else_is_refused(workspace: Workspace, other: dict[str, Any], what: str) -> None:
    leave(replace(workspace, **other))

    with pytest.raises(InputError, match=rf"^check\.json: evidence of {what}"):
        workspace.evidence("check")


def test_evidence_of_another_model_is_refused(workspace: Workspace) -> None:
    leave(workspace, model="letters")

    with pytest.raises(InputError, match=r"evidence of another model \(letters, expected digits\); run 'check' again"):
        workspace.evidence("check")


def test_evidence_that_is_none_is_refused(workspace: Workspace) -> None:
    records.write_bytes(workspace.evidence_path("check"), b"{}")

    with pytest.raises(InputError, match=r"^check\.json: not evidence of 'check'"):
        workspace.evidence("check")


@pytest.mark.parametrize("path", ["../mlgate.yaml", "/etc/passwd", "link.yaml"])
def test_a_configuration_outside_the_working_directory_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "mlgate.yaml").write_text(MINIMAL_CONFIG)
    root = tmp_path / "r"
    root.mkdir()
    (root / "link.yaml").symlink_to(tmp_path / "mlgate.yaml")

    with pytest.raises(InputError, match=r"config: expected a path inside the working directory"):
        Workspace.open(root, path, {})


def test_a_working_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"working-directory: no folder"):
        Workspace.open(tmp_path / "absent", "mlgate.yaml", {})


def test_the_state_is_never_seen_by_git(workspace: Workspace) -> None:
    from support import git

    workspace.prepare_state()
    leave(workspace)

    assert git(workspace.root, "status", "--porcelain", "--untracked-files=all") == ""


def test_setup_forgets_this_model_and_keeps_the_store_and_other_models(workspace: Workspace) -> None:
    leave(workspace)
    for kept in ("store/digits/index.json", "letters/evidence/check.json"):
        records.write_bytes(workspace.root / ".mlgate" / kept, b"x")

    workspace.empty_state()

    assert list(workspace.state.iterdir()) == []
    assert (workspace.root / ".mlgate/store/digits/index.json").exists()
    assert (workspace.root / ".mlgate/letters/evidence/check.json").exists()


@pytest.mark.parametrize("name", [".mlgate", ".mlgate/digits"])
def test_a_committed_link_in_place_of_the_state_leads_nowhere(workspace: Workspace, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (outside / "digits").mkdir(parents=True)
    (outside / "digits" / "precious").write_text("x")
    (workspace.root / name).parent.mkdir(exist_ok=True)
    (workspace.root / name).symlink_to(outside)

    with pytest.raises(InputError, match=r"\.mlgate: expected a folder of mlgate's own, found a link"):
        workspace.empty_state()

    assert (outside / "digits" / "precious").exists()


def test_a_file_in_place_of_the_state_is_named(workspace: Workspace) -> None:
    (workspace.root / ".mlgate").write_text("x")

    with pytest.raises(InfrastructureError, match=r"\.mlgate: cannot be written"):
        workspace.prepare_state()


def test_the_subject_says_whether_the_tree_was_clean(workspace: Workspace) -> None:
    assert not workspace.subject([]).is_dirty
    commit_files(workspace.root, {"a.txt": "1"}, "a")
    (workspace.root / "a.txt").write_text("2")

    assert workspace.subject([]).is_dirty


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stage of our own making in the place of `check`, to see what every stage leaves however it ends."""
    module = ModuleType("mlgate.stages.check")
    monkeypatch.setitem(sys.modules, "mlgate.stages.check", module)
    return module


@pytest.mark.parametrize(("error", "exit_code"), [(InputError("wrong \ud800 input"), 2), (InfrastructureError("x" * 50_000), 3)])
def test_a_stage_that_ends_in_an_error_leaves_evidence_of_it(
    workspace: Workspace, check: ModuleType, error: Exception, exit_code: int
) -> None:
    def run(_: Workspace) -> StageResult:
        raise error

    check.run = run  # type: ignore[attr-defined]

    left = stages.run("check", workspace)

    assert (left.status, left.exit_code, left.findings) == ("error", exit_code, None)
    found = workspace.evidence("check")
    assert found is not None
    assert found.summary == left.summary
    assert len(left.summary) <= records.MAX_TEXT


def test_a_check_that_says_no_is_exit_code_one(workspace: Workspace, check: ModuleType) -> None:
    check.run = lambda _: StageResult(status="failed", summary="no", findings=CheckFindings(commands=[]))  # type: ignore[attr-defined]

    assert stages.run("check", workspace).exit_code == 1
