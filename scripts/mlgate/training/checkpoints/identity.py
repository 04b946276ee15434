"""Which trainings are the same: the key that a checkpoint is kept under, and looked for. One byte of code or data gives another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Identity:
    """What a training is made of."""

    model: str
    code_sha256: str
    """Of the model's inputs in the commit: code, `.dvc` files, parameter files, what of mlgate.yaml reaches the model."""
    changed: Mapping[str, str]
    """What the working tree has otherwise than the commit: SHA-256 of the content by path, `gone` of a file that is not there."""
    data: Sequence[tuple[str, str]]
    """Path and hash of each piece of validated data."""
    params: Mapping[str, str]
    """Values of the parameter files, those of a form in place."""
    command: str
    launcher: str
    nodes: int = 1
    processes: int = 1
    """On each node."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Values of the environment's variables that the command names, none of them a secret."""

    @property
    def key(self) -> str:
        """SHA-256 of all of it, in hexadecimal digits."""
        described = asdict(self) | {"format": "mlgate checkpoint 1", "data": sorted(self.data)}
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
