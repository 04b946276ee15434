"""Machines whose clocks are hours or years off share a place: the newest checkpoint is the one with the most work, nothing that was just
written goes, nothing stays for ever. Real files; the clocks of machines are set, that of the disk is the place's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.checkpoints.checkpoint_runs import KEY, Run, begun, contents, kept
from mlgate import evidence
from mlgate.training import results
from mlgate.training.checkpoints import snapshot
from mlgate.training.checkpoints.places import FolderPlace
from mlgate.training.checkpoints.series import Series
from mlgate.training.environment import Environment

HOUR, DAY, YEARS = 3600.0, 86400.0, 75 * 365 * 86400.0
REAL = time.time


class Clock:
    """The clock of the machine that is at work."""

    off_s = 0.0

    def time(self) -> float:
        return REAL() + self.off_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(evidence, "now", lambda: datetime.fromtimestamp(made.time(), UTC))
    return made  # type: ignore[return-value]


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    return FolderPlace(tmp_path / "place", "the place", is_synced=False)


def save(run: Run, text: str, clock: Clock) -> None:
    """As a period does it. The training's own disk has the machine's clock."""
    run.write(model=text)
    os.utime(run.folder / "model", (clock.time(), clock.time()))
    before = run.saver.saved
    run.saver.save_soon()
    deadline = time.monotonic() + 10
    while run.saver.saved == before:
        assert time.monotonic() < deadline, run.said
        time.sleep(0.002)


def newest(place: FolderPlace, folder: Path) -> str:
    looked = begun(folder, place, is_saving=False)
    assert looked.saver.passed_over == []
    return looked.content()["model"]


@pytest.mark.parametrize("off_s", [-5 * HOUR, 5 * HOUR, -YEARS / 2])
def test_a_clock_that_is_set_while_it_trains_loses_no_work(tmp_path: Path, place: FolderPlace, clock: Clock, off_s: float) -> None:
    run = begun(tmp_path / "one", place)
    for number in range(6):
        save(run, f"state {number}", clock)
        if number == 2:
            clock.off_s = off_s
    assert newest(place, tmp_path / "two") == "state 5"
    assert all(manifest.trained_s < 60 for manifest in kept(place.path)), "what a clock was set by is no training"


@pytest.mark.parametrize("off_s", [-3 * HOUR, 3 * HOUR, -3 * DAY, YEARS])
def test_two_machines_go_on_from_one_another_whatever_their_clocks_show(
    tmp_path: Path, place: FolderPlace, clock: Clock, off_s: float
) -> None:
    for turn in range(4):
        clock.off_s = off_s * (turn % 2)
        run = begun(tmp_path / str(turn), place)
        assert run.content() == ({"model": f"state {turn - 1}"} if turn else {})
        save(run, f"half of {turn}", clock)
        save(run, f"state {turn}", clock)
        run.saver.keep_last("interrupted")
    assert newest(place, tmp_path / "after") == "state 3"
    assert len(kept(place.path)) <= 3


@pytest.mark.parametrize("off_s", [-3 * DAY, -YEARS / 2, 3 * DAY])
def test_what_a_machine_is_just_bringing_is_not_swept_by_another(tmp_path: Path, place: FolderPlace, clock: Clock, off_s: float) -> None:
    clock.off_s = off_s
    slow = begun(tmp_path / "slow", place)
    slow.write(model="just being brought")
    into = place.below("mlgate-checkpoints", "digits", KEY, "files", slow.saver._writer).path
    snapshot.take(slow.folder, into, {}, set())
    clock.off_s = 0
    run = begun(tmp_path / "right", place)
    save(run, "one", clock)
    save(run, "two", clock)
    assert "just being brought" in [path.read_text() for path in contents(place.path)]


@pytest.mark.parametrize(
    ("off_s", "age_s", "is_kept"), [(-3 * HOUR, 0, True), (YEARS, 0, True), (YEARS, 2 * HOUR, False), (0, 2 * HOUR, True)]
)
def test_what_somebody_reads_stays_for_an_hour_and_no_longer(
    tmp_path: Path, place: FolderPlace, clock: Clock, off_s: float, age_s: float, is_kept: bool
) -> None:
    run = begun(tmp_path / "one", place)
    save(run, "one", clock)
    save(run, "two", clock)
    first = kept(place.path)[0]
    clock.off_s = off_s
    Series(place, "digits", KEY).mark_reading(first)
    clock.off_s = 0
    [mark] = place.path.rglob("reading/*")
    os.utime(mark, (REAL() - age_s, REAL() - age_s))
    save(run, "three", clock)
    save(run, "four", clock)
    assert (first.name in [manifest.name for manifest in kept(place.path)]) == is_kept


def test_a_place_full_of_manifests_is_not_read_as_a_whole_and_gives_the_newest(tmp_path: Path, place: FolderPlace, clock: Clock) -> None:
    read: list[str] = []

    class Counting(FolderPlace):
        def read(self, name: str, most_bytes: int) -> bytes:
            read.append(name)
            return super().read(name, most_bytes)

    run = begun(tmp_path / "one", place)
    save(run, "the newest", clock)
    [manifest] = kept(place.path)
    saved = next(place.path.rglob("saved"))
    for number in range(2_000):  # 200 runs, whose contents are gone
        other = manifest.model_copy(
            update={"writer": f"{0x60000000 + number // 10:08x}-0123456789ab", "sequence": number % 10 + 1, "trained_s": 0}
        )
        (saved / other.name).write_text(other.model_dump_json())
        os.utime(saved / other.name, (1e9 + number, 1e9 + number))
    looked = begun(tmp_path / "two", Counting(place.path, "the place", is_synced=False))
    assert looked.content() == {"model": "the newest"}
    assert len(read) <= 100
    save(looked, "newer", clock)
    assert begun(tmp_path / "three", place, is_saving=False).content() == {"model": "newer"}


def environment(**packages: str) -> Environment:
    return Environment(python="CPython 3.12.4", platform="linux", libc="glibc", system="debian", packages=packages)


def keep(place: FolderPlace, root: Path, training: str, *, is_replacing: bool = False) -> None:
    def described(files: list[results.ResultFile]) -> results.Result:
        now = evidence.now()
        return results.Result(
            training=training, environment=environment(), model="m", commit=None, run=None, trained_at=now, duration_s=1, files=files
        )  # fmt: skip

    results.keep(place, root, results.Products(["model"]), described, is_replacing=is_replacing)


def found(place: FolderPlace, training: str) -> results.Result | None:
    return results.find(place, training, environment(), results.Products(["model"])).result


def test_results_of_a_machine_that_lives_in_the_future_do_not_drive_out_all_others(
    tmp_path: Path, place: FolderPlace, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "KEPT", 4)
    (tmp_path / "model").write_text("weights")
    clock.off_s = YEARS
    for number in range(4):
        keep(place, tmp_path, f"{number:064x}")
        [manifest] = (place.path / f"{number:064x}").glob("*.json")
        os.utime(manifest, (REAL() - 100 + number,) * 2)
    clock.off_s = 0
    for number in range(4, 8):
        keep(place, tmp_path, f"{number:064x}")
    assert [number for number in range(8) if found(place, f"{number:064x}")] == [4, 5, 6, 7]


def test_a_broken_result_of_the_future_that_nobody_may_remove_does_not_hide_a_good_one(
    tmp_path: Path, place: FolderPlace, clock: Clock
) -> None:
    (tmp_path / "model").write_text("weights")
    clock.off_s = YEARS
    keep(place, tmp_path, "a" * 64)
    [broken] = (place.path / ("a" * 64)).glob("*.json")
    broken.write_text("{")
    clock.off_s = 0
    with pytest.raises(results.NotWholeError):
        found(place, "a" * 64)
    keep(place, tmp_path, "a" * 64, is_replacing=True)
    broken.write_text("{")
    os.utime(broken, (REAL() + DAY,) * 2)
    assert found(place, "a" * 64) is not None
