"""A program that stays: each line it gets is answered by a line, and nothing of it outlives the conversation."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from mlgate.process import SilentError, converse

ECHO = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"


def soon() -> float:
    return time.monotonic() + 20


def test_answers_come_with_the_time_they_took(tmp_path: Path) -> None:
    slow = "import sys, time\nfor line in sys.stdin: time.sleep(0.05); print(1, flush=True)"
    with converse([sys.executable, "-c", slow], root=tmp_path, log=tmp_path / "log") as talk:
        talk.ask(b"warm up\n", soon())
        answer, seconds = talk.ask(b"x\n", soon())
    assert answer == b"1"
    assert 0.05 <= seconds < 2


def test_lines_longer_than_a_pipe_holds_come_back_whole(tmp_path: Path) -> None:
    line = b"ab" * 1_000_000
    with converse([sys.executable, "-c", ECHO], root=tmp_path, log=tmp_path / "log") as talk:
        for _ in range(2):
            assert talk.ask(line + b"\n", soon())[0] == line[::-1]


def test_it_runs_in_the_folder_it_was_given_and_complains_to_the_log(tmp_path: Path) -> None:
    code = "import os, sys\nfor line in sys.stdin: print(os.getcwd(), flush=True); print('hm', file=sys.stderr)"
    with converse([sys.executable, "-c", code], root=tmp_path, log=tmp_path / "deep" / "log") as talk:
        assert talk.ask(b"\n", soon())[0].decode() == str(tmp_path.resolve())
    assert (tmp_path / "deep" / "log").read_text() == "hm\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.exit('broken')", "ended (exit 1): broken"),
        ("import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)", "ended (exit 137)"),
        ("import sys; sys.stdin.readline(); print('a\\nb', flush=True)", "answered by more than one line: b"),
        ("import sys, time; time.sleep(60)", "gave no answer in time"),
    ],
)
def test_why_there_is_no_answer_is_one_line(tmp_path: Path, code: str, reason: str) -> None:
    with converse([sys.executable, "-c", code], root=tmp_path, log=tmp_path / "log") as talk, pytest.raises(SilentError) as told:
        talk.ask(b"?\n", time.monotonic() + (0.5 if "time" in reason else 20))
    assert str(told.value) == reason


def test_what_is_said_unasked_is_refused(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = f"import sys\nfor line in sys.stdin: print(1, flush=True); print('debug', flush=True); open({str(said)!r}, 'w').close()"

    def ask_twice() -> None:
        with converse([sys.executable, "-c", code], root=tmp_path, log=tmp_path / "log") as talk:
            talk.ask(b"?\n", soon())  # refused here, if both lines came in one go
            while not said.exists():
                time.sleep(0.01)
            talk.ask(b"?\n", soon())

    with pytest.raises(SilentError, match=r"nobody asked for|more than one line"):
        ask_twice()


def test_none_of_its_processes_outlives_the_conversation(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    child = (
        "import pathlib, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"while 1: pathlib.Path({str(beat)!r}).write_text(str(time.time())); time.sleep(0.02)"
    )
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n{ECHO}"
    with converse([sys.executable, "-c", code], root=tmp_path, log=tmp_path / "log") as talk:
        talk.ask(b"?\n", soon())
        while not beat.exists():
            time.sleep(0.02)
    last = beat.read_text()
    time.sleep(0.2)
    assert beat.read_text() == last
