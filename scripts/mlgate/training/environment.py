"""The environment a training runs in, as far as its result can depend on it and a later run can know it: two that are described alike count
as the same.

Described: the user's interpreter and its platform, the C library and the system's release, every installed distribution with its version
(and the commit or hash of what came from elsewhere than an index), conda's packages, the container's image where it is named. Left out on
purpose are the GPU's model, its driver and the CUDA that the driver brings: the CUDA libraries that compute come with the framework's own
distributions, and a pool of machines whose drivers are upgraded one by one would train everything again. A training whose result does
depend on the GPU says so by `train.reuse: false`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from mlgate import process
from mlgate.console import plain
from mlgate.errors import InputError
from mlgate.evidence import Record

IMAGE = "MLGATE_CONTAINER_IMAGE"
"""Names the image of the job's container; GitHub tells no job."""
_PROBE = Path(__file__).with_name("environment_probe.py")
_TIMEOUT_S = 60
_SHOWN = 5

Short = Annotated[str, StringConstraints(max_length=500)]


class Environment(Record):
    """What is installed where a training runs."""

    python: Short
    """`CPython 3.12.4`."""
    platform: Short
    libc: Short
    system: Short
    """`ubuntu 22.04`."""
    packages: Annotated[dict[Short, Short], Field(max_length=20_000)]
    """Version by name."""
    image: Short | None = None

    @property
    def sha256(self) -> str:
        """Of all of it, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def differences(self, other: Environment) -> str:
        """What is otherwise in another, in words: `torch 2.3.0 -> 2.4.0`; empty where nothing is."""
        found = [
            f"{name} {mine or 'none'} -> {theirs or 'none'}"
            for name in ("python", "platform", "libc", "system", "image")
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]
        for name in sorted(self.packages.keys() | other.packages.keys()):
            mine, theirs = self.packages.get(name), other.packages.get(name)
            if mine != theirs:
                found.append(f"{name} {mine or 'none'} -> {theirs or 'none'}")
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return plain(", ".join(found[:_SHOWN])) + more


class UnknownEnvironmentError(Exception):
    """What is installed cannot be told; the message says why, in a line."""


def here(root: Path, environ: Mapping[str, str] = os.environ) -> Environment:
    """The environment that the user's commands run in.

    Args:
        root: the working directory.
        environ: for the name of the container's image.

    Raises:
        UnknownEnvironmentError: there is no Python on the user's PATH, or it gave no answer. A training in another language says its image.
    """
    image = environ.get(IMAGE, "").strip()[:500] or None
    if image and re.search(r"[\x00-\x1f]", image):
        raise UnknownEnvironmentError(f"{IMAGE}: holds what no image's name does")
    try:
        return Environment.model_validate({**process.call_user_python(_PROBE, {}, root=root, timeout_s=_TIMEOUT_S), "image": image})
    except ValidationError:
        raise UnknownEnvironmentError("your Python described what is installed in a way that cannot be read") from None
    except InputError as error:
        raise UnknownEnvironmentError(str(error)) from None
