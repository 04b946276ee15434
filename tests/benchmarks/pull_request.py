"""`make bench`: a pull request outside training beside its hand-written equivalent, start-up of every command, and the stages' time.

Both sides work on fresh clones of the same repository (examples/digits), in turn, as a runner would: data is pulled and checked, `dvc
repro` trains (timed apart and taken off on both sides), a comment is posted. The hand-written side compares nothing, tracks nothing
and blocks nothing. mlgate runs in the environments its actions make, once with a process a job as the workflows have it and once as
`mlgate run`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from demo import PULL_REQUESTS, Demo  # noqa: E402

from github_stand_in import StandIn  # noqa: E402

BY_HAND = Path(__file__).parent / "by_hand"
JOBS = {"data": ("pull-data", "validate-data"), "train": ("train", "evaluate"), "verdict": ("gate", "report")}
STAGES = ("pull-data", "validate-data", "train", "evaluate", "gate", "report")
COMMANDS = ("check", *STAGES, "run", "init", "setup", "schema")
TOOLS = Path(sys.executable).parent
MLGATE = ROOT / "scripts" / "mlgate.sh"


@dataclass(frozen=True)
class Run:
    """Wall time of one pull request."""

    outside_training_s: float
    training_s: float
    stages_s: dict[str, float]


class Repository(Demo):
    """The demo's repository with its first pull request, cloned afresh for every run."""

    def __init__(self, folder: Path, user_bin: Path, by_hand_bin: Path) -> None:
        super().__init__(folder, user_bin)
        self.by_hand_bin = by_hand_bin
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        engineer = self.make_origin()
        self.base = self.git(engineer, "rev-parse", "HEAD")
        self.run("main", "main")
        self.branch = PULL_REQUESTS[0].branch
        self.propose(engineer, PULL_REQUESTS[0])
        self.head = self.git(engineer, "rev-parse", "HEAD")
        self.count = 0

    def clone(self) -> Path:
        self.count += 1
        clone = self.folder / f"clone-{self.count}"
        self.git(self.folder, "clone", "--quiet", "origin.git", clone.name)
        self.git(clone, "checkout", "--quiet", self.branch)
        return clone

    def forget_training(self) -> None:
        """Empty the runs of the DVC remote: every measured run trains."""
        shutil.rmtree(self.folder / "dvc-remote" / "runs", ignore_errors=True)

    def make_origin(self) -> Path:
        """The demo's without what is not done by hand: checks, screens, and `data.prepare` (what is validated is what was pulled)."""
        engineer = super().make_origin()
        config = engineer / "mlgate.yaml"
        text = config.read_text()
        for left_out in (r"checks: .*\n", r"  prepare: .*\n", r"  screens:.*\n(    .*\n)+"):
            text, found = re.subn(left_out, "", text, count=1)
            if not found:
                raise SystemExit(f"bench: nothing in the example's mlgate.yaml looks like {left_out}")
        config.write_text(text)
        self.commit(engineer, "For the benchmark", "main")
        return engineer

    def install(self) -> None:
        """What the actions install: an environment a job, with what its stages need."""
        for job, stages in {**JOBS, "all": STAGES}.items():
            environment = {
                **self.environment,
                "MLGATE_ENVIRONMENT": str(self.folder / "environments" / job),
                "MLGATE_STAGES": " ".join(stages),
            }
            self.mlgate("setup", self.folder / "engineer", environment)

    def mlgate(self, command: str, where: Path, environment: dict[str, str]) -> float:
        """Wall time of a command, called as the actions call it."""
        started = time.perf_counter()
        finished = subprocess.run([MLGATE, command], cwd=where, env=environment, capture_output=True, text=True, check=False)
        duration_s = time.perf_counter() - started
        if finished.returncode:
            raise SystemExit(f"bench: mlgate {command} failed:\n{finished.stdout}{finished.stderr}")
        return duration_s

    def with_mlgate(self, github: StandIn, processes: dict[str, str]) -> Run:
        """The stages, split into processes: what each runs, by the job whose environment it has."""
        clone = self.clone()
        event = clone.parent / f"{clone.name}.json"
        event.write_text(
            json.dumps(
                {
                    "pull_request": {
                        "number": 7,
                        "head": {"sha": self.head, "repo": {"full_name": "octo/models"}},
                        "base": {"sha": self.base, "ref": "main"},
                    },
                    "repository": {"default_branch": "main"},
                }
            )
        )
        environment = {
            **self.environment,
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_RUN_ID": str(self.count),
            "GITHUB_API_URL": github.url,
            "RUNNER_TOOL_CACHE": str(clone.parent / f"{clone.name}-tools"),
            "MLGATE_GITHUB_TOKEN": github.token,
            "MLGATE_STORE_URL": str(self.folder / "origin.git"),
        }
        took_s = 0.0
        for job, stages in processes.items():
            took_s += self.mlgate(
                "run",
                clone,
                {**environment, "MLGATE_ENVIRONMENT": str(self.folder / "environments" / job), "MLGATE_STAGES": stages},
            )
        found = {path.stem: json.loads(path.read_text()) for path in (clone / ".mlgate/digits/evidence").iterdir()}
        training_s = found["train"]["findings"]["run"]["duration_s"]
        return Run(took_s - training_s, training_s, {stage: found[stage]["duration_s"] for stage in STAGES})

    def by_hand(self, github: StandIn) -> Run:
        clone = self.clone()
        training = clone.parent / f"{clone.name}.training"
        environment = {
            **self.environment,
            "PATH": f"{self.by_hand_bin}{os.pathsep}{os.environ['PATH']}",
            "BASE": self.base,
            "BY_HAND": str(BY_HAND),
            "TRAINING": str(training),
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "octo/models",
            "PULL_REQUEST": "7",
            "TOKEN": github.token,
        }
        started = time.perf_counter()
        finished = subprocess.run(
            ["bash", BY_HAND / "pull_request.sh"], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        whole_s = time.perf_counter() - started
        if finished.returncode:
            raise SystemExit(f"bench: the hand-written side failed:\n{finished.stdout}{finished.stderr}")
        begin, end = map(float, training.read_text().split())
        return Run(whole_s - (end - begin), end - begin, {})


def median(values: list[float]) -> str:
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(folder: Path, user_bin: Path, by_hand_bin: Path, runs: int) -> None:
    print(f"A pull request outside training, {runs} runs in turn, seconds: median (least to most)", flush=True)
    repository = Repository(folder / "repository", user_bin, by_hand_bin)
    repository.install()
    ours, theirs, in_one = [], [], []
    with StandIn("octo/models") as github:
        github.add_pull_request(7, head_sha=repository.head, base_sha=repository.base)
        for _ in range(runs + 1):
            repository.forget_training()
            theirs.append(repository.by_hand(github))
            repository.forget_training()
            ours.append(repository.with_mlgate(github, {job: " ".join(stages) for job, stages in JOBS.items()}))
            repository.forget_training()
            in_one.append(repository.with_mlgate(github, {"all": ""}))
    del theirs[0], ours[0], in_one[0]  # a warm-up: first imports compile
    for name, sides in (("by hand", theirs), ("mlgate, a process a job", ours), ("mlgate run", in_one)):
        outside = [run.outside_training_s for run in sides]
        ratios = [run.outside_training_s / their.outside_training_s for run, their in zip(sides, theirs, strict=True)]
        print(
            f"  {name:<28}{median(outside)}   / by hand {median(ratios)}   training {median([run.training_s for run in sides])}   "
            f"whole {median([run.outside_training_s + run.training_s for run in sides])}"
        )
    print("  mlgate's stages as their evidence has it, training included:")
    for stage in STAGES:
        print(f"    {stage:<14}{median([run.stages_s[stage] for run in ours])}")


def start_up(runs: int) -> None:
    print(f"\nStart-up, {runs} runs, seconds: median (least to most)")
    python = [sys.executable, "-c", "pass"]
    mlgate = str(TOOLS / "mlgate")
    for name, command in [
        ("python -c pass", python),
        ("mlgate --help", [mlgate, "--help"]),
        *((f"mlgate {command} --help", [mlgate, command, "--help"]) for command in COMMANDS),
    ]:
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            times.append(time.perf_counter() - started)
        print(f"  {name:<30}{median(times)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="bin folder of the environment the example trains in")
    parser.add_argument("--by-hand", type=Path, required=True, help="bin folder of the environment of the hand-written side")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        compare(Path(folder), options.python.absolute(), options.by_hand.absolute(), options.runs)
    start_up(options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
