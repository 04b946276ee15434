"""What is kept of a training is believed only whole, and only for files that the configuration names. Real files in a folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlgate.training import results
from mlgate.training.checkpoints.places import FolderPlace, PlaceError
from mlgate.training.environment import Environment
from mlgate.training.results import NotKeptError, NotWholeError, Products, Result

TRAINING = "a" * 64
HERE = Environment(python="CPython 3.12.4", platform="linux-x86_64", libc="glibc 2.36", system="debian 12", packages={"torch": "2.3.0"})
PRODUCTS = Products(["eval/predictions.csv", "model"], ["eval/seeds/*.csv"])
FILES = {"eval/predictions.csv": "id,y\n", "eval/seeds/a.csv": "a", "model/weights.bin": "w" * 5000, "model/deep/tokens.json": "{}"}


def made(root: Path, files: dict[str, str] = FILES) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def place(folder: Path) -> FolderPlace:
    return FolderPlace(folder / "store", "the store", is_synced=False)


def keep(folder: Path, training: str = TRAINING, products: Products = PRODUCTS, **more: Any) -> int:
    def described(files: list[results.ResultFile]) -> Result:
        return Result(
            training=training,
            environment=HERE,
            model="digits",
            commit=None,
            run=None,
            trained_at=datetime(2026, 11, 21, tzinfo=UTC),
            duration_s=60,
            files=files,
        )

    return results.keep(place(folder), folder / "made", products, described, **more)


def brought(folder: Path, products: Products = PRODUCTS) -> dict[str, str]:
    """Files that a second machine gets."""
    root = folder / "second"
    root.mkdir(exist_ok=True)
    found = results.find(place(folder), TRAINING, HERE, products)
    assert found.result is not None
    results.bring(place(folder), found.result, root, folder / "aside")
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_what_was_kept_comes_back_to_the_byte(tmp_path: Path) -> None:
    made(tmp_path / "made")
    assert keep(tmp_path) == sum(map(len, FILES.values()))
    assert brought(tmp_path) == FILES
    assert not (tmp_path / "aside").exists()
    assert keep(tmp_path) == 0, "it is there already"


def test_what_lay_there_is_replaced_and_what_it_was_linked_to_stays(tmp_path: Path) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    (tmp_path / "second" / "eval").mkdir(parents=True)
    (tmp_path / "cache").write_text("an object of DVC's cache")
    (tmp_path / "second" / "eval" / "predictions.csv").symlink_to(tmp_path / "cache")
    assert brought(tmp_path) == FILES
    assert (tmp_path / "cache").read_text() == "an object of DVC's cache"


def cut(training: Path) -> None:
    largest = max(training.iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])


def flipped(training: Path) -> None:
    largest = max(training.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[100] ^= 1
    largest.write_bytes(content)


def gone(training: Path) -> None:
    max(training.iterdir(), key=lambda path: path.stat().st_size).unlink()


def linked(training: Path) -> None:
    largest = max(training.iterdir(), key=lambda path: path.stat().st_size)
    largest.rename(training.parent.parent / "elsewhere")
    largest.symlink_to(training.parent.parent / "elsewhere")


def in_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(training: Path) -> None:
        path = next(training.glob("*.json"))
        manifest = json.loads(path.read_bytes())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return damage


def named(path: str) -> Callable[[Path], None]:
    return in_manifest(lambda manifest: manifest["files"][0].update(path=path))


def another_size(manifest: dict[str, Any]) -> None:
    manifest["files"][0]["size_bytes"] = 10**15


def halved(training: Path) -> None:
    path = next(training.glob("*.json"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flipped,
        gone,
        linked,
        halved,
        named("../outside.csv"),
        named("/etc/outside.csv"),
        named("model/../../outside.csv"),
        named("model//weights.bin"),
        named("./model/weights.bin"),
        named("model\\..\\x"),
        named("model/.git/config"),
        named("model/a\nb"),
        named(".git/hooks/pre-commit"),
        named("train.py"),
        named("eval/seeds/deep/a.csv"),
        named("eval/seeds/a.csv"),
        in_manifest(lambda manifest: manifest["files"].pop(0)),
        in_manifest(lambda manifest: manifest["files"].append(manifest["files"][0])),
        in_manifest(lambda manifest: manifest.update(training="0" * 64)),
        in_manifest(lambda manifest: manifest["environment"].update(system="windows 3.1")),
        in_manifest(lambda manifest: manifest.update(schema_version=2)),
        in_manifest(lambda manifest: manifest.update(more="x")),
        in_manifest(another_size),
    ],
)
def test_a_result_that_was_touched_is_of_no_use_and_puts_nothing_anywhere(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    damage(tmp_path / "store" / TRAINING)
    before = set(tmp_path.rglob("*"))
    with pytest.raises((NotWholeError, PlaceError)):
        brought(tmp_path)
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "second"}


@pytest.mark.parametrize("at", ["eval", "model", "model/deep"])
def test_a_link_where_a_folder_was_leads_nowhere(tmp_path: Path, at: str) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "second" / at
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(NotWholeError, match="is no folder here"):
        brought(tmp_path)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"eval/predictions.csv": "x", "eval/seeds/a.csv": "x"}, "made no model"),
        ({"model/a": "x", "eval/seeds/a.csv": "x"}, "made no eval/predictions.csv"),
        ({"eval/predictions.csv": "x", "model/a": "x"}, r"made no eval/seeds/\*.csv"),
        (FILES | {"model/.git/config": "x"}, "has a name that is not taken"),
    ],
)
def test_only_what_is_complete_is_kept(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    made(tmp_path / "made", files)
    with pytest.raises(NotKeptError, match=reason):
        keep(tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_folder_that_is_linked_into_a_product_is_not_followed(tmp_path: Path) -> None:
    made(tmp_path / "made")
    (tmp_path / "made" / "model" / "everything").symlink_to("/")
    with pytest.raises(NotKeptError, match="is a link to a folder"):
        keep(tmp_path)


def test_a_result_of_another_environment_is_none_and_says_so(tmp_path: Path) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    other = HERE.model_copy(update={"packages": {"torch": "2.4.0"}})
    found = results.find(place(tmp_path), TRAINING, other, PRODUCTS)
    assert found.result is None
    assert found.elsewhere is not None
    assert found.elsewhere.differences(other) == "torch 2.3.0 -> 2.4.0"
    assert results.find(place(tmp_path), "b" * 64, HERE, PRODUCTS) == results.Found()


def test_the_newest_fifty_are_kept_and_of_the_others_nothing(tmp_path: Path) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    [manifest] = (tmp_path / "store" / TRAINING).glob("*.json")
    for number in range(60):
        training = tmp_path / "store" / hashlib.sha256(str(number).encode()).hexdigest()
        training.mkdir()
        older = training / f"{number + 1:08x}{manifest.name[8:]}"
        older.write_text("{}")
        os.utime(older, (number + 1, number + 1))
        (training / ("0" * 64)).write_text("weights")
    keep(tmp_path, training="f" * 64)
    left = {folder.name for folder in (tmp_path / "store").iterdir() if any(folder.iterdir())}
    newest = {hashlib.sha256(str(number).encode()).hexdigest() for number in range(12, 60)}
    assert left == {TRAINING, "f" * 64} | newest
    assert len(left) == results.KEPT


def test_what_is_of_no_use_is_replaced(tmp_path: Path) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    cut(tmp_path / "store" / TRAINING)
    halved(tmp_path / "store" / TRAINING)
    keep(tmp_path, is_replacing=True)
    assert brought(tmp_path) == FILES
    assert len(list((tmp_path / "store" / TRAINING).glob("*.json"))) == 1


def test_a_disk_without_room_gets_nothing(tmp_path: Path) -> None:
    made(tmp_path / "made")
    keep(tmp_path)
    found = results.find(place(tmp_path), TRAINING, HERE, PRODUCTS).result
    assert found is not None
    huge = found.model_copy(update={"files": [found.files[0].model_copy(update={"size_bytes": 2**52})]})
    with pytest.raises(NotWholeError, match="have no room on the disk"):
        results.bring(place(tmp_path), huge, tmp_path / "second", tmp_path / "aside")
