"""`make demo`: a real Git and DVC repository of examples/digits, a baseline on main, and four pull requests with their verdicts.

Everything is made in one folder: `origin.git` (bare), `dvc-remote`, `mlflow.db`, the engineer's clone, and one fresh clone for
every run, as a runner on GitHub would have it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).parent / "digits"
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True)
class PullRequest:
    """One change an engineer proposes, and what the gate should say."""

    branch: str
    title: str
    edit: Callable[[Path], None]
    is_merged: bool


@dataclass(frozen=True)
class Answer:
    """What mlgate said of one clone."""

    exit_code: int
    is_open: bool
    verdict: str | None
    headline: str
    was_trained: bool
    duration_s: float
    report: Path


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    """An edit of one text file."""

    def edit(clone: Path) -> None:
        text = (clone / name).read_text()
        if old not in text:
            raise SystemExit(f"demo: '{old}' is not in {name}")
        (clone / name).write_text(text.replace(old, new))

    return edit


def brighten(clone: Path) -> None:
    """A new scanner writes grey levels of 0 to 255 instead of 0 to 16 for the last batch."""
    header, *rows = (clone / "data/digits.csv").read_text().splitlines()
    for index in range(1600, len(rows)):
        identifier, *pixels, digit = rows[index].split(",")
        rows[index] = ",".join([identifier, *(str(min(255, 16 * int(pixel))) for pixel in pixels), digit])
    (clone / "data/digits.csv").write_text("\n".join([header, *rows]) + "\n")


PULL_REQUESTS = [
    PullRequest(
        "better-model",
        "Support vectors instead of logistic regression",
        replace("params.yaml", "model: logistic_regression", "model: support_vectors"),
        is_merged=True,
    ),
    PullRequest("as-good", "A smoother decision boundary", replace("params.yaml", "gamma: 0.25", "gamma: 0.2"), is_merged=True),
    PullRequest(
        "worse-model", "A random forest", replace("params.yaml", "model: support_vectors", "model: random_forest"), is_merged=False
    ),
    PullRequest("broken-data", "Digits of a new scanner", brighten, is_merged=False),
]


class Demo:
    """The folder of the demo and the commands that run in it."""

    def __init__(self, folder: Path, user_bin: Path) -> None:
        self.folder = folder
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_", "MLGATE_", "MLFLOW_"))},
            "PATH": f"{user_bin}{os.pathsep}{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DVC_NO_ANALYTICS": "1",
        }
        self.environment.pop("VIRTUAL_ENV", None)

    def call(self, where: Path, *command: str) -> str:
        """Output of a command that must succeed."""
        finished = subprocess.run(command, cwd=where, env=self.environment, capture_output=True, text=True, check=False)
        if finished.returncode:
            raise SystemExit(f"demo: {' '.join(command)} failed in {where}:\n{finished.stdout}{finished.stderr}")
        return finished.stdout.strip()

    def git(self, where: Path, *arguments: str) -> str:
        return self.call(where, "git", *arguments)

    def dvc(self, where: Path, *arguments: str) -> str:
        return self.call(where, str(TOOLS / "dvc"), *arguments)

    def make_origin(self) -> Path:
        """A bare repository, a DVC remote, and the engineer's clone with a first model on main."""
        self.folder.mkdir(parents=True)
        self.git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
        engineer = self.folder / "engineer"
        self.git(self.folder, "clone", "--quiet", "origin.git", "engineer")
        self.git(engineer, "checkout", "--quiet", "-B", "main")
        shutil.copytree(EXAMPLE, engineer, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache", ".mlgate"))
        with (engineer / "mlgate.yaml").open("a") as stream:
            stream.write("store: git\n")
        self.dvc(engineer, "init", "--quiet")
        self.dvc(engineer, "remote", "add", "--quiet", "--default", "storage", str(self.folder / "dvc-remote"))
        self.dvc(engineer, "config", "core.autostage", "true")
        self.dvc(engineer, "add", "--quiet", "data/digits.csv")
        self.dvc(engineer, "repro", "--quiet")
        self.dvc(engineer, "push", "--quiet")
        self.commit(engineer, "A first model", "main")
        return engineer

    def commit(self, clone: Path, message: str, branch: str) -> None:
        self.git(clone, "add", "--all")
        self.git(clone, "commit", "--quiet", "-m", message)
        self.git(clone, "push", "--quiet", "origin", f"HEAD:{branch}")

    def propose(self, engineer: Path, pull_request: PullRequest) -> None:
        """Push a branch, as an engineer does before opening a pull request."""
        self.git(engineer, "checkout", "--quiet", "--force", "-B", pull_request.branch, "origin/main")
        self.dvc(engineer, "checkout", "--quiet", "data/digits.csv")
        pull_request.edit(engineer)
        self.dvc(engineer, "add", "--quiet", "data/digits.csv")
        self.dvc(engineer, "push", "--quiet", "data/digits.csv.dvc")
        self.commit(engineer, pull_request.title, pull_request.branch)

    def merge(self, engineer: Path, pull_request: PullRequest) -> None:
        self.git(engineer, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
        self.git(engineer, "merge", "--quiet", "--no-ff", "-m", f"Merge: {pull_request.title}", pull_request.branch)
        self.git(engineer, "push", "--quiet", "origin", "main")

    def run(self, name: str, branch: str) -> Answer:
        """`mlgate run` in a fresh clone of a branch, as a runner would; its output goes to <name>.log."""
        clone, log = self.folder / name, self.folder / f"{name}.log"
        self.git(self.folder, "clone", "--quiet", "origin.git", name)
        self.git(clone, "checkout", "--quiet", branch)
        started = time.monotonic()
        with log.open("w") as stream:
            finished = subprocess.run(
                [str(TOOLS / "mlgate"), "run"], cwd=clone, env=self.environment, stdout=stream, stderr=subprocess.STDOUT, check=False
            )
        duration_s = time.monotonic() - started
        evidence = clone / ".mlgate/digits/evidence"
        try:
            gate = json.loads((evidence / "gate.json").read_text())
        except FileNotFoundError:
            raise SystemExit(f"demo: {name} reached no gate (exit {finished.returncode}):\n{log.read_text()}") from None
        findings = gate["findings"]
        if findings is None:
            raise SystemExit(f"demo: the gate of {name} ended in an error:\n{log.read_text()}")
        return Answer(
            exit_code=finished.returncode,
            is_open=findings["is_open"],
            verdict=findings["verdict"],
            headline=findings["headline"],
            was_trained=(evidence / "train.json").exists() and json.loads((evidence / "train.json").read_text())["status"] == "passed",
            duration_s=duration_s,
            report=clone / ".mlgate/digits/report.html",
        )


def show(title: str, answer: Answer) -> None:
    print(f"  {'✓ may be merged' if answer.is_open else '✗ blocked':<16} {title}  ({answer.duration_s:.0f} s)")
    print(f"  {'':<16} {answer.headline}")
    print(f"  {'':<16} {answer.report}\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the demo is made; emptied first")
    parser.add_argument("--python", type=Path, required=True, help="bin folder of the environment the example trains in")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if folder.exists() and not (folder / "origin.git").exists() and any(folder.iterdir()):
        print(f"demo: {folder} holds something else; name another folder", file=sys.stderr)
        return 2
    shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    demo = Demo(folder, options.python.absolute())
    print(f"Making a repository, a DVC remote and a first model in {folder} …", flush=True)
    engineer = demo.make_origin()
    print("Running mlgate on main …", flush=True)
    show("main", demo.run("main-1", "main"))
    unexpected = []
    for number, pull_request in enumerate(PULL_REQUESTS, start=1):
        print(f"Pull request {number}: {pull_request.title} …", flush=True)
        demo.propose(engineer, pull_request)
        answer = demo.run(f"pull-request-{number}-{pull_request.branch}", pull_request.branch)
        show(pull_request.title, answer)
        if answer.is_open != pull_request.is_merged or (answer.exit_code == 0) != answer.is_open:
            unexpected.append(pull_request.branch)
        if pull_request.branch == "broken-data" and answer.was_trained:
            unexpected.append(f"{pull_request.branch} (trained on)")
        if answer.is_open:
            demo.merge(engineer, pull_request)
            demo.run(f"main-{number + 1}", "main")
    print(
        f"Done in {time.monotonic() - started:.0f} s. Open a report:  {demo.folder}/pull-request-1-better-model/.mlgate/digits/report.html"
    )
    if unexpected:
        print(f"demo: not the verdict that was expected: {', '.join(unexpected)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
