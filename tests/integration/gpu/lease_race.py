"""Jobs that race for a machine's pretended GPUs, killed at random moments: `python lease_race.py <folder> <jobs> <gpus> <seed>`.

Each job is a process as mlgate is one, and its training another in a session of its own. Whether two trainings had one GPU is not asked
of the locks: a training binds a socket of the GPU's name, which the kernel gives to one process at a time and takes back when that ends.
Prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from mlgate import process
from mlgate.gpu import lease
from mlgate.gpu.claims import Claim

_TRAINING = """
import os, socket, sys, time
witnesses = []
for name in sys.argv[2].split(","):
    witness = socket.socket(socket.AF_UNIX)
    try:
        witness.bind("\\0" + name)
    except OSError:
        os.write(1, f"clash {name}\\n".encode())
        os._exit(1)
    witnesses.append(witness)
time.sleep(float(sys.argv[1]))
"""


def job(folder: Path, number: int, gpus: int, seed: int, log: int) -> None:
    """One run of mlgate: wait, train, let go. Says what happens in the log, a line at a time."""
    chance = random.Random(seed * 1000 + number)
    time.sleep(chance.random() * 0.5)
    count = 2 if chance.random() < 0.2 else 1
    wanted = [Claim(f"GPU-{index}") for index in range(gpus)]
    if chance.random() < 0.2:
        wanted = wanted[:2]
    chance.shuffle(wanted)
    mark, began = process.new_mark(), time.monotonic()
    with lease.acquire(wanted, count, mark=mark, wait_s=60, what=f"job {number}", environ={"MLGATE_GPU_LOCKS": str(folder)}) as held:
        granted = began + held.waited_s
        say(log, job=number, event="begin", ticket=held.number, devices=held.devices, granted=granted, wanted=[w.uuid for w in wanted])
        names = ",".join(f"{folder}/{uuid}" for uuid in held.devices)
        training = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TRAINING, str(0.02 + chance.random() * 0.15), names],
            env={"MLGATE_COMMAND_IDS": mark},
            stdout=log,
            pass_fds=held.fds if chance.random() < 0.5 else (),
            start_new_session=True,
        )
        assert training.wait() == 0
        say(log, job=number, event="end")


def say(log: int, **what: object) -> None:
    os.write(log, (json.dumps({**what, "at": time.monotonic()}) + "\n").encode())


def keepers_of(pid: int) -> list[int]:
    """Keepers that a job has started."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            command = (entry / "cmdline").read_text() if entry.name.isdecimal() else ""
            if "keeper.py\0" in command and f"\0{pid}\0" in command:
                found.append(int(entry.name))
    return found


def holding(log: Path) -> set[int]:
    """Jobs that have begun and not ended."""
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {event["job"] for event in events if event["event"] == "begin"} - {event["job"] for event in events if event["event"] == "end"}


def main(folder: Path, jobs: int, gpus: int, seed: int) -> None:
    chance = random.Random(seed)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living: dict[int, int] = {}
    for number in range(jobs):
        if (pid := os.fork()) == 0:
            try:
                job(folder / "locks", number, gpus, seed, log)
            except BaseException as error:  # noqa: BLE001 -- reported, and the process ends
                say(log, job=number, event="error", error=repr(error))
            os._exit(0)
        living[pid] = number
    killed, ended, deadline = [], [], time.monotonic() + 60
    to_kill = jobs * 2 // 5
    while living and time.monotonic() < deadline:
        time.sleep(chance.random() * 0.2)
        while living:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append(living.pop(pid))
        if living and len(killed) < to_kill:
            training = holding(folder / "log") & set(living.values())
            chosen = chance.choice(sorted(training)) if training and chance.random() < 0.7 else chance.choice(list(living.values()))
            pid = next(pid for pid, number in living.items() if number == chosen)
            for victim in (keepers_of(pid) if chance.random() < 0.4 else []) + [pid]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            killed.append(living[pid])
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    lines = (folder / "log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    clashes = [line for line in lines if not line.startswith("{")]
    print(json.dumps({"killed": killed, "stuck": list(living.values()), "log": events, "clashes": clashes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5]))
