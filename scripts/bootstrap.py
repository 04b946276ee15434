"""Makes mlgate's own environment from the lock file, for scripts/mlgate.sh. Standard library only: this runs before anything is there.

bootstrap.py ENVIRONMENT IDENTITY NAME...          install what the names need (`core`, extras of pyproject.toml)
bootstrap.py --key ENVIRONMENT IDENTITY NAME...    print path= and key=, for a cache
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV_PINS = ROOT / "scripts/uv.txt"
ATTEMPTS = 3
HEARTBEAT_S = 10
_NETWORK = re.compile(
    r"timed? ?out|connect|resolution|resolve host|dns|temporary failure|reset by peer|broken pipe|unreachable|max retries|incomplete"
    r"|failed to (?:fetch|download)|\b(?:429|50[0234])\b|tls|certificate|proxy",
    re.IGNORECASE,
)
# The user's settings for uv that are about the network and the disk. All others are about the user's own projects.
_UV_SETTINGS = re.compile(
    r"^UV_(CACHE_DIR|HTTP_|REQUEST_|CONCURRENT_|LINK_MODE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|NO_PROGRESS|OFFLINE)"
)


class InstallError(Exception):
    """Ends the installation with one line and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["--key"]:
            environment, identity, *names = arguments[1:]
            _check(names)
            print(f"path={environment}\nkey={key(identity, names)}")
        else:
            environment, identity, *names = arguments
            install(Path(environment).absolute(), identity, names)
    except InstallError as failure:
        print(f"✗ {failure}", file=sys.stderr)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            print(f"::error title=mlgate::{failure}")
        return failure.exit_code
    except OSError as error:
        print(f"✗ mlgate's environment cannot be made: {error}", file=sys.stderr)
        return 3
    return 0


def key(identity: str, names: list[str]) -> str:
    """Name under which a cache may keep the environment: equal names, equal content."""
    system = f"{platform.system()}-{platform.machine()}-{'.'.join(platform.libc_ver())}-{platform.python_version()}-{sys.base_prefix}"
    digest = hashlib.sha256("\n".join([system, identity, *sorted(names)]).encode()).hexdigest()[:16]
    return f"mlgate-{platform.system()}-{platform.machine()}-py{platform.python_version()}-{identity}-{digest}"


def install(environment: Path, identity: str, names: list[str]) -> None:
    """Bring the environment up to what `names` need, and stamp it. Installations that come at the same time wait for one another.

    Raises:
        InstallError: a name that is none, or the packages cannot be had.
    """
    _check(names)
    environment.parent.mkdir(parents=True, exist_ok=True)
    with _lock(environment.with_name(environment.name + ".lock")):
        if _is_ready(environment, identity, names):
            return
        extras = [name for name in names if name != "core"]
        _say(f"installing what {', '.join(extras) or 'mlgate'} needs into {environment} (once)")
        started = time.monotonic()
        uv = _uv(environment.with_name(environment.name + ".uv"))
        _remove_broken(environment)
        command = [
            str(uv),
            "sync",
            "--locked",
            "--no-dev",
            "--inexact",
            "--no-install-project",
            "--project",
            str(ROOT),
            "--python",
            _base_python(),
        ]
        _run(
            "uv sync", [*command, *(part for extra in extras for part in ("--extra", extra))], {"UV_PROJECT_ENVIRONMENT": str(environment)}
        )
        _link_package(environment)
        for name in names:
            _write(environment / ".mlgate" / name, identity + "\n")
        _say(f"installed in {time.monotonic() - started:.0f} s")


def _check(names: list[str]) -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in names:
        if name != "core" and name not in extras:
            known = [extra for extra in extras if extra not in ("files", "forge", "gpu", "spark") and not extra.startswith("dvc-")]
            raise InstallError(f"stages: there is no stage '{name}'; expected some of {', '.join(known)}", 2)


def _is_ready(environment: Path, identity: str, names: list[str]) -> bool:
    try:
        stamped = all((environment / ".mlgate" / name).read_text().strip() == identity for name in names)
    except OSError:
        return False
    return stamped and os.access(environment / "bin/python", os.X_OK)


def _uv(folder: Path) -> Path:
    """The pinned uv, in an environment of its own."""
    uv, stamp = folder / "bin/uv", folder / "pins.sha256"
    pins = hashlib.sha256(UV_PINS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == pins and os.access(uv, os.X_OK):
        return uv
    shutil.rmtree(folder, ignore_errors=True)
    _run("python -m venv", [_base_python(), "-I", "-m", "venv", str(folder)], {})
    pip = [
        str(folder / "bin/python"),
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    _run("pip install uv", [*pip, "--require-hashes", "--requirement", str(UV_PINS)], {})
    _write(stamp, pins)
    return uv


def _base_python() -> str:
    """The interpreter behind a virtual environment, which may be gone tomorrow."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _remove_broken(environment: Path) -> None:
    """A cached environment whose Python is gone from the machine; never a folder that is no environment."""
    if (environment / "pyvenv.cfg").exists() and not os.access(environment / "bin/python", os.X_OK):
        shutil.rmtree(environment)


def _link_package(environment: Path) -> None:
    """Have the environment import mlgate from the checkout that calls it: scripts/mlgate.sh says in MLGATE_PACKAGE where that is."""
    for packages in environment.glob("lib/python3.*/site-packages"):
        _write(packages / "mlgate.pth", 'import os, sys; sys.path[:0] = filter(None, [os.environ.get("MLGATE_PACKAGE")])\n')


def _run(what: str, command: list[str], settings: dict[str, str]) -> None:
    """Run a command, its standard error passed through; again when the network failed.

    Raises:
        InstallError: it failed for good; the message has its last line.
    """
    environ = {name: value for name, value in os.environ.items() if _is_kept(name)}
    environ |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", **_certificates(environ), **settings}
    for attempt in range(1, ATTEMPTS + 1):
        code, lines = _run_once(what, command, environ)
        if code == 0:
            return
        is_network = any(_NETWORK.search(line) for line in lines)
        if not is_network or attempt == ATTEMPTS:
            break
        _say(f"{what} failed ({lines[-1] if lines else code}); trying again")
        time.sleep(2**attempt)
    reason = next((line for line in reversed(lines) if line), f"exit code {code}")
    hint = "is the network up? Try again" if is_network else "see the lines above"
    raise InstallError(f"mlgate's environment cannot be made: {what}: {reason}; {hint}", 3)


def _certificates(environ: dict[str, str]) -> dict[str, str]:
    """An authority of the company's own for both programs that install: pip does not read every variable that uv does, nor the reverse."""
    given = environ.get("REQUESTS_CA_BUNDLE") or environ.get("PIP_CERT")
    of_openssl = environ.get("SSL_CERT_FILE")
    if of_openssl and not given:
        return {"PIP_CERT": of_openssl}
    return {"SSL_CERT_FILE": given} if given and not of_openssl and Path(given).is_file() else {}


def _is_kept(name: str) -> bool:
    if name.startswith("UV_"):
        return _UV_SETTINGS.match(name) is not None
    return name not in {"VIRTUAL_ENV", "CONDA_PREFIX"} and not name.startswith("PYTHON")


def _run_once(what: str, command: list[str], environ: dict[str, str]) -> tuple[int, list[str]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        started = time.monotonic()
        while True:
            try:
                code = process.wait(HEARTBEAT_S)
                break
            except subprocess.TimeoutExpired:
                _say(f"… {what}, {time.monotonic() - started:.0f} s")
        log.seek(0)
        lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    if code != 0:
        print("\n".join(lines[-30:]), file=sys.stderr, flush=True)
    return code, lines


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process is installing; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)


def _say(text: str) -> None:
    print(f"mlgate: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
