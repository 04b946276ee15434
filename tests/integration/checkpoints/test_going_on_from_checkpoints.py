"""A training that was ended goes on from the newest whole checkpoint of its own, and from nothing else. Real folders."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.checkpoints.checkpoint_runs import OTHER_KEY, Begin, Run, begun, contents, kept
from mlgate.evidence import RunRef
from mlgate.training.checkpoints import restoring, snapshot
from mlgate.training.checkpoints.places import FolderPlace
from mlgate.training.checkpoints.snapshot import NotTakenError
from mlgate.training.position import Position


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def begin(tmp_path: Path, place: Path) -> Begin:
    """Runs on one machine after another: each with a folder of its own."""
    count = 0

    def run(**settings: Any) -> Run:
        nonlocal count
        count += 1
        return begun(settings.pop("folder", tmp_path / f"machine-{count}" / "checkpoints"), FolderPlace(place, "the place"), **settings)

    return run


def test_an_interrupted_training_goes_on_with_all_its_files(begin: Begin) -> None:
    first = begin()
    assert first.saver.resumed_from is None
    first.write(model="weights", optimizer__state="momentum")
    saved = first.saver.keep_last("interrupted")
    assert saved is not None
    second = begin()
    assert second.content() == {"model": "weights", "optimizer/state": "momentum"}
    assert second.saver.resumed_from == saved


def test_a_training_that_writes_none_hears_of_it_after_the_period_and_the_report_does(begin: Begin) -> None:
    run = begin(every_s=0.05)
    (run.folder / "epoch-1.tmp").write_text("half")
    deadline = time.monotonic() + 10
    while not run.said:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    [said] = run.said
    assert said == "  ! no checkpoint is in checkpoints/ (MLGATE_CHECKPOINTS) yet: were the training ended now, all of it would be lost"
    run.saver.finish()
    [remark] = run.saver.remarks
    assert remark == "the training wrote no checkpoint to checkpoints/: had it been ended, all of it would have been lost"
    short = begin()
    short.saver.finish()
    assert (short.said, short.saver.remarks) == ([], []), "a training that is shorter than the period needs none"


def test_what_is_being_written_and_what_is_hidden_is_not_saved(begin: Begin) -> None:
    run = begin()
    run.write(model="whole")
    for name in ("next.tmp", "download.part", ".cache"):
        (run.folder / name).write_text("half")
    (run.folder / "epoch-2.tmp").mkdir()
    (run.folder / "epoch-2.tmp" / "model").write_text("half")
    run.saver.keep_last("interrupted")
    assert begin().content() == {"model": "whole"}


@pytest.mark.parametrize(("unit", "kept_as"), [("epoch", "epoch"), ("it", "it"), ("two words", None), ("x" * 30, None), ("", None)])
def test_how_far_it_was_is_kept_with_what_was_counted(begin: Begin, tmp_path: Path, place: Path, unit: str, kept_as: str | None) -> None:
    run = begin()
    run.saver._position = lambda: Position(12, 40, unit)
    run.write(model="half way")
    saved = run.saver.keep_last("interrupted")
    assert saved is not None
    assert (saved.step, saved.unit) == (12, kept_as)
    resumed = begin().saver.resumed_from
    assert resumed is not None
    assert (resumed.step, resumed.unit) == (12, kept_as)


def test_a_checkpoint_is_as_far_as_the_training_was_when_it_was_written(begin: Begin) -> None:
    run = begin()
    run.write(model="half way")
    now = time.time()
    os.utime(run.folder / "model", (now - 100, now - 100))
    run.saver._positions.extend((now - ago_s, Position(step, 40, "epoch")) for ago_s, step in ((200, 11), (99, 12), (50, 13)))
    saved = run.saver.keep_last("interrupted")
    assert saved is not None
    assert saved.step == 12


def test_a_checkpoint_of_which_nobody_said_what_its_step_counts_is_gone_on_from(begin: Begin, place: Path) -> None:
    run = begin()
    run.saver._position = lambda: Position(12, 40, "epoch")
    run.write(model="half way")
    run.saver.keep_last("interrupted")
    (manifest,) = place.rglob("saved/*.json")
    document = json.loads(manifest.read_text())
    del document["unit"]
    manifest.write_text(json.dumps(document))
    resumed = begin().saver.resumed_from
    assert resumed is not None
    assert (resumed.step, resumed.unit) == (12, None)


def test_the_time_trained_adds_up_over_the_runs(begin: Begin) -> None:
    times = []
    for step in range(3):
        run = begin()
        time.sleep(0.05)
        run.write(model=str(step))
        saved = run.saver.keep_last("interrupted")
        assert saved is not None
        times.append(saved.trained_s)
    assert times[0] >= 0.04
    assert times[1] >= times[0] + 0.04
    assert times[2] >= times[1] + 0.04
    assert times[2] < 2


def test_nothing_new_writes_nothing(begin: Begin, place: Path) -> None:
    run = begin()
    run.write(model="weights")
    assert run.saver.keep_last("interrupted") is not None
    before = sorted(place.rglob("saved/*"))
    second = begin()
    assert second.saver.keep_last("interrupted") is None
    assert sorted(place.rglob("saved/*")) == before


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "fewer than 10,000 bytes"),
        (lambda path: path.write_bytes(b""), "fewer than 10,000 bytes"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "more than 10,000 bytes"),
        (lambda path: path.write_bytes(b"X" + path.read_bytes()[1:]), "model was changed (SHA-256 differs)"),
        (lambda path: path.unlink(), "is not whole, 1 of its 1 files are missing"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "Too many levels of symbolic links"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "no regular file"),
    ],
)  # fmt: skip
def test_a_cut_or_changed_one_is_passed_over_for_the_one_before(
    begin: Begin, place: Path, damage: Callable[[Path], object], why: str
) -> None:
    first = begin()
    first.write(model="a" * 10_000)
    first.saver._shelve("running")
    first.write(model="b" * 10_000)
    first.saver.keep_last("interrupted")
    newest = max(kept(place), key=lambda one: one.order)
    damage(next(path for path in contents(place) if path.name == newest.files[0].sha256))
    second = begin()
    assert second.content() == {"model": "a" * 10_000}
    assert [line.partition(": ")[2] for line in second.saver.passed_over] == [why]
    assert second.saver.passed_over[0].startswith(newest.name)
    assert list(second.folder.glob(".mlgate-restoring-*")) == []


def test_what_was_put_in_place_in_part_is_done_anew_and_not_moved_aside(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin()
    first.write(model="weights", optimizer="momentum")
    first.saver.keep_last("interrupted")

    def put_one(aside: Path, folder: Path, tracked: object) -> None:
        (aside / "model").replace(folder / "model")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "put_in_place", put_one)
        with pytest.raises(KeyboardInterrupt):
            begin(folder=tmp_path / "laptop")
    again = begin(folder=tmp_path / "laptop")
    assert again.content() == {"model": "weights", "optimizer": "momentum"}
    assert again.said == []
    assert not (tmp_path / ".laptop.before").exists()


def test_the_folder_of_a_training_that_another_machine_finished_is_not_gone_on_from(begin: Begin, tmp_path: Path) -> None:
    first = begin(folder=tmp_path / "laptop")
    first.write(model="half")
    first.saver.keep_last("interrupted")
    another_machine = begin()
    assert another_machine.content() == {"model": "half"}
    another_machine.saver.finish()
    assert begin(folder=tmp_path / "laptop").content() == {}


def test_a_folder_of_more_files_than_can_be_kept_is_said(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_FILES", 3)
    run = begin()
    run.write(**{f"part{number}": "weights" for number in range(4)})
    assert run.saver.keep_last("interrupted") is None
    assert "more than 3 files; expected fewer, larger ones" in run.said[0]


def test_the_last_one_waits_for_none_that_is_just_being_copied(begin: Begin) -> None:
    run = begin()
    run.write(model="weights")
    run.saver._end_thread()
    with pytest.raises(NotTakenError, match="there was no time to copy it"):
        run.saver._shelve("running")
    assert run.saver.keep_last("interrupted") is not None


def test_what_follows_a_broken_one_is_kept_and_gone_on_from(begin: Begin, place: Path) -> None:
    first = begin()
    time.sleep(0.3)
    first.write(model="long trained")
    first.saver.keep_last("interrupted")
    for path in contents(place):
        path.write_bytes(b"damaged, same len")
    for step in range(3):
        run = begin(keep=1)
        run.write(model=f"anew {step}")
        run.saver.keep_last("interrupted")
    assert begin().content() == {"model": "anew 2"}


WEIGHTS = {"size_bytes": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}
"""What the place has, so that nothing but the path is wrong."""


@pytest.mark.parametrize(
    "change",
    [
        {"files": [{"path": "../../outside", **WEIGHTS}]},
        {"files": [{"path": "/tmp/outside", **WEIGHTS}]},
        {"files": [{"path": "a/./b", **WEIGHTS}]},
        {"files": [{"path": ".git/hooks/pre-commit", **WEIGHTS}]},
        {"files": [{"path": ".mlgate-checkpoints.json", **WEIGHTS}]},
        {"files": [{**WEIGHTS, "path": "a", "sha256": "../../../secret"}]},
        {"files": [{**WEIGHTS, "path": "a", "size_bytes": -1}]},
        {"files": [{"path": "a", **WEIGHTS}, {"path": "a/b", **WEIGHTS}]},
        {"files": [{"path": "a", **WEIGHTS}, {"path": "a", **WEIGHTS}]},
        {"files": []},
        {"schema_version": 2},
        {"trained_s": -1},
        {"trained_s": "NaN"},
        {"unknown": 1},
        {"key": OTHER_KEY},
        {"writer": "00000000-000000000000"},
    ],
)
def test_a_manifest_that_was_tampered_with_is_passed_over(begin: Begin, place: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    (path,) = place.rglob("saved/*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    second = begin()
    assert second.content() == {}
    assert second.saver.resumed_from is None
    assert len(second.saver.passed_over) == 1
    assert not (tmp_path / "outside").exists()


def test_a_manifest_cut_anywhere_is_passed_over(begin: Begin, place: Path) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    (path,) = place.rglob("saved/*.json")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        assert begin().saver.resumed_from is None


def test_one_that_says_it_is_larger_than_the_disk_is_passed_over_before_anything_is_brought(begin: Begin, place: Path) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    (path,) = place.rglob("saved/*.json")
    record = json.loads(path.read_text())
    record["files"][0]["size_bytes"] = 2**52
    path.write_text(json.dumps(record))
    second = begin()
    assert second.content() == {}
    assert "needs 4,503,599,627,370,496 bytes, and the disk has" in second.saver.passed_over[0]


def test_another_training_never_goes_on_from_it(begin: Begin) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    assert begin(key=OTHER_KEY).content() == {}


def test_nobody_goes_on_from_a_training_that_was_finished(begin: Begin) -> None:
    first = begin()
    first.write(model="half way")
    first.saver._shelve("running")
    first.write(model="trained")
    first.saver.finish()
    second = begin()
    assert second.content() == {}
    assert second.saver.passed_over == []  # as it should be, so nobody has to read of it
    second.write(model="trained again, half way")
    second.saver.keep_last("interrupted")
    assert begin().content() == {"model": "trained again, half way"}


def test_what_a_training_left_that_failed_is_kept_and_not_gone_on_from(begin: Begin, place: Path) -> None:
    first = begin(keep=1)
    first.write(model="good")
    first.saver._shelve("running")
    first.write(model="nan")
    first.saver.keep_last("failed")
    assert sorted(one.ending for one in kept(place)) == ["failed", "running"]
    second = begin()
    assert second.content() == {"model": "good"}
    assert [line.partition(": ")[2] for line in second.saver.passed_over] == ["saved after the training had failed"]


def test_the_newest_are_kept_and_the_rest_is_removed_with_its_contents(begin: Begin, place: Path) -> None:
    run = begin(keep=2)
    run.write(constant="the same in all")
    for step in range(5):
        run.write(model=f"weights {step}")
        run.saver._shelve("running")
    assert [one.sequence for one in kept(place)] == [4, 5]
    assert len(contents(place)) == 3  # the one that did not change is there once
    assert begin().content() == {"model": "weights 4", "constant": "the same in all"}


def test_one_that_another_job_is_just_reading_stays(begin: Begin, place: Path) -> None:
    run = begin(keep=1)
    run.write(model="0")
    run.saver._shelve("running")
    survey = run.saver._here.survey()
    mark = run.saver._here.mark_reading(survey.manifests[0])
    for step in range(1, 4):
        run.write(model=str(step))
        run.saver._shelve("running")
    assert [one.sequence for one in kept(place)] == [1, 4]
    run.saver._here.place.remove([mark])
    run.write(model="4")
    run.saver._shelve("running")
    assert [one.sequence for one in kept(place)] == [5]


def test_what_dead_runs_left_without_a_manifest_is_swept(begin: Begin, place: Path, tmp_path: Path) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    series = next(place.rglob("files")).parent
    (series / "files" / "60000000-0123456789ab").mkdir()
    killed = series / "files" / "60000000-0123456789ab" / ("d" * 64)
    killed.write_text("a run of 2021 that was killed")
    half = killed.with_name(".incoming-0123456789ab")
    half.write_text("what it was just writing")
    for path in (killed, half):
        os.utime(path, (0x60000000, 0x60000000))
    alive = f"{int(time.time()):08x}-0123456789ab"
    (series / "files" / alive).mkdir()
    (series / "files" / alive / ("e" * 64)).write_text("just brought")
    (series / "files" / alive / ".incoming-0123456789ab").write_text("just being brought")
    second = begin(keep=1)
    second.write(model="more")
    second.saver.keep_last("interrupted")
    assert sorted(path.read_text() for path in contents(place)) == ["just being brought", "just brought", "more"]


def test_begin_from_nothing_when_asked_to(begin: Begin) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    assert begin(is_fresh=True).content() == {}
    assert begin().content() == {"model": "weights"}


@pytest.mark.parametrize("is_finished", [False, True])
def test_what_was_begun_from_nothing_takes_the_place_of_what_was_before(begin: Begin, *, is_finished: bool) -> None:
    first = begin()
    first.write(model="old, and of more work")
    time.sleep(0.1)
    first.saver.keep_last("interrupted")
    second = begin(is_fresh=True)
    second.write(model="new")
    second.saver.finish() if is_finished else second.saver.keep_last("interrupted")
    assert begin().content() == ({} if is_finished else {"model": "new"})


def attempt(number: int, run_id: int = 7) -> RunRef:
    return RunRef(repository="octo/models", run_id=run_id, attempt=number, event="push")


def test_a_run_that_was_asked_to_begin_from_nothing_goes_on_with_that_when_its_machine_is_lost(begin: Begin) -> None:
    old = begin(run=attempt(1, 6))
    old.write(model="old")
    old.saver.keep_last("interrupted")
    lost_at_once = begin(run=attempt(1), is_fresh=True)
    assert lost_at_once.content() == {}
    second = begin(run=attempt(2), is_fresh=True)
    assert second.content() == {}  # the first attempt saved nothing, so it still is asked for
    second.write(model="half")
    second.saver.keep_last("interrupted")
    third = begin(run=attempt(3), is_fresh=True)
    assert third.content() == {"model": "half"}
    third.write(model="more")
    third.saver.keep_last("interrupted")
    assert begin(run=attempt(4), is_fresh=True).content() == {"model": "more"}
    assert begin(run=attempt(2, 8), is_fresh=True).content() == {}
    assert begin(run=attempt(1, 8)).content() == {"model": "more"}


def test_a_run_that_is_asked_only_when_it_runs_again_begins_from_nothing_then(begin: Begin) -> None:
    first = begin(run=attempt(1))
    first.write(model="what it shall be rid of")
    first.saver.keep_last("interrupted")
    assert begin(run=attempt(2), is_fresh=True).content() == {}


@pytest.mark.parametrize("was_asked", [True, False])
def test_so_it_is_with_the_folder_that_a_killed_attempt_left_on_the_same_machine(begin: Begin, tmp_path: Path, *, was_asked: bool) -> None:
    folder = tmp_path / "machine"
    first = begin(folder=folder, run=attempt(1), is_fresh=was_asked)
    first.write(model="not saved yet")
    second = begin(folder=folder, run=attempt(2), is_fresh=True)
    assert second.content() == ({"model": "not saved yet"} if was_asked else {})
    second.write(model="more")
    assert begin(folder=folder, run=attempt(3), is_fresh=True).content() == {"model": "more"}
    assert begin(folder=folder, run=attempt(1, 8), is_fresh=True).content() == {}


def test_files_that_go_before_they_are_copied_cost_that_one_checkpoint_only(
    begin: Begin, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a training that removes its old checkpoint before the new one has its name."""
    run = begin()
    run.write(model="1")
    seen = snapshot.take

    def removed_just_before(*arguments: Any, **more: Any) -> snapshot.Snapshot:
        (run.folder / "model").unlink()
        return seen(*arguments, **more)

    monkeypatch.setattr(snapshot, "take", removed_just_before)
    run.saver.save_soon()
    wait_for(lambda: bool(run.said))
    assert "checkpoint not saved: its files were removed just now" in run.said[0]
    monkeypatch.undo()
    run.write(model="2")
    run.saver.save_soon()
    wait_for(lambda: len(kept(place)) == 1)


def test_a_folder_that_somebody_else_filled_is_left_alone_and_never_saved(begin: Begin, tmp_path: Path, place: Path) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    folder = tmp_path / "laptop"
    folder.mkdir()
    (folder / "mine.pt").write_text("of unknown code")
    second = begin(folder=folder)
    assert second.content() == {"mine.pt": "of unknown code"}
    assert second.saver.remarks == [
        "laptop holds files that mlgate knows nothing of (mine.pt…), so no checkpoint was put there and none is saved; empty the folder"
    ]
    second.write(model="made of unknown code")
    second.saver.save_soon()
    time.sleep(0.1)
    assert second.saver.keep_last("interrupted") is None
    assert len(kept(place)) == 1
    assert begin().content() == {"model": "weights"}


def test_what_another_training_left_in_the_folder_is_put_aside(begin: Begin, tmp_path: Path) -> None:
    folder = tmp_path / "laptop"
    first = begin(folder=folder, key=OTHER_KEY)
    first.write(model="of the code before")
    first.saver.keep_last("interrupted")
    second = begin(folder=folder)
    assert second.content() == {}
    assert (tmp_path / ".laptop.before" / "model").read_text() == "of the code before"
    assert (tmp_path / ".laptop.before" / ".gitignore").read_text() == "*\n"


def test_on_the_same_machine_the_folder_itself_is_gone_on_from(begin: Begin, tmp_path: Path, place: Path) -> None:
    """The run was killed before it could save anything."""
    folder = tmp_path / "laptop"
    first = begin(folder=folder)
    time.sleep(0.05)
    first.write(model="not saved yet")
    second = begin(folder=folder)
    assert second.content() == {"model": "not saved yet"}
    assert second.saver.resumed_from is not None
    assert second.saver.resumed_from.trained_s >= 0.04
    assert kept(place) == []
    second.saver.keep_last("interrupted")
    assert begin().content() == {"model": "not saved yet"}


def test_files_that_are_older_than_the_training_are_gone_on_from(begin: Begin, tmp_path: Path) -> None:
    first = begin(folder=tmp_path / "laptop")
    first.write(model="unpacked with its time")
    os.utime(first.folder / "model", (0x60000000, 0x60000000))
    second = begin(folder=tmp_path / "laptop")
    assert second.content() == {"model": "unpacked with its time"}
    assert second.saver.resumed_from is not None
    assert second.saver.resumed_from.trained_s == 0


def test_the_folder_of_a_training_that_failed_or_was_finished_is_not_gone_on_from(begin: Begin, tmp_path: Path) -> None:
    for end in ("failed", "finished"):
        first = begin(folder=tmp_path / end)
        first.write(model=end)
        first.saver.finish() if end == "finished" else first.saver.keep_last("failed")
        assert begin(folder=tmp_path / end).content() == {}


def test_after_the_machine_was_started_anew_only_what_was_checked_is_taken(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "laptop"
    first = begin(folder=folder)
    first.write(model="saved")
    first.saver._shelve("running")
    first.write(model="perhaps not on the disk")
    mark = restoring.read_mark(folder)
    assert mark is not None
    (folder / restoring.MARK).write_text(mark.model_copy(update={"boot": "the boot before"}).model_dump_json())
    assert begin(folder=folder).content() == {"model": "saved"}


def test_files_that_git_has_there_stay(begin: Begin, tmp_path: Path) -> None:
    first = begin()
    first.write(model="weights")
    first.saver.keep_last("interrupted")
    folder = tmp_path / "checkout"
    (folder / "start").mkdir(parents=True)
    (folder / "start" / "README").write_text("in Git")
    second = begin(folder=folder, tracked=frozenset({"start/README"}))
    assert second.content() == {"start/README": "in Git", "model": "weights"}


def test_links_and_devices_are_refused_with_a_word(begin: Begin, place: Path) -> None:
    run = begin()
    run.write(model="weights")
    (run.folder / "latest").symlink_to("model")
    assert run.saver.keep_last("interrupted") is None
    assert run.saver.remarks == [
        "checkpoint not saved: checkpoints/latest: is a link; only files are saved: put a file there, with the name of the other in it"
    ]
    assert kept(place) == []


def test_machines_that_train_together_go_on_from_the_same(begin: Begin, tmp_path: Path) -> None:
    first = begin(is_alone=False)
    first.write(model="common")
    first.saver.keep_last("interrupted")
    folder = tmp_path / "node"
    node = begin(folder=folder, is_alone=False, is_saving=False)
    assert node.content() == {"model": "common"}
    node.write(model="of this node alone")
    assert node.saver.keep_last("interrupted") is None
    assert begin(folder=folder, is_alone=False, is_saving=False).content() == {"model": "common"}


def test_new_checkpoints_are_saved_on_the_period_and_at_once_when_asked(begin: Begin, place: Path) -> None:
    run = begin(every_s=0.05)
    run.write(model="1")
    wait_for(lambda: len(kept(place)) == 1)
    run.write(model="2")
    wait_for(lambda: len(kept(place)) == 2)
    patient = begin(every_s=3600)
    patient.write(model="3")
    patient.saver.save_soon()
    wait_for(lambda: any(one.writer == patient.saver._writer for one in kept(place)))
    run.saver.finish()
    patient.saver.finish()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
