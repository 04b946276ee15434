"""Asked of the user's interpreter: which Python it is, and what is installed for it. Standard library only; reads names of folders, and
imports nothing of the user's: a hundred packages take milliseconds.
"""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
from pathlib import Path

_MAX_ORIGIN = 1_000_000


def main(question: str, answer: str) -> None:
    """Answer the empty question in the file `question`."""
    json.loads(Path(question).read_text(encoding="utf-8"))
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": sysconfig.get_platform(),
        "libc": " ".join(platform.libc_ver()),
        "system": _system(),
        "packages": dict(sorted(_packages().items())),
    }
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


def _packages() -> dict[str, str]:
    """Version by name; the first on the import path counts, as for Python itself."""
    found: dict[str, str] = {}
    for folder in map(Path, sys.path[1:]):  # the first is the working directory, which is the code
        for entry in _entries(folder):
            if entry.suffix not in (".dist-info", ".egg-info"):
                continue
            name, _, version = entry.stem.partition("-")
            if entry.suffix == ".egg-info":
                version = version.split("-py")[0]
            name = name.lower().replace("_", "-").replace(".", "-")
            if name not in found:
                found[name] = (version or "?") + _origin(entry / "direct_url.json")
    for entry in _entries(Path(sys.prefix, "conda-meta")):  # what conda installs beside Python: cuDNN, MKL
        if entry.suffix == ".json" and entry.stem.count("-") >= 2:
            name, version, build = entry.stem.rsplit("-", 2)
            found[f"conda:{name}"] = f"{version}-{build}"
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _origin(path: Path) -> str:
    """Of what was not installed from an index: the commit or the hash of the archive. A folder has neither."""
    try:
        if path.stat().st_size > _MAX_ORIGIN:
            return ""
        said = json.loads(path.read_text(encoding="utf-8"))
        found = said.get("vcs_info", {}).get("commit_id") or said.get("archive_info", {}).get("hash") or ""
    except (OSError, ValueError, AttributeError):
        return ""
    return " " + str(found)[:100] if found else ""


def _system() -> str:
    """`ubuntu 22.04`; where nothing says, which kernel family."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        said = dict(line.split("=", 1) for line in lines if "=" in line)
    except (OSError, ValueError):
        return platform.system()
    return " ".join(said.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID")).strip()


main(sys.argv[1], sys.argv[2])
