"""What goes along with a command that takes long: a training. Real shells, real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlgate import process
from mlgate.process import Attendance, Interruption, Outcome, Processes, Stop, new_mark, run_command

SCRIPTS = Path(process.__file__).parents[2]
SAVING = "trap 'sleep 0.3; echo saved; exit 0' TERM; echo begun; while :; do sleep 0.05; done"
"""A training that saves when it is asked to end."""


def run(command: str, tmp_path: Path, attendance: Attendance, **options: float) -> Outcome:
    return run_command(command, root=tmp_path, log=tmp_path / "log", is_echoed=False, attendance=attendance, **options)


def when_it_says(word: bytes, act: object) -> Attendance:
    """Attendance that does something once the command has said a word."""
    stop = Stop()

    def heard(chunk: bytes) -> None:
        if word in chunk:
            act(stop)  # type: ignore[operator]

    return Attendance(on_output=heard, stop=stop)


def test_a_training_sees_what_is_set_for_it_and_what_it_inherits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_MINE", "job")
    chunks: list[bytes] = []
    with (tmp_path / "lock").open("w") as lock:
        attendance = Attendance(environ={"MLGATE_MINE": "training"}, pass_fds=(lock.fileno(),), on_output=chunks.append)
        outcome = run(f"echo $MLGATE_MINE; echo held >&{lock.fileno()}; echo $MLGATE_COMMAND_IDS", tmp_path, attendance)
    assert outcome.tail.splitlines() == ["training", attendance.mark]
    assert b"".join(chunks) == (tmp_path / "log").read_bytes()
    assert (tmp_path / "lock").read_text() == "held\n"


def test_whoever_knows_the_mark_can_end_all_processes_of_it(tmp_path: Path) -> None:
    mark, found = new_mark(), []

    def end() -> None:
        found.append(Processes(None, mark).are_there())
        Processes(None, mark).kill()

    threading.Timer(0.5, end).start()
    outcome = run("setsid sleep 60 & sleep 60", tmp_path, Attendance(mark=mark))
    assert (found, outcome.exit_code) == ([True], 137)
    assert not Processes(None, mark).are_there()


def test_one_who_asks_ends_it_in_order(tmp_path: Path) -> None:
    outcome = run(SAVING, tmp_path, when_it_says(b"begun", lambda stop: stop.ask("spot notice")))
    assert (outcome.stopped_by, outcome.interrupted_by, outcome.is_timed_out) == ("spot notice", None, False)
    assert (outcome.last_line, outcome.exit_code) == ("saved", 143)


def test_one_that_will_not_end_is_killed_after_the_shorter_time(tmp_path: Path) -> None:
    outcome = run(
        "trap '' TERM; echo begun; while :; do sleep 0.05; done",
        tmp_path,
        when_it_says(b"begun", lambda stop: stop.ask("spot notice", grace_s=0.3)),
        grace_s=60,
    )
    assert (outcome.stopped_by, outcome.exit_code) == ("spot notice", 137)
    assert outcome.duration_s < 10


def test_one_that_had_ended_before_was_not_stopped(tmp_path: Path) -> None:
    stop = Stop()
    outcome = run("true", tmp_path, Attendance(stop=stop))
    stop.ask("spot notice")
    assert (outcome.stopped_by, outcome.exit_code) == (None, 0)


def test_a_training_behind_a_shell_that_dies_at_once_has_its_time_to_save(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("trap 'sleep 2.6; echo saved; exit 0' TERM; echo begun; while :; do sleep 0.05; done\n")
    attendance = when_it_says(b"begun", lambda stop: stop.ask("spot notice"))
    outcome = run("sh train.sh\ntrue", tmp_path, attendance, grace_s=20)
    assert outcome.last_line == "saved"
    assert outcome.duration_s < 12


def test_every_signal_of_ours_reaches_a_training_as_the_one_it_heeds(tmp_path: Path) -> None:
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from mlgate.process import *\n"
        f"o = run_command({SAVING!r}, root=Path('.'), log=Path('log'), attendance=Attendance()); print(o.interrupted_by, o.last_line)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, stdout=subprocess.PIPE, text=True
    ) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "begun\n"
        ours.send_signal(signal.SIGINT)
        assert ours.stdout.read().splitlines()[-2:] == ["saved", "SIGINT saved"]


def test_where_a_cancelled_run_is_killed_soon_a_training_that_will_not_end_is_killed_sooner(tmp_path: Path) -> None:
    interruption, stubborn = Interruption(), "trap '' TERM; echo begun; while :; do sleep 0.05; done"
    cancelled = lambda chunk: interruption(signal.SIGINT, None) if b"begun" in chunk else None  # noqa: E731
    outcome = run(stubborn, tmp_path, Attendance(on_output=cancelled, interruption=interruption, cancel_grace_s=0.3), grace_s=60)
    assert (outcome.interrupted_by, outcome.exit_code) == ("SIGINT", 137)
    assert outcome.duration_s < 10


class TestSignalsNoted:
    PROGRAM = """
import os, signal, sys, time
from mlgate.process import signals_noted
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with signals_noted(is_awaited=%s, is_final=True) as interruption:
        for name in sys.argv[1].split():
            os.kill(os.getpid(), signal.Signals[name])
            time.sleep(0.05)
        print(interruption.first, interruption.count, interruption.last_call_at is not None)
    os.kill(os.getpid(), signal.SIGTERM)
    print("written")
except KeyboardInterrupt as error:
    if interruption.count == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    print("ended by", error)
"""

    def said(self, signals: str, *, is_awaited: bool) -> str:
        argv = [sys.executable, "-c", self.PROGRAM % is_awaited, signals]
        return subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, timeout=30).stdout

    def test_while_they_are_awaited_what_is_known_is_still_written(self) -> None:
        assert self.said("SIGINT SIGTERM", is_awaited=True) == "SIGINT 2 True\nended by SIGINT\n"
        assert self.said("SIGINT", is_awaited=True) == "SIGINT 1 False\nwritten\n"

    def test_else_one_ends_us_and_the_next_does_not_disturb_that(self) -> None:
        assert self.said("SIGTERM", is_awaited=False) == "ended by SIGTERM\n"
