"""What a place of checkpoints does, be it a folder or what DVC reaches."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.fs import LocalFileSystem

from mlgate.training.checkpoints.places import FolderPlace, Place, PlaceError, RemotePlace


@pytest.fixture(params=["folder", "remote"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    if request.param == "folder":
        return FolderPlace(tmp_path / "place", "the place")
    return RemotePlace(LocalFileSystem(), str(tmp_path / "place"), "the place", str)


def test_what_was_written_is_there(place: Place, tmp_path: Path) -> None:
    assert place.written() == {}
    (tmp_path / "source").write_bytes(b"sent")
    place.write("a/b", b"written")
    place.send("c", tmp_path / "source")
    assert sorted(place.written()) == ["a/b", "c"]
    assert (place.read("a/b", 7), place.below("a").read("b", 7), place.read("c", 7)) == (b"written", b"written", b"sent")
    place.fetch("c", tmp_path / "target", 4)
    assert (tmp_path / "target").read_bytes() == b"sent"
    place.write("a/b", b"anew")
    assert place.read("a/b", 7) == b"anew"


def test_what_is_longer_than_it_may_be_is_not_read(place: Place) -> None:
    place.write("a", b"12345678")
    with pytest.raises(PlaceError, match="larger than 7 bytes"):
        place.read("a", 7)


@pytest.mark.parametrize("size_bytes", [3, 5])
def test_what_has_another_size_is_not_fetched(place: Place, tmp_path: Path, size_bytes: int) -> None:
    place.write("a", b"1234")
    with pytest.raises(PlaceError, match="bytes"):
        place.fetch("a", tmp_path / "target", size_bytes)


def test_where_a_file_is_already_none_is_fetched(place: Place, tmp_path: Path) -> None:
    place.write("a", b"1234")
    (tmp_path / "target").write_bytes(b"mine")
    with pytest.raises(PlaceError):
        place.fetch("a", tmp_path / "target", 4)
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_what_another_has_removed_is_said_to_be_absent_and_is_removed_without_a_word(place: Place, tmp_path: Path) -> None:
    place.write("a", b"1234")
    place.remove(["a", "never there"])
    assert place.written() == {}
    for ask in (lambda: place.read("a", 7), lambda: place.fetch("a", tmp_path / "target", 4)):
        with pytest.raises(PlaceError) as refused:
            ask()
        assert (refused.value.is_absent, refused.value.may_pass) == (True, False)
