"""The store in a folder: what it does with damage, with a folder it may not write, and where it lies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from mlgate.context import RunContext
from mlgate.errors import InfrastructureError, InputError
from mlgate.store import folder, open_store
from mlgate.store.folder import FolderStore


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_a_write_that_dies_before_the_index_leaves_the_old_state(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write({"a.json": b"old", "b.json": b"old"}, "old")
    replace = os.replace

    def dies_at_the_index(source: Path, target: Path) -> None:
        if target.name == "index.json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", dies_at_the_index)
    with pytest.raises(KeyboardInterrupt):
        store.write({"a.json": b"new", "b.json": b"new"}, "new")
    monkeypatch.undo()

    assert (store.read("a.json"), store.read("b.json")) == (b"old", b"old")
    store.write({"a.json": b"newer"}, "newer")
    assert (store.read("a.json"), store.read("b.json")) == (b"newer", b"old")


def test_a_damaged_record_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    store.write({"a.json": b"content"}, "one")
    for path in (tmp_path / "store" / "objects").iterdir():
        path.write_bytes(b"altered")

    with pytest.raises(InfrastructureError, match=r"record 'a.json' was damaged"):
        store.read("a.json")

    store.write({"a.json": b"content"}, "mended")
    assert store.read("a.json") == b"content"


def test_a_lost_content_is_noticed(store: FolderStore, tmp_path: Path) -> None:
    store.write({"a.json": b"content"}, "one")
    for path in (tmp_path / "store" / "objects").iterdir():
        path.unlink()

    with pytest.raises(InfrastructureError, match=r"the content of record 'a.json' is gone"):
        store.read("a.json")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema_version": 2}', '{"schema_version": 1, "written_at": 0, "message": "", "records": {"a.json": "../../etc"}}'],
)
def test_an_index_that_is_none_is_an_error_and_not_an_empty_store(store: FolderStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "index.json").write_text(text)

    with pytest.raises(InfrastructureError, match=r"index\.json.*restore it from a backup"):
        store.names()
    with pytest.raises(InfrastructureError, match=r"index\.json"):
        store.write({"a.json": b""}, "never over damage")


def test_contents_no_record_has_any_more_go_after_a_day(store: FolderStore, tmp_path: Path) -> None:
    store.write({"a.json": b"1"}, "one")
    store.write({"a.json": b"2"}, "two")
    objects = tmp_path / "store" / "objects"
    assert len(list(objects.iterdir())) == 2, "a reader may be about to read it"
    for path in objects.iterdir():
        os.utime(path, (0, 0))

    store.write({"b.json": b"3"}, "three")

    assert len(list(objects.iterdir())) == 2
    assert (store.read("a.json"), store.read("b.json")) == (b"2", b"3")


def test_a_lock_that_is_never_freed_ends_with_a_message(store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write({"a.json": b"1"}, "one")
    monkeypatch.setattr(folder, "LOCK_PATIENCE_S", 0.1)
    with (tmp_path / "store" / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InfrastructureError, match=r"another process holds its \.lock"):
            store.write({"a.json": b"2"}, "two")
        assert store.read("a.json") == b"1", "readers do not wait"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FolderStore(tmp_path / "file" / "store")

    with pytest.raises(InfrastructureError, match=r"folder .*file/store: cannot be written: Not a directory"):
        store.write({"a.json": b""}, "one")


def test_where_it_lies(tmp_path: Path) -> None:
    root = tmp_path / "r"

    def described(setting: str | None) -> str:
        return open_store(setting, root=root, model="digits", context=RunContext()).description

    assert described(None) == f"folder {root}/.mlgate/store/digits"
    assert described("state/here") == f"folder {root}/state/here/digits"
    assert described("/srv/mlgate") == "folder /srv/mlgate/digits"
    assert described("~/mlgate") == f"folder {Path.home()}/mlgate/digits"


@pytest.mark.parametrize("setting", ["s3://bucket/prefix", "gs://bucket", "https://example.org/x"])
def test_a_kind_of_store_there_is_not_says_what_there_is(tmp_path: Path, setting: str) -> None:
    with pytest.raises(InputError, match=r"store: '\w+://' is not supported in this version; expected `git` or the path of a folder"):
        open_store(setting, root=tmp_path, model="digits", context=RunContext())
