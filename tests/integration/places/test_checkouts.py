"""Checkouts that lack something: history, which is fetched where origin gives it without asking; submodules, which are said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgate.context import RunContext
from mlgate.errors import InputError
from mlgate.stages.job import checkout
from mlgate.stages.revisions import lineage
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, git, make_repository

Checkout = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """main: one - two; feature, from one: a - b; and GitHub's merge of both."""
    root = make_repository(tmp_path / "source", {"mlgate.yaml": MINIMAL_CONFIG})
    git(root, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(root, "checkout", "--quiet", "-b", "feature")
    commit_files(root, {"f.py": "a"}, "a")
    commit_files(root, {"f.py": "b"}, "b")
    git(root, "checkout", "--quiet", "main")
    commit_files(root, {"m.py": "2"}, "two")
    git(root, "checkout", "--quiet", "--detach")
    git(root, "merge", "--quiet", "--no-ff", "-m", "merge", "feature")
    git(root, "update-ref", "refs/pull/1/merge", "HEAD")
    git(root, "checkout", "--quiet", "main")
    return root


@pytest.fixture
def shallow(source: Path, tmp_path: Path) -> Checkout:
    """As actions/checkout does with its default depth: one commit, detached, of a ref that no branch has."""

    def check_out(ref: str) -> Path:
        root = tmp_path / "checkout"
        root.mkdir()
        git(root, "init", "--quiet")
        git(root, "remote", "add", "origin", f"file://{source}")
        git(root, "fetch", "--quiet", "--depth=1", "origin", f"+{ref}:refs/remotes/pull/it")
        git(root, "checkout", "--quiet", "--detach", "refs/remotes/pull/it")
        return root

    return check_out


def pull_request(source: Path) -> RunContext:
    head, base = git(source, "rev-parse", "feature"), git(source, "rev-parse", "main")
    return RunContext(event="pull_request", repository="o/r", pull_request=1, head_sha=head, base_sha=base, base_ref="main")


@pytest.mark.parametrize(
    ("ref", "baseline"), [("refs/pull/1/merge", "main"), ("refs/heads/feature", "main~1")], ids=["synthetic merge", "head"]
)
def test_history_that_a_shallow_checkout_lacks_is_fetched(
    source: Path, shallow: Checkout, capsys: pytest.CaptureFixture[str], ref: str, baseline: str
) -> None:
    root = shallow(ref)
    head = git(root, "rev-parse", "HEAD")
    found = lineage.baseline_of(root, pull_request(source), head, lambda: False)

    assert found.commit == git(source, "rev-parse", baseline)
    assert "fetched the history that this shallow checkout lacked" in capsys.readouterr().err
    assert git(root, "rev-parse", "HEAD") == head


def test_a_private_origin_is_asked_once_and_nobody_for_a_password(
    source: Path, shallow: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shallow("refs/heads/feature")
    (tmp_path / "ask").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    (tmp_path / "ask").chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(tmp_path / "ask"))
    git(root, "remote", "set-url", "origin", f"file://{tmp_path}/private")
    for _ in range(2):
        with pytest.raises(InputError, match="check out with `fetch-depth: 0`"):
            lineage.baseline_of(root, pull_request(source), git(root, "rev-parse", "HEAD"), lambda: False)

    assert capsys.readouterr().err.count("cannot be fetched") == 1
    assert not (tmp_path / "asked").exists()


def test_a_token_in_origins_address_is_never_shown(
    source: Path, shallow: Checkout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = shallow("refs/heads/feature")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    git(root, "remote", "set-url", "origin", "http://x-access-token:ghs_planted@127.0.0.1:9/o/r")
    with pytest.raises(InputError):
        lineage.baseline_of(root, pull_request(source), git(root, "rev-parse", "HEAD"), lambda: False)
    assert "ghs_planted" not in capsys.readouterr().err


class TestSubmodules:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A model with code in a submodule, cloned without it."""
        make_repository(tmp_path / "features", {"features.py": "1"})
        root = make_repository(tmp_path / "origin", {"mlgate.yaml": MINIMAL_CONFIG})
        git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{tmp_path}/features", "lib/features")
        commit_files(root, {}, "submodule")
        git(tmp_path, "clone", "--quiet", str(root), "clone")
        return tmp_path / "clone"

    def test_one_that_was_not_fetched_is_said_at_the_start_and_ends_nothing(self, root: Path) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "MLGATE_"))}
        finished = subprocess.run(
            [sys.executable, "-m", "mlgate.cli", "setup"], cwd=root, env=environ, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.splitlines()[0] == (
            "! submodule not fetched: lib/features; if the model needs it, check out with `submodules: true`, "
            "or run 'git submodule update --init'"
        )

    def test_one_that_was_fetched_needs_no_word(self, root: Path) -> None:
        git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
        assert checkout.remarks(Workspace.open(root, "mlgate.yaml", {})) == []

    def test_where_it_points_is_among_the_inputs(self, root: Path) -> None:
        git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
        workspace = Workspace.open(root, "mlgate.yaml", {})
        before = git(root, "rev-parse", "HEAD")
        commit_files(root / "lib/features", {"features.py": "2"}, "newer")
        after = commit_files(root, {}, "points to the newer one")

        assert lineage.inputs_sha256(workspace, before) != lineage.inputs_sha256(workspace, after)
