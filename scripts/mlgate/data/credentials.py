"""Credentials of DVC's remotes, from the job's environment to where DVC, ours and the user's, looks for them. Nothing is left behind.

Stores with variables of their own (AWS_…, AZURE_…) need none of this. For the others the secret MLGATE_ENV has DVC_CONFIG, the lines that
`dvc remote modify --local` writes on a laptop; a value `$NAME` there stands for another variable of the secret.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mlgate import temporary_files
from mlgate.errors import InfrastructureError, InputError

CONFIG = "DVC_CONFIG"
_GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_NAMES_A_FILE = re.compile(r"keyfile|credentialpath|configpath|cert_path|key_path|.*_file(_path)?")
_SECRET = re.compile(r".*(password|passphrase|token|secret|key|connection_string)|access_key_id")


def hand_over(environ: MutableMapping[str, str]) -> None:
    """Let DVC read DVC_CONFIG, beneath what the repository configures, and Google's client a key given by its text.

    Args:
        environ: of this process; DVC_GLOBAL_CONFIG_DIR and GOOGLE_APPLICATION_CREDENTIALS are set in it where needed.

    Raises:
        InputError: DVC_CONFIG is no configuration, or refers to a variable there is not. No message has a value.
        InfrastructureError: the runner's folder for temporary files cannot be written.
    """
    key, text = environ.get(_GOOGLE, ""), environ.get(CONFIG, "")
    is_handed_over = Path(environ.get("DVC_GLOBAL_CONFIG_DIR", "")).name.startswith(_FOLDER)
    if not key.lstrip().startswith("{") and (not text.strip() or is_handed_over):
        return
    try:
        folder = _private_folder(environ)
        if key.lstrip().startswith("{"):
            environ[_GOOGLE] = _written(folder, "google.json", key)
        if text.strip() and not is_handed_over:
            settings = _resolved(_parsed(text), environ, folder)
            _write_config(folder, settings)
            environ["DVC_GLOBAL_CONFIG_DIR"] = str(folder)
    except OSError as error:
        raise InfrastructureError(f"credentials of DVC's remotes cannot be kept: {error.strerror}: {error.filename}") from None


def secrets_in(text: str) -> list[str]:
    """Values of DVC_CONFIG that no log may show."""
    found = []
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and _SECRET.fullmatch(name.strip()) and not _REFERENCE.fullmatch(value.strip()):
            found.append(value.strip().strip("\"'"))
    return found


_FOLDER = "mlgate-dvc-"


def _private_folder(environ: Mapping[str, str]) -> Path:
    """A folder that only we can read, gone with this process; with the job, where that is killed."""
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=temporary_files.of_job(environ)))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _parsed(text: str) -> dict[str, Any]:
    from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped]

    try:
        settings: dict[str, Any] = ConfigObj(text.splitlines()).dict()
    except ConfigObjError as error:
        first = error.errors[0] if getattr(error, "errors", None) else error
        raise InputError(f"{CONFIG}: line {first.line_number}: expected ['remote \"name\"'], then lines of option = value") from None
    for name in settings:
        if not re.fullmatch(r"['\"]?remote\s+['\"]?[^'\"]+['\"]*|core|cache", name):
            raise InputError(f"{CONFIG}: expected sections ['remote \"name\"'], found something else")
    return settings


def _resolved(settings: dict[str, Any], environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Settings with the variables in place that they refer to; those that name a file get one with the variable's text."""
    resolved: dict[str, Any] = {}
    for section, options in settings.items():
        resolved[section] = {}
        for option, value in options.items():
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference is None:
                resolved[section][option] = value
                continue
            name = reference[1]
            if not environ.get(name):
                raise InputError(f"{CONFIG}: {option}: no variable '{name}' in the secret MLGATE_ENV")
            content = environ[name]
            resolved[section][option] = _written(folder, name, content) if _NAMES_A_FILE.fullmatch(option) else content
    return resolved


def _written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    with open(path, "w", encoding="utf-8", opener=lambda at, flags: os.open(at, flags, 0o600)) as stream:
        stream.write(text.rstrip("\n") + "\n")  # a private key without its last line end is none
    return str(path)


def _write_config(folder: Path, settings: dict[str, Any]) -> None:
    """Settings over those of the machine's user, in one file."""
    from configobj import ConfigObj
    from dvc.dirs import global_config_dir

    theirs = Path(global_config_dir()) / "config"
    merged = ConfigObj(str(theirs) if theirs.is_file() else None)
    merged.merge(settings)
    merged.filename = None
    _written(folder, "config", "\n".join(merged.write()))
