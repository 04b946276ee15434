"""The command line as a user runs it when something is wrong, and what holds of every such end."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from mlgate import evidence as records

MLGATE = str(Path(sysconfig.get_path("scripts"), "mlgate"))
PLANTED = "ghs_plantedTokenThatNobodyMaySee0123"
"""In the environment of every command here; no output and no file may ever show it."""
_OF_THIS_RUN = ("GITHUB_", "MLGATE_", "MLFLOW_", "RUNNER_", "GIT_", "REQUESTS_CA_", "CURL_CA_", "SSL_CERT_")
_KNOWN_HIDDEN = {".git", ".dvc", ".gitignore", ".dvcignore", ".mlgate", ".github", ".lock", ".setup.lock", ".incoming"}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def shown(self) -> str:
        return self.stdout + self.stderr

    @property
    def complaints(self) -> list[str]:
        """What it complained of, without the mark."""
        return [line.removeprefix("✗ ") for line in self.shown.splitlines() if line.startswith("✗ ")]


def mlgate(root: Path, *arguments: str, largest_file: int | None = None, **environ: str) -> Ended:
    """Run the installed command in a folder, and check what holds however it ends: no traceback, no token, nothing half-written.

    Args:
        root: the folder.
        arguments: of the command.
        largest_file: bytes after which the system refuses to write on, as a full disk does.
        environ: variables beside those of this process.
    """
    temporary = root.parent / f"{root.name}-tmp"
    temporary.mkdir(exist_ok=True)
    before = evidence_in(root)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_RUN)}
    tokens = {"MLGATE_GITHUB_TOKEN": PLANTED, "MLFLOW_TRACKING_TOKEN": PLANTED}
    finished = subprocess.run(
        [MLGATE, *arguments],
        cwd=root,
        env={**inherited, **tokens, "TMPDIR": str(temporary), "GIT_CONFIG_GLOBAL": "/dev/null", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=None if largest_file is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file)),
    )
    ended = Ended(finished.returncode, finished.stdout, finished.stderr)
    assert "Traceback" not in ended.shown, ended.shown
    assert PLANTED not in ended.shown, ended.shown
    assert list(temporary.iterdir()) == [], "left in the folder for temporary files"
    assert_nothing_is_half_written(root, before)
    return ended


def refused(root: Path, *arguments: str, code: int, largest_file: int | None = None, **environ: str) -> str:
    """The one line that a command complains in, which also ends with this exit code."""
    ended = mlgate(root, *arguments, largest_file=largest_file, **environ)
    assert ended.code == code, ended.shown
    assert len(ended.complaints) == 1, ended.shown
    assert len(ended.complaints[0]) < 600
    return ended.complaints[0]


def stopped(root: Path, stage: str, code: int, **environ: str) -> str:
    """The line with which `mlgate run` ends at a stage: the closed gate repeats it in its own, and so does the answer at the end."""
    ended = mlgate(root, "run", **environ)
    assert ended.code == code, ended.shown
    first, gate = [line for line in ended.complaints if not line.startswith("digits: ")]
    assert gate.startswith("gate closed: Nothing was "), ended.shown
    assert first.removesuffix(" Nothing was trained.") in gate, ended.shown
    assert evidence_of(root, stage)["exit_code"] == code
    assert evidence_of(root, "gate")["findings"]["is_open"] is False
    assert (root / ".mlgate" / "digits" / "report.html").stat().st_size > 1000
    return first


def evidence_of(root: Path, stage: str) -> dict:
    return json.loads((root / ".mlgate" / "digits" / "evidence" / f"{stage}.json").read_text())


def evidence_in(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.glob(".mlgate/*/evidence/*.json")}


def assert_nothing_is_half_written(root: Path, before: dict[Path, bytes]) -> None:
    """Evidence is whole, nothing that was written aside is left, and no file holds the token."""
    for path, content in evidence_in(root).items():
        if before.get(path) != content:
            records.load(path, path.stem)
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in (".git", ".dvc")]
        hidden = {name for name in [*folders, *names] if name.startswith(".") and not name.endswith(".lock")} - _KNOWN_HIDDEN
        assert not hidden, f"left in {folder}: {hidden}"
        for name in names:
            path = Path(folder, name)
            assert not path.is_file() or PLANTED.encode() not in path.read_bytes(), f"{path} holds a token"
