"""What `mlgate train` adds to a training: wall time and processor time beside the bare loop, and how long a cancelled one takes to save.

The loop computes for about 20 s in one process and prints like the most talkative of trainings. Around it, in turn: nothing, then
mlgate with all that stays on while a model trains (output streamed and read for progress, eight leased GPUs watched through a stand-in for
NVML, checkpoints off and on). Every way runs once a round, since a shared machine is not equally fast for long; what is told is the median
of the differences within a round. What mlgate takes before and after the command, whatever its length, is told apart. The stand-in for NVML
is Python and dearer than the library: what it takes counts as ours.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import nvml_states

MLGATE = Path(sys.executable).parent / "mlgate"
LOOP = """
import json, os, pathlib, signal, sys, time

steps, folder = int(sys.argv[1]), os.environ.get("MLGATE_CHECKPOINTS")
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
wall, cpu, value = time.perf_counter(), time.process_time(), 0
for step in range(1, steps + 1):
    for number in range(WORK):
        value = (value * 31 + number) % 1000003
    print(f"step {step}/{steps} loss {2.3 / step + 0.1:.4f} lr 0.001", flush=True)
    print(f"\\r{step}/{steps} [{'#' * 20}] 412.3 it/s, loss={2.3 / step:.3f}", end="", file=sys.stderr, flush=True)
    if step % (steps // 4) == 0 or stopped:
        save(step)
    if stopped:
        sys.exit(143)
took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
pathlib.Path(os.environ["TOOK"]).write_text(json.dumps(took))
pathlib.Path("p.csv").write_text("id,y,y_pred\\n1,a,a\\n2,b,b\\n")
"""
CONFIG = """\
model: toy
data: {{pull: []}}
train: {{command: "{command}", reuse: false{more}}}
evaluation: {{task: classification, predictions: p.csv, metrics: [accuracy]}}
"""
BARE = "the bare loop"
_STEPS_A_SECOND = 50
GPU = ", gpu: {count: 8}"
CHECKPOINTS = ', checkpoints: {path: checkpoints, store: "%s", every: 5s}'


@dataclass(frozen=True)
class Took:
    wall_s: float
    """Of the loop, as it saw it."""
    cpu_s: float
    """Of the loop."""
    around_wall_s: float
    """Of all that is not the loop: mlgate's start, its checks before and after."""
    beside_cpu_s: float
    """Of mlgate's own processes, all in all."""


def environment(folder: Path) -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **names, "DVC_NO_ANALYTICS": "1", "MLGATE_FOLDER": str(folder / "machine"), "TOOK": str(folder / "took.json")}


def project(folder: Path, steps: int, work: int, size: int, more: str) -> Path:
    """A repository with the loop, ready to be trained."""
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "train.py").write_text(LOOP.replace("SIZE", str(size)).replace("WORK", str(work)))
    (root / "mlgate.yaml").write_text(CONFIG.format(command=f"{sys.executable} train.py {steps}", more=more))
    (root / ".gitignore").write_text("/checkpoints/\n/p.csv\n")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "loop"]):
        subprocess.run(["git", *command], cwd=root, env=environment(folder), check=True)
    return root


def measured(folder: Path, root: Path, command: list[str], more: dict[str, str]) -> Took:
    """Run it to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment(folder) | more, capture_output=True, text=True, check=False)
    all_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"bench: {command} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    took = json.loads((folder / "took.json").read_text())
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(took["wall_s"], took["cpu_s"], all_s - took["wall_s"], cpu_s - took["cpu_s"])


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
        if "step 20/" in line and not told:
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
    parser.add_argument("--seconds", type=float, default=20.0, help="of the loop")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=20, help="size of a checkpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, size = Path(name), options.megabytes * 1_000_000
        gpus = [nvml_states.gpu(number, busy=90, milliwatts=350_000, reasons=0, celsius=60) for number in range(8)]
        machine = nvml_states.machine(folder, *gpus)
        steps, work = max(100, int(options.seconds * _STEPS_A_SECOND)), _work_of(1 / _STEPS_A_SECOND)
        watched, checkpoints = "mlgate, 8 GPUs watched", f"mlgate, 8 GPUs, {options.megabytes} MB checkpoints every 5 s"
        ways = {BARE: "", "mlgate": "", watched: GPU, checkpoints: GPU + CHECKPOINTS % (folder / "store")}
        fixed_cpu_s = {way: _cpu_around(folder, work, size, ways[way], machine) for way in ways if way != BARE}  # and warms up
        rounds = [_round(folder, ways, number, (steps, work, size), machine) for number in range(options.runs)]
        lines = 2 * _STEPS_A_SECOND
        print(f"\nA training of {options.seconds:g} s that prints {lines} lines a second, beside the bare loop; median of {options.runs}:")
        print(f"  {'':48} {'wall':>8} {'its CPU':>8} {'CPU beside it':>14} {'before and after':>17}")
        for way in ways:
            if way != BARE:
                wall = statistics.median(one[way].wall_s / one[BARE].wall_s - 1 for one in rounds)
                cpu = statistics.median(one[way].cpu_s / one[BARE].cpu_s - 1 for one in rounds)
                beside = statistics.median((one[way].beside_cpu_s - fixed_cpu_s[way]) / one[way].wall_s for one in rounds)
                around = statistics.median(one[way].around_wall_s for one in rounds)
                print(f"  {way:48} {wall:+8.2%} {cpu:+8.2%} {beside:14.2%} {around:15.1f} s")
        root = _validated(folder, project(folder, steps * 10, work, size, ways[checkpoints]), machine)
        saved = [cancelled(folder, root, machine) for _ in range(options.runs)]
        said = ", ".join(f"{value:.2f}" for value in saved)
        print(
            f"\nFrom cancel (SIGTERM to mlgate) to {options.megabytes} MB of checkpoint saved: {statistics.median(saved):.2f} s   ({said})"
        )


def _round(folder: Path, ways: dict[str, str], number: int, loop: tuple[int, int, int], machine: dict[str, str]) -> dict[str, Took]:
    """Each way once, one after the other, beginning with another one each time."""
    steps, work, size = loop
    order = [*ways][number % len(ways) :] + [*ways][: number % len(ways)]
    took = {}
    for way in order:
        root = _validated(folder, project(folder, steps, work, size, ways[way]), machine)
        if way == BARE:
            took[way] = measured(folder, root, [sys.executable, "train.py", str(steps)], {})
        else:
            took[way] = measured(folder, root, [str(MLGATE), "train"], machine)
    return took


def _cpu_around(folder: Path, work: int, size: int, more: str, machine: dict[str, str]) -> float:
    """Processor seconds of mlgate for a training that does nothing: its start, and what it does before and after."""
    taken = []
    for _ in range(3):
        root = _validated(folder, project(folder, 4, 1, size, more), machine)
        taken.append(measured(folder, root, [str(MLGATE), "train"], machine).beside_cpu_s)
    return statistics.median(taken)


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
