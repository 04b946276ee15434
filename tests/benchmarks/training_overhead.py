"""What `mlgate train` adds to a training: wall time and processor time, and how long a cancelled one takes to save.

The loop computes in one process and prints like the most talkative of trainings. Around it is mlgate with all that stays on while a model
trains: output streamed and read for progress, eight leased GPUs watched through a stand-in for NVML, checkpoints.

A shared machine's speed changes by a third from one moment to the next, and two processes of one program differ by some hundredths for as
long as they live, which no comparison of a run with another survives. So one training is compared with itself: mlgate and all its
processes sleep (SIGSTOP) every other 10 ms, and each pair of neighbouring turns gives one ratio of the time a step took. What came while
mlgate slept it does when it wakes, so a turn has the work of two in it: what is told is an upper bound, up to twice what there is.
mlgate's own processor time is that of half a minute in which nothing sleeps. What it takes before and after the command, whatever its
length, is told apart: starting Python and MLflow's client, a few seconds of a core.
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import nvml_states

MLGATE = Path(sys.executable).parent / "mlgate"
LOOP = """
import json, os, pathlib, signal, sys, time

steps, folder, end = int(sys.argv[1]), os.environ.get("MLGATE_CHECKPOINTS"), pathlib.Path(os.environ["LOOP"], "end")
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))


def save(step):
    if folder:
        path = pathlib.Path(folder, "state.bin")
        aside = path.with_name(".state.bin")
        aside.write_bytes(step.to_bytes(8, "big") + WEIGHTS)
        os.replace(aside, path)


WEIGHTS = os.urandom(SIZE)
if folder:
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
pathlib.Path(os.environ["LOOP"], "pid").write_text(str(os.getpid()))
took, value, saved = [], 0, time.perf_counter()
for step in range(1, steps + 1):
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(WORK):
        value = (value * 31 + number) % 1000003
    if step % QUIET == 0:
        print(f"step {step}/{steps} loss {2.3 / step + 0.1:.4f} lr 0.001", flush=True)
        print(f"\\r{step}/{steps} [{'#' * 20}] 412.3 it/s, loss={2.3 / step:.3f}", end="", file=sys.stderr, flush=True)
    took.append((wall, time.perf_counter(), time.process_time() - cpu))
    if stopped or time.perf_counter() - saved > EVERY:
        save(step)
        saved = time.perf_counter()
    if stopped:
        sys.exit(143)
    if end.exists():
        break
pathlib.Path(os.environ["LOOP"], "took.json").write_text(json.dumps(took))
pathlib.Path("p.csv").write_text("id,y,y_pred\\n1,a,a\\n2,b,b\\n")
"""
CONFIG = """\
model: toy
data: {{pull: []}}
train: {{command: "{command}", reuse: false{more}}}
evaluation: {{task: classification, predictions: p.csv, metrics: [accuracy]}}
"""
_STEPS_A_SECOND = 2000
_QUIET = 40
"""Every so many steps it prints two lines."""
_TURN_S = 0.01
_WARM_S = 10.0
"""What mlgate and the loop begin with is no part of a step: MLflow's client is imported beside the first of them."""
_ALONE_S = 30.0
_CHECKPOINT_S = 10.0
GPU = ", gpu: {count: 8}"
CHECKPOINTS = f', checkpoints: {{path: checkpoints, store: "%s", every: {_CHECKPOINT_S:g}s}}'


@dataclass(frozen=True)
class Overhead:
    """What mlgate adds, a share with half the width of its 95 % interval where it is a mean of pairs."""

    wall: tuple[float, float]
    """Of the time a step takes."""
    cpu: tuple[float, float]
    """Of the training's own processor time for a step."""
    beside: float
    """Processor time of mlgate's own processes, in cores."""


def overhead(folder: Path, root: Path, machine: dict[str, str], pairs: int) -> Overhead:
    """Of mlgate on a training that goes on until the end of its turns."""
    loop = Path(tempfile.mkdtemp(dir=folder))
    with (loop / "said.txt").open("wb") as said:
        mlgate = subprocess.Popen([MLGATE, "train"], cwd=root, env=environment(folder, loop) | machine, stdout=said, stderr=said)
    while not (loop / "pid").exists():
        if mlgate.poll() is not None:
            raise SystemExit(f"bench: mlgate train failed:\n{(loop / 'said.txt').read_text()[-3000:]}")
        time.sleep(0.05)
    time.sleep(_WARM_S)
    ours = [pid for pid in _family(mlgate.pid) if pid != int((loop / "pid").read_text())]
    before_s, began = sum(map(_cpu_s, ours)), time.perf_counter()
    time.sleep(_ALONE_S)
    beside = (sum(map(_cpu_s, ours)) - before_s) / (time.perf_counter() - began)
    turns = []
    for number in range(pairs):
        for is_awake in (True, False) if number % 2 else (False, True):
            for pid in ours:
                os.kill(pid, signal.SIGCONT if is_awake else signal.SIGSTOP)
            began = time.perf_counter()
            time.sleep(_TURN_S)
            turns.append((is_awake, began, time.perf_counter()))
    for pid in ours:
        os.kill(pid, signal.SIGCONT)
    (loop / "end").touch()
    if mlgate.wait():
        raise SystemExit(f"bench: mlgate train failed:\n{(loop / 'said.txt').read_text()[-3000:]}")
    wall, cpu = _compared(json.loads((loop / "took.json").read_text()), turns)
    return Overhead(wall, cpu, beside)


def _compared(steps: list[tuple[float, float, float]], turns: list[tuple[bool, float, float]]) -> tuple[tuple[float, float], ...]:
    """What a step takes more where mlgate is awake, wall and processor time, from the whole steps of each pair of turns."""
    starts, means = [start for start, _, _ in steps], []
    for is_awake, began, ended in turns:
        there = steps[bisect.bisect_left(starts, began) : bisect.bisect_left(starts, ended)]
        whole = [(end - start, cpu) for start, end, cpu in there if end <= ended]
        means.append((is_awake, [statistics.fmean(took) for took in zip(*whole, strict=True)]))
    pairs = [dict(pair) for pair in zip(means[::2], means[1::2], strict=True)]
    logs = [[math.log(pair[True][which] / pair[False][which]) for pair in pairs if pair[True] and pair[False]] for which in (0, 1)]
    return tuple((math.expm1(statistics.fmean(log)), 1.96 * statistics.stdev(log) / math.sqrt(len(log))) for log in logs)


def environment(folder: Path, loop: Path | None = None) -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **names, "DVC_NO_ANALYTICS": "1", "MLGATE_FOLDER": str(folder / "machine"), "LOOP": str(loop or folder)}


def project(folder: Path, steps: int, work: int, size: int, more: str) -> Path:
    """A repository with the loop, ready to be trained."""
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "train.py").write_text(
        LOOP.replace("SIZE", str(size)).replace("WORK", str(work)).replace("EVERY", str(_CHECKPOINT_S)).replace("QUIET", str(_QUIET))
    )
    (root / "mlgate.yaml").write_text(CONFIG.format(command=f"{sys.executable} train.py {steps}", more=more))
    (root / ".gitignore").write_text("/checkpoints/\n/p.csv\n")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "loop"]):
        subprocess.run(["git", *command], cwd=root, env=environment(folder), check=True)
    return root


def around(folder: Path, size: int, more: str, machine: dict[str, str]) -> float:
    """Seconds of mlgate for a training that does nothing: its start, and what it does before and after."""
    taken = []
    for _ in range(3):
        root = _validated(folder, project(folder, 1, 1, size, more), machine)
        began = time.perf_counter()
        subprocess.run([MLGATE, "train"], cwd=root, env=environment(folder) | machine, capture_output=True, check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def cancelled(folder: Path, root: Path, more: dict[str, str]) -> float:
    """Seconds from SIGTERM to the line that says that the checkpoint is saved where it outlives the machine."""
    child = subprocess.Popen(
        [MLGATE, "train"], cwd=root, env=environment(folder) | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout is not None
    told, saved_s = 0.0, None
    said: list[str] = []
    for line in child.stdout:
        said.append(line)
        if f"step {_QUIET}/" in line and not told:
            child.send_signal(signal.SIGTERM)
            told = time.perf_counter()
        if "checkpoint saved" in line:
            saved_s = time.perf_counter() - told
    child.wait()
    if saved_s is None:
        raise SystemExit(f"bench: no checkpoint was saved:\n{''.join(said[-30:])}")
    return saved_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6000, help="of turns, 10 ms each")
    parser.add_argument("--runs", type=int, default=5, help="of the cancellation")
    parser.add_argument("--megabytes", type=int, default=20, help="size of a checkpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), options.megabytes * 1_000_000
        gpus = [nvml_states.gpu(number, busy=90, milliwatts=350_000, reasons=0, celsius=60) for number in range(8)]
        machine = nvml_states.machine(folder, *gpus)
        work = _work_of(1 / _STEPS_A_SECOND)
        checkpoints = GPU + CHECKPOINTS % (folder / "store")
        ways = {
            "mlgate": "",
            "mlgate, 8 GPUs watched": GPU,
            f"mlgate, 8 GPUs, {options.megabytes} MB checkpoints every {_CHECKPOINT_S:g} s": checkpoints,
        }
        lines = 2 * _STEPS_A_SECOND // _QUIET
        print(
            f"\nA training that prints {lines} lines a second, mlgate awake and asleep by turns of {_TURN_S:g} s, {options.pairs:,} pairs:"
        )
        print(f"  {'':48} {'wall':>17} {'CPU':>17} {'mlgate itself':>14} {'before and after':>17}")
        for way, more in ways.items():
            apart_s = around(folder, size, more, machine)  # and warms up
            found = overhead(folder, _validated(folder, project(folder, 10**6, work, size, more), machine), machine, options.pairs)
            print(f"  {way:48} {_said(found.wall):>17} {_said(found.cpu):>17} {found.beside:14.2%} {apart_s:15.1f} s", flush=True)
        saved = []
        for _ in range(options.runs):
            root = _validated(folder, project(folder, 10**6, work, size, checkpoints), machine)
            saved.append(cancelled(folder, root, machine))
        said = ", ".join(f"{value:.2f}" for value in saved)
        print(
            f"\nFrom cancel (SIGTERM to mlgate) to {options.megabytes} MB of checkpoint saved: {statistics.median(saved):.2f} s   ({said})"
        )


def _said(share: tuple[float, float]) -> str:
    return f"{share[0]:+.2%} ± {share[1]:.2%}"


def _family(first: int) -> list[int]:
    """A process and all that come from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
    found, at = [first], 0
    while at < len(found):
        found += [pid for pid, parent in parents.items() if parent == found[at]]
        at += 1
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _validated(folder: Path, root: Path, machine: dict[str, str]) -> Path:
    for stage in ("setup", "check", "pull-data", "validate-data"):
        subprocess.run([MLGATE, stage], cwd=root, env=environment(folder) | machine, capture_output=True, check=False)
    return root


def _work_of(seconds: float) -> int:
    """Rounds of the inner loop that take so long here."""
    rounds, value, began = 2_000_000, 0, time.perf_counter()
    for number in range(rounds):
        value = (value * 31 + number) % 1000003
    return max(1, int(rounds * seconds / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
