"""The user's environment: theirs as it is, without what is ours. Every command and every piece of Python of theirs runs in it."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shlex
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlgate import certificates, own_secrets
from mlgate.errors import InputError


def user_environment() -> dict[str, str]:
    """The environment for the user's commands: ours without what is ours.

    Our virtual environment goes (unless the user activated it: then it is theirs), our tokens go, and a folder with nothing but
    a `dvc` launcher comes last on PATH, so that `dvc repro` works for who has no DVC and the user's own DVC wins. What is secret is
    also taken out of what the system shows of our own environment.
    """
    _blot_out(filter(own_secrets.is_one, os.environ))
    environ = own_secrets.without(os.environ)
    certificates.without_added(environ)
    path = [entry for entry in environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    is_own = sys.prefix != sys.base_prefix and environ.get("VIRTUAL_ENV") != sys.prefix
    if is_own:
        ours = {sysconfig.get_path("scripts"), str(Path(sys.prefix) / "bin")}
        path = [entry for entry in path if entry.rstrip("/") not in ours]
    chosen = _chosen_interpreter(environ, path)
    if chosen and (chosen.parent.parent / "pyvenv.cfg").is_file():
        path.insert(0, str(chosen.parent))
        environ["VIRTUAL_ENV"] = str(chosen.parent.parent)
        environ.pop("PYTHONHOME", None)
    if shutil.which("dvc", path=os.pathsep.join(path)) is None and (launcher := _dvc_folder(is_own)):
        path.append(str(launcher))
    environ["PATH"] = os.pathsep.join(dict.fromkeys(path))
    environ.setdefault("DVC_NO_ANALYTICS", "true")
    environ.setdefault("PYTHONUNBUFFERED", "1")  # a pipe would hold a training's output back for minutes
    return environ


def _blot_out(names: Iterable[str]) -> None:
    """Overwrite values in the block of memory in which the system handed them to us: other processes of the same user read it from
    /proc/<pid>/environ, or by `ps e`, for as long as we live. `os.environ` is a copy and keeps them.

    What may trace us could still read our memory: a job's token is in reach of its code where that is so (docs/threat-model.md).
    """
    for name in names:
        if name in _blotted_out:
            continue
        import ctypes  # only jobs that hold a secret need it

        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        if address := libc.getenv(os.fsencode(name)):
            ctypes.memset(address, ord("*"), len(ctypes.string_at(address)))
        _blotted_out.add(name)


_blotted_out: set[str] = set()


def user_interpreter() -> Path:
    """The user's Python: MLGATE_USER_PYTHON, else `python`, else `python3` on their PATH.

    Raises:
        InputError: there is none.
    """
    path = user_environment()["PATH"]
    chosen = _chosen_interpreter(os.environ, path.split(os.pathsep))
    if chosen:
        return chosen
    for name in ("python", "python3"):
        if found := shutil.which(name, path=path):
            return Path(os.path.abspath(found))  # noqa: PTH100 -- resolving links would leave the virtual environment
    raise InputError(
        "no Python interpreter on PATH for your code: expected 'python' or 'python3'; set one up before mlgate, or set MLGATE_USER_PYTHON"
    )


def _chosen_interpreter(environ: Mapping[str, str], path: Sequence[str]) -> Path | None:
    chosen = environ.get("MLGATE_USER_PYTHON")
    if not chosen:
        return None
    found = shutil.which(chosen, path=os.pathsep.join(path))
    if found is None:
        raise InputError(f"MLGATE_USER_PYTHON: no program '{chosen}'; expected the path or name of a Python interpreter")
    return Path(os.path.abspath(found))  # noqa: PTH100 -- resolving links would leave the virtual environment


@functools.cache
def _dvc_folder(is_own: bool) -> Path | None:
    """A folder that holds a `dvc` launcher and nothing else; None where our environment has no DVC."""
    if not Path(sysconfig.get_path("scripts"), "dvc").exists():
        return None
    # -I: PYTHONPATH and PYTHONHOME are for the user's interpreter, which DVC's commands still see.
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m dvc "$@"\n'
    if is_own:
        folder = Path(sys.prefix) / "share" / "mlgate" / "dvc"
        with suppress(OSError):
            if (folder / "dvc").is_file() and (folder / "dvc").read_text() == script:
                return folder
            folder.mkdir(parents=True, exist_ok=True)
            return _write_launcher(folder, script)
    # an environment that is not ours, or that we may not write
    temporary = Path(tempfile.mkdtemp(prefix="mlgate-dvc-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return _write_launcher(temporary, script)


def _write_launcher(folder: Path, script: str) -> Path:
    aside = folder.parent / f".{folder.name}-{secrets.token_hex(8)}"
    aside.write_text(script)
    aside.chmod(0o755)
    aside.replace(folder / "dvc")
    return folder
