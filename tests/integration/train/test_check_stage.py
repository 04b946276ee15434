"""check: the user's own tests run first, and the first failure is named."""

from __future__ import annotations

import os
from pathlib import Path

from mlgate import stages
from mlgate.evidence import CheckFindings, Evidence
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, make_repository


def check(root: Path, *commands: str) -> Evidence[CheckFindings]:
    listed = "".join(f"  - {command}\n" for command in commands)
    make_repository(root, {"mlgate.yaml": MINIMAL_CONFIG + (f"checks:\n{listed}" if commands else "")})
    return stages.run("check", Workspace.open(root, "mlgate.yaml", {**os.environ, "GITHUB_ACTIONS": ""}))


def test_without_checks_the_stage_is_skipped(tmp_path: Path) -> None:
    evidence = check(tmp_path)
    assert (evidence.status, evidence.exit_code, evidence.findings) == ("skipped", 0, None)


def test_all_checks_run_in_order_and_their_output_is_kept(tmp_path: Path) -> None:
    evidence = check(tmp_path, "echo one", "echo two >&2")
    assert (evidence.status, evidence.exit_code) == ("passed", 0)
    state = tmp_path / ".mlgate" / "digits"
    assert [(state / file.path).read_text() for file in evidence.files] == ["one\n", "two\n"]
    assert evidence.findings is not None
    assert [run.command for run in evidence.findings.commands] == ["echo one", "echo two >&2"]


def test_the_first_failure_is_named_and_ends_the_stage(tmp_path: Path) -> None:
    evidence = check(tmp_path, "exit 0", "echo '1 failed, 3 passed'; exit 4", "touch never")
    assert (evidence.status, evidence.exit_code) == ("failed", 1)
    assert evidence.summary == "'echo '1 failed, 3 passed'; exit 4' failed (exit 4): 1 failed, 3 passed"
    assert not (tmp_path / "never").exists()
    assert evidence.findings is not None
    assert [run.exit_code for run in evidence.findings.commands] == [0, 4]


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "exit 127, no such command" in check(tmp_path, "no-such-tool -q").summary


def test_a_command_that_was_killed_is_said(tmp_path: Path) -> None:
    assert "killed by SIGKILL, often for want of memory" in check(tmp_path, "kill -KILL $$").summary
