"""Killed at any moment, beside another that saves, on a full disk: what is gone on from is always a whole state that the training had.
Real processes, real signals, real folders."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.fs import LocalFileSystem

from integration.checkpoints.checkpoint_runs import Run, begun, contents, kept
from mlgate.training.checkpoints import patience, snapshot
from mlgate.training.checkpoints.places import FolderPlace, Place, PlaceError, RemotePlace
from mlgate.training.checkpoints.snapshot import NotTakenError, take

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def state(number: int) -> dict[str, bytes]:
    """Two files that belong together; a byte of another state in them would show."""
    line = f"{number:08d}\n".encode()
    return {"model": line * 30_000, "optimizer": line * 10_000}


def number_in(folder: Path) -> int:
    """Which state a folder holds, 0 for none. Fails on any that the training never had."""
    newest = max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
    if newest:
        assert {path.name: path.read_bytes() for path in (folder / str(newest)).iterdir()} == state(newest)
    return newest


def train(run: Run, stop: Callable[[], bool] = lambda: False, pause_s: float = 0.0) -> None:
    """Write state after state, each in a folder that gets its name when it is whole; the one before the last goes."""
    number = number_in(run.folder)
    while not stop():
        number += 1
        aside = run.folder / f"{number}.tmp"
        aside.mkdir(exist_ok=True)
        for name, content in state(number).items():
            (aside / name).write_bytes(content)
        aside.rename(run.folder / str(number))
        for path in run.folder.iterdir():
            if path.name.isdecimal() and int(path.name) < number:
                path.rename(run.folder / f"{path.name}.old.tmp")
                for file in (run.folder / f"{path.name}.old.tmp").iterdir():
                    file.unlink()
                (run.folder / f"{path.name}.old.tmp").rmdir()
        time.sleep(pause_s)


@contextmanager
def child(act: Callable[[], None]) -> Iterator[int]:
    """A process of its own that does something until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(1)
    try:
        yield pid
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ChildProcessError, ProcessLookupError):
            pass


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_killed_at_random_it_goes_on_from_a_whole_state_and_gets_on(tmp_path: Path, kind: str) -> None:
    store: Place | None = None
    if kind == "store":
        store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    here, dice, reached, resumed = FolderPlace(tmp_path / "here", "here"), random.Random(6), 0, 0

    for attempt in range(10):
        folder = tmp_path / f"machine-{attempt}"

        def work(folder: Path = folder) -> None:
            train(begun(folder, here, store, every_s=0.002), pause_s=0.004)

        with child(work):
            time.sleep(dice.uniform(0.01, 0.25))
        # the next machine
        looked = begun(tmp_path / f"look-{attempt}", here, store, is_saving=False)
        number = number_in(looked.folder)
        assert number >= reached, looked.saver.passed_over
        assert looked.saver.passed_over == []
        resumed += number > 0
        reached = number
    assert resumed > 2
    assert reached > 3


def test_two_jobs_that_save_at_once_leave_each_other_whole(tmp_path: Path) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)

    def job(name: str) -> Callable[[], None]:
        here = FolderPlace(tmp_path / f"cache-{name}", "here")
        return lambda: train(begun(tmp_path / name, here, store, every_s=0.002, keep=1), pause_s=0.003)

    found = []
    with child(job("one")), child(job("two")):
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            here = FolderPlace(tmp_path / "look-cache", "here")
            looked = begun(tmp_path / f"look-{len(found)}", here, store, is_saving=False)
            found.append(number_in(looked.folder))
    assert len([number for number in found if number]) > 3
    looked = begun(tmp_path / "after", FolderPlace(tmp_path / "look-cache", "here"), store, is_saving=False)
    assert looked.saver.passed_over == []
    assert number_in(looked.folder) > 0


def test_a_file_that_is_written_in_place_is_taken_when_it_stands_still(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()

    def write_slowly() -> None:
        with (folder / "model").open("wb") as stream:
            for _ in range(20):
                stream.write(b"x" * 1000)
                stream.flush()
                time.sleep(0.02)
        time.sleep(60)

    with child(write_slowly):
        while not (folder / "model").exists():
            time.sleep(0.001)
        taken = take(folder, tmp_path / "into", {}, set())
    assert taken.files[0].size_bytes in range(1000, 20_001, 1000)
    assert (tmp_path / "into" / taken.files[0].sha256).stat().st_size == taken.files[0].size_bytes


def test_one_that_never_stands_still_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlgate.training.checkpoints.snapshot._PAUSE_S", 0.001)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "log").write_bytes(b"x")

    def written_to_while_it_is_copied() -> bool:
        with (folder / "log").open("ab") as stream:
            stream.write(b"x")
        return True

    with pytest.raises(NotTakenError, match=r"checkpoints/log: changes all the time; write a checkpoint under a name that ends in \.tmp"):
        take(folder, tmp_path / "into", {}, set(), is_wanted=written_to_while_it_is_copied)
    assert [path for path in (tmp_path / "into").iterdir() if path.name.startswith(".")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_costs_a_warning_and_leaves_the_last_whole_one(tmp_path: Path, small_disk: Path) -> None:
    here = FolderPlace(small_disk / "place", "the place")
    run = begun(tmp_path / "one", here, every_s=0.02)
    run.write(model="small")
    wait_for(lambda: len(kept(small_disk)) == 1)
    run.write(model="x" * 1_500_000)
    wait_for(lambda: bool(run.said))
    assert run.said == ["  ! checkpoint not saved: the place: No space left on device; tried again in 0 s"]
    assert list(small_disk.rglob(".incoming-*")) == []
    second = begun(tmp_path / "two", here)
    assert (second.folder / "model").read_text() == "small"
    run.write(model="fits again")
    wait_for(lambda: len(kept(small_disk)) == 2)
    run.saver.finish()


def test_a_store_that_is_full_leaves_it_on_this_machine(tmp_path: Path, small_disk: Path) -> None:
    here = FolderPlace(tmp_path / "cache", "the cache")
    store = RemotePlace(
        LocalFileSystem(), str(small_disk / "store"), "the store", lambda error: str(error).partition("] ")[2].partition(":")[0]
    )
    run = begun(tmp_path / "one", here, store)
    run.write(model="x" * 1_500_000)
    assert run.saver.keep_last("interrupted") is None
    assert run.said == [
        "  ! checkpoint not saved: the store: No space left on device; it lies in the cache, and only a run there goes on from it"
    ]
    assert kept(small_disk) == []
    same_machine = begun(tmp_path / "two", here, store)
    assert (same_machine.folder / "model").stat().st_size == 1_500_000
    another_machine = begun(tmp_path / "three", FolderPlace(tmp_path / "another cache", "the cache"), store)
    assert another_machine.content() == {}


def test_a_file_that_the_system_does_not_let_it_write_is_said_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """As a quota does: the first bytes are taken, the rest is not."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        run = begun(tmp_path / "one", FolderPlace(tmp_path / "place", "the place"), every_s=0.02)
        while not run.said:
            time.sleep(0.01)
        said = "\n".join(run.said)
        run.saver.keep_last("interrupted")  # so that nothing is being written when this process is killed
        (tmp_path / "said").write_text(said)
        time.sleep(60)

    (tmp_path / "one").mkdir()
    with child(work):
        wait_for((tmp_path / "one" / ".mlgate-checkpoints.json").exists)
        (tmp_path / "one" / "model").write_bytes(b"x" * 200_000)
        wait_for((tmp_path / "said").exists)
    assert (tmp_path / "said").read_text() == "  ! checkpoint not saved: the place: File too large; tried again in 0 s"
    assert [path for path in (tmp_path / "place").rglob("*") if path.is_file()] == []


def test_what_the_store_has_already_is_taken_from_there_where_the_rest_never_came(tmp_path: Path) -> None:
    here = FolderPlace(tmp_path / "cache", "the cache")
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", here, store)
    run.write(constant="sent", model="0")
    run.saver.save_soon()
    wait_for(lambda: run.saver.saved == 1)
    (tmp_path / "store").rename(tmp_path / "out of reach")
    (tmp_path / "store").write_text("no folder")
    run.write(model="1")
    assert run.saver.keep_last("interrupted") is None
    assert len(contents(tmp_path / "cache")) == 1
    (tmp_path / "store").unlink()
    (tmp_path / "out of reach").rename(tmp_path / "store")
    assert begun(tmp_path / "two", here, store).content() == {"constant": "sent", "model": "1"}


def test_what_could_not_be_sent_is_sent_by_the_next_run_before_it_has_anything_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", 0.01)
    here = FolderPlace(tmp_path / "cache", "the cache")
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", here, store)
    (tmp_path / "store").write_text("out of reach")
    run.write(model="1")
    assert run.saver.keep_last("interrupted") is None
    (tmp_path / "store").unlink()
    again = begun(tmp_path / "one", here, store)
    assert again.content() == {"model": "1"}
    wait_for(lambda: again.saver.saved == 1)
    another_machine = begun(tmp_path / "two", FolderPlace(tmp_path / "another cache", "x"), store)
    assert another_machine.content() == {"model": "1"}


@pytest.mark.parametrize("can_be_taken", [True, False])
def test_what_was_not_sent_yet_is_sent_at_the_end_though_nothing_new_came_or_can_be_taken(tmp_path: Path, *, can_be_taken: bool) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", FolderPlace(tmp_path / "cache", "the cache"), store)
    run.write(model="1")
    run.saver._shelve("running")
    if not can_be_taken:
        (run.folder / "latest").symlink_to("model")
    saved = run.saver.keep_last("interrupted")
    assert saved is not None
    assert [one.name for one in kept(tmp_path / "store")] == [saved.name]
    assert len(run.said) == (not can_be_taken)
    assert all("checkpoint not saved: one/latest: is a link" in said and "it lies in" not in said for said in run.said)


def test_what_the_store_did_not_take_is_sent_again_without_anything_new(tmp_path: Path) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    (tmp_path / "store").write_text("out of reach")
    run = begun(tmp_path / "one", FolderPlace(tmp_path / "cache", "the cache"), store, every_s=0.02)
    run.write(model="1")
    wait_for(lambda: bool(run.said))
    (tmp_path / "store").unlink()
    wait_for(lambda: run.saver.saved == 1)
    run.saver.finish()


def test_what_is_just_sent_is_given_up_for_the_last_one(tmp_path: Path) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", FolderPlace(tmp_path / "cache", "the cache"), store)
    run.write(model="1")
    manifest = run.saver._shelve("running")
    assert manifest is not None
    run.saver._end_thread()
    with pytest.raises(PlaceError, match="a newer one is about to be saved"):
        run.saver._deliver(manifest, is_last=False)
    run.saver._deliver(manifest, is_last=True)
    assert len(kept(tmp_path / "store")) == 1


def test_machines_that_train_together_go_on_from_what_all_of_them_have(tmp_path: Path) -> None:
    here, store = FolderPlace(tmp_path / "cache", "x"), RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", here, store)
    run.write(model="all have it")
    run.saver.keep_last("interrupted")
    later = begun(tmp_path / "two", here, store)
    later.write(model="only this machine has it")
    later.saver._shelve("interrupted")
    assert begun(tmp_path / "three", here, store).content() == {"model": "only this machine has it"}
    assert begun(tmp_path / "four", here, store, is_alone=False).content() == {"model": "all have it"}


def test_what_came_to_its_end_leaves_nothing_on_this_machine(tmp_path: Path) -> None:
    here, store = FolderPlace(tmp_path / "cache", "x"), RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", here, store)
    run.write(model="1")
    run.saver._shelve("running")
    run.saver.finish()
    assert (kept(tmp_path / "cache"), contents(tmp_path / "cache")) == ([], [])
    assert begun(tmp_path / "two", FolderPlace(tmp_path / "another cache", "x"), store).content() == {}


def test_of_many_files_that_change_while_they_are_copied_none_is_of_another_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_MOST_OPEN", 1)  # the others are opened one after another
    folder, copies = tmp_path / "checkpoints", tmp_path / "copies"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text("old")
    copied = 0

    def change_all() -> bool:
        nonlocal copied
        copied += 1
        if copied == 2:
            for name in "abc":
                (folder / f"{name}.tmp").write_text("new")
                (folder / f"{name}.tmp").replace(folder / name)
        return True

    taken = take(folder, copies, {}, (), is_wanted=change_all)
    assert {(copies / file.sha256).read_text() for file in taken.files} == {"new"}


def test_what_somebody_removed_from_the_store_is_brought_again(tmp_path: Path) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", FolderPlace(tmp_path / "cache", "the cache"), store, every_s=0.02)
    run.write(constant="sent", model="0")
    wait_for(lambda: run.saver.saved == 1)
    shutil.rmtree(tmp_path / "store")
    run.write(model="1")
    wait_for(lambda: run.saver.saved == 2)
    run.saver.keep_last("interrupted")
    assert begun(tmp_path / "two", FolderPlace(tmp_path / "other", "x"), store).content() == {"constant": "sent", "model": "1"}


def test_sent_on_nothing_stays_on_this_machine(tmp_path: Path) -> None:
    store = RemotePlace(LocalFileSystem(), str(tmp_path / "store"), "the store", str)
    run = begun(tmp_path / "one", FolderPlace(tmp_path / "cache", "the cache"), store, every_s=0.01)
    for number in range(4):
        run.write(model=str(number), constant="the same in all")
        wait_for(lambda number=number: run.saver.saved > number)  # type: ignore[misc]
    run.saver.keep_last("interrupted")
    assert contents(tmp_path / "cache") == []
    assert kept(tmp_path / "cache") == []
    assert len(kept(tmp_path / "store")) == 2
    assert len(contents(tmp_path / "store")) == 3
    assert [path.name for path in (tmp_path / "store").rglob("ended/*")] == [run.saver._writer]  # what nothing names may go at once


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)
