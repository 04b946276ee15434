"""What a user can rely on when mlgate runs their commands. Real shells, real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgate import process
from mlgate.environment import user_environment, user_interpreter
from mlgate.errors import InputError
from mlgate.process import call_user_python, run_command

SCRIPTS = Path(process.__file__).parents[2]


def run(command: str, tmp_path: Path, **options: object) -> process.Outcome:
    return run_command(command, root=tmp_path, log=tmp_path / "logs" / "log", **options)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def wait_for(path: Path, seconds: float = 10) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.02)
    raise AssertionError(f"{path} did not appear")


def start_ours(command: str, tmp_path: Path, then: str = "") -> subprocess.Popen[str]:
    """A process of ours that runs a command of the user's and prints how it ended."""
    call = f"run_command({command!r}, root=Path('.'), log=Path('log'))"
    # A shell that starts the tests in the background has them ignore Ctrl-C; ours must not inherit that.
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeded}; from pathlib import Path; from mlgate.process import run_command; o = {call}; {then}"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


class TestOutput:
    def test_output_goes_to_the_log_and_to_standard_output(self, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        outcome = run("echo out; echo err >&2", tmp_path)
        assert (outcome.exit_code, outcome.is_timed_out, outcome.tail) == (0, False, "out\nerr")
        assert (tmp_path / "logs" / "log").read_bytes() == b"out\nerr\n"

    def test_output_appears_before_the_command_has_ended(self, tmp_path: Path) -> None:
        with start_ours("echo first; sleep 30; echo last", tmp_path) as ours:
            assert ours.stdout is not None
            assert ours.stdout.readline() == "first\n"
            assert (tmp_path / "log").read_bytes() == b"first\n"
            assert ours.poll() is None
            ours.terminate()
            ours.communicate()

    def test_python_output_is_not_held_back_by_its_buffer(self, tmp_path: Path) -> None:
        outcome = run(f"{sys.executable} -c \"import time; print('step 1'); time.sleep(20)\"", tmp_path, timeout_s=1, grace_s=1)
        assert outcome.tail == "step 1"

    def test_a_last_line_without_newline_does_not_swallow_ours(self, tmp_path: Path) -> None:
        with start_ours("printf abc", tmp_path, "print('ours')") as ours:
            assert ours.communicate()[0] == "abc\nours\n"
        assert (tmp_path / "log").read_bytes() == b"abc"

    def test_a_progress_bar_leaves_its_last_state(self, tmp_path: Path) -> None:
        assert run(r"printf '10%%\r50%%\r100%%\nsaved\n'", tmp_path).tail == "100%\nsaved"

    def test_binary_output_is_kept_and_does_no_harm(self, tmp_path: Path) -> None:
        outcome = run(r"printf '\xff\xfe\x00\x1b[31mred\x1b[0m\nfine\n'", tmp_path)
        assert outcome.last_line == "fine"
        assert "\x1b" not in outcome.tail
        assert b"\xff\xfe\x00\x1b[31mred" in (tmp_path / "logs" / "log").read_bytes()

    def test_huge_output_leaves_a_bounded_log_and_a_short_tail(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process.command, "MAX_LOG_BYTES", 1_000_000)
        outcome = run("{ yes 'a line of training output' || true; } | head -c 5000000; echo; echo the end", tmp_path, is_echoed=False)
        assert outcome.last_line == "the end"
        assert len(outcome.tail.encode()) <= 8_000
        assert len(outcome.tail.splitlines()) <= 40
        log = (tmp_path / "logs" / "log").read_bytes()
        assert len(log) < 1_200_000
        assert b"bytes left out" in log
        assert log.endswith(b"the end\n")

    def test_one_endless_line_leaves_a_short_tail(self, tmp_path: Path) -> None:
        outcome = run("head -c 3000000 /dev/zero | tr '\\0' x", tmp_path, is_echoed=False)
        assert outcome.tail == "x" * 8_000

    def test_the_last_line_is_the_last_that_says_something(self, tmp_path: Path) -> None:
        assert run("printf 'ValueError: no\\n\\n=====\\n\\n'", tmp_path).last_line == "ValueError: no"

    def test_a_command_goes_on_when_nobody_reads_our_output(self, tmp_path: Path) -> None:
        with start_ours("head -c 1000000 /dev/zero; echo done > done", tmp_path) as ours:
            assert ours.stdout is not None
            ours.stdout.close()
            ours.wait(20)
        assert (tmp_path / "done").read_text() == "done\n"
        assert (tmp_path / "log").stat().st_size == 1_000_000


class TestExitCodes:
    @pytest.mark.parametrize(
        ("command", "code"), [("true", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("no-such-command-x", 127)]
    )
    def test_the_exit_code_is_the_shells(self, command: str, code: int, tmp_path: Path) -> None:
        assert run(command, tmp_path).exit_code == code

    def test_a_failure_in_front_of_a_pipe_or_of_a_later_line_is_a_failure(self, tmp_path: Path) -> None:
        assert run("exit 3 | cat", tmp_path).exit_code == 3
        assert run("false\necho fine", tmp_path).exit_code == 1

    def test_a_command_gets_no_input_and_so_never_waits_for_it(self, tmp_path: Path) -> None:
        assert run("cat; echo done", tmp_path, timeout_s=20).tail == "done"

    def test_the_command_runs_in_the_working_directory(self, tmp_path: Path) -> None:
        assert run("pwd", tmp_path).tail == str(tmp_path)


class TestEnding:
    def test_a_command_that_takes_too_long_is_asked_to_end(self, tmp_path: Path) -> None:
        outcome = run("trap 'echo saved a checkpoint; exit 0' TERM; echo $$; while :; do sleep 0.1; done", tmp_path, timeout_s=0.5)
        assert outcome.is_timed_out
        assert outcome.exit_code != 0
        assert outcome.last_line == "saved a checkpoint"
        assert outcome.duration_s < 5

    def test_one_that_will_not_end_is_killed_after_the_grace_time(self, tmp_path: Path) -> None:
        outcome = run("trap '' TERM; echo start; while :; do sleep 0.1; done", tmp_path, timeout_s=0.5, grace_s=0.5)
        assert (outcome.is_timed_out, outcome.exit_code) == (True, 137)
        assert outcome.duration_s < 5

    @pytest.mark.parametrize(
        "child",
        [
            "sleep 600 & echo $! >> pids",
            "timeout 600 sleep 600 & echo $! >> pids",  # leaves the process group
            "setsid sh -c 'echo $$ >> pids; exec sleep 600' &",  # leaves the session
            "trap '' TERM; (trap '' TERM; sleep 600; sleep 600) & echo $! >> pids",  # will not end when asked
            "(setsid nohup sh -c 'echo $$ >> pids; exec sleep 600' > /dev/null 2>&1 &) ; true",  # a daemon, orphaned
        ],
    )
    @pytest.mark.parametrize("how", ["timeout", "end"])
    def test_no_process_of_the_command_outlives_it(self, child: str, how: str, tmp_path: Path) -> None:
        wait = "while [ ! -s pids ]; do sleep 0.05; done;"
        outcome = run(
            f"{child}\n {wait} {'sleep 600' if how == 'timeout' else 'echo ended'}",
            tmp_path,
            timeout_s=1.5 if how == "timeout" else 60,
            grace_s=0.5,
        )
        assert outcome.is_timed_out == (how == "timeout")
        assert outcome.duration_s < 6
        pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
        assert pids
        assert not [pid for pid in pids if is_alive(pid)]

    def test_a_background_process_that_goes_on_talking_does_not_hold_us(self, tmp_path: Path) -> None:
        outcome = run("(while :; do echo noise; sleep 0.01; done) & sleep 0.2; exit 4", tmp_path, is_echoed=False)
        assert outcome.exit_code == 4
        assert outcome.duration_s < 5

    def test_what_a_dying_background_process_says_is_kept(self, tmp_path: Path) -> None:
        outcome = run("(trap 'echo bye; exit' TERM; while :; do sleep 0.05; done) & sleep 0.2", tmp_path)
        assert outcome.last_line == "bye"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_we_get_is_passed_on_and_nothing_is_left(self, number: signal.Signals, tmp_path: Path) -> None:
        children = "sh -c 'echo $$ > child; exec sleep 600' & setsid sh -c 'echo $$ > far; exec sleep 600' & wait"
        with start_ours(f"trap 'echo got it > got; exit 9' TERM INT; {children}", tmp_path, "print(o)") as ours:
            pids = [int(wait_for(tmp_path / name)) for name in ("child", "far")]
            ours.send_signal(number)
            said, _ = ours.communicate(timeout=20)
        assert f"interrupted_by='{number.name}'" in said
        assert "exit_code=9" in said
        assert (tmp_path / "got").read_text() == "got it\n"
        assert not [pid for pid in pids if is_alive(pid)]

    def test_a_second_signal_is_the_last_call(self, tmp_path: Path) -> None:
        with start_ours("trap '' TERM INT; echo $$ > child; while :; do sleep 0.1; done", tmp_path, "print(o.exit_code)") as ours:
            child = int(wait_for(tmp_path / "child"))
            ours.send_signal(signal.SIGINT)
            time.sleep(0.3)
            ours.send_signal(signal.SIGTERM)
            began = time.monotonic()
            said, _ = ours.communicate(timeout=20)
        assert time.monotonic() - began < 6
        assert said.strip() == "137"
        assert not is_alive(child)


class TestEnvironment:
    def test_our_tokens_do_not_reach_the_users_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("MLGATE_GITHUB_TOKEN", "MLGATE_STORE_SECRET", "MLGATE_ENV"):
            monkeypatch.setenv(name, "s3cr3t")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "theirs")
        assert "s3cr3t" not in user_environment().values()
        assert run("env", tmp_path, is_echoed=False).tail.count("s3cr3t") == 0
        assert user_environment()["AWS_SECRET_ACCESS_KEY"] == "theirs"

    def test_our_virtual_environment_is_not_on_the_users_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = str(Path(sys.prefix) / "bin")
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        monkeypatch.setenv("PATH", f"{ours}:/usr/bin:/bin")
        assert user_environment()["PATH"].split(":")[:2] == ["/usr/bin", "/bin"]
        assert user_interpreter() == Path("/usr/bin/python3")

    def test_an_environment_the_user_activated_is_theirs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = str(Path(sys.prefix) / "bin")
        monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
        monkeypatch.setenv("PATH", f"{ours}:/usr/bin:/bin")
        assert user_environment()["PATH"].split(":")[0] == ours

    def test_dvc_works_for_who_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        outcome = run("dvc --version && command -v dvc", tmp_path)
        assert outcome.exit_code == 0
        version, where = outcome.tail.splitlines()
        assert version.startswith("3.")
        assert [path.name for path in Path(where).parent.iterdir()] == ["dvc"]

    def test_the_users_own_dvc_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        own = tmp_path / "bin" / "dvc"
        own.parent.mkdir()
        own.write_text("#!/bin/sh\necho mine\n")
        own.chmod(0o755)
        monkeypatch.setenv("PATH", f"{own.parent}:/usr/bin:/bin")
        assert run("dvc repro", tmp_path).tail == "mine"

    def test_a_users_pythonpath_does_not_break_our_dvc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "funcy.py").write_text("raise SystemExit('mine')\n")
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        assert run("dvc --version", tmp_path).exit_code == 0

    def test_the_chosen_interpreter_is_used_and_its_virtual_environment_activated(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
        monkeypatch.setenv("MLGATE_USER_PYTHON", str(tmp_path / "venv/bin/python"))
        assert user_interpreter() == tmp_path / "venv/bin/python"
        assert run("python -c 'import sys; print(sys.prefix)'", tmp_path).tail == str(tmp_path / "venv")

    def test_no_interpreter_is_said_in_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(InputError, match="no Python interpreter on PATH"):
            user_interpreter()
        monkeypatch.setenv("MLGATE_USER_PYTHON", "/no/python")
        with pytest.raises(InputError, match="MLGATE_USER_PYTHON: no program '/no/python'"):
            user_interpreter()


class TestUserPython:
    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "ours" / "program.py"
        path.parent.mkdir()
        return path

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "theirs").mkdir()
        return tmp_path / "theirs"

    def test_question_and_answer_travel_as_json(self, program: Path, root: Path) -> None:
        program.write_text(
            "import json, os, sys\n"
            "question = json.load(open(sys.argv[1]))\n"
            "json.dump({'double': question['n'] * 2, 'cwd': os.getcwd(), 'name': __name__}, open(sys.argv[2], 'w'))\n"
        )
        assert call_user_python(program, {"n": 21}, root=root) == {"double": 42, "cwd": str(root), "name": "__main__"}

    def test_the_users_modules_are_found_and_ours_do_not_hide_them(self, program: Path, root: Path) -> None:
        (program.parent / "metrics.py").write_text("WHOSE = 'ours'\n")
        (root / "metrics.py").write_text("WHOSE = 'theirs'\n")
        program.write_text("import json, sys, metrics\njson.dump({'whose': metrics.WHOSE}, open(sys.argv[2], 'w'))\n")
        assert call_user_python(program, {}, root=root) == {"whose": "theirs"}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("raise ValueError('no such column: age')", r"failed \(exit 1\): ValueError: no such column: age"),
            ("import os; os.abort()", "exit 134"),
            ("print('bye'); raise SystemExit(0)", "before it gave an answer: bye"),
            ("import sys; open(sys.argv[2], 'w').write('[1]')", "gave list where an object was expected"),
            ("import sys; open(sys.argv[2], 'w').write('{')", "cannot be read"),
            ("import time; time.sleep(60)", "did not end within 0.5 s"),
        ],
    )
    def test_a_program_that_dies_is_one_clear_line(self, text: str, said: str, program: Path, root: Path) -> None:
        program.write_text(text)
        with pytest.raises(InputError, match=said) as error:
            call_user_python(program, {}, root=root, timeout_s=0.5 if "sleep" in text else 60)
        assert "\n" not in str(error.value)


def test_no_empty_line_is_put_after_a_command_that_ended_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command, shown in (("true", ""), ("echo a; sleep 0.3", "a\n"), ("printf b; sleep 0.3", "b\n")):
        run(command, tmp_path)
        assert capfd.readouterr().out == shown
