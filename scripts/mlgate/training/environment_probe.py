"""Asked of the user's interpreter: which Python it is, and what is installed for it. Standard library only; reads names of folders, and
imports nothing of the user's: a hundred packages take milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import sysconfig
from pathlib import Path
from urllib.parse import unquote, urlsplit

_MAX_ORIGIN = 1_000_000
_MAX_SOURCES = 5_000


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
                found[name] = (version or "?") + _origin(entry)
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


def _origin(installed: Path) -> str:
    """Of what was not installed from an index: the commit or the hash of the archive; of a folder, what was in it, as its version stays."""
    try:
        path = installed / "direct_url.json"
        if path.stat().st_size > _MAX_ORIGIN:
            return ""
        said = json.loads(path.read_text(encoding="utf-8"))
        found = said.get("vcs_info", {}).get("commit_id") or said.get("archive_info", {}).get("hash") or ""
        if not found and "dir_info" in said:
            found = _edited(said["url"]) if said["dir_info"].get("editable") else _copied(installed / "RECORD")
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return ""
    return " " + str(found)[:100] if found else ""


def _copied(record: Path) -> str:
    """Of the files that were installed, as pip hashed them; scripts and its own notes have paths of this machine in them."""
    lines = sorted(record.read_text(encoding="utf-8").splitlines())
    kept = [line for line in lines if not line.startswith(("..", "/")) and ".dist-info/" not in line and ".pyc," not in line]
    return "folder:" + hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _edited(url: str) -> str:
    """Of the code in a folder that is used where it lies; the repository's own is part of the code already."""
    folder = Path(unquote(urlsplit(url).path))
    here = next((one for one in (Path.cwd(), *Path.cwd().parents) if (one / ".git").exists()), Path.cwd())
    if here.resolve() in (folder.resolve(), *folder.resolve().parents):
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py"))[:_MAX_SOURCES]:
        digest.update(f"{path.relative_to(folder)}\0".encode(errors="surrogateescape") + path.read_bytes() + b"\0")
    return "edited:" + digest.hexdigest()


def _system() -> str:
    """`ubuntu 22.04`; where nothing says, which kernel family."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        said = dict(line.split("=", 1) for line in lines if "=" in line)
    except (OSError, ValueError):
        return platform.system()
    return " ".join(said.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID")).strip()


main(sys.argv[1], sys.argv[2])
