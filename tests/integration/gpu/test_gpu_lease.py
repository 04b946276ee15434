"""GPUs of a machine that several runner agents share: real processes, real locks, real signals; only the GPUs are names."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlgate import process
from mlgate.errors import InfrastructureError, InputError
from mlgate.gpu import keeper, lease, lock_folder
from mlgate.gpu.claims import Claim, device_file
from mlgate.gpu.lease import Lease

JOB = Path(__file__).with_name("lease_job.py")
RACE = Path(__file__).with_name("lease_race.py")
A, B, C = Claim("GPU-a"), Claim("GPU-b"), Claim("GPU-c")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's folder of locks, not yet there."""
    folder = tmp_path / "locks"
    monkeypatch.setenv("MLGATE_GPU_LOCKS", str(folder))
    return folder


class Job:
    """Another run of mlgate on the machine."""

    def __init__(self, devices: list[Claim], **asked: object) -> None:
        asked["devices"] = [(device.uuid, device.parent_uuid) for device in devices]
        self.process = subprocess.Popen(
            [sys.executable, str(JOB), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "RUNNER_TRACKING_ID": "github_1"},
        )

    def hears(self, event: str) -> dict[str, Any]:
        """What it says of an event, once it does."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            if found["event"] == event:
                return found
        pytest.fail(f"the job ended (exit {self.process.wait()}) without '{event}'")

    def keeper(self) -> int:
        [keeper] = [pid for pid in pids() if "keeper.py\0" in (line := command_of(pid)) and f"\0{self.process.pid}\0" in line]
        return keeper

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)


@pytest.fixture
def jobs(folder: Path) -> Iterator[Callable[..., Job]]:
    """Starts jobs; those that are left are ended with the test."""
    started: list[Job] = []

    def start(devices: list[Claim], **asked: object) -> Job:
        started.append(Job(devices, **asked))
        return started[-1]

    yield start
    for job in started:
        with suppress(BrokenPipeError):
            job.end()
        for stream in (job.process.stdin, job.process.stdout):
            assert stream is not None
            stream.close()


def pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_text()
    return ""


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def take(*devices: Claim, count: int = 1, wait_s: float = 0, **more: Any) -> Lease:
    return lease.acquire(devices, count, mark=more.pop("mark", None) or process.new_mark(), wait_s=wait_s, **more)


def tickets(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("ticket-*"))


def test_fifty_jobs_killed_at_random_never_share_a_gpu_and_are_served_in_order(tmp_path: Path) -> None:
    argv = [sys.executable, str(RACE), str(tmp_path), "50", "4", str(int(time.time()))]
    finished = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=True)
    found = json.loads(finished.stdout)
    log = found["log"]
    begun = {event["job"]: event for event in log if event["event"] == "begin"}
    ended = {event["job"] for event in log if event["event"] == "end"}
    assert found["clashes"] == []  # no two trainings on one GPU
    assert [event for event in log if event["event"] == "error"] == []
    assert found["stuck"] == []
    assert ended >= set(range(50)) - set(found["killed"])  # none lost
    for later in begun.values():
        for earlier in begun.values():
            if earlier["ticket"] < later["ticket"] and set(earlier["wanted"]) & set(later["devices"]):
                assert earlier["granted"] < later["granted"] + 2, f"{later} went before {earlier}, argv {argv}"
    for gpu in range(4):
        served = sorted((event["at"], event["ticket"]) for event in begun.values() if f"GPU-{gpu}" in event["devices"])
        assert [ticket for _, ticket in served] == sorted(ticket for _, ticket in served), f"GPU-{gpu}: {served}, argv {argv}"
    for gpu in range(4):  # and afterwards all are to be had
        with take(Claim(f"GPU-{gpu}"), environ={"MLGATE_GPU_LOCKS": str(tmp_path / "locks")}, wait_s=10):
            pass


def test_a_wait_that_is_over_says_who_has_the_gpu(folder: Path) -> None:
    with take(A, what="digits, https://github.com/ada/digits/actions/runs/7"), pytest.raises(InfrastructureError) as refused:
        take(A, wait_s=1)
    message = str(refused.value)
    assert message.startswith("train.gpu.wait: waited 1 s for a GPU in vain: held by ")
    assert f"(process {os.getpid()}, digits, https://github.com/ada/digits/actions/runs/7, since " in message
    assert tickets(folder) == []


def test_who_waits_hears_of_who_has_the_gpu_and_not_of_who_had_it(folder: Path, jobs: Callable[..., Job]) -> None:
    part = Claim("MIG-1", "GPU-a")
    job = jobs([A], what="the one before")  # GPU-a was not yet divided, and what its file says stays there
    job.hears("leased")
    job.kill()
    with take(part, wait_s=20, what="the one now"), pytest.raises(InfrastructureError, match="the one now"):
        take(part)


def test_who_waits_hears_its_position_at_once_and_when_it_changes(folder: Path, jobs: Callable[..., Job]) -> None:
    with take(A):
        first = jobs([A])
        assert first.hears("waiting")["in_front"] == 0
        second = jobs([A], wait_s=60)
        heard = second.hears("waiting")
        assert heard["in_front"] == 1
        assert heard["said"].startswith("1 job waits in front, held by ")
    assert first.hears("leased")["in_front"] == 0
    assert first.end() == 0
    assert second.hears("leased")["in_front"] == 1


def test_nothing_of_the_one_before_stands_behind_what_the_next_one_says(folder: Path) -> None:
    take(A, what="x" * 150).release()
    assert (folder / device_file("GPU-a")).read_bytes() == b""
    with take(A, what="short"), pytest.raises(InfrastructureError, match="short"):
        take(A)


def test_what_a_job_says_of_itself_cannot_command_the_runner(folder: Path) -> None:
    with take(A, what="::error::\x1b[31mx\n::set-env name=A::b"):
        path = folder / device_file("GPU-a")
        record = json.loads(path.read_text())
        record["user"], record["what"] = "\n::warning::eve\x1b]0;t\x07", "##[command]\u202e" + "x" * 9999
        path.write_text(json.dumps(record))
        with pytest.raises(InfrastructureError) as refused:
            take(A)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert "##[" not in str(refused.value)
    assert len(str(refused.value)) < 700


def test_two_jobs_that_each_want_two_gpus_do_not_wait_for_each_other_for_ever(folder: Path, jobs: Callable[..., Job]) -> None:
    held = take(B)
    first, second = jobs([A, B], count=2), jobs([B, A], count=2)
    first.hears("waiting")
    second.hears("waiting")
    assert set(lease.occupied([A, B])) == {"GPU-b"}  # neither took A while it could not have both
    held.release()
    order = []

    def follow(job: Job) -> None:
        assert sorted(job.hears("leased")["devices"]) == ["GPU-a", "GPU-b"]
        order.append(job)
        assert job.end() == 0

    threads = [threading.Thread(target=follow, args=(job,)) for job in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(order) == 2


def test_a_job_that_waits_for_many_is_not_passed_by_a_small_one_and_holds_nobody_up_who_wants_others(
    folder: Path, jobs: Callable[..., Job]
) -> None:
    with take(A):
        large = jobs([A, B], count=2)
        large.hears("waiting")
        with pytest.raises(InfrastructureError, match="1 job waits in front"):
            take(B)
        with take(B, C) as other:
            assert other.devices == ("GPU-c",)
    assert large.hears("leased")["devices"] == ["GPU-a", "GPU-b"]


def test_a_gpu_and_the_instances_it_is_divided_into_are_never_had_at_once(folder: Path) -> None:
    one, two = Claim("MIG-1", "GPU-a"), Claim("MIG-2", "GPU-a")
    with take(one, what="a part"):
        assert set(lease.occupied([A, B, one, two])) == {"GPU-a", "MIG-1"}
        with take(two) as other:
            assert other.devices == ("MIG-2",)
            with pytest.raises(InfrastructureError, match=r"held by .*a part"):
                take(A)
    with take(A):
        assert set(lease.occupied([A, one, two])) == {"GPU-a", "MIG-1", "MIG-2"}
        with pytest.raises(InfrastructureError, match="held by "):
            take(one, two)
    with pytest.raises(InfrastructureError):
        take(A, one, count=2)


def test_who_waits_for_a_gpu_is_not_passed_by_who_wants_a_part_of_it_nor_the_other_way_round(
    folder: Path, jobs: Callable[..., Job]
) -> None:
    one, two = Claim("MIG-1", "GPU-a"), Claim("MIG-2", "GPU-a")
    for held, earlier, later in ((one, A, two), (A, one, A)):
        with take(held):
            first = jobs([earlier])
            first.hears("waiting")
            with pytest.raises(InfrastructureError, match="1 job waits in front"):
                take(later)
        first.hears("leased")
        assert first.end() == 0


def test_a_killed_mlgate_lets_go_of_its_gpu_only_when_its_training_is_dead(folder: Path, jobs: Callable[..., Job]) -> None:
    job = jobs([A], trains=True, is_deaf=True)
    worker = job.hears("leased")["worker"]
    job.kill()
    assert is_alive(worker)  # it does not heed SIGTERM, and its session is not that of the training
    assert "GPU-a" in lease.occupied([A])
    with take(A, wait_s=20):
        assert not is_alive(worker)


def test_a_training_that_hides_its_environment_is_ended_too(folder: Path, jobs: Callable[..., Job]) -> None:
    job, other = jobs([Claim("MIG-1", "GPU-a")], trains=True, passes_on=True, is_hidden=True), jobs([Claim("MIG-2", "GPU-a")], trains=True)
    leased = job.hears("leased")
    assert leased["mark"].encode() not in Path("/proc", str(leased["worker"]), "environ").read_bytes()
    bystander = other.hears("leased")["worker"]
    job.kill()
    with take(Claim("MIG-1", "GPU-a"), wait_s=20):
        assert not is_alive(leased["worker"])
    assert is_alive(bystander)


def test_what_started_mlgate_is_not_ended_with_a_training_in_its_session(folder: Path, jobs: Callable[..., Job]) -> None:
    job = jobs([A], trains=True, passes_on=True, is_hidden=True, has_bystander=True)
    leased = job.hears("leased")
    job.kill()
    with take(A, wait_s=20):
        assert not is_alive(leased["worker"])
    assert is_alive(leased["bystander"])
    os.kill(leased["bystander"], signal.SIGKILL)


def test_the_keeper_does_not_matter_while_mlgate_lives(folder: Path, jobs: Callable[..., Job]) -> None:
    job = jobs([A], trains=True)
    worker = job.hears("leased")["worker"]
    os.kill(job.keeper(), signal.SIGKILL)
    time.sleep(0.1)
    assert "GPU-a" in lease.occupied([A])
    assert is_alive(worker)
    assert job.end() == 0
    with take(A):
        pass


def test_of_mlgate_and_keeper_killed_at_once_the_training_is_ended_before_another_gets_the_gpu(
    folder: Path, jobs: Callable[..., Job]
) -> None:
    job = jobs([A], trains=True)
    worker, keeper = job.hears("leased")["worker"], job.keeper()
    for pid in (keeper, job.process.pid):
        os.kill(pid, signal.SIGSTOP)  # so that neither sees the other die
    for pid in (keeper, job.process.pid):
        os.kill(pid, signal.SIGKILL)
    job.process.wait()
    heard: list[lease.Waiting] = []
    with pytest.raises(InfrastructureError, match="held by "):
        take(A, wait_s=0)  # held all the same; and ended by who waits
    with take(A, wait_s=20, on_waiting=heard.append):
        assert not is_alive(worker)


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_mlgate_that_was_killed(
    folder: Path, jobs: Callable[..., Job]
) -> None:
    job = jobs([A], trains=True)
    worker, keeper = job.hears("leased")["worker"], job.keeper()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (keeper, job.process.pid):
            os.kill(pid, number)
    job.process.wait()
    path = folder / device_file("GPU-a")
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": os.getpid()}))
    with take(A, wait_s=20):
        assert not is_alive(worker)


def test_a_training_that_inherited_its_lock_keeps_the_gpu_although_mlgate_and_keeper_were_killed(
    folder: Path, jobs: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs([A], trains=True, passes_on=True)
    worker, keeper = job.hears("leased")["worker"], job.keeper()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (keeper, job.process.pid):
            os.kill(pid, number)
    job.process.wait()
    with pytest.raises(InfrastructureError, match="held by "):
        take(A, wait_s=0.2)
    assert is_alive(worker)
    monkeypatch.setattr(lease, "_KEEPER_HAS_S", 0.1)  # how long who waits leaves it to the keeper
    with take(A, wait_s=20):
        assert not is_alive(worker)


def test_the_keeper_is_of_no_session_job_or_secret_and_sleeps(
    folder: Path, jobs: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    job = jobs([A])
    job.hears("leased")
    keeper = job.keeper()
    environ = Path("/proc", str(keeper), "environ").read_bytes()
    assert b"RUNNER_TRACKING_ID" not in environ
    assert b"hush" not in environ
    assert os.getsid(keeper) == keeper
    open_files = {Path(f"/proc/{keeper}/fd/{number}").readlink() for number in (1, 2)}
    assert open_files == {Path(os.devnull)}  # a runner that waits for our output to end does not wait for it
    os.kill(keeper, signal.SIGTERM)  # as a runner's clean-up does; it ends with mlgate, not before
    time.sleep(1)
    ticks, deadline = -1, time.monotonic() + 20
    while ticks != (ticks := process_ticks(keeper)):  # it loads what ends a training, once; then nothing
        assert time.monotonic() < deadline
        time.sleep(0.4)
    assert ticks <= 60
    job.end()
    while is_alive(keeper):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def process_ticks(pid: int) -> int:
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_lease_is_had_in_a_moment_and_its_keeper_goes_with_it(folder: Path) -> None:
    durations = []
    for _ in range(3):
        began = time.monotonic()
        take(A).release()
        durations.append(time.monotonic() - began)
    assert min(durations) < 0.3
    assert not [pid for pid in pids() if "keeper.py\0" in (line := command_of(pid)) and f"\0{os.getpid()}\0" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_that_is_called_off_ends_at_once_and_leaves_no_ticket(
    folder: Path, jobs: Callable[..., Job], number: signal.Signals
) -> None:
    with take(A):
        job = jobs([A])
        job.hears("waiting")
        assert len(tickets(folder)) == 1
        began = time.monotonic()
        job.process.send_signal(number)
        job.hears("interrupted")
        job.process.wait()
        assert time.monotonic() - began < 2
        assert tickets(folder) == []


def test_a_waiter_that_was_killed_holds_nobody_up(folder: Path, jobs: Callable[..., Job]) -> None:
    with take(A):
        job = jobs([A])
        job.hears("waiting")
        job.kill()
        assert len(tickets(folder)) == 1
    with take(A) as held:
        assert held.in_front == 0
    assert tickets(folder) == []


def test_a_waiter_that_is_stopped_in_the_middle_holds_nobody_up_beyond_its_own_time(
    folder: Path, jobs: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    with take(A):
        job = jobs([A], wait_s=0.5)
        job.hears("waiting")
        os.kill(job.process.pid, signal.SIGSTOP)
    with pytest.raises(InfrastructureError, match="1 job waits in front"):
        take(A)
    later = time.clock_gettime(time.CLOCK_BOOTTIME) + 62
    monkeypatch.setattr("mlgate.gpu.claims.now", lambda: later)
    with take(A):
        pass
    os.kill(job.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[" * 60_000, b'{"version": 1}', b'{"version": 1, "mark": "", "pid": 1e400}'])
def test_rubbish_in_the_folder_is_passed_over(folder: Path, content: bytes) -> None:
    take(A).release()
    (folder / device_file("GPU-a")).write_bytes(content)
    (folder / "ticket-000000000000001").write_bytes(content)
    (folder / "ticket-x").write_bytes(content)
    (folder / f"ticket-{'9' * 15}").write_bytes(content)
    (folder / "queue.lock").write_bytes(content)
    with take(A) as held:
        assert held.devices == ("GPU-a",)


def test_a_mark_that_is_none_ends_no_process(folder: Path) -> None:
    take(A).release()
    with subprocess.Popen(["sleep", "30"], env={"PATH": os.environ["PATH"], "MLGATE_COMMAND_IDS": "f" * 32}) as bystander:
        for mark in ("", "PATH", "f", "MLGATE_COMMAND_IDS="):
            record = {"version": 1, "device": {"uuid": "GPU-a", "parent_uuid": None}, "mark": mark, "pid": 1, "started": 1}
            record |= {"machine": "x", "user": "eve", "what": "", "since": 0}
            (folder / device_file("GPU-a")).write_text(json.dumps(record))
            with take(A):
                pass
        assert bystander.poll() is None
        bystander.kill()


def test_a_link_in_the_place_of_a_lock_is_refused_and_what_it_leads_to_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    take(A).release()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in (device_file("GPU-a"), "queue.lock", "changed"):
        for plant in (os.symlink, os.link):
            (folder / name).unlink(missing_ok=True)
            plant(victim, folder / name)
            with pytest.raises(InfrastructureError, match=f"{name}: expected a file of locks, found something else; take it away"):
                take(A)
            assert victim.read_text() == "precious"
        (folder / name).unlink()


def test_a_pipe_or_a_folder_in_the_place_of_a_lock_is_refused_without_waiting(folder: Path) -> None:
    take(A).release()
    path = folder / device_file("GPU-a")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InfrastructureError, match="expected a file of locks, found something else"):
        take(A)
    path.unlink()
    path.mkdir()
    with pytest.raises(InfrastructureError, match="expected a file of locks, found something else"):
        take(A)


def test_a_link_in_the_place_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.symlink_to(tmp_path)
    with pytest.raises(InfrastructureError, match="expected a folder for the GPUs' locks, found a link or a file; name a folder"):
        take(A)


@pytest.mark.parametrize("place", ["/sys/kernel", "/proc/mlgate-gpu", "/proc/1/x"])
def test_a_place_that_cannot_be_written_is_one_clear_line(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_GPU_LOCKS", place)
    with pytest.raises(InfrastructureError, match="name a folder on a local disk that all runners of this machine may write to"):
        take(A)


def test_a_relative_place_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLGATE_GPU_LOCKS", "locks")
    with pytest.raises(InputError, match="MLGATE_GPU_LOCKS: expected an absolute path"):
        take(A)


def test_a_folder_that_was_cleaned_away_is_made_anew(folder: Path) -> None:
    take(A).release()
    with (folder / device_file("GPU-a")).open("rb+") as before:
        fcntl.flock(before, fcntl.LOCK_EX)
        shutil.rmtree(folder)
        with take(A):
            assert set(lease.occupied([A, B])) == {"GPU-a"}


def test_a_lock_that_is_cleaned_away_while_it_is_taken_is_taken_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(A).release()
    swept = [folder / device_file("GPU-a")]

    def clean_up_first(descriptor: int, *, is_shared: bool = False) -> bool:
        if swept and os.path.samestat(os.fstat(descriptor), swept[0].stat()):
            swept.pop().unlink()
        return lock_folder.try_lock(descriptor, is_shared=is_shared)

    monkeypatch.setattr(lease, "try_lock", clean_up_first)
    with take(A, wait_s=10):
        assert set(lease.occupied([A, B])) == {"GPU-a"}


def test_a_keeper_that_does_not_start_is_an_error_and_takes_no_gpu(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(1)\n")
    with monkeypatch.context() as patched:
        patched.setattr(keeper, "__file__", str(broken))
        with pytest.raises(InfrastructureError, match="the process that ends a training when mlgate dies did not start"):
            take(A)
    with take(A):
        pass


def test_every_user_of_the_machine_may_use_the_folder_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        take(A).release()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o666}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
def test_users_share_the_folder_and_see_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder is for one user
        Path(place).chmod(0o1777)
        monkeypatch.setenv("MLGATE_GPU_LOCKS", f"{place}/locks")
        share_it(python_for_all())


def python_for_all() -> str:
    """A Python that users other than root may run, as the keeper is."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        argv = [python, "-I", "-S", "-c", "import sys; open(sys.argv[1]).read()", keeper.__file__]
        with suppress(OSError):
            if subprocess.run(argv, user=65_534, group=65_534, extra_groups=[], capture_output=True).returncode == 0:
                return python
    pytest.skip("no user but root may run Python here, or read this checkout")


def share_it(python: str) -> None:

    def as_user(uid: int, wait_s: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(JOB), json.dumps({"devices": [("GPU-a", None)], "wait_s": wait_s, "uid": uid, "python": python})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    with as_user(65_534, 0) as first:
        assert first.stdout is not None
        assert json.loads(first.stdout.readline())["event"] == "leased"
        with as_user(12_345, 0) as second:
            out, _ = second.communicate(timeout=20)
            assert b"held by " in out
        with pytest.raises(InfrastructureError, match="held by "):
            take(A)
        first.kill()
    with as_user(12_345, 20) as third:
        out, _ = third.communicate(timeout=20)
        assert b'"leased"' in out
    with take(A):
        pass
