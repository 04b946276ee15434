"""A model that a push did not touch is not run there; its baseline is found all the same, by the fingerprint of its inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from integration.gate.gate_runs import CONFIG, classified, evaluated, labels
from mlgate.context import RunContext
from mlgate.evidence import GateFindings
from mlgate.stages import gate
from mlgate.stages.monorepo import changed
from mlgate.workspace import StageResult, Workspace
from support import commit_files, git, make_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two models, a push to main of both having been recorded."""
    files = {f"{name}/mlgate.yaml": CONFIG.replace("digits", name) for name in "ab"} | {"a/train.py": "1", "b/train.py": "1"}
    root = make_repository(tmp_path / "clone", files)
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    for name in "ab":
        decided(root, name, 900, push_to_main())
    return root


def push_to_main(before: str | None = None) -> RunContext:
    return RunContext(
        event="push", repository="o/r", run_id=1, ref="refs/heads/main", default_branch="main", before=before, token="t",
        server_url="https://github.invalid",
    )  # fmt: skip


def decided(root: Path, name: str, right: int, context: RunContext) -> StageResult:
    """The gate of one model, whose candidate is right on so many of 1,000."""
    # Without a token the store is that of the clone's origin.
    workspace = replace(Workspace.open(root / name, "mlgate.yaml", {}), context=replace(context, token=None))
    evaluated(workspace, classified(*labels(right)))
    return gate.run(workspace)


def pull_request(root: Path) -> RunContext:
    return RunContext(
        event="pull_request",
        repository="o/r",
        run_id=9,
        pull_request=1,
        head_sha=git(root, "rev-parse", "HEAD"),
        base_ref="main",
        default_branch="main",
    )


def test_a_pull_request_for_b_after_pushes_for_a_finds_bs_baseline(root: Path) -> None:
    for number in (2, 3):
        before = git(root, "rev-parse", "HEAD")
        commit_files(root, {"a/train.py": str(number)}, f"only a {number}")
        assert [model.name for model in changed.run(root, "mlgate.yaml", replace(push_to_main(before), token=None)).changed] == ["a"]
        decided(root, "a", 900, push_to_main(before))
    base = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"b/train.py": "2"}, "b")

    findings = decided(root, "b", 950, pull_request(root)).findings

    assert isinstance(findings, GateFindings)
    assert findings.baseline is not None
    assert (findings.baseline.commit, findings.baseline.source) == (base, "store")
    assert findings.verdict == "better"


def test_the_report_of_b_does_not_tell_what_changed_in_a(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"b/train.py": "2", "a/train.py": "2", "lib/x.py": "1"}, "both")

    findings = decided(root, "b", 950, pull_request(root)).findings

    assert isinstance(findings, GateFindings)
    code = {change.name: change.new for change in findings.changes if change.kind == "code"}
    assert code == {"train.py": "+1 −1", "outside the working directory": "1 file, +1 −0"}


def test_a_model_whose_push_was_never_recorded_runs_with_the_next_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run was cancelled, or failed for a reason that passed: without this no later pull request would find a baseline."""
    monkeypatch.setenv("MLGATE_STORE_URL", str(root.parent / "origin.git"))
    commit_files(root, {"b/train.py": "2"}, "b, and its run is cancelled")
    before = git(root, "rev-parse", "HEAD")
    commit_files(root, {"a/train.py": "2"}, "only a")

    found = changed.run(root, "mlgate.yaml", push_to_main(before))

    assert [(model.name, model.why) for model in found.changed] == [("a", "a/train.py"), ("b", "no run has recorded its evaluation")]
