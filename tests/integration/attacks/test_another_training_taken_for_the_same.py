"""What a training reads is not always what Git compares: nothing that was changed behind its back may find another training's checkpoint
or result. Real Git."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgate.evidence import DataRef
from mlgate.stages.training import same_training
from mlgate.training import environment
from mlgate.workspace import Workspace
from support import commit_files, git, make_repository

CONFIG = """\
model: digits
train: {command: 'python train.py --lr "${LR}" --out $RUNNER_TEMP --key $API_TOKEN', checkpoints: checkpoints}
evaluation: {task: classification, predictions: eval/predictions.csv, metrics: [accuracy]}
"""
FILES = {
    "mlgate.yaml": CONFIG,
    "train.py": "1\n",
    "weights.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "notes.nb": "x\n",
    ".gitattributes": "*.bin filter=lfs\n*.nb filter=strip\n",
}
MTIME = (1_700_000_000, 1_700_000_000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a submodule that says it is to be ignored, and a link out of it."""
    base = tmp_path_factory.mktemp("made")
    (base / "outside").mkdir()
    (base / "outside" / "data.csv").write_text("1\n")
    make_repository(base / "lib", {"lib.py": "1\n"})
    make_repository(base / "r", FILES)
    git(base / "r", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib", "lib")
    git(base / "r", "config", "-f", ".gitmodules", "submodule.lib.ignore", "all")
    (base / "r" / "linked").symlink_to("../outside")
    git(base / "r", "add", "--all", "--force")
    git(base / "r", "commit", "--quiet", "-m", "all")
    return base


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_ACTIONS", "LR", "RUNNER_TEMP", "API_TOKEN", "MLGATE_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(made, tmp_path / "made", symlinks=True)
    return tmp_path / "made" / "r"


def key(root: Path, *data: str) -> str:
    references = [DataRef(path=path, hash="md5:" + "0" * 32, size_bytes=1, files=1, tracked_by="none") for path in data]
    return same_training.identify(Workspace.open(root, "mlgate.yaml", os.environ), references, {}).key


def flagged(flag: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        git(root, "update-index", flag, "train.py")
        (root / "train.py").write_text("2\n")

    return change


def a_submodules_file(root: Path) -> None:
    (root / "lib" / "lib.py").write_text("2\n")


def a_file_more_in_a_submodule(root: Path) -> None:
    (root / "lib" / "more.py").write_text("2\n")


def a_submodule_at_another_commit(root: Path) -> None:
    commit_files(root / "lib", {"lib.py": "3\n"}, "other")


def a_submodule_that_was_not_fetched(root: Path) -> None:
    git(root, "submodule", "--quiet", "deinit", "--force", "--", "lib")


def what_a_link_out_of_the_repository_shows(root: Path) -> None:
    (root.parent / "outside" / "data.csv").write_text("other\n")


def contents_of_lfs_that_are_there(root: Path) -> None:
    git(root, "config", "filter.lfs.clean", f"printf '{FILES['weights.bin']}'".replace("\n", "\\n"))
    (root / "weights.bin").write_text("the weights\n")


def what_a_filter_hides(root: Path) -> None:
    git(root, "config", "filter.strip.clean", "echo x")
    (root / "notes.nb").write_text("other\n")


def what_a_filter_hides_that_is_in_no_commit(root: Path) -> None:
    (root / ".gitattributes").unlink()
    commit_files(root, {}, "no attributes")
    git(root, "config", "filter.strip.clean", "echo 1")
    (root / ".git" / "info" / "attributes").write_text("*.py filter=strip\n")
    (root / "train.py").write_text("other\n")


def a_variable_of_the_command(root: Path) -> None:
    os.environ["LR"] = "0.2"


@pytest.mark.parametrize(
    "change",
    [
        flagged("--assume-unchanged"), flagged("--skip-worktree"), a_submodules_file, a_file_more_in_a_submodule,
        a_submodule_at_another_commit, a_submodule_that_was_not_fetched, what_a_link_out_of_the_repository_shows,
        contents_of_lfs_that_are_there, what_a_filter_hides, a_variable_of_the_command,
    ],
)  # fmt: skip
def test_what_git_does_not_see_is_another_training(root: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR", "0.1")
    before = key(root)
    change(root)
    assert key(root) != before


def test_a_filter_in_no_commit_is_seen_through(root: Path) -> None:
    what_a_filter_hides_that_is_in_no_commit(root)
    keys = {key(root)}
    (root / "train.py").write_text("another\n")
    assert key(root) not in keys


def test_an_edit_of_the_same_size_whose_time_was_set_back_is_seen_where_git_was_told_to_look_at_less(root: Path) -> None:
    git(root, "config", "core.checkStat", "minimal")
    git(root, "config", "core.trustctime", "false")
    path = root / "train.py"
    os.utime(path, MTIME)
    git(root, "update-index", "--refresh")
    before = key(root)
    time.sleep(1.1)  # Git compares whole seconds
    with path.open("r+") as stream:  # in place: the same inode
        stream.write("2")
    os.utime(path, MTIME)
    assert git(root, "status", "--porcelain", "train.py") == ""
    assert key(root) != before


@pytest.mark.parametrize("how", ["shallow", "worktree", "autocrlf", "submodule"])
def test_another_kind_of_checkout_of_the_same_commit_is_the_same_training(root: Path, tmp_path: Path, how: str) -> None:
    git(root, "rm", "--quiet", "--force", "lib", "weights.bin", "notes.nb")  # what was not fetched, or is filtered, counts by its bytes
    commit_files(root, {"train.py": "3\n"}, "code")
    other = tmp_path / "made" / "other"
    if how == "worktree":
        git(root, "worktree", "add", "--quiet", "--detach", str(other))
    elif how == "submodule":
        make_repository(tmp_path / "made" / "super", {"readme": ""})
        git(tmp_path / "made" / "super", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", root.as_uri(), "r")
        (tmp_path / "made" / "super" / "outside").symlink_to("../outside")  # what a link in it shows there
        other = tmp_path / "made" / "super" / "r"
    else:
        options = ["--depth=1"] if how == "shallow" else ["-c", "core.autocrlf=true"]
        git(tmp_path, "clone", "--quiet", *options, root.as_uri(), str(other))
    assert ((other / "train.py").read_bytes() == b"3\r\n") == (how == "autocrlf")
    assert key(other, "linked/data.csv") == key(root, "linked/data.csv")
    (other / "train.py").write_text("4\n")
    assert key(other, "linked/data.csv") != key(root, "linked/data.csv")


def test_a_second_change_in_a_submodule_or_a_repository_inside_is_another_again(root: Path) -> None:
    make_repository(root / "inner", {"x.py": "1\n"})
    keys = set()
    for text in ("2\n", "3\n"):
        (root / "lib" / "lib.py").write_text(text)
        keys.add(key(root))
        (root / "inner" / "x.py").write_text(text)
        keys.add(key(root))
    assert len(keys) == 4


def test_a_large_file_that_git_does_not_have_is_told_apart_though_its_time_was_set_back(root: Path) -> None:
    large = root / "large.bin"
    with large.open("wb") as stream:
        stream.truncate(257 * 2**20)
    os.utime(large, MTIME)
    before = key(root)
    with large.open("r+b") as stream:
        stream.write(b"other")
    os.utime(large, MTIME)
    assert key(root) != before


def test_what_differs_from_job_to_job_and_what_is_secret_is_no_part_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(root)
    monkeypatch.setenv("RUNNER_TEMP", "/tmp/elsewhere")
    monkeypatch.setenv("API_TOKEN", "s3cret-value")
    assert key(root) == before


def test_data_that_has_a_hash_of_its_own_is_not_looked_at_again_through_its_link(root: Path) -> None:
    before = key(root, "linked/data.csv")
    os.utime(root.parent / "outside" / "data.csv", MTIME)
    assert key(root, "linked/data.csv") == before


@pytest.mark.parametrize("is_editable", [True, False])
def test_a_package_that_was_installed_from_a_folder_is_another_when_its_code_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_editable: bool
) -> None:
    folder, installed = tmp_path / "a lib", tmp_path / "site" / "lib-1.0.dist-info"
    folder.mkdir()
    installed.mkdir(parents=True)
    (installed / "direct_url.json").write_text(json.dumps({"url": folder.as_uri(), "dir_info": {"editable": is_editable}}))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    found = []
    for text, record in (
        ("1", "lib.py,sha256=a,1\n../../bin/x,sha256=1,1\n"),
        ("1", "../../bin/x,sha256=2,1\nlib.py,sha256=a,1\n"),
        ("2", "lib.py,sha256=b,1\n"),
    ):
        (folder / "lib.py").write_text(text)
        (installed / "RECORD").write_text(record)
        found.append(environment.here(root).packages["lib"])
    assert found[0] == found[1] != found[2]
