"""What `mlgate train` adds to a training: wall time and processor time beside the bare loop, and how long a cancelled one takes to save.

The loop computes in one process and prints like the most talkative of trainings. Around it is nothing, or mlgate with all that stays on
while a model trains: output streamed and read for progress, eight leased GPUs watched through a stand-in for NVML, checkpoints.

A shared machine's speed changes by a tenth from minute to minute, which no comparison of one run with the next survives. So the bare loop
and mlgate's are alive at the same time and take turns of a second, all processes of the other stopped (SIGSTOP): each pair of
neighbouring turns gives one ratio of the time a step took. mlgate's own clocks go on while it is stopped, so what it does by the clock it
does twice as often for the work done; only the period of checkpoints is doubled to make up for that. What is told is an upper bound.
"""

from __future__ import annotations

import argparse
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
    print(f"step {step}/{steps} loss {2.3 / step + 0.1:.4f} lr 0.001", flush=True)
    print(f"\\r{step}/{steps} [{'#' * 20}] 412.3 it/s, loss={2.3 / step:.3f}", end="", file=sys.stderr, flush=True)
    took.append((wall, time.perf_counter(), time.process_time() - cpu))
    if stopped or time.perf_counter() - saved > EVERY:
        save(step)  # the bare loop does not
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
_STEPS_A_SECOND = 50
_TURN_S = 1.0
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


class Training:
    """A loop that runs, bare or under mlgate, and waits with all its processes but for its turns."""

    def __init__(self, folder: Path, command: list[str], root: Path, more: dict[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._turns: list[tuple[float, float]] = []
        environ = environment(folder) | more | {"LOOP": str(self._folder)}
        with (self._folder / "said.txt").open("wb") as said:
            self._child = subprocess.Popen(command, cwd=root, env=environ, stdout=said, stderr=said)
        while not (self._folder / "pid").exists():
            self._still_lives()
            time.sleep(0.05)
        self._loop = int((self._folder / "pid").read_text())
        time.sleep(2)  # what it does to begin with is no part of a step
        self._before_s = self._beside_s()
        self._send(signal.SIGSTOP)

    def turn(self) -> None:
        began = time.perf_counter()
        self._send(signal.SIGCONT)
        time.sleep(_TURN_S)
        self._turns.append((began, time.perf_counter()))
        self._send(signal.SIGSTOP)
        self._still_lives()

    def ended(self) -> tuple[list[tuple[float, float]], float]:
        """Mean wall time and processor time of a step, s, in each turn; and the cores that the processes around the loop took."""
        self._send(signal.SIGCONT)
        beside_s = self._beside_s() - self._before_s
        (self._folder / "end").touch()
        if self._child.wait():
            self._still_lives()
        steps = json.loads((self._folder / "took.json").read_text())
        means = []
        for began, ended in self._turns:
            whole = [(wall, cpu) for start, end, cpu in steps if began <= start and (wall := end - start) and end <= ended]
            means.append((statistics.fmean(wall for wall, _ in whole), statistics.fmean(cpu for _, cpu in whole)))
        return means, beside_s / sum(ended - began for began, ended in self._turns)

    def _still_lives(self) -> None:
        if self._child.poll():
            raise SystemExit(f"bench: {self._child.args!r} failed:\n{(self._folder / 'said.txt').read_text(errors='replace')[-3000:]}")

    def _send(self, number: signal.Signals) -> None:
        for pid in _family(self._child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _beside_s(self) -> float:
        return sum(_cpu_s(pid) for pid in _family(self._child.pid) if pid != self._loop)


def environment(folder: Path) -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **names, "DVC_NO_ANALYTICS": "1", "MLGATE_FOLDER": str(folder / "machine"), "LOOP": str(folder)}


def project(folder: Path, steps: int, work: int, size: int, more: str) -> Path:
    """A repository with the loop, ready to be trained."""
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "train.py").write_text(LOOP.replace("SIZE", str(size)).replace("WORK", str(work)).replace("EVERY", str(_CHECKPOINT_S)))
    (root / "mlgate.yaml").write_text(CONFIG.format(command=f"{sys.executable} train.py {steps}", more=more))
    (root / ".gitignore").write_text("/checkpoints/\n/p.csv\n")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "loop"]):
        subprocess.run(["git", *command], cwd=root, env=environment(folder), check=True)
    return root


def compared(folder: Path, work: int, size: int, more: str, machine: dict[str, str], pairs: int) -> Overhead:
    """mlgate's loop beside the bare one, turn by turn, each of them first as often as the other."""
    steps = 10**6
    bare = Training(folder, [sys.executable, "train.py", str(steps)], project(folder, steps, work, size, more), {})
    ours = Training(folder, [str(MLGATE), "train"], _validated(folder, project(folder, steps, work, size, more), machine), machine)
    for number in range(pairs):
        for training in (bare, ours) if number % 2 else (ours, bare):
            training.turn()
    (alone, _), (with_us, beside) = bare.ended(), ours.ended()
    wall, cpu = ([ours_s[which] / bare_s[which] - 1 for ours_s, bare_s in zip(with_us, alone, strict=True)] for which in (0, 1))
    return Overhead(_mean(wall), _mean(cpu), beside)


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
    parser.add_argument("--pairs", type=int, default=60, help="turns of each loop, a second each")
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
            f"mlgate, 8 GPUs, {options.megabytes} MB checkpoints every {_CHECKPOINT_S / 2:g} s": checkpoints,
        }
        lines = 2 * _STEPS_A_SECOND
        print(f"\nA training that prints {lines} lines a second beside the bare loop, in {options.pairs} pairs of turns of {_TURN_S:g} s:")
        print(f"  {'':48} {'wall':>17} {'its CPU':>17} {'CPU beside it':>14} {'before and after':>17}")
        for way, more in ways.items():
            apart_s = around(folder, size, more, machine)  # and warms up
            found = compared(folder, work, size, more, machine, options.pairs)
            print(f"  {way:48} {_said(found.wall):>17} {_said(found.cpu):>17} {found.beside:14.2%} {apart_s:15.1f} s", flush=True)
        saved = []
        for _ in range(options.runs):
            root = _validated(folder, project(folder, 10**6, work, size, checkpoints), machine)
            saved.append(cancelled(folder, root, machine))
        said = ", ".join(f"{value:.2f}" for value in saved)
        print(
            f"\nFrom cancel (SIGTERM to mlgate) to {options.megabytes} MB of checkpoint saved: {statistics.median(saved):.2f} s   ({said})"
        )


def _mean(shares: list[float]) -> tuple[float, float]:
    return statistics.fmean(shares), 1.96 * statistics.stdev(shares) / math.sqrt(len(shares))


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
