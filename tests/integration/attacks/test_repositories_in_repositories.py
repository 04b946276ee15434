"""A pull request that commits what Git or mlgate could take for something of ours: repositories, links, our own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgate.errors import InputError
from mlgate.workspace import Workspace
from support import MINIMAL_CONFIG, commit_files, make_repository

ON_GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "octo/models", "GITHUB_RUN_ID": "7"}
# Git fetches an object it lacks from such a repository's "promisor", with a program of the repository's choice.
RUNS_A_PROGRAM = """\
[core]
repositoryformatversion = 1
bare = true
[extensions]
partialClone = origin
[remote "origin"]
promisor = true
url = {url}
uploadpack = {program}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The checkout of a pull request whose model lies in models/digits."""
    return make_repository(tmp_path / "checkout", {"models/digits/mlgate.yaml": MINIMAL_CONFIG})


def open_on_github(checkout: Path) -> Workspace:
    return Workspace.open(checkout / "models/digits", "mlgate.yaml", {**ON_GITHUB, "GITHUB_WORKSPACE": str(checkout)})


@pytest.mark.parametrize("folder", ["models/digits", "models"])
def test_a_repository_that_a_pull_request_commits_around_its_model_is_refused_before_git_obeys_it(
    checkout: Path, tmp_path: Path, folder: str
) -> None:
    root, program = checkout / folder, tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/executed'\n")
    program.chmod(0o755)
    (root / "objects").mkdir()
    (root / "refs").mkdir()
    (root / "HEAD").write_text("1" * 40 + "\n")
    (root / "config").write_text(RUNS_A_PROGRAM.format(url=checkout, program=program))
    with pytest.raises(InputError, match="looks like a Git repository of its own"):
        open_on_github(checkout)
    assert not (tmp_path / "executed").exists()


def test_nor_can_it_point_git_to_the_real_one(checkout: Path) -> None:
    (checkout / "models/digits/HEAD").write_text("1" * 40 + "\n")
    (checkout / "models/digits/commondir").write_text("../../.git\n")
    with pytest.raises(InputError, match="looks like a Git repository of its own"):
        open_on_github(checkout)


def test_a_working_directory_that_is_a_link_out_of_the_checkout_is_refused(checkout: Path, tmp_path: Path) -> None:
    elsewhere = make_repository(tmp_path / "elsewhere")
    (checkout / "models/letters").symlink_to(elsewhere)
    with pytest.raises(InputError, match="leads out of it"):
        Workspace.open(checkout / "models/letters", "mlgate.yaml", {**ON_GITHUB, "GITHUB_WORKSPACE": str(checkout)})


@pytest.mark.parametrize("secret", ["/proc/self/environ", "/etc/passwd", "../../.git/config", "private.yaml"])
def test_nothing_is_read_or_told_of_what_a_configuration_that_is_a_link_leads_to(checkout: Path, secret: str) -> None:
    (checkout / "models/digits/private.yaml").write_text("token: ghs_secret")
    (checkout / "models/digits/mlgate.yaml").unlink()
    (checkout / "models/digits/mlgate.yaml").symlink_to(secret)
    with pytest.raises(InputError) as refusal:
        open_on_github(checkout)
    assert "config: expected a path inside" in str(refusal.value) or "expected a file, found a link" in str(refusal.value)


def test_a_link_committed_below_the_state_folder_is_not_written_through(checkout: Path, tmp_path: Path) -> None:
    workspace = open_on_github(checkout)
    (workspace.root / ".mlgate/digits/evidence").mkdir(parents=True)
    (workspace.root / ".mlgate/.gitignore").symlink_to(tmp_path / "made")
    (workspace.root / ".mlgate/digits/files").symlink_to(tmp_path)
    (workspace.root / ".mlgate/digits/evidence/gate.json").symlink_to(tmp_path / "gate.json")
    workspace.empty_state()
    assert list(workspace.state.iterdir()) == []
    assert not (tmp_path / "made").exists()
    assert (tmp_path / "checkout").exists()


def test_a_store_that_a_pull_request_commits_is_refused(checkout: Path) -> None:
    commit_files(checkout, {"models/digits/.mlgate/store/digits/index.json": "{}"}, "an easy baseline")
    with pytest.raises(InputError, match="found files that Git tracks"):
        open_on_github(checkout).empty_state()
