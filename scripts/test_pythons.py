"""Run the unit tests under every supported Python that this machine has, each in an environment of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def interpreters() -> dict[str, Path]:
    """Paths of the interpreters there are, by version: on PATH, or installed by pyenv."""
    folders = [Path(entry) for entry in os.environ["PATH"].split(os.pathsep)]
    folders += sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob("3.*/bin"))
    found: dict[str, Path] = {}
    for folder in folders:
        for version in SUPPORTED:
            candidate = folder / f"python{version}"
            if version not in found and candidate.exists() and _answers(candidate):
                found[version] = candidate
    return found


def _answers(interpreter: Path) -> bool:
    return subprocess.run([interpreter, "-c", "import venv"], capture_output=True, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", type=Path, required=True)
    options = parser.parse_args()
    found, failed = interpreters(), []
    for version in SUPPORTED:
        if version not in found:
            print(f"Python {version}: not on this machine; ci.yml runs it", flush=True)
            continue
        environment = Path(".build") / f"python-{version}"
        print(f"Python {version}: {found[version]}", flush=True)
        sync = [options.uv, "sync", "--quiet", "--locked", "--all-extras", "--group", "dev", "--python", found[version]]
        subprocess.run(sync, env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment)}, check=True)
        tests = [environment / "bin/python", "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", "tests/unit"]
        if subprocess.run(tests, check=False).returncode:
            failed.append(version)
    if failed:
        print(f"failed under Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
