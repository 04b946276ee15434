"""Hashes equal to DVC's own, and who tracks what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dvc.repo import Repo

from mlgate.data.identity import content, differing, identify
from mlgate.data.tracking import tracked_by
from mlgate.errors import InputError
from support import git, make_repository

# pygtrie warns of what DVC uses of it
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

PIPELINE = """\
stages:
  prepare:
    cmd: python prepare.py
    wdir: sub
    outs: [made, ../data/made.csv]
    metrics: [{m.json: {cache: false}}]
"""


@pytest.fixture(autouse=True)
def _own_dvc_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("dvc")))


def dvc_hash(root: Path, path: str) -> str:
    """What DVC itself computes."""
    with Repo(str(root)) as repo:
        (stage,) = repo.add(str(root / path))
        return f"md5:{stage.outs[0].hash_info.value}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_repository(tmp_path, {"tracked.csv": "a\n1\n"})
    Repo.init(str(tmp_path)).close()
    return tmp_path


def test_a_file_has_the_hash_that_dvc_gives_it(root: Path) -> None:
    (root / "d.csv").write_bytes(b"a,b\r\n1,2\r\n")
    found = identify(root, "d.csv")
    assert found.hash == dvc_hash(root, "d.csv")
    assert (found.size_bytes, found.files) == (10, 1)


def test_a_folder_with_subfolders_links_and_odd_names_has_the_hash_that_dvc_gives_it(root: Path) -> None:
    folder = root / "data"
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("b.txt", "a.txt", "A.txt", "ü.csv", "sub/x y.txt", "sub/deeper/z", "sub.txt"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("a.txt")
    (folder / "linked-folder").symlink_to("sub")
    (root / "outside.txt").write_text("outside")
    (folder / "link-out").symlink_to(root / "outside.txt")
    found = identify(root, "data")
    assert found.hash == dvc_hash(root, "data")
    assert found.files == 9


def test_an_ignore_file_leaves_out_what_dvc_leaves_out(root: Path) -> None:
    (root / ".dvcignore").write_text("# comment\n*.tmp\n")
    (root / "data").mkdir()
    (root / "data" / "a.txt").write_text("a")
    (root / "data" / "b.tmp").write_text("b")
    found = identify(root, "data")
    assert (found.files, found.hash) == (1, dvc_hash(root, "data"))


def test_a_linked_file_and_a_linked_folder_count_as_what_they_point_to(root: Path) -> None:
    (root / "real").mkdir()
    (root / "real" / "d.csv").write_text("1")
    (root / "folder").symlink_to("real")
    (root / "file.csv").symlink_to("real/d.csv")
    assert identify(root, "folder").hash == identify(root, "real").hash
    assert identify(root, "file.csv").hash == identify(root, "real/d.csv").hash


def test_text_hashed_by_dvc_2_counts_line_endings_as_on_unix(root: Path) -> None:
    (root / "windows.txt").write_bytes(b"a\r\nb\r\n")
    (root / "unix.txt").write_bytes(b"a\nb\n")
    (root / "binary").write_bytes(b"\0a\r\nb")
    assert content(root, "windows.txt", "md5-dos2unix").md5 == content(root, "unix.txt").md5 != content(root, "windows.txt").md5
    assert content(root, "binary", "md5-dos2unix").md5 == content(root, "binary").md5


def test_what_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"^nothing\.csv: no such file or folder$"):
        identify(root, "nothing.csv")


def test_a_broken_link_in_a_folder_is_named(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "broken").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"^data: data/broken: no such file or folder \(a link to nothing\)$"):
        identify(root, "data")


def test_only_data_that_changed_or_went_differs(root: Path) -> None:
    for name in ("same.csv", "changed.csv", "gone.csv"):
        (root / name).write_text(name)
    validated = [identify(root, name) for name in ("same.csv", "changed.csv", "gone.csv")]
    (root / "changed.csv").write_text("other")
    os.utime(root / "same.csv")
    (root / "gone.csv").unlink()
    changed, gone = differing(root, validated)
    assert str(changed).startswith("changed.csv changed (md5:")
    assert str(gone) == "gone.csv is gone"
    assert (changed.now and changed.now.size_bytes, gone.now) == (5, None)


def test_who_tracks_a_file_is_told(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data" / "raw.csv").write_text("1")
    (root / "data" / "part.csv").write_text("1")
    (root / "loose.csv").write_text("1")
    (root / "folder").mkdir()
    (root / "folder" / "x").write_text("1")
    with Repo(str(root)) as repo:
        repo.add([str(root / "data" / "raw.csv"), str(root / "folder")])
    (root / "dvc.yaml").write_text(PIPELINE)
    expected = {
        "data/raw.csv": "dvc",
        "folder": "dvc",
        "folder/x": "dvc",
        "data/made.csv": "dvc",
        "sub/made/part": "dvc",
        "sub/m.json": "none",
        "tracked.csv": "git",
        "loose.csv": "none",
    }
    assert {path: tracked_by(root, path) for path in expected} == expected


def test_a_model_below_the_repositorys_top_sees_what_dvc_tracks_there(root: Path) -> None:
    (root / "models" / "a" / "data").mkdir(parents=True)
    (root / "models" / "a" / "data" / "raw.csv").write_text("1")
    with Repo(str(root)) as repo:
        repo.add(str(root / "models" / "a" / "data" / "raw.csv"))
    assert identify(root / "models" / "a", "data/raw.csv").tracked_by == "dvc"


def test_without_dvc_git_or_nobody_tracks(tmp_path: Path) -> None:
    make_repository(tmp_path, {"a.csv": "1\n"})
    (tmp_path / "b.csv").write_text("1")
    assert [tracked_by(tmp_path, name) for name in ("a.csv", "b.csv")] == ["git", "none"]
    git(tmp_path, "rm", "--cached", "--quiet", "a.csv")
    assert tracked_by(tmp_path, "a.csv") == "none"


def test_a_broken_pipeline_file_is_named(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: {a: [}\n")
    (root / "x.csv").write_text("1")
    with pytest.raises(InputError, match=r"^dvc\.yaml: not valid YAML"):
        identify(root, "x.csv")
