"""`train`: the command, the GPUs it asks for, its checkpoints, what a GPU costs, and what may be reused."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from mlgate.config.values import NonEmpty, Number, RelativePath, Seconds, SecondsOrNone, Section, Size, no_boolean
from mlgate.mistakes import MistakeAtKeyError, kind_of

DEFAULT_TIMEOUT_S = 6 * 3600
"""How long a training may run, seconds, where `train.timeout` is left out."""
_LEAST_BYTES = 10**6
_ADDRESS = r"^[A-Za-z0-9._\-\[\]:]+:\d{1,5}$"
_CAPABILITY = re.compile(r"^\d{1,2}\.\d$")


def _capability(value: object) -> object:
    """`8.0` as text; YAML reads it as a number."""
    text = str(no_boolean(value))
    if not _CAPABILITY.match(text):
        raise ValueError(f"expected a CUDA compute capability such as 8.0 or 9.0, got '{text[:20]}'")
    return text


def _with_unit(value: object) -> object:
    """Nobody asks for 20 bytes of a GPU: a unit was left out."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LEAST_BYTES:
        raise ValueError(f"expected a size with its unit, such as {value}GB, got {kind_of(value)}")
    return value


def _not_empty(value: object) -> object:
    """`gpu:` alone would say that no GPU is needed, which nobody who writes it means."""
    if value is None:
        raise ValueError("is empty; write 'gpu: {}' for any one GPU, or leave the key out")
    return value


def _currency(value: object) -> object:
    if isinstance(value, str) and not re.match(r"^[A-Z]{3}$", value.strip()):
        raise ValueError(f"expected the three capital letters of a currency, such as EUR, got {kind_of(value)}")
    return value


def _address(value: object) -> object:
    if isinstance(value, str) and not re.match(_ADDRESS, value.strip()):
        raise ValueError(f"expected host:port of rank 0, such as 10.0.0.5:29500, got {kind_of(value)}")
    return value


def _one_or_more(value: object) -> object:
    if not isinstance(value, str | list):
        raise ValueError(f"expected a name such as H100, or a list of names, got {kind_of(value)}")  # noqa: TRY004 -- pydantic explains ValueError only
    return [value] if isinstance(value, str) else value


def _checkpoint_store(value: str) -> str:
    if re.match(r"(?:s3|gs|az|azure|ssh|file):(?!//)", value):
        raise ValueError(f"expected two slashes after the colon, as in s3://bucket/checkpoints, got '{value}'")
    if "://" in value and not re.match(r"^(s3|gs|az|azure|ssh|file)://[^\s@?#]+$", value):
        raise ValueError("expected a folder, or an address such as s3://bucket/checkpoints without credentials in it")
    return value


ComputeCapability = Annotated[
    str, BeforeValidator(_capability), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": _CAPABILITY.pattern}]})
]
Capacity = Annotated[Size, BeforeValidator(_with_unit)]
"""Bytes; a bare number that is too small for any memory or disk is refused, since its unit was forgotten."""
OneOrMore = Annotated[
    list[NonEmpty],
    BeforeValidator(_one_or_more),
    Field(min_length=1, max_length=50),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class GpuConfig(Section):
    count: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=64)] = 1
    """GPUs, or MIG instances, that this training gets for itself on its machine."""
    memory: Capacity | None = None
    """Free memory that each of them must have, e.g. `20GB`."""
    model: OneOrMore | None = None
    """Names, one of which must be in the GPU's name, e.g. `H100` or `[A100, H100]`; upper and lower case are one."""
    compute_capability: ComputeCapability | None = None
    """The least CUDA compute capability, e.g. `8.0`."""
    need: Literal["required", "preferred"] = "required"
    """`preferred`: trains on the CPU where the machine has no such GPU."""
    wait: SecondsOrNone = 3600
    """How long to wait in the queue while other jobs have the machine's GPUs."""
    disk: Capacity | None = None
    """Free disk space that the working directory must have."""
    shared_memory: Capacity | None = None
    """Free space that /dev/shm must have; data loaders with several workers need it."""


class TorchrunConfig(Section):
    processes: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=1024)] | None = None
    """Processes on each node. Left out: one a leased GPU, else 1."""
    nodes: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=1024)] = 1
    """Machines. With several, each is a job of its own that says its number in MLGATE_NODE_RANK; rank 0 leaves the evidence."""
    rendezvous: Annotated[str, StringConstraints(pattern=_ADDRESS), BeforeValidator(_address)] | None = None
    """`host:port` of rank 0, where the nodes meet. Left out: MLGATE_RENDEZVOUS."""


class CheckpointsConfig(Section):
    path: RelativePath
    """Folder that the training writes its checkpoints to, and reads the newest from when it begins."""
    store: Annotated[NonEmpty, AfterValidator(_checkpoint_store)] | None = None
    """Where they outlive the machine: a folder, or an address such as `s3://bucket/checkpoints`. Left out: the DVC remote."""
    every: Seconds = 600
    """How often what is new there is saved; it is saved on SIGTERM and on a spot notice besides."""
    keep: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=100)] = 2
    """Newest checkpoints of a training that are kept."""


class PriceConfig(Section):
    gpu_hour: Annotated[Number, Field(ge=0)] | None = None
    """Of one GPU (or MIG instance) for an hour."""
    kwh: Annotated[Number, Field(ge=0)] | None = None
    """Of a kilowatt-hour."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), BeforeValidator(_currency)] = "USD"
    """ISO 4217 code."""

    @model_validator(mode="after")
    def _says_a_price(self) -> Self:
        if self.gpu_hour is None and self.kwh is None:
            raise MistakeAtKeyError("train.price", "says no price; give gpu_hour, kwh or both, or leave it out")
        return self


def _path_alone(value: object) -> object:
    """`checkpoints: out/checkpoints` is `checkpoints: {path: out/checkpoints}`."""
    if value is None or isinstance(value, dict | CheckpointsConfig):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a folder such as checkpoints, or keys below it, such as path, store, every; got {kind_of(value)}")  # noqa: TRY004 -- pydantic explains ValueError only
    return {"path": value}


class TrainConfig(Section):
    command: NonEmpty
    """The training command, run by the shell in the user's environment, e.g. `dvc repro`. With `launcher: torchrun`, what torchrun is to
    run: `train.py --epochs 10`."""
    timeout: Seconds = DEFAULT_TIMEOUT_S
    """How long the command may run: `90s`, `30m`, `2h`."""
    grace: Seconds = 30
    """How long the command may take to end, and to save a checkpoint, after SIGTERM and before SIGKILL."""
    params: list[RelativePath] = []
    """Parameter files (YAML, JSON or TOML) whose values are logged and compared."""
    launcher: Literal["shell", "torchrun"] = "shell"
    """What starts the command."""
    torchrun: TorchrunConfig = TorchrunConfig()
    """How torchrun is called."""
    gpu: Annotated[GpuConfig | None, BeforeValidator(_not_empty)] = None
    """What the training needs of GPUs. Left out: nothing is looked at, nothing leased."""
    checkpoints: Annotated[CheckpointsConfig, BeforeValidator(_path_alone)] | None = None
    """Checkpoints, from which a training that was ended goes on when its job runs again; a path says enough."""
    progress: RelativePath | None = None
    """A JSON file that the training rewrites, `{"step": 3, "total": 10, "metrics": {"loss": 0.4}}`. Left out: the file that MLGATE_PROGRESS
    names, and progress bars in the output."""
    outputs: list[RelativePath] = []
    """What the command makes, beside the files that `evaluation` names: kept for later runs, where it is no DVC pipeline."""
    reuse: bool = True
    """Take the result of an earlier run of the same code, data, parameters and environment instead of training again."""
    price: PriceConfig | None = None
    """What GPUs and energy cost, for the report."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        torchrun = self.torchrun
        if self.launcher != "torchrun" and torchrun != TorchrunConfig():
            raise MistakeAtKeyError("train.torchrun", "is for 'launcher: torchrun'; set that, or leave it out")
        if self.launcher == "torchrun" and re.match(r"\s*(\S*/)?(torchrun|dvc|accelerate|deepspeed)\b", self.command):
            raise MistakeAtKeyError(
                "train.command", "expected what torchrun is to run, such as 'train.py --epochs 10', not another launcher"
            )
        return self
