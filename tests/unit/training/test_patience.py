"""How long a place of checkpoints is asked that fails for a moment, or never answers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mlgate.training.checkpoints import patience
from mlgate.training.checkpoints.places import FolderPlace, PlaceError


class Asked:
    """A place that refuses at first."""

    def __init__(self, refusals: int, *, may_pass: bool) -> None:
        self.left, self.may_pass, self.times = refusals, may_pass, 0

    def __call__(self) -> str:
        self.times += 1
        if self.times <= self.left:
            raise PlaceError("busy", may_pass=self.may_pass)
        return "done"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", 0.001)


def test_what_may_pass_is_asked_three_times() -> None:
    assert patience.tried(Asked(2, may_pass=True)) == "done"
    stubborn = Asked(9, may_pass=True)
    with pytest.raises(PlaceError, match="busy"):
        patience.tried(stubborn)
    assert stubborn.times == 3


def test_what_will_not_pass_is_asked_once() -> None:
    refusing = Asked(1, may_pass=False)
    with pytest.raises(PlaceError, match="busy"):
        patience.tried(refusing)
    assert refusing.times == 1


def test_a_place_that_never_answers_is_waited_for_no_longer_than_said_or_than_there_is_time() -> None:
    answer = threading.Event()
    began = time.monotonic()
    assert patience.within(0.1, answer.wait, why="no answer") == "no answer"
    assert patience.within(60, answer.wait, why="no time", left_s=lambda: began + 0.3 - time.monotonic()) == "no time"
    assert time.monotonic() - began < 5
    answer.set()


def test_why_it_was_not_done_is_said_and_nothing_where_it_was() -> None:
    assert patience.answered(Asked(1, may_pass=True)) == "busy"
    assert patience.answered(Asked(0, may_pass=True)) == ""


def test_finding_out_whether_a_place_can_be_written_leaves_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience.probe(FolderPlace(tmp_path / "place", "the place"))
    assert [path for path in (tmp_path / "place").rglob("*") if path.is_file()] == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PlaceError, match=r"Not a directory|File exists"):
        patience.probe(FolderPlace(tmp_path / "file", "the place"))
    monkeypatch.setattr(patience, "MOST_ANSWERING_S", 0.0)
    monkeypatch.setattr(FolderPlace, "write", lambda *_: time.sleep(0.2))
    with pytest.raises(PlaceError, match="no answer within 0 s") as late:
        patience.probe(FolderPlace(tmp_path / "place", "the place"))
    assert late.value.may_pass
